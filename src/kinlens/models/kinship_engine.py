"""What an engine of `kinship.KinshipEmbedder` is given and gives back, and how it is validated.

Engines themselves are elsewhere: `kinship.RidgeEngine`, `kinship_attention.AttentionEngine`,
`kinship_fine_tuned.FineTuningEngine`.

As in all engines, `pictures` are the training pictures, `distances` the true distances between
their species, `folds` the species held out together, `n` species in `n_folds` of them, and `seed`
draws.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from kinlens.evaluate.folds import clade_folds, random_folds
from kinlens.evaluate.splits import Split
from kinlens.typing import AnyArray, FloatArray, IntArray, ObjectArray

__all__ = ["Engine", "Pictures", "Places", "inner_folds", "parts_for_stopping"]

# A fold may hold so many times more or fewer groups than others and yet judge for all.
_MOST_UNEVEN = 3.0
# Fewer species than this cannot be held out in folds and still be learned from.
_LEAST_FOR_FOLDS = 8
_THUMBNAIL = 12


@dataclass(frozen=True, eq=False)
class Pictures:
    """Pictures as an engine sees them.

    Parameters
    ----------
    values : array
        Features, float of shape (m, d); or the pictures themselves, uint8 of shape
        (m, height, width, channels), for engines that look at these.
    groups : array of int, shape (m,)
        Which pictures are pooled: species in training, anything in use.
    views : array of object, shape (m,)
        The view of each, "" for none.
    """

    values: AnyArray
    groups: IntArray
    views: ObjectArray

    @property
    def n_groups(self) -> int:
        """How many groups."""
        return int(self.groups.max(initial=-1)) + 1

    def of_groups(self, groups: IntArray) -> Pictures:
        """Return the pictures of some groups, numbered anew in the order given."""
        number = np.full(self.n_groups, -1, dtype=np.int64)
        number[groups] = np.arange(len(groups))
        rows = np.flatnonzero(number[self.groups] >= 0)
        return Pictures(self.values[rows], number[self.groups[rows]], self.views[rows])

    def ungrouped(self) -> Pictures:
        """Return the same pictures, each a group of its own."""
        return Pictures(self.values, np.arange(len(self.values)), self.views)

    def vectors(self) -> FloatArray:
        """Return the features, or a thumbnail of each picture where there are none, (m, d)."""
        if self.values.ndim == 2:
            return np.asarray(self.values, dtype=np.float64)
        rows, columns = (
            np.linspace(0, side, min(_THUMBNAIL, side), endpoint=False).astype(np.int64)
            for side in self.values.shape[1:3]
        )
        summed = np.add.reduceat(self.values.astype(np.float32), rows, axis=1)
        summed = np.add.reduceat(summed, columns, axis=2)
        return np.asarray(summed.reshape(len(summed), -1), dtype=np.float64)


class Places(Protocol):
    """A fitted engine: places of the training species, and of anything else."""

    @property
    def positions(self) -> FloatArray:
        """Places of the training species, shape (n, k)."""

    def place(self, pictures: Pictures) -> FloatArray:
        """Return one place a group, shape (n_groups, k)."""


class Engine(Protocol):
    """Something that learns to place species by their pictures."""

    def fit(
        self, pictures: Pictures, distances: FloatArray, folds: Sequence[Split], seed: int
    ) -> Places:
        """Learn from all groups of `pictures`, whose distances in the tree are given."""


def inner_folds(
    n: int, labels: Sequence[str] | None, n_folds: int, rng: np.random.Generator
) -> tuple[Split, ...]:
    """Deal species to folds, clades whole where labels are given; none when they are too few."""
    if n < _LEAST_FOR_FOLDS:
        return ()
    # Three species a fold, or there are no pairs to correlate.
    n_folds = max(2, min(n_folds, n // 3))
    if labels is not None and len(set(labels)) >= 2:
        return clade_folds(labels, min(n_folds, len(set(labels))), rng=rng)
    return random_folds(n, n_folds, rng=rng)


def parts_for_stopping(n: int, folds: Sequence[Split]) -> tuple[IntArray, IntArray]:
    """Part `n` groups into those that a network learns from and those that say when to stop.

    Parameters
    ----------
    n : int
    folds : sequence of Split
        Of which one is held out: the first of no odd size, since whole clades make folds of one
        species, which has no distance to judge by, beside others that leave little to learn from.

    Returns
    -------
    (array of int, array of int)
        All groups in both when no fold can be held out.

    Examples
    --------
    >>> clades = ["one"] + ["four"] * 4 + ["six"] * 6
    >>> folds = clade_folds(clades, 3, rng=np.random.default_rng(0))
    >>> [len(fold.test) for fold in folds], len(parts_for_stopping(11, folds)[1])
    ([1, 4, 6], 4)
    """

    def oddity(fold: Split) -> float:
        times_even = len(fold.test) * len(folds) / n
        return max(abs(math.log(times_even)), math.log(_MOST_UNEVEN))

    usable = [fold for fold in folds if len(fold.test) >= 2 and len(fold.train) >= 2]
    if not usable:
        return np.arange(n), np.arange(n)
    chosen = min(usable, key=oddity)
    return chosen.train, chosen.test
