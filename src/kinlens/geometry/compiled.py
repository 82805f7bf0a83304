"""How functions become machine code: compiled when first called, then kept on disk.

A second process loads the code in milliseconds. Where no folder can be written to, each process
compiles anew instead of failing. What is compiled is decided where it is used.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from numba import njit
from numba.core import caching as _caching

__all__ = ["compiled"]

# numba has no types for it.
caching: Any = _caching
Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function, *, fastmath: bool | set[str] = False) -> Function:
    """Compile `function` with numba when it is first called; while it runs, other threads may too.

    Functions that it calls may be compiled ones of its own folder and of `kinlens.geometry`.

    Parameters
    ----------
    function : callable
        What to compile.
    fastmath : bool or set of str
        Which liberties LLVM may take with floating-point numbers, by its names, such as
        ``{"contract", "reassoc"}``.

    Examples
    --------
    >>> @compiled
    ... def added(a, b):
    ...     return a + b
    >>> added(1, 2)
    3
    """
    dispatcher: Any = njit(nogil=True, fastmath=fastmath)(function)
    # Raised where neither __pycache__ nor the user's cache folder can be written to.
    with suppress(RuntimeError):
        dispatcher._cache = _Cache(function)
    result: Function = dispatcher
    return result


class _Cache(caching.FunctionCache):
    """Machine code that is thrown away when any file it may have come from changes.

    numba itself looks at the file of the function alone, and would go on to use, after an upgrade,
    what was compiled from other files.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        file = Path(inspect.getfile(function))
        self._cache_file = caching.IndexDataCacheFile(
            cache_path=self.cache_path,
            filename_base=self._impl.filename_base,
            source_stamp=(_digest(file), _digest_of(file.parent), _digest_of_floor()),
        )

    def load_overload(self, signature: Any, context: Any) -> Any:
        # What cannot be read, say half a file after a power cut, is compiled anew.
        with suppress(Exception):
            return super().load_overload(signature, context)
        return None

    def save_overload(self, signature: Any, code: Any) -> None:
        # A full disk must not stop a computation whose code is already in memory.
        with suppress(OSError):
            super().save_overload(signature, code)


@lru_cache
def _digest(*paths: Path) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()


@lru_cache
def _digest_of(folder: Path) -> str:
    """Return what stands for all files of a folder that machine code is made from."""
    marks = (b"numba", b"@kernel")
    files = sorted(folder.glob("*.py"))
    return _digest(*[path for path in files if any(mark in path.read_bytes() for mark in marks)])


def _digest_of_floor() -> str:
    """Return what stands for the machine code of this folder, which others build on."""
    return _digest_of(Path(__file__).parent)
