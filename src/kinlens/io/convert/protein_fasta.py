"""A folder of protein FASTA files, one species each, to a dataset folder with ``genes.csv.gz``.

    source/Alectura_lathami.faa.gz                          one file a species, or
    source/Alectura_lathami/*.faa                           one folder a species, or
    source/ncbi_dataset/data/GCA_013399715.1/protein.faa    as NCBI Datasets packs them

A gene is present in a species when one of its headers bears the gene's name, or, when asked so,
when one of its proteins is in the gene's group by similarity (`protein_groups`). Names that
annotators gave differently to homologous proteins stay different genes unless a table of synonyms,
or similarity, joins them; what looks doubtful is listed in ``ambiguities.tsv``, and how much of
each species was named, on which every such table depends, in ``completeness.csv``.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd

from kinlens.atomic import write_frame
from kinlens.errors import InputError, UsageError, did_you_mean
from kinlens.io.convert.dataset_folder import (
    ConversionOptions,
    ConversionReport,
    DatasetContents,
    require_folder,
    write_dataset,
)
from kinlens.io.convert.protein_groups import ProteinGroups, group_by_similarity
from kinlens.io.convert.protein_headers import parse_headers
from kinlens.io.delimited import tidy_label
from kinlens.io.fasta import first_letters, iterate_headers
from kinlens.io.genes import write_genes
from kinlens.io.metadata import read_table
from kinlens.records.collection import Problem
from kinlens.records.sequences import looks_like_nucleotides

__all__ = ["convert"]

_SUFFIXES = frozenset(
    (".faa", ".fa", ".fasta", ".fas", ".aa", ".pep", ".prot", ".protein", ".proteins")
)
_ASSEMBLY = re.compile(r"^GC[AF]_\d+")
_GENERIC = frozenset(("protein", "proteins", "proteome", "translated_cds", "pep"))
_LETTERS = re.compile(r"[^a-z0-9]+")


@dataclass
class _Species:
    """What the headers of one species said."""

    genes: Counter[str] = field(default_factory=Counter)
    organisms: Counter[str] = field(default_factory=Counter)
    sequences: int = 0
    uninformative: int = 0
    partial: int = 0
    low_quality: int = 0


@dataclass
class _Names:
    """What was met under each name, over all species."""

    example: dict[str, tuple[str, str]] = field(default_factory=dict)
    joined: Counter[str] = field(default_factory=Counter)
    symbols: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    genes: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))


def convert(
    source: str | Path,
    dataset: str | Path,
    *,
    synonyms: str | Path | None = None,
    identity: float | None = None,
    options: ConversionOptions | None = None,
) -> ConversionReport:
    """Convert protein FASTA files to a table of genes, present or absent.

    Parameters
    ----------
    source : path
        The folder of files. A file or folder named after an assembly (``GCA_...``) gets its
        species from the organism that its headers name most often, any other from its own name.
    dataset : path
        The dataset folder to make.
    synonyms : path, optional
        A table with the columns ``name`` and ``gene``: the first, exactly as headers have it
        after stripping, is read as the second.
    identity : float, optional
        Group proteins by similarity, with MMseqs2, instead of by name: at least this share of
        letters, above 0 to 1, is the same as in the group's representative, over 80% of both.
    options : ConversionOptions, optional
        Only ``force`` and ``progress`` matter here.

    Returns
    -------
    ConversionReport
        ``genes.csv.gz`` (rows species, columns genes, 0 or 1), ``names.tsv`` (each gene with the
        number of species and an example), ``completeness.csv`` and ``ambiguities.tsv``.

    Raises
    ------
    InputError
        When there is no such folder, no FASTA file in it, or none that can be read.
    UsageError
        When something is at `dataset` already, or `identity` is out of its range or given
        together with `synonyms`.
    MissingDependencyError
        When proteins are to be grouped and MMseqs2 is not installed.
    """
    source = require_folder(source)
    options = options or ConversionOptions()
    if identity is not None and not 0 < identity <= 1:
        raise UsageError(f"identity must be above 0 and at most 1, not {identity:g}.")
    if identity is not None and synonyms is not None:
        raise UsageError("synonyms join names, and identity does without them: give only one.")
    gene_of = _read_synonyms(synonyms)
    found: dict[str, _Species] = {}
    names = _Names()
    problems: list[Problem] = []
    groups = _groups(source)
    if not groups:
        raise InputError("no protein FASTA file (.faa, .fasta, .fa, .pep; also .gz)", where=source)
    alike = None
    if identity is not None:
        alike = group_by_similarity(chain.from_iterable(groups.values()), identity=identity)
    with options.progress.task("Reading headers", len(groups), unit="species") as task:
        for label, files in groups.items():
            species = _read_species(files, source, names, gene_of, alike, problems)
            task.advance()
            if not species.sequences:
                continue
            name = _species_name(label, species)
            if name in found:
                problems.append(Problem("note", "merged", label, name, "a second set of proteins"))
                _merge(found[name], species)
            else:
                found[name] = species
    if not found:
        reasons = [f"{problem.file} ({problem.reason})" for problem in problems]
        raise InputError("not one file of proteins can be read", where=source, offenders=reasons)
    unused = [name for name in gene_of if name not in names.example]
    if unused:
        reason = f"{len(unused):,} synonyms occur nowhere, such as {unused[0]!r}"
        problems.append(Problem("note", "synonyms", str(synonyms), "", reason))
    ordered = dict(sorted(found.items()))
    genes = _gene_frame(ordered)
    contents = DatasetContents(
        settings={"name": source.resolve().name},
        tables={
            "genes.csv.gz": lambda path: write_genes(genes, path),
            "completeness.csv": lambda path: write_frame(path, _completeness(ordered)),
            "names.tsv": lambda path: write_frame(path, _name_frame(ordered, names)),
            "ambiguities.tsv": lambda path: write_frame(path, _ambiguities(ordered, names)),
        },
        problems=tuple(problems),
    )
    report = write_dataset(dataset, contents, options=options, source=source)
    return replace(report, n_species=len(ordered))


# --- files and species


def _read_species(
    files: Sequence[Path],
    source: Path,
    names: _Names,
    gene_of: Mapping[str, str],
    alike: ProteinGroups | None,
    problems: list[Problem],
) -> _Species:
    """Read all files of one species; add to `problems` those that cannot be read."""
    species = _Species()
    for file in files:
        try:
            if alike is not None and file in alike.unread:
                raise InputError(alike.unread[file])
            if looks_like_nucleotides(first_letters(file)):
                raise InputError("holds nucleotides, and this layout is of proteins")
            groups = None if alike is None else alike.of_file[file]
            _add_headers(species, names, iterate_headers(file), gene_of, groups)
        except InputError as error:
            shown = file.relative_to(source).as_posix()
            problems.append(Problem("skip", "unreadable", shown, "", error.problem))
    return species


def _groups(source: Path) -> dict[str, list[Path]]:
    """Return the files of each species, by the name of its file or folder."""
    packed = source / "ncbi_dataset" / "data"
    root = packed if packed.is_dir() else source
    groups: dict[str, list[Path]] = {}
    for entry in sorted(root.iterdir()):
        if entry.name.startswith((".", "__MACOSX")):
            continue
        if entry.is_dir():
            files = [path for path in sorted(entry.rglob("*")) if _is_fasta(path)]
        else:
            files = [entry] if _is_fasta(entry) else []
        if files:
            groups.setdefault(_label(entry), []).extend(files)
    return groups


def _is_fasta(path: Path) -> bool:
    suffix = Path(path.name.removesuffix(".gz")).suffix.lower()
    return path.is_file() and suffix in _SUFFIXES and not path.name.startswith(".")


def _label(path: Path) -> str:
    """Return ``Alectura_lathami`` of ``Alectura lathami.pep.faa.gz``."""
    name = path.name
    if path.is_file():
        name = name.removesuffix(".gz")
        while Path(name).suffix.lower() in _SUFFIXES:
            name = Path(name).stem
    return tidy_label(name)


def _species_name(label: str, species: _Species) -> str:
    is_species = not (_ASSEMBLY.match(label) or label.lower() in _GENERIC)
    if is_species or not species.organisms:
        return label
    return tidy_label(species.organisms.most_common(1)[0][0])


def _merge(into: _Species, other: _Species) -> None:
    into.genes.update(other.genes)
    into.organisms.update(other.organisms)
    for count in ("sequences", "uninformative", "partial", "low_quality"):
        setattr(into, count, getattr(into, count) + getattr(other, count))


def _add_headers(
    species: _Species,
    names: _Names,
    headers: Iterator[str],
    gene_of: Mapping[str, str],
    groups: Sequence[str] | None,
) -> None:
    """Count what the headers of one file say; `groups` are the genes of its records, if known."""
    for number, line in enumerate(headers):
        parts = parse_headers(line)
        species.sequences += 1
        own = {part.name for part in parts if part.name}
        species.uninformative += not own
        species.partial += any(part.is_partial for part in parts)
        species.low_quality += any(part.is_low_quality for part in parts)
        for part in parts:
            if part.organism:
                species.organisms[part.organism] += 1
            if part.name:
                names.example.setdefault(part.name, (part.accession, part.definition))
            if part.gene:
                names.symbols[part.definition].add(part.name)
        if len(own) > 1:
            names.joined[" | ".join(sorted(own))] += 1
        for name in own:
            names.genes[name].add(groups[number] if groups else gene_of.get(name, name))
        species.genes.update(
            [groups[number]] if groups else {gene_of.get(name, name) for name in own}
        )


def _read_synonyms(path: str | Path | None) -> dict[str, str]:
    if path is None:
        return {}
    frame, _notes = read_table(path)
    for column in ("name", "gene"):
        if column not in frame.columns:
            raise InputError(
                f"no column {column!r}", where=path, remedy=did_you_mean(column, [*frame])
            )
    gene_of: dict[str, str] = {}
    for name, gene in zip(frame["name"].str.strip(), frame["gene"].str.strip(), strict=True):
        if not name or not gene:
            raise InputError("a row with an empty cell", where=path)
        if gene_of.setdefault(name, gene) != gene:
            raise InputError(
                f"{name!r} stands for two genes, {gene_of[name]!r} and {gene!r}", where=path
            )
    return gene_of


# --- tables


def _gene_frame(species: Mapping[str, _Species]) -> pd.DataFrame:
    genes = sorted({gene for one in species.values() for gene in one.genes})
    column = {gene: place for place, gene in enumerate(genes)}
    values = np.zeros((len(species), len(genes)), dtype=np.float32)
    for row, one in enumerate(species.values()):
        values[row, [column[gene] for gene in one.genes]] = 1
    index = pd.Index(list(species), name="species")
    return pd.DataFrame(values, index=index, columns=genes)


def _completeness(species: Mapping[str, _Species]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "species": list(species),
            "sequences": [one.sequences for one in species.values()],
            "genes": [len(one.genes) for one in species.values()],
            "uninformative": [one.uninformative for one in species.values()],
            "partial": [one.partial for one in species.values()],
            "low_quality": [one.low_quality for one in species.values()],
        }
    )


def _name_frame(species: Mapping[str, _Species], names: _Names) -> pd.DataFrame:
    in_species: Counter[str] = Counter()
    sequences: Counter[str] = Counter()
    for one in species.values():
        in_species.update(one.genes.keys())
        sequences.update(one.genes)
    rows = []
    for name, (accession, definition) in names.example.items():
        for gene in names.genes[name]:
            rows.append((gene, name, in_species[gene], sequences[gene], accession, definition))
    named = {row[0] for row in rows}
    rows += [(gene, "", n, sequences[gene], "", "") for gene, n in in_species.items()
             if gene not in named]  # fmt: skip
    columns = ["gene", "name", "species", "sequences", "accession", "definition"]
    return pd.DataFrame(sorted(rows), columns=columns)


def _ambiguities(species: Mapping[str, _Species], names: _Names) -> pd.DataFrame:
    """List what a reader should look at, most frequent first within each kind."""
    rows: list[tuple[str, str, int]] = []
    spellings: dict[str, list[str]] = defaultdict(list)
    for name in sorted(names.example):
        spellings[_LETTERS.sub("", name.lower())].append(name)
    rows += _ranked("spelling", [same for same in spellings.values() if len(same) > 1])
    symbols = [[f"{text}:", *sorted(own)] for text, own in names.symbols.items() if len(own) > 1]
    rows += _ranked("several-symbols", symbols)
    split = [[f"{name}:", *sorted(own)] for name, own in names.genes.items() if len(own) > 1]
    rows += _ranked("several-genes", split)
    named: dict[str, list[str]] = defaultdict(list)
    for name in sorted(names.genes):
        for gene in names.genes[name]:
            named[gene].append(name)
    shared = [[f"{gene}:", *own] for gene, own in named.items() if len(own) > 1]
    rows += _ranked("several-names", shared)
    rows += [("joined", joined, count) for joined, count in names.joined.most_common()]
    for name, one in species.items():
        others = {
            organism: count
            for organism, count in one.organisms.items()
            if not tidy_label(organism).startswith(name)
        }
        rows += [
            ("organism", f"{name} | {organism}", count)
            for organism, count in sorted(others.items(), key=lambda item: (-item[1], item[0]))
        ]
    return pd.DataFrame(rows, columns=["kind", "names", "count"])


def _ranked(kind: str, groups: Sequence[Sequence[str]]) -> list[tuple[str, str, int]]:
    ordered = sorted(groups, key=lambda group: (-len(group), list(group)))
    return [(kind, " | ".join(group), len(group)) for group in ordered]
