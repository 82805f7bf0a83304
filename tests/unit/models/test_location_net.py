"""A network for several labels learns what is planted, starts from another, and is kept whole."""

from __future__ import annotations

import numpy as np
import pytest

from kinlens.errors import UsageError
from kinlens.learn.label_kinds import Combined, Gated, Independent
from kinlens.learn.plan import FitPlan
from kinlens.models.fine_tuned import Trunk
from kinlens.models.label_calibration import LabelCalibration, label_calibration_error
from kinlens.models.location_net import LabelNetwork, published_plan
from kinlens.optional import need

torch = need("torch")
PLAN = FitPlan(epochs=12, patience=None, learning_rate=0.02)


def trunk(seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module = torch.nn.Sequential(
            torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.ReLU(),
            torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(),
        )  # fmt: skip
    return Trunk(module, 8, mean=np.full(3, 0.3), spread=np.full(3, 0.25))


@pytest.fixture(scope="module")
def world():
    """Pictures of which each label brightens one channel; the first two labels are a group."""
    rng = np.random.default_rng(0)
    truth = rng.random((240, 3)) < 0.4
    pictures = rng.integers(0, 120, (240, 8, 8, 3)) + 90 * truth[:, None, None, :]
    return pictures.astype(np.uint8), truth


def fitted(kind, world, *, plan=PLAN, start=None):
    pictures, truth = world
    model = LabelNetwork(trunk(), kind, plan=plan, batch_size=32, device="cpu")
    return model.fit(
        pictures[:160], truth[:160], validation=(pictures[160:200], truth[160:200]), start=start
    )


@pytest.mark.parametrize(
    "kind",
    [
        Independent(3),
        Gated(np.array([0, 0, 1])),
        Combined(np.indices((2, 2, 2)).reshape(3, -1).T > 0),
    ],
    ids=["independent", "gated", "combined"],
)
def test_every_kind_learns_what_is_planted(kind, world):
    pictures, truth = world
    model = fitted(kind, world)
    probabilities = model.predict_proba(pictures[200:])
    assert probabilities.shape == (40, 3)
    assert ((probabilities > 0.5) == truth[200:]).mean() > 0.9
    assert model.history_["loss"].iloc[-1] < model.history_["loss"].iloc[0]


def test_a_joint_network_starts_at_the_flat_one(world):
    pictures, _truth = world
    flat = fitted(Independent(3), world)
    plan = FitPlan(epochs=1, patience=None, learning_rate=1e-6)
    joint = fitted(Gated(np.array([0, 0, 1])), world, plan=plan, start=flat.weights())
    np.testing.assert_allclose(
        joint.predict_proba(pictures), flat.predict_proba(pictures), atol=0.03
    )


def test_kept_weights_answer_alike_and_so_does_the_same_seed(world):
    pictures, _truth = world
    first, second = fitted(Independent(3), world), fitted(Independent(3), world)
    expected = first.predict_proba(pictures[:9])
    np.testing.assert_array_equal(second.predict_proba(pictures[:9]), expected)
    loaded = LabelNetwork(trunk(5), Independent(3), device="cpu").load(first.weights())
    np.testing.assert_allclose(loaded.predict_proba(pictures[:9]), expected, atol=1e-6)
    np.testing.assert_allclose(loaded.predict_proba(pictures[:1]), expected[:1], atol=1e-6)


def test_shapes_that_do_not_fit_are_refused(world):
    pictures, truth = world
    with pytest.raises(UsageError, match="pictures must be"):
        LabelNetwork(trunk(), Independent(3)).fit(pictures, truth[:5], validation=(pictures, truth))


def test_the_published_schedule():
    plan = published_plan(epochs=40)
    assert (plan.patience, plan.restarts, plan.schedule) == (6, 1, "constant")


def test_calibration_keeps_the_order_and_mends_the_rate(rng):
    said = rng.random((3000, 2))
    truth = rng.random((3000, 2)) < [0.5, 0.2] * said
    model = LabelCalibration().fit(said, truth)
    mended = model.transform(said)
    assert label_calibration_error(mended, truth) < 0.03 < label_calibration_error(said, truth)
    assert (np.argsort(mended[:, 0]) == np.argsort(said[:, 0])).all()


def test_calibration_of_a_label_that_holds_for_none_stays_sane():
    mended = (
        LabelCalibration()
        .fit(np.full((50, 1), 0.3), np.zeros((50, 1), bool))
        .transform(np.array([[0.0], [0.3], [1.0]]))
    )
    assert np.isfinite(mended).all()
    assert mended[1, 0] < 0.3
    with pytest.raises(UsageError, match="one shape"):
        LabelCalibration().fit(np.zeros((3, 1)), np.zeros((3, 2), bool))
