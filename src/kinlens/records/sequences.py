"""Named biological sequences in memory, each perhaps with the species it came from.

Here are the alphabets and how a set of sequences is classified, picked from and de-duplicated.
Reading and writing FASTA is in `io.fasta`; comparing sequences is in `geometry` and `embed`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from kinlens.errors import InputError, did_you_mean
from kinlens.typing import IntArray

__all__ = [
    "ALPHABETS",
    "GAPS",
    "Alphabet",
    "SequenceSet",
    "guess_alphabet",
    "looks_like_nucleotides",
]

Alphabet = str

GAPS = b"-."
_IUPAC = b"RYSWKMBDHVN"
ALPHABETS: dict[Alphabet, bytes] = {
    "dna": b"ACGT" + _IUPAC,
    "rna": b"ACGU" + _IUPAC,
    # The 20 amino acids, selenocysteine U, pyrrolysine O, the ambiguous B J X Z, and stop *.
    "protein": b"ACDEFGHIKLMNPQRSTVWYUOBJXZ*",
}
"""The letters of each alphabet, IUPAC ambiguity codes included; gaps are allowed in every one."""

# A sequence counts as nucleotides when at least this share of its letters is one of ACGTUN;
# proteins stay far below (those letters are a quarter of a typical protein).
_NUCLEOTIDE_SHARE = 0.9
# Shorter sequences are too short to tell a peptide from an oligonucleotide.
_LEAST_TO_TELL = 20


@dataclass(frozen=True, eq=False)
class SequenceSet:
    """Sequences with unique ids, upper-case ASCII letters, and the species each belongs to.

    Parameters
    ----------
    ids : tuple of str
        One unique id per sequence.
    sequences : tuple of bytes
        Upper-case ASCII letters, gaps (``-`` or ``.``) included. May be empty strings.
    species : tuple of (str or None), optional
        The species of each sequence, None where it is not known; all None when left out.

    Raises
    ------
    InputError
        When the lengths differ, an id occurs twice, or a sequence has lower-case letters.

    Examples
    --------
    >>> reads = SequenceSet(("r1", "r2", "r3"), (b"ACGT", b"ACGN", b"ACGT"), ("a", "a", "b"))
    >>> reads.alphabet
    'dna'
    >>> reads.deduplicated().ids
    ('r1', 'r2')
    >>> reads.select(["r3"]).species
    ('b',)
    """

    ids: tuple[str, ...]
    sequences: tuple[bytes, ...]
    species: tuple[str | None, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "ids", tuple(self.ids))
        object.__setattr__(self, "sequences", tuple(self.sequences))
        species = tuple(self.species) or (None,) * len(self.ids)
        object.__setattr__(self, "species", species)
        if not len(self.ids) == len(self.sequences) == len(self.species):
            raise InputError(
                f"{len(self.ids):,} ids, {len(self.sequences):,} sequences and "
                f"{len(self.species):,} species do not belong together"
            )
        if len(set(self.ids)) != len(self.ids):
            raise InputError("sequence ids that occur more than once", offenders=_repeated(self))
        for name, sequence in zip(self.ids, self.sequences, strict=True):
            if sequence != sequence.upper():
                raise InputError(f"sequence {name!r} has lower-case letters")

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        return zip(self.ids, self.sequences, strict=True)

    def __repr__(self) -> str:
        return f"SequenceSet({len(self):,} sequences, {self.alphabet})"

    @cached_property
    def alphabet(self) -> Alphabet:
        """``"dna"``, ``"rna"``, ``"protein"``, or ``"other"`` for letters outside all of these.

        RNA is what has U and no T. A set with no letters at all counts as DNA.
        """
        guess = guess_alphabet(self.sequences)
        allowed = ALPHABETS[guess] + GAPS
        fits = not any(sequence.translate(None, allowed) for sequence in self.sequences)
        return guess if fits else "other"

    @cached_property
    def lengths(self) -> IntArray:
        """Number of letters of each sequence, gaps included; shape (n,)."""
        return np.fromiter(map(len, self.sequences), dtype=np.int64, count=len(self))

    def take(self, positions: Sequence[int] | IntArray) -> SequenceSet:
        """Return the sequences at `positions`, in that order."""
        order = [int(position) for position in positions]
        return SequenceSet(
            tuple(self.ids[i] for i in order),
            tuple(self.sequences[i] for i in order),
            tuple(self.species[i] for i in order),
        )

    def select(self, ids: Sequence[str]) -> SequenceSet:
        """Return the sequences called `ids`, in that order.

        Raises
        ------
        InputError
            When an id is not in the set; the message holds the nearest one that is.
        """
        position = {name: index for index, name in enumerate(self.ids)}
        missing = [name for name in ids if name not in position]
        if missing:
            raise InputError(
                "ids that have no sequence",
                offenders=missing,
                remedy=did_you_mean(missing[0], self.ids),
            )
        return self.take([position[name] for name in ids])

    def with_species(self, species: Mapping[str, str]) -> SequenceSet:
        """Return the same sequences with the species that `species` gives for each id.

        Ids that `species` does not name keep the species they had.
        """
        named = zip(self.ids, self.species, strict=True)
        joined = tuple(species.get(name, before) for name, before in named)
        return SequenceSet(self.ids, self.sequences, joined)

    def first_of_identical(self) -> IntArray:
        """Return, for each sequence, the position of the first one with the same letters; (n,)."""
        first: dict[bytes, int] = {}
        positions = (first.setdefault(letters, i) for i, letters in enumerate(self.sequences))
        return np.fromiter(positions, dtype=np.int64, count=len(self))

    def deduplicated(self) -> SequenceSet:
        """Return the first of each group of sequences with the same letters, in order.

        The id and species of the first one are kept; `first_of_identical` tells who the others
        are.
        """
        return self.take(np.unique(self.first_of_identical()))


def guess_alphabet(sequences: Sequence[bytes]) -> Alphabet:
    """Say which alphabet `sequences` are written in, from what most of their letters are.

    Parameters
    ----------
    sequences : sequence of bytes
        Upper-case ASCII letters.

    Returns
    -------
    str
        ``"dna"`` or ``"rna"`` when at least nine of ten letters (gaps not counted) are among
        ACGTUN, or when every letter is a nucleotide code; ``"protein"`` otherwise. RNA has more
        U than T. No letters at all count as DNA.

    Examples
    --------
    >>> guess_alphabet([b"ACGTNN"]), guess_alphabet([b"ACGU-"]), guess_alphabet([b"MKTAYIAKQR"])
    ('dna', 'rna', 'protein')
    """
    letters = unusual = ambiguous = thymine = uracil = 0
    for sequence in sequences:
        bare = sequence.translate(None, GAPS)
        letters += len(bare)
        rest = bare.translate(None, b"ACGTUN")
        if rest:
            unusual += len(rest)
            ambiguous += len(rest) - len(rest.translate(None, _IUPAC))
        thymine += bare.count(b"T")
        uracil += bare.count(b"U")
    if unusual > (1 - _NUCLEOTIDE_SHARE) * letters and ambiguous < unusual:
        return "protein"
    return "rna" if uracil > thymine else "dna"


def looks_like_nucleotides(sequence: bytes) -> bool | None:
    """Tell nucleotides from protein by the letters of one sequence; None when it is too short."""
    bare = sequence.translate(None, GAPS)
    if len(bare) < _LEAST_TO_TELL:
        return None
    return len(bare.translate(None, b"ACGTUN")) <= (1 - _NUCLEOTIDE_SHARE) * len(bare)


def _repeated(records: SequenceSet) -> list[str]:
    return [name for name, count in Counter(records.ids).items() if count > 1]
