"""Which species belongs to which genus, family and so on, checked once and then relied upon.

A `Taxonomy` promises that every taxon has one name and one parent. It knows nothing about
images, branch lengths or files; a dated tree is a `Tree`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from kinlens.errors import InputError, UsageError, did_you_mean, listing
from kinlens.typing import IntArray

__all__ = ["RANKS", "Conflict", "Homonym", "Taxonomy", "find_conflicts", "is_unknown", "tidy_names"]

RANKS = (
    "species",
    "genus",
    "tribe",
    "subfamily",
    "family",
    "superfamily",
    "suborder",
    "order",
    "subclass",
    "class",
    "phylum",
    "kingdom",
)

# Words that stand for "nobody knows" in the metadata of museums, GBIF and NCBI (lower case).
_UNKNOWN_WORDS = frozenset(
    {"na", "n/a", "nan", "none", "null", "unknown", "unidentified", "undetermined", "unassigned"}
    | {"unclassified", "unplaced", "incertae_sedis", "?", "-", ""}
)


def is_unknown(values: pd.Series) -> pd.Series:
    """Tell which cells name no taxon: empty ones, and words such as ``unknown`` or ``NA``.

    Parameters
    ----------
    values : pandas.Series
        Cells of one column, of any type.

    Returns
    -------
    pandas.Series of bool
        True where no taxon is named; same index.

    Examples
    --------
    >>> is_unknown(pd.Series(["Papilio", " ", None, "incertae sedis"])).tolist()
    [False, True, True, True]
    """
    words = values.astype(object).where(values.notna(), "").astype(str).str.strip()
    return words.str.replace(" ", "_").str.lower().isin(_UNKNOWN_WORDS)


def tidy_names(values: pd.Series) -> pd.Series:
    """Turn cells into names: edges stripped, spaces to underscores, None where unknown.

    Examples
    --------
    >>> tidy_names(pd.Series(["Papilio machaon ", "unknown"])).tolist()
    ['Papilio_machaon', None]
    """
    known = ~is_unknown(values).to_numpy()
    words = values.astype(str).str.strip().str.replace(" ", "_").to_numpy(dtype=object)
    words[~known] = None
    return pd.Series(words, index=values.index, name=values.name, dtype=object)


@dataclass(frozen=True)
class Conflict:
    """One species that rows place in several taxa of one rank.

    Parameters
    ----------
    species : str
        The species.
    rank : str
        The rank at which its rows disagree.
    places : tuple of (str, int)
        Each taxon, with the first row of the file that says so.
    """

    species: str
    rank: str
    places: tuple[tuple[str, int], ...]

    def __str__(self) -> str:
        places = " and ".join(f"{taxon} (row {row})" for taxon, row in self.places)
        return f"{self.species} is in {self.rank} {places}"


@dataclass(frozen=True)
class Homonym:
    """One name that two taxa of the same rank carry.

    Parameters
    ----------
    rank : str
        The rank of the two taxa, such as ``"genus"``.
    name : str
        The name that they share.
    parent_rank : str
        The lowest rank at which they differ.
    parents : tuple of str
        The taxa of `parent_rank` that hold one each, sorted.
    """

    rank: str
    name: str
    parent_rank: str
    parents: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.rank} {self.name} in {self.parent_rank} {' and '.join(self.parents)}"


@dataclass(frozen=True, eq=False)
class Taxonomy:
    """Species and the taxa above them.

    Build it with `Taxonomy.from_images`; the constructor takes what that function has checked.

    Parameters
    ----------
    frame : pandas.DataFrame
        One row per species (the index, sorted), one column per rank above species, low to high;
        cells are names, or None where the species' taxon of that rank is not known.
    homonyms : tuple of Homonym
        Names carried by two taxa; in `frame` these are told apart as ``Name_(Parent)``.
    notes : tuple of str
        What was found and done on the way, one sentence each, for the user to read.

    Examples
    --------
    >>> rows = pd.DataFrame({
    ...     "species": ["Papilio_machaon", "Parnassius_apollo", "Papilio_machaon"],
    ...     "genus": ["Papilio", "Parnassius", ""],
    ...     "family": ["Papilionidae", "Papilionidae", "Papilionidae"],
    ... })
    >>> taxonomy = Taxonomy.from_images(rows)
    >>> taxonomy.ranks
    ('species', 'genus', 'family')
    >>> taxonomy.parents("genus")
    {'Papilio': 'Papilionidae', 'Parnassius': 'Papilionidae'}
    >>> taxonomy.labels("genus", ["Papilio_machaon"])
    ['Papilio']
    """

    frame: pd.DataFrame
    homonyms: tuple[Homonym, ...] = ()
    notes: tuple[str, ...] = field(default=())

    @classmethod
    def from_images(
        cls,
        rows: pd.DataFrame,
        *,
        where: str | Path | None = None,
        first_row: int = 2,
    ) -> Taxonomy:
        """Gather the taxonomy that the rows of a metadata table imply.

        Every column of `rows` that `RANKS` names is read. A cell left blank in one row is filled
        from another row of the same species, or from another species of the same taxon, since
        a taxon has one parent. Rows whose species is unknown are left out.

        Parameters
        ----------
        rows : pandas.DataFrame
            One row per image (or per species), with the column ``species``.
        where : str or pathlib.Path, optional
            The file, for messages.
        first_row : int
            The number that the first row has in that file; 2 when a header precedes it.

        Raises
        ------
        InputError
            When one species is placed in two taxa of one rank; all such are named, with rows.
        """
        if "species" not in rows.columns:
            raise InputError(
                "a taxonomy needs the column 'species'",
                where=where,
                offenders=[f"found {listing(rows.columns, most=12)}"],
            )
        notes: list[str] = []
        conflicts = find_conflicts(rows, first_row=first_row)
        if conflicts:
            raise InputError(
                "a species must be in one taxon of each rank",
                where=where,
                offenders=conflicts,
                remedy="Correct the rows, or blank the cells that are wrong.",
            )
        names = _tidied(rows, notes)
        frame = names.groupby("species", sort=True).first()
        # groupby().first() skips blanks; a rank blank throughout one species comes back as NaN.
        frame = frame.astype(object).where(frame.notna(), None)  # type: ignore[call-overload]
        frame.index = pd.Index(frame.index.astype(str), name="species", dtype=object)
        homonyms = _part_homonyms_and_fill(frame, notes)
        _note_suspicious_names(frame, notes)
        return cls(frame, tuple(homonyms), tuple(notes))

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def ranks(self) -> tuple[str, ...]:
        """The ranks present, low to high, ``species`` first."""
        return ("species", *self.frame.columns)

    @property
    def species(self) -> tuple[str, ...]:
        """All species, sorted by name."""
        return tuple(self.frame.index)

    @cached_property
    def informative_ranks(self) -> tuple[str, ...]:
        """The ranks with at least two taxa, low to high: where there is something to tell apart."""
        return tuple(rank for rank in self.ranks if len(self.taxa(rank)) > 1)

    def taxa(self, rank: str) -> tuple[str, ...]:
        """Return the names of the taxa of `rank`, sorted."""
        return tuple(sorted(set(self._column(rank).dropna())))

    def parents(self, rank: str) -> dict[str, str | None]:
        """Map each taxon of `rank` to its taxon at the next rank up (None where unknown).

        Raises
        ------
        UsageError
            When `rank` is absent or is the highest one.
        """
        position = self._position(rank)
        if position + 1 == len(self.ranks):
            raise UsageError(f"{rank!r} is the highest rank here; nothing is above it.")
        child, parent = self._column(rank), self._column(self.ranks[position + 1])
        known = child.notna().to_numpy()
        return dict(
            sorted(zip(child[known], [p if p else None for p in parent[known]], strict=True))
        )

    def labels(self, rank: str, species: Iterable[str]) -> list[str | None]:
        """Return the taxon of `rank` that holds each of `species`, None where unknown.

        Raises
        ------
        UsageError
            When a species is not in this taxonomy.
        """
        rows = self._rows(list(species))
        return list(self._column(rank).to_numpy()[rows])

    def codes(self, rank: str, species: Iterable[str] | None = None) -> IntArray:
        """Return, per species, the position of its taxon in `taxa(rank)`; -1 where unknown.

        Parameters
        ----------
        rank : str
            One of `ranks`.
        species : iterable of str, optional
            Which species; all, in the order of `species`, when left out.

        Returns
        -------
        IntArray of shape (n_species,)
        """
        codes = pd.Categorical(self._column(rank), categories=self.taxa(rank)).codes
        rows = slice(None) if species is None else self._rows(list(species))
        return codes.astype(np.int64)[rows]

    def members(self, rank: str, taxon: str) -> tuple[str, ...]:
        """Return the species that `taxon`, one of ``taxa(rank)``, holds; sorted."""
        column = self._column(rank)
        found = column.index[(column == taxon).to_numpy()]
        if found.empty:
            raise UsageError(f"no {rank} {taxon!r}. {did_you_mean(taxon, self.taxa(rank))}")
        return tuple(found)

    def lineage(self, species: str) -> dict[str, str | None]:
        """Return the taxon of `species` at every rank, low to high."""
        row = self._rows([species])[0]
        return {"species": species, **self.frame.iloc[row].to_dict()}

    def select(self, species: Iterable[str]) -> Taxonomy:
        """Return the taxonomy of these species alone (sorted again, notes kept)."""
        rows = np.sort(self._rows(list(dict.fromkeys(species))))
        return Taxonomy(self.frame.iloc[rows], self.homonyms, self.notes)

    def order(self) -> tuple[str, ...]:
        """Return all species in taxonomic order: relatives side by side, for axes of figures.

        Sorted by name from the highest rank down; what is not placed at a rank comes last there.
        """
        keys = self.frame.iloc[:, ::-1].copy()
        keys["species"] = self.frame.index
        known = keys.notna()
        return tuple(
            species
            for _key, species in sorted(
                (tuple((not ok, name or "") for ok, name in zip(row_ok, row, strict=True)), row[-1])
                for row_ok, row in zip(known.to_numpy(), keys.to_numpy(), strict=True)
            )
        )

    def steps_between(self, species: Sequence[str]) -> IntArray:
        """Count the ranks to climb from one species until a taxon holds the other as well.

        Returns
        -------
        IntArray of shape (n, n)
            0 for the same species, 1 within a genus (when that is the next rank), ...,
            ``len(ranks)`` when no rank unites them. An unknown taxon unites nothing.
        """
        rows = self._rows(list(species))
        steps = np.full((len(rows), len(rows)), len(self.ranks), dtype=np.int64)
        for height in reversed(range(1, len(self.ranks))):
            code = self.codes(self.ranks[height])[rows]
            steps[(code[:, None] == code[None, :]) & (code >= 0)[:, None]] = height
        steps[rows[:, None] == rows[None, :]] = 0
        return steps

    def _position(self, rank: str) -> int:
        if rank not in self.ranks:
            raise UsageError(f"no rank {rank!r} here. {did_you_mean(rank, self.ranks)}")
        return self.ranks.index(rank)

    def _column(self, rank: str) -> pd.Series:
        if self._position(rank) == 0:
            return pd.Series(self.frame.index, index=self.frame.index, dtype=object)
        return self.frame[rank]

    def _rows(self, species: list[str]) -> IntArray:
        rows = self.frame.index.get_indexer(pd.Index(species, dtype=object)).astype(np.int64)
        missing = [name for name, row in zip(species, rows, strict=True) if row < 0]
        if missing:
            raise UsageError(
                f"{listing(missing)} not in the taxonomy. "
                f"{did_you_mean(missing[0], list(self.frame.index))}"
            )
        return rows


def find_conflicts(rows: pd.DataFrame, *, first_row: int = 2) -> tuple[Conflict, ...]:
    """List the species that the rows of a metadata table place in two taxa of one rank.

    Parameters
    ----------
    rows, first_row
        As for `Taxonomy.from_images`.

    Examples
    --------
    >>> rows = pd.DataFrame({"species": ["a", "a"], "genus": ["A", "B"]})
    >>> str(find_conflicts(rows)[0])
    'a is in genus A (row 2) and B (row 3)'
    """
    names = _tidied(rows, [])
    conflicts = []
    for rank in names.columns[1:]:
        # The first row of every (species, taxon) pair; more than one pair a species is a fault.
        pairs = names[["species", rank]].dropna().drop_duplicates()
        twice = pairs[pairs.duplicated("species", keep=False)]
        for species, group in twice.groupby("species", sort=True):
            numbers = group.index.to_numpy() + first_row
            places = tuple(zip(group[rank], numbers.tolist(), strict=True))
            conflicts.append(Conflict(str(species), str(rank), places))
    return tuple(conflicts)


def _tidied(rows: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    """Return the rank columns low to high as names or None, for the rows with a species."""
    present = [rank for rank in RANKS if rank in rows.columns]
    names = pd.DataFrame({rank: tidy_names(rows[rank]) for rank in present})
    # Positions, not labels: messages count rows of the file.
    names.index = pd.RangeIndex(len(names))
    nameless = int(names["species"].isna().sum())
    if nameless:
        notes.append(f"{nameless:,} of {len(names):,} rows name no species and are left out.")
    names = names[names["species"].notna()]
    for rank in present[1:]:
        if names[rank].isna().all():
            notes.append(f"The column {rank!r} is empty and is left out.")
            names = names.drop(columns=rank)
    return names


def _part_homonyms_and_fill(frame: pd.DataFrame, notes: list[str]) -> list[Homonym]:
    """Make every taxon's parent unique, in place: tell homonyms apart, then fill what follows.

    Goes from the highest rank down, so that the taxa above are already unique.
    """
    homonyms: list[Homonym] = []
    ranks = list(frame.columns)
    for position in reversed(range(len(ranks) - 1)):
        rank, above = ranks[position], ranks[position + 1 :]
        known = frame[rank].notna()
        counts = frame[known].groupby(rank)[above].nunique(dropna=True)
        for name in counts.index[(counts > 1).any(axis=1)]:
            homonyms += _part(frame, rank, name, above)
        _fill(frame, rank, above, notes)
    if homonyms:
        notes.append(
            f"One name, two taxa: {listing(homonyms)}. They are told apart as Name_(Parent); "
            "if one parent is a slip of the pen, correct it."
        )
    for rank in ranks:
        unplaced = int(frame[rank].isna().sum())
        if unplaced:
            notes.append(f"{unplaced:,} of {len(frame):,} species have no known {rank}.")
    return homonyms


def _part(frame: pd.DataFrame, rank: str, name: str, above: Sequence[str]) -> list[Homonym]:
    """Rename the species of one homonym; those without a known parent keep the bare name."""
    found: list[Homonym] = []
    while True:
        rows = frame[rank] == name
        split_by = next((h for h in above if len(frame.loc[rows, h].dropna().unique()) > 1), None)
        if split_by is None:
            return found
        parents = tuple(sorted(frame.loc[rows, split_by].dropna().unique()))
        found.append(Homonym(rank, str(name), split_by, parents))
        for parent in parents:
            frame.loc[rows & (frame[split_by] == parent), rank] = f"{name}_({parent})"


def _fill(frame: pd.DataFrame, rank: str, above: Sequence[str], notes: list[str]) -> None:
    """Fill blank taxa above `rank` from other species of the same taxon of `rank`."""
    for high in above:
        blank = frame[high].isna() & frame[rank].notna()
        if not blank.any():
            continue
        parent = frame[frame[rank].notna()].groupby(rank)[high].first().dropna()
        filled = frame.loc[blank, rank].map(parent).dropna()
        if len(filled):
            frame.loc[filled.index, high] = filled
            notes.append(
                f"The {high} of {listing(filled.index)} was blank and is that of the {rank}."
            )


def _note_suspicious_names(frame: pd.DataFrame, notes: list[str]) -> None:
    for rank in ("species", *frame.columns):
        names = pd.Series(frame.index if rank == "species" else frame[rank].dropna().unique())
        lower = names.astype(str).str.lower()
        alike = sorted(names[lower.duplicated(keep=False)])
        if alike:
            notes.append(f"Names of {rank} that differ in capitals alone: {listing(alike)}.")
    if "genus" not in frame.columns:
        return
    species = frame.index.to_series()
    first_word = species.str.partition("_")[0]
    genus = frame["genus"].str.partition("_")[0]
    binomial = species.str.match(r"^[A-Z][a-z-]+_[a-z]") & genus.notna()
    odd = species[binomial & (first_word != genus)]
    if len(odd):
        examples = [f"{name} in genus {frame.loc[name, 'genus']}" for name in odd]
        notes.append(f"The first word of the name is not the genus: {listing(examples)}.")
