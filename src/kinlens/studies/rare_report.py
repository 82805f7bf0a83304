"""From what the study `rare` found to its result: tables, figures and words.

Everywhere, `task` is what was worked on, and `cells` are species by repeat and model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from kinlens.embed.container import to_anndata
from kinlens.geometry.patristic import patristic_distances
from kinlens.models.anchors import AnchorReport
from kinlens.models.projection import plane_map
from kinlens.records.collection import Collection
from kinlens.records.result import StudyResult
from kinlens.records.slots import UMAP
from kinlens.rng import RandomStreams
from kinlens.studies import rare_figures as figures
from kinlens.studies.rare_model import RareModel, branch_words
from kinlens.studies.rare_retrieval import retrieval_table, shares_within
from kinlens.studies.rare_scores import Repeat
from kinlens.studies.rare_task import RareTask
from kinlens.studies.rare_words import WordsConfig, headlines_of, methods_of

__all__ = ["RareFindings", "report_of", "species_table"]

_CAPTIONS = {
    "species": "Each species: specimens learned from and pictures tested (means over repeats), "
    "share named right with the tree and with its tips permuted, what it was taken for most often, "
    "and its nearest relatives.",
    "retrieval": "Pictures to genes (is the true species' place among the first?) and genes to "
    "pictures (average precision of the species' pictures), by the number of training specimens, "
    "beside the same search with genes permuted among species, and chance. Intervals resample "
    "species; gains are paired.",
    "anchors": "Genetic anchors, looked over before training.",
}


@dataclass(frozen=True, eq=False)
class RareFindings:
    """Every number of the study.

    Parameters
    ----------
    task : RareTask
        Pictures and kinship.
    repeats : sequence of Repeat
        Splits and fits.
    cells, searches : pandas.DataFrame
        Names and retrieval, species by repeat and model.
    metrics : pandas.DataFrame
        Rows of ``metrics.csv``.
    anchors : mapping of str to AnchorReport
        By what the anchors are made of.
    """

    task: RareTask
    repeats: Sequence[Repeat]
    cells: pd.DataFrame
    searches: pd.DataFrame
    metrics: pd.DataFrame
    anchors: Mapping[str, AnchorReport]


def report_of(
    collection: Collection,
    found: RareFindings,
    model: RareModel,
    *,
    config: WordsConfig,
    streams: RandomStreams,
) -> StudyResult:
    """Put tables, figures and words together.

    Parameters
    ----------
    collection : Collection
        For its pictures and its name.
    found : RareFindings
        Every number.
    model : RareModel
        What answers for new pictures.
    config : WordsConfig
        What was asked for.
    streams : RandomStreams
        Draw the map.
    """
    task, metrics, repeats = found.task, found.metrics, found.repeats
    species = species_table(task, found.cells)
    retrieval = retrieval_table(metrics, found.searches)
    curves = {
        name: shares_within(task, repeats, name, target="shots_0")
        for name in ("prototypes", "prototypes_permuted")
    }
    drawn = [
        figures.shots_figure(metrics),
        figures.gain_figure(metrics),
        figures.retrieval_figure(curves, retrieval),
        figures.tree_figure(task.tree, species),
        figures.map_figure(task, repeats[-1], seed=streams.integer("map")),
        figures.page_figure(collection, task, repeats, species),
    ]
    return StudyResult(
        study="rare",
        title="Rare species",
        headlines=headlines_of(
            metrics, found.anchors, n_species=len(task.names), error_rate=config.error_rate
        ),
        metrics=metrics,
        methods=methods_of(collection, task, config),
        predictions=_predictions(task, repeats[-1]),
        splits=pd.concat([_split_table(task, repeat) for repeat in repeats], ignore_index=True),
        tables={
            "species": species,
            "retrieval": retrieval,
            "anchors": _anchor_table(found.anchors),
        },
        table_captions=_CAPTIONS,
        figures=tuple(figure for figure in drawn if figure is not None),
        embedding=_anndata(task, repeats[-1], seed=streams.integer("plane")),
        model=model.state(),
        skipped=task.skipped,
    )


def species_table(task: RareTask, cells: pd.DataFrame) -> pd.DataFrame:
    """Gather one row a species over all repeats.

    Parameters
    ----------
    task, cells
        See above.

    Returns
    -------
    pandas.DataFrame
        ``species, genus, n_train, n_test, accuracy, accuracy_permuted, gain, taken_for,
        nearest_relatives``, in the order of the tree; species never tested have no accuracy.
    """
    with_tree = cells[cells["model"] == "prototypes"].groupby("species")
    permuted = cells[cells["model"] == "prototypes_permuted"].groupby("species")
    accuracy = with_tree["per_class_accuracy"].mean()
    other = permuted["per_class_accuracy"].mean()
    wrong = with_tree["taken_for"].agg(_commonest)
    distances = patristic_distances(task.tree)
    genus_of = task.genus_of()
    names = list(distances.ids)
    rows = []
    for place, name in enumerate(names):
        order = np.argsort(distances.values[place], kind="stable")
        near = [names[i] for i in order if i != place][:3]
        rows.append(
            {
                "species": name,
                "genus": genus_of.get(name, ""),
                "n_train": with_tree["shots"].mean().get(name, np.nan),
                "n_test": with_tree["n_test"].mean().get(name, np.nan),
                "accuracy": accuracy.get(name, np.nan),
                "accuracy_permuted": other.get(name, np.nan),
                "gain": accuracy.get(name, np.nan) - other.get(name, np.nan),
                "taken_for": wrong.get(name, ""),
                "nearest_relatives": ";".join(near),
            }
        )
    return pd.DataFrame(rows)


def _commonest(names: pd.Series) -> str:
    counts = names[names != ""].value_counts()
    return str(counts.index[0]) if len(counts) else ""


def _anchor_table(anchors: Mapping[str, AnchorReport]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "anchors": name,
                "n": each.n,
                "effective_rank": each.effective_rank,
                "smallest_cosine": each.smallest,
                "largest_cosine": each.largest,
                "nearest": " and ".join(each.nearest),
                "margin": each.margin,
                "infeasible_share": each.infeasible,
            }
            for name, each in anchors.items()
        ]
    )


def _split_table(task: RareTask, repeat: Repeat) -> pd.DataFrame:
    part = np.full(len(task.species), "unused", dtype=object)
    for name in ("train", "validation", "test"):
        part[getattr(repeat.split, name)] = name
    return pd.DataFrame(
        {"image": task.table.image, "split": f"specimen_{repeat.number}", "part": part}
    )


def _predictions(task: RareTask, repeat: Repeat) -> pd.DataFrame:
    fitted, test = repeat.fitted, repeat.split.test
    classes = fitted.prototypes.classes_.astype(str)
    best = fitted.probabilities.argmax(axis=1)
    return pd.DataFrame(
        {
            "image": task.table.image[test],
            "specimen": task.table.specimen[test],
            "true_species": task.species[test],
            "species": classes[best],
            "species_probability": fitted.probabilities.max(axis=1),
            "candidates": [";".join(classes[row]) for row in fitted.candidates],
            "newcomer_log_odds": fitted.newcomer_odds,
            "attaches_to": [branch_words(below) for below in fitted.branch],
        }
    )


def _anndata(task: RareTask, repeat: Repeat, *, seed: int) -> Any:
    encoded = task.encoded().astype(np.float32)
    container = to_anndata(
        encoded,
        [str(image) for image in task.table.image],
        obs=task.table.frame.assign(split=_split_table(task, repeat)["part"].to_numpy()),
        provenance={"encoder": task.embedder, "fingerprint": task.fingerprint},
    )
    container.obsm[UMAP.key] = plane_map(encoded, seed=seed).astype(np.float32)
    return container
