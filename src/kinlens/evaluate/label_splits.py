"""Splitting pictures with several labels so that every label is in every part, units kept whole.

The other splits are in `splits`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from kinlens.errors import InputError
from kinlens.evaluate.groups import join_groups
from kinlens.evaluate.splits import Shares, Split
from kinlens.typing import BoolArray, FloatArray, IntArray

__all__ = ["label_split"]


def label_split(
    truth: BoolArray,
    together: Iterable[Any],
    *,
    rng: np.random.Generator,
    shares: Shares,
    grouped_by: str = "",
    seed: int | None = None,
) -> Split:
    """Deal whole units to the three parts, the rarest label first.

    This is iterative stratification (Sechidis, Tsoumakas & Vlahavas 2011) of units instead of
    pictures: of the label with fewest units left, each unit goes to the part that lacks most of
    it, then to the part that lacks most pictures.

    Parameters
    ----------
    truth : array of bool, shape (n, k)
        Which labels hold.
    together : iterable of length n
        What stays on one side, such as the antibody or the field.
    rng : numpy.random.Generator
        Decides the order among units, and ties.
    shares : Shares
        Parts of the whole.
    grouped_by : str
        What the units are, for the record.
    seed : int, optional
        Kept for the record.

    Raises
    ------
    InputError
        When there are fewer than three units.

    References
    ----------
    K. Sechidis, G. Tsoumakas and I. Vlahavas, On the stratification of multi-label data, ECML
    PKDD 2011, 145-158.

    Examples
    --------
    >>> truth = np.eye(2, dtype=bool)[[0] * 8 + [1] * 12]
    >>> split = label_split(
    ...     truth, range(20), rng=np.random.default_rng(0), shares=Shares(0.25, 0.25)
    ... )
    >>> [truth[part].sum(axis=0).tolist() for part in (split.train, split.validation, split.test)]
    [[4, 6], [2, 3], [2, 3]]
    """
    units = join_groups(len(truth), together)
    n_units = int(units.max(initial=-1)) + 1
    if n_units < 3:
        what = grouped_by or "pictures"
        raise InputError(
            f"a split into three parts needs three units or more, found {n_units} ({what})",
            remedy="Add data, or name another column with --set together=COLUMN.",
        )
    sizes = np.bincount(units, minlength=n_units).astype(float)
    holds = np.zeros((n_units, truth.shape[1]))
    np.add.at(holds, units, truth.astype(float))
    share = np.array([1 - shares.test - shares.validation, shares.validation, shares.test])
    part = _dealt(holds, sizes, share, rng)[units]
    train, validation, test = (np.flatnonzero(part == number) for number in range(3))
    return Split(
        grouped_by or "random",
        train,
        validation,
        test,
        n_rows=len(truth),
        grouped_by=grouped_by,
        seed=seed,
    )


def _dealt(
    holds: FloatArray, sizes: FloatArray, share: FloatArray, rng: np.random.Generator
) -> IntArray:
    """Return the part of each unit."""
    n_units = len(holds)
    part = np.full(n_units, -1)
    lacks = share[:, None] * holds.sum(axis=0)  # (3, k): pictures of each label still wanted
    lacks_size = share * sizes.sum()
    free = rng.permutation(n_units)
    while free.size:
        left = (holds[free] > 0).sum(axis=0)
        if left.any():
            label = int(np.argmin(np.where(left > 0, left, n_units + 1)))
            members = free[holds[free, label] > 0]
        else:
            label, members = -1, free
        # Large units first, so that small ones can even out what they leave.
        for unit in members[np.argsort(-sizes[members], kind="stable")]:
            wanted = lacks[:, label] if label >= 0 else lacks_size
            # A part with no share gets nothing.
            order = np.where(share > 0, wanted + 1e-9 * lacks_size, -np.inf)
            chosen = int(np.argmax(order))
            part[unit] = chosen
            lacks[chosen] -= holds[unit]
            lacks_size[chosen] -= sizes[unit]
        free = free[part[free] < 0]
    return part
