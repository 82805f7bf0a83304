from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from kinlens.records.result import FigureRecord, Headline, StudyResult, metric_row, metrics_frame
from kinlens.report.figure import finish, themed_figure
from kinlens.report.page import render_page

EVIL = "<script>alert('x')</script>"
VOID = {"meta", "img", "br", "hr", "link", "input", "col"}


def clipped() -> FigureRecord:
    """A figure whose vectors refer to definitions inside it."""
    with themed_figure(3, 2) as figure:
        axis = figure.subplots()
        axis.scatter([0, 1, 2], [1, 0, 1], label="a")
        axis.plot([0, 2], [0, 2])
        axis.legend()
        return finish(figure, name="map", title=f"Map {EVIL}", caption=f'of "{EVIL}"')


@pytest.fixture(scope="module")
def result() -> StudyResult:
    rows = [
        metric_row("taxa", target=EVIL, model="lda", metric="mcc", value=0.123456, low=float("nan"))
    ]
    return StudyResult(
        study="taxa",
        title=f"Taxa {EVIL}",
        headlines=(Headline(f"Right {EVIL}", "good"),),
        metrics=metrics_frame(rows),
        methods=f"A *forest* of `trees`, {EVIL}.\n\nSecond 5 * 4 = 20.",
        tables={
            "neighbours": pd.DataFrame({"image": ["a.jpg", EVIL], "rate": [1e-9, np.nan]}),
            "long": pd.DataFrame({"row": range(900)}),
        },
        table_captions={"neighbours": EVIL},
        figures=(clipped(), FigureRecord("many", "Many", "points", b"\x89PNG")),
        thumbnails={"a.jpg": b"\xff\xd8jpeg"},
    )


@pytest.fixture(scope="module")
def page(result: StudyResult) -> str:
    record = {
        "study": "taxa", "seed": 3, "seconds": 61.2, "ended": "2026-01-02T03:04:05.000+00:00",
        "peak_memory_mb": 512.0, "skipped": 2,
    }  # fmt: skip
    return render_page([result, result], title=f"Page {EVIL}", provenance=[record, record])


def test_titles_that_ask_keep_their_question_mark(result: StudyResult) -> None:
    asking = FigureRecord("asking", "Is it near?", "Yes.", b"\x89PNG")
    page = render_page([replace(result, figures=(asking, *result.figures))], title="Page")
    assert "<b>Is it near?</b> Yes." in page
    assert "<b>Many.</b>" in page


class Reader(HTMLParser):
    """Collects identifiers, references and what is left open."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.references: list[str] = []
        self.loaded: list[str] = []
        self.open: list[str] = []
        self.scripts = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("src", "data", "action"):
                self.loaded.append(value or "")
            if name in ("href", "xlink:href"):
                self.references.append(value or "")
            self.references += re.findall(r"url\((#[^)]*)\)", value or "")
        self.scripts += tag == "script"
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    return reader


def test_the_page_is_whole(page: str) -> None:
    assert read(page).open == []
    assert page.startswith("<!doctype html>")


def test_identifiers_are_unique_and_found(page: str) -> None:
    reader = read(page)
    assert len(reader.ids) == len(set(reader.ids)) > 4
    assert "study-2-map" in reader.ids
    inside = {reference[1:] for reference in reader.references if reference.startswith("#")}
    assert len(inside) > 3
    assert inside <= set(reader.ids)


def test_the_page_needs_nothing_from_outside(page: str) -> None:
    reader = read(page)
    assert all(link.startswith("data:") for link in reader.loaded)
    assert all(link.startswith(("#", "data:")) for link in reader.references)
    assert "@import" not in page
    assert re.findall(r"url\(\s*['\"]?(?!#|data:)", page) == []
    assert "default-src 'none'" in page


def test_names_cannot_run(page: str) -> None:
    assert read(page).scripts == 1
    assert EVIL not in page
    assert page.count("&lt;script&gt;") >= 10


def test_figures_have_words_for_those_who_cannot_see_them(page: str) -> None:
    svg = re.search(r"<svg .*?</svg>", page, re.S)
    assert svg is not None
    root = ElementTree.fromstring(svg[0])
    assert root.get("role") == "img"
    assert root.get("aria-label") == f'Map {EVIL}. of "{EVIL}"'


def test_tables_are_shortened_aloud_and_sort_by_value(page: str) -> None:
    assert "long (900 rows)" in page
    assert "The first 400 rows are shown" in page
    assert 'data-sort="1e-09">1.00e-09<' in page
    assert 'data-sort="0.123456">0.1235<' in page
    assert "data:image/jpeg;base64," in page


def test_methods_keep_their_emphasis(page: str) -> None:
    assert "A <em>forest</em> of <code>trees</code>" in page
    assert "<p>Second 5 * 4 = 20.</p>" in page


def test_the_foot_says_how_it_was_made(page: str) -> None:
    foot = page[page.index("<footer") :]
    for words in ("seed 3", "61 s", "512 MB", "2 records skipped"):
        assert words in foot
    assert "02 January 2026, 03:04 UTC" in page


def test_the_same_results_give_the_same_page(result: StudyResult) -> None:
    assert render_page([result], title="t") == render_page([replace(result)], title="t")
