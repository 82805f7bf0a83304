"""A chart: things as points on a plane, with the columns that colour them.

Things are pictures, sequences or species; whatever a run embedded. Cutting a chart into tiles is in
`tiles`, reading it from a run folder in `exhibit`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd

from kinlens.errors import UsageError
from kinlens.explorer.tiles import TilePyramid
from kinlens.typing import AnyArray, Float32Array

__all__ = ["Chart", "Column", "column_of", "columns_of", "unit_square"]

# Points at the edge keep this much of the side between them and the border.
_MARGIN = 0.03
# A column with more different texts than this colours nothing that an eye could follow.
_MOST_CATEGORIES = 2000


@dataclass(frozen=True, eq=False)
class Column:
    """One property of every thing of a chart.

    Parameters
    ----------
    name : str
        What it is called.
    kind : {"category", "number"}
        What `values` are: places in `categories`, or numbers.
    values : array of shape (n,), float32
        NaN where it is not known.
    categories : tuple of str
        Empty for numbers.
    """

    name: str
    kind: Literal["category", "number"]
    values: Float32Array
    categories: tuple[str, ...] = ()

    def words(self, row: int) -> str | float | None:
        """Return the category or number of one thing; None where it is not known."""
        value = float(self.values[row])
        if np.isnan(value):
            return None
        return self.categories[int(value)] if self.kind == "category" else value


@dataclass(frozen=True, eq=False)
class Chart:
    """Things on a plane.

    Parameters
    ----------
    name : str
        The run it comes from.
    kind : str
        What a point is: ``image``, ``sequence`` or ``species``.
    placed_by : str
        How the plane was made, for the legend.
    ids : tuple of str
        Names of the things.
    places : array of shape (n, 2), float32
        In the unit square.
    columns : tuple of Column
        What is known of them.
    vectors : array of shape (n, d), float32
        What they were embedded as.
    """

    name: str
    kind: str
    placed_by: str
    ids: tuple[str, ...]
    places: Float32Array
    columns: tuple[Column, ...]
    vectors: Float32Array

    def __post_init__(self) -> None:
        n = len(self.ids)
        lengths = {len(self.places), len(self.vectors), *(len(c.values) for c in self.columns)}
        if lengths != {n}:
            raise UsageError(f"a chart of {n:,} things has parts of lengths {sorted(lengths)}.")

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def tiles(self) -> TilePyramid:
        """The chart cut into tiles."""
        return TilePyramid.build(self.places)

    def column(self, name: str) -> Column | None:
        """Return the column of that name, None when there is none."""
        return next((column for column in self.columns if column.name == name), None)


def unit_square(points: AnyArray) -> Float32Array:
    """Scale points, shape (n, 2), into the unit square, keeping proportions.

    Examples
    --------
    >>> unit_square(np.array([[0.0, 0.0], [2.0, 1.0]])).astype(float).round(3).tolist()
    [[0.03, 0.265], [0.97, 0.735]]
    """
    points = np.asarray(points, dtype=np.float64)
    if not len(points):
        return np.empty((0, 2), dtype=np.float32)
    low, high = points.min(axis=0), points.max(axis=0)
    span = float((high - low).max()) or 1.0
    centred = (points - (low + high) / 2) / span * (1 - 2 * _MARGIN) + 0.5
    return np.asarray(centred, dtype=np.float32)


def columns_of(frame: pd.DataFrame) -> tuple[Column, ...]:
    """Turn a table into columns, leaving out what tells nothing: constants and names of one.

    Parameters
    ----------
    frame : pandas.DataFrame
        One row a thing.

    Examples
    --------
    >>> frame = pd.DataFrame({"genus": ["Ino", "Ino", "Eos"], "width": [1.0, 2.5, None]})
    >>> [(c.name, c.kind, c.categories) for c in columns_of(frame)]
    [('genus', 'category', ('Eos', 'Ino')), ('width', 'number', ())]
    """
    found = []
    for name in frame.columns:
        column = column_of(str(name), frame[name])
        if column.kind == "category" and str(name) != "species":
            n = len(column.categories)
            if n < 2 or n > _MOST_CATEGORIES or n > max(2, 0.9 * len(frame)):
                continue
        if np.isnan(column.values).all():
            continue
        found.append(column)
    return tuple(found)


def column_of(name: str, values: pd.Series | Sequence[object]) -> Column:
    """Turn one series into a column: numbers as they are, anything else as sorted categories.

    Parameters
    ----------
    name : str
        What it is called.
    values : series
        One value a thing; empty texts count as missing.
    """
    series = pd.Series(values).reset_index(drop=True)
    if pd.api.types.is_numeric_dtype(series) and not pd.api.types.is_bool_dtype(series):
        return Column(name, "number", series.to_numpy(dtype=np.float32, na_value=np.nan))
    texts = [None if pd.isna(value) or value == "" else str(value) for value in series]
    codes, categories = pd.factorize(np.array(texts, dtype=object), sort=True)
    numbers = codes.astype(np.float32)
    numbers[codes < 0] = np.nan
    return Column(name, "category", numbers, tuple(map(str, categories)))
