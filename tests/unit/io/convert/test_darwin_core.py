from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from kinlens.errors import InputError
from kinlens.io.convert import darwin_core
from kinlens.io.folder import read_collection

Write = Callable[..., bytes]

# As GBIF writes it, shortened to the terms that matter and some that do not.
META = """\
<archive xmlns="http://rs.tdwg.org/dwc/text/" metadata="metadata.xml">
  <core encoding="utf-8" fieldsTerminatedBy="\\t" linesTerminatedBy="\\n" fieldsEnclosedBy=""
        ignoreHeaderLines="1" rowType="http://rs.tdwg.org/dwc/terms/Occurrence">
    <files><location>occurrence.txt</location></files>
    <id index="0" />
    <field index="0" term="http://rs.gbif.org/terms/1.0/gbifID"/>
    <field index="1" term="http://purl.org/dc/terms/license"/>
    <field index="2" term="http://rs.tdwg.org/dwc/terms/occurrenceID"/>
    <field index="3" term="http://rs.tdwg.org/dwc/terms/sex"/>
    <field index="4" term="http://rs.tdwg.org/dwc/terms/scientificName"/>
    <field index="5" term="http://rs.tdwg.org/dwc/terms/order"/>
    <field index="6" term="http://rs.tdwg.org/dwc/terms/family"/>
    <field index="7" term="http://rs.tdwg.org/dwc/terms/genus"/>
    <field index="8" term="http://rs.tdwg.org/dwc/terms/specificEpithet"/>
    <field index="9" term="http://rs.gbif.org/terms/1.0/species"/>
    <field term="http://rs.tdwg.org/dwc/terms/kingdom" default="Animalia"/>
  </core>
  <extension encoding="utf-8" fieldsTerminatedBy="\\t" linesTerminatedBy="\\n" fieldsEnclosedBy=""
             ignoreHeaderLines="1" rowType="http://rs.tdwg.org/dwc/terms/Occurrence">
    <files><location>verbatim.txt</location></files>
    <coreid index="0" />
  </extension>
  <extension encoding="utf-8" fieldsTerminatedBy="\\t" linesTerminatedBy="\\n" fieldsEnclosedBy=""
             ignoreHeaderLines="1" rowType="http://rs.gbif.org/terms/1.0/Multimedia">
    <files><location>multimedia.txt</location></files>
    <coreid index="0" />
    <field index="1" term="http://purl.org/dc/terms/type"/>
    <field index="2" term="http://purl.org/dc/terms/format"/>
    <field index="3" term="http://purl.org/dc/terms/identifier"/>
    <field index="4" term="http://purl.org/dc/terms/creator"/>
    <field index="5" term="http://purl.org/dc/terms/license"/>
    <field index="6" term="http://purl.org/dc/terms/rightsHolder"/>
  </extension>
</archive>
"""
OCCURRENCES = [
    "gbifID license occurrenceID sex scientificName order family genus specificEpithet species",
    "11|CC0|urn:a|MALE|Papilio machaon Linnaeus, 1758|Lepidoptera|Papilionidae|Papilio|machaon|"
    "Papilio machaon",
    "12|CC0||FEMALE|Vanessa c-album (L.)|Lepidoptera|Nymphalidae|Vanessa||",
    '13|CC0|urn:c||Parnassius apollo Say "x"|Lepidoptera|Papilionidae|||',
    "14|CC0|urn:d||Papilio sp.|Lepidoptera|Papilionidae|Papilio||",
]
MEDIA = [
    "gbifID type format identifier creator license rightsHolder",
    "11|StillImage|image/jpeg|https://museum.org/img/dorsal%20view.jpg?size=full|Maria|CC-BY|NHM",
    "11|StillImage||images/ventral.jpg||||",
    "12|StillImage|image/jpeg|https://iiif.org/12/full/default.jpg|||",
    "13|StillImage|image/jpeg|https://iiif.org/13a/full/default.jpg|||",
    "13|StillImage|image/jpeg|https://iiif.org/13b/full/default.jpg|||",
    "14|StillImage|image/png|https://museum.org/img/lost.png|||",
    "14|Sound|audio/mpeg|https://museum.org/song.mp3|||",
    "99|StillImage|image/jpeg|https://museum.org/img/orphan.jpg|||",
]


def tabbed(lines: list[str]) -> str:
    header, *rows = lines
    width = len(header.split())
    cells = [header.split(), *([*row.split("|"), *[""] * width][:width] for row in rows)]
    return "".join("\t".join(row) + "\n" for row in cells)


@pytest.fixture
def archive(tmp_path: Path, picture: Write) -> Path:
    source = tmp_path / "in"
    for name in (
        "images/dorsal view.jpg",
        "images/ventral.jpg",
        "12.jpg",
        "x/13_1.jpg",
        "13-2.jpg",
    ):
        picture(source / name)
    (source / "meta.xml").write_text(META)
    (source / "occurrence.txt").write_text(tabbed(OCCURRENCES))
    (source / "multimedia.txt").write_text(tabbed(MEDIA))
    (source / "verbatim.txt").write_text("gbifID\n")
    return source


def zipped(folder: Path) -> Path:
    with zipfile.ZipFile(folder.with_suffix(".zip"), "w") as packed:
        for path in sorted(folder.rglob("*")):
            packed.write(path, path.relative_to(folder))
    return folder.with_suffix(".zip")


def metadata(dataset: Path) -> pd.DataFrame:
    frame = pd.read_csv(dataset / "metadata.csv", dtype=str, keep_default_na=False)
    return frame.set_index("image")


@pytest.mark.parametrize("form", ["folder", "zip", "no-meta"])
def test_gbif_download(tmp_path: Path, archive: Path, form: str) -> None:
    dataset = tmp_path / "out"
    if form == "no-meta":
        (archive / "meta.xml").unlink()
    report = darwin_core.convert(zipped(archive) if form == "zip" else archive, dataset)
    frame = metadata(dataset)
    assert frame["species"].to_dict() == {
        "images/dorsal view.jpg": "Papilio_machaon",
        "images/ventral.jpg": "Papilio_machaon",
        "images/12.jpg": "Vanessa_c-album",
        "images/x/13_1.jpg": "Parnassius_apollo",
        "images/13-2.jpg": "Parnassius_apollo",
    }
    assert frame["specimen"].tolist() == ["urn:a", "urn:a", "12", "urn:c", "urn:c"]
    assert frame["family"].tolist()[:3] == ["Papilionidae", "Papilionidae", "Nymphalidae"]
    assert frame["sex"].tolist()[:3] == ["MALE", "MALE", "FEMALE"]
    assert frame["license"].tolist() == ["CC-BY", "CC0", "CC0", "CC0", "CC0"]
    assert frame["rightsHolder"].iloc[0] == "NHM"
    assert frame["creator"].iloc[0] == "Maria"
    assert frame["source_url"].iloc[2] == "https://iiif.org/12/full/default.jpg"
    if form != "no-meta":
        assert set(frame["kingdom"]) == {"Animalia"}
    assert [(problem.level, problem.code, problem.row) for problem in report.problems] == [
        ("note", "no-picture", ""),
        ("skip", "no-occurrence", "99"),
        ("skip", "missing", "14"),
    ]
    for image in frame.index:
        name = str(image).removeprefix("images/")
        places = [archive / name, archive / "images" / name]
        original = next(path for path in places if path.is_file())
        assert (dataset / str(image)).read_bytes() == original.read_bytes()
    collection = read_collection(dataset)
    assert collection.taxonomy is not None
    assert not [problem for problem in collection.problems if problem.level == "error"]


def test_pictures_in_a_folder_of_their_own(tmp_path: Path, archive: Path) -> None:
    packed = zipped(archive)
    report = darwin_core.convert(packed, tmp_path / "out", media=archive / "images")
    assert sorted(metadata(tmp_path / "out").index) == [
        "images/dorsal view.jpg",
        "images/ventral.jpg",
    ]
    assert sum(problem.code == "missing" for problem in report.problems) == 4
    with pytest.raises(InputError, match="no such folder of pictures"):
        darwin_core.convert(packed, tmp_path / "other", media=tmp_path / "none")


def test_pictures_that_cannot_be_told_apart_are_left_out(
    tmp_path: Path, archive: Path, picture: Write
) -> None:
    picture(archive / "copy" / "dorsal view.jpg")  # two files of one name
    (archive / "multimedia.txt").write_text(
        tabbed(
            [*MEDIA, "12|StillImage||https://elsewhere.org/ventral.jpg|||"]
        )  # one file, two rows
    )
    report = darwin_core.convert(archive, tmp_path / "out")
    ambiguous = [problem for problem in report.problems if problem.code == "ambiguous"]
    assert [problem.row for problem in ambiguous] == ["11", "11", "12"]
    assert "2 files have this name" in ambiguous[0].reason
    assert "would be the picture of 2 rows" in ambiguous[1].reason


def test_audubon_core_and_quoted_commas(tmp_path: Path, picture: Write) -> None:
    source = tmp_path / "in"
    picture(source / "a.jpg")
    (source / "meta.xml").write_text(
        """<archive xmlns="http://rs.tdwg.org/dwc/text/">
  <core encoding="ISO-8859-1" fieldsTerminatedBy="," fieldsEnclosedBy='"' ignoreHeaderLines="0"
        rowType="http://rs.tdwg.org/dwc/terms/Occurrence">
    <files><location>occ.csv</location></files><id index="0"/>
    <field index="1" term="http://rs.tdwg.org/dwc/terms/scientificName"/>
    <field index="2" term="http://rs.tdwg.org/dwc/terms/rightsHolder"/>
  </core>
  <extension encoding="UTF-8" fieldsTerminatedBy="," fieldsEnclosedBy='"'
             rowType="http://rs.tdwg.org/ac/terms/Multimedia">
    <files><location>media.csv</location></files><coreid index="1"/>
    <field index="0" term="http://rs.tdwg.org/ac/terms/accessURI"/>
  </extension>
</archive>"""
    )
    (source / "occ.csv").write_bytes('o1,"Aus bus, 1900","Müller, A."\n'.encode("latin-1"))
    (source / "media.csv").write_text('"https://x.org/a.jpg",o1\n')
    darwin_core.convert(source, tmp_path / "out")
    (row,) = metadata(tmp_path / "out").to_dict("records")
    assert (row["species"], row["specimen"], row["rightsHolder"]) == (
        "Aus_bus",
        "o1",
        "Müller, A.",
    )


def test_associated_media_without_an_extension(tmp_path: Path, picture: Write) -> None:
    source = tmp_path / "in"
    picture(source / "a.jpg")
    picture(source / "b.jpg")
    (source / "occurrence.txt").write_text(
        "gbifID\tspecies\tassociatedMedia\n1\tAus bus\thttps://x.org/a.jpg | https://x.org/b.jpg\n"
    )
    darwin_core.convert(source, tmp_path / "out")
    assert metadata(tmp_path / "out")["species"].tolist() == ["Aus_bus", "Aus_bus"]


@pytest.mark.parametrize(
    ("meta", "words"),
    [
        ("<archive", "not XML"),
        ('<archive xmlns="http://rs.tdwg.org/dwc/text/"></archive>', "no core table"),
        (META.replace("terms/Occurrence", "terms/Taxon"), "the core holds Taxon rows"),
        (META.replace("occurrence.txt", "gone.txt"), "no file 'gone.txt' in the archive"),
        (META.replace('index="9"', 'index="40"'), "cannot be read as meta.xml describes it"),
        (META.replace('encoding="utf-8"', 'encoding="utf-99"'), "cannot be read as meta.xml"),
    ],
)
def test_broken_archives(tmp_path: Path, archive: Path, meta: str, words: str) -> None:
    (archive / "meta.xml").write_text(meta)
    with pytest.raises(InputError, match=words):
        darwin_core.convert(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_other_unusable_sources(tmp_path: Path, archive: Path) -> None:
    (tmp_path / "text.zip").write_text("no archive")
    with pytest.raises(InputError, match="neither a folder nor a ZIP"):
        darwin_core.convert(tmp_path / "text.zip", tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"neither meta\.xml nor occurrence\.txt"):
        darwin_core.convert(tmp_path / "empty", tmp_path / "out")
    for path in archive.rglob("*.jpg"):
        path.unlink()
    with pytest.raises(InputError, match=r"not one of 6 pictures is there as a file.*Fetch them"):
        darwin_core.convert(archive, tmp_path / "out")
