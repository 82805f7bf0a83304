"""Hierarchical clustering: from distances to a rooted tree, and what such a tree costs.

Trees by neighbour joining, which have no root, are in `neighbour_joining`; how much two trees
differ is in `topology`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import squareform

from kinlens.errors import UsageError
from kinlens.geometry.compiled import compiled
from kinlens.records.tree import Tree
from kinlens.typing import AnyArray, FloatArray, IntArray

__all__ = ["Linkage", "dasgupta_cost", "linkage_tree", "similarity_of"]

Linkage = Literal["average", "single", "complete", "weighted"]

# Distances as far below 0 as this, as a share of the largest, are rounding.
_ROUNDING = 1e-6


def linkage_tree(distances: AnyArray, names: Sequence[str], *, method: Linkage = "average") -> Tree:
    """Cluster things bottom-up and return the dendrogram as a tree.

    Parameters
    ----------
    distances : array of shape (n, n)
        Symmetric; the diagonal is not looked at. What lies below 0 by rounding, as a cosine of
        equal vectors may, counts as 0.
    names : sequence of str, length n
        Become the tips.
    method : {"average", "single", "complete", "weighted"}
        How far apart two clusters are. Methods under which a merge can be closer than the one
        before (centroid, median) are not offered.

    Returns
    -------
    Tree
        Binary and ultrametric: two tips are as far apart along the branches as their clusters
        were when they merged.

    Raises
    ------
    UsageError
        For an unknown method, no thing at all, shapes that do not fit, or distances below 0.

    Examples
    --------
    >>> tree = linkage_tree(np.array([[0, 2, 8], [2, 0, 6], [8, 6, 0.0]]), ["a", "b", "c"])
    >>> tree.tip_names, tree.height
    (('c', 'a', 'b'), 3.5)
    """
    n = len(names)
    if method not in get_args(Linkage):
        raise UsageError(f"method must be one of {', '.join(get_args(Linkage))}, not {method!r}.")
    if n == 0 or distances.shape != (n, n):
        raise UsageError(f"{n:,} names and distances of shape {distances.shape} do not fit.")
    if n == 1:
        return Tree.from_parents([-1], [0.0], names)
    pairs = squareform(np.asarray(distances, np.float64), checks=False)
    if pairs.min() < -_ROUNDING * max(float(pairs.max()), 1.0):
        raise UsageError(f"distances must be 0 or more, not {pairs.min():g}.")
    merges = linkage(np.maximum(pairs, 0.0), method=method)
    parent = np.full(2 * n - 1, -1, dtype=np.int64)
    above = np.arange(n, 2 * n - 1)
    for side in (0, 1):
        parent[merges[:, side].astype(np.int64)] = above
    # Rounding in averages can put a merge a hair below the one before it.
    height = np.concatenate([np.zeros(n), np.maximum.accumulate(merges[:, 2]) / 2])
    length = np.append(height[parent[:-1]] - height[:-1], 0.0)
    return Tree.from_parents(parent, length, [*names, *[""] * (n - 1)])


def similarity_of(distances: AnyArray) -> FloatArray:
    """Turn distances to similarities, ``1 - d / max(d)``; the diagonal is 0.

    Where all distances are 0, all similarities are 1.
    """
    largest = float(distances.max(initial=0))
    similarity = 1.0 - np.asarray(distances, np.float64) / (largest or 1.0)
    np.fill_diagonal(similarity, 0.0)
    return similarity


def dasgupta_cost(tree: Tree, similarity: FloatArray, names: Sequence[str]) -> float:
    r"""Return Dasgupta's cost of a hierarchy: lower when what is alike is parted late.

    :math:`\sum_{i<j} w_{ij} \, |\mathrm{tips\ below}(\mathrm{lca}(i, j))|`, computed by looking at
    each pair once.

    Parameters
    ----------
    tree : Tree
        Rooted. Branch lengths do not count. Polytomies are legal and never cheaper than the best
        way to resolve them.
    similarity : array of shape (n, n)
        The weights w, symmetric, 0 or more.
    names : sequence of str, length n
        The tip that each row of `similarity` belongs to.

    Raises
    ------
    UsageError
        When the names are not those of the tips.

    References
    ----------
    Dasgupta (2016). A cost function for similarity-based hierarchical clustering. STOC: 118-127.

    Examples
    --------
    >>> alike = np.array([[0, 1, 0], [1, 0, 0], [0, 0, 0.0]])
    >>> together = Tree.from_parents([-1, 0, 0, 1, 1], None, ["", "", "c", "a", "b"])
    >>> apart = together.with_names(["", "", "a", "c", "b"])
    >>> dasgupta_cost(together, alike, "abc"), dasgupta_cost(apart, alike, "abc")
    (2.0, 3.0)
    """
    row_of = {name: row for row, name in enumerate(names)}
    if len(row_of) != tree.n_tips or any(name not in row_of for name in tree.tip_names):
        raise UsageError("the names of the similarities are not the tips of the tree.")
    rows = np.array([row_of[name] for name in tree.tip_names], dtype=np.int64)
    return float(
        _summed_cost(
            np.ascontiguousarray(similarity, dtype=np.float64),
            rows,
            tree.parent,
            tree.tip_start,
            tree.tip_stop,
        )
    )


@compiled
def _summed_cost(
    similarity: FloatArray, rows: IntArray, parent: IntArray, start: IntArray, stop: IntArray
) -> float:
    # A pair meets in the parent of the clade that holds the first tip, but not the second.
    total = 0.0
    for node in range(1, len(parent)):
        above = parent[node]
        between = 0.0
        for i in range(start[node], stop[node]):
            for j in range(stop[node], stop[above]):
                between += similarity[rows[i], rows[j]]
        total += between * (stop[above] - start[above])
    return total
