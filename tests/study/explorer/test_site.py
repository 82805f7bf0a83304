"""The explorer as plain files: no server, no network, the same answers."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from kinlens.cli.main import main
from kinlens.errors import InputError, UsageError
from kinlens.explorer.exhibit import Exhibit, open_exhibit
from kinlens.explorer.pictures import PictureShelf
from kinlens.explorer.queries import Queries
from kinlens.explorer.site import write_site
from kinlens.run import find_runs, unfinished_runs


@pytest.fixture(scope="module")
def site(exhibit: Exhibit, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export") / "site"
    write_site(exhibit, folder)
    return folder


def files_of(site: Path) -> dict[int, dict[str, Any]]:
    found = {}
    for path in (site / "data").iterdir():
        match = re.fullmatch(r"kinlensFile\((\d+),(.*)\);\n", path.read_text(), re.S)
        assert match is not None
        found[int(match[1])] = json.loads(match[2])
    return found


def test_every_answer_is_where_the_directory_says(exhibit: Exhibit, site: Path) -> None:
    files = files_of(site)
    directory = files[0]
    no_questions = {"picture": False, "sequence": False}
    queries = Queries(exhibit, PictureShelf(exhibit), no_questions)
    n_found = 0
    for path in queries.every_path(most_pictures=1000):
        if queries.answer(path) is None:
            continue
        number = directory["exact"].get(path)
        if number is None:
            family, name = path.rsplit("/", 1)
            place = directory["families"][family + "/"]
            number = place["files"][int(name.split(".")[0]) // place["each"]]
        assert path in files[number]
        n_found += 1
    assert n_found > 54 * 3
    assert not files[directory["exact"]["exhibit.json"]]["exhibit.json"]["can_ask"]["picture"]


def test_the_export_works_from_a_folder_without_any_network(chromium: Any, site: Path) -> None:
    context = chromium.new_context(viewport={"width": 1300, "height": 800}, accept_downloads=True)
    context.set_offline(True)
    page = context.new_page()
    asked: list[str] = []
    faults: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda line: faults.append(line.text) if line.type == "error" else None)
    page.goto(f"{(site / 'index.html').as_uri()}#thing=3&colour=species")
    page.wait_for_selector("body[data-ready]")
    page.wait_for_selector(".map[data-ready]")
    page.wait_for_function("() => document.querySelector('.portrait img').naturalWidth === 64")
    assert page.locator(".detail .thumb").count() == 12
    assert page.locator("#ask").count() == 0
    page.click(".tree text:has-text('Nyx a')")
    page.wait_for_selector(".detail h2:has-text('Nyx a')")
    page.click("#export")
    with page.expect_download() as waiting:
        page.click("[data-export='map.csv']")
    rows = list(csv.DictReader(io.StringIO(Path(waiting.value.path()).read_text())))
    assert {row["species"] for row in rows} == {"Nyx_a"}
    # With pictures on the map, which must not spoil the canvas for export.
    page.goto(f"{(site / 'index.html').as_uri()}#at=0.5,0.5,3")
    page.wait_for_selector(".map[data-ready]")
    page.click("#export")
    with page.expect_download() as waiting:
        page.click("[data-export='map.png']")
    with Image.open(waiting.value.path()) as picture:
        assert picture.width > 300
    context.close()
    assert faults == []
    assert {url.split(":")[0] for url in asked} <= {"file", "data", "blob"}


def test_an_export_replaces_nothing_but_an_export(
    exhibit: Exhibit, site: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="--force"):
        write_site(exhibit, site)
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UsageError, match="something else"):
        write_site(exhibit, tmp_path, force=True)
    assert (tmp_path / "thesis.tex").exists()
    before = (site / "data" / "0.js").read_bytes()
    write_site(exhibit, site, force=True)
    assert (site / "data" / "0.js").read_bytes() == before


# Opening -----------------------------------------------------------------------------------------


def test_a_folder_of_runs_is_opened_whole(tour: Any) -> None:
    found = find_runs([tour.folder])
    assert sorted(folder.name for folder in found) == ["genes", "kinship", "rare", "taxa"]
    assert find_runs([tour.taxa, tour.folder])[0] == tour.taxa
    with pytest.raises(InputError, match=r"run\.json"):
        find_runs([tour.dataset])


def test_runs_that_did_not_finish_are_left_out_with_a_word(
    tour: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(tour.taxa, tmp_path / "taxa")
    record = json.loads((tour.taxa / "run.json").read_text("utf-8")) | {"status": "interrupted"}
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "run.json").write_text(json.dumps(record), "utf-8")
    assert unfinished_runs([tmp_path]) == [tmp_path / "broken"]
    assert unfinished_runs([tmp_path / "taxa"]) == []
    notes = open_exhibit([tmp_path]).notes
    assert any(f"not finished: {tmp_path / 'broken'}" in note for note in notes), notes
    monkeypatch.setattr("sys.argv", ["kinlens", "report", str(tmp_path)])
    with pytest.raises(SystemExit, match="0"):
        main()
    assert f"not finished: {tmp_path / 'broken'}" in capsys.readouterr().err
    assert (tmp_path / "report.html").is_file()


def test_without_its_dataset_a_run_still_opens(tour: Any, tmp_path: Path) -> None:
    shutil.copytree(tour.taxa, tmp_path / "taxa")
    exhibit = open_exhibit([tmp_path / "taxa"])
    assert exhibit.dataset is None
    assert exhibit.tree is None
    assert "--data" in exhibit.notes[0]
    shelf = PictureShelf(exhibit)
    first = exhibit.charts[0].ids.index(next(iter(exhibit.runs[0].result.thumbnails)))
    assert shelf.jpeg(0, first, "small") is not None
    assert shelf.jpeg(0, (first + 1) % 54, "small") is None
    queries = Queries(exhibit, shelf, {"picture": True, "sequence": False})
    answered = [queries.answer(path) for path in queries.every_path(most_pictures=0)]
    assert sum(answer is not None for answer in answered) > 54


def test_another_dataset_is_refused(tour: Any, runs: Any, tmp_path: Path) -> None:
    runs.make_dataset(tmp_path / "moths")
    (tmp_path / "moths" / "tree.nwk").write_text("(Ino_a:1,Ino_b:1);\n")
    with pytest.raises(InputError, match=r"tree\.nwk"):
        open_exhibit([tour.taxa], dataset=tmp_path / "moths")


def test_one_thing_is_told_with_truth_and_answer(exhibit: Exhibit) -> None:
    queries = Queries(exhibit, PictureShelf(exhibit), {"picture": True, "sequence": True})
    predictions = exhibit.run_of("taxa").result.predictions
    row = exhibit.charts[0].ids.index(predictions["image"].iloc[0])
    told = json.loads(queries.answer(f"chart/0/thing/{row}.json").content)
    facts = dict(told["facts"])
    assert facts["species"] == facts["true_species"]
    assert facts["answered_species"] == predictions["species"].iloc[0]
    assert 0 < facts["species_probability"] <= 1
    assert len(told["nearest"]) == 12
    assert row not in [each["row"] for each in told["nearest"]]
