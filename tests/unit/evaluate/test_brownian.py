"""The null of independent evolution, for any statistic."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import pdist, squareform

from kinlens.errors import UsageError
from kinlens.evaluate.brownian import Redraw, brownian_null_test
from kinlens.evaluate.ceilings import brownian_ceiling
from kinlens.evaluate.contrasts import distance_lambda, phylogenetic_contrasts
from kinlens.evaluate.matrices import matrix_correlation
from kinlens.geometry.patristic import patristic_distances, vcv
from kinlens.records.tree import Tree
from kinlens.simulate.traits import evolve_traits, with_signal
from kinlens.simulate.trees import yule_tree
from kinlens.typing import FloatArray

both = pytest.mark.parametrize("redraw", ["flip", "simulate"])


def distances(values: FloatArray) -> FloatArray:
    return np.asarray(squareform(pdist(values)))


def traits(tree: Tree, rng: np.random.Generator, p: int = 8) -> FloatArray:
    return evolve_traits(tree, p, rng)[tree.tips]


def plain_correlation(first: FloatArray, second: FloatArray) -> float:
    return matrix_correlation(first, second)


@both
def test_the_compiled_statistic_is_the_general_one(
    redraw: Redraw, rng: np.random.Generator
) -> None:
    tree = yule_tree(15, rng)
    a, b = distances(traits(tree, rng, 3)), distances(traits(tree, rng, 3))
    names = list(tree.tip_names)
    order = rng.permutation(15)
    a, b, names = a[np.ix_(order, order)], b[np.ix_(order, order)], [names[i] for i in order]
    fast, general = (
        brownian_null_test(
            a, b, tree, names=names, redraw=redraw, statistic=statistic, permutations=60,
            rng=np.random.default_rng(4),
        )
        for statistic in (None, plain_correlation)
    )  # fmt: skip
    assert fast.statistic == pytest.approx(matrix_correlation(a, b), abs=1e-12)
    np.testing.assert_allclose(fast.null, general.null, atol=1e-9)
    assert general.name == "plain_correlation"


def test_flipped_worlds_keep_the_size_of_every_contrast(rng: np.random.Generator) -> None:
    tree = yule_tree(12, rng)
    values = traits(tree, rng, 3)
    seen: list[FloatArray] = []

    def keep(first: FloatArray, second: FloatArray) -> float:
        seen.append(first)
        return 0.0

    brownian_null_test(
        distances(values),
        distances(values),
        tree,
        statistic=keep,
        signal=1.0,
        permutations=5,
        rng=rng,
    )
    sizes = (phylogenetic_contrasts(values, tree) ** 2).sum(axis=1)
    for redrawn in seen:
        # Contrasts of rows, then of columns, of the Gram matrix behind the distances.
        half = phylogenetic_contrasts(-0.5 * redrawn**2, tree)
        products = phylogenetic_contrasts(half.T, tree)
        np.testing.assert_allclose(np.diagonal(products), sizes, rtol=1e-9)
    assert not np.allclose(seen[1], seen[2])


def test_simulated_worlds_are_brownian(rng: np.random.Generator) -> None:
    # With unequal rates known, the null of r with the tree is the ceiling for those rates.
    tree = yule_tree(40, rng)
    scale = np.sqrt(0.6 ** np.arange(6))
    covariance, on_tree = vcv(tree), patristic_distances(tree).values
    ceiling = brownian_ceiling(covariance, dimensions=scale**2, replicates=2000, rng=rng)
    means = [
        brownian_null_test(
            distances(traits(tree, rng, 6) * scale), on_tree, tree,
            redraw="simulate", signal=1.0, permutations=200, rng=rng,
        ).null_mean
        for _ in range(30)
    ]  # fmt: skip
    assert np.mean(means) == pytest.approx(ceiling.mean, abs=0.03)


def test_simulated_worlds_have_the_spread_of_the_real_one(rng: np.random.Generator) -> None:
    tree = yule_tree(30, rng)
    values = traits(tree, rng, 5)
    squares: list[float] = []

    def keep(first: FloatArray, second: FloatArray) -> float:
        squares.append(float((first**2).sum()))
        return 0.0

    own = distances(values)
    brownian_null_test(
        own, own, tree, statistic=keep, redraw="simulate", signal=1.0, permutations=400, rng=rng
    )
    contrasts = phylogenetic_contrasts(values, tree)
    rate = (contrasts**2).sum() / len(contrasts)
    expected = rate * patristic_distances(tree).values.sum()
    assert np.mean(squares[1:]) == pytest.approx(expected, rel=0.05)


@both
@pytest.mark.parametrize("wide", [8, 60])
def test_independent_traits_are_left_in_peace(
    redraw: Redraw, wide: int, rng: np.random.Generator
) -> None:
    p_values = []
    for _ in range(200):
        tree = yule_tree(20, rng)
        a, b = distances(traits(tree, rng, wide)), distances(traits(tree, rng, wide))
        p_values.append(
            brownian_null_test(a, b, tree, redraw=redraw, permutations=99, rng=rng).p_value
        )
    assert 0.01 < (np.array(p_values) <= 0.05).mean() < 0.1


@both
def test_two_sided_looks_from_the_middle_of_the_null(
    redraw: Redraw, rng: np.random.Generator
) -> None:
    tree = yule_tree(40, rng)
    a, b = distances(traits(tree, rng)), distances(traits(tree, rng))
    test = brownian_null_test(
        a, b, tree, redraw=redraw, permutations=199, alternative="two-sided", rng=rng
    )
    assert test.null_mean > 0.2
    far = abs(test.null - test.null_mean) >= abs(test.statistic - test.null_mean)
    assert test.p_value == pytest.approx((1 + far.sum()) / 200)


def test_signal_is_estimated_from_the_first_side(rng: np.random.Generator) -> None:
    tree = yule_tree(40, rng)
    a = distances(traits(with_signal(tree, 0.5), rng))
    test = brownian_null_test(a, a, tree, permutations=5, rng=rng)
    assert test.first_signal == pytest.approx(distance_lambda(a, tree))
    assert np.isnan(test.second_signal)
    assert f"lambda {test.first_signal:.3f}" in test.null_description


def test_distances_that_are_not_euclidean_are_legal(rng: np.random.Generator) -> None:
    tree = yule_tree(20, rng)
    cosine = squareform(pdist(traits(tree, rng) + 1, "cosine"))
    test = brownian_null_test(cosine, cosine, tree, permutations=50, rng=rng)
    assert np.isfinite(test.null).all()
    assert test.statistic == pytest.approx(1)


def test_an_unknown_redraw_is_refused(rng: np.random.Generator) -> None:
    tree = yule_tree(5, rng)
    a = distances(traits(tree, rng))
    with pytest.raises(UsageError, match="'shuffle'"):
        brownian_null_test(a, a, tree, redraw="shuffle", rng=rng)  # type: ignore[arg-type]
