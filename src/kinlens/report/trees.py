"""Figures of trees: with pictures at the tips, face to face, and among points in the plane.

Trees and positions come in ready; nothing here is estimated.

Everywhere, `name`, `title` and `caption` are those of the `FigureRecord`; `left_title` and
`right_title` stand over the two halves, and `axis_labels` along the axes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.offsetbox import AnnotationBbox, OffsetImage

from kinlens.records.result import FigureRecord
from kinlens.records.tree import Tree
from kinlens.report.figure import INK, MUTED, PALETTE, SEQUENTIAL, finish, themed_figure
from kinlens.typing import ByteArray, FloatArray, IntArray

__all__ = [
    "heatmap_pair",
    "phylomorphospace",
    "tanglegram",
    "tip_heights",
    "tree_with_pictures",
    "tree_with_values",
]

_MOST_NAMED_GROUPS = 10


def tip_heights(tree: Tree) -> FloatArray:
    """Return a height for each node, shape (m,): tips 0, 1, 2, ..., parents amid their children."""
    height = np.zeros(tree.n_nodes)
    height[tree.tips] = np.arange(tree.n_tips)
    first = np.full(tree.n_nodes, np.inf)
    last = np.full(tree.n_nodes, -np.inf)
    for node in range(tree.n_nodes - 1, -1, -1):
        if not tree.is_tip[node]:
            height[node] = (first[node] + last[node]) / 2
        above = int(tree.parent[node])
        if above >= 0:
            first[above] = min(first[above], height[node])
            last[above] = max(last[above], height[node])
    return height


def _draw_tree(
    axis: Axes, tree: Tree, *, flip: bool = False, colour: str = INK, width: float = 0.9
) -> FloatArray:
    """Draw a tree with square corners, root to the left (or right); return heights of nodes."""
    depth = tree.depths()
    sign = -1.0 if flip else 1.0
    x, y = sign * depth, tip_heights(tree)
    nodes = np.arange(1, tree.n_nodes)
    above = tree.parent[nodes]
    along = np.stack([np.stack([x[above], y[nodes]], 1), np.stack([x[nodes], y[nodes]], 1)], 1)
    across = np.stack([np.stack([x[above], y[above]], 1), np.stack([x[above], y[nodes]], 1)], 1)
    axis.add_collection(
        LineCollection([*along, *across], colors=colour, linewidths=width, capstyle="round")
    )
    return y


def tree_with_pictures(
    tree: Tree,
    pictures: Mapping[str, ByteArray],
    *,
    name: str,
    title: str,
    caption: str,
    labels: Mapping[str, str] | None = None,
    unit: str = "",
) -> FigureRecord:
    """Draw a tree with a picture and a name at each tip.

    Parameters
    ----------
    tree : Tree
        Up to about 60 tips.
    pictures : mapping of str to array of shape (height, width, 3), uint8
        A small picture by tip name; tips without one have their name alone.
    labels : mapping of str to str, optional
        What is written at each tip; its name with blanks for underscores when left out.
    unit : str
        Unit of the branches, for the axis.
    """
    n = tree.n_tips
    step = 0.34 if pictures else 0.17
    with themed_figure(7.2, 0.9 + step * n) as figure:
        axis = figure.subplots()
        y = _draw_tree(axis, tree)
        height = tree.height or 1.0
        depth = tree.depths()
        for tip, tip_name in zip(tree.tips.tolist(), tree.tip_names, strict=True):
            if depth[tip] < 0.985 * height:
                axis.plot(
                    [depth[tip], height], [y[tip]] * 2, color=MUTED, linewidth=0.5, linestyle=":"
                )
            if tip_name in pictures:
                picture = pictures[tip_name]
                zoom = 24.0 / max(picture.shape[0], 1)
                axis.add_artist(
                    AnnotationBbox(
                        OffsetImage(picture, zoom=zoom),
                        (height * 1.04, y[tip]),
                        frameon=False,
                        box_alignment=(0.5, 0.5),
                        pad=0,
                    )
                )
            words = (labels or {}).get(tip_name, tip_name.replace("_", " "))
            axis.text(
                height * (1.09 if pictures else 1.015), y[tip], words, va="center", fontsize=7.5
            )
        axis.set(xlim=(-0.01 * height, 1.6 * height), ylim=(n - 0.4, -0.6), yticks=[])
        _depth_axis(axis, tree, unit)
        return finish(figure, name=name, title=title, caption=caption)


def tree_with_values(
    tree: Tree,
    values: Mapping[str, float],
    *,
    name: str,
    title: str,
    caption: str,
    value_label: str,
    groups: Mapping[str, str] | None = None,
) -> FigureRecord:
    """Draw a tree with a bar at each tip, to the right of zero or to the left.

    Parameters
    ----------
    tree : Tree
        Any number of tips; names are written for up to 60.
    values : mapping of str to float
        By tip name; tips without one have no bar.
    value_label : str
        What the bars measure.
    groups : mapping of str to str, optional
        Group of each tip; where tips have no room for their names, runs of one group are named.
    """
    n = tree.n_tips
    is_named = n <= 60
    with themed_figure(7.2, float(np.clip(0.9 + 0.17 * n, 2.5, 9.0))) as figure:
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=(1.6, 1.0))
        y = _draw_tree(left, tree, width=0.9 if is_named else 0.5)
        left.set(xlim=(-0.01 * tree.height, 1.01 * (tree.height or 1.0)), yticks=[])
        left.set_ylim(n - 0.4, -0.6)
        _depth_axis(left, tree, "")
        place = dict(zip(tree.tip_names, y[tree.tips].tolist(), strict=True))
        shown = [(place[tip], value) for tip, value in values.items() if tip in place]
        at = np.array([row for row, _value in shown])
        bars = np.array([value for _row, value in shown])
        colours = np.where(bars >= 0, PALETTE[0], PALETTE[5])
        right.barh(at, bars, height=0.8, color=colours, linewidth=0)
        right.axvline(0, color=INK, linewidth=0.8)
        right.set_xlabel(value_label)
        right.grid(axis="x")
        right.spines["left"].set_visible(False)
        right.tick_params(axis="y", length=0, labelleft=is_named)
        if is_named:
            names = [tip.replace("_", " ") for tip in tree.tip_names]
            right.set_yticks([place[tip] for tip in tree.tip_names], names, fontsize=6.5)
        elif groups:
            order = sorted(tree.tip_names, key=lambda tip: place[tip])
            _name_runs(right, [groups.get(tip, "") for tip in order], [place[tip] for tip in order])
        return finish(figure, name=name, title=title, caption=caption)


def _name_runs(axis: Axes, groups: Sequence[str], y: Sequence[float]) -> None:
    """Write the name of each run of tips beside it, when it is long enough to be read."""
    across = axis.get_yaxis_transform()
    for start, stop, label in _runs(groups):
        if label and stop - start >= max(2, 0.018 * len(groups)):
            first, last = y[start], y[stop - 1]
            axis.plot(
                [1.02, 1.02], [first, last], color=MUTED, lw=1.2, transform=across, clip_on=False
            )
            words = label.replace("_", " ")
            axis.text(1.04, (first + last) / 2, words, transform=across, va="center", fontsize=6.5)


def _depth_axis(axis: Axes, tree: Tree, unit: str) -> None:
    """Count from the present on dated trees, from the root otherwise."""
    height = tree.height or 1.0
    axis.spines["left"].set_visible(False)
    axis.spines["bottom"].set_bounds(0, height)
    ticks = np.linspace(0, height, 5)
    if tree.is_ultrametric():
        axis.set_xticks(ticks, [f"{height - tick:.3g}" for tick in ticks])
        axis.set_xlabel(f"before the present{f' ({unit})' if unit else ''}", loc="left")
    else:
        axis.set_xticks(ticks, [f"{tick:.3g}" for tick in ticks])
        axis.set_xlabel(f"from the root{f' ({unit})' if unit else ''}", loc="left")


def tanglegram(
    left: Tree,
    right: Tree,
    *,
    name: str,
    title: str,
    caption: str,
    left_title: str,
    right_title: str,
    marked: Sequence[str] = (),
) -> FigureRecord:
    """Draw two trees of the same tips face to face, each tip joined to itself.

    Parameters
    ----------
    left, right : Tree
        With the same tip names; turn the right one by `records.tree_shape.untangled` first.
    left_title, right_title : str
        What the trees are made from.
    marked : sequence of str
        Tips whose link is drawn in colour.
    """
    n = left.n_tips
    with themed_figure(7.6, 0.9 + 0.165 * n) as figure:
        axes = figure.subplots(1, 3, gridspec_kw={"width_ratios": [1.0, 1.25, 1.0]})
        one, other = left.with_height(1.0), right.with_height(1.0)
        heights = []
        for axis, tree, flip in ((axes[0], one, False), (axes[2], other, True)):
            y = _draw_tree(axis, tree, flip=flip)
            depth = tree.depths()
            sign = -1.0 if flip else 1.0
            for tip in tree.tips.tolist():
                axis.plot(
                    [sign * depth[tip], sign], [y[tip]] * 2, color=MUTED, lw=0.4, linestyle=":"
                )
            axis.set(xlim=(-1.0, 0.02) if flip else (-0.02, 1.0), ylim=(n - 0.5, -0.5))
            axis.set_axis_off()
            heights.append({m: y[t] for m, t in zip(tree.tip_names, tree.tips, strict=True)})
        axes[0].set_title(left_title)
        axes[2].set_title(right_title, loc="right")
        middle = axes[1]
        for tip in left.tip_names:
            here, there = heights[0][tip], heights[1][tip]
            is_marked = tip in set(marked)
            colour = PALETTE[5] if is_marked else PALETTE[0]
            middle.plot(
                [0.3, 0.7], [here, there], color=colour, lw=1.3 if is_marked else 0.8, alpha=0.8
            )
            words = tip.replace("_", " ")
            style = {"fontsize": 6.8, "va": "center", "color": INK}
            middle.text(0.29, here, words, ha="right", **style)
            middle.text(0.71, there, words, ha="left", **style)
        middle.set(xlim=(0, 1), ylim=(n - 0.5, -0.5))
        middle.set_axis_off()
        return finish(figure, name=name, title=title, caption=caption)


def phylomorphospace(
    tree: Tree,
    points: FloatArray,
    groups: Sequence[str],
    *,
    name: str,
    title: str,
    caption: str,
    axis_labels: tuple[str, str],
) -> FigureRecord:
    """Draw a tree through the points of its tips and ancestors in the plane.

    Parameters
    ----------
    tree : Tree
    points : array of shape (n_nodes, 2)
        A place for each node.
    groups : sequence of str, length n_tips
        Groups of the tips in tip order; the ten commonest have colours.
    """
    labels = np.asarray(groups, dtype=object)
    names, counts = np.unique(labels.astype(str), return_counts=True)
    commonest = names[np.argsort(-counts, kind="stable")][:_MOST_NAMED_GROUPS]
    with themed_figure(7.2, 4.9) as figure:
        axis = figure.subplots()
        nodes = np.arange(1, tree.n_nodes)
        lines = np.stack([points[tree.parent[nodes]], points[nodes]], axis=1)
        axis.add_collection(LineCollection(list(lines), colors=MUTED, linewidths=0.5, alpha=0.6))
        tips = points[tree.tips]
        rest = ~np.isin(labels.astype(str), commonest)
        size = float(np.clip(4000 / max(len(tips), 1), 8, 34))
        if rest.any():
            axis.scatter(
                tips[rest, 0], tips[rest, 1], color=MUTED, s=size, linewidths=0, label="others"
            )
        for colour, group in zip(PALETTE, commonest, strict=False):
            here = labels.astype(str) == group
            axis.scatter(
                tips[here, 0],
                tips[here, 1],
                color=colour,
                s=size,
                linewidths=0,
                zorder=3,
                label=f"{group.replace('_', ' ')} ({here.sum()})",
            )
        axis.scatter(
            points[0, 0], points[0, 1], marker="s", s=26, color=INK, zorder=4, label="root"
        )
        axis.autoscale_view()
        axis.set_xlabel(axis_labels[0])
        axis.set_ylabel(axis_labels[1])
        axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
        return finish(figure, name=name, title=title, caption=caption)


def heatmap_pair(
    left: FloatArray,
    right: FloatArray,
    groups: Sequence[str],
    *,
    name: str,
    title: str,
    caption: str,
    left_title: str,
    right_title: str,
) -> FigureRecord:
    """Draw two square matrices of the same rows side by side, brackets where groups change.

    Parameters
    ----------
    left, right : array of shape (n, n)
        Rows ordered already.
    groups : sequence of str, length n
        Runs of one group are named where they are long enough.
    """
    runs = _runs(groups)
    with themed_figure(8.6, 4.6) as figure:
        axes = figure.subplots(1, 2)
        for axis, matrix, heading in ((axes[0], left, left_title), (axes[1], right, right_title)):
            image = axis.imshow(matrix, cmap=SEQUENTIAL, interpolation="nearest", rasterized=True)
            for start, _stop, _label in runs[1:]:
                axis.axhline(start - 0.5, color="white", linewidth=0.3)
                axis.axvline(start - 0.5, color="white", linewidth=0.3)
            shown = [run for run in runs if run[1] - run[0] >= max(1, 0.03 * len(groups))]
            places = [(start + stop - 1) / 2 for start, stop, _ in shown]
            words = [label.replace("_", " ") for _, _, label in shown]
            axis.set_xticks(places, words, rotation=60, ha="right", rotation_mode="anchor")
            axis.set_yticks(places, words if axis is axes[0] else [""] * len(words))
            axis.tick_params(labelsize=6.5)
            axis.set_title(heading)
            figure.colorbar(image, ax=axis, shrink=0.62)
        return finish(figure, name=name, title=title, caption=caption)


def _runs(groups: Sequence[str]) -> list[tuple[int, int, str]]:
    labels: IntArray = np.flatnonzero(
        [i == 0 or groups[i] != groups[i - 1] for i in range(len(groups))]
    )
    ends = [*labels[1:].tolist(), len(groups)]
    return [
        (start, end, str(groups[start])) for start, end in zip(labels.tolist(), ends, strict=True)
    ]
