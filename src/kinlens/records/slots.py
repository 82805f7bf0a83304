"""The name of every slot of an AnnData container and of every table column that is shared.

One vocabulary, so that what one part writes another finds. Each slot says where it is, over which
axes it runs and what it means; nothing here makes or fills one.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "BLOCK",
    "COLUMNS",
    "IMAGE",
    "MEANING",
    "PROVENANCE",
    "SEQUENCE",
    "SLOTS",
    "SPECIES",
    "SPECIMEN",
    "UMAP",
    "UNITS",
    "VECTORS",
    "Column",
    "Slot",
]


@dataclass(frozen=True)
class Slot:
    """One place in an AnnData container.

    Parameters
    ----------
    holder : str
        ``X``, ``obs``, ``var``, ``obsm``, ``obsp`` or ``uns``.
    key : str
        Name inside the holder; "" for `X` itself.
    axes : tuple of str
        What the slot runs over.
    dtype : str
        Kind of value.
    meaning : str
        A sentence without a full stop.
    """

    holder: str
    key: str
    axes: tuple[str, ...]
    dtype: str
    meaning: str


@dataclass(frozen=True)
class Column:
    """One column of tables, the same wherever it occurs.

    Parameters
    ----------
    name : str
        Name of the column.
    meaning : str
        A sentence without a full stop.
    """

    name: str
    meaning: str


VECTORS = Slot("X", "", ("picture or sequence", "feature"), "float32", "the embedding")
BLOCK = Slot("var", "block", ("feature",), "category", "the group of features it belongs to")
MEANING = Slot("var", "meaning", ("feature",), "category", "what the feature measures")
UNITS = Slot("var", "units", ("feature",), "category", "unit before powers and scales are applied")
UMAP = Slot("obsm", "X_umap", ("picture or sequence", "2"), "float32", "map for looking at")
PROVENANCE = Slot(
    "uns", "kinlens", (), "mapping", "what made the vectors: encoder, version, counts"
)

SLOTS = (VECTORS, BLOCK, MEANING, UNITS, UMAP, PROVENANCE)
"""Every slot."""

IMAGE = Column("image", "path of the picture inside the dataset; index of obs for pictures")
SEQUENCE = Column("sequence", "identifier of the sequence; index of obs for sequences")
SPECIES = Column("species", "name of the species, spaces as underscores")
SPECIMEN = Column("specimen", "the individual; its pictures stay on one side of a split")

COLUMNS = (IMAGE, SEQUENCE, SPECIES, SPECIMEN)
"""Every shared column."""
