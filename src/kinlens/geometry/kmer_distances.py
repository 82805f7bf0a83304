"""Distances without alignment, from the words of k letters that sequences are made of.

Counting words is here too; the counts as features for learning are in `embed.kmer`. What words
cannot tell, the exact edit distance, is in `edit`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from scipy import sparse

from kinlens.errors import UsageError
from kinlens.geometry.compiled import compiled
from kinlens.geometry.packing import as_bytes
from kinlens.typing import AnyArray, FloatArray, IntArray

__all__ = ["count_kmers", "kmer_distances", "mash_distances"]

# Word numbers are kept in 64 bits with sign.
_MOST_WORDS = 2**62
_NUCLEOTIDES = b"ACGT"


def count_kmers(
    sequences: Sequence[str | bytes], k: int, *, letters: str = "ACGT"
) -> sparse.csr_array:
    """Count the overlapping words of k letters in each sequence.

    Parameters
    ----------
    sequences : sequence of str or bytes
        Words with a letter that is not among `letters` (an N, a gap, lower case) are passed over.
    k : int
        Letters in a word, 1 or more.
    letters : str
        The alphabet, in the order by which words are numbered.

    Returns
    -------
    scipy.sparse.csr_array
        Shape (sequences, ``len(letters) ** k``), int32. Columns are words, in the order of
        `letters`, the last letter changing fastest.

    Raises
    ------
    UsageError
        When k is out of range or a letter stands twice.

    Examples
    --------
    >>> count_kmers(["ACAC", "NN"], 2).toarray()[:, :5].tolist()
    [[0, 2, 0, 0, 1], [0, 0, 0, 0, 0]]
    """
    texts = as_bytes(sequences)
    numbers, n_letters = _letter_numbers(letters)
    if k < 1 or n_letters**k > _MOST_WORDS:
        raise UsageError(f"k must be from 1 to {_longest_word(n_letters)} for {n_letters} letters.")
    codes = numbers[np.frombuffer(b"".join(texts), dtype=np.uint8)]
    starts = np.cumsum([0, *map(len, texts)])
    indptr, words, counts = _count(codes, starts, k, n_letters)
    return sparse.csr_array((counts, words, indptr), shape=(len(texts), n_letters**k))


def kmer_distances(
    sequences: Sequence[str | bytes],
    k: int,
    *,
    metric: Literal["cosine", "euclidean"] = "cosine",
    letters: str = "ACGT",
) -> FloatArray:
    """Return the distance of each two sequences by how often they have each word of k letters.

    Parameters
    ----------
    sequences, k, letters
        As in `count_kmers`.
    metric : {"cosine", "euclidean"}
        One less the cosine of the angle between the counts, from 0 to 1; or the straight distance
        of the counts.

    Returns
    -------
    numpy.ndarray
        Shape (n, n). A sequence without any word has cosine distance 1 to all others.

    Examples
    --------
    >>> kmer_distances(["ACGT", "ACGA"], 2).round(3).tolist()
    [[0.0, 0.333], [0.333, 0.0]]
    """
    if metric not in ("cosine", "euclidean"):
        raise UsageError(f"metric must be cosine or euclidean, not {metric!r}.")
    counts = count_kmers(sequences, k, letters=letters).astype(np.float64)
    products: FloatArray = (counts @ counts.T).toarray()
    squares = np.diagonal(products)
    if metric == "cosine":
        lengths = np.sqrt(np.where(squares > 0, squares, 1.0))
        distances = 1.0 - products / lengths[:, None] / lengths
    else:
        distances = np.sqrt(np.maximum(squares[:, None] + squares - 2 * products, 0.0))
    np.fill_diagonal(distances, 0.0)
    return np.clip(distances, 0.0, None)


def mash_distances(
    sequences: Sequence[str | bytes], k: int = 21, *, sketch_size: int = 1000
) -> FloatArray:
    """Return the Mash distance of each two DNA sequences: an estimate of substitutions per site.

    With j the share of words of k letters that two sequences have in common, estimated from the
    `sketch_size` smallest hashes, ``d = -1/k ln(2 j / (1 + j))``. A word and its reverse complement
    are the same.

    Parameters
    ----------
    sequences : sequence of str or bytes
        Upper-case DNA or RNA; U is T. Words with any other letter are passed over.
    k : int
        Letters in a word, 1 to 31. Odd, so that no word is its own reverse complement.
    sketch_size : int
        Hashes kept of each sequence; where two together have no more words, j is exact.

    Returns
    -------
    numpy.ndarray
        Shape (n, n), from 0 to 1; 1 where nothing is shared. The diagonal is 0.

    Raises
    ------
    UsageError
        When k or the sketch's size is out of range.

    References
    ----------
    Ondov, B. D. et al. (2016). Mash: fast genome and metagenome distance estimation using MinHash.
    Genome Biology 17, 132.

    Examples
    --------
    >>> mash_distances(["ACGTACCA", "TGGTACGT", "CCCCCCCC"], 3).round(3).tolist()
    [[0.0, 0.0, 1.0], [0.0, 0.0, 1.0], [1.0, 1.0, 0.0]]
    """
    if not 1 <= k <= 31:
        raise UsageError(f"k must be from 1 to 31, not {k}.")
    if sketch_size < 1:
        raise UsageError(f"sketch_size must be 1 or more, not {sketch_size}.")
    numbers, _ = _letter_numbers("ACGT")
    numbers[ord("U")] = numbers[ord("T")]
    sketches = [
        np.unique(_word_hashes(numbers[np.frombuffer(text, dtype=np.uint8)], k))[:sketch_size]
        for text in as_bytes(sequences)
    ]
    starts = np.cumsum([0, *map(len, sketches)])
    hashes = np.concatenate([np.empty(0, dtype=np.uint64), *sketches])
    shared = _shared_shares(hashes, starts, sketch_size)
    with np.errstate(divide="ignore"):
        distances = np.where(shared > 0, np.log((1 + shared) / (2 * shared)) / k, 1.0)
    np.fill_diagonal(distances, 0.0)
    return np.clip(distances, 0.0, 1.0)


def _letter_numbers(letters: str) -> tuple[AnyArray, int]:
    """Return the number of each byte, -1 for those that are not among the letters."""
    (alphabet,) = as_bytes([letters])
    if not alphabet or len(set(alphabet)) != len(alphabet):
        raise UsageError(f"letters must be different letters, at least one, not {letters!r}.")
    numbers = np.full(256, -1, dtype=np.int16)
    numbers[np.frombuffer(alphabet, dtype=np.uint8)] = np.arange(len(alphabet))
    return numbers, len(alphabet)


def _longest_word(n_letters: int) -> int:
    return 62 if n_letters == 1 else int(np.log(_MOST_WORDS) / np.log(n_letters))


@compiled
def _count(
    codes: AnyArray, starts: IntArray, k: int, n_letters: int
) -> tuple[IntArray, IntArray, AnyArray]:
    """Return row starts, words and their counts, each row's words ascending."""
    n_sequences = len(starts) - 1
    indptr = np.zeros(n_sequences + 1, dtype=np.int64)
    words = np.empty(len(codes), dtype=np.int64)
    counts = np.empty(len(codes), dtype=np.int32)
    found = np.empty(len(codes), dtype=np.int64)
    n_words = n_letters ** (k - 1)
    filled = 0
    for sequence in range(n_sequences):
        word = run = n_found = 0
        for place in range(starts[sequence], starts[sequence + 1]):
            if codes[place] < 0:
                run = word = 0
                continue
            # The first letter of the word before drops out.
            word = (word % n_words) * n_letters + codes[place]
            run += 1
            if run >= k:
                found[n_found] = word
                n_found += 1
        ordered = np.sort(found[:n_found])
        for i in range(n_found):
            if i == 0 or ordered[i] != ordered[i - 1]:
                words[filled] = ordered[i]
                counts[filled] = 0
                filled += 1
            counts[filled - 1] += 1
        indptr[sequence + 1] = filled
    return indptr, words[:filled].copy(), counts[:filled].copy()


@compiled
def _word_hashes(codes: AnyArray, k: int) -> AnyArray:
    """Return a hash of each word or its reverse complement, whichever has the smaller number."""
    hashes = np.empty(max(0, len(codes) - k + 1), dtype=np.uint64)
    mask = np.uint64((1 << (2 * k)) - 1)
    forward = backward = np.uint64(0)
    run = filled = 0
    for code in codes:
        if code < 0:
            run = 0
            continue
        letter = np.uint64(code)
        forward = ((forward << np.uint64(2)) | letter) & mask
        # A and T, C and G have numbers that sum to 3.
        backward = (backward >> np.uint64(2)) | ((np.uint64(3) - letter) << np.uint64(2 * k - 2))
        run += 1
        if run >= k:
            hashes[filled] = _mixed(min(forward, backward))
            filled += 1
    return hashes[:filled].copy()


@compiled
def _mixed(number: np.uint64) -> np.uint64:
    """Scatter a number over all of 64 bits, one to one (the finaliser of SplitMix64)."""
    number = (number ^ (number >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    number = (number ^ (number >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return number ^ (number >> np.uint64(31))


@compiled
def _shared_shares(hashes: AnyArray, starts: IntArray, sketch_size: int) -> FloatArray:
    """Return the share of common hashes among the smallest of each two sketches together."""
    n = len(starts) - 1
    shares = np.zeros((n, n), dtype=np.float64)
    for i in range(n):
        for j in range(i):
            a, b = starts[i], starts[j]
            seen = common = 0
            while seen < sketch_size and (a < starts[i + 1] or b < starts[j + 1]):
                seen += 1
                if b >= starts[j + 1]:
                    a += 1
                elif a >= starts[i + 1]:
                    b += 1
                elif hashes[a] == hashes[b]:
                    common += 1
                    a += 1
                    b += 1
                elif hashes[a] < hashes[b]:
                    a += 1
                else:
                    b += 1
            if seen:
                shares[i, j] = shares[j, i] = common / seen
    return shares
