"""The figures of the study `location`: each takes what the study found and returns one figure.

Everywhere, `metrics` are rows of ``metrics.csv``, `tree` holds the labels in the source's order,
`stages` what each stage did on its own, `n` counts test units, `unit` says what they are, and
`decidable` names the labels that enough of them hold.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd

from kinlens.evaluate.multilabel import LabelScores, MeanOf
from kinlens.records.label_tree import LabelTree
from kinlens.records.result import FigureRecord
from kinlens.report import plots
from kinlens.report.bars import grouped_bars, labelled_heatmap
from kinlens.report.pictures import Tile, picture_rows
from kinlens.studies.location_answers import StageScores
from kinlens.typing import AnyArray, BoolArray, ByteArray, FloatArray

__all__ = [
    "advantage_figure",
    "channel_figure",
    "co_occurrence_figure",
    "composite",
    "example_figure",
    "heat_over",
    "label_figure",
    "reliability_figure",
    "score_figure",
    "stage_1_figure",
    "stage_2_figure",
]

# The source draws the baseline in blue, stage 2 without "other" in red, with it in yellow.
_BLUE, _RED, _YELLOW, _GREEN, _GREY = "#0072B2", "#C8102E", "#E5B800", "#009E73", "#8a929c"
_WORDS = {
    "flat": "baseline",
    "stage2": "without other",
    "stage2_other": "with other",
    "hard_routed": "routed, without other",
    "hard_routed_other": "routed, with other",
    "joint_tuned": "joint, tuned",
    "flat_tuned": "baseline, tuned",
    "logistic_tuned": "descriptors, tuned",
    "stage1_single": "single-label",
    "stage1_multi": "multi-label",
}
_COLOURS = {
    "logistic_tuned": _GREY,
    "flat": _BLUE,
    "flat_tuned": "#56B4E9",
    "hard_routed": _RED,
    "hard_routed_other": _YELLOW,
    "joint_tuned": _GREEN,
}
_TILE = 96
# What each channel of the atlas shows, as colours of a composite.
_TINTS = {
    "red": (1.0, 0.0, 0.0),
    "green": (0.0, 1.0, 0.0),
    "blue": (0.1, 0.25, 1.0),
    "yellow": (0.45, 0.45, 0.0),
}


def score_figure(metrics: pd.DataFrame, *, n: int, unit: str) -> FigureRecord:
    """Draw macro and micro F1 of every model."""
    shown = metrics[(metrics["metric"] == "f1") & metrics["target"].isin(["macro", "micro"])]
    return plots.dots_with_intervals(
        shown,
        name="scores_f1",
        title="F1 of every model",
        caption=(
            f"Mean over labels (macro) and pooled (micro), on {n:,} test {unit} that no model saw. "
            f"Lines: 95% intervals from resampling {unit}. Grey ticks: mean when labels are "
            f"shuffled among {unit}. Orange: the model that inner validation chose. Tuned: "
            "thresholds from the validation part, by one function for all."
        ),
        value_label="F1",
    )


def label_figure(
    metrics: pd.DataFrame, tree: LabelTree, *, n: int, unit: str, decidable: Collection[str]
) -> FigureRecord:
    """Draw the F1 of each label, group by group in the source's order."""
    return _label_bars(
        metrics,
        tree,
        metric="f1",
        models=("logistic_tuned", "flat", "flat_tuned", "joint_tuned"),
        decidable=decidable,
        name="labels_f1",
        title="F1 of each label",
        caption=(
            f"On {n:,} test {unit}; lines: 95% intervals from resampling them. Pale: held by too "
            "few to decide anything."
        ),
        value_label="F1",
    )


def advantage_figure(
    metrics: pd.DataFrame, tree: LabelTree, *, n: int, unit: str, decidable: Collection[str]
) -> FigureRecord:
    """Draw the Prediction Advantage of each label, as the source's figure 7 does."""
    return _label_bars(
        metrics,
        tree,
        metric="source_advantage",
        models=("flat", "hard_routed", "hard_routed_other", "joint_tuned"),
        decidable=decidable,
        name="labels_advantage",
        title="Prediction Advantage of each label",
        caption=(
            f"1 - (1 - F1) / (1 - p), as the source has it, on {n:,} test {unit}; 0 is no better "
            "than the label's share p. Lines: 95% intervals. Pale: held by too few to decide."
        ),
        value_label="Prediction Advantage",
        limits=(-0.25, 1.0),
    )


def _label_bars(
    metrics: pd.DataFrame,
    tree: LabelTree,
    *,
    metric: str,
    models: Sequence[str],
    decidable: Collection[str],
    **words: str | tuple[float, float],
) -> FigureRecord:
    group_of = {label: group for group, labels in tree.groups for label in labels}
    place = {label: number for number, label in enumerate(tree.labels)}
    part = metrics[
        (metrics["metric"] == metric)
        & metrics["model"].isin(models)
        & metrics["target"].isin(place)
    ]
    table = pd.DataFrame(
        {
            "panel": part["target"].map(group_of),
            "group": part["target"],
            "series": part["model"].map(_WORDS),
            "value": part["value"],
            "low": part["low"],
            "high": part["high"],
            "faint": [int(label not in decidable) for label in part["target"]],
            "place": part["target"].map(place),
        }
    ).sort_values("place", kind="stable")
    colours = {_WORDS[model]: _COLOURS[model] for model in models}
    return grouped_bars(table, colours, **words)  # type: ignore[arg-type]


def stage_1_figure(stages: Sequence[StageScores], *, n: int, unit: str) -> FigureRecord:
    """Draw precision, recall and F1 of the groups by both stage 1 networks (figure 5)."""
    rows = [
        {"panel": metric, "group": group, "series": _WORDS[each.model], "value": value}
        for metric in ("precision", "recall", "f1")
        for each in stages
        if each.stage == "stage 1"
        for group, value in _values(each, metric).items()
    ]
    return grouped_bars(
        pd.DataFrame(rows),
        {_WORDS["stage1_single"]: _BLUE, _WORDS["stage1_multi"]: _RED},
        name="stage_1",
        title="Stage 1: which groups",
        caption=(
            "Groups named by one network of combinations (single-label) and one of groups by "
            f"themselves (multi-label), on {n:,} test {unit}; mean of the repeats."
        ),
        value_label="score",
    )


def stage_2_figure(stages: Sequence[StageScores]) -> FigureRecord:
    """Draw the Prediction Advantage of the stage 2 networks beside the baseline (figure 6)."""
    rows = [
        {"panel": each.stage, "group": label, "series": _WORDS[each.model], "value": value}
        for each in stages
        if each.stage != "stage 1"
        for label, value in _values(each, "source_advantage").items()
    ]
    return grouped_bars(
        pd.DataFrame(rows),
        {"baseline": _BLUE, "without other": _RED, "with other": _YELLOW},
        name="stage_2",
        title="Stage 2: labels within the true group",
        caption=(
            "Prediction Advantage as the source has it, on test pictures that truly hold a label "
            "of the group; the baseline on the same pictures. Mean of the repeats."
        ),
        value_label="Prediction Advantage",
        limits=(-0.5, 1.0),
    )


def _values(stage: StageScores, metric: str) -> dict[str, float]:
    """Return the score of each label or group of a stage."""
    scores = MeanOf([LabelScores(answers, [metric]) for answers in stage.answers])
    found = scores(np.ones((1, len(stage.rows))))[0]
    named = dict(zip(scores.names, found, strict=True))
    return {label: named[f"{metric}/{label}"] for label in stage.answers[0].labels}


def co_occurrence_figure(truth: BoolArray, tree: LabelTree) -> FigureRecord:
    """Draw how often one label holds where another does; `truth` has one row a picture."""
    held = truth.astype(float)
    both = held.T @ held
    share = both / np.maximum(np.diag(both), 1)[:, None]
    np.fill_diagonal(share, np.nan)
    return labelled_heatmap(
        share,
        list(tree.labels),
        list(tree.labels),
        name="co_occurrence",
        title="Which labels go together",
        caption=(
            f"Share of the pictures with the row's label that hold the column's, too; "
            f"{len(truth):,} pictures."
        ),
        value_label="share",
        limits=(0.0, max(0.5, float(np.nanmax(share)))),
    )


def channel_figure(
    effects: FloatArray, tree: LabelTree, channels: Sequence[str], *, model: str, pictures: int
) -> FigureRecord:
    """Draw how much each label loses without each channel.

    Parameters
    ----------
    effects : array of shape (n_labels, n_channels)
        From `location_occlusion.channel_effects`.
    tree
        As at the module's top.
    channels : sequence of str
        Their names.
    model : str
        Whose answers they are.
    pictures : int
        How many test pictures were shown.
    """
    return labelled_heatmap(
        effects,
        list(tree.labels),
        list(channels),
        name="channels",
        title="What each channel is worth",
        caption=(
            f"Mean loss of a held label's probability when one channel is blanked, {model} model, "
            f"{pictures:,} test pictures. Near 0: the channel is not looked at for this label; "
            "below 0: it spoke against it."
        ),
        value_label="loss of probability",
        limits=(min(0.0, float(np.nanmin(effects))), max(0.1, float(np.nanmax(effects)))),
    )


def example_figure(rows: Sequence[Sequence[Tile]]) -> FigureRecord:
    """Draw test pictures of each label, hits and misses; `rows` has one row a label."""
    return picture_rows(
        rows,
        name="examples",
        title="Hits, misses and where the network looks",
        caption=(
            "For each label: the surest test picture that holds it, where the probability is lost "
            "when a square is blanked (bright: much), another hit, a miss and a false alarm, as "
            "far as there are such. Green frame: right; orange: wrong. Red microtubules, green "
            "protein, blue nucleus, yellow endoplasmic reticulum."
        ),
    )


def reliability_figure(
    said: Mapping[str, FloatArray], truth: BoolArray, *, errors: Mapping[str, float]
) -> FigureRecord:
    """Draw stated probability against what came true, all labels pooled.

    Parameters
    ----------
    said : mapping of str to array of shape (n, n_labels)
        Probabilities, before and after calibration.
    truth : array of bool, shape (n, n_labels)
        Which labels hold.
    errors : mapping of str to float
        Calibration error of each.
    """
    curves = {}
    for word, probabilities in said.items():
        bins = np.minimum((probabilities.ravel() * 15).astype(int), 14)
        count = np.bincount(bins, minlength=15).astype(float)
        mean = np.bincount(bins, probabilities.ravel(), 15) / np.maximum(count, 1)
        held = np.bincount(bins, truth.ravel().astype(float), 15) / np.maximum(count, 1)
        curves[f"{word} (error {errors[word]:.3f})"] = (mean, held, np.sqrt(count))
    return plots.reliability_curve(
        curves,
        name="reliability",
        title="Stated probabilities come true",
        caption=(
            f"All {truth.shape[1]} labels of {len(truth):,} test pictures, pooled in 15 bins of "
            "equal width; calibrated on the validation part. Dots grow with the number of answers."
        ),
    )


def composite(picture: ByteArray, channels: Sequence[str]) -> ByteArray:
    """Return a picture of several channels in colour, uint8, shape (size, size, 3).

    Parameters
    ----------
    picture : array of uint8, shape (size, size, channels)
        Its channels are brightened to their own maximum.
    channels : sequence of str
        Names; those of the atlas have their colours, others are grey.
    """
    light = np.zeros((*picture.shape[:2], 3))
    for number, channel in enumerate(channels):
        band = picture[..., number].astype(float)
        tint = np.array(_TINTS.get(channel, (1.0, 1.0, 1.0)))
        light += band[..., None] / max(float(band.max()), 32.0) * tint
    if len(channels) == 1:
        light = np.repeat(light.max(axis=2, keepdims=True), 3, axis=2)
    return _enlarged((255 * np.clip(light, 0, 1)).astype(np.uint8))


def heat_over(picture: ByteArray, effects: FloatArray) -> ByteArray:
    """Lay a map of losses over a picture in grey.

    Parameters
    ----------
    picture : array of uint8, shape (size, size, 3)
        From `composite`.
    effects : array of shape (cells, cells)
        Losses of probability; what is below 0 is left dark.
    """
    cells = len(effects)
    heat = np.clip(effects, 0, None)
    heat = heat / max(float(heat.max()), 1e-9)
    rows = np.minimum(np.arange(len(picture)) * cells // len(picture), cells - 1)
    large = heat[np.ix_(rows, rows)][..., None]
    grey = picture.mean(axis=2, keepdims=True)
    mixed = 0.45 * grey + large * np.array([255.0, 190.0, 40.0]) * 0.75
    return np.asarray(np.clip(mixed, 0, 255), np.uint8)


def _enlarged(pixels: ByteArray) -> ByteArray:
    """Repeat the pixels of small pictures, so that they print sharply."""
    times = max(1, round(_TILE / len(pixels)))
    larger: AnyArray = pixels.repeat(times, axis=0).repeat(times, axis=1)
    return np.asarray(larger, np.uint8)
