"""Permutation schemes, p-values and what a test carries."""

from __future__ import annotations

from collections import Counter
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from scipy.stats import chi2

from kinlens.errors import InputError, UsageError
from kinlens.evaluate.nulls import (
    FreePermutation,
    GroupedPermutation,
    PermutationScheme,
    PermutationTest,
    PhylogeneticPermutation,
)

LADDER = np.array([[0, 1, 2, 3], [1, 0, 2, 3], [2, 2, 0, 3], [3, 3, 3, 0.0]])


@pytest.mark.parametrize(
    "scheme",
    [
        FreePermutation(7),
        GroupedPermutation(np.array([0, 0, 0, 1, 1, 2, 2])),
        PhylogeneticPermutation(abs(np.subtract.outer(np.arange(7.0), np.arange(7.0)))),
    ],
)
def test_a_scheme_draws_permutations(scheme: PermutationScheme, rng: np.random.Generator) -> None:
    orders = scheme.draw(50, rng)
    assert orders.shape == (50, scheme.n)
    assert (np.sort(orders, axis=1) == np.arange(scheme.n)).all()
    again = scheme.draw(50, np.random.default_rng(3))
    np.testing.assert_array_equal(again, scheme.draw(50, np.random.default_rng(3)))
    assert scheme.description


def test_free_permutations_are_equally_likely(rng: np.random.Generator) -> None:
    orders = FreePermutation(4).draw(48_000, rng)
    counts = np.array(list(Counter(map(tuple, orders.tolist())).values()))
    assert len(counts) == 24
    assert ((counts - 2000) ** 2 / 2000).sum() < chi2.isf(1e-4, 23)
    places = np.bincount(FreePermutation(300).draw(3_000, rng)[:, 7], minlength=300)
    assert ((places - 10) ** 2 / 10).sum() < chi2.isf(1e-4, 299)


def test_groups_are_never_left(rng: np.random.Generator) -> None:
    groups = np.array(["a", "b", "a", "c", "b", "a"])
    orders = GroupedPermutation(groups).draw(200, rng)
    assert (groups[orders] == groups).all()
    # Six orders of the a's times two of the b's.
    assert len({tuple(order) for order in orders.tolist()}) == 12


def test_groups_of_one_are_refused() -> None:
    with pytest.raises(InputError, match="at least two members"):
        GroupedPermutation(np.array(["a", "b"]))


def exact_probabilities(similarity: np.ndarray) -> dict[tuple[int, ...], float]:
    """What the sequential draws of Lapointe and Garland give each order, by enumeration."""
    n = len(similarity)
    result: Counter[tuple[int, ...]] = Counter()
    for turn in permutations(range(n)):

        def draw(at: int, order: dict[int, int], chance: float, turn: tuple[int, ...]) -> None:
            if at == n:
                result[tuple(order[place] for place in range(n))] += chance
                return
            free = [place for place in range(n) if place not in order]
            weights = np.array([similarity[turn[at], place] for place in free])
            total = weights.sum()
            shares = weights / total if total > 0 else np.full(len(free), 1 / len(free))
            for place, part in zip(free, shares.tolist(), strict=True):
                if part > 0:
                    draw(at + 1, order | {place: turn[at]}, chance * part, turn)

        draw(0, {}, 1 / 24, turn)
    return dict(result)


@pytest.mark.parametrize("flatness", [1.0, 1.5])
def test_phylogenetic_permutation_has_the_published_distribution(
    flatness: float, rng: np.random.Generator
) -> None:
    count = 40_000
    expected = exact_probabilities(flatness - LADDER / LADDER.max())
    orders = PhylogeneticPermutation(LADDER, flatness=flatness).draw(count, rng)
    found = Counter(map(tuple, orders.tolist()))
    assert set(found) <= set(expected)
    for order, chance in expected.items():
        error = np.sqrt(chance * (1 - chance) / count)
        assert abs(found[order] / count - chance) < 5 * error + 1e-9


def test_a_flat_phylogenetic_permutation_is_free(rng: np.random.Generator) -> None:
    orders = PhylogeneticPermutation(LADDER, flatness=1e9).draw(24_000, rng)
    counts = np.array(list(Counter(map(tuple, orders.tolist())).values()))
    assert len(counts) == 24
    assert abs(counts - 1000).max() < 5 * np.sqrt(1000)


@pytest.mark.parametrize("flatness", [0.5, np.inf, np.nan])
def test_flatness_is_at_least_one(flatness: float) -> None:
    with pytest.raises(UsageError, match="flatness"):
        PhylogeneticPermutation(LADDER, flatness=flatness)


def test_a_tree_without_distances_is_refused() -> None:
    with pytest.raises(InputError, match="all tree distances are 0"):
        PhylogeneticPermutation(np.zeros((3, 3)))


def p_value(statistic: float, null: list[float], alternative: Any, centre: float = 0.0) -> float:
    return PermutationTest.from_null(
        "r",
        statistic,
        np.array(null),
        n=9,
        null_description="free",
        alternative=alternative,
        centre=centre,
    ).p_value


@pytest.mark.parametrize(
    ("alternative", "expected"), [("greater", 3 / 5), ("less", 4 / 5), ("two-sided", 4 / 5)]
)
def test_p_values_count_the_observed_world_and_ties(alternative: str, expected: float) -> None:
    assert p_value(0.5, [0.5, 0.8, -0.6, 0.1], alternative) == expected


def test_two_sided_p_values_look_from_the_centre() -> None:
    null = [0.4, 0.5, 0.6, 0.7]
    assert p_value(0.71, null, "two-sided", centre=0.55) == 1 / 5
    assert p_value(0.41, null, "two-sided", centre=0.55) == 3 / 5


def test_rounding_does_not_break_ties() -> None:
    assert p_value(0.3, [0.3 - 1e-14], "greater") == 1.0


def test_an_unknown_alternative_is_refused() -> None:
    with pytest.raises(UsageError, match="bigger"):
        p_value(0.5, [0.0], "bigger")


def test_what_a_test_carries() -> None:
    null = np.linspace(-1, 1, 201)
    test = PermutationTest("r", 2.0, 1 / 202, 30, "free", "greater", null)
    assert test.n_permutations == 201
    assert (test.null_mean, test.null_low, test.null_high) == pytest.approx((0, -0.95, 0.95))
    assert test.effect == pytest.approx(2 / null.std())


def test_without_permutations_the_null_is_unknown() -> None:
    test = PermutationTest("r", 2.0, np.nan, 30, "free", "greater", np.empty(0))
    assert np.isnan([test.null_mean, test.null_low, test.null_high, test.effect]).all()
    assert np.isnan(p_value(0.5, [], "greater"))
