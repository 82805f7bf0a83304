"""Views appear with the runs that hold what they need, and their absence breaks nothing."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from kinlens.explorer.answers import labelled_picture
from kinlens.explorer.asking import Answerers
from kinlens.explorer.uploads import PictureDecoder, UploadError


@pytest.fixture(scope="module")
def cells(runs: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return runs.make_cells(tmp_path_factory.mktemp("cells"))


def pixels_of(page: Any, where: tuple[int, int]) -> tuple[int, ...]:
    """Return the colour of the picture of the cell at a place given in its own pixels."""
    canvas = page.locator("canvas.large")
    with Image.open(io.BytesIO(canvas.screenshot())) as picture:
        scale = picture.width / 48
        return picture.convert("RGB").getpixel(tuple(int(x * scale) for x in where))


def test_stains_are_switched_on_and_off(page: Any, serve_runs: Any, cells: Path) -> None:
    with serve_runs(cells) as served:
        page.goto(served.address + "#thing=0")
        page.wait_for_selector("body[data-ready]")
        page.wait_for_selector("canvas.large")
        page.wait_for_function("() => document.querySelector('canvas.large').width === 48")
        middles = {"red": (13, 13), "green": (19, 22), "blue": (27, 27), "yellow": (36, 36)}
        page.wait_for_timeout(300)
        red, yellow = pixels_of(page, middles["red"]), pixels_of(page, middles["yellow"])
        assert red[0] > 200 > 60 > red[1]
        assert min(yellow[:2]) > 120 > 60 > yellow[2]
        page.uncheck(".channels label:has-text('red') input")
        assert max(pixels_of(page, (11, 11))) < 40
        assert page.locator("nav button").all_inner_texts() == ["Map", "Findings"]
        assert page.locator("#ask").count() == 0
        page.context.close()


def test_labels_are_told_with_their_probabilities(page: Any, serve_runs: Any, cells: Path) -> None:
    with serve_runs(cells) as served:
        page.goto(served.address + "#thing=0&colour=Nucleoplasm")
        page.wait_for_selector("body[data-ready]")
        page.wait_for_selector(".detail .bars")
        bars = page.inner_text(".detail .bars").split("\n")
        assert bars[0] == "Nucleoplasm"
        assert "truth" in page.inner_text(".detail")
        assert "components" in page.inner_text(".status")
        page.wait_for_selector(".legend .ramp")
        page.context.close()


def test_genes_alone_are_painted_on_the_tree(page: Any, serve_runs: Any, tour: Any) -> None:
    with serve_runs(tour.folder / "genes") as served:
        page.goto(served.address + "#view=genes&gene=gene_00&colour=gene:gene_00")
        page.wait_for_selector("body[data-ready]")
        page.wait_for_selector(".scatter .chosen")
        page.wait_for_selector(".tree rect", state="attached")
        assert page.locator(".tree rect").count() == 9
        assert page.locator("nav button").all_inner_texts() == ["Tree", "Genes", "Findings"]
        page.click("nav button:has-text('Tree')")
        page.click(".tree text:has-text('Nyx b')")
        page.wait_for_selector(".detail h2:has-text('Nyx b')")
        page.context.close()


def test_a_run_of_species_is_a_map_of_species(page: Any, serve_runs: Any, tour: Any) -> None:
    with serve_runs(tour.folder / "kinship") as served:
        page.goto(served.address)
        page.wait_for_selector(".map[data-ready]")
        assert page.inner_text(".status").startswith("9 species")
        page.focus(".map canvas.over")
        page.keyboard.press("Enter")
        page.wait_for_selector(".detail h2.taxon")
        found = "document.querySelectorAll('.detail ul.plain li').length"
        page.wait_for_function(f"() => {found} === 8 + 6")  # alike, and near in the tree
        page.context.close()


def test_several_maps_are_changed_between(page: Any, served: Any) -> None:
    page.goto(served.address)
    page.wait_for_selector(".map[data-ready]")
    page.select_option("#chart", "1")
    page.wait_for_selector(".status:has-text('9 species')")
    assert "chart=1" in page.url
    page.click(".tree text:has-text('Ino c')")
    page.wait_for_selector(".detail h2:has-text('Ino c')")


SLOW_COLUMNS = """
const whole = window.fetch;
window.fetch = async (address, ...rest) => {
  if (String(address).includes("chart/1/column")) await new Promise((go) => setTimeout(go, 1500));
  return whole(address, ...rest);
};
"""


def test_what_is_chosen_while_a_map_comes_stays_chosen(page: Any, served: Any) -> None:
    page.add_init_script(SLOW_COLUMNS)
    page.goto(served.address)
    page.wait_for_selector(".map[data-ready]")
    page.select_option("#chart", "1")
    page.click(".tree text:has-text('Ino c')")
    page.wait_for_selector(".detail h2:has-text('Ino c')")
    page.wait_for_timeout(2_000)
    assert page.inner_text(".detail h2.taxon") == "Ino c"


SLOW_TREE = SLOW_COLUMNS.replace("chart/1/column", "tree.json")


def test_what_is_chosen_while_the_page_comes_is_done_when_it_has_come(
    page: Any, served: Any
) -> None:
    page.add_init_script(SLOW_TREE)
    page.goto(served.address)
    page.wait_for_selector(".map[data-ready]")
    assert page.locator("body[data-ready]").count() == 0
    page.select_option("#chart", "1")
    page.wait_for_selector(".status:has-text('9 species')")
    assert page.locator(".tree text:has-text('Ino c')").count() == 1


SLOW_TILES = SLOW_COLUMNS.replace("chart/1/column", "chart/1/tile")


def test_a_key_waits_for_the_map_that_is_coming(page: Any, served: Any) -> None:
    page.add_init_script(SLOW_TILES)
    page.goto(served.address)
    page.wait_for_selector(".map[data-ready]")
    page.select_option("#chart", "1")
    page.wait_for_selector(".status:has-text('0 of 9 species')")
    page.focus(".map canvas.over")
    page.keyboard.press("Enter")
    page.wait_for_selector(".detail h2.taxon")


def test_runs_of_two_datasets_share_a_page(
    page: Any, serve_runs: Any, tour: Any, cells: Path
) -> None:
    with serve_runs(tour.folder, cells) as served:
        page.goto(served.address)
        page.wait_for_selector("body[data-ready]")
        page.wait_for_selector(".tree text:has-text('Ino a')")
        assert page.locator("#chart option").all_inner_texts() == [
            "54 pictures", "12 pictures", "9 species",
        ]  # fmt: skip
        page.select_option("#chart", "1")
        page.wait_for_selector(".status:has-text('12 pictures')")
        page.wait_for_selector(".phylogeny", state="detached")
        page.focus(".map canvas.over")
        page.keyboard.press("Enter")
        page.wait_for_selector(".channels")
        assert page.locator(".channels input").count() == 4
        page.select_option("#chart", "0")
        page.wait_for_selector(".phylogeny")
        assert page.locator(".channels").count() == 0
        page.context.close()


def test_a_label_shows_where_the_network_looks(
    page: Any, exhibit_of: Any, run_server: Any, cells: Path
) -> None:
    asked = []

    def looks(image: str, label: str) -> np.ndarray:
        asked.append((image, label))
        loss = np.zeros((4, 4))
        loss[0, 0], loss[3, 3] = 0.5, -0.25
        return loss

    exhibit = exhibit_of(cells)
    with run_server(exhibit, Answerers(attention=looks), PictureDecoder()) as port:
        page.goto(f"http://127.0.0.1:{port}/#thing=2")
        page.wait_for_selector("body[data-ready]")
        page.click(".labels button:has-text('Cytosol')")
        page.wait_for_selector(".portrait .heat")
        page.wait_for_function("() => document.querySelector('.heat').naturalWidth === 4")
        heat = page.evaluate(
            """() => {
              const canvas = document.createElement('canvas');
              canvas.width = canvas.height = 4;
              const context = canvas.getContext('2d');
              context.drawImage(document.querySelector('.heat'), 0, 0);
              return [...context.getImageData(0, 0, 4, 4).data];
            }"""
        )
        assert heat[3] == 200  # the surest square
        assert heat[0] > heat[2]  # orange
        assert heat[-1] == 141  # half as sure, by its root
        assert heat[-4] < heat[-2]  # blue
        assert sum(heat[4:-4]) == 0
        assert asked == [(exhibit.charts[0].ids[2], "Cytosol")]
        assert "Cytosol" in page.inner_text(".labels + p")
        page.context.close()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"chart": 0, "row": -1, "label": "x"}',
        b'{"chart": 0, "row": 99999, "label": "x"}',
        b'{"chart": true, "row": 0, "label": "x"}',
        b'{"chart": 0, "row": 0, "label": 7}',
        b'{"chart": 0, "row": "../../etc/passwd", "label": "x"}',
        b"[" * 100_000,
        b"\xff",
    ],
)
def test_odd_questions_about_attention_are_refused(exhibit: Any, content: bytes) -> None:
    with pytest.raises(UploadError, match="no such picture"):
        labelled_picture(content, exhibit)
