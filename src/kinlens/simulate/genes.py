"""Genes that are gained and lost down a tree, and what the presence of some does to traits.

Presence is a two-state Markov chain per gene. How traits evolve beside the genes is in
`simulate.traits`.

Everywhere, `turnover` is the mean number of gains and losses from root to tip.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from kinlens.errors import UsageError
from kinlens.records.tree import Tree
from kinlens.typing import ByteArray, FloatArray

__all__ = ["GeneRates", "draw_gene_effects", "draw_gene_rates", "evolve_genes", "miss_genes"]


@dataclass(frozen=True, eq=False)
class GeneRates:
    """How fast each gene comes and goes.

    Parameters
    ----------
    gain, loss : array of float, shape (n_genes,)
        Rate of gaining the gene where it is absent and of losing it where it is present, per unit
        of branch length, 0 or more.
    """

    gain: FloatArray
    loss: FloatArray

    def __post_init__(self) -> None:
        if self.gain.shape != self.loss.shape or np.any(self.gain < 0) or np.any(self.loss < 0):
            raise UsageError("gain and loss must be arrays of one shape, with rates of 0 or more.")

    def __len__(self) -> int:
        return len(self.gain)

    @property
    def turnover(self) -> FloatArray:
        """Gain plus loss, shape (n_genes,)."""
        return self.gain + self.loss

    @property
    def prevalence(self) -> FloatArray:
        """Share of species that have the gene in the long run; NaN for a gene that never moves."""
        prevalence = np.full(len(self), np.nan)
        np.divide(self.gain, self.turnover, out=prevalence, where=self.turnover > 0)
        return prevalence

    @classmethod
    def from_prevalence(cls, prevalence: FloatArray, turnover: FloatArray) -> GeneRates:
        """Build the rates from long-run prevalence (0 to 1) and total rate of change."""
        return cls(prevalence * turnover, (1 - prevalence) * turnover)


def draw_gene_rates(
    count: int,
    rng: np.random.Generator,
    *,
    turnover: float = 2.0,
    commonness: tuple[float, float] = (0.5, 0.5),
) -> GeneRates:
    """Draw the rates of `count` genes.

    Parameters
    ----------
    count : int
        Number of genes.
    rng : numpy.random.Generator
        Source of randomness.
    turnover : float
        Mean over genes of gain plus loss, per unit of branch length; each gene's own is
        exponential around it.
    commonness : tuple of 2 floats
        Parameters of the beta distribution of long-run prevalence; the default is U-shaped, as
        the gene frequencies of pangenomes are: many genes nearly everywhere or nearly nowhere.
    """
    return GeneRates.from_prevalence(rng.beta(*commonness, count), rng.exponential(turnover, count))


def evolve_genes(tree: Tree, rates: GeneRates, rng: np.random.Generator) -> ByteArray:
    """Let genes come and go down a tree.

    With turnover r = gain + loss and long-run prevalence p = gain / r, a gene that is absent is
    present after time t with probability p (1 - e^(-rt)), and one that is present still is with
    probability p + (1 - p) e^(-rt). The root is drawn from p, so that expected prevalence is the
    same everywhere in the tree; a gene that never moves is absent.

    Parameters
    ----------
    tree : Tree
        Any unit of branch length; the rates are per that unit.
    rates : GeneRates
        One gain and one loss rate per gene.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    array of uint8, shape (m, n_genes)
        1 where the node has the gene; rows in node order.

    References
    ----------
    Lewis (2001) Syst. Biol. 50:913, with unequal rates for two states.
    """
    prevalence = np.nan_to_num(rates.prevalence)
    states = np.empty((tree.n_nodes, len(rates)), dtype=np.uint8)
    states[0] = rng.random(len(rates)) < prevalence
    for node in range(1, tree.n_nodes):
        before = states[tree.parent[node]]
        memory = np.exp(-rates.turnover * tree.length[node])
        states[node] = rng.random(len(rates)) < prevalence + (before - prevalence) * memory
    return states


def draw_gene_effects(
    n_causal: int,
    genes: tuple[str, ...],
    traits: tuple[str, ...],
    effect: float,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Choose genes that act on traits, one trait each.

    Parameters
    ----------
    n_causal : int
        How many genes act, at most as many as there are.
    genes, traits : tuple of str
        Names to choose from. Traits are dealt out evenly: none gets a second gene before each has
        one.
    effect : float
        Size of each effect: by how many between-species standard deviations presence shifts the
        trait. Signs are random.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    pandas.DataFrame
        One row per gene that acts: gene, trait, effect; in the order of `genes`.
    """
    if not 0 <= n_causal <= len(genes):
        raise UsageError(f"{n_causal:,} of {len(genes):,} genes cannot act on traits.")
    chosen = np.sort(rng.choice(len(genes), size=n_causal, replace=False))
    rounds = -(-n_causal // len(traits))
    dealt = [trait for _ in range(rounds) for trait in rng.permutation(traits).tolist()]
    return pd.DataFrame(
        {
            "gene": [genes[i] for i in chosen],
            "trait": dealt[:n_causal],
            "effect": effect * rng.choice([-1.0, 1.0], size=n_causal),
        }
    )


def miss_genes(present: ByteArray, missed: float, rng: np.random.Generator) -> ByteArray:
    """Return what an imperfect genome annotation finds of the genes that are there.

    Each species has an annotation of its own quality: the share of its genes that is missed is
    drawn from a beta distribution with mean `missed` (and a spread as of ten genomes).

    Parameters
    ----------
    present : array of uint8, shape (n_species, n_genes)
        True presence.
    missed : float
        Mean share of present genes that are not found, from 0 to below 1.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    array of uint8, shape (n_species, n_genes)
    """
    if not 0 <= missed < 1:
        raise UsageError(f"missed must be at least 0 and below 1, not {missed:g}.")
    if missed == 0:
        return present.copy()
    share = rng.beta(10 * missed, 10 * (1 - missed), size=(len(present), 1))
    found: ByteArray = present * (rng.random(present.shape) >= share).astype(np.uint8)
    return found
