"""The table of pictures: one row an image, with its specimen, species and labels.

Knows nothing about files being readable or about the taxonomy being consistent; those are the
reader's and `taxonomy`'s concern.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from kinlens.errors import InputError
from kinlens.records.taxonomy import RANKS
from kinlens.typing import BoolArray, IntArray, ObjectArray

__all__ = ["SpecimenTable"]


@dataclass(frozen=True, eq=False)
class SpecimenTable:
    """Pictures with what is known of each.

    Parameters
    ----------
    frame : pandas.DataFrame, shape (n_images, n_columns)
        Column ``image`` (path relative to the dataset folder, unique) is needed; ``species``,
        ``specimen``, the ranks of `kinlens.records.taxonomy.RANKS` and ``labels``
        (``;``-separated) are understood; any other column passes through. Missing cells are the
        empty string in understood columns.

    Raises
    ------
    InputError
        When ``image`` is missing, blank or repeated.

    Examples
    --------
    >>> table = SpecimenTable(pd.DataFrame({"image": ["a.jpg", "b.jpg"], "species": ["A_a", ""]}))
    >>> table.n_images, table.has_species.tolist()
    (2, [True, False])
    """

    frame: pd.DataFrame

    def __post_init__(self) -> None:
        if "image" not in self.frame.columns:
            raise InputError("the table of pictures has no column 'image'")
        frame = self.frame.reset_index(drop=True)
        for column in ("image", "specimen", "labels", *RANKS):
            if column in frame.columns:
                frame[column] = frame[column].astype("string").fillna("").astype(object)
        blank = np.flatnonzero(frame["image"].to_numpy() == "")
        if blank.size:
            raise InputError("rows without an image", offenders=[f"row {i + 1}" for i in blank])
        repeated = frame["image"][frame["image"].duplicated()]
        if len(repeated):
            raise InputError(
                "images listed more than once",
                offenders=repeated.unique(),
                remedy="Keep one row per image; several labels go into one cell, split by ';'.",
            )
        object.__setattr__(self, "frame", frame)

    @property
    def n_images(self) -> int:
        """Number of pictures."""
        return len(self.frame)

    @property
    def image(self) -> ObjectArray:
        """Paths relative to the dataset folder, shape (n_images,)."""
        return self._column("image")

    @property
    def species(self) -> ObjectArray:
        """Species names, "" where unknown, shape (n_images,)."""
        return self._column("species")

    @cached_property
    def has_species(self) -> BoolArray:
        """True where the species is known, shape (n_images,)."""
        return np.asarray(self.species != "", dtype=bool)

    @property
    def specimen(self) -> ObjectArray:
        """Specimen identifiers, shape (n_images,); a picture without one is its own specimen."""
        identifiers = self._column("specimen")
        return np.where(identifiers == "", self.image, identifiers)

    @cached_property
    def specimen_codes(self) -> IntArray:
        """Specimens numbered from 0 in order of appearance, shape (n_images,)."""
        codes, _names = pd.factorize(self.specimen)
        return codes.astype(np.int64)

    @property
    def ranks(self) -> tuple[str, ...]:
        """Taxonomic ranks that have a column, from the lowest up."""
        return tuple(rank for rank in RANKS if rank in self.frame.columns)

    @property
    def labels(self) -> list[tuple[str, ...]]:
        """Labels of each picture, without blanks and repeats, in the order given."""
        cells = self._column("labels")
        return [
            tuple(dict.fromkeys(part.strip() for part in str(cell).split(";") if part.strip()))
            for cell in cells
        ]

    def has(self, column: str) -> bool:
        """Tell whether the table has `column` with at least one cell filled."""
        if column not in self.frame.columns:
            return False
        values = self.frame[column]
        return bool((values.notna() & (values.astype(str) != "")).any())

    def select(self, rows: IntArray | BoolArray) -> SpecimenTable:
        """Return the table of the given rows (indices or a mask), numbered anew from 0."""
        return SpecimenTable(self.frame.loc[rows].reset_index(drop=True))

    def _column(self, name: str) -> ObjectArray:
        if name in self.frame.columns:
            return self.frame[name].to_numpy(dtype=object)
        return np.full(len(self.frame), "", dtype=object)
