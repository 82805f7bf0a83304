"""Phylogenetic signal of traits: Blomberg's K, its multivariate form, and Pagel's lambda.

Covariances come in as arrays (`geometry.patristic` makes them from a tree). What r is possible
under Brownian motion is in `ceilings`; lambda of distances without traits in `contrasts`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq, minimize_scalar
from scipy.stats import chi2

from kinlens.errors import InputError, UsageError
from kinlens.evaluate._matrix_checks import checked_covariance, checked_values, refuse_unvarying
from kinlens.evaluate._permutation_tests import null_test, permuted_sums, scheme_for
from kinlens.evaluate._whitening import Whitening
from kinlens.evaluate.dimensions import wishart_dimensions
from kinlens.evaluate.nulls import Alternative, PermutationScheme, PermutationTest
from kinlens.typing import FloatArray

__all__ = ["LambdaFit", "blomberg_k", "kmult", "pagel_lambda"]

Rates = Literal["full", "isotropic"]
"""Evolutionary rates of several traits: any covariance matrix, or one rate and no covariance."""


def blomberg_k(
    values: ArrayLike,
    covariance: ArrayLike,
    *,
    rng: np.random.Generator,
    permutations: int = 9_999,
    alternative: Alternative = "greater",
) -> PermutationTest:
    """Measure and test the phylogenetic signal of one trait.

    Parameters
    ----------
    values : array of float, shape (n,)
        One trait.
    covariance, rng, permutations, alternative
        As in `kmult`, of which this is the case of one trait.

    Returns
    -------
    PermutationTest
        K is 1 on average under Brownian motion, and near 0 without signal.

    References
    ----------
    Blomberg, S. P., Garland, T. & Ives, A. R. (2003). Testing for phylogenetic signal in
    comparative data: behavioral traits are more labile. Evolution 57, 717-745.

    Examples
    --------
    >>> covariance = np.array([[3.0, 1, 0], [1, 3, 0], [0, 0, 3]])
    >>> k = blomberg_k([1.0, 2, 4], covariance, permutations=0, rng=np.random.default_rng(1))
    >>> round(k.statistic, 4)
    1.1728
    """
    table = checked_values(values)
    if table.shape[1] != 1:
        raise InputError(
            f"Blomberg's K is for one trait, not {table.shape[1]:,}", remedy="Use kmult."
        )
    test = kmult(table, covariance, rng=rng, permutations=permutations, alternative=alternative)
    return PermutationTest(
        "Blomberg's K",
        test.statistic,
        test.p_value,
        test.n,
        test.null_description,
        alternative,
        test.null,
    )


def kmult(
    values: ArrayLike,
    covariance: ArrayLike,
    *,
    rng: np.random.Generator,
    permutations: int = 9_999,
    scheme: PermutationScheme | None = None,
    alternative: Alternative = "greater",
) -> PermutationTest:
    r"""Measure and test the phylogenetic signal of many traits at once.

    Parameters
    ----------
    values : array of float, shape (n, p)
        Traits, p of any size, or principal coordinates of distances. Scale matters: traits with
        more variance count more.
    covariance : array of float, shape (n, n)
        Phylogenetic covariance: shared path lengths from the root, rows as in `values`.
    rng : numpy.random.Generator
    permutations : int
        Null worlds; 0 gives the statistic alone.
    scheme : PermutationScheme, optional
        Which reorderings of the species are equally likely; all of them when left out.
    alternative : {"greater", "less", "two-sided"}
        "greater" tests for signal.

    Returns
    -------
    PermutationTest
        The statistic is 1 on average under Brownian motion; under 1, relatives are less alike.

    Raises
    ------
    InputError
        When the covariance is singular (species at distance 0) or the values do not vary.

    Notes
    -----
    With :math:`\hat a` the estimated root and :math:`d_i = |y_i - \hat a|`,

    .. math::
        K_{mult} = \frac{\sum_i d_i^2}{\sum_i u_i^2} \Big/
        \frac{\mathrm{tr}(C) - n (1^\top C^{-1} 1)^{-1}}{n - 1}

    where the :math:`u_i` are the distances from the root after the phylogeny is taken out by
    :math:`C^{-1/2}`. For one trait it is Blomberg's K. It depends on the traits through their
    distances alone, so that rotating them changes nothing.

    References
    ----------
    Adams, D. C. (2014). A generalized K statistic for estimating phylogenetic signal from shape
    and other high-dimensional multivariate data. Systematic Biology 63, 685-697, equation 5.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> covariance = np.kron(np.eye(6), [[1.0, 0.9], [0.9, 1.0]])
    >>> looks = np.linalg.cholesky(covariance) @ rng.standard_normal((12, 4))
    >>> test = kmult(looks, covariance, permutations=999, rng=rng)
    >>> round(test.statistic, 2), test.p_value
    (1.11, 0.001)
    """
    table = checked_values(values)
    refuse_unvarying(table)
    n = len(table)
    shared = checked_covariance(covariance, n=n)
    scheme = scheme_for(scheme, n, permutations)
    whitening = Whitening.of(shared)
    half = whitening.rotation / np.sqrt(whitening.variances(1.0))[:, None]
    inverse = half.T @ half
    weights = inverse.sum(axis=0) / inverse.sum()

    # Sums of squares about the root are linear in the squared distances D: with w the weights of
    # the root, sum |y_i - a|^2 = <D, (1 w' + w 1')/2 - n w w'/2>, and likewise after whitening.
    about_root = (weights[:, None] + weights - n * np.outer(weights, weights)) / 2
    whitened = -(inverse - inverse.sum() * np.outer(weights, weights)) / 2
    centred = table - table.mean(axis=0)
    squares = (centred**2).sum(axis=1)
    distances = np.maximum(squares[:, None] + squares - 2 * centred @ centred.T, 0.0)
    np.fill_diagonal(distances, 0.0)
    expected = (np.trace(shared) - n / inverse.sum()) / (n - 1)

    rotated = whitening.rotate(centred)
    residuals = whitening.residuals(rotated, 1.0)
    observed = float(((centred - whitening.root(rotated, 1.0)) ** 2).sum() / (residuals**2).sum())
    sums = permuted_sums(distances, np.stack([about_root, whitened]), scheme, permutations, rng)
    return null_test(
        "Kmult",
        observed / expected,
        sums[:, 0] / sums[:, 1] / expected,
        scheme=scheme,
        alternative=alternative,
    )


@dataclass(frozen=True)
class LambdaFit:
    """Pagel's lambda by maximum likelihood, with an interval and a test against no signal.

    Parameters
    ----------
    value : float
        The estimate, 0 to `upper_bound`.
    low, high : float
        Profile likelihood interval at 95 %.
    log_likelihood, log_likelihood_zero, log_likelihood_one : float
        At the estimate, at 0 (no signal) and at 1 (Brownian motion; NaN when species at distance
        0 make the covariance singular there).
    likelihood_ratio : float
        Twice the gain over lambda = 0, on the scale of a chi-squared variable.
    p_value : float
        Of no signal, one-sided: half the upper tail of chi-squared with one degree of freedom,
        since lambda cannot be below 0. Half of what `phylosig` of the R package phytools prints.
    upper_bound : float
        On an ultrametric tree the largest lambda at which no branch has a negative length, which
        is a little above 1; otherwise 1.
    n, n_traits : int
    rates : {"full", "isotropic"}
    """

    value: float
    low: float
    high: float
    log_likelihood: float
    log_likelihood_zero: float
    log_likelihood_one: float
    likelihood_ratio: float
    p_value: float
    upper_bound: float
    n: int
    n_traits: int
    rates: Rates


def pagel_lambda(values: ArrayLike, covariance: ArrayLike, *, rates: Rates = "full") -> LambdaFit:
    r"""Fit one Pagel's lambda to one or several traits.

    Parameters
    ----------
    values : array of float, shape (n,) or (n, p)
        Traits.
    covariance : array of float, shape (n, n)
        Phylogenetic covariance C: shared path lengths from the root, rows as in `values`.
    rates : {"full", "isotropic"}
        "full" estimates the covariance matrix of the rates, which needs fewer traits than species
        minus one and does not change when traits are scaled or mixed. "isotropic" has one rate
        for all axes, takes any number of traits, and does not change when they are rotated.

    Returns
    -------
    LambdaFit

    Raises
    ------
    InputError
        When there are too many traits for "full", or they depend on each other linearly.

    Notes
    -----
    The covariance is :math:`\lambda C + (1 - \lambda)\,\mathrm{diag}(C)`. Root and rates are
    profiled out, and one eigendecomposition serves every lambda. The likelihood, which can have
    several maxima, is searched on a grid of 101 values and refined around the best.

    Unequal rates make an isotropic likelihood overstate its evidence by the factor
    p / d, with d the effective number of dimensions of the rates (`dimensions`), because
    it counts p independent traits; likelihood ratio, p-value and interval are scaled by d / p.

    References
    ----------
    Pagel, M. (1999). Inferring the historical patterns of biological evolution. Nature 401,
    877-884.
    Freckleton, R. P., Harvey, P. H. & Pagel, M. (2002). Phylogenetic analysis and comparative
    data: a test and review of evidence. American Naturalist 160, 712-726.
    Self, S. G. & Liang, K.-Y. (1987). Asymptotic properties of maximum likelihood estimators and
    likelihood ratio tests under nonstandard conditions. Journal of the American Statistical
    Association 82, 605-610.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> covariance = np.kron(np.eye(20), [[1.0, 0.9], [0.9, 1.0]])
    >>> looks = np.linalg.cholesky(covariance) @ rng.standard_normal((40, 2))
    >>> fit = pagel_lambda(looks, covariance)
    >>> round(fit.value, 2), fit.p_value < 0.001
    (1.01, True)
    """
    if rates not in ("full", "isotropic"):
        raise UsageError(f"rates must be 'full' or 'isotropic', not {rates!r}.")
    table = checked_values(values)
    refuse_unvarying(table)
    n, p = table.shape
    shared = checked_covariance(covariance, n=n)
    if rates == "full" and p >= n - 1:
        raise InputError(
            f"a full rate matrix of {p:,} traits cannot be estimated from {n:,} species",
            remedy="Use rates='isotropic', or fewer principal components.",
        )
    centred = table - table.mean(axis=0)
    if rates == "full":
        _refuse_repetition(centred)
    whitening = Whitening.of(shared)
    profile = _Profile(whitening, whitening.rotate(centred), rates)
    upper = _upper_bound(shared)
    value, best = _maximise(profile, upper)
    weight = profile.evidence(value)
    at_zero = profile(0.0)
    ratio = max(0.0, 2 * weight * (best - at_zero))
    low, high = _interval(profile, value, best - chi2.ppf(0.95, 1) / 2 / weight, upper)
    return LambdaFit(
        value=value,
        low=low,
        high=high,
        log_likelihood=best,
        log_likelihood_zero=at_zero,
        log_likelihood_one=profile(1.0) if upper >= 1 else float("nan"),
        likelihood_ratio=ratio,
        p_value=float(chi2.sf(ratio, 1) / 2) if ratio > 0 else 1.0,
        upper_bound=upper,
        n=n,
        n_traits=p,
        rates=rates,
    )


@dataclass(frozen=True, eq=False)
class _Profile:
    """The log-likelihood of lambda with root and rates at their best."""

    whitening: Whitening
    rotated: FloatArray
    rates: Rates

    def __call__(self, signal: float) -> float:
        n, p = self.rotated.shape
        residuals = self.whitening.residuals(self.rotated, signal)
        if self.rates == "full":
            log_rates = float(np.linalg.slogdet(residuals.T @ residuals / n)[1])
        else:
            log_rates = p * float(np.log((residuals**2).sum() / (n * p)))
        determinant = p * self.whitening.log_determinant(signal)
        constant = n * p * (math.log(2 * math.pi) + 1)
        return float(-0.5 * (constant + n * log_rates + determinant))

    def evidence(self, signal: float) -> float:
        """Return by how much differences of the likelihood must be scaled to be one's."""
        n, p = self.rotated.shape
        if self.rates == "full" or p == 1:
            return 1.0
        residuals = self.whitening.residuals(self.rotated, signal)
        # The spectrum is the same either way round; the smaller product is cheaper.
        products = residuals.T @ residuals if p < n else residuals @ residuals.T
        products /= n - 1
        dimensions = wishart_dimensions(
            float(np.trace(products)), float((products**2).sum()), n - 1
        )
        return float(min(dimensions, p) / p)


def _refuse_repetition(values: FloatArray) -> None:
    """Refuse traits that a full rate matrix cannot hold."""
    # Units must not decide whether a trait counts as a repetition of others.
    lengths = np.linalg.norm(values, axis=0)
    spread = np.linalg.svd(values / np.maximum(lengths, 1e-300), compute_uv=False)
    if spread[-1] <= 1e-10 * spread[0]:
        raise InputError(
            "traits that are constant or follow from each other have no full rate matrix",
            remedy="Use rates='isotropic', or leave out the traits that repeat others.",
        )


def _upper_bound(covariance: FloatArray) -> float:
    """Return the largest lambda worth a look: beyond 1 only where all tips are equally deep."""
    depth = np.diagonal(covariance)
    if np.ptp(depth) > 1e-8 * depth.max():
        return 1.0
    apart = covariance.copy()
    np.fill_diagonal(apart, 0.0)
    deepest = float(apart.max())
    # At the bound itself the youngest sisters coincide and the covariance is singular.
    return float(depth.max()) / deepest * (1 - 1e-9) if deepest > 0 else 1.0


def _maximise(profile: _Profile, upper: float) -> tuple[float, float]:
    """Return the best lambda and its log-likelihood."""
    grid = np.linspace(0, upper, 101)
    heights = np.array([profile(value) for value in grid])
    best = int(heights.argmax())
    low, high = grid[max(best - 1, 0)], grid[min(best + 1, 100)]
    refined = minimize_scalar(
        lambda value: -profile(value), bounds=(low, high), method="bounded",
        options={"xatol": 1e-10},
    )  # fmt: skip
    if -refined.fun > heights[best]:
        return float(refined.x), -float(refined.fun)
    return float(grid[best]), float(heights[best])


def _interval(profile: _Profile, value: float, height: float, upper: float) -> tuple[float, float]:
    """Return where the likelihood crosses `height` on both sides, or the end of the range."""

    def above(signal: float) -> float:
        return profile(signal) - height

    low = 0.0 if above(0.0) >= 0 else float(brentq(above, 0.0, value))
    high = upper if above(upper) >= 0 else float(brentq(above, value, upper))
    return low, high
