r"""One eigendecomposition of a phylogenetic covariance, good for every value of Pagel's lambda.

With E the diagonal matrix of root-to-tip variances and :math:`R = E^{-1/2} C E^{-1/2}` the
correlations of the species, :math:`\lambda C + (1 - \lambda) E` has the eigenvectors of R after
scaling by :math:`E^{1/2}`, and eigenvalues :math:`\lambda \mu + 1 - \lambda`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kinlens.errors import InputError
from kinlens.typing import FloatArray

__all__ = ["Whitening"]

# Eigenvalues of a correlation matrix below this are rounding: the matrix is singular.
_SINGULAR = 1e-11


@dataclass(frozen=True, eq=False)
class Whitening:
    r"""A phylogenetic covariance, ready to whiten traits under any lambda.

    Parameters
    ----------
    values : array, shape (n,)
        Eigenvalues of the correlations.
    rotation : array, shape (n, n)
        :math:`V^\top E^{-1/2}`.
    ones : array, shape (n,)
        `rotation` applied to a column of ones.
    log_variance : float
        Sum of the logarithms of the root-to-tip variances.
    """

    values: FloatArray
    rotation: FloatArray
    ones: FloatArray
    log_variance: float

    @classmethod
    def of(cls, covariance: FloatArray) -> Whitening:
        """Decompose a covariance that has passed `checked_covariance`."""
        deviation = np.sqrt(np.diagonal(covariance))
        values, vectors = np.linalg.eigh(covariance / np.outer(deviation, deviation))
        rotation = vectors.T / deviation
        return cls(values, rotation, rotation.sum(axis=1), float(2 * np.log(deviation).sum()))

    def variances(self, signal: float) -> FloatArray:
        """Return the eigenvalues under `signal`; refuse one that makes the covariance singular."""
        values = signal * self.values + (1 - signal)
        if values.min() <= _SINGULAR:
            raise InputError(
                f"the covariance is singular at lambda = {signal:g}: species are at distance 0 "
                "from each other, or it is no covariance of a tree",
                remedy="Keep one of the species that sit at the same place.",
            )
        return np.asarray(values)

    def rotate(self, values: FloatArray) -> FloatArray:
        """Return traits (n, p) on the axes of the decomposition, for the methods below."""
        return np.asarray(self.rotation @ values)

    def root(self, rotated: FloatArray, signal: float) -> FloatArray:
        """Return the estimate of the root, shape (p,), by generalised least squares."""
        weights = self.ones / self.variances(signal)
        return np.asarray(weights @ rotated / (weights @ self.ones))

    def residuals(self, rotated: FloatArray, signal: float) -> FloatArray:
        """Return what is left after the root, whitened: (n, p) whose square has n - 1 degrees."""
        centred = rotated - self.ones[:, None] * self.root(rotated, signal)
        return np.asarray(centred / np.sqrt(self.variances(signal))[:, None])

    def log_determinant(self, signal: float) -> float:
        """Return the logarithm of the determinant of the covariance under `signal`."""
        return float(np.log(self.variances(signal)).sum()) + self.log_variance
