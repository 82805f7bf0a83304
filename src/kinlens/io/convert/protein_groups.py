"""Proteins of many species, grouped by how alike their sequences are, with MMseqs2.

The way beside names: annotators may call one protein differently, and nameless ones have no other.
What is made of the groups is in `protein_fasta`.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from kinlens.errors import InputError, KinlensError, MissingDependencyError
from kinlens.io.convert.protein_headers import parse_headers
from kinlens.io.fasta import iterate_fasta, iterate_headers

__all__ = ["ProteinGroups", "group_by_similarity"]

_PROGRAM = "mmseqs"


@dataclass(frozen=True)
class ProteinGroups:
    """The group of every protein.

    Parameters
    ----------
    of_file : dict of Path to list of str
        For each record of a file, in order, what its group is called: by the commonest name of its
        members, with ``#2``, ``#3`` where several groups have it, or after its first accession.
    unread : dict of Path to str
        Files without groups, each with the reason.
    """

    of_file: dict[Path, list[str]]
    unread: dict[Path, str]


@dataclass
class _Protein:
    file: Path
    name: str
    accession: str


def group_by_similarity(
    files: Iterable[Path], *, identity: float = 0.5, coverage: float = 0.8, threads: int = 1
) -> ProteinGroups:
    """Cluster all proteins of some FASTA files.

    Parameters
    ----------
    files : iterable of Path
        Plain or compressed.
    identity : float
        Smallest share of identical letters in the alignment with a group's representative.
    coverage : float
        Smallest share of both sequences that the alignment covers.
    threads : int
        Of MMseqs2.

    Raises
    ------
    MissingDependencyError
        When MMseqs2 is not installed.
    KinlensError
        When it fails.

    References
    ----------
    Steinegger M, Soding J (2017) MMseqs2 enables sensitive protein sequence searching for the
    analysis of massive data sets. Nature Biotechnology 35: 1026-1028.
    """
    if shutil.which(_PROGRAM) is None:
        raise MissingDependencyError(
            "Grouping proteins by similarity needs the program mmseqs (MMseqs2), which is not "
            "here. Install it (Debian: mmseqs2), or group by name."
        )
    with tempfile.TemporaryDirectory(prefix="kinlens-") as temporary:
        folder = Path(temporary)
        proteins, unread = _collected(files, folder / "proteins.fasta")
        members = _clustered(folder, identity, coverage, threads) if proteins else {}
    called = _called(members, proteins)
    of_file: dict[Path, list[str]] = defaultdict(list)
    for number, protein in enumerate(proteins):
        of_file[protein.file].append(called[number])
    return ProteinGroups(dict(of_file), unread)


def _collected(files: Iterable[Path], target: Path) -> tuple[list[_Protein], dict[Path, str]]:
    """Write all sequences into one file, each called by its number."""
    proteins: list[_Protein] = []
    unread: dict[Path, str] = {}
    with target.open("wb") as out:
        for file in files:
            own: list[_Protein] = []
            lines: list[bytes] = []
            try:
                pairs = zip(
                    iterate_headers(file), iterate_fasta(file, alphabet="protein"), strict=True
                )
                for header, (_, letters) in pairs:
                    first = parse_headers(header)[0]
                    lines.append(b">%d\n%b\n" % (len(proteins) + len(own), letters))
                    own.append(_Protein(file, first.name, first.accession))
            except InputError as error:
                unread[file] = error.problem
                continue
            out.writelines(lines)
            proteins += own
    return proteins, unread


def _clustered(
    folder: Path, identity: float, coverage: float, threads: int
) -> dict[int, list[int]]:
    """Run the program; return the members of each group by its representative."""
    command = [
        _PROGRAM, "easy-cluster", "proteins.fasta", "groups", "work", "--dbtype", "1",
        "--min-seq-id", f"{identity:g}", "-c", f"{coverage:g}", "--cov-mode", "0",
        "--threads", str(threads), "-v", "1",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    table = folder / "groups_cluster.tsv"
    if done.returncode or not table.exists():
        said = (done.stderr or done.stdout).strip().splitlines()
        raise KinlensError(f"mmseqs failed: {said[-1] if said else f'exit {done.returncode}'}.")
    members: dict[int, list[int]] = defaultdict(list)
    with table.open(encoding="ascii") as rows:
        for row in rows:
            representative, member = map(int, row.split("\t"))
            members[representative].append(member)
    return {first: sorted(own) for first, own in sorted(members.items())}


def _called(members: dict[int, list[int]], proteins: list[_Protein]) -> dict[int, str]:
    """Give each group a name of its own, the larger groups first; return it for each protein."""
    called: dict[int, str] = {}
    taken: Counter[str] = Counter()
    for _, own in sorted(members.items(), key=lambda item: (-len(item[1]), item[0])):
        names = Counter(proteins[number].name for number in own if proteins[number].name)
        if names:
            name = min(names, key=lambda each: (-names[each], each))
            taken[name] += 1
            name = name if taken[name] == 1 else f"{name} #{taken[name]}"
        else:
            name = f"like {proteins[own[0]].accession}"
        called.update(dict.fromkeys(own, name))
    return called
