"""One folder per class, the layout of most image-classification sets, to a dataset folder.

source/[train|validation|test/]Papilio machaon/IMG_0001.jpg
source/Papilionidae/Papilio machaon/IMG_0001.jpg        (ranks=("family", "species"))
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from kinlens.errors import UsageError, did_you_mean
from kinlens.io.convert.dataset_folder import (
    ConversionOptions,
    ConversionReport,
    DatasetContents,
    find_pictures,
    require_folder,
    write_dataset,
)
from kinlens.io.delimited import tidy_label
from kinlens.records.collection import Problem
from kinlens.records.taxonomy import RANKS

__all__ = ["convert", "split_level"]

_SPLITS = frozenset({"train", "training", "val", "valid", "validation", "dev", "test", "testing"})


def convert(
    source: str | Path,
    dataset: str | Path,
    *,
    ranks: Sequence[str] = ("species",),
    options: ConversionOptions | None = None,
) -> ConversionReport:
    """Convert a folder of class folders.

    Parameters
    ----------
    source : path
        The folder of class folders. Folders called ``train``, ``val``, ``test`` and the like may
        stand above them; which one a picture came from goes to the column ``published_split``.
    dataset : path
        The dataset folder to make.
    ranks : sequence of str
        What the folder levels stand for, from the top: ``("species",)`` or
        ``("family", "species")``. Deeper folders are not looked at for names.
    options : ConversionOptions, optional
        How pictures are placed.

    Raises
    ------
    InputError
        When there is no such folder or no picture in a class folder.
    UsageError
        For an unknown rank, or when something is at `dataset` already.
    """
    for rank in ranks:
        if rank not in RANKS:
            raise UsageError(f"unknown rank {rank!r}. {did_you_mean(rank, RANKS)}")
    source = require_folder(source)
    skip = split_level(source)
    rows, pictures, problems = [], {}, []
    for path in find_pictures(source):
        *folders, _name = path.relative_to(source).parts
        if len(folders) < skip + len(ranks):
            reason = f"not inside {'/'.join([*ranks][len(folders) - skip :])} folders"
            problems.append(
                Problem("skip", "no-class", path.relative_to(source).as_posix(), "", reason)
            )
            continue
        image = f"images/{path.relative_to(source).as_posix()}"
        names = dict(zip(ranks, map(tidy_label, folders[skip:]), strict=False))
        split = {"published_split": folders[0]} if skip else {}
        rows.append({"image": image, **names, **split})
        pictures[image] = path
    metadata = pd.DataFrame(rows, columns=None if rows else ["image"])
    contents = DatasetContents(metadata, pictures, problems=tuple(problems))
    return write_dataset(dataset, contents, options=options or ConversionOptions(), source=source)


def split_level(source: Path) -> int:
    """Return 1 when every folder in `source` is named as a split (train, test, ...), else 0."""
    names = {path.name.lower() for path in source.iterdir() if path.is_dir()}
    names = {name for name in names if not name.startswith((".", "__macosx"))}
    return int(bool(names) and names <= _SPLITS)
