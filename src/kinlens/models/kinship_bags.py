"""Pictures dealt to a network as bags, one a species, however many pictures a species has.

What a network makes of a bag is in `kinship_attention` and `kinship_fine_tuned`. Everywhere,
`species` are numbers of species.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from kinlens.optional import need
from kinlens.typing import AnyArray, IntArray

torch = need("torch")

__all__ = ["BagSteps", "Bags"]


class Bags:
    """Pictures, or vectors of them, by species.

    Parameters
    ----------
    values : array of shape (m, ...)
        One row a picture.
    groups : array of int, shape (m,)
        Species of each.
    n : int
        Number of species; each has a picture.

    Examples
    --------
    >>> bags = Bags(np.eye(3, dtype=np.float32), np.array([0, 1, 1]), 2)
    >>> pictures, present = bags.whole(np.array([0, 1]))
    >>> tuple(pictures.shape), present.tolist()
    ((2, 2, 3), [[True, False], [True, True]])
    """

    def __init__(self, values: AnyArray, groups: IntArray, n: int) -> None:
        self.n = n
        self.values = torch.from_numpy(np.ascontiguousarray(values))
        order = np.argsort(groups, kind="stable")
        self.members = np.split(order, np.cumsum(np.bincount(groups, minlength=n))[:-1])

    def whole(self, species: IntArray) -> tuple[Any, Any]:
        """Return all pictures of some species, padded, (B, P, ...), and which are real, (B, P)."""
        most = max(len(self.members[s]) for s in species)
        index = np.zeros((len(species), most), dtype=np.int64)
        present = np.zeros((len(species), most), dtype=bool)
        for row, s in enumerate(species):
            index[row, : len(self.members[s])] = self.members[s]
            present[row, : len(self.members[s])] = True
        return self.values[torch.from_numpy(index)], torch.from_numpy(present)

    def drawn(
        self, species: IntArray, count: int, rng: np.random.Generator
    ) -> tuple[Any, Any, Any]:
        """Return `count` pictures of each species, with replacement where there are fewer.

        Returns
        -------
        tuple
            Pictures (B, count, ...), which are real (B, count), and `species` as a tensor.
        """
        index = np.stack(
            [
                rng.choice(self.members[s], count, replace=len(self.members[s]) < count)
                for s in species
            ]
        )
        present = torch.ones(index.shape, dtype=torch.bool)
        return self.values[torch.from_numpy(index)], present, torch.from_numpy(species)


class BagSteps:
    """The batches of an epoch; which they are depends on seed and epoch alone.

    Parameters
    ----------
    bags : Bags
        Where pictures come from.
    species : array of int
        Those that are learned from.
    steps : int
        Batches in an epoch.
    species_per_step, pictures_per_species : int
        Size of a batch: rare species are sampled up, common ones down.
    seed : int
        Draws, together with the epoch.
    """

    def __init__(
        self,
        bags: Bags,
        species: IntArray,
        *,
        steps: int,
        species_per_step: int,
        pictures_per_species: int,
        seed: int,
    ) -> None:
        self.bags = bags
        self.species = species
        self.steps = steps
        self.species_per_step = min(species_per_step, len(species))
        self.pictures_per_species = pictures_per_species
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose batches come next."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[tuple[Any, Any, Any]]:
        rng = np.random.default_rng([self.seed, self.epoch])
        for _ in range(self.steps):
            species = rng.choice(self.species, self.species_per_step, replace=False)
            yield self.bags.drawn(species, self.pictures_per_species, rng)
