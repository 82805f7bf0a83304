"""Specimens and their pictures: how many of each species, and that individuals look like kin."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinlens.errors import UsageError
from kinlens.simulate.photograph import Scene, photograph
from kinlens.simulate.shells import TRAITS
from kinlens.simulate.specimens import (
    ShellPictures,
    draw_pictures,
    draw_specimens,
    zipf_counts,
)


def species_table(n_species: int, rng: np.random.Generator) -> pd.DataFrame:
    return pd.DataFrame(
        rng.standard_normal((n_species, len(TRAITS))),
        index=[f"Genus_s{i}" for i in range(n_species)],
        columns=list(TRAITS),
    )


@given(
    n_species=st.integers(1, 60),
    extra=st.integers(0, 3000),
    exponent=st.floats(0, 20),
    shift=st.floats(0, 50),
)
def test_counts_add_up_descend_and_leave_no_species_out(
    n_species: int, extra: int, exponent: float, shift: float
) -> None:
    counts = zipf_counts(n_species + extra, n_species, exponent=exponent, shift=shift)
    assert counts.sum() == n_species + extra
    assert counts.min() >= 1
    assert np.all(np.diff(counts) <= 0)


def test_counts_follow_the_power_law() -> None:
    counts = zipf_counts(1_000_000, 50, exponent=1.5)
    slope = np.polyfit(np.log(np.arange(1, 51)), np.log(counts), 1)[0]
    assert slope == pytest.approx(-1.5, abs=0.01)
    shifted = zipf_counts(1_000_000, 50, exponent=1.5, shift=4.0)
    assert shifted[0] / shifted[1] == pytest.approx((6 / 5) ** 1.5, rel=1e-3)


def test_impossible_counts_are_refused() -> None:
    with pytest.raises(UsageError, match="too few"):
        zipf_counts(4, 5, exponent=1.0)
    with pytest.raises(UsageError, match="exponent"):
        zipf_counts(5, 4, exponent=-1.0)


def test_specimens_have_the_pictures_of_their_species(rng: np.random.Generator) -> None:
    species = species_table(6, rng)
    wanted = np.array([40, 1, 7, 2, 100, 3])
    specimens = draw_specimens(species, wanted, rng, variation=0.1, most_views=3)
    views = specimens.groupby("species")["n_views"].sum()
    assert views[species.index].tolist() == wanted.tolist()
    assert set(specimens["n_views"]) == {1, 2, 3}
    assert specimens["specimen"].is_unique
    # Names tell nothing about the species: rows are in random order.
    assert not specimens["species"].is_monotonic_increasing
    assert specimens["age"].between(0.8, 1.0).all()
    with pytest.raises(UsageError, match="most_views"):
        draw_specimens(species, wanted, rng, variation=0.1, most_views=4)


def test_individuals_vary_around_their_species(rng: np.random.Generator) -> None:
    species = species_table(2, rng)
    specimens = draw_specimens(species, np.array([500, 500]), rng, variation=0.2, most_views=1)
    for name, group in specimens.groupby("species"):
        values = group[list(TRAITS)]
        assert values.std().to_numpy() == pytest.approx(0.2, abs=0.03)
        difference = (values.mean() - species.loc[name]).abs()
        assert difference.max() < 4 * 0.2 / np.sqrt(500)


def test_each_view_of_a_specimen_is_another_picture(rng: np.random.Generator) -> None:
    species = species_table(3, rng)
    specimens = draw_specimens(species, np.array([30, 20, 5]), rng, variation=0.1, most_views=3)
    pictures = draw_pictures(specimens, rng, jitter=1.0)
    assert len(pictures) == 55
    assert pictures["image"].is_unique
    assert not pictures.duplicated(["specimen", "view"]).any()
    assert pictures["seed"].is_unique


def test_any_picture_alone_is_the_same_as_in_order(rng: np.random.Generator) -> None:
    species = species_table(3, rng)
    specimens = draw_specimens(species, np.array([3, 2, 2]), rng, variation=0.1, most_views=3)
    pictures = ShellPictures.from_tables(specimens, draw_pictures(specimens, rng, jitter=1.0), 32)
    in_order = [pictures.render(i).tobytes() for i in range(len(pictures))]
    assert pictures.render(5).tobytes() == in_order[5]
    assert len(set(in_order)) == 7


def test_individuals_of_one_species_look_more_alike_than_others(rng: np.random.Generator) -> None:
    species = species_table(8, rng)
    specimens = draw_specimens(species, np.full(8, 4), rng, variation=0.15, most_views=1)
    pictures = ShellPictures.from_tables(specimens, draw_pictures(specimens, rng, jitter=0.0), 32)
    # The same scene for all: differences are the specimens' own.
    scene = Scene(background="dark", bar_corner=-1, noise=0.0)
    pixels = np.array([photograph(pictures.shell(i), scene, 32) for i in range(32)], dtype=float)
    flat = pixels.reshape(32, -1)
    distance = np.linalg.norm(flat[:, None] - flat[None], axis=2)
    names = specimens["species"].to_numpy()
    same = names[:, None] == names[None]
    off_diagonal = ~np.eye(32, dtype=bool)
    assert distance[same & off_diagonal].mean() < 0.6 * distance[~same].mean()
    np.fill_diagonal(distance, np.inf)
    nearest = names[distance.argmin(axis=1)]
    assert np.mean(nearest == names) > 0.8
