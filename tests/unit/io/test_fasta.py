from __future__ import annotations

import gzip
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kinlens.errors import InputError, UsageError
from kinlens.io.fasta import (
    iterate_fasta,
    join_species,
    read_fasta,
    read_sequence_species,
    write_fasta,
)
from kinlens.records.sequences import SequenceSet


@pytest.fixture
def fasta(tmp_path: Path):
    def write(content: str | bytes, name: str = "a.fasta") -> Path:
        file = tmp_path / name
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return file

    return write


@pytest.mark.parametrize(
    ("content", "ids", "sequences", "alphabet"),
    [
        (">a x y\nacgt\nAC\n>b\nGG\n", ("a", "b"), (b"ACGTAC", b"GG"), "dna"),
        (">a\r\nAC GT\r\n\r\nnn--..\r\n", ("a",), (b"ACGTNN--..",), "dna"),
        ("\ufeff>a\nACGT", ("a",), (b"ACGT",), "dna"),
        ("\n\n  >a\nACGT", ("a",), (b"ACGT",), "dna"),
        ("# made by hand\n>a\nACGT\n", ("a",), (b"ACGT",), "dna"),
        (">a\nRYSWKMBDHVN\n", ("a",), (b"RYSWKMBDHVN",), "dna"),
        (">a\nNNNNNNNNNN\n", ("a",), (b"NNNNNNNNNN",), "dna"),
        (">a\nacguuu\n>b\nACG\n", ("a", "b"), (b"ACGUUU", b"ACG"), "rna"),
        (">a\nMKTAYIAKQRQISFVK*\n", ("a",), (b"MKTAYIAKQRQISFVK*",), "protein"),
        ("@a\nACGT\n+\nIIII\n", ("a",), (b"ACGT",), "dna"),
    ],
)
def test_what_is_read(fasta, content, ids, sequences, alphabet) -> None:
    file = fasta(content)
    read = read_fasta(file)
    assert (read.ids, read.sequences, read.alphabet) == (ids, sequences, alphabet)
    assert tuple(iterate_fasta(file)) == tuple(zip(ids, sequences, strict=True))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "the file is empty"),
        ("\n \n", "the file is empty"),
        (">a\nACGT\n>b\n\n>c\nAC\n", r"sequence 'b' \(record 2\) has no letters"),
        (">a\nAC\n>\nACGT\n", r"record 2 has no id"),
        (">a\nAC\n>b\nAC\n>a x\nGT\n", r"ids that occur more than once: a\."),
        (">a\nACGTACGTAC!T\n", r"not DNA: '!' at position 11 of a"),
        (">a\nACGTACGTAC\n>b\nACGTJCGTAC\n", r"not DNA: 'J' at position 5 of b.*IUPAC"),
        (">a\nACGT\n>b\nACGUACGTT\n", r"'U' at position 4 of b.*mixes DNA and RNA"),
        (">a\nMKTAYIAKQRQISFVK1\n", r"not protein: '1' at position 17 of a.*20 amino acids"),
        ("<!DOCTYPE html>\n<html>", "starts with an HTML page instead of '>'"),
        ("ACGT\n>a\nAC", "starts with 'ACGT' instead of '>'"),
        (b"\x89PNG\r\n\x1a\n", "not FASTA"),
        (b">a\nAC\xe9T\n", "not FASTA at its start"),
        (b">a\nACGT\n>b\xc3\xa9\nACGT\n", "not FASTA"),
        ("@a\nACGT\n+\nIII\n", "not FASTA"),
    ],
)
def test_what_is_refused(fasta, content, words) -> None:
    file = fasta(content)
    with pytest.raises(InputError, match=words) as raised:
        read_fasta(file)
    assert str(raised.value).startswith(f"{file}: ")


def test_nucleotides_among_proteins(fasta) -> None:
    protein = "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQ" * 3
    file = fasta(f">p\n{protein}\n>n\n{'ACGTTGCA' * 5}\n>short\nACGTACGT\n")
    with pytest.raises(InputError, match=r"nucleotides among proteins: n\."):
        read_fasta(file)
    assert read_fasta(file, alphabet="protein").ids == ("p", "n", "short")


def test_a_given_alphabet_turns_u_into_t_and_back(fasta) -> None:
    file = fasta(">a\nACGU\n>b\nACGT\n")
    assert read_fasta(file, alphabet="dna").sequences == (b"ACGT", b"ACGT")
    assert read_fasta(file, alphabet="rna").sequences == (b"ACGU", b"ACGU")
    with pytest.raises(UsageError, match="Did you mean 'protein'"):
        read_fasta(file, alphabet="proteins")


def test_all_faults_are_counted(fasta) -> None:
    file = fasta("".join(f">r{i}\nACGTACGTACGT!\n" for i in range(9)))
    with pytest.raises(InputError, match=r"of r0, .* of r4 and 4 more"):
        read_fasta(file)


@pytest.mark.parametrize("name", ["a.fasta.gz", "compressed_without_saying_so.fasta"])
def test_gzip_is_told_by_content(fasta, name: str) -> None:
    file = fasta(gzip.compress(b">a\nACGT\n"), name)
    assert read_fasta(file).sequences == (b"ACGT",)


def test_cut_off_gzip(fasta) -> None:
    content = gzip.compress(
        "".join(f">r{i}\n{i:b}\n" for i in range(9999)).replace("0", "A").replace("1", "C").encode()
    )
    file = fasta(content[: len(content) // 2], "a.fasta.gz")
    with pytest.raises(InputError, match=r"cannot be read after [\d,]+ records"):
        read_fasta(file)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_fasta(tmp_path / "none.fasta")
    with pytest.raises(InputError, match="not a file"):
        read_fasta(tmp_path)


def test_one_line_of_a_million_letters(fasta) -> None:
    file = fasta(b">a\n" + b"ACGT" * 250_000)
    (sequence,) = read_fasta(file).sequences
    assert sequence == b"ACGT" * 250_000


def test_lazy_reading_holds_little(fasta) -> None:
    file = fasta("".join(f">r{i}\n{'ACGT' * 100}\n" for i in range(20_000)))  # 8 MB
    next(iterate_fasta(file))
    tracemalloc.start()
    assert sum(len(letters) for _name, letters in iterate_fasta(file)) == 8_000_000
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2_000_000


def test_lazy_reading_names_a_late_fault(fasta) -> None:
    file = fasta("".join(f">r{i}\nACGT\n" for i in range(3000)) + ">late\nACG!\n")
    with pytest.raises(InputError, match="'!' at position 4 of late"):
        list(iterate_fasta(file))


letters = st.text("ACGTRYSWKMBDHVN-", min_size=1, max_size=200)


@settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30
)
@given(
    st.dictionaries(st.text("abcXYZ019_|.", min_size=1, max_size=9), letters, min_size=1),
    st.sampled_from(["a.fasta", "a.fasta.gz"]),
    st.integers(1, 90),
)
def test_round_trip(tmp_path: Path, records: dict[str, str], name: str, width: int) -> None:
    sequences = tuple(letters.encode() for letters in records.values())
    written = SequenceSet(tuple(records), sequences)
    write_fasta(written, tmp_path / name, width=width)
    read = read_fasta(tmp_path / name, alphabet="dna")
    assert (read.ids, read.sequences) == (written.ids, written.sequences)
    content = (tmp_path / name).read_bytes()
    write_fasta(written, tmp_path / name, width=width)
    assert (tmp_path / name).read_bytes() == content


def test_writing_wraps_lines_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    reads = SequenceSet(("a", "b"), (b"ACGTACG", b"AC"))
    write_fasta(reads, tmp_path / "a.fasta", width=3)
    assert (tmp_path / "a.fasta").read_text() == ">a\nACG\nTAC\nG\n>b\nAC\n"
    assert [file.name for file in tmp_path.iterdir()] == ["a.fasta"]
    with pytest.raises(UsageError, match="width"):
        write_fasta(reads, tmp_path / "b.fasta", width=0)


# --- species of sequences


def test_species_are_joined(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text(
        "id,species,clade\nr2,Papilio machaon,x\nr1, Parnassius_apollo ,y\nr3,,z\n"
    )
    reads = SequenceSet(("r1", "r2", "r3"), (b"AC", b"GT", b"GG"))
    species = read_sequence_species(tmp_path / "s.csv")
    assert join_species(reads, species).species == ("Parnassius_apollo", "Papilio_machaon", None)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("id,Species\nr1,a\n", r"no column 'species'\. Did you mean 'Species'"),
        ("r1,a\nr2,b\n", "no column 'id'.*write such a row"),
        ("id,species\nr1,a\n,b\n", "rows without an id: line 3"),
        ("id,species\nr1,a\nr1,b\n", "'r1' has two species, 'a' and 'b'"),
    ],
)
def test_tables_that_are_refused(tmp_path: Path, table: str, words: str) -> None:
    (tmp_path / "s.csv").write_text(table)
    with pytest.raises(InputError, match=words):
        read_sequence_species(tmp_path / "s.csv")


def test_misses_of_the_join_are_listed(tmp_path: Path) -> None:
    reads = SequenceSet(("read_1", "read_2"), (b"AC", b"GT"))
    with pytest.raises(InputError, match=r"s\.csv: 1 ids .*: read_3\. Did you mean 'read_"):
        join_species(reads, {"read_1": "a", "read_2": "a", "read_3": "b"}, where="s.csv")
    with pytest.raises(InputError, match="no row for 1 of 2 sequences: read_2"):
        join_species(reads, {"read_1": "a"})


@pytest.mark.shared
def test_real_foraminifer_sequences(shared_data: Path) -> None:
    folder = shared_data / "foram_rdna"
    sequences = read_fasta(folder / "sequences.fasta")
    joined = join_species(sequences, read_sequence_species(folder / "sequences.csv"))
    assert len(joined) == 804
    assert joined.alphabet == "dna"
    assert None not in joined.species


@pytest.mark.shared
def test_real_reads(shared_data: Path) -> None:
    reads = read_fasta(shared_data / "v4_reads" / "sequences.fasta")
    assert len(reads) == len(reads.deduplicated()) == 8373
    assert set(reads.lengths.tolist()) == {152}
