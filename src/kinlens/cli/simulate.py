"""`kinlens simulate OUT`: a dataset folder whose every hidden number is known."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

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
    species: Annotated[
        int | None, typer.Option(help="Species in the clade.", show_default="32")
    ] = None,
    images: Annotated[
        int | None, typer.Option(help="Pictures of shells.", show_default="2000")
    ] = None,
    config: options.Config = None,
    settings: options.Set = None,
    seed: options.Seed = 0,
    workers: options.Workers = 2,
    scheduler: options.Scheduler = None,
    force: options.Force = False,
    log_json: options.LogJson = False,
) -> None:
    """Simulate a clade of snails: tree, sequences, genes, and pictures of their shells.

    Looks come from traits that evolved on the tree, or (--set world=independent) on another one.
    OUT/truth holds every hidden number.
    """
    from kinlens.config import build_config, read_toml
    from kinlens.parallel import Resources
    from kinlens.rng import RandomStreams
    from kinlens.simulate.world import simulate_world
    from kinlens.simulate.world_config import WorldConfig
    from kinlens.studies.simulation import write_world

    world_config = build_config(
        WorldConfig,
        read_toml(config) if config else {},
        options.parse_settings(settings),
        {"species": species, "images": images},
        where=str(config or "--set"),
    )
    with Display(as_json=log_json) as display:
        resources = Resources(workers=workers, scheduler=scheduler, progress=display)
        world = simulate_world(world_config, RandomStreams(seed))
        write_world(world, out, resources=resources, force=force)
    display.note(f"Next: kinlens check {out}")
    typer.echo(out)
