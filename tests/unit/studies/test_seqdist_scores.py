"""Scores of `seqdist` against their definitions, written out pair by pair."""

from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
import pytest

from kinlens.geometry.dendrogram import linkage_tree
from kinlens.geometry.retrieval import exact_hits
from kinlens.studies.seqdist_scores import (
    Judged,
    PairErrors,
    joined_tree,
    judge_pairs,
    score_top,
    score_tree,
    shuffled_errors,
)


def symmetric(rng, n, *, high=40):
    values = rng.integers(1, high, size=(n, n)).astype(np.float32)
    values = np.triu(values, 1)
    return values + values.T


def judged(rng, n, *, noise=2.0):
    exact = symmetric(rng, n)
    wrong = np.triu(rng.normal(size=(n, n)).astype(np.float32), 1) * noise
    return Judged(exact + wrong + wrong.T, exact, mean=20.0)


def by_definition(parts, drawn, unit):
    square, relative, base = [], [], []
    for part, rows in zip(parts, drawn, strict=True):
        for i, j in combinations(rows, 2):
            if i == j:
                continue
            gap = float(part.predicted[i, j] - part.exact[i, j])
            square.append(gap**2)
            relative.append(abs(gap) / part.exact[i, j])
            base.append((part.mean - part.exact[i, j]) ** 2)
    skill = 1 - np.sqrt(np.mean(square) / np.mean(base))
    return [100 * np.sqrt(np.mean(square)) / unit, np.mean(relative), skill]


def test_errors_are_those_of_their_definition(rng):
    parts = [judged(rng, 7), judged(rng, 5)]
    statistic = PairErrors(parts, unit=50.0)
    everything = by_definition(parts, [range(7), range(5)], 50.0)
    assert statistic(np.ones((1, 12)))[0] == pytest.approx(everything, rel=1e-5)
    # Drawing a sequence twice counts its pairs twice, and makes no pair with itself.
    weights = np.array([[2, 0, 1, 1, 0, 2, 1, 1, 0, 3, 1, 0]], dtype=float)
    drawn = [
        np.repeat(np.arange(7), [2, 0, 1, 1, 0, 2, 1]),
        np.repeat(np.arange(5), [1, 0, 3, 1, 0]),
    ]
    assert statistic(weights)[0] == pytest.approx(by_definition(parts, drawn, 50.0), rel=1e-5)


def test_intervals_hold_the_value_and_narrow_with_more_sequences(rng):
    widths = []
    for n in (20, 200):
        found = judge_pairs([judged(rng, n)], unit=50.0, rng=rng, replicates=200)
        value, low, high = found["percent_rmse"]
        assert low < value < high
        assert found.n_groups == n
        widths.append(high - low)
    assert widths[1] < 0.5 * widths[0]


def test_shuffled_vectors_are_worse_only_where_vectors_know_something(rng):
    knows = judged(rng, 40)
    null, p_value = shuffled_errors(knows, unit=50.0, rng=rng, permutations=99)
    assert p_value == pytest.approx(0.01)
    assert null > 100 * 2.0 / 50
    unrelated = Judged(symmetric(rng, 40), symmetric(rng, 40), mean=20.0)
    assert shuffled_errors(unrelated, unit=50.0, rng=rng, permutations=99)[1] > 0.05


def test_top_scores_and_their_chance(rng):
    exact = np.array([[1, 1, 5, 6], [9, 2, 8, 7], [4, 5, 6, 7]])
    answers = exact_hits(np.array([[2, 1, 3, 4], [1, 2, 3, 4], [3, 2, 4, 1]]), 4)
    one, two = (score_top(answers, exact, count, rng=rng) for count in (1, 2))
    assert one.value == pytest.approx(1 / 3)
    assert two.value == pytest.approx(2 / 3)
    chance = 1 - (comb(2, 2) + 2 * comb(3, 2)) / (3 * comb(4, 2))
    assert two.null_mean == pytest.approx(chance)
    assert one.low < one.value < one.high


def test_the_exact_tree_scores_one_and_a_shuffled_tree_worse(rng):
    points = np.cumsum(rng.exponential(size=24))
    exact = np.abs(points[:, None] - points[None, :])
    names = [f"s{i}" for i in range(24)]
    reference = linkage_tree(exact, names)
    same = score_tree(reference, reference, exact, names, rng)
    assert same.dasgupta_ratio == (1.0, 1.0, 1.0)
    assert same.robinson_foulds[0] == 0.0
    assert same.null_ratio > 1.01
    assert same.p_value == pytest.approx(0.02)
    joined = joined_tree(exact, names, method="neighbour_joining")
    assert sorted(joined.tip_names) == sorted(names)
    other = linkage_tree(exact, list(rng.permutation(names)))
    assert score_tree(other, reference, exact, names, rng).p_value > 0.02
