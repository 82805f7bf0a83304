"""The study `kinship`: planted kinship is found, a null world stays silent, odd input is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kinlens.config import build_config
from kinlens.errors import InputError, UsageError
from kinlens.geometry.patristic import patristic_distances
from kinlens.io.folder import read_collection
from kinlens.parallel import Resources
from kinlens.records.collection import Collection
from kinlens.records.distances import DistanceMatrix
from kinlens.records.tree import Tree
from kinlens.rng import RandomStreams
from kinlens.simulate.traits import evolve_traits
from kinlens.simulate.trees import birth_death_tree
from kinlens.simulate.world import simulate_world
from kinlens.simulate.world_config import WorldConfig
from kinlens.studies.catalogue import load_predictor, load_study
from kinlens.studies.kinship import KinshipConfig, KinshipFindings, measure, run
from kinlens.studies.kinship_report import report_of
from kinlens.studies.kinship_task import KinshipTask, assemble, fold_plans, raw_features
from kinlens.studies.runner import run_into_folder
from kinlens.studies.simulation import write_world

QUICK = KinshipConfig(models=("ridge",), permutations=99, shuffles=39, replicates=100, worlds=99)


def looks_world(
    seed: int,
    *,
    n: int = 40,
    traits: int = 24,
    is_null: bool = False,
    pictures: int = 3,
    noise: float = 0.1,
) -> KinshipTask:
    """Vectors of pictures whose means evolved on the tree, or on another one."""
    rng = np.random.default_rng(seed)
    tree = birth_death_tree(n, rng)
    means = evolve_traits(tree, traits, rng)[tree.tips]
    if is_null:
        means = means[rng.permutation(n)]
    values = np.repeat(means, pictures, axis=0)
    values = values + noise * rng.standard_normal(values.shape)
    species = np.repeat(np.array(tree.tip_names, dtype=object), pictures)
    return assemble(values, species, kinship=collection_of(tree))


def collection_of(tree: Tree | None, distances: DistanceMatrix | None = None) -> Collection:
    return Collection(name="made", folder=Path("made"), tree=tree, distances=distances)


def measured(task: KinshipTask, config: KinshipConfig = QUICK, seed: int = 1) -> KinshipFindings:
    return measure(task, config, RandomStreams(seed), Resources())


def test_kinship_that_was_planted_is_found_in_species_never_seen() -> None:
    found = measured(looks_world(1))
    species = found.correlations["held_out", "ridge", "species"]
    assert species.value > 0.5
    assert np.quantile(species.null, 0.99) < 0.3
    assert found.has_evidence
    assert found.correlations["held_out", "ridge", "clade"].value > 0.2
    assert found.correlations["in_sample", "ridge", "none"].value > species.value


def test_true_traits_reach_nine_tenths_of_the_ceiling() -> None:
    shares = []
    for seed in (1, 2, 3):
        found = measured(looks_world(seed, noise=0.02))
        each = found.correlations["held_out", "ridge", "species"]
        assert each.ceiling is not None
        shares.append(each.value / each.ceiling.mean)
    assert np.mean(shares) >= 0.9


def test_looks_of_another_tree_give_no_evidence() -> None:
    found = measured(looks_world(2, is_null=True))
    assert not found.has_evidence
    result = report_of(collection_of(found.task.tree), found, QUICK, RandomStreams(1), Resources())
    assert result.headlines[0].sentence.startswith("No evidence")
    assert abs(found.correlations["held_out", "ridge", "species"].value) < 0.35


@pytest.mark.slow
def test_the_believed_test_keeps_its_level() -> None:
    config = QUICK.model_copy(update={"shuffles": 99, "permutations": 99})
    n_worlds = 200
    wrong = sum(
        measured(looks_world(100 + seed, n=24, traits=6, is_null=True), config, seed).has_evidence
        for seed in range(n_worlds)
    )
    # 5 % within four binomial standard errors.
    assert abs(wrong / n_worlds - 0.05) <= 4 * np.sqrt(0.05 * 0.95 / n_worlds)


def test_the_same_seed_gives_the_same_numbers() -> None:
    one, other = (measured(looks_world(3, n=24)) for _ in range(2))
    for key, each in one.correlations.items():
        assert each.value == other.correlations[key].value
        assert each.low == other.correlations[key].low


def test_nothing_of_held_out_species_is_used() -> None:
    """Distances of test species may be anything: predictions stay."""
    task = looks_world(4, n=30)
    found = measured(task)
    garbled = task.distances.copy()
    held_out = found.held_out["ridge", "species"]
    fold = held_out.folds[0]
    garbled[fold.test] = garbled[:, fold.test] = 77.0
    np.fill_diagonal(garbled, 0.0)
    changed = KinshipTask(**{**task.__dict__, "distances": garbled, "tree": None})
    again = measured(changed).held_out["ridge", "species"]
    np.testing.assert_allclose(again.predicted[0], held_out.predicted[0])


def test_clades_that_converged_are_named() -> None:
    rng = np.random.default_rng(5)
    tree = birth_death_tree(60, rng)
    codes = tree.cut_into(8)
    means = evolve_traits(tree, 30, rng)[tree.tips]
    apart = patristic_distances(tree).values
    # The largest clade, and the largest of those that are farthest from it.
    one = int(np.bincount(codes).argmax())
    far = apart[codes == one].mean(axis=0)
    other = int(np.bincount(codes[far >= 0.999 * far.max()]).argmax())
    optimum = 2.0 * rng.choice([-1.0, 1.0], 30)
    for code in (one, other):
        means[codes == code] = optimum + 0.4 * (means[codes == code] - means[codes == code].mean(0))
    clades = {name: f"clade {code}" for name, code in zip(tree.tip_names, codes, strict=True)}
    task = assemble(
        np.repeat(means, 2, axis=0) + 0.05 * rng.standard_normal((120, 30)),
        np.repeat(np.array(tree.tip_names, dtype=object), 2),
        kinship=collection_of(tree),
        clades=clades,
    )
    pairs = measured(task).pairs
    alike = pairs[pairs["verdict"] == "alike beyond kinship"].iloc[0]
    assert {alike["clade"], alike["other"]} == {f"clade {one}", f"clade {other}"}


def test_distances_without_a_tree_leave_out_what_needs_one() -> None:
    task = looks_world(6, n=24)
    alone = assemble(
        task.pictures.values,
        np.array(task.species, dtype=object)[task.pictures.groups],
        kinship=collection_of(None, DistanceMatrix(task.species, task.distances)),
    )
    found = measured(alone)
    assert not found.signal
    assert found.correlations["raw", "cosine", "none"].ceiling is None
    assert ("held_out", "ridge", "species") in found.correlations
    assert any("needs a tree" in note or "need a tree" in note for note in alone.notes)
    result = report_of(collection_of(None), found, QUICK, RandomStreams(1), Resources())
    assert {"correlations", "heatmaps"} <= {figure.name for figure in result.figures}


def odd_tree() -> Tree:
    """A polytomy, branches of length 0, tips at different depths, one tip without pictures."""
    tips = [f"t{i:02}" for i in range(14)]
    parent = [-1, 0, 0, 0, *([1] * 6), *([2] * 4), *([3] * 4)]
    length = [0, 1, 2, 0.5, 0, 0, 1, 2, 3, 1, 0, 1, 1, 1, 2, 0.5, 1, 1]
    return Tree.from_parents(parent, length, ["", "", "", "", *tips])


def test_odd_trees_are_handled_and_said() -> None:
    tree = odd_tree()
    rng = np.random.default_rng(7)
    shown = np.array(tree.tip_names[:-1], dtype=object)
    species = np.concatenate([shown, [""], ["nowhere"]])
    task = assemble(rng.standard_normal((len(species), 5)), species, kinship=collection_of(tree))
    words = " ".join(task.notes)
    for said in (
        "Pruned from the tree, having no pictures: 1 species",
        "Left out, having pictures but no place in the tree: 1 species",
        "polytomies",
        "length 0",
        "not equally far",
        "single picture",
        "not known",
    ):
        assert said in words
    found = measured(task)
    result = report_of(collection_of(tree), found, QUICK, RandomStreams(1), Resources())
    assert np.isfinite(result.value(target="held_out", model="ridge", split="species",
                                    metric="pearson_r"))  # fmt: skip
    assert found.signal["kmult"]["n"] < task.n


def test_few_species_are_tested_by_mantel_alone() -> None:
    task = looks_world(8, n=6)
    found = measured(task)
    assert found.believed is None
    assert not fold_plans(task, 5, RandomStreams(1))
    result = report_of(collection_of(task.tree), found, QUICK, RandomStreams(1), Resources())
    assert "nothing can be held out" in result.headlines[0].sentence


def test_too_few_species_are_refused() -> None:
    tree = odd_tree()
    with pytest.raises(InputError, match="3 species have both"):
        assemble(np.eye(3), np.array(tree.tip_names[:3], dtype=object), kinship=collection_of(tree))


def test_raw_features_are_a_rotation_of_standardised_means() -> None:
    task = looks_world(9, n=12, traits=40)
    table = raw_features(task)
    assert table.shape == (12, 12)
    means = task.pictures.values.reshape(12, 3, 40).mean(axis=1)
    wanted = (means - means.mean(0)) / means.std(0)
    np.testing.assert_allclose(table @ table.T, wanted @ wanted.T, atol=1e-9)


def test_an_unknown_model_is_refused() -> None:
    with pytest.raises(UsageError, match="ridge"):
        build_config(KinshipConfig, {"models": ["rigde"]})


@pytest.fixture(scope="module")
def snails(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = WorldConfig(species=14, images=70, image_size=48, genes=10, sequence_length=60,
                         causal_genes=0)  # fmt: skip
    folder = tmp_path_factory.mktemp("kinship") / "data"
    write_world(simulate_world(config, RandomStreams(3)), folder)
    return folder


def test_a_simulated_folder_runs_from_pictures_to_places(snails: Path, tmp_path: Path) -> None:
    study = load_study("kinship")
    result = run_into_folder(study, snails, tmp_path / "run", QUICK, resources=Resources())
    assert {f.name for f in result.figures} == {
        "correlations", "distances", "heatmaps", "tanglegram", "tree", "phylomorphospace",
    }  # fmt: skip
    metrics = result.metrics
    assert set(metrics["metric"]) >= {
        "pearson_r", "brownian_ceiling", "kmult", "pagel_lambda",
    }  # fmt: skip
    assert set(metrics["target"]) == {"raw", "in_sample", "held_out"}
    assert set(metrics["split"]) == {"none", "species", "clade"}
    assert (metrics["n"] == 14).all()
    assert result.predictions is not None
    assert isinstance(result.splits, pd.DataFrame)
    pictures = sorted((snails / "images").iterdir())[:2]
    damaged = tmp_path / "damaged.jpg"
    damaged.write_bytes(b"no picture")
    placed = load_predictor(tmp_path / "run")(tmp_path / "run", [*pictures, damaged])
    assert placed["image"].tolist() == [str(each) for each in [*pictures, damaged]]
    tree = read_collection(snails).tree
    assert tree is not None
    assert set(placed["nearest_species"][:2]) <= set(tree.tip_names)
    assert (placed["low"] <= placed["distance"])[:2].all()
    assert placed["branch"][:2].notna().all()
    assert placed["problem"].ne("").tolist() == [False, False, True]


@pytest.mark.slow
def test_a_network_that_reads_the_pictures_runs_on_the_same_folds(snails: Path) -> None:
    config = QUICK.model_copy(update={"fine_tune": "timm:test_resnet?random&size=32"})
    result = run(read_collection(snails), config, RandomStreams(0), Resources(device="cpu"))
    tuned = result.metrics[result.metrics["model"] == "fine_tuned"]
    assert set(tuned["target"]) == {"in_sample", "held_out"}
    assert tuned.loc[tuned["metric"] == "pearson_r", "value"].notna().all()


@pytest.mark.slow
def test_the_published_network_learns_kinship_too() -> None:
    config = QUICK.model_copy(update={"models": ("ridge", "attention_head")})
    found = measured(looks_world(1, n=40), config)
    assert found.correlations["held_out", "attention_head", "species"].value > 0.3
    assert ("in_sample", "attention_head", "none") in found.correlations


@pytest.mark.shared
@pytest.mark.slow
def test_butterflies_reach_what_was_promised(shared_data: Path) -> None:
    result = run(
        read_collection(shared_data / "butterflies"),
        KinshipConfig(models=("ridge",), shuffles=19),
        RandomStreams(0),
        Resources(),
    )
    held_out = {"target": "held_out", "model": "ridge", "metric": "pearson_r"}
    assert result.value(split="species", **held_out) >= 0.80
    assert result.value(split="clade", **held_out) >= 0.68
    shuffled = {**held_out, "model": "shuffled_tree"}
    assert abs(result.value(split="species", **shuffled)) < 0.03


def test_patristic_order_is_that_of_the_tree() -> None:
    task = looks_world(10, n=12)
    assert task.tree is not None
    np.testing.assert_array_equal(task.distances, patristic_distances(task.tree).values)
    assert task.species == task.tree.tip_names
