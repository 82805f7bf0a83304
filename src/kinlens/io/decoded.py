"""What decoding hands on: the stored pixels of one file, upright, with notes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kinlens.typing import AnyArray, Float32Array

__all__ = ["ORIENTATION_TAG", "SEVERAL_PAGES", "TURNED", "Decoded", "Note", "upright"]


@dataclass(frozen=True)
class Note:
    """Something to know about a picture that could be read.

    Parameters
    ----------
    code : str
        One short stable word for the kind, such as ``16-bit``.
    sentence : str
        What was found and how it was read, without a full stop.
    """

    code: str
    sentence: str


@dataclass(frozen=True, eq=False)
class Decoded:
    """The pixels of one file as they are stored, upright.

    Parameters
    ----------
    values : numpy.ndarray
        Shape (H, W, C), C 1 (grey) or 3 (red, green, blue). uint8, or a wider integer or float
        type for files with more than 8 bits, whose values are not scaled yet. Transparent pixels
        are already on white where the values are 8-bit.
    opacity : numpy.ndarray or None
        Shape (H, W, 1), 0 to 1, for wide values only.
    kind : str
        Format by content, such as ``"JPEG"``.
    size : tuple of int
        Width and height of the picture in the file, upright; larger than `values` when the file
        was decoded at a reduced size.
    notes : tuple of Note
        What was special.
    """

    values: AnyArray
    opacity: Float32Array | None
    kind: str
    size: tuple[int, int]
    notes: tuple[Note, ...]


TURNED = Note("EXIF-rotated", "stored turned or mirrored; set upright as its EXIF tag says")
SEVERAL_PAGES = Note("multi-page", "several pages; the first one is used")
ORIENTATION_TAG = 0x0112
_UPRIGHT: dict[int, Callable[[AnyArray], AnyArray]] = {
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: pixels[::-1].swapaxes(0, 1),
    7: lambda pixels: pixels[::-1, ::-1].swapaxes(0, 1),
    8: lambda pixels: pixels[:, ::-1].swapaxes(0, 1),
}


def upright(pixels: AnyArray, turn: int) -> AnyArray:
    """Return `pixels`, shape (H, W, C), turned and mirrored as EXIF orientation `turn` asks."""
    return np.ascontiguousarray(_UPRIGHT[turn](pixels)) if turn in _UPRIGHT else pixels
