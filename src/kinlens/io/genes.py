"""Tables of genes (present or absent) and of measured traits, one row a species or sample.

Gene tables are wide: they are parsed line by line into one array of bytes, never into a frame of
strings. Which genes go with which traits is not decided here.
"""

from __future__ import annotations

import csv
import gzip
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd

from kinlens.atomic import write_frame
from kinlens.errors import InputError, UsageError, listing
from kinlens.io.compressed import written_atomically
from kinlens.io.delimited import HEADER_FIRST, read_delimited, tidy_label
from kinlens.io.metadata import read_table
from kinlens.typing import Float32Array

__all__ = ["read_genes", "read_traits", "write_genes"]

_MISSING = frozenset(("", "na", "nan", "n/a", "null", "none", "-", ".", "?"))
# What a cell may say, lower case.
_CODES: dict[bytes, float] = {
    **dict.fromkeys((b"0", b"0.0", b"false"), 0.0),
    **dict.fromkeys((b"1", b"1.0", b"true"), 1.0),
    **{word.encode(): float("nan") for word in _MISSING},
}
_WRONG = -1.0
# The same for cells of one byte, as an array.
_CODE_OF_BYTE = np.array(
    [_CODES.get(bytes([byte]), _WRONG) for byte in range(256)], dtype=np.float32
)


def read_genes(path: str | Path) -> pd.DataFrame:
    r"""Read which genes each species or sample has.

    Parameters
    ----------
    path : path
        A ``.parquet`` file, or a table (``.csv``, ``.tsv``, either gzipped) whose first column
        holds the names and whose first row the genes. Cells are 0 or 1 (also 0.0, 1.0, true,
        false); empty, NA, ``-``, ``.`` and ``?`` are missing.

    Returns
    -------
    pandas.DataFrame
        float32, 0 and 1 with NaN where missing; the index holds the names, spaces turned to
        underscores, and is called as the first column is. ``attrs["notes"]`` holds sentences on
        what had to be worked around: of a gene that occurs several times identical columns are
        kept once, and the others get ``#2``, ``#3`` after their name.

    Raises
    ------
    InputError
        For a missing, empty or damaged file; names that are blank or repeated; cells that are
        neither 0, 1 nor missing (named by row and column); rows of different length.

    Examples
    --------
    >>> file = getfixture("tmp_path") / "genes.csv"
    >>> _ = file.write_text("species,MC1R,ASIP\nAus bus,1,0\nAus cus,1,\n")
    >>> genes = read_genes(file)
    >>> genes.index.tolist(), genes["ASIP"].tolist()
    (['Aus_bus', 'Aus_cus'], [0.0, nan])
    """
    path = Path(path)
    table = _read_parquet(path) if path.suffix == ".parquet" else _read_text(path)
    _refuse_bad_names(path, table.labels)
    kept, genes, notes = _distinct_genes(table.genes, table.cells)
    frame = pd.DataFrame(
        table.cells if len(kept) == len(table.genes) else table.cells[:, kept],
        index=pd.Index(table.labels, name=table.corner, dtype=object),
        columns=pd.Index(genes, dtype=object),
    )
    frame.attrs["notes"] = (*table.notes, *notes)
    return frame


def write_genes(frame: pd.DataFrame, path: str | Path) -> None:
    """Write a table of genes, atomically; the opposite of `read_genes`.

    Parameters
    ----------
    frame : pandas.DataFrame
        Cells 0, 1 or missing; the index holds the names.
    path : path
        Ending in ``.csv``, ``.csv.gz`` or ``.parquet``.

    Raises
    ------
    UsageError
        For another ending or another value.
    """
    path = Path(path)
    values = frame.to_numpy(dtype=np.float32)
    if not (np.isnan(values) | (values == 0) | (values == 1)).all():
        raise UsageError("a table of genes holds 0, 1 and missing cells only.")
    name = path.name.lower()
    corner = str(frame.index.name or "species")
    if name.endswith(".parquet"):
        write_frame(path, frame.rename_axis(corner).reset_index())
        return
    if not name.endswith((".csv", ".csv.gz")):
        raise UsageError(f"{path}: genes are written as .csv, .csv.gz or .parquet.")
    with written_atomically(path) as file:
        _write_text(frame, values, corner, file)


def read_traits(path: str | Path) -> pd.DataFrame:
    r"""Read what was measured on each species or sample.

    Parameters
    ----------
    path : path
        A table whose first column holds the names; empty, NA, ``-``, ``.`` and ``?`` are missing.

    Returns
    -------
    pandas.DataFrame
        The index holds the names, spaces turned to underscores. A column whose cells are all
        numbers is float64 with NaN; a column of words stays words, with None.

    Raises
    ------
    InputError
        When the file cannot be read as a table, has no traits, names are blank or repeated, or a
        column holds mostly numbers and some words (named by row and column).

    Examples
    --------
    >>> file = getfixture("tmp_path") / "traits.csv"
    >>> _ = file.write_text("species,wing_mm,diet\nAus bus,12.5,seeds\nAus cus,-,\n")
    >>> traits = read_traits(file)
    >>> traits["wing_mm"].tolist(), traits["diet"].tolist()
    ([12.5, nan], ['seeds', None])
    """
    path = Path(path)
    cells, notes = read_table(path)
    if len(cells.columns) < 2:
        raise InputError("no column of traits beside the names", where=path, remedy=HEADER_FIRST)
    corner = str(cells.columns[0])
    labels = [tidy_label(str(label)) for label in cells[corner]]
    _refuse_bad_names(path, labels)
    columns = {
        str(name): _as_trait(path, labels, str(name), cells[name].str.strip())
        for name in cells.columns[1:]
    }
    frame = pd.DataFrame(columns)
    frame.index = pd.Index(labels, name=corner, dtype=object)
    frame.attrs["notes"] = tuple(notes)
    return frame


# --- genes


@dataclass(frozen=True, eq=False)
class _GeneTable:
    """Cells of shape (number of labels, number of genes), before names are checked."""

    corner: str
    labels: list[str]
    genes: list[str]
    cells: Float32Array
    notes: tuple[str, ...] = ()


def _read_text(path: Path) -> _GeneTable:
    table = read_delimited(path)
    corner, *genes = table.cells(0)
    if not genes:
        raise InputError(
            "no column of genes beside the names",
            where=path,
            remedy=f"Rows are species or samples, columns are genes. {HEADER_FIRST}",
        )
    _refuse_blank_genes(path, genes)
    n_rows = len(table.lines) - 1
    if n_rows == 0:
        raise InputError("no row below the header", where=path)
    cells = np.empty((n_rows, len(genes)), dtype=np.float32)
    labels = []
    for row in range(n_rows):
        label, rest = table.label_and_rest(row + 1)
        labels.append(tidy_label(label))
        codes = _codes(rest, table.delimiter, len(genes))
        if len(codes) != len(genes):
            raise InputError(
                f"row {label!r} (line {row + 2}) has {len(codes):,} cells beside its name, "
                f"not {len(genes):,}",
                where=path,
                remedy=HEADER_FIRST if row == 0 else None,
            )
        if (is_wrong := codes == _WRONG).any():
            column = int(np.argmax(is_wrong))
            shown = rest.decode().split(table.delimiter)[column].strip()
            raise _wrong_cell(path, labels[-1], genes[column], shown)
        cells[row] = codes
    return _GeneTable(corner or "species", labels, genes, cells, table.notes)


def _codes(rest: bytes, delimiter: str, n_genes: int) -> Float32Array:
    """Turn the cells of one row into 0, 1, NaN or _WRONG; any number of cells."""
    if len(rest) == 2 * n_genes - 1:
        # Very likely one byte a cell: the delimiters then stand at every second place.
        letters = np.frombuffer(rest, dtype=np.uint8)
        if (letters[1::2] == ord(delimiter)).all():
            fast: Float32Array = _CODE_OF_BYTE[letters[::2]]
            return fast
    cells = rest.split(delimiter.encode())
    return np.array([_CODES.get(cell.strip().lower(), _WRONG) for cell in cells], dtype=np.float32)


def _wrong_cell(path: Path, label: str, gene: str, shown: object) -> InputError:
    return InputError(
        f"row {label!r}, column {gene!r} holds {str(shown)!r} instead of 0 or 1",
        where=path,
        remedy="Turn numbers of copies above 0 into 1; leave unknown cells empty.",
    )


def _read_parquet(path: Path) -> _GeneTable:
    if not path.is_file():
        raise InputError("no such file", where=path)
    try:
        frame = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise InputError(f"not a Parquet file ({reason})", where=path) from error
    if isinstance(frame.index, pd.RangeIndex):
        if frame.empty or pd.api.types.is_numeric_dtype(frame.dtypes.iloc[0]):
            raise InputError(
                "no column of names",
                where=path,
                remedy="The first column, or the index, holds the names of species or samples.",
            )
        frame = frame.set_index(frame.columns[0])
    if frame.empty:
        raise InputError("no column of genes beside the names", where=path)
    labels = [tidy_label(str(label)) for label in frame.index]
    genes = [str(gene) for gene in frame.columns]
    _refuse_blank_genes(path, genes)
    for gene, kind in zip(genes, frame.dtypes, strict=True):
        if not pd.api.types.is_numeric_dtype(kind):
            raise InputError(f"column {gene!r} holds {kind} values instead of 0 and 1", where=path)
    values = frame.to_numpy(dtype=np.float32, na_value=np.nan)
    wrong = ~(np.isnan(values) | (values == 0) | (values == 1))
    if wrong.any():
        row, column = (int(places[0]) for places in np.nonzero(wrong))
        raise _wrong_cell(path, labels[row], genes[column], f"{values[row, column]:g}")
    return _GeneTable(str(frame.index.name or "species"), labels, genes, values)


def _refuse_blank_genes(path: Path, genes: Sequence[str]) -> None:
    blank = [f"column {number}" for number, gene in enumerate(genes, start=2) if not gene]
    if blank:
        raise InputError("genes without a name", where=path, offenders=blank, remedy=HEADER_FIRST)


def _distinct_genes(
    genes: Sequence[str], values: Float32Array
) -> tuple[list[int], list[str], list[str]]:
    """Return the columns to keep, their distinct names, and what to say about it."""
    if len(set(genes)) == len(genes):
        return list(range(len(genes))), list(genes), []
    taken = set(genes)
    seen: dict[str, list[bytes]] = {}
    kept: list[int] = []
    names: list[str] = []
    dropped: Counter[str] = Counter()
    renamed: list[str] = []
    for column, gene in enumerate(genes):
        content = np.ascontiguousarray(values[:, column]).tobytes()
        earlier = seen.setdefault(gene, [])
        if content in earlier:
            dropped[gene] += 1
            continue
        earlier.append(content)
        name = gene
        while len(earlier) > 1 and name in taken:
            number = int(name.rpartition("#")[2]) + 1 if name != gene else len(earlier)
            name = f"{gene}#{number}"
        if name != gene:
            renamed.append(name)
            taken.add(name)
        kept.append(column)
        names.append(name)
    notes = [
        f"{len(renamed):,} genes have the name of another one and were renamed: {listing(renamed)}"
    ] * bool(renamed)
    notes += [
        f"{dropped.total():,} columns repeat another one of the same gene and were left out: "
        f"{listing(dropped)}"
    ] * bool(dropped)
    return kept, names, notes


def _write_text(
    frame: pd.DataFrame, values: Float32Array, corner: str, file: IO[bytes] | gzip.GzipFile
) -> None:
    def line(cells: Sequence[str]) -> bytes:
        text = io.StringIO()
        csv.writer(text, lineterminator="").writerow(cells)
        return text.getvalue().encode()

    file.write(line([corner, *map(str, frame.columns)]) + b"\n")
    for label, row in zip(frame.index, values, strict=True):
        if np.isnan(row).any():
            rest = b",".join(b"" if np.isnan(cell) else b"%d" % cell for cell in row)
        else:
            letters = np.full(max(2 * len(row) - 1, 0), ord(","), dtype=np.uint8)
            letters[::2] = row.astype(np.uint8) + ord("0")
            rest = letters.tobytes()
        file.write(line([str(label)]) + b"," + rest + b"\n")


# --- traits


def _as_trait(path: Path, labels: Sequence[str], name: str, cells: pd.Series) -> pd.Series:
    is_filled = ~cells.str.lower().isin(_MISSING)
    numbers = pd.to_numeric(cells.where(is_filled), errors="coerce").astype(np.float64)
    is_word = is_filled & numbers.isna()
    if not is_word.any():
        return numbers
    if 2 * is_word.sum() < is_filled.sum():
        raise InputError(
            f"column {name!r} holds numbers and some words",
            where=path,
            offenders=[
                f"{cell!r} in row {label!r}"
                for cell, label, is_odd in zip(cells, labels, is_word, strict=True)
                if is_odd
            ],
            remedy="Mend these cells, or leave them empty.",
        )
    words = [cell if known else None for cell, known in zip(cells, is_filled, strict=True)]
    return pd.Series(words, index=cells.index, dtype=object)


def _refuse_bad_names(path: Path, labels: Sequence[str]) -> None:
    blank = [f"line {number}" for number, label in enumerate(labels, start=2) if not label]
    if blank:
        raise InputError("rows without a name", where=path, offenders=blank)
    repeated = [label for label, count in Counter(labels).items() if count > 1]
    if repeated:
        raise InputError(
            "names that occur in several rows",
            where=path,
            offenders=repeated,
            remedy="Keep one row for each.",
        )
