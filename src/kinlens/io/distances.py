"""Labelled square matrices of distances: read, checked to the cell, and written.

Small ones are tables (``.csv`` or ``.tsv``, optionally ``.gz``); large ones a NumPy array
(``.npy``) with the names beside it. What a distance matrix must be is in `records.distances`.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
from pathlib import Path
from typing import IO

import numpy as np

from kinlens.atomic import write_npy, write_text
from kinlens.errors import InputError, UsageError
from kinlens.io.compressed import written_atomically
from kinlens.io.delimited import DelimitedLines, read_delimited, tidy_label
from kinlens.records.distances import DistanceMatrix
from kinlens.typing import FloatArray

__all__ = ["names_path", "read_distances", "write_distances"]

_NAMES_FIRST = (
    "The first row and the first column hold the names; delete titles and remarks above them."
)


def read_distances(path: str | Path) -> DistanceMatrix:
    r"""Read a labelled square matrix of distances.

    Parameters
    ----------
    path : path
        A table whose first row and first column hold the same names in the same order, whatever
        the corner says, if not 0; or a ``.npy`` file beside which `names_path` holds one name a
        line. A float64 ``.npy`` stays on disk and is mapped into memory.

    Returns
    -------
    DistanceMatrix
        Spaces in names are turned to underscores.

    Raises
    ------
    InputError
        When the file cannot be read, names are missing, blank, repeated or differ between rows and
        columns, or a cell is not a number, negative, unlike its mirror image, or on the diagonal
        and not 0. The message names the cell by row, column and value.

    Examples
    --------
    >>> file = getfixture("tmp_path") / "d.csv"
    >>> _ = file.write_text(",a,b\na,0,1.5\nb,1.5,0\n")
    >>> read_distances(file).values
    array([[0. , 1.5],
           [1.5, 0. ]])
    """
    path = Path(path)
    ids, values = _read_npy(path) if path.suffix == ".npy" else _read_table(path)
    try:
        return DistanceMatrix(ids, values)
    except InputError as error:
        raise InputError(
            error.problem, where=path, remedy=error.remedy, offenders=error.offenders
        ) from error


def write_distances(matrix: DistanceMatrix, path: str | Path) -> None:
    """Write a matrix so that `read_distances` gives back every bit of it.

    Parameters
    ----------
    matrix : DistanceMatrix
        What to write.
    path : path
        Ending in ``.csv``, ``.tsv`` (either with ``.gz``) or ``.npy``. Each file appears whole or
        not at all.

    Raises
    ------
    UsageError
        For another ending.
    """
    path = Path(path)
    name = path.name.lower()
    if name.endswith(".npy"):
        # The names first: an array without its names would be of no use.
        write_text(names_path(path), "".join(f"{label}\n" for label in matrix.ids))
        write_npy(path, np.ascontiguousarray(matrix.values))
        return
    delimiter = {".csv": ",", ".tsv": "\t"}.get(Path(name.removesuffix(".gz")).suffix)
    if delimiter is None:
        raise UsageError(f"{path}: distances are written as .csv, .tsv, .csv.gz, .tsv.gz or .npy.")
    with written_atomically(path) as file:
        _write_table(matrix, file, delimiter)


def names_path(path: str | Path) -> Path:
    """Return where the names of a ``.npy`` matrix are.

    Examples
    --------
    >>> names_path("distances.npy").as_posix()
    'distances.names.txt'
    """
    return Path(path).with_suffix(".names.txt")


# --- arrays


def _read_npy(path: Path) -> tuple[tuple[str, ...], FloatArray]:
    try:
        values = np.load(path, mmap_mode="r", allow_pickle=False)
        names = names_path(path).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        remedy = "Names stand beside the array, one a line, in row order."
        raise InputError("no such file", where=error.filename, remedy=remedy) from error
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"not a NumPy array ({error})", where=path) from error
    if values.dtype.kind not in "fiub":
        raise InputError(f"holds {values.dtype} values, not numbers", where=path)
    return tuple(tidy_label(name) for name in names.splitlines()), values


# --- tables


def _read_table(path: Path) -> tuple[tuple[str, ...], FloatArray]:
    table = read_delimited(path)
    corner, *others = table.cells(0)
    columns = tuple(map(tidy_label, others))
    if not columns:
        raise InputError(
            "a table with one column is no square matrix", where=path, remedy=_NAMES_FIRST
        )
    if re.fullmatch(r"0+(\.0*)?", corner):
        raise InputError("row 1 holds distances", where=path, remedy=_NAMES_FIRST)
    blank = [f"column {number}" for number, name in enumerate(columns, start=2) if not name]
    if blank:
        raise InputError("columns without a name", where=path, offenders=blank, remedy=_NAMES_FIRST)
    n_rows = len(table.lines) - 1
    if n_rows != len(columns):
        raise InputError(
            f"{n_rows:,} rows but {len(columns):,} columns of distances",
            where=path,
            remedy=_NAMES_FIRST,
        )
    values = np.empty((n_rows, n_rows))
    delimiter = table.delimiter.encode()
    for row in range(n_rows):
        label, rest = table.label_and_rest(row + 1)
        if (name := tidy_label(label)) != columns[row]:
            raise _labels_differ(path, table, columns, row, name)
        cells = rest.split(delimiter)
        if len(cells) != n_rows:
            raise InputError(
                f"row {name!r} (line {row + 2}) has {len(cells):,} distances, not {n_rows:,}",
                where=path,
            )
        try:
            values[row] = np.array(cells, dtype=np.float64)
        except ValueError as error:
            raise _not_a_number(path, columns, name, cells) from error
    return columns, values


def _labels_differ(
    path: Path, table: DelimitedLines, columns: tuple[str, ...], row: int, name: str
) -> InputError:
    if not name:
        return InputError(f"line {row + 2} has no name", where=path)
    labels = [tidy_label(table.label_and_rest(i + 1)[0]) for i in range(len(columns))]
    only_rows = [label for label in labels if label not in set(columns)]
    if only_rows:
        return InputError("rows that are no columns", where=path, offenders=only_rows)
    only_columns = [label for label in columns if label not in set(labels)]
    if only_columns:
        return InputError("columns that are no rows", where=path, offenders=only_columns)
    return InputError(
        f"rows and columns are in different order: row {row + 1} is {name!r}, column {row + 1} "
        f"is {columns[row]!r}",
        where=path,
        remedy="Sort the rows as the columns are.",
    )


def _not_a_number(
    path: Path, columns: tuple[str, ...], name: str, cells: list[bytes]
) -> InputError:
    for column, cell in zip(columns, cells, strict=True):
        try:
            float(cell)
        except ValueError:
            shown = repr(cell.decode().strip()) if cell.strip() else "nothing"
            return InputError(
                f"a distance that is not a number: row {name!r}, column {column!r} holds {shown}",
                where=path,
                remedy="Every pair needs its distance, with a point for decimals.",
            )
    return InputError(f"row {name!r} cannot be read as numbers", where=path)


def _write_table(matrix: DistanceMatrix, file: IO[bytes] | gzip.GzipFile, delimiter: str) -> None:
    def line(cells: list[str]) -> bytes:
        text = io.StringIO()
        csv.writer(text, delimiter=delimiter, lineterminator="").writerow(cells)
        return text.getvalue().encode()

    file.write(line(["id", *matrix.ids]) + b"\n")
    for name, row in zip(matrix.ids, matrix.values, strict=True):
        # repr gives the shortest digits that read back as the same number.
        digits = delimiter.join(map(repr, row.tolist()))
        file.write(line([name]) + delimiter.encode() + digits.encode() + b"\n")
