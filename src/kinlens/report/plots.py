"""Charts that any study may use; each takes arrays and returns a finished figure.

No chart computes a statistic: values, intervals and nulls come in ready. Charts of pictures are in
`pictures`. Every chart takes the `name`, `title` and `caption` of its `FigureRecord`, and those
with a scale the `value_label` that stands on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from kinlens.records.result import FigureRecord
from kinlens.report.figure import INK, MUTED, PALETTE, SEQUENTIAL, finish, themed_figure
from kinlens.typing import AnyArray, FloatArray

__all__ = [
    "accuracy_by_group",
    "coloured_scatter",
    "confusion_matrix",
    "dots_with_intervals",
    "group_colours",
    "reliability_curve",
    "scatter_groups",
    "share_answered",
    "square_heatmap",
]

# Points of a legend, in square points: ten colours can be told apart, however small the data's are.
_LEGEND_AREA = 36.0


def dots_with_intervals(
    scores: pd.DataFrame,
    *,
    name: str,
    title: str,
    caption: str,
    value_label: str,
    panel: str = "target",
    row: str = "model",
) -> FigureRecord:
    """Draw scores as dots with 95% intervals, one panel a target, one line a model.

    Parameters
    ----------
    scores : pandas.DataFrame
        Columns `panel`, `row`, ``value``, ``low``, ``high``; optional ``null_mean`` (drawn as a
        grey tick) and ``selected`` (1: drawn in colour).
    panel, row : str
        Columns that make panels and lines.
    """
    panels = list(dict.fromkeys(scores[panel]))
    order = list(dict.fromkeys(scores.sort_values("value")[row]))
    height = 0.9 + 0.26 * len(order)
    with themed_figure(2.2 + 1.75 * len(panels), height) as figure:
        axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axis, target in zip(axes, panels, strict=True):
            part = scores[scores[panel] == target].set_index(row).reindex(order)
            _dots(axis, part)
            axis.set_title(str(target))
            axis.set_yticks(range(len(order)), [str(label).replace("_", " ") for label in order])
            axis.set_xlabel(value_label)
            axis.grid(axis="x")
        return finish(figure, name=name, title=title, caption=caption)


def _dots(axis: Axes, part: pd.DataFrame) -> None:
    y = np.arange(len(part))
    chosen = (
        part["selected"].fillna(0).to_numpy() > 0
        if "selected" in part
        else np.zeros(len(part), bool)
    )
    colours = np.where(chosen, PALETTE[5], PALETTE[0])
    for position, (low, high, colour) in enumerate(
        zip(part["low"], part["high"], colours, strict=True)
    ):
        axis.plot([low, high], [position, position], color=colour, linewidth=1.4)
    axis.scatter(part["value"], y, c=colours, s=22, zorder=3)
    if "null_mean" in part:
        axis.scatter(part["null_mean"], y, marker="|", s=60, c=MUTED, zorder=2)
    axis.set_ylim(-0.6, len(part) - 0.4)
    axis.locator_params(axis="x", nbins=4)


def coloured_scatter(
    points: FloatArray,
    groups: Sequence[str],
    *,
    name: str,
    title: str,
    caption: str,
    most_groups: int = 10,
    axis_labels: tuple[str, str] = ("UMAP 1", "UMAP 2"),
) -> FigureRecord:
    """Draw points in the plane, coloured by their commonest groups; the rest in grey.

    Parameters
    ----------
    points : array of shape (n, 2)
        Coordinates.
    groups : sequence of str, length n
        Group of each point; "" is grey.
    most_groups : int
        How many groups get a colour of their own, 10 at the most.
    axis_labels : (str, str)
        What stands along the two axes; they have no ticks.
    """
    colours = group_colours(groups, most_groups)
    with themed_figure(7.2, 4.8) as figure:
        axis = figure.subplots()
        scatter_groups(axis, points, groups, colours, alpha=0.85)
        axis.set_xticks([])
        axis.set_yticks([])
        axis.set_xlabel(axis_labels[0])
        axis.set_ylabel(axis_labels[1])
        axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
        return finish(figure, name=name, title=title, caption=caption)


def group_colours(groups: Sequence[str], most: int) -> dict[str, str]:
    """Give the commonest groups a colour each, the commonest first.

    Parameters
    ----------
    groups : sequence of str
        Group of each point; "" is none.
    most : int
        How many groups get a colour, 10 at the most.
    """
    counts = pd.Series([group for group in groups if group], dtype=object).value_counts()
    # Ties are broken by name, so that a rerun colours alike.
    commonest = sorted(counts.index, key=lambda group: (-counts[group], group))[:most]
    return dict(zip(commonest, PALETTE, strict=False))


def scatter_groups(
    axis: Axes,
    points: FloatArray,
    groups: Sequence[str],
    colours: Mapping[str, str],
    *,
    alpha: float,
) -> None:
    """Draw points, with a legend entry for each coloured group.

    Parameters
    ----------
    axis : matplotlib.axes.Axes
        Where to draw.
    points : array of shape (n, 2)
        Coordinates.
    groups : sequence of str, length n
        Group of each; those without a colour are grey.
    colours : mapping of str to str
        From `group_colours`.
    alpha : float
        Opacity of the coloured points.
    """
    labels = np.asarray(groups, dtype=object)
    size = float(np.clip(9000 / max(len(points), 1), 2, 26))
    style: dict[str, Any] = {"s": size, "linewidths": 0, "rasterized": True}
    rest = ~np.isin(labels, list(colours))
    legend: dict[str, Any] = {"s": _LEGEND_AREA, "linewidths": 0}
    if rest.any():
        axis.scatter(*points[rest].T, color=MUTED, alpha=0.35, **style)
        axis.scatter([], [], color=MUTED, alpha=0.35, label="others", **legend)
    for group, colour in colours.items():
        here = labels == group
        words = f"{str(group).replace('_', ' ')} ({here.sum()})"
        axis.scatter(*points[here].T, color=colour, alpha=alpha, **style)
        axis.scatter([], [], color=colour, alpha=alpha, label=words, **legend)


def square_heatmap(
    matrix: FloatArray,
    groups: Sequence[str],
    *,
    name: str,
    title: str,
    caption: str,
    value_label: str,
    limits: tuple[float, float] | None = None,
) -> FigureRecord:
    """Draw a square matrix whose rows are ordered already, with brackets where groups change.

    Parameters
    ----------
    matrix : array of shape (n, n)
        Values.
    groups : sequence of str, length n
        Group of each row; runs of one group are bracketed and named.
    limits : (float, float), optional
        Values at the ends of the colour scale.
    """
    low, high = limits or (float(np.nanmin(matrix)), float(np.nanmax(matrix)))
    with themed_figure(6.6, 5.4) as figure:
        axis = figure.subplots()
        image = axis.imshow(
            matrix, cmap=SEQUENTIAL, vmin=low, vmax=high, interpolation="nearest", rasterized=True
        )
        _bracket_groups(axis, groups)
        figure.colorbar(image, ax=axis, shrink=0.8, label=value_label)
        return finish(figure, name=name, title=title, caption=caption)


def confusion_matrix(
    counts: AnyArray,
    groups: Sequence[str],
    *,
    name: str,
    title: str,
    caption: str,
    labels: Sequence[str] = (),
) -> FigureRecord:
    """Draw a confusion matrix as row shares, its classes ordered already.

    Parameters
    ----------
    counts : array of shape (n, n)
        Rows truth, columns answers.
    groups : sequence of str, length n
        Higher group of each class, bracketed along both axes.
    labels : sequence of str, optional
        Class names, written when there are 40 or fewer.
    """
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.full(counts.shape, np.nan), where=totals > 0)
    with themed_figure(6.6, 5.6) as figure:
        axis = figure.subplots()
        image = axis.imshow(
            np.sqrt(shares),
            cmap=SEQUENTIAL,
            vmin=0,
            vmax=1,
            interpolation="nearest",
            rasterized=len(counts) > 40,
        )
        if len(labels) and len(labels) <= 40:
            axis.set_xticks(range(len(labels)), labels, rotation=90, fontsize=6.5)
            axis.set_yticks(range(len(labels)), labels, fontsize=6.5)
        else:
            _bracket_groups(axis, groups)
        axis.set_xlabel("answer")
        axis.set_ylabel("truth")
        bar = figure.colorbar(image, ax=axis, shrink=0.8, label="share of the class (root scale)")
        ticks = [0.0, 0.05, 0.25, 0.5, 1.0]
        bar.set_ticks([float(np.sqrt(t)) for t in ticks], labels=[f"{t:.0%}" for t in ticks])
        return finish(figure, name=name, title=title, caption=caption)


def _bracket_groups(axis: Axes, groups: Sequence[str]) -> None:
    """Name each run of equal groups along both axes; only runs long enough for their name."""
    labels = list(groups)
    starts = [i for i in range(len(labels)) if i == 0 or labels[i] != labels[i - 1]]
    ends = [*starts[1:], len(labels)]
    positions, names = [], []
    for start, end in zip(starts, ends, strict=True):
        if start:
            axis.axhline(start - 0.5, color="white", linewidth=0.4)
            axis.axvline(start - 0.5, color="white", linewidth=0.4)
        if end - start >= max(1, 0.028 * len(labels)):
            positions.append((start + end - 1) / 2)
            names.append(labels[start] or "(none)")
    axis.set_xticks(positions, names, rotation=60, ha="right", rotation_mode="anchor", fontsize=7)
    axis.set_yticks(positions, names, fontsize=7)


def reliability_curve(
    curves: Mapping[str, tuple[FloatArray, FloatArray, FloatArray]],
    *,
    name: str,
    title: str,
    caption: str,
) -> FigureRecord:
    """Draw stated confidence against observed share correct.

    Parameters
    ----------
    curves : mapping of str to (confidence, correct, weight)
        Per curve, arrays of shape (n_bins,): mean confidence, share correct and number of answers
        of each bin.
    """
    with themed_figure(4.8, 4.3) as figure:
        axis = figure.subplots()
        axis.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        for colour, (label, (confidence, correct, weight)) in zip(
            PALETTE, curves.items(), strict=False
        ):
            used = weight > 0
            axis.plot(confidence[used], correct[used], color=colour, label=label)
            axis.scatter(
                confidence[used],
                correct[used],
                s=8 + 60 * weight[used] / weight.max(),
                color=colour,
                linewidths=0,
            )
        axis.set(xlim=(0, 1), ylim=(0, 1), xlabel="stated confidence", ylabel="share correct")
        axis.set_aspect("equal")
        axis.grid()
        axis.legend(loc="best")
        return finish(figure, name=name, title=title, caption=caption)


def share_answered(
    shares: Mapping[str, float], *, name: str, title: str, caption: str
) -> FigureRecord:
    """Draw one bar, split into the shares of pictures answered at each rank.

    Parameters
    ----------
    shares : mapping of str to float
        Rank (or "no answer") to share, in the order drawn; shares add to 1.
    """
    with themed_figure(7.0, 1.7) as figure:
        axis = figure.subplots()
        left = 0.0
        for index, (label, share) in enumerate(shares.items()):
            colour = MUTED if label == "no answer" else PALETTE[index % len(PALETTE)]
            axis.barh(0, share, left=left, color=colour, height=0.6)
            if share >= 0.04:
                axis.text(
                    left + share / 2,
                    0,
                    f"{label}\n{share:.0%}",
                    ha="center",
                    va="center",
                    color="white",
                    fontsize=8,
                )
            left += share
        axis.set(xlim=(0, 1), yticks=[], xlabel="share of test pictures")
        axis.spines["left"].set_visible(False)
        return finish(figure, name=name, title=title, caption=caption)


def accuracy_by_group(
    table: pd.DataFrame,
    *,
    name: str,
    title: str,
    caption: str,
    group: str,
    value_label: str = "share correct",
) -> FigureRecord:
    """Draw a share with its interval for ordered groups, such as numbers of training specimens.

    Parameters
    ----------
    table : pandas.DataFrame
        Columns `group`, ``value``, ``low``, ``high``, ``n`` and optionally ``model``.
    group : str
        The column that makes the groups, drawn in order of appearance.
    """
    labels = list(dict.fromkeys(table[group]))
    models = list(dict.fromkeys(table["model"])) if "model" in table else [""]
    with themed_figure(6.2, 3.6) as figure:
        axis = figure.subplots()
        offsets = np.linspace(-0.18, 0.18, len(models)) if len(models) > 1 else np.zeros(1)
        for colour, model, offset in zip(PALETTE, models, offsets, strict=False):
            part = table[table["model"] == model] if "model" in table else table
            part = part.set_index(group).reindex(labels)
            x = np.arange(len(labels)) + offset
            error = np.stack([part["value"] - part["low"], part["high"] - part["value"]])
            axis.errorbar(
                x,
                part["value"],
                yerr=np.maximum(error, 0),
                fmt="o",
                color=colour,
                capsize=2,
                label=model.replace("_", " "),
            )
        counts = table.drop_duplicates(group).set_index(group)["n"].reindex(labels)
        axis.set_xticks(
            range(len(labels)),
            [f"{label}\n(n = {int(count)})" for label, count in zip(labels, counts, strict=True)],
        )
        axis.set(ylim=(0, 1.02), ylabel=value_label, xlabel=group.replace("_", " "))
        axis.grid(axis="y")
        if len(models) > 1:
            axis.legend()
        axis.spines["left"].set_color(INK)
        return finish(figure, name=name, title=title, caption=caption)
