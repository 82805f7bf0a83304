from __future__ import annotations

import numpy as np
import pytest

from kinlens.errors import UsageError
from kinlens.models.anchors import Anchors
from kinlens.models.metric_net import MetricNet, MetricPlan

SHORT = MetricPlan(epochs=6, balancing_epochs=3, alignment_epochs=6, batch_size=32)


def shells(rng: np.random.Generator, counts: list[int]) -> tuple[np.ndarray, np.ndarray]:
    centres = 3 * np.eye(len(counts), 8)
    y = np.repeat([f"s{i}" for i in range(len(counts))], counts)
    return centres[np.repeat(np.arange(len(counts)), counts)] + 0.5 * rng.standard_normal(
        (sum(counts), 8)
    ), y


def net(**settings: object) -> MetricNet:
    return MetricNet(hidden=32, embedding=8, plan=SHORT, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("long_tail", ["none", "weight_balancing", "logit_adjustment"])
def test_planted_classes_are_named(rng: np.random.Generator, long_tail: str) -> None:
    X, y = shells(rng, [60, 30, 12, 6])
    fresh, truth = shells(rng, [20] * 4)
    model = net(long_tail=long_tail).fit(X, y, validation=shells(rng, [5] * 4))
    assert np.mean(model.predict(fresh) == truth) > 0.85
    np.testing.assert_allclose(model.predict_proba(fresh).sum(axis=1), 1)


def test_pictures_come_to_lie_at_their_anchors(rng: np.random.Generator) -> None:
    X, y = shells(rng, [40, 40, 40])
    anchors = Anchors(("s0", "s1", "s2"), np.eye(3, 8))
    long = MetricPlan(epochs=6, alignment_epochs=40, batch_size=32)
    model = MetricNet(
        anchors=anchors, inference="anchors", hidden=32, plan=long, random_state=1
    ).fit(X, y)
    fresh, truth = shells(rng, [20] * 3)
    assert np.mean(model.predict(fresh) == truth) > 0.9
    places = model.transform(fresh)
    unit = places / np.linalg.norm(places, axis=1, keepdims=True)
    own = anchors.vectors[[int(name[1]) for name in truth]]
    assert (unit * own).sum(axis=1).mean() > 0.8


def test_the_same_seed_gives_the_same_network(rng: np.random.Generator) -> None:
    X, y = shells(rng, [20, 20])
    first, second = (net(random_state=3).fit(X, y).transform(X) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_wrong_use_is_refused(rng: np.random.Generator) -> None:
    X, y = shells(rng, [5, 5])
    with pytest.raises(UsageError, match="long_tail must be one of"):
        net(long_tail="hope").fit(X, y)
    with pytest.raises(UsageError, match="inference must be"):
        net(inference="guess").fit(X, y)
    with pytest.raises(UsageError, match="needs anchors"):
        net(inference="anchors").fit(X, y)
    with pytest.raises(UsageError, match="none of the classes"):
        net(anchors=Anchors(("x", "y"), np.eye(2))).fit(X, y)
