"""Intervals and p-values by resampling whole specimens, and exact intervals for a proportion.

A statistic here is anything that turns many weightings of the rows into many values at once, so
that a thousand replicates are a few matrix products. Which statistics there are is for
`metrics` and `hierarchy` to say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd
from scipy import stats

from kinlens.errors import UsageError
from kinlens.evaluate.groups import unit_codes
from kinlens.typing import AnyArray, FloatArray, IntArray

__all__ = [
    "Estimates",
    "Statistic",
    "WeightedMeans",
    "bootstrap_weights",
    "cluster_bootstrap",
    "exact_proportion_interval",
    "paired_bootstrap",
    "permutation_p_value",
    "permuted_labels",
]

# Weights of one batch of replicates, in numbers: 32 MB of float64.
_BATCH_NUMBERS = 4_000_000


class Statistic(Protocol):
    """Something that scores the same rows under many weightings."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the k values."""

    def __call__(self, weights: FloatArray) -> FloatArray:
        """Return the values, shape (R, k), under `weights`, shape (R, n_rows), all 0 or more."""


class WeightedMeans:
    """Weighted means of columns; undefined where all weights are 0.

    Parameters
    ----------
    names : sequence of str, length k
        Of the columns.
    values : array, shape (n_rows, k)
        One row for each thing that is weighted.

    Examples
    --------
    >>> share = WeightedMeans(["share"], np.array([[1.0], [0.0], [0.0]]))
    >>> share(np.array([[1.0, 1, 0], [3, 1, 0]])).tolist()
    [[0.5], [0.75]]
    """

    def __init__(self, names: Sequence[str], values: AnyArray) -> None:
        self.names = tuple(names)
        self._values = np.asarray(values, dtype=np.float64)

    def __call__(self, weights: FloatArray) -> FloatArray:
        """Return the means, shape (R, k), under `weights`, shape (R, n_rows)."""
        total = weights.sum(axis=1, keepdims=True)
        means = weights @ self._values / np.where(total > 0, total, 1.0)
        return np.where(total > 0, means, np.nan)


@dataclass(frozen=True, eq=False)
class Estimates:
    """Values with intervals.

    Parameters
    ----------
    names : tuple of str
        What each value is.
    value, low, high : FloatArray of shape (k,)
        The value on the data as they are, and the ends of its interval.
    n_groups : int
        How many independent units were resampled.
    level : float
        Coverage that the interval aims at.
    p_value : FloatArray of shape (k,), optional
        Two-sided, that a difference is zero; only from `paired_bootstrap`.
    """

    names: tuple[str, ...]
    value: FloatArray
    low: FloatArray
    high: FloatArray
    n_groups: int
    level: float = 0.95
    p_value: FloatArray | None = None

    def __getitem__(self, name: str) -> tuple[float, float, float]:
        """Return (value, low, high) of one name."""
        if name not in self.names:
            raise UsageError(f"no estimate {name!r} here, only {', '.join(self.names)}.")
        i = self.names.index(name)
        return float(self.value[i]), float(self.low[i]), float(self.high[i])

    def frame(self) -> pd.DataFrame:
        """Return one row a value: ``metric``, ``value``, ``low``, ``high``, ``n``, ``p_value``."""
        missing = np.full(len(self.names), np.nan)
        return pd.DataFrame(
            {
                "metric": self.names,
                "value": self.value,
                "low": self.low,
                "high": self.high,
                "n": self.n_groups,
                "p_value": missing if self.p_value is None else self.p_value,
            }
        )


def bootstrap_weights(
    groups: Iterable[Any], *, rng: np.random.Generator, n_replicates: int = 1000
) -> Iterator[FloatArray]:
    """Yield, batch by batch, how often each row is drawn when whole groups are drawn.

    Parameters
    ----------
    groups : iterable of length n_rows
        Unit of each row, such as its specimen. Rows that name none are units of their own.
    rng : numpy.random.Generator
        Draws the groups, with replacement, as many as there are.
    n_replicates : int
        How many weightings in all.

    Yields
    ------
    FloatArray of shape (batch, n_rows)
        Counts 0, 1, 2, ...; the same for all rows of a group.
    """
    group_of, n_groups = _units(groups)
    batch = max(1, _BATCH_NUMBERS // max(len(group_of), n_groups, 1))
    for start in range(0, n_replicates, batch):
        size = min(batch, n_replicates - start)
        drawn = rng.integers(n_groups, size=(size, n_groups))
        drawn += n_groups * np.arange(size)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=size * n_groups).reshape(size, n_groups)
        yield counts[:, group_of].astype(np.float64)


def cluster_bootstrap(
    statistic: Statistic,
    groups: Iterable[Any],
    *,
    rng: np.random.Generator,
    n_replicates: int = 1000,
    level: float = 0.95,
    method: str = "percentile",
    shifted: Iterable[str] = (),
) -> Estimates:
    """Give each value of a statistic an interval by resampling whole groups.

    Parameters
    ----------
    statistic : Statistic
        Scores the rows.
    groups : iterable of length n_rows
        Independent unit of each row: specimens, not pictures.
    rng : numpy.random.Generator
        Draws the replicates.
    n_replicates : int
        How many; replicates in which a value is undefined (NaN) are left out of its interval.
    level : float
        Coverage aimed at, between 0 and 1.
    method : ``"percentile"`` or ``"bca"``
        BCa corrects the percentiles for bias and for skewness, which it takes from leaving out
        one group after the other; it is better for means and ratios, and not meant for values
        that resampling itself shifts.
    shifted : iterable of str
        Names of values from 0 to 1 that resampling shifts: a mean over classes, which loses rare
        ones, or the calibration error, to which it adds noise. Both ends of their intervals are
        moved back by the mean shift.

    References
    ----------
    B. Efron and R. J. Tibshirani, An Introduction to the Bootstrap (1993), chapters 10 (bias) and
    14 (BCa).
    """
    _check_level(level)
    rows = list(groups)
    value = statistic(np.ones((1, len(rows))))[0]
    drawn = np.vstack(
        [
            statistic(weights)
            for weights in bootstrap_weights(rows, rng=rng, n_replicates=n_replicates)
        ]
    )
    if method == "percentile":
        tail = np.full((2, value.size), [[(1 - level) / 2], [(1 + level) / 2]])
    elif method == "bca":
        tail = _bca_tails(value, drawn, _leave_one_out(statistic, rows), level)
    else:
        raise UsageError(f"method must be 'percentile' or 'bca', not {method!r}.")
    ends = _quantiles(drawn, tail)
    moved = np.isin(statistic.names, list(shifted)) & np.isfinite(drawn).any(axis=0)
    shift = np.nanmean(drawn[:, moved], axis=0) - value[moved]
    ends[:, moved] = np.clip(ends[:, moved] - shift, 0.0, 1.0)
    low, high = ends
    return Estimates(statistic.names, value, low, high, _units(rows)[1], level)


def paired_bootstrap(
    first: Statistic,
    second: Statistic,
    groups: Iterable[Any],
    *,
    rng: np.random.Generator,
    n_replicates: int = 1000,
    level: float = 0.95,
) -> Estimates:
    """Compare two statistics on the same rows, resampled alike: first minus second.

    Parameters
    ----------
    first, second : Statistic
        With the same names, such as the same metrics of two models' answers.
    groups, rng, n_replicates, level
        As for `cluster_bootstrap`.

    Returns
    -------
    Estimates
        Differences, percentile intervals, and two-sided p-values of no difference: twice the
        smaller share of replicates on either side of zero, with the observed sample counted in.
    """
    _check_level(level)
    if first.names != second.names:
        raise UsageError(f"cannot compare {first.names} with {second.names}.")
    rows = list(groups)
    ones = np.ones((1, len(rows)))
    value = (first(ones) - second(ones))[0]
    drawn = np.vstack(
        [
            first(weights) - second(weights)
            for weights in bootstrap_weights(rows, rng=rng, n_replicates=n_replicates)
        ]
    )
    tail = np.full((2, value.size), [[(1 - level) / 2], [(1 + level) / 2]])
    low, high = _quantiles(drawn, tail)
    known = np.isfinite(drawn).sum(axis=0)
    sides = np.minimum((drawn <= 0).sum(axis=0), (drawn >= 0).sum(axis=0))
    p_value = np.minimum(1.0, 2 * (sides + 1) / (known + 1))
    return Estimates(first.names, value, low, high, _units(rows)[1], level, p_value)


def permuted_labels(
    labels: Sequence[Any] | AnyArray, groups: Iterable[Any], *, rng: np.random.Generator
) -> AnyArray:
    """Shuffle labels among groups: a world in which looks and names have nothing in common.

    All rows of a group get the label of one other group (the label of its first row), so the
    labels stay whole within a specimen and as frequent among specimens as they were.

    Parameters
    ----------
    labels : sequence of length n_rows
        Species, or any other label.
    groups : iterable of length n_rows
        Specimens. Rows that name none are shuffled on their own.

    Examples
    --------
    >>> shuffled = permuted_labels(["a", "a", "b", "c"], [0, 0, 1, 2], rng=np.random.default_rng(1))
    >>> bool(shuffled[0] == shuffled[1]), sorted(shuffled[1:].tolist())
    (True, ['a', 'b', 'c'])
    """
    group_of, n_groups = _units(groups)
    labels = np.asarray(labels)
    if len(labels) != len(group_of):
        raise UsageError(f"{len(labels)} labels for {len(group_of)} rows.")
    _numbers, first_row = np.unique(group_of, return_index=True)
    return labels[first_row][rng.permutation(n_groups)][group_of]


def permutation_p_value(
    observed: float, null: Sequence[float] | FloatArray, *, alternative: str = "greater"
) -> float:
    """Return how often the null did as well as the data, the data themselves counted in.

    ``p = (1 + #{null >= observed}) / (1 + #null)``, which is never zero.

    Parameters
    ----------
    observed : float
        The value on the data.
    null : sequence of float
        Values under the null; undefined ones (NaN) are left out.
    alternative : ``"greater"``, ``"less"`` or ``"two-sided"``
        What would speak against the null. Two-sided is twice the smaller tail, at most 1.

    References
    ----------
    B. Phipson and G. K. Smyth, Statistical Applications in Genetics and Molecular Biology 9
    (2010), article 39.

    Examples
    --------
    >>> permutation_p_value(0.9, [0.1] * 99)
    0.01
    """
    values = np.asarray(null, dtype=np.float64)
    values = values[np.isfinite(values)]
    above = (1 + np.count_nonzero(values >= observed)) / (1 + values.size)
    below = (1 + np.count_nonzero(values <= observed)) / (1 + values.size)
    if alternative == "greater":
        return float(above)
    if alternative == "less":
        return float(below)
    if alternative == "two-sided":
        return float(min(1.0, 2 * min(above, below)))
    raise UsageError(f"alternative must be 'greater', 'less' or 'two-sided', not {alternative!r}.")


def exact_proportion_interval(
    successes: int, trials: int, *, level: float = 0.95
) -> tuple[float, float]:
    """Return the Clopper-Pearson interval of a proportion; (0, 1) when nothing was tried.

    Parameters
    ----------
    successes, trials : int
        Independent ones: count specimens, not pictures.
    level : float
        Coverage, which is held at the least.

    References
    ----------
    C. J. Clopper and E. S. Pearson, Biometrika 26 (1934), 404-413.

    Examples
    --------
    >>> low, high = exact_proportion_interval(0, 10)
    >>> low, round(high, 3)
    (0.0, 0.308)
    """
    _check_level(level)
    if not 0 <= successes <= trials:
        raise UsageError(f"{successes} successes in {trials} trials.")
    if trials == 0:
        return 0.0, 1.0
    tail = (1 - level) / 2
    low = stats.beta.ppf(tail, successes, trials - successes + 1) if successes else 0.0
    high = (
        stats.beta.ppf(1 - tail, successes + 1, trials - successes) if successes < trials else 1.0
    )
    return float(low), float(high)


def _units(groups: Iterable[Any]) -> tuple[IntArray, int]:
    rows = list(groups)
    codes = unit_codes(rows, n_rows=len(rows))
    return codes, int(codes.max(initial=-1)) + 1


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise UsageError(f"level must be between 0 and 1, not {level}.")


def _leave_one_out(statistic: Callable[[FloatArray], FloatArray], rows: list[Any]) -> FloatArray:
    """Return the values without each group in turn, shape (n_groups, k)."""
    group_of, n_groups = _units(rows)
    batch = max(1, _BATCH_NUMBERS // max(len(rows), 1))
    return np.vstack(
        [
            statistic((group_of[None, :] != np.arange(start, stop)[:, None]).astype(np.float64))
            for start in range(0, n_groups, batch)
            for stop in [min(start + batch, n_groups)]
        ]
    )


def _bca_tails(
    value: FloatArray, drawn: FloatArray, left_out: FloatArray, level: float
) -> FloatArray:
    """Return the shares at which to read the replicates, shape (2, k)."""
    # Half of the ties count as below, so that a symmetric discrete statistic has no bias.
    known = np.isfinite(drawn)
    n_known = np.maximum(known.sum(axis=0), 1)
    below = (((drawn < value) + 0.5 * (drawn == value)) * known).sum(axis=0) / n_known
    edge = 0.5 / n_known
    bias = stats.norm.ppf(np.clip(below, edge, 1 - edge))
    deviation = np.nanmean(left_out, axis=0) - left_out
    spread = np.nansum(deviation**2, axis=0) ** 1.5
    acceleration = np.divide(
        np.nansum(deviation**3, axis=0), 6 * spread, out=np.zeros_like(spread), where=spread > 0
    )
    z = stats.norm.ppf([[(1 - level) / 2], [(1 + level) / 2]]) + bias
    return np.asarray(stats.norm.cdf(bias + z / (1 - acceleration * z)))


def _quantiles(drawn: FloatArray, tail: FloatArray) -> FloatArray:
    """Read each column of `drawn` at its own two shares, NaN left out, shape (2, k)."""
    ends = np.full(tail.shape, np.nan)
    for column in range(tail.shape[1]):
        values = drawn[:, column]
        values = values[np.isfinite(values)]
        if values.size:
            ends[:, column] = np.quantile(values, tail[:, column])
    return ends
