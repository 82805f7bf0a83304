"""Fewest changes: by hand, against brute force over all ancestors, with gaps and polytomies."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from kinlens.errors import UsageError
from kinlens.geometry.parsimony import fewest_changes
from kinlens.records.tree import Tree
from kinlens.simulate.trees import balanced_tree, ladder_tree, yule_tree


def by_brute_force(tree: Tree, tips: np.ndarray) -> int:
    """Try every assignment of states to internal nodes and to unknown tips."""
    known = dict(zip(tree.tips.tolist(), tips.tolist(), strict=True))
    free = [node for node in range(tree.n_nodes) if known.get(node, 2) not in (0, 1)]
    best = tree.n_nodes
    for states in product((0, 1), repeat=len(free)):
        state = {**known, **dict(zip(free, states, strict=True))}
        best = min(best, sum(state[i] != state[int(tree.parent[i])] for i in range(1, len(state))))
    return best


@pytest.mark.parametrize("seed", range(6))
def test_it_is_the_least_over_all_ancestors(seed: int) -> None:
    rng = np.random.default_rng(seed)
    tree = yule_tree(6, rng)
    genes = rng.choice([0, 1, 255], p=[0.45, 0.45, 0.1], size=(6, 12)).astype(np.uint8)
    expected = [by_brute_force(tree, genes[:, j]) for j in range(12)]
    assert fewest_changes(tree, genes).tolist() == expected


def test_polytomies_are_taken_as_they_are(rng: np.random.Generator) -> None:
    star = Tree.from_parents([-1] + [0] * 6 + [1, 1], None, ["", "", *"abcdefg"])
    genes = rng.integers(0, 2, size=(star.n_tips, 20)).astype(np.uint8)
    expected = [by_brute_force(star, genes[:, j]) for j in range(20)]
    assert fewest_changes(star, genes).tolist() == expected


def test_known_counts() -> None:
    tree = balanced_tree(8)
    alternating = np.tile([0, 1], 4)
    halves = np.repeat([0, 1], 4)
    unknown = np.full(8, 255)
    genes = np.stack([alternating, halves, np.zeros(8), unknown], axis=1).astype(np.uint8)
    assert fewest_changes(tree, genes).tolist() == [4, 1, 0, 0]


def test_depth_is_no_limit_and_a_gene_and_its_complement_cost_the_same(
    rng: np.random.Generator,
) -> None:
    tree = ladder_tree(3000)
    genes = rng.integers(0, 2, size=(3000, 3)).astype(np.uint8)
    np.testing.assert_array_equal(fewest_changes(tree, genes), fewest_changes(tree, 1 - genes))


def test_a_wrong_number_of_rows_is_refused() -> None:
    with pytest.raises(UsageError, match="one row a tip"):
        fewest_changes(balanced_tree(4), np.zeros((3, 1), dtype=np.uint8))
