"""What a simulated world is like: every dial, its default and its range.

How the dials act is in `simulate.world`.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from kinlens.config import Config

__all__ = ["WorldConfig"]


class WorldConfig(Config):
    """What a world is like; the defaults make a clade of snails that look as they are related.

    Parameters
    ----------
    name : str
        What reports call the dataset.
    species, images : int
        Number of species and of pictures.
    image_size : int
        Width and height of a picture in pixels.
    world : str
        ``related``: looks evolve on the tree. ``independent``: looks evolve on another tree that
        has nothing to do with it. ``shuffled``: looks evolve on the tree and are then dealt out
        to the species at random. ``mislabelled``: species have looks of their own, but the names
        of the specimens are dealt out at random. In the last three nothing links looks to
        kinship, and no gene acts on them.
    birth, death : float
        Rates of speciation and extinction; only their ratio matters.
    signal : float
        Pagel's lambda of the traits, and of the genes that act on them, 0 to 1.
    disparity : float
        Standard deviation of Brownian traits among species.
    pull : float
        Strength of the pull of all traits towards the root's (Ornstein-Uhlenbeck), per height of
        the tree; 0 for Brownian motion.
    convergent_clades : int
        Number of separate clades whose looks go to one common optimum.
    convergence : float
        How much of the way there they go, from 0 to below 1.
    variation : float
        Standard deviation of individuals around their species.
    genes, causal_genes : int
        Number of genes, and how many of them act on a trait.
    gene_effect : float
        By how much the presence of such a gene shifts its trait.
    gene_turnover : float
        Mean number of gains and losses a gene could make from root to tip.
    genes_missed : float
        Mean share of present genes that annotation does not find.
    sequence_length : int
        Length of the sequence at the root.
    sequences_per_species : int
        Individuals sequenced per species.
    divergence, diversity : float
        Expected substitutions per site from root to tip, and between two individuals of a
        species.
    transition_bias, rate_shape, indel_rate : float
        Kappa of the HKY model, alpha of the gamma distribution of rates, and insertions and
        deletions (each) per substitution.
    zipf_exponent, zipf_shift : float
        How uneven the numbers of pictures are: the k-th commonest species has about
        ``(k + zipf_shift) ** -zipf_exponent``. Exponent 0 is for equal numbers; the defaults give
        a third to the commonest of 32 species and one picture each to the rarest.
    most_views : int
        A specimen is photographed from 1 to this many sides.
    jitter : float
        Size of the deviations in pose and framing.
    """

    name: str = "simulated shells"
    species: int = Field(default=32, ge=4)
    images: int = Field(default=2000, ge=1)
    image_size: int = Field(default=128, ge=16, le=4096)
    world: Literal["related", "independent", "shuffled", "mislabelled"] = "related"
    birth: float = Field(default=1.0, gt=0)
    death: float = Field(default=0.3, ge=0)
    signal: float = Field(default=1.0, ge=0, le=1)
    disparity: float = Field(default=1.0, ge=0)
    pull: float = Field(default=0.0, ge=0)
    convergent_clades: int = Field(default=0, ge=0)
    convergence: float = Field(default=0.9, ge=0, lt=1)
    variation: float = Field(default=0.15, ge=0)
    genes: int = Field(default=200, ge=1)
    causal_genes: int = Field(default=10, ge=0)
    gene_effect: float = 1.0
    gene_turnover: float = Field(default=2.0, gt=0)
    genes_missed: float = Field(default=0.05, ge=0, lt=1)
    sequence_length: int = Field(default=900, ge=1)
    sequences_per_species: int = Field(default=3, ge=1)
    divergence: float = Field(default=0.15, ge=0)
    diversity: float = Field(default=0.003, ge=0)
    transition_bias: float = Field(default=3.0, gt=0)
    rate_shape: float = Field(default=0.5, gt=0)
    indel_rate: float = Field(default=0.02, ge=0)
    zipf_exponent: float = Field(default=6.0, ge=0)
    zipf_shift: float = Field(default=10.0, ge=0)
    most_views: int = Field(default=3, ge=1, le=3)
    jitter: float = Field(default=1.0, ge=0)

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.images < self.species:
            raise ValueError(
                f"{self.images:,} images are too few for {self.species:,} species; each has one"
            )
        if self.causal_genes > self.genes:
            raise ValueError(
                f"{self.causal_genes:,} causal_genes are more than all {self.genes:,} genes"
            )
        if self.death > self.birth:
            raise ValueError(f"death ({self.death:g}) must not exceed birth ({self.birth:g})")
        return self
