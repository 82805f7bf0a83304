"""Networks of timm and open_clip as image encoders: trained weights, frozen, no head.

Here a network is built, filled and run. Where its weights come from is in `weights`, what an
encoder is in `encoders`.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from kinlens.atomic import hash_bytes, hash_file
from kinlens.embed.encoders import EncoderSpec
from kinlens.embed.weights import (
    LocalWeights,
    check_can_get,
    find_local,
    get_from_hub,
    read_weights,
    refuse_misfit,
)
from kinlens.errors import InputError, UsageError, did_you_mean, listing
from kinlens.optional import need
from kinlens.parallel import torch_device
from kinlens.typing import AnyArray, Float32Array

if TYPE_CHECKING:
    import pandas as pd
    import torch

__all__ = ["NetworkEncoder", "open_backbone"]

Precision = Literal["float32", "bfloat16"]


def open_backbone(
    spec: EncoderSpec,
    *,
    n_channels: int = 3,
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
    >>> from kinlens.embed.encoders import parse_encoder
    >>> encoder = open_backbone(parse_encoder("timm:test_resnet?random&size=32"), device="cpu")
    >>> encoder.encode(np.zeros((2, 32, 32, 3), dtype=np.uint8)).shape
    (2, 96)
    """
    if spec.random_seed is not None and weights is not None:
        raise UsageError("give either ?random or --weights, not both.")
    if spec.library == "timm":
        return _open_timm(spec, n_channels, weights, device, precision)
    return _open_clip(spec, n_channels, weights, device, precision)


class NetworkEncoder:
    """A frozen network that turns pictures into vectors; see `ImageEncoder` for its attributes.

    Parameters
    ----------
    network : torch.nn.Module
        Takes normalised pictures (n, C, size, size), returns vectors (n, d).
    name : str
        As the user wrote it.
    input_size, n_channels : int
        Side and bands of the pictures.
    mean, std : sequence of float
        One number a colour, for values from 0 to 1. For other than three bands their means are
        taken.
    identity : str
        Stands for the weights.
    device : torch.device
        Where to compute.
    precision : {"float32", "bfloat16"}, optional
        How to compute; chosen by the device when left out.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        *,
        name: str,
        input_size: int,
        n_channels: int,
        mean: Sequence[float],
        std: Sequence[float],
        identity: str,
        device: torch.device,
        precision: Precision | None = None,
    ) -> None:
        torch = need("torch")
        self.name = name
        self.input_size = input_size
        self.n_channels = n_channels
        self.depth: Literal["uint8", "float32"] = "uint8" if n_channels == 3 else "float32"
        self.device = device
        self.precision = precision or best_precision(device)
        self.batch_size = 32 if device.type == "cpu" else 128
        if n_channels != len(mean):
            mean = [float(np.mean(mean))] * n_channels
            std = [float(np.mean(std))] * n_channels
        columns = (1, n_channels, 1, 1)
        self._scale = (1 / torch.tensor(std)).reshape(columns).to(device)
        self._shift = (-torch.tensor(mean) / torch.tensor(std)).reshape(columns).to(device)
        # Pictures arrive with their bands innermost; convolutions are faster that way, too.
        frozen: Any = network.eval().requires_grad_(False)
        self.network = frozen.to(device, memory_format=torch.channels_last)
        blank = np.zeros((1, input_size, input_size, n_channels), dtype=np.uint8)
        self.n_features = int(self.encode(blank).shape[1])
        prepared = hash_bytes(repr((list(mean), list(std), identity)).encode())
        self.fingerprint = "-".join(
            (
                re.sub(r"[^\w.]+", "-", name.partition("?")[0]),
                f"{input_size}px",
                f"{n_channels}ch",
                self.precision,
                prepared,
            )
        )

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
            vectors = self.network(pictures * (self._scale / full) + self._shift)  # (n, d)
        if vectors.ndim != 2:
            raise UsageError(
                f"{self.name} returns {vectors.ndim - 1}-dimensional features of a picture, not a "
                "vector; choose a network with a pooling layer."
            )
        found: Float32Array = vectors.float().cpu().numpy()
        return found


def best_precision(device: torch.device) -> Precision:
    """Return bfloat16 where the device multiplies it in hardware, which is 2-4 times as fast."""
    torch = need("torch")
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    # Intel's AMX; torch has no public name for it.
    has_tiles = getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)()
    return "bfloat16" if has_tiles else "float32"


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Draw a network's first weights from a seed, and leave torch's own randomness alone."""
    torch = need("torch")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


# timm --------------------------------------------------------------------------------------------


def _open_timm(
    spec: EncoderSpec,
    n_channels: int,
    weights: str | Path | None,
    device: str,
    precision: Precision | None,
) -> NetworkEncoder:
    words = f"timm:{spec.model}"
    architecture, _, tag = spec.model.partition(".")
    local = None if weights is None else find_local(weights)
    if local is None and spec.random_seed is None:
        pattern = f"models--timm--{architecture}.{tag or '*'}/snapshots/*/*.safetensors"
        check_can_get(words, cached=pattern)
    timm = need("timm")
    if not timm.is_model(architecture):
        names = timm.list_models()
        raise UsageError(
            f"timm has no network {architecture!r}. {did_you_mean(architecture, names)}"
        )
    try:
        known = timm.get_pretrained_cfg(spec.model, allow_unregistered=False)
    except RuntimeError as error:
        tags = [name.partition(".")[2] for name in timm.list_pretrained(f"{architecture}.*")]
        raise UsageError(
            f"no weights {tag!r} for {architecture}. {did_you_mean(tag, tags)}"
        ) from error

    arguments: dict[str, Any] = {"num_classes": 0, "in_chans": n_channels}
    if spec.size is not None and known.fixed_input_size:
        arguments["img_size"] = spec.size
    if spec.random_seed is not None:
        with _seeded(spec.random_seed):
            network = timm.create_model(spec.model, pretrained=False, **arguments)
        identity = f"random-{spec.random_seed}"
    else:
        if local is None:
            if not known.hf_hub_id:
                raise UsageError(
                    f"timm offers no safetensors weights for {spec.model}. Choose another network "
                    "or give your own with --weights."
                )
            filename = known.hf_hub_filename or "model.safetensors"
            local = LocalWeights(get_from_hub(words, known.hf_hub_id, filename), {})
        overlay = _overlay(local, architecture, type(known))
        network = _filled_timm(spec.model, local.file, overlay, arguments)
        identity = hash_file(local.file)
    prepared = timm.data.resolve_data_config(model=network)
    return NetworkEncoder(
        network,
        name=words,
        input_size=spec.size or int(prepared["input_size"][-1]),
        n_channels=n_channels,
        mean=prepared["mean"],
        std=prepared["std"],
        identity=identity,
        device=torch_device(device),
        precision=precision,
    )


def _overlay(local: LocalWeights, architecture: str, kind: Any) -> dict[str, Any]:
    """Return what timm has to know about weights that are not its own."""
    told = local.config.get("architecture", architecture)
    if told != architecture:
        raise InputError(
            f"weights of {told!r}, but {architecture!r} was asked for",
            where=local.file,
            remedy=f"Write timm:{told}.",
        )
    config = local.config.get("pretrained_cfg", {})
    fields = set(kind.__dataclass_fields__) - {"url", "hf_hub_id", "source", "state_dict"}
    overlay = {name: value for name, value in config.items() if name in fields}
    return overlay | {"file": str(local.file), "custom_load": False}


def _filled_timm(
    model: str, file: Path, overlay: dict[str, Any], arguments: dict[str, Any]
) -> torch.nn.Module:
    tensors = read_weights(file)  # first, because timm does not say which file is damaged
    del tensors
    try:
        with _seeded(0):
            network: torch.nn.Module = need("timm").create_model(
                model, pretrained=True, pretrained_cfg_overlay=overlay, **arguments
            )
    except RuntimeError as error:
        missing, unexpected, misshapen = _faults(str(error))
        refuse_misfit(
            file, f"timm:{model}", missing=missing, unexpected=unexpected, misshapen=misshapen
        )
        raise
    return network


def _faults(message: str) -> tuple[list[str], list[str], list[str]]:
    """Read missing, unexpected and misshapen tensors from torch's report on a strict load."""

    def quoted(title: str) -> list[str]:
        found = re.search(rf"{title} key\(s\) in state_dict: (.*?)\.\s*(?:\n|$)", message)
        return re.findall(r'"([^"]+)"', found.group(1)) if found else []

    return quoted("Missing"), quoted("Unexpected"), re.findall(r"size mismatch for (\S+):", message)


# open_clip ---------------------------------------------------------------------------------------

_CLIP_FILE = "open_clip_model.safetensors"
_CLIP_CONFIG = "open_clip_config.json"


def _open_clip(
    spec: EncoderSpec,
    n_channels: int,
    weights: str | Path | None,
    device: str,
    precision: Precision | None,
) -> NetworkEncoder:
    words = f"open_clip:{spec.model}"
    local = None if weights is None else find_local(weights)
    if local is None and spec.random_seed is None:
        check_can_get(words, cached=f"models--*/snapshots/*/{_CLIP_FILE}")
    open_clip = need("open_clip")
    architecture = spec.model
    known: Mapping[str, Any] = {}
    if local is None and spec.model.startswith("hf-hub:"):
        repository = spec.model.removeprefix("hf-hub:")
        get_from_hub(words, repository, _CLIP_CONFIG)
        local = find_local(get_from_hub(words, repository, _CLIP_FILE).parent)
    if local is not None and "model_cfg" in local.config:
        architecture = f"local-dir:{local.file.parent}"
    else:
        architecture, tag = _clip_name(spec.model)
        known = open_clip.get_pretrained_cfg(architecture, tag) or {}
        if local is None and spec.random_seed is None:
            local = LocalWeights(_clip_file(words, architecture, known), {})

    with _seeded(spec.random_seed or 0), _quiet_root_log():
        # Without a tag, because with one the weights are fetched even when they are not wanted.
        model = open_clip.create_model(
            architecture,
            load_weights=False,
            pretrained_text=False,
            force_image_size=spec.size,
            force_quick_gelu=known.get("quick_gelu", False),
            force_preprocess_cfg={n: known[n] for n in ("mean", "std") if n in known},
        )
    if local is not None:
        _fill_clip(model, local.file, words)
    if n_channels != 3:
        _widen_first_layer(model.visual, n_channels)
    prepared = open_clip.get_model_preprocess_cfg(model)
    size = prepared["size"]
    return NetworkEncoder(
        _image_tower(model),
        name=words,
        input_size=int(size if isinstance(size, int) else size[-1]),
        n_channels=n_channels,
        mean=prepared["mean"],
        std=prepared["std"],
        identity=f"random-{spec.random_seed}" if local is None else hash_file(local.file),
        device=torch_device(device),
        precision=precision,
    )


def _clip_name(model: str) -> tuple[str, str]:
    """Split ARCHITECTURE/TAG, where the tag may be missing, and check both."""
    open_clip = need("open_clip")
    architecture, _, tag = model.partition("/")
    names = open_clip.list_models()
    if architecture not in names:
        raise UsageError(
            f"open_clip has no network {architecture!r}. {did_you_mean(architecture, names)}"
        )
    tags = open_clip.list_pretrained_tags_by_model(architecture)
    if tag and tag not in tags:
        raise UsageError(f"no weights {tag!r} for {architecture}. {did_you_mean(tag, tags)}")
    return architecture, tag


def _clip_file(words: str, architecture: str, known: Mapping[str, Any]) -> Path:
    if not known:
        tags = need("open_clip").list_pretrained_tags_by_model(architecture)
        raise UsageError(
            f"{words} has several sets of weights: {listing(tags)}. "
            f"Write {words}/{tags[0] if tags else 'NAME'}, or give your own with --weights."
        )
    repository, _, filename = known.get("hf_hub", "").rpartition("/")
    if not repository:
        raise UsageError(
            f"open_clip offers no safetensors weights for {words}. Choose others or give your own "
            "with --weights."
        )
    return get_from_hub(words, repository, filename or _CLIP_FILE)


@contextmanager
def _quiet_root_log() -> Iterator[None]:
    """Keep open_clip from warning that no weights were loaded, and from setting up logging."""
    root = logging.getLogger()
    silent = logging.NullHandler()
    root.addHandler(silent)
    level = root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(level)
        root.removeHandler(silent)


def _fill_clip(model: Any, file: Path, words: str) -> None:
    """Load the image tower; what the file says about text does not matter here."""
    tensors = {name: t for name, t in read_weights(file).items() if name.startswith("visual.")}
    wanted = {n: t for n, t in model.state_dict().items() if n.startswith("visual.")}
    misshapen = [n for n in wanted.keys() & tensors.keys() if wanted[n].shape != tensors[n].shape]
    refuse_misfit(
        file,
        words,
        missing=sorted(wanted.keys() - tensors.keys()),
        unexpected=sorted(tensors.keys() - wanted.keys()),
        misshapen=sorted(misshapen),
    )
    model.load_state_dict(tensors, strict=False)


def _widen_first_layer(tower: torch.nn.Module, n_channels: int) -> None:
    """Make the first convolution take `n_channels` bands, as timm does for its networks."""
    torch = need("torch")
    adapt = need("timm.models").adapt_input_conv
    for layer in tower.modules():
        if isinstance(layer, torch.nn.Conv2d) and layer.in_channels == 3:
            layer.in_channels = n_channels
            layer.weight = torch.nn.Parameter(adapt(n_channels, layer.weight.detach()))
            return
    raise UsageError("this network has no layer for colours that could take other channels.")


def _image_tower(model: Any) -> torch.nn.Module:
    """Return the part of the model that sees pictures, as a network of its own."""
    module: Any = need("torch").nn.Module

    class Tower(module):
        def __init__(self) -> None:
            super().__init__()
            self.visual = model.visual

        def forward(self, pictures: Any) -> Any:
            seen = self.visual(pictures)
            # CoCa returns the tokens, too.
            return seen[0] if isinstance(seen, tuple) else seen

    tower: torch.nn.Module = Tower()
    return tower
