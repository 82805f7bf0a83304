"""From the bytes of one image file to its pixels, fully decoded, with notes on what was special.

Here is how each kind of pixel becomes colour or grey. Telling formats and impostors apart is in
`sniffing`; where bytes come from, channels in separate files and resizing are in `images`.
"""

from __future__ import annotations

import io
import logging
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageCms,
    ImageFile,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from kinlens.io.decoded import ORIENTATION_TAG, SEVERAL_PAGES, TURNED, Decoded, Note, upright
from kinlens.io.sniffing import (
    ImageError,
    refuse_bomb,
    refuse_zero_padding,
    sniff,
    worded_failure,
)
from kinlens.io.tiff import decode_exotic_tiff, refuse_cut_off_tiff
from kinlens.typing import AnyArray, Float32Array

__all__ = ["decode"]

# Both libraries log oddities that end up in our notes; without a handler Python prints them.
for _name in ("PIL", "tifffile"):
    logging.getLogger(_name).addHandler(logging.NullHandler())


_OPENERS: dict[str, Callable[[io.BytesIO], ImageFile.ImageFile]] = {
    "JPEG": JpegImagePlugin.JpegImageFile,
    "PNG": PngImagePlugin.PngImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "JPEG2000": Jpeg2KImagePlugin.Jpeg2KImageFile,
    "AVIF": AvifImagePlugin.AvifImageFile,
    "PPM": PpmImagePlugin.PpmImageFile,
}


def decode(data: bytes, *, at_least: int | None = None, most_pixels: int) -> Decoded:
    """Decode a whole image file.

    Parameters
    ----------
    data : bytes
        Content of the file.
    at_least : int, optional
        A JPEG may be decoded at 1/2, 1/4 or 1/8 of its size as long as its shorter side keeps
        twice this many pixels. None decodes at full size.
    most_pixels : int
        Refuse pictures with more pixels than this before decoding them.

    Raises
    ------
    ImageError
        When there is no complete picture in `data`; `code` says which kind of fault.
    """
    kind = sniff(data)
    try:
        with _quiet_pillow():
            return _decode(data, kind, at_least, most_pixels)
    except ImageError:
        raise
    except Exception as error:
        # Decoders fail on damaged files with whatever they stumble over.
        raise worded_failure(error, data, kind) from error


def _decode(data: bytes, kind: str, at_least: int | None, most_pixels: int) -> Decoded:
    if kind == "TIFF":
        return _decode_tiff(data, most_pixels)
    picture = _OPENERS[kind](io.BytesIO(data))
    refuse_bomb(*picture.size, most_pixels)
    size = picture.size
    if kind == "JPEG":
        refuse_zero_padding(data)
        if at_least is not None:
            _reduce(picture, at_least)
    notes: tuple[Note, ...] = ()
    if getattr(picture, "is_animated", False):
        notes = (Note("animated", "several frames; the first one is used"),)
    values, opacity, more = _pixels(data, kind, picture)
    if (turn := _orientation(picture)) != 1:
        notes += (TURNED,)
        values = upright(values, turn)
        opacity = None if opacity is None else upright(opacity, turn)
        size = size[::-1] if turn >= 5 else size
    return Decoded(values, opacity, kind, size, (*notes, *more))


def _decode_tiff(data: bytes, most_pixels: int) -> Decoded:
    """Decode with Pillow what Pillow gets right, the rest with tifffile where it can."""
    refuse_cut_off_tiff(data)
    try:
        picture = TiffImagePlugin.TiffImageFile(io.BytesIO(data))
    except SyntaxError:
        return decode_exotic_tiff(data, most_pixels)
    refuse_bomb(*picture.size, most_pixels)
    # Beyond its own limit Pillow warns about a TIFF, or refuses it.
    is_huge = picture.width * picture.height > (Image.MAX_IMAGE_PIXELS or sys.maxsize)
    if is_huge or max(picture.tag_v2.get(_BITS_PER_SAMPLE, (1,))) > 8:
        try:
            return decode_exotic_tiff(data, most_pixels)
        except ImageError as error:
            # tifffile lacks decoders, such as LZW, that Pillow has.
            if error.code != "unsupported" or is_huge or not _has_plain_16_bits(picture):
                raise
    notes: tuple[Note, ...] = ()
    if picture.is_animated:
        notes = (SEVERAL_PAGES,)
    if _orientation(picture) != 1:
        # Pillow turns a TIFF upright while it loads.
        notes += (TURNED,)
    size = picture.size
    values, opacity, more = _pixels(data, "TIFF", picture)
    return Decoded(values, opacity, "TIFF", size, (*notes, *more))


_BITS_PER_SAMPLE, _PHOTOMETRIC, _PLANES, _SAMPLE_FORMAT = 258, 262, 284, 339


def _has_plain_16_bits(picture: TiffImagePlugin.TiffImageFile) -> bool:
    """Tell whether the samples are unsigned, side by side and not inverted.

    Of the rest Pillow makes something else without saying so.
    """
    tags = picture.tag_v2
    return (
        set(tags[_BITS_PER_SAMPLE]) == {16}
        and set(tags.get(_SAMPLE_FORMAT, (1,))) == {1}
        and tags.get(_PLANES, 1) == 1
        and tags.get(_PHOTOMETRIC) != 0
    )


def _reduce(picture: ImageFile.ImageFile, at_least: int) -> None:
    width, height = picture.size
    shrink = min(width, height) / (2 * at_least)
    if shrink >= 2:
        picture.draft(None, (int(width / shrink), int(height / shrink)))


def _orientation(picture: Image.Image) -> int:
    """Return the EXIF orientation, 1 where there is none or it makes no sense."""
    try:
        turn = picture.getexif().get(ORIENTATION_TAG, 1)
    except Exception:  # a broken EXIF block does not spoil the picture
        return 1
    return turn if isinstance(turn, int) and 1 <= turn <= 8 else 1


# --- pixels that Pillow decodes to 8 bits, or to one wide band

_Pixels = tuple[AnyArray, Float32Array | None, tuple[Note, ...]]


def _pixels(data: bytes, kind: str, picture: ImageFile.ImageFile) -> _Pixels:
    raw_mode = _raw_mode(picture)
    if raw_mode[:-1] in _WIDE_COLOUR:
        return _wide_colour(data, kind, picture, raw_mode)
    picture.load()
    values, opacity, notes = _colour(picture)
    if raw_mode.startswith(("LA;16", "CMYK;16")):
        notes = (Note("16-bit", "16-bit values, of which the high byte is used"), *notes)
    return values, opacity, notes


def _colour(picture: Image.Image) -> _Pixels:
    """Turn a loaded picture of any Pillow mode into grey or RGB values."""
    mode = picture.mode
    notes: tuple[Note, ...] = ()
    if mode.startswith("I") or mode == "F":
        return _array(picture), None, ()
    if mode == "1":
        notes = (Note("1-bit", "black and white only"),)
        picture = picture.convert("L")
    elif mode in ("P", "PA"):
        notes = (Note("palette", f"at most {_palette_length(picture)} colours from a palette"),)
    elif mode == "CMYK":
        notes = (Note("CMYK", "print colours, turned to RGB without a colour profile"),)
        picture = picture.convert("RGB")
    elif mode == "LAB":
        notes = (Note("Lab", "CIE Lab colours, turned to sRGB"),)
        picture = _lab_to_rgb(picture)

    if mode in ("PA", "LA", "La", "RGBA", "RGBa") or "transparency" in picture.info:
        picture, is_transparent = _on_white(picture)
        if is_transparent:
            notes += (Note("alpha", "transparent pixels, put on white"),)
    elif picture.mode not in ("L", "RGB"):
        picture = picture.convert("RGB")
    if picture.mode == "L" and mode != "1":
        notes += (Note("grayscale", "grey, no colour"),)
    return _array(picture), None, notes


def _array(picture: Image.Image) -> AnyArray:
    pixels = np.asarray(picture)
    return pixels[:, :, None] if pixels.ndim == 2 else pixels


def _palette_length(picture: Image.Image) -> int:
    return len(picture.getpalette() or ()) // 3


def _on_white(picture: Image.Image) -> tuple[Image.Image, bool]:
    is_grey = picture.mode in ("L", "LA", "La")
    layered = picture.convert("RGBA")
    if layered.getchannel("A").getextrema() == (255, 255):
        is_transparent = False
    else:
        is_transparent = True
        layered = Image.alpha_composite(Image.new("RGBA", layered.size, "white"), layered)
    return (layered.getchannel(0) if is_grey else layered.convert("RGB")), is_transparent


def _lab_to_rgb(picture: Image.Image) -> Image.Image:
    converted = ImageCms.profileToProfile(
        picture,
        ImageCms.createProfile("LAB"),
        ImageCms.createProfile("sRGB"),
        outputMode="RGB",
    )
    if converted is None:
        raise ImageError("Lab colours that cannot be converted", code="unsupported")
    return converted


# --- 16-bit colour, of which Pillow keeps only the high bytes

_WIDE_COLOUR = ("RGB;16", "RGBA;16", "RGBX;16")


def _raw_mode(picture: ImageFile.ImageFile) -> str:
    """Return Pillow's word for how samples are stored, "" where it has none."""
    arguments = picture.tile[0].args if picture.tile else None
    raw_mode = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return raw_mode if isinstance(raw_mode, str) else ""


def _wide_colour(data: bytes, kind: str, picture: ImageFile.ImageFile, raw_mode: str) -> _Pixels:
    """Decode high and low bytes one after the other and join them.

    Pillow has no mode for 16-bit colour and keeps the high byte of each sample. Told that the
    bytes come in the opposite order, it keeps the low one. This serves every compression that
    Pillow reads, where tifffile would need an optional library.
    """
    other_order = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}
    swapped = raw_mode[:-1] + other_order[raw_mode[-1]]
    again = _OPENERS[kind](io.BytesIO(data))
    again.tile = [
        tile._replace(args=(swapped, *tile.args[1:]) if isinstance(tile.args, tuple) else swapped)
        for tile in again.tile
    ]
    picture.load()
    again.load()
    high, low = np.asarray(picture), np.asarray(again)
    values = high.astype(np.uint16)
    values <<= 8
    values |= low
    if values.shape[2] == 3:
        return values, None, ()
    opacity = (values[:, :, 3:] / np.float32(65535)).astype(np.float32)
    if opacity.min() == 1:
        return values[:, :, :3], None, ()
    return values[:, :, :3], opacity, (Note("alpha", "transparent pixels, put on white"),)


# --- keeping Pillow quiet


class _QuietPillow:
    """Counts the threads that are decoding, to add and remove one warning filter for all."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.users = 0
        self.entry: Any = None


_QUIET = _QuietPillow()


@contextmanager
def _quiet_pillow() -> Iterator[None]:
    """Ignore warnings that come from within Pillow, in any number of threads at once.

    `warnings.catch_warnings` saves and restores the whole list of filters and loses changes when
    threads overlap; here one entry, for Pillow's modules only, comes and goes.
    """
    with _QUIET.lock:
        _QUIET.users += 1
        if _QUIET.users == 1:
            # The comment in the pattern keeps an equal filter of the caller's apart from ours.
            warnings.filterwarnings("ignore", module=r"PIL\.(?#kinlens)")
            _QUIET.entry = warnings.filters[0]
    try:
        yield
    finally:
        with _QUIET.lock:
            _QUIET.users -= 1
            if _QUIET.users == 0 and _QUIET.entry in warnings.filters:
                warnings.filters.remove(_QUIET.entry)  # type: ignore[attr-defined]
