"""`kinlens search RUN QUERY.fasta`: the known sequences that are nearest to new ones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kinlens.cli import options
from kinlens.cli.display import Display

__all__ = ["register", "search"]


def register(app: typer.Typer) -> None:
    """Add the verb to the command."""
    app.command("search", rich_help_panel="Work")(search)


def search(
    run: Annotated[
        Path, typer.Argument(help="Folder of a finished run of seqdist.", show_default=False)
    ],
    queries: Annotated[Path, typer.Argument(help="FASTA file.", show_default=False)],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="CSV file instead of stdout.")
    ] = None,
    count: Annotated[int, typer.Option(help="Answers for each query.", min=1)] = 10,
    shortlist: Annotated[
        int, typer.Option(help="References whose distance is computed exactly.", min=1)
    ] = 100,
    device: options.Device = "auto",
    workers: options.Workers = 2,
) -> None:
    """Find the nearest sequences of a run: a shortlist by vectors, then exact edit distances."""
    from kinlens.atomic import write_frame
    from kinlens.parallel import Resources
    from kinlens.studies.seqdist_model import search as search_run

    with Display() as display:
        resources = Resources(workers=workers, device=device, progress=display)
        table = search_run(run, queries, count=count, shortlist=shortlist, resources=resources)
    if out is None:
        typer.echo(table.to_csv(index=False), nl=False)
    else:
        write_frame(out, table)
        typer.echo(out)
