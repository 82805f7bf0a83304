"""What the command shows on stderr: progress bars, notes, tables, errors.

Bars appear on terminals only; in a log file each piece of work leaves one line. With
``--log-json`` everything is one JSON object a line.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from kinlens.progress import Task

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

__all__ = ["Display", "say_error", "stderr_console"]

_SECONDS_BETWEEN_EVENTS = 1.0
_PIPE_WIDTH = 10_000


def stderr_console() -> Console:
    """Return a console that writes to stderr.

    In a pipe rows of tables are not folded, unless ``COLUMNS`` says how wide they may be.
    """
    from rich.console import Console

    width = None if sys.stderr.isatty() or "COLUMNS" in os.environ else _PIPE_WIDTH
    return Console(stderr=True, highlight=False, soft_wrap=True, width=width)


def say_error(message: str, *, as_json: bool = False) -> None:
    """Print one error, its first word in red."""
    if as_json:
        _write_event("error", {"message": message}, level="error")
        return
    from rich.markup import escape

    stderr_console().print(f"[bold red]Error:[/] {escape(message)}")


class Display:
    """A `kinlens.progress.Progress` that draws on stderr.

    Use as a context manager, so that bars are cleared before anything else is printed. Ctrl-C
    inside it ends the program with exit code 130 and a word on how to go on.
    """

    def __init__(self, *, as_json: bool = False, how_to_go_on: str = "") -> None:
        self.as_json = as_json
        self.console = stderr_console()
        self._how_to_go_on = how_to_go_on
        self._bars: RichProgress | None = None

    def __reduce__(self) -> tuple[Callable[[], Display], tuple[()]]:
        """Go to other processes without bars, which only one process can draw."""
        return partial(Display, as_json=self.as_json), ()

    def __enter__(self) -> Display:
        if self.console.is_terminal and not self.as_json:
            self._bars = _bars(self.console)
            self._bars.start()
        return self

    def __exit__(self, _kind: object, error: object, _trace: object) -> None:
        if self._bars is not None:
            self._bars.stop()
            self._bars = None
        if isinstance(error, KeyboardInterrupt):
            self.note(f"Interrupted. {self._how_to_go_on}".strip())
            # The command line's own library words an interruption, and chooses its exit code,
            # in another way from release to release.
            raise SystemExit(130)

    def task(
        self, label: str, total: int | None, *, unit: str = ""
    ) -> AbstractContextManager[Task]:
        """Open a bar, or a line in a log."""
        if self.as_json:
            return _task_as_events(label, total, unit)
        return self._task(label, total, unit)

    def note(self, text: str) -> None:
        """Print one line."""
        if self.as_json:
            _write_event("note", {"message": text})
        else:
            self.console.print(text, markup=False)

    def show(
        self, event: str, fields: Mapping[str, object], *, drawn: RenderableType | None = None
    ) -> None:
        """Print something: `fields` when programs read along, else what is `drawn` for people."""
        if self.as_json:
            _write_event(event, fields)
        elif drawn is not None:
            self.console.print(drawn)

    @contextmanager
    def _task(self, label: str, total: int | None, unit: str) -> Iterator[Task]:
        started = time.perf_counter()
        if self._bars is None:
            counter = _Counter()
            yield counter
            count = counter.count
        else:
            bar = self._bars.add_task(label, total=total, unit=f"{unit}s/s" if unit else "/s")
            drawn = _Bar(self._bars, bar)
            try:
                yield drawn
            finally:
                self._bars.remove_task(bar)
            count = drawn.count
        seconds = time.perf_counter() - started
        rate = f", {_worded_rate(count / seconds)} {unit}s/s" if unit and seconds > 0.5 else ""
        self.console.print(f"  {label}: {seconds:.1f} s{rate}", style="dim", markup=False)


def _worded_rate(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"


class _Counter:
    def __init__(self) -> None:
        self.count = 0

    def advance(self, steps: int = 1) -> None:
        """Count."""
        self.count += steps


class _Bar(_Counter):
    def __init__(self, bars: RichProgress, bar: TaskID) -> None:
        super().__init__()
        self._bars, self._bar = bars, bar

    def advance(self, steps: int = 1) -> None:
        """Count and draw."""
        super().advance(steps)
        self._bars.advance(self._bar, steps)


class _EventCounter(_Counter):
    """Counts, and says so about once a second."""

    def __init__(self, label: str, total: int | None) -> None:
        super().__init__()
        self._label, self._total = label, total
        self._said = time.perf_counter()

    def advance(self, steps: int = 1) -> None:
        """Count and tell."""
        super().advance(steps)
        if time.perf_counter() - self._said >= _SECONDS_BETWEEN_EVENTS:
            self._said = time.perf_counter()
            fields = {"task": self._label, "done": self.count, "total": self._total}
            _write_event("progress", fields)


@contextmanager
def _task_as_events(label: str, total: int | None, unit: str) -> Iterator[Task]:
    started = time.perf_counter()
    _write_event("begin", {"task": label, "total": total, "unit": unit})
    counter = _EventCounter(label, total)
    yield counter
    seconds = round(time.perf_counter() - started, 3)
    _write_event("end", {"task": label, "done": counter.count, "seconds": seconds})


def _write_event(event: str, fields: Mapping[str, Any], *, level: str = "info") -> None:
    from kinlens.atomic import plain
    from kinlens.events import now

    line = {"time": now(), "level": level, "event": event} | plain(fields)
    sys.stderr.write(json.dumps(line, ensure_ascii=False) + "\n")
    sys.stderr.flush()


def _bars(console: Console) -> RichProgress:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Task as RichTask
    from rich.text import Text

    class RateColumn(ProgressColumn):
        def render(self, task: RichTask) -> Text:
            if not task.speed:
                return Text("")
            return Text(f"{_worded_rate(task.speed)} {task.fields['unit']}", style="dim")

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        RateColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
