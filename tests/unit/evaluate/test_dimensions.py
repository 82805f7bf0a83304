"""Effective numbers of axes and of species."""

from __future__ import annotations

import numpy as np
import pytest

from kinlens.errors import InputError
from kinlens.evaluate.dimensions import (
    effective_dimensions,
    effective_species,
    participation_ratio,
    wishart_dimensions,
)
from kinlens.geometry.patristic import vcv
from kinlens.simulate.traits import evolve_traits
from kinlens.simulate.trees import yule_tree


@pytest.mark.parametrize(
    ("spectrum", "expected"), [([3], 1), ([1, 1, 1, 1], 4), ([4, 1, 0], 25 / 17), ([1e-200] * 2, 2)]
)
def test_participation_ratio(spectrum: list[float], expected: float) -> None:
    assert participation_ratio(spectrum) == pytest.approx(expected)


@pytest.mark.parametrize("spectrum", [[0, 0], [1, -1], [np.nan], []])
def test_what_is_no_spectrum_is_refused(spectrum: list[float]) -> None:
    with pytest.raises(InputError, match="eigenvalues"):
        participation_ratio(spectrum)


@pytest.mark.parametrize("p", [8, 60])
def test_dimensions_are_right_on_average_where_the_plain_ratio_is_low(
    p: int, rng: np.random.Generator
) -> None:
    tree = yule_tree(32, rng)
    covariance = vcv(tree)
    scale = np.sqrt(0.9 ** np.arange(p))
    true = participation_ratio(scale**2)
    estimates, plain = [], []
    for _ in range(200):
        values = evolve_traits(tree, p, rng)[tree.tips] * scale
        estimates.append(effective_dimensions(values, covariance))
        plain.append(participation_ratio(np.linalg.svd(values - values.mean(0))[1] ** 2))
    assert np.median(estimates) == pytest.approx(true, rel=0.1)
    assert np.median(plain) < 0.8 * true


def test_without_a_tree_it_is_the_plain_covariance(rng: np.random.Generator) -> None:
    values = rng.standard_normal((30, 5))
    star = effective_dimensions(values, np.eye(30))
    assert effective_dimensions(values) == pytest.approx(star)
    assert effective_dimensions(values[:, :1]) == 1


def test_wishart_dimensions_beyond_what_the_sample_can_tell() -> None:
    assert wishart_dimensions(1.0, 1 / 10, 10) == np.inf
    assert wishart_dimensions(1.0, 1.0, 10) == pytest.approx(1)


def test_effective_species_of_simple_trees() -> None:
    pairs = np.kron(np.eye(5), [[1.0, 0.999999], [0.999999, 1.0]])
    found = effective_species(pairs)
    assert found.n == 10
    assert found.for_mean == pytest.approx(5, rel=1e-4)
    assert found.for_correlation == pytest.approx(5, rel=1e-4)
    assert found.for_regression < 0.01
    # Two species that share the half: 1' R^-1 1 = 2 / (1 + r).
    assert effective_species([[2.0, 1], [1, 2]]).for_mean == pytest.approx(4 / 3)


def test_effective_species_do_not_depend_on_the_unit_of_branches(
    rng: np.random.Generator,
) -> None:
    covariance = vcv(yule_tree(20, rng))
    one, other = effective_species(covariance), effective_species(1e6 * covariance)
    assert one.for_mean == pytest.approx(other.for_mean)
    assert 1 <= one.for_mean <= 20
    assert one.for_regression == pytest.approx(other.for_regression)
    assert 1 <= one.for_correlation <= 20


def test_chance_correlations_have_the_size_of_that_many_species(rng: np.random.Generator) -> None:
    tree = yule_tree(50, rng)
    worth = effective_species(vcv(tree)).for_correlation
    values = evolve_traits(tree, 4000, rng)[tree.tips]
    # About the root, which is known to be 0 here: the mean product of unrelated traits.
    one, two = values[:, ::2], values[:, 1::2]
    square = (one * two).sum(0) ** 2 / ((one**2).mean() * (two**2).mean() * 50**2)
    assert 1 / square.mean() == pytest.approx(worth, rel=0.2)


def test_twins_are_refused() -> None:
    with pytest.raises(InputError, match="singular"):
        effective_species([[1.0, 1, 0], [1, 1, 0], [0, 0, 1]])
