"""Makes one small file of every bad or unusual kind of picture that collections come with."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image


def make_bad_images(folder: Path) -> dict[str, str]:
    """Write the files into `folder`; return the code that is expected for each name.

    Codes of `ImageError` for what cannot be read, codes of `Note` for what is read and noted.
    """
    folder.mkdir(parents=True, exist_ok=True)
    expected = {}
    for name, (code, make) in {**_UNREADABLE, **_UNUSUAL}.items():
        make(folder / name)
        expected[name] = code
    if os.geteuid() != 0:  # root may read everything
        _photo().save(folder / "no_rights.jpg")
        (folder / "no_rights.jpg").chmod(0)
        expected["no_rights.jpg"] = "unreadable"
    return expected


def _values(depth: type[np.generic] = np.uint8, bands: int = 3) -> np.ndarray:
    """Return a smooth coloured picture, 40 rows by 60 columns, with a little noise."""
    rows, columns = np.mgrid[0:40, 0:60]
    planes = [np.sin(rows / (3 + band)) + np.cos(columns / (5 + band)) for band in range(bands)]
    smooth = np.stack(planes, axis=2) / 4 + 0.5
    smooth = smooth * 0.9 + np.random.default_rng(1).random(smooth.shape) * 0.1
    whole = np.iinfo(depth).max if np.issubdtype(depth, np.integer) else 1
    return (smooth * whole).astype(depth)


def _photo() -> Image.Image:
    return Image.fromarray(_values())


def _bytes(path: Path, **options: object) -> bytes:
    _photo().save(path, **options)
    return path.read_bytes()


def _write(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


def _save(picture: Callable[[], Image.Image], **options: object) -> Callable[[Path], object]:
    return lambda path: picture().save(path, **options)


def _tiff(values: Callable[[], np.ndarray], **options: object) -> Callable[[Path], object]:
    return lambda path: tifffile.imwrite(path, values(), **options)


def _truncate(path: Path) -> None:
    content = _bytes(path)
    path.write_bytes(content[: len(content) * 6 // 10])


def _pad_with_zeros(path: Path) -> None:
    content = _bytes(path)
    half = len(content) // 2
    path.write_bytes(content[:half] + bytes(len(content) - half))


def _spoil_middle(path: Path) -> None:
    content = bytearray(_bytes(path))
    middle = len(content) // 2
    content[middle : middle + 40] = bytes(range(40))
    path.write_bytes(content)


def _chunk(kind: bytes, content: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + check


def _png(width: int, height: int, depth: int, colour: int, rows: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", header)
        + _chunk(b"IDAT", zlib.compress(rows))
        + _chunk(b"IEND", b"")
    )


def _png_16_bit_colour(path: Path) -> None:
    values = _values(np.uint16) // 16  # a 12-bit camera
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    path.write_bytes(_png(60, 40, 16, 2, rows))


def _transparent() -> Image.Image:
    picture = _photo().convert("RGBA")
    picture.putalpha(Image.fromarray(_values()[:, :, 0]))
    return picture


def _turned(path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    _photo().save(path, exif=exif)


def _tiff_bomb(path: Path) -> None:
    tifffile.imwrite(path, _values(), photometric="rgb")
    content = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as file:
        tags = file.pages.first.tags
        places = [tags[name].valueoffset for name in ("ImageWidth", "ImageLength")]
    for place in places:
        struct.pack_into("<H", content, place, 60_000)
    path.write_bytes(content)


def _not_finite() -> np.ndarray:
    values = _values(np.float32)
    values[:3] = np.nan
    return values


_UNREADABLE: dict[str, tuple[str, Callable[[Path], object]]] = {
    "zero_bytes.jpg": ("empty", _write(b"")),
    "html.jpg": ("not-an-image", _write(b"<!DOCTYPE html>\n<html><title>404</title></html>")),
    "text.png": ("not-an-image", _write(b"the picture was moved\n")),
    "lfs_pointer.jpg": (
        "not-an-image",
        _write(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"),
    ),
    "._resource_fork.jpg": (
        "not-an-image",
        _write(b"\0\x05\x16\x07\0\x02\0\0Mac OS X" + b" " * 99),
    ),
    "archive.jpg": ("not-an-image", _write(b"PK\x03\x04" + b"\x14" * 99)),
    "gzipped.png": ("not-an-image", _write(b"\x1f\x8b\x08" + b"\x14" * 99)),
    "document.jpg": ("unsupported", _write(b"%PDF-1.7\n")),
    "postscript.tif": ("unsupported", _write(b"%!PS-Adobe-3.0 EPSF-3.0\n")),
    "drawing.png": ("unsupported", _write(b'<?xml version="1.0"?>\n<svg width="9"></svg>')),
    "photoshop.tif": ("unsupported", _write(b"8BPS\0\x01" + bytes(99))),
    "phone.jpg": ("unsupported", _write(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99))),
    "noise.jpg": ("unsupported", _write(np.random.default_rng(0).bytes(999))),
    "only_zeros.jpg": ("damaged", _write(bytes(2048))),
    "folder.jpg": ("directory", Path.mkdir),
    "pipe.jpg": ("not-a-file", os.mkfifo),
    "broken_link.jpg": ("missing", lambda path: path.symlink_to("moved.jpg")),
    "loop.jpg": ("unreadable", lambda path: path.symlink_to(path.name)),
    "truncated.jpg": ("truncated", _truncate),
    "truncated.png": ("truncated", _truncate),
    "truncated.tif": ("truncated", _truncate),
    "truncated.webp": ("truncated", _truncate),
    "truncated.gif": ("truncated", _truncate),
    "truncated.bmp": ("truncated", _truncate),
    "header_only.jpg": ("truncated", _write(b"\xff\xd8\xff\xe0")),
    "zero_padded.jpg": ("truncated", _pad_with_zeros),
    "spoiled.png": ("damaged", _spoil_middle),
    "spoiled.webp": ("damaged", _write(b"RIFF\x14\0\0\0WEBPVP8 \x08\0\0\0" + bytes(8))),
    "bomb.png": ("too-large", _write(_png(60_000, 60_000, 8, 2, b""))),
    "bomb.gif": (
        "too-large",
        _write(b"GIF89a\xff\xff\xff\xff\0\0\0,\0\0\0\0\xff\xff\xff\xff\0\x08"),
    ),
    "bomb.tif": ("too-large", _tiff_bomb),
    "all_nan.tif": ("damaged", _tiff(lambda: np.full((20, 20), np.nan, dtype=np.float32))),
}

_UNUSUAL: dict[str, tuple[str, Callable[[Path], object]]] = {
    "grey_16_bit.png": ("16-bit", _save(lambda: Image.fromarray(_values(np.uint16, 1)[:, :, 0]))),
    "colour_16_bit.png": ("16-bit", _png_16_bit_colour),
    "colour_16_bit.tif": ("16-bit", _tiff(lambda: _values(np.uint16), photometric="rgb")),
    "counts_32_bit.tif": ("32-bit", _tiff(lambda: _values(np.uint32, 1)[:, :, 0])),
    "float.tif": ("float", _tiff(lambda: _values(np.float32), photometric="rgb")),
    "not_finite.tif": ("not-finite", _tiff(_not_finite, photometric="rgb")),
    "five_bands.tif": (
        "bands",
        _tiff(lambda: _values(np.uint16, 5), photometric="minisblack", planarconfig="contig"),
    ),
    "print.jpg": ("CMYK", _save(lambda: _photo().convert("CMYK"))),
    "print.tif": ("CMYK", _save(lambda: _photo().convert("CMYK"))),
    "lab.tif": ("Lab", _save(lambda: Image.frombytes("LAB", (60, 40), _values().tobytes()))),
    "turned.jpg": ("EXIF-rotated", _turned),
    "turned.png": ("EXIF-rotated", _turned),
    "turned.tif": ("EXIF-rotated", _turned),
    "pages.tif": ("multi-page", _save(_photo, save_all=True, append_images=[_photo()])),
    "film.gif": (
        "animated",
        _save(
            _photo, save_all=True, append_images=[_photo().transpose(Image.Transpose.ROTATE_180)]
        ),
    ),
    "film.webp": (
        "animated",
        _save(
            _photo, save_all=True, append_images=[_photo().transpose(Image.Transpose.ROTATE_180)]
        ),
    ),
    "palette.png": ("palette", _save(lambda: _photo().convert("P"))),
    "transparent.png": ("alpha", _save(_transparent)),
    "transparent.tif": ("alpha", _save(_transparent)),
    "one_bit.png": ("1-bit", _save(lambda: _photo().convert("1"))),
    "grey.jpg": ("grayscale", _save(lambda: _photo().convert("L"))),
    "is_a_png.jpg": ("wrong-extension", _save(_photo, format="PNG")),
    "blank.png": ("blank", _save(lambda: Image.new("RGB", (60, 40), "white"))),
    "tiny.png": ("tiny", _save(lambda: _photo().crop((0, 0, 3, 2)))),
}
