"""Distances between aligned sequences."""

from __future__ import annotations

from math import log

import numpy as np
import pytest
from skbio import DNA
from skbio.sequence import distance as by_scikit_bio

from kinlens.errors import InputError, UsageError
from kinlens.geometry.aligned import k2p_distances, p_distances, tn93_distances

ALL = [p_distances, k2p_distances, tn93_distances]
FREQUENCIES = (0.4, 0.1, 0.2, 0.3)


@pytest.fixture
def alignment(rng: np.random.Generator) -> list[str]:
    ancestor = rng.choice(list("ACGT"), 400, p=FREQUENCIES)
    rows = []
    for _ in range(7):
        row = ancestor.copy()
        is_hit = rng.random(400) < 0.15
        row[is_hit] = rng.choice(list("ACGT"), is_hit.sum())
        rows.append("".join(row))
    return rows


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (p_distances, by_scikit_bio.pdist),
        (k2p_distances, by_scikit_bio.k2p),
        (
            lambda rows: tn93_distances(rows, frequencies=FREQUENCIES),
            lambda a, b: by_scikit_bio.tn93(a, b, freqs=FREQUENCIES),
        ),
    ],
    ids=["p", "K2P", "TN93"],
)
def test_scikit_bio_agrees(ours, theirs, alignment) -> None:  # type: ignore[no-untyped-def]
    found = ours(alignment)
    rows = [DNA(row) for row in alignment]
    expected = [[theirs(a, b) for b in rows] for a in rows]
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)


def test_kimura_by_hand() -> None:
    # Of ten sites one transition and two transversions.
    found = k2p_distances(["AAAAAAAAAA", "GCTAAAAAAA"])[0, 1]
    assert found == pytest.approx(-log(1 - 0.2 - 0.2) / 2 - log(1 - 0.4) / 4)


def test_tamura_and_nei_with_equal_frequencies_and_rates_is_jukes_and_cantor() -> None:
    # One site of each of the twelve kinds of difference, among 88 that are equal.
    one = "A" * 3 + "C" * 3 + "G" * 3 + "T" * 3 + "ACGT" * 22
    other = "CGT" + "AGT" + "ACT" + "ACG" + "ACGT" * 22
    expected = -3 / 4 * log(1 - 4 / 3 * 0.12)
    assert tn93_distances([one, other])[0, 1] == pytest.approx(expected)


def test_the_frequencies_of_the_whole_alignment_are_the_default(alignment: list[str]) -> None:
    together = "".join(alignment)
    observed = [together.count(base) / len(together) for base in "ACGT"]
    np.testing.assert_allclose(
        tn93_distances(alignment), tn93_distances(alignment, frequencies=observed), rtol=1e-12
    )


@pytest.mark.parametrize("distances", ALL)
def test_only_sites_that_both_have_count(distances, alignment: list[str]) -> None:  # type: ignore[no-untyped-def]
    gapped = ["-N?a" + row for row in alignment[:2]] + ["ACGT" + alignment[2]]
    bare = alignment[:3]
    np.testing.assert_allclose(distances(gapped)[:2, :2], distances(bare)[:2, :2], rtol=0.02)
    assert p_distances(["ACGT--", "ACGA-T"])[0, 1] == 0.25


def test_rna_is_like_dna(alignment: list[str]) -> None:
    mixed = [row.replace("T", "U") if i % 2 else row for i, row in enumerate(alignment)]
    assert np.array_equal(k2p_distances(mixed), k2p_distances(alignment))


@pytest.mark.parametrize("distances", ALL)
def test_symmetric_and_zero_on_the_diagonal(distances, alignment: list[str]) -> None:  # type: ignore[no-untyped-def]
    found = distances(alignment)
    assert np.array_equal(found, found.T)
    assert not np.diagonal(found).any()
    assert not np.signbit(found).any()


@pytest.mark.parametrize("distances", ALL)
def test_no_site_in_common_is_nan(distances) -> None:  # type: ignore[no-untyped-def]
    found = distances(["ACGTACGT----", "--------ACGT", "NNNNNNNNNNNN"])
    assert np.isnan(found[0, 1])
    assert np.isnan(found[2]).all()
    assert found[0, 0] == 0


@pytest.mark.parametrize("distances", [k2p_distances, tn93_distances])
def test_too_different_is_nan(distances) -> None:  # type: ignore[no-untyped-def]
    assert np.isnan(distances(["ACGT" * 5, "CATG" * 5])[0, 1])


def test_bases_that_do_not_occur() -> None:
    assert tn93_distances(["AAAA", "AAAA"]).tolist() == [[0, 0], [0, 0]]
    found = tn93_distances(["AAAAAAAAAG", "AAAAAAAAAA"])[0, 1]
    assert np.isnan(found)
    rare = ["A" * 99 + "G", "A" * 100, "A" * 90 + "G" * 10]
    k1 = 2 * (289 / 300) * (11 / 300)
    assert tn93_distances(rare)[0, 1] == pytest.approx(-k1 * log(1 - 0.01 / k1))


@pytest.mark.parametrize("distances", ALL)
def test_nothing_and_empty(distances) -> None:  # type: ignore[no-untyped-def]
    assert distances([]).shape == (0, 0)
    assert np.isnan(distances(["", ""])).all()


def test_lengths_that_differ_are_named() -> None:
    with pytest.raises(InputError, match=r"one length, here 4 as the first.*1 \(3\).*Align them"):
        p_distances(["ACGT", "ACG"])


@pytest.mark.parametrize("frequencies", [(0.5, 0.5), (0.5, 0.5, 0.5, -0.5), (0.1, 0.1, 0.1, 0.1)])
def test_frequencies_must_be_frequencies(frequencies: tuple[float, ...]) -> None:
    with pytest.raises(UsageError, match="four numbers of at least 0 that sum to 1"):
        tn93_distances(["ACGT"], frequencies=frequencies)
