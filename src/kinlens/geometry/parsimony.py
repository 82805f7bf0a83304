"""How many gains and losses a tree needs at least to explain which of its tips have a gene."""

from __future__ import annotations

import numpy as np

from kinlens.errors import UsageError
from kinlens.geometry.compiled import compiled
from kinlens.records.tree import Tree
from kinlens.typing import ByteArray, IntArray

__all__ = ["fewest_changes"]

# Genes whose node sets stay in a core's own cache.
_CHUNK = 2048


def fewest_changes(tree: Tree, presence: ByteArray) -> IntArray:
    """Count the fewest changes between present and absent along the branches, gene by gene.

    Parameters
    ----------
    tree : Tree
        Branch lengths do not matter. Polytomies are taken as they are, not resolved.
    presence : array of uint8, shape (n_tips, n_genes)
        0 absent, 1 present, anything else unknown; rows in tip order. An unknown tip costs nothing.

    Returns
    -------
    array of int, shape (n_genes,)
        At most the number of tips in the rarer of the two states.

    References
    ----------
    Fitch, W. M. (1971). Toward defining the course of evolution: minimum change for a specific
    tree topology. Systematic Zoology 20, 406-416.
    Hartigan, J. A. (1973). Minimum mutation fits to a given tree. Biometrics 29, 53-65.

    Examples
    --------
    >>> tree = Tree.from_parents([-1, 0, 0, 1, 1], None, ["", "", "c", "a", "b"])
    >>> fewest_changes(tree, np.array([[1, 1, 0], [1, 0, 0], [0, 1, 0]], dtype=np.uint8))
    array([1, 1, 0])
    """
    if presence.shape[:1] != (tree.n_tips,) or presence.ndim != 2:
        raise UsageError(
            f"presence has the shape {presence.shape}; a tree of {tree.n_tips:,} tips needs one "
            "row a tip."
        )
    tip_row = np.full(tree.n_nodes, -1, dtype=np.int64)
    tip_row[tree.tips] = np.arange(tree.n_tips)
    changes = np.zeros(presence.shape[1], dtype=np.int64)
    for start in range(0, presence.shape[1], _CHUNK):
        chunk = np.ascontiguousarray(presence[:, start : start + _CHUNK], dtype=np.uint8)
        _count(tree.child_start, tree.child_index, tip_row, chunk, changes[start : start + _CHUNK])
    return changes


@compiled
def _count(
    child_start: IntArray,
    child_index: IntArray,
    tip_row: IntArray,
    presence: ByteArray,
    changes: IntArray,
) -> None:
    """Add the changes of each gene; children stand behind their parents in preorder."""
    n_nodes, n_genes = len(tip_row), presence.shape[1]
    # Bit 0: absent is among the cheapest states of the node; bit 1: present is.
    sets = np.empty((n_nodes, n_genes), np.uint8)
    absent = np.empty(n_genes, np.uint16)
    present = np.empty(n_genes, np.uint16)
    for node in range(n_nodes - 1, -1, -1):
        row = tip_row[node]
        if row >= 0:
            for j in range(n_genes):
                state = presence[row, j]
                sets[node, j] = 1 if state == 0 else (2 if state == 1 else 3)
            continue
        absent[:] = 0
        present[:] = 0
        first, stop = child_start[node], child_start[node + 1]
        for place in range(first, stop):
            child = child_index[place]
            for j in range(n_genes):
                absent[j] += sets[child, j] & 1
                present[j] += sets[child, j] >> 1
        for j in range(n_genes):
            most = max(absent[j], present[j])
            changes[j] += (stop - first) - most
            sets[node, j] = (1 if absent[j] == most else 0) | (2 if present[j] == most else 0)
