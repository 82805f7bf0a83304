"""Specimens of species and the pictures taken of them: how many, how they differ, who sees what.

Individuals vary around their species' traits; each is photographed one or more times. The shell
that trait values stand for is in `simulate.shells`, the picture itself in `simulate.photograph`.

Everywhere, `pictures` and `specimens` are the tables that `draw_pictures` and `draw_specimens`
make, and `size` is the side of a picture in pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from kinlens.errors import UsageError
from kinlens.simulate.photograph import VIEWS, Scene, draw_scene, photograph
from kinlens.simulate.shells import TRAITS, Shell, shell_of
from kinlens.typing import ByteArray, FloatArray, IntArray

__all__ = ["ShellPictures", "draw_pictures", "draw_specimens", "zipf_counts"]


def zipf_counts(total: int, n_species: int, *, exponent: float, shift: float = 0.0) -> IntArray:
    """Share out `total` pictures among species, a few of which are common and many rare.

    The k-th commonest species has about ``(k + shift) ** -exponent``, up to one common factor.

    Every species gets one first; what is left is shared out in proportion, and the remainders go
    to those that are owed most.

    Parameters
    ----------
    total : int
        Number of pictures, at least `n_species`.
    n_species : int
        Number of species, 1 or more.
    exponent : float
        0 for equal shares; the larger, the longer the tail.
    shift : float
        Mandelbrot's addition to the rank, 0 or more; 0 is Zipf's law proper. The larger, the less
        the commonest species outdo the next.

    Returns
    -------
    array of int, shape (n_species,)
        Descending, each 1 or more, summing to `total`.

    References
    ----------
    Zipf (1949) Human Behavior and the Principle of Least Effort. Mandelbrot (1953) in
    Communication Theory, ed. Jackson, 486.

    Examples
    --------
    >>> zipf_counts(100, 5, exponent=2.0)
    array([66, 17,  8,  5,  4])
    """
    if not 1 <= n_species <= total:
        raise UsageError(f"{total:,} pictures are too few for {n_species:,} species.")
    if exponent < 0 or shift < 0:
        raise UsageError(f"exponent and shift must be 0 or more, not {exponent:g} and {shift:g}.")
    # Relative to the commonest, so that large exponents do not underflow.
    weight = ((1 + shift) / (np.arange(1, n_species + 1) + shift)) ** exponent
    owed = (total - n_species) * weight / weight.sum()
    counts: IntArray = 1 + owed.astype(np.int64)
    short = total - int(counts.sum())
    counts[np.argsort(-(owed % 1), kind="stable")[:short]] += 1
    return counts


def draw_specimens(
    species_traits: pd.DataFrame,
    pictures_per_species: IntArray,
    rng: np.random.Generator,
    *,
    variation: float,
    most_views: int,
) -> pd.DataFrame:
    """Draw the individuals of each species.

    Parameters
    ----------
    species_traits : pandas.DataFrame
        One row per species (the index), one column per trait of `TRAITS`.
    pictures_per_species : array of int, shape (n_species,)
        How many pictures there will be of each; specimens are drawn until they suffice.
    rng : numpy.random.Generator
        Source of randomness.
    variation : float
        Standard deviation of individuals around their species, in units of the traits, 0 or more.
    most_views : int
        A specimen is photographed from 1 to this many sides, all numbers alike.

    Returns
    -------
    pandas.DataFrame
        One row per specimen, in random order: specimen, species, n_views, age (0.8 to 1: size
        over grown size), phase (radians), seed, and one column per trait.
    """
    if not 1 <= most_views <= len(VIEWS):
        raise UsageError(f"most_views must be 1 to {len(VIEWS)}, not {most_views}.")
    rows, views = [], []
    for row, wanted in enumerate(pictures_per_species.tolist()):
        taken = 0
        while taken < wanted:
            rows.append(row)
            views.append(min(int(rng.integers(1, most_views + 1)), wanted - taken))
            taken += views[-1]
    order = rng.permutation(len(rows))
    row_of, n_views = np.array(rows)[order], np.array(views)[order]
    width = max(4, len(str(len(rows))))
    individuals = pd.DataFrame(
        {
            "specimen": [f"S{number:0{width}}" for number in range(1, len(rows) + 1)],
            "species": species_traits.index.to_numpy()[row_of],
            "n_views": n_views,
            "age": rng.uniform(0.8, 1.0, len(rows)),
            "phase": rng.uniform(0, 2 * np.pi, len(rows)),
            "seed": rng.integers(2**31, size=len(rows)),
        }
    )
    own = variation * rng.standard_normal((len(rows), len(TRAITS)))
    values = species_traits[list(TRAITS)].to_numpy()[row_of] + own
    return pd.concat([individuals, pd.DataFrame(values, columns=list(TRAITS))], axis=1)


def draw_pictures(
    specimens: pd.DataFrame, rng: np.random.Generator, *, jitter: float
) -> pd.DataFrame:
    """Draw the view and the scene of each picture.

    Parameters
    ----------
    specimens : pandas.DataFrame
        As `draw_specimens` returns them.
    rng : numpy.random.Generator
        Source of randomness.
    jitter : float
        Size of deviations in pose and framing; see `draw_scene`.

    Returns
    -------
    pandas.DataFrame
        One row per picture, specimens in order: image (a path), specimen, and one column per
        field of `Scene`. The first view is most often the apertural one; no two views of a
        specimen are the same.
    """
    views = list(VIEWS)
    rows = []
    for specimen, n_views in zip(specimens["specimen"], specimens["n_views"], strict=True):
        for view in rng.choice(views, size=n_views, replace=False, p=[0.6, 0.2, 0.2]).tolist():
            image = f"images/{specimen}_{view}.jpg"
            scene = draw_scene(view, rng, jitter=jitter)
            rows.append({"image": image, "specimen": specimen, **vars(scene)})
    return pd.DataFrame(rows)


@dataclass(frozen=True, eq=False)
class ShellPictures:
    """All pictures of a world, each drawn when asked for.

    Small and picklable, so that other processes can draw. Any one picture depends on its own
    specimen and scene alone.

    Parameters
    ----------
    traits : array of float, shape (n_specimens, len(TRAITS))
        Trait values of each specimen.
    ages, phases : array of float, shape (n_specimens,)
        See `shell_of`.
    seeds : array of int, shape (n_specimens,)
        See `shell_of`.
    specimen_of : array of int, shape (n_pictures,)
        Which specimen each picture shows.
    scenes : tuple of Scene, length n_pictures
        Pose, light, ground and camera of each picture.
    size : int
        Width and height in pixels.
    """

    traits: FloatArray
    ages: FloatArray
    phases: FloatArray
    seeds: IntArray
    specimen_of: IntArray
    scenes: tuple[Scene, ...]
    size: int

    @classmethod
    def from_tables(
        cls, specimens: pd.DataFrame, pictures: pd.DataFrame, size: int
    ) -> ShellPictures:
        """Build it from what `draw_specimens` and `draw_pictures` returned."""
        columns = {name: pictures[name].tolist() for name in Scene.__dataclass_fields__}
        rows = zip(*columns.values(), strict=True)
        place = pd.Index(specimens["specimen"]).get_indexer(pictures["specimen"])
        return cls(
            specimens[list(TRAITS)].to_numpy(),
            specimens["age"].to_numpy(),
            specimens["phase"].to_numpy(),
            specimens["seed"].to_numpy(),
            place.astype(np.int64),
            tuple(Scene(**dict(zip(columns, row, strict=True))) for row in rows),
            size,
        )

    def __len__(self) -> int:
        return len(self.scenes)

    def shell(self, specimen: int) -> Shell:
        """Return the shell of the specimen at this place."""
        return shell_of(
            self.traits[specimen],
            age=float(self.ages[specimen]),
            phase=float(self.phases[specimen]),
            seed=int(self.seeds[specimen]),
        )

    def render(self, picture: int) -> ByteArray:
        """Draw one picture: (size, size, 3), sRGB."""
        return photograph(
            self.shell(int(self.specimen_of[picture])), self.scenes[picture], self.size
        )
