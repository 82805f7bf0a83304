"""Compiled loops of the gene scan: thresholds and scores of many genes in one pass.

Every array is (rows, genes), so that the inner loop runs along genes and fills vector registers.
Truth is 1 where a gene is present; `known` is 1 where that is known and truth is 0 elsewhere.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from kinlens.geometry.compiled import compiled
from kinlens.typing import AnyArray, FloatArray

__all__ = ["add_auc", "add_mcc", "midpoints", "row_sums"]

# Sums may be reordered; NaN and infinities keep their meaning, which thresholds rely on.
_reordered = partial(compiled, fastmath={"contract", "reassoc", "nsz"})


@_reordered
def row_sums(part: AnyArray, truth: AnyArray, out: AnyArray) -> None:
    """Add the sum over rows of ``part * truth`` to `out`, one number a gene."""
    n_rows, n_genes = part.shape
    for i in range(n_rows):
        for j in range(n_genes):
            out[j] += part[i, j] * truth[i, j]


@_reordered
def midpoints(inside: AnyArray, total: AnyArray, present: AnyArray, known: AnyArray) -> AnyArray:
    """Return the threshold of each gene, halfway between the mean scores of its two classes.

    Parameters
    ----------
    inside, total : array, shape (n_genes,)
        Sum of the leave-one-out scores where the gene is present, and over all known rows.
    present, known : array, shape (n_genes,)
        How many training rows have the gene, and how many are known.

    Returns
    -------
    array, shape (n_genes,)
        Infinite where only one class was seen: whatever comes is then called by that class.
    """
    out = np.empty_like(inside)
    for j in range(len(out)):
        absent = known[j] - present[j]
        if present[j] == 0:
            out[j] = np.inf
        elif absent == 0:
            out[j] = -np.inf
        else:
            out[j] = 0.5 * (inside[j] / present[j] + (total[j] - inside[j]) / absent)
    return out


@_reordered
def add_mcc(
    scores: AnyArray,
    threshold: AnyArray,
    truth: AnyArray,
    known: AnyArray,
    sums: FloatArray,
    squares: FloatArray,
) -> None:
    """Add one split's Matthews correlation of each gene, and its square; undefined counts as 0.

    `known` has no rows where nothing is missing. Undefined is a split that tests one class only
    or calls all rows alike; scikit-learn says 0 as well.
    """
    n_rows, n_genes = scores.shape
    zero, one = scores.dtype.type(0), scores.dtype.type(1)
    hits = np.zeros(n_genes, scores.dtype)
    called = np.zeros(n_genes, scores.dtype)
    there = np.zeros(n_genes, scores.dtype)
    seen = np.zeros(n_genes, scores.dtype)
    if known.shape[0] == 0:
        for i in range(n_rows):
            for j in range(n_genes):
                call = one if scores[i, j] > threshold[j] else zero
                hits[j] += call * truth[i, j]
                called[j] += call
                there[j] += truth[i, j]
        for j in range(n_genes):
            seen[j] = n_rows
    else:
        for i in range(n_rows):
            for j in range(n_genes):
                call = known[i, j] if scores[i, j] > threshold[j] else zero
                hits[j] += call * truth[i, j]
                called[j] += call
                there[j] += truth[i, j]
                seen[j] += known[i, j]
    for j in range(n_genes):
        spread = called[j] * (seen[j] - called[j]) * there[j] * (seen[j] - there[j])
        if spread > 0:
            mcc = (seen[j] * hits[j] - called[j] * there[j]) / np.sqrt(np.float64(spread))
            sums[j] += mcc
            squares[j] += mcc * mcc


@_reordered
def add_auc(
    scores: AnyArray, truth: AnyArray, known: AnyArray, sums: FloatArray, counts: FloatArray
) -> None:
    """Add one split's area under the ROC curve of each gene where both classes are tested.

    Pairs of rows are compared outright: of 64 test rows there are 2,016, in which sorting loses.
    """
    n_rows, n_genes = scores.shape
    wins = np.zeros(n_genes, scores.dtype)
    if known.shape[0] == 0:
        _add_wins(scores, truth, wins)
    else:
        _add_known_wins(scores, truth, known, wins)
    for j in range(n_genes):
        there, seen = np.float64(0.0), np.float64(n_rows)
        for i in range(n_rows):
            there += truth[i, j]
        if known.shape[0]:
            seen = np.float64(known[:, j].sum())
        pairs = there * (seen - there)
        if pairs > 0:
            sums[j] += 0.5 + 0.5 * wins[j] / pairs
            counts[j] += 1.0


@_reordered
def _add_wins(scores: AnyArray, truth: AnyArray, wins: AnyArray) -> None:
    one, zero = scores.dtype.type(1), scores.dtype.type(0)
    for i in range(scores.shape[0]):
        for k in range(i):
            for j in range(scores.shape[1]):
                above = one if scores[i, j] > scores[k, j] else zero
                below = one if scores[i, j] < scores[k, j] else zero
                wins[j] += (truth[i, j] - truth[k, j]) * (above - below)


@_reordered
def _add_known_wins(scores: AnyArray, truth: AnyArray, known: AnyArray, wins: AnyArray) -> None:
    one, zero = scores.dtype.type(1), scores.dtype.type(0)
    for i in range(scores.shape[0]):
        for k in range(i):
            for j in range(scores.shape[1]):
                above = one if scores[i, j] > scores[k, j] else zero
                below = one if scores[i, j] < scores[k, j] else zero
                both = known[i, j] * known[k, j]
                wins[j] += both * (truth[i, j] - truth[k, j]) * (above - below)
