from __future__ import annotations

import numpy as np
import pytest

from kinlens.models.lineage import Lineages
from kinlens.models.nested_means import pulled_means


def nested(n_genera: int, n_species: int) -> Lineages:
    species = np.arange(n_genera * n_species)
    genus = species // n_species
    names = (species.astype(str).astype(object), np.unique(genus).astype(str).astype(object))
    return Lineages(("species", "genus"), names, (species, genus))


def test_variances_of_ranks_are_found(rng: np.random.Generator) -> None:
    lineages = nested(60, 8)
    counts = rng.integers(1, 6, 480)
    genus = rng.normal(0, 2.0, (60, 40))[lineages.codes[1]]
    means = (
        genus
        + rng.normal(0, 1.5, (480, 40))
        + rng.normal(size=(480, 40)) / np.sqrt(counts)[:, None]
    )
    found = pulled_means(means, counts, lineages, pull=1.0, n_dimensions=40)
    assert found.variances["species"] == pytest.approx(1.5**2, rel=0.1)
    assert found.variances["genus"] == pytest.approx(2.0**2, rel=0.15)


def test_predictions_equal_the_posterior_mean_of_the_whole_covariance(
    rng: np.random.Generator,
) -> None:
    lineages = nested(5, 3)
    counts = rng.integers(1, 9, 15)
    means = rng.normal(size=(15, 4)) + 3 * rng.normal(size=(5, 4))[lineages.codes[1]]
    found = pulled_means(means, counts, lineages, pull=1.0, n_dimensions=4)
    v = found.variances
    same_genus = lineages.codes[1][:, None] == lineages.codes[1][None, :]
    K = v["species"] * np.eye(15) + v["genus"] * same_genus
    S = np.linalg.inv(K + np.diag(1.0 / counts))
    centre = (S.sum(axis=0) @ means) / S.sum()  # generalised least squares
    expected = centre + K @ S @ (means - centre)
    np.testing.assert_allclose(found.means, expected, atol=1e-9)


def test_few_pictures_borrow_more_than_many(rng: np.random.Generator) -> None:
    lineages = nested(1, 4)
    means = np.array([[0.0], [0.0], [4.0], [4.0]])
    found = pulled_means(means, np.array([1, 50, 1, 50]), lineages, pull=1.0, n_dimensions=1)
    moved = np.abs(found.means - means)[:, 0]
    assert moved[0] > 5 * moved[1]
    assert moved[2] > 5 * moved[3]


def test_no_pull_leaves_means_alone_and_no_difference_pools_them() -> None:
    lineages = nested(2, 3)
    means = np.arange(12.0).reshape(6, 2)
    counts = np.full(6, 3)
    same = pulled_means(means, counts, lineages, pull=0.0, n_dimensions=2)
    np.testing.assert_array_equal(same.means, means)
    noise = 0.01 * np.arange(12.0).reshape(6, 2)
    pooled = pulled_means(noise, counts, lineages, pull=1.0, n_dimensions=2)
    assert np.ptp(pooled.means, axis=0).max() < 0.05 * np.ptp(noise, axis=0).max()


def test_a_genus_of_one_species_takes_part(rng: np.random.Generator) -> None:
    names = (np.array(list("abc"), object), np.array(["A", "B"], object))
    lineages = Lineages(("species", "genus"), names, (np.arange(3), np.array([0, 0, 1])))
    found = pulled_means(
        rng.normal(size=(3, 2)), np.ones(3, int), lineages, pull=1.0, n_dimensions=2
    )
    assert np.isfinite(found.means).all()
