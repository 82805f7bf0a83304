"""Which listed pictures have their files, what else may have been meant, and who is unlisted.

Only names are looked at; `lint` opens the files.
"""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kinlens.errors import InputError, nearest_names
from kinlens.io.images import SUFFIXES
from kinlens.io.metadata import MetadataTable
from kinlens.io.toml import toml_text
from kinlens.records.collection import Collection, Problem
from kinlens.records.specimens import SpecimenTable
from kinlens.typing import IntArray

__all__ = ["PictureFiles", "find_unlisted", "look_up_files"]

# Comparing every missing name with every file that is there would take minutes in large folders.
_MOST_COMPARED = 200


@dataclass(frozen=True, eq=False)
class PictureFiles:
    """What became of looking up the files of a metadata table.

    Parameters
    ----------
    present : array of int, shape (n_present,)
        The pictures whose files are there.
    problems : tuple of Problem
        One for each of the others, and what concerns them all.
    """

    present: IntArray
    problems: tuple[Problem, ...]


def look_up_files(metadata: MetadataTable, collection: Collection, *, file: str) -> PictureFiles:
    """Look up the file, or channel files, of every picture.

    A link to a picture elsewhere counts as inside the dataset; a path that leads out of it is
    refused.

    Parameters
    ----------
    metadata : MetadataTable
        The pictures.
    collection : Collection
        Its folder and channels.
    file : str
        Name of the metadata file, for the problems.
    """
    # By name alone, because a link is meant to lead elsewhere.
    root = Path(os.path.abspath(collection.folder))
    images = list(map(str, metadata.specimens.image))
    folders = _Folders(_listed_files(images, collection))
    present: list[int] = []
    problems: list[Problem] = []
    missing: list[str] = []
    for place, image in enumerate(images):
        files = collection.image_files(image)
        if not all(Path(os.path.abspath(path)).is_relative_to(root) for path in files):
            code, reason = "outside", "the path leads out of the dataset folder"
        elif absent := [path for path in files if not os.path.lexists(path)]:
            code = "missing-file" if len(files) == 1 else "missing-channel"
            reason = folders.worded_absence(absent[0], root)
            missing.append(image)
        else:
            present.append(place)
            continue
        row = f"{file} row {metadata.rows[place]}"
        problems.append(Problem("skip", code, image, row, reason))
    hint = "" if collection.channels else _channel_hint(missing, collection.folder, folders)
    if not present:
        reason = "; ".join(part for part in ("not one of the pictures is there", hint) if part)
        problems.append(Problem("error", "no-pictures", file, "", reason))
    elif hint:
        problems.append(Problem("note", "channels", "dataset.toml", "", hint))
    return PictureFiles(np.array(present, dtype=np.int64), tuple(problems))


def find_unlisted(specimens: SpecimenTable, collection: Collection) -> list[Problem]:
    """Note the pictures in ``images`` that no row names.

    Parameters
    ----------
    specimens : SpecimenTable
        Every row of the metadata.
    collection : Collection
        Its folder and channels.
    """
    folder = collection.folder / "images"
    if not folder.is_dir():
        return []
    _refuse_unreadable(folder)
    listed = _listed_files(map(str, specimens.image), collection)
    unlisted = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES and os.path.abspath(path) not in listed
    )
    reason = "no row of the metadata names this picture, so it is not used"
    return [
        Problem("note", "unlisted", path.relative_to(collection.folder).as_posix(), "", reason)
        for path in unlisted
    ]


def _listed_files(images: Iterable[str], collection: Collection) -> set[str]:
    """Return the absolute names of all files that `images` are read from."""
    return {os.path.abspath(path) for image in images for path in collection.image_files(image)}


def _refuse_unreadable(folder: Path) -> None:
    if not os.access(folder, os.R_OK | os.X_OK):
        raise InputError(
            "this folder may not be read", where=folder, remedy="Ask its owner for leave to read."
        )


class _Folders:
    """What lies in the folders that pictures were looked for in, each read once.

    What is in `listed` has a row of its own, and was not meant by another.
    """

    def __init__(self, listed: set[str]) -> None:
        self._listed = listed
        self._names: dict[Path, list[str]] = {}
        self._free_names: dict[Path, list[str]] = {}
        self._by_letters: dict[Path, dict[str, str]] = {}
        self._n_compared = 0

    def names(self, folder: Path) -> list[str]:
        if folder not in self._names:
            if folder.is_dir():
                _refuse_unreadable(folder)
            entries = folder.iterdir() if folder.is_dir() else ()
            self._names[folder] = sorted(entry.name for entry in entries)
        return self._names[folder]

    def worded_absence(self, file: Path, root: Path) -> str:
        """Say that a file is missing, and what there is instead of it or of its folder."""
        whole = Path(os.path.abspath(file))
        shown = whole.relative_to(root).as_posix()
        absent = next(
            part for part in (*reversed(whole.parents), whole) if not os.path.lexists(part)
        )
        alike = self._with_letters(absent.parent).get(_letters(absent.name))
        if alike is not None:
            differs = (
                "in how its accents are stored (macOS takes them apart); give it the name that "
                "the metadata have"
                if _composed(alike) == _composed(absent.name)
                else "in upper and lower case"
            )
            return f"no file {shown}; there is {alike}, which differs {differs}"
        self._n_compared += 1
        if self._n_compared > _MOST_COMPARED:
            return f"no file {shown}"
        # The same name with another ending is meant, whoever else names it.
        kin = [name for name in self.names(absent.parent) if Path(name).stem == absent.stem]
        near = kin or nearest_names(absent.name, self._free(absent.parent), most=1)
        return f"no file {shown}" + (f"; there is {near[0]}" if near else "")

    def _free(self, folder: Path) -> list[str]:
        if folder not in self._free_names:
            whole = os.path.abspath(folder)
            self._free_names[folder] = [
                name for name in self.names(folder) if os.path.join(whole, name) not in self._listed
            ]
        return self._free_names[folder]

    def _with_letters(self, folder: Path) -> dict[str, str]:
        if folder not in self._by_letters:
            self._by_letters[folder] = {_letters(name): name for name in self.names(folder)}
        return self._by_letters[folder]


def _composed(name: str) -> str:
    """Return a name with each accent in one character with its letter."""
    return unicodedata.normalize("NFC", name)


def _letters(name: str) -> str:
    return _composed(name).lower()


def _channel_hint(missing: Iterable[str], folder: Path, folders: _Folders) -> str:
    """Word what dataset.toml should say when missing pictures are there channel by channel."""
    endings: Counter[tuple[tuple[str, str], ...]] = Counter()
    example: dict[tuple[tuple[str, str], ...], str] = {}
    for image in list(missing)[:_MOST_COMPARED]:
        wanted = folder / image
        has_suffix = wanted.suffix.lower() in SUFFIXES
        start = (wanted.stem if has_suffix else wanted.name) + "_"
        parts = [
            (Path(name).stem[len(start) :], Path(name).suffix)
            for name in folders.names(wanted.parent)
            if name.startswith(start) and Path(name).suffix.lower() in SUFFIXES
        ]
        if len(parts) >= 2 and len({suffix for _channel, suffix in parts}) == 1:
            endings[tuple(parts)] += 1
            example.setdefault(tuple(parts), image)
    if not endings:
        return ""
    (found, _times), *_ = endings.most_common(1)
    image, suffix = example[found], found[0][1]
    lines = toml_text(
        {
            "channels": [channel for channel, _suffix in found],
            "channel_pattern": f"{{image}}_{{channel}}{suffix}",
        }
    )
    plain = image.removesuffix(Path(image).suffix) if Path(image).suffix.lower() in SUFFIXES else ""
    rename = f", and in the metadata write {plain} for {image}" if plain else ""
    return (
        f"{plain or image}_{found[0][0]}{suffix} and {len(found) - 1} more like it are there: if "
        f"they are channels of one picture, write in dataset.toml: "
        f"{'; '.join(lines.splitlines())}{rename}"
    )
