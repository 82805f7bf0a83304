from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.utils.estimator_checks import parametrize_with_checks

from kinlens.errors import UsageError
from kinlens.models.classifiers import (
    BASELINES,
    MODELS,
    PrincipalAxes,
    ReducedClassifier,
    build_classifier,
)

BUILT = [name for name in (*BASELINES, *MODELS) if name != "hierarchical"]


# check_array_api_input needs an environment variable that this suite does not set.
@parametrize_with_checks(
    [
        PrincipalAxes(random_state=0),
        ReducedClassifier(LogisticRegression(max_iter=1000), random_state=0),
    ],
    expected_failed_checks=lambda _: {"check_array_api_input": "SCIPY_ARRAY_API is not set"},
)
def test_it_keeps_the_estimator_contract(estimator, check) -> None:
    check(estimator)


@pytest.mark.parametrize("name", BUILT)
def test_each_names_planted_genera(make_world: Callable, name: str) -> None:
    world = make_world(n_families=2, n_genera=3, signal=1.5)
    X, y = world.fresh(np.random.default_rng(0), 6)
    labels = world.ranked("genus", world.species)
    model = build_classifier(name, seed=0, n_jobs=2).fit(world.X, labels)
    answer = model.predict(X)
    accuracy = (answer == world.ranked("genus", y)).mean()
    if name == "majority":
        assert accuracy == pytest.approx(1 / 6)
    else:
        assert accuracy > (0.5 if name == "decision_tree" else 0.9)
    if hasattr(model, "predict_proba"):
        p = model.predict_proba(X)
        assert p.sum(axis=1) == pytest.approx(1.0)
        if name != "majority":
            np.testing.assert_array_equal(model.classes_[p.argmax(axis=1)], answer)
    else:
        assert name == "svm"


@pytest.mark.parametrize("name", BUILT)
def test_one_picture_a_class_is_no_reason_to_warn(rng: np.random.Generator, name: str) -> None:
    X = rng.standard_normal((30, 8))
    model = build_classifier(name, seed=0).fit(X, [f"s{i}" for i in range(30)])
    assert len(model.predict(X)) == 30


@pytest.mark.parametrize("name", BUILT)
def test_the_same_seed_gives_the_same_answers(make_world: Callable, name: str) -> None:
    world = make_world(n_families=2, n_genera=2)
    X, _y = world.fresh(np.random.default_rng(0), 4)
    first, second = (
        build_classifier(name, seed=3).fit(world.X, world.species).predict(X) for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)


def test_axes_have_unit_variance_and_no_more_than_there_are(rng: np.random.Generator) -> None:
    X = rng.standard_normal((40, 10)) @ np.diag(np.geomspace(1e-3, 1e3, 10))
    X = np.column_stack([X, X[:, 0], np.ones(40)])
    axes = PrincipalAxes(random_state=0).fit(X)
    points = axes.transform(X)
    spread = points.std(axis=0, ddof=1)
    assert axes.n_components_ == 12
    np.testing.assert_allclose(spread[:10], 1.0)
    np.testing.assert_allclose(spread[10:], 0.0, atol=1e-9)
    assert PrincipalAxes(3, random_state=0).fit_transform(X).shape == (40, 3)


def test_an_unknown_name_is_met_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="Did you mean 'logistic'"):
        build_classifier("logistics", seed=0)
