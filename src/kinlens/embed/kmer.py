"""Sequences to vectors of word counts.

The counting is in `geometry.kmer_distances`; here it is a scikit-learn transformer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.preprocessing import normalize
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from kinlens.embed.sequence_input import checked_letters, checked_sequences, words_of
from kinlens.errors import UsageError
from kinlens.geometry.kmer_distances import count_kmers
from kinlens.typing import FloatArray, ObjectArray

__all__ = ["KmerCounts"]

_LONGEST_WORD = 8
# A dense row may have so many columns: the words of eight nucleotides, of three amino acids.
_MOST_DENSE_COLUMNS = 2**17


class KmerCounts(TransformerMixin, BaseEstimator):
    """Sequences as counts of their overlapping words of k letters.

    Each row depends on its sequence only. Words with a letter outside the alphabet are passed over;
    a sequence without any word gives a row of zeros.

    Parameters
    ----------
    k : int
        Letters in a word, 1 to 8.
    letters : str
        The alphabet, upper-case. Give ``"ACGU"`` for RNA.
    norm : {"l2", "l1", None}
        With ``"l2"`` rows have length 1, so that their products are cosines; with ``"l1"`` they are
        frequencies; with None counts.
    sparse_output : bool
        Return a compressed sparse matrix, which long words of large alphabets need.

    Attributes
    ----------
    n_features_out_ : int
        Columns: ``len(letters) ** k``.

    Examples
    --------
    >>> counts = KmerCounts(k=2, norm=None).fit_transform(["ACAC", "GGG"])
    >>> counts.sum(axis=1).tolist()
    [3.0, 2.0]
    >>> KmerCounts(k=2).fit(["ACAC"]).get_feature_names_out()[:3].tolist()
    ['AA', 'AC', 'AG']
    """

    def __init__(
        self,
        k: int = 5,
        *,
        letters: str = "ACGT",
        norm: str | None = "l2",
        sparse_output: bool = False,
    ) -> None:
        self.k = k
        self.letters = letters
        self.norm = norm
        self.sparse_output = sparse_output

    def fit(self, X: Sequence[str | bytes], y: Any = None) -> KmerCounts:
        """Check the parameters and `X`; nothing is learned from it, and `y` is not used.

        Raises
        ------
        UsageError
            When a parameter is out of its range or `X` is not a list of sequences.
        InputError
            When no sequence has a letter of the alphabet.
        """
        checked_letters(self.letters)
        if not 1 <= self.k <= _LONGEST_WORD:
            raise UsageError(f"k must be from 1 to {_LONGEST_WORD}, not {self.k!r}.")
        if self.norm not in ("l1", "l2", None):
            raise UsageError(f"norm must be l1, l2 or None, not {self.norm!r}.")
        n_columns = len(self.letters) ** self.k
        if n_columns > _MOST_DENSE_COLUMNS and not self.sparse_output:
            raise UsageError(
                f"words of {self.k} among {len(self.letters)} letters make {n_columns:,} columns. "
                "Take a smaller k or sparse_output=True."
            )
        checked_sequences(X, self.letters)
        self.n_features_out_ = n_columns
        return self

    def transform(self, X: Sequence[str | bytes]) -> FloatArray | sparse.csr_array:
        """Return the vectors of the sequences `X`; shape (sequences, words), float64."""
        check_is_fitted(self)
        texts = checked_sequences(X, self.letters)
        counts = count_kmers(texts, self.k, letters=self.letters).astype(np.float64)
        if self.norm is not None and counts.shape[0]:
            counts = normalize(counts, norm=self.norm, copy=False)
        return counts if self.sparse_output else counts.toarray()

    def get_feature_names_out(self, input_features: Any = None) -> ObjectArray:
        """Return the words, in the order of the columns; `input_features` is not used."""
        check_is_fitted(self)
        return words_of(self.letters, self.k)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        return tags
