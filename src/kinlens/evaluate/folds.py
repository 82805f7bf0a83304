"""Splits in k folds, in which everything that can be tested is tested exactly once.

The single splits are in `splits`; what is kept whole, and why, is the same here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from kinlens.errors import UsageError
from kinlens.evaluate.groups import group_codes, join_groups, shuffled_strata
from kinlens.evaluate.splits import Split, clade_blocks
from kinlens.typing import IntArray

__all__ = ["clade_folds", "random_folds", "specimen_folds", "stratified_folds"]


def random_folds(
    n_rows: int, n_folds: int, *, rng: np.random.Generator, seed: int | None = None
) -> tuple[Split, ...]:
    """Cut rows into folds at random; each fold's rows are tested once and train otherwise.

    Parameters
    ----------
    n_rows : int
        Rows of the table.
    n_folds : int
        At least 2.
    rng, seed
        As for `specimen_folds`.
    """
    strata = np.zeros(n_rows, np.int64)
    return _fold_splits("random", _deal(np.arange(n_rows), strata, n_folds, rng), n_folds, "", seed)


def stratified_folds(
    species: Iterable[Any], n_folds: int, *, rng: np.random.Generator, seed: int | None = None
) -> tuple[Split, ...]:
    """Cut rows into folds with every species spread evenly; single rows of a species train.

    Parameters
    ----------
    species : iterable of length n_rows
        What to spread evenly.
    n_folds : int
        At least 2.
    rng, seed
        As for `specimen_folds`.
    """
    strata = group_codes(species).codes
    fold = _deal(np.arange(len(strata)), strata, n_folds, rng)
    return _fold_splits("stratified", fold, n_folds, "", seed)


def specimen_folds(
    species: Iterable[Any],
    together: Iterable[Any],
    n_folds: int,
    *,
    rng: np.random.Generator,
    seed: int | None = None,
) -> tuple[Split, ...]:
    """Cut specimens into folds, each species spread as evenly as whole specimens allow.

    A species' only specimen trains in every fold, since testing it would ask for a name that was
    never shown; every other specimen is tested exactly once. Validation parts are empty.

    Parameters
    ----------
    species, together, rng, seed
        As for `specimen_split`.
    n_folds : int
        At least 2.
    """
    strata = group_codes(species).codes
    groups = join_groups(len(strata), together)
    return _fold_splits("specimen", _deal(groups, strata, n_folds, rng), n_folds, "specimen", seed)


def clade_folds(
    clades: Iterable[Any],
    n_folds: int,
    *,
    rng: np.random.Generator,
    together: Iterable[Any] | None = None,
    name: str = "clade",
    grouped_by: str = "clade",
    seed: int | None = None,
) -> tuple[Split, ...]:
    """Cut whole clades into folds of nearly equal size; every clade is tested exactly once.

    The largest clade goes first, each next one to the lightest fold; clades of equal size and
    folds of equal weight are taken in random order.

    Parameters
    ----------
    clades, rng, together, name, grouped_by, seed
        As for `clade_split`.
    n_folds : int
        At least 2 and at most the number of clades.
    """
    _check_folds(n_folds)
    blocks = clade_blocks(clades, together, n_blocks=n_folds, what=grouped_by)
    sizes = np.bincount(blocks[blocks >= 0])
    order = rng.permutation(len(sizes))
    order = order[np.argsort(-sizes[order], kind="stable")]
    weights = np.zeros(n_folds, np.int64)
    fold = np.empty(len(sizes), np.int64)
    ties = rng.permutation(n_folds)
    for block in order:
        lightest = ties[np.argmin(weights[ties])]
        fold[block] = lightest
        weights[lightest] += sizes[block]
    of_row = np.where(blocks >= 0, fold[blocks], -2)
    return _fold_splits(name, of_row, n_folds, grouped_by, seed)


def _deal(groups: IntArray, strata: IntArray, n_folds: int, rng: np.random.Generator) -> IntArray:
    """Return the fold of each row; -1 where it trains in every fold, -2 where it is unused."""
    _check_folds(n_folds)
    fold = np.full(int(groups.max(initial=-1)) + 1, -2, np.int64)
    dealt = 0
    for members in shuffled_strata(groups, strata, rng):
        if len(members) == 1:
            fold[members] = -1
            continue
        # Dealt like cards, going on where the last stratum ended, so that folds are equal in size.
        fold[members] = (dealt + np.arange(len(members))) % n_folds
        dealt += len(members)
    return np.where(strata >= 0, fold[groups], -2)


def _fold_splits(
    name: str, fold: IntArray, n_folds: int, grouped_by: str, seed: int | None
) -> tuple[Split, ...]:
    """Make one split a fold; -1 trains in every fold, -2 is unused."""
    return tuple(
        Split(
            f"{name}_{number}",
            train=np.flatnonzero((fold != number) & (fold >= -1)),
            validation=np.empty(0, np.int64),
            test=np.flatnonzero(fold == number),
            n_rows=len(fold),
            grouped_by=grouped_by,
            seed=seed,
        )
        for number in range(n_folds)
    )


def _check_folds(n_folds: int) -> None:
    if n_folds < 2:
        raise UsageError(f"n_folds must be 2 or more, not {n_folds}.")
