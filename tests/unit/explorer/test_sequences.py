"""Pasted text becomes a FASTA file, or words that say why not."""

from __future__ import annotations

import pytest

from kinlens.explorer.sequences import parse_pasted, sequence_file
from kinlens.explorer.uploads import MOST_LETTERS, UploadError


def test_fasta_and_bare_letters_are_read() -> None:
    assert parse_pasted(">a b\r\nac gt\n12 AC\n\n>c\nNN-N") == [("a", "ACGTAC"), ("c", "NN-N")]
    assert parse_pasted("acgt\nacgt") == [("pasted", "ACGTACGT")]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no sequence"),
        (">only a name\n", "no sequence"),
        ("ACGT; rm -rf", "';' is no letter"),
        ("ACG\u0394", "is no letter"),
        ("\n".join(f">s{n}\nACGT" for n in range(21)), "at the most"),
        ("A" * (MOST_LETTERS + 1), "at the most"),
    ],
)
def test_what_is_no_question_is_refused(text: str, words: str) -> None:
    with pytest.raises(UploadError, match=words):
        parse_pasted(text)


def test_names_are_made_harmless_and_different() -> None:
    with sequence_file(b">../../etc/passwd\nAC\n>../../etc/passwd\nGT\n>\nTT") as path:
        lines = path.read_text().splitlines()
        folder = path.parent
    assert lines == [
        ">.._.._etc_passwd", "AC", ">.._.._etc_passwd_2", "GT", ">sequence_3", "TT",
    ]  # fmt: skip
    assert not folder.exists()


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(UploadError, match="not text"), sequence_file(b"\xff\xfe\x00"):
        pass
