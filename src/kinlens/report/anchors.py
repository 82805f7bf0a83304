"""A map of pictures with anchors among them: where species are, and where they should be.

Places come in ready; other charts are in `plots`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from kinlens.records.result import FigureRecord
from kinlens.report.figure import INK, finish, themed_figure
from kinlens.report.plots import group_colours, scatter_groups
from kinlens.typing import BoolArray, FloatArray

__all__ = ["map_with_anchors"]


def map_with_anchors(
    points: FloatArray,
    groups: Sequence[str],
    *,
    anchors: FloatArray,
    anchor_groups: Sequence[str],
    middles: FloatArray,
    is_told: BoolArray,
    name: str,
    title: str,
    caption: str,
    most_groups: int = 10,
    axis_labels: tuple[str, str] = ("UMAP 1", "UMAP 2"),
) -> FigureRecord:
    """Draw pictures as dots, and anchors as diamonds, or as stars where nothing was learned from.

    Parameters
    ----------
    points : array of shape (n, 2)
        Pictures.
    groups : sequence of str, length n
        Group of each; the commonest have colours, "" is grey.
    anchors : array of shape (m, 2)
        Anchors.
    anchor_groups : sequence of str, length m
        Group of each, coloured as the pictures are.
    middles : array of shape (m, 2)
        The middle of each anchor's own pictures; a line leads there from a star. NaN for none.
    is_told : array of bool, shape (m,)
        Which anchors are stars.
    name, title, caption : str
        As in `FigureRecord`.
    most_groups : int
        How many groups get a colour of their own, 10 at the most.
    axis_labels : (str, str)
        What stands along the two axes; they have no ticks.
    """
    colours = group_colours(groups, most_groups)
    fill = [colours.get(label, "white") for label in anchor_groups]
    with themed_figure(7.6, 5.4) as figure:
        axis = figure.subplots()
        scatter_groups(axis, points, groups, colours, alpha=0.6)
        led = is_told & np.isfinite(middles).all(axis=1)
        lines = list(np.stack([anchors[led], middles[led]], axis=1))
        axis.add_collection(LineCollection(lines, colors=INK, linewidths=0.7, alpha=0.7, zorder=3))
        _anchors(axis, anchors, fill, ~is_told, marker="D", size=9, words="species learned from")
        _anchors(axis, anchors, fill, is_told, marker="*", size=90, words="species told of only")
        axis.set(xticks=[], yticks=[], xlabel=axis_labels[0], ylabel=axis_labels[1])
        axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
        return finish(figure, name=name, title=title, caption=caption)


def _anchors(
    axis: Axes,
    anchors: FloatArray,
    fill: Sequence[str],
    chosen: BoolArray,
    *,
    marker: str,
    size: float,
    words: str,
) -> None:
    style: dict[str, Any] = {"marker": marker, "s": size, "edgecolors": INK, "linewidths": 0.5}
    colours = [own for own, is_chosen in zip(fill, chosen, strict=True) if is_chosen]
    axis.scatter(anchors[chosen, 0], anchors[chosen, 1], c=colours, zorder=4, **style)
    # White in the legend: colours stand for groups there.
    axis.scatter([], [], c="white", label=f"{words} ({int(chosen.sum())})", **style)
