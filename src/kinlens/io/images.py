"""Image files to arrays: colour pictures, pictures whose channels are separate files, resizing.

Every file is decoded completely here, so that whatever is wrong with it is known at once. How the
bytes of one file become pixels is in `decoding`; nothing here knows about metadata.
"""

from __future__ import annotations

import stat
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from PIL import Image

from kinlens.errors import UsageError
from kinlens.io.decoded import Decoded, Note
from kinlens.io.decoding import decode
from kinlens.io.sniffing import ImageError
from kinlens.typing import AnyArray

__all__ = [
    "MOST_PIXELS",
    "SUFFIXES",
    "Depth",
    "Picture",
    "read_channels",
    "read_image",
    "resize_to_square",
]

MOST_PIXELS = 89_478_485
"""Pictures with more pixels are refused by default: a quarter of a GiB once decoded to RGB."""

Depth: TypeAlias = Literal["uint8", "float32"]
# Pictures whose shorter side is below this are icons or tracking pixels, not specimens.
_TINY = 16
SUFFIXES = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jpe": "JPEG",
    ".jfif": "JPEG",
    ".png": "PNG",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WEBP",
    ".gif": "GIF",
    ".bmp": "BMP",
    ".dib": "BMP",
    ".jp2": "JPEG2000",
    ".j2k": "JPEG2000",
    ".avif": "AVIF",
    ".ppm": "PPM",
    ".pgm": "PPM",
    ".pbm": "PPM",
}
"""Endings of image files, lower case, and the format that each promises."""


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded picture, upright.

    Parameters
    ----------
    pixels : numpy.ndarray
        Shape (H, W, C): red, green and blue, or one band per channel file. uint8 from 0 to 255 or
        float32 from 0 to 1. May be read-only.
    size : tuple of int
        Width and height in the file, in pixels; larger than `pixels` when it was decoded at a
        reduced size.
    notes : tuple of Note
        What was special about the file, such as 16-bit or print colours.
    """

    pixels: AnyArray
    size: tuple[int, int]
    notes: tuple[Note, ...] = ()


def read_image(
    path: str | Path,
    *,
    at_least: int | None = None,
    depth: Depth = "uint8",
    most_pixels: int = MOST_PIXELS,
) -> Picture:
    """Read one picture as red, green and blue.

    Parameters
    ----------
    path : str or pathlib.Path
        A JPEG, PNG, TIFF, WebP, GIF, BMP, JPEG 2000, AVIF or PPM file, told by its content. The
        first page or frame is read.
    at_least : int, optional
        The number of pixels to which the picture will be resized. A JPEG is then decoded at 1/2,
        1/4 or 1/8 of its size as long as its shorter side keeps twice as many.
    depth : {"uint8", "float32"}
        Whole numbers from 0 to 255, or fractions from 0 to 1 that keep 16-bit steps.
    most_pixels : int
        Larger pictures are refused before they are decoded.

    Returns
    -------
    Picture
        Pixels of shape (H, W, 3). The EXIF orientation is applied, transparent pixels are put on
        white, grey is repeated three times, and values of more than 8 bits are scaled so that
        the smallest and the largest of this picture become black and white. `notes` names each
        of these.

    Raises
    ------
    ImageError
        When the file is missing, not an image, cut off, damaged or too large; `code` says which.

    Examples
    --------
    >>> file = getfixture("tmp_path") / "grey.png"
    >>> Image.new("L", (3, 2), 7).save(file)
    >>> picture = read_image(file)
    >>> picture.pixels.shape, [note.code for note in picture.notes]
    ((2, 3, 3), ['grayscale', 'tiny', 'blank'])
    """
    path = Path(path)
    decoded = _decode_file(path, at_least, most_pixels)
    pixels, notes = _scaled(path, decoded, depth)
    if pixels.shape[2] == 1:
        pixels = np.repeat(pixels, 3, axis=2)
    notes = (*decoded.notes, *notes, *_lint(path, decoded, pixels))
    return Picture(pixels, decoded.size, notes)


def read_channels(
    paths: Sequence[str | Path],
    *,
    at_least: int | None = None,
    depth: Depth = "uint8",
    most_pixels: int = MOST_PIXELS,
) -> Picture:
    """Read a picture whose channels are separate files.

    Parameters
    ----------
    paths : sequence of path
        One file per channel, in the order of the bands wanted. Each is grey; of a file in colour
        the brightest of its bands is taken pixel by pixel, which undoes a tint.
    at_least, depth, most_pixels
        As in `read_image`; each channel is scaled by its own range.

    Returns
    -------
    Picture
        Pixels of shape (H, W, number of files). Notes name the file that they are about.

    Raises
    ------
    ImageError
        When a file cannot be read or the channels differ in size.
    """
    if not paths:
        raise UsageError("read_channels needs at least one file, not none.")
    bands: list[AnyArray] = []
    notes: list[Note] = []
    size: tuple[int, int] | None = None
    for path in map(Path, paths):
        decoded = _decode_file(path, at_least, most_pixels)
        if size is not None and decoded.size != size:
            raise ImageError(
                f"{decoded.size[0]} x {decoded.size[1]} pixels, but the first channel "
                f"({Path(paths[0]).name}) has {size[0]} x {size[1]}",
                code="channels-differ",
                where=path,
                remedy="The channels of one picture must be the same size.",
            )
        size = decoded.size
        pixels, more = _scaled(path, decoded, depth)
        found = [*decoded.notes, *more, *_lint(path, decoded, pixels)]
        if pixels.shape[2] == 3:
            pixels = pixels.max(axis=2, keepdims=True)
            found.append(Note("tinted", "colour, of which the brightest band is the channel"))
        # Grey is what a channel should be.
        notes += [
            replace(note, sentence=f"{path.name}: {note.sentence}")
            for note in found
            if note.code != "grayscale"
        ]
        bands.append(pixels)
    assert size is not None
    return Picture(np.concatenate(bands, axis=2), size, tuple(notes))


def resize_to_square(
    pixels: AnyArray,
    size: int,
    *,
    background: float | AnyArray = 255,
    fit: Literal["pad", "crop", "stretch"] = "pad",
) -> AnyArray:
    """Resize a picture to a square, smoothly (bicubic, widened when shrinking).

    Parameters
    ----------
    pixels : numpy.ndarray
        Shape (H, W, C), uint8 or float32, any number of bands.
    size : int
        Side of the square in pixels.
    background : float or numpy.ndarray
        Value of the border that ``fit="pad"`` adds, in the units of `pixels`; one for all bands,
        or one per band.
    fit : {"pad", "crop", "stretch"}
        Keep the whole picture and add a border on the short sides; keep the largest central
        square; or change the proportions.

    Returns
    -------
    numpy.ndarray
        Shape (size, size, C), the type of `pixels`.

    Examples
    --------
    >>> wide = np.zeros((10, 20, 3), dtype=np.uint8)
    >>> square = resize_to_square(wide, 8)
    >>> square.shape, square[:, 4, 0].tolist()
    ((8, 8, 3), [255, 255, 0, 0, 0, 0, 255, 255])
    """
    if size < 1:
        raise UsageError(f"size must be at least 1, not {size}.")
    height, width = pixels.shape[:2]
    if fit == "stretch":
        return _resized(pixels, size, size)
    if fit == "crop":
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        return _resized(pixels[top : top + side, left : left + side], size, size)
    if fit != "pad":
        raise UsageError(f"fit must be 'pad', 'crop' or 'stretch', not {fit!r}.")
    shrink = size / max(height, width)
    tall, wide = (max(1, round(side * shrink)) for side in (height, width))
    inner = _resized(pixels, tall, wide)
    if (tall, wide) == (size, size):
        return inner
    square = np.full((size, size, pixels.shape[2]), background, dtype=pixels.dtype)
    top, left = (size - tall) // 2, (size - wide) // 2
    square[top : top + tall, left : left + wide] = inner
    return square


# --- from a path to bytes


def _decode_file(path: Path, at_least: int | None, most_pixels: int) -> Decoded:
    # An honest file of so many pixels, even uncompressed in four 16-bit bands, is smaller.
    data = _read_bytes(path, most_bytes=max(8 * most_pixels, 1 << 20))
    try:
        return decode(data, at_least=at_least, most_pixels=most_pixels)
    except ImageError as error:
        raise ImageError(
            error.problem, code=error.code, where=path, remedy=error.remedy
        ) from error.__cause__


def _read_bytes(path: Path, *, most_bytes: int) -> bytes:
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise ImageError("a folder instead of an image", code="directory", where=path)
        if not stat.S_ISREG(status.st_mode):
            # Opening a pipe would wait forever.
            raise ImageError("not an ordinary file", code="not-a-file", where=path)
        if status.st_size > most_bytes:
            raise ImageError(
                f"the file of {status.st_size:,} bytes is larger than any picture within the "
                "limit of pixels",
                code="too-large",
                where=path,
                remedy="Reduce the picture, or raise the limit if you trust the file.",
            )
        data = path.read_bytes()
    except ImageError:
        raise
    except (FileNotFoundError, NotADirectoryError) as error:
        raise _missing(path) from error
    except PermissionError as error:
        raise ImageError(
            "no permission to read it",
            code="unreadable",
            where=path,
            remedy="Change the rights of the file or its folder.",
        ) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ImageError(f"cannot be read ({reason})", code="unreadable", where=path) from error
    if not data:
        raise ImageError(
            "the file is empty (0 bytes)",
            code="empty",
            where=path,
            remedy="A copy or download failed; fetch the file again.",
        )
    return data


def _missing(path: Path) -> ImageError:
    if path.is_symlink():
        return ImageError(
            f"a link to {path.readlink()}, which is not there", code="missing", where=path
        )
    other_case = path.with_suffix(path.suffix.swapcase())
    remedy = None
    if path.suffix and other_case.exists():
        remedy = f"There is {other_case.name!r}: upper and lower case count."
    return ImageError("no such file", code="missing", where=path, remedy=remedy)


# --- from decoded values to pixels


def _scaled(path: Path, decoded: Decoded, depth: Depth) -> tuple[AnyArray, tuple[Note, ...]]:
    """Return values as uint8 from 0 to 255 or float32 from 0 to 1."""
    if depth not in ("uint8", "float32"):
        raise UsageError(f"depth must be 'uint8' or 'float32', not {depth!r}.")
    values = decoded.values
    if values.dtype == np.uint8:
        return (values if depth == "uint8" else values / np.float32(255)), ()
    if values.dtype == bool:
        return (values * (np.uint8(255) if depth == "uint8" else np.float32(1))), ()

    notes: tuple[Note, ...] = ()
    is_float = values.dtype.kind == "f"
    if is_float and not (is_finite := np.isfinite(values)).all():
        if not is_finite.any():
            raise ImageError("not one value is a finite number", code="damaged", where=path)
        lost = int(values.size - is_finite.sum())
        notes += (Note("not-finite", f"{lost:,} values are not finite numbers; shown black"),)
        values = np.where(is_finite, values, values[is_finite].min())
    low, high = values.min(), values.max()
    name = "float" if is_float else f"{8 * values.dtype.itemsize}-bit"
    notes += (Note(name, f"{name} values, scaled from {low:g}..{high:g} to black..white"),)

    # float32 holds every step of 16 bits; 32-bit counts need float64 until they are scaled.
    fraction: Any = values.astype(np.float32 if values.dtype.itemsize <= 2 else np.float64)
    fraction -= low
    fraction /= (float(high) - float(low)) or 1.0
    if decoded.opacity is not None:
        fraction = fraction * decoded.opacity + (1 - decoded.opacity)
    if depth == "float32":
        return fraction.astype(np.float32), notes
    return np.rint(fraction * 255).astype(np.uint8), notes


def _lint(path: Path, decoded: Decoded, pixels: AnyArray) -> list[Note]:
    notes = []
    by_name = SUFFIXES.get(path.suffix.lower())
    if by_name != decoded.kind:
        is_odd = f"named {path.suffix}" if path.suffix else "without a suffix"
        notes.append(
            Note("wrong-extension", f"a {decoded.kind} file {is_odd}; read by its content")
        )
    width, height = decoded.size
    if min(width, height) < _TINY:
        notes.append(Note("tiny", f"only {width} x {height} pixels"))
    # A sample settles it for nearly every picture.
    if _is_even(pixels[::16, ::16]) and _is_even(pixels):
        notes.append(Note("blank", "every pixel is the same"))
    return notes


def _is_even(pixels: AnyArray) -> bool:
    return bool((pixels == pixels[0, 0]).all())


# --- resizing


def _resized(pixels: AnyArray, height: int, width: int) -> AnyArray:
    if pixels.shape[:2] == (height, width):
        return pixels
    if pixels.dtype == np.uint8 and pixels.shape[2] == 3:
        return np.asarray(_resample(Image.fromarray(pixels), height, width))
    bands = [
        np.asarray(_resample(Image.fromarray(np.ascontiguousarray(band)), height, width))
        for band in np.moveaxis(pixels, 2, 0)
    ]
    resized = np.stack(bands, axis=2)
    if pixels.dtype == np.float32 and pixels.min() >= 0 and pixels.max() <= 1:
        # Bicubic overshoots at edges, as it does (clipped) in whole numbers.
        np.clip(resized, 0, 1, out=resized)
    return resized


def _resample(picture: Image.Image, height: int, width: int) -> Image.Image:
    # First a whole-number reduction, several times faster on large photographs.
    return picture.resize((width, height), Image.Resampling.BICUBIC, reducing_gap=3.0)
