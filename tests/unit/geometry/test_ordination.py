"""Classical scaling: distances come back, newcomers fall where they belong."""

from __future__ import annotations

import numpy as np
import pytest

from kinlens.errors import UsageError
from kinlens.geometry.ordination import principal_coordinates
from kinlens.geometry.patristic import patristic_distances
from kinlens.simulate.tree_noise import with_branch_noise
from kinlens.simulate.trees import birth_death_tree


def between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.linalg.norm(a[:, None] - b[None], axis=2)


def test_points_are_found_again_up_to_rotation(rng: np.random.Generator) -> None:
    points = rng.standard_normal((30, 4))
    scaled = principal_coordinates(between(points, points), 10)
    assert scaled.points.shape == (30, 4)
    np.testing.assert_allclose(between(scaled.points, scaled.points), between(points, points))
    assert scaled.share.sum() == pytest.approx(1)
    np.testing.assert_allclose((scaled.points**2).sum(axis=0), scaled.eigenvalues)
    np.testing.assert_allclose(scaled.points.mean(axis=0), 0, atol=1e-12)


def test_square_roots_of_tree_distances_are_euclidean(rng: np.random.Generator) -> None:
    tree = with_branch_noise(birth_death_tree(40, rng), rng, spread=0.7)
    roots = np.sqrt(patristic_distances(tree).values)
    scaled = principal_coordinates(roots, 39)
    assert scaled.points.shape == (40, 39)
    np.testing.assert_allclose(between(scaled.points, scaled.points), roots, atol=1e-9)


def test_newcomers_fall_on_their_place(rng: np.random.Generator) -> None:
    points, new = rng.standard_normal((30, 4)), rng.standard_normal((5, 4))
    scaled = principal_coordinates(between(points, points), 4)
    np.testing.assert_allclose(scaled.place(between(points, points)), scaled.points, atol=1e-9)
    np.testing.assert_allclose(
        between(scaled.place(between(new, points)), scaled.points), between(new, points)
    )
    assert scaled.place(between(new, points)[0]).shape == (1, 4)
    with pytest.raises(UsageError, match="30 things were wanted; 29 came"):
        scaled.place(between(new, points)[:, 1:])


def test_scikit_bio_gives_the_same(rng: np.random.Generator) -> None:
    from skbio import DistanceMatrix
    from skbio.stats.ordination import pcoa

    roots = np.sqrt(patristic_distances(birth_death_tree(25, rng)).values)
    ours = principal_coordinates(roots, 5)
    theirs = pcoa(DistanceMatrix(roots), dimensions=5, method="eigh")
    np.testing.assert_allclose(ours.eigenvalues, theirs.eigvals[:5])
    np.testing.assert_allclose(ours.share, theirs.proportion_explained[:5])
    np.testing.assert_allclose(np.abs(ours.points), np.abs(theirs.samples.to_numpy()[:, :5]))


def test_signs_do_not_hang_on_the_order(rng: np.random.Generator) -> None:
    points = rng.standard_normal((20, 3))
    order = rng.permutation(20)
    distances = between(points, points)
    one = principal_coordinates(distances, 3).points[order]
    two = principal_coordinates(distances[np.ix_(order, order)], 3).points
    np.testing.assert_allclose(one, two, atol=1e-9)


def test_axes_that_carry_nothing_are_left_out() -> None:
    assert principal_coordinates(np.zeros((4, 4)), 2).points.shape == (4, 0)
    for n_axes in (0, 4):
        with pytest.raises(UsageError, match="from 1 axis to one less"):
            principal_coordinates(np.ones((4, 4)) - np.eye(4), n_axes)
