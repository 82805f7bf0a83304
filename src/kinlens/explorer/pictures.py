"""Pictures of an exhibit as small JPEG files, made anew from pixels, so that no EXIF travels.

Pictures are asked for by number; no name from outside reaches the file system.
"""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

from kinlens.explorer.exhibit import Exhibit
from kinlens.io.images import read_channels, read_image
from kinlens.io.sniffing import ImageError
from kinlens.records.slots import IMAGE
from kinlens.typing import AnyArray

__all__ = ["SIZES", "PictureShelf", "tint_of", "to_jpeg"]

SIZES = {"small": 72, "medium": 280, "large": 1000}
"""Longest side in pixels, by name."""

_TINTS = {
    "red": (1.0, 0.0, 0.0),
    "green": (0.0, 1.0, 0.0),
    "blue": (0.0, 0.0, 1.0),
    "yellow": (0.6, 0.6, 0.0),
    "magenta": (0.6, 0.0, 0.6),
    "cyan": (0.0, 0.6, 0.6),
}
_MOST_KEPT = 64 * 2**20


class PictureShelf:
    """Hands out the pictures of an exhibit, and keeps those asked for lately.

    Parameters
    ----------
    exhibit : Exhibit
        Whose pictures.
    """

    def __init__(self, exhibit: Exhibit) -> None:
        self._exhibit = exhibit
        self._kept: OrderedDict[tuple[object, ...], bytes] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()
        self._thumbnails: dict[str, bytes] = {}
        for run in reversed(exhibit.runs):
            self._thumbnails |= run.result.thumbnails

    def is_pictured(self, chart: int) -> bool:
        """Tell whether the things of a chart are pictures."""
        return self._exhibit.charts[chart].kind == IMAGE.name

    def jpeg(self, chart: int, row: int, size: str) -> bytes | None:
        """Return one picture, None when it can no longer be read.

        Parameters
        ----------
        chart, row : int
            Which thing.
        size : str
            A name of `SIZES`.
        """
        return self._remembered(
            ("whole", chart, row, size), lambda: self._whole(chart, row, SIZES[size])
        )

    def channel(self, chart: int, row: int, channel: int) -> bytes | None:
        """Return one channel of a picture whose channels are separate files, as grey.

        Parameters
        ----------
        chart, row : int
            Which thing.
        channel : int
            Number of the channel.
        """
        return self._remembered(
            ("channel", chart, row, channel), lambda: self._channel(chart, row, channel)
        )

    def _remembered(
        self, key: tuple[object, ...], make: Callable[[], bytes | None]
    ) -> bytes | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        content = make()
        if content is not None:
            with self._lock:
                self._bytes += len(content) - len(self._kept.pop(key, b""))
                self._kept[key] = content
                while self._bytes > _MOST_KEPT:
                    _key, dropped = self._kept.popitem(last=False)
                    self._bytes -= len(dropped)
        return content

    def _whole(self, chart: int, row: int, side: int) -> bytes | None:
        image = self._exhibit.charts[chart].ids[row]
        dataset = self._exhibit.dataset_of_chart(chart)
        if dataset is not None:
            files = dataset.image_files(image)
            try:
                if len(files) == 1:
                    return to_jpeg(read_image(files[0], at_least=side).pixels, side)
                return to_jpeg(_composite(read_channels(files).pixels, dataset.channels), side)
            except ImageError:
                pass
        thumbnail = self._thumbnails.get(image)
        if thumbnail is None:
            return None
        with Image.open(io.BytesIO(thumbnail), formats=("JPEG",)) as picture:
            return to_jpeg(np.asarray(picture.convert("RGB")), side)

    def _channel(self, chart: int, row: int, channel: int) -> bytes | None:
        dataset = self._exhibit.dataset_of_chart(chart)
        if dataset is None or channel >= len(dataset.channels):
            return None
        file = dataset.image_files(self._exhibit.charts[chart].ids[row])[channel]
        try:
            return to_jpeg(read_channels([file]).pixels, SIZES["medium"])
        except ImageError:
            return None


def to_jpeg(pixels: AnyArray, side: int) -> bytes:
    """Shrink a picture to fit a square of `side` pixels, and write it as JPEG.

    Parameters
    ----------
    pixels : array of shape (height, width, 1 or 3), uint8
        The picture.
    side : int
        Longest side; a smaller picture keeps its size.
    """
    picture = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    picture.thumbnail((side, side), Image.Resampling.BICUBIC, reducing_gap=3.0)
    content = io.BytesIO()
    picture.save(content, format="JPEG", quality=85)
    return content.getvalue()


def tint_of(name: str, number: int) -> tuple[float, float, float]:
    """Return the colour in which a channel is shown: red, green and blue from 0 to 1.

    Parameters
    ----------
    name : str
        A channel named after a colour has that one.
    number : int
        Its place among the channels, by which others take turns.

    Examples
    --------
    >>> tint_of("Blue", 0), tint_of("DAPI", 0)
    ((0.0, 0.0, 1.0), (1.0, 0.0, 0.0))
    """
    return _TINTS.get(name.lower()) or list(_TINTS.values())[number % len(_TINTS)]


def _composite(bands: AnyArray, names: Sequence[str]) -> AnyArray:
    """Lay channels over each other, each in the colour that its name says."""
    colour = np.zeros((*bands.shape[:2], 3), dtype=np.float32)
    for number, name in enumerate(names):
        colour += bands[:, :, number, None] * np.array(tint_of(name, number), dtype=np.float32)
    return np.minimum(colour, 255).astype(np.uint8)
