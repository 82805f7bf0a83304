"""The study `location` finds planted places, stays silent without any, and says what is amiss."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from kinlens.config import build_config
from kinlens.errors import InputError, UsageError
from kinlens.evaluate.multilabel import LabelAnswers, LabelScores
from kinlens.io.convert import hpa_kaggle
from kinlens.io.folder import read_collection
from kinlens.io.results import read_result
from kinlens.parallel import Resources
from kinlens.records.label_tree import HPA_LABELS
from kinlens.rng import RandomStreams
from kinlens.simulate.cell_world import CellWorldConfig
from kinlens.studies.catalogue import load_predictor, load_study
from kinlens.studies.cell_simulation import cell_world, write_cells
from kinlens.studies.location import LocationConfig, run, train_repeats
from kinlens.studies.location_task import prepare
from kinlens.studies.location_training import jobs_for
from kinlens.studies.runner import run_into_folder

QUICK = LocationConfig(
    size=32,
    network="timm:resnet10t?random",
    width=0.25,
    epochs=10,
    fine_epochs=3,
    schedule="cosine",
    learning_rate=3e-3,
    batch_size=16,
    repeats=1,
    replicates=100,
    permutations=19,
    models=("constant", "logistic", "flat", "stage1_single", "hard_routed", "joint"),
)
SETS = "labels\nnucleoplasm\nnucleoplasm;mitochondria\nplasma membrane\nmitochondria\n"


def make_world(folder: Path, kind: str = "planted", images: int = 160) -> Path:
    table = folder.parent / "sets.csv"
    folder.parent.mkdir(parents=True, exist_ok=True)
    table.write_text(SETS, encoding="utf-8")
    config = CellWorldConfig(
        images=images, image_size=32, world=kind, label_table=table, fewest_cells=1, most_cells=2
    )
    write_cells(cell_world(config, RandomStreams(5)), folder)
    return folder


@pytest.fixture(scope="module")
def planted(tmp_path_factory) -> Path:
    return make_world(tmp_path_factory.mktemp("planted") / "world")


@pytest.fixture(scope="module")
def finished(planted, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("run") / "location"
    run_into_folder(load_study("location"), planted, out, QUICK)
    return out


@pytest.fixture(scope="module")
def found(finished):
    return read_result(finished)


@pytest.fixture
def world(planted, tmp_path) -> Path:
    """A copy of the planted world to be spoiled."""
    folder = tmp_path / "world"
    (folder / "images").mkdir(parents=True)
    for path in planted.rglob("*.*"):
        if "truth" not in path.parts:
            (folder / path.relative_to(planted)).write_bytes(path.read_bytes())
    return folder


def prepared(folder: Path, **settings):
    config = QUICK.model_copy(update=settings)
    return prepare(read_collection(folder), config, RandomStreams(0), Resources())


def f1(found, model: str, target: str = "macro") -> pd.Series:
    m = found.metrics
    return m[(m["model"] == model) & (m["target"] == target) & (m["metric"] == "f1")].iloc[0]


# What is planted ---------------------------------------------------------------------------------


def test_planted_places_are_found(found):
    for model in ("logistic_tuned", "flat_tuned", "joint_tuned"):
        row = f1(found, model)
        assert row["value"] > row["null_mean"] + 0.15
        assert row["low"] <= row["value"] <= row["high"]
        assert row["p_value"] == pytest.approx(0.05)
    assert f1(found, "logistic_tuned")["value"] > f1(found, "constant_tuned")["value"] + 0.15


def test_every_row_counts_antibodies_and_stands_beside_its_baselines(found):
    test = found.splits[found.splits["part"] == "test"]
    macro = found.metrics[found.metrics["target"] == "macro"]
    scores = macro[macro["metric"] == "f1"]
    assert (scores["n"] == len(test) / 2).all()
    assert {"constant_tuned", "logistic_tuned", "flat", "hard_routed_tuned"} <= set(scores["model"])
    assert found.metrics["selected"].sum() > 0
    assert set(found.metrics.loc[found.metrics["selected"] == 1, "model"].unique()) <= {
        "flat_tuned", "hard_routed_tuned", "joint_tuned",
    }  # fmt: skip


def test_whole_antibodies_stay_on_one_side(found, planted):
    table = pd.read_csv(planted / "metadata.csv").merge(found.splits, on="image")
    assert (table.groupby("specimen")["part"].nunique() == 1).all()


def test_models_are_compared_in_pairs_and_stages_on_their_own(found):
    pairs = found.tables["comparisons"].set_index(["model", "target"])
    row = pairs.loc[("joint_tuned", "macro")]
    assert row["difference"] == pytest.approx(
        f1(found, "joint_tuned")["value"] - f1(found, "flat_tuned")["value"]
    )
    assert row["low"] <= row["difference"] <= row["high"]
    stages = found.tables["stages"]
    assert set(stages["stage"]) == {"stage 1", "nucleus", "cytoplasm", "secretory"}
    assert {"stage1_single", "stage1_multi", "stage2", "flat"} == set(stages["model"])


def test_the_page_has_the_figures_of_the_source(found, finished):
    names = {figure.name for figure in found.figures}
    assert {
        "scores_f1", "labels_f1", "labels_advantage", "stage_1", "stage_2", "co_occurrence",
        "channels", "reliability", "examples",
    } == names  # fmt: skip
    assert "Where a protein sits" in (finished / "report.html").read_text(encoding="utf-8")
    assert "soft margin" in found.methods


def test_new_pictures_get_the_answers_of_the_run(finished, found, planted):
    test = found.predictions["image"].head(6)
    files = [planted / f"{image}_green.png" for image in test]
    table = load_predictor(finished)(finished, [*files, planted / f"{test[0]}_red.png"])
    assert [Path(image).name for image in table["image"]] == [Path(i).name for i in test]
    expected = found.predictions.head(6)
    assert table["answer"].tolist() == expected["answer"].fillna("").tolist()
    labels = ["nucleoplasm", "mitochondria", "plasma membrane"]
    np.testing.assert_allclose(table[labels], expected[labels], atol=1e-4)
    assert (table["problem"] == "").all()


def test_an_unreadable_new_picture_gets_a_row_with_the_reason(finished, planted, found):
    image = planted / found.predictions["image"][0]
    table = load_predictor(finished)(finished, [image, planted / "images" / "nowhere"])
    assert table["problem"][0] == ""
    assert "no such file" in table["problem"][1]
    assert table["answer"][1] == ""
    assert np.isnan(table["nucleoplasm"][1])


def test_pictures_of_one_field_are_answered_for_together(finished, found, planted):
    units = found.tables["test_units"].head(2)
    table = pd.read_csv(planted / "metadata.csv").merge(found.splits, on="image")
    table = table[table["part"] == "test"].set_index("specimen")
    # Names of new pictures say which belong together; those of the world do not.
    folder = finished.parent / "new"
    folder.mkdir()
    for name in units["specimen"]:
        for number, image in enumerate(table.loc[[name], "image"]):
            for channel in ("red", "green", "blue", "yellow"):
                source = planted / f"{image}_{channel}.png"
                (folder / f"{name}-{number}_{channel}.png").write_bytes(source.read_bytes())
    files = sorted(folder.glob("*.png"))
    lost = folder / f"{units['specimen'][0]}-9_green.png"
    answer = load_predictor(finished, by_field=True)(finished, [*files, lost], field="^(.+)-[0-9]")
    answer = answer.set_index("field").loc[units["specimen"]]
    assert answer["pictures"].tolist() == units["pictures"].tolist() == [2, 2]
    assert answer["answer"].tolist() == units["answer"].fillna("").tolist()
    labels = ["nucleoplasm", "mitochondria", "plasma membrane"]
    np.testing.assert_allclose(answer[labels], units[labels], atol=1e-4)
    assert answer["problem"].str.contains("no such file").tolist() == [True, False]
    alone = load_predictor(finished)(finished, files)
    assert len(alone) == 4
    metrics = found.metrics.set_index("metric")["value"]
    assert 0 <= metrics["unit_calibration_error"] < 0.3


@pytest.mark.parametrize(
    ("field", "reason"), [("(", "not a regular expression"), ("^no", "finds nothing in")]
)
def test_a_field_that_names_do_not_say_is_refused(finished, found, planted, field, reason):
    image = planted / found.predictions["image"][0]
    with pytest.raises(UsageError, match=reason):
        load_predictor(finished)(finished, [image], field=field)


def test_in_a_shuffled_world_nothing_is_found(tmp_path):
    folder = make_world(tmp_path / "world", "shuffled")
    config = QUICK.model_copy(update={"models": ("constant", "logistic"), "permutations": 99})
    result = run(read_collection(folder), config, RandomStreams(1), Resources())
    for model in ("logistic", "logistic_tuned"):
        assert f1(result, model)["p_value"] > 0.05


@pytest.mark.slow
def test_networks_are_trained_on_two_devices_together(planted):
    task = prepared(planted)
    config = QUICK.model_copy(
        update={"models": ("flat", "joint"), "devices": 2, "batch_size": 8, "fine_epochs": 2}
    )
    trained = train_repeats(task, config, RandomStreams(0), Resources(device="cpu"))[0]
    test = task.split.test
    for name in ("flat", "joint"):
        told = trained[name].probabilities[test]
        scores = LabelScores(
            LabelAnswers(task.tree.labels, task.truth[test], told > 0.5, told),
            ["average_precision"],
            targets="means",
        )
        found = scores(np.ones((1, len(test))))[0, 0]
        assert found > task.truth[test].mean(axis=0).mean() + 0.1


def test_the_same_seed_trains_the_same_networks_and_the_cache_is_used(planted, tmp_path):
    task = prepared(planted)
    config = QUICK.model_copy(update={"models": ("flat",), "epochs": 1})
    cached = Resources(cache=tmp_path)
    first, again, other = (
        train_repeats(task, config, RandomStreams(0), resources)[0]["flat"].probabilities
        for resources in (cached, cached, Resources())
    )
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first, other)
    assert len(list(tmp_path.rglob("flat-*.npz"))) == 1
    assert not list(tmp_path.rglob("*.ckpt"))


def test_stage_2_sees_its_own_group_and_with_other_as_many_foreigners_as_a_label_has(planted):
    task = prepared(planted)
    jobs = {
        job.name: job
        for job in jobs_for(task, QUICK, ("hard_routed", "hard_routed_other"), RandomStreams(0))
    }
    own = task.truth[:, task.tree.members(0)].any(axis=1)
    assert own[jobs["stage2_nucleus"].train].all()
    other = jobs["stage2_other_nucleus"]
    foreign = ~own[other.train]
    assert foreign.sum() == own[other.train].sum()  # one label, so as many as it has
    assert (other.truth[other.train][:, -1] == foreign).all()
    assert jobs["stage2_nucleus"].start == "stage1_multi"


# What is amiss -----------------------------------------------------------------------------------


def test_a_missing_channel_and_channels_of_two_sizes_are_left_out_with_the_reason(world):
    names = pd.read_csv(world / "metadata.csv")["image"]
    (world / f"{names[0]}_blue.png").unlink()
    Image.new("L", (16, 16), 9).save(world / f"{names[3]}_yellow.png")
    collection = read_collection(world)
    missing = [p for p in collection.problems if p.code == "missing-channel"]
    assert [p.file for p in missing] == [names[0]]
    task = prepare(collection, QUICK, RandomStreams(0), Resources())
    assert [each.file for each in task.skipped] == [names[3]]
    assert "16 x 16 pixels, but the first channel" in task.skipped[0].reason
    assert len(task.pictures) == 158


def test_channels_of_16_bits_are_read_by_their_own_range(world):
    name = pd.read_csv(world / "metadata.csv")["image"][0]
    before = prepared(world).pictures[0]
    for channel in ("red", "green"):
        file = world / f"{name}_{channel}.png"
        deep = np.asarray(Image.open(file)).astype(np.uint16) * 200
        Image.fromarray(deep).save(file)
    after = prepared(world).pictures[0]
    np.testing.assert_array_equal(before[..., 2:], after[..., 2:])
    for channel in (0, 1):
        assert np.corrcoef(before[..., channel].ravel(), after[..., channel].ravel())[0, 1] > 0.99


def test_an_unknown_label_is_named_with_the_nearest(world):
    table = pd.read_csv(world / "metadata.csv")
    table.loc[0, "labels"] = "nucleoplasma"
    table.to_csv(world / "metadata.csv", index=False)
    with pytest.raises(InputError, match=r"'nucleoplasma' \(1 pictures\).*'nucleoplasm'"):
        prepared(world)


def test_rare_labels_are_dropped_and_it_is_said(world):
    table = pd.read_csv(world / "metadata.csv")
    table.loc[:3, "labels"] = "cytosol;nucleoplasm"
    table.to_csv(world / "metadata.csv", index=False)
    dropped = prepared(world, least_share=0.05).dropped
    assert dropped["label"].tolist() == ["cytosol"]
    assert "fewer than 5.0%" in dropped["reason"][0]


def test_a_label_that_is_absent_from_training_can_only_be_missed(world):
    table = pd.read_csv(world / "metadata.csv")
    table.loc[:1, "labels"] = "cytosol"  # both pictures of one antibody
    table.to_csv(world / "metadata.csv", index=False)
    # So little is left to train on that the split gives it to the other parts.
    task = prepared(world, least_share=0.0, test_share=0.5, validation_share=0.4)
    assert task.dropped["label"].tolist() == ["cytosol"]
    assert "cannot be learned" in task.dropped["reason"][0]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"channels": ("gren",)}, "Did you mean 'green'"),
        ({"together": "antybody"}, "no column 'antybody'"),
        ({"least_share": 0.9}, "telling labels apart needs two or more"),
    ],
)
def test_wrong_settings_are_refused(planted, settings, words):
    with pytest.raises((UsageError, InputError), match=words):
        prepared(planted, **settings)


def test_an_unknown_model_and_a_folder_without_labels_are_refused(world):
    with pytest.raises(UsageError, match="Did you mean 'flat'"):
        build_config(LocationConfig, {"models": ["flatt"]})
    table = pd.read_csv(world / "metadata.csv").drop(columns="labels")
    table.to_csv(world / "metadata.csv", index=False)
    with pytest.raises(InputError, match="needs a column 'labels'"):
        prepared(world)


# Published layout and real data ------------------------------------------------------------------


def test_the_layout_of_the_kaggle_competition_goes_from_conversion_to_a_run(planted, tmp_path):
    table = pd.read_csv(planted / "metadata.csv").head(60)
    source = tmp_path / "kaggle"
    (source / "train").mkdir(parents=True)
    rows = []
    for number, row in enumerate(table.itertuples()):
        name = f"{number:08x}-bbc3-11e8-b2bc-ac1f6b6435d0"
        for channel in hpa_kaggle.CHANNELS:
            content = (planted / f"{row.image}_{channel}.png").read_bytes()
            (source / "train" / f"{name}_{channel}.png").write_bytes(content)
        codes = [str(HPA_LABELS.index(label)) for label in row.labels.split(";")]
        rows.append((name, " ".join(codes)))
    pd.DataFrame(rows, columns=["Id", "Target"]).to_csv(source / "train.csv", index=False)
    hpa_kaggle.convert(source, tmp_path / "cells")
    words = [
        "run", "location", tmp_path / "cells", "-o", tmp_path / "run", "--device", "cpu",
        "--workers", "1", "--set", "models=['constant','logistic']", "--set", "size=32",
        "--set", "replicates=100", "--set", "permutations=19",
    ]  # fmt: skip
    command = [sys.executable, "-m", "kinlens", *map(str, words)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    result = read_result(tmp_path / "run")
    assert f1(result, "logistic_tuned")["value"] > f1(result, "constant_tuned")["value"]
    assert "each picture by itself" in result.methods


@pytest.mark.shared
def test_real_cells_are_split_by_field_and_their_proteins_are_seen(shared_data, tmp_path):
    folder = tmp_path / "cells"
    folder.mkdir()
    for name in ("metadata.csv", "images"):
        (folder / name).symlink_to(shared_data / "cells" / name)
    (folder / "dataset.toml").write_text(
        'channels = ["red", "green", "blue", "yellow"]\n', encoding="utf-8"
    )
    task = prepared(folder, size=32, find_duplicates=False)
    assert task.pictures.shape == (1862, 32, 32, 4)
    assert task.grouped_by == "field"
    assert task.leaks.is_clean
    assert set(task.tree.labels) == {
        "nucleoplasm", "nucleoli", "mitochondria", "cytosol", "plasma membrane",
    }  # fmt: skip
    for part in (task.split.train, task.split.validation, task.split.test):
        assert task.truth[part].any(axis=0).all()
