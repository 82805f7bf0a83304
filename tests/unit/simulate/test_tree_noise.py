"""Trees spoiled on purpose: as much as asked, and nothing else."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from kinlens.errors import InputError, UsageError
from kinlens.records.tree import Tree
from kinlens.simulate.tree_noise import (
    with_branch_noise,
    with_neighbour_interchanges,
    with_regrafts,
)
from kinlens.simulate.trees import birth_death_tree


def clades(tree: Tree) -> set[frozenset[str]]:
    return {frozenset(tree.tips_below(i)) for i in range(tree.n_nodes)}


def test_branch_noise_has_mean_one_and_the_spread_asked_for(rng: np.random.Generator) -> None:
    tree = birth_death_tree(5_000, rng)
    noisy = with_branch_noise(tree, rng, spread=0.5)
    ratio = noisy.length[1:] / tree.length[1:]
    assert ratio.mean() == pytest.approx(1, abs=0.03)
    assert np.log(ratio).std() == pytest.approx(0.5, abs=0.02)
    assert noisy.names == tree.names
    with pytest.raises(UsageError, match="spread"):
        with_branch_noise(tree, rng, spread=-1)


@pytest.mark.parametrize("move", [with_neighbour_interchanges, with_regrafts])
def test_moves_keep_tips_and_times(move: Callable[..., Tree], rng: np.random.Generator) -> None:
    tree = birth_death_tree(60, rng)
    moved = move(tree, rng, n_moves=30)
    assert sorted(moved.tip_names) == sorted(tree.tip_names)
    assert moved.is_binary
    assert moved.is_ultrametric()
    assert moved.height == pytest.approx(tree.height)
    assert moved.length[1:].min() >= 0
    assert clades(moved) != clades(tree)
    assert clades(move(tree, rng, n_moves=0)) == clades(tree)


def test_one_interchange_changes_one_clade(rng: np.random.Generator) -> None:
    tree = birth_death_tree(30, rng)
    for _ in range(20):
        moved = with_neighbour_interchanges(tree, rng, n_moves=1)
        assert len(clades(moved) - clades(tree)) == 1
        np.testing.assert_allclose(np.sort(moved.depths()), np.sort(tree.depths()), atol=1e-12)


def test_one_regraft_moves_one_clade(rng: np.random.Generator) -> None:
    tree = birth_death_tree(30, rng)
    kept = []
    for _ in range(20):
        moved = with_regrafts(tree, rng, n_moves=1)
        # Without the clade that moved, both trees are the same.
        kept.append(
            any(
                clades(moved.prune(rest)) == clades(tree.prune(rest))
                for clade in clades(tree)
                if len(rest := sorted(set(tree.tip_names) - clade)) > 1
            )
        )
    assert all(kept)


def test_more_moves_go_farther(rng: np.random.Generator) -> None:
    tree = birth_death_tree(100, rng)
    few, many = (len(clades(with_regrafts(tree, rng, n_moves=n)) - clades(tree)) for n in (2, 50))
    assert few < many


@pytest.mark.parametrize("move", [with_neighbour_interchanges, with_regrafts])
def test_what_cannot_move(move: Callable[..., Tree], rng: np.random.Generator) -> None:
    pair = Tree.from_parents([-1, 0, 0], [0, 1, 1], ["", "a", "b"])
    with pytest.raises(InputError, match=r"no .* is possible on this tree"):
        move(pair, rng, n_moves=1)
    with pytest.raises(UsageError, match="n_moves"):
        move(pair, rng, n_moves=-1)


def test_a_topology_stays_one(rng: np.random.Generator) -> None:
    tree = birth_death_tree(20, rng)
    topology = Tree(tree.parent, tree.length, tree.names, has_lengths=False)
    assert not with_neighbour_interchanges(topology, rng, n_moves=3).has_lengths
    assert not with_regrafts(topology, rng, n_moves=3).has_lengths
