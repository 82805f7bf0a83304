"""From what the study `rare` found to its result: tables, figures and words.

Everywhere, `task` is what was worked on, `cells` are species by repeat and model, and `metrics`
are rows of ``metrics.csv``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import pandas as pd

from kinlens import __version__
from kinlens.geometry.patristic import patristic_distances
from kinlens.models.anchors import AnchorReport
from kinlens.records.collection import Collection
from kinlens.records.result import FigureRecord, Headline, StudyResult
from kinlens.rng import RandomStreams
from kinlens.studies import rare_figures as figures
from kinlens.studies.rare_scores import Repeat
from kinlens.studies.rare_task import RareTask

__all__ = ["ReportConfig", "report_of", "species_table"]

_BIN_WORDS = {
    "shots_0": "no specimen",
    "shots_1": "one specimen",
    "shots_2_5": "2 to 5 specimens",
    "shots_6_20": "6 to 20 specimens",
    "shots_over_20": "more than 20 specimens",
}


class ReportConfig(Protocol):
    """The settings that words repeat."""

    repeats: int
    unseen_share: float
    rare_share: float
    noises: tuple[float, ...]
    networks: bool
    margin: float
    error_rate: float
    replicates: int


def report_of(
    collection: Collection,
    task: RareTask,
    repeats: Sequence[Repeat],
    cells: pd.DataFrame,
    metrics: pd.DataFrame,
    anchors: Mapping[str, AnchorReport],
    *,
    config: ReportConfig,
    streams: RandomStreams,
) -> StudyResult:
    """Put tables, figures and words together.

    Parameters
    ----------
    collection : Collection
        For its pictures and its name.
    task, cells, metrics
        See above.
    repeats : sequence of Repeat
        Splits and fits.
    anchors : mapping of str to AnchorReport
        By what the anchors are made of.
    config : ReportConfig
        What was asked for.
    streams : RandomStreams
        Draw the map.
    """
    species = species_table(task, cells)
    last = repeats[-1]
    drawn: list[FigureRecord] = [figures.shots_figure(metrics), figures.gain_figure(metrics)]
    drawn.append(figures.tree_figure(task.tree, species))
    drawn.append(figures.map_figure(task, last, seed=streams.integer("map")))
    pages = figures.page_figure(collection, task, repeats, species)
    if pages is not None:
        drawn.append(pages)
    return StudyResult(
        study="rare",
        title="Rare species",
        headlines=_headlines(metrics, anchors, config),
        metrics=metrics,
        methods=_methods(collection, task, metrics, config),
        predictions=_predictions(task, last),
        splits=pd.concat([_split_table(task, repeat) for repeat in repeats], ignore_index=True),
        tables={"species": species, "anchors": _anchor_table(anchors)},
        table_captions={
            "species": "Each species: specimens learned from and pictures tested (means over "
            "repeats), share named right with the tree and without, what it was taken for most "
            "often, and its nearest relatives.",
            "anchors": "Genetic anchors, looked over before training.",
        },
        figures=tuple(drawn),
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
        ``species, genus, n_train, n_test, accuracy, accuracy_without_tree, gain, taken_for,
        nearest_relatives``, in the order of the tree; species never tested have no accuracy.
    """
    with_tree = cells[cells["model"] == "prototypes"].groupby("species")
    without = cells[cells["model"] == "prototypes_no_tree"].groupby("species")
    accuracy = with_tree["per_class_accuracy"].mean()
    alone = without["per_class_accuracy"].mean()
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
                "accuracy_without_tree": alone.get(name, np.nan),
                "gain": accuracy.get(name, np.nan) - alone.get(name, np.nan),
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
            "attaches_to": [
                below[0] if len(below) == 1 else f"{below[0]} | {below[-1]} ({len(below)})"
                for below in fitted.branch
            ],
        }
    )


def _row(metrics: pd.DataFrame, target: str, model: str, metric: str) -> pd.Series | None:
    found = metrics[
        (metrics["target"] == target) & (metrics["model"] == model) & (metrics["metric"] == metric)
    ]
    return found.iloc[0] if len(found) else None


def _interval(row: pd.Series) -> str:
    return f"{row['value']:.1%} ({row['low']:.1%} to {row['high']:.1%})"


def _points(row: pd.Series) -> str:
    return f"{100 * row['value']:+.1f} points ({100 * row['low']:+.1f} to {100 * row['high']:+.1f})"


def _headlines(
    metrics: pd.DataFrame, anchors: Mapping[str, AnchorReport], config: ReportConfig
) -> tuple[Headline, ...]:
    found = []
    for target in ("shots_0", "shots_1"):
        right = _row(metrics, target, "prototypes", "per_class_accuracy")
        gain = _row(metrics, target, "prototypes", "gain_over_permuted")
        genus = _row(metrics, target, "prototypes", "genus_accuracy")
        near = _row(metrics, target, "prototypes", "top_5_accuracy")
        means = _row(metrics, target, "class_means", "per_class_accuracy")
        if right is None or gain is None or genus is None or near is None or means is None:
            continue
        is_clear = gain["low"] > 0
        found.append(
            Headline(
                f"Species with {_BIN_WORDS[target]} to learn from: {_interval(right)} of a "
                f"species' pictures named right, {near['value']:.1%} within five, the genus right "
                f"for {genus['value']:.1%} (nearest class mean: {means['value']:.1%} by species). "
                f"Of that the tree gave {_points(gain)} over the same model with its tips "
                f"permuted{'' if is_clear else ', which is not told from nothing'}; "
                f"n = {int(right['n'])} species.",
                "good" if is_clear else "plain",
            )
        )
    whole = _row(metrics, "all", "prototypes", "per_class_accuracy")
    alone = _row(metrics, "all", "class_means", "per_class_accuracy")
    if whole is not None and alone is not None:
        found.append(
            Headline(
                f"All species: {_interval(whole)} right on average over species; nearest class "
                f"mean {_interval(alone)}."
            )
        )
    error = _row(metrics, "seen", "prototypes", "calibration_error")
    cover = _row(metrics, "seen", "prototypes", "coverage")
    if error is not None and cover is not None:
        found.append(
            Headline(
                f"Probabilities among learned species are off by {error['value']:.3f} on average; "
                f"candidate sets hold the species of {cover['value']:.1%} of pictures, "
                f"{1 - config.error_rate:.0%} was promised."
            )
        )
    area = _row(metrics, "shots_0", "prototypes", "newcomer_auc")
    branch = _row(metrics, "shots_0", "prototypes", "branch_holds_genus")
    if area is not None and branch is not None:
        found.append(
            Headline(
                "A picture of a species that nobody told of is stranger than one of a known "
                f"species in {area['value']:.0%} of pairs, and attaches to a branch with its genus "
                f"in {branch['value']:.0%}."
            )
        )
    aligned = _row(metrics, "shots_1", "aligned_long_tail", "gain_over_permuted")
    if aligned is not None:
        found.append(
            Headline(
                "The published alignment with true anchors, over permuted ones, for species with "
                f"one specimen: {_points(aligned)}."
            )
        )
    found += [
        Headline(f"Anchors ({name}): {each}", "bad")
        for name, each in anchors.items()
        if not each.is_sound
    ]
    return tuple(found)


def _methods(
    collection: Collection, task: RareTask, metrics: pd.DataFrame, config: ReportConfig
) -> str:
    networks = (
        " A network after Karaderi et al. (2024) was trained on the same axes: softmax and "
        "reciprocal triplet loss, weight balancing (Alshammari et al. 2022) or logit adjustment "
        "(Menon et al. 2021), and alignment to anchors, the principal coordinates of the tree's "
        "distances, beside anchors permuted among species, turned at random (same Gram matrix) "
        "and of the taxonomy; epochs and weight decay were chosen on validation."
        if config.networks
        else ""
    )
    return f"""
{len(task.species):,} pictures of {len(set(task.specimens.tolist())):,} specimens of
{len(task.names):,} species ({collection.name}) were turned into vectors of length
{task.vectors.shape[1]:,} (kinlens {__version__}, `{task.embedder}`), pictures of one view centred.
Kinship: {task.kinship_words}. In each of {config.repeats} repeats {config.unseen_share:.0%} of the
species were withheld whole and {config.rare_share:.0%} kept one specimen to learn from; specimens
never sit on two sides.

Phylogenetic prototypes are species means in features whitened by the pooled within-species
covariance, shrunk (Ledoit & Wolf 2004), under a prior by which they evolved along the tree by
Brownian motion or an Ornstein-Uhlenbeck process (Hansen 1997) with Pagel's lambda, fitted on each
axis by restricted likelihood; all species, seen or not, are candidates. The noise of a specimen
(among {", ".join(f"{noise:g}" for noise in config.noises)}), the temperature of probabilities and
the thresholds of candidate sets were chosen on validation specimens. Controls are the same model
with the tips of the tree permuted, with the tree that the taxonomy draws, and without a tree;
anchors of the same Gram matrix are the same model here, which knows the tree by its distances
alone.{networks}

Accuracy is the mean over species of the share of their pictures named right. Intervals are 95%
percentile intervals of {config.replicates:,} bootstrap samples of species, with all their repeats;
gains are paired over the same species and repeats. Better shrinkage helps rare species whatever
the tree: only the difference from the permuted tree is called genetic.
"""
