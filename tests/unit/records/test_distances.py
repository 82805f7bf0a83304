from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import squareform

from kinlens.errors import InputError
from kinlens.records import distances
from kinlens.records.distances import DistanceMatrix


@pytest.fixture
def values(rng: np.random.Generator) -> np.ndarray:
    half = rng.random((6, 6))
    values = half + half.T
    np.fill_diagonal(values, 0)
    return values


def test_condensed_is_ordered_as_scipy_does(values: np.ndarray) -> None:
    matrix = DistanceMatrix(tuple("abcdef"), values)
    np.testing.assert_array_equal(matrix.condensed(), squareform(values))
    again = DistanceMatrix.from_condensed(matrix.ids, matrix.condensed())
    np.testing.assert_array_equal(again.values, values)
    with pytest.raises(InputError, match="6 ids have 15 pairs, not 14"):
        DistanceMatrix.from_condensed(matrix.ids, matrix.condensed()[1:])


def test_select_reorders_and_names_what_is_missing(values: np.ndarray) -> None:
    matrix = DistanceMatrix(("Aus_bus", "b", "c", "d", "e", "f"), values)
    chosen = matrix.select(["d", "b"])
    assert chosen.ids == ("d", "b")
    assert chosen.values[0, 1] == values[3, 1]
    with pytest.raises(InputError, match=r"Aus_bos.*Did you mean 'Aus_bus'"):
        matrix.select(["Aus_bos"])


def test_rounding_is_evened_out_in_a_copy(values: np.ndarray) -> None:
    noisy = values.copy()
    noisy[0, 1] *= 1 + 1e-12
    noisy[2, 2] = 1e-13
    given = noisy.copy()
    matrix = DistanceMatrix(tuple("abcdef"), noisy)
    np.testing.assert_array_equal(matrix.values, matrix.values.T)
    assert not np.diagonal(matrix.values).any()
    np.testing.assert_array_equal(noisy, given)
    np.testing.assert_allclose(matrix.values, values, rtol=1e-11)


def test_exact_matrices_are_not_copied(values: np.ndarray) -> None:
    assert DistanceMatrix(tuple("abcdef"), values).values is values


@pytest.mark.parametrize("block", [1, 13, 4_000_000])
def test_faults_are_found_in_any_block(
    values: np.ndarray, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distances, "_BLOCK_CELLS", block)
    ids = tuple("abcdef")
    DistanceMatrix(ids, values)
    for wrong, words in [
        (np.nan, "row 'e', column 'c' holds nan"),
        (-1.0, "negative distance: row 'e', column 'c' holds -1"),
        (9.0, "asymmetric pair: row '[ec]', column '[ec]'"),
    ]:
        spoiled = values.copy()
        spoiled[4, 2] = wrong
        with pytest.raises(InputError, match=words):
            DistanceMatrix(ids, spoiled)
    spoiled = values.copy()
    spoiled[5, 5] = 0.1
    with pytest.raises(InputError, match=r"'f' to itself is 0\.1.*similarities"):
        DistanceMatrix(ids, spoiled)


@pytest.mark.parametrize(
    ("ids", "shape", "words"),
    [
        (("a", "b"), (2, 3), "square, this one is 2 x 3"),
        (("a", "b"), (2,), "square, this one is 2"),
        (("a",), (2, 2), "1 names for 2 rows"),
        (("a", "a"), (2, 2), "more than once: a"),
    ],
)
def test_shapes_and_names(ids: tuple[str, ...], shape: tuple[int, ...], words: str) -> None:
    with pytest.raises(InputError, match=words):
        DistanceMatrix(ids, np.zeros(shape))


def test_smallest_matrices() -> None:
    assert len(DistanceMatrix((), np.zeros((0, 0)))) == 0
    assert DistanceMatrix(("a",), np.zeros((1, 1))).condensed().shape == (0,)
