"""What the study `seqdist` works on: distinct sequences, exact distances, and who is tested.

Every split is made here, from the seed alone and before anything is fitted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd

from kinlens.errors import InputError
from kinlens.evaluate.splits import Shares, Split, random_split
from kinlens.geometry.edit import edit_distances
from kinlens.geometry.packing import pack_sequences
from kinlens.parallel import Resources
from kinlens.records.collection import Collection
from kinlens.records.sequences import GAPS, SequenceSet, looks_like_nucleotides
from kinlens.rng import RandomStreams
from kinlens.typing import BoolArray, IntArray, UInt16Array

__all__ = ["RelativesSplit", "Task", "TaskConfig", "prepare"]

# With fewer, nothing is left to learn from once a test part is taken away.
_FEWEST = 20
_FEWEST_FOCAL = 5
# Held-out relatives may take away at most this share of all sequences.
_MOST_REMOVED = 0.5
_WORD_LETTERS = {"dna": "ACGT", "rna": "ACGU", "protein": "ACDEFGHIKLMNPQRSTVWY"}


class TaskConfig(Protocol):
    """The settings that decide which sequences are compared and how they are split."""

    most_sequences: int
    test_share: float
    validation_share: float
    cluster_depths: tuple[int, ...]
    cluster_repeats: int


@dataclass(frozen=True, eq=False)
class RelativesSplit:
    """Test sequences whose nearest relatives are kept out of training.

    Parameters
    ----------
    depth : int
        d: the ``2^d`` nearest relatives of each tested sequence are never trained on.
    repeat : int
        Which draw of tested sequences; the same over all depths.
    train, validation, test, removed : array of int
        Rows. All depths of one repeat have training parts of one size, so that the error does
        not rise merely because there is less to learn from.
    """

    depth: int
    repeat: int
    train: IntArray
    validation: IntArray
    test: IntArray
    removed: IntArray

    @property
    def name(self) -> str:
        """As in ``metrics.csv``."""
        return f"cluster_{self.depth}"


@dataclass(frozen=True, eq=False)
class Task:
    """Distinct sequences with their exact distances and splits.

    Parameters
    ----------
    sequences : SequenceSet
        Without gaps, no two alike.
    distances : array of shape (n, n), uint16
        Exact edit distances.
    split : Split
        The random one.
    relatives : tuple of RelativesSplit
        By depth and repeat; empty when there are too few sequences for any.
    n_records : int
        Sequences before the identical ones were joined.
    n_distinct : int
        Distinct ones, of which `sequences` may be a random part.
    """

    sequences: SequenceSet
    distances: UInt16Array
    split: Split
    relatives: tuple[RelativesSplit, ...]
    n_records: int
    n_distinct: int

    @property
    def unit(self) -> float:
        """Mean length; errors are given in percent of it."""
        return float(self.sequences.lengths.mean())

    @property
    def word_letters(self) -> str:
        """The letters that words are made of: without ambiguity codes."""
        known = _WORD_LETTERS.get(self.sequences.alphabet)
        return known or "".join(sorted(map(chr, set(b"".join(self.sequences.sequences)))))

    @property
    def references(self) -> IntArray:
        """What a new sequence is compared with: everything that is not tested."""
        return self.split.development

    def exact(self, rows: IntArray, columns: IntArray) -> UInt16Array:
        """Return exact distances of `rows` to `columns`."""
        return self.distances[np.ix_(rows, columns)]

    def splits_frame(self) -> pd.DataFrame:
        """Return who was where: columns ``id``, ``split``, ``part``."""
        frames = [self.split.frame(self.sequences.ids).rename(columns={"image": "id"})]
        for split in self.relatives:
            part = np.full(len(self.sequences), "unused", dtype=object)
            part[split.removed] = "removed"
            for name in ("train", "validation", "test"):
                part[getattr(split, name)] = name
            label = f"{split.name}_repeat_{split.repeat}"
            frames.append(pd.DataFrame({"id": self.sequences.ids, "split": label, "part": part}))
        return pd.concat(frames, ignore_index=True)


def prepare(
    collection: Collection, config: TaskConfig, streams: RandomStreams, resources: Resources
) -> Task:
    """Join identical sequences, compare all with all, and split.

    Parameters
    ----------
    collection : Collection
        With sequences.
    config : TaskConfig
        How many at the most, and how they are split.
    streams : RandomStreams
        Decides who is tested.
    resources : Resources
        How many threads compare.

    Raises
    ------
    InputError
        When there are too few distinct sequences, none with a letter that says something, or
        nucleotides and proteins in one set.
    """
    collection.require("sequences", study="seqdist")
    assert collection.sequences is not None  # because it was required
    records = collection.sequences
    bare = SequenceSet(
        records.ids, tuple(s.translate(None, GAPS) for s in records.sequences), records.species
    )
    distinct = bare.deduplicated()
    _check(bare, distinct, where=str(collection.folder / "sequences.fasta"))
    chosen = distinct
    if len(distinct) > config.most_sequences:
        drawn = streams.generator("subset").permutation(len(distinct))[: config.most_sequences]
        chosen = distinct.take(np.sort(drawn))
    distances = edit_distances(pack_sequences(chosen.sequences), threads=resources.workers)
    split = random_split(
        len(chosen),
        rng=streams.generator("split"),
        shares=Shares(test=config.test_share, validation=config.validation_share),
        seed=streams.seed,
    )
    relatives = tuple(
        found
        for repeat in range(config.cluster_repeats)
        for found in _relatives_splits(
            distances,
            config.cluster_depths,
            repeat,
            streams.generator("relatives", repeat),
            most=len(split.test),
        )
    )
    return Task(chosen, distances, split, relatives, len(records), len(distinct))


def _check(records: SequenceSet, distinct: SequenceSet, *, where: str) -> None:
    if len(distinct) < _FEWEST:
        alike = "all of them are identical" if len(distinct) == 1 else f"{len(distinct)} differ"
        what = (
            f"{len(records):,} sequences, of which {alike}"
            if len(records) > 1
            else (f"{len(records)} sequence" + "s" * (len(records) == 0))
        )
        raise InputError(
            f"{what}, where learning distances needs {_FEWEST} different ones or more",
            where=where,
            remedy="`kinlens distances edit` compares any number of sequences exactly.",
        )
    kinds = [looks_like_nucleotides(sequence) for sequence in distinct.sequences]
    if True in kinds and False in kinds:
        fewer = kinds.count(True) < kinds.count(False)
        odd = [n for n, kind in zip(distinct.ids, kinds, strict=True) if kind is fewer]
        raise InputError(
            f"nucleotides and proteins are mixed; {len(odd):,} sequences look like "
            + ("nucleotides" if fewer else "proteins"),
            where=where,
            offenders=odd,
            remedy="Keep each kind in a dataset folder of its own.",
        )
    letters = _WORD_LETTERS.get(distinct.alphabet, "").encode()
    if letters and not any(len(s.translate(None, letters)) < len(s) for s in distinct.sequences):
        raise InputError(
            f"no sequence has one of the letters {letters.decode()}; all are unknown letters",
            where=where,
            remedy="Look at how the file was made; masked sequences have no distances.",
        )


def _relatives_splits(
    distances: UInt16Array,
    depths: tuple[int, ...],
    repeat: int,
    rng: np.random.Generator,
    *,
    most: int,
) -> list[RelativesSplit]:
    """Draw tested sequences once, then take away more and more of their relatives."""
    n = len(distances)
    usable = sorted({depth for depth in depths if 2**depth <= n // (2 * _FEWEST_FOCAL)})
    if not usable:
        return []
    order = rng.permutation(n)
    near = _nearest(distances, order[: max(most, _FEWEST_FOCAL)], 2 ** usable[-1])
    focal = _affordable(near, n)
    tested = order[: len(focal)]
    masks = [_removed(tested, near[: len(tested), : 2**depth], n) for depth in usable]
    size = n - int(masks[-1].sum())
    splits = []
    for depth, mask in zip(usable, masks, strict=True):
        drawn = rng.permutation(np.flatnonzero(~mask))[:size]
        held = max(size // 10, 2)
        removed = np.setdiff1d(np.flatnonzero(mask), tested)
        train, validation = np.sort(drawn[held:]), np.sort(drawn[:held])
        splits.append(RelativesSplit(depth, repeat, train, validation, np.sort(tested), removed))
    return splits


def _nearest(distances: UInt16Array, rows: IntArray, count: int) -> IntArray:
    """Return the nearest others of each of `rows`, nearest first."""
    near = np.empty((len(rows), count), dtype=np.int64)
    for place, row in enumerate(rows):
        order = np.argsort(distances[row], kind="stable")
        near[place] = order[order != row][:count]
    return near


def _affordable(near: IntArray, n: int) -> IntArray:
    """Return how many, from the first on, can be tested before too little is left to learn from."""
    is_removed = np.zeros(n, dtype=bool)
    for place, relatives in enumerate(near):
        is_removed[relatives] = True
        # Tested ones count as removed, too; at the most one more for each.
        if is_removed.sum() + place + 1 > _MOST_REMOVED * n:
            return np.arange(max(place, _FEWEST_FOCAL))
    return np.arange(len(near))


def _removed(tested: IntArray, near: IntArray, n: int) -> BoolArray:
    mask = np.zeros(n, dtype=bool)
    mask[tested] = True
    mask[near.ravel()] = True
    return mask
