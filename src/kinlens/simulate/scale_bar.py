"""The scale bar of a photograph: a round length in millimetres, drawn to scale and labelled."""

from __future__ import annotations

import numpy as np

from kinlens.typing import ByteArray, Float32Array

__all__ = ["draw_scale_bar"]

_BAR_LENGTHS = (0.5, 1, 2, 5, 10, 20, 50, 100)

_GLYPHS = {
    "0": ("###", "# #", "# #", "# #", "###"),
    "1": (" # ", "## ", " # ", " # ", "###"),
    "2": ("## ", "  #", " # ", "#  ", "###"),
    "5": ("###", "#  ", "## ", "  #", "## "),
    ".": (" ", " ", " ", " ", "#"),
    "m": ("     ", "     ", "#### ", "# # #", "# # #"),
    " ": (" ", " ", " ", " ", " "),
}


def draw_scale_bar(exposed: Float32Array, pixels_per_mm: float, corner: int) -> None:
    """Draw a bar of a round length, with its length in words, into a corner of a picture, in place.

    The longest round length that takes at most three tenths of the width is drawn, white on a dark
    ground and black on a light one. In thumbnails there is no room for the words.

    Parameters
    ----------
    exposed : array of float32, shape (size, size, 3)
        Linear light, changed in place.
    pixels_per_mm : float
        Scale of the picture.
    corner : int
        0 lower left, 1 lower right, 2 upper left, 3 upper right.
    """
    size = len(exposed)
    dot = max(1, size // 128)
    fitting = [mm for mm in _BAR_LENGTHS if mm * pixels_per_mm <= 0.3 * size]
    length = max(fitting, default=_BAR_LENGTHS[0])
    bar = np.ones((2 * dot, min(max(round(length * pixels_per_mm), 2), size // 2)))
    label = np.kron(_lettering(f"{length:g} mm"), np.ones((dot, dot)))
    if label.shape[1] > 0.45 * size:
        label = np.zeros((0, 0))
    width = max(bar.shape[1], label.shape[1])
    ink = np.zeros((len(label) + 2 * dot + len(bar), width), dtype=bool)
    ink[: len(label), (width - label.shape[1]) // 2 :][:, : label.shape[1]] |= label > 0
    ink[-len(bar) :, (width - bar.shape[1]) // 2 :][:, : bar.shape[1]] = True
    margin = 4 * dot
    top = margin if corner >= 2 else size - margin - len(ink)
    left = margin if corner % 2 == 0 else size - margin - width
    patch = exposed[top : top + len(ink), left : left + width]
    patch[ink] = 0.9 if patch.mean() < 0.2 else 0.01


def _lettering(text: str) -> ByteArray:
    """Return text as pixels, 5 high."""
    rows = ["".join(_GLYPHS[letter][row] + " " for letter in text) for row in range(5)]
    return np.array([[cell != " " for cell in row] for row in rows], dtype=np.uint8)
