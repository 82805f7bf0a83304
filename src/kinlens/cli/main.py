"""The `kinlens` command: it gathers the verbs and turns errors into messages and exit codes."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from kinlens import __version__
from kinlens.cli import (
    check,
    convert,
    demo,
    distances,
    doctor,
    embed,
    explore,
    predict,
    report,
    run,
    search,
    simulate,
)
from kinlens.cli.display import say_error
from kinlens.errors import KinlensError

__all__ = ["app", "main"]

app = typer.Typer(
    name="kinlens",
    epilog="Exit codes: 0 done, 1 our bug, 2 wrong use, 3 bad input, 4 too much was left out, "
    "130 interrupted and resumable.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for verb in (
    demo,
    doctor,
    check,
    simulate,
    convert,
    run,
    predict,
    search,
    report,
    explore,
    embed,
    distances,
):
    verb.register(app)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"kinlens {__version__}")
        raise typer.Exit


@app.callback()
def _top(
    _version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    """Join pictures and sequences of organisms, and test the link between looks and kinship."""


def main() -> None:
    """Run the command; what users can cause ends in one message and a documented exit code."""
    # Looked for here, because errors of parsing come before any option has a value.
    as_json = "--log-json" in sys.argv
    try:
        app()
    except KinlensError as error:
        say_error(str(error), as_json=as_json)
        sys.exit(error.exit_code)
    except Exception:
        # The traceback that follows is what a report of the bug needs.
        say_error(
            f"this is a bug in kinlens {__version__}; please report it with the lines below.",
            as_json=as_json,
        )
        raise
