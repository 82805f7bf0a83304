"""Exact Levenshtein distances: matrices, single pairs, and matrices too large for memory.

The distance is the least number of letters to insert, delete or exchange that turns one sequence
into the other. Letters are bytes and are compared as they are: nothing is upper-cased, and gaps and
ambiguity codes equal themselves alone. The kernel is in `bitsliced`; it works on hundreds of pairs
at once, so where there are too few for it to pay, rapidfuzz is called instead. Both are exact.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil
from typing import TypeAlias

import numpy as np
from rapidfuzz import process
from rapidfuzz.distance import Levenshtein

from kinlens.errors import UsageError
from kinlens.geometry.bitsliced import NO_CUTOFF
from kinlens.geometry.edit_plan import fill_matrix, fill_pairs
from kinlens.geometry.instruction_sets import InstructionSet, vector_width
from kinlens.geometry.packing import PackedSequences, as_bytes, pack_sequences
from kinlens.typing import UInt16Array

__all__ = ["Sequences", "edit_distances", "in_one_store", "paired_edit_distances"]

Sequences: TypeAlias = PackedSequences | Iterable[str | bytes]

# Nanoseconds that rapidfuzz takes for a pair, and for 64 cells; below `_WORTH_STARTING` in all, the
# kernel's start alone would take longer.
_FUZZ_PAIR, _FUZZ_WORD, _WORTH_STARTING = 100.0, 2.0, 5e5
# What the kernel takes for one cell of a vector.
_KERNEL_CELL = 1.0


def edit_distances(
    queries: Sequences,
    targets: Sequences | None = None,
    *,
    max_distance: int | None = None,
    threads: int = 1,
    instruction_set: InstructionSet = "auto",
    out: UInt16Array | None = None,
) -> UInt16Array:
    """Return the exact edit distance of each query to each target.

    Parameters
    ----------
    queries : sequences
        Texts or bytes of 0 to 65,535 letters in any alphabet and of any lengths, or what
        `pack_sequences` made of them, which saves the packing when they are used again.
    targets : sequences, optional
        Left out, all pairs of queries are compared; that is half the work.
    max_distance : int, optional
        Larger distances are given as ``max_distance + 1``. The smaller it is, the less has to be
        computed.
    threads : int
        How many work at once.
    instruction_set : {"auto", "avx512", "avx2", "sse2", "neon", "plain"}
        Which vectors to use; ``"auto"`` takes the longest that the processor has.
    out : numpy.ndarray, optional
        Where to write the distances, uint16, instead of a new array.

    Returns
    -------
    numpy.ndarray
        Shape (queries, targets), uint16. The distance to an empty sequence is the other's length.

    Raises
    ------
    InputError
        When a sequence is too long, or has letters that are not bytes.
    UsageError
        When an argument is out of its range, or `out` does not fit.

    Examples
    --------
    >>> edit_distances(["ACGT", "AGT", ""], ["ACGA"]).tolist()
    [[1], [2], [4]]
    >>> edit_distances([b"GATTACA", b"GACTATA", b"TT"], max_distance=3).tolist()
    [[0, 2, 4], [2, 0, 4], [4, 4, 0]]
    """
    cutoff = _checked_cutoff(max_distance, threads)
    packed, other = in_one_store(queries, targets)
    shape = (len(packed), len(packed if other is None else other))
    if out is None:
        out = np.empty(shape, dtype=np.uint16)
    elif out.shape != shape or out.dtype != np.uint16 or not out.flags.writeable:
        raise UsageError(
            f"out must be a writeable uint16 array of shape {shape}, not {out.dtype} {out.shape}."
        )
    if 0 in shape:
        return out
    width = vector_width(instruction_set)
    n_pairs = shape[0] * (shape[0] - 1) / 2 if other is None else shape[0] * shape[1]
    if _pays(packed, packed if other is None else other, n_pairs, len(width)):
        fill_matrix(packed, other, out, width=width, cutoff=cutoff, threads=threads)
    else:
        _fill_by_rapidfuzz(packed, other, out, max_distance, threads)
    return out


def paired_edit_distances(
    queries: Sequences,
    targets: Sequences,
    *,
    max_distance: int | None = None,
    threads: int = 1,
    instruction_set: InstructionSet = "auto",
) -> UInt16Array:
    """Return the exact edit distance of each query to the target at the same place.

    Parameters
    ----------
    queries, targets : sequences
        As many of one as of the other; otherwise as in `edit_distances`.
    max_distance, threads, instruction_set
        As in `edit_distances`.

    Returns
    -------
    numpy.ndarray
        Shape (pairs,), uint16.

    Raises
    ------
    InputError
        When a sequence is too long, or has letters that are not bytes.
    UsageError
        When an argument is out of its range, or the numbers differ.

    Examples
    --------
    >>> paired_edit_distances(["ACGT", "ACGT"], ["ACG", "TCGT"]).tolist()
    [1, 1]
    """
    cutoff = _checked_cutoff(max_distance, threads)
    packed, other = in_one_store(queries, targets)
    assert other is not None  # because targets are given
    if len(packed) != len(other):
        raise UsageError(f"{len(packed):,} queries cannot be paired with {len(other):,} targets.")
    out = np.empty(len(packed), dtype=np.uint16)
    if len(packed) == 0:
        return out
    width = vector_width(instruction_set)
    if _pays(packed, other, len(packed), len(width)):
        fill_pairs(packed, other, out, width=width, cutoff=cutoff, threads=threads)
    else:
        _fill_pairs_by_rapidfuzz(packed, other, out, max_distance)
    return out


def _checked_cutoff(max_distance: int | None, threads: int) -> int:
    if threads < 1:
        raise UsageError(f"threads must be 1 or more, not {threads}.")
    if max_distance is None:
        return NO_CUTOFF
    if max_distance < 0:
        raise UsageError(f"max_distance must be 0 or more, not {max_distance}.")
    return min(max_distance, NO_CUTOFF)


def in_one_store(
    queries: Sequences, targets: Sequences | None
) -> tuple[PackedSequences, PackedSequences | None]:
    """Pack `queries` and `targets` together, so that a letter has one number in both.

    What is in one store already is returned as it is; so is a `targets` of None.

    Examples
    --------
    >>> queries, targets = in_one_store(["ACGT"], ["AC"])
    >>> queries.store is targets.store
    True
    """
    if targets is None:
        return queries if isinstance(queries, PackedSequences) else pack_sequences(queries), None
    match queries, targets:
        case PackedSequences(), PackedSequences() if queries.store is targets.store:
            return queries, targets
    first, second = _letters_of(queries), _letters_of(targets)
    packed = pack_sequences([*first, *second])
    split = len(first)
    return packed.take(range(split)), packed.take(range(split, len(packed)))


def _letters_of(sequences: Sequences) -> list[bytes]:
    return sequences.unpacked() if isinstance(sequences, PackedSequences) else as_bytes(sequences)


def _pays(queries: PackedSequences, targets: PackedSequences, n_pairs: float, n_words: int) -> bool:
    """Tell whether the kernel, which takes whole vectors, is faster than rapidfuzz."""
    rows, columns = float(targets.lengths.mean()), float(queries.lengths.mean())
    by_rapidfuzz = n_pairs * (_FUZZ_PAIR + _FUZZ_WORD * rows * ceil(columns / 64))
    by_kernel = ceil(n_pairs / (64 * n_words)) * _KERNEL_CELL * rows * columns
    return by_rapidfuzz > _WORTH_STARTING + by_kernel


def _fill_by_rapidfuzz(
    queries: PackedSequences,
    targets: PackedSequences | None,
    out: UInt16Array,
    max_distance: int | None,
    threads: int,
) -> None:
    texts = queries.unpacked()
    out[...] = process.cdist(
        texts,
        texts if targets is None else targets.unpacked(),
        scorer=Levenshtein.distance,
        score_cutoff=max_distance,
        dtype=np.uint16,
        workers=threads,
    )


def _fill_pairs_by_rapidfuzz(
    queries: PackedSequences, targets: PackedSequences, out: UInt16Array, max_distance: int | None
) -> None:
    pairs = zip(queries.unpacked(), targets.unpacked(), strict=True)
    out[:] = [Levenshtein.distance(*pair, score_cutoff=max_distance) for pair in pairs]
