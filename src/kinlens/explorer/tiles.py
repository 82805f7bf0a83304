"""Level of detail: a million points cut into square tiles, few on the large ones, all on the small.

A tile is named by its level and its column and row there; level 0 is one tile, the whole chart.
Each point lies in exactly one tile, so that drawing a tile and all tiles above it shows an even
sample of its square, and the deepest tiles add the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from kinlens.typing import AnyArray, IntArray

__all__ = ["TileName", "TilePyramid"]

TileName: TypeAlias = tuple[int, int, int]
"""Level, column and row."""

_DEEPEST = 12


@dataclass(frozen=True, eq=False)
class TilePyramid:
    """Which points lie in which tile.

    Parameters
    ----------
    rows : mapping of (level, column, row) to array of int
        Points of each tile that has any, ascending.
    n_levels : int
        One more than the deepest level in use.

    Examples
    --------
    >>> corners = np.array([[0.1, 0.1], [0.9, 0.1], [0.1, 0.9], [0.9, 0.9]])
    >>> pyramid = TilePyramid.build(corners, capacity=1)
    >>> pyramid.n_levels, sum(len(rows) for rows in pyramid.rows.values())
    (2, 4)
    """

    rows: Mapping[TileName, IntArray]
    n_levels: int

    @classmethod
    def build(cls, places: AnyArray, *, capacity: int = 4096) -> TilePyramid:
        """Deal points to tiles.

        Parameters
        ----------
        places : array of shape (n, 2)
            Points of the unit square.
        capacity : int
            Points on a tile; on the deepest level as many as there are.
        """
        # A fixed order at random: which points stand for the others is not for the user to choose.
        waiting = np.random.default_rng(0).permutation(len(places))
        rows: dict[TileName, IntArray] = {}
        level = 0
        while len(waiting):
            side = 2**level
            cells = np.clip((places[waiting] * side).astype(np.int64), 0, side - 1)
            code = cells[:, 1] * side + cells[:, 0]
            order = np.argsort(code, kind="stable")
            starts = np.flatnonzero(np.diff(code[order], prepend=-1))
            rank = np.arange(len(order)) - np.repeat(starts, np.diff(np.append(starts, len(order))))
            is_taken = rank < capacity if level < _DEEPEST else np.ones(len(order), dtype=bool)
            taken = order[is_taken]
            bounds = np.flatnonzero(np.diff(code[taken], prepend=-1))
            for part in np.split(taken, bounds[1:]):
                row, column = divmod(int(code[part[0]]), side)
                rows[level, column, row] = np.sort(waiting[part])
            left = np.ones(len(waiting), dtype=bool)
            left[taken] = False
            waiting = waiting[left]
            level += 1
        return cls(rows, level)
