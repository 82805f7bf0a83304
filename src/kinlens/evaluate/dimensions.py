"""How many axes traits really vary on, and how many independent species a tree is worth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from kinlens.errors import InputError
from kinlens.evaluate._matrix_checks import checked_covariance, checked_values, refuse_unvarying
from kinlens.evaluate._whitening import Whitening
from kinlens.typing import FloatArray

__all__ = [
    "EffectiveSpecies",
    "effective_dimensions",
    "effective_species",
    "participation_ratio",
    "wishart_dimensions",
]


def participation_ratio(spectrum: ArrayLike) -> float:
    r"""Return the number of equal axes that spread variance as these eigenvalues do.

    Parameters
    ----------
    spectrum : array of float, shape (k,)
        Eigenvalues, not negative, not all 0.

    Returns
    -------
    float
        :math:`(\sum_i \lambda_i)^2 / \sum_i \lambda_i^2`, from 1 to k.

    Examples
    --------
    >>> participation_ratio([2.0, 2.0, 0.0])
    2.0
    """
    values = np.asarray(spectrum, dtype=np.float64)
    if values.ndim != 1 or not np.isfinite(values).all() or np.any(values < 0):
        raise InputError("eigenvalues must be one row of finite numbers, none negative")
    if not values.max(initial=0.0) > 0:
        raise InputError("all eigenvalues are 0")
    values = values / values.max()
    return float(values.sum() ** 2 / (values @ values))


def effective_dimensions(values: ArrayLike, covariance: ArrayLike | None = None) -> float:
    """Estimate on how many axes traits vary, correcting for the number of species.

    Parameters
    ----------
    values : array of float, shape (n, p)
        Traits of the species; n at least 4.
    covariance : array of float, shape (n, n), optional
        Phylogenetic covariance. Given, the axes are those of the evolutionary rate matrix;
        left out, those of the plain covariance.

    Returns
    -------
    float
        Participation ratio of the eigenvalues, estimated as in `wishart_dimensions`; from 1 to p.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> traits = rng.standard_normal((40, 8))
    >>> spectrum = np.linalg.eigvalsh(np.cov(traits.T))
    >>> round(participation_ratio(spectrum), 1), round(effective_dimensions(traits), 1)
    (6.3, 7.6)
    """
    table = checked_values(values, least=4)
    refuse_unvarying(table)
    if covariance is None:
        whitened = table - table.mean(axis=0)
    else:
        whitening = Whitening.of(checked_covariance(covariance, n=len(table)))
        whitened = whitening.residuals(whitening.rotate(table - table.mean(axis=0)), 1.0)
    # The smaller of the two products has the same eigenvalues.
    wide = whitened.shape[1] > whitened.shape[0]
    products = whitened @ whitened.T if wide else whitened.T @ whitened
    m = len(table) - 1
    products /= m
    trace = float(np.trace(products))
    estimate = wishart_dimensions(trace, float((products**2).sum()), m)
    return min(estimate, float(table.shape[1]))


def wishart_dimensions(trace: float, square_trace: float, m: int) -> float:
    r"""Estimate the participation ratio of a covariance from that of a sample covariance.

    Parameters
    ----------
    trace, square_trace : float
        :math:`\mathrm{tr}(S)` and :math:`\mathrm{tr}(S^2)` of a sample covariance S.
    m : int
        Its degrees of freedom, at least 2.

    Returns
    -------
    float
        The ratio of the unbiased estimates of :math:`\mathrm{tr}(R)^2` and
        :math:`\mathrm{tr}(R^2)`, at least 1; infinite when the latter is not positive.

    Notes
    -----
    Sampling spreads eigenvalues, so that the participation ratio of a sample covariance is too
    small. For Gaussian data :math:`E\,\mathrm{tr}(S^2) = (1 + 1/m)\,\mathrm{tr}(R^2) +
    \mathrm{tr}(R)^2/m` and :math:`E\,\mathrm{tr}(S)^2 = \mathrm{tr}(R)^2 +
    2\,\mathrm{tr}(R^2)/m`.

    References
    ----------
    Srivastava, M. S. (2005). Some tests concerning the covariance matrix in high dimensional data.
    Journal of the Japan Statistical Society 35, 251-272.

    Examples
    --------
    >>> wishart_dimensions(8.0, 8.0 + 64 / 1000, 1000)
    8.0...
    """
    factor = m**2 / ((m - 1) * (m + 2))
    of_square = factor * (square_trace - trace**2 / m)
    squared = factor * ((1 + 1 / m) * trace**2 - 2 * square_trace / m)
    return max(1.0, squared / of_square) if of_square > 0 else float("inf")


@dataclass(frozen=True)
class EffectiveSpecies:
    r"""How many independent species related ones are worth, by three measures.

    Parameters
    ----------
    n : int
        Species there are.
    for_mean : float
        Worth for estimating the mean of a trait, :math:`h\,1^\top C^{-1} 1` (Ané 2008), with h
        the mean root-to-tip variance. Hardly grows with n: relatives tell little that is new
        about the root.
    for_regression : float
        :math:`\sum_i 1 / (R^{-1})_{ii}` with R the correlations of the species (Bartoszek 2016):
        the share of each species that all others do not predict. From 0 to n.
    for_correlation : float
        Participation ratio of the eigenvalues of R, :math:`n^2 / \sum_{ij} R_{ij}^2`
        (Bretherton et al. 1999): the sample size at which two unrelated traits would correlate
        as much by chance as two Brownian ones do (about the root) when the tree is ignored.
    """

    n: int
    for_mean: float
    for_regression: float
    for_correlation: float


def effective_species(covariance: ArrayLike) -> EffectiveSpecies:
    """Return how many independent species a phylogeny is worth.

    Parameters
    ----------
    covariance : array of float, shape (n, n)
        Phylogenetic covariance, shared path lengths from the root.

    Returns
    -------
    EffectiveSpecies

    Raises
    ------
    InputError
        When the covariance is singular, as with species at distance 0 from each other.

    References
    ----------
    Ané, C. (2008). Analysis of comparative data with hierarchical autocorrelation. Annals of
    Applied Statistics 2, 1078-1102.
    Bartoszek, K. (2016). Phylogenetic effective sample size. Journal of Theoretical Biology 407,
    371-386.
    Bretherton, C. S. et al. (1999). The effective number of spatial degrees of freedom of a
    time-varying field. Journal of Climate 12, 1990-2009.

    Examples
    --------
    >>> star = effective_species(np.eye(5))
    >>> star.for_mean, star.for_regression, star.for_correlation
    (5.0, 5.0, 5.0)
    """
    shared = checked_covariance(covariance)
    variance = np.diagonal(shared)
    correlation = shared / np.sqrt(np.outer(variance, variance))
    inverse = _inverse(correlation)
    deviation = np.sqrt(variance)
    return EffectiveSpecies(
        n=len(shared),
        for_mean=float(variance.mean() * (inverse / np.outer(deviation, deviation)).sum()),
        for_regression=float((1 / np.diagonal(inverse)).sum()),
        for_correlation=float(len(shared) ** 2 / (correlation**2).sum()),
    )


def _inverse(correlation: FloatArray) -> FloatArray:
    values, vectors = np.linalg.eigh(correlation)
    if values[0] <= 1e-12 * values[-1]:
        raise InputError(
            "the covariance is singular: some species are at distance 0 from each other",
            remedy="Keep one of them.",
        )
    return np.asarray((vectors / values) @ vectors.T)
