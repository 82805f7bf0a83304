"""Distances along the branches of a tree, and the covariance that Brownian motion gives its tips.

All of it rests on one fact of preorder: the common ancestor of two tips is the shallowest of the
ancestors that neighbouring tips between them share, so that a row of the matrix is a running
minimum. Nothing here recurses or needs more memory than the rows asked for. Coordinates are in
`geometry.ordination`, trees from distances in `geometry.neighbour_joining`.

Everywhere, `tree` is the tree whose tips are compared, in its own unit of branch length.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from kinlens.atomic import atomic_path
from kinlens.errors import UsageError
from kinlens.geometry.compiled import compiled
from kinlens.progress import SILENT, Progress
from kinlens.records.distances import DistanceMatrix
from kinlens.records.tree import Tree
from kinlens.typing import AnyArray, FloatArray

__all__ = [
    "distances_from_branch_points",
    "distances_from_node",
    "patristic_distances",
    "patristic_rows",
    "vcv",
    "write_patristic",
]

# Rows that are filled together: enough for wide operations, few enough to stay in the cache.
_ROWS = 64


def patristic_distances(tree: Tree) -> DistanceMatrix:
    """Return the distance along the branches between every two tips.

    Parameters
    ----------
    tree : Tree
        Any tree. Without branch lengths, branches are counted (`Tree.has_lengths` tells).

    Returns
    -------
    DistanceMatrix
        Ids are the tip names in tip order; the unit is that of the branches. Tips joined by
        branches of length 0 are at distance 0.

    Examples
    --------
    >>> tree = Tree.from_parents([-1, 0, 0, 1, 1], [0, 1, 3, 2, 2], ["", "", "c", "a", "b"])
    >>> patristic_distances(tree).values
    array([[0., 4., 6.],
           [4., 0., 6.],
           [6., 6., 0.]])
    """
    return DistanceMatrix.unchecked(tree.tip_names, patristic_rows(tree, 0, tree.n_tips))


def patristic_rows(tree: Tree, start: int, stop: int) -> FloatArray:
    """Return rows ``start:stop`` of the matrix of `patristic_distances`, shape (rows, n_tips)."""
    rows = np.empty((stop - start, tree.n_tips))
    _fill_rows(*_profile(tree), start, True, rows)
    return rows


def vcv(tree: Tree) -> FloatArray:
    """Return the length of the path from the root that every two tips share.

    Under Brownian motion of unit rate this is the covariance of the tips' states (the variance,
    the depth of the tip, on the diagonal), which is what R's ``ape::vcv`` gives.

    Parameters
    ----------
    tree : Tree
        Any tree; tips need not be equally deep.

    Returns
    -------
    array of float, shape (n_tips, n_tips)
        In tip order, in the unit of the branches.

    References
    ----------
    Felsenstein J (1973) Maximum-likelihood estimation of evolutionary trees from continuous
    characters. American Journal of Human Genetics 25: 471-492.

    Examples
    --------
    >>> tree = Tree.from_parents([-1, 0, 0, 1, 1], [0, 1, 3, 2, 2], ["", "", "c", "a", "b"])
    >>> vcv(tree)
    array([[3., 1., 0.],
           [1., 3., 0.],
           [0., 0., 3.]])
    """
    rows = np.empty((tree.n_tips, tree.n_tips))
    _fill_rows(*_profile(tree), 0, False, rows)
    return rows


def write_patristic(
    tree: Tree,
    path: str | Path,
    *,
    dtype: Literal["float32", "float64"] = "float32",
    progress: Progress = SILENT,
) -> None:
    """Write the matrix of `patristic_distances` to disk without ever holding it in memory.

    Parameters
    ----------
    tree : Tree
        The matrix has n_tips rows and columns, in the order of ``tree.tip_names``.
    path : str or pathlib.Path
        A ``.npy`` file, written atomically; ``numpy.load(path, mmap_mode="r")`` opens it.
    dtype : {"float32", "float64"}
        float32 keeps seven digits and half the disk: 20,000 tips take 1.6 GB.
    progress : Progress
        Counts rows.
    """
    if dtype not in ("float32", "float64"):
        raise UsageError(f"dtype must be 'float32' or 'float64', not {dtype!r}.")
    n_tips = tree.n_tips
    header = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": (n_tips, n_tips)}
    tip_depth, gap_depth = _profile(tree)
    buffer = np.empty((min(_ROWS, n_tips), n_tips), dtype=dtype)
    with (
        atomic_path(path) as part,
        part.open("wb") as file,
        progress.task("distances", n_tips, unit="row") as task,
    ):
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, n_tips, _ROWS):
            rows = buffer[: n_tips - start]
            _fill_rows(tip_depth, gap_depth, start, True, rows)
            file.write(rows.data)
            task.advance(len(rows))


def distances_from_node(tree: Tree, node: int) -> FloatArray:
    """Return the distance along the branches from one node, tip or not, to all nodes, shape (m,).

    Examples
    --------
    >>> tree = Tree.from_parents([-1, 0, 0, 1, 1], [0, 1, 3, 2, 2], ["", "", "c", "a", "b"])
    >>> distances_from_node(tree, tree.mrca(["a", "b"]))
    array([1., 0., 2., 2., 4.])
    """
    depth = tree.depths()
    shared = np.empty(tree.n_nodes)
    shared[node : tree.stop[node]] = depth[node]
    while node > 0:
        below, node = node, int(tree.parent[node])
        shared[node:below] = depth[node]
        shared[tree.stop[below] : tree.stop[node]] = depth[node]
    # No path is shared farther than to the start itself.
    own_depth = float(shared.max())
    return (own_depth - shared) + (depth - shared)


def distances_from_branch_points(tree: Tree, nodes: ArrayLike, above: ArrayLike) -> FloatArray:
    """Return the distance from points on branches, where a newcomer could attach, to all tips.

    Parameters
    ----------
    tree : Tree
        Any tree.
    nodes : array of int, shape (k,)
        The branch of each point: the node at its lower end.
    above : array of float, shape (k,)
        How far above that node the point lies, from 0 to the length of the branch.

    Returns
    -------
    array of float, shape (k, n_tips)
        Columns in tip order. A newcomer on a twig of its own is farther by the twig's length.

    Raises
    ------
    UsageError
        When a node does not exist or a point lies beyond its branch.

    Examples
    --------
    >>> tree = Tree.from_parents([-1, 0, 0, 1, 1], [0, 1, 3, 2, 2], ["", "", "c", "a", "b"])
    >>> distances_from_branch_points(tree, [1, 4], [0.5, 1.0])
    array([[2.5, 2.5, 3.5],
           [5. , 5. , 1. ]])
    """
    branch = np.atleast_1d(np.asarray(nodes, dtype=np.int64))
    rise = np.atleast_1d(np.asarray(above, dtype=np.float64))
    if branch.shape != rise.shape or branch.ndim != 1:
        raise UsageError(f"{branch.shape} nodes and {rise.shape} heights above them do not pair.")
    if np.any((branch < 0) | (branch >= tree.n_nodes)):
        raise UsageError(f"nodes must be from 0 to {tree.n_nodes - 1:,}.")
    beyond = np.flatnonzero(~((rise >= 0) & (rise <= tree.length[branch])))
    if len(beyond):
        point = int(beyond[0])
        raise UsageError(
            f"point {point} lies {rise[point]:g} above node {branch[point]}, whose branch has "
            f"length {tree.length[branch[point]]:g}; it must be from 0 to that."
        )
    tip_depth, gap_depth = _profile(tree)
    place = tree.depths()[branch] - rise
    distance = np.empty((len(branch), tree.n_tips))
    for row, node in enumerate(branch.tolist()):
        start, stop = int(tree.tip_start[node]), int(tree.tip_stop[node])
        shared = distance[row]
        # Tips of the clade hang below the point itself.
        shared[start:stop] = place[row]
        shared[stop:] = np.minimum.accumulate(gap_depth[stop - 1 :])
        shared[:start] = np.minimum.accumulate(gap_depth[:start][::-1])[::-1]
        distance[row] = (place[row] - shared) + (tip_depth - shared)
    return distance


def _profile(tree: Tree) -> tuple[FloatArray, FloatArray]:
    """Return the depth of each tip, and of the common ancestor of each two neighbouring tips.

    The node that follows a tip in preorder is a child of the ancestor it shares with the next.
    """
    depth = tree.depths()
    return depth[tree.tips], depth[tree.parent[tree.tips[:-1] + 1]]


@compiled
def _fill_rows(
    tip_depth: FloatArray,
    gap_depth: FloatArray,
    start: int,
    is_distance: bool,
    out: AnyArray,
) -> None:
    """Fill `out` with the rows from tip `start` on: distances, or else shared paths.

    A row is the running minimum of `gap_depth` to both sides. Within a block of rows it is taken
    row by row; beyond the block's edges it is the lesser of the row's value at the edge and the
    minimum from the edge on, which all rows of the block share and a vector unit takes at once.
    """
    n_tips, n_rows = len(tip_depth), len(out)
    beyond = np.empty(n_tips)
    for top in range(0, n_rows, _ROWS):
        first, last = start + top, start + min(top + _ROWS, n_rows)
        shared = np.inf
        for tip in range(last, n_tips):
            shared = min(shared, gap_depth[tip - 1])
            beyond[tip] = shared
        shared = np.inf
        for tip in range(first - 1, -1, -1):
            shared = min(shared, gap_depth[tip])
            beyond[tip] = shared
        for own in range(first, last):
            row, depth = out[own - start], tip_depth[own]
            row[own] = 0.0 if is_distance else depth
            shared = depth
            for tip in range(own + 1, last):
                shared = min(shared, gap_depth[tip - 1])
                row[tip] = (depth - shared) + (tip_depth[tip] - shared) if is_distance else shared
            for tip in range(last, n_tips):
                least = shared if shared < beyond[tip] else beyond[tip]
                row[tip] = (depth - least) + (tip_depth[tip] - least) if is_distance else least
            shared = depth
            for tip in range(own - 1, first - 1, -1):
                shared = min(shared, gap_depth[tip])
                row[tip] = (depth - shared) + (tip_depth[tip] - shared) if is_distance else shared
            for tip in range(first):
                least = shared if shared < beyond[tip] else beyond[tip]
                row[tip] = (depth - least) + (tip_depth[tip] - least) if is_distance else least
