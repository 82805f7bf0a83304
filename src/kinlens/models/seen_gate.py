"""Weighing species that were learned from against species that were only told of.

A species without pictures is wide, and a picture that is odd for its own species is less odd for a
wide one: left alone, the wide species take all odd pictures, with great certainty. The gate learns
from held-out pictures how far that evidence can be trusted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_expit, log_softmax, logsumexp

from kinlens.typing import BoolArray, FloatArray, IntArray

__all__ = ["SeenGate", "evidence", "fit_seen_gate", "matched_slope", "tempered"]

# Draws the gate's slope towards the evidence as it is, with the weight of one picture.
_PENALTY = 1e-2


@dataclass(frozen=True)
class SeenGate:
    """How scores become calibrated log probabilities when some species have no pictures.

    The probability that a species with pictures is shown is a logistic function of the difference
    between the best of both sides; within each side scores are `tempered` and scaled by one slope.

    Parameters
    ----------
    seen_slope, unseen_slope : float
        Inverse temperatures within the two sides.
    slope, offset : float
        Of the logistic function.
    """

    seen_slope: float = 1.0
    unseen_slope: float = 1.0
    slope: float = 1.0
    offset: float = 0.0

    def __call__(self, scores: FloatArray, is_seen: BoolArray, oddness: FloatArray) -> FloatArray:
        """Return log probabilities, shape (n, n_classes).

        Parameters
        ----------
        scores : array of float, shape (n, n_classes)
            Log densities.
        is_seen : array of bool, shape (n_classes,)
            Which species were learned from.
        oddness : array of float, shape (n,)
            As for `tempered`.

        Examples
        --------
        >>> gate = SeenGate(slope=0.0)
        >>> scores = np.array([[0.0, 0.0, 500.0]])
        >>> np.exp(gate(scores, np.array([True, True, False]), np.ones(1))).tolist()
        [[0.25, 0.25, 0.5]]
        """
        out = np.empty(scores.shape)
        within = tempered(scores, oddness) * np.where(is_seen, self.seen_slope, self.unseen_slope)
        if is_seen.all() or not is_seen.any():
            return np.asarray(log_softmax(within, axis=1))
        odds = self.slope * evidence(scores, is_seen) + self.offset
        out[:, is_seen] = log_softmax(within[:, is_seen], axis=1)
        out[:, ~is_seen] = log_softmax(within[:, ~is_seen], axis=1)
        out[:, is_seen] += log_expit(odds)[:, None]
        out[:, ~is_seen] += log_expit(-odds)[:, None]
        return out


def tempered(scores: FloatArray, oddness: FloatArray) -> FloatArray:
    r"""Return log densities of each picture divided by :math:`(1 + o) / 2`, its oddness being o.

    A picture in another light or pose is far from every species on all axes, and the differences
    between its log densities grow with its distance; they say no more for that. The divisor is how
    they grow under a multivariate t distribution with as many degrees of freedom as axes, which
    leaves the variance of each picture open. The order of species stays.

    Parameters
    ----------
    scores : array of float, shape (n, n_classes)
        Log densities.
    oddness : array of float, shape (n,)
        Mean squared distance to the nearest species, in variances.

    Examples
    --------
    >>> tempered(np.array([[-4.0, -8.0], [-4.0, -8.0]]), np.array([1.0, 3.0])).tolist()
    [[-4.0, -8.0], [-2.0, -4.0]]
    """
    return np.asarray(2.0 * scores / (1.0 + oddness)[:, None])


def evidence(scores: FloatArray, is_seen: BoolArray) -> FloatArray:
    """Return how much better the best seen species fits than the best unseen one, tempered.

    Differences of log densities over many axes are huge and carry little more for being so; their
    signed logarithm is used.

    Parameters
    ----------
    scores : array of float, shape (n, n_classes)
        Log densities.
    is_seen : array of bool, shape (n_classes,)
        Which species were learned from.
    """
    gap = logsumexp(scores[:, is_seen], axis=1) - logsumexp(scores[:, ~is_seen], axis=1)
    return np.asarray(np.sign(gap) * np.log1p(np.abs(gap)))


def matched_slope(scores: FloatArray, truth: IntArray) -> float:
    """Return the slope at which the mean probability of the answers is the share that is right.

    The likeliest slope is ruled by the few pictures that are odd for every species, whose log
    densities differ by hundreds, and makes all others far too modest.

    Parameters
    ----------
    scores : array of float, shape (n, n_classes)
        Log densities.
    truth : array of int, shape (n,)
        Column of each true species.

    Examples
    --------
    >>> scores = np.log([[0.99, 0.01], [0.99, 0.01], [0.99, 0.01], [0.01, 0.99]])
    >>> slope = matched_slope(scores, np.array([0, 0, 1, 1]))
    >>> round(float(np.exp(log_softmax(slope * scores, axis=1)).max(axis=1).mean()), 2)
    0.75
    """
    right = float((scores.argmax(axis=1) == truth).mean())
    low, high = -12.0, 7.0
    # Confidence grows with the slope, so halving finds it.
    for _ in range(40):
        middle = (low + high) / 2
        sure = np.exp(log_softmax(np.exp(middle) * scores, axis=1)).max(axis=1).mean()
        low, high = (middle, high) if sure < right else (low, middle)
    return float(np.exp((low + high) / 2))


def fit_seen_gate(
    scores: FloatArray,
    truth: IntArray,
    is_seen: BoolArray,
    weights: FloatArray,
    oddness: FloatArray,
) -> SeenGate:
    """Fit the gate on held-out pictures of species of both sides.

    Parameters
    ----------
    scores : array of float, shape (n, n_classes)
        Log densities by a model that did not learn from these pictures.
    truth : array of int, shape (n,)
        Column of each true species.
    is_seen : array of bool, shape (n_classes,)
        Which species that model learned from.
    weights : array of float, shape (n,)
        How much each picture counts in the weighing of the two sides.
    oddness : array of float, shape (n,)
        As for `tempered`.

    Returns
    -------
    SeenGate
        A side without held-out pictures keeps slope 1, and with one side alone the gate is open
        as far as the scores say.
    """
    own_side = is_seen[truth]
    within = tempered(scores, oddness)
    slopes = []
    for side in (True, False):
        rows, columns = own_side == side, is_seen == side
        place = np.cumsum(columns) - 1
        slopes.append(
            matched_slope(within[rows][:, columns], place[truth[rows]])
            if rows.any() and columns.sum() > 1
            else 1.0
        )
    if own_side.all() or not own_side.any():
        return SeenGate(slopes[0], slopes[1])
    gap = evidence(scores, is_seen)
    sign = np.where(own_side, 1.0, -1.0)
    share = weights / weights.sum()

    def loss(parameters: FloatArray) -> float:
        slope, offset = parameters
        fits = -(share * log_expit(sign * (slope * gap + offset))).sum()
        return float(fits + _PENALTY * (slope - 1.0) ** 2)

    slope, offset = minimize(loss, np.array([1.0, 0.0]), method="L-BFGS-B").x
    return SeenGate(slopes[0], slopes[1], float(max(slope, 0.0)), float(offset))
