"""Charts of genes are drawn for many and for few, with gaps and unknown tips."""

from __future__ import annotations

import numpy as np
import pytest

from kinlens.report.genes import (
    Resampling,
    painted_tree,
    resampled_scores,
    score_heatmap,
    volcano,
)
from kinlens.simulate.trees import yule_tree

WORDS = {"name": "chart", "title": "A chart", "caption": "What is shown."}


def test_a_volcano_names_genes(rng: np.random.Generator) -> None:
    p = rng.random(50)
    figure = volcano(
        rng.normal(size=50), p, rng.random(50), p < 0.1, labels={0: "MC1R"}, value_label="MCC",
        **WORDS,
    )  # fmt: skip
    assert "MC1R" in figure.svg
    assert figure.png[:4] == b"\x89PNG"


def test_distributions_and_heat_maps_are_drawn(rng: np.random.Generator) -> None:
    one = Resampling(rng.normal(0.1, 0.1, 200), rng.normal(0, 0.05, 20), 0.4)
    assert resampled_scores({"ASIP": one}, value_label="MCC", **WORDS).svg.count("ASIP") == 1
    scores = np.array([[0.31, np.nan], [-0.2, 0.0]])
    drawn = score_heatmap(scores, ["a", "b"], ["svm", "random_forest"], value_label="MCC", **WORDS)
    assert "0.31" in drawn.svg
    assert "random forest" in drawn.svg


@pytest.mark.parametrize("n", [12, 150])
def test_a_gene_is_painted_on_the_tree(n: int, rng: np.random.Generator) -> None:
    tree = yule_tree(n, rng)
    presence = rng.integers(0, 2, n)
    presence[0] = 255
    score = rng.normal(size=n)
    score[1] = np.nan
    pictures = {tree.tip_names[0]: np.zeros((8, 8, 3), np.uint8)}
    figure = painted_tree(tree, presence, score, pictures=pictures, value_label="score", **WORDS)
    shown = tree.tip_names[3].replace("_", " ")
    assert (shown in figure.svg) == (n == 12)
