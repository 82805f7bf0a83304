from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.utils.estimator_checks import parametrize_with_checks

from kinlens.errors import UsageError
from kinlens.evaluate.metrics import Answers, Scores
from kinlens.models.calibration import (
    CalibratedClassifier,
    fit_scaling,
    held_out_scores,
    specimen_probabilities,
)
from kinlens.models.discriminant import ShrinkageDiscriminant


# check_array_api_input needs an environment variable that this suite does not set.
@parametrize_with_checks(
    [CalibratedClassifier(LogisticRegression(max_iter=1000), random_state=0)],
    expected_failed_checks=lambda _: {"check_array_api_input": "SCIPY_ARRAY_API is not set"},
)
def test_it_keeps_the_estimator_contract(estimator, check) -> None:
    check(estimator)


def drawn(rng: np.random.Generator, n: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and truths that are as likely as they say."""
    logits = 2 * rng.standard_normal((n, k))
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    return logits, (p.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)


def test_a_temperature_that_was_put_in_is_found(rng: np.random.Generator) -> None:
    logits, truth = drawn(rng, 4000, 5)
    for temperature in (0.2, 1.0, 30.0):
        scaling = fit_scaling(logits * temperature, truth)
        assert 1 / scaling.slope[0] == pytest.approx(temperature, rel=0.1)
        assert (scaling.offset == 0).all()


def test_vector_scaling_finds_offsets_and_a_temperature_cannot(rng: np.random.Generator) -> None:
    logits, truth = drawn(rng, 6000, 4)
    shift = np.array([0.0, 3.0, -2.0, 0.0])
    shifted = logits + shift

    def loss(method: str) -> float:
        p = fit_scaling(shifted, truth, method=method)(shifted)
        return float(-np.log(p[np.arange(len(truth)), truth]).mean())

    found = fit_scaling(shifted, truth, method="vector").offset
    np.testing.assert_allclose(found - found[0], -(shift - shift[0]), atol=0.3)
    assert loss("vector") < loss("temperature") - 0.2


def test_vector_scaling_of_few_pictures_stays_near_the_temperature(
    rng: np.random.Generator,
) -> None:
    logits, truth = drawn(rng, 30, 40)
    temperature = fit_scaling(logits, truth)
    vector = fit_scaling(logits, truth, method="vector", penalty=100.0)
    np.testing.assert_allclose(vector.slope, temperature.slope, rtol=0.1)
    np.testing.assert_allclose(vector.offset, 0, atol=0.1)


def test_held_out_specimens_were_not_fitted_on(make_world: Callable) -> None:
    world = make_world(signal=0.0, specimens=4, pictures=4, noise=1.0)

    def accuracy(groups: np.ndarray | None) -> float:
        held = held_out_scores(
            ShrinkageDiscriminant(),
            world.X,
            world.species,
            groups=groups,
            rng=np.random.default_rng(0),
        )
        names = np.unique(world.species)[held.scores.argmax(axis=1)]
        return float((names == world.species[held.rows]).mean())

    # Pictures of one specimen look alike: without groups the folds leak, with them they do not.
    assert accuracy(world.specimens) < 0.08
    assert accuracy(None) > 0.2


def test_an_only_specimen_is_not_held_out(rng: np.random.Generator) -> None:
    X = rng.standard_normal((7, 3))
    y = np.array(list("aaaabbb"))
    held = held_out_scores(
        ShrinkageDiscriminant(), X, y, groups=[0, 1, 2, 3, 4, 4, 4], n_folds=2, rng=rng
    )
    assert sorted(held.rows.tolist()) == [0, 1, 2, 3]
    with pytest.raises(UsageError, match="no class has two specimens"):
        held_out_scores(ShrinkageDiscriminant(), X, np.arange(7), rng=rng)


def test_boasting_is_mended_and_names_stay(make_world: Callable) -> None:
    world = make_world(n_features=100, signal=0.3, specimens=8, pictures=1)
    X, y = world.fresh(np.random.default_rng(1), 20)
    boasting = ShrinkageDiscriminant(shrinkage=0.0)
    plain = clone(boasting).fit(world.X, world.species)
    mended = CalibratedClassifier(boasting, n_folds=8, random_state=0)
    mended.fit(world.X, world.species, groups=world.specimens)
    loss, confidence, right = {}, {}, (plain.predict(X) == y).mean()
    for name, model in {"plain": plain, "mended": mended}.items():
        p = model.predict_proba(X)
        answers = Answers.from_labels(y, model.predict(X), p, model.classes_)
        loss[name] = Scores(answers, ["log_loss"])(np.ones((1, len(y))))[0, 0]
        confidence[name] = p.max(axis=1).mean()
    np.testing.assert_array_equal(plain.predict(X), mended.predict(X))
    assert loss["mended"] < 0.6 * loss["plain"]
    assert confidence["plain"] > right + 0.2
    # A little too modest, if anything: the folds fit on fewer specimens than the final model.
    assert right - 0.15 < confidence["mended"] < right + 0.02


def test_pictures_of_a_specimen_speak_together() -> None:
    p = np.array([[0.6, 0.4], [0.1, 0.9], [0.6, 0.4]])
    together = specimen_probabilities(p, ["s", "s", ""])
    assert together[0].tolist() == together[1].tolist()
    odds = np.sqrt((0.6 / 0.4) * (0.1 / 0.9))
    assert together[0, 0] / together[0, 1] == pytest.approx(odds)
    np.testing.assert_allclose(together[2], p[2])


def test_what_cannot_be_scaled_is_refused() -> None:
    with pytest.raises(UsageError, match="'temperature' or 'vector'"):
        fit_scaling(np.zeros((2, 2)), np.zeros(2, int), method="isotonic")
    with pytest.raises(UsageError, match="1 truths for 2 pictures"):
        fit_scaling(np.zeros((2, 2)), np.zeros(1, int))
