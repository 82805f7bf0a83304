"""Laws that hold for every tree: distances, pruning, rooting, cutting."""

from __future__ import annotations

from itertools import combinations
from random import Random

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from kinlens.geometry.neighbour_joining import neighbour_joining
from kinlens.geometry.patristic import patristic_distances, patristic_rows, vcv
from kinlens.geometry.topology import robinson_foulds
from kinlens.records.tree import Tree
from kinlens.records.tree_shape import (
    collapsed,
    ladderized,
    resolved,
    rooted_at_midpoint,
    rooted_by_outgroup,
)

# The first call of a compiled function takes longer than hypothesis allows one case.
unhurried = settings(deadline=None)
# Sixteenths add up without rounding, so that equal means equal.
lengths = st.integers(0, 64).map(lambda sixteenths: sixteenths / 16)


@st.composite
def trees(draw: st.DrawFn, min_tips: int = 1) -> Tree:
    """Any rooted tree: polytomies, nodes of one child, branches of length 0."""
    n_nodes = draw(st.integers(max(min_tips, 1), 24))
    parent = [-1] + [draw(st.integers(0, i - 1)) for i in range(1, n_nodes)]
    tips = sorted(set(range(n_nodes)) - set(parent))
    assume(len(tips) >= min_tips)
    names = ["" if i not in tips else f"t{i}" for i in range(n_nodes)]
    return Tree.from_parents(
        parent, draw(st.lists(lengths, min_size=n_nodes, max_size=n_nodes)), names
    )


def distance(tree: Tree, names: tuple[str, ...]) -> list[list[float]]:
    found: list[list[float]] = patristic_distances(tree).select(names).values.tolist()
    return found


@unhurried
@given(trees())
def test_distances_are_a_metric_that_fits_a_tree(tree: Tree) -> None:
    d = patristic_distances(tree).values
    assert np.array_equal(d, d.T)
    assert (d[:, :, None] <= d[:, None, :] + d.T[None] + 1e-12).all()
    for i, j, k, m in combinations(range(min(len(d), 7)), 4):
        # Four-point condition: the two largest of the three sums are equal.
        sums = sorted([d[i, j] + d[k, m], d[i, k] + d[j, m], d[i, m] + d[j, k]])
        assert sums[1] == sums[2]


@unhurried
@given(trees(), st.integers(0, 30), st.integers(0, 30))
def test_blocks_are_parts_of_the_whole(tree: Tree, one: int, two: int) -> None:
    start, stop = sorted((min(one, tree.n_tips), min(two, tree.n_tips)))
    whole = patristic_distances(tree).values
    assert np.array_equal(patristic_rows(tree, start, stop), whole[start:stop])


@unhurried
@given(trees())
def test_shared_paths_are_a_covariance(tree: Tree) -> None:
    c = vcv(tree)
    assert np.diagonal(c).tolist() == tree.depths()[tree.tips].tolist()
    assert np.linalg.eigvalsh(c).min() > -1e-9
    d = np.diagonal(c)
    assert np.array_equal(d[:, None] + d - 2 * c, patristic_distances(tree).values)


@unhurried
@given(trees(), st.randoms(use_true_random=False))
def test_the_numbering_of_nodes_does_not_matter(tree: Tree, random: Random) -> None:
    order = list(range(tree.n_nodes))
    random.shuffle(order)
    place = {node: i for i, node in enumerate(order)}
    renumbered = Tree.from_parents(
        [place[int(tree.parent[i])] if tree.parent[i] >= 0 else -1 for i in order],
        tree.length[order],
        [tree.names[i] for i in order],
    )
    assert distance(renumbered, tree.tip_names) == distance(tree, tree.tip_names)
    assert robinson_foulds(renumbered, tree) == 0


@unhurried
@given(trees(), st.data())
def test_pruning_keeps_distances_and_can_be_done_in_steps(tree: Tree, data: st.DataObject) -> None:
    some = st.lists(st.sampled_from(tree.tip_names), min_size=1, unique=True)
    kept = data.draw(some)
    fewer = kept[: data.draw(st.integers(1, len(kept)))]
    pruned = tree.prune(kept)
    assert distance(pruned, tuple(kept)) == distance(tree, tuple(kept))
    assert not (np.diff(pruned.child_start) == 1).any()
    assert pruned.prune(fewer).to_dict() == tree.prune(fewer).to_dict()
    stem = tree.prune(kept, keep_root=True)
    depth = dict(zip(tree.tip_names, tree.depths()[tree.tips].tolist(), strict=True))
    assert stem.depths()[stem.tips].tolist() == [depth[name] for name in stem.tip_names]


@unhurried
@given(trees(min_tips=2), st.data())
def test_the_place_of_the_root_changes_no_distance(tree: Tree, data: st.DataObject) -> None:
    before = np.array(distance(tree, tree.tip_names))
    outgroup = [data.draw(st.sampled_from(tree.tip_names))]
    np.testing.assert_allclose(
        distance(rooted_by_outgroup(tree, outgroup), tree.tip_names), before, atol=1e-9
    )
    if before.max() > 0:
        rooted = rooted_at_midpoint(tree)
        np.testing.assert_allclose(distance(rooted, tree.tip_names), before, atol=1e-9)
        np.testing.assert_allclose(rooted.height, before.max() / 2)


@unhurried
@given(trees())
def test_edits_of_the_shape_change_no_distance(tree: Tree) -> None:
    for edited in (resolved(tree), collapsed(tree), ladderized(tree), tree.without_unifurcations()):
        assert distance(edited, tree.tip_names) == distance(tree, tree.tip_names)
    assert (np.diff(resolved(tree).child_start) <= 2).all()
    assert resolved(tree).tip_names == tree.tip_names


@unhurried
@given(trees(min_tips=2), lengths, lengths)
def test_deeper_cuts_split_clades_and_join_none(tree: Tree, one: float, two: float) -> None:
    shallow, deep = (tree.cut(depth) for depth in sorted((one, two)))
    assert len(set(zip(shallow.tolist(), deep.tolist(), strict=True))) == len(set(deep.tolist()))
    assert (np.diff(deep) >= 0).all()
    for n_clades in range(1, tree.n_tips + 1):
        found = len(set(tree.cut_into(n_clades).tolist()))
        assert found >= min(n_clades, len(set(tree.cut(1e9).tolist())))


@unhurried
@given(trees(min_tips=2))
def test_neighbour_joining_gives_the_distances_back(tree: Tree) -> None:
    found = neighbour_joining(patristic_distances(tree))
    np.testing.assert_allclose(
        distance(found, tree.tip_names), distance(tree, tree.tip_names), atol=1e-9
    )
