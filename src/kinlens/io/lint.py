"""Looking into every picture of a collection: what cannot be read, what is odd, what is double.

Reads files and reports; it mends nothing. The join of names is made in `folder`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from kinlens.atomic import write_frame
from kinlens.io.duplicates import DuplicateGroup, Fingerprint, find_duplicates, fingerprint
from kinlens.io.images import read_channels, read_image
from kinlens.io.sniffing import ImageError
from kinlens.parallel import Resources, map_blocks
from kinlens.records.collection import Collection, Problem
from kinlens.records.specimens import SpecimenTable
from kinlens.typing import IntArray

__all__ = [
    "Inspection",
    "check_pictures",
    "duplicate_groups",
    "inspect_pictures",
    "write_findings",
]

_BLOCK = 64


@dataclass(frozen=True, eq=False)
class Inspection:
    """What one picture turned out to be.

    Parameters
    ----------
    fault : (str, str) or None
        Code and reason when it cannot be read.
    notes : tuple of (str, str)
        Code and sentence of each thing worth knowing.
    fingerprint : Fingerprint, optional
        By which its duplicates are found; None when it cannot be read.
    """

    fault: tuple[str, str] | None
    notes: tuple[tuple[str, str], ...] = ()
    fingerprint: Fingerprint | None = None


def inspect_pictures(
    files: Sequence[tuple[Path, ...]], *, resources: Resources | None = None
) -> list[Inspection]:
    """Decode every picture completely and take its fingerprint.

    Parameters
    ----------
    files : sequence of tuple of path
        The file, or the channel files, of each picture.
    resources : Resources, optional
        Where to work.

    Returns
    -------
    list of Inspection
        In the order of `files`.
    """
    blocks = [tuple(files[start : start + _BLOCK]) for start in range(0, len(files), _BLOCK)]
    inspected = map_blocks(
        _inspect_block,
        blocks,
        resources=resources,
        label="Looking at pictures",
        unit="picture",
        size_of=len,
    )
    return [inspection for block in inspected for inspection in block]


def check_pictures(collection: Collection, *, resources: Resources | None = None) -> Collection:
    """Open every picture of a collection and return the collection with the problems added.

    Pictures that cannot be read become ``skip`` problems; oddities, and pictures that stand twice
    under different specimens or species, become notes.

    Parameters
    ----------
    collection : Collection
        With or without pictures.
    resources : Resources, optional
        Where to work.
    """
    if collection.specimens is None:
        return collection
    images = collection.specimens.image
    inspections = inspect_pictures(collection.image_paths(), resources=resources)
    problems: list[Problem] = []
    for image, inspection in zip(images, inspections, strict=True):
        if inspection.fault is not None:
            code, reason = inspection.fault
            problems.append(Problem("skip", code, str(image), "", reason))
        problems += [Problem("note", code, str(image), "", text) for code, text in inspection.notes]
    for group in _groups(inspections):
        problems += _worded_group(group, collection.specimens)
    return replace(collection, problems=(*collection.problems, *problems))


def duplicate_groups(inspections: Sequence[Inspection]) -> IntArray:
    """Tell which pictures show the same thing by numbering the groups that they form.

    Parameters
    ----------
    inspections : sequence of Inspection
        From `inspect_pictures`.

    Returns
    -------
    array of int, shape (n,)
        The group of each picture, -1 for pictures that have no duplicate.
    """
    groups = np.full(len(inspections), -1, dtype=np.int64)
    for number, group in enumerate(_groups(inspections)):
        groups[list(group.members)] = number
    return groups


def write_findings(collection: Collection, folder: str | Path) -> list[Path]:
    """Write `mismatches.tsv` and `skipped.tsv` into `folder`, atomically.

    Parameters
    ----------
    collection : Collection
        Checked by `check_pictures` or not.
    folder : path
        Made when it is missing.

    Returns
    -------
    list of path
        The two files. `skipped.tsv` also lists the errors and notes, told apart by ``level``.
    """
    folder = Path(folder)
    paths = [folder / "mismatches.tsv", folder / "skipped.tsv"]
    for path, frame in zip(
        paths, (collection.mismatches_frame(), collection.problems_frame()), strict=True
    ):
        write_frame(path, frame)
    return paths


def _inspect_block(block: tuple[tuple[Path, ...], ...]) -> list[Inspection]:
    return [_inspect(files) for files in block]


def _inspect(files: tuple[Path, ...]) -> Inspection:
    try:
        picture = read_image(files[0]) if len(files) == 1 else read_channels(files)
    except ImageError as error:
        reason = str(error).replace(f"{error.where}: ", "").removesuffix(".")
        return Inspection(fault=(error.code, reason))
    return Inspection(
        fault=None,
        notes=tuple((note.code, note.sentence) for note in picture.notes),
        fingerprint=fingerprint(files, picture.pixels),
    )


def _groups(inspections: Sequence[Inspection]) -> list[DuplicateGroup]:
    """Find the groups among the pictures that can be read, numbered as in `inspections`."""
    readable = [i for i, inspection in enumerate(inspections) if inspection.fingerprint is not None]
    prints = [inspections[i].fingerprint for i in readable]
    found = find_duplicates([print_ for print_ in prints if print_ is not None])
    return [
        DuplicateGroup(group.likeness, tuple(readable[member] for member in group.members))
        for group in found
    ]


_LIKENESS = {
    "same-file": "is the same file as",
    "same-pixels": "has the same pixels as",
    "near": "looks almost the same as",
}


def _worded_group(group: DuplicateGroup, table: SpecimenTable) -> list[Problem]:
    members = list(group.members)
    species = {str(table.species[i]) for i in members} - {""}
    if len({str(table.specimen[i]) for i in members}) == 1 and len(species) <= 1:
        # Pictures of one specimen may look alike; they never sit on two sides of a split.
        return []
    code = "duplicate" if group.likeness != "near" else "near-duplicate"
    conflict = ""
    if len(species) > 1:
        code += "-named-twice"
        conflict = f", but they are named {' and '.join(sorted(species))}"
    first = str(table.image[members[0]])
    return [
        Problem(
            "note",
            code,
            str(table.image[i]),
            "",
            f"{_LIKENESS[group.likeness]} {first}{conflict}; a split keeps them on one side",
        )
        for i in members[1:]
    ]
