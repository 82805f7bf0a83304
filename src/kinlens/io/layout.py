"""The files of a dataset folder: how each part may be called, and what goes by unread.

Everywhere, `folder` is the dataset folder.
"""

from __future__ import annotations

from collections.abc import Collection as Some
from pathlib import Path

from kinlens.errors import nearest_names
from kinlens.io.images import SUFFIXES
from kinlens.records.collection import Problem

__all__ = ["PARTS", "find_part", "find_unread"]

PARTS: dict[str, tuple[str, ...]] = {
    "metadata": ("metadata.csv", "metadata.tsv", "metadata.parquet", "metadata.csv.gz"),
    "tree": ("tree.nwk", "tree.newick", "tree.tre"),
    "sequences": ("sequences.fasta", "sequences.fasta.gz"),
    "sequence species": ("sequences.csv",),
    "distances": ("distances.csv", "distances.tsv"),
    "genes": ("genes.csv", "genes.csv.gz", "genes.parquet"),
    "traits": ("traits.csv", "traits.tsv"),
    "settings": ("dataset.toml",),
}
"""The file names of each part; of several that are there the first is read."""

# Written into the folder by kinlens itself.
_OURS = frozenset(("mismatches.tsv", "skipped.tsv"))
_STEMS = sorted({name.split(".")[0] for names in PARTS.values() for name in names})


def find_part(folder: Path, part: str) -> Path | None:
    """Return the file that holds `part`, a key of `PARTS`; None when there is none."""
    return next((folder / name for name in PARTS[part] if (folder / name).is_file()), None)


def find_unread(folder: Path, read: Some[str]) -> list[Problem]:
    """Note the files that look like a part of the dataset and were not read.

    They do so by their name, or by an ending that one part alone has, when that was not found.

    Parameters
    ----------
    read : collection of str
        Names of the files that were read.

    Examples
    --------
    >>> folder = getfixture("tmp_path")
    >>> for name in ("Metadata.xlsx", "tree.nwk", "notes.txt"):
    ...     _ = (folder / name).write_text("")
    >>> [(problem.file, problem.reason[:58]) for problem in find_unread(folder, ["tree.nwk"])]
    [('Metadata.xlsx', 'not read; this part is looked for as metadata.csv, metadat')]
    """
    found = []
    # Of one file, "Metadata.csv" and "metadata.csv" are both names where capitals do not count.
    were_read = [folder / name for name in read if (folder / name).is_file()]
    for path in sorted(folder.iterdir()):
        name = path.name
        is_picture = path.suffix.lower() in SUFFIXES
        if name in _OURS or is_picture or name.startswith((".", "~")) or not path.is_file():
            continue
        names = _meant_names(name, read)
        if not names or any(map(path.samefile, were_read)):
            continue
        chosen = next((other for other in names if other in read), None)
        if name in names and chosen:
            reason = f"not read, because {chosen} is; remove one of the two"
        else:
            reason = f"not read; this part is looked for as {_listed(names)}"
        found.append(Problem("note", "unread", name, "", reason))
    return found


def _meant_names(name: str, read: Some[str]) -> list[str]:
    stem, _dot, ending = name.partition(".")
    near = nearest_names(stem, _STEMS, most=1)
    if near:
        return [
            other for part in PARTS.values() for other in part if other.startswith(f"{near[0]}.")
        ]
    parts = [
        part
        for part in PARTS.values()
        if ending.lower() in [other.partition(".")[2] for other in part]
    ]
    is_wanted = len(parts) == 1 and not set(parts[0]) & set(read)
    return list(parts[0]) if is_wanted else []


def _listed(names: list[str]) -> str:
    return " or ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]
