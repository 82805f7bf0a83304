"""The explorer's page in a browser, from loading it to taking a view home."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import pytest
from PIL import Image

MAP = ".map canvas.over"
READY = ".map[data-ready]"


def open_page(page: Any, served: Any, where: str = "") -> None:
    page.goto(served.address + where)
    page.wait_for_selector("body[data-ready]")


def place_of(page: Any, served: Any, row: int) -> tuple[float, float]:
    """Return where on the map's canvas a thing is drawn while everything is in sight."""
    box = page.locator(MAP).bounding_box()
    side = min(box["width"], box["height"])
    x, y = map(float, served.exhibit.charts[0].places[row])
    return (x - 0.5) * side + box["width"] / 2, (y - 0.5) * side + box["height"] / 2


def colours_of(page: Any) -> int:
    """Count the different colours on the points' canvas."""
    png = page.locator(".map canvas.points").screenshot()
    with Image.open(io.BytesIO(png)) as picture:
        return len(picture.convert("RGB").getcolors(maxcolors=1 << 20))


def download(page: Any, offer: str) -> bytes:
    page.click("#export")
    with page.expect_download() as waiting:
        page.click(f"[data-export='{offer}']")
    return Path(waiting.value.path()).read_bytes()


@pytest.mark.parametrize("painter", ["webgl2", "canvas2d"])
def test_points_are_drawn_with_and_without_webgl(page: Any, served: Any, painter: str) -> None:
    open_page(page, served, f"?painter={painter}")
    page.wait_for_selector(READY)
    assert page.get_attribute(".map canvas.points", "data-painter") == painter
    assert page.inner_text(".status").startswith("54 pictures")
    assert page.get_attribute(".map", "data-drawn") == "54"
    assert colours_of(page) > 3


def test_a_choice_of_colour_is_in_the_legend_and_in_the_address(page: Any, served: Any) -> None:
    open_page(page, served)
    page.select_option("#colour", "species")
    page.wait_for_function("() => document.querySelectorAll('.legend button').length === 9")
    assert "colour=species" in page.url
    assert "Ino a" in page.inner_text(".legend")
    page.select_option("#colour", "span_mm")
    page.wait_for_selector(".legend .ramp")
    page.select_option("#colour", "answer")
    page.wait_for_selector(".legend button:has-text('not tested')")
    page.go_back()
    page.wait_for_selector(".legend .ramp")


def test_distance_to_a_species_colours_map_and_tree(page: Any, served: Any) -> None:
    open_page(page, served, "#colour=related:Ino_a")
    page.wait_for_selector(".legend .ramp")
    assert page.inner_text(".legend .ramp").split() == ["0", "8"]
    fills = page.eval_on_selector_all(
        ".tree rect", "all => all.map(each => each.getAttribute('fill'))"
    )
    assert len(fills) == 9
    assert len(set(fills)) == 4  # itself, its sister, its genus, everything else


def test_a_picture_is_told_about_when_pressed(page: Any, served: Any) -> None:
    open_page(page, served)
    page.wait_for_selector(READY)
    x, y = place_of(page, served, 20)
    page.locator(MAP).click(position={"x": x, "y": y})
    page.wait_for_selector(".detail .thumbs")
    assert "thing=" in page.url
    row = int(page.url.split("thing=")[1].split("&")[0])
    species = served.exhibit.charts[0].column("species").words(row)
    assert page.inner_text(".detail h2") == species.replace("_", " ")
    assert page.locator(".detail .thumb").count() == 12
    page.locator(".detail .thumb").first.click()
    page.wait_for_function(
        f"() => !location.hash.includes('thing={row}&') && !location.hash.endsWith('thing={row}')"
    )
    page.wait_for_function("() => document.querySelector('.portrait img').naturalWidth === 64")


def test_a_lasso_selects_what_it_goes_around(page: Any, served: Any) -> None:
    open_page(page, served)
    page.wait_for_selector(READY)
    page.click("[aria-label^='Lasso']")
    box = page.locator(MAP).bounding_box()
    corners = [(2, 2), (box["width"] - 2, 2), (box["width"] - 2, box["height"] - 2)]
    corners.append((2, box["height"] - 2))
    page.mouse.move(box["x"] + 2, box["y"] + 2)
    page.mouse.down()
    for x, y in corners:
        page.mouse.move(box["x"] + x, box["y"] + y, steps=4)
    page.mouse.up()
    page.wait_for_selector(".detail h2:has-text('54 pictures')")
    assert "lasso=" in page.url
    address = page.url
    page.keyboard.press("Escape")
    page.wait_for_selector(".detail .headlines")
    page.goto("about:blank")
    page.goto(address)
    page.wait_for_selector(".detail h2:has-text('54 pictures')")


def test_a_clade_of_the_tree_is_selected_on_the_map(page: Any, served: Any) -> None:
    open_page(page, served)
    page.wait_for_selector(".phylogeny[data-ready]")
    page.click(".tree text:has-text('Eos a')")
    page.wait_for_selector(".detail h2:has-text('Eos a')")
    assert page.inner_text(".detail .soft") == "6 pictures"
    before = colours_of(page)
    page.keyboard.press("ArrowLeft")
    page.goto(served.address + "#species=Eos_a,Eos_b,Eos_c")
    page.wait_for_selector(".detail h2:has-text('Clade of 3 species')")
    assert page.locator(".tree .branch.chosen").count() == 1
    assert page.locator(".bars li:has-text('Eos b')").count() == 1
    assert before > 3


def test_a_press_on_the_tree_counts_though_it_is_drawn_anew_meanwhile(
    page: Any, served: Any
) -> None:
    open_page(page, served)
    page.wait_for_selector(".phylogeny[data-ready]")
    box = page.locator(".tree text:has-text('Eos a')").bounding_box()
    page.mouse.move(box["x"] + 4, box["y"] + 4)
    page.mouse.down()
    page.evaluate(
        """() => {
            document.querySelector('.phylogeny .scroller').dispatchEvent(new Event('scroll'));
            return new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
        }"""
    )
    page.mouse.up()
    page.wait_for_selector(".detail h2:has-text('Eos a')")


def test_an_uploaded_picture_is_answered_for(page: Any, served: Any) -> None:
    open_page(page, served)
    page.wait_for_selector(".phylogeny[data-ready]")
    picture = served.tour.dataset / "images" / "Nyx_c_1.jpg"
    page.set_input_files("#ask-file", picture)
    page.wait_for_selector(".answer .ranks")
    answer = page.inner_text(".answer")
    assert "Nyx c" in page.inner_text(".answer .ranks")
    assert "secret" not in page.content()
    assert "EXPECTED RELATIVES" in answer.upper()
    assert page.locator(".answer .thumb").count() == 12
    assert page.locator(".tree .newcomer").count() == 1
    assert page.inner_text(".answer .thumb small >> nth=0") == "1.00"


def test_a_picture_unlike_all_others_is_doubted(page: Any, served: Any, tmp_path: Path) -> None:
    file = tmp_path / "static.png"
    noise = bytes((i * i * 2654435761 >> 7) % 256 for i in range(96 * 96 * 3))
    Image.frombytes("RGB", (96, 96), noise).save(file)
    open_page(page, served)
    page.set_input_files("#ask-file", file)
    page.wait_for_selector(".answer .strange")
    assert "Unlike anything here" in page.inner_text(".answer .strange")


def test_what_is_no_picture_is_refused_in_words(page: Any, served: Any, tmp_path: Path) -> None:
    file = tmp_path / "page.jpg"
    file.write_text("<html><script>alert(1)</script></html>")
    open_page(page, served)
    page.set_input_files("#ask-file", file)
    page.wait_for_selector(".answer .refusal")
    assert "picture" in page.inner_text(".refusal")
    assert str(tmp_path) not in page.inner_text(".refusal")


def test_a_pasted_sequence_is_answered_for(page: Any, served: Any) -> None:
    open_page(page, served)
    page.fill("#ask-sequence", ">query\nACGTACGT")
    page.click(".sequence .action")
    page.wait_for_selector(".hits tbody tr")
    assert page.locator(".hits tbody tr").count() == 3
    assert "Eos b" in page.inner_text(".hits tbody tr >> nth=0")
    assert page.locator(".answer .thumb").count() == 12
    page.click(".hits button.taxon >> nth=0")
    page.wait_for_selector(".detail h2:has-text('Eos b')")


def test_a_gene_is_painted_on_tree_and_map(page: Any, served: Any) -> None:
    open_page(page, served)
    page.click("nav button:has-text('Genes')")
    page.wait_for_selector(".scatter .dots.loud", state="attached")
    page.click(".genes table button:has-text('gene_00')")
    page.wait_for_selector(".scatter .chosen")
    assert "gene=gene_00" in page.url
    fills = "[...document.querySelectorAll('.tree rect')].map(each => each.getAttribute('fill'))"
    page.wait_for_function(f"() => new Set({fills}).size === 2")
    page.click("nav button:has-text('Map')")
    page.wait_for_selector(".legend button:has-text('present')")
    assert "18" in page.inner_text(".legend button:has-text('present')")


def test_rare_species_lead_to_their_pictures(page: Any, served: Any) -> None:
    open_page(page, served, "#view=species")
    page.wait_for_selector(".species tbody tr")
    assert page.locator(".species tbody tr").count() == 9
    assert "Ino a" in page.inner_text(".species tbody tr >> nth=0")
    assert page.locator(".species .scatter .dots.loud").count() == 1
    page.click(".species th button:has-text('training')")
    page.wait_for_selector(".species tbody tr:first-child:has-text('Nyx c')")
    page.click(".species button.taxon:has-text('Nyx b')")
    page.wait_for_selector(".detail h2:has-text('Nyx b')")


def test_the_tree_of_looks_stands_opposite(page: Any, served: Any) -> None:
    open_page(page, served)
    page.click("[aria-label^='Tree of looks']")
    page.wait_for_selector(".tree .tie", state="attached")
    assert page.locator(".tree .tie").count() == 9
    assert "tangle=1" in page.url


def test_findings_of_all_runs_are_on_one_page(page: Any, served: Any) -> None:
    open_page(page, served, "#view=findings")
    page.wait_for_selector(".findings article >> nth=3")
    text = page.inner_text(".findings")
    assert "Moths are told apart by <b>colour</b> & shape." in text
    assert "One gene of 40" in text
    assert "True: nine moths. Found: nine." in text


@pytest.mark.parametrize("offer", ["map.png", "map.svg", "map.csv", "tree.svg", "tree.png"])
def test_views_are_taken_home(page: Any, served: Any, offer: str) -> None:
    open_page(page, served, "#colour=species")
    page.wait_for_selector(READY)
    page.wait_for_selector(".phylogeny[data-ready]")
    content = download(page, offer)
    if offer.endswith("png"):
        with Image.open(io.BytesIO(content)) as picture:
            assert picture.width > 300
            assert len(picture.convert("RGB").getcolors(maxcolors=1 << 20)) > 3
    elif offer.endswith("svg"):
        assert content.startswith(b"<svg")
        assert b"Ino a" in content
    else:
        rows = list(csv.DictReader(io.StringIO(content.decode())))
        assert len(rows) == 54
        assert {"image", "x", "y", "species", "answer"} <= rows[0].keys()


def test_a_selection_alone_is_exported(page: Any, served: Any) -> None:
    open_page(page, served, "#species=Ino_a")
    page.wait_for_selector(READY)
    rows = list(csv.DictReader(io.StringIO(download(page, "map.csv").decode())))
    assert {row["species"] for row in rows} == {"Ino_a"}
    assert len(rows) == 6


def test_everything_can_be_done_from_the_keyboard(page: Any, served: Any) -> None:
    open_page(page, served)
    page.wait_for_selector(READY)
    page.focus(MAP)
    page.keyboard.press("+")
    page.wait_for_function("() => location.hash.includes('at=')")
    page.keyboard.press("0")
    page.keyboard.press("Enter")
    page.wait_for_selector(".portrait")
    first = page.url
    page.keyboard.press("n")
    page.wait_for_function(f"() => location.href !== {first!r}")
    page.keyboard.press("b")
    page.wait_for_selector(".detail h2:has-text('pictures')")
    page.keyboard.press("Escape")
    page.focus(".scroller")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_selector(".detail h2:has-text('Ino b')")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    page.wait_for_selector(".detail h2:has-text('Clade of 2 species')")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.className") == "drop"
    page.focus("nav button:has-text('Genes')")
    page.keyboard.press("Enter")
    page.wait_for_selector(".scatter")


def test_dark_paper_is_dark(page: Any, served: Any) -> None:
    open_page(page, served, "#theme=dark")
    page.wait_for_selector(READY)
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(21, 24, 27)"
    with Image.open(io.BytesIO(page.locator(".map canvas.points").screenshot())) as picture:
        assert max(picture.convert("RGB").getpixel((2, 2))) < 40
    page.click("#theme")
    page.wait_for_function("() => document.documentElement.dataset.theme === 'auto'")
    page.emulate_media(color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(21, 24, 27)"


def test_no_request_leaves_this_machine(page: Any, served: Any) -> None:
    open_page(page, served)
    page.wait_for_selector(READY)
    page.click("nav button:has-text('Genes')")
    page.click("nav button:has-text('Findings')")
    page.click("nav button:has-text('Map')")
    page.set_input_files("#ask-file", served.tour.dataset / "images" / "Ino_c_1.jpg")
    page.wait_for_selector(".answer .ranks")
    elsewhere = [
        url
        for url in page.asked
        if urlparse(url).scheme not in ("data", "blob") and not url.startswith(served.address)
    ]
    assert elsewhere == []
    assert len(page.asked) > 10
