"""A world on disk: whole, readable as a dataset, the same bytes wherever it was drawn."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from kinlens.errors import UsageError
from kinlens.io.fasta import read_fasta
from kinlens.io.folder import read_collection
from kinlens.io.newick import read_newick
from kinlens.parallel import Resources
from kinlens.rng import RandomStreams
from kinlens.simulate.world import World, simulate_world
from kinlens.simulate.world_config import WorldConfig
from kinlens.studies.simulation import write_world

CONFIG = WorldConfig(species=6, images=90, genes=12, sequence_length=80, image_size=24)


@pytest.fixture(scope="module")
def world() -> World:
    return simulate_world(CONFIG, RandomStreams(3))


@pytest.fixture(scope="module")
def folder(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("simulated") / "shells"
    write_world(world, folder)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_it_reads_back_as_a_dataset_without_a_fault(folder: Path, world: World) -> None:
    collection = read_collection(folder)
    assert collection.name == "simulated shells"
    assert collection.problems == ()
    assert collection.mismatches == ()
    assert collection.specimens is not None
    assert collection.specimens.n_images == 90
    assert collection.tree is not None
    assert collection.tree.tip_names == world.tree.tip_names
    np.testing.assert_allclose(collection.tree.length, world.tree.length, rtol=1e-6)
    assert collection.sequences is not None
    assert collection.sequences.species == world.sequences.species
    assert collection.genes is not None
    assert (collection.genes.loc[world.genes.index].to_numpy() == world.genes.to_numpy()).all()


def test_every_picture_is_there(folder: Path, world: World) -> None:
    for image in world.images["image"]:
        with Image.open(folder / image) as picture:
            assert picture.size == (24, 24)
    first = np.asarray(Image.open(folder / world.images["image"][0]), dtype=float)
    assert np.abs(first - world.pictures.render(0)).mean() < 8


def test_truth_holds_what_was_hidden(folder: Path, world: World) -> None:
    truth = folder / "truth"
    traits = pd.read_csv(truth / "species_traits.csv", index_col="species")
    pd.testing.assert_frame_equal(traits, world.truth.species_traits, rtol=1e-8)
    assert len(pd.read_csv(truth / "pictures.csv")) == 90
    assert pd.read_csv(truth / "gene_effects.csv")["gene"].tolist() == (
        world.truth.gene_effects["gene"].tolist()
    )
    aligned = read_fasta(truth / "alignment.fasta")
    assert len(aligned) == read_newick(truth / "sequence_tree.nwk").n_nodes
    by_name = dict(iter(aligned))
    for name, sequence in world.sequences:
        assert by_name[name].replace(b"-", b"") == sequence
    record = json.loads((truth / "world.json").read_text())
    assert record["seed"] == 3
    assert WorldConfig(**record["config"]) == CONFIG


@pytest.mark.slow
def test_workers_write_the_same_bytes(folder: Path, world: World, tmp_path: Path) -> None:
    write_world(world, tmp_path / "again", resources=Resources(workers=2))
    assert contents(tmp_path / "again") == contents(folder)


def test_the_same_seed_writes_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    write_world(simulate_world(CONFIG, RandomStreams(3)), tmp_path / "again")
    assert contents(tmp_path / "again") == contents(folder)


def test_only_a_simulated_dataset_may_be_replaced(world: World, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="something else"):
        write_world(world, precious, force=True)
    assert (precious / "thesis.txt").read_text() == "years of work"
    (tmp_path / "empty").mkdir()
    write_world(world, tmp_path / "empty")
    with pytest.raises(UsageError, match="--force"):
        write_world(world, tmp_path / "empty")
    write_world(world, tmp_path / "empty", force=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "precious"]


def test_an_interrupted_writer_leaves_nothing(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("kinlens.studies.simulation.write_collection", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_world(world, tmp_path / "half")
    assert list(tmp_path.iterdir()) == []
