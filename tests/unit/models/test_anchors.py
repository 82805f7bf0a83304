from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kinlens.errors import InputError
from kinlens.models.anchors import Anchors, inspect_anchors
from kinlens.records.distances import DistanceMatrix

FORAMS = Path(__file__).parents[4] / "shared" / "data" / "foram_rdna"


def nearly_parallel(rng: np.random.Generator) -> Anchors:
    rows = 10 + 0.5 * rng.standard_normal((12, 6))
    return Anchors(tuple(f"s{i}" for i in range(12)), rows)


def test_raw_anchors_that_all_point_one_way_are_found_out(rng: np.random.Generator) -> None:
    raw = nearly_parallel(rng)
    report = inspect_anchors(raw)
    assert report.infeasible == 1.0
    assert report.effective_rank < 1.1
    assert not report.is_sound
    assert "Centre or whiten" in str(report)
    centred, whitened = inspect_anchors(raw.centred()), inspect_anchors(raw.whitened())
    assert centred.effective_rank > 3
    assert whitened.effective_rank == pytest.approx(6, abs=0.01)
    assert centred.is_sound
    assert whitened.infeasible < 0.2


@pytest.mark.shared
@pytest.mark.skipif(not FORAMS.is_dir(), reason=f"{FORAMS} is not there")
def test_the_published_anchors_collapse() -> None:
    vectors = np.load(FORAMS / "published_sgt.npz")["sgt"]
    classes = pd.read_csv(FORAMS / "sequences.csv")["endless_forams_class"].astype(str)
    # The publication trained on 32 of the 34 classes.
    anchors = Anchors.of_rows(classes.tolist(), vectors, source="SGT")
    report = inspect_anchors(anchors)
    assert report.infeasible == 1.0
    assert report.effective_rank == pytest.approx(1.24, abs=0.01)
    assert (round(report.smallest, 3), round(report.largest, 3)) == (0.939, 0.999)
    assert inspect_anchors(anchors.centred()).effective_rank == pytest.approx(14.9, abs=0.2)


def test_controls_keep_what_they_should_and_nothing_else(rng: np.random.Generator) -> None:
    anchors = nearly_parallel(rng).centred()
    turned = anchors.same_gram(rng)
    np.testing.assert_allclose(
        turned.vectors @ turned.vectors.T, anchors.vectors @ anchors.vectors.T, atol=1e-9
    )
    assert not np.allclose(turned.vectors, anchors.vectors)
    permuted = anchors.permuted(rng)
    assert permuted.species == anchors.species
    assert sorted(map(tuple, permuted.vectors)) == sorted(map(tuple, anchors.vectors))


def test_anchors_of_distances_keep_who_is_near_whom() -> None:
    distances = DistanceMatrix(("a", "b", "c"), np.array([[0.0, 1, 9], [1, 0, 9], [9, 9, 0]]))
    cosines = Anchors.of_distances(distances).cosines()
    assert cosines[0, 1] > 0.5 > cosines[0, 2]


def test_sequences_of_a_species_are_averaged_and_nameless_ones_passed_over() -> None:
    anchors = Anchors.of_rows(["b", "a", "b", ""], np.array([[1.0], [5], [3], [99]]))
    assert anchors.species == ("a", "b")
    assert anchors.vectors[:, 0].tolist() == [5.0, 2.0]


def test_faults_are_named() -> None:
    with pytest.raises(InputError, match="all zeros: b"):
        Anchors(("a", "b"), np.array([[1.0, 0], [0, 0]]))
    with pytest.raises(InputError, match="one row a species"):
        Anchors(("a",), np.ones((2, 2)))
    with pytest.raises(InputError, match="three species or more"):
        Anchors.of_distances(DistanceMatrix(("a", "b"), np.array([[0.0, 1], [1, 0]])))
    with pytest.raises(InputError, match="too few"):
        inspect_anchors(Anchors(("a",), np.ones((1, 2))))
