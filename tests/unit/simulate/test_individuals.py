"""Genealogies of individuals: sizes, names, and distances as Kingman's coalescent has them."""

from __future__ import annotations

import numpy as np
import pytest

from kinlens.errors import UsageError
from kinlens.records.tree import Tree
from kinlens.simulate.individuals import add_individuals
from kinlens.simulate.trees import birth_death_tree


def test_individuals_are_as_far_apart_as_the_diversity_says(rng: np.random.Generator) -> None:
    species = birth_death_tree(400, rng)
    counts = np.full(400, 4)
    grown = add_individuals(species, counts, 0.02, rng)
    assert grown.tree.n_tips == 1600
    assert grown.species == tuple(name.rpartition(".")[0] for name in grown.tree.tip_names)
    depth = grown.tree.depths()
    distances = []
    for name in species.tip_names:
        first, second = (
            grown.tree.tips[grown.tree.tip_positions([f"{name}.{k}"])[0]] for k in (1, 2)
        )
        meeting = grown.tree.mrca([f"{name}.1", f"{name}.2"])
        distances.append(depth[first] + depth[second] - 2 * depth[meeting])
    # Exponential with mean 0.02.
    assert np.mean(distances) == pytest.approx(0.02, abs=4 * 0.02 / np.sqrt(400))


def test_a_lone_individual_is_the_tip_itself(rng: np.random.Generator) -> None:
    tree = Tree.from_parents([-1, 0, 0], [0, 1, 1], ["", "a", "b"])
    grown = add_individuals(tree, np.array([1, 2]), 0.1, rng)
    assert grown.species == ("a", "b", "b")
    assert grown.tree.tip_names[0] == "a.1"
    assert grown.tree.depths()[grown.tree.tips[0]] == 1.0
    with pytest.raises(UsageError, match="counts"):
        add_individuals(tree, np.array([1, 0]), 0.1, rng)
