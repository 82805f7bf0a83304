"""What happened in a run, one JSON object a line, for programs that watch it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Literal

from kinlens.atomic import plain

__all__ = ["EventLog", "now"]


class EventLog:
    """Appends to a file one JSON object a line: time, level, event and the event's own fields.

    Parameters
    ----------
    path : str or pathlib.Path
        The file; a last line that a killed process left unfinished is cut off.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._file: IO[bytes] | None = None

    def write(
        self,
        event: str,
        fields: Mapping[str, Any] | None = None,
        *,
        level: Literal["info", "warning", "error"] = "info",
    ) -> None:
        """Append one event.

        Parameters
        ----------
        event : str
            What happened, in one word or two.
        fields : mapping, optional
            Anything that `write_json` takes.
        level : {"info", "warning", "error"}
            How much it matters.
        """
        line = {"time": now(), "level": level, "event": event} | plain(fields or {})
        if self._file is None:
            self._file = self._opened()
        self._file.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file; a later `write` opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _opened(self) -> IO[bytes]:
        if self.path.is_file():
            whole = self.path.read_bytes().rfind(b"\n") + 1
            os.truncate(self.path, whole)
        return self.path.open("ab")


def now() -> str:
    """Return the present time in UTC, to the millisecond, as ISO 8601 writes it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
