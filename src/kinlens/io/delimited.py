"""Text of any spreadsheet's making to UTF-8, and delimited files as lines of bytes.

Lines are for tables too wide for a data frame of strings; those that fit are read in `metadata`.
"""

from __future__ import annotations

import csv
import gzip
import re
import zlib
from dataclasses import dataclass
from pathlib import Path

from kinlens.errors import InputError

__all__ = [
    "HEADER_FIRST",
    "DelimitedLines",
    "guess_delimiter",
    "read_delimited",
    "read_table_text",
    "read_utf8",
    "tidy_label",
]

HEADER_FIRST = (
    "Row 1 has to name every column: write such a row if there is none, and delete titles and "
    "remarks above it."
)
"""What to do about a table whose first row does not look like a header."""


@dataclass(frozen=True, eq=False)
class DelimitedLines:
    """The lines of a table.

    Parameters
    ----------
    lines : list of bytes
        UTF-8, without line ends; empty lines at the end are left out.
    delimiter : str
        A comma, a semicolon or a tab.
    notes : tuple of str
        Sentences on what had to be worked around.
    """

    lines: list[bytes]
    delimiter: str
    notes: tuple[str, ...]

    def cells(self, number: int) -> list[str]:
        """Return the cells of one line, without quotes and outer blanks; 0 is the header."""
        (row,) = csv.reader([self.lines[number].decode()], delimiter=self.delimiter)
        return [cell.strip() for cell in row]

    def label_and_rest(self, number: int) -> tuple[str, bytes]:
        """Return the first cell, and the bytes after the delimiter that follows it."""
        line = self.lines[number]
        if b'"' in line:
            label, *rest = self.cells(number)
            return label, self.delimiter.join(rest).encode()
        first, _delimiter, others = line.partition(self.delimiter.encode())
        return first.decode().strip(), others


def read_delimited(path: str | Path) -> DelimitedLines:
    """Read the lines of a table.

    Parameters
    ----------
    path : path
        Text that `read_utf8` can read, separated by commas, semicolons or tabs.

    Raises
    ------
    InputError
        When the file is missing, empty, damaged or not text.
    """
    path = Path(path)
    content, notes = read_table_text(path)
    lines = content.splitlines()
    while lines and not lines[-1].strip(b",;\t "):
        lines.pop()
    if not lines:
        raise InputError("the file is empty", where=path)
    delimiter, odd = guess_delimiter(lines[0].decode(), path)
    notes += odd
    return DelimitedLines(lines, delimiter, tuple(notes))


def read_table_text(path: Path) -> tuple[bytes, list[str]]:
    """Read what `read_utf8` reads, without the line ``sep=;`` that spreadsheets may begin with.

    Raises
    ------
    InputError
        When the file is missing, empty, damaged or not text.
    """
    content, notes = read_utf8(path)
    first, _end, rest = content.partition(b"\n")
    if re.fullmatch(rb'"?sep=.?"?\s*', first):
        content = rest
    if not content.strip():
        raise InputError("the file is empty", where=path)
    return content, notes


def guess_delimiter(header: str, path: Path) -> tuple[str, list[str]]:
    """Tell what separates the cells of a table, from its first line.

    Parameters
    ----------
    header : str
        The first line. What stands in double quotes does not count.
    path : pathlib.Path
        In files called ``.tsv`` it is a tab when the line has one, elsewhere the most frequent of
        comma, tab and semicolon; a comma when there is none of them.

    Returns
    -------
    delimiter : str
        One character.
    notes : list of str
        A sentence when the choice may surprise.

    Examples
    --------
    >>> guess_delimiter('"a,b,c";d;e', Path("table.csv"))[0]
    ';'
    """
    unquoted = re.sub(r'"[^"]*"', "", header)
    is_tsv = path.name.lower().removesuffix(".gz").endswith(".tsv")
    delimiter = "\t" if is_tsv and "\t" in unquoted else max(",\t;", key=unquoted.count)
    if delimiter != ";":
        return delimiter, []
    return delimiter, ["cells are separated by ';' (as spreadsheets in some countries save them)"]


def tidy_label(text: str) -> str:
    """Return a name with outer blanks removed and inner spaces turned to underscores.

    Examples
    --------
    >>> tidy_label(" Papilio machaon ")
    'Papilio_machaon'
    """
    return text.strip().replace(" ", "_")


def read_utf8(path: str | Path) -> tuple[bytes, list[str]]:
    """Read a text file as UTF-8, whatever a spreadsheet made of it.

    Parameters
    ----------
    path : path
        Optionally gzip (told by content). UTF-8 with or without its mark, UTF-16 with its mark;
        anything else is read as Windows-1252.

    Returns
    -------
    content : bytes
        UTF-8 without a mark, line ends as they are.
    notes : list of str
        Sentences on what had to be worked around.

    Raises
    ------
    InputError
        When the file is missing, damaged or not text.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError("no such file" if not path.exists() else "not a file", where=path)
    try:
        raw = path.read_bytes()
        if raw.startswith(b"\x1f\x8b"):
            raw = gzip.decompress(raw)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(
            f"cannot be read ({error})", where=path, remedy="Fetch or copy the file again."
        ) from error
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            return raw.decode("utf-16").encode(), ["the file is UTF-16"]
        except UnicodeError as error:
            raise InputError("begins as UTF-16 but is not", where=path) from error
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    if b"\0" in raw:
        raise InputError("not a text file", where=path)
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        note = f"not UTF-8 at byte {error.start:,}; read as Windows-1252"
        return raw.decode("cp1252", errors="replace").encode(), [note]
    return raw, []
