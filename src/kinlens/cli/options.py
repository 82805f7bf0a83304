"""The options that several verbs share, each defined once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from kinlens.errors import UsageError

__all__ = [
    "GO_ON",
    "Config",
    "Dataset",
    "Device",
    "Force",
    "LogJson",
    "MaxBad",
    "Out",
    "Resume",
    "Scheduler",
    "Seed",
    "Set",
    "Workers",
    "parse_settings",
]

GO_ON = "The same command with --resume goes on where it stopped."

_WHERE = "Where and how it runs"
_HOW = "Settings"
_FOLDER = "Going on, replacing, giving up"

Dataset = Annotated[
    Path, typer.Argument(metavar="DATASET", help="Dataset folder.", show_default=False)
]
Out = Annotated[
    Path,
    typer.Option("-o", "--out", help="File to write.", metavar="FILE.h5ad", show_default=False),
]
Seed = Annotated[int, typer.Option(help="Seed of everything random.", rich_help_panel=_HOW)]
Config = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.toml",
        help="TOML file with settings.",
        show_default=False,
        rich_help_panel=_HOW,
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="One setting; may be given several times.",
        show_default=False,
        rich_help_panel=_HOW,
    ),
]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume", help="Go on where an interrupted run stopped.", rich_help_panel=_FOLDER
    ),
]
Force = Annotated[
    bool,
    typer.Option("--force", help="Replace what an earlier call left.", rich_help_panel=_FOLDER),
]
MaxBad = Annotated[
    float,
    typer.Option(
        min=0,
        metavar="NUMBER",
        help="Give up (exit code 4) when more has to be left out: a share below 1, or a count.",
        rich_help_panel=_FOLDER,
    ),
]
Workers = Annotated[
    int, typer.Option(help="Processes on this machine.", min=1, rich_help_panel=_WHERE)
]
Scheduler = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Dask scheduler to work on instead, such as tcp://node7:8786.",
        show_default=False,
        rich_help_panel=_WHERE,
    ),
]
Device = Annotated[
    str,
    typer.Option(metavar="auto|cpu|cuda", help="Where networks compute.", rich_help_panel=_WHERE),
]
LogJson = Annotated[
    bool,
    typer.Option(
        "--log-json",
        help="Write progress and messages to stderr as one JSON object a line.",
        rich_help_panel=_WHERE,
    ),
]


def parse_settings(settings: list[str] | None) -> dict[str, Any]:
    """Turn ``NAME=VALUE`` words into a mapping; values are read as TOML, or else as text.

    Examples
    --------
    >>> parse_settings(["trees=50", "embedder=timm:resnet18"])
    {'trees': 50, 'embedder': 'timm:resnet18'}
    """
    import tomllib

    parsed: dict[str, Any] = {}
    for setting in settings or []:
        name, equals, value = setting.partition("=")
        if not equals or not name.strip():
            raise UsageError(f"--set {setting}: write NAME=VALUE.")
        try:
            parsed[name.strip()] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            parsed[name.strip()] = value
    return parsed
