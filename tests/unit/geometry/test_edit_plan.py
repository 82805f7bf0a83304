"""The pieces that a matrix is cut into."""

from __future__ import annotations

import numpy as np
import pytest

from kinlens.geometry.edit_plan import Piece, plan_matrix


def wanted(pieces: list[Piece], shape: tuple[int, int]) -> np.ndarray:
    """How often each pair is asked for."""
    counts = np.zeros(shape, dtype=int)
    for piece in pieces:
        rows, columns = piece.pairs()
        counts[rows, columns] += 1
    return counts


@pytest.mark.parametrize("n", [1, 2, 64, 500, 512, 513, 1300])
@pytest.mark.parametrize("n_words", [8, 4, 1])
@pytest.mark.parametrize("threads", [1, 3])
def test_each_pair_of_one_set_is_wanted_once(n: int, n_words: int, threads: int) -> None:
    lengths = np.sort(np.random.default_rng(n).integers(0, 300, n))
    pieces = plan_matrix(lengths, None, n_words=n_words, n_letters=4, threads=threads)
    assert np.array_equal(wanted(pieces, (n, n)), np.triu(np.ones((n, n), dtype=int), k=1))


@pytest.mark.parametrize("shape", [(1, 1), (1, 700), (40, 512), (33, 1025)])
@pytest.mark.parametrize("longest", [0, 20, 4000])
def test_each_pair_of_two_sets_is_wanted_once(shape: tuple[int, int], longest: int) -> None:
    queries, targets = (np.sort(np.arange(n) % (longest + 1)) for n in shape)
    pieces = plan_matrix(queries, targets, n_words=8, n_letters=20, threads=2)
    assert (wanted(pieces, shape) == 1).all()


def test_no_more_targets_than_fit_a_vector() -> None:
    for piece in plan_matrix(np.full(3000, 150), None, n_words=8, n_letters=4, threads=2):
        if piece.words:
            assert piece.targets.stop - piece.targets.start <= 64 * piece.words


def test_threads_get_enough_pieces() -> None:
    pieces = plan_matrix(np.full(2000, 150), None, n_words=8, n_letters=4, threads=4)
    assert len(pieces) >= 16


def test_letters_without_number_do_not_take_a_plane_each() -> None:
    # 65,536 rows of 257 letters would be a gigabyte of planes in each thread.
    lengths = np.full(1024, 65_535)
    pieces = plan_matrix(lengths, None, n_words=8, n_letters=256)
    assert all(piece.words == 0 for piece in pieces)
