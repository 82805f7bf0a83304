"""A dataset, joined: pictures, taxonomy, tree, sequences, matrices, and what does not fit together.

The join compares names exactly (spaces count as underscores); what does not match is listed with
the nearest candidates and left as it is. Files are read in `kinlens.io`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from kinlens.errors import InputError, did_you_mean, listing, nearest_names
from kinlens.records.distances import DistanceMatrix
from kinlens.records.sequences import SequenceSet
from kinlens.records.specimens import SpecimenTable
from kinlens.records.taxonomy import Taxonomy
from kinlens.records.tree import Tree

__all__ = ["Collection", "Mismatch", "Problem", "find_mismatches", "normalised_name"]

_FILES = {
    "specimens": "metadata.csv",
    "taxonomy": "metadata.csv with a column 'species'",
    "tree": "tree.nwk",
    "sequences": "sequences.fasta",
    "distances": "distances.csv",
    "genes": "genes.csv",
    "traits": "traits.csv",
}


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong or worth knowing.

    Parameters
    ----------
    level : str
        ``"error"`` (a study cannot use the file), ``"skip"`` (this record is left out), or
        ``"note"`` (used, but look at it).
    code : str
        Short stable word for the kind, such as ``"truncated"``.
    file : str
        File relative to the dataset folder.
    row : str
        Row, identifier or position inside the file; "" for the whole file.
    reason : str
        A plain sentence, with what to do.
    """

    level: str
    code: str
    file: str
    row: str
    reason: str


@dataclass(frozen=True)
class Mismatch:
    """A name that one file has and another lacks.

    Parameters
    ----------
    name : str
        The name as it stands in `present_in`.
    present_in, missing_from : str
        Files.
    rows : int
        How many rows of `present_in` carry the name.
    nearest : tuple of str
        Names of `missing_from` that look alike, best first.
    """

    name: str
    present_in: str
    missing_from: str
    rows: int
    nearest: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Collection:
    """One dataset folder, read and joined; parts that the folder does not have are None.

    Parameters
    ----------
    name : str
        What reports call the dataset.
    folder : pathlib.Path
        Where image paths start.
    specimens : SpecimenTable, optional
        Pictures.
    taxonomy : Taxonomy, optional
        Species and their higher ranks.
    tree : Tree, optional
        Tips are names of `tree_rank`.
    tree_rank : str
        The rank of the tips, usually ``"species"``.
    sequences : SequenceSet, optional
        Any number of each species.
    distances : DistanceMatrix, optional
        Between names of `tree_rank`.
    genes : pandas.DataFrame, optional
        Rows species, columns genes, 0, 1 or missing.
    traits : pandas.DataFrame, optional
        Rows species (or samples), columns measured traits.
    channels : tuple of str
        Names of separate channel files; empty for ordinary pictures.
    channel_pattern : str
        How a channel's file name is made from ``{image}`` and ``{channel}``.
    problems : tuple of Problem
        Everything that was found while reading and joining.
    mismatches : tuple of Mismatch
        Names that do not meet.
    hashes : mapping of str to str
        Content hash of each file read, for provenance.
    label_groups : mapping of str to tuple of str
        Groups of labels from ``dataset.toml``; empty when the study's own apply.
    """

    name: str
    folder: Path
    specimens: SpecimenTable | None = None
    taxonomy: Taxonomy | None = None
    tree: Tree | None = None
    tree_rank: str = "species"
    sequences: SequenceSet | None = None
    distances: DistanceMatrix | None = None
    genes: pd.DataFrame | None = None
    traits: pd.DataFrame | None = None
    channels: tuple[str, ...] = ()
    channel_pattern: str = ""
    problems: tuple[Problem, ...] = ()
    mismatches: tuple[Mismatch, ...] = ()
    hashes: Mapping[str, str] = field(default_factory=dict)
    label_groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def faults_of(self, part: str) -> list[str]:
        """Return why the file of a part, such as ``"tree"``, cannot be used; empty when it can."""
        # metadata.csv, metadata.tsv and metadata.parquet are one file under three names.
        stem = _FILES[part].partition(".")[0]
        return [
            problem.reason
            for problem in self.problems
            if problem.level == "error" and problem.file.partition(".")[0] == stem
        ]

    def require(self, *parts: str, study: str) -> None:
        """Refuse to go on when a part that `study` needs is not there.

        Parameters
        ----------
        *parts : str
            Names of attributes, such as ``"tree"``.
        study : str
            Who needs them, for the message.

        Raises
        ------
        InputError
            Naming the missing file, or the fault for which it could not be used.
        """
        for part in parts:
            if getattr(self, part) is not None:
                continue
            wanted = _FILES[part]
            faults = self.faults_of(part)
            if part == "taxonomy" and self.specimens is not None and not faults:
                self.require_column("species", study=study)
            raise InputError(
                f"the study '{study}' needs {wanted}"
                + (f", which cannot be used: {faults[0]}" if faults else ", which is not there"),
                where=self.folder,
                remedy="`kinlens check` lists what the folder has and what is wrong with it.",
            )

    def require_one(self, *parts: str, study: str) -> None:
        """Refuse to go on when none of several parts is there, any of which would do.

        Parameters
        ----------
        *parts : str
            Names of attributes, such as ``"tree"``.
        study : str
            Who needs one, for the message.

        Raises
        ------
        InputError
            Naming the files that would do; when one is there with a fault, naming that.
        """
        if any(getattr(self, part) is not None for part in parts):
            return
        for part in parts:
            if self.faults_of(part):
                self.require(part, study=study)
        raise InputError(
            f"the study '{study}' needs one of {listing([_FILES[part] for part in parts])}, and "
            "none is there",
            where=self.folder,
            remedy="`kinlens check` lists what the folder has and what is wrong with it.",
        )

    def require_column(self, column: str, *, study: str) -> None:
        """Refuse to go on when the table of pictures has no such column.

        Parameters
        ----------
        column : str
            Such as the rank that the tips of the tree have.
        study : str
            Who needs it, for the message.

        Raises
        ------
        InputError
            Naming the columns that it has.
        """
        self.require("specimens", study=study)
        assert self.specimens is not None
        if not self.specimens.has(column):
            names = [str(name) for name in self.specimens.frame.columns]
            raise InputError(
                f"the study '{study}' needs a column {column!r} in the table of pictures",
                where=self.folder,
                remedy=f"{did_you_mean(column, names)} If yours has another name, say so in "
                f'dataset.toml: [columns] {column} = "YOUR COLUMN".',
            )

    def mismatches_frame(self) -> pd.DataFrame:
        """Return the names that do not meet as a table, one row a name."""
        return pd.DataFrame(
            [
                (m.name, m.rows, m.present_in, m.missing_from, "; ".join(m.nearest))
                for m in self.mismatches
            ],
            columns=["name", "rows", "present_in", "missing_from", "nearest"],
        )

    def problems_frame(self) -> pd.DataFrame:
        """Return everything that was noticed as a table, errors first."""
        order = {"error": 0, "skip": 1, "note": 2}
        rows = sorted(self.problems, key=lambda p: (order[p.level], p.code, p.file, p.row))
        return pd.DataFrame(
            [(p.level, p.code, p.file, p.row, p.reason) for p in rows],
            columns=["level", "code", "file", "row", "reason"],
        )

    def parts_frame(self) -> pd.DataFrame:
        """Count what each part holds and how much of it meets the others.

        Returns
        -------
        pandas.DataFrame
            Columns ``part``, ``holds``, ``in_tree`` and ``with_pictures``; the last two as
            "14 of 20 species", "" where there is nothing to compare.
        """
        tips = set(self.tree.tip_names) if self.tree is not None else set()
        pictured: set[str] = set()
        if self.specimens is not None and self.specimens.has(self.tree_rank):
            pictured = {str(name) for name in self.specimens.frame[self.tree_rank] if name}
        rows = [
            (
                part,
                holds,
                _share(names, tips),
                _share(names, pictured) if part != "pictures" else "",
            )
            for part, holds, names in self._described_parts(pictured)
        ]
        return pd.DataFrame(rows, columns=["part", "holds", "in_tree", "with_pictures"])

    def _described_parts(self, pictured: set[str]) -> list[tuple[str, str, set[str]]]:
        parts: list[tuple[str, str, set[str]]] = []
        if self.specimens is not None:
            table = self.specimens
            holds = f"{table.n_images:,} pictures of {len(set(table.specimen)):,} specimens"
            holds += f", {len(pictured):,} {self.tree_rank}" if pictured else ""
            parts.append(("pictures", holds, pictured))
        if self.tree is not None:
            shape = "dated" if self.tree.is_ultrametric() else "not ultrametric"
            shape = shape if self.tree.has_lengths else "without branch lengths"
            parts.append(("tree", f"{self.tree.n_tips:,} tips, {shape}", set(self.tree.tip_names)))
        if self.sequences is not None:
            named = {name for name in self.sequences.species if name}
            holds = f"{len(self.sequences):,} sequences ({self.sequences.alphabet})"
            parts.append(("sequences", holds + f", {len(named):,} species" * bool(named), named))
        if self.distances is not None:
            holds = f"{len(self.distances):,} x {len(self.distances):,}"
            parts.append(("distances", holds, set(self.distances.ids)))
        for part in ("genes", "traits"):
            frame = getattr(self, part)
            if frame is not None:
                holds = f"{frame.shape[1]:,} {part} of {len(frame):,}"
                parts.append((part, holds, {str(name) for name in frame.index}))
        return parts

    def image_paths(self) -> list[tuple[Path, ...]]:
        """Return the files of each picture: one path, or one per channel."""
        if self.specimens is None:
            return []
        return [self.image_files(str(image)) for image in self.specimens.image]

    def image_files(self, image: str) -> tuple[Path, ...]:
        """Return the file, or the channel files, behind one entry of the column ``image``."""
        if not self.channels:
            return (self.folder / image,)
        return tuple(
            self.folder / self.channel_pattern.format(image=image, channel=channel)
            for channel in self.channels
        )


def normalised_name(name: str) -> str:
    """Return `name` with outer blanks removed and inner spaces turned to underscores.

    Examples
    --------
    >>> normalised_name(" Papilio machaon ")
    'Papilio_machaon'
    """
    return name.strip().replace(" ", "_")


def _share(names: set[str], others: set[str]) -> str:
    if not names or not others:
        return ""
    return f"{len(names & others):,} of {len(names):,}"


def find_mismatches(
    names: Iterable[str],
    others: Iterable[str],
    *,
    present_in: str,
    missing_from: str,
) -> tuple[Mismatch, ...]:
    """List the names that `others` lacks, most frequent first, each with its nearest candidates.

    Parameters
    ----------
    names : iterable of str
        One entry a row; "" is ignored.
    others : iterable of str
        Names of the other file.
    present_in, missing_from : str
        What the two files are called.

    Examples
    --------
    >>> find_mismatches(
    ...     ["Ino_ino", "Ino_no"], ["Ino_ino"], present_in="genes.csv", missing_from="tree.nwk"
    ... )[0].nearest
    ('Ino_ino',)
    """
    known = set(others)
    candidates = sorted(known)
    counts = Counter(str(name) for name in names if name)
    missing = [(name, rows) for name, rows in counts.items() if name not in known]
    return tuple(
        Mismatch(
            name=name,
            present_in=present_in,
            missing_from=missing_from,
            rows=rows,
            nearest=tuple(nearest_names(name, candidates)),
        )
        for name, rows in sorted(missing, key=lambda item: (-item[1], item[0]))
    )
