"""The published classifiers and scores."""

from __future__ import annotations

import numpy as np
import pytest

from kinlens.errors import UsageError
from kinlens.models.gene_published import (
    PUBLISHED,
    build_published,
    fit_published,
    published_scores,
)


@pytest.mark.parametrize("name", PUBLISHED)
def test_each_classifier_learns_what_is_plain(name: str, rng: np.random.Generator) -> None:
    X = rng.standard_normal((60, 3))
    y = (X[:, 0] > 0).astype(int)
    model = fit_published(name, X, y, seed=0)
    assert model is not None
    assert (model.predict(X) == y).mean() > 0.9


def test_one_class_cannot_be_fitted_and_a_wrong_name_is_said() -> None:
    assert fit_published("svm", np.eye(4), np.ones(4), seed=0) is None
    with pytest.raises(UsageError, match="Did you mean 'logistic'"):
        build_published("logistics", seed=0)


def test_scores_with_one_class_among_the_tested_say_nothing() -> None:
    found = published_scores(np.ones(3, int), np.array([1, 0, 1]), np.array([0.9, 0.1, 0.8]))
    assert found["mcc"] == 0
    assert np.isnan(found["auc"])
    assert found["accuracy"] == pytest.approx(2 / 3)
