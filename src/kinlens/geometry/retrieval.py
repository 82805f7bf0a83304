"""Finding the nearest of many sequences: a shortlist by vectors, then exact distances.

What makes the vectors is in `embed`; all that is known here is how points are compared. With few
references the shortlist is exact for the vectors; with very many it comes from an index.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from scipy.spatial.distance import cdist

from kinlens.errors import UsageError
from kinlens.geometry.edit import in_one_store, paired_edit_distances
from kinlens.geometry.packing import PackedSequences
from kinlens.optional import is_available, need
from kinlens.typing import AnyArray, Float32Array, IntArray

__all__ = ["Hits", "Metric", "VectorIndex", "exact_hits", "rerank"]

Metric: TypeAlias = Literal["euclidean", "cosine", "manhattan", "poincare"]

# With fewer references than this, comparing with all of them is as fast as an index, and exact.
_INDEX_FROM = 200_000
# Cells of one block of comparisons: 64 MB of float32.
_BLOCK_CELLS = 16_000_000
# Neighbours on the graph of an index, and how widely it is searched (Malkov & Yashunin 2020).
_LINKS, _BREADTH = 32, 4


@dataclass(frozen=True, eq=False)
class Hits:
    """What was found for each query, best first.

    Parameters
    ----------
    rows : array of int, shape (queries, count)
        Rows of the references.
    distances : array, shape (queries, count)
        Distances to them, rising along each row.
    """

    rows: IntArray
    distances: AnyArray


@dataclass(frozen=True, eq=False)
class VectorIndex:
    """Reference points that can be asked for the nearest.

    Parameters
    ----------
    points : array of shape (n, d), float32
        One a reference.
    metric : {"euclidean", "cosine", "manhattan", "poincare"}
        How points are compared. On a sphere in hyperbolic space the order is that of
        ``"euclidean"``.
    approximate : bool, optional
        Whether to build an index that misses some; by default only from 200,000 references on.
        Takes faiss where it is installed, pynndescent otherwise.

    Examples
    --------
    >>> index = VectorIndex(np.array([[0.0], [5.0], [6.0]], dtype=np.float32))
    >>> index.nearest(np.array([[4.0]], dtype=np.float32), 2).rows.tolist()
    [[1, 2]]
    """

    points: Float32Array
    metric: Metric = "euclidean"
    approximate: bool | None = None

    def __post_init__(self) -> None:
        if self.metric not in get_args(Metric):
            raise UsageError(
                f"metric must be one of {', '.join(get_args(Metric))}, not {self.metric!r}."
            )
        if self.points.ndim != 2 or len(self.points) == 0:
            raise UsageError(f"points must be of shape (n, d), n > 0, not {self.points.shape}.")
        points = np.ascontiguousarray(self.points, dtype=np.float32)
        object.__setattr__(self, "points", _unit(points) if self.metric == "cosine" else points)

    def nearest(self, queries: Float32Array, count: int) -> Hits:
        """Return the `count` nearest references of each query, or all when there are fewer.

        Parameters
        ----------
        queries : array of shape (queries, d)
            Points of the same space.
        count : int
            1 or more. Of references equally near, the earlier row comes first.
        """
        if count < 1:
            raise UsageError(f"count must be 1 or more, not {count}.")
        points = np.ascontiguousarray(queries, dtype=np.float32)
        points = _unit(points) if self.metric == "cosine" else points
        count = min(count, len(self.points))
        if self._is_approximate and len(points):
            return self._ask_index(points, count)
        rows = np.empty((len(points), count), dtype=np.int64)
        gaps = np.empty((len(points), count), dtype=np.float32)
        step = max(1, _BLOCK_CELLS // len(self.points))
        for at in range(0, len(points), step):
            block = self._compared(points[at : at + step])
            rows[at : at + step], gaps[at : at + step] = _smallest(block, count)
        return Hits(rows, gaps)

    @property
    def _is_approximate(self) -> bool:
        if self.approximate is not None:
            return self.approximate and self.metric != "poincare"
        return len(self.points) >= _INDEX_FROM and self.metric != "poincare"

    @cached_property
    def _squares(self) -> Float32Array:
        squares: Float32Array = np.einsum("ij,ij->i", self.points, self.points)
        return squares

    def _compared(self, queries: Float32Array) -> Float32Array:
        """Return what orders references as the metric does, (queries, n)."""
        if self.metric == "manhattan":
            return np.asarray(cdist(queries, self.points, "cityblock"), dtype=np.float32)
        products = queries @ self.points.T
        if self.metric == "cosine":
            return np.asarray(1.0 - products)
        own = np.einsum("ij,ij->i", queries, queries)[:, None]
        gaps = np.maximum(own + self._squares[None, :] - 2.0 * products, 0.0)
        if self.metric == "poincare":
            room = (1.0 - own) * (1.0 - self._squares)[None, :]
            return np.asarray(2.0 * np.arcsinh(np.sqrt(gaps / np.maximum(room, 1e-6))))
        return np.asarray(np.sqrt(gaps))

    def _ask_index(self, queries: Float32Array, count: int) -> Hits:
        rows, gaps = self._index(queries, count)
        # What a graph could not reach is answered by comparing with all.
        short = np.flatnonzero((rows < 0).any(axis=1))
        if short.size:
            rows[short], gaps[short] = _smallest(self._compared(queries[short]), count)
        return Hits(np.asarray(rows, dtype=np.int64), gaps)

    @cached_property
    def _index(self) -> Any:
        if is_available("faiss") and self.metric != "manhattan":
            return _FaissGraph(self.points)
        return _DescentGraph(self.points, self.metric)


def rerank(
    queries: PackedSequences | list[bytes],
    references: PackedSequences | list[bytes],
    shortlist: IntArray,
    *,
    count: int | None = None,
    threads: int = 1,
) -> Hits:
    """Order a shortlist by exact edit distance.

    Parameters
    ----------
    queries, references : sequences
        As in `kinlens.geometry.edit.edit_distances`.
    shortlist : array of int, shape (queries, m)
        Rows of `references`, from `VectorIndex.nearest`.
    count : int, optional
        How many to keep of each row; all when left out.
    threads : int
        How many work at once.

    Returns
    -------
    Hits
        Among equal distances the order of the shortlist is kept.

    Examples
    --------
    >>> rerank([b"ACGT"], [b"AAAA", b"ACGA"], np.array([[0, 1]])).rows.tolist()
    [[1, 0]]
    """
    packed, others = in_one_store(queries, references)
    assert others is not None  # because references are given
    asked = np.repeat(np.arange(len(packed)), shortlist.shape[1])
    found = paired_edit_distances(
        packed.take(asked), others.take(shortlist.ravel()), threads=threads
    ).reshape(shortlist.shape)
    order = np.argsort(found, axis=1, kind="stable")[:, :count]
    return Hits(np.take_along_axis(shortlist, order, 1), np.take_along_axis(found, order, 1))


def exact_hits(distances: AnyArray, count: int) -> Hits:
    """Return the nearest of each row of a matrix of distances; ties by column.

    Parameters
    ----------
    distances : array of shape (queries, references)
        Any distances.
    count : int
        How many; all when there are fewer.
    """
    return Hits(*_smallest(distances, min(count, distances.shape[1])))


def _smallest(block: AnyArray, count: int) -> tuple[IntArray, AnyArray]:
    """Return columns and values of the `count` smallest of each row, ties by column."""
    if count < block.shape[1] // 4:
        # Who shares the last place is decided by column, which a partition alone would not do.
        edge = np.partition(block, count - 1, axis=1)[:, count - 1 : count]
        rows = np.empty((len(block), count), dtype=np.int64)
        for row, (values, limit) in enumerate(zip(block, edge[:, 0], strict=True)):
            near = np.flatnonzero(values <= limit)
            rows[row] = near[np.argsort(values[near], kind="stable")[:count]]
    else:
        rows = np.argsort(block, axis=1, kind="stable")[:, :count]
    return rows, np.take_along_axis(block, rows, axis=1)


def _unit(points: Float32Array) -> Float32Array:
    length = np.linalg.norm(points, axis=1, keepdims=True)
    unit = points / np.where(length > 0, length, 1.0)
    return np.asarray(unit, dtype=np.float32)


class _FaissGraph:
    """A navigable graph (HNSW); for unit vectors the straight distance orders as the cosine."""

    def __init__(self, points: Float32Array) -> None:
        faiss = need("faiss")
        self.graph = faiss.IndexHNSWFlat(points.shape[1], _LINKS)
        self.graph.hnsw.efConstruction = _LINKS * _BREADTH
        self.graph.add(points)

    def __call__(self, queries: Float32Array, count: int) -> tuple[IntArray, Float32Array]:
        self.graph.hnsw.efSearch = max(_BREADTH * count, 64)
        squares, rows = self.graph.search(queries, count)
        return rows, np.sqrt(np.maximum(squares, 0.0))


class _DescentGraph:
    def __init__(self, points: Float32Array, metric: str) -> None:
        descent = need("pynndescent")
        self.graph = descent.NNDescent(points, metric=metric, random_state=0)
        self.graph.prepare()

    def __call__(self, queries: Float32Array, count: int) -> tuple[IntArray, Float32Array]:
        rows, gaps = self.graph.query(queries, k=count, epsilon=0.2)
        return rows, gaps
