"""Every gene predicted from the same features, over thousands of splits, in one pass.

How genes are predicted in one split is in `gene_scorers`; what a score means beside its null is in
`gene_null` and `kinlens.evaluate.multiplicity`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import DTypeLike

from kinlens.errors import InputError, UsageError
from kinlens.evaluate.repeated import TEST, TRAIN, PartsArray
from kinlens.models._gene_kernels import add_auc, add_mcc
from kinlens.models.gene_scorers import RidgeScorer, Scorer
from kinlens.parallel import BlockLedger, Resources, map_blocks
from kinlens.typing import AnyArray, BoolArray, ByteArray, FloatArray, IntArray

__all__ = [
    "MISSING",
    "GeneCalls",
    "GeneScores",
    "Measure",
    "ScoredChunk",
    "call_genes",
    "gene_codes",
    "iterate_splits",
    "scan_genes",
    "score_each_split",
]

Measure = Literal["mcc", "auc"]
"""What a split is scored by."""

MISSING = 255
"""Code of a cell that is neither present (1) nor absent (0)."""

_DEFAULT_SCORER = RidgeScorer()
# Genes whose scores of one split stay in a core's own cache.
_CHUNK = 512
# Bytes of weights kept at a time while chunks pass by.
_PREPARED_BYTES = 64_000_000
_GENES_PER_BLOCK = 40_000
_SPLITS_PER_BLOCK = 100


@dataclass(frozen=True, eq=False)
class GeneScores:
    """Scores of each gene over many splits.

    Parameters
    ----------
    mcc : array of float, shape (n_genes,)
        Mean Matthews correlation over the splits; a split in which it is undefined counts as 0.
    mcc_spread : array of float, shape (n_genes,)
        Standard deviation over the splits.
    auc : array of float, shape (n_genes,)
        Mean area under the ROC curve over the splits that test both classes; NaN without any, or
        when it was not asked for.
    n_splits : int
        How many splits.
    """

    mcc: FloatArray
    mcc_spread: FloatArray
    auc: FloatArray
    n_splits: int


@dataclass(frozen=True, eq=False)
class ScoredChunk:
    """Some genes in the test rows of one split.

    Parameters
    ----------
    genes : slice
        Which genes.
    split : int
        Which split.
    rows : array of int, shape (n_test,)
        Its test rows.
    scores, truth : array, shape (n_test, n_genes)
        Scores, and 1 where the gene is present.
    threshold : array, shape (n_genes,)
        A row is called present where its score is above.
    known : array, shape (n_test, n_genes) or (0, n_genes)
        1 where truth is known; no rows when all of it is.
    """

    genes: slice
    split: int
    rows: IntArray
    scores: AnyArray
    threshold: AnyArray
    truth: AnyArray
    known: AnyArray


@dataclass(frozen=True, eq=False)
class GeneCalls:
    """What was called present in the test rows of each split.

    Parameters
    ----------
    rows : list of array of int
        The test rows of each split.
    calls, scores : list of array, shape (n_test, n_genes)
        Called present (bool), and the score above the threshold.
    """

    rows: list[IntArray]
    calls: list[BoolArray]
    scores: list[FloatArray]


def gene_codes(table: pd.DataFrame | AnyArray) -> ByteArray:
    """Turn a table of 0, 1 and NaN into codes of one byte, missing cells into `MISSING`.

    Parameters
    ----------
    table : pandas.DataFrame or array, shape (n, n_genes)
        0 absent, 1 present (also bool), NaN missing.

    Raises
    ------
    InputError
        For any other value.

    Examples
    --------
    >>> gene_codes(np.array([[0.0, 1.0, np.nan]]))
    array([[  0,   1, 255]], dtype=uint8)
    """
    values = np.asarray(table.to_numpy() if isinstance(table, pd.DataFrame) else table)
    codes = np.empty(values.shape, dtype=np.uint8)
    # In strips, so that a wide table is not held several times over.
    for strip in range(0, values.shape[1], 65_536):
        part = values[:, strip : strip + 65_536]
        is_missing = np.isnan(part) if part.dtype.kind == "f" else np.zeros(part.shape, bool)
        if not (is_missing | (part == 0) | (part == 1)).all():
            raise InputError("genes are 0, 1 or missing; other values were found")
        codes[:, strip : strip + 65_536] = np.where(is_missing, MISSING, part == 1)
    return codes


def scan_genes(
    gram: FloatArray,
    genes: ByteArray,
    parts: PartsArray,
    *,
    scorer: Scorer = _DEFAULT_SCORER,
    measures: tuple[Measure, ...] = ("mcc",),
    dtype: DTypeLike = np.float32,
    resources: Resources | None = None,
    ledger: BlockLedger | None = None,
    label: str = "",
) -> GeneScores:
    """Predict every gene in every split, and average the scores.

    Parameters
    ----------
    gram : array of float, shape (n, n)
        From `gene_scorers.gram_matrix`, or any positive semidefinite similarity of the species.
    genes : array of uint8, shape (n, n_genes)
        0, 1 or `MISSING`, see `gene_codes`. Missing cells are neither learned from nor scored.
    parts : array of int8, shape (n_splits, n)
        From `kinlens.evaluate.repeated`.
    scorer : Scorer
        `RidgeScorer` or `SupportVectorScorer`.
    measures : tuple of {"mcc", "auc"}
        What to compute; the MCC always is.
    dtype : numpy dtype
        Of the arithmetic. float64 is twice as slow, to check the other against.
    resources : Resources, optional
        Where to work; the answer is the same everywhere.
    ledger : BlockLedger, optional
        Where finished blocks are kept. Its fingerprint has to cover the arguments.
    label : str
        What the progress display calls the work.

    Returns
    -------
    GeneScores
        In the order of `genes`.

    Raises
    ------
    UsageError
        When the shapes do not fit, or a split has fewer than two rows to train on or none to test.

    Examples
    --------
    >>> from kinlens.evaluate.repeated import repeat_random
    >>> from kinlens.models.gene_scorers import gram_matrix
    >>> rng = np.random.default_rng(1)
    >>> features = rng.standard_normal((60, 5))
    >>> genes = np.stack([features[:, 0] > 0, rng.random(60) > 0.5], axis=1).astype(np.uint8)
    >>> found = scan_genes(gram_matrix(features), genes, repeat_random(60, 20, rng=rng))
    >>> bool(found.mcc[0] > 0.6 > 0.3 > found.mcc[1])
    True
    """
    _check_shapes(gram, genes, parts)
    n_genes, n_splits = genes.shape[1], len(parts)
    work = partial(
        _scanned, gram=gram, genes=genes, parts=parts, scorer=scorer, measures=measures, dtype=dtype
    )
    blocks = [
        (
            first,
            min(first + _GENES_PER_BLOCK, n_genes),
            start,
            min(start + _SPLITS_PER_BLOCK, n_splits),
        )
        for start in range(0, n_splits, _SPLITS_PER_BLOCK)
        for first in range(0, n_genes, _GENES_PER_BLOCK)
    ]
    sums = np.zeros((4, n_genes))
    done = map_blocks(
        work,
        blocks,
        resources=resources,
        ledger=ledger,
        label=label,
        unit="gene split",
        size_of=_size_of,
    )
    for (first, stop, _start, _end), part in zip(blocks, done, strict=True):
        sums[:, first:stop] += part
    mcc = sums[0] / n_splits
    spread = np.sqrt(np.maximum(sums[1] / n_splits - mcc**2, 0.0))
    auc = np.full(n_genes, np.nan)
    np.divide(sums[2], sums[3], out=auc, where=sums[3] > 0)
    return GeneScores(mcc, spread, auc, n_splits)


def score_each_split(
    gram: FloatArray,
    genes: ByteArray,
    parts: PartsArray,
    *,
    scorer: Scorer = _DEFAULT_SCORER,
    dtype: DTypeLike = np.float32,
) -> FloatArray:
    """Return the MCC of each gene in each split, for a few genes: their resampling distributions.

    Parameters
    ----------
    gram, genes, parts, scorer, dtype
        As for `scan_genes`.

    Returns
    -------
    array of float, shape (n_splits, n_genes)
        0 where undefined.
    """
    _check_shapes(gram, genes, parts)
    out = np.zeros((len(parts), genes.shape[1]))
    for chunk in iterate_splits(gram, genes, parts, scorer, dtype):
        row = out[chunk.split, chunk.genes]
        add_mcc(chunk.scores, chunk.threshold, chunk.truth, chunk.known, row, np.zeros(len(row)))
    return out


def call_genes(
    gram: FloatArray,
    genes: ByteArray,
    parts: PartsArray,
    *,
    scorer: Scorer = _DEFAULT_SCORER,
    dtype: DTypeLike = np.float32,
) -> GeneCalls:
    """Return what was called present in the test rows of each split, for a few genes.

    Parameters
    ----------
    gram, genes, parts, scorer, dtype
        As for `scan_genes`.
    """
    _check_shapes(gram, genes, parts)
    rows = [np.flatnonzero(part == TEST) for part in parts]
    scores = [np.zeros((len(test), genes.shape[1])) for test in rows]
    for chunk in iterate_splits(gram, genes, parts, scorer, dtype):
        scores[chunk.split][:, chunk.genes] = chunk.scores - chunk.threshold
    return GeneCalls(rows, [above > 0 for above in scores], scores)


def iterate_splits(
    gram: FloatArray, genes: ByteArray, parts: PartsArray, scorer: Scorer, dtype: DTypeLike
) -> Iterator[ScoredChunk]:
    """Yield the scores of the test rows of every split, for one chunk of genes after the other.

    A chunk of genes meets all splits of a batch before the next chunk comes, so that the chunk
    stays in the cache; weights, which are small, pass by.

    Parameters
    ----------
    gram, genes, parts, scorer, dtype
        As for `scan_genes`.
    """
    n, n_genes = genes.shape
    kind = np.dtype(dtype)
    per_split = 3 * n * n * kind.itemsize
    batch = int(np.clip(_PREPARED_BYTES // per_split, 1, len(parts)))
    for start in range(0, len(parts), batch):
        rows = [
            (np.flatnonzero(part == TRAIN), np.flatnonzero(part == TEST))
            for part in parts[start : start + batch]
        ]
        prepared = [scorer.prepare(gram, train, test, kind) for train, test in rows]
        for first in range(0, n_genes, _CHUNK):
            stop = min(first + _CHUNK, n_genes)
            chunk = genes[:, first:stop]
            is_known = chunk != MISSING
            truth = (chunk == 1).astype(kind)
            # No rows say that all is known.
            known = np.empty((0, stop - first), kind)
            has_gaps = not is_known.all()
            if has_gaps:
                known = is_known.astype(kind)
            for place, ((train, test), weights) in enumerate(zip(rows, prepared, strict=True)):
                found = scorer.scores(weights, truth[train], known[train] if has_gaps else known)
                yield ScoredChunk(
                    slice(first, stop),
                    start + place,
                    test,
                    found.scores,
                    found.threshold,
                    truth[test],
                    known[test] if has_gaps else known,
                )


# One block ---------------------------------------------------------------------------------------


def _size_of(block: tuple[int, int, int, int]) -> int:
    first, stop, start, end = block
    return (stop - first) * (end - start)


def _scanned(
    block: tuple[int, int, int, int],
    *,
    gram: FloatArray,
    genes: ByteArray,
    parts: PartsArray,
    scorer: Scorer,
    measures: tuple[Measure, ...],
    dtype: DTypeLike,
) -> FloatArray:
    """Return sums over splits, shape (4, n): MCC, its square, AUC, splits with an AUC."""
    first, stop, start, end = block
    sums = np.zeros((4, stop - first))
    for chunk in iterate_splits(gram, genes[:, first:stop], parts[start:end], scorer, dtype):
        sum_, square, area, count = sums[:, chunk.genes]
        add_mcc(chunk.scores, chunk.threshold, chunk.truth, chunk.known, sum_, square)
        if "auc" in measures:
            add_auc(chunk.scores, chunk.truth, chunk.known, area, count)
    return sums


def _check_shapes(gram: FloatArray, genes: ByteArray, parts: PartsArray) -> None:
    n = len(gram)
    if gram.shape != (n, n) or genes.ndim != 2 or len(genes) != n or parts.shape[1:] != (n,):
        raise UsageError(
            f"a Gram matrix of shape {gram.shape}, genes of shape {genes.shape} and splits of "
            f"shape {parts.shape} do not fit together: all have one row or column a species."
        )
    if genes.dtype != np.uint8:
        raise UsageError("genes must be codes of one byte; see gene_codes.")
    if not len(parts):
        raise UsageError("no splits were given.")
    n_train, n_test = (parts == TRAIN).sum(axis=1), (parts == TEST).sum(axis=1)
    if n_train.min() < 2 or n_test.min() < 1:
        raise UsageError("every split needs two rows to train on and one to test.")
