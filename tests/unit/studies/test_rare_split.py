"""Who trains, validates and tests when most species have a single specimen, as in nature."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from kinlens.rng import RandomStreams
from kinlens.studies.rare import RareConfig
from kinlens.studies.rare_task import RareSplit, draw_split


def world(counts: list[int]) -> Any:
    """A task with so many specimens of each species, two pictures a specimen."""
    names = [f"s{place:02d}" for place in range(len(counts))]
    species = np.repeat(np.array(names, dtype=object), 2 * np.array(counts))
    specimens = np.repeat(np.arange(sum(counts)), 2)
    return SimpleNamespace(names=tuple(names), species=species, specimens=specimens)


def drawn(task: Any, seed: int = 0) -> RareSplit:
    return draw_split(task, RareConfig(), RandomStreams(seed))


@pytest.mark.parametrize("seed", range(5))
def test_a_long_tail_leaves_species_that_are_not_rare_and_validate(seed: int) -> None:
    task = world([1] * 60 + [12] * 20)
    split = drawn(task, seed)
    assert len(split.unseen) == 8
    assert len(split.rare) == 6  # of the 20 that can be learned from and tested
    validating = set(task.species[split.validation])
    assert len(validating) >= 8
    assert not validating & {*split.rare, *split.unseen}
    learned = set(task.species[split.train])
    assert learned == set(task.names) - set(split.unseen)


@pytest.mark.parametrize("counts", [[1] * 60 + [12] * 20, [5] * 40, [2] * 10, [1, 1, 1, 2, 3, 40]])
def test_every_specimen_has_one_part(counts: list[int]) -> None:
    task = world(counts)
    split = drawn(task)
    parts = [set(task.specimens[rows]) for rows in (split.train, split.validation, split.test)]
    assert sum(map(len, parts)) == sum(counts)
    assert set.union(*parts) == set(range(sum(counts)))
    of_rare = [int((task.species[split.train] == name).sum()) for name in split.rare]
    assert of_rare == [2] * len(split.rare)  # the two pictures of one specimen


def test_many_species_give_one_specimen_of_every_fourth() -> None:
    task = world([8] * 400)
    split = drawn(task)
    validating = set(task.species[split.validation])
    assert len(validating) == pytest.approx((400 - 40 - 120) / 4, abs=1)
    assert len(set(task.specimens[split.validation])) == len(validating)
