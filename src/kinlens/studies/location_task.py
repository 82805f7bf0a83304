"""What the study `location` works on: pictures in memory, labels in groups, and the split.

Everything is decided here before anything is trained. Which networks are trained, and on what, is
in `location_networks`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import Field

from kinlens.config import Config
from kinlens.errors import InputError, UsageError, did_you_mean
from kinlens.evaluate.groups import join_groups
from kinlens.evaluate.label_splits import label_split
from kinlens.evaluate.leaks import LeakReport, audit
from kinlens.evaluate.splits import Shares, Split
from kinlens.io.lint import duplicate_groups, inspect_pictures
from kinlens.parallel import Resources
from kinlens.records.collection import Collection
from kinlens.records.label_tree import HPA_GROUPS, LabelTree
from kinlens.records.specimens import SpecimenTable
from kinlens.rng import RandomStreams
from kinlens.skipped import Skipped
from kinlens.studies.location_pictures import read_pictures
from kinlens.typing import BoolArray, ByteArray, IntArray

__all__ = ["Task", "TaskConfig", "prepare"]

_UNITS = ("specimen", "antibody", "field")


class TaskConfig(Config):
    """Settings that decide about pictures, labels and the split."""

    size: int = Field(
        default=128, ge=16, le=2048, description="Side of the squares that networks see, in pixels."
    )
    channels: tuple[str, ...] = Field(
        default=(),
        description="Channels to look at, such as ['green'] for the protein alone; all when empty.",
    )
    least_share: float = Field(
        default=0.01, ge=0, lt=1, description="Labels that fewer pictures hold are dropped."
    )
    together: str = Field(
        default="",
        description="Column of what stays on one side of the split; the first there is of "
        "specimen, antibody and field when empty.",
    )
    find_duplicates: bool = Field(
        default=True, description="Keep pictures that look the same on one side of the split."
    )
    test_share: float = Field(default=0.2, gt=0, lt=1, description="Share of pictures tested.")
    validation_share: float = Field(
        default=0.2, gt=0, lt=1, description="Share that decides on epochs and thresholds."
    )
    split_seed: int | None = Field(
        default=None, ge=0, description="Seed of the split, when it is to differ from the run's."
    )


@dataclass(frozen=True, eq=False)
class Task:
    """The pictures with their labels and their split.

    Parameters
    ----------
    table : SpecimenTable
        The pictures used: readable, with a label that was kept.
    pictures : array of uint8, shape (n, size, size, channels)
        The squares that networks see; may lie on disk.
    channels : tuple of str
        Names of the channels; ``red green blue`` for ordinary pictures.
    tree : LabelTree
        Labels that were kept, in their groups.
    truth : array of bool, shape (n, n_labels)
        Which labels hold.
    units : array of int, shape (n,)
        Pictures with the same number stay on one side.
    grouped_by : str
        The column that they come from; "" when each picture stands alone.
    split : Split
        Training, validation and test part.
    leaks : LeakReport
        What the audit of the split found.
    dropped : pandas.DataFrame
        Labels that were left out: ``label``, ``images``, ``share``, ``reason``.
    n_without_label : int
        Pictures that lost their last label with them, or never had one.
    n_duplicates : int
        Pictures that look the same as another.
    skipped : tuple of Skipped
        Pictures that could not be read.
    """

    table: SpecimenTable
    pictures: ByteArray
    channels: tuple[str, ...]
    tree: LabelTree
    truth: BoolArray
    units: IntArray
    grouped_by: str
    split: Split
    leaks: LeakReport
    dropped: pd.DataFrame
    n_without_label: int
    n_duplicates: int
    skipped: tuple[Skipped, ...]

    @property
    def groups(self) -> BoolArray:
        """Which groups hold, shape (n, n_groups)."""
        return self.tree.to_groups(self.truth)

    def n_units(self, rows: IntArray) -> int:
        """Count the independent units among `rows`."""
        return len(np.unique(self.units[rows]))


def prepare(
    collection: Collection, config: TaskConfig, streams: RandomStreams, resources: Resources
) -> Task:
    """Read labels and pictures, and split.

    Parameters
    ----------
    collection : Collection
        With pictures and a column ``labels``.
    config : TaskConfig
        Settings of the study.
    streams : RandomStreams
        Draws the split.
    resources : Resources
        Where to work; with a cache, decoded pictures are kept for a run that is resumed.

    Raises
    ------
    InputError
        When there are no labels, one is in no group, fewer than two are left, or one part of the
        split is empty.
    UsageError
        For a column or channel that does not exist.
    """
    collection.require("specimens", study="location")
    assert collection.specimens is not None
    table = collection.specimens
    if not table.has("labels"):
        raise InputError(
            "the study 'location' needs a column 'labels' in the metadata",
            where=collection.folder,
            remedy="Several labels go into one cell, split by ';'.",
        )
    whole = LabelTree.of(collection.label_groups or HPA_GROUPS)
    whole.refuse_unknown(table.labels, where=str(collection.folder / "metadata"))
    tree, dropped = _kept_labels(whole, table, config)
    truth = tree.indicator(table.labels)
    labelled: BoolArray = np.asarray(truth.any(axis=1))
    channels, bands = _channels(collection, config)
    files = [paths for paths, used in zip(collection.image_paths(), labelled, strict=True) if used]
    pictures, readable, skipped = read_pictures(
        files,
        table.image[labelled].tolist(),
        bands=bands,
        size=config.size,
        resources=resources,
    )
    rows = np.flatnonzero(labelled)[readable]
    table, truth = table.select(rows), truth[rows]
    grouped_by = _unit_column(table, config)
    duplicates = _duplicates([files[place] for place in readable], config, resources)
    units = join_groups(
        len(rows),
        [name or None for name in table.frame[grouped_by]] if grouped_by else None,
        [None if group < 0 else group for group in duplicates],
    )
    split = _split(truth, units, grouped_by, config, streams)
    return Task(
        table=table,
        pictures=pictures,
        channels=channels,
        tree=tree,
        truth=truth,
        units=units,
        grouped_by=grouped_by,
        split=split,
        leaks=audit(
            split,
            specimens=table.frame[grouped_by] if grouped_by else table.image,
            duplicates=duplicates,
        ),
        dropped=_with_untrained(dropped, tree, truth, split),
        n_without_label=int((~labelled).sum()),
        n_duplicates=int((duplicates >= 0).sum()),
        skipped=skipped,
    )


def _kept_labels(
    tree: LabelTree, table: SpecimenTable, config: TaskConfig
) -> tuple[LabelTree, pd.DataFrame]:
    """Drop labels that no picture, or too few of them, hold."""
    counts = tree.indicator(table.labels).sum(axis=0)
    labelled = max(sum(bool(labels) for labels in table.labels), 1)
    share = counts / labelled
    kept = [
        label
        for label, n, part in zip(tree.labels, counts, share, strict=True)
        if n > 0 and part >= config.least_share
    ]
    if len(kept) < 2:
        raise InputError(
            f"telling labels apart needs two or more, {len(kept)} of {len(tree.labels)} reach a "
            f"share of {config.least_share:.1%}",
            remedy="Lower it with --set least_share=0, or add pictures.",
        )
    out = [label not in kept and n > 0 for label, n in zip(tree.labels, counts, strict=True)]
    dropped = pd.DataFrame(
        {
            "label": np.array(tree.labels, dtype=object)[out],
            "images": counts[out],
            "share": share[out],
            "reason": f"held by fewer than {config.least_share:.1%} of the pictures",
        }
    )
    return tree.only(kept), dropped


def _with_untrained(
    dropped: pd.DataFrame, tree: LabelTree, truth: BoolArray, split: Split
) -> pd.DataFrame:
    """Say which labels are in no training picture; they stay, and can only be missed."""
    lost = ~truth[split.train].any(axis=0)
    more = pd.DataFrame(
        {
            "label": np.array(tree.labels, dtype=object)[lost],
            "images": truth.sum(axis=0)[lost],
            "share": truth.mean(axis=0)[lost],
            "reason": "in no training picture: it cannot be learned, and every answer misses it",
        }
    )
    return pd.concat([dropped, more], ignore_index=True) if len(more) else dropped


def _channels(
    collection: Collection, config: TaskConfig
) -> tuple[tuple[str, ...], tuple[int, ...]]:
    every = collection.channels or ("red", "green", "blue")
    for channel in config.channels:
        if channel not in every:
            raise UsageError(
                f"channels: {channel!r} is not in the dataset. {did_you_mean(channel, every)}"
            )
    wanted = tuple(c for c in every if not config.channels or c in config.channels)
    return wanted, tuple(every.index(channel) for channel in wanted)


def _unit_column(table: SpecimenTable, config: TaskConfig) -> str:
    if config.together:
        if not table.has(config.together):
            raise UsageError(
                f"together: no column {config.together!r}. "
                f"{did_you_mean(config.together, list(table.frame.columns))}"
            )
        return config.together
    return next((column for column in _UNITS if table.has(column)), "")


def _duplicates(
    files: list[tuple[Path, ...]], config: TaskConfig, resources: Resources
) -> IntArray:
    if not config.find_duplicates:
        return np.full(len(files), -1, dtype=np.int64)
    return duplicate_groups(inspect_pictures(files, resources=resources))


def _split(
    truth: BoolArray,
    units: IntArray,
    grouped_by: str,
    config: TaskConfig,
    streams: RandomStreams,
) -> Split:
    source = streams if config.split_seed is None else RandomStreams(config.split_seed)
    split = label_split(
        truth,
        units,
        rng=source.generator("location_split"),
        shares=Shares(test=config.test_share, validation=config.validation_share),
        grouped_by=grouped_by,
        seed=source.seed,
    )
    for name in ("train", "validation", "test"):
        if len(getattr(split, name)) < 2:
            raise InputError(
                f"the {name} part has {len(getattr(split, name))} pictures; two are needed",
                remedy="Add data, or change test_share and validation_share.",
            )
    return split
