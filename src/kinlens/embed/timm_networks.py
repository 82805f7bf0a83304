"""Networks of timm: built without a head, filled strictly, for any number of channels.

Running them is `network_encoder`; where weights are found is `weights`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
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
from kinlens.errors import InputError, UsageError, did_you_mean
from kinlens.optional import need

if TYPE_CHECKING:
    import torch

__all__ = ["timm_network"]


def timm_network(
    spec: EncoderSpec,
    *,
    n_channels: int,
    weights: str | Path | None,
    shape: Mapping[str, Any] | None = None,
) -> Network:
    """Build a network of timm without its head and fill in its weights.

    Parameters
    ----------
    spec : EncoderSpec
        From `parse_encoder`.
    n_channels : int
        Bands of the pictures. Where the weights know three, the first layer's are repeated and
        scaled for more, and summed for one.
    weights : path, optional
        A ``.safetensors`` file or its folder; from the hub, or its cache, when left out.
    shape : mapping, optional
        Further arguments of timm's network, such as ``channels`` for a narrower ResNet.

    Raises
    ------
    UsageError
        When timm has no such network, or its weights are not to be had.
    InputError
        When the weights do not fit.
    """
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

    arguments: dict[str, Any] = {"num_classes": 0, "in_chans": n_channels, **(shape or {})}
    if spec.size is not None and known.fixed_input_size:
        arguments["img_size"] = spec.size
    if spec.random_seed is not None:
        with seeded(spec.random_seed):
            network = timm.create_model(spec.model, pretrained=False, **arguments)
        identity = f"random-{spec.random_seed}"
    else:
        if local is None:
            if not known.hf_hub_id:
                raise UsageError(
                    f"timm offers no safetensors weights for {spec.model}. Choose another network "
                    "or give your own with --weights (of a run: --set weights=FILE)."
                )
            local = LocalWeights(get_from_hub(words, known.hf_hub_id, "model.safetensors"), {})
        overlay = _overlay(local, architecture, known)
        network = _filled_timm(spec.model, local.file, overlay, arguments)
        identity = hash_file(local.file)
    prepared = timm.data.resolve_data_config(model=network)
    return Network(
        network,
        input_size=spec.size or int(prepared["input_size"][-1]),
        mean=prepared["mean"],
        std=prepared["std"],
        identity=identity,
    )


def _overlay(local: LocalWeights, architecture: str, known: Any) -> dict[str, Any]:
    """Return what timm has to know about weights whose configuration lies beside them."""
    told = local.config.get("architecture", architecture)
    if told != architecture:
        raise InputError(
            f"weights of {told!r}, but {architecture!r} was asked for",
            where=local.file,
            remedy=f"Write timm:{told}.",
        )
    config = local.config.get("pretrained_cfg", {})
    fields = set(type(known).__dataclass_fields__) - {"url", "hf_hub_id", "source", "file"}
    overlay = {name: value for name, value in config.items() if name in fields}
    # The head is taken off before timm sees the weights, so that the rest is checked strictly.
    overlay |= {"num_classes": 0, "label_offset": 0, "custom_load": False}
    own = {name: getattr(known, name) for name in ("classifier", "first_conv", "input_size")}
    return own | overlay


def _filled_timm(
    model: str, file: Path, overlay: dict[str, Any], arguments: dict[str, Any]
) -> torch.nn.Module:
    tensors = read_weights(file)
    heads = overlay["classifier"] or ()
    heads = (heads,) if isinstance(heads, str) else tuple(heads)
    for name in [name for name in tensors if name.rpartition(".")[0] in heads]:
        del tensors[name]
    first = tensors.get(f"{overlay['first_conv']}.weight")
    if first is not None and first.shape[1] == arguments["in_chans"]:
        overlay = overlay | {"input_size": (arguments["in_chans"], *overlay["input_size"][1:])}
    try:
        return _strictly_filled(model, tensors, overlay, arguments)
    except RuntimeError as error:
        missing, unexpected, misshapen = _faults(str(error))
        if not (missing or unexpected or misshapen):
            raise
        # Some heads are more than their last layer; without a head the rest of it is of no use.
        of_head = {name for name in unexpected if name.startswith(tuple(_parts_of(heads)))}
        refuse_misfit(
            file,
            f"timm:{model}",
            missing=missing,
            unexpected=[name for name in unexpected if name not in of_head],
            misshapen=misshapen,
        )
    kept = {name: tensor for name, tensor in tensors.items() if name not in of_head}
    return _strictly_filled(model, kept, overlay, arguments)


def _strictly_filled(
    model: str, tensors: dict[str, Any], overlay: dict[str, Any], arguments: dict[str, Any]
) -> torch.nn.Module:
    with seeded(0):
        network: Any = need("timm").create_model(
            model,
            pretrained=True,
            pretrained_cfg_overlay=overlay | {"state_dict": tensors},
            **arguments,
        )
    network.pretrained_cfg.pop("state_dict")
    filled: torch.nn.Module = network
    return filled


def _parts_of(heads: Sequence[str]) -> list[str]:
    """Return the beginnings of the names of tensors that belong to these heads."""
    return [f"{head.partition('.')[0]}." for head in heads]


def _faults(message: str) -> tuple[list[str], list[str], list[str]]:
    """Read missing, unexpected and misshapen tensors from torch's report on a strict load."""

    def quoted(title: str) -> list[str]:
        found = re.search(rf"{title} key\(s\) in state_dict: (.*?)\.\s*(?:\n|$)", message)
        return re.findall(r'"([^"]+)"', found.group(1)) if found else []

    return quoted("Missing"), quoted("Unexpected"), re.findall(r"size mismatch for (\S+):", message)
