"""BIMAGES, the bivalve images of Hofmann et al. (2024), to a dataset folder.

    source/meta.tsv            family genus species filename ansicht order subclass species_name ...
    source/edge_lengths.csv    genetic distances between families
    source/IMAGES_final/Arcidae_Anadara_tuberculosa_WoRMS_001-002.jpg     (from images.zip)

A file's name is family, genus, epithet, source and number of the specimen, then the number of the
view: pictures that differ in the last only show one specimen.

References
----------
Hofmann, M., Kiel, S., Koesters, L. M., Waeldchen, J. and Maeder, P. (2024) Inferring taxonomic
affinities and genetic distances using morphological features extracted from specimen images: a
case study with a bivalve data set. Systematic Biology 73, 920-940.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from kinlens.errors import InputError, did_you_mean
from kinlens.io.convert.dataset_folder import (
    ConversionOptions,
    ConversionReport,
    DatasetContents,
    require_folder,
    write_dataset,
)
from kinlens.io.delimited import tidy_label
from kinlens.io.distances import write_distances
from kinlens.io.metadata import read_table
from kinlens.records.collection import Problem
from kinlens.records.distances import DistanceMatrix

__all__ = ["convert"]

_NEEDED = ("family", "genus", "species", "filename")
# The column "ansicht" (view) is in German.
_VIEWS = {"aussen": "outside", "innen": "inside"}
_VIEW_NUMBER = re.compile(r"-\d+$")
# Row numbers and codes of the names, which the names themselves replace.
_DERIVED = re.compile(r"^(Unnamed: .*||Index|.*_idx)$")


def convert(
    source: str | Path, dataset: str | Path, *, options: ConversionOptions | None = None
) -> ConversionReport:
    """Convert the unpacked BIMAGES.

    Parameters
    ----------
    source : path
        The folder with ``meta.tsv`` and the unpacked pictures at the paths that its column
        ``filename`` gives, in the same folder or in ``images``.
    dataset : path
        The dataset folder to make.
    options : ConversionOptions, optional
        How pictures are placed.

    Returns
    -------
    ConversionReport
        Columns are ``image, specimen, species, genus, family, order, subclass, view`` and whatever
        else ``meta.tsv`` holds but codes. The distances between families, when they are there,
        become ``distances.csv`` with ``rank = "family"``.

    Raises
    ------
    InputError
        When ``meta.tsv`` is missing, lacks a column, or none of its pictures is there.
    UsageError
        When something is at `dataset` already.
    """
    source = require_folder(source)
    table = source / "meta.tsv"
    meta, _notes = read_table(table)
    missing = [name for name in _NEEDED if name not in meta.columns]
    if missing:
        raise InputError(
            f"no column {missing[0]!r}", where=table, remedy=did_you_mean(missing[0], [*meta])
        )
    frame = _metadata(meta)
    pictures, problems = {}, []
    present = []
    for row, (name, image) in enumerate(zip(meta["filename"], frame["image"], strict=True)):
        path = _find(source, name)
        if path is None:
            problems.append(
                Problem("skip", "missing", name, f"meta.tsv row {row + 2}", "no such file")
            )
            continue
        present.append(row)
        pictures[image] = path
    if not present:
        raise InputError(
            f"not one of the {len(meta):,} pictures of meta.tsv is there",
            where=source,
            remedy="Unpack images.zip here (its authors give the password for research).",
        )
    settings: dict[str, object] = {"name": "BIMAGES"}
    tables = {}
    edges = source / "edge_lengths.csv"
    if edges.is_file():
        distances = _read_edge_lengths(edges)
        tables["distances.csv"] = lambda path: write_distances(distances, path)
        settings["rank"] = "family"
    contents = DatasetContents(
        frame.iloc[present], pictures, settings, tables=tables, problems=tuple(problems)
    )
    return write_dataset(dataset, contents, options=options or ConversionOptions(), source=source)


def _metadata(meta: pd.DataFrame) -> pd.DataFrame:
    stems = [PurePosixPath(name.replace("\\", "/")) for name in meta["filename"]]
    frame = pd.DataFrame(
        {
            "image": [f"images/{path.name}" for path in stems],
            "specimen": [_VIEW_NUMBER.sub("", path.stem) for path in stems],
            "species": [
                _species(genus, species)
                for genus, species in zip(meta["genus"], meta["species"], strict=True)
            ],
        }
    )
    for rank in ("genus", "family", "order", "subclass"):
        if rank in meta.columns:
            frame[rank] = meta[rank].map(tidy_label).to_numpy()
    if "ansicht" in meta.columns:
        frame["view"] = meta["ansicht"].replace(_VIEWS).to_numpy()
    used = {*frame.columns, "filename", "ansicht", "species_name"}
    for name in meta.columns:
        if name not in used and not _DERIVED.match(str(name)):
            frame[name] = meta[name].to_numpy()
    return frame


def _species(genus: str, species: str) -> str:
    """Turn ``Abratepocana`` of the genus ``Abra`` into ``Abra_tepocana``."""
    genus, species = tidy_label(genus), tidy_label(species)
    epithet = species.removeprefix(genus).lstrip("_")
    return f"{genus}_{epithet}" if epithet else genus


def _find(source: Path, name: str) -> Path | None:
    relative = PurePosixPath(name.replace("\\", "/"))
    if relative.is_absolute() or ".." in relative.parts:
        return None
    places = (source / relative, source / "images" / relative, source / "images" / relative.name)
    return next((place for place in places if place.is_file()), None)


def _read_edge_lengths(path: Path) -> DistanceMatrix:
    """Read the matrix whose rows and columns are families, after an optional row number."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        header, *rows = [row for row in csv.reader(file) if row]
    first = header.index("family") if "family" in header else 0
    names = [tidy_label(name) for name in header[first + 1 :]]
    labels = [tidy_label(row[first]) for row in rows]
    if labels != names:
        raise InputError(
            "rows and columns do not name the same families in the same order",
            where=path,
            offenders=[a for a, b in zip(labels, names, strict=False) if a != b],
        )
    try:
        values = np.array([row[first + 1 :] for row in rows], dtype=np.float64)
        return DistanceMatrix(tuple(names), values)
    except InputError as error:
        raise InputError(error.problem, where=path, offenders=error.offenders) from error
    except ValueError as error:
        raise InputError(f"not a table of numbers ({error})", where=path) from error
