"""Finished blocks of work on disk, so that an interrupted run goes on where it stopped.

A block's result is one ``.npz`` file of plain arrays and one JSON tree that says how they hang
together: nothing read back is ever executed. Which blocks there are is the caller's affair.
"""

from __future__ import annotations

import dataclasses
import io
import json
import re
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from kinlens.atomic import atomic_path
from kinlens.errors import UsageError
from kinlens.typing import AnyArray

__all__ = ["FolderLedger"]

_TREE = "tree"
_PLAIN = (bool, int, float, str, type(None))


class FolderLedger:
    """A folder of finished blocks; fits `kinlens.parallel.BlockLedger`.

    Parameters
    ----------
    folder : str or pathlib.Path
        Made when the first block is stored.
    fingerprint : str
        Stands for everything but the block that a result depends on (configuration, inputs,
        version). Blocks under another fingerprint are not seen.
    kinds : tuple of type
        Dataclasses that results may be made of, besides None, bool, int, float, str, bytes, lists,
        tuples, mappings with text keys, NumPy arrays and scalars, and pandas frames.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     ledger = FolderLedger(folder, "settings-1")
    ...     ledger.store("block-1", {"rows": (0, 2), "values": np.arange(2.0)})
    ...     print(ledger.load("block-1"), ledger.has("block-2"))
    {'rows': (0, 2), 'values': array([0., 1.])} False
    """

    def __init__(
        self, folder: str | Path, fingerprint: str, *, kinds: tuple[type[Any], ...] = ()
    ) -> None:
        if not fingerprint or not re.fullmatch(r"[\w.-]+", fingerprint):
            raise UsageError(f"a fingerprint is letters, digits, '-' and '_', not {fingerprint!r}.")
        self.folder = Path(folder) / fingerprint
        self.kinds = {kind.__name__: kind for kind in kinds}

    def __len__(self) -> int:
        return sum(1 for _ in self.folder.glob("*.npz"))

    def has(self, key: str) -> bool:
        """Tell whether the block of this key is kept."""
        return self._place(key).is_file()

    def load(self, key: str) -> Any:
        """Return what was stored under `key`.

        Raises
        ------
        KeyError
            When nothing is there, or what is there is damaged.
        """
        try:
            with self._place(key).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                return self._decoded(json.loads(str(arrays[_TREE])), dict(arrays))
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
            raise KeyError(key) from error

    def store(self, key: str, result: object) -> None:
        """Keep `result` under `key`, whole or not at all."""
        arrays: dict[str, AnyArray] = {}
        tree = self._encoded(result, arrays)
        arrays[_TREE] = np.array(json.dumps(tree))
        with atomic_path(self._place(key)) as part, part.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)

    def clear(self) -> None:
        """Forget every block of this ledger."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _place(self, key: str) -> Path:
        return self.folder / f"{key}.npz"

    def _encoded(self, value: Any, arrays: dict[str, AnyArray]) -> Any:
        """Return `value` as JSON; what JSON cannot say goes to `arrays` by name."""
        if isinstance(value, _PLAIN):
            return value
        if isinstance(value, list | tuple):
            kind = "tuple" if isinstance(value, tuple) else "list"
            return {kind: [self._encoded(item, arrays) for item in value]}
        if isinstance(value, dict) and all(isinstance(key, str) for key in value):
            return {"dict": [[key, self._encoded(item, arrays)] for key, item in value.items()]}
        if type(value) in self.kinds.values():
            fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
            return {"kind": type(value).__name__, "fields": self._encoded(fields, arrays)}
        word, array = _as_array(value)
        arrays[f"a{len(arrays)}"] = array
        return {word: f"a{len(arrays) - 1}"}

    def _decoded(self, tree: Any, arrays: dict[str, AnyArray]) -> Any:
        """Undo `_encoded`."""
        if isinstance(tree, _PLAIN):
            return tree
        if "kind" in tree:
            return self.kinds[tree["kind"]](**self._decoded(tree["fields"], arrays))
        ((word, content),) = tree.items()
        if word in ("list", "tuple"):
            items = [self._decoded(item, arrays) for item in content]
            return tuple(items) if word == "tuple" else items
        if word == "dict":
            return {key: self._decoded(item, arrays) for key, item in content}
        return _from_array(word, arrays[content])


def _as_array(value: Any) -> tuple[str, AnyArray]:
    """Return a value that is no container as an array, and the word for what it was."""
    if isinstance(value, bytes):
        return "bytes", np.frombuffer(value, dtype=np.uint8)
    if isinstance(value, np.generic) and value.dtype.kind != "O":
        return "scalar", np.asarray(value)
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        return "array", value
    if hasattr(value, "to_parquet"):
        buffer = io.BytesIO()
        value.to_parquet(buffer, engine="pyarrow")
        return "frame", np.frombuffer(buffer.getvalue(), dtype=np.uint8)
    raise TypeError(f"a block's result cannot be kept: it holds a {type(value).__name__}.")


def _from_array(word: str, array: AnyArray) -> Any:
    if word == "bytes":
        return array.tobytes()
    if word == "scalar":
        return array[()]
    if word == "frame":
        import pandas as pd

        return pd.read_parquet(io.BytesIO(array.tobytes()))
    return array
