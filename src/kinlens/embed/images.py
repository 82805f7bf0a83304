"""Many pictures to vectors: each content once, kept on disk, resumed when cut off.

Reading and encoding a block is `image_pipeline`; what an encoder is stands in `encoders`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kinlens import __version__
from kinlens.atomic import hash_bytes, hash_file
from kinlens.embed.encoders import ImageEncoder, open_encoder
from kinlens.embed.image_pipeline import Block, Files, encode_blocks, in_order, processors
from kinlens.embed.vector_cache import VectorCache
from kinlens.errors import InputError, UsageError
from kinlens.parallel import Resources
from kinlens.records.collection import Collection
from kinlens.skipped import Skipped
from kinlens.typing import Float32Array, IntArray

__all__ = ["ImageVectors", "embed_collection", "embed_images"]

# Raised whenever an encoder gets to see other pixels of the same file.
_PREPARATION = 1
# Pictures that are lost, at most, when the work is cut off.
_BLOCK = 256


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
    for block, encoded in encode_blocks(_missing_blocks(distinct, found), encoder, resources):
        kept = [key for key, _files in block if key not in encoded.reasons]
        cache.store(kept, encoded.values)
        found |= dict(zip(kept, encoded.values, strict=True))
        reasons |= encoded.reasons
    return _gathered(names, keys, found, reasons, encoder)


# What there is to do -----------------------------------------------------------------------------


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
        ThreadPoolExecutor(processors()) as pool,
        resources.progress.task("Looking at files", len(files), unit="image") as task,
    ):
        keys = []
        for place, key in enumerate(in_order(pool, _content_key, files, ahead=256)):
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


def _missing_blocks(distinct: Mapping[str, Files], found: Mapping[str, object]) -> list[Block]:
    """Cut the pictures into blocks and drop what is known.

    Blocks are cut from all pictures, so that work that goes on puts the same pictures into one
    batch as work that was never cut off: some networks round differently in other company.
    """
    items = iter(distinct.items())
    blocks = iter(lambda: tuple(islice(items, _BLOCK)), ())
    missing = (tuple(item for item in block if item[0] not in found) for block in blocks)
    return [block for block in missing if block]


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
            remedy="`kinlens check DATASET` lists the faults of a whole folder.",
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
