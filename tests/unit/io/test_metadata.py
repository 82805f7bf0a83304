from __future__ import annotations

import gzip
from pathlib import Path

import pandas as pd
import pytest

from kinlens.errors import InputError
from kinlens.io.metadata import read_metadata, read_table, write_metadata
from kinlens.records.specimens import SpecimenTable

PLAIN = "image,species\na.jpg,Ino ino\nb.jpg,Ino statices\n"


def put(folder: Path, content: str | bytes, name: str = "metadata.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    ("name", "content", "note"),
    [
        ("metadata.csv", PLAIN.encode(), None),
        ("metadata.csv", PLAIN.replace("\n", "\r\n").encode(), None),
        ("metadata.csv", PLAIN.replace("\n", "\r").encode(), None),
        ("metadata.csv", b"\xef\xbb\xbf" + PLAIN.encode(), None),
        ("metadata.csv", PLAIN.encode("utf-16"), "UTF-16"),
        ("metadata.csv", PLAIN.replace(",", ";").encode(), "';'"),
        ("metadata.tsv", PLAIN.replace(",", "\t").encode(), None),
        ("metadata.csv.gz", gzip.compress(PLAIN.encode()), None),
    ],
)
def test_every_spreadsheet_gives_the_same_table(
    tmp_path: Path, name: str, content: bytes, note: str | None
) -> None:
    table = read_metadata(put(tmp_path, content, name))
    assert table.specimens.image.tolist() == ["a.jpg", "b.jpg"]
    assert table.specimens.species.tolist() == ["Ino_ino", "Ino_statices"]
    assert table.rows.tolist() == [2, 3]
    assert [note in problem.reason for problem in table.problems] == ([True] if note else [])


def test_parquet_gives_the_same_table(tmp_path: Path) -> None:
    frame = pd.DataFrame({"image": ["a.jpg", "b.jpg"], "species": ["Ino ino", None]})
    frame.to_parquet(tmp_path / "metadata.parquet")
    assert read_metadata(tmp_path / "metadata.parquet").specimens.species.tolist() == [
        "Ino_ino",
        "",
    ]
    with pytest.raises(InputError, match="not a Parquet file"):
        read_table(put(tmp_path, b"PAR1", "broken.parquet"))


def test_separators_in_quotes_do_not_count(tmp_path: Path) -> None:
    text = '"image";"found, by whom, when";species\na.jpg;"x, y; z";Ino ino\n'
    specimens = read_metadata(put(tmp_path, text)).specimens
    assert specimens.frame["found, by whom, when"].tolist() == ["x, y; z"]


def test_other_encodings_are_read_and_noted(tmp_path: Path) -> None:
    path = put(tmp_path, "image,collector\na.jpg,Müller\n".encode("cp1252"))
    table = read_metadata(path)
    assert table.specimens.frame["collector"].tolist() == ["Müller"]
    assert "Windows-1252" in table.problems[0].reason


def test_darwin_core_names_are_understood_and_said(tmp_path: Path) -> None:
    text = "catalogNumber,occurrenceID,scientificName,associatedMedia,genus\n7,o1,Ino ino,a.jpg,?\n"
    table = read_metadata(put(tmp_path, text))
    specimens = table.specimens
    assert (specimens.image[0], specimens.specimen[0], specimens.species[0]) == (
        "a.jpg",
        "o1",
        "Ino_ino",
    )
    # The better name took the place of `specimen`; the other passes through.
    assert specimens.frame["catalogNumber"].tolist() == [7]
    assert sum("is read as" in problem.reason for problem in table.problems) == 3


def test_a_column_of_its_own_name_wins_over_darwin_core(tmp_path: Path) -> None:
    text = "image,species,scientificName\na.jpg,Ino ino,Ino ino (L.)\n"
    specimens = read_metadata(put(tmp_path, text)).specimens
    assert specimens.species.tolist() == ["Ino_ino"]
    assert specimens.frame["scientificName"].tolist() == ["Ino ino (L.)"]


def test_names_in_other_letters_are_understood_and_said(tmp_path: Path) -> None:
    text = "Image,Scientific Name,GENUS,View,Stage\na.jpg,Ino ino,Ino,dorsal,adult\n"
    table = read_metadata(put(tmp_path, text))
    assert set(table.specimens.frame) == {"image", "species", "genus", "view", "Stage"}
    assert table.specimens.species.tolist() == ["Ino_ino"]
    reasons = " ".join(problem.reason for problem in table.problems)
    assert "column 'Scientific Name' is read as 'species'" in reasons


@pytest.mark.parametrize(
    "header", ["image,SPECIES,Species", "image,species,Species", "image,species,ScientificName"]
)
def test_of_two_columns_that_would_do_neither_is_taken_for_the_other(
    tmp_path: Path, header: str
) -> None:
    frame = read_metadata(put(tmp_path, f"{header}\na.jpg,x,y\n")).specimens.frame
    assert ",".join(frame.columns) == header


def test_columns_named_in_the_settings(tmp_path: Path) -> None:
    path = put(tmp_path, "photo,species\na.jpg,Ino ino\n")
    assert read_metadata(path, columns={"image": "photo"}).specimens.image.tolist() == ["a.jpg"]
    with pytest.raises(InputError, match="Did you mean 'photo'"):
        read_metadata(path, columns={"image": "phot"})


def test_repeated_rows_that_contradict_each_other_are_said_to(tmp_path: Path) -> None:
    text = "image,species,view\na.jpg,Ino ino,d\na.jpg,Ino ina,d\nb.jpg,x,d\nb.jpg,x,\n"
    table = read_metadata(put(tmp_path, text))
    first, second = (p.reason for p in table.problems if p.code == "repeated-row")
    assert "contradict each other: species 'Ino_ino' or 'Ino_ina'" in first
    assert "contradict" not in second


def test_blank_and_repeated_images_are_left_out_with_their_rows(tmp_path: Path) -> None:
    text = "image,species\na.jpg,x\n\n ,y\nb.jpg,z\na.jpg,w\n"
    table = read_metadata(put(tmp_path, text))
    assert table.specimens.image.tolist() == ["a.jpg", "b.jpg"]
    assert table.rows.tolist() == [2, 5]
    found = {problem.code: (problem.row, problem.reason) for problem in table.problems}
    assert found["no-image"][0] == "row 4"
    assert found["repeated-row"] == (
        "row 6",
        "a.jpg is listed already; row 2 is kept, but the two contradict each other: "
        "species 'x' or 'w'",
    )


def test_numbers_become_numbers_but_labels_keep_their_zeros(tmp_path: Path) -> None:
    text = "image,size,drawer,mixed\na.jpg,1.5,007,3\nb.jpg,,12,x\n"
    frame = read_metadata(put(tmp_path, text)).specimens.frame
    assert frame["size"].tolist()[0] == 1.5
    assert frame["size"].isna().tolist() == [False, True]
    assert frame["drawer"].tolist() == ["007", "12"]
    assert frame["mixed"].tolist() == ["3", "x"]


def test_what_spreadsheets_add_is_taken_off(tmp_path: Path) -> None:
    text = "sep=;\nimage;Species;scientificName;;\na.jpg;Ino ino;Ino ino (L.);;\n"
    table = read_metadata(put(tmp_path, text))
    assert table.specimens.frame.columns.tolist() == ["image", "species", "scientificName"]
    assert table.specimens.species.tolist() == ["Ino_ino"]
    assert table.rows.tolist() == [2]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the file is empty"),
        (b"species,genus\nx,y\n", r"no column 'image'.*\[columns\] image"),
        (b"image,species,species\na,b,c\n", "columns that appear twice: species"),
        (b"image,species\na.jpg\nb.jpg,x\nc.jpg,x,y\n", "do not have 2 cells: row 2, row 4"),
        (b"image,species\n", "no row with an image"),
        (b"My moths,,\nimage,species,sex\na.jpg,x,f\n", "without a name.*row 2.*delete titles"),
        (b"# made in 2019\nimage,species\na.jpg,x\n", "do not have 1 cells.*delete titles"),
        (b"# by A, B\nimage,species,sex\na.jpg,x,f\n", "do not have 2 cells.*delete titles"),
        (b"# by A, B\nimage,species\na.jpg,x\n", "no column 'image'.*delete titles"),
        (b"a.jpg,Ino ino\nb.jpg,Ino ino\n", "no column 'image'.*write such a row"),
        (b"\x89PNG\0\0", "not a text file"),
        (b"\xff\xfea\0b", "begins as UTF-16 but is not"),
    ],
)
def test_faults_say_what_is_wrong(tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_metadata(put(tmp_path, content))


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "image": ['odd "name", 1.jpg', "b;c.jpg"],
            "species": ["Ino_ino", ""],
            "specimen": ["1", "02"],
            "weight": [0.25, 3.0],
        }
    )
    write_metadata(SpecimenTable(frame), tmp_path / "metadata.csv")
    again = read_metadata(tmp_path / "metadata.csv")
    pd.testing.assert_frame_equal(again.specimens.frame, frame)
    assert again.problems == ()
