"""How much two trees differ in shape alone, without a look at branch lengths or the root.

Everywhere, `first` and `second` are two trees with the same tips.
"""

from __future__ import annotations

import numpy as np

from kinlens.errors import InputError
from kinlens.records.tree import Tree
from kinlens.typing import BoolArray

__all__ = ["normalised_robinson_foulds", "robinson_foulds"]

# Each tip gets two random words. Two different splits of a million share the 128 bits of their
# sums with a probability below 1e-26.
_FINGERPRINT_SEED = 20240229


def robinson_foulds(first: Tree, second: Tree) -> int:
    """Count the splits that only one of two trees has.

    A split parts the tips into two sides of two or more by one branch. Roots do not matter,
    polytomies have fewer splits, and branches of length 0 count like any other
    (`records.tree_shape.collapsed` removes them).

    Parameters
    ----------
    first, second : Tree
        With the same tips, in any order.

    Raises
    ------
    InputError
        When the tips differ; prune both to the common ones first.

    References
    ----------
    Robinson DF, Foulds LR (1981) Comparison of phylogenetic trees. Mathematical Biosciences 53:
    131-147.

    Examples
    --------
    >>> names = ["", "", "a", "b", "", "c", "d"]
    >>> one = Tree.from_parents([-1, 0, 1, 1, 0, 4, 4], None, names)
    >>> two = one.with_names(["", "", "a", "c", "", "b", "d"])
    >>> robinson_foulds(one, two), robinson_foulds(one, one)
    (2, 0)
    """
    return len(_splits(first, second) ^ _splits(second, first))


def normalised_robinson_foulds(first: Tree, second: Tree) -> float:
    """Return `robinson_foulds` as a share of all splits of both trees, from 0 to 1.

    0 when neither tree has a split, as with two stars.
    """
    ours, theirs = _splits(first, second), _splits(second, first)
    n_splits = len(ours) + len(theirs)
    return len(ours ^ theirs) / n_splits if n_splits else 0.0


def _splits(tree: Tree, other: Tree) -> set[tuple[int, int]]:
    """Return the fingerprint of each split: the exclusive or over the tips of one side."""
    names = sorted(tree.tip_names)
    if names != sorted(other.tip_names):
        only = set(tree.tip_names) ^ set(other.tip_names)
        raise InputError(
            f"two trees with the same tips were wanted; {len(only):,} tips are in one tree only",
            offenders=sorted(only),
            remedy="Prune both trees to their common tips.",
        )
    words = np.random.default_rng(_FINGERPRINT_SEED).integers(
        2**64, size=(len(names) + 1, 2), dtype=np.uint64
    )
    words[0] = 0
    rank = {name: position for position, name in enumerate(names, start=1)}
    words[1:] = words[[rank[name] for name in tree.tip_names]]
    running = np.bitwise_xor.accumulate(words, axis=0)
    n_below = tree.tip_stop - tree.tip_start
    is_split = (n_below >= 2) & (n_below <= tree.n_tips - 2)
    side = running[tree.tip_stop[is_split]] ^ running[tree.tip_start[is_split]]
    # Of the two sides the one without the first name, so that the root does not matter.
    has_first = _holds(tree, names[0])[is_split]
    side[has_first] ^= running[-1]
    return set(map(tuple, side.tolist()))


def _holds(tree: Tree, name: str) -> BoolArray:
    """Tell which clades contain a tip."""
    position = tree.tip_positions([name])[0]
    held: BoolArray = (tree.tip_start <= position) & (position < tree.tip_stop)
    return held
