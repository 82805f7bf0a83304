"""From what `genes` found to its result: tables, metrics, figures, predictions and words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from kinlens.evaluate.repeated import TEST, TRAIN
from kinlens.io.thumbnails import read_thumbnail
from kinlens.parallel import Resources
from kinlens.records.collection import Collection
from kinlens.records.result import FigureRecord, StudyResult, metric_row, metrics_frame
from kinlens.rng import RandomStreams
from kinlens.studies import genes_figures as figures
from kinlens.studies.genes_scan import GeneFindings, scorer_of
from kinlens.studies.genes_words import headlines_of, methods_of
from kinlens.typing import ByteArray

__all__ = ["report_of"]

_REPORTED = 200
_MOST_PICTURES = 60
_CAPTION = (
    "One row a gene, the most significant first. `mcc_clade` with whole clades held out, with its "
    "interval over clades; `null_mean` of null genes like it; `p_value`, `q_value` (false "
    "discovery) and `fwer_p_value` (however many were tried) beside null genes that evolved on the "
    "tree; `naive_p_value` takes splits for independent samples and is not to be believed."
)


def report_of(
    collection: Collection,
    found: Sequence[GeneFindings],
    compared: pd.DataFrame | None,
    config: Any,
    streams: RandomStreams,
    resources: Resources,
) -> StudyResult:
    """Gather the result of the study.

    Parameters
    ----------
    collection : Collection
        The dataset.
    found : sequence of GeneFindings
        One for looks, or one for each trait.
    compared : pandas.DataFrame, optional
        From `genes_models.compare_classifiers`.
    config : GenesConfig
        Settings of the study.
    streams : RandomStreams
        Holds the seed.
    resources : Resources
        Whom to tell.
    """
    first = found[0]
    with resources.progress.task("Drawing figures", 1) as bar:
        drawn = _figures(collection, first, compared, config)
        for each in found[1:]:
            drawn.append(_renamed(figures.volcano_figure(each), each.task.target))
        bar.advance()
    tables = {"genes": first.table}
    captions = {"genes": _CAPTION}
    for each in found[1:]:
        name = f"genes_{_word(each.task.target)}"
        tables[name] = each.table
        captions[name] = f"The same for the trait {each.task.target}."
    if compared is not None:
        tables["models"] = _model_table(first, compared)
        captions["models"] = (
            "A few genes by every published classifier, mean over random splits of 64% training, "
            "16% validation and 20% test species."
        )
    rows = _metric_rows(first, streams.seed)
    for each in found[1:]:
        rows += _metric_rows(each, streams.seed, suffix=f" ({each.task.target})")
    if compared is not None:
        rows += _model_rows(first, compared, streams.seed)
    return StudyResult(
        study="genes",
        title="Genes from looks" if first.task.pictures is not None else "Genes from traits",
        headlines=tuple(line for each in found for line in headlines_of(each)),
        metrics=metrics_frame(rows),
        methods="\n".join(methods_of(each, collection, config) for each in found),
        predictions=_predictions(first, config),
        splits=_splits(first),
        tables=tables,
        table_captions=captions,
        figures=tuple(drawn),
        skipped=first.task.skipped,
    )


def _figures(
    collection: Collection, found: GeneFindings, compared: pd.DataFrame | None, config: Any
) -> list[FigureRecord]:
    task = found.task
    best = int(found.order[0])
    score = figures.blocked_scores(found, best, scorer_of(config))
    drawn = [figures.volcano_figure(found), figures.resampling_figure(found)]
    pictures: dict[str, ByteArray] = {}
    if task.pictures is not None:
        order = np.argsort(-np.nan_to_num(score), kind="stable")
        half = _MOST_PICTURES // 2
        shown = order if task.n <= _MOST_PICTURES else np.concatenate([order[:half], order[-half:]])
        for row in shown.tolist():
            image = str(task.pictures.images[task.pictures.nearest[row]])
            pictures[task.species[row]] = read_thumbnail(collection.image_files(image))
    drawn.append(figures.gene_on_tree(found, best, score, pictures))
    if pictures:
        driving = figures.driving_pictures(found, best, score, pictures)
        drawn += [driving] if driving is not None else []
    if compared is not None:
        drawn.append(figures.model_heatmap(found, compared))
    return drawn


def _renamed(figure: FigureRecord, target: str) -> FigureRecord:
    return FigureRecord(
        f"{figure.name}_{_word(target)}", figure.title, figure.caption, figure.png, figure.svg
    )


def _word(target: str) -> str:
    """Return a name as a part of a file name."""
    return "".join(letter if letter.isalnum() else "_" for letter in target).strip("_").lower()


def _metric_rows(found: GeneFindings, seed: int, *, suffix: str = "") -> list[dict[str, object]]:
    """Return the rows of the reported genes: the most significant, the discovered, candidates.

    Targets are genes; `suffix` tells traits after the first apart.
    """
    task, table = found.task, found.tested
    is_reported = (
        (np.arange(len(table)) < _REPORTED)
        | (table["q_value"] <= 0.05)
        | (table["is_candidate"] == 1)
    )
    model = found.model
    rows = []
    place: dict[str, Any] = {"n": task.n, "seed": seed}
    for row in table[is_reported].to_dict("records"):
        gene = f"{row['gene']}{suffix}"
        judged = {"target": gene, "model": model, "selected": True, **place}
        rows += [
            metric_row(
                "genes",
                metric="mcc",
                split="clade",
                value=row["mcc_clade"],
                low=row["mcc_clade_low"],
                high=row["mcc_clade_high"],
                null_mean=row["null_mean"],
                p_value=row["p_value"],
                **judged,
            ),
            metric_row(
                "genes",
                metric="mcc",
                split="random",
                value=row["mcc_random"],
                low=row["mcc_random_low"],
                high=row["mcc_random_high"],
                p_value=row["p_value_random"],
                **judged,
            ),
            metric_row("genes", metric="auc", split="clade", value=row["auc_clade"], **judged),
            metric_row("genes", metric="auc", split="random", value=row["auc_random"], **judged),
            metric_row("genes", metric="q_value", split="clade", value=row["q_value"], **judged),
        ]
        rows += [
            metric_row(
                "genes",
                target=gene,
                model=baseline,
                metric="mcc",
                split="clade",
                value=row[f"mcc_{baseline}"],
                **place,
            )
            for baseline in ("completeness", "phylogeny")
            if np.isfinite(row[f"mcc_{baseline}"])
        ]
    summary = {
        "n_tested": len(table),
        "n_discovered": len(found.discovered),
        "n_family_wise": len(found.certain),
        "naive_share": float((table["naive_p_value"] <= 0.05).mean()),
    }
    rows += [
        metric_row(
            "genes",
            target=f"all{suffix}",
            model=model,
            metric=name,
            split="clade",
            value=value,
            **place,
        )
        for name, value in summary.items()
    ]
    return rows


def _model_rows(found: GeneFindings, compared: pd.DataFrame, seed: int) -> list[dict[str, object]]:
    means = _model_table(found, compared)
    return [
        metric_row(
            "genes",
            target=str(row["gene"]),
            model=str(row["model"]),
            metric=name,
            split="random_64_16_20",
            value=float(row[name]),
            n=found.task.n,
            seed=seed,
        )
        for row in means.to_dict("records")
        for name in means.columns[2:]
        if np.isfinite(row[name])
    ]


def _model_table(found: GeneFindings, compared: pd.DataFrame) -> pd.DataFrame:
    scores = [name for name in compared.columns if name not in ("pattern", "model", "repeat")]
    table = compared.groupby(["pattern", "model"], sort=False)[scores].mean().reset_index()
    table.insert(0, "gene", [found.genes_of(int(pattern))[0] for pattern in table["pattern"]])
    return table.drop(columns="pattern")


def _predictions(found: GeneFindings, config: Any) -> pd.DataFrame:
    """Return, for the genes that figures show, what was said of each species held out."""
    parts = []
    for pattern in found.order[: config.shown].tolist():
        score = figures.blocked_scores(found, pattern, scorer_of(config))
        truth = found.task.presence[:, pattern]
        parts.append(
            pd.DataFrame(
                {
                    "gene": found.genes_of(pattern)[0],
                    "species": found.task.species,
                    "truth": np.where(truth <= 1, truth, np.nan),
                    "answer": np.where(np.isfinite(score), score > 0, np.nan),
                    "score": score,
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def _splits(found: GeneFindings) -> pd.DataFrame:
    """Return the clade of each species and how often it was tested, one row a kind of split."""
    task = found.task
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "id": task.species,
                    "split": name,
                    "part": [f"clade_{clade + 1}" for clade in task.clades],
                    "times_tested": (parts == TEST).sum(axis=0),
                    "times_trained": (parts == TRAIN).sum(axis=0),
                }
            )
            for name, parts in task.parts.items()
        ],
        ignore_index=True,
    )
