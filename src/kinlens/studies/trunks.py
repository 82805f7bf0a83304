"""Networks to fine-tune and the pictures that they read, for any study that trains one.

What is trained on top, and for what, is decided by the studies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kinlens.embed.clip_networks import clip_network
from kinlens.embed.encoders import parse_encoder
from kinlens.embed.image_pipeline import read_square
from kinlens.embed.timm_networks import timm_network
from kinlens.errors import UsageError
from kinlens.models.fine_tuned import Trunk
from kinlens.optional import need
from kinlens.progress import Progress, tracked
from kinlens.records.collection import Collection
from kinlens.typing import ByteArray

__all__ = ["OpenTrunk", "open_trunk", "read_squares"]


@dataclass(frozen=True, eq=False)
class OpenTrunk:
    """A network ready to be trained, and the size of its pictures.

    Parameters
    ----------
    trunk : Trunk
        With its starting weights, everything set to learn.
    input_size : int
        Side of the pictures, in pixels.
    n_channels : int
        Bands of the pictures.
    """

    trunk: Trunk
    input_size: int
    n_channels: int


@dataclass(frozen=True)
class _SquareReader:
    """What `read_square` has to know: the squares that the network wants."""

    input_size: int
    n_channels: int
    depth: str = "uint8"


def open_trunk(name: str, *, n_channels: int, weights: str | Path | None) -> OpenTrunk:
    """Build a network without its head.

    Parameters
    ----------
    name : str
        ``timm:NAME`` or ``open_clip:NAME``.
    n_channels : int
        Bands of the pictures.
    weights : path, optional
        File or folder of starting weights; the hub's when left out.

    Raises
    ------
    UsageError
        When the name is of no network, or its weights are not to be had.
    """
    torch = need("torch")
    spec = parse_encoder(name)
    if spec.library == "descriptors":
        raise UsageError("fine_tune needs a network: timm:NAME or open_clip:NAME.")
    build = timm_network if spec.library == "timm" else clip_network
    network = build(spec, n_channels=n_channels, weights=weights)
    mean, spread = np.asarray(network.mean, float), np.asarray(network.std, float)
    if len(mean) != n_channels:
        mean, spread = np.full(n_channels, mean.mean()), np.full(n_channels, spread.mean())
    module: Any = network.module.eval()
    with torch.no_grad():
        blank = torch.zeros(1, n_channels, network.input_size, network.input_size)
        n_features = int(module(blank).shape[1])
    trunk = Trunk(module.requires_grad_(True).train(), n_features, mean=mean, spread=spread)
    return OpenTrunk(trunk, network.input_size, n_channels)


def read_squares(
    collection: Collection, images: Sequence[str], opened: OpenTrunk, progress: Progress
) -> ByteArray:
    """Read pictures as the squares that a network wants.

    Parameters
    ----------
    collection : Collection
        Where the files are.
    images : sequence of str
        Pictures that are known to be readable.
    opened : OpenTrunk
        Says the size.
    progress : Progress
        Advances one step a picture.

    Returns
    -------
    array of uint8, shape (n, input_size, input_size, n_channels)
    """
    reader: Any = _SquareReader(opened.input_size, opened.n_channels)
    squares = [
        read_square(collection.image_files(image), reader)
        for image in tracked(images, progress, "Reading pictures", total=len(images), unit="image")
    ]
    return np.stack(squares).astype(np.uint8)
