from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from kinlens.errors import InputError, UsageError
from kinlens.io.folder import read_collection, write_collection
from kinlens.io.newick import read_newick
from kinlens.records.collection import Collection
from kinlens.records.distances import DistanceMatrix
from kinlens.records.sequences import SequenceSet
from kinlens.records.specimens import SpecimenTable

TREE = "((Ino_ino:1,Ino_statices:1):1,Zygaena_carniolica:2);"


def dataset(folder: Path, *, images: tuple[str, ...] = ("a.jpg", "b.jpg"), **files: str) -> Path:
    """Write pictures and text files; `metadata_csv` becomes metadata.csv."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for name in images:
        Image.new("RGB", (8, 8), "teal").save(folder / "images" / name)
    for name, text in files.items():
        stem, _, ending = name.rpartition("_")
        (folder / f"{stem}.{ending}").write_text(text)
    return folder


def problems(collection: Collection, code: str) -> list[tuple[str, str, str]]:
    return [(p.file, p.row, p.reason) for p in collection.problems if p.code == code]


def test_a_whole_folder_is_joined(tmp_path: Path) -> None:
    dataset(
        tmp_path,
        metadata_csv=(
            "image,species,genus\nimages/a.jpg,Ino ino,Ino\nimages/b.jpg,Ino statces,Ino\n"
        ),
        tree_nwk=TREE,
        sequences_fasta=">s1\nACGT\n>s2\nACGA\n",
        sequences_csv="id,species\ns1,Ino ino\ns2,Zygaena carniolic\n",
        genes_csv="species,g1,g2\nIno_ino,1,0\nIno_statices,0,1\n",
    )
    collection = read_collection(tmp_path)
    assert collection.specimens is not None
    assert collection.tree is not None
    assert collection.taxonomy is not None
    assert collection.sequences is not None
    # Names that miss are listed with their nearest and stay as they were.
    found = {(m.name, m.present_in): m.nearest for m in collection.mismatches}
    assert found[("Ino_statces", "metadata.csv")][0] == "Ino_statices"
    assert found[("Zygaena_carniolic", "sequences.csv")][0] == "Zygaena_carniolica"
    assert len(found) == 2
    assert collection.specimens.species.tolist() == ["Ino_ino", "Ino_statces"]
    assert set(collection.hashes) == {
        "metadata.csv", "tree.nwk", "sequences.fasta", "sequences.csv", "genes.csv",
    }  # fmt: skip
    parts = collection.parts_frame().set_index("part")
    assert parts.loc["pictures", "in_tree"] == "1 of 2"
    assert parts.loc["genes", "in_tree"] == "2 of 2"


def test_a_broken_part_does_not_spoil_the_others(tmp_path: Path) -> None:
    dataset(
        tmp_path,
        metadata_csv="image,species\nimages/a.jpg,x\nimages/b.jpg,y\n",
        tree_nwk="<html>404</html>",
    )
    collection = read_collection(tmp_path)
    assert collection.tree is None
    assert collection.specimens is not None
    ((file, _row, reason),) = problems(collection, "unusable")
    assert file == "tree.nwk"
    assert str(tmp_path) not in reason
    with pytest.raises(InputError, match=r"'kinship' needs tree.nwk, which cannot be used: .*web"):
        collection.require("specimens", "tree", study="kinship")
    with pytest.raises(InputError, match=r"needs genes.csv, which is not there"):
        collection.require("genes", study="genes")


def test_missing_files_name_the_nearest(tmp_path: Path) -> None:
    dataset(
        tmp_path,
        images=("IMG_0001.JPG", "left_wing.jpg", "kept.jpg"),
        metadata_csv=(
            "image,species\nimages/img_0001.jpg,x\nimages/left_wings.jpg,x\nimages/kept.jpg,x\n"
            "images/zzzz.png,x\n../outside.jpg,x\n"
        ),
    )
    collection = read_collection(tmp_path)
    assert collection.specimens is not None
    assert collection.specimens.image.tolist() == ["images/kept.jpg"]
    missing = {file: (row, reason) for file, row, reason in problems(collection, "missing-file")}
    assert missing["images/img_0001.jpg"] == (
        "metadata.csv row 2",
        "no file images/img_0001.jpg; there is IMG_0001.JPG, which differs in upper and lower case",
    )
    assert missing["images/left_wings.jpg"][1].endswith("there is left_wing.jpg")
    assert missing["images/zzzz.png"] == ("metadata.csv row 5", "no file images/zzzz.png")
    assert [row for _f, row, _r in problems(collection, "outside")] == ["metadata.csv row 6"]
    unlisted = {file for file, _row, _reason in problems(collection, "unlisted")}
    assert unlisted == {"images/IMG_0001.JPG", "images/left_wing.jpg"}


def test_accents_in_pieces_are_told_and_listed_files_are_not_suggested(tmp_path: Path) -> None:
    whole = unicodedata.normalize("NFC", "Brå.jpg")
    dataset(
        tmp_path,
        images=(unicodedata.normalize("NFD", whole), "wing_1.jpg"),
        metadata_csv=(
            f"image,species\nimages/{whole},x\nimages/wing_1.jpg,x\nimages/wing_2.jpg,x\n"
        ),
    )
    found = {file: why for file, _row, why in problems(read_collection(tmp_path), "missing-file")}
    assert "differs in how its accents are stored" in found[f"images/{whole}"]
    assert found["images/wing_2.jpg"] == "no file images/wing_2.jpg"


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ("Images", "there is images, which differs in upper and lower case"),
        ("image", "there is images"),
        ("images/Å", f"there is {unicodedata.normalize('NFD', 'Å')}, which differs in how its acc"),
    ],
)
def test_another_folder_is_suggested(tmp_path: Path, given: str, hint: str) -> None:
    table = f"image,species\nimages/a.jpg,x\n{given}/b.jpg,x\n"
    dataset(tmp_path, metadata_csv=table)
    (tmp_path / "images" / unicodedata.normalize("NFD", "Å")).mkdir()
    ((file, _row, reason),) = problems(read_collection(tmp_path), "missing-file")
    assert reason.startswith(f"no file {file}; {hint}")


def test_links_that_lead_out_are_inside(tmp_path: Path) -> None:
    store = tmp_path / "store"
    dataset(store, images=("a.jpg",))
    folder = dataset(tmp_path / "set", images=(), metadata_csv="image,species\nimages/l.jpg,x\n")
    (folder / "images" / "l.jpg").symlink_to(store / "images" / "a.jpg")
    collection = read_collection(folder)
    assert collection.problems == ()
    assert collection.specimens is not None


def test_declared_channels(tmp_path: Path) -> None:
    dataset(
        tmp_path,
        images=("x_red.png", "x_green.png", "y_red.png"),
        metadata_csv="image,labels\nimages/x,A;B\nimages/y,A\n",
        dataset_toml='channels = ["red", "green"]\nchannel_pattern = "{image}_{channel}.png"\n',
    )
    collection = read_collection(tmp_path)
    assert collection.image_paths() == [
        (tmp_path / "images/x_red.png", tmp_path / "images/x_green.png")
    ]
    ((image, _row, reason),) = problems(collection, "missing-channel")
    assert image == "images/y"
    assert "images/y_green.png" in reason
    assert problems(collection, "unlisted") == []


@pytest.mark.parametrize(
    ("image", "advice"), [("images/x", ""), ("images/x.png", "write images/x for images/x.png")]
)
def test_channels_that_are_not_declared_are_suggested(
    tmp_path: Path, image: str, advice: str
) -> None:
    dataset(
        tmp_path,
        images=("x_red.png", "x_green.png"),
        metadata_csv=f"image,labels\n{image},A;B\n",
    )
    collection = read_collection(tmp_path)
    assert collection.specimens is None
    ((_file, _row, reason),) = problems(collection, "no-pictures")
    assert 'channels = ["green", "red"]' in reason
    assert 'channel_pattern = "{image}_{channel}.png"' in reason
    assert advice in reason
    with pytest.raises(InputError, match=r"needs metadata\.csv, which cannot be used: not one"):
        collection.require("specimens", study="location")


def test_conflicting_ranks_are_named_by_row(tmp_path: Path) -> None:
    dataset(
        tmp_path,
        metadata_csv="image,species,genus\n,,\nimages/a.jpg,x,Ino\nimages/b.jpg,x,Zygaena\n",
    )
    collection = read_collection(tmp_path)
    assert collection.taxonomy is None
    ((_file, species, reason),) = problems(collection, "conflict")
    assert species == "x"
    assert "Ino (row 3) and Zygaena (row 4)" in reason


def test_tips_of_another_rank_are_suspected(tmp_path: Path) -> None:
    dataset(
        tmp_path,
        metadata_csv="image,species,genus\nimages/a.jpg,Ino ino,Ino\nimages/b.jpg,Zyg zyg,Zyg\n",
        tree_nwk="(Ino:1,Zyg:1);",
    )
    ((file, _row, reason),) = problems(read_collection(tmp_path), "rank")
    assert file == "dataset.toml"
    assert 'write rank = "genus"' in reason
    (tmp_path / "dataset.toml").write_text('rank = "genus"\n')
    again = read_collection(tmp_path)
    assert (again.mismatches, problems(again, "rank")) == ((), [])


def test_pictures_without_names_are_said_not_to_meet_the_tree(tmp_path: Path) -> None:
    dataset(tmp_path, metadata_csv="image,taxon\nimages/a.jpg,Ino\n", tree_nwk="(Ino:1,Zyg:1);")
    collection = read_collection(tmp_path)
    ((file, _row, reason),) = problems(collection, "column")
    assert file == "metadata.csv"
    assert '[columns] species = "YOUR COLUMN"' in reason
    with pytest.raises(InputError, match=r"needs a column 'species'.*image, taxon"):
        collection.require("specimens", "taxonomy", study="taxa")
    (tmp_path / "dataset.toml").write_text('[columns]\nspecies = "taxon"\n')
    assert read_collection(tmp_path).specimens.species.tolist() == ["Ino"]


def test_a_specimen_of_several_species_is_noted(tmp_path: Path) -> None:
    rows = "images/a.jpg,1,Ino\nimages/b.jpg,1,Zyg\n"
    dataset(tmp_path, metadata_csv=f"image,specimen,species\n{rows}")
    ((_file, _row, reason),) = problems(read_collection(tmp_path), "specimen")
    assert "1 of 1 specimens are of several species: 1." in reason
    (tmp_path / "metadata.csv").write_text("image,specimen,species\nimages/a.jpg,1,Ino\n")
    assert problems(read_collection(tmp_path), "specimen") == []


def test_ids_that_are_species_are_taken_for_such_and_others_missed(tmp_path: Path) -> None:
    fasta = ">Ino_ino\nACGT\n>x2\nACGA\n"
    alone = read_collection(dataset(tmp_path / "alone", sequences_fasta=fasta))
    assert not alone.problems
    joined = read_collection(dataset(tmp_path / "joined", sequences_fasta=fasta, tree_nwk=TREE))
    assert joined.sequences is not None
    assert joined.sequences.species == ("Ino_ino", None)
    ((file, _row, reason),) = problems(joined, "species")
    assert (file, reason[:9]) == ("sequences.fasta", "1 of 2 id")
    other = dataset(tmp_path / "other", sequences_fasta=">x1\nACGT\n", tree_nwk=TREE)
    ((_file, _row, reason),) = problems(read_collection(other), "species")
    assert "no sequence meets the rest; sequences.csv, with columns id and species" in reason


def test_files_that_go_by_another_name_are_named(tmp_path: Path) -> None:
    dataset(tmp_path, metadata_csv="image,species\nimages/a.jpg,Ino ino\n", images=("a.jpg",))
    for name in (
        "metadata.tsv",
        "Trees.nwk",
        "sequences.fa",
        "notes.txt",
        ".metadata.csv",
        "tree1.jpg",
    ):
        (tmp_path / name).write_text("")
    found = {file: reason for file, _row, reason in problems(read_collection(tmp_path), "unread")}
    assert found == {
        "metadata.tsv": "not read, because metadata.csv is; remove one of the two",
        "Trees.nwk": "not read; this part is looked for as tree.nwk, tree.newick or tree.tre",
        "sequences.fa": "not read; this part is looked for as sequences.fasta, "
        "sequences.fasta.gz or sequences.csv",
    }
    (tmp_path / "only").mkdir()
    (tmp_path / "only" / "Metadata.xlsx").write_text("")
    with pytest.raises(InputError, match=r"Metadata.xlsx is not read; .* metadata.csv"):
        read_collection(tmp_path / "only")


def test_files_of_a_missing_parts_ending_are_noted(tmp_path: Path) -> None:
    dataset(tmp_path, genes_csv="species,g1\nIno_ino,1\n", COI_fasta=">a\nA\n", list_csv="a\n")
    # As on a disk where capitals do not count.
    (tmp_path / "Genes.csv").hardlink_to(tmp_path / "genes.csv")
    found = problems(read_collection(tmp_path), "unread")
    reason = "not read; this part is looked for as sequences.fasta or sequences.fasta.gz"
    assert found == [("COI.fasta", "", reason)]
    dataset(tmp_path, sequences_fasta=">a\nA\n")
    assert not problems(read_collection(tmp_path), "unread")


def test_names_that_leave_the_species_open_are_noted(tmp_path: Path) -> None:
    names = ["Ino sp.", "Ino cf. ino", "Ino spinosa", "unknown", "Ino affinis", "Ino special"]
    names += ["Ino spec.", "Ino cf.ino", "Ino sp.A", "Ino sp2", "Ino ino?"]
    rows = "".join(f"images/{number}.jpg,{name}\n" for number, name in enumerate(names))
    images = tuple(f"{number}.jpg" for number in range(len(names)))
    folder = dataset(tmp_path, metadata_csv=f"image,species\n{rows}", images=images)
    ((file, _row, reason),) = problems(read_collection(folder), "open-name")
    assert file == "metadata.csv"
    assert reason.startswith(
        "names that leave the species open (Ino_cf._ino, Ino_cf.ino, Ino_ino?, Ino_sp., Ino_sp.A "
        "and 2 more; pictures in all: 7); each"
    )


def test_a_table_on_its_side_is_noted(tmp_path: Path) -> None:
    genes = "gene,Ino ino,Ino statices\ng1,0,1\ng2,1,1\n"
    found = read_collection(dataset(tmp_path, tree_nwk=TREE, genes_csv=genes))
    ((file, _row, reason),) = problems(found, "turned")
    assert (file, reason[:28]) == ("genes.csv", "2 of its columns are species")


def test_a_species_that_is_read_as_names_of_columns_is_noted(tmp_path: Path) -> None:
    tables = {"genes_csv": "Ino ino,0,1\nIno statices,1,1\n", "traits_csv": "Ino ino,3\nx,4\n"}
    found = problems(read_collection(dataset(tmp_path, tree_nwk=TREE, **tables)), "header")
    assert [file for file, _row, _reason in found] == ["genes.csv", "traits.csv"]
    assert found[0][2].startswith("row 1 begins with the species Ino_ino")


def test_sequences_without_a_row_are_named(tmp_path: Path) -> None:
    dataset(
        tmp_path,
        sequences_fasta=">s1\nACGT\n>s2\nACGA\n",
        sequences_csv="id,species\ns1,Ino ino\n",
    )
    collection = read_collection(tmp_path)
    ((file, _row, reason),) = problems(collection, "unusable")
    assert (file, "s2" in reason) == ("sequences.csv", True)
    assert collection.sequences is not None
    assert collection.sequences.species == (None, None)


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ('chanels = ["red"]\n', "unknown key 'chanels'. Did you mean 'channels'"),
        ('rank = "tribus"\n', "rank = 'tribus' is not one of species, genus"),
        ('channels = ["a"]\nchannel_pattern = "{image}.jpg"\n', "must hold"),
        ("name = \n", "not a TOML file"),
        ('[labels.nucleus]\nrim = ["a"]\n', 'labels.nucleus holds groups .* such as "nucleus rim"'),
    ],
)
def test_settings_that_cannot_be(tmp_path: Path, toml: str, words: str) -> None:
    dataset(tmp_path, tree_nwk=TREE, dataset_toml=toml)
    with pytest.raises(UsageError, match=words):
        read_collection(tmp_path)


def test_folders_that_are_no_dataset(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        read_collection(tmp_path / "none")
    with pytest.raises(InputError, match=r"none of metadata\.csv.*convert"):
        read_collection(tmp_path)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    (tmp_path / "t.nwk").write_text(TREE)
    frame = pd.DataFrame(
        {
            "image": ["images/a", "images/b"],
            "species": ["Ino_ino", "Ino_statices"],
            "genus": ["Ino", "Ino"],
            "labels": ["A;B", ""],
        }
    )
    names = ("Ino_ino", "Ino_statices")
    collection = Collection(
        name='Drawer 7 "left"',
        folder=tmp_path / "set",
        specimens=SpecimenTable(frame),
        tree=read_newick(tmp_path / "t.nwk"),
        sequences=SequenceSet(("s1", "s2"), (b"ACGT", b"AC"), ("Ino_ino", None)),
        distances=DistanceMatrix(names, np.array([[0.0, 1.5], [1.5, 0.0]])),
        genes=pd.DataFrame({"g1": [1, 0]}, index=pd.Index(names, name="species")),
        traits=pd.DataFrame({"span": [1.25, 3.0]}, index=pd.Index(names, name="species")),
        channels=("red", "green"),
        channel_pattern="{image}-{channel}.png",
        label_groups={"core": ("A", "B")},
    )
    folder = dataset(
        tmp_path / "set", images=("a-red.png", "a-green.png", "b-red.png", "b-green.png")
    )
    write_collection(collection, folder)
    again = read_collection(folder)
    assert again.problems == ()
    assert again.name == collection.name
    assert again.channels == collection.channels
    assert again.channel_pattern == collection.channel_pattern
    assert dict(again.label_groups) == dict(collection.label_groups)
    assert again.specimens is not None
    pd.testing.assert_frame_equal(again.specimens.frame, frame)
    assert again.tree is not None
    assert collection.tree is not None
    assert again.tree.names == collection.tree.names
    assert np.array_equal(again.tree.length, collection.tree.length)
    assert again.sequences is not None
    assert again.sequences.sequences == (b"ACGT", b"AC")
    assert again.sequences.species == ("Ino_ino", None)
    assert again.distances is not None
    assert np.array_equal(again.distances.values, [[0, 1.5], [1.5, 0]])
    assert again.genes is not None
    assert again.genes.to_numpy().tolist() == [[1], [0]]
    assert again.traits is not None
    assert again.traits["span"].tolist() == [1.25, 3.0]
    assert {entry.name for entry in folder.iterdir()} >= {"dataset.toml", "metadata.csv"}
