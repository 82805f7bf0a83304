"""What a p-value is worth as the best of thousands: false discovery and family-wise error."""

from __future__ import annotations

import numpy as np
from scipy.stats import false_discovery_control

from kinlens.errors import UsageError
from kinlens.typing import FloatArray

__all__ = ["false_discovery_rates", "family_wise_p_values"]


def false_discovery_rates(p_values: FloatArray) -> FloatArray:
    """Return the Benjamini-Hochberg q-value of each test.

    Parameters
    ----------
    p_values : array of float, shape (n,)
        0 to 1; NaN where nothing was tested, which does not count.

    Returns
    -------
    array of float, shape (n,)
        Of those with q at most 0.05, at most 5% are expected to be false; NaN stays NaN.

    References
    ----------
    Benjamini, Y. & Hochberg, Y. (1995). Controlling the false discovery rate: a practical and
    powerful approach to multiple testing. Journal of the Royal Statistical Society B 57, 289-300.

    Examples
    --------
    >>> false_discovery_rates(np.array([0.01, np.nan, 0.04])).tolist()
    [0.02, nan, 0.04]
    """
    p_values = np.asarray(p_values, dtype=np.float64)
    q_values = np.full(p_values.shape, np.nan)
    tested = ~np.isnan(p_values)
    if tested.any():
        q_values[tested] = false_discovery_control(p_values[tested], method="bh")
    return q_values


def family_wise_p_values(statistics: FloatArray, null_maxima: FloatArray) -> FloatArray:
    """Return how often the best of all tests is as good as each one, where nothing is there.

    Parameters
    ----------
    statistics : array of float, shape (n,)
        On a scale on which all tests have the same null distribution; NaN stays NaN.
    null_maxima : array of float, shape (n_worlds,)
        The largest statistic of each null world (max-T).

    Returns
    -------
    array of float, shape (n,)
        (1 + worlds whose best is at least as large) / (1 + worlds).

    References
    ----------
    Westfall, P. H. & Young, S. S. (1993). Resampling-Based Multiple Testing. Wiley.

    Examples
    --------
    >>> family_wise_p_values(np.array([3.0, 1.5]), np.array([1.0, 2.0, 1.2]))
    array([0.25, 0.5 ])
    """
    maxima = np.sort(np.asarray(null_maxima, dtype=np.float64))
    if not len(maxima):
        raise UsageError("family-wise p-values need at least one null world.")
    statistics = np.asarray(statistics, dtype=np.float64)
    as_good = len(maxima) - np.searchsorted(maxima, statistics, side="left")
    return np.where(np.isnan(statistics), np.nan, (1 + as_good) / (1 + len(maxima)))
