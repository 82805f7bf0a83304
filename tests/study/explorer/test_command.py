"""`kinlens explore` as a user types it, and who answers for which runs."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from kinlens.cli.main import main
from kinlens.explorer.exhibit import Exhibit, open_exhibit
from kinlens.studies.catalogue import load_study
from kinlens.studies.questions import BackgroundPlacer, answerers_for
from kinlens.studies.runner import run_into_folder


def said(*words: object) -> tuple[int, str, str]:
    run = subprocess.run(
        [sys.executable, "-m", "kinlens", "explore", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
    )
    return run.returncode, run.stdout, run.stderr


def test_an_export_ends_with_its_page(
    tour: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["kinlens", "explore", str(tour.folder), "--export", str(tmp_path / "site")]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code
    page = Path(capsys.readouterr().out.strip())
    assert page.read_text().count("kinlens-source") == 1


def test_a_folder_without_runs_is_named(tour: Any) -> None:
    code, out, err = said(tour.dataset)
    assert code == 3
    assert out == ""
    assert "run.json" in err


def test_the_address_is_told_and_ctrl_c_ends_it(tour: Any) -> None:
    words = [sys.executable, "-m", "kinlens", "explore", str(tour.folder / "genes")]
    with subprocess.Popen(
        [*words, "--no-browser", "--port", "0"], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", address)
            with urllib.request.urlopen(f"{address}data/exhibit.json", timeout=20) as answer:
                assert b"Genes that looks tell" in answer.read()
        finally:
            process.send_signal(2)
            process.wait(timeout=20)


def test_another_host_asks_for_a_token(tour: Any) -> None:
    words = [sys.executable, "-m", "kinlens", "explore", str(tour.folder / "genes")]
    with subprocess.Popen(
        [*words, "--no-browser", "--port", "0", "--host", "0.0.0.0"],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            found = re.fullmatch(r"http://0\.0\.0\.0:(\d+)/\?token=([\w-]{32})", address)
            assert found is not None
            with pytest.raises(urllib.error.HTTPError, match="401"):
                urllib.request.urlopen(f"http://127.0.0.1:{found[1]}/", timeout=20)
        finally:
            process.send_signal(2)
            process.wait(timeout=20)


# Who answers -------------------------------------------------------------------------------------


def test_a_run_of_taxa_names_and_places(exhibit: Exhibit, tour: Any) -> None:
    answerers = answerers_for(exhibit)
    assert answerers.sequence is None
    assert answerers.picture is not None
    answer = answerers.picture(tour.dataset / "images" / "Nyx_a_2.jpg")
    assert answer.names[0].name == "Nyx_a"
    assert answer.names[0].rank == "species"
    assert "Nyx_a" in answer.candidates
    assert answer.place is not None
    assert {name.split("_")[0] for name in answer.place.tips} == {"Nyx"}
    nearest = answer.place.relatives[0]
    assert nearest.species.startswith("Nyx")
    assert nearest.low <= nearest.distance <= nearest.high
    distances = [each.distance for each in answer.place.relatives]
    assert distances == sorted(distances)


def test_without_a_tree_there_is_no_place(tour: Any, tmp_path: Path) -> None:
    shutil.copytree(tour.taxa, tmp_path / "alone")
    answerers = answerers_for(open_exhibit([tmp_path / "alone"]))
    assert answerers.picture is not None
    answer = answerers.picture(tour.dataset / "images" / "Eos_a_2.jpg")
    assert answer.names[0].name == "Eos_a"
    assert answer.place is None
    assert answer.place_note == ""


def test_too_few_species_are_said_to_be_too_few(exhibit: Exhibit) -> None:
    assert exhibit.tree is not None
    small = exhibit.tree.prune(["Ino_a", "Ino_b", "Eos_a"])
    placer = BackgroundPlacer(exhibit.charts[0], small, rank="species")
    placer.wait()
    place, note = placer(exhibit.charts[0].vectors[0])
    assert place is None
    assert "four species" in note
    other = BackgroundPlacer(exhibit.charts[0], small, rank="family")
    other.wait()
    assert "no family" in other(exhibit.charts[0].vectors[0])[1]


def test_an_answer_does_not_depend_on_the_metadata(
    exhibit: Exhibit, tour: Any, tmp_path: Path
) -> None:
    answerers = answerers_for(exhibit)
    assert answerers.picture is not None
    original = tour.dataset / "images" / "Ino_c_0.jpg"
    with Image.open(original) as picture:
        picture.save(tmp_path / "bare.png")
    ours, theirs = answerers.picture(tmp_path / "bare.png"), answerers.picture(original)
    assert ours.names == theirs.names
    assert ours.vector is not None
    assert theirs.vector is not None
    assert np.allclose(ours.vector, theirs.vector)


def test_a_run_with_another_encoder_is_shown_but_not_asked(tour: Any, tmp_path: Path) -> None:
    shutil.copytree(tour.taxa, tmp_path / "taxa")
    path = tmp_path / "taxa" / "model" / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps(config | {"fingerprint": "descriptors-0"}))
    words = [sys.executable, "-m", "kinlens", "explore", str(tmp_path / "taxa")]
    with subprocess.Popen(
        [*words, "--no-browser", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            with urllib.request.urlopen(f"{address}data/exhibit.json", timeout=20) as answer:
                assert not json.load(answer)["can_ask"]["picture"]
        finally:
            process.send_signal(2)
            _out, err = process.communicate(timeout=20)
    assert "cannot be asked" in err
    assert "descriptors-0" in err


@pytest.mark.slow
def test_a_run_of_seqdist_finds_sequences(runs: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    ancestors = rng.choice(list("ACGT"), (9, 200))
    lines, owners = [], ["id,species"]
    for species, ancestor in zip(runs.species_names(), ancestors, strict=True):
        for number in range(8):
            letters = np.where(rng.random(200) < 0.03, rng.choice(list("ACGT"), 200), ancestor)
            lines.append(f">{species}.{number}\n{''.join(letters)}\n")
            owners.append(f"{species}.{number},{species}")
    dataset = tmp_path / "sequences"
    dataset.mkdir()
    (dataset / "sequences.fasta").write_text("".join(lines))
    (dataset / "sequences.csv").write_text("\n".join(owners) + "\n")
    study = load_study("seqdist")
    config = study.config(
        encoders=("linear",),
        geometries=("hyperbolic",),
        epochs=5,
        cluster_repeats=0,
        replicates=100,
        permutations=19,
    )
    run_into_folder(study, dataset, tmp_path / "run", config)
    exhibit = open_exhibit([tmp_path / "run"])
    assert exhibit.charts[0].kind == "sequence"
    answerers = answerers_for(exhibit)
    assert answerers.picture is None
    assert answerers.sequence is not None
    query = tmp_path / "query.fasta"
    query.write_text(lines[20])
    hits = answerers.sequence(query)
    assert hits[0].edit_distance == 0
    assert {hit.species for hit in hits[:5]} == {hits[0].species}
