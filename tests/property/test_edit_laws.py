"""Laws that every edit distance keeps, and agreement with rapidfuzz on very many pairs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rapidfuzz import process
from rapidfuzz.distance import Levenshtein

from kinlens.geometry.bitsliced import NO_CUTOFF
from kinlens.geometry.edit import edit_distances, paired_edit_distances
from kinlens.geometry.edit_disk import edit_distances_to_disk
from kinlens.geometry.edit_plan import fill_matrix, fill_pairs
from kinlens.geometry.instruction_sets import vector_width
from kinlens.geometry.packing import pack_sequences
from kinlens.typing import UInt16Array

ALPHABETS = {
    "dna": "ACGT",
    "rna": "ACGU",
    "protein": "ACDEFGHIKLMNPQRSTVWY",
    "iupac": "ACGTRYSWKMBDHVN-",
}
# The first call of a compiled function takes longer than hypothesis allows one case.
unhurried = settings(deadline=None, max_examples=50)
# Few letters, so that many are equal by chance.
dna = st.text(alphabet="ACG", max_size=40)
several = st.lists(dna, min_size=1, max_size=12)
any_bytes = st.lists(st.binary(max_size=70), min_size=1, max_size=6)


def by_kernel(sequences: list[str] | list[bytes], cutoff: int = NO_CUTOFF) -> UInt16Array:
    """The matrix by the vector kernel, which the public door takes for many pairs only."""
    packed = pack_sequences(sequences)
    out = np.empty((len(packed), len(packed)), dtype=np.uint16)
    fill_matrix(packed, None, out, width=vector_width(), cutoff=cutoff)
    return out


@unhurried
@given(any_bytes)
def test_the_kernel_agrees_with_rapidfuzz_on_any_bytes(sequences: list[bytes]) -> None:
    expected = process.cdist(sequences, sequences, scorer=Levenshtein.distance, dtype=np.uint16)
    assert np.array_equal(by_kernel(sequences), expected)


@unhurried
@given(several)
def test_it_is_a_metric(sequences: list[str]) -> None:
    d = by_kernel(sequences).astype(int)
    assert np.array_equal(d, d.T)
    same = np.array([[a == b for b in sequences] for a in sequences])
    assert np.array_equal(d == 0, same)
    assert (d[:, None, :] <= d[:, :, None] + d[None, :, :]).all()


@unhurried
@given(several)
def test_it_lies_between_its_bounds(sequences: list[str]) -> None:
    lengths = np.array([len(sequence) for sequence in sequences])
    d = by_kernel(sequences)
    assert (d >= abs(lengths[:, None] - lengths)).all()
    assert (d <= np.maximum(lengths[:, None], lengths)).all()


@unhurried
@given(several)
def test_reading_both_backwards_changes_nothing(sequences: list[str]) -> None:
    turned = [sequence[::-1] for sequence in sequences]
    assert np.array_equal(by_kernel(sequences), by_kernel(turned))


@unhurried
@given(dna, dna, dna, dna)
def test_what_both_begin_and_end_with_changes_nothing(a: str, b: str, head: str, tail: str) -> None:
    bare = by_kernel([a, b])[0, 1]
    assert by_kernel([head + a + tail, head + b + tail])[0, 1] == bare


@unhurried
@given(several, st.integers(0, 45))
def test_a_cutoff_only_clips(sequences: list[str], cutoff: int) -> None:
    clipped = np.minimum(by_kernel(sequences), cutoff + 1)
    assert np.array_equal(by_kernel(sequences, cutoff), clipped)
    assert np.array_equal(edit_distances(sequences, max_distance=cutoff), clipped)


@unhurried
@given(several, st.randoms(use_true_random=False))
def test_order_does_not_matter(sequences: list[str], random) -> None:  # type: ignore[no-untyped-def]
    order = list(range(len(sequences)))
    random.shuffle(order)
    shuffled = [sequences[place] for place in order]
    assert np.array_equal(by_kernel(shuffled), by_kernel(sequences)[np.ix_(order, order)])


@unhurried
@given(several, several)
def test_matrix_pairs_and_packed_subsets_agree(first: list[str], second: list[str]) -> None:
    n = min(len(first), len(second))
    packed = pack_sequences([*first, *second])
    matrix = by_kernel([*first, *second])
    pairs = np.empty(n, dtype=np.uint16)
    chosen = packed.take(range(n)), packed.take(range(len(first), len(first) + n))
    fill_pairs(*chosen, pairs, width=vector_width())
    assert pairs.tolist() == [matrix[i, len(first) + i] for i in range(n)]
    assert paired_edit_distances(*chosen).tolist() == pairs.tolist()


@settings(deadline=None, max_examples=10)
@given(several, st.integers(1, 13))
def test_the_same_answer_in_blocks_on_disk(
    tmp_path_factory: pytest.TempPathFactory, sequences: list[str], block_size: int
) -> None:
    path = tmp_path_factory.mktemp("blocks") / "distances.npy"
    written = edit_distances_to_disk(sequences, path, block_size=block_size)
    assert np.array_equal(written, edit_distances(sequences))


# Very many pairs ---------------------------------------------------------------------------------


def random_sequences(rng: np.random.Generator, n: int, letters: str, longest: int) -> list[str]:
    """Ragged sequences, half of them with relatives among the others."""
    lengths = rng.integers(0, longest + 1, n)
    drawn = ["".join(rng.choice(list(letters), length)) for length in lengths]
    for place in range(1, n, 2):
        relative = list(drawn[place - 1])
        for _ in range(rng.integers(0, 12)):
            at = int(rng.integers(0, len(relative) + 1))
            relative[at : at + int(rng.integers(0, 2))] = rng.choice(
                list(letters), int(rng.integers(0, 2))
            ).tolist()
        drawn[place] = "".join(relative)
    return drawn


def assert_exact(n_pairs: int, letters: str, rng: np.random.Generator) -> None:
    n = round(n_pairs**0.5)
    queries = random_sequences(rng, n, letters, 220)
    targets = random_sequences(rng, n, letters, 180)
    matrix = process.cdist(queries, targets, scorer=Levenshtein.distance, dtype=np.uint16)
    assert np.array_equal(edit_distances(queries, targets), matrix)
    first, second = (rng.integers(0, n, n_pairs) for _ in range(2))
    packed = pack_sequences([*queries, *targets])
    pairs = paired_edit_distances(packed.take(first), packed.take(n + second))
    assert np.array_equal(pairs, matrix[first, second])


@pytest.mark.parametrize("letters", ALPHABETS.values(), ids=ALPHABETS)
def test_forty_thousand_ragged_pairs(letters: str, rng: np.random.Generator) -> None:
    assert_exact(40_000, letters, rng)


@pytest.mark.slow
@pytest.mark.parametrize("letters", ALPHABETS.values(), ids=ALPHABETS)
def test_a_million_ragged_pairs(letters: str, rng: np.random.Generator) -> None:
    assert_exact(1_000_000, letters, rng)


@pytest.mark.shared
@pytest.mark.slow
def test_all_pairs_of_real_reads(shared_data: Path) -> None:
    lines = (shared_data / "v4_reads" / "sequences.fasta").read_text().splitlines()
    reads = [line for line in lines if not line.startswith(">")]
    expected = process.cdist(reads, reads, scorer=Levenshtein.distance, dtype=np.uint16)
    assert np.array_equal(edit_distances(reads, threads=2), expected)
