"""One function over many blocks: in this process, in local processes, or on a Dask cluster.

The answer and its order are the same on all three. This is the only file that knows Dask; what a
block is, and where finished blocks are kept, is the caller's affair.
"""

from __future__ import annotations

import asyncio
import reprlib
import sys
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from kinlens.errors import UsageError, WorkLostError
from kinlens.optional import need
from kinlens.processes import IN_FLIGHT_PER_WORKER, Work, in_order, run_in_processes
from kinlens.progress import SILENT, Progress

if TYPE_CHECKING:
    import torch

__all__ = ["BlockLedger", "Resources", "map_blocks", "torch_device"]

Block = TypeVar("Block")
Result = TypeVar("Result")

_CONNECT_SECONDS = 5
_GO_ON = "With --resume the finished blocks are not computed again."


@dataclass(frozen=True)
class Resources:
    """Where work runs, and who watches it; nothing here changes a result.

    Parameters
    ----------
    workers : int
        Local processes; 1 works in this process.
    scheduler : str, optional
        Address of a Dask scheduler, such as ``tcp://node7:8786``; it wins over `workers`.
    device : {"auto", "cpu", "cuda"}
        Where networks compute. ``cuda:1`` names one of several.
    progress : Progress
        Who is told how work advances.
    cache : pathlib.Path, optional
        Folder for results that other runs may use again.
    """

    workers: int = 1
    scheduler: str | None = None
    device: str = "auto"
    progress: Progress = SILENT
    cache: Path | None = None

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise UsageError(f"workers must be 1 or more, not {self.workers}.")
        if self.device.partition(":")[0] not in ("auto", "cpu", "cuda"):
            raise UsageError(f"device must be auto, cpu or cuda, not {self.device!r}.")


class BlockLedger(Protocol):
    """Where `map_blocks` keeps finished blocks, so that an interrupted run can go on."""

    def has(self, key: str) -> bool:
        """Tell whether the block of this key is kept."""

    def load(self, key: str) -> Any:
        """Return what was stored, or raise KeyError when it is missing or damaged."""

    def store(self, key: str, result: Any) -> None:
        """Keep `result` under `key`, whole or not at all."""


def map_blocks(
    function: Callable[[Block], Result],
    blocks: Sequence[Block],
    *,
    resources: Resources | None = None,
    ledger: BlockLedger | None = None,
    label: str = "",
    unit: str = "block",
    size_of: Callable[[Block], int] | None = None,
) -> Iterator[Result]:
    """Call `function` on each block and yield the results in the order of the blocks.

    Parameters
    ----------
    function : callable
        Takes one block. With workers or a scheduler it is sent to other processes once, and its
        blocks and results travel too, so all three must be picklable.
    blocks : sequence
        The pieces of work. The result may depend on the block alone.
    resources : Resources, optional
        Where to work; in this process when left out.
    ledger : BlockLedger, optional
        Finished blocks are kept here and not computed again. Its fingerprint has to cover
        whatever `function` is bound to; the key of a block covers the block.
    label : str
        What the progress display calls the work; empty shows nothing.
    unit : str
        What is counted, such as ``"image"``.
    size_of : callable, optional
        How many units a block holds; 1 when left out.

    Yields
    ------
    object
        One result a block. At most four blocks a worker are under way ahead of the one yielded.

    Raises
    ------
    UsageError
        When the scheduler cannot be reached.
    WorkLostError
        When a worker process or the scheduler is lost for good.

    Notes
    -----
    An error raised by `function` arrives as it is, with a note that names the block.

    Examples
    --------
    >>> list(map_blocks(abs, [-1, 2, -3], resources=Resources(workers=1)))
    [1, 2, 3]
    """
    resources = resources or Resources()
    keys = [_block_key(block) for block in blocks] if ledger is not None else []
    is_kept = [ledger is not None and ledger.has(key) for key in keys] or [False] * len(blocks)
    work = partial(_work_on, function, len(blocks), unit)
    missing = [(place, block) for place, block in enumerate(blocks) if not is_kept[place]]
    computed = _computed(work, missing, resources)
    sizes = [size_of(block) for block in blocks] if size_of else [1] * len(blocks)
    progress = resources.progress if label else SILENT
    with closing(computed), progress.task(label, sum(sizes), unit=unit) as task:
        for place, block in enumerate(blocks):
            if ledger is None:
                result = next(computed)
            elif is_kept[place]:
                try:
                    result = ledger.load(keys[place])
                except KeyError:
                    result = work(place, block)
                    ledger.store(keys[place], result)
            else:
                result = next(computed)
                ledger.store(keys[place], result)
            task.advance(sizes[place])
            yield result


def torch_device(name: str = "auto") -> torch.device:
    """Choose the device once, at the edge.

    Parameters
    ----------
    name : {"auto", "cpu", "cuda"}
        ``auto`` takes a CUDA device when there is one; ``cuda:1`` names one of several.

    Returns
    -------
    torch.device
        The device to hand to everything that computes.

    Raises
    ------
    UsageError
        When a CUDA device is asked for and there is none.

    Examples
    --------
    >>> torch_device("cpu")
    device(type='cpu')
    """
    library = need("torch")
    kind, _, number = name.partition(":")
    if kind not in ("auto", "cpu", "cuda") or not (number or "0").isdigit():
        raise UsageError(f"device must be auto, cpu or cuda, not {name!r}.")
    present = library.cuda.device_count() if library.cuda.is_available() else 0
    if kind == "auto":
        name = "cuda" if present else "cpu"
    elif kind == "cuda" and int(number or "0") >= present:
        raise UsageError(
            f"device {name!r} was asked for, but this machine shows {present} CUDA devices to "
            "torch. Use --device auto or cpu."
        )
    device: torch.device = library.device(name)
    return device


def _block_key(block: object) -> str:
    """Return a name for the block's content, the same in every process."""
    return str(need("joblib").hash(block, hash_name="sha1"))


def _work_on(function: Callable[[Any], Any], total: int, unit: str, place: int, block: Any) -> Any:
    """Call `function`; an error goes on with a note that says which block it was."""
    try:
        return function(block)
    except Exception as error:
        error.add_note(f"while working on {unit} {place + 1} of {total}: {reprlib.repr(block)}")
        raise


def _computed(
    work: Work, numbered: Sequence[tuple[int, Any]], resources: Resources
) -> Generator[Any]:
    """Yield the results of the blocks that are not kept yet, in order."""
    if not numbered:
        return
    if resources.scheduler is not None:
        yield from _on_dask(work, numbered, resources.scheduler, resources.progress)
    elif resources.workers == 1:
        for place, block in numbered:
            yield work(place, block)
    else:
        workers = min(resources.workers, len(numbered))
        yield from run_in_processes(work, numbered, workers=workers)


# Dask --------------------------------------------------------------------------------------------


def _on_dask(
    work: Work, numbered: Sequence[tuple[int, Any]], address: str, progress: Progress
) -> Generator[Any]:
    killed_worker = need("distributed.scheduler").KilledWorker
    with _dask_client(address) as client:
        if not client.nthreads():
            progress.note(f"Waiting for a Dask worker at {address}.")
        # A task of its own, so that each worker gets the work once, and one that joins in the
        # place of a dead one gets it too.
        parcel = client.submit(_unchanged, work, pure=False)
        try:
            yield from in_order(
                lambda place, block: client.submit(
                    _work_on_one_thread, parcel, place, block, pure=False
                ),
                numbered,
                in_flight=_window_of(client),
            )
        except killed_worker as error:
            raise WorkLostError(
                f"one block ended several Dask workers at {address} in turn; most often they ran "
                f"out of memory. {_GO_ON}"
            ) from error
        except (CancelledError, OSError) as error:
            if getattr(error, "__notes__", None):
                raise  # from the function itself, whose errors carry a note
            raise WorkLostError(
                f"the connection to the Dask scheduler at {address} was lost. {_GO_ON}"
            ) from error


def _window_of(client: Any) -> Callable[[], int]:
    """Follow how many threads the cluster has; workers come and go, but not within a second."""
    threads, counted_at = 0, -inf

    def in_flight() -> int:
        nonlocal threads, counted_at
        if time.monotonic() - counted_at > 1:
            threads, counted_at = sum(client.nthreads().values()), time.monotonic()
        return IN_FLIGHT_PER_WORKER * max(1, threads)

    return in_flight


@contextmanager
def _dask_client(address: str) -> Iterator[Any]:
    distributed = need("distributed")
    try:
        # In a thread of its own, because a notebook already runs an event loop in this one.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, _probed(address)).result()
        client = distributed.Client(address, timeout=_CONNECT_SECONDS, set_as_default=False)
    except Exception as error:
        # Whatever answers in a language other than Dask's fails in its own way.
        words = str(error) or "it accepts the connection but says nothing that Dask knows"
        raise UsageError(
            f"no Dask scheduler answers at {address!r}: {words}. Start one with `dask scheduler` "
            "and give the address that it prints, such as tcp://127.0.0.1:8786."
        ) from error
    with (
        # A lost scheduler is noticed within seconds, not after half a minute for each request,
        need("dask").config.set({"distributed.comm.timeouts.connect": _CONNECT_SECONDS}),
        # and told in the one sentence of our error, not in several tracebacks as well.
        need("distributed.utils").silence_logging_cmgr("critical"),
    ):
        try:
            yield client
        finally:
            with suppress(OSError, TimeoutError):
                client.close(timeout=_CONNECT_SECONDS)


async def _probed(address: str) -> None:
    """Shake hands with the scheduler; the client's own attempt waits for an answer for ever."""
    distributed = need("distributed")
    security = distributed.Security().get_connection_args("client")
    reach = distributed.comm.connect(address, timeout=_CONNECT_SECONDS, **security)
    comm = await asyncio.wait_for(reach, _CONNECT_SECONDS + 1)
    await comm.close()


def _unchanged(work: Work) -> Work:
    return work


def _work_on_one_thread(work: Work, place: int, block: Any) -> Any:
    """Work on a Dask worker, which already runs as many tasks as it has threads."""
    if "numba" in sys.modules:
        need("numba").set_num_threads(1)
    with need("threadpoolctl").threadpool_limits(1):
        return work(place, block)
