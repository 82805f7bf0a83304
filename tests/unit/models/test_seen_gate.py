from __future__ import annotations

import numpy as np
import pytest
from scipy.special import logsumexp

from kinlens.models.gaussian_density import log_densities, mean_squares
from kinlens.models.seen_gate import SeenGate, fit_seen_gate, matched_slope, tempered

IS_SEEN = np.array([True] * 4 + [False] * 2)


def odd_pictures(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures of both sides, a tenth of which fit the wide species by hundreds of log units."""
    truth = rng.choice(6, n, p=[0.2] * 4 + [0.1] * 2)
    scores = rng.normal(0, 1, (n, 6))
    scores[np.arange(n), truth] += 4
    scores[:, 4:] += np.where(rng.random(n) < 0.1, 300.0, np.where(truth < 4, -20.0, 5.0))[:, None]
    return scores, truth


def test_odd_pictures_no_longer_go_to_the_wide_species_with_certainty(
    rng: np.random.Generator,
) -> None:
    scores, truth = odd_pictures(rng, 400)
    gate = fit_seen_gate(scores, truth, IS_SEEN, np.ones(len(truth)), np.ones(len(truth)))
    fresh, answers = odd_pictures(rng, 400)
    found = np.exp(gate(fresh, IS_SEEN, np.ones(len(fresh))))
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert found.max(axis=1).mean() == pytest.approx(
        np.mean(found.argmax(axis=1) == answers), abs=0.15
    )
    odd = (fresh[:, 4:].max(axis=1) > 100) & (answers < 4)
    assert found[odd][:, 4:].sum(axis=1).max() < 0.95


def test_one_side_alone_is_a_plain_softmax(rng: np.random.Generator) -> None:
    scores = rng.standard_normal((5, 3))
    found = np.exp(SeenGate()(scores, np.ones(3, dtype=bool), np.ones(5)))
    np.testing.assert_allclose(found, np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True))
    none = np.zeros(3, dtype=bool)
    np.testing.assert_allclose(np.exp(SeenGate()(scores, none, np.ones(5))), found)
    alone = fit_seen_gate(scores, np.array([0, 1, 2, 0, 1]), ~none, np.ones(5), np.ones(5))
    assert (alone.slope, alone.offset) == (1.0, 0.0)


def test_pictures_in_another_light_are_not_surer_for_being_far(rng: np.random.Generator) -> None:
    n, k = 4000, 40
    means = 0.6 * rng.standard_normal((5, k))
    spread = np.exp(rng.standard_normal(n))
    truth = rng.integers(5, size=n)
    points = means[truth] + np.sqrt(spread)[:, None] * rng.standard_normal((n, k))
    scores = log_densities(points, means, np.ones((5, k)))
    oddness = mean_squares(scores, np.ones((5, k))).min(axis=1)

    def gap_of_odd_ones(scores: np.ndarray) -> float:
        """How much surer than right are the pictures that are farther than most."""
        logs = matched_slope(scores, truth) * scores
        sure = np.exp(logs - logsumexp(logs, axis=1, keepdims=True)).max(axis=1)
        odd = oddness > np.quantile(oddness, 0.75)
        return float((sure - (scores.argmax(axis=1) == truth))[odd].mean())

    assert gap_of_odd_ones(scores) > 0.05
    assert abs(gap_of_odd_ones(tempered(scores, oddness))) < 0.03


def test_confidence_is_matched_to_the_share_right(rng: np.random.Generator) -> None:
    truth = rng.integers(5, size=300)
    scores = 100 * rng.standard_normal((300, 5))
    scores[np.arange(300), truth] += 150
    slope = matched_slope(scores, truth)
    weights = np.exp(slope * (scores - scores.max(axis=1, keepdims=True)))
    sure = (weights / weights.sum(axis=1, keepdims=True)).max(axis=1).mean()
    assert sure == pytest.approx(np.mean(scores.argmax(axis=1) == truth), abs=1e-3)
