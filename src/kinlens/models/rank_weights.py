"""Distances to the taxa of several ranks, weighed into one distribution over classes.

The discriminants that measure the distances are in `discriminant`; who holds pictures out is
`hierarchy`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import logsumexp

from kinlens.models.lineage import Lineages
from kinlens.typing import FloatArray, IntArray

__all__ = ["RankWeights", "fit_rank_weights"]

# Distances that the weights are fitted on, one head; more pictures would not move the optimum.
_MOST_NUMBERS = 10_000_000


@dataclass(frozen=True, eq=False)
class RankWeights:
    """How the discriminants of the ranks are weighed together.

    A class's log probability is, up to a constant, the sum over ranks of
    ``-sharpness * log(tail + d)``, where d is the squared distance of the picture to the mean
    of the class's taxon at that rank: the log density of Student's t. Pictures far from every
    mean so get flat probabilities, where Gaussian ones would be all too sure.

    Parameters
    ----------
    sharpness, tail : FloatArray of shape (n_heads,)
        One of each for each discriminant; both positive.
    """

    sharpness: FloatArray
    tail: FloatArray

    def scores(self, distances: Sequence[FloatArray]) -> FloatArray:
        """Return log probabilities up to a constant, shape (n, n_classes)."""
        total = np.zeros_like(distances[0])
        for sharpness, tail, squares in zip(self.sharpness, self.tail, distances, strict=True):
            total -= sharpness * np.log(tail + squares)
        return total


def fit_rank_weights(
    distances: Sequence[FloatArray], truth: IntArray, lineages: Lineages, levels: Sequence[int]
) -> RankWeights:
    """Maximise the mean log probability of the truth, averaged over the ranks with a discriminant.

    Parameters
    ----------
    distances : sequence of FloatArray, each of shape (n, n_classes)
        For each discriminant, the squared distance of held-out pictures to each class's taxon.
    truth : IntArray of shape (n,)
        True classes.
    lineages : Lineages
        What is above the classes.
    levels : sequence of int
        The rank of each discriminant, as a position in ``lineages.ranks``.
    """
    step = max(1, distances[0].size // _MOST_NUMBERS)
    distances, truth = [part[::step] for part in distances], truth[::step]
    n_heads = len(distances)
    unit = np.array([max(float(np.median(part.min(axis=1))), 1e-9) for part in distances])
    is_true = [
        lineages.codes[level][None, :] == lineages.codes[level][truth][:, None] for level in levels
    ]

    def loss(parameters: FloatArray) -> tuple[float, FloatArray]:
        weights = RankWeights(np.exp(parameters[:n_heads]), unit * np.exp(parameters[n_heads:]))
        scores = weights.scores(distances)
        everything = logsumexp(scores, axis=1)
        share = np.exp(scores - everything[:, None])
        value, slope = 0.0, np.zeros_like(scores)
        for mask in is_true:
            masked = np.where(mask, scores, -np.inf)
            right = logsumexp(masked, axis=1)
            value += float((everything - right).sum())
            slope += share - np.exp(masked - right[:, None])
        gradient = np.empty(2 * n_heads)
        for head, squares in enumerate(distances):
            sharpness, tail = weights.sharpness[head], weights.tail[head]
            gradient[head] = -sharpness * (slope * np.log(tail + squares)).sum()
            gradient[n_heads + head] = -sharpness * (slope * (tail / (tail + squares))).sum()
        n = len(truth) * len(is_true)
        return value / n, gradient / n

    # Ten degrees of freedom, and a tail that sets in at the usual distance, are near most optima.
    start = np.concatenate([np.full(n_heads, np.log(10.0 / n_heads)), np.zeros(n_heads)])
    bounds = [(-7.0, 7.0)] * (2 * n_heads)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    return RankWeights(np.exp(found[:n_heads]), unit * np.exp(found[n_heads:]))
