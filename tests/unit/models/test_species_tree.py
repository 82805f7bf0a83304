from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from kinlens.errors import InputError
from kinlens.models.species_tree import species_tree, taxonomic_tree, tree_of_distances
from kinlens.records.distances import DistanceMatrix
from kinlens.records.taxonomy import Taxonomy
from kinlens.records.tree import Tree

# (C_a, (A_a, A_b)) with a long way between the genera.
TREE = Tree.from_parents([-1, 0, 0, 1, 1], [0, 8, 10, 2, 2], ["", "", "C_a", "A_a", "A_b"])


def taxonomy(*names: str) -> Taxonomy:
    genus = [name.split("_")[0] for name in names]
    family = ["F" if g in "AB" else "G" for g in genus]
    return Taxonomy.from_images(pd.DataFrame({"species": names, "genus": genus, "family": family}))


def test_a_species_without_genetics_sits_at_its_genus_or_the_next_known_taxon() -> None:
    names = ["A_a", "A_b", "A_new", "B_new", "C_a", "D_lost"]
    tree = species_tree(names, TREE, taxonomy(*names[:5]))
    assert set(tree.tip_names) == set(names)
    depth = tree.depths()
    genus = tree.mrca(["A_a", "A_b"])
    assert tree.mrca(["A_new", "A_a"]) == genus
    assert tree.mrca(["B_new", "A_a"]) == genus  # the family is known by this genus alone
    assert tree.mrca(["D_lost", "A_a"]) == 0
    assert set(depth[tree.tips]) == {10.0}


def test_a_species_next_to_a_lone_relative_hangs_above_it() -> None:
    names = ["A_a", "C_a", "C_new"]
    tree = species_tree(names, TREE, taxonomy(*names))
    assert tree.depths()[tree.mrca(["C_a", "C_new"])] < 10


def test_taxonomy_alone_makes_a_tree_with_a_step_a_rank() -> None:
    names = ["A_a", "A_b", "B_a", "C_a", "D_lost"]
    tree = taxonomic_tree(names, taxonomy(*names[:4]))
    depth = tree.depths()
    assert tree.height == pytest.approx(1)
    assert depth[tree.mrca(["A_a", "A_b"])] == pytest.approx(2 / 3)
    assert depth[tree.mrca(["A_a", "B_a"])] == pytest.approx(1 / 3)
    assert depth[tree.mrca(["A_a", "C_a"])] == 0
    assert depth[tree.mrca(["A_a", "D_lost"])] == 0


def test_distances_become_a_tree_also_when_sequences_are_all_the_same() -> None:
    names = ("a", "b", "c")
    far = tree_of_distances(DistanceMatrix(names, np.array([[0, 2, 8], [2, 0, 8], [8, 8, 0.0]])))
    assert far.depths()[far.mrca(["a", "b"])] > 0
    same = tree_of_distances(DistanceMatrix(names, np.zeros((3, 3))))
    assert set(same.tip_names) == set(names)
    one = species_tree(["a", "x"], DistanceMatrix(names, np.zeros((3, 3))))
    assert set(one.tip_names) == {"a", "x"}


def test_no_name_in_common_is_an_error_that_says_so() -> None:
    with pytest.raises(InputError, match=r"none of the 2 species.*Homo_a"):
        species_tree(["Homo_a", "Homo_b"], TREE)
