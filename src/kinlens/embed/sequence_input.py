"""What transformers of sequences take: texts or bytes, and an alphabet."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np

from kinlens.errors import InputError, UsageError
from kinlens.geometry.packing import as_bytes
from kinlens.typing import ObjectArray

__all__ = ["checked_letters", "checked_sequences", "words_of"]


def checked_letters(letters: Any) -> str:
    """Return `letters` when they are different ASCII letters, at least one.

    Raises
    ------
    UsageError
        When they are not.
    """
    is_text = isinstance(letters, str) and letters.isascii()
    if not is_text or not letters or len(set(letters)) != len(letters):
        raise UsageError(f"letters must be different ASCII letters, at least one, not {letters!r}.")
    return str(letters)


def checked_sequences(sequences: Sequence[str | bytes], letters: str) -> list[bytes]:
    """Return `sequences` as bytes.

    Parameters
    ----------
    sequences : sequence of str or bytes
        Any letters; those outside the alphabet are the caller's affair.
    letters : str
        The alphabet.

    Raises
    ------
    UsageError
        When it is one text, or an item is neither text nor bytes.
    InputError
        When there are letters, but none of the alphabet: then the alphabet or the case is wrong.

    Examples
    --------
    >>> checked_sequences(["ACGT", "NN"], "ACGT")
    [b'ACGT', b'NN']
    """
    texts = as_bytes(sequences)
    alphabet = letters.encode()
    unlike = [text for text in texts if text.translate(None, delete=alphabet)]
    if unlike and not any(len(text.translate(None, delete=alphabet)) < len(text) for text in texts):
        raise InputError(
            f"none of {len(texts):,} sequences has one of the letters {letters}",
            offenders=[text[:20].decode(errors="replace") for text in unlike],
            remedy="Give their alphabet as `letters`; letters are compared as they are, so "
            "lower-case sequences have to be upper-cased first.",
        )
    return texts


def words_of(letters: str, length: int) -> ObjectArray:
    """Return all words of `length` letters, the last letter changing fastest.

    Examples
    --------
    >>> words_of("AT", 2).tolist()
    ['AA', 'AT', 'TA', 'TT']
    """
    return np.array(["".join(word) for word in product(letters, repeat=length)], dtype=object)
