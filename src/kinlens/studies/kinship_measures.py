"""The numbers of the study `kinship`: correlations with intervals, ceilings and nulls, and tests.

Every correlation is over pairs of species; every interval resamples whole clades.

Everywhere, `task` is what the study works on, `distances` are true distances between species,
`features` their vectors, `folds` the species held out together, `kind` is which of the two kinds
of folds, `nested` the smoothers shared by all folds; `permutations` and `replicates` say how
often to resample, `streams` draw, and `progress` is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy.stats import norm, pearsonr
from statsmodels.stats.multitest import multipletests

from kinlens.evaluate.brownian import brownian_null_test, shrunken_rates
from kinlens.evaluate.ceilings import BrownianCeiling, brownian_ceiling
from kinlens.evaluate.contrasts import distance_lambda, phylogenetic_contrasts
from kinlens.evaluate.dimensions import effective_dimensions
from kinlens.evaluate.groups import group_codes
from kinlens.evaluate.matrices import mantel
from kinlens.evaluate.resample import bootstrap_weights, permutation_p_value
from kinlens.evaluate.signal import kmult, pagel_lambda
from kinlens.evaluate.splits import Split
from kinlens.geometry.patristic import vcv
from kinlens.models.kinship_ridge import NestedSmoothers, correlate, pair_correlation
from kinlens.progress import Task
from kinlens.rng import RandomStreams
from kinlens.studies.kinship_task import KinshipTask, distinct_species
from kinlens.typing import FloatArray, IntArray

__all__ = [
    "Correlation",
    "HeldOut",
    "ceiling_of",
    "clade_interval",
    "clade_pairs",
    "held_out_ridge",
    "matrix_tests",
    "shuffled_correlations",
    "signal_of",
    "visual_distances",
]

# Axes on which looks evolve anew where as many as there are would make every world slow.
_MOST_AXES = 2_000


@dataclass(frozen=True, eq=False)
class Correlation:
    """One correlation of looks with kinship and what it is compared with.

    Parameters
    ----------
    value, low, high : float
        With a 95 % interval from resampling clades.
    ceiling : BrownianCeiling or None
        What Brownian motion allows for the same species and as many dimensions.
    null : array of float
        The same correlation when kinship is dealt out at random; empty when not computed.
    n : int
        Species.
    """

    value: float
    low: float
    high: float
    n: int
    ceiling: BrownianCeiling | None = None
    null: FloatArray = field(default_factory=lambda: np.empty(0))

    @property
    def p_value(self) -> float | None:
        """Share of null worlds that are at least as good; None without a null."""
        return permutation_p_value(self.value, self.null) if len(self.null) else None

    @property
    def null_mean(self) -> float | None:
        """Mean of the null; None without one."""
        known = self.null[np.isfinite(self.null)]
        return float(known.mean()) if len(known) else None


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Predictions for species that were held out, fold by fold.

    Parameters
    ----------
    folds : tuple of Split
    predicted : tuple of array, each (n_test, n_test)
        Distances among the test species of each fold.
    to_training : tuple of array, each (n_test, n_train)
        Distances to the species that were learned from.
    settings : tuple of str
        What inner validation chose in each fold, in words.
    """

    folds: tuple[Split, ...]
    predicted: tuple[FloatArray, ...]
    to_training: tuple[FloatArray, ...]
    settings: tuple[str, ...]

    def matrix(self, n: int) -> FloatArray:
        """Return all predictions as one (n, n) matrix, NaN for pairs of different folds."""
        whole = np.full((n, n), np.nan)
        for fold, predicted in zip(self.folds, self.predicted, strict=True):
            whole[np.ix_(fold.test, fold.test)] = predicted
        return whole

    def correlation(self, distances: FloatArray) -> float:
        """Return the mean over folds of the correlation among test species."""
        each = [
            pair_correlation(predicted, distances[np.ix_(fold.test, fold.test)])
            for fold, predicted in zip(self.folds, self.predicted, strict=True)
        ]
        return _mean(each)

    def training_correlation(self, distances: FloatArray) -> float:
        """Return the mean over folds of the correlation of test with training species.

        NaN when all are equally far, as the two sides of a dated tree's root are.
        """
        each = [
            correlate(found.ravel(), distances[np.ix_(fold.test, fold.train)].ravel())
            for fold, found in zip(self.folds, self.to_training, strict=True)
        ]
        return _mean(each)


def visual_distances(features: FloatArray, kind: str) -> FloatArray:
    """Return distances of looks, ``"euclidean"`` or ``"cosine"``, shape (n, n)."""
    if kind == "cosine":
        length = np.linalg.norm(features, axis=1, keepdims=True)
        features = features / np.where(length > 0, length, 1.0)
        apart = 1.0 - features @ features.T
    else:
        squares = (features**2).sum(axis=1)
        apart = np.sqrt(np.maximum(squares[:, None] + squares - 2 * features @ features.T, 0.0))
    apart = np.maximum((apart + apart.T) / 2, 0.0)
    np.fill_diagonal(apart, 0.0)
    return np.asarray(apart)


def clade_interval(
    blocks: Sequence[tuple[IntArray, FloatArray]],
    distances: FloatArray,
    clades: Sequence[str],
    *,
    rng: np.random.Generator,
    replicates: int,
) -> tuple[float, float]:
    """Return a 95 % percentile interval of a mean correlation by resampling whole clades.

    Parameters
    ----------
    blocks : sequence of (rows, matrix)
        Species of each fold, and distances among them that are correlated with the tree's.
    distances : array of float, shape (n, n)
    clades : sequence of str, length n
    rng : numpy.random.Generator
    replicates : int

    Notes
    -----
    Each drawing of a clade is a clade of its own: a pair within a clade counts as often as the
    clade was drawn, and two drawings of one clade are never paired, which would add close pairs
    that the data do not have.
    """
    numbered = group_codes(clades)
    share = np.eye(len(numbered.names))[numbered.codes]
    folded = [
        _clade_sums(share[rows], matrix, distances[np.ix_(rows, rows)]) for rows, matrix in blocks
    ]
    drawn = []
    for weights in bootstrap_weights(range(len(numbered.names)), rng=rng, n_replicates=replicates):
        stacked = np.stack([_weighted_correlations(weights, sums) for sums in folded])
        known = np.isfinite(stacked)
        total = np.where(known, stacked, 0.0).sum(axis=0)
        drawn.append(np.where(known.any(0), total / np.maximum(known.sum(axis=0), 1), np.nan))
    values = np.concatenate(drawn)
    values = values[np.isfinite(values)]
    if len(values) < 20:
        return float("nan"), float("nan")
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def _clade_sums(share: FloatArray, first: FloatArray, second: FloatArray) -> FloatArray:
    """Sum what a correlation needs over the pairs of each two clades, shape (6, k, k)."""
    apart = ~np.eye(len(first), dtype=bool)
    one = np.where(apart, first - first[apart].mean(), 0.0)
    two = np.where(apart, second - second[apart].mean(), 0.0)
    products = np.stack([apart.astype(np.float64), one, two, one * two, one**2, two**2])
    return np.asarray(share.T @ products @ share)


def _weighted_correlations(weights: FloatArray, sums: FloatArray) -> FloatArray:
    """Correlate over pairs under many weightings of the clades, shape (R,)."""
    inside = np.diagonal(sums, axis1=1, axis2=2)  # (6, k)
    total = np.einsum("rg,sgh,rh->sr", weights, sums, weights, optimize=True)
    total -= inside @ (weights**2 - weights).T
    pairs, one, two, product, one_square, two_square = total
    with np.errstate(invalid="ignore", divide="ignore"):
        covariance = product / pairs - one * two / pairs**2
        spread_one = one_square / pairs - (one / pairs) ** 2
        spread_two = two_square / pairs - (two / pairs) ** 2
        found = covariance / np.sqrt(spread_one * spread_two)
        is_defined = (pairs > 2) & (spread_one > 1e-12) & (spread_two > 1e-12)
    return np.where(is_defined, found, np.nan)


def held_out_ridge(
    nested: Sequence[NestedSmoothers], folds: tuple[Split, ...], distances: FloatArray
) -> HeldOut:
    """Predict distances of the test species of each fold by ridge, settings chosen inside."""
    predicted, to_training, settings = [], [], []
    for each in nested:
        choice = each.choose(distances)
        setting = each.candidates[choice]
        predicted.append(each.predict(distances, choice))
        to_training.append(each.predict_to_training(distances, choice) ** (2 * setting.power))
        settings.append(f"{setting.kernel} kernel, penalty {setting.alpha:g}")
    return HeldOut(folds, tuple(predicted), tuple(to_training), tuple(settings))


def shuffled_correlations(
    nested: Sequence[NestedSmoothers],
    distances: FloatArray,
    *,
    permutations: int,
    rng: np.random.Generator,
    progress: Task | None = None,
) -> FloatArray:
    """Repeat everything, choice of settings included, on trees whose tips are dealt out anew.

    Looks, folds and weights stay; no number of the real tree enters.
    """
    null = np.empty(permutations)
    n = len(distances)
    for world in range(permutations):
        order = rng.permutation(n)
        shuffled = distances[np.ix_(order, order)]
        null[world] = _mean(
            [
                pair_correlation(each.predict(shuffled), shuffled[np.ix_(each.test, each.test)])
                for each in nested
            ]
        )
        if progress is not None:
            progress.advance()
    return null


def matrix_tests(
    task: KinshipTask,
    features: FloatArray,
    *,
    permutations: int,
    streams: RandomStreams,
) -> pd.DataFrame:
    """Test raw looks against the tree in the ways that are published, good and bad.

    Returns
    -------
    pandas.DataFrame
        Columns ``distance test statistic p_value null_mean n counts_as_n remark``.
    """
    rows: list[dict[str, object]] = []
    for kind in ("euclidean", "cosine"):
        looks = visual_distances(features, kind)
        upper = np.triu_indices(task.n, 1)
        if looks[upper].std() == 0:
            continue
        naive = pearsonr(looks[upper], task.distances[upper])
        rows.append(
            {
                "distance": kind,
                "test": "naive",
                "statistic": float(naive.statistic),
                "p_value": float(naive.pvalue),
                "null_mean": 0.0,
                "n": task.n,
                "counts_as_n": len(upper[0]),
                "remark": "not to be believed: pairs are not independent observations",
            }
        )
        test = mantel(
            looks, task.distances, rng=streams.generator("mantel", kind), permutations=permutations
        )
        rows.append(
            {
                "distance": kind,
                "test": "mantel",
                "statistic": test.statistic,
                "p_value": test.p_value,
                "null_mean": test.null_mean,
                "n": test.n,
                "counts_as_n": test.n,
                "remark": "exact when looks have no phylogenetic signal",
            }
        )
        if task.tree is not None and task.tree.height > 0 and kind == "euclidean":
            brownian = brownian_null_test(
                looks,
                task.distances,
                task.tree,
                names=task.species,
                rng=streams.generator("brownian", kind),
                permutations=min(permutations, 999),
                alternative="two-sided",
            )
            rows.append(
                {
                    "distance": kind,
                    "test": "brownian_null",
                    "statistic": brownian.statistic,
                    "p_value": brownian.p_value,
                    "null_mean": brownian.null_mean,
                    "n": brownian.n,
                    "counts_as_n": brownian.n,
                    "remark": "another question: is it more or less than evolution at random on "
                    f"this tree gives (lambda {brownian.first_signal:.2f})",
                }
            )
    return pd.DataFrame(rows)


def ceiling_of(
    task: KinshipTask,
    features: FloatArray,
    blocks: Sequence[IntArray],
    *,
    rng: np.random.Generator,
    replicates: int,
) -> BrownianCeiling | None:
    """Return what Brownian motion allows among the species of each block, averaged over blocks.

    Simulated traits have as many effective dimensions as `features`. None without a tree.
    """
    if task.tree is None:
        return None
    covariance = vcv(task.tree)
    distinct = distinct_species(task.distances)
    if len(distinct) < 4 or not np.ptp(task.distances[np.triu_indices(task.n, 1)]) > 0:
        return None
    dimensions = effective_dimensions(features[distinct], covariance[np.ix_(distinct, distinct)])
    each = []
    for rows in blocks:
        apart = task.distances[np.ix_(rows, rows)][np.triu_indices(len(rows), 1)]
        if len(apart) and np.ptp(apart) > 0:
            each.append(
                brownian_ceiling(
                    covariance[np.ix_(rows, rows)],
                    dimensions=dimensions,
                    rng=rng,
                    replicates=replicates,
                )
            )
    if not each:
        return None
    correlations = np.mean([ceiling.correlations for ceiling in each], axis=0)
    low, high = np.quantile(correlations, [0.025, 0.975])
    return BrownianCeiling(
        float(correlations.mean()), float(low), float(high), task.n, dimensions, correlations
    )


def signal_of(
    task: KinshipTask, features: FloatArray, *, permutations: int, rng: np.random.Generator
) -> dict[str, dict[str, float]]:
    """Return Kmult and lambda of an embedding, each with value, interval or null, and p-value.

    Of species at distance 0 from each other the first is taken. Empty without a tree.
    """
    if task.tree is None:
        return {}
    rows = distinct_species(task.distances)
    if len(rows) < 4:
        return {}
    covariance = vcv(task.tree)[np.ix_(rows, rows)]
    table = features[rows]
    strength = kmult(table, covariance, rng=rng, permutations=permutations)
    fit = pagel_lambda(table, covariance, rates="isotropic")
    return {
        "kmult": {
            "value": strength.statistic,
            "null_mean": strength.null_mean,
            "p_value": strength.p_value,
            "n": len(rows),
        },
        "pagel_lambda": {
            "value": fit.value,
            "low": fit.low,
            "high": fit.high,
            "p_value": fit.p_value,
            "n": len(rows),
        },
    }


def clade_pairs(
    task: KinshipTask, features: FloatArray, *, worlds: int, rng: np.random.Generator
) -> pd.DataFrame:
    """Find clades that look more, or less, alike than their kinship explains.

    Looks evolve anew on the tree, with the rates and the signal (Pagel's lambda) that the real
    ones have. For each pair of clades, and within each clade, the log of the mean distance of
    looks is held against these worlds. Two-sided p-values from the normal distribution of that
    logarithm, false discovery rate by Benjamini and Hochberg.

    Returns
    -------
    pandas.DataFrame
        Columns ``clade other n_species n_other distance_in_tree look_ratio z p_value q_value
        verdict``; `look_ratio` below 1 means more alike than expected. Empty without a tree.
    """
    columns = [
        "clade", "other", "n_species", "n_other", "distance_in_tree", "look_ratio", "z",
        "p_value", "q_value", "verdict",
    ]  # fmt: skip
    names = list(dict.fromkeys(task.clades))
    if task.tree is None or len(names) < 2 or task.n < 8:
        return pd.DataFrame(columns=columns)
    member = np.array([names.index(clade) for clade in task.clades])
    share = np.zeros((len(names), task.n))
    share[member, np.arange(task.n)] = 1.0
    sizes = share.sum(axis=1)
    pairs = np.outer(sizes, sizes) - np.diag(sizes)

    def between(apart: FloatArray) -> FloatArray:
        mean = np.divide(share @ apart @ share.T, pairs, out=np.ones_like(pairs), where=pairs > 0)
        overall = apart.sum() / (task.n * (task.n - 1))
        return np.asarray(np.log(np.maximum(mean / overall, 1e-12)))

    looks = visual_distances(features, "euclidean")
    signal = min(distance_lambda(looks, task.tree, names=task.species), 0.999)
    contrasts = phylogenetic_contrasts(features, task.tree, names=task.species, signal=signal)
    # Rates as they come would add the spread of their own estimation to every world.
    rates, dimensions = shrunken_rates(contrasts @ contrasts.T)
    if dimensions > len(rates):
        n_axes = min(round(dimensions), _MOST_AXES)
        rates = np.full(n_axes, rates.sum() / n_axes)
    covariance = vcv(task.tree)
    covariance = signal * covariance + (1 - signal) * np.diag(np.diagonal(covariance))
    values, vectors = np.linalg.eigh(covariance)
    spread = vectors * np.sqrt(np.maximum(values, 0.0))
    total, total_square = np.zeros_like(pairs), np.zeros_like(pairs)
    for _ in range(worlds):
        steps = rng.standard_normal((task.n, len(rates))) * np.sqrt(rates)
        world = between(visual_distances(spread @ steps, "euclidean"))
        total, total_square = total + world, total_square + world**2
    mean = total / worlds
    deviation = np.sqrt(np.maximum(total_square / worlds - mean**2, 1e-12))
    observed = between(looks)
    z = (observed - mean) / deviation
    kin = np.divide(
        share @ task.distances @ share.T, pairs, out=np.zeros_like(pairs), where=pairs > 0
    )
    one, other = np.triu_indices(len(names))
    kept = pairs[one, other] > 0
    one, other = one[kept], other[kept]
    p_values = 2 * norm.sf(np.abs(z[one, other]))
    q_values = multipletests(p_values, method="fdr_bh")[1] if len(p_values) else p_values
    found = pd.DataFrame(
        {
            "clade": [names[i] for i in one],
            "other": [names[i] for i in other],
            "n_species": sizes[one].astype(int),
            "n_other": sizes[other].astype(int),
            "distance_in_tree": kin[one, other],
            "look_ratio": np.exp(observed - mean)[one, other],
            "z": z[one, other],
            "p_value": p_values,
            "q_value": q_values,
        }
    )
    alike = np.where(found["clade"] == found["other"], "uniform inside", "alike beyond kinship")
    unlike = np.where(found["clade"] == found["other"], "diverse inside", "unlike despite kinship")
    verdict = np.where(found["z"] < 0, alike, unlike)
    found["verdict"] = np.where(found["q_value"] <= 0.05, verdict, "as expected")
    return found.sort_values(["q_value", "p_value"], kind="stable").reset_index(drop=True)[columns]


def _mean(values: Sequence[FloatArray | float]) -> float:
    known = np.asarray(values, dtype=np.float64)
    known = known[np.isfinite(known)]
    return float(known.mean()) if len(known) else float("nan")
