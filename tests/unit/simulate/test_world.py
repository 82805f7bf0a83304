"""Whole worlds: everything joins, truth is what happened, null worlds are null."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from kinlens.config import build_config
from kinlens.errors import UsageError
from kinlens.rng import RandomStreams
from kinlens.simulate.shells import TRAITS
from kinlens.simulate.world import World, simulate_world
from kinlens.simulate.world_config import WorldConfig
from kinlens.typing import FloatArray

SMALL = {"species": 16, "images": 60, "genes": 40, "sequence_length": 120, "image_size": 32}
WORLDS = ("related", "independent", "shuffled", "mislabelled")


def make(seed: int = 1, **settings: object) -> World:
    return simulate_world(build_config(WorldConfig, SMALL, settings), RandomStreams(seed))


def path_between_tips(world: World) -> FloatArray:
    tree = world.tree
    depth = tree.depths()
    meeting = np.zeros((tree.n_tips, tree.n_tips))
    for node in range(tree.n_nodes):
        span = slice(tree.tip_start[node], tree.tip_stop[node])
        meeting[span, span] = depth[node]
    at_tip = depth[tree.tips]
    return at_tip[:, None] + at_tip[None] - 2 * meeting


def looks_against_kinship(world: World) -> float:
    """Correlation of squared trait distance with path length, over pairs of species."""
    traits = world.truth.species_traits.loc[list(world.tree.tip_names), list(TRAITS)].to_numpy()
    looks = ((traits[:, None] - traits[None]) ** 2).sum(axis=2)
    pairs = np.triu_indices(len(traits), 1)
    return float(np.corrcoef(looks[pairs], path_between_tips(world)[pairs])[0, 1])


@pytest.mark.parametrize("world_name", WORLDS)
def test_all_parts_join(world_name: str) -> None:
    world = make(world=world_name)
    species = set(world.tree.tip_names)
    assert len(world.images) == len(world.pictures) == 60
    assert set(world.images["species"]) == species
    assert set(world.genes.index) == species
    assert set(world.sequences.species) == species
    assert set(world.truth.species_traits.index) == species
    assert set(world.truth.trait_tree.tip_names) == species
    assert list(world.images.columns) == [
        "image",
        "specimen",
        "view",
        "species",
        "genus",
        "family",
        "order",
    ]
    collection = world.collection("somewhere")
    assert collection.taxonomy is not None
    assert collection.taxonomy.ranks == ("species", "genus", "family", "order")
    specimens = world.truth.specimens.set_index("specimen")
    assert (
        specimens.loc[world.images["specimen"], "species"].to_numpy()
        == world.images["species"].to_numpy()
    ).all()


def test_the_same_seed_gives_the_same_world_and_another_does_not() -> None:
    one, same, other = make(1), make(1), make(2)
    assert one.tree.to_dict() == same.tree.to_dict()
    assert one.sequences.sequences == same.sequences.sequences
    pd.testing.assert_frame_equal(one.images, same.images)
    pd.testing.assert_frame_equal(one.genes, same.genes)
    pd.testing.assert_frame_equal(one.truth.species_traits, same.truth.species_traits)
    assert one.pictures.render(3).tobytes() == same.pictures.render(3).tobytes()
    assert one.tree.to_dict() != other.tree.to_dict()
    assert one.pictures.render(3).tobytes() != other.pictures.render(3).tobytes()


def test_changing_one_part_leaves_the_others() -> None:
    base = make()
    more = make(images=90, genes_missed=0.5, sequence_length=200)
    assert base.tree.to_dict() == more.tree.to_dict()
    pd.testing.assert_frame_equal(base.truth.genes, more.truth.genes)
    pd.testing.assert_frame_equal(base.truth.species_traits, more.truth.species_traits)


def test_looks_follow_kinship_in_a_related_world_and_in_no_other() -> None:
    seeds = range(12)
    settings = {"causal_genes": 0, "species": 30}
    related = [looks_against_kinship(make(seed, **settings)) for seed in seeds]
    assert np.mean(related) > 0.5
    # Shuffled looks share nothing with the tree; each r is about N(0, 0.1).
    shuffled = [looks_against_kinship(make(seed, world="shuffled", **settings)) for seed in seeds]
    assert abs(np.mean(shuffled)) < 4 * np.std(shuffled) / np.sqrt(len(shuffled)) + 0.02
    # Two unrelated trees: correlated by the shape of trees alone, far below the related world.
    independent = [
        looks_against_kinship(make(seed, world="independent", **settings)) for seed in seeds
    ]
    assert np.mean(independent) < 0.25 < np.mean(related)


def test_without_signal_looks_do_not_follow_kinship_though_genes_act() -> None:
    without = [
        looks_against_kinship(make(seed, signal=0.0, causal_genes=20, gene_effect=1.5))
        for seed in range(20)
    ]
    assert abs(np.mean(without)) < 4 * np.std(without) / np.sqrt(20)


def test_genes_that_act_move_their_traits_by_their_effects() -> None:
    slopes = []
    for seed in range(12):
        world = make(seed, species=60, images=60, causal_genes=8, gene_effect=2.0, signal=0.0)
        truth = world.truth
        for gene, trait, effect in truth.gene_effects.itertuples(index=False):
            has = truth.genes[gene] == 1
            if has.nunique() == 2:
                values = truth.species_traits[trait]
                slopes.append((values[has].mean() - values[~has].mean()) / effect)
    # 96 genes, each with a standard error of about 0.13 of its effect.
    assert np.mean(slopes) == pytest.approx(1.0, abs=0.06)


@pytest.mark.parametrize("world_name", WORLDS[1:])
def test_no_gene_acts_in_a_null_world(world_name: str) -> None:
    assert make(world=world_name).truth.gene_effects.empty


def test_names_are_dealt_out_at_random_in_a_mislabelled_world() -> None:
    world = make(world="mislabelled", images=300)
    specimens = world.truth.specimens
    assert (specimens["species"] != specimens["looks_of"]).mean() > 0.3
    counts = specimens["species"].value_counts()
    assert counts.sort_index().equals(specimens["looks_of"].value_counts().sort_index())
    honest = make(images=300).truth.specimens
    assert (honest["species"] == honest["looks_of"]).all()


def test_converged_clades_look_alike_and_are_named() -> None:
    world = make(species=40, images=40, convergent_clades=3, convergence=0.98, causal_genes=0)
    members = world.truth.convergent
    assert members["clade"].nunique() == 3
    traits = world.truth.species_traits[list(TRAITS)]
    chosen = traits.loc[members["species"]]
    others = traits.drop(index=members["species"])
    assert chosen.std().mean() < 0.7 * others.std().mean()
    centres = chosen.groupby(members.set_index("species")["clade"]).mean()
    assert centres.std().mean() < 0.7 * others.std().mean()
    assert make().truth.convergent.empty


def test_pull_keeps_species_near_the_root_state() -> None:
    spread = {
        pull: np.mean(
            [
                make(seed, pull=pull, causal_genes=0)
                .truth.species_traits[list(TRAITS)]
                .std()
                .mean()
                for seed in range(4)
            ]
        )
        for pull in (0.0, 8.0)
    }
    # Stationary standard deviation sqrt(1 / 16).
    assert spread[8.0] == pytest.approx(0.25, abs=0.05)
    assert spread[0.0] > 0.5


def test_rare_species_have_one_picture() -> None:
    counts = (
        simulate_world(WorldConfig(sequence_length=50), RandomStreams(1))
        .images["species"]
        .value_counts()
    )
    assert len(counts) == 32
    assert counts.min() == 1
    assert counts.max() < 800


def test_annotation_only_loses_genes() -> None:
    world = make(genes_missed=0.3, genes=300)
    assert ((world.genes <= world.truth.genes).all()).all()
    found = world.genes.to_numpy().sum() / world.truth.genes.to_numpy().sum()
    assert 0.5 < found < 0.9


def test_sequences_tell_the_species_apart() -> None:
    world = make(sequence_length=400, divergence=0.3)
    rows = {
        name: np.frombuffer(world.truth.evolved.aligned(node), np.uint8)
        for node, name in enumerate(world.truth.evolved.tree.names)
    }
    names, species = list(world.sequences.ids), np.array(world.sequences.species)
    letters = np.array([rows[name] for name in names])
    distance = (letters[:, None] != letters[None]).mean(axis=2)
    np.fill_diagonal(distance, np.inf)
    assert np.mean(species[distance.argmin(axis=1)] == species) > 0.9


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"images": 3}, "too few"),
        ({"causal_genes": 99}, "causal_genes"),
        ({"death": 2.0}, "exceed birth"),
        ({"world": "relate"}, "world"),
        ({"sigmal": 0.5}, "Did you mean 'signal'"),
    ],
)
def test_impossible_worlds_are_refused(settings: dict[str, object], word: str) -> None:
    with pytest.raises(UsageError, match=word):
        make(**settings)
