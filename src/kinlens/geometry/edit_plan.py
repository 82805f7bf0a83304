"""How a matrix of edit distances is cut into pieces that fill the vectors, and run by threads.

Sequences are taken in order of length, so that those that share a vector need little padding. The
kernels are in `bitsliced`; what users call is in `edit`.

Everywhere, `queries` and `targets` are packed sequences, `cutoff` the distance beyond which
nothing has to be exact, `threads` how many work at once, and `width` the words of a vector
register.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import pairwise
from math import ceil
from typing import TypeVar

import numpy as np

from kinlens.geometry.bitsliced import NO_CUTOFF, Width, lanes_distances, pairs_distances
from kinlens.geometry.compiled import compiled
from kinlens.geometry.packing import PackedSequences, Store, letter_bits
from kinlens.typing import IntArray, UInt16Array

__all__ = ["Piece", "fill_matrix", "fill_pairs", "plan_matrix"]

Job = TypeVar("Job")

# Nanoseconds, measured on one processor with 512-bit vectors; only their ratios matter, and not
# much. One cell of a vector when one query is in all lanes, and the share of a table in its band:
_CELL, _BAND = 1.0, 0.5
# A vector of half the length takes less, because the processor has more units for it.
_HALF = 0.66
# A cell takes five instructions, and one more a bit of the letters where each lane has its query.
_INSTRUCTIONS = 5
# What a letter of length costs outside the table: counting; packing, where each lane differs.
_LANES_LETTER, _PAIRS_LETTER = 7.0, 150.0
# What a vector takes even of empty sequences.
_VECTOR = 100.0
# Columns of the strips in which pairs are taken: about the root of the lanes of a vector.
_STRIP = 23
# A job should be short enough to balance threads, and long enough to be worth its start.
_LONGEST_JOB, _SHORTEST_JOB = 2e7, 3e5
_JOBS_PER_THREAD = 8
# The first job expects distances up to an eighth of the longest sequence; later ones know better.
_FIRST_GUESS = 0.125
# One query in all lanes needs a plane per letter and row; above this, take the other kernel.
_MOST_LETTER_BYTES = 2**28


def fill_matrix(
    queries: PackedSequences,
    targets: PackedSequences | None,
    out: UInt16Array,
    *,
    width: Width,
    cutoff: int = NO_CUTOFF,
    threads: int = 1,
) -> None:
    """Write the distances of queries and targets, or of all pairs of queries, to `out`.

    Parameters
    ----------
    queries, targets : PackedSequences
        Members of one store; all pairs of queries when `targets` is None.
    out : numpy.ndarray
        Shape (queries, targets), uint16.
    width : tuple
        From `vector_width`.
    cutoff : int
        Distances above it are given as ``cutoff + 1``.
    threads : int
        How many work at once.
    """
    is_symmetric = targets is None
    if targets is None:
        targets = queries
        np.fill_diagonal(out, 0)
    elif len(queries) > len(targets):
        # The longer list fills vectors better.
        queries, targets, out = targets, queries, out.T
    rows = np.argsort(queries.lengths, kind="stable")
    columns = np.argsort(targets.lengths, kind="stable")
    queries, targets = queries.take(rows), targets.take(columns)
    query_lengths, target_lengths = queries.lengths, targets.lengths
    kernels = _Kernels(queries.store, width, cutoff)

    def run(piece: Piece) -> None:
        q, t = piece.queries, piece.targets
        if not piece.words:
            first, second = piece.pairs()
            found = kernels.pairs(targets.members[second], queries.members[first])
            _scatter_pairs(found, rows[first], columns[second], out, is_symmetric)
            return
        # How far apart lengths are at the least: the first is the shortest, the last the longest.
        gap = max(
            query_lengths[q.start] - target_lengths[t.stop - 1],
            target_lengths[t.start] - query_lengths[q.stop - 1],
        )
        if gap > cutoff:
            found = np.full((len(rows[q]), len(columns[t])), cutoff + 1, dtype=np.uint16)
        else:
            found = kernels.lanes(targets.members[t], queries.members[q], piece.words)
        _scatter(found, rows[q], columns[t], out, is_symmetric)

    pieces = plan_matrix(
        query_lengths,
        None if is_symmetric else target_lengths,
        n_words=len(width),
        n_letters=queries.store.n_letters,
        threads=threads,
    )
    _on_threads(run, pieces, threads)


def fill_pairs(
    queries: PackedSequences,
    targets: PackedSequences,
    out: UInt16Array,
    *,
    width: Width,
    cutoff: int = NO_CUTOFF,
    threads: int = 1,
) -> None:
    """Write the distance of each query and the target at its place to `out`, of shape (pairs,).

    The other parameters are those of `fill_matrix`.
    """
    n_lanes = 64 * len(width)
    n_bits = queries.store.n_bits
    # Strips of targets of like length, each in order of the queries: both vary little in a vector.
    strip = max(n_lanes, int((len(targets) * n_lanes) ** 0.5))
    rank = np.empty(len(targets), dtype=np.int64)
    rank[np.argsort(targets.lengths, kind="stable")] = np.arange(len(targets))
    order = np.lexsort((queries.lengths, rank // strip))
    vector = _pairs_cost(targets.lengths.mean(), queries.lengths.mean(), n_bits)
    n_vectors = ceil(len(order) / n_lanes)
    size = n_lanes * max(1, int(_job_cost(n_vectors * vector, threads) / vector))
    kernels = _Kernels(queries.store, width, cutoff)

    def run(start: int) -> None:
        chosen = order[start : start + size]
        out[chosen] = kernels.pairs(targets.members[chosen], queries.members[chosen])

    _on_threads(run, range(0, len(order), size), threads)


@dataclass(frozen=True)
class Piece:
    """A rectangle of a matrix, or the part of it above the diagonal.

    Attributes
    ----------
    queries, targets : slice
        Its rows and columns.
    words : int
        Words of the vector of targets that meets one query after the other; 0 where each lane of a
        vector has its own query.
    is_triangle : bool
        Only the pairs above the diagonal are wanted.
    """

    queries: slice
    targets: slice
    words: int
    is_triangle: bool = False

    def pairs(self) -> tuple[IntArray, IntArray]:
        """Return row and column of each pair that is wanted, those of like lengths together."""
        all_rows = np.arange(self.queries.start, self.queries.stop)
        first, second = [], []
        # In strips, so that neither rows nor columns, and their lengths, vary much in a vector.
        for start in range(self.targets.start, self.targets.stop, _STRIP):
            columns = np.arange(start, min(start + _STRIP, self.targets.stop))
            rows = all_rows[all_rows < columns[-1]] if self.is_triangle else all_rows
            first.append(np.repeat(rows, len(columns)))
            second.append(np.tile(columns, len(rows)))
        rows, columns = np.concatenate(first), np.concatenate(second)
        if self.is_triangle:
            is_above = rows < columns
            return rows[is_above], columns[is_above]
        return rows, columns


def plan_matrix(
    query_lengths: IntArray,
    target_lengths: IntArray | None,
    *,
    n_words: int,
    n_letters: int,
    threads: int = 1,
) -> list[Piece]:
    """Cut a matrix into pieces that cover all wanted pairs, the costly ones first.

    Parameters
    ----------
    query_lengths, target_lengths : numpy.ndarray
        Letters, ascending. With `target_lengths` None, all pairs of queries are wanted, each in
        one order.
    n_words : int
        Words of a full vector.
    n_letters : int
        How many letters the alphabet has.
    threads : int
        There are pieces enough to keep so many busy.

    Examples
    --------
    >>> for piece in plan_matrix(np.full(700, 150), None, n_words=8, n_letters=4):
    ...     print(piece.queries, piece.targets, piece.words, piece.is_triangle)
    slice(188, 700, None) slice(188, 700, None) 8 True
    slice(0, 188, None) slice(188, 700, None) 8 False
    slice(0, 188, None) slice(0, 188, None) 0 True
    """
    is_symmetric = target_lengths is None
    if target_lengths is None:
        target_lengths = query_lengths
    blocks = _blocks(len(query_lengths), len(target_lengths), 64 * n_words, is_symmetric)
    priced = []
    for queries, targets, is_triangle in blocks:
        n_queries, n_targets = queries.stop - queries.start, targets.stop - targets.start
        rows, columns = target_lengths[targets].mean(), query_lengths[queries].mean()
        shortest, longest = target_lengths[targets.start], target_lengths[targets.stop - 1]
        is_half = n_words == 8 and n_targets <= 256
        words = 4 if is_half else n_words
        vector = _lanes_cost(shortest, longest, columns) * (_HALF if is_half else 1.0)
        lanes = n_queries * vector
        n_pairs = n_queries * (n_targets - 1) / 2 if is_triangle else n_queries * n_targets
        pairs = n_pairs / (64 * n_words) * _pairs_cost(rows, columns, letter_bits(n_letters))
        letter_bytes = 8 * words * int(longest) * (n_letters + 1)
        if pairs < lanes or letter_bytes > _MOST_LETTER_BYTES:
            words = 0
        priced.append((min(pairs, lanes), Piece(queries, targets, words, is_triangle)))
    priced.sort(key=lambda pair: -pair[0])
    job = _job_cost(sum(cost for cost, _ in priced), threads)
    return [part for cost, piece in priced for part in _split(piece, ceil(cost / job))]


def _blocks(
    n_queries: int, n_targets: int, n_lanes: int, is_symmetric: bool
) -> Iterator[tuple[slice, slice, bool]]:
    """Yield rows, columns and whether only a triangle is wanted, for each vector of targets."""
    # With a triangle on each diagonal block, what is short of a vector comes first: nothing is
    # above its triangle.
    first = n_targets % n_lanes if is_symmetric else 0
    stops = [*range(first or n_lanes, n_targets, n_lanes), n_targets]
    for start, stop in pairwise([0, *stops]):
        block = slice(start, stop)
        if not is_symmetric:
            yield slice(0, n_queries), block, False
            continue
        yield block, block, True
        if start:
            yield slice(0, start), block, False


def _split(piece: Piece, parts: int) -> list[Piece]:
    """Cut a piece into that many strips of rows, as far as it has rows."""
    start, stop = piece.queries.start, piece.queries.stop
    cuts = np.unique(np.linspace(start, stop, parts + 1).astype(int)).tolist()
    return [replace(piece, queries=slice(*ends)) for ends in pairwise(cuts)]


def _lanes_cost(shortest: float, longest: float, columns: float) -> float:
    # All targets are padded to the longest, and one band covers all differences in length.
    share = min(1.0, _BAND + (longest - shortest) / (2 * longest)) if longest else 1.0
    return _VECTOR + longest * (share * _CELL * columns + _LANES_LETTER)


def _pairs_cost(rows: float, columns: float, n_bits: int) -> float:
    cell = _CELL * (_INSTRUCTIONS + n_bits) / _INSTRUCTIONS
    return _VECTOR + rows * (_BAND * cell * columns + _PAIRS_LETTER)


def _job_cost(total: float, threads: int) -> float:
    """Return how long one job should take, in nanoseconds."""
    if threads == 1:
        return _LONGEST_JOB
    return min(_LONGEST_JOB, max(_SHORTEST_JOB, total / (threads * _JOBS_PER_THREAD)))


class _Kernels:
    """The two kernels for one store, and what they have learned of its distances."""

    def __init__(self, store: Store, width: Width, cutoff: int) -> None:
        self._store, self._width, self._cutoff = store, width, cutoff
        # Threads share it: whose guess stands is of no matter.
        self._guess = _FIRST_GUESS

    def lanes(self, targets: IntArray, queries: IntArray, words: int) -> UInt16Array:
        """Return the distances of each query to each target; shape (queries, lanes)."""
        found = np.empty((len(queries), 64 * words), dtype=np.uint16)
        width = self._width[:words]
        self._guess = lanes_distances(
            width, self._store, targets, queries, self._cutoff, self._guess, found
        )
        return found

    def pairs(self, targets: IntArray, queries: IntArray) -> UInt16Array:
        """Return the distance of each target to the query at its place; shape (pairs,)."""
        found = np.empty(len(targets), dtype=np.uint16)
        bits = (0,) * self._store.n_bits
        self._guess = pairs_distances(
            self._width, bits, self._store, targets, queries, self._cutoff, self._guess, found
        )
        return found


@compiled
def _scatter(
    found: UInt16Array, rows: IntArray, columns: IntArray, out: UInt16Array, is_mirrored: bool
) -> None:
    """Write ``found[i, j]`` to ``out[rows[i], columns[j]]``, and to the mirrored place."""
    for i in range(len(rows)):
        for j in range(len(columns)):
            out[rows[i], columns[j]] = found[i, j]
    if is_mirrored:
        # In small squares, because one of both sides is read or written against its order.
        for top in range(0, len(rows), 32):
            bottom = min(top + 32, len(rows))
            for j in range(len(columns)):
                for i in range(top, bottom):
                    out[columns[j], rows[i]] = found[i, j]


@compiled
def _scatter_pairs(
    found: UInt16Array, rows: IntArray, columns: IntArray, out: UInt16Array, is_mirrored: bool
) -> None:
    for k in range(len(found)):
        out[rows[k], columns[k]] = found[k]
        if is_mirrored:
            out[columns[k], rows[k]] = found[k]


def _on_threads(run: Callable[[Job], None], jobs: Sequence[Job], threads: int) -> None:
    if threads == 1 or len(jobs) == 1:
        for job in jobs:
            run(job)
        return
    pool = ThreadPoolExecutor(threads)
    try:
        for _ in pool.map(run, jobs):
            pass
    finally:
        # After an error or Ctrl-C, what has not begun shall not.
        pool.shutdown(cancel_futures=True)
