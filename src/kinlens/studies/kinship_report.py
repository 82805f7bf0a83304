"""From what `kinship` found to its result: metrics, tables, figures, predictions and words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from kinlens.embed.container import to_anndata
from kinlens.errors import InputError
from kinlens.io.sniffing import ImageError
from kinlens.io.thumbnails import read_thumbnail
from kinlens.parallel import Resources
from kinlens.records.collection import Collection
from kinlens.records.distances import DistanceMatrix
from kinlens.records.result import FigureRecord, StudyResult, metric_row, metrics_frame
from kinlens.rng import RandomStreams
from kinlens.studies import kinship_figures as figures
from kinlens.studies.kinship import KinshipFindings
from kinlens.studies.kinship_measures import visual_distances
from kinlens.studies.kinship_model import placing_model
from kinlens.studies.kinship_words import headlines_of, methods_of
from kinlens.typing import ByteArray

__all__ = ["report_of"]

_SHOWN_PAIRS = 200


def report_of(
    collection: Collection,
    found: KinshipFindings,
    config: Any,
    streams: RandomStreams,
    resources: Resources,
) -> StudyResult:
    """Gather the result of the study.

    Parameters
    ----------
    collection : Collection
        The dataset.
    found : KinshipFindings
        Every number.
    config : KinshipConfig
    streams : RandomStreams
    resources : Resources
    """
    task = found.task
    with resources.progress.task("Drawing figures", 1) as bar:
        pictures = _pictures(collection, found)
        drawn = _figures(found, pictures)
        bar.advance()
    tables = {"tests": found.tests, "correlations": _correlation_table(found)}
    captions = {
        "tests": "Raw looks against the tree by every test in use, and what each is worth.",
        "correlations": "Every correlation with its interval, ceiling and null.",
    }
    if len(found.pairs):
        tables["clade_pairs"] = found.pairs.head(_SHOWN_PAIRS)
        captions["clade_pairs"] = (
            "Clades that look more (ratio below 1) or less alike than evolution at random on this "
            f"tree makes them; the {min(_SHOWN_PAIRS, len(found.pairs))} strongest of "
            f"{len(found.pairs):,}. False discovery rate over all of them."
        )
    predictions = _predictions(found)
    return StudyResult(
        study="kinship",
        title="Looks and kinship",
        headlines=headlines_of(found),
        metrics=metrics_frame(_metrics(found, streams.seed)),
        methods=methods_of(found, config),
        predictions=predictions,
        splits=_splits(found),
        tables=tables,
        table_captions=captions,
        figures=drawn,
        embedding=_anndata(found),
        model=_placing(collection, found, config, streams, resources),
        distances=DistanceMatrix(task.species, visual_distances(found.features, "cosine")),
        skipped=task.skipped,
    )


def _placing(
    collection: Collection,
    found: KinshipFindings,
    config: Any,
    streams: RandomStreams,
    resources: Resources,
) -> dict[str, Any]:
    with resources.progress.task("Learning to place new pictures", 1) as bar:
        model = placing_model(found.task, len(collection.channels) or 3, config, streams)
        bar.advance()
    return model


def _metrics(found: KinshipFindings, seed: int) -> list[dict[str, object]]:
    rows = []
    for (target, model, split), each in found.correlations.items():
        place = {"target": target, "split": split, "n": each.n, "seed": seed}
        rows.append(
            metric_row(
                "kinship",
                model=model,
                metric="pearson_r",
                value=each.value,
                low=_finite(each.low),
                high=_finite(each.high),
                null_mean=each.null_mean,
                p_value=each.p_value if target == "held_out" else _mantel(found, target, model),
                selected=(target, model) == ("held_out", "ridge"),
                **place,  # type: ignore[arg-type]
            )
        )
        if each.ceiling is not None:
            rows.append(
                metric_row(
                    "kinship",
                    model=model,
                    metric="brownian_ceiling",
                    value=each.ceiling.mean,
                    low=each.ceiling.low,
                    high=each.ceiling.high,
                    **place,  # type: ignore[arg-type]
                )
            )
        null = each.null[np.isfinite(each.null)]
        if len(null):
            low, high = np.quantile(null, [0.025, 0.975])
            rows.append(
                metric_row(
                    "kinship",
                    target=target,
                    model="shuffled_tree",
                    metric="pearson_r",
                    value=float(null.mean()),
                    low=float(low),
                    high=float(high),
                    split=split,
                    n=each.n,
                    seed=seed,
                )
            )
    for (model, split), value in found.to_training.items():
        if not np.isfinite(value):
            continue
        rows.append(
            metric_row(
                "kinship",
                target="held_out",
                model=model,
                metric="pearson_r_to_training",
                value=value,
                split=split,
                n=found.task.n,
                seed=seed,
            )
        )
    for metric, each_signal in found.signal.items():
        rows.append(
            metric_row(
                "kinship",
                target="raw",
                model="euclidean",
                metric=metric,
                value=each_signal["value"],
                low=each_signal.get("low"),
                high=each_signal.get("high"),
                null_mean=each_signal.get("null_mean"),
                p_value=each_signal["p_value"],
                split="none",
                n=int(each_signal["n"]),
                seed=seed,
            )
        )
    return rows


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _mantel(found: KinshipFindings, target: str, model: str) -> float | None:
    if target != "raw" or not len(found.tests):
        return None
    tests = found.tests
    row = tests[(tests["test"] == "mantel") & (tests["distance"] == model)]
    return float(row["p_value"].iloc[0]) if len(row) else None


def _correlation_table(found: KinshipFindings) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "target": target,
                "model": model,
                "split": split,
                "r": each.value,
                "low": each.low,
                "high": each.high,
                "ceiling": np.nan if each.ceiling is None else each.ceiling.mean,
                "ceiling_low": np.nan if each.ceiling is None else each.ceiling.low,
                "ceiling_high": np.nan if each.ceiling is None else each.ceiling.high,
                "shuffled": np.nan if each.null_mean is None else each.null_mean,
                "p_value": np.nan if each.p_value is None else each.p_value,
                "n": each.n,
                "circular": "yes" if target == "in_sample" else "no",
            }
            for (target, model, split), each in found.correlations.items()
        ]
    )


def _predictions(found: KinshipFindings) -> pd.DataFrame | None:
    """Tell for each held-out species its nearest relative as predicted, and how near it is."""
    rows = []
    task = found.task
    for (model, split), held_out in found.held_out.items():
        for fold, to_training in zip(held_out.folds, held_out.to_training, strict=True):
            true = task.distances[np.ix_(fold.test, fold.train)]
            nearest = to_training.argmin(axis=1)
            best = true.argmin(axis=1)
            for i, row in enumerate(fold.test.tolist()):
                rows.append(
                    {
                        "species": task.species[row],
                        "clade": task.clades[row],
                        "model": model,
                        "split": split,
                        "fold": fold.name,
                        "nearest_predicted": task.species[fold.train[nearest[i]]],
                        "distance_of_predicted": true[i, nearest[i]],
                        "nearest_true": task.species[fold.train[best[i]]],
                        "distance_of_true": true[i, best[i]],
                        "n_nearer": int((true[i] < true[i, nearest[i]] - 1e-9).sum()),
                        "setting": held_out.settings[held_out.folds.index(fold)],
                    }
                )
    return pd.DataFrame(rows) if rows else None


def _splits(found: KinshipFindings) -> pd.DataFrame | None:
    parts = []
    done = set()
    for (_model, split), held_out in found.held_out.items():
        if split in done:
            continue
        done.add(split)
        for fold in held_out.folds:
            parts.append(
                pd.DataFrame({"id": found.task.species, "split": fold.name, "part": fold.part})
            )
    return pd.concat(parts, ignore_index=True) if parts else None


def _figures(found: KinshipFindings, pictures: dict[str, ByteArray]) -> tuple[FigureRecord, ...]:
    drawn = [
        figures.correlation_figure(found),
        figures.scatter_figure(found),
        figures.heatmap_figure(found),
        figures.tangle_figure(found),
        figures.thumbnail_tree_figure(found.task, pictures),
        figures.morphospace_figure(found),
    ]
    return tuple(figure for figure in drawn if figure is not None)


def _pictures(collection: Collection, found: KinshipFindings) -> dict[str, ByteArray]:
    """Read one picture for each species that the tree figure shows."""
    task = found.task
    if task.tree is None or collection.specimens is None:
        return {}
    images = collection.specimens.image
    shown = {}
    for species in figures.representatives(task):
        first = task.rows[np.flatnonzero(task.pictures.groups == species)[0]]
        try:
            files = collection.image_files(str(images[first]))
            shown[task.species[species]] = read_thumbnail(files)
        except (InputError, ImageError, OSError):
            continue
    return shown


def _anndata(found: KinshipFindings) -> Any:
    task = found.task
    counts = np.bincount(task.pictures.groups, minlength=task.n)
    left, size, _ = np.linalg.svd(found.features, full_matrices=False)
    kept = size > 1e-9 * size.max()
    return to_anndata(
        (left[:, kept] * size[kept]).astype(np.float32),
        task.species,
        obs=pd.DataFrame({"clade": task.clades, "n_pictures": counts}),
        provenance={
            "encoder": task.embedder,
            "fingerprint": task.fingerprint,
            "what": "principal components of raw looks",
        },
        kind="species",
    )
