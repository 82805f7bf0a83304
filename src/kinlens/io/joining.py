"""What is worth saying of a dataset once its parts are read: names that do not meet, and odd ones.

Everywhere, `collection` is the dataset, `specimens` its pictures, and `file` and `files` are names
of what was read, for the reader of the message.
"""

from __future__ import annotations

import re

from kinlens.errors import listing
from kinlens.io.delimited import tidy_label
from kinlens.records.collection import Collection, Mismatch, Problem, find_mismatches
from kinlens.records.specimens import SpecimenTable

__all__ = [
    "find_all_mismatches",
    "known_species",
    "odd_tables",
    "open_names",
    "other_rank",
    "shared_specimens",
]

# Words of open nomenclature in a name whose blanks are underscores, with or without a number.
_OPEN_NAME = re.compile(r"(?:^|_)(?:spp?|spec|cf|aff|nr|indet)(?:\.[^_]*|\d*)(?:_|$)|\?", re.I)


def shared_specimens(specimens: SpecimenTable, *, file: str) -> list[Problem]:
    """Say so when pictures of one specimen are of several species."""
    if not (specimens.has("specimen") and specimens.has("species")):
        return []
    frame = specimens.frame[(specimens.frame["specimen"] != "") & specimens.has_species]
    counts = frame.groupby("specimen")["species"].nunique()
    shared = counts[counts > 1].index.astype(str).tolist()
    if not shared:
        return []
    reason = (
        f"{len(shared):,} of {len(counts):,} specimens are of several species: {listing(shared)}. "
        "All pictures of a specimen stay together; if yours are numbered anew in each species, "
        "write the species into the column as well"
    )
    return [Problem("note", "specimen", file, "", reason)]


def open_names(specimens: SpecimenTable, *, file: str) -> list[Problem]:
    """Say so when names say that the species is not known, such as "Ino sp." and "Ino cf. ino"."""
    if not specimens.has("species"):
        return []
    is_open = specimens.frame["species"].str.contains(_OPEN_NAME)
    if not is_open.any():
        return []
    names = sorted(set(specimens.frame.loc[is_open, "species"]))
    reason = (
        f"names that leave the species open ({listing(names)}; pictures in all: "
        f"{int(is_open.sum()):,}); each is taken for a species of its own, and empty cells would "
        "leave these pictures unnamed"
    )
    return [Problem("note", "open-name", file, "", reason)]


def other_rank(collection: Collection, files: list[str]) -> list[Problem]:
    """Say so when the tree's tips are names of another rank than they are taken for."""
    if collection.tree is None or collection.specimens is None:
        return []
    tips = set(collection.tree.tip_names)
    frame = collection.specimens.frame
    met = {rank: len(tips & set(frame[rank])) for rank in collection.specimens.ranks}
    if not collection.specimens.has(collection.tree_rank) and not any(met.values()):
        reason = (
            f"no column {collection.tree_rank!r}, so that no picture meets the tree; if yours has "
            f'another name, write [columns] {collection.tree_rank} = "YOUR COLUMN" in dataset.toml'
        )
        table = next(name for name in files if name.startswith("metadata."))
        return [Problem("note", "column", table, "", reason)]
    if met.get(collection.tree_rank, 0) or not any(met.values()):
        return []
    best = max(met, key=lambda rank: met[rank])
    reason = (
        f"no tip of the tree is a {collection.tree_rank}, but {met[best]:,} are a {best}; "
        f'if its tips are of that rank, write rank = "{best}"'
    )
    return [Problem("note", "rank", "dataset.toml", "", reason)]


def odd_tables(collection: Collection, files: list[str]) -> list[Problem]:
    """Say so when a species stands in a table's header: at its beginning, or as a column."""
    known = known_species(collection)
    found = []
    for part in ("genes", "traits"):
        frame = getattr(collection, part)
        if frame is None:
            continue
        file = next(name for name in files if name.startswith(f"{part}."))
        if (first := tidy_label(str(frame.index.name))) in known:
            reason = (
                f"row 1 begins with the species {first}, and is taken for the names of columns; "
                "write a row above it that names the columns"
            )
            found.append(Problem("note", "header", file, "", reason))
        turned = known & {tidy_label(str(name)) for name in frame.columns}
        if turned and not known & set(map(str, frame.index)):
            reason = (
                f"{len(turned):,} of its columns are species and none of its rows is; "
                f"turn the table, so that rows are species and columns are {part}"
            )
            found.append(Problem("note", "turned", file, "", reason))
    return found


def known_species(collection: Collection) -> set[str]:
    """Return the names that pictures and tree have for what sequences, genes and traits are of."""
    known = set(collection.tree.tip_names) if collection.tree else set()
    if collection.specimens is not None:
        known |= set(collection.specimens.frame.get(collection.tree_rank, ()))
    return known - {""}


def find_all_mismatches(collection: Collection, files: list[str]) -> tuple[Mismatch, ...]:
    """Compare the names of every pair of parts that a study would join."""
    file_of = {name.split(".")[0]: name for name in files}
    found: list[Mismatch] = []
    pictured: list[str] = []
    rank = collection.tree_rank
    if collection.specimens is not None and collection.specimens.has(rank):
        pictured = list(collection.specimens.frame[rank])
    tips = list(collection.tree.tip_names) if collection.tree else []
    named: dict[str, list[str]] = {"metadata": pictured}
    if collection.sequences is not None:
        named["sequences"] = [species for species in collection.sequences.species if species]
    for part in ("genes", "traits"):
        frame = getattr(collection, part)
        named[part] = [str(name) for name in frame.index] if frame is not None else []
    # Without a tree, what is not pictured may be a slip of the pen as well.
    others, whose = (tips, "tree") if tips else (pictured, "metadata")
    for part, names in named.items():
        if names and others and part != whose:
            found += find_mismatches(
                names, others, present_in=file_of[part], missing_from=file_of[whose]
            )
    if collection.distances is not None and pictured:
        found += find_mismatches(
            pictured,
            collection.distances.ids,
            present_in=file_of["metadata"],
            missing_from=file_of["distances"],
        )
    if named.get("traits") and named.get("genes"):
        found += find_mismatches(
            named["traits"],
            named["genes"],
            present_in=file_of["traits"],
            missing_from=file_of["genes"],
        )
    return tuple(found)
