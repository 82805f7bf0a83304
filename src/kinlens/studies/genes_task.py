"""What the study `genes` works on: species with genes, a tip in the tree, and looks or a trait."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field

from kinlens.config import Config
from kinlens.embed.images import ImageVectors, embed_collection
from kinlens.errors import InputError, UsageError, did_you_mean, listing
from kinlens.evaluate.repeated import PartsArray, repeat_clades, repeat_random
from kinlens.geometry.patristic import vcv
from kinlens.models.gene_scan import MISSING, gene_codes
from kinlens.models.gene_scorers import gram_matrix
from kinlens.parallel import Resources
from kinlens.records.collection import Collection
from kinlens.records.tree import Tree
from kinlens.rng import RandomStreams
from kinlens.skipped import Skipped
from kinlens.studies.genes_notes import candidate_note, notes_of, read_candidates
from kinlens.studies.genes_patterns import (
    completeness_of,
    distinct_patterns,
    missed_shares,
    status_of,
)
from kinlens.typing import BoolArray, ByteArray, FloatArray, IntArray, ObjectArray

__all__ = ["LOOKS", "GeneTask", "GeneTaskConfig", "PicturedSpecies", "prepare"]

LOOKS = "looks"
"""What genes are predicted from when it is pictures."""

_LEAST_SPECIES = 10
_TOO_FEW_FOR_COMPLETENESS = (
    "The table has too few genes to tell how complete each annotation is; nothing is done about it."
)


class GeneTaskConfig(Config):
    """Settings that decide about species, genes, features and splits."""

    embedder: str = Field(
        default="descriptors", description="descriptors, timm:NAME or open_clip:NAME."
    )
    weights: Path | None = Field(
        default=None, description="safetensors file or folder for the network; the hub otherwise."
    )
    specimens: Literal["all", "one"] = Field(
        default="all",
        description="Looks of a species: the mean of all its specimens, or the one specimen "
        "nearest to that mean.",
    )
    traits: tuple[str, ...] = Field(
        default=(),
        description="Traits to associate genes with, each in its own right. When empty: the "
        "pictures, or every trait where there are none.",
    )
    candidates: Path | None = Field(
        default=None,
        description="A file with the names of candidate genes, one a line, to be reported "
        "whatever their score.",
    )
    completeness: Literal["covariate", "ignore"] = Field(
        default="covariate",
        description="What to do about genomes that were annotated less completely: take it out of "
        "the features and put it into the null, or nothing.",
    )
    least_species: int = Field(
        default=5,
        ge=2,
        description="Species that have a gene, and that lack it, below which it is not tested.",
    )
    splits: int = Field(default=100, ge=2, description="Splits of each kind.")
    test_share: float = Field(default=0.25, gt=0, lt=1, description="Share of species tested.")
    clades: int = Field(
        default=30, ge=2, description="Clades to cut the tree into, held out as a whole."
    )


@dataclass(frozen=True, eq=False)
class PicturedSpecies:
    """Vectors of pictures, and whose they are.

    Parameters
    ----------
    images : array of object, shape (m,)
        Paths of the pictures.
    values : array, shape (m, d)
        One row a picture.
    species : array of int, shape (m,)
        Row of the task's species, -1 for others.
    nearest : array of int, shape (n,)
        The picture nearest to the mean of each species.
    """

    images: ObjectArray
    values: FloatArray
    species: IntArray
    nearest: IntArray


@dataclass(frozen=True, eq=False)
class GeneTask:
    """Genes of species, and what they are predicted from.

    Parameters
    ----------
    target : str
        `LOOKS` or the name of a trait.
    species : tuple of str
        In tip order.
    tree : Tree
        Of these species.
    genes : tuple of str
        All genes of the table.
    counts : array of int, shape (n_genes, 2)
        Species that have each gene, and species of which it is known.
    status : array of object, shape (n_genes,)
        ``"tested"``, or why not: ``"constant"``, ``"too rare"``, ``"too common"``, ``"unknown"``.
    pattern_of : array of int, shape (n_genes,)
        Column of `presence`, -1 where not tested. Genes of the same species share one.
    presence : array of uint8, shape (n, n_patterns)
        0, 1 or missing; distinct columns.
    features : array of float, shape (n, d)
        What genes are predicted from, before completeness is taken out.
    completeness : array of float, shape (n,)
        Share of the genes of the table that each species has.
    missed : array of float, shape (n,)
        Share of its genes that a species seems to lack for want of annotation.
    grams : mapping of str to array, shape (n, n)
        Of the features, and of the baselines ``completeness`` (where it varies) and ``phylogeny``.
    clades : array of int, shape (n,)
        Clade of each species.
    parts : mapping of str to array
        Splits ``random`` and ``clade``.
    candidates : tuple of str
        Candidate genes that are in the table.
    pictures : PicturedSpecies, optional
        When genes are predicted from looks.
    embedder : str
        As the user wrote it; "" for a trait.
    notes : tuple of str
        What a reader must know about the data.
    skipped : tuple of Skipped
        What was left out.
    """

    target: str
    species: tuple[str, ...]
    tree: Tree
    genes: tuple[str, ...]
    counts: IntArray
    status: ObjectArray
    pattern_of: IntArray
    presence: ByteArray
    features: FloatArray
    completeness: FloatArray
    missed: FloatArray
    grams: dict[str, FloatArray]
    clades: IntArray
    parts: dict[str, PartsArray]
    candidates: tuple[str, ...]
    pictures: PicturedSpecies | None
    embedder: str
    notes: tuple[str, ...]
    skipped: tuple[Skipped, ...]

    @property
    def n(self) -> int:
        """How many species."""
        return len(self.species)

    @property
    def n_tested(self) -> int:
        """How many distinct patterns of presence are tested."""
        return int(self.presence.shape[1])


def prepare(
    collection: Collection,
    config: GeneTaskConfig,
    streams: RandomStreams,
    resources: Resources,
) -> list[GeneTask]:
    """Join genes, tree and features, once for looks or once for each trait.

    Parameters
    ----------
    collection : Collection
        With genes, tree, and pictures or traits.
    config : GeneTaskConfig
        Settings of the study.
    streams : RandomStreams
        Draws the splits.
    resources : Resources
        Where to work.

    Raises
    ------
    InputError
        When a part is missing, or fewer than ten species have all that is needed.
    UsageError
        For a trait that does not exist.
    """
    collection.require("genes", "tree", study="genes")
    if collection.specimens is None and collection.traits is None:
        collection.require("specimens", study="genes")
    candidates = read_candidates(config.candidates)
    if config.traits or collection.specimens is None:
        collection.require("traits", study="genes")
        assert collection.traits is not None
        names = config.traits or tuple(map(str, collection.traits.columns))
        return [
            _of_trait(collection, name, candidates, config, streams.child(name)) for name in names
        ]
    collection.require_column(collection.tree_rank, study="genes")
    embedded = embed_collection(
        collection, config.embedder, weights=config.weights, resources=resources
    )
    return [_of_looks(collection, embedded, candidates, config, streams)]


# Looks and traits ---------------------------------------------------------------------------------


def _of_looks(
    collection: Collection,
    embedded: ImageVectors,
    candidates: tuple[str, ...],
    config: GeneTaskConfig,
    streams: RandomStreams,
) -> GeneTask:
    assert collection.specimens is not None
    frame = collection.specimens.frame.iloc[embedded.rows]
    names = frame[collection.tree_rank].to_numpy(dtype=object)
    species, notes, skipped = _joined(collection, {str(name) for name in names if name}, "pictures")
    row_of = {name: row for row, name in enumerate(species)}
    rows = np.array([row_of.get(str(name), -1) for name in names], dtype=np.int64)
    values = embedded.values.astype(np.float64)
    specimens = frame["specimen"].to_numpy(dtype=object)
    features, nearest = _species_looks(values, rows, specimens, len(species), config.specimens)
    pictures = PicturedSpecies(frame["image"].to_numpy(dtype=object), values, rows, nearest)
    return _assembled(
        collection,
        LOOKS,
        species,
        features,
        candidates,
        config,
        streams,
        pictures=pictures,
        embedder=config.embedder,
        notes=notes,
        skipped=(*skipped, *embedded.skipped),
    )


def _species_looks(
    values: FloatArray, rows: IntArray, specimens: ObjectArray, n: int, which: str
) -> tuple[FloatArray, IntArray]:
    """Return the vector of each species and its picture nearest to the mean over its specimens."""
    table = pd.DataFrame(values).groupby([rows, specimens], sort=True).mean()
    of_specimen = table.to_numpy()
    owner = table.index.get_level_values(0).to_numpy()
    spread = np.maximum(values[rows >= 0].std(axis=0), 1e-12)
    means = np.empty((n, values.shape[1]))
    nearest = np.empty(n, dtype=np.int64)
    for species in range(n):
        own = of_specimen[owner == species]
        mean = own.mean(axis=0)
        pictures = np.flatnonzero(rows == species)
        apart = (((values[pictures] - mean) / spread) ** 2).sum(axis=1)
        nearest[species] = pictures[np.argmin(apart)]
        if which == "one":
            closest = (((own - mean) / spread) ** 2).sum(axis=1)
            mean = own[np.argmin(closest)]
        means[species] = mean
    return means, nearest


def _of_trait(
    collection: Collection,
    name: str,
    candidates: tuple[str, ...],
    config: GeneTaskConfig,
    streams: RandomStreams,
) -> GeneTask:
    traits = collection.traits
    assert traits is not None
    if name not in traits.columns:
        raise UsageError(
            f"traits: {name!r} is not there. {did_you_mean(name, list(map(str, traits)))}"
        )
    known = traits[name].dropna()
    species, notes, skipped = _joined(collection, set(map(str, known.index)), f"trait {name!r}")
    column = known.loc[list(species)]
    if pd.api.types.is_numeric_dtype(column):
        features = column.to_numpy(dtype=np.float64)[:, None]
    else:
        features = pd.get_dummies(column, dtype=np.float64).to_numpy()
    if not (features.std(axis=0) > 0).any():
        raise InputError(
            f"the trait {name!r} is the same in all {len(species):,} species that have genes and "
            "a place in the tree",
            where=collection.folder,
        )
    return _assembled(
        collection,
        name,
        species,
        features,
        candidates,
        config,
        streams,
        pictures=None,
        embedder="",
        notes=notes,
        skipped=skipped,
    )


def _joined(
    collection: Collection, having: set[str], what: str
) -> tuple[tuple[str, ...], list[str], tuple[Skipped, ...]]:
    """Return species that have genes, a tip and features, in tip order, and what is left out."""
    assert collection.genes is not None
    assert collection.tree is not None
    with_genes = {str(name) for name in collection.genes.index}
    tips = set(collection.tree.tip_names)
    species = tuple(n for n in collection.tree.tip_names if n in with_genes and n in having)
    if len(species) < _LEAST_SPECIES:
        raise InputError(
            f"{len(species)} species have genes, a place in the tree and {what}; the study needs "
            f"{_LEAST_SPECIES} at the least",
            where=collection.folder,
            offenders=sorted(with_genes - set(species)),
            remedy="`kinlens check` lists the names that do not meet.",
        )
    lost = {
        f"have genes and {what} but no place in the tree": (with_genes & having) - tips,
        f"have genes but no {what}": with_genes - having,
        f"have {what} but no genes": having - with_genes,
    }
    notes = [
        f"{len(names):,} species {reason} and were left out: {listing(sorted(names))}."
        for reason, names in lost.items()
        if names
    ]
    skipped = tuple(
        Skipped("genes", name, "not a tip of the tree") for name in sorted(with_genes - tips)
    )
    return species, notes, skipped


# One task ----------------------------------------------------------------------------------------


def _assembled(
    collection: Collection,
    target: str,
    species: tuple[str, ...],
    features: FloatArray,
    candidates: tuple[str, ...],
    config: GeneTaskConfig,
    streams: RandomStreams,
    *,
    pictures: PicturedSpecies | None,
    embedder: str,
    notes: Sequence[str],
    skipped: tuple[Skipped, ...],
) -> GeneTask:
    assert collection.genes is not None
    assert collection.tree is not None
    n = len(species)
    tree = collection.tree.prune(species)
    place = {str(name): row for row, name in enumerate(collection.genes.index)}
    codes = gene_codes(collection.genes)[[place[name] for name in species]]
    genes = tuple(map(str, collection.genes.columns))
    there = (codes == 1).sum(axis=0)
    known = (codes != MISSING).sum(axis=0)
    status = status_of(there, known, config.least_species)
    tested = np.flatnonzero(status == "tested")
    if not len(tested):
        raise InputError(
            f"of {len(genes):,} genes none is present in {config.least_species} species and "
            f"absent in as many",
            where=collection.folder,
            remedy="Lower least_species, or look at the table with `kinlens check`.",
        )
    presence, shared = distinct_patterns(codes[:, tested])
    pattern_of = np.full(len(genes), -1, dtype=np.int64)
    pattern_of[tested] = shared
    completeness = completeness_of(codes)
    missed = missed_shares(codes, there / np.maximum(known, 1))
    adjusted = features
    if config.completeness == "covariate":
        adjusted = _without(features, completeness)
    else:
        missed = np.zeros(n)
    clades = tree.cut_into(min(config.clades, max(2, n // 3)))
    parts = {
        "random": repeat_random(
            n, config.splits, rng=streams.generator("random"), test_share=config.test_share
        ),
        "clade": repeat_clades(
            clades, config.splits, rng=streams.generator("clade"), test_share=config.test_share
        ),
    }
    grams = {target: gram_matrix(adjusted), "phylogeny": _kinship(tree)}
    if completeness.std() > 0:
        grams["completeness"] = gram_matrix(completeness[:, None])
    known_candidates = tuple(name for name in candidates if name in set(genes))
    return GeneTask(
        target=target,
        species=species,
        tree=tree,
        genes=genes,
        counts=np.column_stack([there, known]),
        status=status,
        pattern_of=pattern_of,
        presence=presence,
        features=features,
        completeness=completeness,
        missed=missed,
        grams=grams,
        clades=clades,
        parts=parts,
        candidates=known_candidates,
        pictures=pictures,
        embedder=embedder,
        notes=(
            *notes,
            *notes_of(
                status,
                presence.shape[1],
                least=config.least_species,
                share_missing=float((codes == MISSING).mean()),
                missed=missed,
                tree=tree,
            ),
            *([] if completeness.any() else [_TOO_FEW_FOR_COMPLETENESS]),
            *candidate_note(candidates, known_candidates, genes),
            *collection.genes.attrs.get("notes", ()),
        ),
        skipped=skipped,
    )


def _without(features: FloatArray, covariate: FloatArray) -> FloatArray:
    """Take out what a covariate explains in a straight line, unless that is everything."""
    if covariate.std() == 0:
        return features
    design = np.column_stack([np.ones(len(covariate)), covariate - covariate.mean()])
    rest = features - design @ np.linalg.lstsq(design, features, rcond=None)[0]
    is_left: BoolArray = rest.std(axis=0) > 1e-6 * np.maximum(features.std(axis=0), 1e-300)
    return rest if is_left.any() else features


def _kinship(tree: Tree) -> FloatArray:
    """Return the share of history that species share, centred, its diagonal 1 on average."""
    shared = vcv(tree)
    centred = shared - shared.mean(axis=0) - shared.mean(axis=1)[:, None] + shared.mean()
    gram: FloatArray = centred * (len(shared) / np.trace(centred))
    return gram
