from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks

from kinlens.errors import UsageError
from kinlens.models.forest import ForestClassifier, NoiseUpsampledForest


# check_array_api_input needs an environment variable that this suite does not set.
@parametrize_with_checks(
    [ForestClassifier(3), NoiseUpsampledForest(3)],
    expected_failed_checks=lambda _: {"check_array_api_input": "SCIPY_ARRAY_API is not set"},
)
def test_it_keeps_the_estimator_contract(estimator, check) -> None:
    check(estimator)


def whole_tree(**options: object) -> ForestClassifier:
    return ForestClassifier(1, max_features=None, bootstrap=False, random_state=0, **options)


def test_one_feature_is_cut_where_scikit_learn_cuts_it(rng: np.random.Generator) -> None:
    X = rng.permutation(200)[:, None].astype(float)
    y = (X[:, 0] > 60).astype(int) + (X[:, 0] > 150) + (rng.random(200) < 0.1)
    fresh = np.arange(-1, 201, 0.5)[:, None]
    ours = whole_tree().fit(X, y)
    theirs = DecisionTreeClassifier(random_state=0).fit(X, y)
    np.testing.assert_array_equal(ours.predict(fresh), theirs.predict(fresh))
    np.testing.assert_allclose(
        sorted(ours.trees_[0].threshold[ours.trees_[0].feature >= 0]),
        sorted(theirs.tree_.threshold[theirs.tree_.feature >= 0]),
    )


def test_the_first_cut_is_the_purest_of_all_features(rng: np.random.Generator) -> None:
    X = rng.standard_normal((300, 6))
    y = (X[:, 3] > 0.2).astype(int)
    tree = whole_tree().fit(X, y).trees_[0]
    assert tree.feature[0] == 3
    assert tree.threshold[0] == pytest.approx(0.2, abs=0.05)


def test_a_whole_tree_remembers_what_it_saw(rng: np.random.Generator) -> None:
    X = rng.standard_normal((1000, 4))
    y = rng.integers(50, size=1000)
    assert (whole_tree().fit(X, y).predict(X) == y).all()


def test_pictures_that_are_alike_share_a_leaf() -> None:
    X = np.array([[1.0], [1.0], [1.0], [5.0]])
    p = whole_tree().fit(X, ["a", "a", "b", "c"]).predict_proba([[1.0], [9.0]])
    np.testing.assert_allclose(p, [[2 / 3, 1 / 3, 0], [0, 0, 1]])


def test_many_values_are_cut_in_steps_of_equal_mass(rng: np.random.Generator) -> None:
    X = rng.exponential(size=(5000, 1))
    y = (X[:, 0] > np.quantile(X, 0.9)).astype(int)
    model = whole_tree().fit(X, y)
    assert (model.predict(X) == y).mean() > 0.995


def test_a_forest_is_as_good_as_scikit_learns(make_world: Callable) -> None:
    world = make_world(n_families=4, n_genera=5, n_species=4)
    X, y = world.fresh(np.random.default_rng(2), 5)
    ours = ForestClassifier(100, random_state=0, n_jobs=2).fit(world.X, world.species)
    theirs = RandomForestClassifier(100, random_state=0).fit(world.X, world.species)
    scores = [(model.predict(X) == y).mean() for model in (ours, theirs)]
    assert scores[0] == pytest.approx(scores[1], abs=0.05)
    assert scores[0] > 0.4


def test_the_feature_that_tells_is_the_important_one(rng: np.random.Generator) -> None:
    X = rng.standard_normal((400, 8))
    y = (X[:, 5] > 0).astype(int)
    importances = ForestClassifier(20, random_state=0).fit(X, y).feature_importances_
    assert importances.argmax() == 5
    assert importances.sum() == pytest.approx(1.0)


def test_threads_do_not_change_the_forest(make_world: Callable) -> None:
    world = make_world()
    first, second = (
        NoiseUpsampledForest(8, random_state=4, n_jobs=n).fit(world.X, world.species)
        for n in (1, 3)
    )
    np.testing.assert_array_equal(first.predict_proba(world.X), second.predict_proba(world.X))


def test_filling_up_rare_classes_helps_them(make_world: Callable) -> None:
    world = make_world(n_families=2, n_genera=3, n_species=2, specimens=20, pictures=1, signal=0.5)
    rare = set(world.taxonomy.species[::2])
    keep = np.array(
        [
            name not in rare or body % 20 < 3
            for name, body in zip(world.species, world.specimens, strict=True)
        ]
    )
    X, y = world.fresh(np.random.default_rng(0), 30)
    at_rare = np.isin(y, list(rare))
    plain = ForestClassifier(60, random_state=0).fit(world.X[keep], world.species[keep])
    filled = NoiseUpsampledForest(60, random_state=0).fit(world.X[keep], world.species[keep])
    recall = [(model.predict(X) == y)[at_rare].mean() for model in (plain, filled)]
    assert recall[1] > recall[0] + 0.05


def test_without_noise_and_imbalance_the_recipe_is_the_plain_forest(make_world: Callable) -> None:
    world = make_world()
    balanced = NoiseUpsampledForest(3, random_state=0).fit(world.X, world.species)
    assert balanced.predict(world.X).shape == world.species.shape
    with pytest.raises(UsageError, match="noise must be 0 or more"):
        NoiseUpsampledForest(noise=-0.1).fit(world.X, world.species)


def test_time_does_not_grow_with_the_number_of_classes(rng: np.random.Generator) -> None:
    X = rng.standard_normal((3000, 20)).astype(np.float32)
    ForestClassifier(1).fit(X[:50], np.arange(50) % 2)  # compile
    taken = {}
    for n_classes in (20, 1000):
        y = np.argsort(np.argsort(X[:, 0])) * n_classes // 3000
        start = time.process_time()
        ForestClassifier(10, random_state=0).fit(X, y)
        taken[n_classes] = time.process_time() - start
    # Fifty times the classes make trees deeper, not each cut dearer.
    assert taken[1000] < 8 * taken[20] + 0.5


def test_meaningless_options_are_refused() -> None:
    for options, message in (
        ({"n_trees": 0}, "n_trees must be 1 or more"),
        ({"max_features": "log2"}, "max_features must be"),
        ({"max_features": 0}, "max_features must be"),
    ):
        with pytest.raises(UsageError, match=message):
            ForestClassifier(**options).fit(np.eye(4), [0, 0, 1, 1])
