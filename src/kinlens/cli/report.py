"""`kinlens report RUN...`: one self-contained page on one or several runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kinlens.cli.display import Display
from kinlens.errors import listing

__all__ = ["register", "report"]


def register(app: typer.Typer) -> None:
    """Add the verb to the command."""
    app.command("report", rich_help_panel="Work")(report)


def report(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN...",
            help="Folders of finished runs, or a folder of such.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            metavar="FILE.html",
            help="Page to write.",
            show_default="report.html in the first folder",
        ),
    ] = None,
    title: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Heading of the page.", show_default=False)
    ] = None,
) -> None:
    """Write one page on one or several finished runs.

    The page needs no other file and no network: it can be sent, kept and printed.
    """
    from kinlens.run import unfinished_runs
    from kinlens.studies.runner import write_report

    path = out or runs[0] / "report.html"
    with Display() as display:
        write_report(list(runs), path, title=title)
        left_out = unfinished_runs(runs)
        if left_out:
            display.note(f"Left out, since not finished: {listing(left_out)}")
    typer.echo(path)
