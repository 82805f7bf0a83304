"""Null genes are like the real ones in what is matched, and tests against them are honest."""

from __future__ import annotations

import numpy as np
import pytest

from kinlens.errors import InputError, UsageError
from kinlens.evaluate.multiplicity import false_discovery_rates, family_wise_p_values
from kinlens.evaluate.repeated import repeat_clades
from kinlens.models.gene_null import (
    GenePattern,
    compare_with_null,
    draw_null_genes,
    gene_patterns,
)
from kinlens.models.gene_scan import MISSING, scan_genes
from kinlens.models.gene_scorers import gram_matrix
from kinlens.records.tree import Tree
from kinlens.simulate.genes import GeneRates, evolve_genes
from kinlens.simulate.traits import evolve_traits
from kinlens.simulate.trees import yule_tree
from kinlens.typing import ByteArray, FloatArray


def evolved(tree: Tree, count: int, rng: np.random.Generator) -> ByteArray:
    """Genes in a tenth to nine tenths of the tips, slow and fast ones."""
    rates = GeneRates.from_prevalence(
        rng.uniform(0.2, 0.8, 4 * count), 10 ** rng.uniform(-0.5, 1.3, 4 * count) / tree.height
    )
    genes = evolve_genes(tree, rates, rng)[tree.tips]
    share = genes.mean(axis=0)
    return genes[:, (share > 0.1) & (share < 0.9)][:, :count]


def test_twins_are_as_rare_and_as_changeable(rng: np.random.Generator) -> None:
    tree = yule_tree(80, rng)
    wanted = gene_patterns(tree, evolved(tree, 60, rng))
    null = draw_null_genes(tree, wanted, worlds=10, rng=rng)
    assert null.twins.shape == (60, 10)
    assert null.presence.shape == (80, len(null.pattern.rarer))
    found = gene_patterns(tree, null.presence)
    np.testing.assert_array_equal(found.changes, null.pattern.changes)
    np.testing.assert_array_equal(found.rarer, null.pattern.rarer)
    apart = [
        np.abs(getattr(found, what)[null.twins] - getattr(wanted, what)[:, None])
        for what in ("rarer", "changes")
    ]
    assert np.mean((apart[0] == 0) & (apart[1] == 0)) > 0.6
    assert max(each.mean() for each in apart) < 1.0


def test_the_same_seed_gives_the_same_twins() -> None:
    def drawn() -> tuple[ByteArray, FloatArray]:
        rng = np.random.default_rng(4)
        tree = yule_tree(40, rng)
        null = draw_null_genes(tree, gene_patterns(tree, evolved(tree, 9, rng)), worlds=5, rng=rng)
        return null.presence, null.twins

    for one, other in zip(drawn(), drawn(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_pattern_that_evolution_does_not_reach_gets_its_nearest(
    rng: np.random.Generator,
) -> None:
    tree = yule_tree(30, rng)
    # Half of the tips with a single change: no clade may be of that size.
    null = draw_null_genes(tree, GenePattern(np.array([15]), np.array([1])), worlds=40, rng=rng)
    assert null.pattern.changes[null.twins].mean() < 4


def test_false_positives_are_at_their_level_and_planted_genes_are_found() -> None:
    rng = np.random.default_rng(11)
    tree = yule_tree(120, rng)
    hidden = evolve_traits(tree, 6, rng)[tree.tips]
    features = hidden @ rng.standard_normal((6, 30)) + 0.5 * rng.standard_normal((120, 30))
    null_genes = evolved(tree, 300, rng)
    looks = hidden @ rng.standard_normal((6, 20))
    planted = looks / looks.std(axis=0) * 4 + rng.logistic(size=looks.shape)
    planted = (planted > np.median(planted, axis=0)).astype(np.uint8)
    genes = np.hstack([null_genes, rng.permuted(null_genes, axis=0), planted])
    gram = gram_matrix(features)
    parts = repeat_clades(tree.cut_into(25), 25, rng=rng)
    pattern = gene_patterns(tree, genes)
    null = draw_null_genes(tree, pattern, worlds=39, rng=rng)
    test = compare_with_null(
        scan_genes(gram, genes, parts).mcc,
        pattern,
        scan_genes(gram, null.presence, parts).mcc,
        null,
    )
    assert 0.01 < np.mean(test.p_value[:300] < 0.05) < 0.10
    assert 0.01 < np.mean(test.p_value[300:600] < 0.05) < 0.10
    is_found = false_discovery_rates(test.p_value) < 0.05
    assert is_found[600:].mean() > 0.7
    assert is_found[:600].sum() <= 3
    assert (family_wise_p_values(test.effect[:600], test.null_maxima) < 0.05).sum() <= 1


def test_missed_genes_are_missed_in_the_null_as_well(rng: np.random.Generator) -> None:
    tree = yule_tree(40, rng)
    missed = np.zeros(40)
    missed[:10] = 0.9
    wanted = GenePattern(np.full(50, 12), np.full(50, 8))
    null = draw_null_genes(tree, wanted, worlds=10, rng=rng, missed=missed)
    used = null.presence[:, null.twins.ravel()]
    assert used[:10].mean() < 0.5 * used[10:].mean()


def test_what_cannot_be_drawn_is_said(rng: np.random.Generator) -> None:
    tree = yule_tree(12, rng)
    one = GenePattern(np.array([3]), np.array([1]))
    with pytest.raises(UsageError, match="vary"):
        draw_null_genes(tree, GenePattern(np.array([0]), np.array([0])), worlds=3, rng=rng)
    with pytest.raises(UsageError, match="one world"):
        draw_null_genes(tree, one, worlds=0, rng=rng)
    with pytest.raises(InputError, match="four tips"):
        draw_null_genes(tree.prune(tree.tip_names[:3]), one, worlds=3, rng=rng)


def test_genes_that_are_unknown_in_most_species_are_not_significant_more_often() -> None:
    found = []
    for world in range(3):
        rng = np.random.default_rng(world)
        tree = yule_tree(120, rng)
        features = evolve_traits(tree, 10, rng)
        gram = gram_matrix(features[tree.tips])
        rates = GeneRates.from_prevalence(np.full(400, 0.5), np.full(400, 2.0) / tree.height)
        genes = evolve_genes(tree, rates, rng)[tree.tips]
        genes[rng.random(genes.shape) < 0.75] = MISSING
        is_tested = ((genes == 1).sum(axis=0) >= 5) & ((genes == 0).sum(axis=0) >= 5)
        genes = np.ascontiguousarray(genes[:, is_tested])
        pattern = gene_patterns(tree, genes)
        null = draw_null_genes(tree, pattern, worlds=20, rng=rng, unknown=genes == MISSING)
        share = (null.presence == MISSING).mean()
        assert share == pytest.approx(0.75, abs=0.05)
        np.testing.assert_array_equal(
            gene_patterns(tree, null.presence).keys(), null.pattern.keys()
        )
        parts = repeat_clades(tree.cut_into(30), 40, rng=rng)
        test = compare_with_null(
            scan_genes(gram, genes, parts).mcc,
            pattern,
            scan_genes(gram, null.presence, parts).mcc,
            null,
        )
        found.append(test.p_value)
    p_values = np.concatenate(found)
    # Twins that are known everywhere let 19% pass.
    assert 0.02 < (p_values <= 0.05).mean() < 0.09


def test_null_genes_ask_where_real_ones_are_unknown(rng: np.random.Generator) -> None:
    tree = yule_tree(20, rng)
    with pytest.raises(UsageError, match="where the real ones are not known"):
        draw_null_genes(
            tree, GenePattern(np.array([5]), np.array([3]), np.array([4])), worlds=3, rng=rng
        )
