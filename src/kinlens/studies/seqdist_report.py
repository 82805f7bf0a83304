"""What the study `seqdist` hands back: all steps of testing, then tables, figures and words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import pandas as pd

from kinlens.embed.container import to_anndata
from kinlens.geometry.ordination import principal_coordinates
from kinlens.parallel import Resources
from kinlens.records.distances import DistanceMatrix
from kinlens.records.result import FigureRecord, StudyResult, metric_row, metrics_frame
from kinlens.records.slots import SEQUENCE
from kinlens.rng import RandomStreams
from kinlens.studies import seqdist_figures as figures
from kinlens.studies.seqdist_consensus import consensus_results
from kinlens.studies.seqdist_fits import FitJob, TrainedNetwork
from kinlens.studies.seqdist_model import model_record
from kinlens.studies.seqdist_predictors import (
    Predictor,
    mean_predictor,
    network_predictor,
    words_predictors,
)
from kinlens.studies.seqdist_results import (
    Clustered,
    Found,
    ResultsConfig,
    cluster_results,
    curve_results,
    pair_results,
    retrieval_results,
)
from kinlens.studies.seqdist_scores import Judged
from kinlens.studies.seqdist_task import RelativesSplit, Task
from kinlens.studies.seqdist_words import SeqdistFindings, headlines_of, methods_of

__all__ = ["ReportConfig", "report_of"]

_GROUPS_SHOWN = 9
# Coordinates of more sequences than this take long and show no more.
_MOST_ON_MAP = 1500


class ReportConfig(ResultsConfig, Protocol):
    """The settings that testing and words need."""

    epochs: int
    dimensions: int


def report_of(
    title: str,
    task: Task,
    config: ReportConfig,
    streams: RandomStreams,
    resources: Resources,
    *,
    jobs: Sequence[FitJob],
    networks: Sequence[TrainedNetwork],
    best: int,
    curve: Sequence[tuple[RelativesSplit, TrainedNetwork]],
    trials: pd.DataFrame | None,
) -> StudyResult:
    """Test what was trained, and put the result together.

    Parameters
    ----------
    title : str
        Name of the dataset.
    task : Task
        Sequences and splits.
    config : ReportConfig
        Settings.
    streams : RandomStreams
        Intervals and nulls.
    resources : Resources
        Where to work.
    jobs, networks : sequence
        What was trained on the random split, and what came of it.
    best : int
        The place of the network that validation chose.
    curve : sequence of (RelativesSplit, TrainedNetwork)
        Networks that have not seen relatives of the tested sequences.
    trials : pandas.DataFrame, optional
        Of the search for settings.
    """
    selected = jobs[best].name
    embedders = {
        job.name: network.embedder(device=resources.device)
        for job, network in zip(jobs, networks, strict=True)
    }
    predictors = [
        mean_predictor(task, task.split.train),
        *words_predictors(task, task.split.train, kmers=config.kmers),
        *(network_predictor(name, embedder, task) for name, embedder in embedders.items()),
    ]
    pair_rows, judged = pair_results(task, predictors, config, streams, selected=selected)
    search_rows, found = retrieval_results(
        task, predictors, embedders[selected], config, streams, resources, selected=selected
    )
    cluster_rows, clustered = cluster_results(
        task, predictors, config, streams, resources, selected=selected
    )
    middle_rows = consensus_results(task, clustered, predictors, config, streams, selected=selected)
    curve_rows, curve_table = curve_results(
        task, curve, config, streams, resources, selected=selected
    )
    training_rows = [
        row
        for job, network in zip(jobs, networks, strict=True)
        for row in _training_rows(job, network, selected=job.name == selected, seed=streams.seed)
    ]
    times = _times(jobs, networks, found, selected=selected, seed=streams.seed)
    metrics = metrics_frame(
        [*pair_rows, *training_rows, *curve_rows, *search_rows, *cluster_rows, *middle_rows]
    )
    findings = SeqdistFindings(
        title, task, metrics, selected, curve_table, found, config.shortlist, config.epochs,
        config.dimensions, config.replicates, config.permutations,
    )  # fmt: skip
    chosen = next(p for p in predictors if p.name == selected)
    assert chosen.points is not None  # because it is a network
    tables, captions = _tables(jobs, networks, curve_table, trials, times)
    return StudyResult(
        study="seqdist",
        title="Vectors whose distance stands for edit distance",
        headlines=headlines_of(findings),
        metrics=metrics,
        methods=methods_of(findings),
        predictions=_predictions(task, found),
        splits=task.splits_frame(),
        tables=tables,
        table_captions=captions,
        figures=_figures(findings, judged, chosen, clustered),
        embedding=to_anndata(
            chosen.points,
            task.sequences.ids,
            obs=pd.DataFrame({"species": task.sequences.species, "part": task.split.part}),
            provenance={"embedder": selected, "unit": embedders[selected].unit_},
            kind=SEQUENCE.name,
        ),
        distances=DistanceMatrix(
            tuple(task.sequences.ids[row] for row in clustered.rows),
            task.exact(clustered.rows, clustered.rows).astype(np.float64),
        ),
        model=model_record(
            {"config": networks[best].config, "arrays": networks[best].arrays},
            task.sequences,
            np.asarray(chosen.points),
            shortlist_by=found.shortlist_by,
            word_letters=task.word_letters,
        ),
    )


def _training_rows(
    job: FitJob, network: TrainedNetwork, *, selected: bool, seed: int
) -> list[dict[str, object]]:
    return [
        metric_row(
            "seqdist",
            target="edit_distance",
            model=job.name,
            metric="validation_percent_rmse",
            value=network.validation_rmse,
            split="random",
            selected=selected,
            n=len(job.validation),
            seed=seed,
        )
    ]


def _times(
    jobs: Sequence[FitJob],
    networks: Sequence[TrainedNetwork],
    found: Found,
    *,
    selected: str,
    seed: int,
) -> pd.DataFrame:
    """Return what was timed, in the columns of ``metrics.csv``, which must not hold it."""
    rows = [
        metric_row(
            "seqdist",
            target="edit_distance",
            model=job.name,
            metric="train_cpu_s",
            value=network.cpu_seconds,
            split="random",
            selected=job.name == selected,
            n=len(job.train),
            seed=seed,
        )
        for job, network in zip(jobs, networks, strict=True)
    ]
    searched = {
        "search_s": found.seconds,
        "exhaustive_search_s": found.exact_seconds,
        "search_time_ratio": found.seconds / max(found.exact_seconds, 1e-9),
    }
    rows += [
        metric_row(
            "seqdist",
            target="retrieval",
            model="reranked",
            metric=metric,
            value=value,
            split="random",
            n=len(found.hits.rows),
            seed=seed,
        )
        for metric, value in searched.items()
    ]
    return metrics_frame(rows)


def _predictions(task: Task, found: Found) -> pd.DataFrame:
    """Return one row a test sequence: what is nearest, and what was found."""
    ids = np.array(task.sequences.ids, dtype=object)
    test, references = task.split.test, task.references
    exact = task.exact(test, references)
    by_vectors = found.hits.rows[:, 0]
    return pd.DataFrame(
        {
            "id": ids[test],
            "nearest_by_vectors": ids[references[by_vectors]],
            "edit_distance_by_vectors": np.take_along_axis(exact, by_vectors[:, None], 1)[:, 0],
            "nearest_reranked": ids[references[found.reranked.rows[:, 0]]],
            "edit_distance_reranked": found.reranked.distances[:, 0],
            "least_edit_distance": exact.min(axis=1),
        }
    )


def _tables(
    jobs: Sequence[FitJob],
    networks: Sequence[TrainedNetwork],
    curve: pd.DataFrame,
    trials: pd.DataFrame | None,
    times: pd.DataFrame,
) -> tuple[Mapping[str, pd.DataFrame], Mapping[str, str]]:
    history = pd.concat(
        [
            network.history.drop(columns="cpu_seconds").assign(model=job.name)
            for job, network in zip(jobs, networks, strict=True)
        ],
        ignore_index=True,
    )
    tables = {"training": history[["model", *history.columns.drop("model")]]}
    captions = {
        "training": "Training by epoch: loss, and root mean square error on validation sequences, "
        "as a share of their mean length."
    }
    if len(curve):
        tables["relatives"] = curve
        captions["relatives"] = (
            "Error when the 2^depth nearest relatives of tested sequences were kept out of "
            "training, by draw and for all draws together."
        )
    if trials is not None:
        tables["search"] = trials
        captions["search"] = "Settings tried, judged by validation sequences alone."
    tables["times"] = times
    captions["times"] = (
        "Processor seconds of training, and seconds of searching all test sequences by vectors "
        "with exact re-ranking beside comparing them with everything. The same run takes other "
        "times elsewhere, so that none of them stands in metrics.csv."
    )
    return tables, captions


def _figures(
    findings: SeqdistFindings,
    judged: Mapping[str, Judged],
    chosen: Predictor,
    clustered: Clustered,
) -> tuple[FigureRecord, ...]:
    task, n = findings.task, len(findings.task.split.test)
    rival = findings.best_rival()
    shown = [findings.selected, *([rival] if rival else [])]
    drawn = [
        figures.predicted_figure(
            {name: judged[name] for name in shown},
            {name: findings.error(name) for name in shown},
            n=n,
            unit=task.unit,
        ),
        figures.error_figure(findings.metrics, n=n),
    ]
    if len(findings.curve):
        drawn.append(figures.relatives_figure(findings.curve, mean_error=findings.error("mean")))
    drawn.append(figures.retrieval_figure(findings.metrics, n=n, n_references=len(task.references)))
    names = [task.sequences.ids[row] for row in clustered.rows]
    species = [task.sequences.species[row] or "" for row in clustered.rows]
    if any(species):
        groups, grouping = species, "the commonest species; grey: others and unknown"
    else:
        groups = _exact_clusters(clustered, names)
        grouping = "the largest clusters of average linkage on exact distances"
    drawn.append(
        figures.disk_figure(
            clustered.disk.points_,
            clustered.disk.tree(names),
            names,
            groups,
            grouping=grouping,
        )
    )
    tested = task.split.test[:_MOST_ON_MAP]
    known = [task.sequences.species[row] or "" for row in tested]
    if any(known):
        predicted = np.asarray(chosen(tested, tested), np.float64)
        predicted = (predicted + predicted.T) / 2
        np.fill_diagonal(predicted, 0.0)
        placed = principal_coordinates(predicted, 2)
        if placed.points.shape[1] == 2:
            drawn.append(figures.map_figure(placed.points, known, placed.share, grouping="species"))
    return tuple(drawn)


def _exact_clusters(clustered: Clustered, names: Sequence[str]) -> list[str]:
    """Cut the exact tree and name the largest clades by size; the small ones have no name."""
    tree = clustered.reference
    clade = tree.cut_into(min(3 * _GROUPS_SHOWN, tree.n_tips))
    sizes = np.bincount(clade)
    rank = np.argsort(np.argsort(-sizes, kind="stable"), kind="stable")
    name_of = {
        tip: f"cluster {rank[c] + 1}" if rank[c] < _GROUPS_SHOWN and sizes[c] > 1 else ""
        for tip, c in zip(tree.tip_names, clade, strict=True)
    }
    return [name_of[name] for name in names]
