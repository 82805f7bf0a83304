"""A run of `rare` answers for new pictures: from files, as the study itself would."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageDraw

from kinlens.explorer.exhibit import open_exhibit
from kinlens.io.folder import read_collection
from kinlens.parallel import Resources
from kinlens.rng import RandomStreams
from kinlens.studies import rare_report
from kinlens.studies.catalogue import load_predictor, load_study
from kinlens.studies.questions import answerers_for
from kinlens.studies.rare import RareConfig
from kinlens.studies.rare_model import fit_rare_model, load_rare_model
from kinlens.studies.rare_task import prepare
from kinlens.studies.runner import run_into_folder

GENERA = ("Ino", "Eos", "Nyx")
# Nyx_d has a place in the tree and no picture.
NEWICK = (
    "(((Ino_a:1,Ino_b:1):1,Ino_c:2):4,((Eos_a:1,Eos_b:1):1,Eos_c:2):4,"
    "((Nyx_a:1,Nyx_b:1):1,(Nyx_c:1,Nyx_d:1):1):4);"
)
CONFIG = RareConfig(networks=False, repeats=1, replicates=100, noises=(1.0, 4.0), error_rate=0.2)
SEED = 3


def draw(number: int, view: str, rng: np.random.Generator, size: int = 64) -> Image.Image:
    """Draw a moth: a hue for the genus, a span for the species, dark on its lower side."""
    genus, kind = divmod(number, 3)
    picture = Image.new("RGB", (size, size), (250, 250, 245))
    hue = [(180, 60, 40), (40, 130, 70), (60, 70, 170)][genus]
    pale = 0 if view == "dorsal" else 60
    colour = tuple(int(np.clip(c + pale + rng.integers(-14, 14), 0, 255)) for c in hue)
    pen = ImageDraw.Draw(picture)
    shift = rng.integers(-3, 4)
    for side in (-1, 1):
        middle, span = size // 2 + side * (10 + 2 * kind), 7 + 3 * kind
        box = (middle - span, size // 2 - 9 + shift, middle + span, size // 2 + 14)
        pen.ellipse(box, fill=colour)
        if view == "ventral":
            pen.ellipse((middle - 3, size // 2 - 3, middle + 3, size // 2 + 3), fill=(20, 20, 20))
    return picture


@pytest.fixture(scope="module")
def moths(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "moths"
    rng = np.random.default_rng(5)
    (folder / "images").mkdir(parents=True)
    rows = []
    for number in range(9):
        genus = GENERA[number // 3]
        species = f"{genus}_{'abc'[number % 3]}"
        for each in range(6):
            for view in ("dorsal", "ventral"):
                image = f"images/{species}_{each}_{view}.jpg"
                draw(number, view, rng).save(folder / image, quality=92)
                rows.append(
                    (image, f"{species}_{each}", view, species, species.split("_", maxsplit=1)[0])
                )
    frame = pd.DataFrame(rows, columns=["image", "specimen", "view", "species", "genus"])
    frame.to_csv(folder / "metadata.csv", index=False)
    (folder / "tree.nwk").write_text(NEWICK + "\n")
    return folder


@pytest.fixture(scope="module")
def finished(moths: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "rare"
    with pytest.MonkeyPatch.context() as patch:
        # The map takes half a minute to compile and is tested where it is made.
        patch.setattr(rare_report, "plane_map", lambda vectors, *, seed: vectors[:, :2])
        study = load_study("rare")
        run_into_folder(study, moths, folder, CONFIG, seed=SEED, resources=Resources())
    return folder


def test_pictures_of_the_study_get_the_probabilities_of_the_study(
    moths: Path, finished: Path
) -> None:
    collection = read_collection(moths)
    task = prepare(collection, CONFIG, Resources())
    ours = fit_rare_model(task, 3, CONFIG, RandomStreams(SEED))
    files = [moths / str(image) for image in task.table.image]
    table = load_predictor(finished)(finished, files)
    assert table["image"].tolist() == [str(file) for file in files]
    assert (table["problem"] == "").all()
    # Which side a picture shows is not told by its file, and found.
    assert (table["view"] == task.table.frame["view"].to_numpy()).mean() > 0.95
    known = table["view"].to_numpy() == task.table.frame["view"].to_numpy()
    scores = ours.prototypes.class_scores(task.vectors)
    oddness = ours.prototypes.oddness(scores)
    probabilities = np.exp(ours.gate(scores, ours.prototypes.n_specimens_ > 0, oddness))
    best = probabilities.argmax(axis=1)
    names = ours.prototypes.classes_.astype(str)
    assert (table["species"].to_numpy() == names[best])[known].all()
    np.testing.assert_allclose(
        table["species_probability"].to_numpy()[known], probabilities.max(axis=1)[known], rtol=1e-6
    )
    assert (table["species"].to_numpy() == task.species).mean() > 0.8
    genus = [name.split("_")[0] for name in names]
    for row in np.flatnonzero(known)[::9]:
        same = np.array(genus) == genus[best[row]]
        # Nyx_d is in no metadata, and of the genus that it is named after.
        expected = probabilities[row][same].sum()
        assert table["genus_probability"][row] == pytest.approx(expected, rel=1e-6)
    assert (table["genus"].to_numpy() == np.array(genus, dtype=object)[best])[known].all()


def test_a_species_of_the_tree_without_a_picture_may_be_answered(
    moths: Path, finished: Path
) -> None:
    model = load_rare_model(finished)
    place = model.prototypes.classes_.tolist().index("Nyx_d")
    assert model.prototypes.n_specimens_[place] == 0
    # A picture in the midst of where relatives put it is its own.
    middle = model.prototypes.means_[place]
    axes = model.prototypes.discriminant_
    vector = axes.xbar + np.linalg.lstsq(axes.scalings.T, middle, rcond=None)[0]
    vector = vector + model.view_means["dorsal"]
    scores = model.answers(vector[None]).probabilities[0]
    genera = [str(name).split("_")[0] for name in model.prototypes.classes_]
    assert scores[np.array(genera) == "Nyx"].sum() > 0.9
    told = fit_rare_model(
        prepare(read_collection(moths), CONFIG, Resources()), 3,
        RareConfig(**{**CONFIG.model_dump(), "name_unpictured": False}), RandomStreams(SEED),
    )  # fmt: skip
    assert "Nyx_d" not in told.prototypes.classes_.tolist()


def test_what_shows_no_moth_is_strange_and_unreadable_files_are_named(
    moths: Path, finished: Path, tmp_path: Path
) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    usual = moths / "images" / "Eos_a_1_dorsal.jpg"
    table = load_predictor(finished)(
        finished, [usual, tmp_path / "noise.png", tmp_path / "broken.jpg", usual]
    )
    assert table["p_value"][1] < table["p_value"][0]
    assert table["p_value"][1] == table["p_value"].min()
    assert table["problem"][2] != ""
    assert pd.isna(table["species"][2])
    assert table["species"][3] == table["species"][0] == "Eos_a"
    assert table["attaches_to"][0].startswith("Eos")
    assert "Eos_a" in table["candidates"][0].split(";")
    assert table["n_candidates"][0] == len(table["candidates"][0].split(";"))


def test_the_model_is_read_back_anywhere_and_runs_no_code(finished: Path, tmp_path: Path) -> None:
    assert sorted(file.name for file in (finished / "model").iterdir()) == [
        "config.json",
        "model.safetensors",
    ]
    (tmp_path / "model").mkdir()
    for file in (finished / "model").iterdir():
        (tmp_path / "model" / file.name).write_bytes(file.read_bytes())
    first, second = load_rare_model(finished), load_rare_model(tmp_path)
    vectors = np.random.default_rng(1).standard_normal((5, len(first.view_means["dorsal"])))
    pd.testing.assert_frame_equal(first.table(vectors), second.table(vectors))


def test_the_explorer_answers_with_it(moths: Path, finished: Path) -> None:
    exhibit = open_exhibit([finished], dataset=moths)
    answerers = answerers_for(exhibit)
    assert answerers.picture is not None
    answer = answerers.picture(moths / "images" / "Ino_c_2_dorsal.jpg")
    assert [name.rank for name in answer.names] == ["species", "genus"]
    assert answer.names[0].name == "Ino_c"
    assert "Ino_c" in answer.candidates
    assert answer.error_rate == CONFIG.error_rate
    assert answer.facts["view"] == "dorsal"
    # The vector is one that the run's own map knows.
    near = exhibit.likenesses(0).nearest(answer.vector, 1)
    assert exhibit.charts[0].ids[int(near.rows[0])] == "images/Ino_c_2_dorsal.jpg"
