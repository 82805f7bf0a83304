"""Reading and writing `metadata.csv`: one row an image, in CSV, TSV or Parquet.

Understands Darwin Core column names and the ways in which spreadsheets spoil a table; joins
nothing (see `folder`).
"""

from __future__ import annotations

import csv
import gzip
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from kinlens.errors import InputError, did_you_mean
from kinlens.records.collection import Problem
from kinlens.records.specimens import SpecimenTable
from kinlens.records.taxonomy import RANKS, tidy_names
from kinlens.run import write_frame

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


@dataclass(frozen=True, eq=False)
class MetadataTable:
    """The table of pictures and what was noticed while reading it."""

    specimens: SpecimenTable
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
        Names in rank columns have inner spaces turned to underscores; unknown ones are "". Rows that
        repeat an image are left out and listed.

    Raises
    ------
    InputError
        When the file cannot be read as a table or has no column of images.
    """
    path = Path(path)
    frame, notes = read_table(path)
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
    return MetadataTable(SpecimenTable(frame), tuple(problems + dropped))


def write_metadata(specimens: SpecimenTable, path: str | Path) -> None:
    """Write the table of pictures as CSV, atomically."""
    write_frame(Path(path), specimens.frame)


def read_table(path: str | Path) -> tuple[pd.DataFrame, list[str]]:
    """Read a delimited or Parquet table with every cell as text, and what was odd about it.

    Parameters
    ----------
    path : path
        ``.csv``, ``.tsv``, ``.txt`` (each optionally ``.gz``) or ``.parquet``. The delimiter of
        a text file is read off its first line: comma, semicolon or tab.

    Returns
    -------
    frame : pandas.DataFrame
        Cells as str, missing ones as "".
    notes : list of str
        Sentences on what had to be worked around.

    Raises
    ------
    InputError
        For a missing, empty or unreadable file, ragged rows (with the line) or repeated columns.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError("no such file", where=path)
    if path.suffix == ".parquet":
        try:
            frame = pd.read_parquet(path)
        except (OSError, ValueError) as error:
            raise InputError(f"not a Parquet file ({error})", where=path) from error
        return frame.astype("string").fillna("").astype(object), []
    text, notes = _decoded(path)
    if not text.strip():
        raise InputError("the file is empty", where=path)
    header = text.split("\n", 1)[0]
    delimiter = max(",\t;", key=header.count) if any(d in header for d in ",\t;") else ","
    if delimiter == ";":
        notes.append("cells are separated by ';' (as spreadsheets in some countries save them)")
    rows = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)]
    names = [name.strip() for name in rows[0]]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise InputError("columns that appear twice", where=path, offenders=repeated)
    body = [(number, row) for number, row in enumerate(rows[1:], start=2) if any(row)]
    ragged = [number for number, row in body if len(row) != len(names)]
    if ragged:
        raise InputError(
            f"lines that do not have {len(names)} cells",
            where=path,
            offenders=[f"line {number}" for number in ragged],
            remedy="A cell that holds the separator must stand in double quotes.",
        )
    return pd.DataFrame([row for _number, row in body], columns=names, dtype=object), notes


def _decoded(path: Path) -> tuple[str, list[str]]:
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError) as error:
        raise InputError(f"cannot be read ({error})", where=path) from error
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return raw.decode("utf-16").replace("\r\n", "\n"), ["the file is UTF-16"]
    try:
        return raw.decode("utf-8-sig").replace("\r\n", "\n"), []
    except UnicodeDecodeError as error:
        if b"\0" in raw:
            raise InputError("not a text file", where=path) from error
        note = f"not UTF-8 at byte {error.start}; read as Windows-1252"
        return raw.decode("cp1252", errors="replace").replace("\r\n", "\n"), [note]


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
    for given, wanted in DARWIN_CORE_COLUMNS.items():
        if wanted not in taken and given in frame.columns:
            renames[given] = wanted
            taken.add(wanted)
    if "image" not in taken:
        raise InputError(
            "no column 'image'",
            where=path,
            remedy=did_you_mean("image", list(frame.columns))
            + ' Or say in dataset.toml: [columns] image = "YOUR COLUMN".',
        )
    renames = {old: new for old, new in renames.items() if old != new}
    return frame.rename(columns=renames), renames


def _without_unusable_rows(frame: pd.DataFrame, file: str) -> tuple[pd.DataFrame, list[Problem]]:
    image = frame["image"].to_numpy()
    blank = image == ""
    repeated = frame["image"].duplicated().to_numpy() & ~blank
    problems = [
        Problem("skip", "no-image", file, f"row {i + 1}", "the cell 'image' is empty")
        for i in np.flatnonzero(blank)
    ]
    problems += [
        Problem(
            "skip",
            "repeated-row",
            file,
            f"row {i + 1}",
            f"{image[i]} is listed already; the first row is kept",
        )
        for i in np.flatnonzero(repeated)
    ]
    return frame[~(blank | repeated)].reset_index(drop=True), problems


def _as_numbers_if_all_are(column: pd.Series) -> pd.Series:
    filled = column[column != ""]
    numbers = pd.to_numeric(filled, errors="coerce")
    if len(filled) == 0 or numbers.isna().any():
        return column
    return pd.to_numeric(column.replace("", None))
