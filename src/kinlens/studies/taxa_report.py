"""From what `taxa` found to its result: tables, figures, predictions and words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from kinlens.embed.container import to_anndata
from kinlens.evaluate.hierarchy import RankedAnswers, SafetyReport, safety_report
from kinlens.evaluate.metrics import Answers
from kinlens.evaluate.resample import Estimates, WeightedMeans, cluster_bootstrap
from kinlens.evaluate.tables import class_table, shot_table
from kinlens.io.thumbnails import read_thumbnail, to_jpeg
from kinlens.models.safe_rank import SafeAnswers, observed_error_range
from kinlens.parallel import Resources
from kinlens.records.collection import Collection
from kinlens.records.result import FigureRecord, StudyResult, metric_row, metrics_frame
from kinlens.rng import RandomStreams
from kinlens.studies import taxa_figures as figures
from kinlens.studies.taxa_model import NamingModel
from kinlens.studies.taxa_task import Scored, Task
from kinlens.studies.taxa_words import TaxaFindings, headlines_of, methods_of
from kinlens.typing import FloatArray

__all__ = ["report_of"]

_QUERIES = 6
_NEIGHBOURS = 5
_TABLE_THUMBNAILS = 120
_MOST_GROUPS = 60


def report_of(
    collection: Collection,
    task: Task,
    config: Any,
    streams: RandomStreams,
    resources: Resources,
    *,
    scored: Sequence[Scored],
    naming: NamingModel,
    metrics: Sequence[dict[str, object]],
) -> StudyResult:
    """Gather the result of the study.

    Parameters
    ----------
    collection : Collection
        The dataset.
    task : Task
        Pictures, names and split.
    config : TaxaConfig
        Settings of the study.
    streams : RandomStreams
        For intervals, the map and the choice of example pictures.
    resources : Resources
        Whom to tell.
    scored : sequence of Scored
        Answers of every model at every rank.
    naming : NamingModel
        The model that answers for new pictures.
    metrics : sequence of dict
        Rows of ``metrics.csv`` for the models; those of the naming model are added here.
    """
    test = task.split.test
    table = naming.table(task.vectors[test])
    _probabilities, safe = naming.answers(task.vectors[test])
    safety = safety_report(
        _ranked(task, naming, safe),
        task.units[test],
        rng=streams.generator("safety"),
        n_replicates=config.replicates,
    )
    coverage = cluster_bootstrap(
        WeightedMeans(["set_coverage"], _covered(task, table)[:, None]),
        task.units[test],
        rng=streams.generator("coverage"),
        n_replicates=config.replicates,
    )
    findings = TaxaFindings(
        collection=collection,
        task=task,
        metrics=metrics_frame([*metrics, *_safety_rows(safety, coverage, task, streams)]),
        safety=safety,
        error_range=observed_error_range(
            config.error_rate,
            n_calibration=naming.safe.n_specimens_,
            n_test=max(safety.n_specimens, 1),
        ),
        mean_candidates=float(table["n_candidates"].mean()),
        error_rate=config.error_rate,
        replicates=config.replicates,
        permutations=config.permutations,
    )
    with resources.progress.task("Drawing figures", 1) as bar:
        drawn, points = _figures(collection, task, streams, scored, findings)
        bar.advance()
    tables, captions = _tables(task, scored, safety)
    tables["test_pictures"] = _picture_table(task, table)
    captions["test_pictures"] = (
        "Each test picture: its species, the answer, the deepest safe rank and the candidates."
    )
    shown = [str(image) for image in tables["test_pictures"]["image"][:_TABLE_THUMBNAILS]]
    return StudyResult(
        study="taxa",
        title="Names from pictures",
        headlines=headlines_of(findings),
        metrics=findings.metrics,
        methods=methods_of(findings),
        predictions=_predictions(task, table),
        splits=task.split.frame(task.table.image),
        tables=tables,
        table_captions=captions,
        figures=drawn,
        embedding=_anndata(task, points),
        model=naming.state(),
        thumbnails={
            image: to_jpeg(read_thumbnail(collection.image_files(image))) for image in shown
        },
        skipped=task.skipped,
    )


def _ranked(task: Task, naming: NamingModel, safe: SafeAnswers) -> RankedAnswers:
    lineages = naming.classifier.lineages_
    test = task.split.test
    truth = np.stack([task.labels(rank, test) for rank in lineages.ranks], axis=1)
    truth[truth == ""] = None
    return RankedAnswers(lineages.ranks, truth, safe.names(lineages))


def _covered(task: Task, table: pd.DataFrame) -> FloatArray:
    """Tell for each test picture whether its species is among the candidates."""
    truth = task.labels("species", task.split.test)
    return np.array(
        [
            name in set(cell.split(";"))
            for name, cell in zip(truth, table["candidates"], strict=True)
        ],
        dtype=np.float64,
    )


def _safety_rows(
    safety: SafetyReport, coverage: Estimates, task: Task, streams: RandomStreams
) -> list[dict[str, object]]:
    def row(
        target: str, metric: str, value: float, low: float, high: float, n: int
    ) -> dict[str, object]:
        return metric_row(
            "taxa", target=target, model="hierarchical", metric=metric, value=value, low=low,
            high=high, split=task.split.name, n=n, seed=streams.seed,
        )  # fmt: skip

    by_rank = safety.by_rank[["rank", "share", "low", "high"]]
    return [
        row(
            "safe_rank", "error_rate", safety.error_rate, safety.low, safety.high,
            safety.n_specimens,
        ),
        row("species", "set_coverage", *coverage["set_coverage"], coverage.n_groups),
        *(
            row(rank, "share_answered", share, low, high, coverage.n_groups)
            for rank, share, low, high in by_rank.itertuples(index=False)
        ),
    ]  # fmt: skip


def _figures(
    collection: Collection,
    task: Task,
    streams: RandomStreams,
    scored: Sequence[Scored],
    findings: TaxaFindings,
) -> tuple[tuple[FigureRecord, ...], FloatArray]:
    n = task.n_specimens(task.split.test)
    lowest = task.ranks[0]
    group_rank = _group_rank(task)
    groups = task.names[group_rank].tolist()
    chosen = {each.rank: each for each in scored if each.is_chosen}
    found = [
        figures.score_figure(
            findings.metrics[findings.metrics["target"].isin(task.ranks)],
            metric=metric,
            n=n,
            split=task.split.grouped_by or task.split.name,
        )
        for metric in ("accuracy", "balanced_accuracy")
    ]
    found.append(figures.safe_rank_figure(findings.safety, error_rate=findings.error_rate))
    drawn, points = figures.map_figure(
        task.vectors, groups, rank=group_rank, embedder=task.embedder, seed=streams.integer("map")
    )
    found += [
        drawn,
        _similarity(collection, task, group_rank),
        _neighbours(collection, task, streams, group_rank),
    ]
    found += [
        figures.confusion_figure(
            chosen[rank].answers, task.taxonomy, rank=rank, groups=_above(task, rank), n=n
        )
        for rank in dict.fromkeys((lowest, group_rank))
        if rank in chosen
    ]
    at_lowest = {each.model: each for each in scored if each.rank == lowest}
    calibrated: dict[str, Answers] = {
        name: at_lowest[name].answers
        for name in ("hierarchical", "random_forest", "logistic")
        if name in at_lowest and at_lowest[name].answers.probabilities is not None
    }
    if calibrated:
        found.append(figures.reliability_figure(calibrated, rank=lowest))
    compared = {
        name: at_lowest[name]
        for name in ("random_forest", chosen[lowest].model if lowest in chosen else "hierarchical")
        if name in at_lowest
    }
    if compared:
        found.append(_shots(task, compared, streams, findings.replicates, rank=lowest))
    return tuple(found), points


def _group_rank(task: Task) -> str:
    """Return the rank by which figures colour and bracket: family, or the nearest that tells more.

    A rank of two or three taxa colours hardly anything, one of hundreds everything.
    """
    sizes = {
        rank: len(set(task.names[rank]) - {""})
        for rank in ("family", "subfamily", "genus", "order")
        if rank in task.names.columns
    }
    for least in (5, 2):
        for rank, size in sizes.items():
            if least <= size <= _MOST_GROUPS:
                return rank
    return task.ranks[-1]


def _above(task: Task, rank: str) -> dict[str, str]:
    """Map each taxon of `rank` to the one above it by which it is bracketed."""
    higher = task.taxonomy.ranks[task.taxonomy.ranks.index(rank) + 1 :]
    groups = next((r for r in higher if task.names[r].nunique() > 1), rank)
    pairs = task.names[[rank, groups]].drop_duplicates(rank)
    return dict(zip(pairs[rank], pairs[groups], strict=True)) if groups != rank else {}


def _similarity(collection: Collection, task: Task, group_rank: str) -> FigureRecord:
    species = task.names["species"].tolist()
    taxa, similarity = figures.cosine_similarity(task.vectors, species)
    place = {name: i for i, name in enumerate(taxa)}
    tips = collection.tree.tip_names if collection.tree is not None else ()
    by_tree = collection.tree_rank == "species" and set(taxa) <= set(tips)
    ordered = tips if by_tree else task.taxonomy.order()
    group_of = dict(zip(species, task.names[group_rank], strict=True))
    return figures.similarity_figure(
        similarity,
        [place[name] for name in ordered if name in place],
        [group_of[name] for name in taxa],
        rank=group_rank,
        by="tree" if by_tree else "taxonomy",
    )


def _neighbours(
    collection: Collection, task: Task, streams: RandomStreams, group_rank: str
) -> FigureRecord:
    rng = streams.generator("queries")
    test = task.split.test
    queries = np.sort(rng.choice(test, size=min(_QUERIES, len(test)), replace=False))
    near = figures.nearest_pictures(task.vectors, queries, task.split.development, most=_NEIGHBOURS)
    rows = {int(row) for row in (*queries, *near.ravel())}
    images = task.table.image
    pictures = {row: read_thumbnail(collection.image_files(str(images[row]))) for row in rows}
    return figures.neighbour_figure(
        pictures,
        queries,
        near,
        species=task.names["species"].tolist(),
        group=task.names[group_rank].tolist(),
        rank=group_rank,
    )


def _shots(
    task: Task,
    compared: Mapping[str, Scored],
    streams: RandomStreams,
    replicates: int,
    *,
    rank: str,
) -> FigureRecord:
    counts = task.training_specimens(rank)
    tables = {
        name: shot_table(
            each.answers,
            task.units[each.rows],
            training_specimens=counts,
            rng=streams.generator("shots", name),
            n_replicates=replicates,
        )
        for name, each in compared.items()
    }
    return figures.shot_figure(tables, rank=rank)


def _tables(
    task: Task, scored: Sequence[Scored], safety: SafetyReport
) -> tuple[dict[str, pd.DataFrame], dict[str, str]]:
    lowest = task.ranks[0]
    tables = {"safe_ranks": safety.by_rank}
    captions = {"safe_ranks": "Where answers stop when names go as deep as is safe, and errors."}
    chosen = next((e for e in scored if e.rank == lowest and e.is_chosen), None)
    if chosen is not None:
        tables["classes"] = class_table(
            chosen.answers,
            groups=task.together[chosen.rows],
            training_specimens=task.training_specimens(lowest),
        )
        captions["classes"] = f"Each {lowest}, answered by the chosen model ({chosen.model})."
    found = task.leaks.frame()
    if len(found):
        tables["leaks"] = found
        captions["leaks"] = "Specimens and copies that sit on two sides of the split."
    return tables, captions


def _picture_table(task: Task, table: pd.DataFrame) -> pd.DataFrame:
    test = task.split.test
    return pd.DataFrame(
        {
            "image": task.table.image[test],
            "truth": task.labels("species", test),
            "answer": table["species"].to_numpy(),
            "probability": table["species_probability"].to_numpy(),
            "safe_rank": table["safe_rank"].to_numpy(),
            "safe_name": table["safe_name"].to_numpy(),
            "n_candidates": table["n_candidates"].to_numpy(),
        }
    )


def _predictions(task: Task, table: pd.DataFrame) -> pd.DataFrame:
    """Put truth and answer of the naming model side by side, for every test picture."""
    test = task.split.test
    truth = task.names.iloc[test].add_prefix("true_").reset_index(drop=True)
    front = pd.DataFrame({"image": task.table.image[test], "specimen": task.table.specimen[test]})
    return pd.concat([front, truth, table.reset_index(drop=True)], axis=1)


def _anndata(task: Task, points: FloatArray) -> Any:
    adata = to_anndata(
        task.vectors,
        [str(image) for image in task.table.image],
        obs=task.table.frame.assign(split=task.split.part),
        features=task.features,
        provenance={"encoder": task.embedder, "fingerprint": task.fingerprint},
    )
    adata.obsm["X_umap"] = points
    return adata
