from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.covariance import ledoit_wolf_shrinkage
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.utils.estimator_checks import parametrize_with_checks

from kinlens.errors import UsageError
from kinlens.models.discriminant import ShrinkageDiscriminant


# check_array_api_input needs an environment variable that this suite does not set.
@parametrize_with_checks(
    [ShrinkageDiscriminant()],
    expected_failed_checks=lambda _: {"check_array_api_input": "SCIPY_ARRAY_API is not set"},
)
def test_it_keeps_the_estimator_contract(estimator, check) -> None:
    check(estimator)


def test_answers_are_those_of_scikit_learn_where_both_can(rng: np.random.Generator) -> None:
    y = np.repeat([0, 1, 2], 60)
    X = rng.standard_normal((180, 5)) @ rng.standard_normal((5, 5)) + 2 * np.eye(5)[y]
    fresh = rng.standard_normal((50, 5))
    ours = ShrinkageDiscriminant(shrinkage=0.0, pull=0.0).fit(X, y)
    theirs = LinearDiscriminantAnalysis(solver="lsqr", priors=np.full(3, 1 / 3)).fit(X, y)
    # The pooled covariance is divided by n there, by n less the classes here.
    scores = theirs.decision_function(fresh) * (177 / 180)
    np.testing.assert_allclose(
        np.diff(ours.class_scores(fresh)), np.diff(scores), rtol=1e-4, atol=1e-4
    )
    np.testing.assert_array_equal(ours.predict(fresh), theirs.predict(fresh))


def test_the_shrinkage_is_that_of_ledoit_and_wolf(rng: np.random.Generator) -> None:
    y = np.repeat(np.arange(8), 5)
    X = rng.standard_normal((40, 25)) * np.linspace(1, 4, 25) + y[:, None]
    model = ShrinkageDiscriminant().fit(X, y)
    residuals = X - np.array([X[y == c].mean(axis=0) for c in range(8)])[y]
    expected = ledoit_wolf_shrinkage(residuals / residuals.std(axis=0), assume_centered=True)
    assert model.shrinkage_ == pytest.approx(expected, abs=1e-9)


def test_more_features_than_pictures_give_the_same_answer_either_way(
    rng: np.random.Generator,
) -> None:
    y = np.repeat(np.arange(6), 4)
    X = rng.standard_normal((24, 200)) + np.eye(6)[y] @ rng.standard_normal((6, 200))
    fresh = rng.standard_normal((10, 200))
    by_rows = ShrinkageDiscriminant(shrinkage=0.3).fit(X, y)  # 200 > 2 x 24
    # The same pictures, each thrice with nothing changed but the count: by features.
    tiny = 1e-9 * rng.standard_normal((120, 200))
    by_features = ShrinkageDiscriminant(shrinkage=0.3, pull=0.2).fit(
        np.vstack([X] * 5) + tiny, np.tile(y, 5)
    )
    assert by_features.means_.shape == by_rows.means_.shape
    # Five copies make the pooled covariance larger by a known factor.
    factor = (24 - 6) / 24 * 120 / (120 - 6)
    plain = ShrinkageDiscriminant(shrinkage=0.3, pull=0.0)
    few = np.diff(plain.fit(X, y).class_scores(fresh))
    many = np.diff(plain.fit(np.vstack([X] * 5) + tiny, np.tile(y, 5)).class_scores(fresh))
    np.testing.assert_allclose(many * factor, few, rtol=1e-5, atol=1e-5)


def test_species_with_one_picture_gain_from_their_genus(make_world: Callable) -> None:
    world = make_world(n_families=4, n_genera=5, n_species=6, specimens=2, pictures=1, signal=0.7)
    rng = np.random.default_rng(3)
    keep = np.ones(len(world.species), bool)
    rare = rng.choice(world.taxonomy.species, 40, replace=False)
    for name in rare:
        keep[np.flatnonzero(world.species == name)[1:]] = False
    X, y = world.fresh(rng, 10)
    at_rare = np.isin(y, rare)
    score = {}
    for name, model in {
        "plain": ShrinkageDiscriminant(pull=0.0),
        "kin": ShrinkageDiscriminant(taxonomy=world.taxonomy),
    }.items():
        answer = model.fit(world.X[keep], world.species[keep]).predict(X)
        score[name] = (answer == y)[at_rare].mean()
    assert score["kin"] > score["plain"] + 0.02


def test_a_world_without_signal_is_not_named(make_world: Callable) -> None:
    world = make_world(signal=0.0)
    X, y = world.fresh(np.random.default_rng(1), 30)
    model = ShrinkageDiscriminant(taxonomy=world.taxonomy).fit(world.X, world.species)
    assert (model.predict(X) == y).mean() == pytest.approx(1 / 36, abs=0.02)
    assert model.rank_variances_["species"] < 0.1


def test_units_of_features_do_not_matter(make_world: Callable) -> None:
    world = make_world()
    X, _y = world.fresh(np.random.default_rng(1), 3)
    scale = np.geomspace(1e-3, 1e3, X.shape[1])
    first = ShrinkageDiscriminant(taxonomy=world.taxonomy).fit(world.X, world.species)
    second = ShrinkageDiscriminant(taxonomy=world.taxonomy).fit(world.X * scale + 7, world.species)
    np.testing.assert_allclose(
        first.squared_distances(X), second.squared_distances(X * scale + 7), rtol=1e-6
    )


def test_constant_features_and_perfect_ones_do_no_harm(rng: np.random.Generator) -> None:
    y = np.repeat(["a", "b"], 10)
    X = np.column_stack([np.full(20, 1e6), rng.standard_normal(20), (y == "a") * 1.0])
    model = ShrinkageDiscriminant().fit(X, y)
    assert np.isfinite(model.class_scores(X)).all()
    assert (model.predict(X) == y).all()


def test_one_picture_a_class_is_the_nearest_picture(rng: np.random.Generator) -> None:
    X = rng.standard_normal((12, 4))
    model = ShrinkageDiscriminant().fit(X, np.arange(12))
    assert (model.predict(X + 0.001) == np.arange(12)).all()
    assert model.shrinkage_ == 1.0


def test_probabilities_are_those_of_the_scores(make_world: Callable) -> None:
    world = make_world()
    model = ShrinkageDiscriminant().fit(world.X, world.species)
    p = model.predict_proba(world.X)
    assert p.sum(axis=1) == pytest.approx(1.0)
    np.testing.assert_array_equal(model.classes_[p.argmax(axis=1)], model.predict(world.X))
    np.testing.assert_allclose(np.log(p), model.predict_log_proba(world.X), atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shrinkage": "oas"}, "shrinkage must be 'ledoit_wolf' or a number, not 'oas'"),
        ({"shrinkage": 1.5}, "from 0 to 1, not 1.5"),
        ({"pull": -1.0}, "pull must be 0 or more"),
    ],
)
def test_meaningless_options_are_refused(options: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ShrinkageDiscriminant(**options).fit(np.eye(4), [0, 0, 1, 1])
