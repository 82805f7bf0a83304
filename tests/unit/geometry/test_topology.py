"""Robinson-Foulds distances: by hand, against scikit-bio, wherever the roots are."""

from __future__ import annotations

import numpy as np
import pytest

from kinlens.errors import InputError
from kinlens.geometry.topology import normalised_robinson_foulds, robinson_foulds
from kinlens.io.newick import format_newick, parse_newick
from kinlens.records.tree_shape import rooted_at_midpoint, rooted_by_outgroup
from kinlens.simulate.tree_noise import with_neighbour_interchanges, with_regrafts
from kinlens.simulate.trees import birth_death_tree, ladder_tree


@pytest.mark.parametrize(
    ("one", "two", "distance", "normalised"),
    [
        ("((a,b),(c,d));", "((a,b),(c,d));", 0, 0),
        ("((a,b),(c,d));", "((a,c),(b,d));", 2, 1),
        ("((a,b),(c,d));", "(a,b,(c,d));", 0, 0),
        ("((a,b),(c,d));", "(a,b,c,d);", 1, 1),
        ("(((a,b),c),(d,e));", "(((a,c),b),(d,e));", 2, 0.5),
        ("(((a,b),c),(d,e));", "((d,e),((a,b),c));", 0, 0),
        ("(((a,b),c),d,e);", "(c,(d,e),((b,a)));", 0, 0),
        ("(a,b,c);", "(c,a,b);", 0, 0),
        ("a;", "a;", 0, 0),
    ],
)
def test_by_hand(one: str, two: str, distance: int, normalised: float) -> None:
    first, second = parse_newick(one), parse_newick(two)
    assert robinson_foulds(first, second) == robinson_foulds(second, first) == distance
    assert normalised_robinson_foulds(first, second) == pytest.approx(normalised)


def test_scikit_bio_agrees(rng: np.random.Generator) -> None:
    from io import StringIO

    from skbio import TreeNode

    for n_moves in (0, 1, 5, 40):
        first = birth_death_tree(30, rng)
        second = with_regrafts(first, rng, n_moves=n_moves)
        theirs = [
            TreeNode.read(StringIO(format_newick(t)), convert_underscores=False)
            for t in (first, second)
        ]
        assert robinson_foulds(first, second) == theirs[0].compare_rfd(theirs[1], rooted=False)
        assert normalised_robinson_foulds(first, second) == pytest.approx(
            theirs[0].compare_rfd(theirs[1], proportion=True, rooted=False)
        )


def test_the_root_does_not_matter(rng: np.random.Generator) -> None:
    tree = birth_death_tree(40, rng)
    other = with_neighbour_interchanges(tree, rng, n_moves=1)
    assert robinson_foulds(tree, other) in (0, 2)
    for turned in (rooted_at_midpoint(other), rooted_by_outgroup(other, [other.tip_names[7]])):
        assert robinson_foulds(other, turned) == 0
        assert robinson_foulds(tree, turned) == robinson_foulds(tree, other)


def test_trees_that_share_no_split(rng: np.random.Generator) -> None:
    ladder = ladder_tree(200)
    names = [str(name) for name in rng.permutation(ladder.tip_names)]
    relabelled = [""] * ladder.n_nodes
    for node, name in zip(ladder.tips.tolist(), names, strict=True):
        relabelled[node] = name
    shuffled = ladder.with_names(relabelled)
    assert normalised_robinson_foulds(ladder, shuffled) > 0.97


def test_different_tips_are_named() -> None:
    with pytest.raises(InputError, match=r"2 tips are in one tree only: c, d"):
        robinson_foulds(parse_newick("(a,b,c);"), parse_newick("(a,b,d);"))
