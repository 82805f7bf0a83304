"""Moving the root and editing the shape, checked by distances between tips."""

from __future__ import annotations

import numpy as np
import pytest

from kinlens.errors import InputError, UsageError
from kinlens.records.tree import Tree
from kinlens.records.tree_shape import (
    collapsed,
    grafted,
    ladderized,
    resolved,
    rooted_at_midpoint,
    rooted_by_outgroup,
    untangled,
)
from kinlens.simulate.tree_noise import with_branch_noise
from kinlens.simulate.trees import birth_death_tree


def distances(tree: Tree) -> dict[tuple[str, str], float]:
    """Tip-to-tip distances by walking up to the common ancestor: slow, short and obvious."""
    depth = tree.depths()
    found = {}
    for i, a in enumerate(tree.tip_names):
        for j, b in enumerate(tree.tip_names):
            top = depth[tree.mrca([a, b])]
            found[a, b] = float(depth[tree.tips[i]] + depth[tree.tips[j]] - 2 * top)
    return found


def four_tips() -> Tree:
    """``((a:1,b:6)95:1,(c:1,d:1)80:2);``"""
    return Tree.from_parents(
        [-1, 0, 1, 1, 0, 4, 4], [0, 1, 1, 6, 2, 1, 1], ["", "95", "a", "b", "80", "c", "d"]
    )


def test_midpoint_is_halfway_between_the_farthest_tips() -> None:
    rooted = rooted_at_midpoint(four_tips())
    depth = dict(zip(rooted.tip_names, rooted.depths()[rooted.tips].tolist(), strict=True))
    assert depth == {"a": 2.0, "b": 5.0, "c": 5.0, "d": 5.0}
    assert distances(rooted) == pytest.approx(distances(four_tips()))
    assert rooted.n_nodes == four_tips().n_nodes


def test_support_values_move_with_their_branches() -> None:
    # The branch between {a, b} and {c, d} was called 95 from one side and 80 from the other.
    rooted = rooted_by_outgroup(four_tips(), ["a"])
    assert rooted.names[rooted.mrca(["b", "c", "d"])] == ""
    assert rooted.names[rooted.mrca(["c", "d"])] == "80"
    three_deep = Tree.from_parents(
        [-1, 0, 0, 0, 3, 3, 5, 5],
        [0, 1, 1, 1, 1, 1, 1, 1],
        ["", "a", "b", "70", "c", "0.9/99", "d", "e"],
    )
    rooted = rooted_by_outgroup(three_deep, ["d"])
    # Old branch {c,d,e}|rest, label 70, is now above {a, b}; {d,e}|rest above {a, b, c}.
    assert rooted.names[rooted.mrca(["a", "b"])] == "70"
    assert rooted.names[rooted.mrca(["a", "c"])] == "0.9/99"


def test_names_of_clades_that_are_no_more_are_dropped() -> None:
    tree = four_tips().with_names(["", "ab", "a", "b", "cd", "c", "d"])
    rooted = rooted_by_outgroup(tree, ["a"])
    assert set(rooted.names) == {"", "a", "b", "cd", "c", "d"}


@pytest.mark.parametrize("outgroup", [["c", "d"], ["a", "b"], ["b"], ["a", "c", "d"]])
def test_an_outgroup_and_the_rest_hang_on_the_root(outgroup: list[str]) -> None:
    rooted = rooted_by_outgroup(four_tips(), outgroup)
    sides = {frozenset(rooted.tips_below(int(child))) for child in rooted.children(0)}
    rest = frozenset("abcd") - frozenset(outgroup)
    assert sides == {frozenset(outgroup), rest}
    lengths = rooted.length[rooted.children(0)]
    assert lengths[0] == pytest.approx(lengths[1])
    assert distances(rooted) == pytest.approx(distances(four_tips()))


def test_an_outgroup_that_is_no_clade_names_the_intruders() -> None:
    with pytest.raises(InputError, match="other tips stand among it: b, d"):
        rooted_by_outgroup(four_tips(), ["a", "c"])
    with pytest.raises(UsageError, match="some but not all"):
        rooted_by_outgroup(four_tips(), ["a", "b", "c", "d"])


def test_a_midpoint_on_a_node_makes_no_branch_of_length_zero() -> None:
    tree = Tree.from_parents([-1, 0, 0, 2, 2], [0, 1, 1, 2, 2], ["", "a", "", "b", "c"])
    rooted = rooted_at_midpoint(tree)
    assert rooted.length[1:].tolist() == pytest.approx([2, 2, 2])
    ultrametric = Tree.from_parents([-1, 0, 0, 1, 1], [0, 1, 3, 2, 2], ["", "", "c", "a", "b"])
    assert rooted_at_midpoint(ultrametric).to_dict() == ultrametric.to_dict()


def test_a_midpoint_needs_two_tips_apart() -> None:
    for tree in (
        Tree.from_parents([-1], [0], ["a"]),
        Tree.from_parents([-1, 0, 0], [0, 0, 0], ["", "a", "b"]),
    ):
        with pytest.raises(InputError, match="two tips with a distance above 0"):
            rooted_at_midpoint(tree)


def test_a_topology_stays_one() -> None:
    tree = Tree.from_parents([-1, 0, 0, 2, 2, 4, 4], None, ["", "a", "", "b", "", "c", "d"])
    rooted = rooted_at_midpoint(tree)
    assert not rooted.has_lengths
    assert {frozenset(rooted.tips_below(int(c))) for c in rooted.children(0)} == {
        frozenset("a"),
        frozenset("b"),
        frozenset("cd"),
    }


def test_random_trees_keep_their_distances_wherever_the_root_goes(
    rng: np.random.Generator,
) -> None:
    for _ in range(5):
        tree = with_branch_noise(birth_death_tree(17, rng), rng, spread=1.0)
        before = distances(tree)
        rooted = rooted_at_midpoint(tree)
        assert distances(rooted) == pytest.approx(before)
        depth = rooted.depths()[rooted.tips]
        assert depth.max() == pytest.approx(max(before.values()) / 2)
        outgroup = rng.choice(tree.tip_names)
        assert distances(rooted_by_outgroup(tree, [str(outgroup)])) == pytest.approx(before)


def test_polytomies_are_resolved_by_zero_branches_and_collapsed_again() -> None:
    star = Tree.from_parents(
        [-1, 0, 0, 0, 0, 4, 4, 4], [0, 1, 2, 3, 1, 1, 1, 1], ["", "a", "b", "c", "", *"def"]
    )
    binary = resolved(star)
    assert binary.is_binary
    assert binary.tip_names == star.tip_names
    assert distances(binary) == distances(star)
    assert collapsed(binary).to_dict() == star.to_dict()


def test_collapsing_short_branches_keeps_root_to_tip_distances() -> None:
    tree = four_tips()
    merged = collapsed(tree, longest=1.5)
    assert merged.names == ("", "a", "b", "80", "c", "d")
    assert merged.depths()[merged.tips].tolist() == tree.depths()[tree.tips].tolist()
    with pytest.raises(UsageError, match="0 or more"):
        collapsed(tree, longest=-1)


def test_ladderized_puts_small_clades_first() -> None:
    tree = Tree.from_parents(
        [-1, 0, 1, 1, 3, 3, 0], [0, 1, 2, 3, 4, 5, 6], ["", "", "a", "", "b", "c", "d"]
    )
    turned = ladderized(tree)
    assert turned.tip_names == ("d", "a", "b", "c")
    assert distances(turned) == distances(tree)


def test_deep_trees() -> None:
    n = 5_000
    parent = [-1]
    names = [""]
    for i in range(n - 1):
        top = len(parent) - 1
        parent += [top, top]
        names += [f"t{i}", ""]
    names[-1] = "last"
    tree = Tree.from_parents(parent, np.ones(len(parent)), names)
    rooted = rooted_at_midpoint(tree)
    assert rooted.height == pytest.approx((n - 1 + 1) / 2)
    assert ladderized(rooted_by_outgroup(tree, ["last"])).n_tips == n
    assert collapsed(tree, longest=1).n_nodes == n + 1


def test_new_tips_reach_as_deep_as_their_clade() -> None:
    tree = Tree.from_parents([-1, 0, 0, 1, 1], [0, 1, 5, 2, 3], ["", "", "c", "a", "b"])
    larger = grafted(tree, {"x": 1, "y": 0})
    depth = dict(zip(larger.tip_names, larger.depths()[larger.tips].tolist(), strict=True))
    assert depth == {"a": 3, "b": 4, "x": 4, "c": 5, "y": 5}
    with pytest.raises(UsageError, match="internal nodes; 2 is none"):
        grafted(tree, {"x": 2})


def test_untangling_turns_clades_and_nothing_else() -> None:
    tree = four_tips()
    turned = untangled(tree, {"a": 3, "b": 2, "c": 1, "d": 0})
    assert turned.tip_names == ("d", "c", "b", "a")
    assert distances(turned) == distances(tree)


def test_untangling_undoes_a_shuffle() -> None:
    tree = birth_death_tree(40, rng=np.random.default_rng(3))
    rank = {name: place for place, name in enumerate(tree.tip_names)}
    shuffled = untangled(tree, {name: place * 7 % 40 for name, place in rank.items()})
    assert shuffled.tip_names != tree.tip_names
    assert untangled(shuffled, rank).tip_names == tree.tip_names
