"""Which pictures train, which validate and which test, decided before anything is fitted.

Pictures of one specimen, and copies of one picture, stay together; `leaks.audit` proves it. Folds
are in `folds`; what is scored on the parts, and how, is in `metrics` and `resample`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from kinlens.errors import InputError, UsageError
from kinlens.evaluate.groups import group_codes, join_groups, shuffled_strata
from kinlens.typing import AnyArray, IntArray

__all__ = [
    "PARTS",
    "UNUSED",
    "Shares",
    "Split",
    "clade_blocks",
    "clade_split",
    "random_split",
    "specimen_split",
    "stratified_split",
]

PARTS = ("train", "validation", "test")
UNUSED = "unused"
_TRAIN, _VALIDATION, _TEST = range(3)


@dataclass(frozen=True)
class Shares:
    """How much of the data each part should get.

    Parameters
    ----------
    test : float
        Share of all units, 0 to 1 (exclusive).
    validation : float
        Share of all units, 0 or more; the rest trains.

    Raises
    ------
    UsageError
        When nothing would be left to train on.
    """

    test: float = 0.25
    validation: float = 0.15

    def __post_init__(self) -> None:
        if not (0 < self.test < 1 and self.validation >= 0 and self.test + self.validation < 1):
            raise UsageError(
                f"shares must leave something to train on: test = {self.test}, "
                f"validation = {self.validation}."
            )


_DEFAULT = Shares()


@dataclass(frozen=True, eq=False)
class Split:
    """Row numbers of the three parts.

    Parameters
    ----------
    name : str
        Kind of split: ``"random"``, ``"stratified"``, ``"specimen"``, ``"clade"``,
        ``"distance"``; with ``_0``, ``_1``, ... for folds.
    train, validation, test : IntArray
        Sorted row numbers; no row is in two of them. A row in none is unused.
    n_rows : int
        Rows of the table that was split.
    grouped_by : str
        What always stays on one side, such as ``"specimen"`` or ``"genus"``; "" when nothing.
    seed : int, optional
        The seed that the caller drew the generator from, kept for the record.

    Raises
    ------
    UsageError
        When a row is in two parts or beyond the table.
    """

    name: str
    train: IntArray
    validation: IntArray
    test: IntArray
    n_rows: int
    grouped_by: str = ""
    seed: int | None = None

    def __post_init__(self) -> None:
        for part in PARTS:
            object.__setattr__(self, part, np.sort(np.asarray(getattr(self, part), np.int64)))
        rows = np.concatenate([self.train, self.validation, self.test])
        if rows.size and (rows.min() < 0 or rows.max() >= self.n_rows):
            raise UsageError(f"split {self.name!r} names rows beyond the table's {self.n_rows}.")
        if np.unique(rows).size != rows.size:
            raise UsageError(f"split {self.name!r} has a row in two parts.")

    @property
    def development(self) -> IntArray:
        """Rows of train and validation together, sorted: what the final model is fitted on."""
        return np.sort(np.concatenate([self.train, self.validation]))

    @property
    def part(self) -> AnyArray:
        """The part of each row: ``"train"``, ``"validation"``, ``"test"`` or ``"unused"``."""
        part = np.full(self.n_rows, UNUSED, dtype=object)
        for name in PARTS:
            part[getattr(self, name)] = name
        return part

    def frame(self, images: Sequence[str] | AnyArray) -> pd.DataFrame:
        """Return the table for ``splits.csv``: columns ``image``, ``split``, ``part``.

        Parameters
        ----------
        images : sequence of str
            One name a row of the table that was split.
        """
        if len(images) != self.n_rows:
            raise UsageError(f"{len(images)} images for a split of {self.n_rows} rows.")
        return pd.DataFrame({"image": list(images), "split": self.name, "part": self.part})


def random_split(
    n_rows: int,
    *,
    rng: np.random.Generator,
    shares: Shares = _DEFAULT,
    seed: int | None = None,
) -> Split:
    """Split rows at random, each on its own.

    Pictures of one specimen land on both sides, so scores are too good: made to be shown beside
    `specimen_split`, never to be trusted alone.

    Parameters
    ----------
    n_rows : int
        Rows of the table.
    rng, shares, seed
        As for `specimen_split`.
    """
    strata = np.zeros(n_rows, np.int64)
    return _split_of("random", _allocate(np.arange(n_rows), strata, shares, rng), seed=seed)


def stratified_split(
    species: Iterable[Any],
    *,
    rng: np.random.Generator,
    shares: Shares = _DEFAULT,
    seed: int | None = None,
) -> Split:
    """Split rows, each on its own, every species giving the same share to training.

    A species with one row trains. For data without specimens; see `specimen_split` otherwise.

    Parameters
    ----------
    species : iterable of length n_rows
        What to stratify by; rows that name none are unused.
    rng, shares, seed
        As for `specimen_split`.
    """
    strata = group_codes(species).codes
    part = _allocate(np.arange(len(strata)), strata, shares, rng)
    return _split_of("stratified", part, seed=seed)


def specimen_split(
    species: Iterable[Any],
    together: Iterable[Any],
    *,
    rng: np.random.Generator,
    shares: Shares = _DEFAULT,
    seed: int | None = None,
) -> Split:
    """Split specimens, each species giving the same share to training as far as whole ones allow.

    A species with two specimens or more always has one to train on; a species with one specimen
    trains. Shares are met on the average over species, so a few specimens each are no obstacle.
    Every specimen held out is as likely to test as any other, so that what is calibrated on the
    validation part holds for the test part.

    Parameters
    ----------
    species : iterable of length n_rows
        What to stratify by; rows that name none ("" or None) are unused.
    together : iterable of length n_rows
        What stays on one side: specimens, or `join_groups` of specimens and duplicates. A group
        that spans species counts as one of its commonest species.
    rng : numpy.random.Generator
        Decides who goes where.
    shares : Shares
        Parts of the whole.
    seed : int, optional
        Kept for the record.

    Examples
    --------
    >>> species = ["a"] * 8 + ["b"] * 2
    >>> specimens = [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    >>> split = specimen_split(species, specimens, rng=np.random.default_rng(0))
    >>> len(split.test), split.part[[8, 9]].tolist()
    (2, ['train', 'train'])
    """
    strata = group_codes(species).codes
    groups = join_groups(len(strata), together)
    part = _allocate(groups, strata, shares, rng)
    return _split_of("specimen", part, grouped_by="specimen", seed=seed)


def clade_split(
    clades: Iterable[Any],
    *,
    rng: np.random.Generator,
    shares: Shares = _DEFAULT,
    together: Iterable[Any] | None = None,
    name: str = "clade",
    grouped_by: str = "clade",
    seed: int | None = None,
) -> Split:
    """Hold out whole clades: what is tested has no close relative in training.

    Parameters
    ----------
    clades : iterable of length n_rows
        Clade of each row: a rank's labels, the number of the subtree when a tree was cut, or the
        clusters of `distance_clusters`. Rows that name none ("", None, negative) are unused.
    rng : numpy.random.Generator
        Decides which clades are held out.
    shares : Shares
        Parts of the whole, met as nearly as whole clades allow.
    together : iterable of length n_rows, optional
        Further groups, such as duplicates; clades that share one are held out together.
    name, grouped_by : str
        Recorded in the split; ``"genus"`` says more than ``"clade"``.
    seed : int, optional
        Kept for the record.

    Raises
    ------
    InputError
        When there are fewer than two clades (three, with a validation share).
    """
    blocks = clade_blocks(clades, together, n_blocks=3 if shares.validation else 2, what=grouped_by)
    sizes = np.bincount(blocks[blocks >= 0])
    part = np.full(len(sizes), _TRAIN)
    free = rng.permutation(len(sizes))
    for position, share in ((_TEST, shares.test), (_VALIDATION, shares.validation)):
        if share:
            # One clade stays free to train on, and one for the part that is still to come.
            kept = 2 if position == _TEST and shares.validation else 1
            chosen = _subset_near(sizes[free], share * sizes.sum(), most=len(free) - kept)
            part[free[chosen]] = position
            free = np.delete(free, chosen)
    of_row = np.where(blocks >= 0, part[blocks], -1)
    return _split_of(name, of_row, grouped_by=grouped_by, seed=seed)


def clade_blocks(
    clades: Iterable[Any], together: Iterable[Any] | None, *, n_blocks: int, what: str
) -> IntArray:
    """Give the blocks that are held out as a whole numbers from 0, -1 where no clade is named.

    Parameters
    ----------
    clades, together
        As for `clade_split`.
    n_blocks : int
        How many there must be.
    what : str
        What the message calls a clade.

    Raises
    ------
    InputError
        When there are fewer than `n_blocks`.
    """
    codes = group_codes(clades).codes
    joined = join_groups(len(codes), codes, together)
    blocks = group_codes(np.where(codes >= 0, joined, -1)).codes
    found = int(blocks.max(initial=-1)) + 1
    if found < n_blocks:
        raise InputError(
            f"holding out by {what} needs at least {n_blocks} of them, found {found}",
            remedy="Hold out by a lower rank, or split by specimen.",
        )
    return blocks


def _allocate(
    groups: IntArray, strata: IntArray, shares: Shares, rng: np.random.Generator
) -> IntArray:
    """Return the part of each row as a position in `PARTS`; -1 where it is unused.

    First it is decided, stratum by stratum, how many are held out of training, then how many of
    those test. Every group held out is as likely to test as any other, whatever its stratum:
    validation and test are drawn alike, as calibrating on one for the other needs.
    """
    part = np.full(int(groups.max(initial=-1)) + 1, -1)
    share = shares.test + shares.validation
    # Fractions of a group are owed from stratum to stratum, from a random start.
    owed, owed_test = rng.random(2)
    for members in shuffled_strata(groups, strata, rng):
        part[members] = _TRAIN
        if len(members) > 1:
            owed += share * len(members)
            held = min(int(owed), len(members) - 1)
            owed -= int(owed)
            owed_test += held * shares.test / share
            tested = int(owed_test)
            owed_test -= tested
            part[members[:tested]] = _TEST
            part[members[tested:held]] = _VALIDATION
    return np.where(strata >= 0, part[groups], -1)


def _split_of(name: str, part: IntArray, *, grouped_by: str = "", seed: int | None) -> Split:
    rows = {name: np.flatnonzero(part == position) for position, name in enumerate(PARTS)}
    return Split(name, **rows, n_rows=len(part), grouped_by=grouped_by, seed=seed)


def _subset_near(sizes: IntArray, target: float, *, most: int) -> IntArray:
    """Pick blocks, in the order given, whose sizes add up to about `target`; at least one."""
    chosen: list[int] = []
    total = 0
    for position, size in enumerate(sizes):
        if len(chosen) == most:
            break
        # A clade far larger than the share would leave little to train on.
        if total + size <= 1.15 * target:
            chosen.append(position)
            total += size
    if not chosen:
        chosen = [int(np.argmin(sizes))]
    return np.asarray(chosen, np.int64)
