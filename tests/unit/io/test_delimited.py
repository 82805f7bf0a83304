from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from kinlens.errors import InputError
from kinlens.io.compressed import written_atomically
from kinlens.io.delimited import read_delimited


@pytest.mark.parametrize(
    ("name", "content", "delimiter", "lines"),
    [
        ("a.csv", b"a,b\n1,2\n", ",", [b"a,b", b"1,2"]),
        ("a.csv", b"a;b\r\n1;2,5\r\n\r\n", ";", [b"a;b", b"1;2,5"]),
        ("a.csv", b"a\tb\n1\t2\n,,,\n", "\t", [b"a\tb", b"1\t2"]),
        ("a.tsv", b"a,b\tc\n", "\t", [b"a,b\tc"]),
        ("a.csv", b'"a;x;y",b\n', ",", [b'"a;x;y",b']),
        ("a.csv", b"\xef\xbb\xbfa,b", ",", [b"a,b"]),
        ("a.csv.gz", gzip.compress(b"a,b\n"), ",", [b"a,b"]),
        ("a.csv", gzip.compress(b"a,b\n"), ",", [b"a,b"]),
        ("a.csv", "ä,b\n".encode("utf-16"), ",", ["ä,b".encode()]),
        ("a.csv", "ä,b\n".encode("cp1252"), ",", ["ä,b".encode()]),
    ],
)
def test_lines_and_delimiter(
    tmp_path: Path, name: str, content: bytes, delimiter: str, lines: list[bytes]
) -> None:
    (tmp_path / name).write_bytes(content)
    table = read_delimited(tmp_path / name)
    assert (table.delimiter, table.lines) == (delimiter, lines)


def test_what_was_odd_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("a;ä\n".encode("cp1252"))
    encoding, separator = read_delimited(tmp_path / "a.csv").notes
    assert "byte 2" in encoding
    assert "';'" in separator


def test_cells_lose_quotes_and_blanks(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('x,y,z\n" a,b ", 1 ,"2"\nplain, 3 ,4\n')
    table = read_delimited(tmp_path / "a.csv")
    assert table.cells(1) == ["a,b", "1", "2"]
    assert table.label_and_rest(1) == ("a,b", b"1,2")
    assert table.label_and_rest(2) == ("plain", b" 3 ,4")


def test_faults(tmp_path: Path) -> None:
    for content, words in [
        (b"", "the file is empty"),
        (b"\n,,\n", "the file is empty"),
        (b"a\0b", "not a text file"),
        (gzip.compress(b"a,b\n" * 99)[:-20], "cannot be read"),
    ]:
        (tmp_path / "a.csv").write_bytes(content)
        with pytest.raises(InputError, match=words):
            read_delimited(tmp_path / "a.csv")


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz"])
def test_a_file_appears_whole_or_not_at_all(tmp_path: Path, name: str) -> None:
    def write(*pieces: bytes, fail: bool = False) -> None:
        with written_atomically(tmp_path / name) as file:
            for piece in pieces:
                file.write(piece)
            if fail:
                raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        write(b"half", fail=True)
    assert list(tmp_path.iterdir()) == []
    write(b"one ", b"two")
    first = (tmp_path / name).read_bytes()
    assert (gzip.decompress(first) if name.endswith("gz") else first) == b"one two"
    with pytest.raises(RuntimeError):
        write(b"half", fail=True)
    assert (tmp_path / name).read_bytes() == first
    write(b"one ", b"two")
    assert (tmp_path / name).read_bytes() == first
