"""One writer a folder: a lock that the operating system itself drops when its holder dies.

So there are no stale locks to reason about, after `kill -9` or a power cut either.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO

from kinlens.errors import UsageError

__all__ = ["FolderLock"]

# A process does not conflict with its own record locks, so what it holds is remembered here.
_HELD: set[Path] = set()


class FolderLock:
    """The right to write into a folder, held from construction to `release`.

    Parameters
    ----------
    folder : str or pathlib.Path
        An existing folder.
    name : str
        The lock file's name; it is gone after `release`.

    Raises
    ------
    UsageError
        When another writer holds the folder, or a file cannot be made in it.
    """

    def __init__(self, folder: str | Path, *, name: str = ".lock") -> None:
        self.path = Path(folder).resolve() / name
        if self.path in _HELD:
            raise self._refusal(folder)
        try:
            self._file = self._taken(folder)
        except PermissionError as error:
            raise UsageError(
                f"{folder}: cannot be written to: {error.strerror}. Choose another folder."
            ) from error
        self._is_held = True
        _HELD.add(self.path)

    def release(self) -> None:
        """Give the folder back; doing it twice does no harm."""
        if self._is_held:
            self._is_held = False
            # Removed while still held: a waiting writer then sees that its file is no longer ours.
            with suppress(OSError):
                self.path.unlink(missing_ok=True)
            self._file.close()
            _HELD.discard(self.path)

    def _taken(self, folder: str | Path) -> IO[bytes]:
        while True:
            file = self.path.open("ab")
            try:
                _lock(file)
            except OSError as error:
                file.close()
                raise self._refusal(folder) from error
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(file.fileno()), self.path.stat()):
                    return file
            # Another writer released and removed this file between our two steps.
            file.close()

    def _refusal(self, folder: str | Path) -> UsageError:
        return UsageError(
            f"{folder}: another run is writing here now. Wait until it ends, or choose another "
            "folder."
        )


if sys.platform == "win32":
    import msvcrt

    def _lock(file: IO[bytes]) -> None:
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(file: IO[bytes]) -> None:
        # Record locks, unlike flock, are not inherited by forked data-loading workers.
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
