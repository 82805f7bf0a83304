"""Dendrograms have the merge heights of their linkage; the cost is what its definition says."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy.cluster.hierarchy import cophenet, linkage
from scipy.spatial.distance import pdist, squareform

from kinlens.errors import UsageError
from kinlens.geometry.dendrogram import dasgupta_cost, linkage_tree, similarity_of
from kinlens.geometry.patristic import patristic_distances
from kinlens.records.tree import Tree

NAMES = tuple(f"s{i}" for i in range(14))


def points(rng):
    return squareform(pdist(rng.normal(size=(len(NAMES), 3))))


def cost_by_definition(tree, similarity, names):
    clades = [set(tree.tip_names[a:b]) for a, b in zip(tree.tip_start, tree.tip_stop, strict=True)]
    total = 0.0
    for i, j in combinations(range(len(names)), 2):
        holding = [len(clade) for clade in clades if {names[i], names[j]} <= clade]
        total += similarity[i, j] * min(holding)
    return total


@pytest.mark.parametrize("method", ["average", "single", "complete", "weighted"])
def test_tips_are_as_far_apart_as_their_clusters_were(rng, method):
    distances = points(rng)
    tree = linkage_tree(distances, NAMES, method=method)
    expected = squareform(cophenet(linkage(squareform(distances), method)))
    np.testing.assert_allclose(patristic_distances(tree).select(NAMES).values, expected)
    assert tree.is_binary
    assert tree.is_ultrametric()


def test_the_cost_is_what_its_definition_says(rng):
    distances = points(rng)
    similarity = similarity_of(distances)
    for tree in (linkage_tree(distances, NAMES), linkage_tree(points(rng), NAMES)):
        expected = cost_by_definition(tree, similarity, NAMES)
        assert dasgupta_cost(tree, similarity, NAMES) == pytest.approx(expected)


def test_every_binary_tree_costs_the_same_when_all_are_equally_alike(rng):
    n = len(NAMES)
    alike = 1.0 - np.eye(n)
    costs = [dasgupta_cost(linkage_tree(points(rng), NAMES), alike, NAMES) for _ in range(3)]
    assert costs == pytest.approx([(n**3 - n) / 3] * 3)


def test_a_polytomy_costs_all_tips_for_each_pair():
    star = Tree.from_parents([-1, 0, 0, 0], None, ["", "a", "b", "c"])
    assert dasgupta_cost(star, 1.0 - np.eye(3), "abc") == 9.0


def test_the_order_of_rows_does_not_matter(rng):
    distances = points(rng)
    order = rng.permutation(len(NAMES))
    names = [NAMES[i] for i in order]
    tree = linkage_tree(distances, NAMES)
    similarity = similarity_of(distances)
    turned = dasgupta_cost(tree, similarity[np.ix_(order, order)], names)
    assert turned == pytest.approx(dasgupta_cost(tree, similarity, NAMES))


def test_one_and_two_things():
    assert linkage_tree(np.zeros((1, 1)), ["a"]).n_nodes == 1
    pair = linkage_tree(np.array([[0, 4.0], [4.0, 0]]), ["a", "b"])
    assert pair.length.tolist() == [0, 2, 2]


def test_identical_things_are_as_similar_as_can_be():
    assert similarity_of(np.zeros((2, 2))).tolist() == [[0, 1], [1, 0]]


def test_what_does_not_fit_is_refused():
    with pytest.raises(UsageError, match="method"):
        linkage_tree(np.zeros((2, 2)), ["a", "b"], method="ward")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="do not fit"):
        linkage_tree(np.zeros((3, 3)), ["a", "b"])
    with pytest.raises(UsageError, match="not the tips"):
        dasgupta_cost(linkage_tree(np.zeros((2, 2)), ["a", "b"]), np.zeros((2, 2)), ["a", "c"])


def test_what_is_below_nothing_by_rounding_alone_is_nothing():
    apart = np.array([[0, -1e-16, 0.4], [-1e-16, 0, 0.4], [0.4, 0.4, 0]])
    tree = linkage_tree(apart, ["a", "b", "c"])
    assert tree.length.min() == 0.0
    assert tree.height == pytest.approx(0.2)
    with pytest.raises(UsageError, match="0 or more"):
        linkage_tree(apart - 1, ["a", "b", "c"])
