"""From probabilities to answers: a threshold for each label, tuned alike for every model.

Most of what a new model seems to gain over a published one may come from its thresholds; so they
are tuned by this one function or not at all.
"""

from __future__ import annotations

import numpy as np

from kinlens.errors import UsageError
from kinlens.typing import BoolArray, FloatArray

__all__ = ["PUBLISHED_THRESHOLD", "tuned_thresholds"]

PUBLISHED_THRESHOLD = 0.5


def tuned_thresholds(probabilities: FloatArray, truth: BoolArray) -> FloatArray:
    """Find the threshold of each label with the best F1.

    Parameters
    ----------
    probabilities : array of float, shape (n, k)
        Of validation pictures, never of those to be tested.
    truth : array of bool, shape (n, k)
        Which labels hold.

    Returns
    -------
    array of float, shape (k,)
        A label is answered where its probability is the threshold or more. Thresholds lie half way
        between two probabilities; of thresholds that do equally well the middle one is taken. A
        label that holds for none keeps `PUBLISHED_THRESHOLD`. A probability of 0 is never answered:
        it is what a gate says that is shut.

    Examples
    --------
    >>> probabilities = np.array([[0.1], [0.2], [0.3], [0.4]])
    >>> tuned_thresholds(probabilities, np.array([[False], [False], [True], [True]])).round(2)
    array([0.25])
    """
    if probabilities.shape != truth.shape or probabilities.ndim != 2:
        raise UsageError(
            f"probabilities and truth must be of one shape (n, k), not {probabilities.shape} and "
            f"{truth.shape}."
        )
    found = np.full(truth.shape[1], PUBLISHED_THRESHOLD)
    for label in np.flatnonzero(truth.any(axis=0)):
        found[label] = _best(probabilities[:, label], truth[:, label])
    return found


def _best(probability: FloatArray, truth: BoolArray) -> float:
    order = np.argsort(-probability, kind="stable")
    q, held = probability[order], truth[order]
    ends = np.flatnonzero(np.append(np.diff(q) != 0, True))
    hits = np.cumsum(held)[ends]
    f1 = np.where(q[ends] > 0, 2 * hits / (ends + 1 + held.sum()), -1.0)
    if f1.max() <= 0:
        return PUBLISHED_THRESHOLD
    best = np.flatnonzero(f1 >= f1.max() - 1e-12)
    place = ends[best[len(best) // 2]]
    below = q[place + 1] if place + 1 < len(q) else 0.0
    return float((q[place] + below) / 2)
