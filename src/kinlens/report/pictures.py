"""Figures made of pictures: a query beside its nearest, and contact sheets.

Pictures come in as arrays, read and shrunk by the caller. Every figure takes the `name`, `title`
and `caption` of its `FigureRecord`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kinlens.records.result import FigureRecord
from kinlens.report.figure import INK, MUTED, PALETTE, finish, themed_figure
from kinlens.typing import ByteArray

__all__ = ["Tile", "picture_rows"]


@dataclass(frozen=True, eq=False)
class Tile:
    """One picture of a gallery.

    Parameters
    ----------
    picture : array of shape (height, width, 3), uint8
        What is shown.
    lines : tuple of str
        Up to three short lines under it.
    verdict : str
        ``"query"``, ``"same"``, ``"other"`` or ``"wrong"``: the colour of the frame.
    """

    picture: ByteArray
    lines: tuple[str, ...] = ()
    verdict: str = "other"


_FRAME = {"query": INK, "same": PALETTE[2], "other": MUTED, "wrong": PALETTE[5]}


def picture_rows(
    rows: Sequence[Sequence[Tile]], *, name: str, title: str, caption: str
) -> FigureRecord:
    """Draw rows of pictures, such as a query and its nearest neighbours.

    Parameters
    ----------
    rows : sequence of sequence of Tile
        Every row starts with its query.
    """
    columns = max(len(row) for row in rows)
    with themed_figure(1.25 * columns, 1.62 * len(rows)) as figure:
        axes = figure.subplots(len(rows), columns, squeeze=False)
        for line, row in zip(axes, rows, strict=True):
            for axis, tile in zip(line, row, strict=False):
                axis.imshow(tile.picture, interpolation="antialiased", rasterized=True)
                for spine in axis.spines.values():
                    spine.set(visible=True, color=_FRAME[tile.verdict], linewidth=1.6)
                axis.set(xticks=[], yticks=[])
                axis.set_xlabel("\n".join(tile.lines), fontsize=6, labelpad=2)
            for axis in line[len(row) :]:
                axis.set_axis_off()
        return finish(figure, name=name, title=title, caption=caption)
