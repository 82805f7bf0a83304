"""`kinlens simulate OUT`: a dataset folder whose every hidden number is known."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from kinlens.cli import options
from kinlens.cli.display import Display

__all__ = ["register", "simulate"]


def register(app: typer.Typer) -> None:
    """Add the verb to the command."""
    app.command("simulate", rich_help_panel="Data")(simulate)


def simulate(
    out: Annotated[
        Path, typer.Argument(metavar="OUT", help="Dataset folder to make.", show_default=False)
    ],
    kind: Annotated[
        Literal["shells", "cells"], typer.Option(help="A clade of snails, or cells.")
    ] = "shells",
    species: Annotated[
        int | None, typer.Option(help="Species in the clade of snails.", show_default="32")
    ] = None,
    images: Annotated[int | None, typer.Option(help="Pictures.", show_default="2000")] = None,
    config: options.Config = None,
    settings: options.Set = None,
    seed: options.Seed = 0,
    workers: options.Workers = 2,
    scheduler: options.Scheduler = None,
    force: options.Force = False,
    log_json: options.LogJson = False,
) -> None:
    """Simulate a clade of snails, or cells of an atlas of proteins.

    Snails come with tree, sequences, genes and pictures of their shells: looks come from traits
    that evolved on the tree, or (--set world=independent) on another one. Cells come in four
    channels with the places of a protein as labels, drawn from built-in frequencies or from a
    table (--set label_table=FILE.csv). OUT/truth holds every hidden number.
    """
    from kinlens.config import build_config, read_toml
    from kinlens.parallel import Resources
    from kinlens.rng import RandomStreams

    given = (read_toml(config) if config else {}, options.parse_settings(settings))
    flags: dict[str, Any] = {"species": species, "images": images}
    where, streams = str(config or "--set"), RandomStreams(seed)
    with Display(as_json=log_json) as display:
        resources = Resources(workers=workers, scheduler=scheduler, progress=display)
        if kind == "cells":
            from kinlens.simulate.cell_world import CellWorldConfig
            from kinlens.studies.cell_simulation import cell_world, write_cells

            cells = cell_world(build_config(CellWorldConfig, *given, flags, where=where), streams)
            write_cells(cells, out, resources=resources, force=force)
        else:
            from kinlens.simulate.world import simulate_world
            from kinlens.simulate.world_config import WorldConfig
            from kinlens.studies.simulation import write_world

            world = simulate_world(build_config(WorldConfig, *given, flags, where=where), streams)
            write_world(world, out, resources=resources, force=force)
    display.note(f"Next: kinlens check {out}")
    typer.echo(out)
