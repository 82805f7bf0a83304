"""Networks of timm and open_clip as image encoders: one door to both."""

from __future__ import annotations

from pathlib import Path

from kinlens.embed.clip_networks import clip_network
from kinlens.embed.encoders import EncoderSpec
from kinlens.embed.network_encoder import NetworkEncoder, Precision
from kinlens.embed.timm_networks import timm_network
from kinlens.errors import UsageError
from kinlens.parallel import torch_device

__all__ = ["open_backbone"]


def open_backbone(
    spec: EncoderSpec,
    *,
    n_channels: int = 3,
    is_colour: bool | None = None,
    weights: str | Path | None = None,
    device: str = "auto",
    precision: Precision | None = None,
) -> NetworkEncoder:
    """Build a network, fill in its weights and freeze it.

    Parameters
    ----------
    spec : EncoderSpec
        From `parse_encoder`.
    n_channels : int
        Bands of the pictures. Where the weights know three, the first layer's are repeated and
        scaled for more, and summed for one.
    is_colour : bool, optional
        Whether three channels are red, green and blue, as they are when left out, or three stains.
    weights : path, optional
        A ``.safetensors`` file, or a folder that holds one, perhaps with its ``config.json`` or
        ``open_clip_config.json``. From the hub, or its cache, when left out.
    device : {"auto", "cpu", "cuda"}
        Where to compute.
    precision : {"float32", "bfloat16"}, optional
        How to compute; bfloat16 where the processor multiplies it in hardware when left out.

    Raises
    ------
    UsageError
        When the name is unknown, or the weights are not to be had.
    InputError
        When the weights do not fit the network.

    Examples
    --------
    >>> import numpy as np
    >>> from kinlens.embed.encoders import parse_encoder
    >>> encoder = open_backbone(parse_encoder("timm:test_resnet?random&size=32"), device="cpu")
    >>> encoder.encode(np.zeros((2, 32, 32, 3), dtype=np.uint8)).shape
    (2, 96)
    """
    if spec.random_seed is not None and weights is not None:
        raise UsageError("give either ?random or --weights, not both.")
    build = timm_network if spec.library == "timm" else clip_network
    return NetworkEncoder(
        build(spec, n_channels=n_channels, weights=weights),
        name=f"{spec.library}:{spec.model}",
        n_channels=n_channels,
        is_colour=n_channels == 3 if is_colour is None else is_colour,
        device=torch_device(device),
        precision=precision,
    )
