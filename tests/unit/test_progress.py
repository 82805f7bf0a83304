"""Progress is announced to whoever watches, one step an item."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from kinlens.progress import SILENT, NamedProgress, tracked


class Recorder:
    """A progress display that remembers."""

    def __init__(self) -> None:
        self.events: list[object] = []

    @contextmanager
    def task(self, label: str, total: int | None, *, unit: str = "") -> Iterator[Recorder]:
        self.events.append((label, total, unit))
        yield self
        self.events.append("closed")

    def advance(self, steps: int = 1) -> None:
        self.events.append(steps)

    def note(self, text: str) -> None:
        self.events.append(text)


def test_tracked_advances_after_each_item_is_done() -> None:
    progress = Recorder()
    seen = []
    for letter in tracked("ab", progress, "letters", total=2, unit="letter"):
        seen.append((letter, len(progress.events)))
    assert seen == [("a", 1), ("b", 2)]
    assert progress.events == [("letters", 2, "letter"), 1, 1, "closed"]


def test_works_that_share_a_display_are_told_apart() -> None:
    progress = Recorder()
    named = NamedProgress(progress, "taxa")
    with named.task("Encoding", 2, unit="image") as task:
        task.advance()
    named.note("done")
    assert progress.events == [("taxa: Encoding", 2, "image"), 1, "closed", "taxa: done"]


def test_silence_takes_everything(capsys: object) -> None:
    with SILENT.task("work", None) as task:
        task.advance()
        task.advance(5)
    SILENT.note("nobody hears this")
    assert list(tracked([1, 2], SILENT, "numbers")) == [1, 2]
