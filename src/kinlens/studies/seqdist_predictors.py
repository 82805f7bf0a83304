"""What predicts edit distance in the study `seqdist`: networks, words, order of letters, the mean.

Each gives distances between any two sets of rows in letters, so that all are judged alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from scipy.spatial.distance import cdist

from kinlens.embed.kmer import KmerCounts
from kinlens.embed.sgt import SequenceGraphTransform
from kinlens.studies.seqdist_task import Task
from kinlens.typing import AnyArray, Float32Array, IntArray

__all__ = ["Predictor", "mean_predictor", "network_predictor", "words_predictors"]

# Sequences whose pairs decide on a scale: half a million pairs fix one number.
_SCALED_ON = 1000
# The transform's vector has the fourth power of the alphabet's size with dinucleotides.
_MOST_LETTERS_FOR_PAIRS = 5


@dataclass(frozen=True, eq=False)
class Predictor:
    """Something that predicts edit distances.

    Parameters
    ----------
    name : str
        As in ``metrics.csv``.
    between : callable
        ``between(rows, columns)`` gives predicted distances in letters, float32, shape
        (rows, columns).
    points : array, optional
        Vectors of all sequences, where there are any.
    """

    name: str
    between: Callable[[IntArray, IntArray], Float32Array]
    points: AnyArray | None = None

    def __call__(self, rows: IntArray, columns: IntArray) -> Float32Array:
        """Return predicted distances of `rows` to `columns`."""
        return self.between(rows, columns)


def mean_predictor(task: Task, train: IntArray) -> Predictor:
    """Predict the mean distance of the training sequences for every pair.

    Parameters
    ----------
    task : Task
        The sequences.
    train : array of int
        Rows that may be learned from.
    """
    rows = _sample(train)
    mean = float(task.exact(rows, rows).sum()) / max(len(rows) * (len(rows) - 1), 1)

    def between(rows: IntArray, columns: IntArray) -> Float32Array:
        return np.full((len(rows), len(columns)), mean, dtype=np.float32)

    return Predictor("mean", between)


def network_predictor(name: str, embedder: Any, task: Task) -> Predictor:
    """Predict by the points of a trained network.

    Parameters
    ----------
    name : str
        As in ``metrics.csv``.
    embedder : NeuralDistanceEmbedder
        Trained.
    task : Task
        The sequences; all are embedded.
    """
    points = embedder.transform(task.sequences.sequences)

    def between(rows: IntArray, columns: IntArray) -> Float32Array:
        found: Float32Array = embedder.distances(points[rows], points[columns])
        return found

    return Predictor(name, between, points)


def words_predictors(task: Task, train: IntArray, *, kmers: tuple[int, ...]) -> list[Predictor]:
    """Predict by cosines of word counts and by the sequence graph transform.

    Their distances are scaled to letters by least squares through 0 on training pairs.

    Parameters
    ----------
    task : Task
        The sequences.
    train : array of int
        Rows that may be learned from.
    kmers : tuple of int
        Lengths of words.
    """
    texts, letters = task.sequences.sequences, task.word_letters
    predictors = []
    for k in kmers:
        counts = KmerCounts(k, letters=letters, sparse_output=True).fit_transform(texts)
        raw = _cosine_gaps(sparse.csr_array(counts, dtype=np.float32))
        predictors.append(_scaled(f"{k}mer-cosine", raw, task, train))
    pairs = 2 if len(letters) <= _MOST_LETTERS_FOR_PAIRS else 1
    graph = SequenceGraphTransform(letters, word_length=pairs).fit_transform(texts)
    predictors.append(_scaled("sgt-euclidean", _straight_gaps(graph), task, train))
    return predictors


def _cosine_gaps(counts: Any) -> Callable[[IntArray, IntArray], Float32Array]:
    def between(rows: IntArray, columns: IntArray) -> Float32Array:
        products = (counts[rows] @ counts[columns].T).toarray()
        return np.asarray(np.clip(1.0 - products, 0.0, None), dtype=np.float32)

    return between


def _straight_gaps(vectors: AnyArray) -> Callable[[IntArray, IntArray], Float32Array]:
    def between(rows: IntArray, columns: IntArray) -> Float32Array:
        return np.asarray(cdist(vectors[rows], vectors[columns]), dtype=np.float32)

    return between


def _sample(train: IntArray) -> IntArray:
    """Draw the rows that a mean or a scale is learned from; files are often sorted by kin."""
    if len(train) <= _SCALED_ON:
        return train
    return np.sort(np.random.default_rng(0).choice(train, _SCALED_ON, replace=False))


def _scaled(
    name: str, raw: Callable[[IntArray, IntArray], Float32Array], task: Task, train: IntArray
) -> Predictor:
    rows = _sample(train)
    gaps = raw(rows, rows).astype(np.float64)
    square = float((gaps**2).sum())
    scale = float((gaps * task.exact(rows, rows)).sum()) / square if square else 0.0

    def between(rows: IntArray, columns: IntArray) -> Float32Array:
        return np.asarray(raw(rows, columns) * np.float32(scale), dtype=np.float32)

    return Predictor(name, between)
