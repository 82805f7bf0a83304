"""`kinlens check DATASET`: what a dataset folder holds, what joins, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kinlens.cli import options
from kinlens.cli.display import Display
from kinlens.cli.findings import plain_table, show_mismatches, show_problems, show_table
from kinlens.errors import InputError

if TYPE_CHECKING:
    from kinlens.records.collection import Collection

__all__ = ["check", "register"]


def register(app: typer.Typer) -> None:
    """Add the verb to the command."""
    app.command("check", rich_help_panel="Data")(check)


def check(
    dataset: options.Dataset,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            metavar="FOLDER",
            help="Where mismatches.tsv and skipped.tsv go.",
            show_default="DATASET",
        ),
    ] = None,
    pictures: Annotated[
        bool,
        typer.Option(
            "--pictures/--no-pictures", help="Open and compare every picture, or only its name."
        ),
    ] = True,
    workers: options.Workers = 2,
    log_json: options.LogJson = False,
) -> None:
    """Join a dataset folder, say what does not fit, and write it down.

    Lists what each file holds and how many of its names meet the others; names without a
    counterpart, with the nearest candidates; files, rows and pictures that cannot be used, and
    pictures that are odd or there twice. Nothing in the dataset is changed.

    Ends with exit code 3 when a file cannot be used at all.
    """
    from kinlens.io.folder import read_collection
    from kinlens.io.lint import check_pictures, write_findings
    from kinlens.parallel import Resources

    with Display(as_json=log_json) as display:
        collection = read_collection(dataset)
        if pictures:
            resources = Resources(workers=workers, progress=display)
            collection = check_pictures(collection, resources=resources)
        written = write_findings(collection, out or dataset)
    _show_parts(display, collection)
    show_mismatches(display, collection.mismatches)
    show_problems(display, collection.problems, listed_in="skipped.tsv")
    _show_verdict(display, collection)
    for path in written:
        typer.echo(path)
    errors = [problem for problem in collection.problems if problem.level == "error"]
    if errors:
        raise InputError(
            "files that cannot be used",
            where=dataset,
            offenders=dict.fromkeys(problem.file for problem in errors),
            remedy="Each is explained above.",
        )


def _show_parts(display: Display, collection: Collection) -> None:
    from rich.markup import escape

    parts = collection.parts_frame()
    for row in parts.to_dict("records"):
        display.show("part", {str(key): value for key, value in row.items()})
    if display.as_json:
        return
    compared = {"in_tree": "found in the tree", "with_pictures": "found among pictures"}
    shown = [column for column in compared if (parts[column] != "").any()]
    table = plain_table("part", "holds", *(compared[column] for column in shown))
    for row in parts.to_dict("records"):
        table.add_row(
            str(row["part"]),
            escape(str(row["holds"])),
            *(_coloured_share(str(row[column])) for column in shown),
        )
    display.console.print(f"[bold]{escape(collection.name)}[/]")
    show_table(display, table)


def _coloured_share(share: str) -> str:
    """Colour "14 of 20" by whether all were found."""
    found, _of, total = share.partition(" of ")
    return f"[{'green' if found == total else 'yellow'}]{share}[/]" if share else ""


def _show_verdict(display: Display, collection: Collection) -> None:
    if display.as_json or collection.mismatches:
        return
    n_joined = (collection.parts_frame()[["in_tree", "with_pictures"]] != "").any(axis=1).sum()
    if n_joined:
        display.console.print("\n[green]Every name that is compared has its counterpart.[/]")
