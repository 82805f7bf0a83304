"""What looks most like a given vector, and whether it looks like anything here at all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kinlens.typing import AnyArray, Float32Array, FloatArray, IntArray

__all__ = ["Likenesses", "Nearest"]

# Things whose own nearest neighbour is looked up, to know how near a neighbour usually is.
_SAMPLE = 2000
_BLOCK_CELLS = 8_000_000


@dataclass(frozen=True, eq=False)
class Nearest:
    """The most similar things, best first.

    Parameters
    ----------
    rows : array of int
        Which things.
    similarity : array of float
        Cosine of centred and scaled vectors, 1 for the same direction.
    """

    rows: IntArray
    similarity: FloatArray


class Likenesses:
    """Vectors made comparable: every feature centred, and of the same spread.

    Parameters
    ----------
    vectors : array of shape (n, d)
        Things to be found.
    groups : array of int, shape (n,), optional
        What belongs together, such as pictures of one specimen: a neighbour from one's own group
        does not count when it is asked how near neighbours usually are.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> known = rng.standard_normal((40, 5)).astype(np.float32)
    >>> likenesses = Likenesses(known)
    >>> likenesses.nearest(known[3], 1).rows.tolist()
    [3]
    """

    def __init__(self, vectors: Float32Array, groups: IntArray | None = None) -> None:
        self._mean = vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
        spread = vectors.std(axis=0, dtype=np.float64).astype(np.float32)
        self._scale = np.where(spread > 0, spread, np.float32(1))
        self._unit = self._scaled(vectors)
        self._groups = np.arange(len(vectors)) if groups is None else groups
        self._usual: FloatArray | None = None

    def nearest(self, vector: AnyArray, count: int, *, but: int | None = None) -> Nearest:
        """Find the `count` things most like one vector.

        Parameters
        ----------
        vector : array of shape (d,)
            In the units of the vectors given.
        count : int
            How many; all when there are fewer.
        but : int, optional
            A thing that does not count: the one that is asked about.
        """
        similarity = self._unit @ self._scaled(np.asarray(vector, dtype=np.float32)[None])[0]
        if but is not None:
            similarity[but] = -np.inf
        count = min(count, len(similarity) - (but is not None))
        best = np.argpartition(-similarity, min(count, len(similarity) - 1))[:count]
        best = best[np.argsort(-similarity[best], kind="stable")]
        return Nearest(best, similarity[best].astype(np.float64))

    def share_as_strange(self, vector: AnyArray) -> float:
        """Return the share of known things whose nearest neighbour is no nearer than this one's.

        The conformal p-value of "one more thing like those here", at least 1 / (n + 1).
        """
        if self._usual is None:
            self._usual = self._usual_similarity()
        here = self.nearest(vector, 1).similarity
        if not len(here) or not len(self._usual):
            return 1.0
        return float((1 + (self._usual <= here[0]).sum()) / (len(self._usual) + 1))

    def _scaled(self, vectors: Float32Array) -> Float32Array:
        centred = (vectors - self._mean) / self._scale
        length = np.linalg.norm(centred, axis=1, keepdims=True)
        return np.asarray(centred / np.where(length > 0, length, 1), dtype=np.float32)

    def _usual_similarity(self) -> FloatArray:
        n = len(self._unit)
        rows = np.arange(n)
        if n > _SAMPLE:
            rows = np.sort(np.random.default_rng(0).choice(n, _SAMPLE, replace=False))
        usual = np.empty(len(rows))
        step = max(1, _BLOCK_CELLS // max(n, 1))
        for start in range(0, len(rows), step):
            part = rows[start : start + step]
            similarity = self._unit[part] @ self._unit.T
            similarity[self._groups[part][:, None] == self._groups[None, :]] = -np.inf
            usual[start : start + step] = similarity.max(axis=1)
        return usual[np.isfinite(usual)]
