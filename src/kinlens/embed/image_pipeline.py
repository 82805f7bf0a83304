"""Pictures read by threads ahead of the encoder that takes them in batches, in order.

Which pictures there are, and where finished ones are kept, is in `images`; how one file becomes
pixels is in `kinlens.io.images`.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from kinlens.embed.encoders import ImageEncoder
from kinlens.io.images import read_channels, read_image, resize_to_square
from kinlens.io.sniffing import ImageError
from kinlens.parallel import Resources, map_blocks
from kinlens.progress import Task
from kinlens.typing import AnyArray, Float32Array

__all__ = ["Block", "Encoded", "Files", "encode_blocks", "in_order", "processors", "read_square"]

Files: TypeAlias = tuple[Path, ...]
"""One picture: its file, or its channels' files in order."""

Item: TypeAlias = tuple[str, Files]
Block: TypeAlias = tuple[Item, ...]
"""Pictures that are encoded and kept together, each with its key."""

# Batches that are read before they are needed.
_AHEAD = 3


@dataclass(frozen=True, eq=False)
class Encoded:
    """What became of a block.

    Parameters
    ----------
    values : numpy.ndarray
        Shape (n, n_features): vectors of the pictures that could be read, in order.
    reasons : dict of str to str
        Why each of the others could not, by key.
    """

    values: Float32Array
    reasons: dict[str, str]


def encode_blocks(
    blocks: Sequence[Block], encoder: ImageEncoder, resources: Resources
) -> Iterator[tuple[Block, Encoded]]:
    """Read and encode block after block.

    In this process threads read ahead across the blocks, so that the encoder does not wait. With
    several workers or a scheduler, whole blocks are read and encoded in other processes.

    Parameters
    ----------
    blocks : sequence of Block
        Each is encoded in batches of its own.
    encoder : ImageEncoder
        Sent to the other processes, where there are any.
    resources : Resources
        Where to work, and whom to tell.

    Yields
    ------
    tuple of Block and Encoded
        In the order of the blocks.
    """
    if resources.scheduler is not None or resources.workers > 1:
        share = max(1, processors() // resources.workers)
        work = partial(_encode_block, encoder=encoder, threads=share)
        results = map_blocks(
            work, blocks, resources=resources, label="Encoding", unit="image", size_of=len
        )
        yield from zip(blocks, results, strict=True)
        return
    n_missing = sum(map(len, blocks))
    with resources.progress.task("Encoding", n_missing, unit="image") as task:
        yield from zip(blocks, _stream(blocks, encoder, processors(), task), strict=True)


def read_square(files: Files, encoder: ImageEncoder) -> AnyArray:
    """Read one picture as the square that the encoder wants.

    The whole picture is kept, with its proportions; the short sides are filled up with the median
    colour of its border, which on white paper is white.

    Parameters
    ----------
    files : tuple of pathlib.Path
        The picture, or one file per channel.
    encoder : ImageEncoder
        Says which size, bands and kind of number it wants.

    Returns
    -------
    numpy.ndarray
        Shape (input_size, input_size, n_channels), uint8 or float32.

    Raises
    ------
    ImageError
        When a file cannot be read.
    """
    size, depth = encoder.input_size, encoder.depth
    if len(files) == 1 and encoder.n_channels == 3:
        pixels = read_image(files[0], at_least=size, depth=depth).pixels
    else:
        pixels = read_channels(files, at_least=size, depth=depth).pixels
    border = (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1])
    ground = np.median(np.concatenate(border), axis=0).astype(pixels.dtype)
    return resize_to_square(pixels, size, background=ground)


def _encode_block(block: Block, *, encoder: ImageEncoder, threads: int) -> Encoded:
    """Read and encode one block, in another process."""
    return next(_stream([block], encoder, threads))


def _stream(
    blocks: Sequence[Block], encoder: ImageEncoder, threads: int, task: Task | None = None
) -> Iterator[Encoded]:
    """Encode block after block, while threads read ahead across the blocks."""
    pool = ThreadPoolExecutor(threads)
    try:
        pictures = in_order(
            pool,
            partial(_read_or_reason, encoder=encoder),
            chain.from_iterable(blocks),
            ahead=_AHEAD * encoder.batch_size,
        )
        for block in blocks:
            yield _encode_pictures(block, islice(pictures, len(block)), encoder, task)
    finally:
        pool.shutdown(cancel_futures=True)


def _encode_pictures(
    block: Block, pictures: Iterable[AnyArray | str], encoder: ImageEncoder, task: Task | None
) -> Encoded:
    values: list[Float32Array] = []
    reasons: dict[str, str] = {}
    batch: list[AnyArray] = []
    waiting = 0

    def encode() -> None:
        nonlocal waiting
        if batch:
            values.append(encoder.encode(np.stack(batch)))
            batch.clear()
        if task is not None:
            task.advance(waiting)
        waiting = 0

    for (key, _), picture in zip(block, pictures, strict=True):
        waiting += 1
        if isinstance(picture, str):
            reasons[key] = picture
        else:
            batch.append(picture)
        if len(batch) == encoder.batch_size:
            encode()
    encode()
    empty = np.empty((0, encoder.n_features), dtype=np.float32)
    return Encoded(np.concatenate([empty, *values]), reasons)


def _read_or_reason(item: Item, *, encoder: ImageEncoder) -> AnyArray | str:
    """Return the picture, or why there is none."""
    try:
        return read_square(item[1], encoder)
    except ImageError as error:
        return error.problem
    except MemoryError:
        return "too large for the memory of this machine"


def in_order(
    pool: ThreadPoolExecutor,
    function: Callable[[Any], Any],
    items: Iterable[Any],
    *,
    ahead: int,
) -> Iterator[Any]:
    """Yield ``function(item)`` in the order of the items, computed ahead by threads.

    Parameters
    ----------
    pool : concurrent.futures.ThreadPoolExecutor
        Where the calls are made.
    function : callable
        Takes one item.
    items : iterable
        Taken only as far as needed.
    ahead : int
        At most so many calls are under way, waiting or not yet asked for.
    """
    waiting: deque[Future[Any]] = deque()
    for item in items:
        waiting.append(pool.submit(function, item))
        if len(waiting) > ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def processors() -> int:
    """Count the processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
