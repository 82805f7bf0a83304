"""Genes gained and lost: the states at the tips against the Markov chain's own probabilities."""

from __future__ import annotations

import numpy as np
import pytest

from kinlens.errors import UsageError
from kinlens.records.tree import Tree
from kinlens.simulate.genes import (
    GeneRates,
    draw_gene_effects,
    draw_gene_rates,
    evolve_genes,
    miss_genes,
)
from kinlens.simulate.trees import birth_death_tree


def test_gains_and_losses_happen_at_their_rates(rng: np.random.Generator) -> None:
    n_genes, gain, loss, time = 40_000, 0.8, 0.3, 0.6
    tree = Tree.from_parents([-1, 0, 0], [0, time, 0], ["", "moved", "still"])
    rates = GeneRates(np.full(n_genes, gain), np.full(n_genes, loss))
    root, moved, still = evolve_genes(tree, rates, rng)
    assert np.array_equal(root, still)
    prevalence, memory = gain / (gain + loss), np.exp(-(gain + loss) * time)
    for state, expected in (
        (0, prevalence * (1 - memory)),
        (1, prevalence + (1 - prevalence) * memory),
    ):
        started = root == state
        error = np.sqrt(expected * (1 - expected) / started.sum())
        assert abs(moved[started].mean() - expected) < 4 * error


def test_prevalence_is_the_same_everywhere_in_the_tree(rng: np.random.Generator) -> None:
    tree = birth_death_tree(20, rng)
    rates = GeneRates.from_prevalence(np.full(20_000, 0.3), np.full(20_000, 2.0))
    share = evolve_genes(tree, rates, rng).mean(axis=1)
    assert np.abs(share - 0.3).max() < 0.02


def test_a_gene_without_rates_stays_absent(rng: np.random.Generator) -> None:
    tree = birth_death_tree(6, rng)
    rates = GeneRates(np.zeros(3), np.zeros(3))
    assert np.isnan(rates.prevalence).all()
    assert not evolve_genes(tree, rates, rng).any()
    with pytest.raises(UsageError, match="gain and loss"):
        GeneRates(np.array([-1.0]), np.array([1.0]))


def test_drawn_rates_have_the_turnover_and_commonness_asked_for(rng: np.random.Generator) -> None:
    rates = draw_gene_rates(20_000, rng, turnover=1.5, commonness=(2.0, 6.0))
    assert rates.turnover.mean() == pytest.approx(1.5, rel=0.03)
    assert rates.prevalence.mean() == pytest.approx(0.25, abs=0.01)


def test_effects_are_dealt_out_evenly(rng: np.random.Generator) -> None:
    genes, traits = tuple(f"g{i:02}" for i in range(30)), ("a", "b", "c", "d")
    effects = draw_gene_effects(10, genes, traits, 0.7, rng)
    assert effects["gene"].is_monotonic_increasing
    assert effects["gene"].is_unique
    assert sorted(effects["trait"].value_counts()) == [2, 2, 3, 3]
    assert set(effects["effect"].abs()) == {0.7}
    assert draw_gene_effects(0, genes, traits, 0.7, rng).empty
    with pytest.raises(UsageError, match="cannot act"):
        draw_gene_effects(31, genes, traits, 0.7, rng)


def test_annotation_misses_the_share_it_should_and_invents_nothing(
    rng: np.random.Generator,
) -> None:
    present = (rng.random((600, 300)) < 0.5).astype(np.uint8)
    found = miss_genes(present, 0.2, rng)
    assert not np.any(found > present)
    completeness = found.sum(axis=1) / present.sum(axis=1)
    assert completeness.mean() == pytest.approx(0.8, abs=0.02)
    # Genomes differ in quality far more than chance on 150 genes would make them (0.03).
    assert completeness.std() > 0.08
    assert np.array_equal(miss_genes(present, 0.0, rng), present)
