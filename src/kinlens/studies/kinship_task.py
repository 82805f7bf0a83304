"""What the study `kinship` works on: pictures, species and their tree, joined; clades and folds.

Everywhere, `collection` is the dataset, `config` the settings of the study, `task` what it works
on, `streams` draw, and `resources` say where to compute.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd

from kinlens.embed.images import embed_collection
from kinlens.errors import InputError
from kinlens.evaluate.folds import clade_folds, random_folds
from kinlens.evaluate.groups import distance_clusters
from kinlens.evaluate.splits import Split
from kinlens.geometry.patristic import patristic_distances
from kinlens.models.kinship_engine import Pictures
from kinlens.models.pooling import mean_pool
from kinlens.parallel import Resources
from kinlens.records.collection import Collection
from kinlens.records.tree import Tree
from kinlens.rng import RandomStreams
from kinlens.skipped import Skipped
from kinlens.typing import Float32Array, FloatArray, IntArray, ObjectArray

__all__ = [
    "KinshipTask",
    "TaskConfig",
    "assemble",
    "distinct_species",
    "fold_plans",
    "prepare",
    "raw_features",
]

_LEAST_SPECIES = 4
_LEAST_FOR_FOLDS = 10


class TaskConfig(Protocol):
    """The settings that decide about pictures, clades and folds."""

    @property
    def embedder(self) -> str:
        """Name of the encoder."""

    @property
    def weights(self) -> Path | None:
        """Its weights, when they are a file."""

    @property
    def clade_rank(self) -> str:
        """The rank held out whole."""

    @property
    def folds(self) -> int:
        """How many folds."""


@dataclass(frozen=True, eq=False)
class KinshipTask:
    """Species with pictures and kinship.

    Parameters
    ----------
    species : tuple of str, length n
        In the tip order of `tree`, or as in the distance matrix.
    pictures : Pictures
        Their pictures; groups are positions in `species`.
    rows : array of int
        The place of each picture among the collection's pictures.
    tree : Tree or None
        Pruned to `species`; None when only distances were given.
    distances : array of float, shape (n, n)
        Patristic distances.
    clades : tuple of str, length n
        Clade of each species, held out as a whole.
    clades_by : str
        What the clades are: a rank, or how they were cut.
    rank : str
        What the tips are; species as a rule.
    features : pandas.DataFrame or None
        What the columns of the pictures' vectors mean.
    notes : tuple of str
        What was left out, merged or could not be used, in plain sentences.
    embedder, fingerprint : str
    skipped : tuple of Skipped
    """

    species: tuple[str, ...]
    pictures: Pictures
    rows: IntArray
    tree: Tree | None
    distances: FloatArray
    clades: tuple[str, ...]
    clades_by: str
    rank: str = "species"
    features: pd.DataFrame | None = None
    notes: tuple[str, ...] = ()
    embedder: str = "descriptors"
    fingerprint: str = ""
    skipped: tuple[Skipped, ...] = ()

    @property
    def n(self) -> int:
        """Number of species."""
        return len(self.species)

    @property
    def n_clades(self) -> int:
        """Number of clades."""
        return len(set(self.clades))


def prepare(
    collection: Collection, config: TaskConfig, streams: RandomStreams, resources: Resources
) -> KinshipTask:
    """Embed the pictures and join them with the tree, or with distances when there is no tree.

    Raises
    ------
    InputError
        When there are neither tree nor distances, or fewer than four species have both pictures
        and kinship.
    """
    collection.require("specimens", study="kinship")
    collection.require_one("tree", "distances", study="kinship")
    rank = collection.tree_rank if collection.tree is not None else "species"
    collection.require_column(rank, study="kinship")
    assert collection.specimens is not None
    embedded = embed_collection(
        collection,
        config.embedder,
        weights=config.weights,
        resources=resources,
    )
    frame = collection.specimens.frame.iloc[embedded.rows].reset_index(drop=True)
    views = (
        frame["view"].astype("string").fillna("").to_numpy(dtype=object)
        if "view" in frame.columns
        else np.full(len(frame), "", dtype=object)
    )
    labels = None
    if config.clade_rank in frame.columns and config.clade_rank != rank:
        known = frame[[rank, config.clade_rank]].drop_duplicates(rank)
        labels = dict(zip(known[rank], known[config.clade_rank], strict=True))
    task = assemble(
        embedded.values,
        frame[rank].to_numpy(dtype=object),
        kinship=collection,
        views=views,
        clades=labels,
        clades_by=config.clade_rank,
        folds=config.folds,
        rank=rank,
    )
    return KinshipTask(
        **{
            **task.__dict__,
            "rows": embedded.rows[task.rows],
            "features": embedded.features,
            "embedder": config.embedder,
            "fingerprint": str(embedded.provenance["fingerprint"]),
            "skipped": embedded.skipped,
        }
    )


def assemble(
    values: FloatArray | Float32Array,
    species: ObjectArray,
    *,
    kinship: Collection,
    views: ObjectArray | None = None,
    clades: dict[str, str] | None = None,
    clades_by: str = "genus",
    folds: int = 5,
    rank: str = "species",
) -> KinshipTask:
    """Join vectors of pictures with the tree or the distances of a collection.

    Parameters
    ----------
    values : array of float, shape (m, d)
    species : array of object, shape (m,)
        "" where unknown.
    kinship : Collection
        With a tree or distances.
    views : array of object, optional
    clades : mapping of str to str, optional
        Clade of each species; cut from the tree when left out or too few to hold out.
    clades_by : str
        What `clades` are.
    folds : int
        How many folds the clades must fill.
    rank : str
        What `species` are.
    """
    notes = []
    pictured = {str(name) for name in species if name}
    if kinship.tree is not None:
        known: tuple[str, ...] = kinship.tree.tip_names
    else:
        assert kinship.distances is not None
        known = kinship.distances.ids
        notes.append(
            "Only distances were given, no tree: signal (Kmult, lambda), the Brownian ceiling, "
            "the test of clades and places on branches need a tree and are left out."
        )
    names = tuple(name for name in known if name in pictured)
    if len(names) < _LEAST_SPECIES:
        raise InputError(
            f"{len(names)} {rank} have both pictures and a place in the tree; kinship needs "
            f"{_LEAST_SPECIES} at the least",
            where=kinship.folder,
            offenders=sorted(pictured - set(known)),
            remedy="`kinlens check` lists the names that do not meet.",
        )
    unpictured, unplaced = len(known) - len(names), len(pictured) - len(names)
    if unpictured:
        notes.append(f"Pruned from the tree, having no pictures: {unpictured:,} {rank}.")
    if unplaced:
        notes.append(f"Left out, having pictures but no place in the tree: {unplaced:,} {rank}.")
    tree = kinship.tree.prune(names) if kinship.tree is not None else None
    if tree is not None:
        names = tree.tip_names
        distances = patristic_distances(tree).values
        notes += _tree_notes(tree)
    else:
        assert kinship.distances is not None
        distances = kinship.distances.select(names).values
    if not distances.max() > 0:
        raise InputError(
            "all distances between species are 0, so that none are related more closely",
            where=kinship.folder,
        )
    number = {name: i for i, name in enumerate(names)}
    rows = np.array([i for i, name in enumerate(species) if name in number], dtype=np.int64)
    groups = np.array([number[str(species[i])] for i in rows], dtype=np.int64)
    counts = np.bincount(groups, minlength=len(names))
    if (counts == 1).any():
        notes.append(f"With a single picture: {int((counts == 1).sum()):,} {rank}.")
    if counts.max() == 1:
        notes.append(
            f"No {rank} has two pictures, so that variation within {rank} is not known and could "
            "not be taken down."
        )
    shown = np.full(len(species), "", dtype=object) if views is None else views
    labels, how = _clades(names, clades, clades_by, tree, distances, folds)
    return KinshipTask(
        species=names,
        pictures=Pictures(np.asarray(values, dtype=np.float64)[rows], groups, shown[rows]),
        rows=rows,
        tree=tree,
        distances=distances,
        clades=labels,
        clades_by=how,
        rank=rank,
        notes=tuple(notes),
    )


def _tree_notes(tree: Tree) -> list[str]:
    notes = []
    if not tree.has_lengths:
        notes.append("The tree has no branch lengths; every branch counts as 1.")
    n_children = np.diff(tree.child_start)
    polytomies = int((n_children > 2).sum())
    if polytomies == 1 and n_children[0] == 3:
        notes.append("The tree has three branches at its root, as unrooted trees do.")
    elif polytomies:
        notes.append(f"The tree has {polytomies:,} polytomies; they are used as they are.")
    zero = int((tree.length[1:] == 0).sum())
    if zero:
        notes.append(f"{zero:,} branches have length 0.")
    if not tree.is_ultrametric():
        notes.append("The tips are not equally far from the root (not a dated tree).")
    return notes


def _clades(
    names: tuple[str, ...],
    given: dict[str, str] | None,
    given_by: str,
    tree: Tree | None,
    distances: FloatArray,
    folds: int,
) -> tuple[tuple[str, ...], str]:
    """Return the clade of each species: as given when they fill the folds, otherwise cut."""
    if given is not None:
        labels = tuple(given.get(name) or name for name in names)
        if len(set(labels)) >= min(folds, 3) and len(set(labels)) < len(names):
            return labels, given_by
    n_clades = min(len(names), max(folds + 1, round(len(names) ** 0.5)))
    if tree is not None:
        codes = tree.cut_into(n_clades)
        return tuple(f"clade_{code + 1}" for code in codes), "clades cut from the tree"
    codes = distance_clusters(distances, n_clades)
    return tuple(f"cluster_{code + 1}" for code in codes), "clusters of the distances"


def fold_plans(
    task: KinshipTask, folds: int, streams: RandomStreams
) -> dict[str, tuple[Split, ...]]:
    """Deal species, and whole clades, to folds; nothing where there are too few.

    Returns
    -------
    dict
        ``"species"`` and ``"clade"`` to their folds. Each fold tests three species or more.
    """
    plans: dict[str, tuple[Split, ...]] = {}
    if task.n < _LEAST_FOR_FOLDS:
        return plans
    count = max(2, min(folds, task.n // 3))
    plans["species"] = random_folds(
        task.n, count, rng=streams.generator("folds", "species"), seed=streams.seed
    )
    if task.n_clades >= 3:
        made = clade_folds(
            task.clades,
            min(count, task.n_clades),
            rng=streams.generator("folds", "clade"),
            seed=streams.seed,
        )
        plans["clade"] = tuple(fold for fold in made if len(fold.test) >= 3)
    return {name: plan for name, plan in plans.items() if plan}


def raw_features(task: KinshipTask) -> FloatArray:
    """Return one vector a species, nothing learned: view means side by side, standardised.

    A species that lacks a view has the mean of all there, which is 0. With more features than
    species, the whole is rotated to as many columns as there are species.
    """
    blocks = []
    for view in np.unique(task.pictures.views.astype(str)):
        here = np.flatnonzero(task.pictures.views == view)
        groups = task.pictures.groups[here]
        means = mean_pool(task.pictures.values[here], groups, task.n)
        present = np.unique(groups)
        centred = np.zeros_like(means)
        centred[present] = means[present] - means[present].mean(axis=0)
        spread = centred[present].std(axis=0)
        varies = spread > 1e-9 * max(float(spread.max()), 1e-300)
        blocks.append(centred[:, varies] / spread[varies])
    table = np.hstack(blocks)
    if table.shape[1] <= task.n:
        return table
    # A rotation changes neither distances nor cosines, and leaves as many columns as species.
    left, size, _ = np.linalg.svd(table, full_matrices=False)
    return np.asarray(left * size)


def distinct_species(distances: FloatArray) -> IntArray:
    """Return species of which no two are at distance 0: the first of each such set."""
    close = distances <= 1e-9 * distances.max()
    return np.flatnonzero(close.argmax(axis=1) == np.arange(len(distances)))
