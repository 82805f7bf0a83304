"""The figures of the study `rare`.

Everywhere, `metrics` are rows of ``metrics.csv``, `task` is what was worked on, and `species` has
one row a species.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from kinlens.io.thumbnails import read_thumbnail
from kinlens.models.projection import neighbour_map
from kinlens.records.collection import Collection
from kinlens.records.result import FigureRecord
from kinlens.records.tree import Tree
from kinlens.records.tree_shape import ladderized
from kinlens.report import plots
from kinlens.report.anchors import map_with_anchors
from kinlens.report.pictures import Tile, picture_rows
from kinlens.report.search import searches_both_ways
from kinlens.report.trees import tree_with_values
from kinlens.studies.rare_scores import Repeat
from kinlens.studies.rare_task import RareTask
from kinlens.studies.rare_words import side_of
from kinlens.typing import FloatArray

__all__ = [
    "gain_figure",
    "map_figure",
    "page_figure",
    "retrieval_figure",
    "shots_figure",
    "tree_figure",
]

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
    "genus_guess": "guess within the genus",
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
_GENES = {"prototypes": "true genes", "prototypes_permuted": "permuted genes"}
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
        metrics["metric"].isin(list(_CONTROLS))
        & metrics["target"].isin(list(_PANELS))
        & (metrics["model"] == "prototypes")
    ]
    scores = part.assign(
        target=part["target"].map(_PANELS),
        row=part["metric"].map(_CONTROLS),
        selected=[int(side_of(row) != "open") for _, row in part.iterrows()],
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
            "Orange: the interval excludes it, to whichever side."
        ),
        value_label="gain in accuracy",
        row="row",
    )


def retrieval_figure(curves: Mapping[str, FloatArray], table: pd.DataFrame) -> FigureRecord | None:
    """Draw the search from pictures to genes, for species without pictures, and back.

    Parameters
    ----------
    curves : mapping of str to FloatArray
        By model, how often the true genes are among the first k; empty without such species.
    table : pandas.DataFrame
        From `kinlens.studies.rare_retrieval.retrieval_table`.
    """
    part = table[(table["measure"] == "genes_to_pictures_map") & (table["model"] == "prototypes")]
    if not len(part) or not all(len(curve) for curve in curves.values()):
        return None
    shown = {_GENES[model]: curve for model, curve in curves.items()}
    precision = pd.concat(
        [
            part.assign(kind=_GENES["prototypes"]),
            part.assign(
                kind=_GENES["prototypes_permuted"],
                value=part["permuted"],
                low=part["permuted_low"],
                high=part["permuted_high"],
            ),
        ]
    )
    precision = precision.assign(group=precision["target"].map(_BINS))
    return searches_both_ways(
        shown,
        precision,
        name="retrieval",
        title="From pictures to genes, and back",
        caption=(
            "Left: how often the genes of a picture's own species are among the first k of "
            f"{len(next(iter(curves.values()))):,}, for species of which no picture was learned "
            "from, mean over species. Right: all test pictures ranked by the genes of one species; "
            "mean average precision over species, 95% intervals from resampling species. Grey: "
            "chance. Permuted: the same model with genes dealt out to other species; where "
            "pictures were learned from, it finds them by these."
        ),
        curve_title="Pictures of unseen species",
        precision_title="Genes to pictures",
    )


def tree_figure(tree: Tree, species: pd.DataFrame) -> FigureRecord:
    """Draw the tree with the gain of each species at its tip.

    Parameters
    ----------
    tree : Tree
        Of all species.
    species : pandas.DataFrame
        With ``gain`` and ``genus``.
    """
    known = species.dropna(subset=["gain"])
    return tree_with_values(
        ladderized(tree),
        dict(zip(known["species"], known["gain"], strict=True)),
        name="tree_of_gains",
        title="Where in the tree relatives help",
        caption=(
            f"Gain in accuracy over the same model with the tips permuted, for the {len(known):,} "
            "species that were tested, averaged over repeats: to the right of the line the tree "
            "helped, to the left it harmed. One species' gain is a handful of pictures; clades are "
            "to be read."
        ),
        value_label="gain in accuracy",
        groups=dict(zip(species["species"], species["genus"], strict=True)),
    )


def map_figure(task: RareTask, repeat: Repeat, *, seed: int) -> FigureRecord:
    """Draw test pictures and the prototypes in the midst of which they should lie.

    Parameters
    ----------
    task : RareTask
        With the pictures.
    repeat : Repeat
        Whose test pictures and prototypes are shown.
    seed : int
        Fixes the map.
    """
    model, test = repeat.fitted.prototypes, repeat.split.test
    names, species = model.classes_.astype(str), task.species[test].astype(str)
    plane = neighbour_map(np.vstack([model.transform(task.vectors[test]), model.means_]), seed=seed)
    pictures, prototypes = plane[: len(test)], plane[len(test) :]
    middles = np.full(prototypes.shape, np.nan)
    for place, name in enumerate(names):
        if (species == name).any():
            middles[place] = np.median(pictures[species == name], axis=0)
    genus_of = task.genus_of()
    is_told = model.n_specimens_ == 0
    return map_with_anchors(
        pictures,
        [str(genus) for genus in task.genus[test]],
        anchors=prototypes,
        anchor_groups=[genus_of.get(name, "") for name in names],
        middles=middles,
        is_told=is_told,
        name="map",
        title="Pictures, and where genes say that they should be",
        caption=(
            f"t-SNE of the {len(test):,} test pictures and the {len(names):,} prototypes of the "
            "last repeat, on whitened axes, coloured by the commonest genera. Diamonds: species "
            f"with pictures to learn from. Stars: the {int(is_told.sum())} withheld species, "
            "placed by their relatives alone; a line leads to the middle of their pictures. "
            "Distances across the map mean nothing; neighbourhoods do."
        ),
        axis_labels=("t-SNE 1", "t-SNE 2"),
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
