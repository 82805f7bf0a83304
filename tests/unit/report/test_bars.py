"""Bars and small matrices: what is drawn is what came in."""

from __future__ import annotations

import numpy as np
import pandas as pd

from kinlens.report.bars import grouped_bars, labelled_heatmap

WORDS = {"name": "bars", "title": "Bars", "caption": "Two models.", "value_label": "F1"}


def table(**more):
    rows = [
        {"panel": panel, "group": group, "series": series, "value": 0.5, "low": 0.4, "high": 0.6}
        for panel in ("nucleus", "cytoplasm")
        for group in ("first label", "second label")
        for series in ("flat", "joint")
    ]
    return pd.DataFrame(rows).assign(**more)


def test_every_panel_group_and_series_is_named():
    figure = grouped_bars(table(), {"flat": "#0072B2", "joint": "#009E73"}, **WORDS)
    for word in ("nucleus", "cytoplasm", "first label", "second label", "flat", "joint", "F1"):
        assert word in figure.svg
    assert figure.png.startswith(b"\x89PNG")


def test_a_series_that_did_not_run_has_no_place_and_faint_bars_are_pale():
    colours = {"flat": "#0072B2", "routed": "#C8102E", "joint": "#009E73"}
    strong = grouped_bars(table(), colours, **WORDS).svg
    pale = grouped_bars(table(faint=1), colours, **WORDS).svg
    assert "#c8102e" not in strong.lower()
    assert pale.count("opacity: 0.35") == 8
    assert "opacity: 0.35" not in strong


def test_the_same_figure_gives_the_same_bytes():
    first, second = (grouped_bars(table(), {"flat": "#0072B2"}, **WORDS) for _ in range(2))
    assert first == second


def test_a_matrix_shows_its_numbers_where_there_is_room_and_leaves_gaps_blank():
    matrix = np.array([[0.25, np.nan], [0.5, 0.75]])
    small = labelled_heatmap(matrix, ["x", "y"], ["red", "green"], **WORDS)
    assert "0.25" in small.svg
    assert "nan" not in small.svg.lower()
    wide = labelled_heatmap(np.full((2, 9), 0.123), ["x", "y"], list("abcdefghi"), **WORDS)
    assert "0.12<" not in wide.svg
