"""The figures of the study `taxa`: each takes what the study found and returns one figure.

Everywhere, `vectors` are those of pictures; `species`, `names`, `group` and `groups` the taxa of
each picture or row; `rank` is the rank drawn and `split` what was kept on one side; `metrics` are
rows of ``metrics.csv``, `answers` and `models` what models answered, `tables` and `report` what
was counted; `similarity` and `order` are a square matrix and the order of its rows; `queries` and
`neighbours` are rows of pictures; `taxonomy` orders classes; `n` counts test specimens,
`embedder` names the encoder, `error_rate` is the error allowed, and `seed` fixes the map.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from kinlens.evaluate.hierarchy import SafetyReport
from kinlens.evaluate.metrics import Answers
from kinlens.evaluate.tables import reliability
from kinlens.models.projection import plane_map
from kinlens.records.result import FigureRecord
from kinlens.records.taxonomy import Taxonomy
from kinlens.report import plots
from kinlens.report.pictures import Tile, picture_rows
from kinlens.typing import ByteArray, Float32Array, FloatArray, IntArray

__all__ = [
    "confusion_figure",
    "cosine_similarity",
    "map_figure",
    "nearest_pictures",
    "neighbour_figure",
    "reliability_figure",
    "safe_rank_figure",
    "score_figure",
    "shot_figure",
    "similarity_figure",
]

_SHOT_WORDS = {
    "shots_0": "0",
    "shots_1": "1",
    "shots_2_5": "2 to 5",
    "shots_6_20": "6 to 20",
    "shots_over_20": "over 20",
    "all": "all",
}


def score_figure(metrics: pd.DataFrame, *, metric: str, n: int, split: str) -> FigureRecord:
    """Draw one metric of every model at every rank."""
    words = metric.replace("_", " ")
    return plots.dots_with_intervals(
        metrics[metrics["metric"] == metric],
        name=f"scores_{metric}",
        title=f"{words.capitalize()} by rank and model",
        caption=(
            f"{words.capitalize()} on {n:,} test specimens that no model saw (split by {split}). "
            "Lines: 95% intervals from resampling specimens. Grey ticks: mean when names are "
            "shuffled among specimens. Orange: the model that inner validation chose."
        ),
        value_label=words,
    )


def map_figure(
    vectors: Float32Array, names: Sequence[str], *, rank: str, embedder: str, seed: int
) -> tuple[FigureRecord, FloatArray]:
    """Lay all pictures out in the plane, coloured by their commonest taxa; give the points too."""
    points = plane_map(vectors, seed=seed)
    figure = plots.coloured_scatter(
        points,
        names,
        name="map",
        title="All pictures, alike ones close",
        caption=(
            f"UMAP of {len(points):,} pictures ({embedder}), coloured by the ten commonest taxa of "
            f"rank {rank}. Distances across the map mean nothing; neighbourhoods do."
        ),
    )
    return figure, points


def cosine_similarity(vectors: Float32Array, groups: Sequence[str]) -> tuple[list[str], FloatArray]:
    """Compare taxa by the cosine of their mean vectors.

    Returns
    -------
    (list of str, array of shape (k, k))
        Taxa, sorted, and similarities of their means, taken after columns are centred on the mean
        over taxa and scaled; without this every picture resembles every other.
    """
    labels = np.asarray(groups, dtype=object)
    taxa = sorted({label for label in labels if label})
    means = np.stack([vectors[labels == taxon].mean(axis=0) for taxon in taxa]).astype(np.float64)
    means -= means.mean(axis=0)
    spread = vectors.std(axis=0)
    means /= np.where(spread > 0, spread, 1.0)
    length = np.linalg.norm(means, axis=1, keepdims=True)
    means /= np.where(length > 0, length, 1.0)
    return taxa, means @ means.T


def similarity_figure(
    similarity: FloatArray, order: Sequence[int], groups: Sequence[str], *, rank: str, by: str
) -> FigureRecord:
    """Draw the cosine similarities of species, relatives side by side."""
    rows = np.asarray(order)
    return plots.square_heatmap(
        similarity[np.ix_(rows, rows)],
        [groups[i] for i in rows],
        name="similarity",
        title="Who looks like whom",
        caption=(
            f"Cosine similarity of the mean vectors of {len(rows):,} species, centred; rows "
            f"ordered by the {by}, brackets name each {rank}. Blocks on the diagonal are relatives "
            "that look alike; blocks off it are likenesses across relatives."
        ),
        value_label="cosine similarity",
        limits=(-1.0, 1.0),
    )


def nearest_pictures(
    vectors: Float32Array, queries: IntArray, candidates: IntArray, *, most: int = 5
) -> IntArray:
    """Find the most similar pictures of each query by cosine of centred, scaled vectors.

    Parameters
    ----------
    vectors : array of shape (n, d)
        All pictures.
    queries, candidates : array of int
        Rows; a query is never its own neighbour.
    most : int
        Neighbours wanted; fewer when there are fewer candidates.

    Returns
    -------
    array of int, shape (len(queries), most)
        Rows of `vectors`, most similar first.
    """
    centred = vectors - vectors[candidates].mean(axis=0)
    spread = vectors[candidates].std(axis=0)
    centred = centred / np.where(spread > 0, spread, 1.0)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    unit = centred / np.where(length > 0, length, 1.0)
    similarity = unit[queries] @ unit[candidates].T
    similarity[queries[:, None] == candidates[None, :]] = -np.inf
    best = np.argsort(-similarity, axis=1, kind="stable")[:, :most]
    return candidates[best]


def neighbour_figure(
    pictures: Mapping[int, ByteArray],
    queries: IntArray,
    neighbours: IntArray,
    *,
    species: Sequence[str],
    group: Sequence[str],
    rank: str,
) -> FigureRecord:
    """Show test pictures beside their most similar training pictures."""
    rows = []
    for query, row in zip(queries, neighbours, strict=True):
        tiles = [Tile(pictures[int(query)], _label(species, group, int(query)), "query")]
        tiles += [
            Tile(
                pictures[int(i)],
                _label(species, group, int(i)),
                "same" if species[i] == species[query] else "other",
            )
            for i in row
        ]
        rows.append(tiles)
    return picture_rows(
        rows,
        name="neighbours",
        title="Test pictures and the training pictures most like them",
        caption=(
            f"Left: test pictures (dark frame), drawn at random. Right: the {neighbours.shape[1]} "
            f"most similar training pictures with species and {rank}; green frames are the same "
            "species."
        ),
    )


def _label(species: Sequence[str], group: Sequence[str], row: int) -> tuple[str, ...]:
    name = species[row].replace("_", " ")
    return (name if len(name) <= 24 else f"{name[:23]}…", group[row])


def confusion_figure(
    answers: Answers, taxonomy: Taxonomy, *, rank: str, groups: Mapping[str, str], n: int
) -> FigureRecord:
    """Draw what is taken for what, classes in taxonomic order."""
    ordered = [name for name in dict.fromkeys(taxonomy.labels(rank, taxonomy.order())) if name]
    met = {answers.classes[code] for code in {*answers.truth, *answers.answer}}
    names = [name for name in ordered if name in met]
    place = {name: i for i, name in enumerate(names)}
    codes = np.array([place.get(name, -1) for name in answers.classes], dtype=np.int64)
    counts = np.zeros((len(names), len(names)))
    np.add.at(counts, (codes[answers.truth], codes[answers.answer]), 1.0)
    return plots.confusion_matrix(
        counts,
        [groups.get(name, "") for name in names],
        name=f"confusion_{rank}",
        title=f"What is taken for what ({rank})",
        caption=(
            f"Answers of the chosen model for {len(answers):,} test pictures of {n:,} specimens, "
            "as shares of each true class; classes in taxonomic order."
        ),
        labels=names,
    )


def reliability_figure(models: Mapping[str, Answers], *, rank: str) -> FigureRecord:
    """Draw stated confidence against the share correct, one curve a model."""
    curves = {}
    for label, answers in models.items():
        table = reliability(answers, n_bins=12)
        curves[label.replace("_", " ")] = (
            table["confidence"].to_numpy(dtype=np.float64),
            table["accuracy"].to_numpy(dtype=np.float64),
            table["images"].to_numpy(dtype=np.float64),
        )
    n = len(next(iter(models.values())))
    return plots.reliability_curve(
        curves,
        name="reliability",
        title=f"Is the stated confidence true? ({rank})",
        caption=(
            f"{n:,} test pictures in bins of equal number. On the dashed line, answers given with "
            "80% confidence are right 80% of the time. The hierarchical model is calibrated, on "
            "training specimens held out in folds; the others are as they come."
        ),
    )


def safe_rank_figure(report: SafetyReport, *, error_rate: float) -> FigureRecord:
    """Draw how deep answers go at the stated error rate."""
    shares = {
        "no answer" if rank == "none" else str(rank): float(share)
        for rank, share in zip(report.by_rank["rank"], report.by_rank["share"], strict=True)
    }
    return plots.share_answered(
        shares,
        name="safe_rank",
        title=f"How deep a name is safe at {error_rate:.0%} error",
        caption=(
            f"Each of {report.n_images:,} test pictures gets the name of the deepest rank that is "
            f"safe. Observed error among answers: {report.error_rate:.1%} "
            f"({report.low:.1%} to {report.high:.1%}, {report.n_specimens:,} specimens)."
        ),
    )


def shot_figure(tables: Mapping[str, pd.DataFrame], *, rank: str) -> FigureRecord:
    """Draw per-class accuracy by the number of training specimens, for several models."""
    rows = [
        {
            "training_specimens": _SHOT_WORDS[str(row.shot_bin)],
            "model": model,
            "value": row.per_class_accuracy,
            "low": row.per_class_accuracy_low,
            "high": row.per_class_accuracy_high,
            "n": row.classes,
        }
        for model, table in tables.items()
        for row in table.itertuples()
    ]
    return plots.accuracy_by_group(
        pd.DataFrame(rows),
        name="shots",
        title=f"Rare and common {rank}",
        caption=(
            "Mean share of a class's test pictures that are named right, for classes binned by "
            f"how many specimens they were learned from; n is the number of {rank} in the bin. "
            "Lines: 95% intervals from resampling specimens."
        ),
        group="training_specimens",
        value_label="mean share correct per class",
    )
