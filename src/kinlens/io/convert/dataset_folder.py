"""Building a dataset folder that appears whole or not at all; what every converter shares.

A zipped file has a `name`, by which messages call it.
"""

from __future__ import annotations

import errno
import os
import shutil
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

import pandas as pd

from kinlens.atomic import atomic_path, write_frame, write_text
from kinlens.errors import InputError, UsageError, listing
from kinlens.io.images import SUFFIXES
from kinlens.io.toml import toml_text
from kinlens.progress import SILENT, Progress
from kinlens.records.collection import Problem

__all__ = [
    "ConversionOptions",
    "ConversionReport",
    "DatasetContents",
    "PictureSource",
    "Placing",
    "ZippedFile",
    "find_pictures",
    "require_folder",
    "write_dataset",
]

_MARK = ".converted"
_OF_CHECK = ("mismatches.tsv", "skipped.tsv")

Placing: TypeAlias = Literal["copy", "hardlink", "symlink"]


@dataclass(frozen=True)
class ZippedFile:
    """A file inside a ZIP archive."""

    archive: Path
    name: str


PictureSource: TypeAlias = Path | ZippedFile


@dataclass(frozen=True)
class ConversionOptions:
    """What every converter can be told.

    Parameters
    ----------
    placing : {"copy", "hardlink", "symlink"}
        How pictures get into the dataset: as copies, as second names of the same file (same disk
        only), or as links to where they are. Pictures inside an archive are always unpacked.
    force : bool
        Replace what is at the dataset's place.
    progress : Progress
        Told of every picture.
    """

    placing: Placing = "copy"
    force: bool = False
    progress: Progress = SILENT


@dataclass(frozen=True, eq=False)
class DatasetContents:
    """What goes into a dataset folder.

    Parameters
    ----------
    metadata : pandas.DataFrame, optional
        The table of pictures, one row each.
    pictures : mapping
        Where each picture file goes, relative to the dataset, to where it is now.
    settings : mapping
        Content of ``dataset.toml``; none is written when empty.
    tables : mapping
        File name to a function that writes that file at the path it is given.
    problems : tuple of Problem
        What was left out or noticed.
    """

    metadata: pd.DataFrame | None = None
    pictures: Mapping[str, PictureSource] = field(default_factory=dict)
    settings: Mapping[str, object] = field(default_factory=dict)
    tables: Mapping[str, Callable[[Path], None]] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class ConversionReport:
    """What a conversion made.

    Parameters
    ----------
    dataset : pathlib.Path
        The new dataset folder.
    n_pictures, n_species : int
        Rows of its metadata and distinct species (or rows of its genes).
    problems : tuple of Problem
        What was left out (level ``"skip"``) or noticed (``"note"``); also in ``skipped.tsv``.
    """

    dataset: Path
    n_pictures: int
    n_species: int
    problems: tuple[Problem, ...] = ()

    def summary(self) -> str:
        """Word the report in one line.

        Examples
        --------
        >>> ConversionReport(Path("birds"), 1200, 31).summary()
        'birds: 1,200 pictures of 31 species, nothing left out.'
        """
        skipped = sum(problem.level == "skip" for problem in self.problems)
        left_out = f"{skipped:,} left out (see skipped.tsv)" if skipped else "nothing left out"
        pictures = f"{self.n_pictures:,} pictures of " if self.n_pictures else ""
        return f"{self.dataset}: {pictures}{self.n_species:,} species, {left_out}."


def require_folder(source: str | Path) -> Path:
    """Return `source` as a path when it is a folder.

    Raises
    ------
    InputError
        When it is not.
    """
    source = Path(source)
    if not source.is_dir():
        problem = "not a folder" if source.exists() else "no such folder"
        raise InputError(problem, where=source)
    return source


def find_pictures(folder: Path) -> list[Path]:
    """Return the picture files below `folder`, sorted; hidden files and folders are passed over."""
    found = []
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__MACOSX")))
        found += [
            Path(root, name)
            for name in sorted(files)
            if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES
        ]
    return found


def write_dataset(
    dataset: str | Path,
    contents: DatasetContents,
    *,
    options: ConversionOptions,
    source: Path,
) -> ConversionReport:
    """Write a dataset folder under a temporary name and rename it when it is complete.

    Parameters
    ----------
    dataset : path
        The folder to make. An empty folder may be there.
    contents : DatasetContents
        What goes into it.
    options : ConversionOptions
        How.
    source : pathlib.Path
        What was converted; it must not lie within `dataset`.

    Raises
    ------
    UsageError
        When something is at `dataset` already and `force` is off, or that was not made by a
        conversion; when `dataset` lies in `source`, pictures cannot be linked, or the place cannot
        be written.
    InputError
        When there is nothing to write.
    """
    dataset = Path(dataset)
    if contents.metadata is not None and contents.metadata.empty:
        reasons = [f"{problem.file} ({problem.reason})" for problem in contents.problems]
        raise InputError("not one picture can be used", where=source, offenders=reasons)
    if source.resolve().is_relative_to(dataset.resolve()):
        raise UsageError(f"{dataset}: the dataset cannot take the place of its source {source}.")
    if source.is_dir() and dataset.resolve().is_relative_to(source.resolve()):
        raise UsageError(
            f"{dataset}: lies in its source {source}, and would be taken for a part of it next "
            "time. Choose a place beside it."
        )
    is_taken = dataset.exists() and not (dataset.is_dir() and not any(dataset.iterdir()))
    if is_taken:
        _refuse_to_replace(dataset, force=options.force)
    with atomic_path(dataset) as part:
        part.mkdir()
        _place_pictures(part, contents.pictures, options)
        if contents.metadata is not None:
            write_frame(part / "metadata.csv", contents.metadata)
        for name, write in contents.tables.items():
            write(part / name)
        if contents.settings:
            write_text(part / "dataset.toml", toml_text(contents.settings))
        if contents.problems:
            write_text(part / "skipped.tsv", _problem_lines(contents.problems))
        # What a later --force may replace.
        made = sorted(path.name for path in part.iterdir())
        write_text(part / _MARK, "\n".join(made) + "\n")
    return _report(dataset, contents)


def _refuse_to_replace(dataset: Path, *, force: bool) -> None:
    """Let --force replace a converted dataset, and nothing that somebody else put there."""
    mark = dataset / _MARK
    made = set(mark.read_text(encoding="utf-8").splitlines()) if mark.is_file() else set()
    there = {path.name for path in dataset.iterdir()} if dataset.is_dir() else {dataset.name}
    others = sorted(there - made - {_MARK, *_OF_CHECK})
    if others:
        raise UsageError(
            f"{dataset}: holds what `kinlens convert` did not make, such as {listing(others)}. "
            "Choose another place, or move it away."
        )
    if not force:
        raise UsageError(f"{dataset}: is there already. Choose another place or use --force.")


def _report(dataset: Path, contents: DatasetContents) -> ConversionReport:
    metadata = contents.metadata
    if metadata is None:
        return ConversionReport(dataset, 0, 0, contents.problems)
    species = set(metadata["species"]) - {""} if "species" in metadata.columns else set()
    return ConversionReport(dataset, len(metadata), len(species), contents.problems)


def _place_pictures(
    folder: Path, pictures: Mapping[str, PictureSource], options: ConversionOptions
) -> None:
    archives: dict[Path, zipfile.ZipFile] = {}
    try:
        with options.progress.task("Placing pictures", len(pictures), unit="picture") as task:
            for name, picture in pictures.items():
                target = folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                if isinstance(picture, ZippedFile):
                    if picture.archive not in archives:
                        archives[picture.archive] = zipfile.ZipFile(picture.archive)
                    _unpack(archives[picture.archive], picture, target)
                else:
                    _place(picture, target, options.placing)
                task.advance()
    finally:
        for archive in archives.values():
            archive.close()


def _place(picture: Path, target: Path, placing: Placing) -> None:
    if placing == "symlink":
        target.symlink_to(picture.resolve())
    elif placing == "hardlink":
        try:
            os.link(picture, target)
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK):
                raise
            raise UsageError(
                f"{picture}: cannot be hard-linked into the dataset ({error.strerror}). "
                "Copy the pictures, or put the dataset on the same disk."
            ) from error
    elif placing == "copy":
        shutil.copyfile(picture, target)
    else:
        raise UsageError(f"placing must be 'copy', 'hardlink' or 'symlink', not {placing!r}.")


def _unpack(archive: zipfile.ZipFile, picture: ZippedFile, target: Path) -> None:
    try:
        with archive.open(picture.name) as packed, target.open("wb") as unpacked:
            shutil.copyfileobj(packed, unpacked)
    except RuntimeError as error:  # zipfile's word for encryption
        raise InputError(
            f"{picture.name} cannot be unpacked ({error})",
            where=picture.archive,
            remedy="Unpack the archive with its password first, and convert the folder.",
        ) from error
    except zipfile.BadZipFile as error:
        raise InputError(f"{picture.name} is damaged ({error})", where=picture.archive) from error


def _problem_lines(problems: Iterable[Problem]) -> str:
    rows = [("level", "code", "file", "row", "reason")]
    rows += [(p.level, p.code, p.file, p.row, p.reason) for p in problems]
    return "".join("\t".join(cell.replace("\t", " ") for cell in row) + "\n" for row in rows)
