"""Image towers of open_clip models, BioCLIP among them.

Running them is `network_encoder`; where weights are found is `weights`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kinlens.atomic import hash_file
from kinlens.embed.encoders import EncoderSpec
from kinlens.embed.network_encoder import Network, seeded
from kinlens.embed.weights import (
    LocalWeights,
    check_can_get,
    find_local,
    get_from_hub,
    read_weights,
    refuse_misfit,
)
from kinlens.errors import UsageError, did_you_mean, listing
from kinlens.optional import need

if TYPE_CHECKING:
    import torch

__all__ = ["clip_network"]

_CLIP_FILE = "open_clip_model.safetensors"
_CLIP_CONFIG = "open_clip_config.json"


def clip_network(spec: EncoderSpec, *, n_channels: int, weights: str | Path | None) -> Network:
    """Build the image tower of an open_clip model and fill in its weights.

    Parameters
    ----------
    spec : EncoderSpec
        From `parse_encoder`.
    n_channels : int
        Bands of the pictures. Where the weights know three, the first layer's are repeated and
        scaled for more, and summed for one.
    weights : path, optional
        A ``.safetensors`` file or its folder; from the hub, or its cache, when left out.

    Raises
    ------
    UsageError
        When open_clip has no such model, or its weights are not to be had.
    InputError
        When the weights do not fit.
    """
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

    with seeded(spec.random_seed or 0), _quiet_root_log():
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
    return Network(
        _image_tower(model),
        input_size=int(size if isinstance(size, int) else size[-1]),
        mean=prepared["mean"],
        std=prepared["std"],
        identity=f"random-{spec.random_seed}" if local is None else hash_file(local.file),
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
            f"Write {words}/{tags[0] if tags else 'NAME'}, or give your own with --weights "
            "(of a run: --set weights=FILE)."
        )
    repository, _, filename = known.get("hf_hub", "").rpartition("/")
    if not repository:
        raise UsageError(
            f"open_clip offers no safetensors weights for {words}. Choose others or give your own "
            "with --weights (of a run: --set weights=FILE)."
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
