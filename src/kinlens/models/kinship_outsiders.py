"""How unlike everything that was learned from a picture is: the score behind "not in this tree".

What p-value a score deserves is in `kinship_placement`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kinlens.models.kinship_engine import Pictures
from kinlens.models.kinship_profiles import PictureScaling, Profiles, fit_picture_scaling
from kinlens.models.kinship_ridge import squared_distances
from kinlens.typing import FloatArray

__all__ = ["OutsiderScore"]

_COMPONENTS = 100


@dataclass(frozen=True, eq=False)
class OutsiderScore:
    """Distance to the nearest training species, and what sticks out of all that they span.

    Parameters
    ----------
    scaling : PictureScaling
        Of the training pictures.
    profiles : Profiles
        Of the training species.
    """

    scaling: PictureScaling
    profiles: Profiles

    @classmethod
    def fit(cls, pictures: Pictures) -> OutsiderScore:
        """Learn what is usual from the pictures of the training species."""
        vectors = pictures.vectors()
        scaling = fit_picture_scaling(
            vectors, pictures.groups, pictures.views, n_components=_COMPONENTS
        )
        n = pictures.n_groups
        return cls(scaling, scaling.profiles(vectors, pictures.groups, n, pictures.views))

    def __call__(self, pictures: Pictures) -> FloatArray:
        """Return the score of each picture, shape (m,); about 1 and more."""
        vectors, n = pictures.vectors(), len(pictures.values)
        each = self.scaling.profiles(vectors, np.arange(n), n, pictures.views)
        nearest = np.zeros(n)
        pairs = zip(each.blocks(), self.profiles.blocks(), strict=True)
        for view, (block, species) in enumerate(pairs):
            rows = np.flatnonzero(each.has_view[:, view])
            seen = species[self.profiles.has_view[:, view]]
            apart = squared_distances(block[rows], seen)
            nearest[rows] = apart.min(axis=1) / max(block.shape[1], 1)
        return nearest + self.scaling.strangeness(vectors, pictures.views)
