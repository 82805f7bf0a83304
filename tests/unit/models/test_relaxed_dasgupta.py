"""The relaxed objective finds a planted hierarchy; meeting depths are those of the geodesics."""

from __future__ import annotations

import numpy as np
import pytest

from kinlens.errors import UsageError
from kinlens.geometry.dendrogram import dasgupta_cost, linkage_tree, similarity_of
from kinlens.geometry.patristic import patristic_distances
from kinlens.geometry.topology import robinson_foulds
from kinlens.models.relaxed_dasgupta import RelaxedDasgupta, meeting_depths
from kinlens.simulate.trees import birth_death_tree


def depth_along_the_geodesic(u, v):
    """Walk along the geodesic in the Klein disk, where it is straight."""
    to_klein = [2 * x / (1 + x @ x) for x in (u, v)]
    t = np.linspace(0, 1, 20_001)[:, None]
    nearest = np.linalg.norm((1 - t) * to_klein[0] + t * to_klein[1], axis=1).min()
    return np.arctanh(nearest)


def test_depths_are_those_of_the_geodesics(rng):
    points = rng.normal(size=(6, 3))
    points *= 0.9 / np.linalg.norm(points, axis=1, keepdims=True)
    depths = meeting_depths(points)
    expected = [[depth_along_the_geodesic(u, v) for v in points] for u in points]
    np.testing.assert_allclose(depths, expected, atol=1e-4)


def test_a_planted_tree_is_found_as_well_as_by_linkage(rng):
    tree = birth_death_tree(24, rng)
    distances = patristic_distances(tree)
    similarity = similarity_of(distances.values)
    best = dasgupta_cost(linkage_tree(distances.values, distances.ids), similarity, distances.ids)
    model = RelaxedDasgupta(8, epochs=15, triples=512).fit(similarity)
    found = dasgupta_cost(model.tree(distances.ids), similarity, distances.ids)
    assert found <= 1.01 * best
    shuffled = [distances.ids[i] for i in rng.permutation(24)]
    assert found < 0.95 * dasgupta_cost(model.tree(shuffled), similarity, distances.ids)


def test_clear_groups_are_parted_and_the_seed_decides():
    group = np.repeat([0, 1, 2], 4)
    similarity = np.where(group[:, None] == group, 1.0, 0.1)
    np.fill_diagonal(similarity, 0)
    names = [f"{g}{i}" for i, g in enumerate(group)]
    model = RelaxedDasgupta(epochs=8, triples=256)
    tree = model.fit(similarity).tree(names)
    clades = {
        tuple(sorted(tree.tip_names[a:b]))
        for a, b in zip(tree.tip_start, tree.tip_stop, strict=True)
    }
    for g in range(3):
        assert tuple(sorted(name for name in names if name[0] == str(g))) in clades
    assert np.ptp(np.linalg.norm(model.points_, axis=1)) < 1e-5
    again = RelaxedDasgupta(epochs=8, triples=256).fit(similarity)
    assert np.array_equal(again.points_, model.points_)
    assert robinson_foulds(again.tree(names), tree) == 0


def test_too_few_things_are_refused():
    with pytest.raises(UsageError, match="three or more"):
        RelaxedDasgupta().fit(np.zeros((2, 2)))
