"""How problems and names that do not match are laid out for a reader.

What is wrong is found in `io`; here it is only grouped and drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from kinlens.cli.display import Display

if TYPE_CHECKING:
    from rich.table import Table

    from kinlens.records.collection import Mismatch, Problem

__all__ = ["plain_table", "show_mismatches", "show_problems", "show_table"]

_SHOWN_PER_KIND = 5
_SHOWN_MISMATCHES = 20
# Level, colour and heading, the gravest first.
_LEVELS = (
    ("error", "bold red", "Cannot be used"),
    ("skip", "yellow", "Left out"),
    ("note", "cyan", "Used, but worth a look"),
)


def show_problems(display: Display, problems: Sequence[Problem], *, listed_in: str) -> None:
    """Show problems by level and kind, a few of each kind; `listed_in` is the file with all."""
    if display.as_json:
        for problem in problems:
            display.show("problem", asdict(problem))
        return
    for level, colour, heading in _LEVELS:
        found = [problem for problem in problems if problem.level == level]
        if found:
            display.console.print(f"\n[{colour}]{heading}: {len(found):,}[/]")
            show_table(display, _by_kind(found, listed_in))


def show_mismatches(display: Display, mismatches: Sequence[Mismatch]) -> None:
    """Show the names that one file has and another lacks, each with what comes nearest."""
    from rich.markup import escape

    if display.as_json:
        for mismatch in mismatches:
            display.show("mismatch", asdict(mismatch))
        return
    if not mismatches:
        return
    display.console.print(f"\n[yellow]Names without a counterpart: {len(mismatches):,}[/]")
    table = plain_table("name", "rows", "stands in", "not in", "nearest there")
    table.columns[1].justify = "right"
    for mismatch in mismatches[:_SHOWN_MISMATCHES]:
        table.add_row(
            escape(mismatch.name),
            f"{mismatch.rows:,}",
            mismatch.present_in,
            mismatch.missing_from,
            escape(", ".join(mismatch.nearest)) or "[dim]nothing near[/]",
        )
    show_table(display, table)
    if len(mismatches) > _SHOWN_MISMATCHES:
        more = len(mismatches) - _SHOWN_MISMATCHES
        display.console.print(f"  [dim]and {more:,} more in mismatches.tsv[/]")


def plain_table(*columns: str) -> Table:
    """Return an empty table with these columns and no lines."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def show_table(display: Display, table: Table) -> None:
    """Print a table, indented so that headings stand out."""
    from rich.padding import Padding

    display.console.print(Padding(table, (0, 0, 0, 2), expand=False), soft_wrap=False)


def _by_kind(problems: Sequence[Problem], listed_in: str) -> Table:
    from rich.markup import escape

    table = plain_table("kind", "where", "what")
    for code in sorted({problem.code for problem in problems}):
        kind = [problem for problem in problems if problem.code == code]
        for number, problem in enumerate(kind[:_SHOWN_PER_KIND]):
            table.add_row(
                "" if number else escape(code),
                escape(", ".join(part for part in (problem.file, problem.row) if part)),
                escape(problem.reason),
            )
        if len(kind) > _SHOWN_PER_KIND:
            more = len(kind) - _SHOWN_PER_KIND
            table.add_row("", f"[dim]and {more:,} more[/]", f"[dim]all in {escape(listed_in)}[/]")
    return table
