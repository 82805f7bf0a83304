"""Points for a given matrix: exact where they can be, and better bent than flat for a tree."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import pdist, squareform

from kinlens.embed.given_distances import GivenDistancesEmbedder, distortion_of
from kinlens.errors import InputError, UsageError
from kinlens.geometry.patristic import patristic_distances
from kinlens.learn.spaces import SPACES
from kinlens.simulate.trees import birth_death_tree


def test_flat_distances_are_given_back(rng):
    given = squareform(pdist(rng.standard_normal((15, 3))))
    made = GivenDistancesEmbedder("euclidean", 3).fit(given)
    np.testing.assert_allclose(made.distances_, given, atol=1e-3)
    assert made.points_.shape == (15, 3)
    assert made.distortion_.mean < 1e-3


def test_a_tree_fits_better_where_there_is_room(rng):
    given = patristic_distances(birth_death_tree(30, rng)).values
    flat, bent = (
        GivenDistancesEmbedder(geometry, 2).fit(given).distortion_.mean
        for geometry in ("euclidean", "poincare")
    )
    assert bent < 0.8 * flat


@pytest.mark.parametrize("geometry", SPACES)
def test_every_space_takes_a_matrix(geometry, rng):
    given = squareform(pdist(rng.random((8, 4))))
    one, other = (GivenDistancesEmbedder(geometry, 4, iterations=50).fit(given) for _ in range(2))
    assert np.isfinite(one.distances_).all()
    np.testing.assert_array_equal(one.points_, other.points_)
    assert one.distortion_ == distortion_of(one.distances_, given)


def test_twins_lie_together():
    given = np.array([[0, 0, 3], [0, 0, 3], [3, 3, 0.0]])
    made = GivenDistancesEmbedder("euclidean", 2).fit(given)
    assert made.distances_[0, 1] < 0.05


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        ([[0.0]], "two things or more"),
        ([[0, 1, 2], [1, 0, 1]], "a square"),
        ([[0, 1], [2, 0]], "both directions"),
        ([[0, np.nan], [np.nan, 0]], "finite"),
        ([[0, -1], [-1, 0]], "0 or more"),
        ([[0, 0], [0, 0]], "nothing to place"),
    ],
)
def test_what_is_no_distance_matrix_is_refused(matrix, message):
    with pytest.raises(InputError, match=message):
        GivenDistancesEmbedder().fit(np.array(matrix, dtype=float))


def test_settings_are_checked():
    given = 1.0 - np.eye(3)
    with pytest.raises(UsageError, match="Did you mean 'poincare'"):
        GivenDistancesEmbedder("poincaré").fit(given)
    with pytest.raises(UsageError, match="dimensions"):
        GivenDistancesEmbedder("euclidean", 0).fit(given)
