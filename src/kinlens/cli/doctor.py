"""`kinlens doctor`: versions, devices, and which optional parts are there."""

from __future__ import annotations

import typer

__all__ = ["doctor", "register"]

_CORE = [
    "numpy",
    "scipy",
    "pandas",
    "pyarrow",
    "anndata",
    "sklearn",
    "skbio",
    "skimage",
    "numba",
    "torch",
    "lightning",
    "timm",
    "safetensors",
    "optuna",
    "umap",
    "pynndescent",
    "statsmodels",
    "matplotlib",
]
_OPTIONAL = {
    "open_clip": ("networks named open_clip:NAME", "kinlens[clip]"),
    "distributed": ("--scheduler: work on a Dask cluster", "kinlens[scale]"),
    "faiss": ("search among millions of vectors", "kinlens[faiss]"),
}
_PROGRAMS = {
    "mafft": "alignment along a guide tree, a rival in the benchmarks",
    "mmseqs": "grouping genes by similarity",
    "Rscript": "`make validate`: golden values computed again with R",
}


def register(app: typer.Typer) -> None:
    """Add the verb to the command."""
    app.command("doctor", rich_help_panel="Start here")(doctor)


def doctor() -> None:
    """Say what is installed, what is missing and what that switches off.

    Ends with exit code 1 when a part that kinlens cannot do without does not load.
    """
    import os
    import platform
    import shutil

    from kinlens import __version__
    from kinlens.errors import KinlensError
    from kinlens.optional import is_available

    typer.echo(
        f"kinlens {__version__}, Python {platform.python_version()}, "
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors"
    )
    typer.echo("\nNeeded")
    missing = [name for name in _CORE if not _say_version(name)]
    _say("device", _devices() if "torch" not in missing else "unknown without torch")
    typer.echo("\nOptional")
    for name, (use, package) in _OPTIONAL.items():
        state = "there" if is_available(name) else f"absent; pip install '{package}'"
        _say(name, f"{state} ({use})")
    typer.echo("\nOther programs")
    for program, use in _PROGRAMS.items():
        _say(program, f"{'there' if shutil.which(program) else 'absent'} ({use})")
    if missing:
        raise KinlensError(f"cannot be loaded: {', '.join(missing)}. Install kinlens again.")


def _say_version(name: str) -> bool:
    """Say the version of a library; tell whether it loads."""
    from importlib.metadata import packages_distributions, version

    from kinlens.optional import need

    try:
        need(name)
    except (ImportError, RuntimeError, OSError) as error:
        _say(name, f"does not load: {error}")
        return False
    _say(name, version(packages_distributions()[name][0]))
    return True


def _devices() -> str:
    from kinlens.optional import need

    cuda = need("torch").cuda
    names = [cuda.get_device_name(place) for place in range(cuda.device_count())]
    return ", ".join(names) or "CPU only"


def _say(name: str, state: str) -> None:
    typer.echo(f"  {name:<12} {state}")
