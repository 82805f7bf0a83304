from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from kinlens.errors import InputError, UsageError
from kinlens.evaluate.groups import join_groups
from kinlens.evaluate.leaks import audit
from kinlens.evaluate.splits import (
    Shares,
    Split,
    clade_split,
    random_split,
    specimen_split,
    stratified_split,
)


def museum(rng: np.random.Generator, n_species: int = 60) -> tuple[list[str], list[str], list[str]]:
    """Species, specimens and genera of pictures: 1 to 5 specimens a species, 1 to 3 pictures."""
    species, specimens, genera = [], [], []
    for s in range(n_species):
        for individual in range(rng.integers(1, 6)):
            for _picture in range(rng.integers(1, 4)):
                species.append(f"s{s}")
                specimens.append(f"s{s}_{individual}")
                genera.append(f"g{s // 6}")
    return species, specimens, genera


def test_the_parts_cover_everything_once(rng: np.random.Generator) -> None:
    species, specimens, genera = museum(rng)
    n = len(species)
    for split in (
        random_split(n, rng=rng),
        stratified_split(species, rng=rng),
        specimen_split(species, specimens, rng=rng),
        clade_split(genera, rng=rng),
    ):
        together = np.sort(np.concatenate([split.train, split.validation, split.test]))
        assert together.tolist() == list(range(n))
        assert np.array_equal(split.development, np.sort(np.append(split.train, split.validation)))


def test_specimens_stay_whole_and_every_species_can_be_learned(rng: np.random.Generator) -> None:
    species, specimens, _genera = museum(rng)
    frame = pd.DataFrame({"species": species, "specimen": specimens})
    n_specimens = frame.groupby("species")["specimen"].nunique()
    for _ in range(20):
        split = specimen_split(species, specimens, rng=rng)
        assert audit(split, specimens=specimens).is_clean
        trained = set(frame["species"].iloc[split.train])
        assert trained == set(species)
        single = set(n_specimens.index[n_specimens == 1])
        assert not single & set(frame["species"].iloc[split.test])


def test_shares_are_met_although_each_species_has_few_specimens(rng: np.random.Generator) -> None:
    species = np.repeat(np.arange(300), 4)
    split = specimen_split(species, np.arange(1200), rng=rng, shares=Shares(0.3, 0.1))
    assert len(split.test) == pytest.approx(360, abs=1)
    assert len(split.validation) == pytest.approx(120, abs=1)
    # 1.6 of 4 held out: one or two of each species, never none and never three.
    left = np.bincount(species[split.train])
    assert set(left) == {2, 3}


def test_whoever_is_held_out_tests_as_likely_as_any_other(rng: np.random.Generator) -> None:
    species = np.repeat(np.arange(40), [2, 3, 4, 9] * 10)
    n = len(species)
    tested, held = np.zeros(n), np.zeros(n)
    for _ in range(200):
        split = specimen_split(species, np.arange(n), rng=rng, shares=Shares(0.2, 0.2))
        tested[split.test] += 1
        held[split.test] += 1
        held[split.validation] += 1
    for size in (2, 3, 4, 9):
        mine = np.isin(species, np.flatnonzero(np.bincount(species) == size))
        assert tested[mine].sum() / held[mine].sum() == pytest.approx(0.5, abs=0.04)


def test_an_ungrouped_split_leaks_and_the_audit_says_so(rng: np.random.Generator) -> None:
    species, specimens, _genera = museum(rng)
    report = audit(random_split(len(species), rng=rng), specimens=specimens)
    assert not report.is_clean
    leak = report.leaks[0]
    rows = list(leak.rows)
    assert {specimens[row] for row in rows} == {leak.value}
    assert len(leak.parts) > 1
    assert report.frame()["value"].tolist() == [leak.value for leak in report.leaks]


def test_copies_tie_specimens_together(rng: np.random.Generator) -> None:
    species = ["a"] * 8
    specimens = list("11223344")
    copies = [-1, 0, 0, -1, -1, 1, 1, -1]  # 1 with 2, 3 with 4
    together = join_groups(8, specimens, copies)
    for _ in range(10):
        split = specimen_split(species, together, rng=rng, shares=Shares(0.4, 0.0))
        assert len(split.test) in (0, 4)
        assert audit(split, specimens=specimens, duplicates=copies).is_clean


def test_rows_without_a_species_are_unused(rng: np.random.Generator) -> None:
    split = specimen_split(["a", "a", "", None], [0, 1, 2, 3], rng=rng)
    assert split.part[2:].tolist() == ["unused", "unused"]


def test_whole_clades_are_held_out_near_their_share(rng: np.random.Generator) -> None:
    clades = np.repeat(np.arange(50), rng.integers(1, 30, 50))
    for _ in range(10):
        split = clade_split(clades, rng=rng, shares=Shares(0.25, 0.1), grouped_by="genus")
        parts = [set(clades[rows]) for rows in (split.train, split.validation, split.test)]
        assert not parts[0] & parts[1]
        assert not parts[0] & parts[2]
        assert not parts[1] & parts[2]
        assert 0.15 < len(split.test) / len(clades) < 0.3
        assert split.grouped_by == "genus"


def test_a_clade_that_is_half_of_everything_is_not_held_out(rng: np.random.Generator) -> None:
    clades = np.repeat(np.arange(11), [100, *[10] * 10])
    for _ in range(10):
        split = clade_split(clades, rng=rng)
        assert 0 in clades[split.train]


def test_copies_across_clades_hold_both_out_together(rng: np.random.Generator) -> None:
    clades = list("aabbccdd")
    copies = [-1, 1, 1, -1, -1, -1, -1, -1]
    for _ in range(10):
        split = clade_split(clades, rng=rng, together=copies, shares=Shares(0.3, 0.0))
        assert len({split.part[row] for row in range(4)}) == 1


def test_rows_without_a_clade_are_unused_since_their_kin_is_unknown(
    rng: np.random.Generator,
) -> None:
    split = clade_split(["a", "b", "c", "", None], rng=rng)
    assert split.part[3:].tolist() == ["unused", "unused"]


def test_too_few_clades_are_refused(rng: np.random.Generator) -> None:
    with pytest.raises(InputError, match="holding out by genus needs at least 3 of them, found 2"):
        clade_split(["a", "b"], rng=rng, grouped_by="genus")
    assert len(clade_split(["a", "b"], rng=rng, shares=Shares(0.5, 0.0)).test) == 1


def test_the_same_generator_gives_the_same_split(rng: np.random.Generator) -> None:
    species, specimens, _genera = museum(rng)
    first, second, other = (
        specimen_split(species, specimens, rng=np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert np.array_equal(first.test, second.test)
    assert not np.array_equal(first.test, other.test)


def test_the_frame_says_part_by_part_what_happened() -> None:
    split = Split("specimen", np.array([2]), np.array([], int), np.array([0]), n_rows=3)
    frame = split.frame(["a.jpg", "b.jpg", "c.jpg"])
    assert frame["part"].tolist() == ["test", "unused", "train"]
    assert set(frame["split"]) == {"specimen"}
    with pytest.raises(UsageError, match="2 images for a split of 3 rows"):
        split.frame(["a.jpg", "b.jpg"])


def test_impossible_splits_are_refused() -> None:
    with pytest.raises(UsageError, match="row in two parts"):
        Split("x", np.array([0, 1]), np.array([], int), np.array([1]), n_rows=2)
    with pytest.raises(UsageError, match="beyond the table"):
        Split("x", np.array([5]), np.array([], int), np.array([1]), n_rows=2)
    for test, validation in ((0.0, 0.1), (0.8, 0.3), (0.5, -0.1)):
        with pytest.raises(UsageError, match="shares must leave"):
            Shares(test, validation)
