"""Pictures from strangers: held in a folder of their own, decoded in a process with limits.

What comes out is a file of bare pixels; name, metadata and bytes of the upload go no further.
"""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from kinlens.errors import KinlensError

__all__ = ["MOST_BYTES", "MOST_LETTERS", "MOST_SEQUENCES", "PictureDecoder", "UploadError"]

MOST_BYTES = 32 * 2**20
"""Largest upload."""
MOST_SEQUENCES = 20
"""Sequences in one question."""
MOST_LETTERS = 200_000
"""Letters in all of them."""


# A process that is slower to import its libraries than this fails at its first picture.
_START_SECONDS = 60


class UploadError(KinlensError):
    """An upload that is refused; the message is for whoever sent it.

    Parameters
    ----------
    message : str
        A sentence that names nothing on this machine.
    status : int
        The HTTP status.
    """

    def __init__(self, message: str, *, status: int = 422) -> None:
        super().__init__(message)
        self.status = status


class PictureDecoder:
    """One warm process that decodes pictures in turn; it is replaced when one takes too long.

    Parameters
    ----------
    seconds : float
        Time for one picture.
    """

    def __init__(self, *, seconds: float = 10.0) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start the process and wait until it is ready, so that no picture waits for it."""
        with self._lock:
            self._running()

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._end()

    @contextmanager
    def decoded(self, content: bytes) -> Iterator[Path]:
        """Hand out a file with the pixels of an uploaded picture; it is gone afterwards.

        Parameters
        ----------
        content : bytes
            What was uploaded.

        Raises
        ------
        UploadError
            When it is no picture, too large, or takes too long.
        """
        if not content:
            raise UploadError("The upload is empty.")
        with TemporaryDirectory(prefix="kinlens-upload-") as folder:
            upload = Path(folder) / "upload"
            upload.write_bytes(content)
            answer = self._ask(upload)
            upload.unlink()
            if "picture" not in answer:
                raise UploadError(f"This cannot be used as a picture: {answer.get('problem', '')}")
            yield Path(folder) / "picture.ppm"

    def _ask(self, upload: Path) -> dict[str, str]:
        with self._lock:
            process = self._running()
            assert process.stdin is not None
            try:
                process.stdin.write(f"{upload}\n")
                process.stdin.flush()
                line = _line_of(process, self._seconds)
            except OSError:
                line = ""  # it ended before it was asked
            if not line:
                self._end()
                broke = "took too much memory or broke its decoder"
                reason = "took too long" if line is None else broke
                raise UploadError(f"This picture {reason}; it was given up.")
        answer: dict[str, str] = json.loads(line)
        return answer

    def _running(self) -> subprocess.Popen[str]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self._end()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "kinlens.explorer.decoder"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        )
        _line_of(self._process, _START_SECONDS)
        return self._process

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()


def _line_of(process: subprocess.Popen[str], seconds: float) -> str | None:
    """Wait for a line: None when none comes in time, "" when the process has ended."""
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        return process.stdout.readline() if selector.select(seconds) else None
