from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks

from kinlens.errors import UsageError
from kinlens.models.forest import NoiseUpsampledForest


# check_array_api_input needs an environment variable that this suite does not set.
@parametrize_with_checks(
    [NoiseUpsampledForest(3, random_state=0)],
    expected_failed_checks=lambda _: {"check_array_api_input": "SCIPY_ARRAY_API is not set"},
)
def test_it_keeps_the_estimator_contract(estimator, check) -> None:
    check(estimator)


def test_threads_do_not_change_the_forest(make_world: Callable) -> None:
    world = make_world()
    first, second = (
        NoiseUpsampledForest(8, random_state=4, n_jobs=n).fit(world.X, world.species)
        for n in (1, 3)
    )
    np.testing.assert_array_equal(first.predict_proba(world.X), second.predict_proba(world.X))


def test_every_class_is_brought_to_the_size_of_the_largest(rng: np.random.Generator) -> None:
    X = rng.standard_normal((30, 4))
    model = NoiseUpsampledForest(2, random_state=0).fit(X, ["a"] * 20 + ["b"] * 7 + ["c"] * 3)
    assert model.n_rows_ == 60
    assert model.classes_.tolist() == ["a", "b", "c"]


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
    plain = RandomForestClassifier(60, random_state=0).fit(world.X[keep], world.species[keep])
    filled = NoiseUpsampledForest(60, random_state=0).fit(world.X[keep], world.species[keep])
    recall = [(model.predict(X) == y)[at_rare].mean() for model in (plain, filled)]
    assert recall[1] > recall[0] + 0.05


def test_noise_below_zero_is_refused() -> None:
    with pytest.raises(UsageError, match="noise must be 0 or more"):
        NoiseUpsampledForest(noise=-0.1).fit(np.eye(4), [0, 0, 1, 1])
