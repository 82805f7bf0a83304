"""The sequence graph transform: how often, and how closely, one letter follows another.

Here the transform is a scikit-learn transformer whose cost grows with the length of a sequence
times the size of the alphabet; the definition alone would cost the square of the length.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from kinlens.embed.sequence_input import checked_letters, checked_sequences, words_of
from kinlens.errors import UsageError
from kinlens.geometry.compiled import compiled
from kinlens.typing import FloatArray, IntArray, ObjectArray

__all__ = ["SequenceGraphTransform"]

# The vector has the square of the alphabet's size.
_MOST_WORDS = 1024


class SequenceGraphTransform(TransformerMixin, BaseEstimator):
    """Sequences as the closeness with which letters follow each other.

    For letters u and v, over the places l < m that hold u and v::

        psi[u, v] = (sum exp(-kappa (m - l)) / N[u, v]) ** (1 / kappa)

    where N is the number of such pairs of places, divided by the sequence's length when the
    transform is to be length-sensitive. Where v never follows u, psi is 0. The "letters" may be
    overlapping words: with `word_length` 2, ``ATC`` is AT, TC.

    Each row depends on its sequence only. Letters outside the alphabet, and words with one of them,
    keep their places and are passed over; a sequence with no pair at all gives a row of zeros.

    Parameters
    ----------
    letters : str
        The alphabet, upper-case, in the order by which columns are numbered. Give ``"AUCG"`` for
        RNA.
    word_length : int
        Letters in a word: 1 for the letters themselves, 2 for dinucleotides.
    kappa : float
        Above 0: the larger, the less distant pairs count.
    length_sensitive : bool
        Whether a pattern repeated in a longer sequence weighs more.

    Attributes
    ----------
    n_features_out_ : int
        Columns: the square of the number of words. Column ``u * n_words + v`` is psi[u, v].

    References
    ----------
    Ranjan, C., Ebrahimi, S. and Paynabar, K. (2022). Sequence graph transform (SGT): a feature
    embedding function for sequence data mining. Data Mining and Knowledge Discovery 36, 668-708.

    Examples
    --------
    >>> transform = SequenceGraphTransform("AB", word_length=1)
    >>> transform.fit_transform(["AAB"]).round(4).tolist()
    [[0.3679, 0.2516, 0.0, 0.0]]
    >>> transform.get_feature_names_out().tolist()
    ['A>A', 'A>B', 'B>A', 'B>B']
    """

    def __init__(
        self,
        letters: str = "ATCG",
        *,
        word_length: int = 2,
        kappa: float = 1.0,
        length_sensitive: bool = False,
    ) -> None:
        self.letters = letters
        self.word_length = word_length
        self.kappa = kappa
        self.length_sensitive = length_sensitive

    def fit(self, X: Sequence[str | bytes], y: Any = None) -> SequenceGraphTransform:
        """Check the parameters and `X`; nothing is learned from it, and `y` is not used.

        Raises
        ------
        UsageError
            When a parameter is out of its range or `X` is not a list of sequences.
        InputError
            When no sequence has a letter of the alphabet.
        """
        checked_letters(self.letters)
        if self.word_length < 1 or len(self.letters) ** self.word_length > _MOST_WORDS:
            raise UsageError(
                f"word_length must be 1 or more, with at most {_MOST_WORDS:,} words of the "
                f"{len(self.letters)} letters, not {self.word_length!r}."
            )
        if not (np.isfinite(self.kappa) and self.kappa > 0):
            raise UsageError(f"kappa must be above 0, not {self.kappa!r}.")
        checked_sequences(X, self.letters)
        self.n_features_out_ = len(self.letters) ** (2 * self.word_length)
        return self

    def transform(self, X: Sequence[str | bytes]) -> FloatArray:
        """Return the vectors of the sequences `X`; shape (sequences, words squared), float64."""
        check_is_fitted(self)
        texts = checked_sequences(X, self.letters)
        numbers = np.full(256, -1, dtype=np.int64)
        numbers[np.frombuffer(self.letters.encode(), dtype=np.uint8)] = range(len(self.letters))
        n_words = len(self.letters) ** self.word_length
        vectors = np.empty((len(texts), n_words, n_words), dtype=np.float64)
        for text, vector in zip(texts, vectors, strict=True):
            letters = numbers[np.frombuffer(text, dtype=np.uint8)]
            words = _word_numbers(letters, len(self.letters), self.word_length)
            _write_psi(words, self.kappa, self.length_sensitive, vector)
        return vectors.reshape(len(texts), n_words**2)

    def get_feature_names_out(self, input_features: Any = None) -> ObjectArray:
        """Return ``u>v`` for each column: word u, later word v; `input_features` is not used."""
        check_is_fitted(self)
        words = words_of(self.letters, self.word_length)
        return np.array([f"{u}>{v}" for u, v in product(words, words)], dtype=object)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        return tags


def _word_numbers(letters: IntArray, n_letters: int, word_length: int) -> IntArray:
    """Return the number of the word at each place, -1 where it has a letter without number."""
    n_places = max(0, len(letters) - word_length + 1)
    numbers = np.zeros(n_places, dtype=np.int64)
    is_word = np.ones(n_places, dtype=bool)
    for at in range(word_length):
        here = letters[at : at + n_places]
        numbers = numbers * n_letters + here
        is_word &= here >= 0
    return np.where(is_word, numbers, -1)


@compiled
def _write_psi(words: IntArray, kappa: float, length_sensitive: bool, psi: FloatArray) -> None:
    """Write the transform of one sequence to `psi`, of shape (words, words).

    One pass: `closeness[u]` is the sum of exp(-kappa (m - l)) over the places l of u so far, seen
    from the place m.
    """
    n_words = len(psi)
    decay = np.exp(-kappa)
    closeness = np.zeros(n_words)
    so_far = np.zeros(n_words)
    pairs = np.zeros((n_words, n_words))
    by_last = np.zeros((n_words, n_words))
    n_places = 0
    for word in words:
        for u in range(n_words):
            closeness[u] *= decay
        if word < 0:
            continue
        n_places += 1
        for u in range(n_words):
            # Rows are the later word, so that they are written in order.
            by_last[word, u] += closeness[u]
            pairs[word, u] += so_far[u]
        closeness[word] += 1.0
        so_far[word] += 1.0
    for u in range(n_words):
        for v in range(n_words):
            count = pairs[v, u] / n_places if length_sensitive and n_places else pairs[v, u]
            psi[u, v] = (by_last[v, u] / count) ** (1.0 / kappa) if count else 0.0
