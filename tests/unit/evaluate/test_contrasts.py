"""Contrasts on a tree, and the test that rests on them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import pdist, squareform

from kinlens.errors import InputError, UsageError
from kinlens.evaluate.contrasts import contrast_test, distance_lambda, phylogenetic_contrasts
from kinlens.geometry.patristic import patristic_distances, vcv
from kinlens.records.tree import Tree
from kinlens.simulate.traits import evolve_traits, with_signal
from kinlens.simulate.tree_noise import with_branch_noise
from kinlens.simulate.trees import ladder_tree, yule_tree
from kinlens.typing import FloatArray

# ((a:1,b:2)d:1,c:4);
SMALL = Tree.from_parents([-1, 0, 1, 1, 0], [0, 1, 1, 2, 4], ["", "", "a", "b", "c"])


def distances(values: FloatArray) -> FloatArray:
    return np.asarray(squareform(pdist(values)))


def traits(tree: Tree, rng: np.random.Generator, p: int = 8) -> FloatArray:
    return evolve_traits(tree, p, rng)[tree.tips]


def whitener(tree: Tree, signal: float = 1.0) -> FloatArray:
    """What the contrasts of all traits must add up to: the inverse covariance without the mean."""
    shared = vcv(tree)
    shared = signal * shared + (1 - signal) * np.diag(np.diagonal(shared))
    inverse = np.linalg.inv(shared)
    total = inverse.sum(axis=0)
    return np.asarray(inverse - np.outer(total, total) / inverse.sum())


def test_three_species_by_hand() -> None:
    # a - b has variance 1 + 2; their ancestor is (2 a + b) / 3 with variance 2/3 + 1 above it.
    found = phylogenetic_contrasts([3.0, 9.0, 2.0], SMALL, names=["a", "b", "c"])
    expected = [6 / np.sqrt(3), (5 - 2) / np.sqrt(2 / 3 + 1 + 4)]
    np.testing.assert_allclose(np.abs(found[:, 0]), expected)


@pytest.mark.parametrize("signal", [0.0, 0.3, 1.0])
def test_contrasts_whiten_any_tree(signal: float, rng: np.random.Generator) -> None:
    tree = with_branch_noise(yule_tree(15, rng), rng, spread=1.0)
    contrasts = phylogenetic_contrasts(np.eye(15), tree, signal=signal)
    np.testing.assert_allclose(contrasts.T @ contrasts, whitener(tree, signal), atol=1e-10)


def test_polytomies_and_nodes_with_one_child(rng: np.random.Generator) -> None:
    # (a:1,(b:2,c:1,d:3):1,((e:1):1):1); with two nodes of one child above e.
    parent = [-1, 0, 0, 2, 2, 2, 0, 6, 7]
    names = ["", "a", "", "b", "c", "d", "", "", "e"]
    tree = Tree.from_parents(parent, [0, 1, 1, 2, 1, 3, 1, 1, 1], names)
    contrasts = phylogenetic_contrasts(np.eye(5), tree)
    np.testing.assert_allclose(contrasts.T @ contrasts, whitener(tree), atol=1e-12)


def test_rows_follow_names_and_other_tips_are_pruned(rng: np.random.Generator) -> None:
    tree = yule_tree(12, rng)
    values = traits(tree, rng, 2)
    kept = [7, 2, 9, 4, 0]
    names = [tree.tip_names[i] for i in kept]
    pruned = tree.prune(names)
    found = phylogenetic_contrasts(values[kept], tree, names=names)
    inner = phylogenetic_contrasts(values[sorted(kept)], pruned)
    np.testing.assert_allclose(found, inner)


def test_a_ladder_of_thousands_is_no_problem() -> None:
    tree = ladder_tree(5_000)
    assert phylogenetic_contrasts(np.arange(5_000.0), tree).shape == (4_999, 1)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a", "b", "x"], "not tips of the tree"),
        (["a", "b", "a"], "more than one row: a"),
        (["a", "b"], "at least three species"),
        (["a", "b", "c", "c"], "more than one row"),
    ],
)
def test_names_that_do_not_fit_are_refused(names: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        phylogenetic_contrasts(
            np.arange(len(names) + 0.0 if len(names) > 2 else 3), SMALL, names=names
        )


def test_rows_without_species_are_refused(rng: np.random.Generator) -> None:
    with pytest.raises(InputError, match="4 rows for 3 species"):
        phylogenetic_contrasts(np.arange(4.0), SMALL)
    with pytest.raises(UsageError, match="signal"):
        phylogenetic_contrasts(np.arange(3.0), SMALL, signal=1.5)


def test_twins_have_no_contrast_but_an_estimate(rng: np.random.Generator) -> None:
    tree = yule_tree(20, rng)
    sizes = tree.tip_stop - tree.tip_start
    cherry = tree.children(int(np.flatnonzero(sizes == 2)[0]))
    length = tree.length.copy()
    length[cherry] = 0.0
    twins = tree.with_lengths(length)
    values, other = rng.standard_normal((20, 4)), traits(twins, rng)
    with pytest.raises(InputError, match="distance 0"):
        phylogenetic_contrasts(values, twins)
    with pytest.raises(InputError, match="distance 0"):
        contrast_test(distances(values), distances(other), twins, first_signal=1.0, rng=rng)
    # The twins do not differ in the other trait, which speaks for as much signal as there can be.
    assert 0 <= distance_lambda(distances(values), twins) < 0.5
    assert distance_lambda(distances(other), twins) == pytest.approx(0.999)
    test = contrast_test(distances(values), distances(other), twins, rng=rng, permutations=99)
    assert abs(test.statistic) < 1


@pytest.mark.parametrize("signal", [0.0, 0.5, 1.0])
def test_lambda_is_found(signal: float, rng: np.random.Generator) -> None:
    tree = yule_tree(60, rng)
    found = [
        distance_lambda(distances(traits(with_signal(tree, signal), rng, 12)), tree)
        for _ in range(5)
    ]
    assert abs(np.mean(found) - signal) < 0.08


def test_lambda_is_the_best_of_its_likelihood(rng: np.random.Generator) -> None:
    tree = with_branch_noise(yule_tree(25, rng), rng, spread=0.5)
    values = traits(with_signal(tree, 0.7), rng, 3)

    def deviance(signal: float) -> float:
        shared = vcv(tree)
        shared = signal * shared + (1 - signal) * np.diag(np.diagonal(shared))
        inverse = np.linalg.inv(shared)
        size = np.trace(values.T @ whitener(tree, signal) @ values)
        # The restricted likelihood: contrasts have the determinant of C times 1' C^-1 1 / n.
        return 24 * np.log(size) + np.linalg.slogdet(shared)[1] + np.log(inverse.sum())

    grid = np.linspace(0, 1, 2001)
    best = grid[np.argmin([deviance(value) for value in grid])]
    assert distance_lambda(distances(values), tree) == pytest.approx(best, abs=1e-3)


def test_lambda_without_distances_is_refused() -> None:
    with pytest.raises(InputError, match="no phylogenetic signal can be estimated"):
        distance_lambda(np.zeros((3, 3)), SMALL)


def test_the_statistic_by_its_definition(rng: np.random.Generator) -> None:
    tree = yule_tree(10, rng)
    x, y = traits(tree, rng, 3), traits(tree, rng, 2)
    u, v = (phylogenetic_contrasts(table, tree) for table in (x, y))
    a, b = u @ u.T, v @ v.T
    for products in (a, b):
        np.fill_diagonal(products, 0)
    expected = (a * b).sum() / np.sqrt((a**2).sum() * (b**2).sum())
    test = contrast_test(
        distances(x),
        distances(y),
        tree,
        first_signal=1,
        second_signal=1,
        permutations=4000,
        rng=rng,
    )
    assert test.statistic == pytest.approx(expected, abs=1e-12)
    # The null: every sign pattern of nine contrasts, up to the sign of all.
    patterns = np.array(np.meshgrid(*[[-1, 1]] * 9)).reshape(9, -1).T
    scale = np.sqrt((a**2).sum() * (b**2).sum())
    every = np.unique(np.round(np.einsum("mi,ij,mj->m", patterns, a * b, patterns) / scale, 9))
    assert set(np.round(test.null, 9)) == set(every)


def test_association_is_found_where_mantel_cannot_tell(rng: np.random.Generator) -> None:
    tree = yule_tree(60, rng)
    x, noise = traits(tree, rng, 4), traits(tree, rng, 4)
    linked = contrast_test(distances(x), distances(x + noise), tree, rng=rng, permutations=999)
    apart = contrast_test(distances(x), distances(noise), tree, rng=rng, permutations=999)
    assert linked.p_value == 0.001
    assert linked.statistic > 0.3
    assert apart.p_value > 0.01
    assert linked.first_signal > 0.9
    assert linked.n == 60


def test_the_order_of_rows_does_not_matter(rng: np.random.Generator) -> None:
    tree = yule_tree(14, rng)
    x, y = traits(tree, rng, 3), traits(tree, rng, 3)
    order = rng.permutation(14)
    names = [tree.tip_names[i] for i in order]
    plain = contrast_test(distances(x), distances(y), tree, permutations=0, rng=rng)
    moved = contrast_test(
        distances(x[order]), distances(y[order]), tree, names=names, permutations=0, rng=rng
    )
    assert moved.statistic == pytest.approx(plain.statistic, abs=1e-9)


@pytest.mark.parametrize("signals", [("1", "1"), ("0", "0"), ("1", "0")])
def test_the_level_is_kept_with_and_without_history(
    signals: tuple[str, str], rng: np.random.Generator
) -> None:
    p_values = []
    for _ in range(300):
        tree = yule_tree(20, rng)
        x, y = (traits(with_signal(tree, float(signal)), rng, 4) for signal in signals)
        p_values.append(
            contrast_test(distances(x), distances(y), tree, permutations=99, rng=rng).p_value
        )
    assert 0.02 < (np.array(p_values) <= 0.05).mean() < 0.09


def test_the_tree_itself_has_nothing_to_covary(rng: np.random.Generator) -> None:
    tree = yule_tree(12, rng)
    on_tree = patristic_distances(tree).values
    with pytest.raises(InputError, match="second matrix do not covary"):
        contrast_test(distances(traits(tree, rng)), np.sqrt(on_tree), tree, rng=rng)


def test_a_tree_without_height_is_refused() -> None:
    flat = SMALL.with_lengths(np.zeros(5))
    with pytest.raises(InputError, match="no height"):
        phylogenetic_contrasts(np.arange(3.0), flat)
