from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from kinlens.errors import InputError, UsageError
from kinlens.models.discriminant import ShrinkageDiscriminant
from kinlens.models.phylogenetic_prototypes import PhylogeneticPrototypes
from kinlens.records.tree import Tree
from kinlens.simulate.trees import yule_tree


# check_array_api_input needs an environment variable that this suite does not set.
@parametrize_with_checks(
    [PhylogeneticPrototypes()],
    expected_failed_checks=lambda _: {"check_array_api_input": "SCIPY_ARRAY_API is not set"},
)
def test_it_keeps_the_estimator_contract(estimator, check) -> None:
    check(estimator)


class Clade:
    """Species whose features evolved on a tree, with as many pictures of each as wanted."""

    def __init__(self, rng: np.random.Generator, *, n_species: int = 60, n_features: int = 12):
        self.rng = rng
        self.tree = yule_tree(n_species, rng)
        state = np.zeros((self.tree.n_nodes, n_features))
        for node in range(1, self.tree.n_nodes):
            step = np.sqrt(self.tree.length[node]) * rng.standard_normal(n_features)
            state[node] = state[self.tree.parent[node]] + step
        self.centres = 4 * state[self.tree.tips]
        self.names = np.array(self.tree.tip_names, dtype=object)

    def pictures(self, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rows = np.repeat(np.arange(len(self.names)), counts)
        noise = 1.5 * self.rng.standard_normal((len(rows), self.centres.shape[1]))
        return self.centres[rows] + noise, self.names[rows]

    def shuffled_tree(self) -> Tree:
        order = dict(zip(self.names, self.rng.permutation(self.names), strict=True))
        return self.tree.with_names([order.get(name, name) for name in self.tree.names])


def share_right(model: PhylogeneticPrototypes, X: np.ndarray, y: np.ndarray) -> float:
    return float(np.mean(model.predict(X) == y))


def test_relatives_help_where_pictures_are_few_and_strangers_do_not(
    rng: np.random.Generator,
) -> None:
    gains, harms = [], []
    for _ in range(4):
        clade = Clade(rng)
        counts = np.where(np.arange(60) % 2, 1, 6)
        X, y = clade.pictures(counts)
        fresh, truth = clade.pictures(np.where(np.arange(60) % 2, 20, 0))
        alone = share_right(PhylogeneticPrototypes().fit(X, y), fresh, truth)
        with_tree = PhylogeneticPrototypes(kinship=clade.tree).fit(X, y)
        shuffled = PhylogeneticPrototypes(kinship=clade.shuffled_tree()).fit(X, y)
        gains.append(share_right(with_tree, fresh, truth) - alone)
        harms.append(share_right(shuffled, fresh, truth) - alone)
        assert with_tree.evolution_.signal.mean() > 0.7
        assert shuffled.evolution_.signal.mean() < 0.3
    assert np.mean(gains) > 0.03
    assert abs(np.mean(harms)) < 0.02


def test_a_species_without_a_picture_is_found_by_its_relatives(rng: np.random.Generator) -> None:
    clade = Clade(rng)
    counts = np.full(60, 5)
    unseen = rng.choice(60, 10, replace=False)
    counts[unseen] = 0
    X, y = clade.pictures(counts)
    model = PhylogeneticPrototypes(kinship=clade.tree, candidates=clade.names[unseen]).fit(X, y)
    wanted = np.zeros(60, dtype=int)
    wanted[unseen] = 20
    fresh, truth = clade.pictures(wanted)
    assert share_right(model, fresh, truth) > 10 / 60
    known, answers = clade.pictures(np.where(counts > 0, 4, 0))
    assert share_right(model, known, answers) > 0.6
    none = model.n_specimens_ == 0
    assert set(model.classes_[none]) == set(clade.names[unseen])
    assert model.variances_[none].mean() > 3 * model.variances_[~none].mean()


def test_a_newcomer_is_told_from_the_known_and_put_beside_its_relatives(
    rng: np.random.Generator,
) -> None:
    clade = Clade(rng, n_features=20)
    new = clade.names[5::6]
    known = [name for name in clade.names if name not in set(new)]
    counts = np.where(np.isin(clade.names, new), 0, 5)
    X, y = clade.pictures(counts)
    model = PhylogeneticPrototypes(kinship=clade.tree.prune(known)).fit(X, y)
    strangers, truth = clade.pictures(np.where(counts == 0, 10, 0))
    friends, _ = clade.pictures(np.where(counts > 0, 2, 0))
    placed, usual = model.place(strangers), model.place(friends)
    above = (placed.log_odds[:, None] > usual.log_odds[None, :]).mean()
    assert above > 0.85
    # The relative nearest in the whole tree is below, or beside, the branch that was chosen.
    near = 0
    for name, node in zip(truth, placed.node, strict=True):
        home = clade.tree.tip_positions([name])
        clan = int(clade.tree.parent[clade.tree.parent[clade.tree.tips[home[0]]]])
        near += bool(set(clade.tree.tips_below(max(clan, 0))) & set(placed.tree.tips_below(node)))
    assert near / len(truth) > 0.7
    assert placed.probability().mean() > 5 * usual.probability().mean()


def test_without_kin_and_with_many_pictures_it_is_the_discriminant(
    rng: np.random.Generator,
) -> None:
    clade = Clade(rng, n_species=6)
    X, y = clade.pictures(np.full(6, 200))
    fresh, _ = clade.pictures(np.full(6, 30))
    ours = PhylogeneticPrototypes().fit(X, y).predict(fresh)
    theirs = ShrinkageDiscriminant(pull=0.0).fit(X, y).predict(fresh)
    assert np.mean(ours == theirs) > 0.99


def test_pictures_of_one_specimen_count_once(rng: np.random.Generator) -> None:
    clade = Clade(rng, n_species=5)
    X, y = clade.pictures(np.full(5, 4))
    specimens = np.repeat(np.arange(10), 2)
    model = PhylogeneticPrototypes().fit(X, y, specimens)
    assert model.n_specimens_.tolist() == [2] * 5
    apart = PhylogeneticPrototypes().fit(X, y)
    assert apart.n_specimens_.tolist() == [4] * 5
    assert (model.variances_ > apart.variances_).mean() > 0.9


def test_another_tree_is_tried_without_finding_the_axes_again(rng: np.random.Generator) -> None:
    clade = Clade(rng)
    X, y = clade.pictures(np.full(60, 2))
    again = PhylogeneticPrototypes().fit(X, y).with_kinship(clade.tree)
    direct = PhylogeneticPrototypes(kinship=clade.tree).fit(X, y)
    np.testing.assert_allclose(again.means_, direct.means_)
    assert again.get_params()["kinship"] is clade.tree


def test_awkward_inputs_give_right_answers_or_clear_errors(rng: np.random.Generator) -> None:
    clade = Clade(rng, n_species=8)
    X, y = clade.pictures(np.full(8, 3))
    lone = PhylogeneticPrototypes().fit(X[:3], y[:3])
    assert set(lone.predict(X)) == {y[0]}
    with pytest.raises(UsageError, match="one species"):
        lone.place(X)
    with pytest.raises(InputError, match="all pictures are of"):
        PhylogeneticPrototypes(kinship=clade.tree, candidates=clade.names).fit(X[:3], y[:3])
    strange = clade.tree.with_names([f"x{name}" for name in clade.tree.names])
    with pytest.raises(InputError, match="none of the 8 species"):
        PhylogeneticPrototypes(kinship=strange).fit(X, y)
    with pytest.raises(ValueError, match="NaN"):
        PhylogeneticPrototypes().fit(np.full_like(X, np.nan), y)
    with pytest.raises(UsageError, match="noise must be above 0"):
        PhylogeneticPrototypes(noise=0).fit(X, y)


def test_twins_that_the_tree_cannot_tell_apart_are_no_obstacle(rng: np.random.Generator) -> None:
    twins = Tree.from_parents(
        [-1, 0, 0, 1, 1], [0, 1, 1, 0, 0], ["", "", "c", "a", "b"]
    )  # a and b have the same sequence
    X = np.array([[0.0, 0], [0.2, 0], [4, 0], [4.2, 0.1], [0, 4], [0.1, 4.2]])
    model = PhylogeneticPrototypes(kinship=twins).fit(X, list("aabbcc"))
    assert np.isfinite(model.predict_proba(X)).all()
    assert model.predict(X[4:]).tolist() == ["c", "c"]


def test_what_was_learned_is_written_down_and_read_back(rng: np.random.Generator) -> None:
    clade = Clade(rng, n_species=20)
    X, y = clade.pictures(np.where(np.arange(20) < 3, 0, 4))
    model = PhylogeneticPrototypes(
        kinship=clade.tree, candidates=clade.names, noise=2.0, spread=3.0
    ).fit(X, y)
    words, arrays = model.state()
    again = PhylogeneticPrototypes.from_state(json.loads(json.dumps(words)), arrays)
    fresh, _ = clade.pictures(np.full(20, 2))
    np.testing.assert_array_equal(again.predict_proba(fresh), model.predict_proba(fresh))
    assert again.predict(fresh).tolist() == model.predict(fresh).tolist()
    first, second = model.place(fresh), again.place(fresh)
    np.testing.assert_array_equal(first.log_odds, second.log_odds)
    assert [first.tree.tips_below(n) for n in first.node.tolist()] == [
        second.tree.tips_below(n) for n in second.node.tolist()
    ]
