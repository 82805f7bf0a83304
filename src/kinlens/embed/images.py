"""Many pictures to vectors: read ahead, encoded in batches, kept by content, resumed when cut off.

What an encoder is stands in `encoders`; how one file becomes pixels, in `kinlens.io.images`.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from kinlens import __version__
from kinlens.atomic import hash_bytes, hash_file
from kinlens.embed.encoders import ImageEncoder, open_encoder
from kinlens.embed.vector_cache import VectorCache
from kinlens.errors import InputError, UsageError
from kinlens.io.images import ImageError, read_channels, read_image, resize_to_square
from kinlens.parallel import Resources, map_blocks
from kinlens.progress import Task
from kinlens.records.collection import Collection
from kinlens.skipped import Skipped
from kinlens.typing import AnyArray, Float32Array, IntArray

__all__ = ["ImageVectors", "embed_collection", "embed_images", "read_square"]

Files: TypeAlias = tuple[Path, ...]
"""One picture: its file, or its channels' files in order."""

# Raised whenever an encoder gets to see other pixels of the same file.
_PREPARATION = 1
# Pictures that are lost, at most, when the work is cut off.
_BLOCK = 256
# Batches that are read before they are needed.
_AHEAD = 3


@dataclass(frozen=True, eq=False)
class ImageVectors:
    """Vectors of pictures, and which pictures they are.

    Parameters
    ----------
    ids : tuple of str
        Names of the pictures that could be read.
    rows : numpy.ndarray
        Shape (n,): their places among the pictures asked for, ascending.
    values : numpy.ndarray
        Shape (n, n_features), float32.
    features : pandas.DataFrame
        One row a column of `values`: name, and ``block``, ``meaning`` and ``units``.
    skipped : tuple of Skipped
        Pictures that could not be read, each with its reason.
    provenance : mapping
        Encoder, fingerprint, version and counts; nothing that differs between equal runs.
    """

    ids: tuple[str, ...]
    rows: IntArray
    values: Float32Array
    features: pd.DataFrame
    skipped: tuple[Skipped, ...]
    provenance: Mapping[str, Any]

    def __len__(self) -> int:
        return len(self.ids)


def embed_collection(
    collection: Collection,
    encoder: str = "descriptors",
    *,
    weights: str | Path | None = None,
    resources: Resources | None = None,
) -> ImageVectors:
    """Turn all pictures of a dataset into vectors.

    Parameters
    ----------
    collection : Collection
        With pictures.
    encoder : str
        ``descriptors``, ``timm:NAME`` or ``open_clip:NAME``.
    weights : path, optional
        A ``.safetensors`` file, or a folder that holds one, instead of weights from the hub.
    resources : Resources, optional
        Where to compute, whom to tell, and where to keep vectors.

    Returns
    -------
    ImageVectors
        `rows` are rows of ``collection.specimens.frame``.
    """
    resources = resources or Resources()
    collection.require("specimens", study="embed images")
    assert collection.specimens is not None
    opened = open_encoder(
        encoder,
        n_channels=len(collection.channels) or 3,
        is_colour=not collection.channels,
        weights=weights,
        device=resources.device,
    )
    return embed_images(
        collection.image_paths(),
        opened,
        ids=[str(image) for image in collection.specimens.image],
        resources=resources,
    )


def embed_images(
    pictures: Sequence[str | Path | Sequence[Path]],
    encoder: ImageEncoder,
    *,
    ids: Sequence[str] | None = None,
    resources: Resources | None = None,
) -> ImageVectors:
    """Turn pictures into vectors.

    Pictures are read by threads ahead of the encoder. With ``resources.cache``, vectors are kept
    there by the content of the files, block by block: a second run, or one that was killed and is
    started again, computes only what is missing and returns the same bytes.

    Parameters
    ----------
    pictures : sequence
        One file each, or one file per channel. Files with the same content are encoded once.
    encoder : ImageEncoder
        From `open_encoder`.
    ids : sequence of str, optional
        A name for each picture; its path when left out.
    resources : Resources, optional
        With several workers or a scheduler, blocks of pictures are read and encoded in other
        processes.

    Returns
    -------
    ImageVectors
        In the order given. Pictures that cannot be read are left out and listed in `skipped`.

    Raises
    ------
    InputError
        When not one picture can be read.

    Examples
    --------
    >>> from PIL import Image
    >>> file = getfixture("tmp_path") / "a.png"
    >>> Image.new("RGB", (40, 30), "teal").save(file)
    >>> vectors = embed_images([file, "nowhere.png"], open_encoder("descriptors"), ids=["a", "b"])
    >>> vectors.values.shape, vectors.ids, vectors.skipped[0].reason
    ((1, 1918), ('a',), 'no such file')
    """
    resources = resources or Resources()
    files = [_files(picture, encoder) for picture in pictures]
    names = [str(name) for name in (ids if ids is not None else [f[0] for f in files])]
    if len(names) != len(files):
        raise UsageError(f"{len(names):,} ids for {len(files):,} pictures.")
    keys = _content_keys(files, resources)
    distinct = dict(zip(keys, files, strict=True))
    cache = VectorCache(
        None if resources.cache is None else resources.cache / "images",
        f"{encoder.fingerprint}-{_PREPARATION}",
        encoder.n_features,
    )
    found = cache.find(distinct)
    if found:
        resources.progress.note(
            f"{len(found):,} of {len(distinct):,} pictures are encoded already."
        )

    reasons: dict[str, str] = {}
    for block, encoded in _encoded(_missing_blocks(distinct, found), encoder, resources):
        kept = [key for key, _files in block if key not in encoded.reasons]
        cache.store(kept, encoded.values)
        found |= dict(zip(kept, encoded.values, strict=True))
        reasons |= encoded.reasons
    return _gathered(names, keys, found, reasons, encoder)


def read_square(files: Files, encoder: ImageEncoder) -> AnyArray:
    """Read one picture as the square that the encoder wants.

    The whole picture is kept, with its proportions; the short sides are filled up with the median
    colour of its border, which on white paper is white.

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


# What there is to do -----------------------------------------------------------------------------

_Item: TypeAlias = tuple[str, Files]
_Block: TypeAlias = tuple[_Item, ...]


def _files(picture: str | Path | Sequence[Path], encoder: ImageEncoder) -> Files:
    files = (Path(picture),) if isinstance(picture, str | Path) else tuple(map(Path, picture))
    if len(files) not in (encoder.n_channels, 1) or (
        len(files) == 1 and encoder.n_channels not in (1, 3)
    ):
        raise UsageError(
            f"{encoder.name} was opened for {encoder.n_channels} channels, but {files[0]} comes "
            f"with {len(files)} files."
        )
    return files


def _content_keys(files: Sequence[Files], resources: Resources) -> list[str]:
    """Name each picture after the bytes of its files; after its place when they cannot be read."""
    with (
        ThreadPoolExecutor(_threads()) as pool,
        resources.progress.task("Looking at files", len(files), unit="image") as task,
    ):
        keys = []
        for place, key in enumerate(_in_order(pool, _content_key, files, ahead=256)):
            keys.append(key or f"unreadable-{place}")
            task.advance()
    return keys


def _content_key(files: Files) -> str:
    try:
        hashes = [hash_file(file) for file in files if file.is_file()]
    except OSError:
        return ""
    if len(hashes) < len(files):
        return ""
    return hashes[0] if len(hashes) == 1 else hash_bytes(" ".join(hashes).encode())


def _missing_blocks(distinct: Mapping[str, Files], found: Mapping[str, object]) -> list[_Block]:
    """Cut the pictures into blocks and drop what is known.

    Blocks are cut from all pictures, so that work that goes on puts the same pictures into one
    batch as work that was never cut off: some networks round differently in other company.
    """
    items = iter(distinct.items())
    blocks = iter(lambda: tuple(islice(items, _BLOCK)), ())
    missing = (tuple(item for item in block if item[0] not in found) for block in blocks)
    return [block for block in missing if block]


# Reading and encoding ----------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Encoded:
    """Vectors of the pictures of a block that could be read, and why the others could not."""

    values: Float32Array
    reasons: dict[str, str]


def _encoded(
    blocks: list[_Block], encoder: ImageEncoder, resources: Resources
) -> Iterator[tuple[_Block, _Encoded]]:
    if resources.scheduler is not None or resources.workers > 1:
        share = max(1, _threads() // resources.workers)
        work = partial(_encode_block, encoder=encoder, threads=share)
        results = map_blocks(
            work, blocks, resources=resources, label="Encoding", unit="image", size_of=len
        )
        yield from zip(blocks, results, strict=True)
        return
    n_missing = sum(map(len, blocks))
    with resources.progress.task("Encoding", n_missing, unit="image") as task:
        yield from zip(blocks, _encode_blocks(blocks, encoder, _threads(), task), strict=True)


def _encode_block(block: _Block, *, encoder: ImageEncoder, threads: int) -> _Encoded:
    """Read and encode one block, in another process."""
    return next(_encode_blocks([block], encoder, threads))


def _encode_blocks(
    blocks: Sequence[_Block], encoder: ImageEncoder, threads: int, task: Task | None = None
) -> Iterator[_Encoded]:
    """Encode block after block, while threads read ahead across the blocks."""
    pool = ThreadPoolExecutor(threads)
    try:
        pictures = _in_order(
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
    block: _Block, pictures: Iterable[AnyArray | str], encoder: ImageEncoder, task: Task | None
) -> _Encoded:
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
    return _Encoded(np.concatenate([empty, *values]), reasons)


def _read_or_reason(item: _Item, *, encoder: ImageEncoder) -> AnyArray | str:
    """Return the picture, or why there is none."""
    try:
        return read_square(item[1], encoder)
    except ImageError as error:
        return error.problem
    except MemoryError:
        return "too large for the memory of this machine"


def _in_order(
    pool: ThreadPoolExecutor,
    function: Callable[[Any], Any],
    items: Iterable[Any],
    *,
    ahead: int,
) -> Iterator[Any]:
    """Yield ``function(item)`` in order, with at most `ahead` calls under way or waiting."""
    waiting: deque[Future[Any]] = deque()
    for item in items:
        waiting.append(pool.submit(function, item))
        if len(waiting) > ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _threads() -> int:
    """Count the processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


# What came out -----------------------------------------------------------------------------------


def _gathered(
    names: Sequence[str],
    keys: Sequence[str],
    found: Mapping[str, Float32Array],
    reasons: Mapping[str, str],
    encoder: ImageEncoder,
) -> ImageVectors:
    rows = [row for row, key in enumerate(keys) if key in found]
    skipped = tuple(
        Skipped(file=name, record="", reason=reasons[key])
        for name, key in zip(names, keys, strict=True)
        if key in reasons
    )
    if not rows and names:
        raise InputError(
            f"not one of {len(names):,} pictures can be read",
            offenders=[f"{entry.file} ({entry.reason})" for entry in skipped],
            remedy="`kinlens check` says what is wrong with each.",
        )
    values = np.empty((len(rows), encoder.n_features), dtype=np.float32)
    for place, row in enumerate(rows):
        values[place] = found[keys[row]]
    return ImageVectors(
        ids=tuple(names[row] for row in rows),
        rows=np.array(rows, dtype=np.int64),
        values=values,
        features=encoder.features(),
        skipped=skipped,
        provenance={
            "encoder": encoder.name,
            "fingerprint": encoder.fingerprint,
            "version": __version__,
            "input_size": encoder.input_size,
            "channels": encoder.n_channels,
            "pictures": len(names),
            "skipped": len(skipped),
        },
    )
