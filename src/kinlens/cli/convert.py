"""`kinlens convert KIND SOURCE DATASET`: a published layout to a dataset folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from kinlens.cli import options
from kinlens.cli.display import Display
from kinlens.cli.findings import show_problems
from kinlens.errors import UsageError
from kinlens.io.convert.catalogue import LAYOUTS, Layout, find_layout

__all__ = ["convert", "register"]

_WIDEST = max(len(layout.name) for layout in LAYOUTS)
_KINDS = "\n".join(f"{layout.name:<{_WIDEST}}  {layout.description}" for layout in LAYOUTS)
_PLACINGS = ("copy", "hardlink", "symlink")


def register(app: typer.Typer) -> None:
    """Add the verb to the command."""
    app.command("convert", rich_help_panel="Data", help=f"{convert.__doc__}\n\n\b{_KINDS}")(convert)


def convert(
    kind: Annotated[
        str,
        typer.Argument(
            metavar="KIND", help="Layout of SOURCE, one of those above.", show_default=False
        ),
    ],
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE", help="What was published: a folder or archive.", show_default=False
        ),
    ],
    dataset: Annotated[
        Path, typer.Argument(metavar="DATASET", help="Dataset folder to make.", show_default=False)
    ],
    placing: Annotated[
        str,
        typer.Option(
            metavar="|".join(_PLACINGS),
            help="How pictures get into the dataset; links need no room.",
        ),
    ] = "copy",
    ranks: Annotated[
        str | None,
        typer.Option(
            metavar="RANK,...",
            help="class-folders: what the folder levels stand for, from the top.",
            show_default="species",
        ),
    ] = None,
    media: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="darwin-core: where the pictures are.", show_default="SOURCE"
        ),
    ] = None,
    synonyms: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="protein-fasta: table of columns name and gene; other names of genes.",
            show_default=False,
        ),
    ] = None,
    identity: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="protein-fasta: group proteins that are as alike as this, with MMseqs2, instead "
            "of by name; 0.5 is common.",
            show_default=False,
        ),
    ] = None,
    force: options.Force = False,
    log_json: options.LogJson = False,
) -> None:
    """Turn a published layout into a dataset folder; nothing is downloaded."""
    from kinlens.io.convert.dataset_folder import ConversionOptions

    layout = find_layout(kind)
    if placing not in _PLACINGS:
        raise UsageError(f"--placing must be one of {', '.join(_PLACINGS)}, not {placing!r}.")
    extras = _extras(layout, {"ranks": _split(ranks), "media": media, "synonyms": synonyms,
                              "identity": identity})  # fmt: skip
    with Display(as_json=log_json) as display:
        chosen = ConversionOptions(
            placing=placing,  # type: ignore[arg-type]  # checked above
            force=force,
            progress=display,
        )
        report = layout.convert(source, dataset, options=chosen, **extras)
    show_problems(display, report.problems, listed_in="skipped.tsv")
    display.note(report.summary())
    display.note(f"Next: kinlens check {dataset}")
    typer.echo(dataset)


def _extras(layout: Layout, given: dict[str, Any]) -> dict[str, Any]:
    """Keep what was given; refuse what this layout has no use for."""
    extras = {name: value for name, value in given.items() if value is not None}
    for name in extras:
        if name not in layout.extra:
            takers = [other.name for other in LAYOUTS if name in other.extra]
            raise UsageError(f"--{name} is for {', '.join(takers)}, not for {layout.name}.")
    return extras


def _split(ranks: str | None) -> tuple[str, ...] | None:
    return None if ranks is None else tuple(rank.strip() for rank in ranks.split(","))
