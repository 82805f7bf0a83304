"""How long work tells that it advances, without knowing whether anyone is watching.

Work below the command receives a `Progress` and calls it; the command hands in one that draws
bars on stderr, everything else uses `SILENT`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol, TypeVar

__all__ = ["SILENT", "NamedProgress", "Progress", "SilentProgress", "Task", "tracked"]

Item = TypeVar("Item")


class Task(Protocol):
    """One counted piece of work."""

    def advance(self, steps: int = 1) -> None:
        """Say that `steps` more are done."""


class Progress(Protocol):
    """A place to announce work."""

    def task(
        self, label: str, total: int | None, *, unit: str = ""
    ) -> AbstractContextManager[Task]:
        """Open the work `label` of `total` steps (None when unknown), counted in `unit`."""

    def note(self, text: str) -> None:
        """Say one line to the user that is not an error."""


class _SilentTask:
    def advance(self, steps: int = 1) -> None:
        """Do nothing."""


class SilentProgress:
    """A `Progress` that shows nothing."""

    def task(
        self, label: str, total: int | None, *, unit: str = ""
    ) -> AbstractContextManager[Task]:
        """Return a task that shows nothing of `label`, `total` and `unit`."""
        return nullcontext(_SilentTask())

    def note(self, text: str) -> None:
        """Say nothing."""


SILENT = SilentProgress()


@dataclass(frozen=True)
class NamedProgress:
    """A `Progress` that says whose work it is, where several works share one display.

    Parameters
    ----------
    progress : Progress
        Who is told.
    name : str
        Whose work it is; stands before each label and note.
    """

    progress: Progress
    name: str

    def task(
        self, label: str, total: int | None, *, unit: str = ""
    ) -> AbstractContextManager[Task]:
        """Open the work `label` of `total` steps, counted in `unit`, under its owner's name."""
        return self.progress.task(f"{self.name}: {label}", total, unit=unit)

    def note(self, text: str) -> None:
        """Say the line `text` under its owner's name."""
        self.progress.note(f"{self.name}: {text}")


def tracked(
    items: Iterable[Item],
    progress: Progress,
    label: str,
    *,
    total: int | None = None,
    unit: str = "",
) -> Iterator[Item]:
    """Yield `items`, advancing one step after each.

    Parameters
    ----------
    items : iterable
        What the work is done on.
    progress : Progress
        Who is told.
    label : str
        What the work is called.
    total : int, optional
        How many items there are, when known.
    unit : str
        What is counted.

    Examples
    --------
    >>> list(tracked("ab", SILENT, "letters", total=2))
    ['a', 'b']
    """
    with progress.task(label, total, unit=unit) as task:
        for item in items:
            yield item
            task.advance()
