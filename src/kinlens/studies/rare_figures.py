"""The figures of the study `rare`.

Everywhere, `metrics` are rows of ``metrics.csv``, `task` is what was worked on, and `species` has
one row a species.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from kinlens.io.thumbnails import read_thumbnail
from kinlens.models.projection import plane_map
from kinlens.records.collection import Collection
from kinlens.records.result import FigureRecord
from kinlens.records.tree import Tree
from kinlens.records.tree_shape import ladderized
from kinlens.report import plots
from kinlens.report.pictures import Tile, picture_rows
from kinlens.report.trees import tree_with_values
from kinlens.studies.rare_scores import Repeat
from kinlens.studies.rare_task import RareTask

__all__ = ["gain_figure", "map_figure", "page_figure", "shots_figure", "tree_figure"]

_BINS = {
    "shots_0": "0",
    "shots_1": "1",
    "shots_2_5": "2 to 5",
    "shots_6_20": "6 to 20",
    "shots_over_20": "over 20",
    "all": "all",
}
_SHOWN = {
    "prototypes": "with the tree",
    "prototypes_permuted": "tree permuted",
    "class_means": "class means",
    "aligned_long_tail": "published network, aligned",
}
_PANELS = {
    "shots_0": "no specimen",
    "shots_1": "1 specimen",
    "shots_2_5": "2 to 5",
    "shots_6_20": "6 to 20",
    "shots_over_20": "over 20",
    "all": "all species",
}
_CONTROLS = {
    "gain_over_permuted": "over permuted tips",
    "gain_over_taxonomy": "over the taxonomy",
    "gain_over_no_tree": "over no tree",
}
_THUMBNAIL = 128
_PAGES = 6


def shots_figure(metrics: pd.DataFrame) -> FigureRecord:
    """Draw accuracy against the number of training specimens, with and without the tree."""
    part = metrics[
        (metrics["metric"] == "per_class_accuracy")
        & metrics["model"].isin(list(_SHOWN))
        & metrics["target"].isin(list(_BINS))
    ]
    table = pd.DataFrame(
        {
            "training_specimens": part["target"].map(_BINS),
            "model": part["model"].map(_SHOWN),
            "value": part["value"],
            "low": part["low"],
            "high": part["high"],
            "n": part["n"],
        }
    )
    table["order"] = table["training_specimens"].map(list(_BINS.values()).index)
    table["rank"] = table["model"].map(list(_SHOWN.values()).index)
    table = table.sort_values(["order", "rank"]).drop(columns=["order", "rank"])
    return plots.accuracy_by_group(
        table,
        name="shots",
        title="What a tree is worth, by how much was learned from",
        caption=(
            "Mean share of a species' test pictures named right, by the number of its training "
            "specimens; n is the number of species that were in the bin in some repeat. Lines: 95% "
            "intervals from resampling species."
        ),
        group="training_specimens",
        value_label="mean share correct per species",
    )


def gain_figure(metrics: pd.DataFrame) -> FigureRecord:
    """Draw the paired gain of the tree over each control, by number of training specimens."""
    part = metrics[
        metrics["metric"].str.startswith("gain_over_") & (metrics["model"] == "prototypes")
    ]
    scores = part.assign(
        target=part["target"].map(_PANELS),
        row=part["metric"].map(_CONTROLS),
        selected=(part["low"] > 0).astype(int),
        null_mean=0.0,
    )
    return plots.dots_with_intervals(
        scores,
        name="gains",
        title="What of it is genetic",
        caption=(
            "Gain in per-species accuracy of the prototypes under the true tree over the same "
            "prototypes with the tips permuted, without a tree, and under the taxonomy's; paired "
            "over species and repeats, 95% intervals from resampling species. Grey: no gain. "
            "Orange: the interval excludes it."
        ),
        value_label="gain in accuracy",
        row="row",
    )


def tree_figure(tree: Tree, species: pd.DataFrame) -> FigureRecord:
    """Draw the tree with the gain of each species at its tip.

    Parameters
    ----------
    tree : Tree
        Of all species.
    species : pandas.DataFrame
        With ``gain``.
    """
    known = species.dropna(subset=["gain"])
    return tree_with_values(
        ladderized(tree),
        dict(zip(known["species"], known["gain"], strict=True)),
        name="tree_of_gains",
        title="Where in the tree relatives help",
        caption=(
            f"Gain in accuracy by the tree over no tree, for the {len(known):,} species that were "
            "tested, averaged over repeats: to the right of the line the tree helped, to the left "
            "it harmed. One species' gain is a handful of pictures; clades are to be read."
        ),
        value_label="gain in accuracy",
    )


def map_figure(task: RareTask, repeat: Repeat, *, seed: int) -> FigureRecord:
    """Lay out pictures with the prototypes that they are compared with.

    Parameters
    ----------
    task : RareTask
        With the pictures.
    repeat : Repeat
        Whose prototypes are shown.
    seed : int
        Fixes the map.
    """
    model = repeat.fitted.prototypes
    test = repeat.split.test
    points = model.transform(task.vectors[test])
    plane = plane_map(np.vstack([points, model.means_]), seed=seed)
    genus_of = task.genus_of()
    groups = [genus_of.get(name, "") for name in task.species[test]]
    none = model.n_specimens_ == 0
    groups += ["prototype, no picture" if is_new else "prototype" for is_new in none]
    return plots.coloured_scatter(
        plane,
        groups,
        name="map",
        title="Pictures and the prototypes that relatives and pictures made",
        caption=(
            f"UMAP of {len(test):,} test pictures of the last repeat and {len(none):,} prototypes, "
            f"{int(none.sum())} of them of species without a picture, on whitened axes; coloured "
            "by the commonest genera. Distances across the map mean nothing; neighbourhoods do."
        ),
    )


def page_figure(
    collection: Collection, task: RareTask, repeats: Sequence[Repeat], species: pd.DataFrame
) -> FigureRecord | None:
    """Show rare species, what they were taken for, and their nearest relatives.

    Parameters
    ----------
    collection : Collection
        For its pictures.
    task : RareTask
        Which picture is of what.
    repeats : sequence of Repeat
        Which species were rare.
    species : pandas.DataFrame
        With ``taken_for`` and ``nearest_relatives``.
    """
    rare = {name for repeat in repeats for name in (*repeat.split.rare, *repeat.split.unseen)}
    table = species[species["species"].isin(rare) & (species["taken_for"] != "")]
    table = table.sort_values(["accuracy", "species"]).head(_PAGES)
    if not len(table):
        return None
    first: dict[str, int] = {}
    for row, name in enumerate(task.species.tolist()):
        first.setdefault(name, row)
    rows = []
    for each in table.itertuples():
        relatives = str(each.nearest_relatives).split(";")
        tiles = [_tile(collection, task, first[str(each.species)], "query", _share(each))]
        taken = str(each.taken_for)
        tiles.append(_tile(collection, task, first[taken], "wrong", "taken for"))
        tiles += [_tile(collection, task, first[name], "same", "relative") for name in relatives]
        rows.append(tiles)
    return picture_rows(
        rows,
        name="rare_species",
        title="The hardest rare species",
        caption=(
            f"The {len(rows)} rare or withheld species that were named right least often (dark "
            "frame, with the share right), what each was taken for most often (orange), and its "
            "three nearest relatives in the tree (green)."
        ),
    )


def _share(row: object) -> str:
    return f"{row.accuracy:.0%} right"  # type: ignore[attr-defined]


def _tile(collection: Collection, task: RareTask, row: int, verdict: str, words: str) -> Tile:
    name = str(task.species[row]).replace("_", " ")
    files = collection.image_files(str(task.table.image[row]))
    return Tile(
        read_thumbnail(files, _THUMBNAIL),
        (name if len(name) <= 24 else f"{name[:23]}…", words),
        verdict,
    )
