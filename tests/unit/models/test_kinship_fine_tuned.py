"""A network's last block learns kinship from pictures; the rest of it stays as it was."""

from __future__ import annotations

import numpy as np
import pytest

from kinlens.errors import UsageError
from kinlens.evaluate.folds import random_folds
from kinlens.geometry.patristic import patristic_distances
from kinlens.learn.plan import FitPlan
from kinlens.models.fine_tuned import Trunk
from kinlens.models.kinship import KinshipEmbedder
from kinlens.models.kinship_engine import Pictures
from kinlens.models.kinship_fine_tuned import FineTuningEngine, TrunkWithHead, freeze_all_but_last
from kinlens.models.kinship_ridge import pair_correlation
from kinlens.optional import need
from kinlens.simulate.traits import evolve_traits
from kinlens.simulate.trees import birth_death_tree

torch = need("torch")

PLAN = FitPlan(epochs=6, patience=None, learning_rate=3e-3)


def trunk():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        stem = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 2, stride=2), torch.nn.BatchNorm2d(8))
        body = torch.nn.Sequential(torch.nn.Conv2d(8, 8, 2), torch.nn.BatchNorm2d(8))
        end = torch.nn.Sequential(torch.nn.ReLU(), torch.nn.Flatten())
        module = torch.nn.Sequential()
        for name, part in (("stem", stem), ("body", body), ("end", end)):
            module.add_module(name, part)
    return Trunk(module, 8 * 9, mean=np.full(3, 0.5), spread=np.full(3, 0.25))


def world(rng, n=30, pictures=3):
    """Colours of eight by eight patches that evolved on a tree."""
    tree = birth_death_tree(n, rng)
    means = evolve_traits(tree, 12, rng)[tree.tips]
    means = 128 + 40 * means / means.std()
    groups = np.repeat(np.arange(n), pictures)
    patches = means[groups].reshape(-1, 2, 2, 3) + rng.normal(0, 6, (len(groups), 2, 2, 3))
    shown = np.repeat(np.repeat(patches, 4, axis=1), 4, axis=2)
    views = np.full(len(groups), "", dtype=object)
    return tree, Pictures(np.clip(shown, 0, 255).astype(np.uint8), groups, views)


def engine(**changes):
    settings = {
        "plan": PLAN, "steps_per_epoch": 10, "species_per_step": 16, "flips": False,
        "device": "cpu",
    }  # fmt: skip
    return FineTuningEngine(trunk(), **settings | changes)


def test_only_the_last_blocks_learn():
    module = trunk().module
    frozen = freeze_all_but_last(module, 1)
    learning = {name for name, weight in module.named_parameters() if weight.requires_grad}
    assert learning == {"body.0.weight", "body.0.bias", "body.1.weight", "body.1.bias"}
    assert [type(part).__name__ for part in frozen] == ["Conv2d", "BatchNorm2d"]
    freeze_all_but_last(module, 9)
    assert all(weight.requires_grad for weight in module.parameters())
    freeze_all_but_last(module, 0)
    assert not any(weight.requires_grad for weight in module.parameters())


def test_what_is_frozen_stays_as_it_was(rng):
    tree, pictures = world(rng, n=12)
    start = trunk()
    before = {name: value.clone() for name, value in start.module.state_dict().items()}
    places = FineTuningEngine(start, plan=FitPlan(epochs=1), device="cpu").fit(
        pictures, patristic_distances(tree).values, (), 1
    )
    for name, value in start.module.state_dict().items():
        assert torch.equal(value, before[name]), "the trunk that was given must not change"
    for name, value in places.network.trunk.state_dict().items():
        assert torch.equal(value, before[name]) == name.startswith("stem"), name


def test_species_never_seen_are_placed_by_kinship(rng):
    tree, pictures = world(rng)
    distances = patristic_distances(tree).values
    fold = random_folds(30, 3, rng=rng)[0]
    places = engine().fit(
        pictures.of_groups(fold.train),
        distances[np.ix_(fold.train, fold.train)],
        random_folds(len(fold.train), 4, rng=rng),
        1,
    )
    new = places.place(pictures.of_groups(fold.test))
    np.testing.assert_allclose(np.linalg.norm(new, axis=1), 1.0, atol=1e-5)
    truth = distances[np.ix_(fold.test, fold.test)]
    assert pair_correlation(1.0 - new @ new.T, truth) > 0.4


def test_it_serves_the_estimator_and_gives_the_same_twice(rng):
    tree, pictures = world(rng, n=12)
    species = np.array(tree.tip_names, dtype=object)[pictures.groups]
    short = engine(plan=FitPlan(epochs=1), steps_per_epoch=2)
    one, other = (
        KinshipEmbedder(short, n_folds=3).fit(pictures.values, species, kinship=tree)
        for _ in range(2)
    )
    placed = one.predict(pictures.values[:2])
    np.testing.assert_array_equal(placed.distances, other.predict(pictures.values[:2]).distances)
    assert placed.branches is not None


def test_vectors_and_pictures_are_not_taken_for_each_other(rng):
    tree, pictures = world(rng, n=8)
    species = np.array(tree.tip_names, dtype=object)[pictures.groups]
    with pytest.raises(UsageError, match="from pictures, uint8"):
        KinshipEmbedder(engine()).fit(pictures.vectors(), species, kinship=tree)
    with pytest.raises(UsageError, match="from vectors of pictures"):
        KinshipEmbedder().fit(pictures.values, species, kinship=tree)


def test_the_blocks_of_real_networks_are_found():
    timm = need("timm")
    network = timm.create_model("test_resnet", num_classes=0)
    frozen = freeze_all_but_last(network, 1)
    learning = sorted(
        {name.split(".")[0] for name, weight in network.named_parameters() if weight.requires_grad}
    )
    assert learning == ["layer4"]
    assert frozen
    wide = TrunkWithHead(Trunk(network, 4, mean=np.zeros(3), spread=np.ones(3)), 1).train()
    assert wide.trunk.layer4.training
    assert not wide.trunk.layer1[0].training
