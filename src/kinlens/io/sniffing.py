"""What the bytes of an image file say before and when decoding them fails.

Tells formats by content, impostors that carry an image's name, bombs and cut-off files, and words
what is wrong. Decoding itself is in `decoding`.

Everywhere, `data` are the bytes of a file, `kind` is the format that they begin as, `width` and
`height` are in pixels, and `error` is what a decoder raised.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from PIL import Image

from kinlens.errors import InputError

__all__ = [
    "ImageError",
    "cut_off",
    "refuse_bomb",
    "refuse_zero_padding",
    "sniff",
    "worded_failure",
]


class ImageError(InputError):
    """An image that cannot be used.

    Parameters
    ----------
    problem : str
        What is wrong, as a sentence without a full stop.
    code : str
        One short stable word for the kind of fault: ``missing``, ``directory``, ``unreadable``,
        ``not-a-file``, ``empty``, ``not-an-image``, ``unsupported``, ``truncated``, ``damaged``,
        ``too-large`` or ``channels-differ``.
    where, remedy
        As in `kinlens.errors.InputError`.
    """

    def __init__(
        self, problem: str, *, code: str, where: Any = None, remedy: str | None = None
    ) -> None:
        self.code = code
        super().__init__(problem, where=where, remedy=remedy)

    def __reduce__(self) -> tuple[Any, ...]:
        # Keyword-only arguments do not survive the pickling of exceptions by default.
        again = partial(ImageError, code=self.code, where=self.where, remedy=self.remedy)
        return again, (self.problem,)


_MAGIC: tuple[tuple[str, int, bytes], ...] = (
    ("JPEG", 0, b"\xff\xd8\xff"),
    ("PNG", 0, b"\x89PNG\r\n\x1a\n"),
    ("TIFF", 0, b"II*\0"),
    ("TIFF", 0, b"MM\0*"),
    ("TIFF", 0, b"II+\0"),
    ("TIFF", 0, b"MM\0+"),
    ("WEBP", 8, b"WEBP"),
    ("GIF", 0, b"GIF8"),
    ("BMP", 0, b"BM"),
    ("JPEG2000", 0, b"\0\0\0\x0cjP  \r\n\x87\n"),
    ("JPEG2000", 0, b"\xff\x4f\xff\x51"),
    ("AVIF", 4, b"ftypavif"),
    ("AVIF", 4, b"ftypavis"),
    *(("PPM", 0, b"P%d%c" % (number, blank)) for number in range(1, 7) for blank in b" \t\r\n"),
)

# What else is found under the name of an image: (offset, bytes, code, what it is, what to do).
_IMPOSTORS: tuple[tuple[int, bytes, str, str, str], ...] = (
    (0, b"%PDF", "unsupported", "a PDF document", "Export its pages as PNG or TIFF."),
    (0, b"%!PS", "unsupported", "a PostScript file", "Export it as PNG or TIFF."),
    (0, b"8BPS", "unsupported", "a Photoshop file", "Save it as PNG or TIFF."),
    (4, b"ftyp", "unsupported", "a HEIC picture or a film", "Save it as JPEG or PNG."),
    (128, b"DICM", "unsupported", "a DICOM file", "Save it as PNG or TIFF."),
    (0, b"SIMPLE  =", "unsupported", "a FITS file", "Save it as TIFF."),
    (0, b"PK\x03\x04", "not-an-image", "a ZIP archive", "Unpack it first."),
    (0, b"\x1f\x8b", "not-an-image", "a gzip file", "Unpack it first."),
    (
        0,
        b"version https://git-lfs",
        "not-an-image",
        "a Git LFS pointer instead of the picture",
        "Fetch the pictures with `git lfs pull`.",
    ),
    (
        0,
        b"\0\x05\x16\x07",
        "not-an-image",
        "a macOS resource file ('._' file) instead of the picture",
        "Delete it; the picture has the same name without '._'.",
    ),
)


def sniff(data: bytes) -> str:
    """Return the format that the first bytes of a file show.

    Raises
    ------
    ImageError
        When they belong to no supported image format; the message says what they look like.

    Examples
    --------
    >>> sniff(b"GIF89a")
    'GIF'
    >>> sniff(b"some words")
    Traceback (most recent call last):
        ...
    kinlens.io.sniffing.ImageError: a text file instead of an image.
    """
    for kind, offset, magic in _MAGIC:
        if data[offset : offset + len(magic)] == magic:
            return kind
    for offset, magic, code, what, remedy in _IMPOSTORS:
        if data[offset : offset + len(magic)] == magic:
            raise ImageError(f"{what}, which is not read here", code=code, remedy=remedy)
    head = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if head.startswith((b"<!doctype html", b"<html", b"<head")):
        raise ImageError(
            "an HTML page instead of an image",
            code="not-an-image",
            remedy="It is probably an error page that a download saved; fetch the image again.",
        )
    if b"<svg" in head:
        raise ImageError(
            "an SVG drawing", code="unsupported", remedy="Export it as PNG at the size you need."
        )
    if not data.strip(b"\0"):
        raise ImageError(
            "nothing but zero bytes",
            code="damaged",
            remedy="A copy or download was cut off; fetch the file again.",
        )
    if all(byte in b"\t\r\n" or 32 <= byte < 127 for byte in data[:256]):
        raise ImageError("a text file instead of an image", code="not-an-image")
    raise ImageError(
        "no image format that is read here",
        code="unsupported",
        remedy="Save it as JPEG, PNG, TIFF or WebP.",
    )


def refuse_bomb(width: int, height: int, most_pixels: int) -> None:
    """Refuse a picture of more than `most_pixels` pixels.

    Raises
    ------
    ImageError
        With code ``too-large``.
    """
    if width * height > most_pixels:
        raise ImageError(
            f"{width:,} x {height:,} pixels are more than the limit of {most_pixels:,}",
            code="too-large",
            remedy="Reduce the picture, or raise the limit if you trust the file.",
        )


def refuse_zero_padding(data: bytes) -> None:
    """Refuse a JPEG whose end was never written: its decoder would invent a grey area."""
    if data.endswith(b"\0" * 64) and b"\xff\xd9" not in data.rstrip(b"\0")[-2:]:
        padding = len(data) - len(data.rstrip(b"\0"))
        raise ImageError(
            f"the last {padding:,} of {len(data):,} bytes are zero and the end of the picture "
            "is missing",
            code="truncated",
            remedy="A copy or download was cut off; fetch the file again.",
        )


_CUT_OFF = ("truncated", "not enough image data", "unexpected end", "incomplete", "no more data")


def worded_failure(error: Exception, data: bytes, kind: str) -> ImageError:
    """Word what a decoder raised on the content of a file of format `kind`."""
    text = str(error).strip() or type(error).__name__
    if isinstance(error, MemoryError | Image.DecompressionBombError) or "too large" in text:
        return ImageError(f"too large to decode: {text}", code="too-large")
    if isinstance(error, EOFError) or any(words in text.lower() for words in _CUT_OFF):
        return cut_off(kind, data)
    if not _has_end(data, kind):
        return cut_off(kind, data)
    return ImageError(
        f"the {kind} file is damaged: {text.rstrip('.')}",
        code="damaged",
        remedy="Fetch or copy it again.",
    )


def _has_end(data: bytes, kind: str) -> bool:
    """Tell whether the file ends as its format asks; True where a format has no end mark."""
    if kind == "WEBP":
        return len(data) >= 8 + int.from_bytes(data[4:8], "little")
    mark = {"JPEG": b"\xff\xd9", "JPEG2000": b"\xff\xd9", "PNG": b"IEND", "GIF": b";"}.get(kind)
    return mark is None or mark in data[-64:]


def cut_off(kind: str, data: bytes) -> ImageError:
    """Word that `data` ends too early."""
    return ImageError(
        f"the {kind} file is cut off after {len(data):,} bytes",
        code="truncated",
        remedy="Fetch or copy it again.",
    )
