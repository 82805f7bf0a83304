"""The same answer in the same order: alone, with local workers and on a Dask cluster.

Functions are defined inside the tests, so that they travel to the workers by value.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from kinlens.errors import InputError, UsageError, WorkLostError
from kinlens.ledger import FolderLedger
from kinlens.parallel import Resources, map_blocks, torch_device

TWO = Resources(workers=2)
BOTH = pytest.mark.parametrize("resources", [Resources(), TWO], ids=["serial", "two workers"])


def numbers_of(marks: Path | None = None) -> Callable[[tuple[int, int]], np.ndarray]:
    """Random numbers that depend on the block, some after a while; who works leaves a mark."""

    def numbers(block: tuple[int, int]) -> np.ndarray:
        place, seed = block
        time.sleep(0.05 if place % 3 == 0 else 0.005)
        if marks is not None:
            (marks / str(os.getpid())).touch()
        return np.random.default_rng(seed).random(100) @ np.ones((100, 3))

    return numbers


BLOCKS = [(place, place * 31) for place in range(24)]


def as_bytes(results: Iterator[np.ndarray]) -> bytes:
    return b"".join(result.tobytes() for result in results)


# The answer --------------------------------------------------------------------------------------


def test_two_workers_give_the_bytes_of_one() -> None:
    serial = as_bytes(map_blocks(numbers_of(), BLOCKS))
    assert len(serial) == 24 * 3 * 8
    assert as_bytes(map_blocks(numbers_of(), BLOCKS, resources=TWO)) == serial


@BOTH
def test_no_blocks_and_fewer_blocks_than_workers(resources: Resources) -> None:
    assert list(map_blocks(abs, [], resources=resources)) == []
    assert list(map_blocks(abs, [-1], resources=resources)) == [1]


@BOTH
def test_what_a_function_is_bound_to_travels_with_it(resources: Resources) -> None:
    table = np.arange(300_000.0)
    pick = partial(np.take, table)
    assert list(map_blocks(pick, [5, 299_999], resources=resources)) == [5.0, 299_999.0]


def test_work_runs_in_as_many_processes_as_asked() -> None:
    def where(block: int) -> int:
        time.sleep(0.1)
        return os.getpid()

    processes = set(map_blocks(where, range(8), resources=TWO))
    assert len(processes) == 2
    assert os.getpid() not in processes
    assert set(map_blocks(where, range(2))) == {os.getpid()}


def test_workers_share_the_processors_and_do_not_crowd_them() -> None:
    def threads(block: int) -> list[int]:
        import numba
        import threadpoolctl

        np.ones((200, 200)) @ np.ones((200, 200))
        return [
            numba.get_num_threads(),
            *(x["num_threads"] for x in threadpoolctl.threadpool_info()),
        ]

    share = max(1, len(os.sched_getaffinity(0)) // 2)
    for counts in map_blocks(threads, range(2), resources=TWO):
        assert len(counts) > 1
        assert max(counts) <= share


def test_few_blocks_are_under_way_ahead_of_the_reader(tmp_path: Path) -> None:
    def touch(block: int) -> int:
        (tmp_path / str(block)).touch()
        return block

    results = map_blocks(touch, range(100), resources=TWO)
    assert next(results) == 0
    time.sleep(0.3)
    assert 1 <= len(list(tmp_path.iterdir())) <= 9
    assert list(results) == list(range(1, 100))


# Faults ------------------------------------------------------------------------------------------


@BOTH
def test_an_error_arrives_as_it_is_and_names_its_block(resources: Resources) -> None:
    def refuse(block: str) -> str:
        if block == "c.jpg":
            raise InputError("truncated", where=block, remedy="Copy it again.")
        return block

    results = map_blocks(refuse, ["a.jpg", "b.jpg", "c.jpg"], resources=resources, unit="image")
    assert next(results) == "a.jpg"
    assert next(results) == "b.jpg"
    with pytest.raises(InputError) as caught:
        next(results)
    assert str(caught.value) == "c.jpg: truncated. Copy it again."
    assert caught.value.__notes__ == ["while working on image 3 of 3: 'c.jpg'"]


def test_an_error_that_cannot_travel_arrives_in_words() -> None:
    def refuse(block: int) -> None:
        class LocalError(Exception):
            def __reduce__(self) -> Any:
                raise TypeError("not me")

        raise LocalError("the file is odd")

    with pytest.raises(RuntimeError, match="LocalError: the file is odd") as caught:
        list(map_blocks(refuse, [1, 2], resources=TWO))
    assert "block 1 of 2" in caught.value.__notes__[0]


def test_a_worker_that_is_killed_is_said_and_the_next_call_works() -> None:
    def die(block: int) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(WorkLostError, match=r"Try fewer --workers"):
        list(map_blocks(die, range(4), resources=TWO))
    assert list(map_blocks(abs, [-1, -2], resources=TWO)) == [1, 2]


def test_a_reader_who_stops_early_does_not_wait() -> None:
    def slow(block: int) -> int:
        time.sleep(0 if block == 0 else 60)
        return block

    began = time.monotonic()
    with closing(map_blocks(slow, range(10), resources=TWO)) as results:
        assert next(results) == 0
    assert time.monotonic() - began < 10


_LONG_WORK = """
import os, signal, sys, time
from pathlib import Path
from kinlens.parallel import Resources, map_blocks

# Tests that run in the background of a shell inherit that interrupts are ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)

def work(block):
    Path(sys_argv[1], str(os.getpid())).touch()
    time.sleep(60)

sys_argv = sys.argv
list(map_blocks(work, range(4), resources=Resources(workers=2)))
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_workers_end_with_the_process_that_began_them(tmp_path: Path, how: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _LONG_WORK, str(tmp_path)],
        start_new_session=True,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        wait_until(lambda: len(list(tmp_path.iterdir())) == 2)
        workers = [psutil.Process(int(path.name)) for path in tmp_path.iterdir()]
        if how is signal.SIGINT:
            os.killpg(process.pid, how)  # as the terminal does
        else:
            process.send_signal(how)
        _, words = process.communicate(timeout=20)
        _, alive = psutil.wait_procs(workers, timeout=10)
        assert alive == []
    if how is signal.SIGINT:
        assert words.rstrip().endswith("KeyboardInterrupt")
        assert words.count("Traceback") == 1  # the workers keep quiet


def wait_until(is_so: Callable[[], bool], *, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


@pytest.mark.parametrize("fault", [{"workers": 0}, {"workers": -2}, {"device": "tpu"}])
def test_resources_that_cannot_be_are_refused(fault: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"workers must be|device must be"):
        Resources(**fault)


# Progress and resuming ---------------------------------------------------------------------------


class Watcher:
    """A progress display that remembers."""

    def __init__(self) -> None:
        self.events: list[object] = []

    @contextmanager
    def task(self, label: str, total: int | None, *, unit: str = "") -> Iterator[Watcher]:
        self.events.append((label, total, unit))
        yield self
        self.events.append("closed")

    def advance(self, steps: int = 1) -> None:
        self.events.append(steps)

    def note(self, text: str) -> None:
        self.events.append(text)


@pytest.mark.parametrize("workers", [1, 2])
def test_progress_counts_what_the_blocks_hold(workers: int) -> None:
    watcher = Watcher()
    blocks = [["a", "b"], ["c"]]
    done = map_blocks(
        len,
        blocks,
        resources=Resources(workers=workers, progress=watcher),
        label="embedding",
        unit="image",
        size_of=len,
    )
    assert list(done) == [2, 1]
    assert watcher.events == [("embedding", 3, "image"), 2, 1, "closed"]


def test_work_without_a_label_is_not_announced() -> None:
    watcher = Watcher()
    list(map_blocks(abs, [1], resources=Resources(progress=watcher)))
    assert watcher.events == []


def counting(folder: Path) -> Callable[[int], int]:
    """Work that leaves one mark a call."""

    def work(block: int) -> int:
        with (folder / "calls").open("a") as file:
            file.write(f"{block}\n")
        return block**2

    return work


def calls(folder: Path) -> list[int]:
    file = folder / "calls"
    return sorted(int(line) for line in file.read_text().split()) if file.exists() else []


@BOTH
def test_finished_blocks_are_not_computed_again(tmp_path: Path, resources: Resources) -> None:
    ledger = FolderLedger(tmp_path / "ledger", "f")
    first = map_blocks(counting(tmp_path), range(5), ledger=ledger, resources=resources)
    assert list(first) == [0, 1, 4, 9, 16]
    (ledger.folder / "damaged").touch()
    again = map_blocks(counting(tmp_path), range(3, 7), ledger=ledger, resources=resources)
    assert list(again) == [9, 16, 25, 36]
    assert calls(tmp_path) == [0, 1, 2, 3, 4, 5, 6]


@BOTH
def test_a_damaged_block_is_computed_again_and_kept(tmp_path: Path, resources: Resources) -> None:
    ledger = FolderLedger(tmp_path / "ledger", "f")
    list(map_blocks(counting(tmp_path), range(3), ledger=ledger))
    next(ledger.folder.iterdir()).write_bytes(b"")
    for _ in range(2):
        again = map_blocks(counting(tmp_path), range(3), ledger=ledger, resources=resources)
        assert list(again) == [0, 1, 4]
    assert len(calls(tmp_path)) == 4


def test_blocks_are_told_apart_by_content(tmp_path: Path) -> None:
    def total(block: tuple[str, np.ndarray]) -> float:
        return float(block[1].sum())

    ledger = FolderLedger(tmp_path, "f")
    blocks = [("a", np.arange(3.0)), ("a", np.arange(3.0) + 1e-9), ("b", np.arange(3.0))]
    list(map_blocks(total, blocks, ledger=ledger))
    assert len(ledger) == 3
    list(map_blocks(total, pickle.loads(pickle.dumps(blocks)), ledger=ledger))
    assert len(ledger) == 3


# Dask --------------------------------------------------------------------------------------------


class Cluster:
    """A real scheduler and two real workers on loopback."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        place = folder / "scheduler.json"
        quiet = ["--no-dashboard"]
        self.scheduler = self._start(
            "scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", place, *quiet
        )
        wait_until(place.exists)
        wait_until(lambda: place.read_text().endswith("}"))
        self.address = json.loads(place.read_text())["address"]
        self.workers = [
            self._start("worker", self.address, "--nthreads", "1", "--no-nanny", *quiet)
            for _ in range(2)
        ]

    def _start(self, kind: str, *options: object) -> subprocess.Popen[bytes]:
        with (self.folder / f"{kind}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "dask", kind, *map(str, options)],
                cwd=self.folder,
                stdout=log,
                stderr=log,
            )

    def close(self) -> None:
        for process in [*self.workers, self.scheduler]:
            process.kill()
            process.wait()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    distributed = pytest.importorskip("distributed")
    made = Cluster(tmp_path)
    with distributed.Client(made.address, timeout=10, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=30)
    yield made
    made.close()


def test_a_cluster_that_loses_a_worker_gives_the_bytes_of_one_process(
    cluster: Cluster, tmp_path: Path
) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    serial = as_bytes(map_blocks(numbers_of(), BLOCKS))
    watcher = Watcher()
    resources = Resources(scheduler=cluster.address, progress=watcher)
    results = []
    for result in map_blocks(numbers_of(marks), BLOCKS, resources=resources, label="numbers"):
        results.append(result)
        if len(results) == 5:
            assert {int(mark.name) for mark in marks.iterdir()} == {w.pid for w in cluster.workers}
            cluster.workers[0].send_signal(signal.SIGKILL)
    assert cluster.workers[0].wait() == -signal.SIGKILL
    assert as_bytes(iter(results)) == serial
    assert watcher.events.count(1) == len(BLOCKS)

    # The same cluster, now one worker short: an error of the function is the function's own.
    def refuse(block: int) -> int:
        if block == 2:
            raise FileNotFoundError("c.jpg")
        return block

    with pytest.raises(FileNotFoundError, match=r"c\.jpg") as caught:
        list(map_blocks(refuse, range(4), resources=Resources(scheduler=cluster.address)))
    assert caught.value.__notes__ == ["while working on block 3 of 4: 2"]

    # And when the scheduler dies too, that is said in one sentence.
    blocks = map_blocks(numbers_of(), BLOCKS * 4, resources=Resources(scheduler=cluster.address))
    next(blocks)
    cluster.scheduler.kill()
    began = time.monotonic()
    with pytest.raises(WorkLostError, match=r"scheduler at tcp://.* was lost\. With --resume"):
        list(blocks)
    assert time.monotonic() - began < 20


def test_an_address_without_a_scheduler_is_said_within_seconds() -> None:
    pytest.importorskip("distributed")

    def words_about(address: str) -> str:
        with pytest.raises(UsageError, match="no Dask scheduler answers at") as caught:
            list(map_blocks(abs, [1], resources=Resources(scheduler=address)))
        return str(caught.value)

    began = time.monotonic()
    # Something listens at the second address, but it never says a word.
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor() as threads:
        mute = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        nobody, stranger, no_port = threads.map(words_about, ["tcp://127.0.0.1:1", mute, "node7"])
    assert time.monotonic() - began < 15
    assert "'tcp://127.0.0.1:1': Timed out" in nobody
    assert "says nothing that Dask knows" in stranger
    assert "missing port number" in no_port


# The device --------------------------------------------------------------------------------------


def test_the_device_is_chosen_once() -> None:
    import torch

    there_is_one = torch.cuda.is_available()
    assert torch_device("cpu") == torch.device("cpu")
    assert torch_device().type == ("cuda" if there_is_one else "cpu")
    with pytest.raises(UsageError, match="device must be auto, cpu or cuda"):
        torch_device("tpu")
    with pytest.raises(UsageError, match="device must be auto, cpu or cuda"):
        torch_device("cuda:x")
    with pytest.raises(UsageError, match="Use --device auto or cpu"):
        torch_device("cuda:99")
