"""The tested part of the study `seqdist`: each step turns predictors into rows of ``metrics.csv``.

The scores themselves are in `seqdist_scores`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
import pandas as pd

from kinlens.geometry.dendrogram import similarity_of
from kinlens.geometry.edit import edit_distances
from kinlens.geometry.packing import pack_sequences
from kinlens.geometry.retrieval import Hits, VectorIndex, exact_hits, rerank
from kinlens.models.relaxed_dasgupta import RelaxedDasgupta
from kinlens.parallel import Resources
from kinlens.records.result import metric_row
from kinlens.records.tree import Tree
from kinlens.rng import RandomStreams
from kinlens.studies.seqdist_fits import TrainedNetwork
from kinlens.studies.seqdist_model import METRIC_OF, Shortlister, words_shortlister
from kinlens.studies.seqdist_predictors import Predictor, mean_predictor, network_predictor
from kinlens.studies.seqdist_scores import (
    ClusterScores,
    Judged,
    joined_tree,
    judge_pairs,
    score_top,
    score_tree,
    shuffled_errors,
)
from kinlens.studies.seqdist_task import RelativesSplit, Task
from kinlens.typing import AnyArray, IntArray

__all__ = [
    "Clustered",
    "Found",
    "ResultsConfig",
    "cluster_results",
    "curve_results",
    "pair_results",
    "retrieval_results",
]

_TOPS = (1, 5, 10)
# Longer vectors of word counts would make an index slow.
_MOST_WORDS = 4096
# Free dimensions of the relaxed objective: two can be drawn, eight cost less.
_RELAXED = (2, 8)

Row = dict[str, object]


class ResultsConfig(Protocol):
    """The settings of scoring."""

    kmers: tuple[int, ...]
    shortlist: int
    cluster_most: int
    cluster_epochs: int
    replicates: int
    permutations: int


@dataclass(frozen=True, eq=False)
class Found:
    """What retrieval by the chosen network found.

    Parameters
    ----------
    hits : Hits
        By the network's vectors alone; columns are places in the references of the task.
    shortlist_by : str
        What made the shortlist: of the network and words, what found most in validation.
    reranked : Hits
        After exact distances of the shortlist.
    seconds, exact_seconds : float
        For all queries: by network, shortlist and exact re-ranking; and by exhaustive comparison.
    """

    hits: Hits
    shortlist_by: str
    reranked: Hits
    seconds: float
    exact_seconds: float


@dataclass(frozen=True, eq=False)
class Clustered:
    """The sequences that were clustered.

    Parameters
    ----------
    rows : array of int
        Rows of the task.
    reference : Tree
        Average linkage on exact distances.
    disk : RelaxedDasgupta
        Two-dimensional, for drawing.
    """

    rows: IntArray
    reference: Tree
    disk: RelaxedDasgupta


def pair_results(
    task: Task,
    predictors: Sequence[Predictor],
    config: ResultsConfig,
    streams: RandomStreams,
    *,
    selected: str,
) -> tuple[list[Row], dict[str, Judged]]:
    """Judge every predictor on the pairs of the random split's test part.

    Parameters
    ----------
    task : Task
        The sequences.
    predictors : sequence of Predictor
        The first one predicts the mean.
    config : ResultsConfig
        Replicates and permutations.
    streams : RandomStreams
        Intervals and nulls.
    selected : str
        The network that validation chose.
    """
    test = task.split.test
    exact = task.exact(test, test)
    mean = float(predictors[0](test[:1], test[:1])[0, 0])
    rows: list[Row] = []
    judged = {}
    for predictor in predictors:
        part = judged[predictor.name] = Judged(predictor(test, test), exact, mean)
        # Every predictor is resampled alike, so that intervals can be compared.
        estimates = judge_pairs(
            [part],
            unit=task.unit,
            rng=streams.generator("bootstrap"),
            replicates=config.replicates,
        )
        null_mean, p_value = shuffled_errors(
            part,
            unit=task.unit,
            rng=streams.generator("null", predictor.name),
            permutations=config.permutations,
        )
        for metric in estimates.names:
            if metric == "skill" and predictor.name == "mean":
                continue
            value, low, high = estimates[metric]
            has_null = metric == "percent_rmse" and predictor.name != "mean"
            rows.append(
                metric_row(
                    "seqdist",
                    target="edit_distance",
                    model=predictor.name,
                    metric=metric,
                    value=value,
                    low=low,
                    high=high,
                    split="random",
                    selected=predictor.name == selected,
                    null_mean=null_mean if has_null else None,
                    p_value=p_value if has_null else None,
                    n=len(test),
                    seed=streams.seed,
                )
            )
    return rows, judged


def retrieval_results(
    task: Task,
    predictors: Sequence[Predictor],
    embedder: Any,
    config: ResultsConfig,
    streams: RandomStreams,
    resources: Resources,
    *,
    selected: str,
) -> tuple[list[Row], Found]:
    """Search every test sequence among the others, by vectors alone and with exact re-ranking.

    Parameters
    ----------
    task : Task
        The sequences.
    predictors : sequence of Predictor
        All but the mean are asked.
    embedder : NeuralDistanceEmbedder
        The chosen network, for the shortlist.
    config : ResultsConfig
        Length of the shortlist.
    streams : RandomStreams
        Nulls.
    resources : Resources
        How many threads compare.
    selected : str
        Name of the chosen network.
    """
    test, references = task.split.test, task.references
    exact = task.exact(test, references)
    answers = {
        predictor.name: exact_hits(predictor(test, references), max(_TOPS))
        for predictor in predictors
        if predictor.name != "mean"
    }
    shortlister = _shortlister(task, predictors, embedder, config, selected=selected)
    found = _found(task, shortlister, answers[selected], config, resources)
    answers["reranked"] = found.reranked
    rows = []
    for name, hits in answers.items():
        for count in _TOPS:
            score = score_top(hits, exact, count, rng=streams.generator("chance", name, count))
            rows.append(
                metric_row(
                    "seqdist",
                    target="retrieval",
                    model=name,
                    metric=f"top_{count}",
                    value=score.value,
                    low=score.low,
                    high=score.high,
                    split="random",
                    selected=name == selected,
                    null_mean=score.null_mean,
                    p_value=score.p_value,
                    n=len(test),
                    seed=streams.seed,
                )
            )
    return rows, found


def _shortlister(
    task: Task,
    predictors: Sequence[Predictor],
    embedder: Any,
    config: ResultsConfig,
    *,
    selected: str,
) -> Shortlister:
    """Choose what makes shortlists: what finds most nearest ones of validation sequences."""
    candidates = {
        selected: lambda: Shortlister(selected, METRIC_OF[embedder.geometry], embedder.transform)
    }
    for k in config.kmers:
        if len(task.word_letters) ** k <= _MOST_WORDS:
            candidates[f"{k}mer-cosine"] = partial(words_shortlister, k, task.word_letters)
    queries, references = task.split.validation, task.split.train
    exact = task.exact(queries, references)
    nearest = exact.min(axis=1, keepdims=True)
    share = {}
    for predictor in predictors:
        if predictor.name in candidates:
            rows = exact_hits(predictor(queries, references), max(_TOPS)).rows
            share[predictor.name] = (
                (np.take_along_axis(exact, rows, 1) == nearest).any(axis=1).mean()
            )
    # Of equals the first, which is the network, then the shortest words.
    return candidates[max(candidates, key=lambda name: share[name])]()


def _found(
    task: Task,
    by: Shortlister,
    hits: Hits,
    config: ResultsConfig,
    resources: Resources,
) -> Found:
    test, references = task.split.test, task.references
    texts = [task.sequences.sequences[row] for row in test]
    packed = pack_sequences(task.sequences.sequences)
    queries, others = packed.take(test), packed.take(references)
    index = VectorIndex(by.embed([task.sequences.sequences[row] for row in references]), by.metric)
    index.nearest(by.embed(texts[:1]), 1)
    # Compiled code is loaded and caches are warm before either search is timed.
    rerank(queries.take([0]), others, np.zeros((1, 1), dtype=np.int64))
    edit_distances(queries.take([0]), others)
    start = time.perf_counter()
    listed = index.nearest(by.embed(texts), config.shortlist).rows
    reranked = rerank(queries, others, listed, count=max(_TOPS), threads=resources.workers)
    seconds = time.perf_counter() - start
    start = time.perf_counter()
    edit_distances(queries, others, threads=resources.workers)
    return Found(hits, by.name, reranked, seconds, time.perf_counter() - start)


def cluster_results(
    task: Task,
    predictors: Sequence[Predictor],
    config: ResultsConfig,
    streams: RandomStreams,
    resources: Resources,
    *,
    selected: str,
) -> tuple[list[Row], Clustered]:
    """Cluster test sequences by predicted distances, and compare with clustering by exact ones.

    Parameters
    ----------
    task : Task
        The sequences.
    predictors : sequence of Predictor
        All but the mean cluster.
    config : ResultsConfig
        How many sequences at the most.
    streams : RandomStreams
        Which sequences; intervals and nulls.
    resources : Resources
        Who watches.
    selected : str
        Name of the chosen network, whose distances are joined by neighbour joining, too.
    """
    order = streams.generator("clustered").permutation(task.split.test)
    rows = np.sort(order[: config.cluster_most])
    names = [task.sequences.ids[row] for row in rows]
    exact = task.exact(rows, rows).astype(np.float64)
    reference = joined_tree(exact, names, method="average")
    trees = {
        p.name: joined_tree(p(rows, rows), names, method="average")
        for p in predictors
        if p.name != "mean"
    }
    scores = {
        name: score_tree(tree, reference, exact, names, streams.generator("halves", name))
        for name, tree in trees.items()
    }
    chosen = next(p for p in predictors if p.name == selected)
    joined: dict[str, AnyArray] = {"": exact, f"{selected}-": chosen(rows, rows)}
    exact_joined = joined_tree(exact, names, method="neighbour_joining")
    for prefix, distances in joined.items():
        name = f"{prefix}neighbour-joining" if prefix else "exact-neighbour-joining"
        tree = joined_tree(distances, names, method="neighbour_joining")
        against = exact_joined if prefix else reference
        scores[name] = _with_cost_of(
            score_tree(tree, reference, exact, names, streams.generator("halves", name)),
            score_tree(tree, against, exact, names, streams.generator("halves", name)),
        )
    relaxed = {}
    for dimensions in _RELAXED:
        name = f"relaxed-{dimensions}d"
        relaxed[dimensions] = RelaxedDasgupta(
            dimensions, epochs=config.cluster_epochs, random_state=streams.integer(name)
        ).fit(similarity_of(exact), progress=resources.progress)
        tree = relaxed[dimensions].tree(names)
        scores[name] = score_tree(tree, reference, exact, names, streams.generator("halves", name))
    found = [
        row
        for name, score in scores.items()
        for row in _cluster_rows(
            name, score, n=len(rows), selected=name == selected, seed=streams.seed
        )
    ]
    return found, Clustered(rows, reference, relaxed[2])


def _with_cost_of(cost: ClusterScores, shape: ClusterScores) -> ClusterScores:
    """Take the cost from one comparison and the shape from another."""
    return ClusterScores(
        cost.dasgupta_ratio,
        shape.robinson_foulds,
        cost.null_ratio,
        shape.null_foulds,
        cost.p_value,
    )


def _cluster_rows(
    name: str, score: ClusterScores, *, n: int, selected: bool, seed: int
) -> list[Row]:
    values = (
        ("dasgupta_ratio", score.dasgupta_ratio, score.null_ratio, score.p_value),
        ("robinson_foulds", score.robinson_foulds, score.null_foulds, None),
    )
    return [
        metric_row(
            "seqdist",
            target="clustering",
            model=name,
            metric=metric,
            value=value,
            low=low,
            high=high,
            split="random",
            selected=selected,
            null_mean=null,
            p_value=p_value,
            n=n,
            seed=seed,
        )
        for metric, (value, low, high), null, p_value in values
    ]


def curve_results(
    task: Task,
    curve: Sequence[tuple[RelativesSplit, TrainedNetwork]],
    config: ResultsConfig,
    streams: RandomStreams,
    resources: Resources,
    *,
    selected: str,
) -> tuple[list[Row], pd.DataFrame]:
    """Judge networks that have not seen the relatives of the tested sequences.

    Parameters
    ----------
    task : Task
        The sequences.
    curve : sequence of (RelativesSplit, TrainedNetwork)
        One network a depth and repeat.
    config : ResultsConfig
        Replicates.
    streams : RandomStreams
        Intervals.
    resources : Resources
        The device.
    selected : str
        Name of the kind of network.

    Returns
    -------
    (list of dict, pandas.DataFrame)
        Rows of ``metrics.csv``, and the curve with one row a draw and one ("all") a depth.
    """
    parts: dict[int, list[tuple[RelativesSplit, Judged]]] = {}
    for split, network in curve:
        model = network_predictor(selected, network.embedder(device=resources.device), task)
        exact = task.exact(split.test, split.test)
        mean = float(mean_predictor(task, split.train)(split.test[:1], split.test[:1])[0, 0])
        judged = Judged(model(split.test, split.test), exact, mean)
        parts.setdefault(split.depth, []).append((split, judged))
    rows: list[Row] = []
    table = []
    for depth, found in parts.items():
        draws: list[tuple[str, list[tuple[RelativesSplit, Judged]]]] = [
            (str(split.repeat), [(split, judged)]) for split, judged in found
        ]
        for repeat, members in [*draws, ("all", found)]:
            judged_parts = [judged for _, judged in members]
            estimates = judge_pairs(
                judged_parts,
                unit=task.unit,
                rng=streams.generator("bootstrap", "relatives", depth),
                replicates=config.replicates,
            )
            value, low, high = estimates["percent_rmse"]
            table.append(
                {
                    "depth": depth,
                    "repeat": repeat,
                    "value": value,
                    "low": low,
                    "high": high,
                    "mean": _mean_error(judged_parts, task.unit),
                    "skill": estimates["skill"][0],
                    "n": estimates.n_groups,
                    "n_train": int(np.mean([len(split.train) for split, _ in members])),
                }
            )
        for metric in estimates.names:
            value, low, high = estimates[metric]
            rows.append(
                metric_row(
                    "seqdist",
                    target="edit_distance",
                    model=selected,
                    metric=metric,
                    value=value,
                    low=low,
                    high=high,
                    split=f"cluster_{depth}",
                    selected=True,
                    n=estimates.n_groups,
                    seed=streams.seed,
                )
            )
        rows.append(
            metric_row(
                "seqdist",
                target="edit_distance",
                model="mean",
                metric="percent_rmse",
                value=_mean_error(judged_parts, task.unit),
                split=f"cluster_{depth}",
                n=estimates.n_groups,
                seed=streams.seed,
            )
        )
    return rows, pd.DataFrame(table)


def _mean_error(parts: Sequence[Judged], unit: float) -> float:
    square = pairs = 0.0
    for part in parts:
        n = len(part.exact)
        gap = (part.mean - np.asarray(part.exact, np.float64)) ** 2
        square += float(gap.sum() - np.trace(gap))
        pairs += n * (n - 1)
    return 100.0 * float(np.sqrt(square / pairs)) / unit
