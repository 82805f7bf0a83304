"""A small square of a picture, for pages and figures, as pixels and as JPEG."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from kinlens.io.images import read_channels, read_image, resize_to_square
from kinlens.typing import ByteArray

__all__ = ["read_thumbnail", "to_jpeg"]


def read_thumbnail(files: Sequence[Path], side: int = 96) -> ByteArray:
    """Read one picture as a small square of three bands.

    Parameters
    ----------
    files : sequence of path
        The file, or one file per channel, of which the first three are shown.
    side : int
        Width and height in pixels.

    Returns
    -------
    array of uint8, shape (side, side, 3)
        A picture of one or two bands is grey.

    Examples
    --------
    >>> from PIL import Image
    >>> file = getfixture("tmp_path") / "grey.png"
    >>> Image.new("L", (40, 20), 255).save(file)
    >>> read_thumbnail([file], 8).shape
    (8, 8, 3)
    """
    picture = (
        read_image(files[0], at_least=side)
        if len(files) == 1
        else read_channels(files, at_least=side)
    )
    pixels = np.asarray(resize_to_square(picture.pixels, side))
    if pixels.shape[2] < 3:
        pixels = np.repeat(pixels[:, :, :1], 3, axis=2)
    return pixels[:, :, :3].astype(np.uint8)


def to_jpeg(pixels: ByteArray) -> bytes:
    """Compress a small picture for a page.

    Parameters
    ----------
    pixels : array of uint8, shape (height, width, 3)
        As `read_thumbnail` returns them.

    Examples
    --------
    >>> to_jpeg(np.zeros((8, 8, 3), dtype=np.uint8))[:3].hex()
    'ffd8ff'
    """
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, format="JPEG", quality=82)
    return content.getvalue()
