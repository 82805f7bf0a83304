"""The figures of the study `seqdist`: each takes what the study found and returns one figure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from kinlens.records.result import FigureRecord
from kinlens.records.tree import Tree
from kinlens.report import plots
from kinlens.report.figure import INK, MUTED, PALETTE, SEQUENTIAL, finish, themed_figure
from kinlens.studies.seqdist_scores import Judged
from kinlens.typing import AnyArray, FloatArray

__all__ = [
    "disk_figure",
    "error_figure",
    "map_figure",
    "predicted_figure",
    "relatives_figure",
    "retrieval_figure",
]

# Above this the hexagons no longer change and drawing slows down.
_MOST_PAIRS = 500_000
# The palette's last colour is a grey, which would be taken for "others".
_MOST_COLOURS = len(PALETTE) - 1


def predicted_figure(
    judged: dict[str, Judged], errors: dict[str, float], *, n: int, unit: float
) -> FigureRecord:
    """Draw predicted against exact distance, one panel a predictor.

    Parameters
    ----------
    judged : dict
        Predictor to its predictions, in the order drawn.
    errors : dict
        Predictor to its %RMSE, written into its panel.
    n : int
        Tested sequences.
    unit : float
        Mean length.
    """
    largest = max(float(part.exact.max()) for part in judged.values()) * 1.05 + 1
    with themed_figure(3.6 * len(judged) + 0.6, 3.7) as figure:
        axes = figure.subplots(1, len(judged), sharex=True, sharey=True, squeeze=False)[0]
        for axis, (name, part) in zip(axes, judged.items(), strict=True):
            upper = np.triu_indices(len(part.exact), 1)
            step = max(1, len(upper[0]) // _MOST_PAIRS)
            exact = np.asarray(part.exact)[upper][::step]
            image = axis.hexbin(
                exact,
                np.clip(part.predicted[upper][::step], 0, largest),
                gridsize=55,
                extent=(0, largest, 0, largest),
                bins="log",
                mincnt=1,
                cmap=SEQUENTIAL,
                linewidths=0,
                rasterized=True,
            )
            axis.plot([0, largest], [0, largest], color=PALETTE[5], linewidth=1)
            axis.set(xlim=(0, largest), ylim=(0, largest), aspect="equal")
            axis.set_title(name)
            axis.text(0.04, 0.95, f"error {errors[name]:.2f}%", transform=axis.transAxes, va="top")
            axis.set_xlabel("exact edit distance")
        axes[0].set_ylabel("predicted distance")
        figure.colorbar(image, ax=list(axes), shrink=0.85, label="pairs")
        return finish(
            figure,
            name="predicted",
            title="Predicted against exact distance",
            caption=(
                f"All pairs of {n:,} test sequences (random split; mean length {unit:.0f}). On the "
                "line, predictions are exact. Error: root mean square over pairs, in percent of "
                "the mean length."
            ),
        )


def error_figure(metrics: pd.DataFrame, *, n: int) -> FigureRecord:
    """Draw the error of every predictor on the random split.

    Parameters
    ----------
    metrics : pandas.DataFrame
        Rows of ``metrics.csv``.
    n : int
        Tested sequences.
    """
    shown = metrics[(metrics["metric"] == "percent_rmse") & (metrics["split"] == "random")]
    return plots.dots_with_intervals(
        shown.assign(target="random split"),
        name="errors",
        title="Error of every predictor",
        caption=(
            f"Root mean square error over the pairs of {n:,} test sequences, in percent of the "
            "mean length. Lines: 95% intervals from resampling sequences. Grey ticks: vectors "
            "shuffled among sequences. Orange: the network that validation chose."
        ),
        value_label="error, % of length",
    )


def relatives_figure(curve: pd.DataFrame, *, mean_error: float) -> FigureRecord:
    """Draw error against how many relatives were kept out of training.

    Parameters
    ----------
    curve : pandas.DataFrame
        Columns ``depth``, ``repeat`` ("all" for the pooled rows), ``value``, ``low``, ``high``,
        ``mean`` (%RMSE of the mean predictor), ``n`` and ``n_train``.
    mean_error : float
        %RMSE of predicting the mean on the random split.
    """
    pooled = curve[curve["repeat"] == "all"].sort_values("depth")
    single = curve[curve["repeat"] != "all"]
    with themed_figure(5.6, 3.6) as figure:
        axis = figure.subplots()
        depth = pooled["depth"].to_numpy(dtype=np.float64)
        error = np.stack([pooled["value"] - pooled["low"], pooled["high"] - pooled["value"]])
        axis.errorbar(
            depth, pooled["value"], yerr=np.maximum(error, 0), color=PALETTE[0], marker="o",
            capsize=3, label="network",
        )  # fmt: skip
        axis.scatter(single["depth"] + 0.08, single["value"], s=14, color=MUTED, label="one draw")
        axis.plot(depth, pooled["mean"], color=MUTED, linestyle=(0, (4, 3)), label="mean predictor")
        axis.set_xticks(depth, [f"{2 ** int(d):,}" for d in depth])
        axis.set(xlabel="nearest relatives kept out of training", ylabel="error, % of length")
        axis.set_ylim(bottom=0)
        axis.grid(axis="y")
        axis.legend()
        n_draws = single["repeat"].nunique()
        return finish(
            figure,
            name="relatives",
            title="Error without relatives",
            caption=(
                "Error over pairs of tested sequences when the nearest relatives of each were kept "
                f"out of training ({int(pooled['n'].iloc[0]):,} tested sequences in "
                f"{n_draws} {'draw' if n_draws == 1 else 'draws'}; training parts of one "
                "size within a draw). Lines: 95% intervals from resampling tested sequences. "
                f"On the random split, predicting the mean errs by {mean_error:.2f}%."
            ),
        )


def retrieval_figure(metrics: pd.DataFrame, *, n: int, n_references: int) -> FigureRecord:
    """Draw how often a nearest sequence is among the first answers.

    Parameters
    ----------
    metrics : pandas.DataFrame
        Rows of ``metrics.csv``.
    n, n_references : int
        Queries and references.
    """
    wanted = ["top_1", "top_5", "top_10"]
    shown = metrics[(metrics["target"] == "retrieval") & metrics["metric"].isin(wanted)]
    return plots.dots_with_intervals(
        shown.assign(metric=shown["metric"].str.replace("_", " ")),
        name="retrieval",
        title="Is a nearest sequence among the first answers?",
        caption=(
            f"{n:,} test sequences searched among {n_references:,} others; right when an answer is "
            "as near as any reference by exact edit distance. Lines: exact 95% intervals. "
            "Reranked: a shortlist by vectors, ordered by exact distance."
        ),
        value_label="share of queries",
        panel="metric",
    )


def disk_figure(
    points: AnyArray, tree: Tree, names: Sequence[str], groups: Sequence[str], *, grouping: str
) -> FigureRecord:
    """Draw a hierarchy in the Poincare disk: tips on their circle, branches as geodesics.

    Parameters
    ----------
    points : array of shape (n, 2)
        Of the tips, all equally far from the centre.
    tree : Tree
        The hierarchy that was read off the points.
    names, groups : sequence of str, length n
        The tip that each point is, and its group, for the colour.
    grouping : str
        What groups are, for the caption.
    """
    places = _node_places(points, tree, names)
    colours = _colours(groups)
    with themed_figure(5.4, 4.9) as figure:
        axis = figure.subplots()
        turn = np.linspace(0, 2 * np.pi, 400)
        axis.plot(np.cos(turn), np.sin(turn), color=MUTED, linewidth=0.8)
        for node in range(1, tree.n_nodes):
            path = _geodesic(places[tree.parent[node]], places[node])
            axis.plot(*path.T, color=INK, linewidth=0.45, alpha=0.5, zorder=1)
        axis.scatter(
            points[:, 0], points[:, 1], c=[colours[g] for g in groups], s=13, linewidths=0, zorder=3
        )
        named = [(group, colour) for group, colour in colours.items() if group][:_MOST_COLOURS]
        for label, colour in named:
            axis.scatter([], [], color=colour, s=18, label=label.replace("_", " "))
        if named:
            axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
        axis.set(xlim=(-1.03, 1.03), ylim=(-1.03, 1.03), aspect="equal")
        axis.set_axis_off()
        return finish(
            figure,
            name="disk",
            title="The clustering in the Poincare disk",
            caption=(
                f"{len(points):,} test sequences placed by descent on the relaxed Dasgupta cost. "
                "Two sequences meet where their geodesic comes nearest to the centre; those that "
                f"meet farthest out are joined first. Colours: {grouping}."
            ),
        )


def map_figure(
    points: FloatArray, groups: Sequence[str], shares: FloatArray, *, grouping: str
) -> FigureRecord:
    """Draw sequences by the principal coordinates of predicted distances.

    Parameters
    ----------
    points : array of shape (n, 2)
        Coordinates.
    groups : sequence of str
        Group of each, "" where unknown.
    shares : array of shape (2,)
        Part of the sum of squares on each axis.
    grouping : str
        What groups are, for the caption.
    """
    return plots.coloured_scatter(
        points,
        groups,
        name="map",
        title="Sequences by predicted distance",
        caption=(
            f"Principal coordinates of the predicted distances of {len(points):,} test sequences. "
            f"Colours: {grouping}."
        ),
        axis_labels=(f"axis 1 ({shares[0]:.0%})", f"axis 2 ({shares[1]:.0%})"),
    )


def _colours(groups: Sequence[str]) -> dict[str, str]:
    """Give the commonest groups a colour each; the rest are grey."""
    counts = pd.Series(list(groups)).value_counts()
    ordered = sorted(
        counts.index, key=lambda group: (group == "", -counts[group], len(group), group)
    )
    return {
        group: PALETTE[place] if place < _MOST_COLOURS and group else MUTED
        for place, group in enumerate(ordered)
    }


def _node_places(points: AnyArray, tree: Tree, names: Sequence[str]) -> FloatArray:
    """Place inner nodes where the two tips that were joined there meet."""
    points = np.asarray(points, np.float64)
    row_of = {name: row for row, name in enumerate(names)}
    rows = np.array([row_of[name] for name in tree.tip_names])
    places = np.zeros((tree.n_nodes, 2))
    places[tree.tips] = points[rows]
    for node in np.flatnonzero(~tree.is_tip).tolist():
        sides = [
            rows[tree.tip_start[child] : tree.tip_stop[child]] for child in tree.children(node)
        ]
        gaps = np.linalg.norm(points[sides[0]][:, None] - points[sides[1]][None], axis=2)
        i, j = np.unravel_index(int(gaps.argmin()), gaps.shape)
        places[node] = _meeting(points[sides[0][i]], points[sides[1][j]])
    return places


def _meeting(first: FloatArray, second: FloatArray) -> FloatArray:
    """Return the point of the geodesic of two equally long vectors that is nearest to 0."""
    return _from_klein((_to_klein(first) + _to_klein(second)) / 2)


def _geodesic(first: FloatArray, second: FloatArray) -> FloatArray:
    """Return points along a geodesic, which is straight in the Klein disk; shape (25, 2)."""
    along = np.linspace(0, 1, 25)[:, None]
    return _from_klein((1 - along) * _to_klein(first) + along * _to_klein(second))


def _to_klein(point: FloatArray) -> FloatArray:
    return np.asarray(2 * point / (1 + (point**2).sum(axis=-1, keepdims=True)))


def _from_klein(point: FloatArray) -> FloatArray:
    square = np.minimum((point**2).sum(axis=-1, keepdims=True), 1.0)
    return np.asarray(point / (1 + np.sqrt(1 - square)))
