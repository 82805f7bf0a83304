"""A dataset folder to one joined `Collection`, and back.

Everything that can be read is read; a part that cannot be used becomes a problem in the
collection, so that a study which does not need it still runs. Whether the files of pictures are
there is looked up in `picture_files`; `lint` opens them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pandas as pd
from pydantic import Field

from kinlens.atomic import hash_file, write_frame, write_text
from kinlens.config import Config, build_config, read_toml
from kinlens.errors import InputError, UsageError
from kinlens.io.distances import read_distances, write_distances
from kinlens.io.fasta import join_species, read_fasta, read_sequence_species, write_fasta
from kinlens.io.genes import read_genes, read_traits
from kinlens.io.joining import (
    find_all_mismatches,
    known_species,
    odd_tables,
    open_names,
    other_rank,
    shared_specimens,
)
from kinlens.io.layout import find_part, find_unread
from kinlens.io.metadata import MetadataTable, read_metadata, write_metadata
from kinlens.io.newick import read_newick, write_newick
from kinlens.io.picture_files import find_unlisted, look_up_files
from kinlens.io.toml import toml_text
from kinlens.records.collection import Collection, Problem
from kinlens.records.taxonomy import RANKS, Taxonomy, find_conflicts

__all__ = ["DatasetConfig", "read_collection", "write_collection"]

Part = TypeVar("Part")


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
    metadata_path = find_part(folder, "metadata")
    metadata = reader.read(metadata_path, lambda path: read_metadata(path, columns=config.columns))
    tree = reader.read(find_part(folder, "tree"), read_newick)
    sequences = reader.read(find_part(folder, "sequences"), read_fasta)
    if sequences is not None:
        unnamed = sequences
        named = reader.read(
            find_part(folder, "sequence species"),
            lambda path: join_species(unnamed, read_sequence_species(path), where=path),
        )
        sequences = named if named is not None else unnamed
    distances = reader.read(find_part(folder, "distances"), read_distances)
    genes = reader.read(find_part(folder, "genes"), read_genes)
    traits = reader.read(find_part(folder, "traits"), read_traits)
    unread = find_unread(folder, [*reader.files, "dataset.toml"])
    if not reader.hashes and not reader.problems:
        raise InputError(
            "none of metadata.csv, tree.nwk, sequences.fasta, distances.csv, genes.csv, "
            "traits.csv is here",
            where=folder,
            remedy=" ".join(f"{problem.file} is {problem.reason}." for problem in unread)
            or "`kinlens convert` makes such a folder from several published layouts.",
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
        collection = _with_pictures(collection, metadata, reader, file=metadata_path.name)
    collection = _with_named_sequences(collection, reader)
    reader.problems += [
        *other_rank(collection, reader.files),
        *odd_tables(collection, reader.files),
        *unread,
    ]
    return replace(
        collection,
        problems=tuple(reader.problems),
        mismatches=find_all_mismatches(collection, reader.files),
    )


def write_collection(collection: Collection, folder: str | Path) -> None:
    """Write the tables, tree, sequences, matrices and settings of a collection, but no pictures.

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
        species = collection.sequences.species
        if any(species):
            frame = pd.DataFrame({"id": collection.sequences.ids, "species": species})
            write_frame(folder / "sequences.csv", frame)
    if collection.distances is not None:
        write_distances(collection.distances, folder / "distances.csv")
    for name in ("genes", "traits"):
        frame = getattr(collection, name)
        if frame is not None:
            index = frame.index.name or "species"
            write_frame(folder / f"{name}.csv", frame.rename_axis(index).reset_index())
    settings = _settings(collection, folder)
    if settings:
        write_text(folder / "dataset.toml", toml_text(settings))


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
            reason = reason.removesuffix(".")
            self.problems.append(Problem("error", "unusable", path.name, "", reason))
            return None
        self.hashes[path.name] = hash_file(path)
        return part


def _settings(collection: Collection, folder: Path) -> dict[str, object]:
    """Return what differs from what a reader would assume."""
    wanted = {
        "name": collection.name,
        "rank": collection.tree_rank,
        "channels": collection.channels,
        "channel_pattern": collection.channel_pattern,
        "labels": collection.label_groups,
    }
    assumed = DatasetConfig(name=folder.resolve().name).model_dump()
    return {name: value for name, value in wanted.items() if value and value != assumed[name]}


def _read_config(folder: Path) -> DatasetConfig:
    path = folder / "dataset.toml"
    if not path.is_file():
        return DatasetConfig()
    given = read_toml(path)
    _refuse_deep_labels(given.get("labels"), path)
    config = build_config(DatasetConfig, given, where=str(path))
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


def _refuse_deep_labels(labels: object, path: Path) -> None:
    for group, members in labels.items() if isinstance(labels, dict) else ():
        if isinstance(members, dict):
            inner = next(iter(members), "...")
            raise UsageError(
                f"{path}: labels.{group} holds groups of its own, and two levels are understood. "
                f'Make each of them a group of its own, such as "{group} {inner}" = ["..."].'
            )


def _with_pictures(
    collection: Collection, metadata: MetadataTable, reader: _PartReader, *, file: str
) -> Collection:
    """Add the pictures whose files are there, and the taxonomy of all that are listed."""
    found = look_up_files(metadata, collection, file=file)
    reader.problems += metadata.problems
    taxonomy = _read_taxonomy(metadata, reader, file=file)
    reader.problems += shared_specimens(metadata.specimens, file=file)
    reader.problems += open_names(metadata.specimens, file=file)
    reader.problems += [*found.problems, *find_unlisted(metadata.specimens, collection)]
    specimens = metadata.specimens.select(found.present) if len(found.present) else None
    return replace(collection, specimens=specimens, taxonomy=taxonomy)


def _with_named_sequences(collection: Collection, reader: _PartReader) -> Collection:
    """Where no table tells species, take ids that are names of species for such, and say so."""
    sequences = collection.sequences
    if sequences is None or "sequences.csv" in reader.files:
        return collection
    known = known_species(collection)
    if not known:
        return collection
    file = next(name for name in reader.files if name.startswith("sequences.fasta"))
    species = {name: name if name in known else "" for name in sequences.ids}
    n_named = sum(map(bool, species.values()))
    reason = (
        f"{n_named:,} of {len(species):,} ids are names of species and taken for such"
        if n_named
        else "no id is the name of a species, so that no sequence meets the rest"
    )
    remedy = "sequences.csv, with columns id and species, would tell the species of each"
    reader.problems.append(Problem("note", "species", file, "", f"{reason}; {remedy}"))
    return (
        replace(collection, sequences=join_species(sequences, species)) if n_named else collection
    )


def _read_taxonomy(metadata: MetadataTable, reader: _PartReader, *, file: str) -> Taxonomy | None:
    frame, rows = metadata.specimens.frame, metadata.rows
    if not metadata.specimens.has("species"):
        return None
    conflicts = [
        # Counted from 0, to be turned into the row of the file.
        replace(conflict, places=tuple((taxon, int(rows[at])) for taxon, at in conflict.places))
        for conflict in find_conflicts(frame, first_row=0)
    ]
    if conflicts:
        reader.problems += [
            Problem("error", "conflict", file, conflict.species, str(conflict))
            for conflict in conflicts
        ]
        return None
    taxonomy = Taxonomy.from_images(frame, where=file)
    reader.problems += [Problem("note", "taxonomy", file, "", note) for note in taxonomy.notes]
    return taxonomy
