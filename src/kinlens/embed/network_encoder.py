"""A frozen network as an image encoder: normalise, run, return vectors.

Which network, and how it got its weights, is in `timm_networks` and `clip_networks`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from kinlens.atomic import hash_bytes
from kinlens.errors import UsageError
from kinlens.optional import need
from kinlens.typing import AnyArray, Float32Array

if TYPE_CHECKING:
    import pandas as pd
    import torch

__all__ = ["Network", "NetworkEncoder", "Precision", "best_precision", "seeded"]

Precision: TypeAlias = Literal["float32", "bfloat16"]


@dataclass(frozen=True, eq=False)
class Network:
    """A network without a head, filled with weights, and how its pictures are prepared.

    Parameters
    ----------
    module : torch.nn.Module
        Takes normalised pictures (n, C, size, size), returns vectors (n, d).
    input_size : int
        Side of the pictures in pixels.
    mean, std : sequence of float
        One number a colour, for values from 0 to 1.
    identity : str
        Stands for the weights.
    """

    module: torch.nn.Module
    input_size: int
    mean: Sequence[float]
    std: Sequence[float]
    identity: str


class NetworkEncoder:
    """A frozen network that turns pictures into vectors; see `ImageEncoder` for its attributes.

    Parameters
    ----------
    network : Network
        With its weights.
    name : str
        As the user wrote it.
    n_channels : int
        Bands of the pictures. For other than three, mean and standard deviation are averaged.
    is_colour : bool
        Whether the bands are red, green and blue.
    device : torch.device
        Where to compute.
    precision : {"float32", "bfloat16"}, optional
        How to compute; chosen by the device when left out.
    """

    def __init__(
        self,
        network: Network,
        *,
        name: str,
        n_channels: int,
        is_colour: bool,
        device: torch.device,
        precision: Precision | None = None,
    ) -> None:
        torch = need("torch")
        self.name = name
        self.input_size = network.input_size
        self.n_channels = n_channels
        self.depth: Literal["uint8", "float32"] = "uint8" if is_colour else "float32"
        self.device = device
        self.precision = precision or best_precision(device)
        self.batch_size = 32 if device.type == "cpu" else 128
        mean, std = list(network.mean), list(network.std)
        if n_channels != len(mean):
            mean = [float(np.mean(mean))] * n_channels
            std = [float(np.mean(std))] * n_channels
        columns = (1, n_channels, 1, 1)
        self._scale = (1 / torch.tensor(std)).reshape(columns).to(device)
        self._shift = (-torch.tensor(mean) / torch.tensor(std)).reshape(columns).to(device)
        # Pictures arrive with their bands innermost; convolutions are faster that way, too.
        frozen: Any = network.module.eval().requires_grad_(False)
        self.module = frozen.to(device, memory_format=torch.channels_last)
        blank = np.zeros((1, self.input_size, self.input_size, n_channels), dtype=np.uint8)
        self.n_features = int(self.encode(blank).shape[1])
        plain_name = re.sub(r"[^\w.]+", "-", name.partition("?")[0])
        prepared = hash_bytes(repr((mean, std, network.identity)).encode())
        shape = f"{self.input_size}px-{n_channels}ch"
        self.fingerprint = f"{plain_name}-{shape}-{device.type}-{self.precision}-{prepared}"

    def features(self) -> pd.DataFrame:
        """Return one row a column, named by number; what it means is the network's secret."""
        import pandas as pd

        names = pd.Index([f"feature[{place}]" for place in range(self.n_features)], name="feature")
        return pd.DataFrame({"block": "feature", "meaning": "", "units": "1"}, index=names)

    def encode(self, batch: AnyArray) -> Float32Array:
        """Turn pictures into vectors.

        Parameters
        ----------
        batch : numpy.ndarray
            Shape (n, input_size, input_size, n_channels): uint8 from 0 to 255 or floats from 0 to
            1.

        Returns
        -------
        numpy.ndarray
            Shape (n, n_features), float32.
        """
        torch = need("torch")
        wanted = (self.input_size, self.input_size, self.n_channels)
        if batch.ndim != 4 or batch.shape[1:] != wanted:
            raise UsageError(
                f"{self.name} wants pictures of shape {wanted}, not {batch.shape[1:]}."
            )
        pictures = torch.from_numpy(np.require(batch, requirements=["C", "W"]))
        pictures = pictures.to(self.device).permute(0, 3, 1, 2).float()  # (n, C, H, W)
        full = 255 if batch.dtype == np.uint8 else 1
        fast = (
            torch.autocast(self.device.type, torch.bfloat16)
            if self.precision == "bfloat16"
            else nullcontext()
        )
        with torch.inference_mode(), fast:
            vectors = self.module(pictures * (self._scale / full) + self._shift)  # (n, d)
        if vectors.ndim != 2:
            raise UsageError(
                f"{self.name} returns {vectors.ndim - 1}-dimensional features of a picture, not a "
                "vector; choose a network with a pooling layer."
            )
        found: Float32Array = vectors.float().cpu().numpy()
        return found


def best_precision(device: torch.device) -> Precision:
    """Return bfloat16 where the device multiplies it in hardware, 1.5 to 3 times as fast."""
    torch = need("torch")
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    # Intel's AMX; torch has no public name for it.
    has_tiles = getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)()
    return "bfloat16" if has_tiles else "float32"


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw a network's first weights from a seed, and leave torch's own randomness alone."""
    torch = need("torch")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
