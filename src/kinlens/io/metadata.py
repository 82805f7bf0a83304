"""Reading and writing `metadata.csv`: one row an image, in CSV, TSV or Parquet.

Understands Darwin Core column names, in capitals or not, and the ways in which spreadsheets spoil a
table; joins nothing (see `folder`).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from kinlens.atomic import write_frame
from kinlens.errors import InputError, did_you_mean
from kinlens.io.delimited import HEADER_FIRST, guess_delimiter, read_table_text
from kinlens.io.images import SUFFIXES
from kinlens.records.collection import Problem
from kinlens.records.specimens import SpecimenTable
from kinlens.records.taxonomy import RANKS, tidy_names
from kinlens.typing import IntArray

__all__ = ["DARWIN_CORE_COLUMNS", "MetadataTable", "read_metadata", "read_table", "write_metadata"]

DARWIN_CORE_COLUMNS = {
    "species": "species",
    "scientificName": "species",
    "acceptedScientificName": "species",
    "occurrenceID": "specimen",
    "catalogNumber": "specimen",
    "organismID": "specimen",
    "associatedMedia": "image",
    "accessURI": "image",
    "identifier": "image",
    "file": "image",
    "filename": "image",
    "image_path": "image",
    "path": "image",
}
"""Other names of the columns that kinlens understands, best first for each."""

_UNDERSTOOD = ("image", "specimen", "labels", *RANKS)
_KNOWN = (*_UNDERSTOOD, "view", "antibody", "field")


@dataclass(frozen=True, eq=False)
class MetadataTable:
    """The table of pictures and what was noticed while reading it.

    Parameters
    ----------
    specimens : SpecimenTable
        The rows that can be used.
    rows : array of int, shape (n_images,)
        The row of each in the file, as a spreadsheet counts: the header is row 1.
    problems : tuple of Problem
        What was left out or worked around.
    """

    specimens: SpecimenTable
    rows: IntArray
    problems: tuple[Problem, ...]


def read_metadata(path: str | Path, *, columns: dict[str, str] | None = None) -> MetadataTable:
    """Read the table of pictures.

    Parameters
    ----------
    path : path
        A ``.csv``, ``.tsv`` or ``.parquet`` file, or the first two gzipped.
    columns : dict, optional
        ``{understood name: column name in this file}``, from ``dataset.toml``.

    Returns
    -------
    MetadataTable
        Names in rank columns have inner spaces turned to underscores; unknown ones are "". Rows
        without an image, or with one that an earlier row has, are left out and listed. Other
        columns whose cells all are numbers become numbers.

    Raises
    ------
    InputError
        When the file cannot be read as a table or has no column of images.
    """
    path = Path(path)
    frame, notes = _read_numbered(path)
    problems = [Problem("note", "spreadsheet", path.name, "", note) for note in notes]
    frame, renamed = _with_understood_names(frame, path, columns or {})
    problems += [
        Problem("note", "column", path.name, "", f"column {old!r} is read as {new!r}")
        for old, new in renamed.items()
    ]
    for rank in RANKS:
        if rank in frame.columns:
            frame[rank] = tidy_names(frame[rank]).fillna("")
    for column in ("image", "specimen"):
        if column in frame.columns:
            frame[column] = frame[column].str.strip()
    frame, dropped = _without_unusable_rows(frame, path.name)
    for column in frame.columns.difference(list(_UNDERSTOOD)):
        frame[column] = _as_numbers_if_all_are(frame[column])
    if frame.empty:
        raise InputError("no row with an image", where=path)
    return MetadataTable(SpecimenTable(frame), frame.index.to_numpy(), tuple(problems + dropped))


def write_metadata(specimens: SpecimenTable, path: str | Path) -> None:
    """Write the table of pictures atomically.

    Parameters
    ----------
    specimens : SpecimenTable
        What to write.
    path : path
        The suffix chooses the format, as `read_metadata` knows them.
    """
    write_frame(Path(path), specimens.frame)


def read_table(path: str | Path) -> tuple[pd.DataFrame, list[str]]:
    """Read a delimited or Parquet table with every cell as text, and what was odd about it.

    Parameters
    ----------
    path : path
        Text (optionally gzipped, in any encoding that `read_utf8` knows), its cells separated by
        commas, semicolons or tabs as its first line is; or ``.parquet``.

    Returns
    -------
    frame : pandas.DataFrame
        Cells as str, missing ones as "".
    notes : list of str
        Sentences on what had to be worked around.

    Raises
    ------
    InputError
        For a missing, empty or unreadable file, ragged rows (with their numbers) or repeated
        columns.
    """
    frame, notes = _read_numbered(Path(path))
    return frame.reset_index(drop=True), notes


def _read_numbered(path: Path) -> tuple[pd.DataFrame, list[str]]:
    """Read a table whose index counts rows as a spreadsheet does: the header is row 1."""
    if not path.is_file():
        raise InputError("no such file", where=path)
    if path.suffix == ".parquet":
        try:
            frame = pd.read_parquet(path)
        except (OSError, ValueError) as error:
            raise InputError(f"not a Parquet file ({error})", where=path) from error
        frame.index = pd.RangeIndex(2, len(frame) + 2)
        return frame.astype("string").fillna("").astype(object), []
    content, notes = read_table_text(path)
    text = content.decode()
    delimiter, odd = guess_delimiter(content.splitlines()[0].decode(), path)
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error as error:
        raise InputError(
            f"not a table ({error})",
            where=path,
            remedy="A double quote that opens a cell has to be closed.",
        ) from error
    rows = _without_blank_columns(rows, path)
    names = [name.strip() for name in rows[0]]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise InputError(
            "columns that appear twice", where=path, offenders=repeated, remedy=HEADER_FIRST
        )
    numbers, body = [], []
    for number, row in enumerate(rows[1:], start=2):
        if any(cell.strip() for cell in row):
            numbers.append(number)
            body.append(row)
    ragged = [n for n, row in zip(numbers, body, strict=True) if len(row) != len(names)]
    if ragged:
        raise InputError(
            f"rows that do not have {len(names)} cells",
            where=path,
            offenders=[f"row {number}" for number in ragged],
            remedy="A cell that holds the separator must stand in double quotes."
            if 2 * len(ragged) < len(body)
            else HEADER_FIRST,
        )
    frame = pd.DataFrame(body, columns=names, index=numbers, dtype=object)
    return frame, [*notes, *odd]


def _without_blank_columns(rows: list[list[str]], path: Path) -> list[list[str]]:
    """Drop the columns without name or content that spreadsheets leave on the right."""
    width = max((number for number, name in enumerate(rows[0], 1) if name.strip()), default=0)
    end = len(rows[0])
    beyond = [n for n, row in enumerate(rows, 1) if any(map(str.strip, row[width:end]))]
    if beyond:
        raise InputError(
            f"columns without a name, from the {width + 1}. on",
            where=path,
            offenders=[f"row {number}" for number in beyond],
            remedy=HEADER_FIRST,
        )
    return [row[:width] + row[end:] for row in rows]


def _with_understood_names(
    frame: pd.DataFrame, path: Path, columns: dict[str, str]
) -> tuple[pd.DataFrame, dict[str, str]]:
    renames: dict[str, str] = {}
    for wanted, given in columns.items():
        if given not in frame.columns:
            raise InputError(
                f"dataset.toml says that column {given!r} holds {wanted!r}, but there is none",
                where=path,
                remedy=did_you_mean(given, list(frame.columns)),
            )
        renames[given] = wanted
    taken = set(renames.values()) | (set(frame.columns) & set(_UNDERSTOOD))
    # "Species" says more than "scientificName" does.
    renames |= _in_other_letters(frame, {name: name for name in _KNOWN}, taken, set(renames))
    taken |= set(renames.values())
    for given, wanted in DARWIN_CORE_COLUMNS.items():
        if wanted not in taken and given in frame.columns:
            renames[given] = wanted
            taken.add(wanted)
    renames |= _in_other_letters(frame, DARWIN_CORE_COLUMNS, taken, set(renames))
    taken |= set(renames.values())
    if "image" not in taken:
        is_picture = any(Path(name).suffix.lower() in SUFFIXES for name in frame.columns)
        is_below = (frame == "image").to_numpy().any()
        raise InputError(
            "no column 'image'",
            where=path,
            remedy=HEADER_FIRST
            if is_picture or is_below
            else did_you_mean("image", list(frame.columns))
            + ' Or say in dataset.toml: [columns] image = "YOUR COLUMN".',
        )
    renames = {old: new for old, new in renames.items() if old != new}
    return frame.rename(columns=renames), renames


def _in_other_letters(
    frame: pd.DataFrame, understood: dict[str, str], taken: set[str], used: set[str]
) -> dict[str, str]:
    """Find columns whose names differ from known ones in capitals, spaces, "_" or "-" alone."""
    free = [str(name) for name in frame.columns if name not in used | set(_UNDERSTOOD)]
    found: dict[str, str] = {}
    for known, wanted in understood.items():
        if wanted in taken | set(found.values()) | set(frame.columns):
            continue
        # Of two that would do, nobody knows which is meant.
        near = [name for name in free if _letters(name) == _letters(known) and name not in found]
        if len(near) == 1:
            found[near[0]] = wanted
    return found


def _letters(name: str) -> str:
    return name.casefold().replace(" ", "").replace("_", "").replace("-", "")


def _without_unusable_rows(frame: pd.DataFrame, file: str) -> tuple[pd.DataFrame, list[Problem]]:
    is_blank = frame["image"] == ""
    is_repeated = frame["image"].duplicated() & ~is_blank
    problems = [
        Problem("skip", "no-image", file, f"row {row}", "the cell 'image' is empty")
        for row in frame.index[is_blank]
    ]
    first = {image: row for row, image in reversed(list(frame["image"].items()))}
    known = [column for column in _KNOWN if column != "image" and column in frame.columns]
    involved = frame["image"].isin(frame.loc[is_repeated, "image"])
    rows = frame.loc[involved, known].to_dict(orient="index")
    problems += [
        Problem(
            "skip",
            "repeated-row",
            file,
            f"row {row}",
            f"{image} is listed already; row {first[image]} is kept"
            + _contradiction(rows[first[image]], rows[row]),
        )
        for row, image in frame.loc[is_repeated, "image"].items()
    ]
    return frame[~(is_blank | is_repeated)], problems


def _contradiction(kept: dict[Hashable, str], other: dict[Hashable, str]) -> str:
    """Say what two rows of one picture disagree about, where both say something."""
    found = [
        f"{column} {kept[column]!r} or {other[column]!r}"
        for column in kept
        if kept[column] and other[column] and kept[column] != other[column]
    ]
    return f", but the two contradict each other: {'; '.join(found)}" if found else ""


def _as_numbers_if_all_are(column: pd.Series) -> pd.Series:
    filled = column[column != ""]
    # What looks like 007 is a label: as a number it would lose its zeros.
    is_label = filled.str.match(r"[+-]?0\d").any()
    numbers = pd.to_numeric(filled, errors="coerce")
    if len(filled) == 0 or is_label or numbers.isna().any():
        return column
    return pd.to_numeric(column.replace("", None))
