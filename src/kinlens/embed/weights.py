"""Where the trained weights of a network are: a local file, the hub's cache, or the hub.

Only safetensors files are read, which hold numbers and cannot run code. Whether weights are to be
had is told before anything heavy is imported. Which network they belong to is in `backbones`.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from kinlens.errors import InputError, UsageError, listing
from kinlens.optional import need

__all__ = [
    "LocalWeights",
    "check_can_get",
    "find_local",
    "get_from_hub",
    "read_weights",
    "refuse_misfit",
]

_PICKLED = {".pt", ".pth", ".bin", ".ckpt", ".pkl", ".tar", ".npz"}
_CONFIGS = ("config.json", "open_clip_config.json")
_USUAL_NAMES = ("model.safetensors", "open_clip_model.safetensors")
_PROBE_SECONDS = 0.7


@dataclass(frozen=True)
class LocalWeights:
    """A weights file, and the configuration that lies beside it.

    Parameters
    ----------
    file : pathlib.Path
        The safetensors file.
    config : mapping
        Content of ``config.json`` or ``open_clip_config.json``; empty without one.
    """

    file: Path
    config: Mapping[str, Any]


def find_local(place: str | Path) -> LocalWeights:
    """Find the weights in a file or folder that the user names.

    Raises
    ------
    InputError
        When there is no safetensors file, or no telling which.
    """
    place = Path(place).expanduser()
    if place.is_dir():
        found = [place / name for name in _USUAL_NAMES if (place / name).is_file()]
        found = found or sorted(place.glob("*.safetensors"))
        if not found:
            pickled = [file for file in sorted(place.iterdir()) if file.suffix in _PICKLED]
            if pickled:
                _refuse_pickle(pickled[0])
            raise InputError(
                "no .safetensors file in the folder",
                where=place,
                remedy="Weights are a .safetensors file, or a folder that holds one.",
            )
        if len(found) > 1 and found[0].name not in _USUAL_NAMES:
            raise InputError(
                "several .safetensors files",
                where=place,
                offenders=[file.name for file in found],
                remedy="Give the path of the one wanted.",
            )
        return LocalWeights(found[0], _config_in(place))
    if not place.is_file():
        raise InputError("no such weights file", where=place)
    if place.suffix != ".safetensors":
        _refuse_pickle(place)
    return LocalWeights(place, {})


def _refuse_pickle(file: Path) -> None:
    if file.suffix not in _PICKLED:
        raise InputError("not a .safetensors file", where=file)
    raise InputError(
        "weights in this format can run code when they are opened, so they are not",
        where=file,
        remedy=(
            'If you trust the file, convert it once: python -c "import torch, safetensors.torch; '
            f"safetensors.torch.save_file(torch.load('{file.name}', weights_only=True), "
            f"'{file.stem}.safetensors')\""
        ),
    )


def _config_in(folder: Path) -> Mapping[str, Any]:
    for name in _CONFIGS:
        file = folder / name
        if file.is_file():
            try:
                config = json.loads(file.read_text(encoding="utf-8"))
            except ValueError as error:
                raise InputError(f"not JSON ({error})", where=file) from error
            return config if isinstance(config, dict) else {}
    return {}


def read_weights(file: Path) -> dict[str, Any]:
    """Return the tensors of a safetensors file by name."""
    need("torch")
    safetensors = need("safetensors")
    try:
        tensors: dict[str, Any] = need("safetensors.torch").load_file(str(file))
    except (safetensors.SafetensorError, OSError) as error:
        raise InputError(
            f"cannot be read as safetensors ({error})",
            where=file,
            remedy="The copy may be cut off; fetch it again.",
        ) from error
    return tensors


def refuse_misfit(
    file: Path,
    network: str,
    *,
    missing: list[str],
    unexpected: list[str],
    misshapen: list[str],
) -> None:
    """Say how weights and network differ, when they do.

    Parameters
    ----------
    file : pathlib.Path
        The weights.
    network : str
        What the network is called.
    missing, unexpected, misshapen : list of str
        Tensors that the file lacks, that the network lacks, and of another shape.

    Raises
    ------
    InputError
        When any of the three is not empty.
    """
    faults = [
        f"{len(names):,} {word} ({listing(names, most=3)})"
        for names, word in (
            (missing, "tensors are missing"),
            (unexpected, "tensors are not part of it"),
            (misshapen, "tensors have another shape"),
        )
        if names
    ]
    if faults:
        raise InputError(
            f"these weights do not fit {network}: {'; '.join(faults)}",
            where=file,
            remedy="Name the network that they were trained for.",
        )


# The hub -----------------------------------------------------------------------------------------


def check_can_get(words: str, *, cached: str) -> None:
    """Refuse at once, without importing torch, when trained weights cannot be had.

    Parameters
    ----------
    words : str
        The encoder as the user wrote it.
    cached : str
        Pattern, inside the hub's cache, of files that would do.

    Raises
    ------
    UsageError
        When nothing in the cache fits and the hub does not answer within 0.7 seconds.
    """
    constants = need("huggingface_hub.constants")
    cache = Path(constants.HF_HUB_CACHE)
    if any(cache.glob(cached)):
        return
    if constants.HF_HUB_OFFLINE:
        reason = "HF_HUB_OFFLINE forbids to fetch them"
    elif _answers(constants.ENDPOINT):
        return
    else:
        reason = f"{urlsplit(constants.ENDPOINT).hostname} does not answer"
    raise _unavailable(words, reason)


def get_from_hub(words: str, repository: str, filename: str) -> Path:
    """Return a file of a hub repository, from the cache or fetched into it.

    Parameters
    ----------
    words : str
        The encoder as the user wrote it.
    repository, filename : str
        Where the file is on the hub.

    Raises
    ------
    UsageError
        When it is in neither place, or the hub cannot be reached.
    """
    hub = need("huggingface_hub")
    kept = hub.try_to_load_from_cache(repository, filename)
    if isinstance(kept, str):
        return Path(kept)
    check_can_get(words, cached=f"models--{repository.replace('/', '--')}/snapshots/*/{filename}")
    errors = need("huggingface_hub.errors")
    try:
        return Path(hub.hf_hub_download(repository, filename))
    except errors.EntryNotFoundError:
        reason = f"{repository} has no {filename}"
    except (errors.GatedRepoError, errors.RepositoryNotFoundError):
        reason = f"{repository} is not there or not open to you"
    except (errors.HfHubHTTPError, errors.HTTPError, OSError) as error:
        reason = f"fetching {repository} failed: {str(error).splitlines()[0]}"
    raise _unavailable(words, reason)


def _unavailable(words: str, reason: str) -> UsageError:
    return UsageError(
        f"no weights for {words} on this machine, and {reason}. Give a .safetensors file with "
        "--weights (of a run: --set weights=FILE), or use the built-in encoder 'descriptors', "
        "which needs none."
    )


def _answers(endpoint: str) -> bool:
    """Tell whether a connection to the hub, or to the proxy on the way, opens quickly."""
    address = urlsplit(endpoint)
    proxy = getproxies().get(address.scheme)
    if proxy and address.hostname and not proxy_bypass(address.hostname):
        address = urlsplit(proxy if "//" in proxy else f"//{proxy}")
    port = address.port or (80 if address.scheme == "http" else 443)
    is_settled = threading.Event()
    answers: list[bool] = []

    def knock() -> None:
        try:
            with socket.create_connection((address.hostname, port), timeout=_PROBE_SECONDS):
                answers.append(True)
        except OSError:
            pass
        is_settled.set()

    # Looking up a name has no time limit of its own, so nobody waits for the thread.
    threading.Thread(target=knock, daemon=True).start()
    is_settled.wait(_PROBE_SECONDS)
    return bool(answers)
