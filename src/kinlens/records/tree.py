"""A rooted tree as arrays in preorder: what it is, what can be asked of it, and how it is pruned.

Nothing here recurses, so depth is no limit. Reading and writing Newick is in `io.newick`,
distances in `geometry.patristic`, moving the root and editing the shape in `records.tree_shape`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from kinlens.errors import InputError, UsageError, did_you_mean
from kinlens.records.tree_checks import (
    check_lengths,
    check_shapes,
    check_tip_names,
    preorder,
)
from kinlens.typing import AnyArray, BoolArray, FloatArray, IntArray

__all__ = ["Tree"]

_Array = TypeVar("_Array", bound=AnyArray)


@dataclass(frozen=True, eq=False, repr=False)
class Tree:
    """An immutable rooted tree whose nodes stand in preorder.

    In preorder every subtree is one contiguous run of nodes, and its tips are one contiguous run
    of tips; that is what makes the array algorithms of this package short. Use
    `Tree.from_parents` when the nodes stand in any other order.

    Parameters
    ----------
    parent : array of int, shape (m,)
        Index of each node's parent; the root is node 0 and has -1. ``parent[i] < i``.
    length : array of float, shape (m,)
        Length of the branch above each node, finite and not negative; 0 for the root. Any unit.
    names : tuple of str, length m
        Tips have unique names that are not empty. Internal nodes may share a name or have "";
        support values are kept here as they were written.
    has_lengths : bool
        False for a tree that came as topology only. Its branches then have length 1 (never
        NaN), so that every computation runs and counts branches; whoever reports a distance
        asks this to say what it counts.

    Raises
    ------
    InputError
        When any of the above does not hold; the nodes at fault are named.

    Notes
    -----
    Polytomies, zero-length branches, nodes with one child and a lone tip are all legal.

    Examples
    --------
    >>> tree = Tree.from_parents([-1, 0, 0, 1, 1], [0, 1, 3, 2, 2], ["", "", "c", "a", "b"])
    >>> tree
    Tree(3 tips, 5 nodes, height 3)
    >>> tree.tip_names
    ('a', 'b', 'c')
    >>> tree.depths()
    array([0., 1., 3., 3., 3.])
    """

    parent: IntArray
    length: FloatArray
    names: tuple[str, ...]
    has_lengths: bool = True

    def __post_init__(self) -> None:
        parent = _frozen(np.array(self.parent, dtype=np.int64))
        length = np.array(self.length, dtype=np.float64)
        object.__setattr__(self, "parent", parent)
        object.__setattr__(self, "names", tuple(map(str, self.names)))
        check_shapes(parent, length, self.names)
        n_nodes = len(parent)
        if (
            parent[0] != -1
            or np.any(parent[1:] >= np.arange(1, n_nodes))
            or parent[1:].min(initial=0) < 0
        ):
            raise InputError(
                "the nodes of a tree must stand in preorder, the root first and each parent "
                "before its children",
                remedy="Build it with Tree.from_parents, which sorts them.",
            )
        stop = self.stop
        if np.any(stop[1:] > stop[parent[1:]]):
            raise InputError(
                "the nodes of a tree must stand in preorder, each subtree in one run",
                remedy="Build it with Tree.from_parents, which sorts them.",
            )
        check_tip_names([self.names[i] for i in self.tips], where=None)
        if self.has_lengths:
            check_lengths(length, self.names, where=None)
            length[0] = 0.0
        else:
            length = _unit_lengths(n_nodes)
        object.__setattr__(self, "length", _frozen(length))

    def __reduce__(self) -> tuple[Any, ...]:
        return Tree, (self.parent, self.length, self.names, self.has_lengths)

    def __repr__(self) -> str:
        measured = f"height {self.height:.6g}" if self.has_lengths else "no branch lengths"
        return f"Tree({self.n_tips:,} tips, {self.n_nodes:,} nodes, {measured})"

    # Construction ---------------------------------------------------------------------------

    @classmethod
    def from_parents(
        cls,
        parent: ArrayLike,
        length: ArrayLike | None,
        names: Sequence[str],
        *,
        where: str | Path | None = None,
    ) -> Tree:
        """Build a tree from nodes in any order.

        Parameters
        ----------
        parent : array of int, shape (m,)
            Index of each node's parent; exactly one node, the root, has -1.
        length : array of float, shape (m,), or None
            Branch above each node; that of the root is ignored. None for a topology only.
        names : sequence of str, length m
            See `Tree`.
        where : str or pathlib.Path, optional
            What to name in an error, usually the file.

        Returns
        -------
        Tree
            The same tree in preorder; sisters keep the order in which they came.

        Examples
        --------
        >>> Tree.from_parents([2, 2, -1], None, ["a", "b", ""]).names
        ('', 'a', 'b')
        """
        above = np.asarray(parent, dtype=np.int64)
        lengths = _unit_lengths(len(above)) if length is None else np.asarray(length, np.float64)
        check_shapes(above, lengths, names, where=where)
        order = preorder(above, where=where)
        position = np.empty_like(order)
        position[order] = np.arange(len(order))
        old_parent = above[order]
        new_parent = np.where(old_parent < 0, -1, position[old_parent])
        new_names = tuple(names[i] for i in order.tolist())
        childless = np.bincount(new_parent[1:], minlength=len(order)) == 0
        check_tip_names([new_names[i] for i in np.flatnonzero(childless)], where=where)
        if length is not None:
            check_lengths(lengths[order], new_names, where=where)
        return cls(new_parent, lengths[order], new_names, has_lengths=length is not None)

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Tree:
        """Rebuild a tree from what `to_dict` gave."""
        return cls(
            np.asarray(record["parent"], dtype=np.int64),
            np.asarray(record["length"], dtype=np.float64),
            tuple(record["names"]),
            has_lengths=bool(record["has_lengths"]),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the tree as lists and strings that JSON can hold.

        Examples
        --------
        >>> Tree.from_parents([-1, 0, 0], [0, 1, 2], ["", "a", "b"]).to_dict()["length"]
        [0.0, 1.0, 2.0]
        """
        return {
            "parent": self.parent.tolist(),
            "length": self.length.tolist(),
            "names": list(self.names),
            "has_lengths": self.has_lengths,
        }

    # Shape ----------------------------------------------------------------------------------

    @property
    def n_nodes(self) -> int:
        """How many nodes, tips included."""
        return len(self.parent)

    @property
    def n_tips(self) -> int:
        """How many tips."""
        return len(self.tips)

    @cached_property
    def stop(self) -> IntArray:
        """One past the last node of each subtree, shape (m,): node i spans ``i:stop[i]``."""
        parent = self.parent.tolist()
        size = [1] * len(parent)
        for node in range(len(parent) - 1, 0, -1):
            size[parent[node]] += size[node]
        return _frozen(np.arange(len(parent)) + np.array(size, dtype=np.int64))

    @cached_property
    def is_tip(self) -> BoolArray:
        """Which nodes are tips, shape (m,)."""
        return _frozen(self.stop == np.arange(self.n_nodes) + 1)

    @cached_property
    def tips(self) -> IntArray:
        """Node index of each tip, in preorder: "the tip order", shape (n_tips,)."""
        return _frozen(np.flatnonzero(self.is_tip))

    @cached_property
    def tip_names(self) -> tuple[str, ...]:
        """Names of the tips, in tip order."""
        return tuple(self.names[i] for i in self.tips.tolist())

    @cached_property
    def tip_start(self) -> IntArray:
        """Position in the tip order of each clade's first tip, shape (m,)."""
        return _frozen(self._tips_before[:-1])

    @cached_property
    def tip_stop(self) -> IntArray:
        """One past the last tip of each clade: clade i is ``tip_names[tip_start[i]:tip_stop[i]]``.

        Examples
        --------
        >>> tree = Tree.from_parents([-1, 0, 0, 1, 1], None, ["", "", "c", "a", "b"])
        >>> tree.tip_start.tolist(), tree.tip_stop.tolist()
        ([0, 0, 0, 1, 2], [3, 2, 1, 2, 3])
        """
        return _frozen(self._tips_before[self.stop])

    @cached_property
    def _tips_before(self) -> IntArray:
        return np.concatenate([[0], np.cumsum(self.is_tip)])

    @cached_property
    def child_start(self) -> IntArray:
        """Children of node i are ``child_index[child_start[i]:child_start[i + 1]]``; (m + 1,)."""
        counts = np.bincount(self.parent[1:], minlength=self.n_nodes)
        return _frozen(np.concatenate([[0], np.cumsum(counts)]))

    @cached_property
    def child_index(self) -> IntArray:
        """The children of all nodes, one node after the other; see `child_start`. (m - 1,)."""
        return _frozen(np.argsort(self.parent[1:], kind="stable") + 1)

    def children(self, node: int) -> IntArray:
        """Return the children of `node`, in preorder."""
        return self.child_index[self.child_start[node] : self.child_start[node + 1]]

    @property
    def is_binary(self) -> bool:
        """Whether every internal node has exactly two children."""
        counts = np.diff(self.child_start)
        return bool(np.all(counts[~self.is_tip] == 2))

    # Depth ----------------------------------------------------------------------------------

    def depths(self) -> FloatArray:
        """Return the distance from the root to each node, shape (m,), in the unit of `length`."""
        return self._depths

    @cached_property
    def _depths(self) -> FloatArray:
        parent, length = self.parent.tolist(), self.length.tolist()
        depth = [0.0] * len(parent)
        for node in range(1, len(parent)):
            depth[node] = depth[parent[node]] + length[node]
        return _frozen(np.array(depth))

    @property
    def height(self) -> float:
        """Distance from the root to the farthest tip."""
        return float(self._depths.max())

    def is_ultrametric(self, *, tolerance: float = 1e-6) -> bool:
        """Tell whether all tips are equally far from the root.

        Parameters
        ----------
        tolerance : float
            The spread of tip depths that is put down to rounding, as a share of the height.
        """
        depth = self._depths[self.tips]
        return bool(np.ptp(depth) <= tolerance * self.height)

    # Names and clades -----------------------------------------------------------------------

    @cached_property
    def _position_of(self) -> dict[str, int]:
        return {name: position for position, name in enumerate(self.tip_names)}

    def tip_positions(self, names: Collection[str]) -> IntArray:
        """Return where each of `names` stands in the tip order.

        Parameters
        ----------
        names : collection of str
            Tip names, in any order; they may repeat.

        Returns
        -------
        array of int, shape (len(names),)

        Raises
        ------
        InputError
            When a name is no tip of the tree; the nearest tip name is offered.
        """
        missing = [name for name in names if name not in self._position_of]
        if missing:
            raise InputError(
                f"{len(missing):,} of {len(names):,} names are not tips of the tree",
                offenders=missing,
                remedy=f"For {missing[0]!r}: {did_you_mean(missing[0], self.tip_names)}",
            )
        return np.array([self._position_of[name] for name in names], dtype=np.int64)

    def tips_below(self, node: int) -> tuple[str, ...]:
        """Return the names of the tips of the clade whose top is `node`."""
        return self.tip_names[self.tip_start[node] : self.tip_stop[node]]

    def clade_label(self, node: int) -> str:
        """Word the clade below `node` by its tip, or by the two tips that span it.

        Examples
        --------
        >>> tree = Tree.from_parents([-1, 0, 0, 1, 1], None, ["", "", "c", "a", "b"])
        >>> tree.clade_label(1), tree.clade_label(4)
        ('a | b (2)', 'c')
        """
        below = self.tips_below(node)
        return below[0] if len(below) == 1 else f"{below[0]} | {below[-1]} ({len(below)})"

    def mrca(self, names: Collection[str]) -> int:
        """Return the node that is the most recent common ancestor of the named tips.

        Examples
        --------
        >>> tree = Tree.from_parents([-1, 0, 0, 1, 1], None, ["", "ab", "c", "a", "b"])
        >>> tree.names[tree.mrca(["a", "b"])]
        'ab'
        """
        positions = self.tip_positions(names)
        if not len(positions):
            raise UsageError("a common ancestor needs at least one tip name; none was given.")
        last = int(positions.max())
        node = int(self.tips[positions.min()])
        while self.tip_stop[node] <= last:
            node = int(self.parent[node])
        return node

    def cut(self, depth: float) -> IntArray:
        """Cut the tree at a distance from the root and say in which clade each tip falls.

        A clade is what hangs below one branch that reaches beyond `depth`; a tip that ends at or
        before `depth` is a clade of its own. Blocks for cross-validation are made this way.

        Parameters
        ----------
        depth : float
            Distance from the root, 0 or more; 0 separates the children of the root.

        Returns
        -------
        array of int, shape (n_tips,)
            Clade of each tip, 0 to k - 1 in tip order.

        Examples
        --------
        >>> tree = Tree.from_parents([-1, 0, 0, 1, 1], [0, 1, 3, 2, 2], ["", "", "c", "a", "b"])
        >>> tree.cut(0.5), tree.cut(1)
        (array([0, 0, 1]), array([0, 1, 2]))
        """
        if not depth >= 0:
            raise UsageError(f"depth must be 0 or more, not {depth}.")
        beyond = self._depths > depth
        is_top = beyond.copy()
        is_top[1:] &= ~beyond[self.parent[1:]]
        is_top |= self.is_tip & ~beyond
        first = np.zeros(self.n_tips, dtype=np.int64)
        first[self.tip_start[is_top]] = 1
        return np.cumsum(first) - 1

    def cut_into(self, n_clades: int) -> IntArray:
        """Cut at the least depth that gives at least `n_clades` clades; see `cut`.

        Nodes at one depth are split together, so a polytomy or a tie can give more than asked.

        Raises
        ------
        UsageError
            When `n_clades` is less than 1 or more than the number of tips.
        """
        if not 1 <= n_clades <= self.n_tips:
            raise UsageError(
                f"n_clades must be from 1 to the number of tips ({self.n_tips:,}), not {n_clades}."
            )
        if n_clades == 1:
            return np.zeros(self.n_tips, dtype=np.int64)
        internal_depth = np.sort(self._depths[~self.is_tip])
        # A branch is cut at every depth from its upper end until just before its lower end; one
        # that leads to a tip stays a clade for good.
        starts = np.sort(self._depths[self.parent[1:]])
        ends = internal_depth[1:]
        n_cut = np.searchsorted(starts, internal_depth, side="right") - np.searchsorted(
            ends, internal_depth, side="right"
        )
        return self.cut(float(internal_depth[np.argmax(n_cut >= n_clades)]))

    # New trees ------------------------------------------------------------------------------

    def prune(self, names: Collection[str], *, keep_root: bool = False) -> Tree:
        """Return the tree of the named tips alone; nodes left with one child are dissolved.

        Distances between the kept tips do not change (a tree without lengths counts its
        branches anew), nor does their order in the tree.

        Parameters
        ----------
        names : collection of str
            The tips to keep, at least one, in any order.
        keep_root : bool
            The root of the result is the common ancestor of the kept tips, so that all depths
            shrink by the same amount when whole sides of the tree are gone. True keeps the old
            root above it as a node with one child, and with it every root-to-tip distance.

        Examples
        --------
        >>> tree = Tree.from_parents([-1, 0, 0, 1, 1], [0, 1, 3, 2, 2], ["", "", "c", "a", "b"])
        >>> tree.prune(["c", "a"]).length
        array([0., 3., 3.])
        """
        positions = self.tip_positions(names)
        if not len(positions):
            raise UsageError("pruning needs at least one tip to keep; none was given.")
        kept_tips = np.zeros(self.n_tips + 1, dtype=np.int64)
        kept_tips[positions + 1] = 1
        kept_before = np.cumsum(kept_tips)
        n_below = kept_before[self.tip_stop] - kept_before[self.tip_start]
        n_live_children = np.bincount(self.parent[1:][n_below[1:] > 0], minlength=self.n_nodes)
        keep = (n_below > 0) & ((n_live_children != 1) | self.is_tip)
        keep[0] |= keep_root
        return self.restricted_to(keep)

    def without_unifurcations(self) -> Tree:
        """Return the tree with every node of one child dissolved, the root included."""
        return self.restricted_to(np.diff(self.child_start) != 1)

    def subtree(self, node: int) -> Tree:
        """Return the clade below `node` as a tree of its own."""
        span = slice(int(node), int(self.stop[node]))
        parent = self.parent[span] - node
        parent[0] = -1
        return Tree(parent, self.length[span], self.names[span], self.has_lengths)

    def with_lengths(self, length: ArrayLike) -> Tree:
        """Return the same topology with other branch lengths, shape (m,)."""
        return Tree(self.parent, np.asarray(length, np.float64), self.names)

    def with_unit_lengths(self) -> Tree:
        """Return the same topology with every branch of length 1."""
        return self.with_lengths(_unit_lengths(self.n_nodes))

    def with_height(self, height: float) -> Tree:
        """Return the tree stretched so that its farthest tip is `height` from the root."""
        if not (self.height > 0 and 0 < height < np.inf):
            raise UsageError(
                f"a tree of height {self.height:g} cannot be stretched to height {height:g}; "
                "both must be positive and finite."
            )
        return self.with_lengths(self.length * (height / self.height))

    def with_names(self, names: Sequence[str]) -> Tree:
        """Return the same tree with other node names, length m."""
        return Tree(self.parent, self.length, tuple(names), self.has_lengths)

    def restricted_to(self, keep: BoolArray) -> Tree:
        """Keep some nodes, hang each below its nearest kept ancestor, and add up the branches.

        Distances from the root to the kept nodes do not change.

        Parameters
        ----------
        keep : array of bool, shape (m,)
            The nodes to keep. The first one must be an ancestor of all others and becomes the
            root; one that loses all its children becomes a tip and must have a name.
        """
        root = int(np.argmax(keep))
        kept = np.flatnonzero(keep)
        if not len(kept) or kept[-1] >= self.stop[root]:
            raise UsageError("the first kept node must be an ancestor of all other kept nodes.")
        parent, span, is_kept = self.parent.tolist(), self.length.tolist(), keep.tolist()
        anchor = list(parent)
        for node in range(root + 1, int(self.stop[root])):
            above = parent[node]
            if not is_kept[above]:
                span[node] += span[above]
                anchor[node] = anchor[above]
        new_index = np.cumsum(keep) - 1
        new_parent = new_index[np.array(anchor, dtype=np.int64)[kept]]
        new_parent[0] = -1
        names = tuple(self.names[i] for i in kept.tolist())
        return Tree(new_parent, np.array(span)[kept], names, self.has_lengths)


def _frozen(array: _Array) -> _Array:
    array.flags.writeable = False
    return array


def _unit_lengths(n_nodes: int) -> FloatArray:
    length = np.ones(n_nodes)
    length[:1] = 0.0
    return length
