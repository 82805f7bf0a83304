"""Edit-distance matrices that do not fit into memory, written to disk block by block.

The blocks go through `map_blocks`, so they are computed here, by local processes or on a cluster
that shares the disk. Blocks that are done are remembered beside the file: the same call goes on
where one that was interrupted stopped. Distances that fit into memory are in `edit`.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap

from kinlens.atomic import atomic_path, hash_bytes, write_npy
from kinlens.errors import UsageError
from kinlens.geometry.edit import Sequences, edit_distances, in_one_store
from kinlens.geometry.instruction_sets import InstructionSet
from kinlens.geometry.packing import PackedSequences
from kinlens.ledger import FolderLedger
from kinlens.lock import FolderLock
from kinlens.parallel import Resources, map_blocks
from kinlens.typing import UInt16Array

__all__ = ["edit_distances_to_disk"]

# Changes when blocks written before could not be gone on with.
_LAYOUT = b"kinlens edit distances 1"

_DISK_IS_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}

Block = tuple[int, int, int, int]


def edit_distances_to_disk(
    queries: Sequences,
    path: str | Path,
    targets: Sequences | None = None,
    *,
    max_distance: int | None = None,
    threads: int = 1,
    instruction_set: InstructionSet = "auto",
    block_size: int = 4096,
    resources: Resources | None = None,
) -> UInt16Array:
    """Write the exact edit distance of each query to each target to a ``.npy`` file.

    Parameters
    ----------
    queries, targets, max_distance, instruction_set
        As in `edit_distances`.
    path : str or pathlib.Path
        The file, ending in ``.npy``; it is there when all of it is done. Until then the work is in
        the folder ``PATH.unfinished``.
    threads : int
        How many threads each worker uses.
    block_size : int
        Rows and columns computed, held in memory and written at a time, 4 bytes a cell.
    resources : Resources, optional
        Where to work. Processes and clusters must see `path` under the same name.

    Returns
    -------
    numpy.ndarray
        The file, mapped into memory and read-only; shape (queries, targets), uint16.

    Raises
    ------
    InputError
        When a sequence is too long, or has letters that are not bytes.
    UsageError
        When the disk has too little room, another process writes the same file, or an argument is
        out of its range.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     found = edit_distances_to_disk(["ACGT", "AGT", ""], f"{folder}/distances.npy")
    ...     print(found.tolist())
    [[0, 1, 4], [1, 0, 3], [4, 3, 0]]
    """
    path = Path(path)
    if path.suffix != ".npy":
        raise UsageError(f"{path}: the file's name must end in .npy.")
    if block_size < 1:
        raise UsageError(f"block_size must be 1 or more, not {block_size}.")
    packed, other = in_one_store(queries, targets)
    shape = (len(packed), len(packed if other is None else other))
    if 0 in shape:
        write_npy(path, np.empty(shape, dtype=np.uint16))
        return _mapped(path)
    fingerprint = _fingerprint(packed, other, max_distance, block_size)
    with _unfinished(path, fingerprint) as folder:
        part = folder / f"{fingerprint}.npy"
        ledger = FolderLedger(folder, fingerprint)
        if not part.exists():
            ledger.clear()
        _make_room(part, shape)
        blocks = _blocks(shape, block_size, is_symmetric=other is None)
        work = partial(
            _write_block, packed, other, str(part), max_distance, threads, instruction_set
        )
        for _ in map_blocks(
            work, blocks, resources=resources, ledger=ledger, label="edit distances"
        ):
            pass
        part.replace(path)
    return _mapped(path)


def _mapped(path: str | Path) -> np.memmap[Any, np.dtype[np.uint16]]:
    """Return an array file without reading it."""
    mapped: np.memmap[Any, np.dtype[np.uint16]] = np.load(path, mmap_mode="r")
    return mapped


def _fingerprint(
    queries: PackedSequences,
    targets: PackedSequences | None,
    max_distance: int | None,
    block_size: int,
) -> str:
    """Return letters and digits that stand for all that a block depends on."""
    digests = [
        hash_bytes(*members.unpacked()).encode() if members is not None else b"symmetric"
        for members in (queries, targets)
    ]
    return hash_bytes(_LAYOUT, *digests, f"{max_distance} {block_size}".encode())


@contextmanager
def _unfinished(path: Path, fingerprint: str) -> Iterator[Path]:
    """Hand out the folder for unfinished work; it goes when the work succeeds, else it stays."""
    folder = path.with_name(f"{path.name}.unfinished")
    folder.mkdir(parents=True, exist_ok=True)
    lock = FolderLock(folder)
    try:
        for old in folder.iterdir():
            # What was left of other sequences or settings will never be finished.
            if old != lock.path and not old.name.startswith(fingerprint):
                shutil.rmtree(old) if old.is_dir() else old.unlink()
        yield folder
    except OSError as error:
        if error.errno not in _DISK_IS_FULL:
            raise
        raise UsageError(
            f"{path}: cannot be written: {error.strerror}. Free some space and start again; the "
            f"blocks that are done are kept in {folder.name}."
        ) from error
    finally:
        lock.release()
    shutil.rmtree(folder)


def _make_room(part: Path, shape: tuple[int, int]) -> None:
    """Make the file, with holes where nothing is written yet, if the disk has room for it."""
    needed = 2 * shape[0] * shape[1]
    if part.exists():
        # Not on every system is it known how much of a file with holes is there.
        needed -= 512 * getattr(part.stat(), "st_blocks", 0)
    free = shutil.disk_usage(part.parent).free
    if needed > free:
        raise UsageError(
            f"{part.parent}: {shape[0]:,} x {shape[1]:,} distances take {needed / 1e9:.1f} GB, "
            f"and {free / 1e9:.1f} GB are free. Free some space or choose another place."
        )
    if not part.exists():
        with atomic_path(part) as new:
            open_memmap(new, mode="w+", dtype=np.uint16, shape=shape)


def _blocks(shape: tuple[int, int], size: int, *, is_symmetric: bool) -> list[Block]:
    """Return first row, row to stop before, and the same of columns, for each block."""
    rows, columns = ([(at, min(at + size, n)) for at in range(0, n, size)] for n in shape)
    return [(*r, *c) for r, c in product(rows, columns) if not is_symmetric or r <= c]


def _write_block(
    queries: PackedSequences,
    targets: PackedSequences | None,
    part: str,
    max_distance: int | None,
    threads: int,
    instruction_set: InstructionSet,
    block: Block,
) -> None:
    """Compute a block and write it, and its mirror image when the matrix is symmetric."""
    top, bottom, left, right = block
    is_diagonal = targets is None and top == left
    found = edit_distances(
        queries.take(range(top, bottom)),
        None if is_diagonal else (targets or queries).take(range(left, right)),
        max_distance=max_distance,
        threads=threads,
        instruction_set=instruction_set,
    )
    _write(part, found, top, left)
    if targets is None and not is_diagonal:
        _write(part, np.ascontiguousarray(found.T), left, top)


def _write(part: str, found: UInt16Array, top: int, left: int) -> None:
    """Write a block of an array file; by seeking, because a full disk kills who maps it."""
    whole = _mapped(part)
    offset, n_columns = whole.offset, whole.shape[1]
    with Path(part).open("rb+") as file:
        for row, values in enumerate(found, start=top):
            file.seek(offset + 2 * (row * n_columns + left))
            file.write(values)
        # A block counts as done only when it would survive a power cut.
        file.flush()
        os.fsync(file.fileno())
