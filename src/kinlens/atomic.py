"""Files that are there whole or not at all, whose bytes depend on their content alone.

Every file kinlens writes goes through `atomic_path`: written under a temporary name beside its
place, then renamed. What a run folder holds is not known here.
"""

from __future__ import annotations

import errno
import gzip
import hashlib
import json
import math
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kinlens.errors import UsageError, listing
from kinlens.typing import AnyArray

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "atomic_path",
    "hash_bytes",
    "hash_file",
    "is_leftover",
    "plain",
    "remove_leftovers",
    "write_bytes",
    "write_frame",
    "write_json",
    "write_npy",
    "write_text",
]

# The name ends as the real one does, so that writers which choose a format by suffix still do.
_TEMPORARY = ".kinlens-part-"
# What the user can mend: a full or read-only disk, a missing right, a name that cannot be.
_USER_CAN_MEND = {
    errno.EACCES,
    errno.EDQUOT,
    errno.EEXIST,
    errno.EFBIG,
    errno.EISDIR,
    errno.ENAMETOOLONG,
    errno.ENOSPC,
    errno.ENOTDIR,
    errno.EPERM,
    errno.EROFS,
}
_NO_ROOM = {errno.EDQUOT, errno.EFBIG, errno.ENOSPC}
_DIGEST_BYTES = 16


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Hand out a temporary name beside `path`; rename it into place when the block succeeds.

    Parameters
    ----------
    path : str or pathlib.Path
        The file or folder to write. Missing parent folders are made. What was there before stays
        until the new one is complete.

    Yields
    ------
    pathlib.Path
        Where to write, once. It ends in the same suffix and does not exist yet.

    Raises
    ------
    UsageError
        When the disk is full or read-only or a right is missing; nothing half-written stays.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     with atomic_path(Path(folder) / "note.txt") as part:
    ...         characters = part.write_text("whole")
    ...     print([file.name for file in Path(folder).iterdir()])
    ['note.txt']
    """
    path = Path(path)
    part = path.with_name(f"{_TEMPORARY}{secrets.token_hex(6)}-{path.name[-60:]}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        _settle(part, path)
    except OSError as error:
        if error.errno not in _USER_CAN_MEND or not _is_about(error, part, path):
            raise
        remedy = "Free some space or choose" if error.errno in _NO_ROOM else "Choose"
        raise UsageError(
            f"{path}: cannot be written: {error.strerror}. {remedy} another place; most commands "
            "take it as --out."
        ) from error
    finally:
        _remove(part)


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write `content` to `path` atomically."""
    with atomic_path(path) as part:
        part.write_bytes(content)


def write_text(path: str | Path, text: str) -> None:
    """Write `text` to `path` atomically, in UTF-8, with the line ends that it holds."""
    write_bytes(path, text.encode())


def write_json(path: str | Path, value: object) -> None:
    """Write `value` to `path` atomically as indented JSON, keys in the order given.

    Parameters
    ----------
    path : str or pathlib.Path
        The file to write.
    value : object
        Mappings, sequences, sets (sorted), text, numbers, paths, NumPy scalars and arrays. A number
        that is not finite becomes null, because JSON has no other word for it.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     write_json(Path(folder) / "a.json", {"r": 0.5, "p": float("nan")})
    ...     print((Path(folder) / "a.json").read_text(), end="")
    {
      "r": 0.5,
      "p": null
    }
    """
    write_text(path, json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_frame(path: str | Path, frame: pd.DataFrame) -> None:
    """Write a table to `path` atomically, without its index; equal tables give equal bytes.

    Parameters
    ----------
    path : str or pathlib.Path
        The suffix chooses the format: ``.csv``, ``.tsv``, either with ``.gz``, or ``.parquet``.
    frame : pandas.DataFrame
        In text, float64 columns keep 10 significant digits and float32 columns 7; missing values
        are empty; lines end in a line feed.

    Raises
    ------
    UsageError
        When the suffix is another one, or the place cannot be written.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"name": ["a", None], "value": [1 / 3, 2.0]})
    >>> with TemporaryDirectory() as folder:
    ...     write_frame(Path(folder) / "a.csv", frame)
    ...     print((Path(folder) / "a.csv").read_text(), end="")
    name,value
    a,0.3333333333
    ,2
    """
    path = Path(path)
    name = path.name.lower()
    if name.endswith(".parquet"):
        with atomic_path(path) as part:
            frame.to_parquet(part, engine="pyarrow", compression="zstd", index=False)
        return
    separator = {".csv": ",", ".tsv": "\t"}.get(Path(name.removesuffix(".gz")).suffix)
    if separator is None:
        raise UsageError(f"{path}: a table is written as .csv, .tsv, .csv.gz, .tsv.gz or .parquet.")
    text = _narrow_floats_as_text(frame).to_csv(
        sep=separator, index=False, lineterminator="\n", float_format="%.10g"
    )
    # No time stamp and no file name in the gzip header.
    content = gzip.compress(text.encode(), mtime=0) if name.endswith(".gz") else text.encode()
    write_bytes(path, content)


def write_npy(path: str | Path, array: AnyArray) -> None:
    """Write one `array` to `path` (ending in ``.npy``) atomically; object arrays are refused."""
    import numpy as np

    with atomic_path(path) as part, part.open("wb") as file:
        np.save(file, array, allow_pickle=False)


def hash_bytes(*contents: bytes) -> str:
    """Return 32 hexadecimal digits (BLAKE2b) that stand for `contents`, taken in order.

    Examples
    --------
    >>> hash_bytes(b"ab", b"c") == hash_bytes(b"a", b"bc")
    False
    """
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    for content in contents:
        if len(contents) > 1:
            digest.update(len(content).to_bytes(8, "little"))
        digest.update(content)
    return digest.hexdigest()


def hash_file(path: str | Path) -> str:
    """Return 32 hexadecimal digits (BLAKE2b) that stand for the file's content.

    The same content gives the same digits as `hash_bytes`.
    """
    with Path(path).open("rb") as file:
        return hashlib.file_digest(
            file, lambda: hashlib.blake2b(digest_size=_DIGEST_BYTES)
        ).hexdigest()


def is_leftover(name: str) -> bool:
    """Tell whether a file's name is one that `atomic_path` hands out."""
    return name.startswith(_TEMPORARY)


def remove_leftovers(folder: str | Path) -> int:
    """Remove what killed processes left half-written below `folder`; return how many there were."""
    found = list(Path(folder).rglob(f"{_TEMPORARY}*"))
    for part in found:
        _remove(part)
    return len(found)


def plain(value: object) -> Any:
    """Return `value` in the types that JSON knows, copied; `write_json` says which it takes."""
    if hasattr(value, "model_dump"):  # pydantic models
        value = value.model_dump()
    elif hasattr(value, "tolist"):  # NumPy scalars and arrays
        value = value.tolist()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted(plain(item) for item in value)
    if isinstance(value, Path):
        return value.as_posix()
    if value is None or isinstance(value, bool | int | str):
        return value
    raise TypeError(f"{type(value).__name__} has no place in JSON.")


def _settle(part: Path, path: Path) -> None:
    """Move the finished `part` to `path`, on disk before it is in sight."""
    if not part.is_dir():
        with part.open("rb+") as file:
            os.fsync(file.fileno())
    elif path.is_dir():
        # A folder with content cannot be renamed over: set the old one aside first.
        old = path.with_name(f"{_TEMPORARY}{secrets.token_hex(6)}-old")
        path.rename(old)
        part.rename(path)
        _remove(old)
        return
    part.replace(path)


def _remove(part: Path) -> None:
    if part.is_dir() and not part.is_symlink():
        shutil.rmtree(part, ignore_errors=True)
    else:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _is_about(error: OSError, part: Path, path: Path) -> bool:
    """Tell whether the error came from the place written to, not from something read."""
    if error.filename is None:
        return True
    return Path(os.fsdecode(error.filename)) in {part, path, path.parent, *path.parents} or (
        part in Path(os.fsdecode(error.filename)).parents
    )


def _narrow_floats_as_text(frame: pd.DataFrame) -> pd.DataFrame:
    """Word float32 columns with the seven digits that they hold, not with ten."""
    if frame.columns.has_duplicates:
        repeated = frame.columns[frame.columns.duplicated()].unique()
        raise UsageError(
            f"a table's columns must have distinct names, not two of {listing(repeated)}."
        )
    worded = frame.copy(deep=False)
    for name in frame.columns[frame.dtypes == "float32"]:
        worded[name] = [None if math.isnan(value) else f"{value:.7g}" for value in frame[name]]
    return worded
