"""What a reader must know about the table of genes, in sentences; and the list of candidates."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from kinlens.errors import InputError, did_you_mean, listing
from kinlens.records.tree import Tree
from kinlens.typing import FloatArray, ObjectArray

__all__ = ["candidate_note", "notes_of", "read_candidates"]

# Names among which the nearest is still looked for.
_MOST_FOR_NEAREST = 100_000


def read_candidates(path: Path | None) -> tuple[str, ...]:
    """Read the names of candidate genes, one a line; none without a file.

    Raises
    ------
    InputError
        When the file cannot be read or holds no name.
    """
    if path is None:
        return ()
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError("the list of candidate genes cannot be read", where=path) from error
    names = tuple(dict.fromkeys(line.strip() for line in lines if line.strip()))
    if not names:
        raise InputError("no name of a gene in the list of candidates", where=path)
    return names


def notes_of(
    status: ObjectArray,
    n_patterns: int,
    *,
    least: int,
    share_missing: float,
    missed: FloatArray,
    tree: Tree,
) -> list[str]:
    """Say what was left out of the tests, and what was done about gaps in the data.

    Parameters
    ----------
    status : array of object, shape (n_genes,)
        From `genes_patterns.status_of`.
    n_patterns : int
        Distinct patterns among tested genes.
    least : int
        Species that must have a gene, and that must lack it.
    share_missing : float
        Share of cells that are missing.
    missed : array of float, shape (n,)
        From `genes_patterns.missed_shares`, zeros when nothing was done about it.
    tree : Tree
        Of the species.
    """
    counts = pd.Series(status).value_counts()
    words = {
        "constant": "do not vary among these species",
        "too rare": f"are in fewer than {least} species",
        "too common": f"are lacking in fewer than {least} species",
        "unknown": "are known of no species",
    }
    notes = [
        f"{counts[kind]:,} genes {reason} and are not tested."
        for kind, reason in words.items()
        if kind in counts
    ]
    tested = int(counts.get("tested", 0))
    if n_patterns < tested:
        notes.append(
            f"{tested:,} tested genes have {n_patterns:,} distinct patterns of presence; genes "
            "that occur in exactly the same species cannot be told apart and are tested once."
        )
    if share_missing:
        notes.append(
            f"{share_missing:.2%} of the cells are missing; they are neither learned from nor "
            "scored."
        )
    if missed.any():
        notes.append(
            f"{int((missed > 0).sum()):,} species seem to lack genes for want of annotation (up to "
            f"{missed.max():.0%} of those that nearly all others have); null genes are missed "
            "alike."
        )
    if not tree.has_lengths:
        notes.append("The tree has no branch lengths; every branch counts as 1.")
    return notes


def candidate_note(
    wanted: tuple[str, ...], found: tuple[str, ...], genes: tuple[str, ...]
) -> list[str]:
    """Say which candidates the table lacks, with the nearest name that it has.

    Parameters
    ----------
    wanted, found : tuple of str
        All candidates, and those that are in the table.
    genes : tuple of str
        All genes of the table.
    """
    absent = [name for name in wanted if name not in set(found)]
    if not absent:
        return []
    near = did_you_mean(absent[0], list(genes)) if len(genes) < _MOST_FOR_NEAREST else ""
    return [
        f"{len(absent):,} of {len(wanted):,} candidate genes are not in the table: "
        f"{listing(absent)}. {near}".rstrip()
    ]
