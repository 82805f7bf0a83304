"""The study `taxa` finds planted species, stays silent without any, and answers alike again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from kinlens.errors import InputError, UsageError
from kinlens.io.folder import read_collection
from kinlens.parallel import Resources
from kinlens.rng import RandomStreams
from kinlens.simulate.world import simulate_world
from kinlens.simulate.world_config import WorldConfig
from kinlens.studies.catalogue import load_study
from kinlens.studies.runner import run_into_folder
from kinlens.studies.simulation import write_world
from kinlens.studies.taxa import TaxaConfig, run
from kinlens.studies.taxa_model import predict

QUICK = TaxaConfig(
    models=("majority", "nearest_centroid", "lda", "hierarchical"), replicates=200, permutations=99
)


def make_world(folder: Path, kind: str) -> Path:
    config = WorldConfig(
        species=6,
        images=150,
        image_size=64,
        world=kind,
        disparity=1.8,
        zipf_exponent=0.0,
        genes=5,
        causal_genes=0,
        sequence_length=60,
    )
    write_world(simulate_world(config, RandomStreams(4)), folder)
    return folder


@pytest.fixture(scope="module")
def related(tmp_path_factory) -> Path:
    return make_world(tmp_path_factory.mktemp("related") / "world", "related")


@pytest.fixture(scope="module")
def found(related):
    return run(read_collection(related), QUICK, RandomStreams(0), Resources())


@pytest.fixture(scope="module")
def finished(related, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("run") / "taxa"
    run_into_folder(load_study("taxa"), related, out, QUICK)
    return out


def test_planted_species_are_found(found):
    lowest = found.metrics[
        (found.metrics["target"] == "species") & (found.metrics["selected"] == 1)
    ]
    accuracy = lowest.set_index("metric").loc["balanced_accuracy"]
    assert accuracy["value"] > 0.6
    assert accuracy["low"] > accuracy["null_mean"]
    assert accuracy["p_value"] == pytest.approx(0.01)
    # Specimens are counted, not pictures.
    assert 6 <= accuracy["n"] < found.splits["part"].eq("test").sum()


def test_every_row_has_its_baseline_interval_null_and_n(found):
    scores = found.metrics[found.metrics["metric"].isin(["accuracy", "balanced_accuracy"])]
    assert {"majority", "nearest_centroid"} <= set(scores["model"])
    assert scores[["low", "high", "null_mean", "p_value", "n", "seed"]].notna().all(axis=None)
    assert (scores["low"] <= scores["value"]).all()
    assert (scores["value"] <= scores["high"]).all()


def test_one_model_is_chosen_for_each_rank_and_never_a_baseline(found):
    chosen = found.metrics[found.metrics["selected"] == 1]
    assert (chosen.groupby("target")["model"].nunique() == 1).all()
    assert not set(chosen["model"]) & {"majority", "nearest_centroid", "random_forest"}


def test_names_agree_from_rank_to_rank_and_safe_names_are_among_them(found, related):
    taxonomy = read_collection(related).taxonomy
    for row in found.predictions.itertuples():
        assert taxonomy.lineage(row.species)["genus"] == row.genus
        if row.safe_rank:
            assert row.safe_name == getattr(row, row.safe_rank)


def test_no_specimen_is_on_two_sides(found, related):
    frame = found.splits.merge(read_collection(related).specimens.frame, on="image")
    assert (frame.groupby("specimen")["part"].nunique() == 1).all()


def test_a_world_of_shuffled_names_is_silent(tmp_path):
    world = make_world(tmp_path / "world", "mislabelled")
    found = run(read_collection(world), QUICK, RandomStreams(0), Resources())
    judged = found.metrics[
        found.metrics["p_value"].notna() & (found.metrics["model"] != "majority")
    ]
    assert len(judged) >= 8
    assert (judged["p_value"] > 0.01).all()
    assert judged["p_value"].median() > 0.05


def test_same_seed_same_numbers_other_seed_other_split(related, found):
    collection = read_collection(related)
    again = run(collection, QUICK, RandomStreams(0), Resources(workers=2))
    pd.testing.assert_frame_equal(again.metrics, found.metrics)
    pd.testing.assert_frame_equal(again.predictions, found.predictions)
    other = run(collection, QUICK, RandomStreams(1), Resources())
    assert not other.splits["part"].equals(found.splits["part"])


def test_a_run_names_new_pictures_as_it_named_its_own(finished, related):
    stored = pd.read_csv(finished / "predictions.csv", keep_default_na=False)
    images = [related / image for image in stored["image"]]
    table = predict(finished, [*images[:10], related / "nothing.jpg", images[0]])
    assert table["species"].tolist()[:10] == stored["species"].tolist()[:10]
    np.testing.assert_allclose(
        table["species_probability"][:10], stored["species_probability"][:10], rtol=1e-6
    )
    assert table["safe_name"].tolist()[:10] == stored["safe_name"].tolist()[:10]
    assert "nothing.jpg" in table["image"][10]
    assert table["problem"][10]
    assert table["species"][11] == table["species"][0]


def test_whole_genera_held_out_are_asked_for_higher_ranks_only(related):
    config = QUICK.model_copy(update={"split": "clade", "clade_rank": "species"})
    found = run(read_collection(related), config, RandomStreams(0), Resources())
    scores = found.metrics[found.metrics["metric"] == "accuracy"]
    assert "species" not in set(scores["target"])
    # What was held out is counted, shuffled and resampled: clades, not their specimens.
    names = read_collection(related).specimens.frame.set_index("image")["species"]
    tested = found.splits.loc[found.splits["part"] == "test", "image"]
    assert set(scores["n"]) == {names.loc[tested].nunique()}
    assert "clades (species) never seen" in str(found.headlines[0])
    said = " ".join(str(each) for each in found.headlines)
    assert "95% was promised" not in said
    assert "intervals from so few are narrower" in said
    coverage = found.metrics[found.metrics["metric"] == "set_coverage"].iloc[0]
    assert coverage["low"] <= coverage["value"] <= coverage["high"]
    assert coverage["n"] == names.loc[tested].nunique()


def planted_table(folder: Path, rows: list[tuple[str, str, str, str]]) -> Path:
    """Write pictures of noise: specimen, species, genus, family."""
    rng = np.random.default_rng(0)
    (folder / "images").mkdir(parents=True)
    lines = ["image,specimen,species,genus,family"]
    for number, row in enumerate(rows):
        name = f"images/{number}.png"
        Image.fromarray(rng.integers(0, 255, (48, 48, 3), dtype=np.uint8)).save(folder / name)
        lines.append(",".join([name, *row]))
    (folder / "metadata.csv").write_text("\n".join(lines) + "\n")
    return folder


def test_few_names_and_few_specimens_end_in_answers(tmp_path):
    models = ("majority", "knn", "svm", "logistic", "lda", "hierarchical")
    quick = QUICK.model_copy(update={"models": models, "replicates": 100, "permutations": 19})
    two = planted_table(
        tmp_path / "two", [(f"{s}{i}", s, s[0], "F") for s in ("Aa", "Bb") for i in (1, 2)]
    )
    found = run(read_collection(two), quick, RandomStreams(0), Resources())
    assert {"knn", "svm"} <= set(found.metrics["model"])
    # Three genera, one of them alone in its family: held out, one family is left to learn.
    clades = planted_table(
        tmp_path / "clades",
        [
            (f"{genus}{i}", f"{genus}{i % 2}", genus, "F" if genus in ("A", "B") else "G")
            for genus in ("A", "B", "C")
            for i in range(6)
        ],
    )
    for seed in range(3):
        config = quick.model_copy(update={"split": "clade", "clade_rank": "genus"})
        found = run(read_collection(clades), config, RandomStreams(seed), Resources())
        assert set(found.metrics["model"]) >= {"svm", "logistic"}


def test_a_rank_that_is_known_on_one_side_only_is_left_out(tmp_path):
    rows = [(f"{s}{i}", s, "", "F") for s in ("Aa", "Bb") for i in range(4)]
    rows += [("c1", "Cc", "C", "F"), ("d1", "Dd", "D", "F")]
    folder = planted_table(tmp_path / "one_side", rows)
    found = run(read_collection(folder), QUICK, RandomStreams(0), Resources())
    scores = found.metrics[found.metrics["metric"] == "accuracy"]
    assert "species" in set(scores["target"])
    assert "genus" not in set(scores["target"])


def test_a_fine_tuned_network_is_one_more_candidate(related):
    config = QUICK.model_copy(
        update={
            "models": ("majority", "lda"),
            "fine_tune": "timm:test_resnet?random&size=32",
            "epochs": 2,
            "replicates": 100,
            "permutations": 19,
        }
    )
    found = run(read_collection(related), config, RandomStreams(0), Resources(device="cpu"))
    mine = found.metrics[found.metrics["model"] == "fine_tuned"]
    assert set(mine["target"]) == {"species", "genus"}
    assert mine.loc[mine["metric"] == "calibration_error", "value"].notna().all()


def test_what_cannot_be_asked_is_said(related, tmp_path):
    collection = read_collection(related)
    for update, message in (
        ({"ranks": ("genos",)}, "Did you mean 'genus'"),
        ({"models": ("ldaa",)}, "Did you mean 'lda'"),
        ({"embedder": "timn:resnet18"}, "Did you mean 'timm'"),
    ):
        with pytest.raises(UsageError, match=message):
            run(collection, QUICK.model_copy(update=update), RandomStreams(0), Resources())
    (tmp_path / "tree.nwk").write_text("(a,b);")
    with pytest.raises(InputError, match=r"needs metadata\.csv"):
        run(read_collection(tmp_path), QUICK, RandomStreams(0), Resources())


@pytest.mark.slow
def test_killed_while_embedding_and_resumed_the_tables_are_the_same_bytes(
    related, finished, tmp_path
):
    out = tmp_path / "killed"
    command = [sys.executable, "-m", "kinlens", "run", "taxa", str(related), "-o", str(out)]
    command += ["--workers", "1"]
    command += ["--set", 'models=["majority", "nearest_centroid", "lda", "hierarchical"]']
    command += ["--set", "replicates=200", "--set", "permutations=99"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not any(out.glob(".cache/**/*.np*")) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (out / "metrics.csv").exists()
    subprocess.run([*command, "--resume"], check=True, capture_output=True)
    for name in ("metrics.csv", "predictions.csv", "splits.csv", "classes.csv"):
        assert (out / name).read_bytes() == (finished / name).read_bytes(), name
