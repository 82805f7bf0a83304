"""PROTEST, RV, distance correlation and PERMANOVA."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from scipy.spatial import procrustes
from scipy.spatial.distance import pdist, squareform
from scipy.stats import ortho_group
from skbio import DistanceMatrix
from skbio.stats.distance import permanova as skbio_permanova
from statsmodels.stats.dist_dependence_measures import distance_correlation as statsmodels_dcor

from kinlens.errors import InputError
from kinlens.evaluate.association import (
    distance_correlation,
    permanova,
    protest,
    rv_coefficient,
    unbiased_distance_correlation,
)
from kinlens.evaluate.nulls import PermutationTest
from kinlens.typing import FloatArray


class Every:
    """All orders of five objects, each once."""

    n = 5
    description = "every order"

    def draw(self, count: int, rng: np.random.Generator) -> Any:
        return np.array(list(permutations(range(5))), dtype=np.uint32)


def distances(values: FloatArray) -> FloatArray:
    return np.asarray(squareform(pdist(values)))


def test_protest_is_scipys_procrustes(rng: np.random.Generator) -> None:
    x, y = rng.standard_normal((15, 3)), rng.standard_normal((15, 3))
    test = protest(x, y, permutations=0, rng=rng)
    assert test.statistic == pytest.approx(np.sqrt(1 - procrustes(x, y)[2]), abs=1e-12)


@pytest.mark.parametrize("test", [protest, rv_coefficient])
@pytest.mark.parametrize("p", [1, 2, 7])
def test_tables_permute_rows_of_the_first(
    test: Callable[..., PermutationTest], p: int, rng: np.random.Generator
) -> None:
    x, y = rng.standard_normal((5, p)), rng.standard_normal((5, 3))
    found = test(x, y, permutations=120, scheme=Every(), rng=rng)
    expected = [
        test(x[list(order)], y, permutations=0, rng=rng).statistic
        for order in permutations(range(5))
    ]
    np.testing.assert_allclose(found.null, expected, atol=1e-12)


@pytest.mark.parametrize("test", [protest, rv_coefficient])
def test_rotation_shift_and_scale_change_nothing(
    test: Callable[..., PermutationTest], rng: np.random.Generator
) -> None:
    x, y = rng.standard_normal((12, 4)), rng.standard_normal((12, 2))
    turned = 3 * x @ ortho_group.rvs(4, random_state=1) + 7
    one, two = (test(table, y, permutations=0, rng=rng).statistic for table in (x, turned))
    assert one == pytest.approx(two, abs=1e-12)


@pytest.mark.parametrize("test", [protest, rv_coefficient])
def test_wide_tables_are_legal(
    test: Callable[..., PermutationTest], rng: np.random.Generator
) -> None:
    x = rng.standard_normal((10, 500))
    result = test(x, x + 0.1 * rng.standard_normal((10, 500)), permutations=99, rng=rng)
    assert result.statistic > 0.95
    assert result.p_value == 0.01


@pytest.mark.parametrize("test", [protest, rv_coefficient])
def test_tables_that_do_not_vary_are_refused(
    test: Callable[..., PermutationTest], rng: np.random.Generator
) -> None:
    with pytest.raises(InputError, match="the second table do not vary"):
        test(rng.standard_normal((6, 2)), np.full((6, 2), 0.1), rng=rng)
    with pytest.raises(InputError, match="6 and 5 rows"):
        test(rng.standard_normal((6, 2)), rng.standard_normal((5, 2)), rng=rng)
    with pytest.raises(InputError, match="not finite: row 1"):
        test([[1.0], [np.nan], [3.0]], [[1.0], [2.0], [4.0]], rng=rng)


def test_distance_correlation_is_that_of_statsmodels(rng: np.random.Generator) -> None:
    x, y = rng.standard_normal((20, 2)), rng.standard_normal((20, 3))
    test = distance_correlation(distances(x), distances(y), permutations=0, rng=rng)
    assert test.statistic == pytest.approx(statsmodels_dcor(x, y), abs=1e-12)


@pytest.mark.parametrize("test", [distance_correlation, unbiased_distance_correlation])
def test_distance_correlations_permute_the_first(
    test: Callable[..., PermutationTest], rng: np.random.Generator
) -> None:
    a, b = distances(rng.standard_normal((5, 2))), distances(rng.standard_normal((5, 2)))
    found = test(a, b, permutations=120, scheme=Every(), rng=rng)
    expected = [
        test(a[np.ix_(order, order)], b, permutations=0, rng=rng).statistic
        for order in permutations(range(5))
    ]
    np.testing.assert_allclose(found.null, expected, atol=1e-12)


@pytest.mark.parametrize("test", [distance_correlation, unbiased_distance_correlation])
def test_what_no_line_shows_is_found(
    test: Callable[..., PermutationTest], rng: np.random.Generator
) -> None:
    x = rng.standard_normal((60, 1))
    result = test(distances(x), distances(x**2), permutations=199, rng=rng)
    assert abs(np.corrcoef(x[:, 0], x[:, 0] ** 2)[0, 1]) < 0.3
    assert result.p_value == 1 / 200
    same = test(distances(x), distances(x), permutations=0, rng=rng)
    assert same.statistic == pytest.approx(1)


def test_the_unbiased_one_is_near_zero_without_dependence(rng: np.random.Generator) -> None:
    found = [
        [
            test(
                distances(rng.standard_normal((15, 30))),
                distances(rng.standard_normal((15, 30))),
                permutations=0,
                rng=rng,
            ).statistic
            for test in (unbiased_distance_correlation, distance_correlation)
        ]
        for _ in range(200)
    ]
    unbiased, plain = np.array(found).T
    assert abs(unbiased.mean()) < 4 * unbiased.std() / np.sqrt(200)
    assert plain.mean() > 0.8


def test_permanova_is_scikit_bios(rng: np.random.Generator) -> None:
    groups = list("aaabbbbbcccccc")
    square = distances(
        rng.standard_normal((14, 3)) + 0.7 * np.repeat([0, 1, 2], [3, 5, 6])[:, None]
    )
    ours = permanova(square, groups, permutations=1999, rng=rng)
    theirs = skbio_permanova(DistanceMatrix(square), groups, permutations=99, seed=1)
    assert ours.test.statistic == pytest.approx(theirs["test statistic"], rel=1e-12)
    assert abs(ours.test.p_value - theirs["p-value"]) < 4 * np.sqrt(0.25 / 99)
    assert ours.n_groups == 3


def test_permanova_permutes_objects(rng: np.random.Generator) -> None:
    square, groups = distances(rng.standard_normal((5, 2))), np.array(list("aabbb"))
    found = permanova(square, groups, permutations=120, scheme=Every(), rng=rng)
    expected = [
        permanova(square[np.ix_(order, order)], groups, permutations=0, rng=rng).test.statistic
        for order in permutations(range(5))
    ]
    np.testing.assert_allclose(found.test.null, expected, rtol=1e-9)


@pytest.mark.parametrize("groups", ["aaaaa", "abcde", "aab"])
def test_groups_that_compare_nothing_are_refused(groups: str, rng: np.random.Generator) -> None:
    with pytest.raises(InputError, match="groups"):
        permanova(distances(rng.standard_normal((5, 2))), list(groups), rng=rng)
