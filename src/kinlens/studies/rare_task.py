"""What the study `rare` works on: pictures, species, kinship, and splits that make species rare.

In each repeat some species are withheld whole, some keep one specimen to learn from, and the others
most of theirs. Models are in `rare_models`.

Everywhere, `collection` is the dataset, `config` the settings of the study, `task` what it works
on, `streams` draw, and `resources` say where to compute.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd

from kinlens.embed.images import embed_collection
from kinlens.embed.kmer import KmerCounts
from kinlens.errors import InputError
from kinlens.models.species_tree import species_tree, taxonomic_tree
from kinlens.parallel import Resources
from kinlens.records.collection import Collection
from kinlens.records.distances import DistanceMatrix
from kinlens.records.specimens import SpecimenTable
from kinlens.records.taxonomy import Taxonomy
from kinlens.records.tree import Tree
from kinlens.rng import RandomStreams
from kinlens.skipped import Skipped
from kinlens.typing import Float32Array, FloatArray, IntArray, ObjectArray

__all__ = ["RareSplit", "RareTask", "TaskConfig", "draw_split", "prepare", "validation_counts"]

_LEAST_SPECIES = 4
# Of the species that keep two specimens or more, every so many-th gives some to validation, or more
# of them where that would leave fewer validating species than this; and one in so many specimens.
_VALIDATING, _ENOUGH_VALIDATING, _VALIDATED = 4, 30, 6


class TaskConfig(Protocol):
    """The settings that decide about pictures and splits."""

    embedder: str
    weights: Path | None
    unseen_share: float
    rare_share: float
    test_share: float


@dataclass(frozen=True, eq=False)
class RareSplit:
    """One repeat: which pictures train, validate and test.

    Parameters
    ----------
    train, validation, test : array of int
        Rows of the task's pictures.
    unseen, rare : tuple of str
        Species withheld whole, and those that keep one specimen.
    """

    train: IntArray
    validation: IntArray
    test: IntArray
    unseen: tuple[str, ...]
    rare: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class RareTask:
    """Pictures with species and kinship.

    Parameters
    ----------
    table : SpecimenTable
        The pictures used.
    vectors : array of shape (n, d)
        One row a picture; pictures of one view are centred when views are known.
    species, specimens, genus : array of shape (n,)
        Of each picture; genus is "" where unknown.
    kinship : Tree or DistanceMatrix
        As given, or made from sequences.
    kinship_words : str
        What it was made from.
    tree, taxonomic : Tree
        All species by kinship, and by the taxonomy alone.
    taxonomy : Taxonomy
        Of the species.
    embedder : str
        As the user wrote it.
    skipped : tuple of Skipped
        Pictures that could not be read.
    fingerprint : str
        Of the encoder, which must be the same again for new pictures.
    view_means : dict of str to array of shape (d,)
        What was taken off the pictures of each view; empty when views are not known.
    told : tuple of str
        Species without a picture that may be answered too.
    """

    table: SpecimenTable
    vectors: Float32Array | FloatArray
    species: ObjectArray
    specimens: IntArray
    genus: ObjectArray
    kinship: Tree | DistanceMatrix
    kinship_words: str
    tree: Tree
    taxonomic: Tree
    taxonomy: Taxonomy
    embedder: str
    skipped: tuple[Skipped, ...]
    fingerprint: str = ""
    view_means: Mapping[str, FloatArray] = field(default_factory=dict)
    told: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All species, sorted."""
        return tuple(sorted({*self.species, *self.told}))

    def encoded(self) -> FloatArray:
        """Return the pictures as the encoder made them, with the means of their views."""
        vectors = np.asarray(self.vectors, dtype=np.float64)
        if not self.view_means:
            return vectors
        return vectors + np.stack([self.view_means[view] for view in _views(self.table)])

    def genus_of(self) -> dict[str, str]:
        """Return the genus of each species, "" where unknown."""
        return dict.fromkeys(self.told, "") | dict(zip(self.species, self.genus, strict=True))

    def specimens_of(self, rows: IntArray) -> dict[str, int]:
        """Count the specimens of each species among `rows`, 0 for those that have none."""
        counts = dict.fromkeys(self.names, 0)
        for name, _specimen in {(self.species[r], self.specimens[r]) for r in rows.tolist()}:
            counts[name] += 1
        return counts


def prepare(collection: Collection, config: TaskConfig, resources: Resources) -> RareTask:
    """Embed the pictures and join them with a tree, distances or sequences of their species.

    Raises
    ------
    InputError
        When there is no kinship, no name that it shares with the pictures, or fewer than four
        species.
    """
    collection.require("specimens", "taxonomy", study="rare")
    assert collection.specimens is not None
    assert collection.taxonomy is not None
    kinship, words = _kinship(collection)
    embedded = embed_collection(
        collection, config.embedder, weights=config.weights, resources=resources
    )
    named = collection.specimens.has_species[embedded.rows]
    table = collection.specimens.select(embedded.rows[named])
    species = np.array([str(name) for name in table.species], dtype=object)
    names = sorted(set(species))
    if len(names) < _LEAST_SPECIES:
        raise InputError(
            f"the study of rare species needs pictures of {_LEAST_SPECIES} species or more, not "
            f"{len(names)}",
            where=collection.folder,
        )
    taxonomy = collection.taxonomy.select(names)
    tree = species_tree(names, kinship, taxonomy)
    genus = (
        [name or "" for name in taxonomy.labels("genus", species.tolist())]
        if "genus" in taxonomy.ranks
        else [""] * len(species)
    )
    vectors, view_means = _centred_views(_finite(embedded.values[named], table), table)
    return RareTask(
        table=table,
        vectors=vectors,
        species=species,
        specimens=_specimens_in_species(species, np.asarray(table.specimen_codes)),
        genus=np.array(genus, dtype=object),
        kinship=kinship,
        kinship_words=words,
        tree=tree,
        taxonomic=taxonomic_tree(names, taxonomy),
        taxonomy=taxonomy,
        embedder=config.embedder,
        skipped=embedded.skipped,
        fingerprint=str(embedded.provenance["fingerprint"]),
        view_means=view_means,
    )


def _specimens_in_species(species: ObjectArray, specimens: IntArray) -> IntArray:
    """Give specimens of the same name in two species numbers of their own.

    Many tables number the specimens of each species from 1, and one animal has one species.
    """
    pairs = pd.MultiIndex.from_arrays([species, specimens])
    codes, _pairs = pd.factorize(pairs)
    return np.asarray(codes, dtype=np.int64)


def draw_split(task: RareTask, config: TaskConfig, streams: RandomStreams) -> RareSplit:
    """Withhold some species, make some rare, and part the specimens of all others.

    Of a species with one specimen it trains. Validation specimens come from every fourth of the
    species that keep two or more to learn from, or from more of them when they are few.

    Raises
    ------
    InputError
        When no species has two specimens.
    """
    rng = streams.generator("split")
    members: dict[str, IntArray] = {
        name: rng.permutation(np.unique(task.specimens[task.species == name]))
        for name in task.names
    }
    several = [name for name in task.names if len(members[name]) > 1]
    if not several:
        raise InputError(
            "no species has two specimens, so nothing can be tested that was also learned",
            remedy="Give the column `specimen`, or add specimens.",
        )
    order = rng.permutation(np.array(task.names, dtype=object)).tolist()
    unseen = order[: round(config.unseen_share * len(order))]
    # Two species at the least have to be learned from.
    unseen = unseen[: max(len(order) - 2, 0)]
    left = [name for name in order if name in set(several) - set(unseen)]
    # Of the species with two specimens, since one that is learned from cannot be tested as well.
    rare = left[: round(config.rare_share * len(several))]
    parts: dict[str, list[int]] = {"train": [], "validation": [], "test": []}
    eligible: list[list[int]] = []
    for name in task.names:
        own = members[name].tolist()
        if name in unseen:
            parts["test"] += own
        elif name in rare:
            parts["train"] += own[:1]
            parts["test"] += own[1:]
        else:
            n_test = min(max(round(config.test_share * len(own)), 1), len(own) - 1)
            parts["test"] += own[:n_test]
            kept = own[n_test:]
            if len(kept) > 1:
                eligible.append(kept)
            else:
                parts["train"] += kept
    for kept, n_validation in zip(eligible, validation_counts(map(len, eligible)), strict=True):
        parts["validation"] += kept[:n_validation]
        parts["train"] += kept[n_validation:]
    rows = {
        part: np.flatnonzero(np.isin(task.specimens, specimens))
        for part, specimens in parts.items()
    }
    return RareSplit(**rows, unseen=tuple(sorted(unseen)), rare=tuple(sorted(rare)))


def validation_counts(sizes: Iterable[int]) -> list[int]:
    """Return how many specimens of each species validate: few, since they are lost to learning.

    Parameters
    ----------
    sizes : iterable of int
        Specimens of each species that has two or more.

    Examples
    --------
    >>> validation_counts([2, 5, 12])
    [1, 1, 2]
    >>> sum(validation_counts([2] * 120))
    30
    """
    numbers = list(sizes)
    every = min(max(len(numbers) // _ENOUGH_VALIDATING, 1), _VALIDATING)
    return [
        max(size // _VALIDATED, 1) if place % every == 0 else 0
        for place, size in enumerate(numbers)
    ]


def _kinship(collection: Collection) -> tuple[Tree | DistanceMatrix, str]:
    if collection.tree is not None and collection.tree_rank == "species":
        return collection.tree, "the tree given"
    # Nobody who gave a tree wants something else in its place without a word.
    for part in ("tree", "distances"):
        if collection.faults_of(part):
            collection.require(part, study="rare")
    if collection.distances is not None and collection.tree_rank == "species":
        return collection.distances, "the distances given, joined to a tree"
    if collection.sequences is not None and collection.sequences.species is not None:
        found = _sequence_distances(collection)
        if found is not None:
            return found, "5-mers of the sequences, joined to a tree"
    collection.require_one("tree", "distances", "sequences", study="rare")
    what = (
        "there is neither a tree nor distances"
        if collection.tree is None and collection.distances is None
        else f"tree or distances are of rank {collection.tree_rank!r}"
    )
    raise InputError(
        f"{what}, and no sequences of DNA or RNA whose species are known",
        where=collection.folder,
        remedy="sequences.csv tells the species of each sequence, in columns id and species.",
    )


def _sequence_distances(collection: Collection) -> DistanceMatrix | None:
    sequences = collection.sequences
    assert sequences is not None
    if sequences.alphabet not in ("dna", "rna") or sequences.species is None:
        return None
    letters = "ACGT" if sequences.alphabet == "dna" else "ACGU"
    counts = KmerCounts(k=5, letters=letters).fit_transform(list(sequences.sequences))
    labels = np.array([str(name or "") for name in sequences.species], dtype=object)
    names = sorted(set(labels) - {""})
    if not names:
        return None
    means = np.array([counts[labels == name].mean(axis=0) for name in names])
    squares = (means**2).sum(axis=1)
    gaps = squares[:, None] + squares[None, :] - 2.0 * means @ means.T
    np.fill_diagonal(gaps, 0.0)
    return DistanceMatrix(tuple(names), np.sqrt(np.maximum((gaps + gaps.T) / 2, 0.0)))


def _finite(values: Float32Array, table: SpecimenTable) -> FloatArray:
    wrong = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if len(wrong):
        raise InputError(
            f"{len(wrong):,} of {len(values):,} pictures have features that are no finite numbers",
            offenders=[str(table.image[row]) for row in wrong.tolist()],
            remedy="Look at these pictures, take them out, or choose another embedder.",
        )
    return np.asarray(values, dtype=np.float64)


def _centred_views(
    values: FloatArray, table: SpecimenTable
) -> tuple[FloatArray, dict[str, FloatArray]]:
    """Take the mean of each view off its pictures: both sides of a shell are then comparable.

    Returns the pictures, and what was taken off, by view.
    """
    if "view" not in table.frame.columns:
        return values, {}
    views = _views(table)
    centred, means = values.copy(), {}
    for view in sorted(set(views)):
        rows = views == view
        means[str(view)] = values[rows].mean(axis=0)
        centred[rows] -= means[str(view)]
    return centred, means


def _views(table: SpecimenTable) -> ObjectArray:
    """Return the view of each picture, "" where it is not known."""
    return table.frame["view"].astype("string").fillna("").to_numpy(dtype=object)
