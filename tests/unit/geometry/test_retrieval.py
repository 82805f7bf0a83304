"""The nearest are found, whether all are compared or an index is asked, and re-ranked exactly."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from kinlens.errors import UsageError
from kinlens.geometry.edit import edit_distances
from kinlens.geometry.retrieval import VectorIndex, exact_hits, rerank
from kinlens.optional import is_available
from kinlens.simulate.reads import simulate_reads


def vectors(rng, n):
    return rng.normal(size=(n, 8)).astype(np.float32)


def poincare(a, b):
    square = ((a - b) ** 2).sum()
    return np.arccosh(1 + 2 * square / ((1 - (a**2).sum()) * (1 - (b**2).sum())))


@pytest.mark.parametrize(
    ("metric", "rival"),
    [
        ("euclidean", "euclidean"),
        ("cosine", "cosine"),
        ("manhattan", "cityblock"),
        ("poincare", poincare),
    ],
)
def test_nearest_by_each_metric(rng, metric, rival):
    scale = 0.3 if metric == "poincare" else 1.0
    points, queries = scale * vectors(rng, 300) / 3, scale * vectors(rng, 7) / 3
    hits = VectorIndex(points, metric).nearest(queries, 5)
    expected = cdist(queries, points, rival)
    assert hits.rows.tolist() == np.argsort(expected, axis=1)[:, :5].tolist()
    np.testing.assert_allclose(hits.distances, np.sort(expected, axis=1)[:, :5], rtol=1e-4)


def test_of_equally_near_ones_the_first_comes_first():
    points = np.array([[1.0], [0.0], [1.0], [0.0]] * 5, dtype=np.float32)
    for count in (3, 19):
        rows = VectorIndex(points).nearest(np.zeros((1, 1), np.float32), count).rows[0].tolist()
        assert rows == sorted(rows, key=lambda row: (points[row, 0], row))


@pytest.mark.skipif(not is_available("faiss"), reason="faiss is not installed")
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_an_index_finds_nearly_all(rng, metric):
    points, queries = vectors(rng, 2_000), vectors(rng, 50)
    exact = VectorIndex(points, metric).nearest(queries, 10).rows
    found = VectorIndex(points, metric, approximate=True).nearest(queries, 10).rows
    assert np.mean([len(set(a) & set(b)) for a, b in zip(exact, found, strict=True)]) > 9.5


def test_reranking_gives_what_exhaustive_search_gives(rng):
    reads = list(simulate_reads(60, 80, rng).sequences)
    queries, references = reads[:10], reads[10:]
    everything = np.tile(rng.permutation(50), (10, 1))
    hits = rerank(queries, references, everything, count=3)
    exact = edit_distances(queries, references)
    assert hits.distances.tolist() == np.sort(exact, axis=1)[:, :3].tolist()
    assert np.take_along_axis(exact, hits.rows, 1).tolist() == hits.distances.tolist()


def test_fewer_references_than_wanted(rng):
    assert VectorIndex(vectors(rng, 3)).nearest(vectors(rng, 2), 9).rows.shape == (2, 3)
    assert exact_hits(np.array([[3, 1]]), 9).rows.tolist() == [[1, 0]]


def test_no_query(rng):
    assert VectorIndex(vectors(rng, 3)).nearest(vectors(rng, 0), 2).rows.shape == (0, 2)


def test_what_does_not_fit_is_refused(rng):
    with pytest.raises(UsageError, match="metric"):
        VectorIndex(vectors(rng, 3), "hamming")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="points"):
        VectorIndex(vectors(rng, 0))
    with pytest.raises(UsageError, match="count"):
        VectorIndex(vectors(rng, 3)).nearest(vectors(rng, 1), 0)
