"""Batches of sequences with the distances of all their pairs, for networks that learn these.

Labels are computed for each batch as it comes, so memory does not grow with the square of the
number of sequences. What learns from the batches is in `neural`.

Everywhere, `alphabet` holds the letters that have a place of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from kinlens.geometry.edit import edit_distances
from kinlens.geometry.packing import PackedSequences, pack_sequences
from kinlens.optional import need
from kinlens.typing import AnyArray, IntArray

torch = need("torch")

__all__ = ["Labelled", "PairBatches", "chunks", "one_hot", "recombined"]

# Letters, which of them there are, and distances of all pairs: (B, L, A), (B, L), (B, B).
PairBatch = tuple[Any, Any, Any]


@dataclass(frozen=True, eq=False)
class Labelled:
    """Sequences with a way to their distances.

    Parameters
    ----------
    packed : PackedSequences
        The sequences.
    distances : array of shape (n, n), optional
        Their distances; exact edit distances are computed on demand when left out.
    """

    packed: PackedSequences
    distances: AnyArray | None

    def take(self, rows: IntArray) -> Labelled:
        """Return the sequences at `rows`, in that order."""
        own = self.distances
        return Labelled(self.packed.take(rows), None if own is None else own[np.ix_(rows, rows)])

    def batch(self, *, alphabet: bytes, unit: float) -> PairBatch:
        """Return all sequences as one batch, with distances divided by `unit`."""
        letters, mask = one_hot(self.packed, alphabet)
        exact = edit_distances(self.packed) if self.distances is None else self.distances
        return letters, mask, torch.from_numpy((exact / unit).astype(np.float32))


class PairBatches:
    """Random batches, drawn anew each epoch.

    Parameters
    ----------
    data : Labelled
        Two or more sequences.
    alphabet : bytes
        Letters that a network knows.
    unit : float
        Distances are divided by it.
    size : int
        Sequences in a batch, fewer where there are fewer.
    recombined_share : float
        Share of a batch that is exchanged for recombinants of two of its sequences, 0 to 1. They
        are new sequences from the same pool, with exact distances; where distances are given, no
        one knows those of a recombinant, and none is made.
    seed : int
        Together with the epoch, it decides what is drawn.
    """

    def __init__(
        self,
        data: Labelled,
        *,
        alphabet: bytes,
        unit: float,
        size: int,
        recombined_share: float,
        seed: int,
    ) -> None:
        self.data = data
        self.alphabet = alphabet
        self.unit = unit
        self.size = min(max(size, 2), len(data.packed))
        self.recombined_share = recombined_share if data.distances is None else 0.0
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch comes next, counted from 0."""
        self.epoch = epoch

    def __len__(self) -> int:
        # An incomplete last batch is left to another epoch, whose order differs.
        return max(len(self.data.packed) // self.size, 1)

    def __iter__(self) -> Iterator[PairBatch]:
        generator = np.random.default_rng((self.seed, self.epoch))
        order = generator.permutation(len(self.data.packed))
        for number in range(len(self)):
            rows = order[number * self.size : (number + 1) * self.size]
            chosen = self.data.take(rows)
            if self.recombined_share:
                texts = recombined(chosen.packed.unpacked(), self.recombined_share, generator)
                chosen = Labelled(pack_sequences(texts), None)
            yield chosen.batch(alphabet=self.alphabet, unit=self.unit)


def recombined(sequences: list[bytes], share: float, generator: np.random.Generator) -> list[bytes]:
    """Exchange a share of the sequences for recombinants of two of them.

    Parameters
    ----------
    sequences : list of bytes
        In random order: the first ones are exchanged.
    share : float
        0 to 1.
    generator : numpy.random.Generator
        Draws the other parent and the place of the cut.

    Returns
    -------
    list of bytes
        As many; a recombinant is as long as its second parent.

    Examples
    --------
    >>> recombined([b"AAAA", b"CCCC"], 0.5, np.random.default_rng(4))
    [b'AACC', b'CCCC']
    """
    count = round(share * len(sequences))
    others = generator.permutation(len(sequences))[:count]
    where = generator.random(count)
    children = []
    for place, (other, position) in enumerate(zip(others, where, strict=True)):
        first, second = sequences[place], sequences[other]
        cut = int(position * (min(len(first), len(second)) + 1))
        children.append(first[:cut] + second[cut:])
    return children + sequences[count:]


def one_hot(packed: PackedSequences, alphabet: bytes) -> tuple[Any, Any]:
    """Write letters as zeros and a one.

    Parameters
    ----------
    packed : PackedSequences
        The sequences.
    alphabet : bytes
        The letters that get a one; at any other letter all are zero.

    Returns
    -------
    letters : torch.Tensor
        Shape (n, longest, len(alphabet)), float32; zero behind a sequence's end.
    mask : torch.Tensor
        Shape (n, longest), true inside a sequence.

    Examples
    --------
    >>> letters, mask = one_hot(pack_sequences(["CA", "N"]), b"AC")
    >>> letters.tolist()
    [[[0.0, 1.0], [1.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]]
    >>> mask.tolist()
    [[True, True], [True, False]]
    """
    lengths = packed.lengths
    longest = max(int(lengths.max(initial=0)), 1)
    known = np.array([0, *(alphabet.find(letter) + 1 for letter in packed.letters)])
    inside = np.arange(longest)[None, :] < lengths[:, None]
    source = packed.store.starts[packed.members][:, None] + np.arange(longest)[None, :]
    codes = np.zeros(inside.shape, dtype=np.int64)
    codes[inside] = known[packed.store.codes[source[inside]]]
    table = torch.zeros(len(alphabet) + 1, len(alphabet))
    table[1:] = torch.eye(len(alphabet))
    return table[torch.from_numpy(codes)], torch.from_numpy(inside)


def chunks(count: int, size: int) -> Iterator[IntArray]:
    """Yield 0, 1, .. `count` - 1 in pieces of at most `size`."""
    for start in range(0, count, size):
        yield np.arange(start, min(start + size, count))
