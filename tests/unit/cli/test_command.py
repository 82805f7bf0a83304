"""The command as a user meets it: words in, words and exit codes out."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from kinlens import __version__
from kinlens.cli.main import main
from kinlens.errors import UsageError

VERBS = (
    "demo", "doctor", "check", "simulate", "convert", "run", "predict", "report", "explore",
    "embed",
)  # fmt: skip


class Ended:
    """Exit code and what was said."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


class Command:
    """Calls `kinlens` in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._capsys, self._monkeypatch = capsys, monkeypatch

    def __call__(self, *words: object) -> Ended:
        self._monkeypatch.setattr(sys, "argv", ["kinlens", *map(str, words)])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        said = self._capsys.readouterr()
        return Ended(code, said.out, said.err)


@pytest.fixture
def kinlens(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("NO_COLOR", "1")
    return Command(capsys, monkeypatch)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    folder = tmp_path / "set"
    (folder / "images").mkdir(parents=True)
    lines = ["image,species"]
    for number, name in enumerate("abc"):
        pixels = bytes((17 * i * (number + 2)) % 256 for i in range(40 * 30 * 3))
        Image.frombytes("RGB", (40, 30), pixels).save(folder / "images" / f"{name}.png")
        lines.append(f"images/{name}.png,Ino {'ino' if name < 'c' else 'statces'}")
    (folder / "metadata.csv").write_text("\n".join(lines) + "\n")
    (folder / "tree.nwk").write_text("(Ino_ino:1,Ino_statices:1);")
    (folder / "sequences.fasta").write_text(">s1\nACGTACGT\n>s2\nACGA\n")
    return folder


# Asking ------------------------------------------------------------------------------------------


def test_help_lists_every_verb_and_the_exit_codes(kinlens: Command) -> None:
    said = kinlens("--help")
    assert said.code == 0
    for verb in VERBS:
        assert f"│ {verb} " in said.out
    assert "130 interrupted and resumable" in said.out
    assert kinlens("--version").out == f"kinlens {__version__}\n"


@pytest.mark.parametrize("verb", [*VERBS, "embed images", "embed sequences"])
def test_every_option_is_explained(kinlens: Command, verb: str) -> None:
    said = kinlens(*verb.split(), "--help")
    assert said.code == 0
    rows = [line.strip("│ *") for line in said.out.splitlines() if line.startswith("│")]
    options = [row for row in rows if row.startswith("-")]
    assert options
    # After the names and the kind of value stand at least two words.
    assert [row for row in options if len(row.split()) < 4] == []
    assert max(map(len, said.out.splitlines())) <= 120


def test_help_lists_studies_and_layouts(kinlens: Command) -> None:
    from kinlens.io.convert.catalogue import LAYOUTS
    from kinlens.studies.catalogue import STUDIES

    runs, converts = kinlens("run", "--help").out, kinlens("convert", "--help").out
    for name in STUDIES:
        assert f"\n {name} " in runs
    for layout in LAYOUTS:
        assert f"\n {layout.name} " in converts
        assert layout.description in converts


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["chek"], "No such command 'chek'"),
        (["check"], "Missing argument"),
        (["check", "x", "--workers", "0"], "--workers"),
        (["run", "tax", "x", "-o", "y"], "no study 'tax'. Did you mean 'taxa'?"),
        (["run", "taxa"], "kinlens run taxa DATASET -o RUN"),
        (["run", "taxa", "x", "-o", "y", "--set", "replicats=3"], "Did you mean 'replicates'?"),
        (["run", "taxa", "x", "-o", "y", "--set", "replicates"], "NAME=VALUE"),
        (["run", "taxa", "x", "-o", "y", "--config", "none.toml"], "none.toml: cannot be read"),
        (["convert", "bimage", "x", "y"], "Did you mean 'bimages'?"),
        (["convert", "bimages", "x", "y", "--ranks", "genus"], "is for class-folders, not for"),
        (["convert", "bimages", "x", "y", "--placing", "move"], "copy, hardlink, symlink"),
        (["embed", "images", "x", "-o", "v.csv"], "ends in .h5ad"),
    ],
)
def test_wrong_use_ends_with_2(kinlens: Command, words: list[str], expected: str) -> None:
    said = kinlens(*words)
    assert said.code == 2
    assert expected in said.err
    assert said.out == ""


@pytest.mark.parametrize(
    "words",
    [
        ["check", "nowhere"],
        ["run", "taxa", "nowhere", "-o", "run"],
        ["embed", "sequences", "nowhere", "-o", "v.h5ad"],
        ["convert", "bimages", "nowhere", "set"],
        ["report", "nowhere"],
        ["predict", "nowhere", "a.jpg"],
    ],
)
def test_bad_input_ends_with_3(
    kinlens: Command, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = kinlens(*words)
    assert said.code == 3
    assert said.err.startswith("Error: nowhere")
    assert list(tmp_path.iterdir()) == []


# Doing -------------------------------------------------------------------------------------------


def test_check_prints_the_join_and_writes_what_misses(kinlens: Command, dataset: Path) -> None:
    said = kinlens("check", dataset, "--workers", 1)
    assert said.code == 0
    assert "3 pictures of 3 specimens, 2 species  1 of 2" in said.err
    assert "Ino_statices" in said.err
    assert said.out.split() == [str(dataset / "mismatches.tsv"), str(dataset / "skipped.tsv")]
    (dataset / "tree.nwk").write_text("(a:1,a:1);")
    said = kinlens("check", dataset, "--no-pictures")
    assert said.code == 3
    assert said.err.endswith("cannot be used: tree.nwk. Each is explained above.\n")


def test_rows_are_whole_in_a_pipe(
    kinlens: Command, dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS")
    name = f"images/{'wing_' * 30}.jpg"
    with (dataset / "metadata.csv").open("a") as file:
        file.write(f"{name},Ino_ino\n")
    said = kinlens("check", dataset, "--no-pictures")
    assert f"no file {name}" in said.err


def test_a_folder_without_faults_is_said_to_be_whole(kinlens: Command, dataset: Path) -> None:
    text = (dataset / "metadata.csv").read_text().replace("statces", "statices")
    (dataset / "metadata.csv").write_text(text)
    said = kinlens("check", dataset, "--workers", 1)
    assert "Every name that is compared has its counterpart." in said.err
    assert "Left out" not in said.err


def test_log_json_is_one_object_a_line(kinlens: Command, dataset: Path) -> None:
    said = kinlens("check", dataset, "--workers", 1, "--log-json")
    events = [json.loads(line) for line in said.err.splitlines()]
    assert {"time", "level", "event"} <= set(events[0])
    found = {event["event"] for event in events}
    assert found >= {"begin", "end", "part", "mismatch"}
    (mismatch,) = (event for event in events if event["event"] == "mismatch")
    assert mismatch["nearest"] == ["Ino_statices"]
    said = kinlens("check", dataset / "none", "--log-json")
    (error,) = map(json.loads, said.err.splitlines())
    assert (error["level"], said.code) == ("error", 3)


def test_convert_says_what_is_next(kinlens: Command, tmp_path: Path) -> None:
    for name in ("Ino ino", "Ino statices"):
        (tmp_path / "source" / "Zygaenidae" / name).mkdir(parents=True)
        Image.new("RGB", (9, 9), "teal").save(
            tmp_path / "source" / "Zygaenidae" / name / f"{name[4:]}.png"
        )
    out = tmp_path / "set"
    words = ["convert", "class-folders", tmp_path / "source", out, "--ranks", "family, species"]
    said = kinlens(*words)
    assert (said.code, said.out) == (0, f"{out}\n")
    assert "2 pictures of 2 species, nothing left out." in said.err
    assert f"Next: kinlens check {out}" in said.err
    assert pd.read_csv(out / "metadata.csv")["family"].unique().tolist() == ["Zygaenidae"]
    assert kinlens(*words).code == 2
    assert kinlens(*words, "--force", "--placing", "symlink").code == 0
    assert all(path.is_symlink() for path in out.rglob("*.png"))


def test_embed_writes_both_files(kinlens: Command, dataset: Path, tmp_path: Path) -> None:
    said = kinlens("embed", "sequences", dataset, "-o", tmp_path / "s.h5ad")
    assert said.out.split() == [str(tmp_path / "s.h5ad"), str(tmp_path / "s.parquet")]
    (dataset / "images" / "a.png").write_bytes(b"torn")
    words = ["embed", "images", dataset, "-o", tmp_path / "v.h5ad", "--workers", 1]
    said = kinlens(*words, "--max-bad", 0.1)
    assert (said.code, said.out) == (4, "")
    assert "images/a.png" in said.err
    said = kinlens(*words)
    assert said.out.split()[-1] == str(tmp_path / "v.skipped.tsv")


def test_simulate_makes_a_dataset_that_passes_the_check(kinlens: Command, tmp_path: Path) -> None:
    out = tmp_path / "world"
    words = ["simulate", out, "--species", 5, "--images", 6, "--workers", 1]
    said = kinlens(*words, "--set", "image_size=64")
    assert (said.code, said.out) == (0, f"{out}\n")
    assert kinlens("check", out, "--workers", 1).code == 0
    assert kinlens(*words).code == 2


def test_settings_are_printed_as_a_file_that_can_be_used(kinlens: Command, tmp_path: Path) -> None:
    first = kinlens("run", "taxa", "--show-config", "--set", "replicates=200")
    assert first.code == 0
    assert "# Bootstrap replicates." in first.out
    (tmp_path / "c.toml").write_text(first.out)
    again = kinlens("run", "taxa", "--config", tmp_path / "c.toml", "--show-config")
    assert again.out == first.out
    assert "replicates = 200" in again.out
    (tmp_path / "c.toml").write_text("[seqdist]\nepochs = 3\n")
    other = kinlens("run", "taxa", "--config", tmp_path / "c.toml", "--show-config")
    assert "replicates = 1000" in other.out


# Ending ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verb", "function", "advice"),
    [
        (["run", "taxa", "set", "-o", "run"], "runner.run_into_folder", "--resume goes on"),
        (["demo"], "tour.run_tour", "--resume goes on"),
        (
            ["embed", "images", "set", "-o", "v.h5ad"],
            "picture_vectors.embed_pictures_to_file",
            "goes on",
        ),
    ],
)
def test_an_interruption_ends_with_130_and_says_how_to_go_on(
    kinlens: Command,
    monkeypatch: pytest.MonkeyPatch,
    verb: list[str],
    function: str,
    advice: str,
) -> None:
    def interrupted(*_given: object, **_more: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(f"kinlens.studies.{function}", interrupted)
    said = kinlens(*verb)
    assert said.code == 130
    assert "Interrupted." in said.err
    assert advice in said.err


def test_a_bug_is_called_a_bug(
    kinlens: Command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def buggy(_folder: Path) -> None:
        raise ZeroDivisionError("by 0")

    monkeypatch.setattr("kinlens.io.folder.read_collection", buggy)
    with pytest.raises(ZeroDivisionError):
        kinlens("check", "set")
    assert f"this is a bug in kinlens {__version__}" in capsys.readouterr().err


def test_doctor_names_what_is_missing(kinlens: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    from kinlens import optional

    asked = []

    def need(name: str) -> object:
        asked.append(name)
        if name in ("skbio", "torch"):
            raise ImportError("no such thing")
        return object()

    monkeypatch.setattr(optional, "need", need)
    said = kinlens("doctor")
    assert said.code == 1
    assert "skbio        does not load: no such thing" in said.out
    assert "cannot be loaded: skbio, torch" in said.err
    assert f"kinlens {__version__}" in said.out
    assert "numpy" in asked


def test_errors_keep_their_brackets(kinlens: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(_folder: Path) -> None:
        raise UsageError("write [columns] in dataset.toml.")

    monkeypatch.setattr("kinlens.io.folder.read_collection", refusing)
    assert kinlens("check", "set").err == "Error: write [columns] in dataset.toml.\n"
