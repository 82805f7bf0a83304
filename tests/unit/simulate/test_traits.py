"""Evolved traits against the covariances that the processes promise."""

from __future__ import annotations

import numpy as np
import pytest

from kinlens.errors import UsageError
from kinlens.records.tree import Tree
from kinlens.simulate.traits import Pull, choose_clades, evolve_traits, pull_clades, with_signal
from kinlens.simulate.trees import birth_death_tree
from kinlens.typing import FloatArray

# Independent traits serve as repetitions; 4 standard errors of a covariance of about 1.
REPEATS = 20_000
TOLERANCE = 4 * np.sqrt(2 / REPEATS)


def shared_path(tree: Tree) -> FloatArray:
    """The path from the root that two tips share, by climbing from each tip; (n, n)."""
    depth = tree.depths()
    lines = []
    for tip in tree.tips.tolist():
        line = [tip]
        while tree.parent[line[-1]] >= 0:
            line.append(int(tree.parent[line[-1]]))
        lines.append(set(line))
    return np.array([[max(depth[node] for node in a & b) for b in lines] for a in lines])


def covariance(states: FloatArray, tree: Tree) -> FloatArray:
    return np.cov(states[tree.tips])


def test_brownian_covariance_is_the_shared_path(rng: np.random.Generator) -> None:
    tree = Tree.from_parents(
        [-1, 0, 0, 1, 1, 2, 2], [0, 0.3, 0.6, 0.2, 0.7, 0.4, 0.1], ["", "", "", *"abcd"]
    )
    states = evolve_traits(tree, REPEATS, rng, rate=2.0, root=5.0)
    assert np.abs(covariance(states, tree) - 2 * shared_path(tree)).max() < 2 * TOLERANCE
    assert states.mean(axis=1) == pytest.approx(5.0, abs=0.06)


@pytest.mark.parametrize("signal", [0.0, 0.4, 1.0])
def test_signal_scales_what_species_share_and_nothing_else(
    rng: np.random.Generator, signal: float
) -> None:
    tree = birth_death_tree(8, rng)
    expected = signal * shared_path(tree)
    np.fill_diagonal(expected, 1.0)
    stretched = with_signal(tree, signal)
    np.testing.assert_allclose(shared_path(stretched), expected, atol=1e-12)
    states = evolve_traits(stretched, REPEATS, rng)
    assert np.abs(covariance(states, tree) - expected).max() < TOLERANCE


def test_pull_gives_the_covariance_of_hansen(rng: np.random.Generator) -> None:
    tree = birth_death_tree(6, rng)
    strength, rate, optimum = 1.7, 3.0, 2.0
    pull = Pull.everywhere(tree, strength, np.full(REPEATS, optimum))
    states = evolve_traits(tree, REPEATS, rng, rate=rate, root=0.0, pull=pull)
    path = shared_path(tree)
    apart = 2 * (1 - path)
    # Hansen (1997), with a fixed root: both the pull back and the time to gain variance count.
    expected = rate / (2 * strength) * np.exp(-strength * apart) * -np.expm1(-2 * strength * path)
    assert np.abs(covariance(states, tree) - expected).max() < TOLERANCE
    mean = states[tree.tips].mean(axis=1)
    assert mean == pytest.approx(optimum * -np.expm1(-strength), abs=0.04)


def test_no_rate_leaves_the_root_state_where_it_is(rng: np.random.Generator) -> None:
    tree = birth_death_tree(10, rng)
    assert np.ptp(evolve_traits(tree, 3, rng, rate=0.0, root=1.5)) == 0


def test_clades_chosen_are_apart(rng: np.random.Generator) -> None:
    tree = birth_death_tree(60, rng)
    tops = choose_clades(tree, 4, rng, largest_share=0.15)
    members = [set(tree.tips_below(top)) for top in tops.tolist()]
    assert all(1 < len(clade) <= 9 for clade in members)
    assert len(set.union(*members)) == sum(map(len, members))
    with pytest.raises(UsageError, match="room for"):
        choose_clades(tree, 60, rng)


def test_pulled_clades_end_up_together_and_the_others_do_not(rng: np.random.Generator) -> None:
    tree = birth_death_tree(40, rng)
    tops = choose_clades(tree, 3, rng)
    optimum = np.full(4000, 10.0)
    pull = pull_clades(tree, tops, optimum, 0.9)
    states = evolve_traits(tree, 4000, rng, pull=pull)
    level = states.mean(axis=1)
    for top in tops.tolist():
        tips = [i for i in tree.tips.tolist() if top <= i < tree.stop[top]]
        # The deepest tip goes nine tenths of the way; this tree's tips are equally deep.
        assert level[tips] == pytest.approx(9.0, abs=0.25)
    others = np.setdiff1d(tree.tips, np.concatenate([np.arange(t, tree.stop[t]) for t in tops]))
    assert np.abs(level[others]).max() < 0.25


def test_impossible_values_are_refused(rng: np.random.Generator) -> None:
    tree = birth_death_tree(5, rng)
    with pytest.raises(UsageError, match="signal"):
        with_signal(tree, 1.1)
    with pytest.raises(UsageError, match="rate"):
        evolve_traits(tree, 1, rng, rate=-1.0)
    with pytest.raises(UsageError, match="closeness"):
        pull_clades(tree, np.array([1]), np.zeros(1), 1.0)
    with pytest.raises(UsageError, match="optima"):
        evolve_traits(tree, 2, rng, pull=Pull(np.zeros(3), np.zeros((3, 2))))
