"""Words of k letters, and distances by them."""

from __future__ import annotations

from collections import Counter
from itertools import product
from math import log

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from kinlens.errors import UsageError
from kinlens.geometry.kmer_distances import count_kmers, kmer_distances, mash_distances


def words_in(sequence: str, k: int) -> list[str]:
    return [sequence[i : i + k] for i in range(len(sequence) - k + 1)]


def spelled(numbers: np.ndarray) -> str:
    return "".join("ACGT"[number] for number in numbers)


def reverse_complement(sequence: str) -> str:
    return sequence[::-1].translate(str.maketrans("ACGT", "TGCA"))


@pytest.fixture
def sequences(rng: np.random.Generator) -> list[str]:
    return [
        "".join(rng.choice(list("ACGTN"), n, p=[0.3, 0.2, 0.2, 0.25, 0.05]))
        for n in (0, 1, 4, 5, 30, 200, 201)
    ]


@pytest.mark.parametrize("k", [1, 2, 5])
@pytest.mark.parametrize("letters", ["ACGT", "TA", "N"])
def test_counts_are_those_of_a_plain_count(sequences: list[str], k: int, letters: str) -> None:
    found = count_kmers(sequences, k, letters=letters)
    columns = ["".join(word) for word in product(letters, repeat=k)]
    expected = []
    for sequence in sequences:
        counts = Counter(words_in(sequence, k))
        expected.append([counts[word] for word in columns])
    assert found.toarray().tolist() == expected
    assert found.has_canonical_format


def test_long_words_of_a_large_alphabet_need_little_memory() -> None:
    letters = "ACDEFGHIKLMNPQRSTVWY"
    found = count_kmers(["MKVLAAGIVG" * 3], 12, letters=letters)
    assert found.shape == (1, 20**12)
    assert found.sum() == 19


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_distances_are_those_of_the_counts(sequences: list[str], metric: str) -> None:
    long_enough = sequences[4:]
    counts = count_kmers(long_enough, 2).toarray()
    found = kmer_distances(long_enough, 2, metric=metric)  # type: ignore[arg-type]
    np.testing.assert_allclose(found, cdist(counts, counts, metric), atol=1e-7)  # type: ignore[call-overload]
    assert not np.diagonal(found).any()


def test_a_sequence_without_words_is_unlike_all_others() -> None:
    found = kmer_distances(["ACGT", "NNNN", ""], 2)
    assert found.tolist() == [[0, 1, 1], [1, 0, 1], [1, 1, 0]]


def test_mash_is_its_formula_on_the_shared_words(rng: np.random.Generator) -> None:
    one = "".join(rng.choice(list("ACGT"), 300))
    other = one[:150] + "".join(rng.choice(list("ACGT"), 150))
    k = 9

    def words(sequence: str) -> set[str]:
        return {min(word, reverse_complement(word)) for word in words_in(sequence, k)}

    share = len(words(one) & words(other)) / len(words(one) | words(other))
    found = mash_distances([one, other], k)
    assert found[0, 1] == pytest.approx(-log(2 * share / (1 + share)) / k)
    assert np.array_equal(found, found.T)


def test_mash_estimates_the_rate_of_substitution(rng: np.random.Generator) -> None:
    genome = rng.integers(0, 4, 60_000)
    for rate in (0.01, 0.05):
        changed = genome.copy()
        is_hit = rng.random(len(genome)) < rate
        # One of the three other bases.
        steps = rng.integers(1, 4, is_hit.sum())
        changed[is_hit] += steps
        changed %= 4
        found = mash_distances([spelled(genome), spelled(changed)], sketch_size=5_000)[0, 1]
        assert found == pytest.approx(rate, rel=0.1)


def test_mash_does_not_see_the_strand(rng: np.random.Generator) -> None:
    sequence = "".join(rng.choice(list("ACGT"), 500))
    turned = reverse_complement(sequence)
    assert (
        mash_distances([sequence, turned, turned.replace("T", "U")], 15).tolist() == [[0] * 3] * 3
    )


def test_mash_without_anything_in_common() -> None:
    assert mash_distances(["ACGTA", "CCCCC", "NNNNN", ""], 5).tolist() == (1 - np.eye(4)).tolist()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: count_kmers(["A"], 0), "k must be from 1 to 31 for 4 letters"),
        (lambda: count_kmers(["A"], 32), "k must be from 1 to 31 for 4 letters"),
        (lambda: count_kmers(["A"], 2, letters="AA"), "letters must be different letters"),
        (lambda: count_kmers(["A"], 2, letters=""), "letters must be different letters"),
        (lambda: kmer_distances(["A"], 2, metric="mahalanobis"), "metric must be cosine or"),  # type: ignore[arg-type]
        (lambda: mash_distances(["A"], 32), "k must be from 1 to 31, not 32"),
        (lambda: mash_distances(["A"], sketch_size=0), "sketch_size must be 1 or more"),
    ],
)
def test_arguments_out_of_range(call, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UsageError, match=message):
        call()


def test_no_sequences() -> None:
    assert count_kmers([], 3).shape == (0, 64)
    assert kmer_distances([], 3).shape == (0, 0)
    assert mash_distances([]).shape == (0, 0)
