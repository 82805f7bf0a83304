"""Trees spoiled on purpose, for asking how far a result hangs on a tree that may be wrong.

Lengths are spoiled by multiplicative noise, shapes by moving clades; the tips stay the same.
"""

from __future__ import annotations

import numpy as np

from kinlens.errors import InputError, UsageError
from kinlens.records.tree import Tree
from kinlens.typing import FloatArray, IntArray

__all__ = ["with_branch_noise", "with_neighbour_interchanges", "with_regrafts"]


def with_branch_noise(tree: Tree, rng: np.random.Generator, *, spread: float) -> Tree:
    """Multiply every branch by lognormal noise of mean 1.

    Parameters
    ----------
    tree : Tree
        Any tree; an ultrametric one does not stay so.
    rng : numpy.random.Generator
        Source of randomness.
    spread : float
        Standard deviation of the logarithm, 0 or more: 0.5 changes a branch by about half.

    Examples
    --------
    >>> tree = Tree.from_parents([-1, 0, 0], [0, 1, 1], ["", "a", "b"])
    >>> with_branch_noise(tree, np.random.default_rng(1), spread=0.0).length
    array([0., 1., 1.])
    """
    if not 0 <= spread < np.inf:
        raise UsageError(f"spread must be 0 or more and finite, not {spread}.")
    noise = np.exp(spread * rng.standard_normal(tree.n_nodes) - spread**2 / 2)
    return tree.with_lengths(tree.length * noise)


def with_neighbour_interchanges(tree: Tree, rng: np.random.Generator, *, n_moves: int) -> Tree:
    """Move clades by nearest-neighbour interchange, keeping every node's distance from the root.

    One move takes an internal node, and swaps one of its children with one of its sisters. Only
    sisters that reach deeper than the node are taken, so that an ultrametric tree stays so.

    Parameters
    ----------
    tree : Tree
        At least three tips and one branch on which a move is possible.
    rng : numpy.random.Generator
        Source of randomness.
    n_moves : int
        How many moves, one after the other, 0 or more. A later one can undo an earlier one.

    Raises
    ------
    InputError
        When no move is possible, as on a star.
    """
    _check_moves(n_moves)
    for _ in range(n_moves):
        parent, depth = tree.parent, tree.depths()
        # Pairs of an internal node and a sister of it that reaches deeper.
        inner = np.flatnonzero(~tree.is_tip)[1:]
        n_sisters = np.diff(tree.child_start)[parent[inner]]
        node = np.repeat(inner, n_sisters)
        within = np.arange(len(node)) - np.repeat(np.cumsum(n_sisters) - n_sisters, n_sisters)
        sister = tree.child_index[tree.child_start[parent[node]] + within]
        possible = np.flatnonzero((sister != node) & (depth[sister] >= depth[node]))
        if not len(possible):
            raise InputError("no nearest-neighbour interchange is possible on this tree")
        chosen = int(rng.choice(possible))
        child = int(rng.choice(tree.children(int(node[chosen]))))
        moved = parent.copy()
        moved[child], moved[sister[chosen]] = parent[node[chosen]], node[chosen]
        tree = _rebuilt(tree, moved, depth)
    return tree


def with_regrafts(tree: Tree, rng: np.random.Generator, *, n_moves: int) -> Tree:
    """Move clades by subtree pruning and regrafting, keeping every tip's distance from the root.

    One move takes any clade that is not a child of a two-child root, and hangs it on a random
    place of the rest of the tree that is nearer to the root than the clade's own top, each
    such branch being as likely as its length within reach.

    Parameters
    ----------
    tree : Tree
        At least three tips; nodes left with one child are dissolved.
    rng : numpy.random.Generator
        Source of randomness.
    n_moves : int
        How many moves, one after the other, 0 or more.

    Raises
    ------
    InputError
        When no move is possible, as when all branches have length 0.
    """
    _check_moves(n_moves)
    for _ in range(n_moves):
        tree = _regrafted(tree.without_unifurcations(), rng)
    return tree


def _regrafted(tree: Tree, rng: np.random.Generator) -> Tree:
    depth, parent = tree.depths(), tree.parent
    root_is_pair = len(tree.children(0)) == 2
    for clade in rng.permutation(np.arange(1, tree.n_nodes)).tolist():
        if root_is_pair and parent[clade] == 0:
            continue
        # How much of each branch outside the clade lies nearer to the root than its top.
        reach = np.minimum(depth, depth[clade]) - depth[parent]
        reach[0] = 0.0
        reach[clade : tree.stop[clade]] = 0.0
        reach = np.maximum(reach, 0.0)
        if reach.sum() <= 0:
            continue
        onto = int(rng.choice(tree.n_nodes, p=reach / reach.sum()))
        place = depth[parent[onto]] + reach[onto] * rng.random()
        # The new node splits the branch; a parent left with one child is dissolved after.
        new = tree.n_nodes
        moved = np.append(parent, parent[onto])
        moved[onto] = moved[clade] = new
        return _rebuilt(tree, moved, np.append(depth, place)).without_unifurcations()
    raise InputError("no pruning and regrafting is possible on this tree")


def _rebuilt(tree: Tree, parent: IntArray, depth: FloatArray) -> Tree:
    """Hang the nodes anew, each as far from the root as `depth` says; further nodes are new."""
    names = list(tree.names) + [""] * (len(parent) - tree.n_nodes)
    length = np.where(parent < 0, 0.0, np.maximum(depth - depth[parent], 0.0))
    return Tree.from_parents(parent, length if tree.has_lengths else None, names)


def _check_moves(n_moves: int) -> None:
    if n_moves < 0:
        raise UsageError(f"n_moves must be 0 or more, not {n_moves}.")
