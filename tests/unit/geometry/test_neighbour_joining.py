"""Neighbour joining: exact on additive distances, sound on others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kinlens.errors import UsageError
from kinlens.geometry.neighbour_joining import neighbour_joining
from kinlens.geometry.patristic import patristic_distances, patristic_rows
from kinlens.geometry.topology import robinson_foulds
from kinlens.io.newick import parse_newick
from kinlens.records.distances import DistanceMatrix
from kinlens.records.tree import Tree
from kinlens.simulate.tree_noise import with_branch_noise
from kinlens.simulate.trees import balanced_tree, birth_death_tree, ladder_tree


def test_five_things_by_hand() -> None:
    # Five things, additive; joined on paper: a with b, then c, then the rest.
    tree = parse_newick("(((a:2,b:3):3,c:4):2,d:2,e:1);")
    found = neighbour_joining(patristic_distances(tree))
    assert robinson_foulds(found, tree) == 0
    length = dict(zip(found.names, found.length.tolist(), strict=True))
    assert [length[name] for name in "abcde"] == pytest.approx([2, 3, 4, 2, 1])


@pytest.mark.parametrize("n", [3, 4, 5, 30, 200])
@pytest.mark.parametrize("spread", [0.0, 1.5])
def test_additive_distances_give_their_tree_back(
    n: int, spread: float, rng: np.random.Generator
) -> None:
    tree = with_branch_noise(birth_death_tree(n, rng), rng, spread=spread)
    distances = patristic_distances(tree)
    order = rng.permutation(n)
    shuffled = distances.select([distances.ids[i] for i in order])
    found = neighbour_joining(shuffled)
    assert found.n_nodes == 2 * n - 2
    assert len(found.children(0)) == 3
    again = patristic_distances(found).select(shuffled.ids)
    np.testing.assert_allclose(again.values, shuffled.values, atol=1e-10)
    assert robinson_foulds(found, tree) == 0


@pytest.mark.parametrize("tree", [ladder_tree(50), balanced_tree(64)])
def test_extreme_shapes(tree: Tree) -> None:
    found = neighbour_joining(patristic_distances(tree))
    again = patristic_distances(found).select(tree.tip_names)
    np.testing.assert_allclose(again.values, patristic_distances(tree).values, atol=1e-12)


def test_the_score_is_minimal_at_every_step(rng: np.random.Generator) -> None:
    """Against the textbook loop, on distances that fit no tree, so that order matters."""
    for n in (4, 5, 8, 20, 60):
        points = rng.random((n, 3)) ** 3
        values = np.linalg.norm(points[:, None] - points[None], axis=2)
        matrix = DistanceMatrix(tuple(f"t{i}" for i in range(n)), values)
        found = neighbour_joining(matrix)
        clades = {frozenset(found.tips_below(i)) for i in range(1, found.n_nodes)}
        assert splits(clades, matrix.ids) == splits(textbook_clades(matrix.ids, values), matrix.ids)


def splits(clades: set[frozenset[str]], names: tuple[str, ...]) -> set[frozenset[str]]:
    """Of each clade and its complement the one without the first name; of four, two pairs tie."""
    return {frozenset(names) - clade if names[0] in clade else clade for clade in clades}


def textbook_clades(names: tuple[str, ...], distances: np.ndarray) -> set[frozenset[str]]:
    """The clades that neighbour joining makes until three are left."""
    members = [frozenset([name]) for name in names]
    clades = set(members)
    d = distances
    while len(members) > 3:
        r = len(members)
        score = (r - 2) * d - d.sum(axis=0) - d.sum(axis=1)[:, None]
        np.fill_diagonal(score, np.inf)
        i, j = np.unravel_index(score.argmin(), score.shape)
        joined = (d[i] + d[j] - d[i, j]) / 2
        keep = [k for k in range(r) if k not in (i, j)]
        new = np.zeros((r - 1, r - 1))
        new[:-1, :-1] = d[np.ix_(keep, keep)]
        new[-1, :-1] = new[:-1, -1] = joined[keep]
        members = [members[k] for k in keep] + [members[i] | members[j]]
        clades.add(members[-1])
        d = new
    return clades


def test_scikit_bio_gives_the_same_lengths(rng: np.random.Generator) -> None:
    from skbio import DistanceMatrix as Theirs
    from skbio.tree import nj

    noise = np.triu(rng.random((25, 25)) * 0.01, 1)
    noisy = patristic_rows(birth_death_tree(25, rng), 0, 25) + noise + noise.T
    ids = tuple(f"t{i}" for i in range(25))
    ours = neighbour_joining(DistanceMatrix(ids, noisy))
    theirs = nj(Theirs(noisy, ids))
    expected = theirs.cophenet().filter(ids).data
    np.testing.assert_allclose(patristic_distances(ours).select(ids).values, expected, atol=1e-9)


def test_negative_branches_become_zero_and_the_pair_stays_apart() -> None:
    values = np.array([[0, 1, 5, 9], [1, 0, 9, 5], [5, 9, 0, 20], [9, 5, 20, 0.0]])
    tree = neighbour_joining(DistanceMatrix(tuple("abcd"), values))
    assert tree.length.min() == 0
    assert np.isfinite(tree.length).all()


def test_few_or_equal_things() -> None:
    assert neighbour_joining(DistanceMatrix(("a",), np.zeros((1, 1)))).tip_names == ("a",)
    pair = neighbour_joining(DistanceMatrix(("a", "b"), np.array([[0, 3], [3, 0.0]])))
    assert pair.length.tolist() == [0, 1.5, 1.5]
    same = neighbour_joining(DistanceMatrix(tuple("abcde"), np.zeros((5, 5))))
    assert same.height == 0
    assert sorted(same.tip_names) == list("abcde")
    with pytest.raises(UsageError, match="at least one"):
        neighbour_joining(DistanceMatrix((), np.zeros((0, 0))))


@pytest.mark.shared
def test_the_published_bivalve_distances_are_a_tree(shared_data: Path) -> None:
    frame = pd.read_csv(shared_data / "bivalve_distances" / "distances.csv", index_col=0)
    matrix = DistanceMatrix(tuple(frame.index), frame.to_numpy(float))
    tree = neighbour_joining(matrix)
    found = patristic_distances(tree).select(matrix.ids).condensed()
    # Printed to four digits; the tree agrees to a millionth of the last one.
    np.testing.assert_allclose(found, matrix.condensed(), rtol=0, atol=1e-4 * 1e-6)
