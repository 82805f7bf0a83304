"""Cells and what is painted in them: every place of a protein where it belongs."""

from __future__ import annotations

import numpy as np
import pytest

from kinlens.errors import UsageError
from kinlens.records.label_tree import HPA_GROUPS, HPA_LABELS
from kinlens.rng import RandomStreams
from kinlens.simulate.cell_world import CellWorldConfig, common_label_sets, simulate_cells
from kinlens.simulate.cells import Grid, draw_cell, splat
from kinlens.simulate.compartments import Canvas, paint

SIZE = 96
SMALL = CellWorldConfig(images=12, image_size=32)


def canvas(seed: int, *, is_mitotic: bool = False) -> Canvas:
    rng = np.random.default_rng(seed)
    cell = draw_cell(48.0, 48.0, 34.0, contact=0.3, is_mitotic=is_mitotic, rng=rng)
    return Canvas(cell, SIZE, rng)


@pytest.mark.parametrize("label", HPA_LABELS)
def test_every_label_leaves_its_own_mark(label):
    ink = paint(label, canvas(1, is_mitotic=label == "mitotic spindle"))
    assert ink.shape == (SIZE, SIZE)
    assert ink.dtype == np.float32
    assert 0 <= ink.min() <= 0.05
    assert ink.max() == pytest.approx(1.0)


@pytest.mark.parametrize("label", HPA_GROUPS["nucleus"])
def test_what_is_nuclear_lies_in_the_nucleus(label):
    drawn = canvas(2)
    ink = paint(label, drawn)
    assert ink[drawn.grid.depth < 0.12].sum() > 0.8 * ink.sum()


@pytest.mark.parametrize("label", ["plasma membrane", "focal adhesion sites", "cell junctions"])
def test_what_is_at_the_rim_lies_at_the_rim(label):
    drawn = canvas(3)
    bright = paint(label, drawn) > 0.5
    assert np.median(drawn.grid.depth[bright]) > 0.7


@pytest.mark.parametrize("label", ["cytosol", "mitochondria", "peroxisomes", "golgi apparatus"])
def test_what_is_cytoplasmic_spares_the_nucleus(label):
    drawn = canvas(4)
    ink = paint(label, drawn)
    assert ink[drawn.grid.nucleus > 0.5].sum() < 0.25 * ink.sum()


def test_fibrillar_centers_sit_in_the_nucleoli():
    drawn = canvas(5)
    nucleoli, centers = paint("nucleoli", drawn), paint("nucleoli fibrillar center", drawn)
    assert centers[nucleoli > 0.3].sum() > 0.7 * centers.sum()


def test_places_and_pixels_agree_on_depth():
    cell = canvas(6).cell
    (point,) = cell.places([1.1], [0.5])
    grid = Grid.of(cell, SIZE)
    x, y = (int(value) for value in point)
    assert grid.depth[y, x] == pytest.approx(0.5, abs=0.1)


def test_spots_add_up():
    two = splat(np.array([[5.5, 5.5], [5.5, 5.5]]), 1.0, 11)
    assert two[5, 5] == pytest.approx(2.0, abs=1e-5)
    assert splat(np.empty((0, 2)), 1.0, 4).sum() == 0


def test_pictures_do_not_depend_on_the_order_in_which_they_are_drawn():
    first, second = (simulate_cells(SMALL, RandomStreams(3)) for _ in range(2))
    late = first.render(5)
    first.render(0)
    np.testing.assert_array_equal(late, second.render(5))
    assert late.shape == (32, 32, 4)
    assert (late.max(axis=(0, 1)) > 60).all()


def test_pictures_of_one_antibody_hold_the_same_labels_and_each_is_shown_by_a_cell():
    world = simulate_cells(SMALL, RandomStreams(1))
    assert (world.images.groupby("specimen")["labels"].nunique() == 1).all()
    for labels, cells in zip(world.images["labels"], world.shown, strict=True):
        assert set(labels.split(";")) == {label for shown in cells for label in shown}


def test_weak_labels_hold_for_some_cells_only():
    config = SMALL.model_copy(update={"images": 200, "penetrance": 0.5, "fewest_cells": 3})
    world = simulate_cells(config, RandomStreams(1))
    share = [
        np.mean([label in shown for shown in cells])
        for labels, cells in zip(world.images["labels"], world.shown, strict=True)
        for label in labels.split(";")
    ]
    # One cell always shows the label, the others do with a chance of a half.
    assert 0.5 < np.mean(share) < 0.75


def test_in_a_shuffled_world_labels_tell_nothing():
    world = simulate_cells(
        SMALL.model_copy(update={"images": 60, "world": "shuffled"}), RandomStreams(1)
    )
    shown = world.antibodies.set_index("antibody")["shows"]
    assert (world.images["labels"] != shown[world.images["specimen"]].to_numpy()).mean() > 0.5
    assert sorted(world.images["labels"]) == sorted(shown[world.images["specimen"]])


def test_built_in_label_sets_are_as_frequent_as_in_the_atlas(rng):
    sets = common_label_sets(20_000, rng)
    assert np.mean([len(labels) for labels in sets]) == pytest.approx(1.63, abs=0.03)
    assert 0.35 < np.mean(["nucleoplasm" in labels for labels in sets]) < 0.45
    assert np.mean(["rods & rings" in labels for labels in sets]) < 0.002


def test_label_sets_that_cannot_be_painted_are_refused():
    with pytest.raises(UsageError, match="unknown: nucleolus"):
        simulate_cells(SMALL, RandomStreams(0), label_sets=[("nucleolus",)])
    with pytest.raises(ValueError, match="fewest_cells"):
        CellWorldConfig(fewest_cells=5, most_cells=2)
