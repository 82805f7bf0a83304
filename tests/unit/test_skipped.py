"""What was left out is counted, worded, and limited."""

from __future__ import annotations

import pytest

from kinlens.errors import TooManySkippedError, UsageError
from kinlens.skipped import SkipList, Skipped


def test_records_are_sorted_and_noted_once() -> None:
    skipped = SkipList()
    skipped.add("images/b.jpg", "truncated file")
    skipped.add("images/a.jpg", "no such file", record="row 7")
    skipped.add("images/b.jpg", "truncated file")
    frame = skipped.frame()
    assert list(frame.columns) == ["file", "record", "reason"]
    assert frame.to_numpy().tolist() == [
        ["images/a.jpg", "row 7", "no such file"],
        ["images/b.jpg", "", "truncated file"],
    ]
    assert skipped.summary() == "2 skipped: truncated file (1), no such file (1)"


def test_nothing_skipped_is_an_empty_table() -> None:
    assert list(SkipList().frame().columns) == ["file", "record", "reason"]
    assert SkipList().summary() == "nothing skipped"


def test_a_number_is_a_limit_at_once() -> None:
    skipped = SkipList(max_bad=2)
    skipped.extend([Skipped("a", "", "bad"), Skipped("b", "", "bad")])
    with pytest.raises(TooManySkippedError, match=r"3 records .* --max-bad allows 2: .*c \(bad\)"):
        skipped.add("c", "bad")
    assert len(skipped) == 3


def test_zero_allows_none() -> None:
    with pytest.raises(TooManySkippedError):
        SkipList(max_bad=0).add("a", "bad")


def test_a_share_is_a_limit_of_what_was_looked_at() -> None:
    skipped = SkipList(max_bad=0.1)
    skipped.add("a", "bad")
    skipped.check(total=10)
    skipped.add("b", "bad")
    with pytest.raises(TooManySkippedError, match=r"allows 0\.1 of 10"):
        skipped.check(total=10)


def test_without_a_limit_everything_may_be_skipped() -> None:
    skipped = SkipList()
    skipped.extend(Skipped(str(i), "", "bad") for i in range(1000))
    skipped.check(total=1000)
    assert len(skipped) == len(skipped.records) == 1000


@pytest.mark.parametrize("limit", [-1, float("nan")])
def test_a_limit_that_is_none_is_refused(limit: float) -> None:
    with pytest.raises(UsageError, match="max-bad"):
        SkipList(max_bad=limit)
