"""Local worker processes that a piece of work is sent to once and numbered items many times.

Workers keep off each other's processors, and end with the process that began them. What is worked
on, and what else could work on it, is the affair of `kinlens.parallel`.
"""

from __future__ import annotations

import os
import pickle
import signal
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import BrokenExecutor
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from kinlens.errors import WorkLostError
from kinlens.optional import need

__all__ = ["IN_FLIGHT_PER_WORKER", "Future", "Work", "in_order", "live_with", "run_in_processes"]

# A place in the sequence and the item at it, to a result.
Work: TypeAlias = Callable[[int, Any], Any]

# Enough to keep every worker busy behind one slow item, few enough to keep memory flat.
IN_FLIGHT_PER_WORKER = 4
_IDLE_SECONDS = 300
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)
# A worker that grew by more is taken to leak, and replaced, with a warning. loky's own 300 MB are
# reached by loading torch and what goes with it.
_LEAK_VARIABLE, _LEAK_BYTES = "LOKY_MAX_MEMORY_LEAK_SIZE", "2e9"
# Starting a worker and importing numerical libraries in it takes a second or more, so a pool
# outlives the call that opened it; loky ends idle workers, and all of them at exit.
_POOLS: dict[int, Any] = {}


class Future(Protocol):
    """A result that is being worked on."""

    def result(self) -> Any:
        """Wait for the result, or raise what the work raised."""


def in_order(
    submit: Callable[[int, Any], Future],
    numbered: Iterable[tuple[int, Any]],
    *,
    in_flight: Callable[[], int],
) -> Iterator[Any]:
    """Yield results in the order of the items, working ahead of the reader, but not far.

    Parameters
    ----------
    submit : callable
        Takes a place and an item and begins the work on it.
    numbered : iterable of (int, object)
        Places and items.
    in_flight : callable
        Returns how many items may be under way now. Ending those that nobody will read, after an
        error, is the affair of whoever owns the workers.
    """
    waiting: deque[Future] = deque()
    for place, item in numbered:
        while len(waiting) >= in_flight():
            yield waiting.popleft().result()
        waiting.append(submit(place, item))
    while waiting:
        yield waiting.popleft().result()


def run_in_processes(
    work: Work, numbered: Iterable[tuple[int, Any]], *, workers: int
) -> Generator[Any]:
    """Yield `work(place, item)` for each of `numbered`, in order, from `workers` processes.

    Parameters
    ----------
    work : callable
        Sent to each worker once.
    numbered : iterable of (int, object)
        Places and items; they and the results travel, so they must be picklable.
    workers : int
        How many processes.

    Raises
    ------
    WorkLostError
        When a worker process dies.
    """
    with tempfile.TemporaryDirectory(prefix="kinlens-", ignore_cleanup_errors=True) as folder:
        # A file, because what the work is bound to may be large, and items are many.
        parcel = Path(folder) / "work"
        parcel.write_bytes(need("cloudpickle").dumps(work))
        pool = _open_pool(workers)
        is_whole = False
        try:
            yield from in_order(
                partial(pool.submit, _work_from_parcel, str(parcel)),
                numbered,
                in_flight=lambda: workers * IN_FLIGHT_PER_WORKER,
            )
            is_whole = True
        except BrokenExecutor as error:
            raise WorkLostError(
                "a worker process ended without a word; most often the machine ran out of memory. "
                "Try fewer --workers; with --resume the finished blocks are not computed again."
            ) from error
        finally:
            # Stopped early, by Ctrl-C, an error or a reader who has seen enough: nobody waits for
            # the items that are still being worked on.
            if not is_whole:
                _close_pool(workers)


def _open_pool(workers: int) -> Any:
    if workers not in _POOLS:
        loky = need("loky")
        threads = str(max(1, loky.cpu_count() // workers))
        _POOLS[workers] = loky.ProcessPoolExecutor(
            workers,
            timeout=_IDLE_SECONDS,
            initializer=live_with,
            initargs=(os.getpid(),),
            # Set before the libraries load, which read them once.
            env={name: os.environ.get(name) or threads for name in _THREAD_VARIABLES}
            | {_LEAK_VARIABLE: os.environ.get(_LEAK_VARIABLE) or _LEAK_BYTES},
        )
    return _POOLS[workers]


def _close_pool(workers: int) -> None:
    pool = _POOLS.pop(workers, None)
    if pool is not None:
        pool.shutdown(wait=True, kill_workers=True)


# In the worker -----------------------------------------------------------------------------------


def live_with(parent: int) -> None:
    """Make this process heed its parent alone, and end when that does.

    Parameters
    ----------
    parent : int
        Number of the process that began this one.
    """
    # Ctrl-C reaches the whole process group; the parent alone decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """End this process when `parent` was killed and nobody will read its results."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _work_from_parcel(parcel: str, place: int, item: Any) -> Any:
    work = _unpacked(parcel)
    try:
        return work(place, item)
    except Exception as error:
        raise _portable(error) from error.__cause__


@lru_cache(maxsize=2)
def _unpacked(parcel: str) -> Work:
    # Our own bytes, from a folder that only this user can open.
    work: Work = need("cloudpickle").loads(Path(parcel).read_bytes())
    return work


def _portable(error: Exception) -> Exception:
    """Return the error itself when it survives the way home, else its words in one that does."""
    try:
        if type(pickle.loads(pickle.dumps(error))) is type(error):  # noqa: S301 - our own bytes
            return error
    except Exception:
        pass
    words = RuntimeError(f"{type(error).__name__}: {error}")
    for note in getattr(error, "__notes__", ()):
        words.add_note(note)
    return words
