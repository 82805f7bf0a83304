"""The study `rare` on planted species: relatives help where they do, and only there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kinlens.embed.images import ImageVectors
from kinlens.errors import InputError
from kinlens.parallel import Resources
from kinlens.records.collection import Collection, Problem
from kinlens.records.result import StudyResult
from kinlens.records.sequences import SequenceSet
from kinlens.records.specimens import SpecimenTable
from kinlens.records.taxonomy import Taxonomy
from kinlens.records.tree import Tree
from kinlens.rng import RandomStreams
from kinlens.simulate.trees import taxonomy_of, yule_tree
from kinlens.studies import rare_figures, rare_report, rare_task
from kinlens.studies.rare import RareConfig, run
from kinlens.studies.rare_models import fit_models
from kinlens.studies.rare_scores import Repeat, cells_of

N_SPECIES = 60
# Features that come out otherwise than they went in, by picture.
_DAMAGED: dict[int, np.ndarray] = {}


@pytest.fixture(scope="module")
def clade() -> tuple[Collection, np.ndarray]:
    """Species whose looks evolved on the tree, with four specimens of one picture each."""
    rng = np.random.default_rng(5)
    tree = yule_tree(N_SPECIES, rng)
    state = np.zeros((tree.n_nodes, 16))
    for node in range(1, tree.n_nodes):
        step = np.sqrt(tree.length[node]) * rng.standard_normal(16)
        state[node] = state[tree.parent[node]] + step
    rows = np.repeat(np.arange(N_SPECIES), 4)
    vectors = 4 * state[tree.tips][rows] + 1.5 * rng.standard_normal((len(rows), 16))
    frame = pd.DataFrame(
        {
            "image": [f"images/{i}.jpg" for i in range(len(rows))],
            "specimen": [f"S{i}" for i in range(len(rows))],
            "species": np.array(tree.tip_names, dtype=object)[rows],
        }
    )
    names = taxonomy_of(tree)
    frame = frame.merge(names.reset_index() if "species" not in names else names, on="species")
    collection = Collection(
        name="planted",
        folder=Path("nowhere"),
        specimens=SpecimenTable(frame),
        taxonomy=Taxonomy.from_images(frame),
        tree=tree,
    )
    return collection, vectors


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch, clade: tuple[Collection, np.ndarray]):
    collection, vectors = clade

    def embed(collection: Collection, *_args: object, **_options: object) -> ImageVectors:
        assert collection.specimens is not None
        ids = tuple(map(str, collection.specimens.image))
        rows = [int(Path(image).stem) for image in ids]
        values = np.array([_DAMAGED.get(row, vectors[row]) for row in rows], dtype=np.float32)
        features = pd.DataFrame(index=[f"f{i}" for i in range(vectors.shape[1])])
        return ImageVectors(
            ids, np.arange(len(ids)), values, features, (), {"fingerprint": "planted"}
        )

    monkeypatch.setattr(rare_task, "embed_collection", embed)
    monkeypatch.setattr(
        rare_figures, "read_thumbnail", lambda *_: np.zeros((8, 8, 3), dtype=np.uint8)
    )

    # The map takes half a minute to compile and is tested where it is made.
    monkeypatch.setattr(rare_report, "plane_map", lambda vectors, *, seed: vectors[:, :2])

    def study(given: Collection = collection, seed: int = 1, **settings: object) -> StudyResult:
        config = RareConfig(
            **{"networks": False, "repeats": 3, "replicates": 200, **settings}  # type: ignore[arg-type]
        )
        return run(given, config, RandomStreams(seed), Resources())

    return study


def value(result: StudyResult, target: str, model: str, metric: str) -> pd.Series:
    rows = result.metrics.query("target == @target and model == @model and metric == @metric")
    return rows.iloc[0]


def test_species_without_pictures_are_named_by_their_tree_and_not_by_another(found) -> None:
    result = found()
    right = value(result, "shots_0", "prototypes", "per_class_accuracy")["value"]
    gain = value(result, "shots_0", "prototypes", "gain_over_permuted")
    near = value(result, "shots_0", "prototypes", "top_5_accuracy")["value"]
    assert right > 4 / N_SPECIES
    assert near > 3 * 5 / N_SPECIES
    assert gain["value"] > 0.03
    assert value(result, "shots_0", "class_means", "per_class_accuracy")["value"] == 0
    assert value(result, "shots_0", "prototypes", "newcomer_auc")["value"] > 0.55
    assert value(result, "seen", "prototypes", "calibration_error")["value"] < 0.2
    one = value(result, "shots_1", "prototypes", "gain_over_permuted")
    assert one["value"] > -0.12
    table = result.tables["species"]
    assert len(table) == N_SPECIES
    assert {"species", "n_train", "n_test", "accuracy", "gain", "taken_for"} <= set(table)
    assert {figure.name for figure in result.figures} >= {
        "shots", "gains", "retrieval", "tree_of_gains", "map",
    }  # fmt: skip
    found_by_genes = value(result, "shots_0", "prototypes", "genes_to_pictures_map_over_permuted")
    assert found_by_genes["low"] > 0
    searches = result.tables["retrieval"].set_index(["target", "measure"])
    assert searches.loc[("shots_0", "genes_to_pictures_map"), "gain"] == found_by_genes["value"]
    guess = value(result, "shots_0", "genus_guess", "per_class_accuracy")
    assert guess["value"] > value(result, "shots_0", "chance", "per_class_accuracy")["value"]
    for metric in ("coverage", "candidates", "calibration_error"):
        row = value(result, "seen", "prototypes", metric)
        assert row["low"] <= row["value"] <= row["high"]
        assert row["n"] > N_SPECIES / 2


def test_a_tree_that_has_nothing_to_do_with_the_looks_gains_nothing(found, clade) -> None:
    collection, _ = clade
    rng = np.random.default_rng(3)
    names = np.array(collection.tree.tip_names, dtype=object)
    other = dict(zip(names, rng.permutation(names), strict=True))
    shuffled = collection.tree.with_names([other.get(n, n) for n in collection.tree.names])
    result = found(_with(collection, tree=shuffled))
    for target in ("shots_0", "shots_1", "all"):
        gain = value(result, target, "prototypes", "gain_over_permuted")
        assert gain["low"] <= 0.02
        assert gain["value"] < 0.05
        found_by_genes = value(result, target, "prototypes", "genes_to_pictures_map_over_permuted")
        assert found_by_genes["low"] <= 0.02


def test_the_same_seed_gives_the_same_numbers(found) -> None:
    first, second = found(repeats=1), found(repeats=1)
    pd.testing.assert_frame_equal(first.metrics, second.metrics)
    assert first.tables["species"].equals(second.tables["species"])


def test_specimens_numbered_anew_in_each_species_are_not_learned_from_and_tested(
    monkeypatch: pytest.MonkeyPatch, clade: tuple[Collection, np.ndarray]
) -> None:
    collection, vectors = clade
    assert collection.specimens is not None
    frame = collection.specimens.frame.copy()
    frame["specimen"] = (frame.groupby("species").cumcount() // 2).astype(str)
    collection = replace(collection, specimens=SpecimenTable(frame))

    def embed(collection: Collection, *_args: object, **_options: object) -> ImageVectors:
        assert collection.specimens is not None
        ids = tuple(map(str, collection.specimens.image))
        noise = np.random.default_rng(0).normal(size=vectors.shape).astype(np.float32)
        features = pd.DataFrame(index=[f"f{i}" for i in range(vectors.shape[1])])
        return ImageVectors(
            ids, np.arange(len(ids)), noise[: len(ids)], features, (), {"fingerprint": "noise"}
        )

    monkeypatch.setattr(rare_task, "embed_collection", embed)
    config = RareConfig(networks=False, repeats=1, replicates=100)
    task = rare_task.prepare(collection, config, Resources())
    split = rare_task.draw_split(task, config, RandomStreams(0))
    parts = [set(rows.tolist()) for rows in (split.train, split.validation, split.test)]
    assert sum(map(len, parts)) == len(set.union(*parts)) == len(task.species)
    assert not set(split.unseen) & set(task.species[split.train])
    fitted = fit_models(
        task, split, RandomStreams(0), noises=(1.0,), error_rate=0.1, heads=None,
        advance=lambda: None,
    )  # fmt: skip
    cells = cells_of(task, [Repeat(0, split, fitted)])
    right = cells.groupby("model")["per_class_accuracy"].mean()
    assert (right < 0.2).all()


def test_a_broken_tree_is_not_replaced_by_sequences_in_silence(found, clade) -> None:
    collection, _ = clade
    fault = Problem("error", "unusable", "tree.nwk", "", "the file ends in the middle")
    broken = replace(collection, tree=None, problems=(fault,))
    with pytest.raises(InputError, match=r"tree\.nwk, which cannot be used: the file ends"):
        rare_task.prepare(broken, RareConfig(), Resources())


def test_the_published_stages_and_their_controls_stand_beside(found) -> None:
    result = found(repeats=1)
    with_networks = found(repeats=1, networks=True, hidden=128, embedding=32)
    assert {"baseline", "long_tail", "aligned", "aligned_long_tail", "aligned_permuted"} <= set(
        with_networks.metrics["model"]
    )
    assert "baseline" not in set(result.metrics["model"])
    # By its anchors the network can be asked for species without pictures.
    asked = with_networks.tables["retrieval"].set_index(["model", "target", "measure"])
    by_anchors = asked.loc[("aligned_long_tail_to_anchors", "shots_0", "genes_to_pictures_map")]
    assert by_anchors["low"] <= by_anchors["value"] <= by_anchors["high"]
    assert by_anchors["n"] == round(0.1 * N_SPECIES)
    own = value(with_networks, "all", "baseline", "per_class_accuracy")["value"]
    assert own > 5 / N_SPECIES
    assert "128 hidden units to 32 dimensions" in " ".join(with_networks.methods.split())


def test_sequences_alone_give_kinship_and_their_anchors_are_looked_over(found, clade) -> None:
    collection, _ = clade
    rng = np.random.default_rng(0)
    tree = collection.tree
    letters = {0: rng.integers(4, size=400)}
    for node in range(1, tree.n_nodes):
        own = letters[int(tree.parent[node])].copy()
        changed = rng.random(400) < 0.3 * tree.length[node]
        own[changed] = rng.integers(4, size=int(changed.sum()))
        letters[node] = own
    alphabet = np.frombuffer(b"ACGT", dtype=np.uint8)
    sequences = SequenceSet(
        tuple(f"q{i}" for i in range(N_SPECIES)),
        tuple(alphabet[letters[int(tip)]].tobytes() for tip in tree.tips),
        tuple(tree.tip_names),
    )
    result = found(_with(collection, tree=None, sequences=sequences), repeats=2)
    assert value(result, "shots_0", "prototypes", "gain_over_permuted")["value"] > 0
    table = result.tables["anchors"].set_index("anchors")
    assert table.loc["SGT as published", "infeasible_share"] == 1.0
    assert any("margin" in headline.sentence for headline in result.headlines)


def test_what_cannot_be_studied_is_said(found, clade) -> None:
    collection, _ = clade
    with pytest.raises(InputError, match=r"tree\.nwk"):
        found(_with(collection, tree=None))
    strange = Tree.from_parents([-1, 0, 0], None, ["", "Homo_a", "Homo_b"])
    with pytest.raises(InputError, match="none of the 60 species"):
        found(_with(collection, tree=strange))


def test_one_species_is_too_few_and_said_to_be(found, clade) -> None:
    collection, _ = clade
    one = collection.tree.tip_names[0]
    with pytest.raises(InputError, match="4 species or more, not 1"):
        found(_only(collection, lambda frame: frame["species"] == one))


def test_a_species_with_a_single_dorsal_picture_is_learned_from(found, clade) -> None:
    collection, _vectors = clade
    frame = collection.specimens.frame
    number = frame["image"].map(lambda image: int(Path(image).stem))
    lone = collection.tree.tip_names[7]
    # Specimens of the others are seen from both sides, two pictures each.
    views = frame.assign(
        view=np.where(number % 2, "ventral", "dorsal"), specimen=[f"S{n // 2}" for n in number]
    )
    given = _with(collection, specimens=SpecimenTable(views))
    given = _only(given, lambda frame: (frame["species"] != lone) | (frame["specimen"] == "S14"))
    given = _only(given, lambda frame: (frame["species"] != lone) | (frame["view"] == "dorsal"))
    assert (given.specimens.frame["species"] == lone).sum() == 1
    result = found(given, repeats=2)
    table = result.tables["species"].set_index("species")
    # Nothing of it is left to test but where it is withheld.
    tested = table["n_test"].get(lone)
    assert np.isnan(tested) or table["n_train"][lone] == 0
    model = result.model
    place = model["config"]["prototypes"]["classes"].index(lone)
    assert model["arrays"]["n_specimens"][place] == 1


@pytest.mark.parametrize("n_different", [30, 1])
def test_sequences_that_species_share_put_them_in_one_place(found, clade, n_different: int) -> None:
    collection, _ = clade
    rng = np.random.default_rng(0)
    different = [bytes(rng.choice(list(b"ACGT"), 200).tolist()) for _ in range(n_different)]
    names = collection.tree.tip_names
    # Every species has its sequence twice, and shares it with others.
    sequences = SequenceSet(
        tuple(f"q{i}" for i in range(2 * N_SPECIES)),
        tuple(different[i % N_SPECIES % n_different] for i in range(2 * N_SPECIES)),
        tuple(names[i % N_SPECIES] for i in range(2 * N_SPECIES)),
    )
    result = found(_with(collection, tree=None, sequences=sequences), repeats=1)
    assert np.isfinite(value(result, "all", "prototypes", "per_class_accuracy")["value"])
    # These sequences tell nothing of looks.
    gain = value(result, "shots_0", "prototypes", "genes_to_pictures_map_over_permuted")
    assert gain["low"] <= 0.02
    anchors = result.tables["anchors"].set_index("anchors")
    assert anchors.loc["SGT as published", "largest_cosine"] == pytest.approx(1.0)


def test_features_that_are_no_numbers_are_named_by_their_pictures(
    found, clade, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, vectors = clade
    damaged = vectors[5].copy()
    monkeypatch.setitem(_DAMAGED, 5, np.where(np.arange(16) == 3, np.nan, damaged))
    with pytest.raises(InputError, match=r"1 of 240 pictures .*images/5\.jpg"):
        found()


def test_pictures_and_genes_need_not_be_of_the_same_species(found, clade) -> None:
    collection, _ = clade
    names = list(collection.tree.tip_names)
    # Ten species have no place in the tree; ten have a place and no picture.
    tree = collection.tree.prune(names[10:])
    given = _only(_with(collection, tree=tree), lambda f: ~f["species"].isin(names[-10:]))
    result = found(given, repeats=2)
    asked = result.tables["retrieval"].set_index(["target", "measure"])
    assert asked.loc[("all", "genes_to_pictures_map"), "n"] <= N_SPECIES - 20
    assert asked.loc[("all", "picture_to_genes_top_1"), "chance"] == 1 / (N_SPECIES - 20)
    answered = result.model["config"]["prototypes"]["classes"]
    assert set(names[-10:]) <= set(answered)
    assert set(names[:10]) <= set(answered)


def _only(collection: Collection, keep: Callable[[pd.DataFrame], pd.Series]) -> Collection:
    frame = collection.specimens.frame
    frame = frame[keep(frame)].reset_index(drop=True)
    return _with(collection, specimens=SpecimenTable(frame), taxonomy=Taxonomy.from_images(frame))


def _with(collection: Collection, **parts: object) -> Collection:
    from dataclasses import replace

    return replace(collection, **parts)
