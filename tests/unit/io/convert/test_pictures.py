"""Converters of pictures, each on a small folder in its published layout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kinlens.errors import InputError, UsageError
from kinlens.io.convert import bimages, class_folders, endless_forams, hpa_kaggle
from kinlens.io.convert.dataset_folder import ConversionOptions
from kinlens.io.folder import read_collection
from kinlens.io.images import read_channels
from kinlens.records.label_tree import HPA_GROUPS, HPA_LABELS

Write = Callable[..., bytes]


def metadata(dataset: Path) -> pd.DataFrame:
    return pd.read_csv(dataset / "metadata.csv", dtype=str, keep_default_na=False)


# --- class folders


def test_class_folders(tmp_path: Path, picture: Write) -> None:
    source, dataset = tmp_path / "in", tmp_path / "out"
    originals = {
        name: picture(source / name)
        for name in ("Papilio machaon/2.png", "Papilio machaon/1.png", "Parnassius_apollo/a/1.jpg")
    }
    picture(source / "loose.png")
    report = class_folders.convert(source, dataset)
    assert report.summary() == f"{dataset}: 3 pictures of 2 species, 1 left out (see skipped.tsv)."
    frame = metadata(dataset)
    assert frame["image"].tolist() == [
        "images/Papilio machaon/1.png",
        "images/Papilio machaon/2.png",
        "images/Parnassius_apollo/a/1.jpg",
    ]
    assert frame["species"].tolist() == ["Papilio_machaon", "Papilio_machaon", "Parnassius_apollo"]
    for name, content in originals.items():
        assert (dataset / "images" / name).read_bytes() == content
    (left_out,) = report.problems
    assert (left_out.code, left_out.file) == ("no-class", "loose.png")
    assert "loose.png" in (dataset / "skipped.tsv").read_text()
    collection = read_collection(dataset)
    assert collection.specimens is not None
    assert collection.specimens.n_images == 3


def test_class_folders_with_splits_and_ranks(tmp_path: Path, picture: Write) -> None:
    source = tmp_path / "in"
    for name in ("train/Papilionidae/Papilio machaon/1.png", "test/Nymphalidae/Vanessa io/1.png"):
        picture(source / name)
    picture(source / "train" / "Papilionidae" / "stray.png")
    report = class_folders.convert(source, tmp_path / "out", ranks=("family", "species"))
    frame = metadata(tmp_path / "out")
    assert frame[["family", "species", "published_split"]].to_numpy().tolist() == [
        ["Nymphalidae", "Vanessa_io", "test"],
        ["Papilionidae", "Papilio_machaon", "train"],
    ]
    assert [problem.reason for problem in report.problems] == ["not inside species folders"]
    with pytest.raises(UsageError, match="Did you mean 'species'"):
        class_folders.convert(source, tmp_path / "other", ranks=("specie",))


def test_class_folders_without_a_picture(tmp_path: Path, picture: Write) -> None:
    picture(tmp_path / "in" / "loose.png")
    with pytest.raises(InputError, match=r"not one picture can be used: loose\.png"):
        class_folders.convert(tmp_path / "in", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_linked_pictures_are_part_of_the_dataset(tmp_path: Path, picture: Write) -> None:
    picture(tmp_path / "in" / "Aus_bus" / "1.png")
    options = ConversionOptions(placing="symlink")
    class_folders.convert(tmp_path / "in", tmp_path / "out", options=options)
    collection = read_collection(tmp_path / "out")
    assert collection.specimens is not None
    assert collection.specimens.n_images == 1
    assert collection.problems == ()


# --- Endless Forams


@pytest.mark.parametrize(
    "names",
    [
        ("Globigerinoides_ruber/14002-Globigerinoides_ruber.jpg", "Beella_digitata/1-B.jpg"),
        (
            "train/Globigerinoides_ruber/14002-Globigerinoides_ruber.jpg",
            "validation/Beella_digitata/1-B.jpg",
        ),
        ("11 - Globigerinoides ruber/images/14002.jpg", "0-Beella digitata /images/1.jpg"),
    ],
)
def test_endless_forams_in_each_form(
    tmp_path: Path, picture: Write, names: tuple[str, str]
) -> None:
    source, dataset = tmp_path / "in", tmp_path / "out"
    is_split = names[0].startswith("train")
    other = "Not a planktonic foraminifer/7.jpg"
    for name in (*names, f"train/{other}" if is_split else other):
        picture(source / name)
    report = endless_forams.convert(source, dataset)
    frame = metadata(dataset).sort_values("species").reset_index(drop=True)
    assert frame["species"].tolist() == ["", "Beella_digitata", "Globigerinoides_ruber"]
    assert frame["genus"].tolist() == ["", "Beella", "Globigerinoides"]
    assert frame["class_name"].iloc[0] == "Not a planktonic foraminifer"
    assert ("published_split" in frame.columns) == is_split
    assert all((dataset / image).is_file() for image in frame["image"])
    assert [problem.code for problem in report.problems] == ["no-species"]
    collection = read_collection(dataset)
    assert collection.name == "Endless Forams"
    assert collection.specimens is not None
    assert int(collection.specimens.has_species.sum()) == 2


# --- BIMAGES

META = """\
\tfamily\tgenus\tspecies\tfilename\tansicht\torder\tsubclass\tspecies_name\tfamily_idx\tIndex
0\tArcidae\tAnadara\tAnadaratuberculosa\tIMAGES_final/Arcidae_Anadara_tuberculosa_WoRMS_001-001.jpg\
\taussen\tArcida\tPteriomorphia\ttuberculosa\t14\t0
1\tArcidae\tAnadara\tAnadaratuberculosa\tIMAGES_final/Arcidae_Anadara_tuberculosa_WoRMS_001-002.jpg\
\tinnen\tArcida\tPteriomorphia\ttuberculosa\t14\t1
2\tSemelidae\tAbra\tAbratepocana\tIMAGES_final/Semelidae_Abra_tepocana_Poppe_345632-001.jpg\
\taussen\tCardiida\tImparidentia\ttepocana\t58\t2
3\tSemelidae\tAbra\tAbratepocana\tIMAGES_final/gone.jpg\taussen\tCardiida\tImparidentia\ttepocana\t58\t3
"""


@pytest.fixture
def bivalves(tmp_path: Path, picture: Write) -> Path:
    source = tmp_path / "in"
    for name in (
        "Arcidae_Anadara_tuberculosa_WoRMS_001-001",
        "Arcidae_Anadara_tuberculosa_WoRMS_001-002",
        "Semelidae_Abra_tepocana_Poppe_345632-001",
    ):
        picture(source / "IMAGES_final" / f"{name}.jpg")
    (source / "meta.tsv").write_text(META)
    return source


def test_folders_that_are_no_species_are_not_endless_forams(tmp_path: Path, picture: Write) -> None:
    picture(tmp_path / "in" / "holiday" / "a.png")
    with pytest.raises(InputError, match=r"as a species: holiday.*class-folders"):
        endless_forams.convert(tmp_path / "in", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_bimages(tmp_path: Path, bivalves: Path) -> None:
    (bivalves / "edge_lengths.csv").write_text(
        "family,Arcidae,Semelidae\nArcidae,0,1.2\nSemelidae,1.2,0\n"
    )
    dataset = tmp_path / "out"
    report = bimages.convert(bivalves, dataset)
    frame = metadata(dataset)
    assert frame.columns.tolist() == [
        *("image", "specimen", "species", "genus", "family", "order", "subclass", "view")
    ]
    assert frame["species"].tolist() == ["Anadara_tuberculosa"] * 2 + ["Abra_tepocana"]
    assert frame["view"].tolist() == ["outside", "inside", "outside"]
    assert frame["specimen"].tolist() == [
        *["Arcidae_Anadara_tuberculosa_WoRMS_001"] * 2,
        "Semelidae_Abra_tepocana_Poppe_345632",
    ]
    (gone,) = report.problems
    assert (gone.code, gone.file, gone.row) == (
        "missing",
        "IMAGES_final/gone.jpg",
        "meta.tsv row 5",
    )
    collection = read_collection(dataset)
    assert collection.tree_rank == "family"
    assert collection.distances is not None
    assert collection.distances.condensed().tolist() == [1.2]
    assert collection.taxonomy is not None


def test_bimages_before_its_pictures_are_unpacked(tmp_path: Path, bivalves: Path) -> None:
    for path in (bivalves / "IMAGES_final").iterdir():
        path.unlink()
    with pytest.raises(InputError, match=r"not one of the 4 pictures.*images\.zip"):
        bimages.convert(bivalves, tmp_path / "out")
    (bivalves / "meta.tsv").write_text(META.replace("genus", "Genus"))
    with pytest.raises(InputError, match=r"no column 'genus'\. Did you mean 'Genus'"):
        bimages.convert(bivalves, tmp_path / "out")


def test_bimages_edge_lengths_that_do_not_fit(tmp_path: Path, bivalves: Path) -> None:
    edges = bivalves / "edge_lengths.csv"
    for text, words in [
        (",family,Arcidae,Semelidae\n0,Arcidae,0,1\n1,Semelidae,2,0\n", "asymmetric"),
        ("family,Arcidae,Semelidae\nSemelidae,0,1\nArcidae,1,0\n", "same families"),
        ("family,Arcidae,Semelidae\nArcidae,0,x\nSemelidae,1,0\n", "not a table of numbers"),
    ]:
        edges.write_text(text)
        with pytest.raises(InputError, match=words):
            bimages.convert(bivalves, tmp_path / "out")
        assert not (tmp_path / "out").exists()


def test_bimages_paths_do_not_lead_out(tmp_path: Path, bivalves: Path, picture: Write) -> None:
    picture(tmp_path / "secret.jpg")
    (bivalves / "meta.tsv").write_text(META.replace("IMAGES_final/gone.jpg", "../secret.jpg"))
    report = bimages.convert(bivalves, tmp_path / "out")
    assert [problem.file for problem in report.problems] == ["../secret.jpg"]


# --- Human Protein Atlas on Kaggle

IDS = ("00070df0-bbc3-11e8-b2bc-ac1f6b6435d0", "000a6c98-bb9b-11e8-b2b9-ac1f6b6435d0")


@pytest.fixture
def atlas(tmp_path: Path, picture: Write) -> Path:
    source = tmp_path / "in"
    for name in IDS:
        for channel in ("red", "green", "blue", "yellow"):
            picture(source / "train" / f"{name}_{channel}.png", grey=True)
    (source / "train.csv").write_text(f"Id,Target\n{IDS[0]},16 0\n{IDS[1]},7 1 2 27\nlost,25\n")
    return source


def test_hpa_kaggle(tmp_path: Path, atlas: Path) -> None:
    dataset = tmp_path / "out"
    report = hpa_kaggle.convert(atlas, dataset)
    frame = metadata(dataset)
    assert frame["image"].tolist() == [f"images/{name}" for name in IDS]
    assert frame["labels"].tolist() == [
        "nucleoplasm;cytokinetic bridge",
        "nuclear membrane;nucleoli;golgi apparatus;rods & rings",
    ]
    (lost,) = report.problems
    assert (lost.code, lost.row) == ("missing-channel", "train.csv row 4")
    collection = read_collection(dataset)
    assert collection.channels == ("red", "green", "blue", "yellow")
    (first, _second) = collection.image_paths()
    picture = read_channels(first)
    assert picture.pixels.shape == (20, 24, 4)
    green = read_channels([atlas / "train" / f"{IDS[0]}_green.png"]).pixels
    np.testing.assert_array_equal(picture.pixels[:, :, 1:2], green)
    assert set(collection.label_groups) == {"nucleus", "cytoplasm", "secretory"}


def test_hpa_groups_hold_each_label_once() -> None:
    grouped = [label for group in HPA_GROUPS.values() for label in group]
    assert sorted(grouped) == sorted(HPA_LABELS)
    assert len(set(HPA_LABELS)) == 28


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("id,Target\na,1\n", r"no column 'Id'\. Did you mean 'id'"),
        (f"Id,Target\n{IDS[0]},28\n", "row 2: Target '28' is not a list of numbers from 0 to 27"),
        (f"Id,Target\n{IDS[0]},1 x\n", "row 2: Target '1 x'"),
        (f"Id,Target\n{IDS[0]},1\n{IDS[0]},2\n", "more than once"),
        ("Id,Target\nlost,1\n", "not one picture can be used"),
    ],
)
def test_hpa_faults(tmp_path: Path, atlas: Path, table: str, words: str) -> None:
    (atlas / "train.csv").write_text(table)
    with pytest.raises(InputError, match=words):
        hpa_kaggle.convert(atlas, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.shared
def test_real_hpa_labels(tmp_path: Path, shared_data: Path, picture: Write) -> None:
    source = tmp_path / "in"
    source.mkdir()
    table = (shared_data / "hpa_labels" / "train.csv").read_text()
    (source / "train.csv").write_text(table)
    name = table.splitlines()[1].split(",")[0]
    for channel in hpa_kaggle.CHANNELS:
        picture(source / f"{name}_{channel}.png", grey=True)
    report = hpa_kaggle.convert(source, tmp_path / "out")
    assert report.n_pictures == 1
    assert len(report.problems) == 31_071
