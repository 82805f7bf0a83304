"""How networks of the study `location` are built: trunks for any channels, as wide as wanted.

Which are trained, and on what, is in `location_training`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from kinlens.embed.encoders import parse_encoder
from kinlens.embed.timm_networks import timm_network
from kinlens.errors import UsageError
from kinlens.learn.label_kinds import Gated, Independent, LabelKind
from kinlens.models.fine_tuned import Trunk
from kinlens.optional import need
from kinlens.records.label_tree import LabelTree
from kinlens.studies.location_task import TaskConfig
from kinlens.typing import ByteArray

__all__ = ["NetworkConfig", "kind_of", "network_of", "trunk_of"]


class NetworkConfig(TaskConfig):
    """Settings that decide about networks and their training."""

    network: str = Field(
        default="timm:resnet18?random",
        description="timm:NAME; with ?random untrained, otherwise with weights of the hub.",
    )
    larger: str = Field(
        default="timm:resnet50?random", description="The rival of more parameters, 'larger'."
    )
    weights: Path | None = Field(
        default=None, description="safetensors file or folder for the network; the hub otherwise."
    )
    width: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="Share of a ResNet's channels; below 1 for speed.",
    )
    epochs: int = Field(default=100, ge=1, description="Passes over the pictures, at the most.")
    fine_epochs: int = Field(
        default=30, ge=1, description="The same for networks that start from a trained one."
    )
    schedule: Literal["published", "cosine"] = Field(
        default="published",
        description="Published: patience of 6, back to the best weights at a tenth of the rate, 6 "
        "more, stop. Cosine: the rate goes down to zero over all epochs.",
    )
    learning_rate: float = Field(default=1e-3, gt=0, description="Of networks that start anew.")
    fine_learning_rate: float = Field(
        default=3e-4, gt=0, description="Of networks that start from a trained one."
    )
    batch_size: int = Field(default=64, ge=2, description="Pictures a step.")
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = Field(
        default="32-true", description="Of the arithmetic; mixed is faster on a GPU."
    )
    devices: int = Field(
        default=1,
        ge=1,
        description="GPUs of this machine that train each network together; a step sees as many "
        "times batch_size pictures.",
    )
    joint_loss: Literal["soft_margin", "balanced", "asymmetric"] = Field(
        default="soft_margin", description="Loss of the joint model; others have the published one."
    )


def trunk_of(pictures: ByteArray, network: str, config: NetworkConfig, *, seed: int) -> Trunk:
    """Build a trunk for pictures, normalised by their own channels.

    Parameters
    ----------
    pictures : array of uint8, shape (n, size, size, channels)
        Training pictures.
    network : str
        ``timm:NAME``.
    config : NetworkConfig
        Weights and width.
    seed : int
        Of untrained weights.
    """
    # Means of a sample of pictures are as good as those of all.
    sample = np.asarray(pictures[:: max(1, len(pictures) // 2000)], np.float32) / 255.0
    mean, spread = sample.mean(axis=(0, 1, 2)), sample.std(axis=(0, 1, 2))
    module = network_of(network, pictures.shape[3], pictures.shape[1], config, seed=seed)
    torch = need("torch")
    with torch.no_grad():
        blank = torch.zeros(2, pictures.shape[3], pictures.shape[1], pictures.shape[1])
        n_features = int(module.eval()(blank).shape[1])
    return Trunk(
        module.requires_grad_(True).train(),
        n_features,
        mean=mean.astype(float),
        spread=np.maximum(spread, 1e-3).astype(float),
    )


def network_of(words: str, n_channels: int, size: int, config: NetworkConfig, *, seed: int) -> Any:
    """Build a network of timm without its head, for any number of channels.

    Parameters
    ----------
    words : str
        ``timm:NAME``.
    n_channels, size : int
        Of the pictures.
    config : NetworkConfig
        Weights and width.
    seed : int
        Of untrained weights.

    Returns
    -------
    torch.nn.Module
        (B, n_channels, size, size) -> (B, n_features).

    Raises
    ------
    UsageError
        When the network is not one of timm's, or cannot be made narrower.
    """
    spec = parse_encoder(words)
    if spec.library != "timm":
        raise UsageError(f"the study 'location' needs a network of timm, timm:NAME, not {words!r}.")
    spec = replace(spec, size=size)
    shape: dict[str, Any] = {}
    if config.width < 1:
        if not spec.model.startswith("resnet"):
            raise UsageError(f"width: only ResNets can be made narrower, not {spec.model}.")
        shape = {"channels": tuple(max(8, round(c * config.width)) for c in (64, 128, 256, 512))}
    if spec.random_seed is not None:
        spec = replace(spec, random_seed=seed)
    return timm_network(spec, n_channels=n_channels, weights=config.weights, shape=shape).module


def kind_of(name: str, tree: LabelTree) -> LabelKind:
    """Return what a kept network answers: ``joint`` has a gate, all others do not.

    Parameters
    ----------
    name : str
        Of the network.
    tree : LabelTree
        Its labels.
    """
    return Gated(tree.group_of) if name == "joint" else Independent(len(tree.labels))
