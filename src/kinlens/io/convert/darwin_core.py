"""A Darwin Core archive, such as a GBIF occurrence download, to a dataset folder.

    source/meta.xml          which file holds what, and the term of each column
    source/occurrence.txt    one row a specimen or sighting
    source/multimedia.txt    one row a picture, with its address
    source/...               the pictures themselves, fetched beforehand

Nothing is downloaded: pictures are looked for in the archive, or in a folder of their own.
"""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeAlias
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

import pandas as pd

from kinlens.errors import InputError
from kinlens.io.convert.dataset_folder import (
    ConversionOptions,
    ConversionReport,
    DatasetContents,
    PictureSource,
    ZippedFile,
    find_pictures,
    write_dataset,
)
from kinlens.io.delimited import tidy_label
from kinlens.io.images import SUFFIXES
from kinlens.records.collection import Problem
from kinlens.records.taxonomy import RANKS

__all__ = ["convert"]

_Row: TypeAlias = dict[str, str]

_NAMESPACE = "{http://rs.tdwg.org/dwc/text/}"
_RANKS = tuple(rank for rank in RANKS if rank != "species")
_PASSED_ON = (
    "sex",
    "lifeStage",
    "basisOfRecord",
    "eventDate",
    "countryCode",
    "decimalLatitude",
    "decimalLongitude",
    "institutionCode",
    "collectionCode",
    "catalogNumber",
    "license",
    "rightsHolder",
)
_OF_OCCURRENCES = (
    *("gbifID", "occurrenceID", "species", "specificEpithet", "scientificName", "associatedMedia"),
    *_RANKS,
    *_PASSED_ON,
)
_OWN_IDS = ("gbifID", "occurrenceID")
_OF_MEDIA = ("type", "format", "identifier", "accessURI", "creator", "license", "rightsHolder")


def convert(
    source: str | Path,
    dataset: str | Path,
    *,
    media: str | Path | None = None,
    options: ConversionOptions | None = None,
) -> ConversionReport:
    """Convert a Darwin Core archive whose pictures are there as files.

    Parameters
    ----------
    source : path
        The archive as a ``.zip`` file or an unpacked folder. Without ``meta.xml`` the files
        ``occurrence.txt`` and ``multimedia.txt`` are read by their header lines.
    dataset : path
        The dataset folder to make.
    media : path, optional
        The folder with the pictures; the archive itself when left out. The picture of a row is the
        file at the path that the row gives, or the file named as the address ends, or
        ``{gbifID}.jpg`` (``{gbifID}_1.jpg``, ``{gbifID}_2.jpg`` when a record has several).
    options : ConversionOptions, optional
        How pictures are placed.

    Returns
    -------
    ConversionReport
        Columns are ``image, specimen, species``, the ranks, and what reuse needs (``license``,
        ``rightsHolder``, ``creator``, ``source_url``, ``gbifID``). ``species`` is the column of
        that name, else genus and epithet, else the first two words of ``scientificName``. Rows
        whose picture is not there, or that cannot be told from others, are left out.

    Raises
    ------
    InputError
        When the archive cannot be read, has no occurrences, or not one picture is there.
    UsageError
        When something is at `dataset` already.
    """
    source = Path(source)
    archive = _Archive.opened(source)
    core, extension = _described_tables(archive)
    occurrences = {row["_id"]: row for row in core.read(archive, _OF_OCCURRENCES)}
    media_rows = _listed_media(archive, extension, occurrences)
    pictures = [row for row in media_rows if _is_picture(row)]
    problems: list[Problem] = []
    if others := len(media_rows) - len(pictures):
        reason = f"{others:,} media are sounds, films or documents"
        problems.append(Problem("note", "no-picture", "multimedia", "", reason))
    problems += [
        Problem("skip", "no-occurrence", row["identifier"], row["_id"], "its record is not there")
        for row in pictures
        if row["_id"] not in occurrences
    ]
    listed = [row for row in pictures if row["_id"] in occurrences]

    finder = _PictureFinder(archive, Path(media) if media is not None else None)
    found, missed = finder.find(listed)
    rows = [
        _row(listed[at], occurrences[listed[at]["_id"]], image) for at, (image, _) in found.items()
    ]
    contents = DatasetContents(
        pd.DataFrame(rows).dropna(axis="columns", how="all"),
        dict(found.values()),
        problems=(*problems, *missed),
    )
    if listed and not rows:
        raise InputError(
            f"not one of {len(listed):,} pictures is there as a file",
            where=media or source,
            offenders=[row["identifier"] for row in listed],
            remedy="Fetch them first; an archive holds only their addresses.",
        )
    return write_dataset(dataset, contents, options=options or ConversionOptions(), source=source)


# --- the archive as a folder or a ZIP file


@dataclass(frozen=True, eq=False)
class _Archive:
    """Files by their names relative to the archive."""

    path: Path
    files: Mapping[str, PictureSource]

    @classmethod
    def opened(cls, path: Path) -> _Archive:
        if path.is_dir():
            files = {
                file.relative_to(path).as_posix(): file
                for file in sorted(path.rglob("*"))
                if file.is_file()
            }
            return cls(path, files)
        if not path.exists():
            raise InputError("no such file or folder", where=path)
        if not zipfile.is_zipfile(path):
            raise InputError("neither a folder nor a ZIP archive", where=path)
        with zipfile.ZipFile(path) as packed:
            names = sorted(item.filename for item in packed.infolist() if not item.is_dir())
        return cls(path, {name: ZippedFile(path, name) for name in names})

    def read(self, name: str) -> bytes:
        file = self.files.get(name)
        if file is None:
            raise InputError(f"no file {name!r} in the archive", where=self.path)
        if isinstance(file, Path):
            return file.read_bytes()
        try:
            with zipfile.ZipFile(file.archive) as packed:
                return packed.read(file.name)
        except (zipfile.BadZipFile, RuntimeError, OSError) as error:
            raise InputError(f"{name} cannot be unpacked ({error})", where=self.path) from error

    def pictures(self) -> dict[str, PictureSource]:
        return {
            name: file
            for name, file in self.files.items()
            if PurePosixPath(name).suffix.lower() in SUFFIXES
            and not PurePosixPath(name).name.startswith(".")
            and not name.startswith("__MACOSX/")
        }


# --- its tables


@dataclass(frozen=True)
class _Table:
    """How one table of the archive is written down."""

    location: str
    terms: Mapping[int, str]
    constants: Mapping[str, str]
    id_column: int | None
    delimiter: str
    quote: str
    header_lines: int
    encoding: str

    def read(self, archive: _Archive, wanted: Sequence[str]) -> list[_Row]:
        """Return the wanted terms of each row, "" where missing, and ``_id``, the record's id."""
        columns = {index: term for index, term in self.terms.items() if term in wanted}
        id_column = self.id_column
        if id_column is None:
            own = [index for index, term in self.terms.items() if term in _OWN_IDS]
            if not own:
                raise InputError("no column of record ids", where=f"{archive.path}/{self.location}")
            id_column = own[0]
        places = sorted({*columns, id_column})
        try:
            frame = pd.read_csv(
                io.BytesIO(archive.read(self.location)),
                sep=self.delimiter,
                header=None,
                skiprows=self.header_lines,
                usecols=places,
                dtype=str,
                keep_default_na=False,
                encoding=self.encoding,
                quotechar=self.quote or '"',
                quoting=csv.QUOTE_MINIMAL if self.quote else csv.QUOTE_NONE,
            )
        except pd.errors.EmptyDataError:
            frame = pd.DataFrame(columns=places, dtype=str)
        except (ValueError, LookupError) as error:
            reason = str(error).strip().splitlines()[0]
            raise InputError(
                f"cannot be read as meta.xml describes it ({reason})",
                where=f"{archive.path}/{self.location}",
            ) from error
        blank = {term: self.constants.get(term, "") for term in wanted}
        cells = [frame[index].str.strip().tolist() for index in [id_column, *columns]]
        names = ["_id", *columns.values()]
        return [blank | dict(zip(names, row, strict=True)) for row in zip(*cells, strict=True)]


def _described_tables(archive: _Archive) -> tuple[_Table, _Table | None]:
    if "meta.xml" not in archive.files:
        return _tables_by_header(archive)
    try:
        root = ElementTree.fromstring(archive.read("meta.xml"))
    except ElementTree.ParseError as error:
        raise InputError(f"not XML ({error})", where=f"{archive.path}/meta.xml") from error
    core = root.find(f"{_NAMESPACE}core")
    if core is None:
        raise InputError("no core table is described", where=f"{archive.path}/meta.xml")
    if not core.get("rowType", "").endswith("/Occurrence"):
        raise InputError(
            f"the core holds {core.get('rowType', '').rpartition('/')[2] or 'nothing'} rows, "
            "not occurrences",
            where=f"{archive.path}/meta.xml",
            remedy="Download occurrences, as a Darwin Core archive.",
        )
    extensions = [
        element
        for element in root.findall(f"{_NAMESPACE}extension")
        # GBIF's own Simple Multimedia, and Audubon Core, end alike.
        if element.get("rowType", "").endswith("/Multimedia")
    ]
    described = _table(archive, extensions[0], "coreid") if extensions else None
    return _table(archive, core, "id"), described


def _table(archive: _Archive, element: ElementTree.Element, id_name: str) -> _Table:
    location = element.findtext(f"{_NAMESPACE}files/{_NAMESPACE}location", "").strip()
    terms: dict[int, str] = {}
    constants: dict[str, str] = {}
    for described in element.findall(f"{_NAMESPACE}field"):
        term = described.get("term", "").rpartition("/")[2]
        index = described.get("index")
        if index is None:
            constants[term] = described.get("default", "")
        elif term not in terms.values():
            terms[int(index)] = term
    id_element = element.find(f"{_NAMESPACE}{id_name}")
    return _Table(
        location=location,
        terms=terms,
        constants=constants,
        id_column=None if id_element is None else int(id_element.get("index", "0")),
        delimiter=_unescaped(element.get("fieldsTerminatedBy", ",")),
        quote=_unescaped(element.get("fieldsEnclosedBy", '"')),
        header_lines=int(element.get("ignoreHeaderLines", "0") or 0),
        encoding=element.get("encoding", "UTF-8"),
    )


def _unescaped(text: str) -> str:
    return text.replace("\\t", "\t").replace("\\n", "\n").replace("\\r", "\r")


def _tables_by_header(archive: _Archive) -> tuple[_Table, _Table | None]:
    tables: list[_Table | None] = []
    for name in ("occurrence.txt", "multimedia.txt"):
        if name not in archive.files:
            tables.append(None)
            continue
        header = archive.read(name).split(b"\n", 1)[0].decode("utf-8-sig").strip("\r")
        terms = dict(enumerate(header.split("\t")))
        ids = [index for index, term in terms.items() if term in ("gbifID", "coreid", "id")]
        tables.append(_Table(name, terms, {}, ids[0] if ids else None, "\t", "", 1, "utf-8"))
    core, extension = tables
    if core is None:
        raise InputError(
            "neither meta.xml nor occurrence.txt is there",
            where=archive.path,
            remedy="A Darwin Core archive has both.",
        )
    return core, extension


def _listed_media(
    archive: _Archive, extension: _Table | None, occurrences: Mapping[str, _Row]
) -> list[_Row]:
    """Return one row a medium: its record's ``_id`` and its address in ``identifier``."""
    if extension is not None:
        # Audubon Core calls the file's address accessURI.
        return [
            row | {"identifier": row["accessURI"] or row["identifier"]}
            for row in extension.read(archive, _OF_MEDIA)
        ]
    blank = dict.fromkeys(_OF_MEDIA, "")
    return [
        blank | {"_id": record, "identifier": address.strip()}
        for record, row in occurrences.items()
        for address in re.split(r"[|;]", row["associatedMedia"])
        if address.strip()
    ]


def _is_picture(row: _Row) -> bool:
    kind, mime = row["type"].lower(), row["format"].lower()
    return kind in ("", "stillimage", "image") and ("/" not in mime or mime.startswith("image/"))


# --- its pictures


class _PictureFinder:
    """Finds the file of each row; remembers nothing but what files there are."""

    def __init__(self, archive: _Archive, media: Path | None) -> None:
        if media is None:
            self.files = archive.pictures()
        else:
            if not media.is_dir():
                raise InputError("no such folder of pictures", where=media)
            self.files = {file.relative_to(media).as_posix(): file for file in find_pictures(media)}
        self.by_name: dict[str, list[str]] = {}
        self.by_stem: dict[str, list[str]] = {}
        for name in self.files:
            path = PurePosixPath(name)
            self.by_name.setdefault(path.name, []).append(name)
            self.by_stem.setdefault(path.stem, []).append(name)

    def find(
        self, listed: Sequence[_Row]
    ) -> tuple[dict[int, tuple[str, PictureSource]], list[Problem]]:
        """Return, by row, the name in the dataset and the file; and the rows without one."""
        of_record = Counter(row["_id"] for row in listed)
        number: Counter[str] = Counter()
        names: dict[int, str] = {}
        problems: list[Problem] = []
        for at, row in enumerate(listed):
            record, address = row["_id"], row["identifier"]
            number[record] += 1
            matches = self._matches(address, record, number[record], of_record[record])
            if len(matches) == 1:
                names[at] = matches[0]
            elif matches:
                reason = f"{len(matches)} files have this name: {', '.join(matches[:3])}"
                problems.append(Problem("skip", "ambiguous", address, record, reason))
            else:
                problems.append(Problem("skip", "missing", address, record, "no file for it"))
        claims = Counter(names.values())
        for at, name in list(names.items()):
            if claims[name] > 1:
                reason = f"{name} would be the picture of {claims[name]} rows"
                row = listed[at]
                problems.append(Problem("skip", "ambiguous", row["identifier"], row["_id"], reason))
                del names[at]
        found = {
            at: (f"images/{name.removeprefix('images/')}", self.files[name])
            for at, name in names.items()
        }
        return found, problems

    def _matches(self, address: str, record: str, number: int, of_record: int) -> list[str]:
        parts = urlsplit(address)
        if not parts.scheme and address.lstrip("./") in self.files:
            return [address.lstrip("./")]
        name = PurePosixPath(unquote(parts.path)).name
        # An address such as .../default.jpg names every picture of a server alike.
        if name in self.by_name:
            return self.by_name[name]
        stems = [f"{record}_{number}", f"{record}-{number}"]
        stems += [record] if of_record == 1 else []
        return [match for stem in stems for match in self.by_stem.get(stem, [])]


def _row(medium: _Row, record: _Row, image: str) -> dict[str, str | None]:
    row: dict[str, str | None] = {
        "image": image,
        "specimen": record["occurrenceID"] or record["catalogNumber"] or record["_id"],
        "species": _species(record),
    }
    row |= {rank: tidy_label(record[rank]) or None for rank in _RANKS}
    row |= {name: record[name] or None for name in _PASSED_ON}
    # What is said of the picture itself comes before what is said of the specimen.
    for name in ("license", "rightsHolder", "creator"):
        row[name] = medium[name] or row.get(name)
    row["source_url"] = medium["identifier"]
    row["gbifID"] = record["gbifID"] or None
    return row


def _species(record: _Row) -> str:
    if record["species"]:
        return tidy_label(record["species"])
    if record["genus"] and record["specificEpithet"]:
        return tidy_label(f"{record['genus']} {record['specificEpithet']}")
    # "Papilio machaon Linnaeus, 1758"; not "Papilio sp." or a genus with its author.
    binomial = re.match(r"([A-Z][a-z-]+) ([a-z][a-z-]+)(?![a-z.-])", record["scientificName"])
    return "_".join(binomial.groups()) if binomial else ""
