"""Drawing trees: where nodes stand, how clades turn, and that every figure comes out."""

from __future__ import annotations

import numpy as np
import pytest

from kinlens.records.tree import Tree
from kinlens.report.trees import (
    heatmap_pair,
    phylomorphospace,
    tanglegram,
    tip_heights,
    tree_with_pictures,
    tree_with_values,
)
from kinlens.simulate.trees import yule_tree

WORDS = {"name": "figure", "title": "A title", "caption": "A caption."}


@pytest.fixture
def tree() -> Tree:
    """((a, b), c, (d, e, f)) with a branch of length 0."""
    names = ["", "", "a", "b", "c", "", "d", "e", "f"]
    return Tree.from_parents([-1, 0, 1, 1, 0, 0, 5, 5, 5], [0, 1, 1, 0, 2, 1, 1, 1, 1], names)


def test_parents_stand_amid_their_children(tree: Tree) -> None:
    assert tip_heights(tree).tolist() == [2.25, 0.5, 0, 1, 2, 4, 3, 4, 5]


def test_figures_show_every_tip(tree: Tree) -> None:
    picture = np.full((8, 8, 3), 200, dtype=np.uint8)
    drawn = tree_with_pictures(tree, {"a": picture}, labels={"b": "bee"}, **WORDS)
    assert "bee" in drawn.svg
    assert drawn.png.startswith(b"\x89PNG")
    facing = tanglegram(tree, tree, left_title="one", right_title="other", marked=["a"], **WORDS)
    assert facing.svg.count(">f<") == 2


def test_space_and_heatmaps_name_their_groups(tree: Tree) -> None:
    groups = ["left", "left", "middle", "right", "right", "right"]
    points = np.random.default_rng(1).standard_normal((9, 2))
    space = phylomorphospace(tree, points, groups, axis_labels=("one", "two"), **WORDS)
    assert "right (3)" in space.svg
    both = heatmap_pair(
        np.eye(6), np.ones((6, 6)), groups, left_title="l", right_title="r", **WORDS
    )
    assert both.svg.count(">middle<") == 3  # below both, and left of one


def test_bars_stand_at_tips_and_runs_of_a_group_are_named_where_tips_are_not() -> None:
    whole = yule_tree(80, np.random.default_rng(0))
    names = list(whole.tip_names)
    groups = {name: "Longus" if place < 30 else f"G{place}" for place, name in enumerate(names)}

    def drawn(tree: Tree, values: dict[str, float]) -> str:
        return tree_with_values(tree, values, groups=groups, value_label="gain", **WORDS).svg

    svg = drawn(whole, {names[0]: 0.5, "nobody": 1.0})
    assert svg.count("Longus") == 1
    assert "G50" not in svg
    assert names[0].replace("_", " ") not in svg
    few = drawn(whole.prune(names[:20]), {names[0]: -0.5})
    assert names[0].replace("_", " ") in few
    assert "Longus" not in few
