"""A small network learns two ranks at once from planted colours and shapes."""

from __future__ import annotations

import numpy as np
import pytest

from kinlens.errors import UsageError
from kinlens.learn.plan import FitPlan
from kinlens.models.fine_tuned import FineTunedClassifier, Trunk
from kinlens.optional import need

torch = need("torch")

PLAN = FitPlan(epochs=12, learning_rate=0.02, patience=None)


def pictures_of(classes, rng):
    """Genus decides red or blue, species whether the upper or lower half is bright."""
    pictures = rng.integers(0, 40, (len(classes), 16, 16, 3)).astype(np.uint8)
    for picture, species in zip(pictures, classes, strict=True):
        half = slice(0, 8) if species % 2 == 0 else slice(8, 16)
        picture[half, :, 0 if species < 2 else 2] = 220
    return pictures


def trunk():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = torch.nn.Sequential(
            torch.nn.Conv2d(3, 8, 5, stride=4), torch.nn.ReLU(), torch.nn.Flatten()
        )
    return Trunk(module, 8 * 9, mean=np.full(3, 0.3), spread=np.full(3, 0.3))


@pytest.fixture
def world(rng):
    classes = np.tile(np.arange(4), 16)
    labels = np.stack([classes, classes // 2], axis=1)
    return pictures_of(classes, rng), labels


def test_learns_both_ranks_and_leaves_test_pictures_alone(world, rng):
    pictures, labels = world
    model = FineTunedClassifier(trunk(), plan=PLAN, flips=False, device="cpu")
    model.fit(pictures[:40], labels[:40], validation=(pictures[40:], labels[40:]))
    fresh = np.tile(np.arange(4), 5)
    answers = model.predict(pictures_of(fresh, rng))
    assert (answers[:, 0] == fresh).mean() >= 0.95
    assert (answers[:, 1] == fresh // 2).mean() >= 0.95
    for probabilities in model.predict_proba(pictures[:3]):
        np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, atol=1e-6)


def test_unknown_taxa_do_not_count(world):
    pictures, labels = world
    labels = labels.copy()
    labels[::3, 1] = -1
    model = FineTunedClassifier(trunk(), plan=PLAN, flips=False, device="cpu")
    model.fit(pictures[:40], labels[:40], validation=(pictures[40:], labels[40:]))
    assert model.n_classes_ == (4, 2)
    assert (model.predict(pictures)[:, 1] == world[1][:, 1]).mean() >= 0.95


def test_same_seed_same_probabilities(world):
    pictures, labels = world
    plan = FitPlan(epochs=2)
    first, second = (
        FineTunedClassifier(trunk(), plan=plan, device="cpu", random_state=3)
        .fit(pictures[:40], labels[:40], validation=(pictures[40:], labels[40:]))
        .predict_proba(pictures)[0]
        for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)


def test_shapes_that_do_not_fit_are_refused(world):
    pictures, labels = world
    with pytest.raises(UsageError, match=r"\(n, height, width, channels\)"):
        FineTunedClassifier(trunk()).fit(pictures[0], labels, validation=(pictures, labels))
