"""Which genes of a table are tested, which are alike, and how completely genomes were annotated.

Works on codes of one byte as `kinlens.models.gene_scan.gene_codes` makes them; `there` and `known`
count the species that have a gene, and those of which it is known.
"""

from __future__ import annotations

import numpy as np

from kinlens.models.gene_scan import MISSING
from kinlens.typing import ByteArray, FloatArray, IntArray, ObjectArray

__all__ = ["completeness_of", "distinct_patterns", "missed_shares", "status_of"]

# Share of the commonest genes by which the completeness of an annotation is judged, and how many
# there must be at least.
_CORE_SHARE, _LEAST_CORE = 0.1, 30
# What is missed beyond this share is missed by the annotation; less may be chance.
_LEAST_MISSED = 0.05


def status_of(there: IntArray, known: IntArray, least: int) -> ObjectArray:
    """Return ``"tested"`` for each gene, or why it is not.

    Parameters
    ----------
    there, known : array of int, shape (n_genes,)
        See above.
    least : int
        How many species must have a gene, and how many must lack it.

    Examples
    --------
    >>> status_of(np.array([0, 2, 9]), np.array([10, 10, 10]), 2).tolist()
    ['constant', 'tested', 'too common']
    """
    status = np.full(len(there), "tested", dtype=object)
    status[known - there < least] = "too common"
    status[there < least] = "too rare"
    status[(there == 0) | (there == known)] = "constant"
    status[known == 0] = "unknown"
    return status


def distinct_patterns(codes: ByteArray) -> tuple[ByteArray, IntArray]:
    """Return distinct columns, in order of first appearance, and which one each column is.

    Examples
    --------
    >>> columns, place = distinct_patterns(np.array([[1, 0, 1], [0, 1, 0]], dtype=np.uint8))
    >>> columns.shape, place.tolist()
    ((2, 2), [0, 1, 0])
    """
    there, known = np.packbits(codes == 1, axis=0), np.packbits(codes == MISSING, axis=0)
    keys = np.ascontiguousarray(np.vstack([there, known]).T)
    as_bytes = keys.view(np.dtype((np.void, keys.shape[1]))).ravel()
    _, first, inverse = np.unique(as_bytes, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return np.ascontiguousarray(codes[:, first[order]]), rank[inverse.ravel()]


def completeness_of(codes: ByteArray) -> FloatArray:
    """Return the share of all known genes that each species has.

    Parameters
    ----------
    codes : array of uint8, shape (n, n_genes)
        All genes of the table.

    Returns
    -------
    array of float, shape (n,)
        From 0 to 1; 0 everywhere in a table of fewer than 30 genes, of which each would be a large
        part of what is then taken out of its own predictor.
    """
    if codes.shape[1] < _LEAST_CORE:
        return np.zeros(len(codes))
    there, known = (codes == 1).sum(axis=1), (codes != MISSING).sum(axis=1)
    return np.asarray(there / np.maximum(known, 1), dtype=np.float64)


def missed_shares(codes: ByteArray, prevalence: FloatArray) -> FloatArray:
    """Guess what share of its genes each annotation misses, from genes that nearly all have.

    Parameters
    ----------
    codes : array of uint8, shape (n, n_genes)
        All genes of the table.
    prevalence : array of float, shape (n_genes,)
        Share of the species that have each.

    Returns
    -------
    array of float, shape (n,)
        Compared with the best tenth of the species; 0 where what is missed may be chance, and
        everywhere in a table too small to tell.
    """
    n_core = max(round(_CORE_SHARE * codes.shape[1]), _LEAST_CORE)
    if codes.shape[1] < n_core:
        return np.zeros(len(codes))
    core = codes[:, np.argsort(-prevalence, kind="stable")[:n_core]]
    share = (core == 1).sum(axis=1) / np.maximum((core != MISSING).sum(axis=1), 1)
    usual = max(float(np.quantile(share, 0.9)), 1e-9)
    missed = np.clip(1.0 - share / usual, 0.0, 0.95)
    return np.where(missed < _LEAST_MISSED, 0.0, missed)
