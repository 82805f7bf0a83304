"""Bars side by side, such as the scores of several models for each class.

Values come in ready; other charts are in `plots`. Every chart takes the `name`, `title` and
`caption` of its `FigureRecord`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from kinlens.records.result import FigureRecord
from kinlens.report.figure import INK, MUTED, SEQUENTIAL, finish, themed_figure
from kinlens.typing import FloatArray

__all__ = ["grouped_bars", "labelled_heatmap"]

# More names than this stand upright, and more columns leave no room for numbers.
_MOST_SIDE_BY_SIDE = 8


def grouped_bars(
    table: pd.DataFrame,
    colours: Mapping[str, str],
    *,
    name: str,
    title: str,
    caption: str,
    value_label: str,
    panel: str = "panel",
    group: str = "group",
    series: str = "series",
    limits: tuple[float, float] = (0.0, 1.0),
) -> FigureRecord:
    """Draw bars in groups, one colour a series, one panel below the other.

    Parameters
    ----------
    table : pandas.DataFrame
        Columns `panel`, `group`, `series`, ``value``; optional ``low`` and ``high`` (drawn as a
        line) and ``faint`` (1: drawn pale, such as what cannot be decided).
    colours : mapping of str to str
        Colour of each series, in the order in which bars stand.
    value_label : str
        What stands on the scale.
    panel, group, series : str
        Columns that make panels, groups and bars, in order of appearance.
    limits : (float, float)
        Ends of the scale; bars that reach below are cut off there.
    """
    panels = list(dict.fromkeys(table[panel]))
    shown = [word for word in colours if word in set(table[series])]
    most = max(table[table[panel] == p][group].nunique() for p in panels)
    width = min(11.0, max(4.6, 1.4 + 0.13 * most * (len(shown) + 1.6)))
    with themed_figure(width, 2.7 * len(panels)) as figure:
        axes = figure.subplots(len(panels), 1, squeeze=False)[:, 0]
        for axis, which in zip(axes, panels, strict=True):
            part = table[table[panel] == which]
            groups = list(dict.fromkeys(part[group]))
            bar = 0.84 / len(shown)
            for number, word in enumerate(shown):
                of = part[part[series] == word].set_index(group).reindex(groups)
                x = np.arange(len(groups)) + (number - (len(shown) - 1) / 2) * bar
                value = of["value"].to_numpy(float)
                faint = of["faint"].fillna(0).to_numpy(float) if "faint" in of else 0 * value
                for place, height, pale in zip(x, value, faint, strict=True):
                    axis.bar(
                        place, height, bar * 0.92, color=colours[word], alpha=0.35 if pale else 1.0
                    )
                axis.bar(0, 0, 0, color=colours[word], label=word)
                if "low" in of:
                    axis.vlines(x, of["low"], of["high"], color=INK, linewidth=0.8)
            axis.axhline(0, color=MUTED, linewidth=0.8)
            _name_places(axis, groups, width=width - 2.4)
            axis.set(ylim=limits, ylabel=value_label, xlim=(-0.6, len(groups) - 0.4))
            if len(panels) > 1:
                axis.set_title(str(which))
            axis.grid(axis="y")
        axes[0].legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
        return finish(figure, name=name, title=title, caption=caption)


def labelled_heatmap(
    matrix: FloatArray,
    rows: list[str],
    columns: list[str],
    *,
    name: str,
    title: str,
    caption: str,
    value_label: str,
    limits: tuple[float, float] | None = None,
) -> FigureRecord:
    """Draw a small matrix with its names and, where there is room, its numbers.

    Parameters
    ----------
    matrix : array of shape (n_rows, n_columns)
        Values; NaN stays blank.
    rows, columns : list of str
        Their names.
    value_label : str
        What the colour scale says.
    limits : (float, float), optional
        Values at the ends of the colour scale.
    """
    low, high = limits or (float(np.nanmin(matrix)), float(np.nanmax(matrix)))
    has_numbers = len(columns) <= _MOST_SIDE_BY_SIDE
    across = 0.75 if has_numbers else 0.24
    with themed_figure(2.9 + across * len(columns), 1.6 + 0.22 * len(rows)) as figure:
        axis = figure.subplots()
        image = axis.imshow(matrix, cmap=SEQUENTIAL, vmin=low, vmax=high, aspect="auto")
        if has_numbers:
            middle = (low + high) / 2
            for (row, column), value in np.ndenumerate(matrix):
                if np.isfinite(value):
                    axis.text(
                        column, row, f"{value:.2f}", ha="center", va="center", fontsize=7,
                        color="black" if value > middle else "white",
                    )  # fmt: skip
        axis.set_yticks(range(len(rows)), rows)
        _name_places(axis, columns, width=across * len(columns))
        figure.colorbar(image, ax=axis, label=value_label)
        return finish(figure, name=name, title=title, caption=caption)


def _name_places(axis: Axes, names: Sequence[str], *, width: float) -> None:
    """Name the places along the x axis, turned as far as `width` inches make it necessary."""
    crowd = len(names) * max(len(str(name)) for name in names) * 0.075
    turn = 90 if len(names) > _MOST_SIDE_BY_SIDE else 30 if crowd > width else 0
    axis.set_xticks(range(len(names)), names, rotation=turn, ha="right" if turn == 30 else "center")
