"""How one base turns into another: the HKY model with rates that differ among sites.

Closed forms only, compiled where `simulate.sequences` calls them once per branch. Insertions and
deletions, which act on whole runs of sites, are in `simulate.sequences`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numba import njit
from scipy.special import gammainc
from scipy.stats import gamma

from kinlens.errors import UsageError
from kinlens.typing import ByteArray, FloatArray

__all__ = ["BASES", "SubstitutionModel", "gamma_rates"]

BASES = np.frombuffer(b"ACGT", dtype=np.uint8)
"""The letter of each base code 0 to 3; codes of one parity are purines (A, G), of the other
pyrimidines (C, T)."""


@dataclass(frozen=True)
class SubstitutionModel:
    """HKY substitutions with discrete-gamma rates among sites.

    Transitions (A-G, C-T) happen `transition_bias` times as readily as transversions, in
    proportion to the frequency of the base that comes. Time is measured in expected
    substitutions per site.

    Parameters
    ----------
    transition_bias : float
        The kappa of the model, more than 0; 1 makes it the model of Felsenstein (1981).
    frequencies : tuple of 4 floats
        Stationary frequencies of A, C, G, T, each more than 0; they must sum to 1.
    rate_shape : float
        The alpha of the gamma distribution of rates among sites, more than 0; small values mean
        that few sites do most of the changing.
    rate_categories : int
        Number of equally likely rates that stand for the gamma distribution; 1 for equal rates.
    rate_patchiness : float
        Probability, from 0 to below 1, that a site simply has the rate of its left neighbour, so
        that conserved and variable regions alternate; 0 for independent sites.

    References
    ----------
    Hasegawa, Kishino & Yano (1985) J. Mol. Evol. 22:160. Yang (1994) J. Mol. Evol. 39:306.
    Felsenstein & Churchill (1996) Mol. Biol. Evol. 13:93, for neighbouring sites.

    Examples
    --------
    >>> SubstitutionModel().transition(0.1, rate=1.0).sum(axis=1).round(12)
    array([1., 1., 1., 1.])
    """

    transition_bias: float = 3.0
    frequencies: tuple[float, float, float, float] = (0.27, 0.22, 0.27, 0.24)
    rate_shape: float = 0.5
    rate_categories: int = 4
    rate_patchiness: float = 0.0

    def __post_init__(self) -> None:
        if len(self.frequencies) != 4 or min(self.frequencies) <= 0:
            raise UsageError(
                f"frequencies must be four numbers above 0 (A, C, G, T), not {self.frequencies}."
            )
        if abs(sum(self.frequencies) - 1) > 1e-9:
            raise UsageError(f"frequencies must sum to 1; these sum to {sum(self.frequencies):g}.")
        if self.transition_bias <= 0 or self.rate_shape <= 0:
            raise UsageError(
                "transition_bias and rate_shape must be above 0, "
                f"not {self.transition_bias:g} and {self.rate_shape:g}."
            )
        if not 0 <= self.rate_patchiness < 1:
            raise UsageError(
                f"rate_patchiness must be at least 0 and below 1, not {self.rate_patchiness:g}."
            )
        if not 1 <= self.rate_categories <= 255:
            raise UsageError(f"rate_categories must be 1 to 255, not {self.rate_categories}.")

    @cached_property
    def rates(self) -> FloatArray:
        """Relative rate of each category, ascending, mean 1; shape (rate_categories,)."""
        return gamma_rates(self.rate_shape, self.rate_categories)

    @cached_property
    def _frequencies(self) -> FloatArray:
        return np.array(self.frequencies)

    def transition(self, time: float, *, rate: float = 1.0) -> FloatArray:
        """Return the probability of each base turning into each other one.

        Parameters
        ----------
        time : float
            Branch length in expected substitutions per site, 0 or more.
        rate : float
            Relative rate of the site.

        Returns
        -------
        array of float, shape (4, 4)
            Row: base at the start; column: base at the end; order A, C, G, T.
        """
        matrix: FloatArray = _transition(time * rate, self.transition_bias, self._frequencies)
        return matrix

    def substitute(
        self, bases: ByteArray, categories: ByteArray, time: float, rng: np.random.Generator
    ) -> ByteArray:
        """Return the base at the end of a branch for each site.

        Parameters
        ----------
        bases, categories : array of uint8, shape (sites,)
            Base code and rate category of each site at the start.
        time : float
            Branch length in expected substitutions per site, 0 or more.
        rng : numpy.random.Generator
            Source of randomness; one number a site is drawn.
        """
        upto = _cumulative(time, self.transition_bias, self._frequencies, self.rates)
        ends: ByteArray = _substitute(bases, categories, rng.random(len(bases)), upto)
        return ends

    def draw_bases(self, count: int, rng: np.random.Generator) -> ByteArray:
        """Draw base codes from the stationary frequencies, shape (count,)."""
        edges = np.cumsum(self.frequencies)[:3]
        return np.searchsorted(edges, rng.random(count), side="right").astype(np.uint8)

    def draw_categories(self, count: int, rng: np.random.Generator) -> ByteArray:
        """Draw the rate category of each of `count` neighbouring sites, shape (count,)."""
        fresh = rng.integers(self.rate_categories, size=count).astype(np.uint8)
        starts = rng.random(count) >= self.rate_patchiness
        starts[:1] = True
        return fresh[np.maximum.accumulate(np.where(starts, np.arange(count), 0))]


def gamma_rates(shape: float, categories: int) -> FloatArray:
    """Return the mean of each of `categories` equally likely slices of a gamma distribution.

    The distribution has mean 1 and variance ``1 / shape``.

    References
    ----------
    Yang (1994) J. Mol. Evol. 39:306, equation 10.

    Examples
    --------
    >>> gamma_rates(0.5, 4).round(4)
    array([0.0334, 0.2519, 0.8203, 2.8944])
    """
    cuts = gamma.ppf(np.arange(1, categories) / categories, shape, scale=1 / shape)
    share_below = np.concatenate([[0.0], gammainc(shape + 1, cuts * shape), [1.0]])
    rates: FloatArray = np.diff(share_below) * categories
    return rates


@njit(cache=True)
def _transition(time: float, bias: float, frequencies: FloatArray) -> FloatArray:
    """Hasegawa, Kishino & Yano (1985), the general solution in their appendix."""
    purines = frequencies[0] + frequencies[2]
    pyrimidines = frequencies[1] + frequencies[3]
    beta = 0.5 / (
        purines * pyrimidines
        + bias * (frequencies[0] * frequencies[2] + frequencies[1] * frequencies[3])
    )
    across = np.exp(-beta * time)
    matrix = np.empty((4, 4))
    for end in range(4):
        group = purines if end % 2 == 0 else pyrimidines
        within = np.exp(-beta * time * (1 + group * (bias - 1)))
        common = frequencies[end] * (1 + (1 / group - 1) * across)
        for start in range(4):
            if start == end:
                matrix[start, end] = common + (1 - frequencies[end] / group) * within
            elif (start - end) % 2 == 0:
                matrix[start, end] = common - frequencies[end] / group * within
            else:
                matrix[start, end] = frequencies[end] * (1 - across)
    return matrix


@njit(cache=True)
def _cumulative(time: float, bias: float, frequencies: FloatArray, rates: FloatArray) -> FloatArray:
    upto = np.empty((len(rates), 4, 3))
    for category in range(len(rates)):
        matrix = _transition(time * rates[category], bias, frequencies)
        for start in range(4):
            upto[category, start, 0] = matrix[start, 0]
            upto[category, start, 1] = upto[category, start, 0] + matrix[start, 1]
            upto[category, start, 2] = upto[category, start, 1] + matrix[start, 2]
    return upto


@njit(cache=True)
def _substitute(
    bases: ByteArray, categories: ByteArray, uniforms: FloatArray, upto: FloatArray
) -> ByteArray:
    ends = np.empty_like(bases)
    for site in range(len(bases)):
        edges = upto[categories[site], bases[site]]
        drawn = uniforms[site]
        ends[site] = (drawn >= edges[0]) + (drawn >= edges[1]) + (drawn >= edges[2])
    return ends
