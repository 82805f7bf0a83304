"""Many random splits of the same rows as one small matrix, for scores averaged over all of them.

Single splits with a validation part are in `splits`, folds in `folds`. Here a split is a row of
`PartsArray`, so that ten thousand of them travel to other processes as a few megabytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kinlens.errors import UsageError
from kinlens.evaluate.splits import Shares, Split, clade_split

__all__ = ["TEST", "TRAIN", "UNUSED", "PartsArray", "parts_of", "repeat_clades", "repeat_random"]

PartsArray: TypeAlias = NDArray[np.int8]
"""Shape (n_splits, n_rows): `TRAIN`, `TEST` or `UNUSED`."""

TRAIN, TEST, UNUSED = 0, 1, -1


def repeat_random(
    n_rows: int, count: int, *, rng: np.random.Generator, test_share: float = 0.25
) -> PartsArray:
    """Cut rows at random into a training and a test part, `count` times.

    Parameters
    ----------
    n_rows : int
        Rows of the table, at least 4.
    count : int
        How many splits.
    test_share : float
        Share of the rows that is tested; all splits test the same number of rows.

    Examples
    --------
    >>> repeat_random(8, 2, rng=np.random.default_rng(1)).sum(axis=1)
    array([2, 2])
    """
    n_test = round(test_share * n_rows)
    if not 2 <= n_test <= n_rows - 2:
        raise UsageError(
            f"a test share of {test_share:g} of {n_rows} rows leaves too few to train or to test."
        )
    parts = np.zeros((count, n_rows), dtype=np.int8)
    parts[:, :n_test] = TEST
    return rng.permuted(parts, axis=1)


def repeat_clades(
    clades: Iterable[Any], count: int, *, rng: np.random.Generator, test_share: float = 0.25
) -> PartsArray:
    """Hold out whole clades, `count` times: nothing tested has a near relative in training.

    Parameters
    ----------
    clades : iterable of length n_rows
        Clade of each row, as for `splits.clade_split`; rows that name none are unused.
    count : int
        How many splits.
    test_share : float
        Share of the rows to test, met as nearly as whole clades allow.

    Raises
    ------
    InputError
        When there are fewer than two clades.
    """
    clades = list(clades)
    shares = Shares(test=test_share, validation=0.0)
    return parts_of([clade_split(clades, rng=rng, shares=shares) for _ in range(count)])


def parts_of(splits: Sequence[Split]) -> PartsArray:
    """Return splits of one table as a matrix; validation rows count as training.

    Examples
    --------
    >>> parts_of([Split("random", train=[0, 1], validation=[], test=[2], n_rows=4)])
    array([[ 0,  0,  1, -1]], dtype=int8)
    """
    parts = np.full((len(splits), splits[0].n_rows if splits else 0), UNUSED, dtype=np.int8)
    for row, split in zip(parts, splits, strict=True):
        row[split.development] = TRAIN
        row[split.test] = TEST
    return parts
