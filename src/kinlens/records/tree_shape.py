"""Edits of a tree's shape: where its root is, which nodes are split or merged, how it is drawn.

Each function takes a `Tree` and returns another; the distances between tips stay as they are
unless the function says otherwise. Pruning is a method of `Tree`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from kinlens.errors import InputError, UsageError
from kinlens.records.tree import Tree

__all__ = [
    "collapsed",
    "grafted",
    "ladderized",
    "resolved",
    "rooted_at_midpoint",
    "rooted_by_outgroup",
    "untangled",
]

# A root that falls this close to a node, as a share of the tree's height, is put on the node.
_SNAP = 1e-12


def rooted_at_midpoint(tree: Tree) -> Tree:
    """Move the root halfway between the two tips that are farthest apart.

    Nodes with one child are dissolved, the old root among them. Support values move with their
    branches. A tree without lengths counts branches.

    Parameters
    ----------
    tree : Tree
        At least two tips, with a distance above 0 between some two.

    Raises
    ------
    InputError
        When there are fewer than two tips or all tips are in one place.

    References
    ----------
    Farris JS (1972) Estimating phylogenetic trees from distance matrices. American Naturalist
    106: 645-668.

    Examples
    --------
    >>> tree = Tree.from_parents([-1, 0, 0, 1, 1], [0, 1, 1, 1, 5], ["", "", "c", "a", "b"])
    >>> rooted = rooted_at_midpoint(tree)
    >>> dict(zip(rooted.tip_names, rooted.depths()[rooted.tips].tolist()))
    {'c': 3.5, 'a': 2.5, 'b': 3.5}
    """
    tree = tree.without_unifurcations()
    tip, diameter = _farthest_pair(tree)
    if diameter <= 0:
        raise InputError("a midpoint root needs two tips with a distance above 0 between them")
    half, node, climbed = diameter / 2, tip, 0.0
    # The middle lies below the pair's common ancestor; rounding must not carry us past the root.
    while climbed + tree.length[node] < half and tree.parent[node] > 0:
        climbed += float(tree.length[node])
        node = int(tree.parent[node])
    return _rooted_above(tree, node, min(half - climbed, float(tree.length[node])))


def rooted_by_outgroup(tree: Tree, names: Collection[str]) -> Tree:
    """Move the root to the middle of the branch that separates the named tips from the rest.

    Nodes with one child are dissolved, the old root among them. Support values move with their
    branches.

    Parameters
    ----------
    tree : Tree
        Any rooting.
    names : collection of str
        The outgroup: some but not all tips, together on one side of one branch.

    Raises
    ------
    InputError
        When no branch separates the outgroup from the rest; the tips in between are named.

    Examples
    --------
    >>> tree = Tree.from_parents([-1, 0, 0, 0], [0, 1, 2, 4], ["", "a", "b", "c"])
    >>> rooted_by_outgroup(tree, ["c"]).length
    array([0., 2., 1., 2., 2.])
    """
    tree = tree.without_unifurcations()
    wanted = set(names)
    rest = [name for name in tree.tip_names if name not in wanted]
    if not wanted or not rest:
        raise UsageError(
            f"an outgroup must be some but not all of the {tree.n_tips:,} tips; "
            f"{len(wanted):,} came."
        )
    node = tree.mrca(sorted(wanted))
    intruders = set(tree.tips_below(node)) - wanted
    if intruders:
        node = tree.mrca(rest)
        if set(tree.tips_below(node)) - set(rest):
            raise InputError(
                "an outgroup must be separated from the rest of the tree by one branch; other "
                "tips stand among it",
                offenders=sorted(intruders),
            )
    above = int(tree.parent[node])
    half = float(tree.length[node]) / 2
    if above == 0 and len(tree.children(0)) == 2:
        # The root sits on this branch already: its two halves are one.
        sister = int(tree.children(0).sum()) - node
        half = float(tree.length[node] + tree.length[sister]) / 2
        if half > tree.length[node]:
            node = sister
    return _rooted_above(tree, node, half)


def resolved(tree: Tree) -> Tree:
    """Split every polytomy into nodes of two children by branches of length 0.

    The first two sisters become the innermost pair. A tree without lengths gets, like all its
    branches, length 1 for the new ones.

    Examples
    --------
    >>> star = Tree.from_parents([-1, 0, 0, 0], [0, 1, 1, 1], ["", "a", "b", "c"])
    >>> resolved(star).length
    array([0., 0., 1., 1., 1.])
    """
    parent, length, names = tree.parent.tolist(), tree.length.tolist(), list(tree.names)
    place: list[float] = list(range(tree.n_nodes))
    for node in np.flatnonzero(np.diff(tree.child_start) > 2).tolist():
        first, second, *others = tree.children(node).tolist()
        above = node
        for sister in reversed(others):
            parent[sister] = above
            parent.append(above)
            length.append(0.0)
            names.append("")
            place.append(first - 0.5)  # The new node is the elder sister of all others.
            above = len(parent) - 1
        parent[first] = parent[second] = above
    return _placed(parent, length if tree.has_lengths else None, names, place)


def collapsed(tree: Tree, *, longest: float = 0.0) -> Tree:
    """Merge internal nodes into polytomies where the branch above is `longest` or shorter.

    Distances from the root to the tips do not change; those between tips grow by at most twice
    what was merged between them.

    Examples
    --------
    >>> tree = Tree.from_parents([-1, 0, 0, 1, 1], [0, 0, 1, 1, 1], ["", "", "c", "a", "b"])
    >>> collapsed(tree).names
    ('', 'a', 'b', 'c')
    """
    if not longest >= 0:
        raise UsageError(f"longest must be 0 or more, not {longest}.")
    keep = tree.is_tip | (tree.length > longest)
    keep[0] = True
    return tree.restricted_to(keep)


def ladderized(tree: Tree) -> Tree:
    """Turn the clades at every node so that those with fewer tips come first; ties stay.

    Examples
    --------
    >>> tree = Tree.from_parents([-1, 0, 0, 1, 1], None, ["", "", "c", "a", "b"])
    >>> ladderized(tree).tip_names
    ('c', 'a', 'b')
    """
    n_below = (tree.tip_stop - tree.tip_start).tolist()
    length = tree.length.tolist() if tree.has_lengths else None
    return _placed(tree.parent.tolist(), length, list(tree.names), n_below)


def untangled(tree: Tree, wanted: Mapping[str, float]) -> Tree:
    """Turn clades at every node so that tips stand as near to `wanted` as turning allows.

    Parameters
    ----------
    tree : Tree
        What is turned; its topology and lengths stay.
    wanted : mapping of str to float
        A rank for each tip name.

    Examples
    --------
    >>> tree = Tree.from_parents([-1, 0, 0, 1, 1], None, ["", "", "c", "a", "b"])
    >>> untangled(tree, {"c": 0, "b": 1, "a": 2}).tip_names
    ('c', 'b', 'a')
    """
    total = np.zeros(tree.n_nodes)
    total[tree.tips] = [wanted[name] for name in tree.tip_names]
    for node in range(tree.n_nodes - 1, 0, -1):
        total[tree.parent[node]] += total[node]
    length = tree.length.tolist() if tree.has_lengths else None
    mean = total / (tree.tip_stop - tree.tip_start)
    return _placed(tree.parent.tolist(), length, list(tree.names), mean.tolist())


def grafted(tree: Tree, tips: Mapping[str, int]) -> Tree:
    """Hang new tips on nodes of a tree, each as deep as the deepest tip of its clade.

    Parameters
    ----------
    tree : Tree
        The tree to extend; not changed. Without lengths the new branches count as one.
    tips : mapping of str to int
        Name of each new tip and the internal node that it hangs from.

    Returns
    -------
    Tree
        New tips stand after the old children of their node.

    Raises
    ------
    UsageError
        When a node is a tip or does not exist.

    Examples
    --------
    >>> tree = Tree.from_parents([-1, 0, 0, 1, 1], [0, 1, 3, 2, 2], ["", "", "c", "a", "b"])
    >>> larger = grafted(tree, {"new": 1})
    >>> larger.tip_names, larger.depths()[larger.tips].tolist()
    (('a', 'b', 'new', 'c'), [3.0, 3.0, 3.0, 3.0])
    """
    nodes = list(tips.values())
    wrong = [node for node in nodes if not 0 <= node < tree.n_nodes or tree.is_tip[node]]
    if wrong:
        raise UsageError(f"new tips hang from internal nodes; {wrong[0]} is none.")
    depth = tree.depths()
    tip_depth = depth[tree.tips]
    reach = [
        float(tip_depth[tree.tip_start[node] : tree.tip_stop[node]].max() - depth[node])
        for node in nodes
    ]
    lengths = [*tree.length.tolist(), *reach] if tree.has_lengths else None
    return Tree.from_parents([*tree.parent.tolist(), *nodes], lengths, [*tree.names, *tips])


def _farthest_pair(tree: Tree) -> tuple[int, float]:
    """Return the deeper tip (a node) of the two that are farthest apart, and their distance."""
    parent, length = tree.parent.tolist(), tree.length.tolist()
    reach = [0.0] * tree.n_nodes  # Farthest tip below each node, and which.
    end = list(range(tree.n_nodes))
    diameter, deeper = -1.0, 0
    # Preorder backwards: a node is complete when the sweep meets it.
    for node in range(tree.n_nodes - 1, 0, -1):
        above, far = parent[node], reach[node] + length[node]
        if end[above] != above:
            if reach[above] + far >= diameter:
                diameter = reach[above] + far
                deeper = end[node] if far >= reach[above] else end[above]
            if far >= reach[above]:
                reach[above], end[above] = far, end[node]
        else:
            reach[above], end[above] = far, end[node]
    return deeper, diameter


def _rooted_above(tree: Tree, node: int, below: float) -> Tree:
    """Put the root on the branch above `node`, at the distance `below` from it."""
    close = _SNAP * tree.height
    above, rest = int(tree.parent[node]), float(tree.length[node]) - below
    if above == 0 and rest <= close:
        return tree
    parent, length, names = tree.parent.tolist(), tree.length.tolist(), list(tree.names)
    parent.append(-1)
    length.append(0.0)
    names.append("")
    turned = len(parent) - 1
    parent[node], length[node] = turned, below
    # From `node` up to the old root every branch now hangs the other way round.
    label = tree.names[node]
    while above >= 0:
        next_above, next_rest = parent[above], length[above]
        parent[above], length[above] = turned, rest
        label, names[above] = names[above], _branch_label(label)
        turned, above, rest = above, next_above, next_rest
    rooted = Tree.from_parents(parent, length, names).without_unifurcations()
    keep = rooted.is_tip | (rooted.parent != 0) | (rooted.length > close)
    rooted = rooted.restricted_to(keep)
    return Tree(rooted.parent, rooted.length, rooted.names, tree.has_lengths)


def _branch_label(label: str) -> str:
    """Keep a label that belongs to a branch (a support value), drop one that names a clade."""
    try:
        for value in label.split("/"):
            float(value)
    except ValueError:
        return ""
    return label


def _placed(
    parent: list[int], length: list[float] | None, names: list[str], place: Sequence[float]
) -> Tree:
    """Build a tree in which sisters stand by rising `place`; equals keep their order."""
    order = np.argsort(np.array(place), kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    above = np.array(parent)[order]
    return Tree.from_parents(
        np.where(above < 0, -1, rank[above]),
        None if length is None else np.array(length)[order],
        [names[i] for i in order.tolist()],
    )
