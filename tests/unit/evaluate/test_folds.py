from __future__ import annotations

import numpy as np
import pytest

from kinlens.errors import InputError, UsageError
from kinlens.evaluate.folds import clade_folds, random_folds, specimen_folds, stratified_folds
from kinlens.evaluate.leaks import audit


def test_every_row_is_tested_once_and_folds_are_even(rng: np.random.Generator) -> None:
    for folds in (
        random_folds(103, 5, rng=rng),
        stratified_folds(["a"] * 60 + ["b"] * 43, 5, rng=rng),
    ):
        tested = np.concatenate([fold.test for fold in folds])
        assert np.sort(tested).tolist() == list(range(103))
        assert {len(fold.test) for fold in folds} <= {20, 21}
        for fold in folds:
            assert np.array_equal(np.sort(np.append(fold.train, fold.test)), np.arange(103))


def test_specimens_stay_whole_and_an_only_specimen_always_trains(rng: np.random.Generator) -> None:
    sizes = [1, 1, 2, 3, 4, 4, 5]
    species = np.repeat(np.arange(len(sizes)), np.array(sizes) * 2)
    specimens = np.arange(sum(sizes)).repeat(2)
    folds = specimen_folds(species, specimens, 3, rng=rng)
    tested = np.concatenate([fold.test for fold in folds])
    assert np.sort(tested).tolist() == list(range(4, len(species)))
    for fold in folds:
        assert audit(fold, specimens=specimens).is_clean
        assert set(species[fold.train]) == set(species)
        # Six pictures of three specimens go one specimen to a fold, and so on.
        assert (np.bincount(species[fold.test], minlength=7)[3:] >= 2).all()


def test_clade_folds_are_balanced_in_size_not_in_number(rng: np.random.Generator) -> None:
    clades = np.repeat(np.arange(9), [40, 20, 20, 10, 10, 5, 5, 5, 5])
    folds = clade_folds(clades, 3, rng=rng, grouped_by="family")
    assert [len(fold.test) for fold in folds] == [40, 40, 40]
    for fold in folds:
        assert not set(clades[fold.test]) & set(clades[fold.train])
    assert [fold.name for fold in folds] == ["clade_0", "clade_1", "clade_2"]


def test_more_folds_than_clades_are_refused(rng: np.random.Generator) -> None:
    with pytest.raises(InputError, match="needs at least 4 of them, found 2"):
        clade_folds(["a", "b"], 4, rng=rng)
    with pytest.raises(UsageError, match="n_folds must be 2 or more"):
        random_folds(10, 1, rng=rng)
