"""Intervals for the score of every gene, by drawing whole clades anew."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from kinlens.evaluate.repeated import PartsArray
from kinlens.evaluate.resample import bootstrap_weights
from kinlens.geometry.compiled import compiled
from kinlens.models.gene_scan import iterate_splits
from kinlens.models.gene_scorers import RidgeScorer, Scorer
from kinlens.parallel import BlockLedger, Resources, map_blocks
from kinlens.typing import AnyArray, ByteArray, Float32Array, FloatArray

__all__ = ["GeneIntervals", "clade_intervals"]

_DEFAULT_SCORER = RidgeScorer()
_GENES_PER_BLOCK = 4096


@dataclass(frozen=True, eq=False)
class GeneIntervals:
    """Ends of the interval of each gene's mean MCC.

    Parameters
    ----------
    low, high : array of float, shape (n_genes,)
        The same for all genes: 95% unless asked otherwise.
    n_clades : int
        How many clades were drawn from.
    """

    low: FloatArray
    high: FloatArray
    n_clades: int


def clade_intervals(
    gram: FloatArray,
    genes: ByteArray,
    parts: PartsArray,
    clades: Iterable[Any],
    *,
    rng: np.random.Generator,
    scorer: Scorer = _DEFAULT_SCORER,
    n_replicates: int = 200,
    level: float = 0.95,
    resources: Resources | None = None,
    ledger: BlockLedger | None = None,
    label: str = "",
) -> GeneIntervals:
    """Give the mean MCC over splits an interval, clades being what was sampled.

    In a replicate each species counts as often as its clade was drawn, in the test rows of every
    split; what was learned stays as it is. A draw leaves clades out, and small test parts then
    hold one class more often, which alone lowers the score: so the percentiles are moved by the
    distance of the replicates' median from the score.

    Parameters
    ----------
    gram, genes, parts, scorer, resources, ledger, label
        As for `gene_scan.scan_genes`.
    clades : iterable of length n
        Clade of each species.
    rng : numpy.random.Generator
        Draws the clades.
    n_replicates : int
        How many draws.
    level : float
        Coverage aimed at.

    Examples
    --------
    >>> from kinlens.evaluate.repeated import repeat_random
    >>> from kinlens.models.gene_scorers import gram_matrix
    >>> rng = np.random.default_rng(1)
    >>> features = rng.standard_normal((60, 5))
    >>> genes = (features[:, :1] > 0).astype(np.uint8)
    >>> found = clade_intervals(
    ...     gram_matrix(features), genes, repeat_random(60, 20, rng=rng), range(60), rng=rng
    ... )
    >>> bool(0.4 < found.low[0] < found.high[0] <= 1)
    True
    """
    units = list(clades)
    drawn = bootstrap_weights(units, rng=rng, n_replicates=n_replicates)
    weights = np.vstack([np.ones((1, len(units))), *drawn])
    work = partial(
        _quantiles,
        gram=gram,
        genes=genes,
        parts=parts,
        weights=weights.astype(np.float32),
        scorer=scorer,
        tails=((1 - level) / 2, (1 + level) / 2),
    )
    blocks = [
        (start, min(start + _GENES_PER_BLOCK, genes.shape[1]))
        for start in range(0, genes.shape[1], _GENES_PER_BLOCK)
    ]
    ends = map_blocks(
        work,
        blocks,
        resources=resources,
        ledger=ledger,
        label=label,
        unit="gene",
        size_of=_size_of,
    )
    both = np.hstack([np.empty((2, 0)), *ends])
    return GeneIntervals(both[0], both[1], len(set(units)))


def _size_of(block: tuple[int, int]) -> int:
    return block[1] - block[0]


def _quantiles(
    block: tuple[int, int],
    *,
    gram: FloatArray,
    genes: ByteArray,
    parts: PartsArray,
    weights: Float32Array,
    scorer: Scorer,
    tails: tuple[float, float],
) -> FloatArray:
    """Return both ends of the interval of one block of genes, shape (2, n)."""
    sums = np.zeros((len(weights), block[1] - block[0]), dtype=np.float32)
    for chunk in iterate_splits(gram, genes[:, slice(*block)], parts, scorer, np.float32):
        calls = (chunk.scores > chunk.threshold).astype(np.float32)
        drawn = np.ascontiguousarray(weights[:, chunk.rows])
        if len(chunk.known):
            calls *= chunk.known
            seen = drawn @ chunk.known
        else:
            seen = np.broadcast_to(drawn.sum(axis=1)[:, None], (len(drawn), calls.shape[1]))
        _add(
            drawn @ (calls * chunk.truth),
            drawn @ calls,
            drawn @ chunk.truth,
            np.ascontiguousarray(seen),
            sums[:, chunk.genes],
        )
    score, drawn_scores = sums[0] / len(parts), sums[1:] / len(parts)
    ends = score + np.quantile(drawn_scores, tails, axis=0) - np.median(drawn_scores, axis=0)
    clipped: FloatArray = np.clip(ends, -1.0, 1.0)
    return clipped


@partial(compiled, fastmath={"contract", "reassoc", "nsz"})
def _add(hits: AnyArray, called: AnyArray, there: AnyArray, seen: AnyArray, sums: AnyArray) -> None:
    """Add the MCC of weighted counts, one number a replicate and gene."""
    for i in range(hits.shape[0]):
        for j in range(hits.shape[1]):
            spread = called[i, j] * (seen[i, j] - called[i, j])
            spread *= there[i, j] * (seen[i, j] - there[i, j])
            if spread > 0:
                above = seen[i, j] * hits[i, j] - called[i, j] * there[i, j]
                sums[i, j] += above / np.sqrt(spread)
