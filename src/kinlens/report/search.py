"""A chart of searches: how soon the truth is found, and how precise the list is.

Values and intervals come in ready; other charts are in `plots`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from kinlens.records.result import FigureRecord
from kinlens.report.figure import MUTED, PALETTE, finish, themed_figure
from kinlens.typing import FloatArray

__all__ = ["searches_both_ways"]


def searches_both_ways(
    curves: Mapping[str, FloatArray],
    precision: pd.DataFrame,
    *,
    name: str,
    title: str,
    caption: str,
    curve_title: str,
    precision_title: str,
) -> FigureRecord:
    """Draw how often the truth is among the first k, and mean average precision by group.

    Parameters
    ----------
    curves : mapping of str to array of shape (n,)
        For each kind of search, the share found among the first 1, 2, ..., n; all of one length.
    precision : pandas.DataFrame
        Columns ``group``, ``kind`` (one of the curves' names), ``value``, ``low``, ``high`` and
        ``chance``; groups in order of appearance.
    name, title, caption : str
        As in `FigureRecord`.
    curve_title, precision_title : str
        What stands over the two panels.
    """
    colour = dict(zip(curves, PALETTE, strict=False))
    with themed_figure(8.2, 3.5) as figure:
        left, right = figure.subplots(1, 2)
        _curves(left, curves, colour)
        left.set_title(curve_title)
        _precision(right, precision, colour)
        right.set_title(precision_title)
        return finish(figure, name=name, title=title, caption=caption)


def _curves(axis: Axes, curves: Mapping[str, FloatArray], colour: Mapping[str, str]) -> None:
    n = len(next(iter(curves.values())))
    k = np.arange(1, n + 1)
    axis.plot(k, k / n, color=MUTED, linewidth=1, linestyle=(0, (4, 3)), label="chance")
    for kind, shares in curves.items():
        axis.plot(k, shares, color=colour[kind], label=kind)
    axis.set_xscale("log")
    ticks = [tick for tick in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if tick <= n]
    axis.set_xticks(ticks, [str(tick) for tick in ticks])
    axis.minorticks_off()
    axis.set(xlim=(1, max(n, 2)), ylim=(0, 1.02), xlabel="genes looked at (k)")
    axis.set_ylabel("true genes among the first k")
    axis.grid()
    axis.legend(loc="lower right")


def _precision(axis: Axes, precision: pd.DataFrame, colour: Mapping[str, str]) -> None:
    groups = list(dict.fromkeys(precision["group"]))
    offsets = np.linspace(-0.12, 0.12, len(colour)) if len(colour) > 1 else np.zeros(1)
    for (kind, own), offset in zip(colour.items(), offsets, strict=True):
        part = precision[precision["kind"] == kind].set_index("group").reindex(groups)
        error = np.stack([part["value"] - part["low"], part["high"] - part["value"]])
        axis.errorbar(
            np.arange(len(groups)) + offset,
            part["value"],
            yerr=np.maximum(error, 0),
            fmt="o",
            color=own,
            capsize=2,
        )
    chance = precision.drop_duplicates("group").set_index("group")["chance"].reindex(groups)
    axis.scatter(range(len(groups)), chance, marker="_", s=160, color=MUTED)
    axis.set_xticks(range(len(groups)), groups)
    axis.set(ylim=(0, 1.02), xlim=(-0.5, len(groups) - 0.5))
    axis.set_xlabel("training specimens")
    axis.set_ylabel("mean average precision")
    axis.grid(axis="y")
