"""The taxonomy as a classifier sees it: which classes sit in which taxon, as numbers.

Names and their checks are in `kinlens.records.taxonomy`; here every class has a place at every
rank, also where the taxonomy does not know it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kinlens.errors import UsageError, did_you_mean
from kinlens.records.taxonomy import Taxonomy
from kinlens.typing import AnyArray, FloatArray, IntArray, ObjectArray

__all__ = ["Lineages", "best_path"]


@dataclass(frozen=True, eq=False)
class Lineages:
    """Classes and the taxa above them.

    A class whose taxon of some rank is unknown gets a nameless one of its own there (shared by
    what shares its next lower taxon), so that taxa always nest and probabilities always add up.

    Parameters
    ----------
    ranks : tuple of str
        Low to high; the first is the rank of the classes themselves.
    taxa : tuple of ObjectArray
        Names of each rank's taxa, None for the nameless.
    codes : tuple of IntArray of shape (n_classes,)
        For each rank, the position in its `taxa` that holds each class.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = pd.DataFrame({"species": ["A_a", "A_b", "B_a"], "genus": ["A", "A", "B"]})
    >>> lineages = Lineages.of(["A_a", "A_b", "B_a"], Taxonomy.from_images(rows))
    >>> lineages.codes[1].tolist()
    [0, 0, 1]
    >>> lineages.gathered(np.array([[0.25, 0.25, 0.5]]), 1).tolist()
    [[0.5, 0.5]]
    """

    ranks: tuple[str, ...]
    taxa: tuple[ObjectArray, ...]
    codes: tuple[IntArray, ...]

    @classmethod
    def of(
        cls, classes: Sequence[str] | AnyArray, taxonomy: Taxonomy | None, rank: str = "species"
    ) -> Lineages:
        """Look up the lineages of classes of one rank.

        Parameters
        ----------
        classes : sequence of str
            Names of taxa of `rank`.
        taxonomy : Taxonomy, optional
            Nothing is above the classes when left out.
        rank : str
            The rank of the classes.

        Raises
        ------
        UsageError
            When the taxonomy lacks the rank or one of the classes.
        """
        names = np.asarray(classes, dtype=object)
        ranks, taxa, codes = [rank], [names], [np.arange(len(names))]
        if taxonomy is None:
            return cls((rank,), (names,), (np.arange(len(names)),))
        if rank not in taxonomy.ranks:
            raise UsageError(
                f"the taxonomy has no rank {rank!r}. {did_you_mean(rank, taxonomy.ranks)}"
            )
        # Any species of a taxon tells what is above it: a taxon has one parent.
        example = dict(zip(taxonomy.labels(rank, taxonomy.species), taxonomy.species, strict=True))
        missing = [str(name) for name in names if name not in example]
        if missing:
            raise UsageError(
                f"{rank} {missing[0]!r} is not in the taxonomy. "
                f"{did_you_mean(missing[0], taxonomy.taxa(rank))}"
            )
        species = [example[name] for name in names]
        below = codes[0]
        for high in taxonomy.ranks[taxonomy.ranks.index(rank) + 1 :]:
            labels = taxonomy.labels(high, species)
            keys = [
                (label is None, label or "", int(low) if label is None else -1)
                for label, low in zip(labels, below, strict=True)
            ]
            distinct = sorted(set(keys))
            place = {key: number for number, key in enumerate(distinct)}
            below = np.array([place[key] for key in keys], dtype=np.int64)
            ranks.append(high)
            taxa.append(np.array([None if k[0] else k[1] for k in distinct], dtype=object))
            codes.append(below)
        return cls(tuple(ranks), tuple(taxa), tuple(codes))

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return len(self.codes[0])

    def parents(self, level: int) -> IntArray:
        """Return, for each taxon of rank `level`, its taxon one rank up (one root at the top)."""
        parent = np.zeros(len(self.taxa[level]), dtype=np.int64)
        if level + 1 < len(self.ranks):
            parent[self.codes[level]] = self.codes[level + 1]
        return parent

    def select(self, classes: IntArray) -> Lineages:
        """Return the lineages of some classes (sorted positions), with the taxa that they need."""
        taxa, codes = [], []
        for names, codes_here in zip(self.taxa, self.codes, strict=True):
            kept, numbered = np.unique(codes_here[classes], return_inverse=True)
            taxa.append(names[kept])
            codes.append(numbered.astype(np.int64))
        return Lineages(self.ranks, tuple(taxa), tuple(codes))

    def above(self, level: int) -> Lineages:
        """Return the lineages whose classes are the taxa of rank `level`."""
        first = np.zeros(len(self.taxa[level]), dtype=np.int64)
        first[self.codes[level]] = np.arange(self.n_classes)
        return Lineages(
            self.ranks[level:],
            self.taxa[level:],
            tuple(codes[first] for codes in self.codes[level:]),
        )

    def gathered(self, probabilities: FloatArray, level: int) -> FloatArray:
        """Add the probabilities of classes, shape (n, n_classes), up to those of one rank's taxa.

        Returns
        -------
        FloatArray of shape (n, len(taxa[level]))
        """
        if level == 0:
            return probabilities
        totals = np.zeros((len(probabilities), len(self.taxa[level])))
        for code in range(len(self.taxa[level])):
            totals[:, code] = probabilities[:, self.codes[level] == code].sum(axis=1)
        return totals


def best_path(probabilities: FloatArray, lineages: Lineages) -> IntArray:
    """Walk down from the highest rank, each time to the most probable taxon of the last.

    Parameters
    ----------
    probabilities : FloatArray of shape (n, n_classes)
        Of the lowest rank.
    lineages : Lineages
        What is above the classes.

    Returns
    -------
    IntArray of shape (n, n_ranks)
        Position of the taxon at each rank, low to high.
    """
    n_ranks = len(lineages.ranks)
    path = np.zeros((len(probabilities), n_ranks), dtype=np.int64)
    chosen = np.zeros(len(probabilities), dtype=np.int64)
    for level in reversed(range(n_ranks)):
        totals = lineages.gathered(probabilities, level).copy()
        totals[lineages.parents(level)[None, :] != chosen[:, None]] = -1.0
        chosen = totals.argmax(axis=1)
        path[:, level] = chosen
    return path
