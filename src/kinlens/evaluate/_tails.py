"""The share of null worlds that are as extreme as the observed one."""

from __future__ import annotations

from typing import Literal

import numpy as np

from kinlens.errors import UsageError
from kinlens.typing import FloatArray

__all__ = ["Alternative", "tail_share"]

Alternative = Literal["greater", "less", "two-sided"]
"""Which side of the null counts against it."""

# Null values this close to the observed one, as a share of the larger magnitude, are ties.
_TIE = 1e-10


def tail_share(
    statistic: float, null: FloatArray, alternative: Alternative, *, centre: float = 0.0
) -> float:
    """Return the share of worlds, the observed one included, that are as extreme as it is.

    Parameters
    ----------
    statistic : float
        The observed value.
    null : array of float, shape (m,)
        Its values in null worlds. Empty gives NaN.
    alternative : {"greater", "less", "two-sided"}
        Two-sided compares distances from `centre`.
    centre : float
        What the statistic is near when the null hypothesis holds.

    Notes
    -----
    Values within a relative 1e-10 of the observed one are ties and count against it.

    Examples
    --------
    >>> tail_share(0.5, np.array([0.1, 0.5, -0.7]), "greater")
    0.5
    >>> tail_share(0.5, np.array([0.1, 0.5, -0.7]), "two-sided")
    0.75
    """
    if alternative not in ("greater", "less", "two-sided"):
        raise UsageError(
            f"alternative must be 'greater', 'less' or 'two-sided', not {alternative!r}."
        )
    if not len(null):
        return float("nan")
    tolerance = _TIE * max(abs(statistic), float(np.abs(null).max()))
    if alternative == "greater":
        extreme = null >= statistic - tolerance
    elif alternative == "less":
        extreme = null <= statistic + tolerance
    else:
        extreme = np.abs(null - centre) >= abs(statistic - centre) - tolerance
    return (1 + int(np.count_nonzero(extreme))) / (1 + len(null))
