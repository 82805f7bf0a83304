"""FASTA (and FASTQ) files to sequences and back, and the table that says whose they are.

Strict where a silent repair would change a distance: letters outside the alphabet, repeated ids,
empty records and mixed kinds of molecule are errors that name the record. Comparing sequences is
elsewhere.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from kinlens.errors import InputError, UsageError, did_you_mean
from kinlens.io.compressed import written_atomically
from kinlens.io.delimited import HEADER_FIRST
from kinlens.io.metadata import read_table
from kinlens.records.sequences import (
    ALPHABETS,
    GAPS,
    Alphabet,
    SequenceSet,
    guess_alphabet,
    looks_like_nucleotides,
)
from kinlens.records.taxonomy import tidy_names

__all__ = [
    "first_letters",
    "iterate_fasta",
    "iterate_headers",
    "join_species",
    "read_fasta",
    "read_sequence_species",
    "write_fasta",
]

# Records read together from a file that is read lazily; the first ones tell the alphabet.
_SAMPLE = 1000
_NAMES = {"dna": "DNA", "rna": "RNA", "protein": "protein"}
_BLANKS = b" \t\r\n"


def read_fasta(path: str | Path, *, alphabet: Alphabet | None = None) -> SequenceSet:
    r"""Read all sequences of a FASTA file.

    Parameters
    ----------
    path : path
        FASTA, or FASTQ whose qualities are dropped; plain or gzip, told by content.
    alphabet : {"dna", "rna", "protein"}, optional
        What the letters stand for; told from the letters when left out. With ``"dna"`` U is read
        as T, with ``"rna"`` T as U.

    Returns
    -------
    SequenceSet
        The id is the header's first word. Letters are upper case; gaps (``-`` and ``.``) and
        IUPAC ambiguity codes stay; blanks within a sequence are removed.

    Raises
    ------
    InputError
        When the file is missing, empty, damaged or not FASTA; for repeated or missing ids, records
        without letters, letters outside the alphabet (with id and position), nucleotides among
        proteins. The message names the records.

    Examples
    --------
    >>> file = getfixture("tmp_path") / "a.fasta"
    >>> _ = file.write_text(">r1 first\nacgt\nNN--\n>r2\nACG\n")
    >>> reads = read_fasta(file)
    >>> reads.sequences, reads.alphabet
    ((b'ACGTNN--', b'ACG'), 'dna')
    """
    path = Path(path)
    records = list(_records(path))
    if not records:
        raise InputError("the file holds no sequences", where=path)
    ids, sequences = zip(*records, strict=True)
    repeated = [name for name, count in Counter(ids).items() if count > 1]
    if repeated:
        raise InputError(
            "ids that occur more than once",
            where=path,
            offenders=repeated,
            remedy="The id is the first word after '>'; make each one different.",
        )
    reader = _LetterReader(path, sequences, alphabet)
    return SequenceSet(ids, tuple(reader.read(ids, sequences)))


def iterate_fasta(
    path: str | Path, *, alphabet: Alphabet | None = None
) -> Iterator[tuple[str, bytes]]:
    """Yield the id and the letters of one record after the other, without holding the file.

    Parameters
    ----------
    path, alphabet
        As in `read_fasta`; an alphabet that is not given is told from the first 1,000 records.

    Raises
    ------
    InputError
        As in `read_fasta`, at most 1,000 records early; repeated ids are not looked for.
    """
    path = Path(path)
    records = _records(path)
    sample = list(islice(records, _SAMPLE))
    if not sample:
        raise InputError("the file holds no sequences", where=path)
    reader = _LetterReader(path, [sequence for _name, sequence in sample], alphabet)
    while sample:
        ids, sequences = zip(*sample, strict=True)
        yield from zip(ids, reader.read(ids, sequences), strict=True)
        sample = list(islice(records, _SAMPLE))


def iterate_headers(path: str | Path) -> Iterator[str]:
    """Yield the header of each record of a FASTA file, without ``>``; the letters are passed over.

    Raises
    ------
    InputError
        When the file is missing, empty, damaged or not FASTA.
    """
    path = Path(path)
    number = 0
    try:
        with _opened(path) as file:
            for line in file:
                if line.startswith(b">"):
                    number += 1
                    yield line[1:].decode("utf-8", errors="replace").strip(" \t\r\n")
    except (OSError, EOFError, zlib.error) as error:
        raise _cut_off(path, number, error) from error


def first_letters(path: str | Path, *, most: int = 1000) -> bytes:
    """Return the letters at the beginning of a FASTA file, capitals, of one or several records.

    Parameters
    ----------
    path : path
        Perhaps compressed.
    most : int
        After so many the line that is being read is the last.

    Raises
    ------
    InputError
        When the file is missing, empty, damaged or not FASTA.
    """
    path = Path(path)
    letters = b""
    try:
        with _opened(path) as file:
            for line in file:
                if not line.startswith(b">"):
                    letters += line.strip().upper()
                if len(letters) >= most:
                    break
    except (OSError, EOFError, zlib.error) as error:
        raise _cut_off(path, 0, error) from error
    return letters


def write_fasta(sequences: SequenceSet, path: str | Path, *, width: int = 80) -> None:
    """Write sequences as FASTA, atomically; equal sequences give equal bytes.

    Parameters
    ----------
    sequences : SequenceSet
        Species are not written; see `read_sequence_species` for their table.
    path : path
        Compressed when the name ends in ``.gz``.
    width : int
        Letters per line.
    """
    if width < 1:
        raise UsageError(f"width must be at least 1, not {width}.")
    with written_atomically(path) as file:
        for name, letters in sequences:
            lines = [letters[start : start + width] for start in range(0, len(letters), width)]
            file.write(b"\n".join([b">" + name.encode(), *lines, b""]))


def read_sequence_species(path: str | Path) -> dict[str, str]:
    """Read the table that says which species each sequence belongs to.

    Parameters
    ----------
    path : path
        A table with the columns ``id`` and ``species``; other columns are ignored.

    Returns
    -------
    dict
        ``{id: species}``, spaces in species turned to underscores; rows without a species have
        the value "".

    Raises
    ------
    InputError
        When a column is missing, or an id is blank or has two species.
    """
    path = Path(path)
    frame, _notes = read_table(path)
    for column in ("id", "species"):
        if column not in frame.columns:
            raise InputError(
                f"no column {column!r}",
                where=path,
                remedy=f"{did_you_mean(column, list(map(str, frame.columns)))} {HEADER_FIRST}",
            )
    ids = frame["id"].str.strip().tolist()
    blank = [f"line {row}" for row, name in enumerate(ids, start=2) if not name]
    if blank:
        raise InputError("rows without an id", where=path, offenders=blank)
    species: dict[str, str] = {}
    for name, wanted in zip(ids, tidy_names(frame["species"]).fillna(""), strict=True):
        if species.setdefault(name, wanted) != wanted:
            raise InputError(
                f"sequence {name!r} has two species, {species[name]!r} and {wanted!r}", where=path
            )
    return species


def join_species(
    sequences: SequenceSet, species: Mapping[str, str], *, where: str | Path | None = None
) -> SequenceSet:
    """Give each sequence the species that a table says.

    Parameters
    ----------
    sequences : SequenceSet
        Sequences.
    species : mapping of str to str
        ``{id: species}``, "" where it is not known.
    where : path, optional
        The table, for the message.

    Raises
    ------
    InputError
        When the table has ids without a sequence, or lacks ids that have one; the message holds
        the nearest id.

    Examples
    --------
    >>> reads = SequenceSet(("r1", "r2"), (b"AC", b"GT"))
    >>> join_species(reads, {"r1": "Papilio_machaon", "r2": ""}).species
    ('Papilio_machaon', None)
    """
    known = set(sequences.ids)
    unused = [name for name in species if name not in known]
    if unused:
        raise InputError(
            f"{len(unused):,} ids that have no sequence",
            where=where,
            offenders=unused,
            remedy=did_you_mean(unused[0], sequences.ids),
        )
    missing = [name for name in sequences.ids if name not in species]
    if missing:
        raise InputError(
            f"no row for {len(missing):,} of {len(sequences):,} sequences",
            where=where,
            offenders=missing,
            remedy="Add them, with an empty cell where the species is not known.",
        )
    return SequenceSet(
        sequences.ids, sequences.sequences, tuple(species[name] or None for name in sequences.ids)
    )


# --- records


def _records(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield ids and letters as they stand in the file, blanks removed."""
    import dnaio

    number, name = 0, ""
    try:
        with _opened(path) as file:
            # dnaio would go by the file's name.
            kind = "fastq" if file.read(1) == b"@" else "fasta"
            file.seek(file.tell() - 1)
            records = dnaio.open(file, fileformat=kind)
            for number, record in enumerate(records, start=1):
                name = record.id
                if not name:
                    raise InputError(f"record {number:,} has no id after '>'", where=path)
                letters = record.sequence.encode("ascii")
                if b" " in letters or b"\t" in letters:
                    letters = letters.translate(None, _BLANKS)
                if not letters:
                    raise InputError(
                        f"sequence {name!r} (record {number:,}) has no letters",
                        where=path,
                        remedy="Delete the record, or fill it in.",
                    )
                yield name, letters
    except InputError:
        raise
    except (UnicodeError, dnaio.FileFormatError) as error:
        after = f"after record {number:,} ({name})" if number else "at its start"
        raise InputError(f"not FASTA {after}: {_first_line(error)}", where=path) from error
    except (OSError, EOFError, zlib.error) as error:
        raise _cut_off(path, number, error) from error


def _cut_off(path: Path, number: int, error: BaseException) -> InputError:
    reason = getattr(error, "strerror", None) or _first_line(error)
    return InputError(
        f"cannot be read after {number:,} records ({reason})",
        where=path,
        remedy="Fetch or copy the file again.",
    )


def _opened(path: Path) -> Any:
    """Open the file at its first record, unpacked; name what is no FASTA at all."""
    if not path.is_file():
        raise InputError("no such file" if not path.exists() else "not a file", where=path)
    from xopen import xopen

    # threads=0: within this process.
    file = xopen(path, "rb", threads=0)
    try:
        return _at_first_record(file, path)
    except BaseException:
        file.close()
        raise


def _at_first_record(file: Any, path: Path) -> Any:
    head = b""
    while not head:  # dnaio wants the record mark in the very first byte
        start = file.tell()
        line = file.readline(1000)
        if not line:
            break
        head = line.removeprefix(b"\xef\xbb\xbf").strip()
        skip = len(line) - len(line.removeprefix(b"\xef\xbb\xbf").lstrip())
    if not head:
        raise InputError("the file is empty", where=path)
    if head[:1] not in (b">", b"@", b"#", b";"):
        shown = head[:40].decode("ascii", errors="replace")
        what = "an HTML page" if head[:9].lower() in (b"<!doctype", b"<html>") else f"{shown!r}"
        raise InputError(
            f"not FASTA: it starts with {what} instead of '>'",
            where=path,
            remedy="Each record is a line '>id' and then its letters.",
        )
    file.seek(start + skip)
    return file


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


# --- letters


class _LetterReader:
    """Turns letters as they stand in a file into upper-case letters of one alphabet."""

    def __init__(self, path: Path, sample: Sequence[bytes], alphabet: Alphabet | None) -> None:
        if alphabet is not None and alphabet not in ALPHABETS:
            raise UsageError(f"alphabet {alphabet!r}. {did_you_mean(alphabet, list(ALPHABETS))}")
        self.path = path
        self.is_told = alphabet is None
        self.alphabet = alphabet or guess_alphabet([letters.upper() for letters in sample])
        self.allowed = ALPHABETS[self.alphabet] + GAPS
        self.turned = {"dna": (b"U", b"T"), "rna": (b"T", b"U")}.get(alphabet or "")

    def read(self, ids: Sequence[str], sequences: Sequence[bytes]) -> list[bytes]:
        """Return the letters of each sequence, or raise with all those at fault."""
        faults: list[str] = []
        nucleotides: list[str] = []
        letters: list[bytes] = []
        for name, sequence in zip(ids, sequences, strict=True):
            upper = sequence.upper()
            if self.turned:
                upper = upper.replace(*self.turned)
            letters.append(upper)
            if unknown := upper.translate(None, self.allowed):
                position = upper.index(unknown[:1]) + 1
                shown = unknown[:1].decode("ascii", errors="replace")
                faults.append(f"{shown!r} at position {position:,} of {name}")
            elif self.is_told and self.alphabet == "protein" and looks_like_nucleotides(upper):
                nucleotides.append(name)
        if faults:
            raise InputError(
                f"letters that are not {_NAMES[self.alphabet]}",
                where=self.path,
                offenders=faults,
                remedy=self._remedy(faults),
            )
        if nucleotides:
            raise InputError(
                "nucleotides among proteins",
                where=self.path,
                offenders=nucleotides,
                remedy="Split the file; or say that the alphabet is protein if they are.",
            )
        return letters

    def _remedy(self, faults: Sequence[str]) -> str:
        if self.is_told and faults[0].startswith(
            {"dna": "'U'", "rna": "'T'"}.get(self.alphabet, "!")
        ):
            return "The file mixes DNA and RNA; say which alphabet to read it as."
        if self.alphabet == "protein":
            return "The 20 amino acids, B J O U X Z, '*' and gaps ('-' or '.') are known."
        return "The IUPAC letters ACGT (or U) RYSWKMBDHVN and gaps ('-' or '.') are known."
