"""Points in a Euclidean space whose distances stand for given ones, and newcomers among them.

Classical scaling only. Which distances to hand in is the caller's choice: those of a tree become
Euclidean exactly when their square roots are taken.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg

from kinlens.errors import UsageError
from kinlens.typing import FloatArray

__all__ = ["PrincipalCoordinates", "principal_coordinates"]

# Eigenvalues this small, as a share of the largest, are rounding around zero.
_ROUNDING = 1e-10


@dataclass(frozen=True, eq=False)
class PrincipalCoordinates:
    """Things placed on the axes that keep most of their distances.

    Parameters
    ----------
    points : array of float, shape (n, k)
        Coordinates, centred; column j has the sum of squares ``eigenvalues[j]``.
    eigenvalues : array of float, shape (k,)
        Falling, above 0.
    share : array of float, shape (k,)
        Part of the total sum of squares on each axis. The total counts negative eigenvalues as
        they are, so that shares can add up to more than 1 when the distances are not Euclidean.
    mean_squares : array of float, shape (n,)
        Mean squared distance of each thing to all; what `place` needs.
    """

    points: FloatArray
    eigenvalues: FloatArray
    share: FloatArray
    mean_squares: FloatArray

    def place(self, distances: FloatArray) -> FloatArray:
        """Place newcomers by their distances to the things already there.

        The newcomer's coordinates are ``(mean_squares - d^2) points / (2 eigenvalues)`` with the
        first factor centred (Gower 1968, eq. 10). One of the old things falls on its own point.

        Parameters
        ----------
        distances : array of float, shape (q, n)
            In the same unit and order as the matrix that was scaled.

        Returns
        -------
        array of float, shape (q, k)

        References
        ----------
        Gower JC (1968) Adding a point to vector diagrams in multivariate analysis. Biometrika
        55: 582-585.
        """
        distances = np.atleast_2d(distances)
        if distances.shape[1] != len(self.points):
            raise UsageError(
                f"distances to {len(self.points):,} things were wanted; "
                f"{distances.shape[1]:,} came."
            )
        weights = self.points / (2 * self.eigenvalues)
        placed: FloatArray = (self.mean_squares - distances**2) @ weights
        return placed


def principal_coordinates(distances: FloatArray, n_axes: int) -> PrincipalCoordinates:
    """Scale distances classically: the points whose cross products are ``-J D^2 J / 2``.

    Here D^2 holds the squared distances and J takes away means. For patristic distances, hand
    in their square roots: these are always Euclidean, so that no eigenvalue is negative and all
    n - 1 axes together give the tree back (de Vienne et al. 2011).

    Parameters
    ----------
    distances : array of float, shape (n, n)
        Symmetric, zero on the diagonal.
    n_axes : int
        How many axes to keep, from 1 to n - 1; fewer come back when the others carry nothing.

    Returns
    -------
    PrincipalCoordinates
        On each axis the point farthest out is on the positive side, so that the same distances
        give the same signs everywhere.

    References
    ----------
    Gower JC (1966) Some distance properties of latent root and vector methods used in
    multivariate analysis. Biometrika 53: 325-338. de Vienne DM, Aguileta G, Ollier S (2011)
    Euclidean nature of phylogenetic distance matrices. Systematic Biology 60: 826-832.

    Examples
    --------
    >>> line = np.abs(np.subtract.outer([0.0, 1.0, 5.0], [0.0, 1.0, 5.0]))
    >>> principal_coordinates(line, 2).points
    array([[-2.],
           [-1.],
           [ 3.]])
    """
    n = len(distances)
    if distances.shape != (n, n) or not 1 <= n_axes < n:
        raise UsageError(
            "principal coordinates need a square matrix and from 1 axis to one less than its "
            f"rows, not a matrix of shape {distances.shape} and {n_axes} axes."
        )
    squares = distances**2
    mean_squares = squares.mean(axis=0)
    centred = -0.5 * (squares - mean_squares - mean_squares[:, None] + mean_squares.mean())
    values, vectors = scipy.linalg.eigh(centred, subset_by_index=(n - n_axes, n - 1))
    values, vectors = values[::-1], vectors[:, ::-1]
    carrying = values > _ROUNDING * max(float(values[0]), 0.0)
    values, vectors = values[carrying], vectors[:, carrying]
    farthest = np.abs(vectors).argmax(axis=0)
    signs = np.sign(vectors[farthest, np.arange(len(values))])
    return PrincipalCoordinates(
        points=vectors * (signs * np.sqrt(values)),
        eigenvalues=values,
        share=values / np.trace(centred),
        mean_squares=mean_squares,
    )
