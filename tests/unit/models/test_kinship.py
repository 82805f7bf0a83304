"""The estimator that places pictures in a tree, its parts, and what it promises."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from kinlens.errors import InputError, UsageError
from kinlens.evaluate.splits import Split
from kinlens.geometry.ordination import principal_coordinates
from kinlens.geometry.patristic import patristic_distances
from kinlens.learn.plan import FitPlan
from kinlens.models.kinship import KinshipEmbedder, RidgeEngine
from kinlens.models.kinship_attention import AttentionEngine
from kinlens.models.kinship_engine import Pictures, inner_folds, parts_for_stopping
from kinlens.models.kinship_placement import (
    hierarchical_quantile,
    nearest_branch_points,
    outsider_p_values,
)
from kinlens.models.kinship_profiles import PictureScaling, fit_picture_scaling
from kinlens.models.kinship_ridge import (
    pair_correlation,
    places_apart,
    places_to_training,
    smoother_weights,
)
from kinlens.models.kinship_state import embedder_from_state, embedder_state
from kinlens.models.pooling import attention_pool, attention_weights, mean_pool, unit_rows
from kinlens.records.distances import DistanceMatrix
from kinlens.records.tree import Tree
from kinlens.simulate.traits import evolve_traits
from kinlens.simulate.trees import birth_death_tree
from kinlens.typing import FloatArray, ObjectArray


def world(
    rng: np.random.Generator, n: int = 30, traits: int = 20, pictures: int = 4
) -> tuple[Tree, FloatArray, ObjectArray]:
    tree = birth_death_tree(n, rng)
    means = evolve_traits(tree, traits, rng)[tree.tips]
    values = np.repeat(means, pictures, axis=0)
    values = values + 0.1 * rng.standard_normal(values.shape)
    return tree, values, np.repeat(np.array(tree.tip_names, dtype=object), pictures)


@pytest.fixture
def blank_views() -> ObjectArray:
    return np.full(8, "", dtype=object)


# Pooling -----------------------------------------------------------------------------------------


def test_equal_scores_pool_to_the_mean(rng: np.random.Generator) -> None:
    values, groups = rng.standard_normal((9, 3)), np.array([0, 2, 2, 1, 0, 2, 1, 0, 0])
    mean = mean_pool(values, groups, 3)
    np.testing.assert_allclose(attention_pool(values, np.zeros(9), groups, 3), mean)
    np.testing.assert_allclose(mean[1], values[groups == 1].mean(axis=0))


def test_a_high_score_takes_all() -> None:
    scores = [0.0, 800.0, -800.0]
    np.testing.assert_allclose(attention_weights(scores, [0, 0, 1], 2), [0, 1, 1])


def test_pooling_does_not_care_for_order(rng: np.random.Generator) -> None:
    values, groups = rng.standard_normal((9, 3)), rng.integers(0, 3, 9)
    scores, order = rng.standard_normal(9), rng.permutation(9)
    one = attention_pool(values, scores, groups, 3)
    np.testing.assert_allclose(one, attention_pool(values[order], scores[order], groups[order], 3))


def test_groups_beyond_the_count_are_refused() -> None:
    with pytest.raises(UsageError, match="from 0 to 1"):
        mean_pool([[1.0], [2.0]], [0, 2], 2)


def test_unit_rows_leave_zeros() -> None:
    np.testing.assert_allclose(np.linalg.norm(unit_rows([[3, 4], [0, 0]]), axis=1), [1, 0])


# Ridge as weights --------------------------------------------------------------------------------


def test_weights_give_what_ridge_on_coordinates_gives(rng: np.random.Generator) -> None:
    tree, values, _ = world(rng, n=20, pictures=1)
    train, test = np.arange(14), np.arange(14, 20)
    gram = values @ values.T
    distances = patristic_distances(tree).values[:14, :14]
    [weights] = smoother_weights(gram[:14, :14], gram[14:, :14], [0.2])
    np.testing.assert_allclose(weights.sum(axis=1), 1.0)
    points = principal_coordinates(np.sqrt(distances), 13).points
    penalty = 0.2 * np.trace(gram[:14, :14]) / 14
    places = gram[np.ix_(test, train)] @ np.linalg.solve(
        gram[:14, :14] + penalty * np.eye(14), points
    )
    between = np.linalg.norm(places[:, None] - places, axis=2)
    np.testing.assert_allclose(places_apart(weights, distances), between, atol=1e-6)
    known = np.linalg.norm(places[:, None] - points, axis=2)
    np.testing.assert_allclose(places_to_training(weights, distances), known, atol=1e-6)


def test_correlation_of_pairs_is_pearson(rng: np.random.Generator) -> None:
    one, two = (np.abs(m + m.T) for m in rng.standard_normal((2, 6, 6)))
    upper = np.triu_indices(6, 1)
    assert float(pair_correlation(one, two)) == pytest.approx(
        np.corrcoef(one[upper], two[upper])[0, 1]
    )
    assert np.isnan(pair_correlation(np.ones((6, 6)), two))


# Scaling -----------------------------------------------------------------------------------------


def test_variation_within_species_is_whitened(rng: np.random.Generator) -> None:
    species = np.repeat(np.arange(60), 10)
    noise = rng.standard_normal((600, 4)) * [3.0, 1.0, 1.0, 0.7]
    values = rng.standard_normal((60, 4))[species] + noise
    scaling = fit_picture_scaling(values, species, np.full(600, "", dtype=object))
    pictures = scaling.pictures(values, np.full(600, "", dtype=object))
    within = pictures - mean_pool(pictures, species, 60)[species]
    np.testing.assert_allclose(within.T @ within / 540, np.eye(4), atol=0.12)


def test_one_picture_a_species_is_not_whitened(blank_views: ObjectArray) -> None:
    scaling = fit_picture_scaling(np.eye(8), np.arange(8), blank_views)
    assert not scaling.is_whitened
    assert np.isfinite(scaling.pictures(np.eye(8), blank_views)).all()


def test_views_are_scaled_apart_and_missing_ones_are_zero(rng: np.random.Generator) -> None:
    species = np.tile(np.arange(10), 4)
    views = np.repeat(np.array(["above", "below"], dtype=object), 20)
    values = rng.standard_normal((40, 5)) + 100.0 * (views == "below")[:, None]
    scaling = fit_picture_scaling(values, species, views)
    only_above = np.flatnonzero((views == "above") | (species > 0))
    made = scaling.profiles(values[only_above], species[only_above], 10, views[only_above])
    assert made.has_view.tolist() == [[True, False]] + [[True, True]] * 9
    assert not made.blocks()[1][0].any()
    np.testing.assert_allclose(np.linalg.norm(made.directions(), axis=1), 1.0)


def test_scaling_survives_its_state(rng: np.random.Generator, blank_views: ObjectArray) -> None:
    values = rng.standard_normal((8, 20))
    scaling = fit_picture_scaling(values, np.arange(8) // 2, blank_views)
    again = PictureScaling.from_state(*scaling.state())
    np.testing.assert_array_equal(
        again.pictures(values, blank_views), scaling.pictures(values, blank_views)
    )


def test_constant_features_say_nothing(blank_views: ObjectArray) -> None:
    values = np.hstack([np.eye(8), np.full((8, 1), 7.0)])
    scaling = fit_picture_scaling(values, np.arange(8) // 2, blank_views)
    moved = values + 1000.0 * (np.arange(9) == 8)
    np.testing.assert_allclose(
        scaling.pictures(moved, blank_views), scaling.pictures(values, blank_views)
    )


# Placement ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_dated", [True, False])
def test_true_distances_give_back_the_branch(is_dated: bool, rng: np.random.Generator) -> None:
    tree = birth_death_tree(20, rng)
    if not is_dated:
        tree = tree.with_lengths(tree.length * rng.uniform(0.3, 2.0, tree.n_nodes))
    whole = patristic_distances(tree)
    for name in tree.tip_names[::4]:
        others = tree.prune([tip for tip in tree.tip_names if tip != name])
        row = whole.select([*others.tip_names, name]).values[-1:, :-1]
        points = nearest_branch_points(row, np.ones_like(row), others)
        assert points.misfit[0] == pytest.approx(0.0, abs=1e-6)
        sisters = tree.tips_below(int(tree.parent[tree.mrca([name])]))
        found = set(others.tips_below(int(points.node[0])))
        below = set(sisters) - {name}
        # At the root the two sides of one branch point are the same place.
        assert found == below or found == set(others.tip_names) - below


def test_the_quantile_weighs_groups_alike() -> None:
    scores = np.concatenate([np.full(1000, 9.0), np.arange(1.0, 10.0)])
    groups = np.concatenate([np.zeros(1000, int), np.arange(1, 10)])
    assert hierarchical_quantile(scores, groups, 0.3) == 8.0


def test_outsiders_have_the_least_p_value() -> None:
    known, groups = np.arange(9.0), np.arange(9)
    np.testing.assert_allclose(outsider_p_values(np.array([100.0, -1.0]), known, groups), [0.1, 1])


# The estimator -----------------------------------------------------------------------------------


def test_new_species_are_placed_near_their_relatives(rng: np.random.Generator) -> None:
    tree, values, species = world(rng, n=40)
    held_out = set(tree.tip_names[::5])
    is_new = np.array([name in held_out for name in species])
    model = KinshipEmbedder().fit(values[~is_new], species[~is_new], kinship=tree)
    whole = patristic_distances(tree)
    places = [whole.ids.index(name) for name in model.species_]
    truth = np.array([whole.values[whole.ids.index(name)][places] for name in species[is_new]])
    placed = model.predict(values[is_new])
    assert np.corrcoef(placed.distances.ravel(), truth.ravel())[0, 1] > 0.6
    covered = ((placed.low <= truth) & (truth <= placed.high)).mean()
    assert covered >= 0.75
    assert placed.is_in_tree.mean() > 0.7
    assert set(placed.frame()["nearest_species"]) <= set(model.species_)


def test_what_is_nothing_like_the_tree_is_told(rng: np.random.Generator) -> None:
    tree, values, species = world(rng)
    model = KinshipEmbedder().fit(values, species, kinship=tree)
    assert not model.predict(values[:3] + 40.0).is_in_tree.any()


def test_training_species_lie_at_their_coordinates(rng: np.random.Generator) -> None:
    tree, values, species = world(rng, n=12)
    model = KinshipEmbedder().fit(values, species, kinship=tree)
    gaps = np.linalg.norm(model.positions_[:, None] - model.positions_, axis=2) ** 2
    np.testing.assert_allclose(gaps, patristic_distances(tree).values, atol=1e-8)


def test_pooled_pictures_are_one_place(rng: np.random.Generator) -> None:
    tree, values, species = world(rng, n=12)
    model = KinshipEmbedder().fit(values, species, kinship=tree)
    assert len(model.transform(values[:8], groups=[0, 0, 0, 0, 1, 1, 1, 1])) == 2
    with pytest.raises(UsageError, match="from 0"):
        model.transform(values[:2], groups=[0, 2])


def test_the_order_of_pictures_does_not_matter(rng: np.random.Generator) -> None:
    tree, values, species = world(rng, n=12)
    order = rng.permutation(len(values))
    one = KinshipEmbedder().fit(values, species, kinship=tree).transform(values[:3])
    other = KinshipEmbedder().fit(values[order], species[order], kinship=tree)
    np.testing.assert_allclose(one, other.transform(values[:3]), atol=1e-7)


def test_distances_do_for_a_tree_but_name_no_branch(rng: np.random.Generator) -> None:
    tree, values, species = world(rng, n=12)
    whole = patristic_distances(tree)
    model = KinshipEmbedder().fit(values, species, kinship=DistanceMatrix(whole.ids, whole.values))
    placed = model.predict(values[:2])
    assert placed.branches is None
    assert "branch" not in placed.frame()


def test_few_species_have_no_intervals(rng: np.random.Generator) -> None:
    tree, values, species = world(rng, n=5)
    placed = KinshipEmbedder().fit(values, species, kinship=tree).predict(values[:1])
    assert np.isinf(placed.high).all()


def test_fewer_than_four_species_are_refused(rng: np.random.Generator) -> None:
    tree, values, species = world(rng, n=12)
    few = np.isin(species, list(tree.tip_names[:3]))
    with pytest.raises(InputError, match="four species"):
        KinshipEmbedder().fit(values[few], species[few], kinship=tree)


def test_it_is_a_scikit_learn_estimator() -> None:
    model = KinshipEmbedder(RidgeEngine(alphas=(0.5,)), error_rate=0.2)
    assert clone(model).get_params()["error_rate"] == 0.2


def test_folds_keep_clades_whole(rng: np.random.Generator) -> None:
    labels = [f"c{i // 3}" for i in range(30)]
    for fold in inner_folds(30, labels, 5, rng):
        assert not {labels[i] for i in fold.train} & {labels[i] for i in fold.test}
    assert inner_folds(6, None, 5, rng) == ()


def fold_of(n: int, *, first: int, stop: int) -> Split:
    everyone = np.arange(n)
    held_out = (everyone >= first) & (everyone < stop)
    return Split("clade", everyone[~held_out], everyone[:0], everyone[held_out], n)


def test_training_stops_by_a_fold_of_no_odd_size() -> None:
    clades = [(0, 1), (1, 30), (30, 36), (36, 40)]
    folds = [fold_of(40, first=first, stop=stop) for first, stop in clades]
    learned, judged = parts_for_stopping(40, folds)
    assert judged.tolist() == list(range(1, 30))  # at most three times an even share
    assert learned.tolist() == [0, *range(30, 40)]
    assert parts_for_stopping(40, [folds[0], *folds[2:]])[1].tolist() == list(range(30, 36))
    for none in ([], [fold_of(40, first=0, stop=1)]):
        assert [part.tolist() for part in parts_for_stopping(40, none)] == [list(range(40))] * 2


def test_the_published_network_stops_by_more_than_one_species(rng: np.random.Generator) -> None:
    tree, values, species = world(rng, n=20)
    groups = tree.tip_positions(species)
    pictures = Pictures(values, groups, np.full(len(values), "", dtype=object))
    distances = patristic_distances(tree).values
    folds = [fold_of(20, first=0, stop=1), fold_of(20, first=1, stop=8)]
    plan = FitPlan(epochs=2, learning_rate=2e-3)
    fitted = AttentionEngine(steps_per_epoch=2, plan=plan).fit(pictures, distances, folds, 0)
    np.testing.assert_allclose(np.linalg.norm(fitted.positions, axis=1), 1.0, rtol=1e-5)


def test_pictures_are_chosen_by_group(rng: np.random.Generator) -> None:
    pictures = Pictures(np.arange(6.0)[:, None], np.array([0, 1, 2] * 2), np.full(6, "", object))
    chosen = pictures.of_groups(np.array([2, 0]))
    assert chosen.groups.tolist() == [1, 0, 1, 0]
    assert chosen.values[:, 0].tolist() == [0, 2, 3, 5]


# Kept on disk ------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [24, 5])
def test_a_written_embedder_answers_as_before(n: int, rng: np.random.Generator) -> None:
    tree, values, species = world(rng, n=n)
    views = np.tile(np.array(["above", "below"], dtype=object), len(values) // 2)
    model = KinshipEmbedder().fit(values, species, kinship=tree, views=views)
    state = embedder_state(model)
    again = embedder_from_state(json.loads(json.dumps(state["config"])), state["arrays"])
    new, shown = values[:6] + 0.3, views[:6]
    one, other = (each.predict(new, views=shown).frame() for each in (model, again))
    pd.testing.assert_frame_equal(one, other)


def test_a_state_of_another_format_is_refused(rng: np.random.Generator) -> None:
    tree, values, species = world(rng, n=5)
    state = embedder_state(KinshipEmbedder().fit(values, species, kinship=tree))
    with pytest.raises(InputError, match="format 7"):
        embedder_from_state(state["config"] | {"format": 7}, state["arrays"])
