"""What only TIFF needs: layouts that Pillow does not know or gets wrong, and pages cut off.

Pillow silently misreads several layouts above 8 bits (separate planes, white as zero, big-endian
fractions, unsigned 32-bit counts); tifffile reads all of these.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator

import numpy as np

from kinlens.io.decoded import ORIENTATION_TAG, SEVERAL_PAGES, TURNED, Decoded, Note, upright
from kinlens.io.sniffing import ImageError, cut_off, refuse_bomb
from kinlens.typing import AnyArray, Float32Array

__all__ = ["decode_exotic_tiff", "refuse_cut_off_tiff"]

# Values of the TIFF tags PhotometricInterpretation and ExtraSamples.
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB = 0, 1, 2
_PLAIN = (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB)
_ALPHA = (1, 2)
# A page may hold so many values for each pixel of the limit.
_MOST_BANDS = 8


def decode_exotic_tiff(data: bytes, most_pixels: int) -> Decoded:
    """Decode the first page of a TIFF with tifffile.

    Parameters
    ----------
    data : bytes
        Content of the file.
    most_pixels : int
        Refuse pictures with more pixels than this.

    Raises
    ------
    ImageError
        For too many pixels, or a compression whose decoder is not installed.
    """
    import tifffile

    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages.first
        height, width = int(page.imagelength), int(page.imagewidth)
        refuse_bomb(width, height, most_pixels)
        if page.size > _MOST_BANDS * most_pixels:
            raise ImageError(
                f"{page.size:,} values in its bands and planes are more than {_MOST_BANDS} times "
                f"the limit of {most_pixels:,} pixels",
                code="too-large",
                remedy="Reduce the picture, or raise the limit if you trust the file.",
            )
        notes: tuple[Note, ...] = (SEVERAL_PAGES,) if len(file.pages) > 1 else ()
        try:
            values = page.asarray()
        except ValueError as error:
            if "imagecodecs" not in str(error):
                raise
            raise ImageError(
                f"a TIFF whose compression (number {int(page.compression)}) needs another library",
                code="unsupported",
                remedy="Install its decoders with `pip install imagecodecs`, or save it "
                "without compression.",
            ) from error
        axes = page.axes
        turn_tag = page.tags.get(ORIENTATION_TAG)
        photometric = int(page.photometric)
        has_alpha = bool(page.extrasamples) and int(page.extrasamples[-1]) in _ALPHA
    if photometric not in _PLAIN:
        raise ImageError(
            f"a TIFF with an unusual way to store colours (photometric {photometric})",
            code="unsupported",
            remedy="Save it as RGB.",
        )
    values, more = _first_plane(values, axes)
    notes += more
    turn = int(turn_tag.value) if turn_tag is not None else 1
    if 2 <= turn <= 8:
        values = upright(values, turn)
        notes += (TURNED,)
    values, opacity = _split_opacity(values) if has_alpha else (values, None)
    if opacity is not None:
        notes += (Note("alpha", "transparent pixels, put on white"),)
    if (bands := values.shape[2]) not in (1, 3):
        values = values[:, :, : 3 if bands > 3 else 1]
        notes += (Note("bands", f"{bands} bands; only the first {values.shape[2]} used"),)
    if photometric == _WHITE_IS_ZERO:
        values = values.max() - values
    if opacity is not None and values.dtype == np.uint8:
        values = np.rint(values * opacity + 255 * (1 - opacity)).astype(np.uint8)
        opacity = None
    size = (values.shape[1], values.shape[0])
    return Decoded(values, opacity, "TIFF", size, notes)


def _split_opacity(values: AnyArray) -> tuple[AnyArray, Float32Array | None]:
    """Return the bands without the last one, and that as 0 to 1, None where nothing shows."""
    last = values[:, :, -1:]
    whole = np.iinfo(last.dtype).max if last.dtype.kind == "u" else 1
    opacity = np.clip(last / np.float32(whole), 0, 1).astype(np.float32)
    return values[:, :, :-1], None if opacity.min() == 1 else opacity


def _first_plane(values: AnyArray, axes: str) -> tuple[AnyArray, tuple[Note, ...]]:
    """Return shape (H, W, C) from a page with axes such as YX, YXS, SYX or ZYX."""
    notes: tuple[Note, ...] = ()
    for axis in axes:
        if axis not in "YXS":
            notes = (Note("multi-page", "several planes; the first one is used"),)
            values = values.take(0, axis=axes.index(axis))
            axes = axes.replace(axis, "")
    if "S" not in axes:
        return values[:, :, None], notes
    order = [axes.index(axis) for axis in "YXS"]
    return np.ascontiguousarray(values.transpose(order)), notes


def refuse_cut_off_tiff(data: bytes) -> None:
    """Refuse a TIFF whose first page does not lie within the file.

    Decoders would invent the rest, or print from compiled code, where nobody can catch it.

    Raises
    ------
    ImageError
        With code ``truncated``.
    """
    try:
        for offsets, lengths in _extents(data):
            ends = (start + length for start, length in zip(offsets, lengths, strict=False))
            if max(ends, default=0) > len(data):
                raise cut_off("TIFF", data)
    except struct.error as error:  # a number lies beyond the end
        raise cut_off("TIFF", data) from error


_STRIPS, _TILES = (273, 279), (324, 325)
_NUMBERS = {3: "H", 4: "I", 16: "Q"}


def _extents(data: bytes) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Yield the offsets and lengths of the strips or tiles of the first page."""
    order = "<" if data[:2] == b"II" else ">"
    if struct.unpack_from(f"{order}H", data, 2)[0] == 43:  # BigTIFF
        pointer, counter, place = "Q", "Q", 8
    else:
        pointer, counter, place = "I", "H", 4
    (start,) = struct.unpack_from(order + pointer, data, place)
    (count,) = struct.unpack_from(order + counter, data, start)
    start += struct.calcsize(counter)
    entry = struct.Struct(f"{order}HH{pointer}{pointer}")
    tags: dict[int, tuple[str, int]] = {}
    for at in range(start, start + count * entry.size, entry.size):
        tag, kind, length, value = entry.unpack_from(data, at)
        numbers = f"{order}{length}{_NUMBERS.get(kind, 'I')}"
        is_inside = struct.calcsize(numbers) <= struct.calcsize(pointer)
        tags[tag] = (numbers, at + 4 + struct.calcsize(pointer) if is_inside else value)
    struct.unpack_from(order + pointer, data, start + count * entry.size)
    for offsets, lengths in (_STRIPS, _TILES):
        if offsets in tags and lengths in tags:
            (a, at_a), (b, at_b) = tags[offsets], tags[lengths]
            yield struct.unpack_from(a, data, at_a), struct.unpack_from(b, data, at_b)
