"""A folder as collections come: every kind of bad picture, bad names, a bad tree."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from PIL import Image

GOOD = 12
SPECIES = ("Ino ino", "Ino globulariae", "Ino_statices")


@pytest.fixture(scope="module")
def messy(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """The folder, and the code that is expected for each bad or unusual picture."""
    folder = tmp_path_factory.mktemp("messy") / "Old museum drawer"
    expected = bad_images().make_bad_images(folder / "images")
    rng = np.random.default_rng(5)
    rows = []
    for number in range(GOOD):
        name = f"good_{number}.jpg"
        pixels = rng.integers(0, 255, size=(6, 9, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((90, 60)).save(folder / "images" / name)
        rows.append((f"images/{name}", SPECIES[number % 3], f"s{number // 2}"))
    rows += [(f"images/{name}", "Ino ino", f"bad {name}") for name in expected]
    # A copy under another name; a name that misses by a letter; a misspelt file; one outside.
    shutil.copy(folder / "images" / "good_0.jpg", folder / "images" / "copy.jpg")
    rows.append(("images/copy.jpg", "Ino statices", "another"))
    rows.append(("images/GOOD_1.JPG", "Ino ino", "s0"))
    rows.append(("images/good_2.jpeg", "Ino ino", "s1"))
    rows.append(("../secret.jpg", "Ino ino", "s1"))
    rows.append(("images/good_3.jpg", "Ino ino", "s1"))
    rows.append(("", "Ino ino", "s1"))
    table = pd.DataFrame(rows, columns=["image", "scientificName", "occurrenceID"])
    table.loc[table.index[5], "scientificName"] = "Ino statice"
    # As a spreadsheet in Germany saves it, with a mark, for a name with an umlaut.
    table["Sammler"] = "Müller; Söhne"
    table.to_csv(folder / "metadata.csv", sep=";", index=False, encoding="utf-8-sig")
    (folder / "tree.nwk").write_text("<!DOCTYPE html><html><body>404 Not Found</body></html>")
    (folder / "sequences.fasta").write_text(">a Ino\nACGTACGT\n>b\nACGAACGT\n>c\nACGAACGA\n")
    (folder / "sequences.csv").write_text("id,species\na,Ino ino\nb,Ino statcies\nc,\n")
    (folder / "distances.csv").write_text(",Ino_ino,Ino_statices\nIno_ino,0,1\nIno_statices,2,0\n")
    return folder, expected


@pytest.fixture(scope="module")
def checked(
    messy: tuple[Path, dict[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> tuple[subprocess.CompletedProcess[str], Path]:
    """`kinlens check` on the folder, and where it wrote."""
    out = tmp_path_factory.mktemp("findings")
    command = [sys.executable, "-m", "kinlens", "check", str(messy[0]), "-o", str(out)]
    environment = os.environ | {"COLUMNS": "150", "NO_COLOR": "1"}
    run = subprocess.run(
        [*command, "--workers", "1"], capture_output=True, text=True, check=False, env=environment
    )
    return run, out


def bad_images() -> ModuleType:
    file = Path(__file__).resolve().parents[1] / "bad_images.py"
    spec = importlib.util.spec_from_file_location("bad_images", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def findings(out: Path) -> pd.DataFrame:
    return pd.read_csv(out / "skipped.tsv", sep="\t", keep_default_na=False)


def test_files_that_cannot_be_used_end_with_code_3(
    checked: tuple[subprocess.CompletedProcess[str], Path],
) -> None:
    run, out = checked
    assert run.returncode == 3, run.stderr
    table = findings(out)
    errors = table[table["level"] == "error"]
    assert set(errors["file"]) == {"tree.nwk", "distances.csv"}
    assert "tree.nwk" in run.stderr.splitlines()[-1]
    (tree,) = errors.loc[errors["file"] == "tree.nwk", "reason"]
    assert "web page" in tree


def test_every_bad_picture_is_named_with_its_code(
    messy: tuple[Path, dict[str, str]], checked: tuple[subprocess.CompletedProcess[str], Path]
) -> None:
    _folder, expected = messy
    assert len(expected) >= 55
    table = findings(checked[1])
    found = {(Path(row.file).name, row.code) for row in table.itertuples()}
    assert [pair for pair in expected.items() if pair not in found] == []


def test_what_is_wrong_with_rows_is_told_by_spreadsheet_row(
    messy: tuple[Path, dict[str, str]], checked: tuple[subprocess.CompletedProcess[str], Path]
) -> None:
    table = findings(checked[1]).set_index("code")
    last = 1 + GOOD + len(messy[1]) + 6
    assert table.loc["no-image", "row"] == f"row {last}"
    assert table.loc["repeated-row", "row"] == f"row {last - 1}"
    assert table.loc["repeated-row", "reason"].endswith("row 5 is kept")
    assert table.loc["outside", "row"] == f"metadata.csv row {last - 2}"
    missing = table.loc["missing-file"].set_index("file")["reason"]
    assert (
        "there is good_1.jpg, which differs in upper and lower case" in missing["images/GOOD_1.JPG"]
    )
    assert "there is good_2.jpg" in missing["images/good_2.jpeg"]
    assert "good_0.jpg" in table.loc["duplicate-named-twice", "reason"]


def test_names_that_miss_are_listed_and_not_corrected(
    checked: tuple[subprocess.CompletedProcess[str], Path],
) -> None:
    run, out = checked
    table = pd.read_csv(out / "mismatches.tsv", sep="\t").set_index("name")
    assert "Ino_statices" in table.loc["Ino_statcies", "nearest"]
    assert "Ino_statcies" in run.stderr


def test_the_screen_shows_the_join(
    checked: tuple[subprocess.CompletedProcess[str], Path],
) -> None:
    run, out = checked
    screen = run.stderr
    assert "Old museum drawer" in screen
    for words in (
        "found among pictures",
        "Cannot be used: 2",
        "Left out: ",
        "worth a look",
        "Names without",
    ):
        assert words in screen
    assert run.stdout.split() == [str(out / "mismatches.tsv"), str(out / "skipped.tsv")]
    assert max(map(len, screen.splitlines()[:-1])) <= 150


def test_the_dataset_is_left_as_it_was(
    messy: tuple[Path, dict[str, str]], checked: tuple[subprocess.CompletedProcess[str], Path]
) -> None:
    assert checked[0].returncode == 3
    assert sorted(entry.name for entry in messy[0].iterdir()) == [
        "distances.csv", "images", "metadata.csv", "sequences.csv", "sequences.fasta", "tree.nwk",
    ]  # fmt: skip
