from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from kinlens.config import read_toml
from kinlens.errors import InputError, UsageError
from kinlens.io.convert.catalogue import LAYOUTS, find_layout
from kinlens.io.convert.dataset_folder import (
    ConversionOptions,
    DatasetContents,
    ZippedFile,
    find_pictures,
    write_dataset,
)


def contents(picture: Path | ZippedFile, **more: object) -> DatasetContents:
    frame = pd.DataFrame({"image": ["images/a.png"], "species": ["Aus_bus"]})
    return DatasetContents(frame, {"images/a.png": picture}, **more)  # type: ignore[arg-type]


def write(tmp_path: Path, what: DatasetContents, **options: object):
    return write_dataset(
        tmp_path / "out", what, options=ConversionOptions(**options), source=tmp_path / "in"
    )


@pytest.fixture
def original(tmp_path: Path, picture: Callable[..., bytes]) -> Path:
    picture(tmp_path / "in" / "a.png")
    return tmp_path / "in" / "a.png"


def test_pictures_are_copied_linked_or_pointed_at(tmp_path: Path, original: Path) -> None:
    placed = tmp_path / "out" / "images" / "a.png"
    write(tmp_path, contents(original))
    assert placed.read_bytes() == original.read_bytes()
    assert not placed.samefile(original)
    write(tmp_path, contents(original), placing="hardlink", force=True)
    assert placed.samefile(original)
    assert not placed.is_symlink()
    write(tmp_path, contents(original), placing="symlink", force=True)
    assert placed.readlink() == original.resolve()
    with pytest.raises(UsageError, match="'move'"):
        write(tmp_path, contents(original), placing="move", force=True)


def test_pictures_come_out_of_archives(tmp_path: Path, original: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(original, "deep/a.png")
    write(tmp_path, contents(ZippedFile(tmp_path / "a.zip", "deep/a.png")), placing="symlink")
    assert (tmp_path / "out/images/a.png").read_bytes() == original.read_bytes()


def test_what_is_there_is_kept_unless_forced(tmp_path: Path, original: Path) -> None:
    (tmp_path / "out").mkdir()
    write(tmp_path, contents(original))  # an empty folder may be there
    (tmp_path / "out" / "mismatches.tsv").write_text("as `kinlens check` leaves it")
    with pytest.raises(UsageError, match=r"out: is there already.*--force"):
        write(tmp_path, contents(original))
    write(tmp_path, contents(original), force=True)
    assert not (tmp_path / "out" / "mismatches.tsv").exists()


@pytest.mark.parametrize("is_converted", [True, False])
@pytest.mark.parametrize("force", [True, False])
def test_what_somebody_else_put_there_is_never_replaced(
    tmp_path: Path, original: Path, is_converted: bool, force: bool
) -> None:
    if is_converted:
        write(tmp_path, contents(original))
    mine = tmp_path / "out" / "tree.nwk"
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("(precious);")
    with pytest.raises(UsageError, match=r"did not make, such as tree\.nwk"):
        write(tmp_path, contents(original), force=force)
    assert mine.read_text() == "(precious);"


def test_the_source_is_never_replaced(tmp_path: Path, original: Path) -> None:
    with pytest.raises(UsageError, match="cannot take the place of its source"):
        write_dataset(
            tmp_path / "in",
            contents(original),
            options=ConversionOptions(force=True),
            source=tmp_path / "in",
        )
    assert original.exists()


def test_a_dataset_is_not_made_within_its_source(tmp_path: Path, original: Path) -> None:
    with pytest.raises(UsageError, match="lies in its source"):
        write_dataset(
            tmp_path / "in" / "out", contents(original), options=ConversionOptions(),
            source=tmp_path / "in",
        )  # fmt: skip
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["a.png"]


def test_a_failure_leaves_nothing_behind(tmp_path: Path, original: Path) -> None:
    def fail(_path: Path) -> None:
        raise RuntimeError("disk on fire")

    with pytest.raises(RuntimeError, match="on fire"):
        write(tmp_path, contents(original, tables={"tree.nwk": fail}))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in"]
    missing = contents(tmp_path / "in" / "gone.png")
    with pytest.raises(FileNotFoundError):
        write(tmp_path, missing)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in"]


def test_settings_are_toml_that_reads_back(tmp_path: Path, original: Path) -> None:
    settings = {
        "name": 'Shells "of" the\\sea',
        "channels": ("red", "grün"),
        "labels": {"in side": ("a", "b"), "out": ()},
    }
    write(tmp_path, contents(original, settings=settings))
    read = read_toml(tmp_path / "out" / "dataset.toml")
    assert read == {
        "name": 'Shells "of" the\\sea',
        "channels": ["red", "grün"],
        "labels": {"in side": ["a", "b"], "out": []},
    }


def test_pictures_are_found_without_the_litter_of_systems(
    tmp_path: Path, picture: Callable[..., bytes]
) -> None:
    for name in ("b/2.JPG", "a/1.png", "a/._1.png", ".trash/3.png", "__MACOSX/a/4.png"):
        picture(tmp_path / name.replace(".JPG", ".jpg"))
    (tmp_path / "b" / "2.jpg").rename(tmp_path / "b" / "2.JPG")
    (tmp_path / "a" / "Thumbs.db").write_bytes(b"")
    found = [path.relative_to(tmp_path).as_posix() for path in find_pictures(tmp_path)]
    assert found == ["a/1.png", "b/2.JPG"]


def test_encrypted_archives_are_named(tmp_path: Path, original: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(original, "a.png")
    content = bytearray((tmp_path / "a.zip").read_bytes())
    content[6] |= 1  # the flag of encryption, in the local and the central header
    content[content.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.zip: a\.png cannot be unpacked.*password"):
        write(tmp_path, contents(ZippedFile(tmp_path / "a.zip", "a.png")))
    assert not (tmp_path / "out").exists()


def test_every_layout_is_in_the_catalogue() -> None:
    folder = Path(__file__).parents[4] / "src" / "kinlens" / "io" / "convert"
    shared = {"__init__", "catalogue", "dataset_folder", "protein_groups", "protein_headers"}
    files = {path.stem.replace("_", "-") for path in folder.glob("*.py") if path.stem not in shared}
    assert {layout.name for layout in LAYOUTS} == files
    with pytest.raises(UsageError, match="Did you mean 'bimages'"):
        find_layout("bimage")


def test_missing_sources_are_named(tmp_path: Path) -> None:
    for layout in LAYOUTS:
        with pytest.raises(InputError, match="no such f"):
            layout.convert(tmp_path / "none", tmp_path / "out")
    assert os.listdir(tmp_path) == []
