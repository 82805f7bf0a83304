"""Intervals over clades: around the score, wider where clades are few, alike in blocks."""

from __future__ import annotations

import numpy as np
import pytest

from kinlens.evaluate.repeated import repeat_random
from kinlens.models import gene_intervals
from kinlens.models.gene_intervals import clade_intervals
from kinlens.models.gene_scan import MISSING, scan_genes
from kinlens.models.gene_scorers import gram_matrix


def test_the_interval_holds_the_score_and_is_wider_for_few_clades(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(1)
    features = rng.standard_normal((80, 6))
    genes = (features @ rng.standard_normal((6, 30)) + rng.standard_normal((80, 30)) > 0).astype(
        np.uint8
    )
    genes[3, :5] = MISSING
    gram, parts = gram_matrix(features), repeat_random(80, 12, rng=rng)
    score = scan_genes(gram, genes, parts).mcc

    def widths(clades: object) -> np.ndarray:
        found = clade_intervals(gram, genes, parts, clades, rng=np.random.default_rng(0))  # type: ignore[arg-type]
        assert (found.low <= score + 1e-6).all()
        assert (found.high >= score - 1e-6).all()
        assert found.high.max() <= 1
        return found.high - found.low

    by_species = widths(range(80))
    by_few = widths(np.repeat(np.arange(8), 10))
    assert by_few.mean() > 0.8 * by_species.mean()
    assert 0.05 < by_species.mean() < 0.6
    monkeypatch.setattr(gene_intervals, "_GENES_PER_BLOCK", 7)
    np.testing.assert_allclose(widths(range(80)), by_species, atol=1e-5)
