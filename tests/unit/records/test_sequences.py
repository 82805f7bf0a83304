from __future__ import annotations

import pytest

from kinlens.errors import InputError
from kinlens.records.sequences import SequenceSet, guess_alphabet, looks_like_nucleotides


@pytest.fixture
def reads() -> SequenceSet:
    return SequenceSet(
        ("r1", "r2", "r3", "r4"),
        (b"ACGT", b"AC-N", b"ACGT", b""),
        ("Aus_bus", None, "Cus_dus", None),
    )


def test_lengths_and_iteration(reads: SequenceSet) -> None:
    assert reads.lengths.tolist() == [4, 4, 4, 0]
    assert dict(reads)["r2"] == b"AC-N"
    assert len(reads) == 4


def test_species_are_none_when_left_out() -> None:
    assert SequenceSet(("a", "b"), (b"A", b"C")).species == (None, None)


def test_selection_keeps_everything_together(reads: SequenceSet) -> None:
    chosen = reads.select(["r3", "r1"])
    assert chosen.ids == ("r3", "r1")
    assert chosen.species == ("Cus_dus", "Aus_bus")
    assert reads.take([1]).sequences == (b"AC-N",)
    with pytest.raises(InputError, match=r"r11.*Did you mean 'r1'"):
        reads.select(["r11"])


def test_deduplication_keeps_the_first(reads: SequenceSet) -> None:
    assert reads.first_of_identical().tolist() == [0, 1, 0, 3]
    unique = reads.deduplicated()
    assert unique.ids == ("r1", "r2", "r4")
    assert unique.species == ("Aus_bus", None, None)


def test_species_can_be_given_later(reads: SequenceSet) -> None:
    assert reads.with_species({"r2": "Eus_fus"}).species == ("Aus_bus", "Eus_fus", "Cus_dus", None)


@pytest.mark.parametrize(
    ("sequences", "alphabet"),
    [
        ((), "dna"),
        ((b"",), "dna"),
        ((b"NNNN",), "dna"),
        ((b"ACGTRYKM-.",), "dna"),
        ((b"ACGU", b"ACG"), "rna"),
        ((b"ACGU", b"ACGTT"), "other"),
        ((b"MKTAYIAKQRQISFVKSH*",), "protein"),
        ((b"MKTAYIAKQRQISFVKSH1",), "other"),
        ((b"ACGTACGTACGTACGTACGTX",), "other"),
    ],
)
def test_alphabets(sequences: tuple[bytes, ...], alphabet: str) -> None:
    ids = tuple(str(i) for i in range(len(sequences)))
    assert SequenceSet(ids, sequences).alphabet == alphabet


def test_most_letters_decide_the_guess() -> None:
    assert guess_alphabet([b"ACGT" * 10 + b"XZ"]) == "dna"
    assert guess_alphabet([b"ACGT", b"MKTAYIAKQRQISFVKSHFSRQLEERLG"]) == "protein"
    assert guess_alphabet([b"RYRYRYSWSW"]) == "dna"


def test_nucleotides_are_told_from_protein_when_long_enough() -> None:
    assert looks_like_nucleotides(b"ACGTTGCA" * 4) is True
    assert looks_like_nucleotides(b"MKTAYIAKQRQISFVKSHFSRQLEERLG") is False
    assert looks_like_nucleotides(b"ACGT") is None
    assert looks_like_nucleotides(b"ACGT" + b"-" * 50) is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((("a", "b"), (b"A",)), "2 ids, 1 sequences and 2 species"),
        ((("a", "a"), (b"A", b"C")), "more than once: a"),
        ((("a",), (b"acgt",)), "'a' has lower-case"),
        ((("a",), (b"ACGT",), ("x", "y")), "1 ids, 1 sequences and 2 species"),
    ],
)
def test_what_does_not_belong_together(arguments: tuple[tuple, ...], words: str) -> None:
    with pytest.raises(InputError, match=words):
        SequenceSet(*arguments)
