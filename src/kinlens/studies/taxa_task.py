"""What the study `taxa` works on: vectors, names at each rank, and the split made first."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field

from kinlens.config import Config
from kinlens.embed.images import embed_collection
from kinlens.errors import InputError, UsageError, did_you_mean
from kinlens.evaluate.groups import join_groups
from kinlens.evaluate.leaks import LeakReport, audit
from kinlens.evaluate.metrics import Answers, Scores
from kinlens.evaluate.splits import Shares, Split, clade_split, random_split, specimen_split
from kinlens.io.lint import duplicate_groups, inspect_pictures
from kinlens.parallel import Resources
from kinlens.records.collection import Collection
from kinlens.records.specimens import SpecimenTable
from kinlens.records.taxonomy import Taxonomy
from kinlens.rng import RandomStreams
from kinlens.skipped import Skipped
from kinlens.typing import Float32Array, IntArray, ObjectArray

__all__ = ["Scored", "Task", "TaskConfig", "balanced_accuracy", "prepare"]


class TaskConfig(Config):
    """Settings that decide about pictures, ranks and the split."""

    embedder: str = Field(
        default="descriptors", description="descriptors, timm:NAME or open_clip:NAME."
    )
    weights: Path | None = Field(
        default=None, description="safetensors file or folder for the network; the hub otherwise."
    )
    ranks: tuple[str, ...] = Field(
        default=(), description="Ranks to name, such as ['species', 'genus']; all when empty."
    )
    split: Literal["specimen", "random", "clade"] = Field(
        default="specimen",
        description="What is kept on one side: whole specimens, nothing, or whole clades.",
    )
    clade_rank: str = Field(
        default="genus", description="The rank held out whole when split = 'clade'."
    )
    test_share: float = Field(default=0.2, gt=0, lt=1, description="Share of specimens tested.")
    inner_share: float = Field(
        default=0.2, gt=0, lt=1, description="Share of the rest held out to choose among models."
    )
    find_duplicates: bool = Field(
        default=True, description="Keep pictures that look the same on one side of the split."
    )


@dataclass(frozen=True, eq=False)
class Task:
    """The pictures with their names and their split.

    Parameters
    ----------
    table : SpecimenTable
        The pictures used: readable, with a species.
    vectors : array of shape (n, d)
        One row a picture.
    features : pandas.DataFrame
        What the columns of `vectors` mean.
    names : pandas.DataFrame
        The taxon of each picture at each rank, "" where unknown.
    taxonomy : Taxonomy
        Of the species used.
    ranks : tuple of str
        Ranks to name, low to high.
    together : array of int, shape (n,)
        Pictures with the same number stay on one side: one specimen, or copies of one picture.
    units : array of int, shape (n,)
        What intervals resample and the null shuffles: `together`, or whole clades where these were
        held out, since the specimens of a clade share their looks and their names.
    unit : str
        What such a unit is called, in the plural.
    n_duplicates : int
        Pictures that look the same as one of another specimen.
    split : Split
        Training, validation (to choose among models) and test part.
    leaks : LeakReport
        What the audit of the split found.
    embedder : str
        As the user wrote it.
    fingerprint : str
        Of the encoder.
    n_channels : int
        Bands of a picture.
    skipped : tuple of Skipped
        Pictures that could not be read.
    """

    table: SpecimenTable
    vectors: Float32Array
    features: pd.DataFrame
    names: pd.DataFrame
    taxonomy: Taxonomy
    ranks: tuple[str, ...]
    together: IntArray
    units: IntArray
    unit: str
    n_duplicates: int
    split: Split
    leaks: LeakReport
    embedder: str
    fingerprint: str
    n_channels: int
    skipped: tuple[Skipped, ...]

    def known(self, rank: str, rows: IntArray) -> IntArray:
        """Return those of `rows` whose taxon of `rank` is known."""
        is_known = np.asarray(self.names[rank] != "", dtype=bool)
        known: IntArray = rows[is_known[rows]]
        return known

    def labels(self, rank: str, rows: IntArray) -> ObjectArray:
        """Return the taxon of `rank` of each of `rows`."""
        labels: ObjectArray = self.names[rank].to_numpy(dtype=object)[rows]
        return labels

    def n_specimens(self, rows: IntArray) -> int:
        """Count the specimens among `rows`."""
        return len(np.unique(self.together[rows]))

    def training_specimens(self, rank: str) -> dict[str, int]:
        """Count the specimens of each taxon that models are fitted on."""
        rows = self.split.development
        pairs = pd.DataFrame({"taxon": self.labels(rank, rows), "unit": self.together[rows]})
        counts = pairs.drop_duplicates()["taxon"].value_counts()
        return {str(taxon): int(count) for taxon, count in counts.items()}


@dataclass(frozen=True, eq=False)
class Scored:
    """What one model answered for the test pictures of one rank.

    Parameters
    ----------
    rank, model : str
        Of what, and by which model.
    answers : Answers
        With probabilities where the model gives them.
    rows : array of int
        The test pictures.
    inner_score : float
        By which models were chosen; NaN for baselines.
    is_chosen : bool
        Whether inner validation chose the model for this rank.
    """

    rank: str
    model: str
    answers: Answers
    rows: IntArray
    inner_score: float
    is_chosen: bool = False


def prepare(
    collection: Collection, config: TaskConfig, streams: RandomStreams, resources: Resources
) -> Task:
    """Embed the pictures, look up their names, find duplicates, and split.

    Parameters
    ----------
    collection : Collection
        With pictures and species.
    config : TaskConfig
        Settings of the study.
    streams : RandomStreams
        Draws the split.
    resources : Resources
        Where to work.

    Raises
    ------
    InputError
        When fewer than two species have pictures, or nothing is left to test.
    """
    collection.require("specimens", "taxonomy", study="taxa")
    assert collection.specimens is not None
    assert collection.taxonomy is not None
    embedded = embed_collection(
        collection,
        config.embedder,
        weights=config.weights,
        resources=resources,
    )
    named = collection.specimens.has_species[embedded.rows]
    rows = embedded.rows[named]
    table = collection.specimens.select(rows)
    species = [str(name) for name in table.species]
    if len(set(species)) < 2:
        raise InputError(
            f"naming needs pictures of two species or more, not {len(set(species))}",
            where=collection.folder,
        )
    taxonomy = collection.taxonomy.select(species)
    names = pd.DataFrame(
        {rank: [name or "" for name in taxonomy.labels(rank, species)] for rank in taxonomy.ranks}
    )
    duplicates = _duplicates(collection, rows, config, resources)
    together = join_groups(
        len(rows), table.specimen, [None if group < 0 else group for group in duplicates]
    )
    split = _split(names, together, config, streams)
    ranks = _ranks(taxonomy, config)
    by_clade = config.split == "clade"
    if not len(split.test) or not len(split.train):
        raise InputError(
            "no species has two specimens, so nothing can be tested that was also learned",
            where=collection.folder,
            remedy="Add specimens, or hold out whole clades: --set split=clade.",
        )
    ranks = _testable(ranks, names, split, collection, resources)
    return Task(
        table=table,
        vectors=embedded.values[named],
        features=embedded.features,
        names=names,
        taxonomy=taxonomy,
        ranks=ranks,
        together=together,
        units=join_groups(len(rows), names[config.clade_rank], together) if by_clade else together,
        unit=f"clades ({config.clade_rank})" if by_clade else "specimens",
        n_duplicates=int((duplicates >= 0).sum()),
        split=split,
        leaks=audit(split, specimens=table.specimen, duplicates=duplicates),
        embedder=config.embedder,
        fingerprint=str(embedded.provenance["fingerprint"]),
        n_channels=len(collection.channels) or 3,
        skipped=embedded.skipped,
    )


def balanced_accuracy(answers: Answers) -> float:
    """Return the mean share right over classes, by which models are chosen."""
    return float(Scores(answers, ["balanced_accuracy"])(np.ones((1, len(answers))))[0, 0])


def _duplicates(
    collection: Collection, rows: IntArray, config: TaskConfig, resources: Resources
) -> IntArray:
    if not config.find_duplicates:
        return np.full(len(rows), -1, dtype=np.int64)
    files = collection.image_paths()
    inspections = inspect_pictures([files[row] for row in rows], resources=resources)
    return duplicate_groups(inspections)


def _ranks(taxonomy: Taxonomy, config: TaskConfig) -> tuple[str, ...]:
    for rank in config.ranks:
        if rank not in taxonomy.ranks:
            raise UsageError(
                f"ranks: {rank!r} is not in the dataset. {did_you_mean(rank, taxonomy.ranks)}"
            )
    wanted = config.ranks or taxonomy.informative_ranks
    ranks = tuple(rank for rank in taxonomy.ranks if rank in wanted)
    if config.split != "clade":
        return ranks
    above = taxonomy.ranks[taxonomy.ranks.index(config.clade_rank) + 1 :]
    kept = tuple(rank for rank in ranks if rank in above)
    if not kept:
        raise UsageError(
            f"with whole {config.clade_rank} held out only higher ranks can be named, and the "
            "dataset has none that tells two taxa apart."
        )
    return kept


def _testable(
    ranks: tuple[str, ...],
    names: pd.DataFrame,
    split: Split,
    collection: Collection,
    resources: Resources,
) -> tuple[str, ...]:
    """Leave out ranks of which nothing is known on one side of the split, and say so."""
    kept = []
    for rank in ranks:
        is_known = np.asarray(names[rank] != "", dtype=bool)
        if is_known[split.train].any() and is_known[split.test].any():
            kept.append(rank)
        else:
            resources.progress.note(f"No {rank} can be tested: none is known on both sides.")
    if not kept:
        raise InputError(
            "no rank is known on both sides of the split, so nothing can be tested",
            where=collection.folder,
            remedy="Fill the columns of ranks, or add specimens.",
        )
    return tuple(kept)


def _split(
    names: pd.DataFrame, together: IntArray, config: TaskConfig, streams: RandomStreams
) -> Split:
    shares = Shares(
        test=config.test_share, validation=config.inner_share * (1.0 - config.test_share)
    )
    rng = streams.generator("split")
    if config.split == "random":
        return random_split(len(names), rng=rng, shares=shares, seed=streams.seed)
    if config.split == "specimen":
        return specimen_split(names["species"], together, rng=rng, shares=shares, seed=streams.seed)
    if config.clade_rank not in names.columns:
        raise UsageError(
            f"clade_rank: {config.clade_rank!r} is not in the dataset. "
            f"{did_you_mean(config.clade_rank, list(names.columns))}"
        )
    return clade_split(
        names[config.clade_rank],
        rng=rng,
        shares=shares,
        together=together,
        grouped_by=config.clade_rank,
        seed=streams.seed,
    )
