"""How strongly distances of traits can correlate with the tree when traits evolve at random.

Few independent axes give a noisy picture of the tree even if every one follows it: an observed r
means little before it is held against this ceiling.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq

from kinlens.errors import InputError, UsageError
from kinlens.evaluate._contrast_kernels import correlate_traits
from kinlens.evaluate._matrix_checks import checked_covariance
from kinlens.evaluate._pairs import scored, unit_pairs
from kinlens.evaluate._permutation_kernels import run_blocks
from kinlens.typing import FloatArray

__all__ = ["BrownianCeiling", "brownian_ceiling"]

# Cells of simulated traits held at a time.
_CELLS = 8_000_000


@dataclass(frozen=True)
class BrownianCeiling:
    """Correlations of trait distance with tree distance in worlds of pure Brownian motion.

    Parameters
    ----------
    mean, low, high : float
        Mean and the 2.5 % and 97.5 % quantiles.
    n : int
        Number of species.
    dimensions : float
        Effective number of axes of the simulated traits.
    correlations : numpy.ndarray
        One per simulated world.
    """

    mean: float
    low: float
    high: float
    n: int
    dimensions: float
    correlations: FloatArray = field(repr=False, compare=False)

    def position(self, correlation: float) -> float:
        """Return the share of Brownian worlds whose correlation is at most `correlation`.

        Near 0, looks follow the tree less than Brownian motion would make them; near 1, more.
        """
        return float((self.correlations <= correlation).mean())


def brownian_ceiling(
    covariance: ArrayLike,
    *,
    dimensions: float | ArrayLike,
    rng: np.random.Generator,
    replicates: int = 999,
) -> BrownianCeiling:
    """Simulate Brownian traits on a tree and correlate their distances with those on the tree.

    Parameters
    ----------
    covariance : array of float, shape (n, n)
        Phylogenetic covariance: shared path lengths from the root.
    dimensions : float or array of float, shape (k,)
        Effective number of axes, at least 1 (`dimensions.effective_dimensions` estimates it), or
        the rates of the axes themselves. A fractional number d means whole axes of equal rate and
        one slower axis, such that the participation ratio is d.
    rng : numpy.random.Generator
    replicates : int
        Simulated worlds, at least 1.

    Returns
    -------
    BrownianCeiling

    Notes
    -----
    Euclidean distances of the traits are correlated (Pearson, over pairs of species) with the
    patristic distances :math:`C_{ii} + C_{jj} - 2 C_{ij}`.

    Examples
    --------
    >>> covariance = np.kron(np.eye(4), np.full((3, 3), 0.8)) + 0.2 * np.eye(12)
    >>> rng = np.random.default_rng(1)
    >>> [round(brownian_ceiling(covariance, dimensions=d, rng=rng).mean, 1) for d in (1, 16)]
    [0.3, 0.8]
    """
    if replicates < 1:
        raise UsageError(f"replicates must be 1 or more, not {replicates}.")
    shared = checked_covariance(covariance)
    n = len(shared)
    rates = _rates(dimensions)
    variance = np.diagonal(shared)
    tree_distances = variance[:, None] + variance - 2 * shared
    np.fill_diagonal(tree_distances, 0.0)
    weights = unit_pairs(scored(tree_distances, "pearson", "tree distance"))
    spread = _square_root(shared)
    deviations = np.sqrt(rates)

    k = len(rates)
    correlations = np.empty(replicates)
    size = max(1, _CELLS // (n * k))
    for start in range(0, replicates, size):
        out = correlations[start : start + size]
        steps = rng.standard_normal((n, len(out), k)) * deviations
        traits = (spread @ steps.reshape(n, -1)).reshape(steps.shape)
        traits = np.ascontiguousarray(traits.transpose(1, 0, 2))  # (b, n, k)

        def fill(block: slice, traits: FloatArray = traits, out: FloatArray = out) -> None:
            out[block] = correlate_traits(traits[block], weights)

        run_blocks(fill, len(out), cells=n * (n + k))
    low, high = np.quantile(correlations, [0.025, 0.975])
    return BrownianCeiling(
        mean=float(correlations.mean()),
        low=float(low),
        high=float(high),
        n=n,
        dimensions=float(rates.sum() ** 2 / (rates @ rates)),
        correlations=correlations,
    )


def _rates(dimensions: float | ArrayLike) -> FloatArray:
    """Return the rate of each axis, shape (k,)."""
    given = np.asarray(dimensions, dtype=np.float64)
    if given.ndim == 1:
        if not np.isfinite(given).all() or np.any(given < 0) or not np.any(given > 0):
            raise InputError("rates of axes must be finite, not negative, and not all 0")
        return given[given > 0]
    number = float(given)
    if not 1 <= number < np.inf:
        raise UsageError(f"dimensions must be 1 or more, not {number:g}.")
    whole = int(number)
    rest = number - whole
    if rest < 1e-9:
        return np.ones(whole)
    last = brentq(lambda rate: (whole + rate) ** 2 / (whole + rate**2) - number, 0.0, 1.0)
    return np.append(np.ones(whole), last)


def _square_root(covariance: FloatArray) -> FloatArray:
    """Return L with L L' the covariance; species at distance 0 from each other are legal."""
    try:
        return np.asarray(np.linalg.cholesky(covariance))
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(covariance)
        if values[0] < -1e-8 * values[-1]:
            raise InputError(
                "the covariance has negative eigenvalues, so it is of no tree"
            ) from None
        return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))
