"""The Human Protein Atlas competition on Kaggle (2018) to a dataset folder.

    source/train.csv                          Id,Target
    source/train/{Id}_{red,green,blue,yellow}.png

Red shows microtubules, green the protein, blue the nucleus, yellow the endoplasmic reticulum.
The competition does not say which pictures show the same antibody.

References
----------
Ouyang, W. et al. (2019) Analysis of the Human Protein Atlas Image Classification competition.
Nature Methods 16, 1254-1261.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pandas as pd

from kinlens.errors import InputError, did_you_mean, listing
from kinlens.io.convert.dataset_folder import (
    ConversionOptions,
    ConversionReport,
    DatasetContents,
    require_folder,
    write_dataset,
)
from kinlens.io.label_sets import label_names
from kinlens.io.metadata import read_table
from kinlens.records.collection import Problem
from kinlens.records.label_tree import HPA_GROUPS

__all__ = ["CHANNELS", "convert"]

CHANNELS = ("red", "green", "blue", "yellow")

_SUFFIXES = (".png", ".jpg", ".tif", ".webp")


def convert(
    source: str | Path, dataset: str | Path, *, options: ConversionOptions | None = None
) -> ConversionReport:
    """Convert the training set of the competition.

    Parameters
    ----------
    source : path
        The folder with ``train.csv`` and the pictures, in ``train`` or beside it.
    dataset : path
        The dataset folder to make.
    options : ConversionOptions, optional
        How pictures are placed.

    Returns
    -------
    ConversionReport
        Columns are ``image`` (without channel and ending) and ``labels`` (names split by ``;``).
        Rows of which a channel is missing are left out.

    Raises
    ------
    InputError
        When ``train.csv`` is missing, lacks a column, holds a number outside 0..27 or an Id twice,
        or not one picture is complete.
    UsageError
        When something is at `dataset` already.
    """
    source = require_folder(source)
    table = source / "train.csv"
    frame, _notes = read_table(table)
    for column in ("Id", "Target"):
        if column not in frame.columns:
            raise InputError(
                f"no column {column!r}", where=table, remedy=did_you_mean(column, [*frame])
            )
    repeated = [name for name, count in Counter(frame["Id"]).items() if count > 1]
    if repeated:
        raise InputError("Ids that occur more than once", where=table, offenders=repeated)

    folder = source / "train" if (source / "train").is_dir() else source
    suffix = _suffix(folder, frame["Id"].tolist())
    rows, problems = [], []
    pictures: dict[str, Path] = {}
    for number, (name, target) in enumerate(
        zip(frame["Id"], frame["Target"], strict=True), start=2
    ):
        labels = label_names(target, where=f"{table} row {number}")
        files = {channel: folder / f"{name}_{channel}{suffix}" for channel in CHANNELS}
        absent = [channel for channel, file in files.items() if not file.is_file()]
        if absent:
            reason = f"no {listing(absent)} channel"
            problems.append(
                Problem("skip", "missing-channel", name, f"train.csv row {number}", reason)
            )
            continue
        rows.append({"image": f"images/{name}", "labels": ";".join(labels)})
        pictures |= {f"images/{file.name}": file for file in files.values()}
    contents = DatasetContents(
        pd.DataFrame(rows),
        pictures,
        {
            "name": "Human Protein Atlas (Kaggle)",
            "channels": CHANNELS,
            "channel_pattern": "{image}_{channel}" + suffix,
            "labels": dict(HPA_GROUPS),
        },
        problems=tuple(problems),
    )
    return write_dataset(dataset, contents, options=options or ConversionOptions(), source=source)


def _suffix(folder: Path, names: list[str]) -> str:
    """Return the ending of the first picture that is there."""
    for name in names:
        for suffix in _SUFFIXES:
            if (folder / f"{name}_{CHANNELS[0]}{suffix}").is_file():
                return suffix
    return _SUFFIXES[0]
