"""Pictures of cells to squares in memory, with what cannot be read listed beside them."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from kinlens.atomic import atomic_path
from kinlens.errors import InputError
from kinlens.io.images import read_channels, read_image, resize_to_square
from kinlens.io.sniffing import ImageError
from kinlens.parallel import Resources, map_blocks
from kinlens.skipped import Skipped
from kinlens.typing import ByteArray, IntArray

__all__ = ["read_pictures"]

_PICTURES_PER_BLOCK = 64


def read_pictures(
    files: list[tuple[Path, ...]],
    names: list[str],
    *,
    bands: tuple[int, ...],
    size: int,
    resources: Resources,
) -> tuple[ByteArray, IntArray, tuple[Skipped, ...]]:
    """Read pictures as squares of 8-bit channels.

    Pictures that are not square are made so on black, which is what lies beside cells. Channels of
    more than 8 bits are scaled from their own darkest to their own brightest value.

    Parameters
    ----------
    files : list of tuple of path
        The picture, or one file a channel, of each.
    names : list of str
        What each is called when it is skipped.
    bands : tuple of int
        Positions of the channels wanted.
    size : int
        Side of the squares in pixels.
    resources : Resources
        Where to work; with a cache the result is kept on disk.

    Returns
    -------
    array of uint8, shape (n_readable, size, size, channels)
        The pictures that could be read.
    array of int
        Their positions in `files`.
    tuple of Skipped
        The others, with the reason.

    Raises
    ------
    InputError
        When not one can be read.
    """
    blocks = [
        files[start : start + _PICTURES_PER_BLOCK]
        for start in range(0, len(files), _PICTURES_PER_BLOCK)
    ]
    read = map_blocks(
        partial(_read_block, bands=bands, size=size),
        blocks,
        resources=resources,
        label="Reading pictures",
        unit="image",
        size_of=len,
    )
    pictures = np.empty((len(files), size, size, len(bands)), np.uint8)
    readable: list[int] = []
    skipped = []
    place = 0
    for block in read:
        for found in block:
            if isinstance(found, str):
                skipped.append(Skipped(names[place], "", found))
            else:
                pictures[len(readable)] = found
                readable.append(place)
            place += 1
    if not readable:
        raise InputError(
            "not one picture could be read", offenders=[f"{s.file}: {s.reason}" for s in skipped]
        )
    kept = pictures[: len(readable)]
    return _on_disk(kept, resources.cache), np.array(readable, np.int64), tuple(skipped)


def _on_disk(pictures: ByteArray, cache: Path | None) -> ByteArray:
    """Leave large stacks to the disk, from which batches are gathered as they are needed."""
    if cache is None or pictures.nbytes < 2**30:
        return pictures
    file = cache / "pictures.npy"
    with atomic_path(file) as part, part.open("wb") as open_file:
        np.save(open_file, pictures)
    return np.asarray(np.load(file, mmap_mode="r+"))


def _read_block(
    block: list[tuple[Path, ...]], *, bands: tuple[int, ...], size: int
) -> list[ByteArray | str]:
    return [_read_or_reason(files, bands, size) for files in block]


def _read_or_reason(files: tuple[Path, ...], bands: tuple[int, ...], size: int) -> ByteArray | str:
    try:
        # All channels are read, also those not looked at: a damaged one speaks against the rest.
        if len(files) == 1:
            pixels = read_image(files[0], at_least=size).pixels
        else:
            pixels = read_channels(files, at_least=size).pixels
    except ImageError as error:
        return str(error)
    square: ByteArray = resize_to_square(pixels[:, :, list(bands)], size, background=0)
    return square
