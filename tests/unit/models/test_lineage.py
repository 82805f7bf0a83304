from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from kinlens.errors import UsageError
from kinlens.models.lineage import Lineages, best_path
from kinlens.records.taxonomy import Taxonomy

TAXONOMY = Taxonomy.from_images(
    pd.DataFrame(
        {
            "species": ["A_a", "A_b", "B_c", "x", "y"],
            "genus": ["A", "A", "B", None, None],
            "family": ["F", "F", "F", "F", None],
        }
    )
)
CLASSES = ["A_a", "A_b", "B_c", "x", "y"]


def test_every_class_has_a_place_at_every_rank() -> None:
    lineages = Lineages.of(CLASSES, TAXONOMY)
    assert lineages.ranks == ("species", "genus", "family")
    assert [names.tolist() for names in lineages.taxa[1:]] == [["A", "B", None, None], ["F", None]]
    assert lineages.codes[1].tolist() == [0, 0, 1, 2, 3]
    assert lineages.codes[2].tolist() == [0, 0, 0, 0, 1]


def test_taxa_nest_and_mass_adds_up(rng: np.random.Generator) -> None:
    lineages = Lineages.of(CLASSES, TAXONOMY)
    probabilities = rng.dirichlet(np.ones(5), 20)
    for level in range(3):
        gathered = lineages.gathered(probabilities, level)
        assert gathered.sum(axis=1) == pytest.approx(1.0)
        if level:
            parent = lineages.parents(level - 1)
            below = lineages.gathered(probabilities, level - 1)
            assert (gathered[:, parent] >= below - 1e-12).all()
    assert lineages.parents(2).tolist() == [0, 0]


def test_the_path_goes_down_from_the_top_and_agrees() -> None:
    lineages = Lineages.of(CLASSES[:3], TAXONOMY)
    # The most probable species is of the less probable genus.
    path = best_path(np.array([[0.3, 0.3, 0.4]]), lineages)
    assert path.tolist() == [[0, 0, 0]]
    path = best_path(np.array([[0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]), lineages)
    assert path.tolist() == [[2, 1, 0], [0, 0, 0]]


def test_classes_of_a_higher_rank_and_parts_keep_their_ancestors() -> None:
    genera = Lineages.of(["A", "B"], TAXONOMY, "genus")
    assert genera.ranks == ("genus", "family")
    assert genera.codes[1].tolist() == [0, 0]
    lineages = Lineages.of(CLASSES, TAXONOMY)
    above = lineages.above(1)
    assert above.taxa[0].tolist() == ["A", "B", None, None]
    assert above.codes[1].tolist() == [0, 0, 0, 1]
    part = lineages.select(np.array([1, 4]))
    assert part.taxa[0].tolist() == ["A_b", "y"]
    assert part.codes[2].tolist() == [0, 1]


def test_without_taxonomy_there_is_one_rank() -> None:
    lineages = Lineages.of(["b", "a"], None)
    assert lineages.ranks == ("species",)
    assert lineages.n_classes == 2
    assert best_path(np.array([[0.2, 0.8]]), lineages).tolist() == [[1]]


def test_strangers_are_named() -> None:
    with pytest.raises(UsageError, match="genus 'C' is not in the taxonomy"):
        Lineages.of(["A", "C"], TAXONOMY, "genus")
    with pytest.raises(UsageError, match="no rank 'tribe'"):
        Lineages.of(["A"], TAXONOMY, "tribe")
