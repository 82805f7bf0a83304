from __future__ import annotations

import io
import re

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from kinlens.records.result import FigureRecord
from kinlens.report.figure import INK, finish, themed_figure
from kinlens.report.pictures import Tile, picture_rows
from kinlens.report.plots import (
    accuracy_by_group,
    coloured_scatter,
    confusion_matrix,
    dots_with_intervals,
    reliability_curve,
    share_answered,
    square_heatmap,
)

WORDS = {"name": "figure", "title": "A figure", "caption": "n = 3"}


def a_line(name: str = "line") -> FigureRecord:
    with themed_figure() as figure:
        axis = figure.subplots()
        axis.plot([0, 1], [0, 1], color=INK)
        axis.set_xlabel("a < b & c")
        return finish(figure, name=name, title="Line", caption="n = 2")


def every_chart() -> dict[str, FigureRecord]:
    rng = np.random.default_rng(2)
    scores = pd.DataFrame(
        {
            "target": ["species", "species", "genus"],
            "model": ["lda", "majority", "lda"],
            "value": [0.6, 0.1, 0.9],
            "low": [0.5, 0.05, 0.8],
            "high": [0.7, 0.2, np.nan],
            "null_mean": [0.1, 0.1, np.nan],
            "selected": [1, 0, 1],
        }
    )
    groups = pd.DataFrame(
        {"shots": ["1", "2"], "value": [0.2, 0.7], "low": [0.1, 0.6], "high": [0.3, 0.8], "n": 5}
    )
    half = np.array([0.2, np.nan, 0.9])
    tile = Tile(rng.integers(0, 255, size=(8, 9, 3), dtype=np.uint8), ("Ino ino",), "query")
    counts = np.array([[3, 1, 0], [0, 0, 0], [1, 0, 4]])
    return {
        "dots": dots_with_intervals(scores, value_label="share", **WORDS),
        "scatter": coloured_scatter(rng.normal(size=(9, 2)), ["a"] * 5 + ["b"] * 3 + [""], **WORDS),
        "heatmap": square_heatmap(
            np.array([[1.0, np.nan], [0.5, 1.0]]), ["a", "b"], value_label="cosine", **WORDS
        ),
        "confusion": confusion_matrix(counts, ["x", "x", "y"], labels=["p", "q", "r"], **WORDS),
        "reliability": reliability_curve({"lda": (half, half, np.array([2.0, 0.0, 5.0]))}, **WORDS),
        "shares": share_answered({"species": 0.7, "genus": 0.28, "no answer": 0.02}, **WORDS),
        "groups": accuracy_by_group(groups, group="shots", **WORDS),
        "pictures": picture_rows([[tile, tile], [tile]], **WORDS),
    }


@pytest.fixture(scope="module")
def charts() -> dict[str, FigureRecord]:
    return every_chart()


def test_the_same_figure_gives_the_same_bytes(charts: dict[str, FigureRecord]) -> None:
    for kind, again in every_chart().items():
        assert again == charts[kind], kind


def test_every_chart_is_a_picture_and_vectors(charts: dict[str, FigureRecord]) -> None:
    for kind, figure in charts.items():
        picture = Image.open(io.BytesIO(figure.png))
        assert min(picture.size) > 150, kind
        assert len(np.unique(np.asarray(picture.convert("L")))) > 10, kind
        assert figure.svg.startswith("<svg "), kind
        assert (figure.name, figure.title, figure.caption) == tuple(WORDS.values())


def test_the_vectors_take_the_colour_of_the_page(charts: dict[str, FigureRecord]) -> None:
    line = a_line().svg
    assert "currentColor" in line
    assert INK not in line
    opening = line.split(">", 1)[0]
    assert " width=" not in opening
    assert "viewBox=" in opening
    for kind, figure in charts.items():
        assert INK not in figure.svg, kind


def test_vectors_refer_to_nothing_outside(charts: dict[str, FigureRecord]) -> None:
    for kind, figure in charts.items():
        links = re.findall(r'(?:href|src)="([^"]*)"', figure.svg)
        assert all(link.startswith(("#", "data:")) for link in links), kind


def test_words_are_escaped_and_stay_words() -> None:
    assert "a &lt; b &amp; c" in a_line().svg


def test_drawing_changes_nothing_global() -> None:
    before = dict(mpl.rcParams)
    a_line()
    assert dict(mpl.rcParams) == before


def test_shares_and_counts_stand_in_the_charts(charts: dict[str, FigureRecord]) -> None:
    assert "70%" in charts["shares"].svg
    assert "2%" not in charts["shares"].svg.replace("28%", "")  # too narrow for its words
    assert "(n = 5)" in charts["groups"].svg
    assert "a (5)" in charts["scatter"].svg
    assert "others" in charts["scatter"].svg
