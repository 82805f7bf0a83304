"""What must hold for arrays to be a tree, worded for the person whose tree it is not.

`records.tree` calls these when a tree is built; the order of the nodes is found here too.

Everywhere, `parent`, `length` and `names` are the arrays of a `Tree`, `tip_names` the names of
its tips, and `where` is the file that messages name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kinlens.errors import InputError
from kinlens.typing import FloatArray, IntArray

__all__ = ["check_lengths", "check_shapes", "check_tip_names", "preorder"]


def preorder(parent: IntArray, *, where: str | Path | None) -> IntArray:
    """Return the nodes in preorder, sisters in the order in which they came."""
    n_nodes = len(parent)
    roots = np.flatnonzero(parent == -1)
    if len(roots) != 1:
        raise InputError(
            f"a tree needs exactly one root (a node whose parent is -1); {len(roots):,} came",
            where=where,
            offenders=[f"node {i}" for i in roots],
        )
    outside = np.flatnonzero((parent < -1) | (parent >= n_nodes))
    if len(outside):
        raise InputError(
            f"parents must be node indices from 0 to {n_nodes - 1:,}",
            where=where,
            offenders=[f"{parent[i]} for node {i}" for i in outside],
        )
    # Sisters backwards, so that the first of them lies uppermost on the pile.
    by_parent = n_nodes - 1 - np.argsort(parent[::-1], kind="stable")
    start = np.searchsorted(parent[by_parent], np.arange(n_nodes + 1)).tolist()
    children = by_parent.tolist()
    order: list[int] = []
    pile = [int(roots[0])]
    while pile:
        node = pile.pop()
        order.append(node)
        pile += children[start[node] : start[node + 1]]
    if len(order) != n_nodes:
        lost = sorted(set(range(n_nodes)) - set(order))
        raise InputError(
            "every node of a tree must lead up to the root; some go round in a circle",
            where=where,
            offenders=[f"node {i}" for i in lost],
        )
    return np.array(order, dtype=np.int64)


def check_shapes(
    parent: IntArray,
    length: FloatArray,
    names: Sequence[str],
    *,
    where: str | Path | None = None,
) -> None:
    """Refuse arrays that do not have one entry for each of at least one node."""
    if parent.ndim != 1 or parent.shape != length.shape or len(parent) != len(names):
        raise InputError(
            "a tree needs one parent, one length and one name per node; "
            f"{parent.shape} parents, {length.shape} lengths and {len(names)} names came",
            where=where,
        )
    if not len(parent):
        raise InputError("a tree needs at least one node; none came", where=where)


def check_tip_names(tip_names: Sequence[str], *, where: str | Path | None) -> None:
    """Refuse tips without a name and names that two tips share."""
    unnamed = [f"tip {i + 1} of {len(tip_names)}" for i, name in enumerate(tip_names) if not name]
    if unnamed:
        raise InputError("every tip of a tree needs a name", where=where, offenders=unnamed)
    if len(set(tip_names)) < len(tip_names):
        repeated = [f"{name} ({n} times)" for name, n in Counter(tip_names).items() if n > 1]
        raise InputError(
            "the tips of a tree must have different names",
            where=where,
            offenders=repeated,
            remedy="Rename or remove the repeated tips.",
        )


def check_lengths(length: FloatArray, names: Sequence[str], *, where: str | Path | None) -> None:
    """Refuse negative and non-finite lengths; that of the root, node 0, is not looked at."""
    wrong = np.flatnonzero(~(np.isfinite(length[1:]) & (length[1:] >= 0))) + 1
    if len(wrong):
        raise InputError(
            "branch lengths must be finite and not negative",
            where=where,
            offenders=[
                f"{length[i]:g} above {names[int(i)] or f'internal node {i}'}" for i in wrong
            ],
            remedy="Set small negative lengths to 0 if they come from neighbour joining.",
        )
