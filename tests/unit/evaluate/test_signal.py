"""K, Kmult and lambda: hand-worked values, planted truth, invariances."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import multivariate_normal, ortho_group

from kinlens.errors import InputError, UsageError
from kinlens.evaluate.signal import blomberg_k, kmult, pagel_lambda
from kinlens.geometry.patristic import vcv
from kinlens.records.tree import Tree
from kinlens.simulate.traits import evolve_traits, with_signal
from kinlens.simulate.trees import yule_tree
from kinlens.typing import FloatArray

THREE = np.array([[3.0, 1, 0], [1, 3, 0], [0, 0, 3]])


def traits(tree: Tree, rng: np.random.Generator, p: int = 4) -> FloatArray:
    return evolve_traits(tree, p, rng)[tree.tips]


def test_k_of_three_species_by_hand(rng: np.random.Generator) -> None:
    # C^-1 = [[3,-1,0],[-1,3,0],[0,0,8/3]] / 8, row sums 1/4, 1/4, 1/3, in all 5/6.
    # Root of (1, 2, 4): (1/4 + 2/4 + 4/3) / (5/6) = 5/2; deviations -3/2, -1/2, 3/2, squares 19/4.
    # Whitened: (3 * 9/4 - 2 * 3/4 + 3 * 1/4) / 8 + (9/4) / 3 = 3/2.
    # Expected: (9 - 3 * 6/5) / 2 = 27/10.
    expected = (19 / 4) / (3 / 2) / (27 / 10)
    for test in (blomberg_k, kmult):
        found = test([1.0, 2, 4], THREE, permutations=0, rng=rng)
        assert found.statistic == pytest.approx(expected, abs=1e-12)


def test_kmult_of_three_species_and_two_traits_by_hand(rng: np.random.Generator) -> None:
    # A second trait (0, 2, 1): root (0 + 2/4 + 1/3) / (5/6) = 1, deviations -1, 1, 0, squares 2.
    # Whitened: (3 + 2 + 3) / 8 + 0 = 1. Squares and whitened squares add up over traits.
    expected = (19 / 4 + 2) / (3 / 2 + 1) / (27 / 10)
    found = kmult([[1.0, 0], [2, 2], [4, 1]], THREE, permutations=0, rng=rng)
    assert found.statistic == pytest.approx(expected, abs=1e-12)


def adams(values: FloatArray, covariance: FloatArray) -> float:
    """Equation 5 of Adams (2014) as it stands, with the matrix square root of C."""
    n = len(covariance)
    inverse = np.linalg.inv(covariance)
    root = inverse.sum(axis=0) @ values / inverse.sum()
    about = values - root
    eigenvalues, vectors = np.linalg.eigh(covariance)
    whitened = vectors @ np.diag(eigenvalues**-0.5) @ vectors.T @ about
    observed = (about**2).sum() / (whitened**2).sum()
    return float(observed / ((np.trace(covariance) - n / inverse.sum()) / (n - 1)))


@pytest.mark.parametrize("p", [1, 5, 80])
def test_kmult_is_the_published_formula_and_permutes_species(
    p: int, rng: np.random.Generator
) -> None:
    tree = yule_tree(18, rng)
    covariance, values = vcv(tree), traits(tree, rng, p)

    class Two:
        n = 18
        description = "two orders"

        def draw(self, count: int, rng: np.random.Generator) -> Any:
            return np.array([np.arange(18), np.arange(18)[::-1]], dtype=np.uint32)

    test = kmult(values, covariance, permutations=2, scheme=Two(), rng=rng)
    assert test.statistic == pytest.approx(adams(values, covariance), rel=1e-10)
    expected = [adams(values, covariance), adams(values[::-1], covariance)]
    np.testing.assert_allclose(test.null, expected, rtol=1e-9)


def test_kmult_does_not_care_about_rotation_shift_or_units(rng: np.random.Generator) -> None:
    tree = yule_tree(20, rng)
    values = traits(tree, rng, 6)
    turned = 1e-4 * values @ ortho_group.rvs(6, random_state=2) + 3
    plain, other, stretched = (
        kmult(table, covariance, permutations=0, rng=rng).statistic
        for table, covariance in (
            (values, vcv(tree)),
            (turned, vcv(tree)),
            (values, 1e5 * vcv(tree)),
        )
    )
    assert plain == pytest.approx(other, rel=1e-9)
    assert plain == pytest.approx(stretched, rel=1e-9)


def test_k_is_one_under_brownian_motion_and_less_without_signal(rng: np.random.Generator) -> None:
    tree = yule_tree(60, rng)
    covariance = vcv(tree)
    brownian = kmult(traits(tree, rng, 200), covariance, permutations=99, rng=rng)
    unrelated = kmult(rng.standard_normal((60, 200)), covariance, permutations=99, rng=rng)
    assert brownian.statistic == pytest.approx(1, abs=0.15)
    assert brownian.p_value == 0.01
    assert unrelated.statistic < 0.5
    assert unrelated.p_value > 0.01


def test_kmult_keeps_its_level(rng: np.random.Generator) -> None:
    covariance = vcv(yule_tree(15, rng))
    p_values = [
        kmult(rng.standard_normal((15, 3)), covariance, permutations=99, rng=rng).p_value
        for _ in range(400)
    ]
    assert 0.02 < (np.array(p_values) <= 0.05).mean() < 0.085


@pytest.mark.parametrize("rates", ["full", "isotropic"])
@pytest.mark.parametrize("signal", [0.0, 0.5, 1.0])
def test_lambda_is_found(rates: Any, signal: float, rng: np.random.Generator) -> None:
    tree = yule_tree(80, rng)
    fits = [
        pagel_lambda(traits(with_signal(tree, signal), rng, 5), vcv(tree), rates=rates)
        for _ in range(6)
    ]
    assert abs(np.mean([fit.value for fit in fits]) - signal) < 0.1
    assert all(fit.low <= fit.value <= fit.high <= fit.upper_bound for fit in fits)
    assert sum(fit.low <= signal <= fit.high for fit in fits) >= 4
    if signal > 0:
        assert all(fit.p_value < 0.01 for fit in fits)


@pytest.mark.parametrize("signal", [0.0, 0.4, 1.0])
def test_the_likelihood_is_that_of_a_normal_distribution(
    signal: float, rng: np.random.Generator
) -> None:
    tree = yule_tree(12, rng)
    values, covariance = traits(tree, rng, 2), vcv(tree)
    shared = signal * covariance + (1 - signal) * np.diag(np.diagonal(covariance))
    inverse = np.linalg.inv(shared)
    root = inverse.sum(axis=0) @ values / inverse.sum()
    about = values - root
    full = about.T @ inverse @ about / 12
    isotropic = np.eye(2) * np.trace(full) / 2
    for rates, matrix in (("full", full), ("isotropic", isotropic)):
        expected = multivariate_normal.logpdf(
            about.T.ravel(), cov=np.kron(matrix, shared), allow_singular=False
        )
        fit = pagel_lambda(values, covariance, rates=rates)  # type: ignore[arg-type]
        if signal == 0:
            assert fit.log_likelihood_zero == pytest.approx(expected, rel=1e-10)
        if signal == 1:
            assert fit.log_likelihood_one == pytest.approx(expected, rel=1e-10)
        assert fit.log_likelihood >= expected - 1e-9


def test_full_rates_do_not_care_about_units_and_isotropic_ones_about_rotation(
    rng: np.random.Generator,
) -> None:
    tree = yule_tree(30, rng)
    covariance = vcv(tree)
    values = traits(with_signal(tree, 0.6), rng, 3)
    mixed = values @ np.array([[1e3, 5, 0], [0, 1e-3, 0], [2, 0, 1.0]])
    turned = values @ ortho_group.rvs(3, random_state=3)
    full = [pagel_lambda(table, covariance).value for table in (values, mixed)]
    isotropic = [
        pagel_lambda(table, covariance, rates="isotropic").value for table in (values, turned)
    ]
    assert full[0] == pytest.approx(full[1], abs=1e-3)
    assert isotropic[0] == pytest.approx(isotropic[1], abs=1e-6)


@pytest.mark.parametrize(("rates", "p"), [("full", 3), ("isotropic", 12)])
def test_lambda_keeps_its_level(rates: Any, p: int, rng: np.random.Generator) -> None:
    covariance = vcv(yule_tree(40, rng))
    # Unequal rates, which an isotropic likelihood would take for more evidence than there is.
    scale = np.sqrt(0.5 ** np.arange(p))
    p_values = [
        pagel_lambda(rng.standard_normal((40, p)) * scale, covariance, rates=rates).p_value
        for _ in range(120)
    ]
    assert (np.array(p_values) <= 0.05).mean() < 0.11


def test_more_traits_than_species_need_isotropic_rates(rng: np.random.Generator) -> None:
    tree = yule_tree(10, rng)
    values = traits(tree, rng, 40)
    with pytest.raises(InputError, match="40 traits cannot be estimated from 10 species"):
        pagel_lambda(values, vcv(tree))
    assert pagel_lambda(values, vcv(tree), rates="isotropic").value > 0.8


def test_a_star_has_no_lambda_to_find(rng: np.random.Generator) -> None:
    fit = pagel_lambda(rng.standard_normal(10), np.eye(10))
    assert fit.log_likelihood == pytest.approx(fit.log_likelihood_zero)
    assert (fit.p_value, fit.low, fit.high) == (1.0, 0.0, 1.0)


def test_refusals(rng: np.random.Generator) -> None:
    tree = yule_tree(10, rng)
    covariance, values = vcv(tree), traits(tree, rng, 2)
    with pytest.raises(InputError, match="one trait, not 2"):
        blomberg_k(values, covariance, rng=rng)
    with pytest.raises(InputError, match="do not vary"):
        kmult(np.full((10, 2), 0.1), covariance, rng=rng)
    with pytest.raises(InputError, match="do not vary"):
        pagel_lambda(np.full(10, 0.1), covariance)
    with pytest.raises(InputError, match="follow from each other"):
        pagel_lambda(np.column_stack([values, values.sum(axis=1)]), covariance)
    with pytest.raises(InputError, match="10 tips for 9 rows"):
        kmult(values[1:], covariance, rng=rng)
    with pytest.raises(UsageError, match="'diagonal'"):
        pagel_lambda(values, covariance, rates="diagonal")  # type: ignore[arg-type]
    twins = covariance.copy()
    twins[:, 1] = twins[:, 0]
    twins[1] = twins[0]
    with pytest.raises(InputError, match="singular at lambda = 1"):
        kmult(values, twins, rng=rng)
    on_root = np.diag([0.0, 1, 1])
    with pytest.raises(InputError, match="sit on the root: row 0"):
        kmult(values[:3], on_root, rng=rng)
