"""The bit-sliced edit distance: hundreds of exact distances in one pass, one in each lane.

Two kernels fill the lanes. `lanes_distances` compares one query after the other with a full vector
of targets and is the faster; `pairs_distances` puts another pair in every lane and so wastes none,
whatever is asked for. The instructions are in `_bit_planes`; which kernel takes which part of a
matrix, and threads, are in `edit_plan`.

The sequences of a vector are aligned at their *ends* and padded in front. Padding equals padding
and no letter, and the rim of the table rises by one a letter and by nothing along padding. Then
padding changes no distance, and all lanes find their answer in the same corner.

Only a band of the table is computed. A path that leaves the diagonals of the band costs more than
the *budget* it was made for, and what is computed inside is never below the truth, so a result
within the budget is exact (Ukkonen 1985). The budget follows the distances seen last and is raised
where a result exceeds it.

References
----------
Hyyrö, H. (2003). A bit-vector algorithm for computing Levenshtein and Damerau edit distances.
Nordic Journal of Computing 10, 29-39.
Myers, G. (1999). A fast bit-vector algorithm for approximate string matching based on dynamic
programming. Journal of the ACM 46, 395-415.
Ukkonen, E. (1985). Algorithms for approximate string matching. Information and Control 64, 100-118.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from kinlens.geometry._bit_planes import open_rim, spread, sweep, tally, transpose
from kinlens.geometry.compiled import compiled
from kinlens.geometry.packing import Store
from kinlens.typing import AnyArray, IntArray, UInt16Array

__all__ = ["NO_CUTOFF", "lanes_distances", "pairs_distances"]

NO_CUTOFF = 1 << 17
"""A cut-off above every distance."""

Width = tuple[int, ...]

# Columns carried in registers at a time: their eight planes leave half of AVX2's registers free.
_TILE = (0, 0, 0, 0)
_COLUMN_MULTIPLE = len(_TILE)
# How many rows `tally` adds up at a time.
_ROW_MULTIPLE = 8
# Rows done before going on to the next columns, so that long sequences stay in the cache.
_BLOCK_ROWS = 128
# Bits of the largest count: two for each of 65,536 rows, and the query's length.
_COUNTER_BITS = 18
# Once a distance exceeds its budget the band is computed again, so expect a little more.
_CAUTION = 1.06
_ALL = np.uint64(0xFFFF_FFFF_FFFF_FFFF)
_NONE = np.uint64(0)


@compiled
def lanes_distances(
    width: Width,
    store: Store,
    targets: IntArray,
    queries: IntArray,
    cutoff: int,
    guess: float,
    found: UInt16Array,
) -> float:
    """Compare each query with a vector of targets.

    Parameters
    ----------
    width : tuple
        As in `_bit_planes`; a vector has ``64 * len(width)`` lanes.
    store : Store
        The letters of all sequences.
    targets, queries : numpy.ndarray
        Places in `store`; one target a lane.
    cutoff : int
        Distances above it are given as ``cutoff + 1``.
    guess : float
        The largest distance expected, as a share of the longest sequence. Changes the time only.
    found : numpy.ndarray
        Receives the distances, uint16; shape (queries, lanes).

    Returns
    -------
    float
        The guess for the next queries.
    """
    shortest, longest = _length_range(store, targets)
    rows = _rounded_up(longest, _ROW_MULTIPLE)
    most_columns = _rounded_up(_length_range(store, queries)[1], _COLUMN_MULTIPLE)
    planes = _letter_planes(width, store, targets, rows)
    starts = _aligned(most_columns)
    table = _new_table(width, rows, most_columns)
    table.offset[:] = _NONE
    # The planes of letter 0, which is padding, come first.
    open_rim(width, (0,), planes, rows, -1, table.start)
    for place in range(len(queries)):
        first = store.starts[queries[place]]
        length = store.starts[queries[place] + 1] - first
        columns = _rounded_up(length, _COLUMN_MULTIPLE)
        padding = columns - length
        table.rim[: 2 * columns * len(width)] = _NONE
        for column in range(padding):
            starts[column] = 0
            for word in range(len(width)):
                table.rim[2 * column * len(width) + word] = _ALL
        for at in range(length):
            starts[padding + at] = store.codes[first + at] * rows
        guess = _solve(
            width,
            (),
            planes,
            starts,
            table,
            _Shape(rows, columns, shortest - length, longest - length, max(longest, length)),
            length - rows,
            cutoff,
            guess,
            found[place],
        )
    return guess


@compiled
def pairs_distances(
    width: Width,
    bits: Width,
    store: Store,
    targets: IntArray,
    queries: IntArray,
    cutoff: int,
    guess: float,
    found: UInt16Array,
) -> float:
    """Compare each target with the query at the same place.

    Parameters
    ----------
    width, store, cutoff, guess
        As in `lanes_distances`.
    bits : tuple
        As many zeros as a letter number has bits.
    targets, queries : numpy.ndarray
        Places in `store`; shape (pairs,). Pairs of like lengths should be neighbours.
    found : numpy.ndarray
        Receives the distances, uint16; shape (pairs,).

    Returns
    -------
    float
        The guess for the next pairs.
    """
    n_words, n_lanes, n_bits = len(width), 64 * len(width), len(bits)
    most_rows = _rounded_up(_length_range(store, targets)[1], _ROW_MULTIPLE)
    most_columns = _rounded_up(_length_range(store, queries)[1], _COLUMN_MULTIPLE)
    target_planes = _aligned(most_rows * n_bits * n_words)
    query_planes = _aligned(most_columns * n_bits * n_words)
    table = _new_table(width, most_rows, most_columns)
    square = _aligned(64 * n_words)
    numbers = np.empty(n_lanes, dtype=np.uint16)
    for begin in range(0, len(targets), n_lanes):
        some_targets = targets[begin : begin + n_lanes]
        some_queries = queries[begin : begin + n_lanes]
        rows = _rounded_up(_length_range(store, some_targets)[1], _ROW_MULTIPLE)
        columns = _rounded_up(_length_range(store, some_queries)[1], _COLUMN_MULTIPLE)
        _write_code_planes(width, store, some_targets, rows, target_planes)
        _write_code_planes(width, store, some_queries, columns, query_planes)
        least, most, ceiling = NO_CUTOFF, -NO_CUTOFF, 0
        for lane in range(n_lanes):
            pair = min(lane, len(some_targets) - 1)
            target_length = _length(store, some_targets[pair])
            query_length = _length(store, some_queries[pair])
            least = min(least, target_length - query_length)
            most = max(most, target_length - query_length)
            ceiling = max(ceiling, target_length, query_length)
            square[(lane % 64) * n_words + lane // 64] = np.uint64(query_length)
        transpose(width, square, table.offset, 0, 1, _COUNTER_BITS)
        open_rim(width, bits, target_planes, rows, 0, table.start)
        open_rim(width, bits, query_planes, columns, -1, table.rim)
        guess = _solve(
            width,
            bits,
            target_planes,
            query_planes,
            table,
            _Shape(rows, columns, least, most, ceiling),
            -rows,
            cutoff,
            guess,
            numbers,
        )
        found[begin : begin + len(some_targets)] = numbers[: len(some_targets)]
    return guess


class _Table(NamedTuple):
    """The planes of one table, as `_bit_planes.sweep` takes them.

    `start` and `rim` are the differences down and across at the table's left and upper side, and
    `state` and `edge` the same where the sweep stands. `counters` is what the differences down are
    added to, from `offset` on.
    """

    start: AnyArray
    rim: AnyArray
    offset: AnyArray
    state: AnyArray
    edge: AnyArray
    counters: AnyArray


class _Shape(NamedTuple):
    """What a table covers: with padding, and over the lanes.

    `least` and `most` bound the target's length less the query's, `ceiling` the distance.
    """

    rows: int
    columns: int
    least: int
    most: int
    ceiling: int


@compiled
def _solve(
    width: Width,
    bits: Width,
    targets: AnyArray,
    queries: AnyArray,
    table: _Table,
    shape: _Shape,
    base: int,
    cutoff: int,
    guess: float,
    numbers: UInt16Array,
) -> float:
    """Write the distances of all lanes to `numbers`, clipped; return the next guess."""
    n_edge = 2 * shape.columns * len(width)
    n_state = 2 * shape.rows * len(width)
    depth = 4
    while (1 << depth) <= 2 * shape.rows + shape.columns:
        depth += 1
    limit = min(cutoff, shape.ceiling)
    budget = min(limit, 2 + int(guess * shape.ceiling))
    while True:
        table.state[:n_state] = table.start[:n_state]
        table.edge[:n_edge] = table.rim[:n_edge]
        table.counters[:] = table.offset
        _fill(width, bits, targets, queries, table, shape, budget)
        tally(width, table.state, shape.rows, table.counters, depth)
        worst: int = spread(width, table.counters, depth, base, numbers)
        if worst <= budget or budget >= limit:
            break
        budget = min(limit, worst, 2 * budget)
    if worst > cutoff:
        for lane in range(len(numbers)):
            numbers[lane] = min(int(numbers[lane]), cutoff + 1)
    return _CAUTION * worst / max(1, shape.ceiling)


@compiled
def _fill(
    width: Width,
    bits: Width,
    targets: AnyArray,
    queries: AnyArray,
    table: _Table,
    shape: _Shape,
    budget: int,
) -> None:
    """Fill the band of diagonals (row less column) that paths of cost `budget` stay in."""
    shift = shape.rows - shape.columns
    # A path that leaves it goes further from where it has to end, and must come back.
    high = shift + max(0, -shape.least, (budget - shape.least) // 2)
    low = shift - max(0, shape.most, (budget + shape.most) // 2)
    for top in range(0, shape.rows, _BLOCK_ROWS):
        bottom = min(shape.rows, top + _BLOCK_ROWS)
        # The first columns whose band reaches down to `top`.
        column = max(0, top - high) // _COLUMN_MULTIPLE * _COLUMN_MULTIPLE
        while column < shape.columns and column + low < bottom:
            first = max(top, column + low)
            last = min(bottom, column + _COLUMN_MULTIPLE + high)
            sweep(
                width, _TILE, bits, targets, queries, column, table.edge, table.state, first, last
            )
            column += _COLUMN_MULTIPLE


@compiled
def _new_table(width: Width, rows: int, columns: int) -> _Table:
    n_state, n_edge = 2 * rows * len(width), 2 * columns * len(width)
    n_counters = _COUNTER_BITS * len(width)
    return _Table(
        _aligned(n_state),
        _aligned(n_edge),
        _aligned(n_counters),
        _aligned(n_state),
        _aligned(n_edge),
        _aligned(n_counters),
    )


@compiled
def _letter_planes(width: Width, store: Store, members: IntArray, rows: int) -> AnyArray:
    """Return, for letter 0 and then each other, `rows` planes of who has it in that row."""
    n_words = len(width)
    codes = _aligned(rows * store.n_bits * n_words)
    _write_code_planes(width, store, members, rows, codes)
    planes = _aligned((store.n_letters + 1) * rows * n_words)
    for letter in range(store.n_letters + 1):
        for row in range(rows):
            for word in range(n_words):
                differs = _NONE
                for bit in range(store.n_bits):
                    wanted = _ALL if (letter >> bit) & 1 else _NONE
                    differs |= codes[(row * store.n_bits + bit) * n_words + word] ^ wanted
                planes[(letter * rows + row) * n_words + word] = ~differs
    return planes


@compiled
def _write_code_planes(
    width: Width, store: Store, members: IntArray, rows: int, planes: AnyArray
) -> None:
    """Write the letter numbers of `members`, one a lane; the last fills the lanes that are left.

    The last letters go to the last of the `rows`; plane ``row * n_bits + bit`` holds that bit.
    """
    n_words, n_bits = len(width), store.n_bits
    squares = _aligned(n_bits * 64 * n_words)
    for chunk in range((rows + 63) // 64):
        for lane in range(64 * n_words):
            member = members[min(lane, len(members) - 1)]
            start = store.bit_starts[member] + chunk * n_bits
            is_past = start >= store.bit_starts[member + 1]
            for bit in range(n_bits):
                place = (64 * bit + lane % 64) * n_words + lane // 64
                squares[place] = _NONE if is_past else store.bits[start + bit]
        last = rows - 1 - 64 * chunk
        for bit in range(n_bits):
            square = squares[64 * bit * n_words : 64 * (bit + 1) * n_words]
            transpose(width, square, planes, last * n_bits + bit, -n_bits, min(64, last + 1))


@compiled
def _length(store: Store, member: int) -> int:
    length: int = store.starts[member + 1] - store.starts[member]
    return length


@compiled
def _length_range(store: Store, members: IntArray) -> tuple[int, int]:
    shortest, longest = NO_CUTOFF, 0
    for member in members:
        shortest = min(shortest, _length(store, member))
        longest = max(longest, _length(store, member))
    return shortest, longest


@compiled
def _rounded_up(number: int, multiple: int) -> int:
    return (number + multiple - 1) // multiple * multiple


@compiled
def _aligned(n_words: int) -> AnyArray:
    """Return uninitialised words that start at a multiple of 64 bytes."""
    raw = np.empty(n_words + 7, dtype=np.uint64)
    skipped = (-raw.ctypes.data % 64) // 8
    return raw[skipped : skipped + n_words]
