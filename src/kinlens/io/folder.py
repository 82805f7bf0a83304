"""A dataset folder to one joined `Collection`, and back.

Everything that can be read is read; a part that cannot be used becomes a problem in the
collection, so that a study which does not need it still runs. Pictures themselves are opened
later (`io.pictures_check` looks into each).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
from pydantic import Field

from kinlens.atomic import hash_file, write_frame
from kinlens.config import Config, build_config, read_toml
from kinlens.errors import InputError, UsageError, nearest_names
from kinlens.io.distances import read_distances, write_distances
from kinlens.io.fasta import join_species, read_fasta, read_sequence_species, write_fasta
from kinlens.io.genes import read_genes, read_traits
from kinlens.io.metadata import read_metadata, write_metadata
from kinlens.io.newick import read_newick, write_newick
from kinlens.records.collection import Collection, Mismatch, Problem, find_mismatches
from kinlens.records.specimens import SpecimenTable
from kinlens.records.taxonomy import RANKS, Taxonomy, find_conflicts

__all__ = ["DatasetConfig", "read_collection", "write_collection"]

Part = TypeVar("Part")

_PICTURE_ENDINGS = {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".gif", ".bmp"}


class DatasetConfig(Config):
    """What `dataset.toml` may say; every entry is optional.

    Parameters
    ----------
    name : str
        What reports call the dataset; the folder's name when left out.
    rank : str
        The rank of the tree's tips and of the distance matrix.
    channels : tuple of str
        Names of separate channel files, in order.
    channel_pattern : str
        File name of a channel, from ``{image}`` and ``{channel}``.
    columns : dict
        ``{understood name: column of metadata}``.
    labels : dict
        Groups of labels: ``{group: [label, ...]}``.
    """

    name: str = ""
    rank: str = "species"
    channels: tuple[str, ...] = ()
    channel_pattern: str = "{image}_{channel}.jpg"
    columns: dict[str, str] = Field(default_factory=dict)
    labels: dict[str, tuple[str, ...]] = Field(default_factory=dict)


def read_collection(folder: str | Path) -> Collection:
    """Read a dataset folder and join its parts.

    Parameters
    ----------
    folder : path
        A folder with at least one of the files of the dataset layout.

    Returns
    -------
    Collection
        Parts that are missing or cannot be used are None; ``problems`` says why.

    Raises
    ------
    InputError
        When the folder does not exist or holds none of the files.
    UsageError
        When ``dataset.toml`` has an unknown key or value.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError("no such folder", where=folder)
    config = _read_config(folder)
    reader = _PartReader(folder)
    metadata_path = _first(
        folder, "metadata.csv", "metadata.tsv", "metadata.parquet", "metadata.csv.gz"
    )
    metadata = reader.read(metadata_path, lambda path: read_metadata(path, columns=config.columns))
    tree = reader.read(_first(folder, "tree.nwk", "tree.newick", "tree.tre"), read_newick)
    sequences = reader.read(_first(folder, "sequences.fasta", "sequences.fasta.gz"), read_fasta)
    if sequences is not None:
        unnamed = sequences
        named = reader.read(
            _first(folder, "sequences.csv"),
            lambda path: join_species(unnamed, read_sequence_species(path), where=path),
        )
        sequences = named if named is not None else unnamed
    distances = reader.read(_first(folder, "distances.csv", "distances.tsv"), read_distances)
    genes = reader.read(_first(folder, "genes.csv", "genes.csv.gz", "genes.parquet"), read_genes)
    traits = reader.read(_first(folder, "traits.csv", "traits.tsv"), read_traits)
    if not reader.hashes and not reader.problems:
        raise InputError(
            "none of metadata.csv, tree.nwk, sequences.fasta, distances.csv, genes.csv, "
            "traits.csv is here",
            where=folder,
            remedy="`kinlens convert` makes such a folder from several published layouts.",
        )
    collection = Collection(
        name=config.name or folder.resolve().name,
        folder=folder,
        tree=tree,
        tree_rank=config.rank,
        sequences=sequences,
        distances=distances,
        genes=genes,
        traits=traits,
        channels=config.channels,
        channel_pattern=config.channel_pattern,
        label_groups=config.labels,
        hashes=reader.hashes,
    )
    if metadata is not None and metadata_path is not None:
        reader.problems += metadata.problems
        unlisted = _unlisted_pictures(metadata.specimens, collection)
        specimens, missing = _with_files(metadata.specimens, collection, file=metadata_path.name)
        taxonomy = _read_taxonomy(metadata.specimens, reader, file=metadata_path.name)
        collection = replace(collection, specimens=specimens, taxonomy=taxonomy)
        reader.problems += [*missing, *unlisted]
    return replace(
        collection, problems=tuple(reader.problems), mismatches=_join(collection, reader.files)
    )


def write_collection(collection: Collection, folder: str | Path) -> None:
    """Write the tables, tree, sequences and matrices of a collection; pictures are not copied.

    Parameters
    ----------
    collection : Collection
        What to write.
    folder : path
        Created when missing; files of the same names are replaced, each atomically.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if collection.specimens is not None:
        write_metadata(collection.specimens, folder / "metadata.csv")
    if collection.tree is not None:
        write_newick(collection.tree, folder / "tree.nwk")
    if collection.sequences is not None:
        write_fasta(collection.sequences, folder / "sequences.fasta")
        known = [
            (i, s)
            for i, s in zip(collection.sequences.ids, collection.sequences.species, strict=True)
            if s
        ]
        if known:
            write_frame(folder / "sequences.csv", pd.DataFrame(known, columns=["id", "species"]))
    if collection.distances is not None:
        write_distances(collection.distances, folder / "distances.csv")
    for name in ("genes", "traits"):
        frame = getattr(collection, name)
        if frame is not None:
            index = frame.index.name or "species"
            write_frame(folder / f"{name}.csv", frame.rename_axis(index).reset_index())


class _PartReader:
    """Reads one file after the other and turns faults into problems."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.problems: list[Problem] = []
        self.hashes: dict[str, str] = {}
        self.files: list[str] = []

    def read(self, path: Path | None, read: Callable[[Path], Part]) -> Part | None:
        if path is None:
            return None
        self.files.append(path.name)
        try:
            part = read(path)
        except InputError as error:
            # The file is already named by the problem's own column.
            reason = str(error).replace(f"{path}: ", "").replace(f"{path}, ", "")
            self.problems.append(Problem("error", "unusable", path.name, "", reason))
            return None
        self.hashes[path.name] = hash_file(path)
        return part


def _read_config(folder: Path) -> DatasetConfig:
    path = folder / "dataset.toml"
    if not path.is_file():
        return DatasetConfig()
    config = build_config(DatasetConfig, read_toml(path), where=str(path))
    if config.rank not in RANKS:
        raise UsageError(f"{path}: rank = {config.rank!r} is not one of {', '.join(RANKS)}.")
    if config.channels and not all(
        part in config.channel_pattern for part in ("{image}", "{channel}")
    ):
        raise UsageError(
            f"{path}: channel_pattern = {config.channel_pattern!r} must hold "
            "{image} and {channel}."
        )
    return config


def _first(folder: Path, *names: str) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _with_files(
    specimens: SpecimenTable, collection: Collection, *, file: str
) -> tuple[SpecimenTable, list[Problem]]:
    """Leave out the rows whose picture files do not exist or lie outside the folder."""
    # By name alone: a link to a picture elsewhere counts as inside, "../" does not.
    root = Path(os.path.abspath(collection.folder))
    present, problems = [], []
    names_by_folder: dict[Path, list[str]] = {}
    for row, image in enumerate(specimens.image):
        files = collection.image_files(str(image))
        outside = [path for path in files if not Path(os.path.abspath(path)).is_relative_to(root)]
        absent = [path for path in files if not path.is_file()]
        if not outside and not absent:
            present.append(row)
            continue
        if outside:
            code, reason = "outside", "the path leads out of the dataset folder"
        else:
            code = "missing-file" if len(files) == 1 else "missing-channel"
            reason = _worded_absence(absent[0], root, names_by_folder)
        problems.append(Problem("skip", code, str(image), f"{file} row {row + 2}", reason))
    if not present:
        problems.append(Problem("error", "no-pictures", file, "", "not one of the pictures exists"))
    return specimens.select(np.array(present, dtype=np.int64)), problems


def _worded_absence(file: Path, root: Path, names_by_folder: dict[Path, list[str]]) -> str:
    parent = file.parent
    if parent not in names_by_folder:
        names_by_folder[parent] = (
            sorted(entry.name for entry in parent.iterdir()) if parent.is_dir() else []
        )
    near = nearest_names(file.name, names_by_folder[parent], most=1)
    shown = Path(os.path.abspath(file)).relative_to(root)
    return f"no file {shown}" + (f"; there is {near[0]}" if near else "")


def _unlisted_pictures(specimens: SpecimenTable, collection: Collection) -> list[Problem]:
    """Say which pictures of `images/` no row of the metadata names."""
    folder = collection.folder / "images"
    if not folder.is_dir():
        return []
    listed = {
        os.path.abspath(path)
        for image in specimens.image
        for path in collection.image_files(str(image))
    }
    unlisted = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in _PICTURE_ENDINGS and os.path.abspath(path) not in listed
    )
    return [
        Problem(
            "note",
            "unlisted",
            str(path.relative_to(collection.folder)),
            "",
            "no row of the metadata names this picture, so it is not used",
        )
        for path in unlisted
    ]


def _read_taxonomy(specimens: SpecimenTable, reader: _PartReader, *, file: str) -> Taxonomy | None:
    if not specimens.has("species"):
        return None
    conflicts = find_conflicts(specimens.frame)
    if conflicts:
        reader.problems += [
            Problem("error", "conflict", file, conflict.species, str(conflict))
            for conflict in conflicts
        ]
        return None
    taxonomy = Taxonomy.from_images(specimens.frame, where=file)
    reader.problems += [Problem("note", "taxonomy", file, "", note) for note in taxonomy.notes]
    return taxonomy


def _join(collection: Collection, files: list[str]) -> tuple[Mismatch, ...]:
    """Compare the names of every pair of parts that a study would join."""
    file_of = {name.split(".")[0]: name for name in files}
    found: list[Mismatch] = []
    pictured: list[str] = []
    rank = collection.tree_rank
    if collection.specimens is not None and collection.specimens.has(rank):
        pictured = list(collection.specimens.frame[rank])
    tips = list(collection.tree.tip_names) if collection.tree else []
    named: dict[str, list[str]] = {"metadata": pictured}
    if collection.sequences is not None:
        named["sequences"] = [species for species in collection.sequences.species if species]
    for part in ("genes", "traits"):
        frame = getattr(collection, part)
        named[part] = [str(name) for name in frame.index] if frame is not None else []
    for part, names in named.items():
        if names and tips:
            found += find_mismatches(
                names, tips, present_in=file_of[part], missing_from=file_of["tree"]
            )
    if collection.distances is not None and pictured:
        found += find_mismatches(
            pictured,
            collection.distances.ids,
            present_in=file_of["metadata"],
            missing_from=file_of["distances"],
        )
    if named.get("traits") and named.get("genes"):
        found += find_mismatches(
            named["traits"],
            named["genes"],
            present_in=file_of["traits"],
            missing_from=file_of["genes"],
        )
    return tuple(found)
