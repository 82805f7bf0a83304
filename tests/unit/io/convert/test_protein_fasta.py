from __future__ import annotations

import gzip
from pathlib import Path

import pandas as pd
import pytest

from kinlens.errors import InputError
from kinlens.io.convert import protein_fasta
from kinlens.io.convert.protein_headers import parse_header, parse_headers
from kinlens.io.folder import read_collection
from kinlens.io.genes import read_genes


@pytest.mark.parametrize(
    ("header", "accession", "name", "organism"),
    [
        (
            "NXL69168.1 FCGBP protein, partial [Alectura lathami]",
            *("NXL69168.1", "FCGBP protein", "Alectura lathami"),
        ),
        ("XP_1.2 PREDICTED: zyxin [Gallus gallus]", "XP_1.2", "zyxin", "Gallus gallus"),
        (
            "XP_1.1 PREDICTED: LOW QUALITY PROTEIN: titin-like, partial [Corvus cornix cornix]",
            *("XP_1.1", "titin-like", "Corvus cornix cornix"),
        ),
        ("XP_1.1 LOW QUALITY PROTEIN: titin [Aus bus]", "XP_1.1", "titin", "Aus bus"),
        ("WP_1.1 MULTISPECIES: ATPase [Bacillus]", "WP_1.1", "ATPase", "Bacillus"),
        ("XP_1.1 zyxin isoform X1 [Gallus gallus]", "XP_1.1", "zyxin", "Gallus gallus"),
        (
            "NP_1.1 collagen alpha-1 chain isoform 2 precursor [Aus bus]",
            "NP_1.1",
            "collagen alpha-1 chain",
            "Aus bus",
        ),
        ("EAW1.1 hCG1, isoform CRA_a [Homo sapiens]", "EAW1.1", "hCG1", "Homo sapiens"),
        ("XP_1.1 zyxin isoform X2, partial [Aus bus]", "XP_1.1", "zyxin", "Aus bus"),
        ("gi|71834|ref|NP_99.1| titin [Aus bus]", "NP_99.1", "titin", "Aus bus"),
        ("gi|71834|gb|AAA.1|LOCUS titin [Aus bus]", "AAA.1", "titin", "Aus bus"),
        (
            "WP_1.1 [acyl-carrier-protein] synthase [Escherichia coli [K12]]",
            *("WP_1.1", "[acyl-carrier-protein] synthase", "Escherichia coli [K12]"),
        ),
        ("WP_1.1 [4Fe-4S] protein", "WP_1.1", "[4Fe-4S] protein", ""),
        ("A1.1 [NiFe]", "A1.1", "[NiFe]", ""),
        ("A1.1 odd]] bracket]", "A1.1", "odd]] bracket]", ""),
        (
            "sp|P05813|CRBA1_HUMAN Beta-crystallin A3 OS=Homo sapiens OX=9606 GN=CRYBA1 PE=1 SV=4",
            *("P05813", "CRYBA1", "Homo sapiens"),
        ),
        (
            "tr|A0A0Q3|A0A0Q3_AMAAE Zyxin (Fragment) OS=Amazona aestiva GN=AAES_88130 PE=4 SV=1",
            *("A0A0Q3", "Zyxin", "Amazona aestiva"),
        ),
        ("sp|P1|X_Y Zyxin OS=Gallus gallus PE=1 SV=1", "P1", "Zyxin", "Gallus gallus"),
        (
            "P1.2 RecName: Full=Zyxin; AltName: Full=Zyxin-2 [Gallus gallus]",
            "P1.2",
            "Zyxin",
            "Gallus gallus",
        ),
        ("A1.1  two   blanks  [Aus bus]", "A1.1", "two blanks", "Aus bus"),
        ("A1.1", "A1.1", "", ""),
        ("A1.1 hypothetical protein [Aus bus]", "A1.1", "", "Aus bus"),
        ("A1.1 uncharacterized protein LOC101 isoform X1 [Aus bus]", "A1.1", "", "Aus bus"),
        ("A1.1 unnamed protein product, partial [Aus bus]", "A1.1", "", "Aus bus"),
        ("A1.1 protein [Aus bus]", "A1.1", "", "Aus bus"),
        ("A1.1 conserved hypothetical protein [Aus bus]", "A1.1", "", "Aus bus"),
        ("A1.1 protein of unknown function DUF1 [Aus bus]", "A1.1", "", "Aus bus"),
        ("A1.1 putative protein kinase [Aus bus]", "A1.1", "putative protein kinase", "Aus bus"),
        ("A1.1 protein FAM83H [Aus bus]", "A1.1", "protein FAM83H", "Aus bus"),
    ],
)
def test_headers_seen_in_the_wild(header: str, accession: str, name: str, organism: str) -> None:
    parsed = parse_header(header)
    assert (parsed.accession, parsed.name, parsed.organism) == (accession, name, organism)
    assert parse_header(f">{header}") == parsed


def test_flags_of_headers() -> None:
    low = parse_header("XP_1.1 PREDICTED: LOW QUALITY PROTEIN: zyxin, partial [Aus bus]")
    assert (low.is_low_quality, low.is_partial) == (True, True)
    assert low.definition == "PREDICTED: LOW QUALITY PROTEIN: zyxin, partial"
    good = parse_header("XP_1.1 partially folded protein X [Aus bus]")
    assert (good.is_low_quality, good.is_partial, good.name) == (
        *(False, False),
        "partially folded protein X",
    )


def test_joined_headers() -> None:
    one, two = parse_headers(
        ">NP_1.1 titin [Homo sapiens]\x01gi|2|gb|AA.1| connectin [Pan paniscus]"
    )
    assert (one.name, two.name, two.accession) == ("titin", "connectin", "AA.1")


# --- folders


def write(path: Path, *headers: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(f">{header}\nMKTAYIAKQR\nQISFVKSHF\n" for header in headers)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())


@pytest.fixture
def birds(tmp_path: Path) -> Path:
    source = tmp_path / "birds"
    write(
        source / "Alectura lathami.pep.faa.gz",
        "NXL1.1 FCGBP protein, partial [Alectura lathami]",
        "NXL2.1 FCGBP protein [Alectura lathami]",
        "NXL3.1 ZYX protein [Alectura lathami]",
        "NXL4.1 hypothetical protein [Alectura lathami]",
    )
    write(source / "Corvus_cornix" / "a.fasta", "XP_1.1 zyxin isoform X1 [Corvus cornix cornix]")
    write(source / "Corvus_cornix" / "b.fasta", "XP_2.1 LOW QUALITY PROTEIN: MC1R [Corvus cornix]")
    write(
        source / "Gallus_gallus.fa",
        "tr|A1|A1_CHICK Zyxin OS=Gallus gallus OX=9031 GN=ZYX PE=3 SV=1",
        "NP_1.1 ZYX protein [Gallus gallus]\x01AA.1 Zyx protein [Meleagris gallopavo]",
    )
    (source / "README.txt").write_text("not a FASTA file")
    return source


def test_protein_folder(tmp_path: Path, birds: Path) -> None:
    dataset = tmp_path / "out"
    report = protein_fasta.convert(birds, dataset)
    assert report.summary() == f"{dataset}: 3 species, nothing left out."
    genes = read_genes(dataset / "genes.csv.gz")
    assert genes.index.tolist() == ["Alectura_lathami", "Corvus_cornix", "Gallus_gallus"]
    assert genes.columns.tolist() == [
        *("FCGBP protein", "MC1R", "ZYX", "ZYX protein", "Zyx protein", "zyxin")
    ]
    present = {name: row[row == 1].index.tolist() for name, row in genes.iterrows()}
    assert present == {
        "Alectura_lathami": ["FCGBP protein", "ZYX protein"],
        "Corvus_cornix": ["MC1R", "zyxin"],
        "Gallus_gallus": ["ZYX", "ZYX protein", "Zyx protein"],
    }
    completeness = pd.read_csv(dataset / "completeness.csv", index_col="species")
    assert completeness.loc["Alectura_lathami"].to_dict() == {
        "sequences": 4,
        "genes": 2,
        "uninformative": 1,
        "partial": 1,
        "low_quality": 0,
    }
    assert completeness.loc["Corvus_cornix", "low_quality"] == 1
    names = pd.read_csv(dataset / "names.tsv", sep="\t", index_col="name")
    assert names.loc["FCGBP protein", ["species", "sequences", "accession"]].tolist() == [
        *(1, 2, "NXL1.1")
    ]
    ambiguities = pd.read_csv(dataset / "ambiguities.tsv", sep="\t")
    assert ambiguities.to_numpy().tolist() == [
        ["spelling", "ZYX protein | Zyx protein", 2],
        ["joined", "ZYX protein | Zyx protein", 1],
        ["organism", "Gallus_gallus | Meleagris gallopavo", 1],
    ]
    collection = read_collection(dataset)
    assert collection.genes is not None
    assert not [problem for problem in collection.problems if problem.level == "error"]


def test_synonyms_join_names(tmp_path: Path, birds: Path) -> None:
    table = tmp_path / "synonyms.csv"
    table.write_text("name,gene\nzyxin,ZYX\nZYX protein,ZYX\nZyx protein,ZYX\nnowhere,X\n")
    report = protein_fasta.convert(birds, tmp_path / "out", synonyms=table)
    genes = read_genes(tmp_path / "out" / "genes.csv.gz")
    assert genes.columns.tolist() == ["FCGBP protein", "MC1R", "ZYX"]
    assert genes["ZYX"].tolist() == [1, 1, 1]
    (note,) = report.problems
    assert "'nowhere'" in note.reason
    for text, words in [
        ("name,symbol\na,b\n", "no column 'gene'"),
        ("name,gene\na,\n", "empty cell"),
        ("name,gene\na,b\na,c\n", "'a' stands for two genes"),
    ]:
        table.write_text(text)
        with pytest.raises(InputError, match=words):
            protein_fasta.convert(birds, tmp_path / "other", synonyms=table)


def test_assemblies_take_their_species_from_the_headers(tmp_path: Path) -> None:
    source = tmp_path / "in"
    for assembly, organism in (("GCA_1.1", "Aus bus"), ("GCF_2.1", "Aus bus"), ("GCF_3.1", "Cus")):
        write(
            source / "ncbi_dataset" / "data" / assembly / "protein.faa",
            f"X1.1 gene {assembly} [{organism}]",
            f"X2.1 shared [{organism}]",
        )
    write(source / "ncbi_dataset" / "data" / "GCF_4.1" / "protein.faa", "X1.1 shared")
    report = protein_fasta.convert(source, tmp_path / "out")
    genes = read_genes(tmp_path / "out" / "genes.csv.gz")
    assert genes.index.tolist() == ["Aus_bus", "Cus", "GCF_4.1"]
    assert genes.loc["Aus_bus", ["gene GCA_1.1", "gene GCF_2.1", "shared"]].tolist() == [1, 1, 1]
    (merged,) = report.problems
    assert (merged.code, merged.row) == ("merged", "Aus_bus")


def test_files_that_cannot_be_read_are_left_out(tmp_path: Path, birds: Path) -> None:
    (birds / "Bad_gzip.faa.gz").write_bytes(gzip.compress(b">A1.1 titin [B]\nMK\n" * 999)[:60])
    (birds / "Html_page.faa").write_text("<!DOCTYPE html>")
    (birds / "Nothing.faa").write_text("")
    report = protein_fasta.convert(birds, tmp_path / "out")
    assert report.n_species == 3
    assert [(problem.code, problem.file) for problem in report.problems] == [
        ("unreadable", "Bad_gzip.faa.gz"),
        ("unreadable", "Html_page.faa"),
        ("unreadable", "Nothing.faa"),
    ]
    (tmp_path / "only").mkdir()
    with pytest.raises(InputError, match="no protein FASTA file"):
        protein_fasta.convert(tmp_path / "only", tmp_path / "other")
    (tmp_path / "only" / "Nothing.faa").write_text("")
    with pytest.raises(InputError, match=r"not one file.*Nothing\.faa \(the file is empty\)"):
        protein_fasta.convert(tmp_path / "only", tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_genomes_are_no_proteins(tmp_path: Path, birds: Path) -> None:
    (birds / "Corvus corone.fasta").write_text(">contig 1\n" + "ACGTTGCA" * 20 + "\n")
    report = protein_fasta.convert(birds, tmp_path / "out")
    reasons = {problem.file: problem.reason for problem in report.problems}
    assert "holds nucleotides" in reasons["Corvus corone.fasta"]
    (tmp_path / "genomes").mkdir()
    (birds / "Corvus corone.fasta").rename(tmp_path / "genomes" / "Corvus corone.fasta")
    with pytest.raises(InputError, match=r"not one file of proteins.*holds nucleotides"):
        protein_fasta.convert(tmp_path / "genomes", tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_same_bytes_again(tmp_path: Path, birds: Path) -> None:
    protein_fasta.convert(birds, tmp_path / "one")
    protein_fasta.convert(birds, tmp_path / "two")
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()
