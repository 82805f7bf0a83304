"""Repeated splits: equal sizes, whole clades, no row on two sides."""

from __future__ import annotations

import numpy as np
import pytest

from kinlens.errors import InputError, UsageError
from kinlens.evaluate.repeated import TEST, TRAIN, UNUSED, repeat_clades, repeat_random


def test_every_random_split_tests_the_same_number_and_no_two_are_alike() -> None:
    parts = repeat_random(40, 50, rng=np.random.default_rng(1), test_share=0.25)
    assert (parts == TEST).sum(axis=1).tolist() == [10] * 50
    assert ((parts == TRAIN) | (parts == TEST)).all()
    assert len(np.unique(parts, axis=0)) == 50


def test_each_row_is_tested_about_equally_often() -> None:
    parts = repeat_random(20, 2000, rng=np.random.default_rng(2))
    assert np.abs((parts == TEST).mean(axis=0) - 0.25).max() < 0.04


def test_clades_stay_whole_and_rows_without_one_are_unused() -> None:
    clades = np.repeat(np.arange(10), 4)
    clades[-1] = -1
    parts = repeat_clades(clades, 30, rng=np.random.default_rng(3))
    for part in parts:
        for clade in range(10):
            assert len(np.unique(part[clades == clade])) == 1
    assert (parts[:, -1] == UNUSED).all()
    assert 4 <= (parts == TEST).sum(axis=1).mean() <= 12


def test_one_clade_cannot_be_held_out() -> None:
    with pytest.raises(InputError, match="at least 2"):
        repeat_clades([0] * 8, 2, rng=np.random.default_rng(0))


def test_too_few_rows_are_refused() -> None:
    with pytest.raises(UsageError, match="too few"):
        repeat_random(4, 2, rng=np.random.default_rng(0), test_share=0.25)
