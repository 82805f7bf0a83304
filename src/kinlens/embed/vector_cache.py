"""Vectors that were computed before, on disk by content: the same picture is encoded once.

Vectors are kept in blocks, each a file that is there whole or not at all. What the keys stand for
is the caller's affair.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from kinlens.atomic import atomic_path, hash_bytes
from kinlens.typing import Float32Array

__all__ = ["VectorCache"]


class VectorCache:
    """A folder of vectors by key; without a folder it keeps nothing.

    Parameters
    ----------
    folder : pathlib.Path, optional
        Made when the first block is stored.
    fingerprint : str
        Stands for whatever made the vectors; those of another maker are not seen.
    n_features : int
        Length of a vector.

    Examples
    --------
    >>> cache = VectorCache(getfixture("tmp_path"), "sums", 2)
    >>> cache.store(["a", "b"], np.array([[1, 2], [3, 4]], dtype=np.float32))
    >>> cache.find(["b", "c"])
    {'b': array([3., 4.], dtype=float32)}
    """

    def __init__(self, folder: Path | None, fingerprint: str, n_features: int) -> None:
        self.folder = None if folder is None else folder / fingerprint
        self.n_features = n_features

    def find(self, keys: Iterable[str]) -> dict[str, Float32Array]:
        """Return the vectors of those keys that are kept; damaged blocks count as missing."""
        wanted = set(keys)
        found: dict[str, Float32Array] = {}
        if self.folder is None:
            return found
        for file in sorted(self.folder.glob("*.npz")):
            found |= self._in_block(file, wanted)
        return found

    def store(self, keys: Sequence[str], vectors: Float32Array) -> None:
        """Keep one block of vectors (len(keys), n_features), whole or not at all."""
        if self.folder is None or not keys:
            return
        place = self.folder / f"{hash_bytes(' '.join(keys).encode())}.npz"
        with atomic_path(place) as part, part.open("wb") as file:
            np.savez(file, keys=np.array(keys), vectors=vectors)

    def _in_block(self, file: Path, wanted: set[str]) -> dict[str, Float32Array]:
        try:
            # Opened here, because NumPy leaves a damaged file open.
            with file.open("rb") as opened, np.load(opened, allow_pickle=False) as block:
                keys = block["keys"].tolist()
                rows = [row for row, key in enumerate(keys) if key in wanted]
                if not rows:
                    return {}
                vectors = block["vectors"]
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return {}
        if vectors.shape != (len(keys), self.n_features) or vectors.dtype != np.float32:
            return {}
        return {keys[row]: vectors[row] for row in rows}
