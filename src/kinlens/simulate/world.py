"""A whole world with known truth: tree, sequences, genes, traits, specimens and their pictures.

Everything is drawn here in memory and by name from one seed; pictures are drawn one by one when
asked for. Writing a world to a dataset folder is `studies.simulation`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from kinlens.records.collection import Collection
from kinlens.records.sequences import SequenceSet
from kinlens.records.specimens import SpecimenTable
from kinlens.records.taxonomy import Taxonomy
from kinlens.records.tree import Tree
from kinlens.rng import RandomStreams
from kinlens.simulate.genes import (
    GeneRates,
    draw_gene_effects,
    draw_gene_rates,
    evolve_genes,
    miss_genes,
)
from kinlens.simulate.individuals import add_individuals
from kinlens.simulate.sequences import EvolvedSequences, IndelModel, evolve_sequences
from kinlens.simulate.shells import TRAITS, raup_parameters
from kinlens.simulate.specimens import ShellPictures, draw_pictures, draw_specimens, zipf_counts
from kinlens.simulate.substitution import SubstitutionModel
from kinlens.simulate.traits import Pull, choose_clades, evolve_traits, pull_clades, with_signal
from kinlens.simulate.trees import birth_death_tree, taxonomy_of
from kinlens.simulate.world_config import WorldConfig
from kinlens.typing import BoolArray

__all__ = ["Truth", "World", "simulate_world"]


@dataclass(frozen=True, eq=False)
class Truth:
    """What a study of the world does not get to see.

    Parameters
    ----------
    trait_tree : Tree
        The tree on which the traits evolved, with the signal taken off its internal branches.
    species_traits : pandas.DataFrame
        Rows: species whose looks they are; columns: traits, and Raup's W, D, T and S.
    specimens : pandas.DataFrame
        As `draw_specimens` gives them; ``looks_of`` is the species that the specimen looks like,
        which in a mislabelled world is not its ``species``.
    pictures : pandas.DataFrame
        Pose, light, ground and camera of each picture.
    genes : pandas.DataFrame
        Which species (rows) truly has which gene (columns), 0 or 1.
    gene_rates : pandas.DataFrame
        gene, gain, loss.
    gene_effects : pandas.DataFrame
        gene, trait, effect: one row per gene that acts.
    convergent : pandas.DataFrame
        clade (numbered from 1), species: who was drawn to the common optimum.
    evolved : EvolvedSequences
        Every ancestral sequence, and the true alignment.
    """

    trait_tree: Tree
    species_traits: pd.DataFrame
    specimens: pd.DataFrame
    pictures: pd.DataFrame
    genes: pd.DataFrame
    gene_rates: pd.DataFrame
    gene_effects: pd.DataFrame
    convergent: pd.DataFrame
    evolved: EvolvedSequences


@dataclass(frozen=True, eq=False)
class World:
    """A dataset in memory, with its truth.

    Parameters
    ----------
    config : WorldConfig
        What was asked for.
    seed : int
        The one seed.
    tree : Tree
        The species tree, of height 1.
    images : pandas.DataFrame
        One row per picture: image, specimen, view, species, genus, family, order.
    sequences : SequenceSet
        Sequences of individuals, with their species; never paired with pictures.
    genes : pandas.DataFrame
        Rows species, columns genes: what annotation found.
    pictures : ShellPictures
        Draws each picture.
    truth : Truth
        Everything hidden.
    """

    config: WorldConfig
    seed: int
    tree: Tree
    images: pd.DataFrame
    sequences: SequenceSet
    genes: pd.DataFrame
    pictures: ShellPictures
    truth: Truth

    def collection(self, folder: str | Path) -> Collection:
        """Return what a study sees, as if read from `folder`, where the pictures are or will be."""
        return Collection(
            name=self.config.name,
            folder=Path(folder),
            specimens=SpecimenTable(self.images),
            taxonomy=Taxonomy.from_images(self.images),
            tree=self.tree,
            sequences=self.sequences,
            genes=self.genes,
        )


def simulate_world(config: WorldConfig, streams: RandomStreams) -> World:
    """Draw a world.

    Parameters
    ----------
    config : WorldConfig
        What it is like.
    streams : RandomStreams
        Source of randomness. Each part has a stream of its own, so that changing what one part is
        like leaves the others as they are.

    Returns
    -------
    World

    Examples
    --------
    >>> world = simulate_world(WorldConfig(species=5, images=8, genes=20), RandomStreams(1))
    >>> len(world.images), world.tree.n_tips, world.genes.shape
    (8, 5, (5, 20))
    """
    tree = birth_death_tree(
        config.species, streams.generator("tree"), birth=config.birth, death=config.death
    )
    trait_tree = with_signal(_tree_of_looks(config, tree, streams), config.signal)
    genes = _evolve_genome(config, tree, trait_tree, streams)
    traits, convergent = _evolve_looks(config, trait_tree, genes, streams)
    traits = traits.loc[list(tree.tip_names)]
    specimens = _collect(config, traits, streams)
    pictures = draw_pictures(specimens, streams.generator("scenes"), jitter=config.jitter)
    evolved, individuals = _evolve_barcode(config, tree, streams)
    return World(
        config=config,
        seed=streams.seed,
        tree=tree,
        images=_image_table(pictures, specimens, tree),
        sequences=individuals,
        genes=_annotate(genes.present, config.genes_missed, streams),
        pictures=ShellPictures.from_tables(specimens, pictures, config.image_size),
        truth=Truth(
            trait_tree=trait_tree,
            species_traits=_with_raup_parameters(traits),
            specimens=specimens,
            pictures=pictures,
            genes=genes.present,
            gene_rates=genes.rates,
            gene_effects=genes.effects,
            convergent=convergent,
            evolved=evolved,
        ),
    )


@dataclass(frozen=True, eq=False)
class _Genome:
    """True presence by species, rates and effects by gene."""

    present: pd.DataFrame
    rates: pd.DataFrame
    effects: pd.DataFrame


def _tree_of_looks(config: WorldConfig, tree: Tree, streams: RandomStreams) -> Tree:
    """Return the tree, with the species as tips, on which this world's looks evolve."""
    if config.world in {"related", "mislabelled"}:
        return tree
    rng = streams.generator("tree of looks")
    grown = tree
    if config.world == "independent":
        grown = birth_death_tree(config.species, rng, birth=config.birth, death=config.death)
    names = [""] * grown.n_nodes
    for node, name in zip(grown.tips.tolist(), rng.permutation(tree.tip_names), strict=True):
        names[node] = str(name)
    return grown.with_names(names)


def _evolve_genome(
    config: WorldConfig, tree: Tree, trait_tree: Tree, streams: RandomStreams
) -> _Genome:
    names = tuple(
        f"gene_{number:0{len(str(config.genes))}}" for number in range(1, config.genes + 1)
    )
    n_causal = config.causal_genes if config.world == "related" else 0
    effects = draw_gene_effects(
        n_causal, names, tuple(TRAITS), config.gene_effect, streams.generator("gene effects")
    )
    rng = streams.generator("gene rates")
    rates = draw_gene_rates(config.genes, rng, turnover=config.gene_turnover)
    acts = np.isin(names, effects["gene"])
    rates = _with_common_genes(rates, acts, rng)
    present = evolve_genes(tree, rates, streams.generator("genes"))[tree.tips]
    # A gene that acts has the signal of the trait that it acts on.
    acting = GeneRates(rates.gain[acts], rates.loss[acts])
    if n_causal:
        states = evolve_genes(trait_tree, acting, streams.generator("acting genes"))
        row = trait_tree.tip_positions(tree.tip_names)
        present[:, acts] = states[trait_tree.tips][row]
    return _Genome(
        pd.DataFrame(present, index=_species_index(tree), columns=list(names)),
        pd.DataFrame({"gene": names, "gain": rates.gain, "loss": rates.loss}),
        effects,
    )


def _with_common_genes(rates: GeneRates, acts: BoolArray, rng: np.random.Generator) -> GeneRates:
    """Give the genes that act a prevalence and turnover at which an effect can be seen at all."""
    prevalence, turnover = np.nan_to_num(rates.prevalence), rates.turnover.copy()
    prevalence[acts] = rng.uniform(0.35, 0.65, np.count_nonzero(acts))
    turnover[acts] = np.maximum(turnover[acts], 1.0)
    return GeneRates.from_prevalence(prevalence, turnover)


def _evolve_looks(
    config: WorldConfig, trait_tree: Tree, genes: _Genome, streams: RandomStreams
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return traits by species, and who converged."""
    rng = streams.generator("traits")
    root = rng.normal(0, 0.5 * config.disparity, len(TRAITS))
    strength = config.pull / trait_tree.height
    pull = Pull.everywhere(trait_tree, strength, root)
    clades = choose_clades(trait_tree, config.convergent_clades, streams.generator("convergence"))
    if len(clades):
        optimum = root + 1.5 * config.disparity * rng.choice([-1.0, 1.0], len(TRAITS))
        common = pull_clades(trait_tree, clades, optimum, config.convergence)
        drawn = common.strength > 0
        pull = Pull(
            np.where(drawn, common.strength, pull.strength),
            np.where(drawn[:, None], common.optimum, pull.optimum),
        )
    states = evolve_traits(
        trait_tree, len(TRAITS), rng, rate=config.disparity**2, root=root, pull=pull
    )
    traits = pd.DataFrame(
        states[trait_tree.tips], index=_species_index(trait_tree), columns=list(TRAITS)
    )
    prevalence = genes.rates.set_index("gene")["gain"] / genes.rates.set_index("gene")[
        ["gain", "loss"]
    ].sum(axis=1)
    for gene, trait, effect in genes.effects.itertuples(index=False):
        traits[trait] += effect * (genes.present[gene] - prevalence[gene])
    convergent = pd.DataFrame(
        [
            (number, species)
            for number, top in enumerate(clades.tolist(), start=1)
            for species in trait_tree.tips_below(top)
        ],
        columns=["clade", "species"],
    )
    return traits, convergent


def _collect(config: WorldConfig, traits: pd.DataFrame, streams: RandomStreams) -> pd.DataFrame:
    """Draw the specimens, and swap their names where the world says so."""
    counts = zipf_counts(
        config.images, config.species, exponent=config.zipf_exponent, shift=config.zipf_shift
    )
    specimens = draw_specimens(
        traits,
        streams.generator("rarity").permutation(counts),
        streams.generator("specimens"),
        variation=config.variation,
        most_views=config.most_views,
    )
    specimens.insert(2, "looks_of", specimens["species"])
    if config.world == "mislabelled":
        dealt = streams.generator("names").permutation(len(specimens))
        specimens["species"] = specimens["species"].to_numpy()[dealt]
    return specimens


def _evolve_barcode(
    config: WorldConfig, tree: Tree, streams: RandomStreams
) -> tuple[EvolvedSequences, SequenceSet]:
    scaled = tree.with_lengths(tree.length * (config.divergence / tree.height))
    counts = np.full(tree.n_tips, config.sequences_per_species)
    grown = add_individuals(scaled, counts, config.diversity, streams.generator("individuals"))
    evolved = evolve_sequences(
        _with_named_ancestors(grown.tree),
        config.sequence_length,
        streams.generator("sequences"),
        substitution=SubstitutionModel(
            transition_bias=config.transition_bias, rate_shape=config.rate_shape
        ),
        indels=IndelModel(config.indel_rate, config.indel_rate),
    )
    tips = evolved.tips()
    return evolved, SequenceSet(tips.ids, tips.sequences, grown.species)


def _with_named_ancestors(tree: Tree) -> Tree:
    return tree.with_names([name or f"ancestor_{node}" for node, name in enumerate(tree.names)])


def _annotate(present: pd.DataFrame, missed: float, streams: RandomStreams) -> pd.DataFrame:
    found = miss_genes(present.to_numpy(), missed, streams.generator("annotation"))
    return pd.DataFrame(found, index=present.index, columns=present.columns)


def _image_table(pictures: pd.DataFrame, specimens: pd.DataFrame, tree: Tree) -> pd.DataFrame:
    images = pictures[["image", "specimen", "view"]].merge(
        specimens[["specimen", "species"]], on="specimen", how="left", validate="many_to_one"
    )
    return images.merge(taxonomy_of(tree), on="species", how="left", validate="many_to_one")


def _with_raup_parameters(traits: pd.DataFrame) -> pd.DataFrame:
    raup = [raup_parameters(values) for values in traits.to_numpy()]
    return traits.join(pd.DataFrame(raup, index=traits.index))


def _species_index(tree: Tree) -> pd.Index:
    return pd.Index(tree.tip_names, name="species")
