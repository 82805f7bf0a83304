from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import check_grad
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from kinlens.errors import UsageError
from kinlens.evaluate.hierarchy import consistency_violations
from kinlens.evaluate.metrics import Answers, Scores
from kinlens.evaluate.resample import permuted_labels
from kinlens.models import rank_weights
from kinlens.models.discriminant import ShrinkageDiscriminant
from kinlens.models.hierarchy import HierarchicalClassifier
from kinlens.models.lineage import Lineages
from kinlens.models.rank_weights import fit_rank_weights
from kinlens.records.taxonomy import Taxonomy


# check_array_api_input needs an environment variable that this suite does not set.
@parametrize_with_checks(
    [HierarchicalClassifier(random_state=0)],
    expected_failed_checks=lambda _: {"check_array_api_input": "SCIPY_ARRAY_API is not set"},
)
def test_it_keeps_the_estimator_contract(estimator, check) -> None:
    check(estimator)


@pytest.fixture
def fitted(make_world: Callable):
    world = make_world(signal=0.6)
    model = HierarchicalClassifier(world.taxonomy, random_state=0)
    return world, model.fit(world.X, world.species, groups=world.specimens)


def test_names_agree_at_every_rank_and_probabilities_fall_downwards(fitted) -> None:
    world, model = fitted
    X, _y = world.fresh(np.random.default_rng(1), 10)
    frame = model.predict_frame(X)
    answers = {rank: frame[rank].tolist() for rank in ("species", "genus", "family")}
    assert not consistency_violations(answers, world.taxonomy).any()
    assert (frame["species_probability"] <= frame["genus_probability"] + 1e-12).all()
    assert (frame["genus_probability"] <= frame["family_probability"] + 1e-12).all()
    np.testing.assert_array_equal(frame["species"], model.predict(X))


def test_probabilities_of_each_rank_add_up_and_are_calibrated(fitted) -> None:
    world, model = fitted
    X, y = world.fresh(np.random.default_rng(1), 40)
    for rank in ("species", "genus", "family"):
        p = model.predict_proba(X, rank)
        assert p.sum(axis=1) == pytest.approx(1.0)
        names = model.taxa(rank)
        answers = Answers.from_labels(world.ranked(rank, y), names[p.argmax(axis=1)], p, names)
        accuracy, error = Scores(answers, ["accuracy", "calibration_error"])(np.ones((1, len(y))))[
            0
        ]
        assert accuracy > {"species": 0.4, "genus": 0.7, "family": 0.85}[rank]
        assert error < 0.12


def test_it_is_at_least_as_good_as_a_discriminant_of_one_rank(make_world: Callable) -> None:
    world = make_world(n_families=4, n_genera=5, n_species=5, specimens=3, signal=0.5)
    X, y = world.fresh(np.random.default_rng(1), 10)
    model = HierarchicalClassifier(world.taxonomy, random_state=0)
    model.fit(world.X, world.species, groups=world.specimens)
    plain = ShrinkageDiscriminant(pull=0.0).fit(world.X, world.species)
    assert (model.predict(X) == y).mean() > (plain.predict(X) == y).mean()
    genus = world.ranked("genus", y)
    of_genus = ShrinkageDiscriminant(pull=0.0).fit(world.X, world.ranked("genus", world.species))
    frame = model.predict_frame(X)
    assert (frame["genus"] == genus).mean() > (of_genus.predict(X) == genus).mean() - 0.01


def test_names_shuffled_among_specimens_cannot_be_learned(make_world: Callable) -> None:
    world = make_world(signal=1.0)
    shuffled = permuted_labels(world.species, world.specimens, rng=np.random.default_rng(5))
    # The first half of the specimens trains, the rest tests.
    train = world.specimens % 2 == 0
    model = HierarchicalClassifier(world.taxonomy, random_state=0)
    model.fit(world.X[train], shuffled[train], groups=world.specimens[train])
    test = ~train & np.isin(shuffled, model.classes_)
    assert (model.predict(world.X[test]) == shuffled[test]).mean() < 0.12
    # It knows that it knows nothing.
    assert model.predict_proba(world.X[test]).max(axis=1).mean() < 0.3


def test_what_was_held_out_is_kept_and_leaks_nothing(fitted) -> None:
    world, model = fitted
    held = model.held_out_
    assert sorted(held.rows.tolist()) == list(range(len(world.X)))
    names = model.classes_[held.scores.argmax(axis=1)]
    accuracy = (names == world.species[held.rows]).mean()
    X, y = world.fresh(np.random.default_rng(1), 20)
    # Fitted on fewer specimens, so a little worse; far from what it remembers by heart.
    assert accuracy < (model.predict(X) == y).mean() + 0.05
    assert accuracy < (model.predict(world.X) == world.species).mean() - 0.05
    np.testing.assert_allclose(np.exp(held.scores).sum(axis=1), 1.0)


def test_unknown_taxa_have_no_name_and_take_part(rng: np.random.Generator) -> None:
    frame = pd.DataFrame({"species": ["a", "b", "c"], "genus": ["G", "G", None]})
    X = np.repeat(10 * np.eye(3), 6, axis=0) + rng.standard_normal((18, 3))
    y = np.repeat(["a", "b", "c"], 6)
    model = HierarchicalClassifier(Taxonomy.from_images(frame), random_state=0).fit(X, y)
    answer = model.predict_frame(10 * np.eye(3))
    assert answer["species"].tolist() == ["a", "b", "c"]
    assert answer["genus"].tolist() == ["G", "G", None]
    assert model.predict_proba(X, "genus").sum(axis=1) == pytest.approx(1.0)


def test_ranks_that_tell_nothing_new_have_no_discriminant(rng: np.random.Generator) -> None:
    frame = pd.DataFrame(
        {
            "species": ["a", "b", "c", "d"],
            "genus": ["G", "G", "H", "H"],
            "tribe": ["T", "T", "U", "U"],
            "order": ["O"] * 4,
        }
    )
    X = rng.standard_normal((24, 3))
    model = HierarchicalClassifier(Taxonomy.from_images(frame), random_state=0)
    model.fit(X, np.repeat(list("abcd"), 6))
    assert model.head_ranks_ == ("species", "genus")
    assert model.predict_frame(X)["order"].tolist() == ["O"] * 24


def test_one_picture_a_species_still_gives_an_answer(rng: np.random.Generator) -> None:
    X = rng.standard_normal((5, 4))
    model = HierarchicalClassifier(random_state=0).fit(X, list("abcde"))
    assert model.predict(X).tolist() == list("abcde")
    assert len(model.held_out_.rows) == 0


def test_its_state_brings_it_back(fitted) -> None:
    world, model = fitted
    words, arrays = model.state()
    again = HierarchicalClassifier.from_state(
        json.loads(json.dumps(words)), {name: array.copy() for name, array in arrays.items()}
    )
    X, _y = world.fresh(np.random.default_rng(1), 2)
    pd.testing.assert_frame_equal(again.predict_frame(X), model.predict_frame(X))


def test_the_same_seed_gives_the_same_model(fitted) -> None:
    world, model = fitted
    again = clone(model).fit(world.X, world.species, groups=world.specimens)
    np.testing.assert_array_equal(again.weights_.sharpness, model.weights_.sharpness)


def test_a_rank_that_is_not_there_is_refused(fitted) -> None:
    _world, model = fitted
    with pytest.raises(UsageError, match="no rank 'tribe' here"):
        model.predict_proba(np.zeros((1, 30)), "tribe")
    with pytest.raises(UsageError, match="Did you mean"):
        HierarchicalClassifier(model.taxonomy).fit(
            np.eye(4), ["F0G0_s0", "F0G0_s1", "F0G0_s9", "x"]
        )


def test_the_weights_slope_is_the_slope(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    lineages = Lineages(
        ("species", "genus"),
        (np.array(list("abcd"), object), np.array(["G", "H"], object)),
        (np.arange(4), np.array([0, 0, 1, 1])),
    )
    distances = [rng.uniform(1, 50, (30, 4)), rng.uniform(1, 20, (30, 2))[:, [0, 0, 1, 1]]]
    seen = {}
    minimise = rank_weights.minimize

    def keep(loss, start, **options):
        seen["loss"], seen["start"] = loss, start
        return minimise(loss, start, **options)

    monkeypatch.setattr(rank_weights, "minimize", keep)
    fit_rank_weights(distances, rng.integers(4, size=30), lineages, [0, 1])
    loss = seen["loss"]
    for _ in range(3):
        at = rng.standard_normal(4)
        error = check_grad(lambda p: loss(p)[0], lambda p: loss(p)[1], at)
        assert error < 1e-5 * (1 + np.abs(loss(at)[1]).max())
