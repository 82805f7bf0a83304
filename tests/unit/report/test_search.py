"""The chart of searches shows what it is given."""

from __future__ import annotations

import numpy as np
import pandas as pd

from kinlens.report.search import searches_both_ways


def test_both_kinds_of_search_and_all_groups_are_drawn() -> None:
    precision = pd.DataFrame(
        {
            "group": ["none", "one"] * 2,
            "kind": ["true"] * 2 + ["permuted"] * 2,
            "value": [0.5, 0.9, 0.1, np.nan],
            "low": [0.4, 0.8, 0.0, np.nan],
            "high": [0.6, 1.0, 0.2, np.nan],
            "chance": [0.1, 0.2] * 2,
        }
    )
    curves = {"true": np.linspace(0.3, 1, 30), "permuted": np.linspace(0.03, 1, 30)}
    figure = searches_both_ways(
        curves, precision, name="s", title="S", caption="c", curve_title="Left",
        precision_title="Right",
    )  # fmt: skip
    for words in ("true", "permuted", "chance", "none", "one", "Left", "Right", ">20<"):
        assert words in figure.svg
    assert figure.png.startswith(b"\x89PNG")
