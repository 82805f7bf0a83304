"""`kinlens explore RUN...`: the page on which runs are looked at and asked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kinlens.cli import options
from kinlens.cli.display import Display

__all__ = ["explore", "register"]


def register(app: typer.Typer) -> None:
    """Add the verb to the command."""
    app.command("explore", rich_help_panel="Work")(explore)


def explore(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN...",
            help="Folders of finished runs of one dataset, or a folder that holds them.",
            show_default=False,
        ),
    ],
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DATASET",
            help="Dataset folder, when it is not beside the run.",
            show_default=False,
        ),
    ] = None,
    export: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Write the explorer as plain files that need no server, and end.",
            show_default=False,
        ),
    ] = None,
    force: options.Force = False,
    host: Annotated[
        str,
        typer.Option(
            help="Address to listen on. Any but this machine's own asks visitors for a token."
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(help="Port; the next free one when it is taken.", min=0, max=65535)
    ] = 8765,
    browser: Annotated[bool, typer.Option(help="Open the page in the browser.")] = True,
    weights: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="The weights that the run was made with, when they came from a file.",
            show_default=False,
        ),
    ] = None,
    device: options.Device = "auto",
) -> None:
    """Look at runs on a page of this machine, and ask them with a picture or a sequence.

    Nothing leaves the machine. Stop it with Ctrl-C.
    """
    from kinlens.explorer.exhibit import open_exhibit

    with Display() as display:
        exhibit = open_exhibit(list(runs), dataset=data)
        for note in exhibit.notes:
            display.note(note)
        if export is not None:
            from kinlens.explorer.site import write_site

            write_site(exhibit, export, progress=display, force=force)
            typer.echo(export / "index.html")
            return
        from kinlens.errors import InputError
        from kinlens.explorer.asking import Answerers
        from kinlens.parallel import Resources
        from kinlens.studies.questions import answerers_for

        try:
            resources = Resources(device=device)
            answerers = answerers_for(exhibit, weights=weights, resources=resources)
        except InputError as error:
            # What a run found can be looked at without the encoder that it was made with.
            display.note(f"It cannot be asked anything: {error}")
            answerers = Answerers()
        open_page = _open_in_browser if browser else None
        from kinlens.explorer.serve import serve_exhibit

        serve_exhibit(
            exhibit, answerers, host=host, port=port, announce=typer.echo, open_page=open_page
        )


def _open_in_browser(address: str) -> None:
    import webbrowser

    webbrowser.open(address)
