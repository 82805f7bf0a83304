"""Laws that the matrix statistics keep on any input."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist, squareform

from kinlens.evaluate.association import (
    distance_correlation,
    protest,
    rv_coefficient,
    unbiased_distance_correlation,
)
from kinlens.evaluate.contrasts import contrast_test, phylogenetic_contrasts
from kinlens.evaluate.matrices import Method, matrix_correlation
from kinlens.evaluate.nulls import Alternative, PermutationTest
from kinlens.evaluate.signal import kmult
from kinlens.geometry.patristic import vcv
from kinlens.simulate.traits import evolve_traits
from kinlens.simulate.tree_noise import with_branch_noise
from kinlens.simulate.trees import birth_death_tree
from kinlens.typing import FloatArray

seeds = st.integers(0, 2**32 - 1)
sizes = st.integers(5, 25)
SIDES: list[Alternative] = ["greater", "less", "two-sided"]


def distances(values: FloatArray) -> FloatArray:
    return np.asarray(squareform(pdist(values)))


@given(seed=seeds, n=sizes, method=st.sampled_from(["pearson", "spearman", "kendall"]))
@settings(deadline=None, max_examples=40)
def test_correlation_is_symmetric_bounded_and_blind_to_order(
    seed: int, n: int, method: Method
) -> None:
    rng = np.random.default_rng(seed)
    a, b = distances(rng.standard_normal((n, 2))), distances(rng.standard_normal((n, 3)))
    order = rng.permutation(n)
    r = matrix_correlation(a, b, method=method)
    assert -1 <= r <= 1
    assert matrix_correlation(b, a, method=method) == pytest.approx(r, abs=1e-9)
    both = np.ix_(order, order)
    assert matrix_correlation(a[both], b[both], method=method) == pytest.approx(r, abs=1e-9)
    assert matrix_correlation(a, 3 * a, method=method) == pytest.approx(1, abs=1e-9)


@given(seed=seeds, n=sizes)
@settings(deadline=None, max_examples=30)
def test_associations_are_symmetric_and_one_with_themselves(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((n, 3)), rng.standard_normal((n, 2))
    for test, one, two in (
        (protest, x, y),
        (rv_coefficient, x, y),
        (distance_correlation, distances(x), distances(y)),
        (unbiased_distance_correlation, distances(x), distances(y)),
    ):
        there = test(one, two, permutations=0, rng=rng).statistic
        back = test(two, one, permutations=0, rng=rng).statistic
        assert there == pytest.approx(back, abs=1e-9)
        assert there <= 1 + 1e-12
        assert test(one, one, permutations=0, rng=rng).statistic == pytest.approx(1, abs=1e-9)


@given(seed=seeds, n=sizes, signal=st.floats(0, 1))
@settings(deadline=None, max_examples=30)
def test_contrasts_carry_all_that_the_covariance_does(seed: int, n: int, signal: float) -> None:
    rng = np.random.default_rng(seed)
    tree = with_branch_noise(birth_death_tree(n, rng), rng, spread=0.5)
    values = evolve_traits(tree, 2, rng)[tree.tips]
    contrasts = phylogenetic_contrasts(values, tree, signal=signal)
    shared = vcv(tree)
    shared = signal * shared + (1 - signal) * np.diag(np.diagonal(shared))
    inverse = np.linalg.inv(shared)
    about = values - inverse.sum(axis=0) @ values / inverse.sum()
    expected = about.T @ inverse @ about
    np.testing.assert_allclose(contrasts.T @ contrasts, expected, rtol=1e-6, atol=1e-9)


@given(seed=seeds, n=sizes)
@settings(deadline=None, max_examples=20)
def test_the_contrast_test_is_symmetric_and_blind_to_scale(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    tree = birth_death_tree(n, rng)
    a, b = (distances(evolve_traits(tree, 3, rng)[tree.tips]) for _ in range(2))
    one, two = (
        contrast_test(*pair, tree, permutations=0, rng=rng) for pair in ((a, b), (1e4 * b, a))
    )
    assert one.statistic == pytest.approx(two.statistic, abs=1e-6)
    assert one.first_signal == pytest.approx(two.second_signal, abs=1e-4)
    assert -1 <= one.statistic <= 1


@given(seed=seeds, n=sizes)
@settings(deadline=None, max_examples=20)
def test_kmult_is_positive_and_blind_to_order(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    tree = birth_death_tree(n, rng)
    values, covariance = rng.standard_normal((n, 3)), vcv(tree)
    order = rng.permutation(n)
    k = kmult(values, covariance, permutations=0, rng=rng).statistic
    moved = kmult(values[order], covariance[np.ix_(order, order)], permutations=0, rng=rng)
    assert k > 0
    assert moved.statistic == pytest.approx(k, rel=1e-6)


@given(
    statistic=st.floats(-10, 10),
    null=st.lists(st.floats(-10, 10), min_size=1, max_size=30),
)
def test_p_values_are_shares_and_the_sides_cover_everything(
    statistic: float, null: list[float]
) -> None:
    values = np.array(null)
    greater, less, both = (
        PermutationTest.from_null(
            "r", statistic, values, n=9, null_description="free", alternative=side
        ).p_value
        for side in SIDES
    )
    for p_value in (greater, less, both):
        assert 1 / (1 + len(null)) <= p_value <= 1
    assert greater + less >= 1 + 1 / (1 + len(null)) - 1e-12
