"""Points whose distances are those of a given matrix, in flat and in hyperbolic space.

For a matrix alone: nothing is learned of what its rows look like, so there is no `transform`; that
is in `neural` for sequences and in `kinlens.models.kinship` for pictures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from kinlens.errors import InputError, UsageError
from kinlens.geometry.ordination import principal_coordinates
from kinlens.learn.spaces import build_space
from kinlens.optional import need
from kinlens.typing import AnyArray, FloatArray

torch = need("torch")

__all__ = ["Distortion", "GivenDistancesEmbedder", "distortion_of"]

# How far from the centre the descent begins, in the plane that is bent into the space. A tree is
# drawn well far out, where there is room; which start is best depends on the matrix.
_STARTS = (0.3, 1.0, 2.0)
_TURN = 50


@dataclass(frozen=True)
class Distortion:
    """How far embedded distances are off.

    Parameters
    ----------
    mean : float
        Mean of ``|embedded - given| / given`` over pairs that are apart.
    worst : float
        Largest ``embedded / given`` over the smallest; 1 when all are right but for a factor.
    stress : float
        Root of the summed squared errors over the summed squares (Kruskal's stress 1).
    """

    mean: float
    worst: float
    stress: float


def distortion_of(embedded: AnyArray, given: AnyArray) -> Distortion:
    """Compare embedded with given distances.

    Parameters
    ----------
    embedded, given : array of shape (n, n)
        Symmetric; pairs at given distance 0 count for the stress alone.

    Examples
    --------
    >>> given = np.array([[0, 1, 2], [1, 0, 1], [2, 1, 0.0]])
    >>> distortion_of(given * 1.5, given)
    Distortion(mean=0.5, worst=1.0, stress=0.5)
    """
    upper = np.triu_indices(len(given), 1)
    one, two = (np.asarray(each, np.float64)[upper] for each in (embedded, given))
    is_apart = two > 0
    ratio = one[is_apart] / two[is_apart]
    return Distortion(
        mean=float(np.abs(ratio - 1.0).mean()),
        worst=float(ratio.max() / max(float(ratio.min()), 1e-300)),
        stress=float(np.sqrt(((one - two) ** 2).sum() / (two**2).sum())),
    )


class GivenDistancesEmbedder(BaseEstimator):
    """Places things so that their distances are as near as can be to given ones.

    Parameters
    ----------
    geometry : str
        One of `kinlens.learn.spaces.SPACES`.
    dimensions : int
        Length of the vectors, 1 or more.
    iterations : int
        Of descent (L-BFGS) from each of several starts, at the most.

    Attributes
    ----------
    points_ : array of float, shape (n, dimensions)
        The best found.
    distances_ : array of float, shape (n, n)
        Their distances.
    distortion_ : Distortion
        How far these are off.

    Notes
    -----
    What falls is the mean squared relative error, so that near relatives count as much as far
    ones; pairs at distance 0 count as if they were as far apart as the nearest others. The start
    is the matrix's principal coordinates, and the whole is computed in double precision and gives
    the same each time.

    Examples
    --------
    >>> star = 2.0 * (1 - np.eye(6))
    >>> flat, bent = (
    ...     GivenDistancesEmbedder(geometry, 2).fit(star).distortion_.mean
    ...     for geometry in ("euclidean", "poincare")
    ... )
    >>> bent < 0.1 < flat
    True
    """

    def __init__(
        self, geometry: str = "poincare", dimensions: int = 2, *, iterations: int = 500
    ) -> None:
        self.geometry = geometry
        self.dimensions = dimensions
        self.iterations = iterations

    def fit(self, distances: AnyArray) -> GivenDistancesEmbedder:
        """Place the rows of a matrix.

        Parameters
        ----------
        distances : array of shape (n, n)
            Symmetric, finite, 0 or more, 0 on the diagonal; two rows or more, not all at 0.

        Raises
        ------
        InputError
            When it is not such a matrix.
        UsageError
            For an unknown geometry or no dimension.
        """
        given = _checked(distances)
        if self.dimensions < 1:
            raise UsageError(f"dimensions must be 1 or more, not {self.dimensions}.")
        start = _start(given, self.dimensions)
        found = [self._descended(given, start * size) for size in _STARTS]
        loss, points, apart = min(found, key=lambda each: each[0])
        self.loss_ = loss
        self.points_ = points
        self.distances_ = apart
        self.distortion_ = distortion_of(apart, given)
        return self

    def _descended(
        self, given: FloatArray, start: FloatArray
    ) -> tuple[float, FloatArray, FloatArray]:
        space: Any = build_space(self.geometry).double()
        target = torch.from_numpy(given)
        off = ~torch.eye(len(given), dtype=torch.bool)
        weight = 1.0 / target.clamp_min(float(given[given > 0].min()))
        raw = torch.nn.Parameter(torch.from_numpy(start.copy()))
        with torch.no_grad():
            apart = space.between(space.points(raw), space.points(raw))
            ratio = float(target[off].mean() / apart[off].mean().clamp_min(1e-12))
            space.log_scale += np.log(ratio)
        optimizer = torch.optim.LBFGS(
            [raw, *space.parameters()], max_iter=_TURN, line_search_fn="strong_wolfe"
        )

        def loss() -> Any:
            points = space.points(raw)
            return (((space.between(points, points) - target) * weight)[off] ** 2).mean()

        def closure() -> Any:
            optimizer.zero_grad()
            value = loss()
            value.backward()
            return value

        before = np.inf
        for _ in range(max(1, self.iterations // _TURN)):
            value = float(optimizer.step(closure).detach())
            if not before - value > 1e-9 * max(value, 1e-12):
                break
            before = value
        with torch.no_grad():
            points = space.points(raw)
            apart = space.between(points, points).fill_diagonal_(0.0)
            return float(loss()), points.numpy(), ((apart + apart.T) / 2).numpy()


def _checked(distances: AnyArray) -> FloatArray:
    given = np.asarray(distances, dtype=np.float64)
    n = len(given)
    if given.ndim != 2 or given.shape != (n, n) or n < 2:
        raise InputError(f"distances of two things or more are a square, not {given.shape}")
    if not np.isfinite(given).all() or (given < 0).any():
        raise InputError("distances must be finite and 0 or more")
    if not np.allclose(given, given.T) or np.diagonal(given).any():
        raise InputError("distances must be the same in both directions, and 0 from a thing itself")
    if not given.any():
        raise InputError("all distances are 0: there is nothing to place")
    return given


def _start(given: FloatArray, dimensions: int) -> FloatArray:
    """Return principal coordinates of mean length 1, with a little of every missing dimension."""
    found = principal_coordinates(given, min(dimensions, len(given) - 1)).points
    start = 1e-3 * np.random.default_rng(0).standard_normal((len(given), dimensions))
    size = float(np.linalg.norm(found, axis=1).mean()) if found.size else 0.0
    if size > 0:
        start[:, : found.shape[1]] += found / size
    return np.asarray(start)
