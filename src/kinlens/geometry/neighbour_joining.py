"""A tree from distances, by neighbour joining.

The reverse, distances from a tree, is in `geometry.patristic`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from kinlens.errors import UsageError
from kinlens.geometry.compiled import compiled
from kinlens.records.distances import DistanceMatrix
from kinlens.records.tree import Tree
from kinlens.typing import AnyArray, BoolArray, FloatArray, IntArray

__all__ = ["neighbour_joining"]


def neighbour_joining(distances: DistanceMatrix) -> Tree:
    """Build the neighbour-joining tree of a distance matrix.

    At every step the pair i, j that minimises ``(r - 2) d_ij - R_i - R_j`` is joined, where r
    things are left and R sums a row; of equal pairs one is taken by a fixed rule. Distances that
    fit a tree exactly (additive ones) give exactly that tree.

    Parameters
    ----------
    distances : DistanceMatrix
        At least one thing.

    Returns
    -------
    Tree
        Tips are the ids. The tree has no root by nature: it hangs on the last node that was made,
        with three children; `records.tree_shape.rooted_at_midpoint` moves the root. Where the
        formula gives a branch less than 0, it becomes 0 and its sister takes up the difference,
        so that the distance between the two stays.

    References
    ----------
    Saitou N, Nei M (1987) The neighbor-joining method. Molecular Biology and Evolution 4: 406-425.
    Studier JA, Keppler KJ (1988) A note on the neighbor-joining algorithm. Molecular Biology and
    Evolution 5: 729-731. Kuhner MK, Felsenstein J (1994) A simulation comparison of phylogeny
    algorithms under equal and unequal evolutionary rates. Molecular Biology and Evolution 11:
    459-468 (negative branches). Simonsen M, Mailund T, Pedersen CNS (2008) Rapid
    neighbour-joining. Algorithms in Bioinformatics: 113-122 (a bound that saves most of the time).

    Examples
    --------
    >>> values = np.array([[0, 3, 6, 7], [3, 0, 7, 8], [6, 7, 0, 3], [7, 8, 3, 0.0]])
    >>> tree = neighbour_joining(DistanceMatrix(("a", "b", "c", "d"), values))
    >>> dict(zip(tree.names, tree.length.tolist()))["a"]
    1.0
    """
    n_tips = len(distances)
    if n_tips == 0:
        raise UsageError("neighbour joining needs at least one thing; the matrix is empty.")
    if n_tips == 1:
        return Tree.from_parents([-1], [0.0], distances.ids)
    if n_tips == 2:
        half = float(distances.values[0, 1]) / 2
        return Tree.from_parents([2, 2, -1], [half, half, 0.0], [*distances.ids, ""])
    parent_of, length = _join(np.array(distances.values, dtype=np.float64, order="C"))
    return Tree.from_parents(parent_of, length, [*distances.ids, *[""] * (n_tips - 2)])


def _join(distance: FloatArray) -> tuple[IntArray, FloatArray]:
    """Join until three are left; `distance` is used up. Tips are nodes 0 to n - 1.

    A new node takes the row of the first of its two children; the row of the second falls idle.
    """
    n_tips = len(distance)
    parent = np.full(2 * n_tips - 2, -1, dtype=np.int64)
    length = np.zeros(2 * n_tips - 2)
    rows = _rows(distance)
    for node in range(n_tips, 2 * n_tips - 3):
        n_left = 2 * n_tips - node
        first, second = _closest_pair(*rows, n_left)
        apart = float(distance[first, second])
        span = max(apart, 0.0)
        skew = (rows.sums[first] - rows.sums[second]) / (n_left - 2)
        to_first = min(max((apart + skew) / 2, 0.0), span)
        parent[rows.node[[first, second]]] = node
        length[rows.node[[first, second]]] = to_first, span - to_first
        _merge(distance, first, second, rows.is_idle, rows.sums)
        rows.node[first] = node
        rows.offset[first] = rows.sums[first] / (n_left - 3)
        rows.order[first] = np.argsort(distance[first] - rows.offset)
        rows.begin[first] = 0
    last = np.flatnonzero(~rows.is_idle)
    sides = distance[np.ix_(last, last)]
    np.fill_diagonal(sides, 0.0)
    parent[rows.node[last]] = len(parent) - 1
    # Half of what one side is farther from the two others than these from each other.
    length[rows.node[last]] = np.maximum(sides.sum(axis=1) - sides.sum() / 4, 0.0)
    return parent, length


class _Rows(NamedTuple):
    """The table that is being joined, one entry a row; compiled code takes it apart."""

    distance: FloatArray  # (n, n), infinite on the diagonal
    order: AnyArray  # (n, n) the other rows by rising distance less `offset`
    begin: IntArray  # (n,) the first place in `order` that is not out of date
    node: IntArray  # (n,) who has the row; nodes are numbered as they come
    is_idle: BoolArray  # (n,)
    sums: FloatArray  # (n,) sum of the distances to all rows that are not idle
    offset: FloatArray  # (n,) sum over number of others, as it was when the node was made


def _rows(distance: FloatArray) -> _Rows:
    n_tips = len(distance)
    sums = distance.sum(axis=1)
    offset = sums / (n_tips - 2)
    np.fill_diagonal(distance, np.inf)
    return _Rows(
        distance,
        np.argsort(distance - offset, axis=1).astype(np.int32),
        np.zeros(n_tips, dtype=np.int64),
        np.arange(n_tips),
        np.zeros(n_tips, dtype=np.bool_),
        sums,
        offset,
    )


@compiled
def _closest_pair(
    distance: FloatArray,
    order: AnyArray,
    begin: IntArray,
    node: IntArray,
    is_idle: BoolArray,
    sums: FloatArray,
    offset: FloatArray,
    n_left: int,
) -> tuple[int, int]:
    """Return the two rows that join next.

    Each row is looked through by rising ``d_ij - offset_j``, which was its order of scores when
    the offsets were new, and no farther than where even the offset that has grown most since
    could not make the score the best. (Simonsen et al. 2008 use the largest sum of all instead,
    a loose bound when a few tips are far from everything.) Entries of `order` are out of date
    when their row is idle or its node younger than the one that lists it.
    """
    n_tips = len(sums)
    grown = -np.inf
    for row in range(n_tips):
        if not is_idle[row]:
            grown = max(grown, sums[row] / (n_left - 2) - offset[row])
    best, first, second = np.inf, 0, 1
    # The head of every row first, so that the second pass has a score to stop at.
    for is_head_only in (True, False):
        for row in range(n_tips):
            if is_idle[row]:
                continue
            age = max(node[row], n_tips - 1)
            for place in range(begin[row], n_tips):
                other = order[row, place]
                if is_idle[other] or node[other] > age:
                    if place == begin[row]:
                        begin[row] += 1
                    continue
                apart = distance[row, other]
                if (n_left - 2) * (apart - offset[other] - grown) - sums[row] >= best:
                    break
                score = (n_left - 2) * apart - sums[row] - sums[other]
                if score < best:
                    best, first, second = score, min(row, other), max(row, other)
                if is_head_only:
                    break
    return first, second


@compiled
def _merge(
    distance: FloatArray, first: int, second: int, is_idle: BoolArray, sums: FloatArray
) -> None:
    """Put the common parent of two rows in the place of the first, and retire the second."""
    apart = distance[first, second]
    is_idle[second] = True
    total = 0.0
    for row in range(len(distance)):
        if is_idle[row] or row == first:
            distance[first, row] = np.inf
            continue
        joined = (distance[first, row] + distance[second, row] - apart) / 2
        sums[row] += joined - distance[first, row] - distance[second, row]
        total += joined
        distance[first, row] = distance[row, first] = joined
    sums[first] = total
