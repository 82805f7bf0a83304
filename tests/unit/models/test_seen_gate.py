from __future__ import annotations

import numpy as np
import pytest

from kinlens.models.seen_gate import SeenGate, fit_seen_gate, matched_slope

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
    gate = fit_seen_gate(scores, truth, IS_SEEN, np.ones(len(truth)))
    fresh, answers = odd_pictures(rng, 400)
    found = np.exp(gate(fresh, IS_SEEN))
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert found.max(axis=1).mean() == pytest.approx(
        np.mean(found.argmax(axis=1) == answers), abs=0.15
    )
    odd = (fresh[:, 4:].max(axis=1) > 100) & (answers < 4)
    assert found[odd][:, 4:].sum(axis=1).max() < 0.95


def test_one_side_alone_is_a_plain_softmax(rng: np.random.Generator) -> None:
    scores = rng.standard_normal((5, 3))
    found = np.exp(SeenGate()(scores, np.ones(3, dtype=bool)))
    np.testing.assert_allclose(found, np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True))
    none = np.zeros(3, dtype=bool)
    np.testing.assert_allclose(np.exp(SeenGate()(scores, none)), found)
    alone = fit_seen_gate(scores, np.array([0, 1, 2, 0, 1]), ~none, np.ones(5))
    assert (alone.slope, alone.offset) == (1.0, 0.0)


def test_confidence_is_matched_to_the_share_right(rng: np.random.Generator) -> None:
    truth = rng.integers(5, size=300)
    scores = 100 * rng.standard_normal((300, 5))
    scores[np.arange(300), truth] += 150
    slope = matched_slope(scores, truth)
    weights = np.exp(slope * (scores - scores.max(axis=1, keepdims=True)))
    sure = (weights / weights.sum(axis=1, keepdims=True)).max(axis=1).mean()
    assert sure == pytest.approx(np.mean(scores.argmax(axis=1) == truth), abs=1e-3)
