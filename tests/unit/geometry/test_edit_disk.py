"""Matrices written to disk block by block."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kinlens.errors import UsageError
from kinlens.geometry import edit_disk
from kinlens.geometry.edit import edit_distances
from kinlens.geometry.edit_disk import edit_distances_to_disk
from kinlens.lock import FolderLock
from kinlens.parallel import Resources


@pytest.fixture
def sequences(rng: np.random.Generator) -> list[str]:
    return ["".join(rng.choice(list("ACGT"), rng.integers(0, 40))) for _ in range(250)]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("block_size", [1_000, 250, 100, 33])
def test_the_file_holds_the_matrix(tmp_path: Path, sequences: list[str], block_size: int) -> None:
    path = tmp_path / "distances.npy"
    found = edit_distances_to_disk(sequences, path, block_size=block_size)
    assert isinstance(found, np.memmap)
    assert np.array_equal(found, edit_distances(sequences))
    assert np.array_equal(np.load(path), found)
    assert names(tmp_path) == ["distances.npy"]


def test_rectangles_and_cutoffs(tmp_path: Path, sequences: list[str]) -> None:
    found = edit_distances_to_disk(
        sequences, tmp_path / "d.npy", sequences[:70], max_distance=9, block_size=64
    )
    assert np.array_equal(found, edit_distances(sequences, sequences[:70], max_distance=9))


def test_nothing_to_write(tmp_path: Path) -> None:
    assert edit_distances_to_disk([], tmp_path / "d.npy").shape == (0, 0)
    assert edit_distances_to_disk(["A"], tmp_path / "d.npy", []).shape == (1, 0)


class _Interrupted(BaseException):
    pass


def counted(monkeypatch: pytest.MonkeyPatch, *, stop_after: int | None = None) -> list[Any]:
    """Note the blocks that are computed; after some of them, break off as Ctrl-C would."""
    blocks: list[Any] = []
    write_block = edit_disk._write_block

    def noting(*arguments: Any) -> None:
        if len(blocks) == stop_after:
            raise _Interrupted
        blocks.append(arguments[-1])
        write_block(*arguments)

    monkeypatch.setattr(edit_disk, "_write_block", noting)
    return blocks


def test_an_interrupted_run_goes_on_where_it_stopped(tmp_path: Path, sequences: list[str]) -> None:
    path = tmp_path / "d.npy"
    with pytest.MonkeyPatch.context() as patch:
        before = counted(patch, stop_after=4)
        with pytest.raises(_Interrupted):
            edit_distances_to_disk(sequences, path, block_size=100)
    assert names(tmp_path) == ["d.npy.unfinished"]
    with pytest.MonkeyPatch.context() as patch:
        after = counted(patch)
        found = edit_distances_to_disk(sequences, path, block_size=100)
    # Three by three blocks, of which six are on or above the diagonal.
    assert len(before) == 4
    assert len(after) == 2
    assert not set(before) & set(after)
    assert np.array_equal(found, edit_distances(sequences))
    assert names(tmp_path) == ["d.npy"]


def test_what_was_left_of_other_sequences_is_not_used(tmp_path: Path, sequences: list[str]) -> None:
    path = tmp_path / "d.npy"
    with pytest.MonkeyPatch.context() as patch:
        counted(patch, stop_after=2)
        with pytest.raises(_Interrupted):
            edit_distances_to_disk(sequences, path, block_size=100)
    others = [*sequences[:-1], "ACGT"]
    assert np.array_equal(
        edit_distances_to_disk(others, path, block_size=100), edit_distances(others)
    )
    assert names(tmp_path) == ["d.npy"]


def test_blocks_without_their_file_are_computed_again(tmp_path: Path, sequences: list[str]) -> None:
    path = tmp_path / "d.npy"
    with pytest.MonkeyPatch.context() as patch:
        counted(patch, stop_after=2)
        with pytest.raises(_Interrupted):
            edit_distances_to_disk(sequences, path, block_size=100)
    (unfinished,) = (tmp_path / "d.npy.unfinished").glob("*.npy")
    unfinished.unlink()
    found = edit_distances_to_disk(sequences, path, block_size=100)
    assert np.array_equal(found, edit_distances(sequences))


def test_too_little_room_is_said_before_the_work(
    tmp_path: Path, sequences: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = edit_disk.shutil.disk_usage(tmp_path)._replace(free=100_000)
    monkeypatch.setattr(edit_disk.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(UsageError, match=r"250 x 250 distances take 0\.0 GB"):
        edit_distances_to_disk(sequences, tmp_path / "d.npy")


def test_a_disk_that_fills_up_is_said_and_what_is_done_stays(
    tmp_path: Path, sequences: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(edit_disk, "_write", full)
    with pytest.raises(UsageError, match=r"d\.npy: cannot be written: No space left on device"):
        edit_distances_to_disk(sequences, tmp_path / "d.npy")
    assert names(tmp_path) == ["d.npy.unfinished"]


def test_two_writers_of_one_file(tmp_path: Path, sequences: list[str]) -> None:
    folder = tmp_path / "d.npy.unfinished"
    folder.mkdir()
    lock = FolderLock(folder)
    with pytest.raises(UsageError):
        edit_distances_to_disk(sequences, tmp_path / "d.npy")
    lock.release()
    assert edit_distances_to_disk(sequences, tmp_path / "d.npy").shape == (250, 250)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("d.csv", {}, "must end in .npy"),
        ("d.npy", {"block_size": 0}, "block_size must be 1 or more"),
    ],
)
def test_arguments_out_of_range(
    tmp_path: Path, name: str, options: dict[str, int], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        edit_distances_to_disk(["ACGT"], tmp_path / name, **options)  # type: ignore[arg-type]


@pytest.mark.slow
def test_local_processes_write_the_same(tmp_path: Path, sequences: list[str]) -> None:
    found = edit_distances_to_disk(
        sequences, tmp_path / "d.npy", block_size=60, resources=Resources(workers=2)
    )
    assert np.array_equal(found, edit_distances(sequences))
