"""Individuals of species: the random genealogy that hangs below each tip of a species tree.

What evolves on it is in `simulate.sequences`; specimens, which are never paired with sequences,
are in `simulate.specimens`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kinlens.errors import UsageError
from kinlens.records.tree import Tree
from kinlens.typing import IntArray

__all__ = ["Individuals", "add_individuals"]


@dataclass(frozen=True, eq=False)
class Individuals:
    """A species tree grown out to individuals.

    Parameters
    ----------
    tree : Tree
        Its tips are the individuals.
    species : tuple of str
        The species of each individual, in tip order.
    """

    tree: Tree
    species: tuple[str, ...]


def add_individuals(
    tree: Tree, counts: IntArray, diversity: float, rng: np.random.Generator
) -> Individuals:
    """Hang a random genealogy of individuals below each species.

    The genealogies are Kingman's: while k lines are left, the time back to the next merger is
    exponential with mean ``(diversity / 2) / (k (k - 1) / 2)``. Each hangs from the end of its
    species' branch, so lines never reach back into the ancestor of two species.

    Parameters
    ----------
    tree : Tree
        The species tree.
    counts : array of int, shape (n_tips,)
        Individuals per species, in tip order, each 1 or more; a lone one is the tip itself.
    diversity : float
        Mean distance between two individuals of a species, in the unit of the branches.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    Individuals
        Tips are called ``<species>.1``, ``<species>.2`` and so on.

    References
    ----------
    Kingman (1982) Stoch. Process. Appl. 13:235.
    """
    if len(counts) != tree.n_tips or np.min(counts, initial=1) < 1 or diversity < 0:
        raise UsageError(
            f"counts must hold one number of 1 or more for each of {tree.n_tips:,} species, and "
            f"diversity ({diversity:g}) must be 0 or more."
        )
    grown = _Nodes(tree.parent.tolist(), tree.length.tolist(), list(tree.names))
    for tip, count in zip(tree.tips.tolist(), np.asarray(counts).tolist(), strict=True):
        grown.hang_genealogy(tip, count, diversity, rng)
    individuals = Tree.from_parents(grown.parent, grown.length, grown.names)
    species = tuple(name.rpartition(".")[0] for name in individuals.tip_names)
    return Individuals(individuals, species)


@dataclass(frozen=True)
class _Nodes:
    """A tree that is being built, nodes in any order."""

    parent: list[int]
    length: list[float]
    names: list[str]

    def add(self, parent: int, name: str) -> int:
        self.parent.append(parent)
        self.length.append(0.0)
        self.names.append(name)
        return len(self.parent) - 1

    def hang_genealogy(
        self, top: int, count: int, diversity: float, rng: np.random.Generator
    ) -> None:
        """Hang `count` tips below the tip `top`, merging random pairs backwards in time."""
        species = self.names[top]
        if count == 1:
            self.names[top] = f"{species}.1"
            return
        self.names[top] = ""
        lines = [self.add(top, f"{species}.{k + 1}") for k in range(count)]
        while len(lines) > 1:
            wait = rng.exponential(diversity / (len(lines) * (len(lines) - 1)))
            for node in lines:
                self.length[node] += wait
            if len(lines) == 2:
                return
            merging = [lines.pop(int(rng.integers(len(lines)))) for _ in range(2)]
            ancestor = self.add(top, "")
            for node in merging:
                self.parent[node] = ancestor
            lines.append(ancestor)
