"""Exact edit distances, through the public door and through each kernel."""

from __future__ import annotations

import numpy as np
import pytest
from rapidfuzz import process
from rapidfuzz.distance import Levenshtein

from kinlens.errors import InputError, UsageError
from kinlens.geometry import edit
from kinlens.geometry.bitsliced import NO_CUTOFF
from kinlens.geometry.edit import edit_distances, paired_edit_distances
from kinlens.geometry.edit_plan import fill_matrix, fill_pairs
from kinlens.geometry.instruction_sets import available_instruction_sets, vector_width
from kinlens.geometry.packing import pack_sequences
from kinlens.typing import UInt16Array

ALPHABETS = {
    "dna": b"ACGT",
    "rna": b"ACGU",
    "protein": b"ACDEFGHIKLMNPQRSTVWY",
    "iupac": b"ACGTRYSWKMBDHVN-.",
    "one letter": b"N",
    "any byte": bytes(range(256)),
}
# All four widths run on any machine: LLVM splits vectors that the processor does not have.
WIDTHS = [(0,) * words for words in (8, 4, 2, 1)]
each_width = pytest.mark.parametrize("width", WIDTHS, ids=lambda width: f"{64 * len(width)} bits")


def ragged(
    rng: np.random.Generator, n: int, letters: bytes, shortest: int, longest: int
) -> list[bytes]:
    lengths = rng.integers(shortest, longest + 1, n)
    return [bytes(rng.choice(list(letters), length).tolist()) for length in lengths]


def relatives(rng: np.random.Generator, n: int, length: int, most_edits: int) -> list[bytes]:
    """Sequences that differ from one ancestor by some insertions, deletions and exchanges."""
    ancestor = rng.choice(list(b"ACGT"), length).tolist()
    family = []
    for _ in range(n):
        letters = ancestor.copy()
        for _ in range(rng.integers(0, most_edits + 1)):
            place = int(rng.integers(len(letters)))
            removed, added = [(0, 1), (1, 0), (1, 1)][rng.integers(3)]
            letters[place : place + removed] = rng.choice(list(b"ACGT"), added).tolist()
        family.append(bytes(letters))
    return family


def by_rapidfuzz(
    queries: list[bytes], targets: list[bytes], max_distance: int | None = None
) -> UInt16Array:
    return process.cdist(
        queries,
        targets,
        scorer=Levenshtein.distance,
        dtype=np.uint16,
        score_cutoff=max_distance,
    )


def by_definition(one: bytes, other: bytes) -> int:
    above = list(range(len(other) + 1))
    for i, x in enumerate(one, start=1):
        row = [i]
        for j, y in enumerate(other, start=1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (x != y)))
        above = row
    return above[-1]


def by_kernel(
    queries: list[bytes],
    targets: list[bytes] | None = None,
    *,
    width: tuple[int, ...] | None = None,
    cutoff: int = NO_CUTOFF,
    threads: int = 1,
) -> UInt16Array:
    """The matrix by the vector kernels alone, however small it is."""
    packed = pack_sequences([*queries, *(targets or [])])
    first = packed.take(range(len(queries)))
    second = packed.take(range(len(queries), len(packed))) if targets is not None else None
    out = np.full((len(first), len(first if second is None else second)), 9999, dtype=np.uint16)
    fill_matrix(first, second, out, width=width or vector_width(), cutoff=cutoff, threads=threads)
    return out


# What the distance is ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "distance"),
    [
        ("kitten", "sitting", 3),
        ("GATTACA", "GCATGCU", 4),
        ("ACGT", "ACGT", 0),
        ("ACGT", "acgt", 4),
        ("AC-GT", "ACGT", 1),
        ("ANNT", "ACGT", 2),
        ("", "ACGT", 4),
        ("", "", 0),
        ("AAAA", "TTTTTT", 6),
        ("ABCDEFGH", "HABCDEFG", 2),
    ],
)
def test_known_distances(one: str, other: str, distance: int) -> None:
    assert edit_distances([one], [other]).item() == distance
    assert by_kernel([one.encode()], [other.encode()]).item() == distance
    assert paired_edit_distances([one], [other]).tolist() == [distance]


@each_width
def test_the_kernel_agrees_with_the_definition(
    width: tuple[int, ...], rng: np.random.Generator
) -> None:
    sequences = ragged(rng, 25, b"ACG", 0, 20)
    expected = [[by_definition(one, other) for other in sequences] for one in sequences]
    assert by_kernel(sequences, width=width).tolist() == expected


@pytest.mark.parametrize("letters", ALPHABETS.values(), ids=ALPHABETS)
def test_every_alphabet(letters: bytes, rng: np.random.Generator) -> None:
    queries, targets = ragged(rng, 90, letters, 0, 70), ragged(rng, 600, letters, 0, 70)
    assert np.array_equal(by_kernel(queries, targets), by_rapidfuzz(queries, targets))
    assert np.array_equal(by_kernel(targets), by_rapidfuzz(targets, targets))


@each_width
def test_every_width(width: tuple[int, ...], rng: np.random.Generator) -> None:
    queries, targets = ragged(rng, 70, b"ACGT", 90, 150), ragged(rng, 700, b"ACGT", 100, 140)
    assert np.array_equal(by_kernel(queries, targets, width=width), by_rapidfuzz(queries, targets))
    assert np.array_equal(by_kernel(targets, width=width), by_rapidfuzz(targets, targets))


@pytest.mark.parametrize("length", [1, 7, 8, 9, 63, 64, 65, 127, 128, 129, 255, 256, 257])
def test_lengths_at_the_ends_of_words_and_counters(length: int) -> None:
    sequences = [b"A" * length, b"C" * length, b"A" * (length - 1), b"AC" * length]
    assert np.array_equal(by_kernel(sequences), by_rapidfuzz(sequences, sequences))


@pytest.mark.parametrize("counts", [(1, 700), (700, 1), (300, 520), (520, 300), (1, 1)])
def test_more_queries_than_targets_or_fewer(
    counts: tuple[int, int], rng: np.random.Generator
) -> None:
    queries, targets = (ragged(rng, n, b"ACGT", 10, 40) for n in counts)
    assert np.array_equal(by_kernel(queries, targets), by_rapidfuzz(queries, targets))


@pytest.mark.parametrize("n", [2, 63, 64, 65, 511, 512, 513, 1100])
def test_symmetric_matrices_of_any_size(n: int, rng: np.random.Generator) -> None:
    sequences = ragged(rng, n, b"ACGT", 12, 30)
    assert np.array_equal(by_kernel(sequences), by_rapidfuzz(sequences, sequences))


def test_near_and_far_relatives_together(rng: np.random.Generator) -> None:
    # The budget learned from near relatives is too small for the strangers that come after.
    sequences = relatives(rng, 300, 120, 5)
    sequences[150:150] = ragged(rng, 3, b"ACGT", 118, 122)
    sequences += ragged(rng, 40, b"ACGT", 100, 140)
    assert np.array_equal(by_kernel(sequences), by_rapidfuzz(sequences, sequences))


def test_long_sequences(rng: np.random.Generator) -> None:
    family = relatives(rng, 6, 3_000, 60) + ragged(rng, 2, b"ACGT", 1_000, 3_000)
    assert np.array_equal(by_kernel(family), by_rapidfuzz(family, family))


def test_thirty_thousand_letters(rng: np.random.Generator) -> None:
    family = relatives(rng, 3, 30_000, 40)
    assert np.array_equal(by_kernel(family), by_rapidfuzz(family, family))


def test_two_threads_give_the_same(rng: np.random.Generator) -> None:
    sequences = ragged(rng, 900, b"ACGT", 0, 80)
    assert np.array_equal(by_kernel(sequences, threads=2), by_kernel(sequences))
    pairs = paired_edit_distances(sequences[:-1], sequences[1:], threads=2)
    assert np.array_equal(pairs, paired_edit_distances(sequences[:-1], sequences[1:]))


# Cut-offs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("cutoff", [0, 1, 5, 14, 30, 200])
def test_distances_above_the_cutoff_are_one_more_than_it(
    cutoff: int, rng: np.random.Generator
) -> None:
    sequences = relatives(rng, 250, 60, 20) + ragged(rng, 60, b"ACGT", 0, 90)
    exact = by_rapidfuzz(sequences, sequences)
    clipped = np.minimum(exact, cutoff + 1)
    assert np.array_equal(by_kernel(sequences, cutoff=cutoff), clipped)
    assert np.array_equal(edit_distances(sequences, max_distance=cutoff), clipped)
    pairs = paired_edit_distances(sequences[:-1], sequences[1:], max_distance=cutoff)
    assert np.array_equal(pairs, np.diagonal(clipped, offset=1))


def test_a_distance_equal_to_the_cutoff_is_found_off_the_diagonal() -> None:
    # Its path lies on the outermost diagonals of the band.
    sequences = [b"TACTTTGC", b"TCTTCCAGGTGCAACCGCTA"]
    assert by_kernel(sequences, cutoff=14)[0, 1] == 14
    assert by_kernel(sequences, cutoff=13)[0, 1] == 14


# Through the public door -------------------------------------------------------------------------


@pytest.mark.parametrize("instruction_set", available_instruction_sets())
def test_every_instruction_set_of_this_machine(
    instruction_set: str, rng: np.random.Generator
) -> None:
    sequences = ragged(rng, 300, b"ACGT", 40, 60)
    found = edit_distances(sequences, instruction_set=instruction_set)
    assert np.array_equal(found, by_rapidfuzz(sequences, sequences))


def test_few_pairs_go_to_rapidfuzz_and_many_to_the_kernel(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    called = []
    monkeypatch.setattr(edit, "fill_matrix", lambda *_, **__: called.append("kernel"))
    monkeypatch.setattr(edit, "_fill_by_rapidfuzz", lambda *_: called.append("rapidfuzz"))
    edit_distances(ragged(rng, 5, b"ACGT", 100, 100))
    edit_distances(ragged(rng, 200, b"ACGT", 100, 100))
    edit_distances(ragged(rng, 3, b"ACGT", 20_000, 20_000))
    assert called == ["rapidfuzz", "kernel", "rapidfuzz"]


def test_both_ways_agree(rng: np.random.Generator) -> None:
    sequences = ragged(rng, 40, b"ACGT", 0, 30)
    assert np.array_equal(edit_distances(sequences), by_kernel(sequences))


def test_packed_sequences_are_used_as_they_are(rng: np.random.Generator) -> None:
    sequences = ragged(rng, 400, b"ACGT", 100, 100)
    packed = pack_sequences(sequences)
    chosen = rng.permutation(400)[:256]
    expected = edit_distances(sequences)
    assert np.array_equal(edit_distances(packed.take(chosen)), expected[np.ix_(chosen, chosen)])
    halves = edit_distances(packed.take(chosen), packed.take(range(100)))
    assert np.array_equal(halves, expected[np.ix_(chosen, range(100))])


def test_packed_apart_with_different_alphabets() -> None:
    queries, targets = ["ACGT", "MKV"], ["ACGU", "GT"]
    expected = edit_distances(queries, targets)
    apart = edit_distances(pack_sequences(queries), pack_sequences(targets))
    assert apart.tolist() == expected.tolist() == [[1, 2], [4, 3]]
    assert edit_distances(pack_sequences(queries), targets).tolist() == expected.tolist()


def test_a_generator_and_mixed_text_and_bytes() -> None:
    assert edit_distances(s for s in ["AC", b"AG"]).tolist() == [[0, 1], [1, 0]]


def test_written_into_a_given_array(rng: np.random.Generator) -> None:
    sequences = ragged(rng, 150, b"ACGT", 50, 60)
    whole = np.zeros((300, 300), dtype=np.uint16)
    # Neither contiguous nor in the usual order.
    found = edit_distances(sequences, out=whole[::2, 1::2].T)
    assert np.array_equal(found, by_rapidfuzz(sequences, sequences))
    assert np.array_equal(whole[::2, 1::2], found.T)
    assert not whole[1::2].any()


def test_pairs_agree_with_the_matrix(rng: np.random.Generator) -> None:
    sequences = ragged(rng, 900, b"ACDEFGHIKLMNPQRSTVWY", 0, 60)
    others = ragged(rng, 900, b"ACDEFGHIKLMNPQRSTVWY", 0, 90)
    expected = [Levenshtein.distance(*pair) for pair in zip(sequences, others, strict=True)]
    assert paired_edit_distances(sequences, others).tolist() == expected
    packed = pack_sequences([*sequences, *others])
    out = np.empty(900, dtype=np.uint16)
    fill_pairs(packed.take(range(900)), packed.take(range(900, 1800)), out, width=vector_width())
    assert out.tolist() == expected


# Odd input ---------------------------------------------------------------------------------------


def test_no_sequences() -> None:
    assert edit_distances([]).shape == (0, 0)
    assert edit_distances([], ["A"]).shape == (0, 1)
    assert edit_distances(["A"], []).shape == (1, 0)
    assert paired_edit_distances([], []).shape == (0,)


def test_one_sequence() -> None:
    assert edit_distances(["ACGT"]).tolist() == [[0]]
    assert by_kernel([b"ACGT"]).tolist() == [[0]]


@pytest.mark.parametrize("sequence", [b"ACGT" * 30, b"N" * 152, b""])
def test_identical_sequences_are_at_distance_zero(sequence: bytes) -> None:
    assert not edit_distances([sequence] * 600).any()
    assert not by_kernel([sequence] * 600).any()


def test_empty_ones_among_others() -> None:
    sequences = [b"", b"ACG", b""] * 60
    assert np.array_equal(by_kernel(sequences), by_rapidfuzz(sequences, sequences))
    nothing, something = [b""] * 300, [b"ACGTA"] * 300
    assert (by_kernel(nothing, something) == 5).all()
    assert (by_kernel(something, nothing) == 5).all()


def test_dna_and_protein_together(rng: np.random.Generator) -> None:
    mixed = ragged(rng, 150, b"ACGT", 30, 90) + ragged(rng, 150, ALPHABETS["protein"], 30, 90)
    assert np.array_equal(edit_distances(mixed), by_rapidfuzz(mixed, mixed))


def test_a_line_of_a_million_letters_is_refused() -> None:
    with pytest.raises(InputError, match=r"longer than 65,535 letters.*1 \(1,000,000 letters\)"):
        edit_distances(["ACGT", "A" * 1_000_000])


def test_the_longest_that_is_taken() -> None:
    longest = ["A" * 65_535, "C" * 65_535]
    assert edit_distances(longest).tolist() == [[0, 65_535], [65_535, 0]]


@pytest.mark.parametrize(
    ("sequences", "message"),
    [
        ("ACGT", "a list of texts, not one text"),
        ([1, 2], "sequence 0 must be text or bytes, not int"),
        (["ACGT", None], "sequence 1 must be text or bytes, not NoneType"),
        (["ACGT", "ÄCGT"], "sequence 1 has a letter that is not ASCII: 'Ä'"),
    ],
)
def test_what_is_no_sequence_is_named(sequences: object, message: str) -> None:
    with pytest.raises((UsageError, InputError), match=message):
        edit_distances(sequences)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threads": 0}, "threads must be 1 or more, not 0"),
        ({"max_distance": -1}, "max_distance must be 0 or more, not -1"),
        ({"instruction_set": "mmx"}, "instruction_set must be auto or what this processor has"),
        ({"out": np.zeros((2, 3), dtype=np.uint16)}, r"of shape \(2, 2\)"),
        ({"out": np.zeros((2, 2), dtype=np.int64)}, "uint16"),
    ],
)
def test_arguments_out_of_range(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        edit_distances(["ACGT", "AC"], **options)  # type: ignore[arg-type]


def test_pairs_must_be_pairs() -> None:
    with pytest.raises(UsageError, match="1 queries cannot be paired with 2 targets"):
        paired_edit_distances(["A"], ["A", "C"])
