from __future__ import annotations

import numpy as np
import pytest

from kinlens.errors import UsageError
from kinlens.models.conformal import ConformalSets


def drawn(
    rng: np.random.Generator, n_specimens: int, k: int = 6
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities that boast, truths and specimens; 1 to 8 alike pictures a specimen."""
    each = rng.integers(1, 9, n_specimens)
    specimens = np.repeat(np.arange(n_specimens), each)
    logits = rng.standard_normal((n_specimens, k))
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = (p.cumsum(axis=1) < rng.random((n_specimens, 1))).sum(axis=1)
    wobble = 3 * logits[specimens] + 0.5 * rng.standard_normal((len(specimens), k))
    boast = np.exp(wobble) / np.exp(wobble).sum(axis=1, keepdims=True)
    return boast, truth[specimens], specimens


@pytest.mark.parametrize("score", ["lac", "aps", "raps"])
def test_sets_hold_the_truth_at_the_stated_rate(rng: np.random.Generator, score: str) -> None:
    covered = []
    for seed in range(150):
        model = ConformalSets(0.1, score=score, random_state=seed)
        model.fit(*drawn(rng, 60))
        p, truth, specimens = drawn(rng, 60)
        hit = model.predict(p)[np.arange(len(truth)), truth]
        # The rate is that of a picture drawn from a new specimen: specimens weigh alike.
        weight = 1.0 / np.bincount(specimens)[specimens]
        covered.append((hit * weight).sum() / weight.sum())
    # At least 90%, and not far above it: 1 / (n + 1) and what APS adds by shares.
    assert 0.885 < np.mean(covered) < 0.935


def test_the_threshold_is_the_quantile_with_the_new_one_counted_in() -> None:
    p = np.column_stack([np.linspace(0.1, 0.9, 9), 1 - np.linspace(0.1, 0.9, 9)])
    model = ConformalSets(0.2).fit(p, np.zeros(9, int))
    # The ceil(0.8 * 10) = 8th smallest of 1 - p.
    assert model.thresholds_[0] == pytest.approx(0.8)
    assert ConformalSets(0.05).fit(p, np.zeros(9, int)).thresholds_[0] == np.inf


def test_a_specimen_counts_once_however_often_it_was_photographed() -> None:
    p = np.array([[0.2, 0.8]] * 50 + [[0.9, 0.1]] * 30)
    truth = np.zeros(80, int)
    specimens = [0] * 50 + list(range(1, 31))
    assert ConformalSets(0.1).fit(p, truth, specimens).thresholds_[0] == pytest.approx(0.1)
    assert ConformalSets(0.1).fit(p, truth).thresholds_[0] == pytest.approx(0.8)


def test_categories_keep_the_rate_of_rare_classes(rng: np.random.Generator) -> None:
    truth = np.repeat([0, 1], [900, 100])
    own = np.where(truth == 0, 0.9, 0.4) + 0.05 * rng.standard_normal(1000)
    p = np.where(truth[:, None] == np.arange(2), own[:, None], 1 - own[:, None])

    def rare_coverage(model: ConformalSets) -> float:
        found = []
        for _ in range(40):
            half = rng.permutation(1000)
            fit, new = half[:500], half[500:]
            inside = model.fit(p[fit], truth[fit]).predict(p[new])
            found.append(inside[truth[new] == 1, 1].mean())
        return float(np.mean(found))

    assert rare_coverage(ConformalSets(0.1)) < 0.5
    assert 0.88 < rare_coverage(ConformalSets(0.1, category_of=np.array([0, 1]))) < 0.95


def test_a_category_too_small_to_tell_is_in_every_set() -> None:
    p = np.tile([[0.8, 0.1, 0.1]], (30, 1))
    truth = np.array([0] * 28 + [1] * 2)
    model = ConformalSets(0.1, category_of=np.array([0, 1, 2])).fit(p, truth)
    assert model.predict(p[:1]).tolist() == [[True, True, True]]
    assert model.thresholds_[1:].tolist() == [np.inf, np.inf]


def test_harder_pictures_get_larger_sets(rng: np.random.Generator) -> None:
    p, truth, specimens = drawn(rng, 300)
    inside = ConformalSets(0.1, score="aps", random_state=0).fit(p, truth, specimens).predict(p)
    sure = p.max(axis=1)
    assert (
        inside[sure < np.median(sure)].sum(axis=1).mean()
        > inside[sure >= np.median(sure)].sum(axis=1).mean()
    )


def test_a_penalty_makes_sets_smaller_at_the_long_end(rng: np.random.Generator) -> None:
    p, truth, specimens = drawn(rng, 300, k=40)
    largest = {
        score: ConformalSets(0.1, score=score, penalty=0.05, free=3, random_state=0)
        .fit(p, truth, specimens)
        .predict(p)
        .sum(axis=1)
        .max()
        for score in ("aps", "raps")
    }
    assert largest["raps"] < largest["aps"]


def test_what_means_nothing_is_refused() -> None:
    p, truth = np.ones((2, 1)), np.zeros(2, int)
    with pytest.raises(UsageError, match="error_rate must be between 0 and 1, not 5"):
        ConformalSets(5).fit(p, truth)
    with pytest.raises(UsageError, match="score must be one of lac, aps, raps"):
        ConformalSets(0.1, score="max").fit(p, truth)
    with pytest.raises(UsageError, match="category_of must hold 1 numbers"):
        ConformalSets(0.1, category_of=np.array([0, 1])).fit(p, truth)
