"""Endless Forams, the image library of modern planktonic foraminifera, to a dataset folder.

    source/[train|validation/]Globigerinoides_ruber/14002-Globigerinoides_ruber.jpg
    source/11 - Globigerinoides ruber/images/14002.jpg      (as handed on by later studies)

One picture shows one specimen, so no column ``specimen`` is made.

References
----------
Hsiang, A. Y. et al. (2019) Endless Forams: >34,000 modern planktonic foraminiferal images for
taxonomic training and automated species recognition using convolutional neural networks.
Paleoceanography and Paleoclimatology 34, 1157-1177.
"""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from kinlens.errors import InputError
from kinlens.io.convert.class_folders import split_level
from kinlens.io.convert.dataset_folder import (
    ConversionOptions,
    ConversionReport,
    DatasetContents,
    find_pictures,
    require_folder,
    write_dataset,
)
from kinlens.records.collection import Problem

__all__ = ["convert"]

# "11 - Globigerinoides ruber" or "27-Neogloboquadrina incompta": numbers of later studies.
_NUMBERED = re.compile(r"^\d+\s*-\s*")
_SPECIES = re.compile(r"^[A-Z][a-z]+_[a-z][a-z-]+$")


def convert(
    source: str | Path, dataset: str | Path, *, options: ConversionOptions | None = None
) -> ConversionReport:
    """Convert the unpacked images of Endless Forams.

    Parameters
    ----------
    source : path
        The folder of class folders, or the one above its ``train`` and ``validation``.
    dataset : path
        The dataset folder to make.
    options : ConversionOptions, optional
        How pictures are placed.

    Returns
    -------
    ConversionReport
        Columns are ``image, species, genus, class_name`` and, when the pictures are split,
        ``published_split``. The class of what is no planktonic foraminifer has no species; its
        pictures are kept and noted.

    Raises
    ------
    InputError
        When there is no such folder or no picture in a class folder.
    UsageError
        When something is at `dataset` already.
    """
    source = require_folder(source)
    skip = split_level(source)
    rows, pictures, problems = [], {}, []
    without_species: dict[str, int] = {}
    for path in find_pictures(source):
        relative = path.relative_to(source)
        *folders, name = relative.parts
        if len(folders) <= skip:
            problems.append(
                Problem("skip", "no-class", relative.as_posix(), "", "not inside a class folder")
            )
            continue
        class_name = _NUMBERED.sub("", folders[skip]).strip()
        species = class_name.replace(" ", "_")
        if not _SPECIES.match(species):
            without_species[class_name] = without_species.get(class_name, 0) + 1
            species = ""
        split = folders[:skip]
        image = "/".join(["images", *split, class_name.replace(" ", "_"), name])
        rows.append(
            {
                "image": image,
                "species": species,
                "genus": species.partition("_")[0],
                "class_name": class_name,
                **({"published_split": split[0]} if split else {}),
            }
        )
        pictures[image] = path
    if rows and not any(row["species"] for row in rows):
        raise InputError(
            "no folder is called as a species",
            where=source,
            offenders=list(without_species),
            remedy="Endless Forams has one folder each, such as Globigerina bulloides; other "
            "folders of pictures are for `kinlens convert class-folders`.",
        )
    problems += [
        Problem(
            "note", "no-species", name, "", f"{count:,} pictures of no species, kept without one"
        )
        for name, count in without_species.items()
    ]
    contents = DatasetContents(
        pd.DataFrame(rows), pictures, {"name": "Endless Forams"}, problems=tuple(problems)
    )
    return write_dataset(dataset, contents, options=options or ConversionOptions(), source=source)
