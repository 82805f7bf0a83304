"""What an image encoder is, and from the words of the user to one.

The built-in encoder is in `descriptors`, networks are in `backbones`; nothing here reads pictures.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol
from urllib.parse import parse_qsl

from kinlens.errors import UsageError, did_you_mean
from kinlens.typing import AnyArray, Float32Array

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["EncoderSpec", "ImageEncoder", "open_encoder", "parse_encoder"]

_LIBRARIES = ("descriptors", "timm", "open_clip")
_OPTIONS = ("random", "size")


class ImageEncoder(Protocol):
    """Turns square pictures into vectors; each vector depends on its own picture only.

    Attributes
    ----------
    name : str
        As the user wrote it.
    n_channels : int
        Bands of the pictures.
    input_size : int
        Side of the square pictures in pixels.
    depth : {"uint8", "float32"}
        Kind of pixels wanted from the reader.
    batch_size : int
        How many pictures at a time are encoded best.
    n_features : int
        Length of a vector.
    fingerprint : str
        Letters, digits, dots and dashes that change whenever vectors do.
    """

    name: str
    n_channels: int
    input_size: int
    depth: Literal["uint8", "float32"]
    batch_size: int
    n_features: int
    fingerprint: str

    def encode(self, batch: AnyArray) -> Float32Array:
        """Turn pictures (n, input_size, input_size, n_channels) into vectors (n, n_features)."""

    def features(self) -> pd.DataFrame:
        """Return one row a column of the vectors: its name as index, block, meaning and units."""


@dataclass(frozen=True)
class EncoderSpec:
    """Which encoder the user wants.

    Parameters
    ----------
    library : {"descriptors", "timm", "open_clip"}
        Who makes it.
    model : str
        Name of the network; empty for descriptors.
    random_seed : int, optional
        Random weights from this seed instead of trained ones, for tests and speed measurements.
    size : int, optional
        Side of the input in pixels, where it is not the network's own.
    """

    library: str
    model: str = ""
    random_seed: int | None = None
    size: int | None = None


def parse_encoder(words: str) -> EncoderSpec:
    """Read ``descriptors``, ``timm:NAME`` or ``open_clip:NAME``; options follow a question mark.

    Parameters
    ----------
    words : str
        Such as ``timm:convnext_tiny.fb_in22k``, ``open_clip:ViT-B-16/laion2b_s34b_b88k``,
        ``open_clip:hf-hub:imageomics/bioclip``. Options are ``size=PIXELS`` and ``random`` (or
        ``random=SEED``), which asks for an untrained network.

    Examples
    --------
    >>> parse_encoder("timm:resnet18?random&size=128")
    EncoderSpec(library='timm', model='resnet18', random_seed=0, size=128)
    """
    name, _, query = words.strip().partition("?")
    library, colon, model = name.partition(":")
    if library not in _LIBRARIES:
        raise UsageError(
            f"no image encoder {words!r}. {did_you_mean(library, _LIBRARIES)} "
            "Write descriptors, timm:NAME or open_clip:NAME."
        )
    if library == "descriptors" and (colon or query):
        raise UsageError(f"descriptors come in one kind only; write 'descriptors', not {words!r}.")
    if library != "descriptors" and not model:
        raise UsageError(f"{words!r} names no network; write {library}:NAME.")
    options = dict(parse_qsl(query, keep_blank_values=True))
    for option, value in options.items():
        if option not in _OPTIONS:
            raise UsageError(f"no option {option!r} in {words!r}. {did_you_mean(option, _OPTIONS)}")
        if not (value.isdigit() or (option == "random" and not value)):
            raise UsageError(f"{option} in {words!r} must be a whole number, not {value!r}.")
    seed, size = options.get("random"), options.get("size")
    return EncoderSpec(
        library,
        model,
        random_seed=None if seed is None else int(seed or 0),
        size=None if size is None else int(size),
    )


def open_encoder(
    words: str,
    *,
    n_channels: int = 3,
    is_colour: bool | None = None,
    weights: str | Path | None = None,
    device: str = "auto",
) -> ImageEncoder:
    """Open the image encoder that the user names.

    Parameters
    ----------
    words : str
        See `parse_encoder`.
    n_channels : int
        Bands of the pictures.
    is_colour : bool, optional
        Whether three channels are red, green and blue, as they are when left out, or three stains.
    weights : path, optional
        A ``.safetensors`` file, or a folder that holds one, instead of weights from the hub.
    device : {"auto", "cpu", "cuda"}
        Where a network computes.

    Raises
    ------
    UsageError
        When the name is unknown, or trained weights are neither here nor to be had.
    InputError
        When the weights do not fit the network.
    """
    spec = parse_encoder(words)
    if spec.library == "descriptors":
        from kinlens.embed.descriptors import DescriptorEncoder

        if weights is not None:
            raise UsageError("descriptors have no weights; leave --weights out.")
        return DescriptorEncoder(n_channels, is_colour=is_colour)
    from kinlens.embed.backbones import open_backbone

    return open_backbone(
        spec, n_channels=n_channels, is_colour=is_colour, weights=weights, device=device
    )
