"""How the study `seqdist` judges: errors over pairs, nearest sequences found, trees rebuilt.

Intervals resample sequences, never pairs: two pairs that share a sequence are not independent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kinlens.evaluate.resample import (
    Estimates,
    cluster_bootstrap,
    exact_proportion_interval,
    permutation_p_value,
)
from kinlens.geometry.dendrogram import dasgupta_cost, linkage_tree, similarity_of
from kinlens.geometry.neighbour_joining import neighbour_joining
from kinlens.geometry.retrieval import Hits
from kinlens.geometry.topology import normalised_robinson_foulds
from kinlens.records.distances import DistanceMatrix
from kinlens.records.tree import Tree
from kinlens.records.tree_shape import rooted_at_midpoint
from kinlens.typing import AnyArray, Float32Array, FloatArray, IntArray

__all__ = [
    "ClusterScores",
    "Judged",
    "PairErrors",
    "TopScore",
    "joined_tree",
    "judge_pairs",
    "score_top",
    "score_tree",
    "shuffled_errors",
]

# The null needs no more pairs than this many sequences have.
_NULL_MOST = 400
_CHANCE_DRAWS = 999
_SHUFFLES = 49
_HALVES = 60


@dataclass(frozen=True, eq=False)
class Judged:
    """Predicted and exact distances of the tested sequences of one split.

    Parameters
    ----------
    predicted, exact : array of shape (n, n)
        In letters.
    mean : float
        What the mean predictor says for every pair.
    """

    predicted: Float32Array
    exact: AnyArray
    mean: float


class PairErrors:
    r"""Errors over pairs within one or several sets of tested sequences, for any weighting.

    Values: ``percent_rmse``, :math:`100 \sqrt{\mathrm{mean}(p - d)^2}` over the unit;
    ``relative_error``, the mean of :math:`|p - d| / d`; ``skill``, one less the ratio of the RMSE
    to that of predicting the mean.

    Parameters
    ----------
    parts : sequence of Judged
        Pairs are taken within each part.
    unit : float
        Mean length of the sequences.
    """

    names = ("percent_rmse", "relative_error", "skill")

    def __init__(self, parts: Sequence[Judged], *, unit: float) -> None:
        self.unit = unit
        self.errors = [_errors(part) for part in parts]

    @property
    def n_rows(self) -> int:
        """Tested sequences of all parts together."""
        return sum(errors.shape[1] for errors in self.errors)

    def __call__(self, weights: FloatArray) -> FloatArray:
        """Return the three values, shape (R, 3), under `weights`, shape (R, n_rows)."""
        sums, pairs = np.zeros((3, len(weights))), np.zeros(len(weights))
        start = 0
        for errors in self.errors:
            part = weights[:, start : start + errors.shape[1]].astype(np.float32)
            start += errors.shape[1]
            for kind in range(3):
                sums[kind] += np.einsum("ri,ri->r", part @ errors[kind], part)
            # A sequence drawn twice makes no pair with itself.
            pairs += part.sum(axis=1, dtype=np.float64) ** 2 - (part.astype(np.float64) ** 2).sum(1)
        with np.errstate(invalid="ignore", divide="ignore"):
            square, relative, base = sums / pairs
            skill = 1.0 - np.sqrt(square / base)
        return np.stack([100.0 * np.sqrt(square) / self.unit, relative, skill], axis=1)


def _errors(part: Judged) -> Float32Array:
    """Return squared, relative and the mean's squared errors of all pairs; 0 on the diagonal."""
    exact = np.asarray(part.exact, dtype=np.float32)
    gap = part.predicted - exact
    relative = np.abs(gap) / np.where(exact > 0, exact, 1.0)
    errors = np.stack([gap**2, relative, (part.mean - exact) ** 2])
    for kind in range(3):
        np.fill_diagonal(errors[kind], 0.0)
    return np.asarray(errors, dtype=np.float32)


def judge_pairs(
    parts: Sequence[Judged], *, unit: float, rng: np.random.Generator, replicates: int
) -> Estimates:
    """Return the values of `PairErrors` with intervals from resampling sequences.

    Parameters
    ----------
    parts : sequence of Judged
        Pairs are taken within each part.
    unit : float
        Mean length of the sequences.
    replicates : int
        Of the bootstrap.
    """
    statistic = PairErrors(parts, unit=unit)
    return cluster_bootstrap(statistic, range(statistic.n_rows), rng=rng, n_replicates=replicates)


def shuffled_errors(
    part: Judged, *, unit: float, rng: np.random.Generator, permutations: int
) -> tuple[float, float]:
    """Return the mean %RMSE when vectors are shuffled among sequences, and the p-value.

    Parameters
    ----------
    part : Judged
        At most 400 of its sequences are used, drawn at random.
    unit : float
        Mean length of the sequences.
    permutations : int
        How often vectors are shuffled.
    """
    n = min(len(part.exact), _NULL_MOST)
    # Drawn, because files are often sorted by kin.
    rows = np.sort(rng.choice(len(part.exact), n, replace=False))
    exact = np.asarray(part.exact[np.ix_(rows, rows)], dtype=np.float32)
    predicted = part.predicted[np.ix_(rows, rows)]
    np.fill_diagonal(predicted, 0.0)
    pairs = n * (n - 1)

    def percent(order: IntArray) -> float:
        gap = predicted[np.ix_(order, order)] - exact
        return 100.0 * float(np.sqrt((gap**2).sum(dtype=np.float64) / pairs)) / unit

    null = [percent(rng.permutation(n)) for _ in range(permutations)]
    observed = percent(np.arange(n))
    return float(np.mean(null)), permutation_p_value(observed, null, alternative="less")


@dataclass(frozen=True)
class TopScore:
    """How often a nearest sequence is among the first few answers.

    Parameters
    ----------
    value, low, high : float
        Share of queries with its exact 95% interval.
    null_mean, p_value : float
        Share expected of random answers, and the probability that they do as well.
    """

    value: float
    low: float
    high: float
    null_mean: float
    p_value: float


def score_top(hits: Hits, exact: AnyArray, count: int, *, rng: np.random.Generator) -> TopScore:
    """Count the queries for which one of the first `count` answers is as near as any reference.

    Parameters
    ----------
    hits : Hits
        Answers, best first.
    exact : array of shape (queries, references)
        Exact distances.
    count : int
        How many answers count.
    """
    nearest = exact.min(axis=1)
    found = np.take_along_axis(exact, hits.rows[:, :count], axis=1) == nearest[:, None]
    n_found, n = int(found.any(axis=1).sum()), len(exact)
    low, high = exact_proportion_interval(n_found, n)
    ties = (exact == nearest[:, None]).sum(axis=1)
    chance = _chance_of_one(ties, exact.shape[1], count)
    drawn = (rng.random((_CHANCE_DRAWS, n)) < chance).mean(axis=1)
    p_value = permutation_p_value(n_found / n, drawn)
    return TopScore(n_found / n, low, high, float(chance.mean()), p_value)


def _chance_of_one(ties: IntArray, n_references: int, count: int) -> FloatArray:
    """Return the chance that `count` different random answers hold one of `ties`."""
    none = np.ones(len(ties))
    for drawn in range(min(count, n_references)):
        none *= np.clip((n_references - ties - drawn) / (n_references - drawn), 0.0, 1.0)
    return 1.0 - none


@dataclass(frozen=True)
class ClusterScores:
    """How good a hierarchy is.

    Parameters
    ----------
    dasgupta_ratio : (float, float, float)
        Its Dasgupta cost over that of average linkage on exact distances, with its interval.
    robinson_foulds : (float, float, float)
        Share of splits that it does not share with that tree, with its interval.
    null_ratio, null_foulds : float
        Means of the two when the tips are shuffled.
    p_value : float
        The probability of so low a cost with shuffled tips.
    """

    dasgupta_ratio: tuple[float, float, float]
    robinson_foulds: tuple[float, float, float]
    null_ratio: float
    null_foulds: float
    p_value: float


def score_tree(
    tree: Tree, reference: Tree, exact: FloatArray, names: Sequence[str], rng: np.random.Generator
) -> ClusterScores:
    """Compare a hierarchy with the one from exact distances.

    Intervals come from random halves of the tips, to which both trees are pruned; such halves
    spread as much as bootstrap samples do, and hold no tip twice.

    Parameters
    ----------
    tree, reference : Tree
        With the same tips.
    exact : array of shape (n, n)
        Exact distances.
    names : sequence of str, length n
        The tip of each row.
    rng : numpy.random.Generator
        Draws halves and shuffles.
    """
    similarity = similarity_of(exact)
    value = _compared(tree, reference, similarity, names)
    halves = []
    for _ in range(_HALVES if len(names) >= 8 else 0):
        rows = np.sort(rng.permutation(len(names))[: len(names) // 2])
        kept = [names[row] for row in rows]
        part = similarity[np.ix_(rows, rows)]
        halves.append(_compared(tree.prune(kept), reference.prune(kept), part, kept))
    nulls = np.array(
        [_compared(_shuffled(tree, rng), reference, similarity, names) for _ in range(_SHUFFLES)]
    )
    spread = np.array(halves) - np.median(halves, axis=0) if halves else np.zeros((1, 2))
    low, high = np.quantile(spread, [0.025, 0.975], axis=0) + np.array(value)
    # The share of splits ends at 0 and at 1, wherever its interval would.
    return ClusterScores(
        (value[0], float(low[0]), float(high[0])),
        (value[1], max(float(low[1]), 0.0), min(float(high[1]), 1.0)),
        float(nulls[:, 0].mean()),
        float(nulls[:, 1].mean()),
        permutation_p_value(value[0], nulls[:, 0], alternative="less"),
    )


def _compared(
    tree: Tree, reference: Tree, similarity: FloatArray, names: Sequence[str]
) -> tuple[float, float]:
    cost = dasgupta_cost(reference, similarity, names)
    ratio = dasgupta_cost(tree, similarity, names) / cost if cost else 1.0
    return ratio, normalised_robinson_foulds(tree, reference)


def _shuffled(tree: Tree, rng: np.random.Generator) -> Tree:
    names = list(tree.names)
    for node, name in zip(tree.tips, rng.permutation(tree.tip_names), strict=True):
        names[node] = str(name)
    return tree.with_names(names)


def joined_tree(distances: AnyArray, names: Sequence[str], *, method: str) -> Tree:
    """Build a rooted tree: ``"average"`` linkage, or neighbour joining rooted at its midpoint.

    Parameters
    ----------
    distances : array of shape (n, n)
        Predicted or exact; asymmetry by rounding is evened out.
    names : sequence of str
        Tips.
    method : {"average", "neighbour_joining"}
        How.
    """
    even = (np.asarray(distances, np.float64) + np.asarray(distances, np.float64).T) / 2
    np.fill_diagonal(even, 0.0)
    if method == "average":
        return linkage_tree(even, names)
    return rooted_at_midpoint(neighbour_joining(DistanceMatrix.unchecked(names, even)))
