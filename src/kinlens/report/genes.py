"""Charts of genes: a volcano, one gene over thousands of splits, a gene on the tree, a heat map.

As in `plots`, values come in ready. Every chart takes the `name`, `title` and `caption` of its
`FigureRecord`, and those with a scale the `value_label` that stands on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from kinlens.records.result import FigureRecord
from kinlens.records.tree import Tree
from kinlens.report.figure import INK, MUTED, PALETTE, finish, themed_figure
from kinlens.report.trees import tip_heights
from kinlens.typing import AnyArray, BoolArray, ByteArray, FloatArray

__all__ = ["Resampling", "painted_tree", "resampled_scores", "score_heatmap", "volcano"]

_PRESENT, _ABSENT = PALETTE[1], PALETTE[0]
_PICTURED_TIPS = 60
_NAMED_TIPS = 120


@dataclass(frozen=True, eq=False)
class Resampling:
    """One gene over many splits, beside its null.

    Parameters
    ----------
    scores : array of float, shape (n_splits,)
        Of each split.
    null : array of float, shape (n_null,)
        Mean scores of null genes.
    first : float
        The score of one split alone.
    """

    scores: FloatArray
    null: FloatArray
    first: float


def volcano(
    effect: FloatArray,
    p_values: FloatArray,
    prevalence: FloatArray,
    is_discovered: BoolArray,
    *,
    labels: Mapping[int, str],
    name: str,
    title: str,
    caption: str,
    value_label: str,
) -> FigureRecord:
    """Draw every gene by score and significance, and by score and how common it is.

    Parameters
    ----------
    effect, p_values, prevalence : array of float, shape (n_genes,)
        Score, p-value (above 0) and share of species that have the gene.
    is_discovered : array of bool, shape (n_genes,)
        Drawn in colour.
    labels : mapping of int to str
        Genes that are named.
    """
    with themed_figure(7.6, 3.7) as figure:
        left, right = figure.subplots(1, 2)
        height = -np.log10(p_values)
        for axis, y in ((left, height), (right, prevalence)):
            size = float(np.clip(9000 / max(len(effect), 1), 3, 18))
            common = {"linewidths": 0, "rasterized": True}
            axis.scatter(
                effect[~is_discovered], y[~is_discovered], s=size, color=MUTED, alpha=0.4, **common
            )
            axis.scatter(
                effect[is_discovered], y[is_discovered], s=1.6 * size, color=PALETTE[5], **common
            )
            axis.axvline(0, color=MUTED, linewidth=0.7)
            axis.set_xlabel(value_label)
            axis.grid()
        left.set_ylabel("-log10 p")
        right.set(ylabel="share of species with the gene", ylim=(0, 1))
        _write_labels(left, effect, height, labels)
        return finish(figure, name=name, title=title, caption=caption)


def _write_labels(axis: Axes, x: FloatArray, y: FloatArray, labels: Mapping[int, str]) -> None:
    """Name points to the left of them, each below the one above."""
    low, high = axis.get_ylim()
    step = 0.055 * (high - low)
    axis.set_ylim(low, high + step)
    last = np.inf
    for index in sorted(labels, key=lambda i: -y[i]):
        height = min(float(y[index]), last - step)
        last = height
        axis.annotate(
            labels[index],
            (x[index], y[index]),
            xytext=(x[index] - 0.03 * float(np.ptp(axis.get_xlim())), height),
            ha="right",
            va="center",
            fontsize=6.5,
            arrowprops={"arrowstyle": "-", "color": MUTED, "linewidth": 0.4},
        )


def resampled_scores(
    genes: Mapping[str, Resampling],
    *,
    name: str,
    title: str,
    caption: str,
    value_label: str,
) -> FigureRecord:
    """Draw, gene by gene, the score of every split, their mean, and means of null genes.

    Parameters
    ----------
    genes : mapping of str to Resampling
        One panel each.
    """
    columns = min(3, len(genes))
    rows = -(-len(genes) // columns)
    with themed_figure(2.55 * columns, 0.5 + 1.75 * rows) as figure:
        axes = figure.subplots(rows, columns, squeeze=False, sharex=True)
        everything = np.concatenate([each.scores for each in genes.values()])
        low, high = float(min(everything.min(), -0.3)), float(max(everything.max(), 0.5))
        bins = np.linspace(low, high, 42)
        for axis, (gene, each) in zip(axes.ravel(), genes.items(), strict=False):
            axis.hist(each.scores, bins=bins, color=PALETTE[4], alpha=0.75, linewidth=0)
            top = axis.get_ylim()[1]
            axis.vlines(each.null, 0, 0.16 * top, color=INK, linewidth=0.7)
            axis.axvline(float(each.scores.mean()), color=PALETTE[5], linewidth=1.6)
            axis.axvline(each.first, color=MUTED, linewidth=1, linestyle=(0, (3, 2)))
            axis.set_title(_short(gene), fontsize=8.5)
            axis.set_yticks([])
            axis.spines["left"].set_visible(False)
        for axis in axes.ravel()[len(genes) :]:
            axis.set_axis_off()
        for axis in axes[-1]:
            axis.set_xlabel(value_label)
        return finish(figure, name=name, title=title, caption=caption)


def painted_tree(
    tree: Tree,
    presence: AnyArray,
    score: FloatArray,
    *,
    pictures: Mapping[str, ByteArray],
    name: str,
    title: str,
    caption: str,
    value_label: str,
) -> FigureRecord:
    """Paint a gene on the tree: where it is, how it came to be there, and what was predicted.

    Parameters
    ----------
    tree : Tree
        Of the species.
    presence : array of int, shape (n_tips,)
        1 present, 0 absent, anything else unknown; in tip order.
    score : array of float, shape (n_tips,)
        What was predicted for each tip, above 0 for present; NaN leaves a gap.
    pictures : mapping of str to array of shape (height, width, 3), uint8
        A small picture by tip name; drawn for up to 60 tips.
    """
    n = tree.n_tips
    step = 0.30 if n <= _PICTURED_TIPS else max(0.11, 0.11 * _NAMED_TIPS / n)
    if n > _NAMED_TIPS:
        step = 8.0 / n
    states = _ancestors(tree, presence)
    y, depth = tip_heights(tree), tree.depths()
    height = tree.height or 1.0
    colours = np.array([_ABSENT, _PRESENT, MUTED])
    with themed_figure(7.2, 0.9 + step * n) as figure:
        axis, bars = figure.subplots(1, 2, width_ratios=(3.4, 1), sharey=True)
        nodes = np.arange(1, tree.n_nodes)
        above = tree.parent[nodes]
        along = np.stack(
            [np.stack([depth[above], y[nodes]], 1), np.stack([depth[nodes], y[nodes]], 1)], 1
        )
        across = np.stack(
            [np.stack([depth[above], y[above]], 1), np.stack([depth[above], y[nodes]], 1)], 1
        )
        axis.add_collection(
            LineCollection(
                [*across, *along],
                colors=[*colours[states[nodes]], *colours[states[nodes]]],
                linewidths=1.0 if n <= _NAMED_TIPS else 0.6,
            )
        )
        tips = tree.tips
        known = np.where((presence == 0) | (presence == 1), presence, 2).astype(np.int64)
        axis.scatter(
            np.full(n, 1.02 * height),
            y[tips],
            c=colours[known],
            s=min(22.0, 900 * step),
            linewidths=0,
        )
        _label_tips(axis, tree, y, height, pictures)
        is_scored = np.isfinite(score)
        bars.barh(y[tips][is_scored], score[is_scored], color=colours[known[is_scored]], height=0.8)
        bars.axvline(0, color=MUTED, linewidth=0.7)
        bars.set_xlabel(value_label)
        for each in (axis, bars):
            each.set(yticks=[], ylim=(n - 0.4, -0.6))
            each.spines["left"].set_visible(False)
        axis.set_xticks([])
        axis.spines["bottom"].set_visible(False)
        for state, word in ((1, "present"), (0, "absent")):
            axis.plot([], [], color=colours[state], label=word, linewidth=2)
        axis.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0)
        return finish(figure, name=name, title=title, caption=caption)


def _label_tips(
    axis: Axes, tree: Tree, y: FloatArray, height: float, pictures: Mapping[str, ByteArray]
) -> None:
    n = tree.n_tips
    reach = 1.04
    if n <= _PICTURED_TIPS:
        from matplotlib.offsetbox import AnnotationBbox, OffsetImage

        for tip, tip_name in zip(tree.tips.tolist(), tree.tip_names, strict=True):
            if tip_name in pictures:
                picture = pictures[tip_name]
                box = OffsetImage(picture, zoom=20.0 / max(picture.shape[0], 1))
                axis.add_artist(AnnotationBbox(box, (height * 1.08, y[tip]), frameon=False, pad=0))
        reach = 1.13 if pictures else 1.05
    if n <= _NAMED_TIPS:
        for tip, tip_name in zip(tree.tips.tolist(), tree.tip_names, strict=True):
            axis.text(
                height * reach,
                y[tip],
                tip_name.replace("_", " "),
                va="center",
                fontsize=6.5 if n <= _PICTURED_TIPS else 5,
            )
        reach += 0.45 if n <= _PICTURED_TIPS else 0.25
    axis.set_xlim(-0.02 * height, height * reach)


def _ancestors(tree: Tree, presence: AnyArray) -> AnyArray:
    """Return the most parsimonious state of each node: 0, 1, or 2 where both are as good."""
    can = np.zeros((tree.n_nodes, 2), dtype=bool)
    row = {node: i for i, node in enumerate(tree.tips.tolist())}
    for node in range(tree.n_nodes - 1, -1, -1):
        if node in row:
            state = presence[row[node]]
            can[node] = (state != 1, state != 0)
            continue
        counts = can[tree.children(node)].sum(axis=0)
        can[node] = counts == counts.max()
    states = np.where(can.all(axis=1), 2, can[:, 1].astype(np.int64))
    for node in range(1, tree.n_nodes):
        above = states[tree.parent[node]]
        if states[node] == 2 and above != 2:
            states[node] = above
    return states


def score_heatmap(
    scores: FloatArray,
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    name: str,
    title: str,
    caption: str,
    value_label: str,
) -> FigureRecord:
    """Draw a table of scores around 0 as a heat map with its numbers.

    Parameters
    ----------
    scores : array of float, shape (n_rows, n_columns)
        NaN leaves a gap.
    rows, columns : sequence of str
        What stands beside and below.
    """
    reach = float(np.nanmax(np.abs(scores), initial=0.3))
    with themed_figure(2.2 + 0.72 * len(columns), 1.3 + 0.27 * len(rows)) as figure:
        axis = figure.subplots()
        image = axis.imshow(scores, cmap="RdBu_r", vmin=-reach, vmax=reach, aspect="auto")
        for i, j in np.argwhere(np.isfinite(scores)).tolist():
            strong = abs(scores[i, j]) > 0.6 * reach
            axis.text(
                j,
                i,
                f"{scores[i, j]:.2f}",
                ha="center",
                va="center",
                fontsize=6.5,
                color="white" if strong else "#1b1b1b",
            )
        axis.set_xticks(
            range(len(columns)),
            [column.replace("_", " ") for column in columns],
            rotation=30,
            ha="right",
            rotation_mode="anchor",
        )
        axis.set_yticks(range(len(rows)), [_short(row) for row in rows])
        figure.colorbar(image, ax=axis, shrink=0.8, label=value_label)
        return finish(figure, name=name, title=title, caption=caption)


def _short(gene: str) -> str:
    return gene if len(gene) <= 28 else f"{gene[:27]}…"
