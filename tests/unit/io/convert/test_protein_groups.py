"""Genes by similarity: planted families keep together whatever they are called."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kinlens.errors import MissingDependencyError, UsageError
from kinlens.io.convert import protein_fasta
from kinlens.io.convert.catalogue import find_layout
from kinlens.io.convert.protein_groups import group_by_similarity
from kinlens.io.genes import read_genes

LETTERS = np.array(list("ACDEFGHIKLMNPQRSTVWY"))
needs_mmseqs = pytest.mark.skipif(
    shutil.which("mmseqs") is None, reason="needs the program mmseqs (Debian: mmseqs2)"
)


def family(rng: np.random.Generator, length: int, n: int, change: float = 0.1) -> list[str]:
    """Return n proteins that differ from one ancestor at a tenth of their letters."""
    ancestor = rng.choice(LETTERS, length)
    return [
        "".join(np.where(rng.random(length) < change, rng.choice(LETTERS, length), ancestor))
        for _ in range(n)
    ]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Three species; zyxin has two names, a nameless family, and one name for two families."""
    rng = np.random.default_rng(5)
    zyxins, unknown = family(rng, 220, 3), family(rng, 180, 2)
    kinase, other = family(rng, 260, 2), family(rng, 240, 1)
    folder = tmp_path / "proteins"
    folder.mkdir()
    records = {
        "Aus_bus": [
            ("A1.1 zyxin [Aus bus]", zyxins[0]),
            ("A2.1 hypothetical protein [Aus bus]", unknown[0]),
            ("A3.1 kinase [Aus bus]", kinase[0]),
        ],
        "Aus_cus": [
            ("B1.1 zyxin [Aus cus]", zyxins[1]),
            ("B2.1 kinase [Aus cus]", kinase[1]),
        ],
        "Dus_eus": [
            ("C1.1 ZYX protein [Dus eus]", zyxins[2]),
            ("C2.1 uncharacterized protein LOC1 [Dus eus]", unknown[1]),
            ("C3.1 kinase [Dus eus]", other[0]),
        ],
    }
    for name, own in records.items():
        text = "".join(f">{header}\n{letters}\n" for header, letters in own)
        (folder / f"{name}.faa").write_text(text)
    return folder


@needs_mmseqs
def test_families_are_found_whatever_they_are_called(source: Path, tmp_path: Path) -> None:
    protein_fasta.convert(source, tmp_path / "out", identity=0.5)
    genes = read_genes(tmp_path / "out" / "genes.csv.gz")
    assert {gene: genes[gene].tolist() for gene in genes.columns} == {
        "kinase": [1, 1, 0],
        "kinase #2": [0, 0, 1],
        "like A2.1": [1, 0, 1],
        "zyxin": [1, 1, 1],
    }
    names = pd.read_csv(tmp_path / "out" / "names.tsv", sep="\t", keep_default_na=False)
    assert names[["gene", "name", "species"]].to_numpy().tolist() == [
        ["kinase", "kinase", 2],
        ["kinase #2", "kinase", 1],
        ["like A2.1", "", 2],
        ["zyxin", "ZYX protein", 3],
        ["zyxin", "zyxin", 3],
    ]
    doubts = pd.read_csv(tmp_path / "out" / "ambiguities.tsv", sep="\t")
    assert doubts[["kind", "names"]].to_numpy().tolist() == [
        ["several-genes", "kinase: | kinase | kinase #2"],
        ["several-names", "zyxin: | ZYX protein | zyxin"],
    ]


@needs_mmseqs
def test_a_stricter_share_parts_families(source: Path, tmp_path: Path) -> None:
    protein_fasta.convert(source, tmp_path / "out", identity=0.99)
    genes = read_genes(tmp_path / "out" / "genes.csv.gz")
    assert genes.to_numpy().sum(axis=0).tolist() == [1.0] * 8


@needs_mmseqs
def test_a_damaged_file_is_left_out_and_named(source: Path, tmp_path: Path) -> None:
    (source / "Fus_gus.faa").write_text(">F1.1 zyxin\n>F2.1 kinase\nMKT\n")
    report = protein_fasta.convert(source, tmp_path / "out", identity=0.5)
    (problem,) = report.problems
    assert (problem.file, problem.level) == ("Fus_gus.faa", "skip")
    assert "has no letters" in problem.reason
    assert len(read_genes(tmp_path / "out" / "genes.csv.gz")) == 3


def test_without_the_program_it_is_named(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingDependencyError, match=r"mmseqs2\), or group by name"):
        group_by_similarity(sorted(source.iterdir()))


@pytest.mark.parametrize("identity", [0.0, 1.5, float("nan")])
def test_a_share_that_means_nothing(source: Path, tmp_path: Path, identity: float) -> None:
    with pytest.raises(UsageError, match="identity must be above 0"):
        protein_fasta.convert(source, tmp_path / "out", identity=identity)
    with pytest.raises(UsageError, match="give only one"):
        protein_fasta.convert(source, tmp_path / "out", identity=0.5, synonyms="names.csv")


def test_the_layout_answers_to_both_names() -> None:
    assert find_layout("ncbi-proteins") is find_layout("protein-fasta")
