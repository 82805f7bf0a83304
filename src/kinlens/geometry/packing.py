"""Sequences laid out in memory for the bit-sliced edit distance.

`PackedSequences` is made once and cheap to take subsets of, which is what a training loop needs.
The distances themselves are in `edit`; the kernel that reads this layout is in `bitsliced`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from kinlens.errors import InputError, UsageError
from kinlens.geometry.compiled import compiled
from kinlens.typing import AnyArray, IntArray

__all__ = ["LONGEST", "PackedSequences", "Store", "as_bytes", "letter_bits", "pack_sequences"]

LONGEST = 65_535
"""Letters in the longest sequence that is packed: a distance has to fit into 16 bits."""


class Store(NamedTuple):
    """Sequences as letter numbers and as bits; a tuple, so that compiled code can take it.

    Attributes
    ----------
    codes : numpy.ndarray
        Letter numbers of all sequences, one after the other, uint16. Numbers start at 1; 0 is
        padding, in front of the first letter.
    starts : numpy.ndarray
        Where each sequence starts in `codes`; shape (sequences + 1,).
    bits : numpy.ndarray
        The letter numbers bit by bit, uint64. Each 64 letters, counted from a sequence's *end*
        because the kernel aligns ends, take `n_bits` words: bit p of word b is bit b of letter p.
    bit_starts : numpy.ndarray
        Where each sequence starts in `bits`; shape (sequences + 1,).
    n_letters, n_bits : int
        How many letters there are, and bits in a letter number.
    """

    codes: AnyArray
    starts: IntArray
    bits: AnyArray
    bit_starts: IntArray
    n_letters: int
    n_bits: int


@dataclass(frozen=True, eq=False)
class PackedSequences:
    """Some of the sequences of a store, in an order.

    Make them with `pack_sequences`. `take` returns other members of the same store without copying
    any letter, so batches of a large set are drawn in microseconds.

    Attributes
    ----------
    letters : bytes
        The letters that occur in the store, sorted; number ``i + 1`` is ``letters[i]``.
    store : Store
        The letters of all stored sequences.
    members : numpy.ndarray
        Which stored sequences these are, in order; shape (n,).
    """

    letters: bytes
    store: Store = field(repr=False)
    members: IntArray = field(repr=False)

    def __len__(self) -> int:
        return len(self.members)

    @property
    def lengths(self) -> IntArray:
        """Letters in each member; shape (n,)."""
        starts = self.store.starts
        lengths: IntArray = starts[self.members + 1] - starts[self.members]
        return lengths

    def take(self, positions: Sequence[int] | AnyArray) -> PackedSequences:
        """Return the members at `positions`, in that order; nothing is copied.

        Examples
        --------
        >>> packed = pack_sequences(["ACGT", "AC", ""])
        >>> packed.take([2, 0]).lengths.tolist()
        [0, 4]
        """
        return replace(self, members=self.members[np.asarray(positions, dtype=np.int64)])

    def unpacked(self) -> list[bytes]:
        """Return the members as they were given."""
        table = np.frombuffer(b"\0" + self.letters, dtype=np.uint8)
        codes, starts = self.store.codes, self.store.starts
        return [table[codes[starts[i] : starts[i + 1]]].tobytes() for i in self.members]


def pack_sequences(sequences: Iterable[str | bytes]) -> PackedSequences:
    """Lay `sequences` out for `edit_distances`.

    Parameters
    ----------
    sequences : iterable of str or bytes
        Any letters; each byte is one. Text has to be ASCII. Nothing is upper-cased, and gaps and
        ambiguity codes are letters like any other. Empty sequences are fine.

    Raises
    ------
    InputError
        When a sequence is longer than 65,535 letters, the most whose distance fits into 16 bits.
    UsageError
        When one text is given where a list of them is wanted, or an item is not a sequence.

    Examples
    --------
    >>> pack_sequences([b"ACGT", "AC", ""]).letters
    b'ACGT'
    """
    texts = as_bytes(sequences)
    too_long = [place for place, text in enumerate(texts) if len(text) > LONGEST]
    if too_long:
        raise InputError(
            f"sequences longer than {LONGEST:,} letters, at positions",
            offenders=[f"{place} ({len(texts[place]):,} letters)" for place in too_long],
            remedy="Cut or leave out these sequences: exact distances are kept in 16 bits.",
        )
    letters = np.frombuffer(b"".join(texts), dtype=np.uint8)
    lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
    starts = np.concatenate([[0], np.cumsum(lengths)])
    occurring = np.flatnonzero(np.bincount(letters, minlength=256))
    number = np.zeros(256, dtype=np.uint16)
    number[occurring] = np.arange(1, len(occurring) + 1)
    codes = number[letters]
    n_bits = letter_bits(len(occurring))
    bit_starts = np.concatenate([[0], np.cumsum((lengths + 63) // 64 * n_bits)])
    bits = np.zeros(bit_starts[-1], dtype=np.uint64)
    _write_bits(codes, starts, n_bits, bits, bit_starts)
    store = Store(codes, starts, bits, bit_starts, len(occurring), n_bits)
    return PackedSequences(
        letters=occurring.astype(np.uint8).tobytes(),
        store=store,
        members=np.arange(len(texts)),
    )


def letter_bits(n_letters: int) -> int:
    """Return the bits that a letter number is given, for letters 1 to `n_letters` and padding 0.

    There are few answers, because each gets machine code of its own: one for nucleotides, one for
    proteins, one for anything.

    Examples
    --------
    >>> [letter_bits(n_letters) for n_letters in (4, 20, 256)]
    [3, 5, 9]
    """
    return next(bits for bits in (3, 5, 9) if n_letters < 2**bits)


def as_bytes(sequences: Iterable[str | bytes]) -> list[bytes]:
    """Return sequences as bytes, one a letter.

    Parameters
    ----------
    sequences : iterable of str or bytes
        Text has to be ASCII.

    Raises
    ------
    InputError
        When a text has a letter that is not ASCII.
    UsageError
        When one text is given where a list of them is wanted, or an item is not a sequence.

    Examples
    --------
    >>> as_bytes(["ACGT", b"AC"])
    [b'ACGT', b'AC']
    """
    if isinstance(sequences, str | bytes):
        raise UsageError("sequences must be a list of texts, not one text.")
    return [_encoded(sequence, place) for place, sequence in enumerate(sequences)]


def _encoded(sequence: Any, place: int) -> bytes:
    if isinstance(sequence, bytes):
        return sequence
    if not isinstance(sequence, str):
        kind = type(sequence).__name__
        raise UsageError(f"sequence {place} must be text or bytes, not {kind}.")
    try:
        return sequence.encode("ascii")
    except UnicodeEncodeError as error:
        raise InputError(
            f"sequence {place} has a letter that is not ASCII: {sequence[error.start]!r}",
            remedy="Give bytes where letters are anything else.",
        ) from error


@compiled
def _write_bits(
    codes: AnyArray, starts: IntArray, n_bits: int, bits: AnyArray, bit_starts: IntArray
) -> None:
    for sequence in range(len(starts) - 1):
        length = starts[sequence + 1] - starts[sequence]
        words = (length + 63) // 64
        last = starts[sequence + 1] - 1
        for word in range(words):
            first = 64 * word
            for bit in range(n_bits):
                gathered = np.uint64(0)
                for p in range(first, min(first + 64, length)):
                    code = np.uint64(codes[last - p])
                    flag = (code >> np.uint64(bit)) & np.uint64(1)
                    gathered |= flag << np.uint64(p - first)
                bits[bit_starts[sequence] + word * n_bits + bit] = gathered
