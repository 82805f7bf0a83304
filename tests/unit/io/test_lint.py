from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from kinlens.io.folder import read_collection
from kinlens.io.lint import check_pictures, duplicate_groups, inspect_pictures, write_findings


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(1)
    for name in ("a", "b", "c"):
        pixels = rng.integers(0, 255, size=(5, 7, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((70, 50)).save(tmp_path / f"{name}.png")
    shutil.copy(tmp_path / "a.png", tmp_path / "twin.png")
    shutil.copy(tmp_path / "b.png", tmp_path / "again.png")
    (tmp_path / "torn.png").write_bytes((tmp_path / "c.png").read_bytes()[:200])
    (tmp_path / "metadata.csv").write_text(
        "image,species,specimen\na.png,x,1\nb.png,x,2\nc.png,y,3\n"
        "twin.png,y,4\nagain.png,x,2\ntorn.png,x,5\n"
    )
    return tmp_path


def test_faults_and_doubles_are_found(folder: Path) -> None:
    checked = check_pictures(read_collection(folder))
    found = {(p.level, p.code, p.file) for p in checked.problems}
    # `again` shows the same specimen as `b`, which is no fault.
    assert found == {
        ("skip", "truncated", "torn.png"),
        ("note", "duplicate-named-twice", "twin.png"),
    }
    (note,) = [p for p in checked.problems if p.level == "note"]
    assert "the same file as a.png, but they are named x and y" in note.reason


def test_groups_are_numbered(folder: Path) -> None:
    names = ("a", "b", "c", "twin", "again", "torn")
    inspections = inspect_pictures([(folder / f"{name}.png",) for name in names])
    a, b, c, twin, again, torn = duplicate_groups(inspections)
    assert a == twin >= 0
    assert b == again >= 0
    assert a != b
    assert (c, torn) == (-1, -1)
    assert inspections[-1].fault is not None


def test_findings_are_written_gravest_first(folder: Path, tmp_path: Path) -> None:
    checked = check_pictures(read_collection(folder))
    mismatches, skipped = write_findings(checked, tmp_path / "out")
    assert (mismatches.name, skipped.name) == ("mismatches.tsv", "skipped.tsv")
    table = pd.read_csv(skipped, sep="\t")
    assert table["level"].tolist() == ["skip", "note"]
    assert table["file"].tolist() == ["torn.png", "twin.png"]


def test_a_collection_without_pictures_is_returned_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "tree.nwk").write_text("(a:1,b:1);")
    collection = read_collection(tmp_path)
    assert check_pictures(collection) is collection
