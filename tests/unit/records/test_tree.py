"""Trees as arrays: worked by hand on small ones, and deep ones that would break recursion."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest

from kinlens.errors import InputError, UsageError
from kinlens.records.tree import Tree
from kinlens.simulate.tree_noise import with_branch_noise
from kinlens.simulate.trees import birth_death_tree


def five_tips() -> Tree:
    r"""``(((a:1,b:1)ab:2,c:3)abc:1,(d:2,e:2)de:2);`` with nodes in preorder."""
    return Tree.from_parents(
        [-1, 0, 1, 2, 2, 1, 0, 6, 6],
        [0, 1, 2, 1, 1, 3, 2, 2, 2],
        ["", "abc", "ab", "a", "b", "c", "de", "d", "e"],
    )


def ladder(n_tips: int) -> Tree:
    """The deepest tree: every internal node has one tip and the rest."""
    parent, names = [-1], [""]
    for i in range(n_tips - 1):
        top = len(parent) - 1
        parent += [top, top]
        names += [f"t{i}", ""]
    names[-1] = "last"
    return Tree.from_parents(parent, np.ones(len(parent)), names)


def test_from_parents_sorts_nodes_into_preorder_and_keeps_sisters_in_order() -> None:
    # Postorder: tips first, root last.
    tree = Tree.from_parents([4, 4, 3, -1, 3], [1, 2, 3, 9, 4], ["a", "b", "c", "root", "ab"])
    assert tree.names == ("root", "c", "ab", "a", "b")
    assert tree.parent.tolist() == [-1, 0, 0, 2, 2]
    assert tree.length.tolist() == [0, 3, 4, 1, 2]


def test_clades_are_runs_of_the_tip_order() -> None:
    tree = five_tips()
    assert tree.tip_names == ("a", "b", "c", "d", "e")
    assert tree.tips.tolist() == [3, 4, 5, 7, 8]
    assert tree.tip_start.tolist() == [0, 0, 0, 0, 1, 2, 3, 3, 4]
    assert tree.tip_stop.tolist() == [5, 3, 2, 1, 2, 3, 5, 4, 5]
    assert tree.tips_below(1) == ("a", "b", "c")
    assert tree.stop.tolist() == [9, 6, 5, 4, 5, 6, 9, 8, 9]
    assert tree.children(0).tolist() == [1, 6]
    assert tree.children(3).tolist() == []
    assert tree.n_nodes == 9
    assert tree.n_tips == 5


def test_depths_height_and_shape() -> None:
    tree = five_tips()
    assert tree.depths().tolist() == [0, 1, 3, 4, 4, 4, 2, 4, 4]
    assert tree.height == 4
    assert tree.is_binary
    assert tree.is_ultrametric()
    longer = tree.length.copy()
    longer[4] += 1e-3
    assert not tree.with_lengths(longer).is_ultrametric()
    assert tree.with_lengths(longer).is_ultrametric(tolerance=1e-2)


def test_the_arrays_cannot_be_changed_and_the_callers_are_left_alone() -> None:
    lengths = np.array([0.0, 1.0, 2.0])
    tree = Tree(np.array([-1, 0, 0]), lengths, ("", "a", "b"))
    lengths[1] = 7.0
    assert tree.length[1] == 1.0
    for array in (tree.parent, tree.length, tree.depths(), tree.tips, tree.tip_stop):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 3


@pytest.mark.parametrize(
    ("names", "top"), [(["a", "b"], "ab"), (["b", "c"], "abc"), (["e", "a"], ""), (["d"], "d")]
)
def test_mrca(names: list[str], top: str) -> None:
    tree = five_tips()
    assert tree.names[tree.mrca(names)] == top


def test_unknown_tips_are_named_with_the_nearest() -> None:
    tree = Tree.from_parents([-1, 0, 0], None, ["", "Papilio_machaon", "Parnassius_apollo"])
    with pytest.raises(InputError, match=r"1 of 2 .*_machon.*mean 'Papilio_machaon'"):
        tree.mrca(["Papilio_machon", "Parnassius_apollo"])
    with pytest.raises(UsageError, match="at least one"):
        tree.mrca([])


@pytest.mark.parametrize(
    ("depth", "clades"),
    [
        (0, [0, 0, 0, 1, 1]),
        (0.99, [0, 0, 0, 1, 1]),
        (1, [0, 0, 1, 2, 2]),
        (2, [0, 0, 1, 2, 3]),
        (3.5, [0, 1, 2, 3, 4]),
        (99, [0, 1, 2, 3, 4]),
    ],
)
def test_cut(depth: float, clades: list[int]) -> None:
    assert five_tips().cut(depth).tolist() == clades


def test_cut_into_takes_the_least_depth_that_is_enough() -> None:
    tree = five_tips()
    n_clades = [len(set(tree.cut_into(k).tolist())) for k in range(1, 6)]
    assert n_clades == [1, 2, 3, 4, 5]
    star = Tree.from_parents([-1, 0, 0, 0], [0, 1, 1, 0], ["", "a", "b", "c"])
    assert star.cut_into(2).tolist() == [0, 1, 2]
    with pytest.raises(UsageError, match="from 1 to the number of tips"):
        star.cut_into(4)


def test_cut_into_agrees_with_counting_by_cuts(rng: np.random.Generator) -> None:
    tree = with_branch_noise(birth_death_tree(40, rng), rng, spread=0.5)
    depths = np.unique(tree.depths()[~tree.is_tip])
    for wanted in range(2, 41):
        enough = next(d for d in depths if tree.cut(d).max() + 1 >= wanted)
        assert tree.cut_into(wanted).tolist() == tree.cut(enough).tolist()


def test_prune_dissolves_nodes_of_one_child_and_keeps_distances() -> None:
    pruned = five_tips().prune(["e", "a", "c"])
    assert pruned.names == ("", "abc", "a", "c", "e")
    assert pruned.length.tolist() == [0, 1, 3, 3, 4]
    assert pruned.depths()[pruned.tips].tolist() == [4, 4, 4]


def test_prune_to_one_side_moves_the_root_unless_told_to_keep_it() -> None:
    side = five_tips().prune(["a", "c"])
    assert side.names == ("abc", "a", "c")
    assert side.height == 3
    kept = five_tips().prune(["a", "c"], keep_root=True)
    assert kept.names == ("", "abc", "a", "c")
    assert kept.height == 4
    alone = five_tips().prune(["d"])
    assert alone.names == ("d",)
    assert alone.n_tips == 1
    assert five_tips().prune(["d"], keep_root=True).height == 4


def test_prune_to_all_tips_changes_nothing() -> None:
    tree = five_tips()
    assert tree.prune(tree.tip_names).to_dict() == tree.to_dict()


def test_restricting_adds_up_branches_over_several_dissolved_nodes() -> None:
    tree = five_tips()
    star = tree.restricted_to(tree.is_tip | (tree.parent < 0))
    assert star.parent.tolist() == [-1, 0, 0, 0, 0, 0]
    assert star.length[1:].tolist() == [4, 4, 4, 4, 4]
    with pytest.raises(UsageError, match="ancestor of all"):
        tree.restricted_to(tree.is_tip)


def test_subtree() -> None:
    clade = five_tips().subtree(2)
    assert clade.names == ("ab", "a", "b")
    assert clade.length.tolist() == [0, 1, 1]


def test_a_topology_counts_branches_and_says_so() -> None:
    tree = Tree.from_parents([-1, 0, 0, 1, 1], None, ["", "", "c", "a", "b"])
    assert not tree.has_lengths
    assert tree.length.tolist() == [0, 1, 1, 1, 1]
    assert dict(zip(tree.names[2:], tree.depths()[2:].tolist(), strict=True)) == {
        "a": 2,
        "b": 2,
        "c": 1,
    }
    assert "no branch lengths" in repr(tree)
    assert not tree.prune(["a", "c"]).has_lengths
    assert tree.with_unit_lengths().has_lengths


def test_scaling_and_renaming() -> None:
    unit = five_tips().with_height(1)
    assert unit.length.tolist() == [0, 0.25, 0.5, 0.25, 0.25, 0.75, 0.5, 0.5, 0.5]
    assert five_tips().with_unit_lengths().height == 3
    with pytest.raises(UsageError, match="cannot be stretched"):
        Tree.from_parents([-1], [0], ["a"]).with_height(1)
    renamed = five_tips().with_names(list("rstuvwxyz"))
    assert renamed.tip_names == ("u", "v", "w", "y", "z")


def test_json_and_pickle_give_the_tree_back() -> None:
    tree = five_tips()
    for copy in (
        Tree.from_dict(json.loads(json.dumps(tree.to_dict()))),
        pickle.loads(pickle.dumps(tree)),
    ):
        assert copy.to_dict() == tree.to_dict()
        assert not copy.length.flags.writeable


def test_a_lone_tip_and_a_tip_on_a_stem_are_trees() -> None:
    lone = Tree.from_parents([-1], [3.0], ["a"])
    assert lone.n_tips == 1
    assert lone.height == 0
    assert lone.is_ultrametric()
    assert lone.cut(0).tolist() == [0]
    assert lone.cut_into(1).tolist() == [0]
    stem = Tree.from_parents([-1, 0], [0, 3.0], ["", "a"])
    assert stem.height == 3
    assert not stem.is_binary
    assert stem.without_unifurcations().names == ("a",)


def test_a_deep_ladder_breaks_nothing() -> None:
    tree = ladder(20_000)
    assert tree.height == 19_999
    assert tree.mrca(["t0", "last"]) == 0
    assert tree.cut_into(100).max() == 99
    pruned = tree.prune(["t0", "t10", "t19000", "last"])
    assert pruned.depths()[pruned.tips].tolist() == [1, 11, 19_001, 19_999]


@pytest.mark.parametrize(
    ("parent", "length", "names", "message"),
    [
        ([], [], [], "at least one node"),
        ([-1, 0], [0], ["", "a"], "one parent, one length and one name"),
        ([0, 0, 0], [0, 1, 1], ["", "a", "b"], "exactly one root"),
        ([-1, 0, -1], [0, 1, 1], ["", "a", "b"], r"exactly one root.*node 0, node 2"),
        ([-1, 0, 7], [0, 1, 1], ["", "a", "b"], "7 for node 2"),
        ([-1, 0, 3, 2], [0, 1, 1, 1], ["", "a", "b", "c"], r"circle: node 2, node 3"),
        ([-1, 0, 0], [0, 1, 1], ["", "a", "a"], r"different names: a \(2 times\)"),
        ([-1, 0, 0], [0, 1, 1], ["", "a", ""], "needs a name: tip 2 of 2"),
        ([-1, 0, 0], [0, 1, -0.5], ["", "a", "b"], r"not negative: -0.5 above b"),
        ([-1, 0, 0], [0, np.nan, 1], ["", "a", "b"], r"nan above a"),
        ([-1, 0, 0], [0, 1, np.inf], ["", "a", "b"], r"inf above b"),
    ],
)
def test_what_is_no_tree_is_refused_with_the_place(
    parent: list[int], length: list[float], names: list[str], message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        Tree.from_parents(parent, length, names, where="my.nwk")
    assert str(caught.value).startswith("my.nwk: ")


@pytest.mark.parametrize("parent", [[0, -1, 1], [-1, 0, 3, 0], [-1, 0, 0, 1], [-1, -1, 0]])
def test_the_constructor_wants_preorder(parent: list[int]) -> None:
    names = ("a", "b", "c", "d")[: len(parent)]
    with pytest.raises(InputError, match="preorder"):
        Tree(np.array(parent), np.zeros(len(parent)), names)
