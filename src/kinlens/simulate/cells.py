"""The shape of one cell, and ink to draw in it: points on its polar grid, blurred spots.

A cell is star-shaped around its nucleus. A place in it is an angle and a depth, which is -1 at the
centre of the nucleus, 0 at its envelope and 1 at the membrane. What is drawn where is in
`compartments`; several cells and the microscope are in `micrograph`.

Everywhere, `size` is the side of a picture in pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from kinlens.typing import Float32Array, FloatArray

__all__ = ["Cell", "Grid", "draw_cell", "splat"]

# The optics blur everything to at least this many pixels.
_SHARPEST = 0.55


@dataclass(frozen=True, eq=False)
class Cell:
    """One cell.

    Parameters
    ----------
    x, y : float
        Centre of the nucleus in pixels.
    radius : float
        Mean distance of the membrane from there in pixels.
    waves : array of shape (n_waves, 2)
        Cosine and sine parts of the membrane's distance, relative to `radius`, for 1, 2, ... waves
        around the cell.
    nucleus : tuple of float
        Half axes relative to `radius`, and the angle of the longer one.
    pole : float
        Angle at which the centrosome lies.
    contact : float
        Angle at which the nearest neighbour lies.
    is_mitotic : bool
        A cell in division: round, its chromosomes in a plate, no nuclear envelope.
    """

    x: float
    y: float
    radius: float
    waves: FloatArray
    nucleus: tuple[float, float, float]
    pole: float
    contact: float
    is_mitotic: bool = False

    def membrane(self, angle: ArrayLike) -> FloatArray:
        """Return how far from the centre the membrane is at each `angle`, in pixels."""
        angle = np.asarray(angle, dtype=np.float64)
        number = np.arange(1, len(self.waves) + 1)
        turns = angle[..., None] * number
        waves = np.cos(turns) @ self.waves[:, 0] + np.sin(turns) @ self.waves[:, 1]
        return np.asarray(self.radius * np.maximum(1.0 + waves, 0.45))

    def envelope(self, angle: ArrayLike) -> FloatArray:
        """Return how far from the centre the nuclear envelope is at each `angle`, in pixels."""
        long, short, turn = self.nucleus
        angle = np.asarray(angle, dtype=np.float64) - turn
        ellipse = long * short / np.hypot(short * np.cos(angle), long * np.sin(angle))
        return np.asarray(self.radius * ellipse)

    def places(self, angle: ArrayLike, depth: ArrayLike) -> FloatArray:
        """Return the pixel coordinates (x, y) of places in the cell.

        Parameters
        ----------
        angle, depth : arrays of one shape
            Radians; depth as at the module's top.

        Returns
        -------
        array of shape (n, 2)
            One row a place.
        """
        angle, depth = np.broadcast_arrays(np.asarray(angle, float), np.asarray(depth, float))
        angle, depth = angle.ravel(), depth.ravel()
        inner, outer = self.envelope(angle), self.membrane(angle)
        distance = np.where(depth < 0, inner * (1 + depth), inner + depth * (outer - inner))
        return np.stack(
            [self.x + distance * np.cos(angle), self.y + distance * np.sin(angle)], axis=1
        )


@dataclass(frozen=True, eq=False)
class Grid:
    """Where every pixel of a picture lies in one cell.

    Parameters
    ----------
    angle, distance : array of shape (size, size)
        From the centre of the nucleus, in radians and pixels.
    depth : array of shape (size, size)
        As at the module's top; beyond 1 outside the cell.
    inside, nucleus : array of shape (size, size)
        How much of the pixel lies in the cell, and in its nucleus, 0 to 1.
    """

    angle: FloatArray
    distance: FloatArray
    depth: FloatArray
    inside: FloatArray
    nucleus: FloatArray

    @classmethod
    def of(cls, cell: Cell, size: int) -> Grid:
        """Lay the grid of `cell` over a picture."""
        y, x = np.mgrid[0:size, 0:size] + 0.5
        angle, distance = np.arctan2(y - cell.y, x - cell.x), np.hypot(x - cell.x, y - cell.y)
        inner, outer = cell.envelope(angle), cell.membrane(angle)
        depth = np.where(
            distance < inner,
            distance / inner - 1,
            (distance - inner) / np.maximum(outer - inner, 1.0),
        )
        soft = 0.5
        return cls(
            angle,
            distance,
            depth,
            inside=np.clip((outer - distance) / soft / 2 + 0.5, 0, 1),
            nucleus=np.clip((inner - distance) / soft / 2 + 0.5, 0, 1),
        )

    @property
    def cytoplasm(self) -> FloatArray:
        """How much of each pixel lies in the cell, but not in its nucleus."""
        return self.inside * (1 - self.nucleus)


def draw_cell(
    x: float, y: float, radius: float, *, contact: float, is_mitotic: bool, rng: np.random.Generator
) -> Cell:
    """Draw the shape of a cell.

    Parameters
    ----------
    x, y, radius : float
        Centre and mean radius in pixels.
    contact : float
        Angle of the nearest neighbour.
    is_mitotic : bool
        Whether it is dividing.
    rng : numpy.random.Generator
        Source of randomness.
    """
    # The cells of one line are spindles, those of another polygons: one wave, two waves, more.
    strength = np.array([0.16, 0.24, 0.10, 0.06, 0.035])
    waves = rng.normal(size=(len(strength), 2)) * strength[:, None] * (0.15 if is_mitotic else 1.0)
    along = np.arctan2(waves[1, 1], waves[1, 0]) / 2
    long = rng.uniform(0.40, 0.50)
    short = long * rng.uniform(0.68, 0.95)
    if is_mitotic:
        long, short = 0.42, 0.13
    turn = along + rng.normal(0, 0.35)
    return Cell(
        x=x,
        y=y,
        radius=radius * (0.8 if is_mitotic else 1.0),
        waves=waves,
        nucleus=(long, short, turn),
        pole=float(rng.uniform(-np.pi, np.pi)),
        contact=contact,
        is_mitotic=is_mitotic,
    )


def splat(
    points: FloatArray, spread: ArrayLike, size: int, *, weight: ArrayLike = 1.0
) -> Float32Array:
    """Add up round spots.

    Parameters
    ----------
    points : array of shape (n, 2)
        Centres (x, y) in pixels; those outside the picture are drawn as far as they reach in.
    spread : float or array of shape (n,)
        Standard deviation of each spot in pixels; optics keep it from being arbitrarily small.
    weight : float or array of shape (n,)
        Height of each spot.

    Returns
    -------
    array of float32, shape (size, size)
        The sum; a lone spot of weight 1 is 1 at its centre.

    Examples
    --------
    >>> spot = splat(np.array([[2.5, 1.5]]), 0.6, 5)
    >>> [int(place) for place in np.unravel_index(spot.argmax(), spot.shape)]
    [1, 2]
    """
    if not len(points):
        return np.zeros((size, size), np.float32)
    centre = np.arange(size, dtype=np.float32) + np.float32(0.5)
    wide = np.maximum(np.broadcast_to(np.asarray(spread, np.float32), len(points)), _SHARPEST)
    narrow = (-0.5 / wide**2)[:, None]
    # A round Gaussian is a product of two, so that all spots are one product of matrices.
    across = np.exp(narrow * (centre - points[:, :1].astype(np.float32)) ** 2)
    down = np.exp(narrow * (centre - points[:, 1:].astype(np.float32)) ** 2)
    height = np.broadcast_to(np.asarray(weight, np.float32), len(points))
    summed: Float32Array = (down * height[:, None]).T @ across
    return summed
