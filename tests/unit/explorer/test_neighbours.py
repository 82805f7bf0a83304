"""What looks alike is found, and what looks like nothing is known by its p-value."""

from __future__ import annotations

import numpy as np

from kinlens.explorer.neighbours import Likenesses


def test_the_nearest_are_those_of_a_plain_search(rng: np.random.Generator) -> None:
    vectors = rng.standard_normal((60, 8)).astype(np.float32)
    found = Likenesses(vectors).nearest(vectors[5], 4, but=5)
    scaled = (vectors - vectors.mean(axis=0)) / vectors.std(axis=0)
    unit = scaled / np.linalg.norm(scaled, axis=1, keepdims=True)
    similarity = unit @ unit[5]
    similarity[5] = -9
    assert found.rows.tolist() == np.argsort(-similarity)[:4].tolist()
    assert (np.diff(found.similarity) <= 0).all()


def test_no_more_are_found_than_there_are() -> None:
    vectors = np.eye(3, dtype=np.float32)
    assert sorted(Likenesses(vectors).nearest(vectors[0], 9, but=0).rows.tolist()) == [1, 2]


def test_features_that_do_not_vary_do_not_matter(rng: np.random.Generator) -> None:
    vectors = rng.standard_normal((30, 4)).astype(np.float32)
    vectors[:, 2] = 7
    assert np.isfinite(Likenesses(vectors).nearest(vectors[1], 3).similarity).all()


def test_strange_things_are_rare_among_known_ones(rng: np.random.Generator) -> None:
    known = rng.standard_normal((400, 5)).astype(np.float32) + 4 * rng.integers(0, 2, (400, 1))
    likenesses = Likenesses(known)
    new = rng.standard_normal((200, 5)).astype(np.float32) + 4 * rng.integers(0, 2, (200, 1))
    shares = np.array([likenesses.share_as_strange(vector) for vector in new])
    assert 0.4 < shares.mean() < 0.6
    assert (shares <= 0.05).mean() < 0.11
    assert shares.min() >= 1 / 401


def test_a_neighbour_of_the_same_specimen_does_not_make_one_usual(
    rng: np.random.Generator,
) -> None:
    each = rng.standard_normal((50, 6)).astype(np.float32)
    twice = np.repeat(each, 2, axis=0) + 0.001 * rng.standard_normal((100, 6)).astype(np.float32)
    groups = np.repeat(np.arange(50), 2)
    newcomer = rng.standard_normal(6).astype(np.float32)
    assert Likenesses(twice).share_as_strange(newcomer) < 0.02
    assert Likenesses(twice, groups).share_as_strange(newcomer) > 0.02
