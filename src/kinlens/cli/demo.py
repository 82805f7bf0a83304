"""`kinlens demo`: the whole tour on a simulated clade, with nothing to download."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kinlens.cli import options
from kinlens.cli.display import Display

__all__ = ["demo", "register"]


def register(app: typer.Typer) -> None:
    """Add the verb to the command."""
    app.command("demo", rich_help_panel="Start here")(demo)


def demo(
    out: Annotated[
        Path, typer.Option("-o", "--out", metavar="FOLDER", help="Folder of the tour.")
    ] = Path("demo"),
    species: Annotated[int, typer.Option(help="Species in the simulated clade.", min=20)] = 80,
    images: Annotated[int, typer.Option(help="Pictures.", min=240)] = 720,
    seed: options.Seed = 1,
    workers: options.Workers = 2,
    resume: options.Resume = False,
    force: options.Force = False,
    log_json: options.LogJson = False,
) -> None:
    """Simulate a clade with known truth, run every study on it, and write one report.

    Needs no data and no download, and takes minutes on two processors. The report says for each
    study what is true in the simulated world, beside what was found.
    """
    from kinlens.parallel import Resources
    from kinlens.studies.tour import run_tour

    with Display(as_json=log_json, how_to_go_on=options.GO_ON) as display:
        resources = Resources(workers=workers, progress=display)
        tour = run_tour(
            out,
            species=species,
            images=images,
            seed=seed,
            resources=resources,
            resume=resume,
            force=force,
        )
    for sentence in tour.sentences:
        display.note(f"• {sentence}")
    display.note(f"\nLook around, and ask with a picture of your own: kinlens explore {out}")
    display.note("Open the report in a browser:")
    typer.echo(tour.report)
