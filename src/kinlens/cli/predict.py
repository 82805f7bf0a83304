"""`kinlens predict RUN IMAGE...`: what a finished run says of new pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kinlens.cli import options
from kinlens.cli.display import Display

__all__ = ["predict", "register"]


def register(app: typer.Typer) -> None:
    """Add the verb to the command."""
    app.command("predict", rich_help_panel="Work")(predict)


def predict(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="Folder of a finished run.", show_default=False)
    ],
    images: Annotated[
        list[Path], typer.Argument(metavar="IMAGE...", help="Pictures.", show_default=False)
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "-o", "--out", metavar="FILE.csv", help="Table to write.", show_default="stdout"
        ),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="The weights that the run was made with, when they came from a file.",
            show_default=False,
        ),
    ] = None,
    field: Annotated[
        str | None,
        typer.Option(
            metavar="REGEX",
            help="For runs of location: what in a picture's name says its field or antibody. "
            "Gives one row a field, its pictures together.",
            show_default=False,
        ),
    ] = None,
    device: options.Device = "auto",
    workers: options.Workers = 2,
    log_json: options.LogJson = False,
) -> None:
    """Name new pictures, or place them in the tree, with a finished run.

    Gives one row a picture. From a run of taxa: the name at each rank with its calibrated
    confidence, the deepest rank that is safe, and the set of candidates. From a run of rare: the
    same, species without a picture among them, and whether it looks like none of the species, with
    the branch where it would attach. From a run of kinship: the nearest species with its distance
    and interval, the branch, and whether the picture belongs to the tree at all. From a run of
    location: the places of the protein and the calibrated probability of each, for single pictures
    or, with --field, for fields of several. A picture that cannot be read gets a row with the
    reason.
    """
    from kinlens.atomic import write_frame
    from kinlens.parallel import Resources
    from kinlens.studies.catalogue import load_predictor

    with Display(as_json=log_json) as display:
        resources = Resources(workers=workers, device=device, progress=display)
        predictor = load_predictor(run, by_field=field is not None)
        by_field = {} if field is None else {"field": field}
        table = predictor(run, images, weights=weights, resources=resources, **by_field)
    if out is None:
        typer.echo(table.to_csv(index=False, float_format="%.6g"), nl=False)
    else:
        write_frame(out, table)
        typer.echo(out)
