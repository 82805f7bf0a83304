"""Named streams depend on the seed and the name, and on nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from kinlens.errors import UsageError
from kinlens.rng import RandomStreams


def test_a_stream_does_not_notice_what_other_streams_draw() -> None:
    streams = RandomStreams(7)
    before = streams.generator("null").random(5)
    streams.generator("split").random(1000)
    np.testing.assert_array_equal(before, streams.generator("null").random(5))


def test_seeds_names_and_borders_between_names_make_different_streams() -> None:
    draws = {
        RandomStreams(seed).generator(*names).integers(2**62)
        for seed in (0, 1, 2**63 - 1)
        for names in [("a",), ("b",), ("a", "b"), ("ab",), ("b", "a"), ()]
    }
    assert len(draws) == 18


def test_a_child_is_the_same_stream_as_the_longer_name() -> None:
    streams = RandomStreams(7)
    assert streams.child("fold", 3).integer("forest") == streams.integer("fold", 3, "forest")


def test_numbers_never_change_between_releases() -> None:
    assert RandomStreams(1).generator("split").integers(1000, size=3).tolist() == GOLDEN
    assert 0 <= RandomStreams(1).integer("x") < 2**31 - 1


@pytest.mark.parametrize("seed", [-1, 2**63, 1.5, "1"])
def test_a_seed_that_cannot_be_one_is_refused(seed: object) -> None:
    with pytest.raises(UsageError, match="seed must be an integer"):
        RandomStreams(seed)  # type: ignore[arg-type]


# Drawn once with NumPy 2.4 (PCG64).
GOLDEN = [602, 26, 736]
