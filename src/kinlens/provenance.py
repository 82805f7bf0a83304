"""What a run depends on and what it ran on: the content of `run.json`, as a plain dictionary.

No host, user or absolute path is recorded: a run folder may be published as it is.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Mapping
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

from kinlens import __version__
from kinlens.atomic import hash_bytes, plain
from kinlens.events import now

__all__ = ["PROGRAM", "differences", "fingerprint", "first_record", "peak_memory_mb"]

PROGRAM = "kinlens"
# What decides the numbers of a run; two runs that agree in these are the same run.
_DECISIVE = ("version", "study", "seed", "config", "inputs")
_LIBRARIES = (
    "anndata",
    "lightning",
    "numba",
    "numpy",
    "pandas",
    "pillow",
    "scikit-bio",
    "scikit-image",
    "scikit-learn",
    "scipy",
    "statsmodels",
    "timm",
    "torch",
    "umap-learn",
)


def first_record(
    *,
    study: str,
    config: object,
    seed: int,
    inputs: Mapping[str, str],
    source: str | Path | None = None,
) -> dict[str, Any]:
    """Return the record of a run that begins now.

    Parameters
    ----------
    study : str
        What runs: the name of a study or a verb.
    config : Config or mapping
        As resolved.
    seed : int
        The one seed.
    inputs : mapping
        Name of each input file to the hash of its content.
    source : str or pathlib.Path, optional
        The dataset; only its name is recorded.

    Returns
    -------
    dict
        Plain values only; what is not known before the end is None.
    """
    return {
        "program": PROGRAM,
        "version": __version__,
        "study": study,
        "status": "running",
        "error": None,
        "started": now(),
        "ended": None,
        "seconds": None,
        "sessions": 1,
        "peak_memory_mb": None,
        "skipped": None,
        "seed": seed,
        "config": plain(config),
        "source": Path(source).resolve().name if source is not None else None,
        "inputs": plain(inputs),
        "versions": _versions(),
        "platform": {
            "system": platform.system(),
            "machine": platform.machine(),
            "python": platform.python_version(),
            "processors": os.cpu_count(),
        },
    }


def fingerprint(record: Mapping[str, Any]) -> str:
    """Return digits that stand for all that decides the numbers of the run with this record.

    Parameters
    ----------
    record : mapping
        What `first_record` returned, or the same read back from its file.
    """
    decisive = {name: record.get(name) for name in _DECISIVE}
    return hash_bytes(json.dumps(decisive, sort_keys=True).encode())


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Word each setting and input in which two records differ; empty for the same run.

    Parameters
    ----------
    before, after : mapping
        Two records.

    Examples
    --------
    >>> one = first_record(study="taxa", config={"trees": 100}, seed=1, inputs={})
    >>> two = first_record(study="taxa", config={"trees": 50}, seed=1, inputs={})
    >>> differences(one, two)
    ['trees was 100, now 50']
    """
    found = []
    for part in _DECISIVE:
        old, new = before.get(part), after.get(part)
        if isinstance(old, dict) and isinstance(new, dict):
            names = sorted(old.keys() | new.keys())
            pairs = [(name, old.get(name), new.get(name)) for name in names]
        else:
            pairs = [(part, old, new)]
        found += [
            f"{name} was {_short(was)}, now {_short(is_now)}"
            for name, was, is_now in pairs
            if was != is_now
        ]
    return found


def peak_memory_mb() -> float | None:
    """Return the largest resident memory, in megabytes, of this process or one of its workers.

    Workers that still live count with what they hold now; None where the system does not say.
    """
    if sys.platform == "win32":
        return None
    import resource

    import psutil

    # Kibibytes on Linux, bytes on macOS.
    unit = 1 if sys.platform == "darwin" else 1024
    sizes = [
        resource.getrusage(who).ru_maxrss * unit
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    ]
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            sizes.append(child.memory_info().rss)
    return round(max(sizes) / 1e6, 1)


def _short(value: object) -> str:
    text = "absent" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _versions() -> dict[str, str]:
    found = {}
    for name in _LIBRARIES:
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found
