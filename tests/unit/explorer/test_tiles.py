"""Every point is on one tile, and no tile shows more than it may."""

from __future__ import annotations

import numpy as np
import pytest

from kinlens.explorer.tiles import TilePyramid


@pytest.mark.parametrize("n", [0, 1, 7, 500, 20_000])
def test_every_point_lies_on_one_tile(n: int, rng: np.random.Generator) -> None:
    places = rng.random((n, 2))
    pyramid = TilePyramid.build(places, capacity=64)
    rows = np.concatenate([np.empty(0, int), *pyramid.rows.values()])
    assert sorted(rows.tolist()) == list(range(n))
    assert all(len(rows) <= 64 for rows in pyramid.rows.values())


def test_a_tile_holds_points_of_its_own_square(rng: np.random.Generator) -> None:
    places = rng.random((5000, 2))
    for (level, column, row), rows in TilePyramid.build(places, capacity=50).rows.items():
        cells = np.floor(places[rows] * 2**level)
        assert set(map(tuple, cells.tolist())) == {(column, row)}
        assert (np.diff(rows) > 0).all()


def test_a_tile_is_deep_only_below_full_ones(rng: np.random.Generator) -> None:
    pyramid = TilePyramid.build(rng.random((5000, 2)), capacity=50)
    for level, column, row in pyramid.rows:
        if level:
            assert len(pyramid.rows[level - 1, column // 2, row // 2]) == 50


def test_coarse_tiles_sample_evenly(rng: np.random.Generator) -> None:
    places = np.concatenate([rng.random((9000, 2)) * 0.5, 0.5 + rng.random((1000, 2)) * 0.5])
    top = TilePyramid.build(places, capacity=1000).rows[0, 0, 0]
    assert 0.05 < (places[top] > 0.5).all(axis=1).mean() < 0.15


def test_a_million_points_in_one_place_end() -> None:
    places = np.full((100_000, 2), 0.3)
    pyramid = TilePyramid.build(places)
    assert pyramid.n_levels == 13
    assert sum(map(len, pyramid.rows.values())) == 100_000


def test_points_on_the_far_edge_stay_inside() -> None:
    pyramid = TilePyramid.build(np.array([[1.0, 1.0], [0.0, 1.0]]), capacity=1)
    assert all(
        0 <= column < 2**level and 0 <= row < 2**level for level, column, row in pyramid.rows
    )
