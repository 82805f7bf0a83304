"""Pasted sequences to a FASTA file: letters checked, numbers bounded, names made harmless."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from kinlens.explorer.uploads import MOST_LETTERS, MOST_SEQUENCES, UploadError

__all__ = ["parse_pasted", "sequence_file"]

_NAME = re.compile(r"[^\w.:|-]+")


def parse_pasted(text: str) -> list[tuple[str, str]]:
    r"""Read names and sequences from pasted text, FASTA or bare letters.

    Parameters
    ----------
    text : str
        FASTA, or lines of letters alone, which are one sequence. Blanks and digits, as in
        flat files of databases, are left out.

    Raises
    ------
    UploadError
        When there is no sequence, or there are too many or too long ones.

    Examples
    --------
    >>> parse_pasted("acgt acgt 60")
    [('pasted', 'ACGTACGT')]
    >>> parse_pasted(">one more\nACGT")
    [('one', 'ACGT')]
    """
    found: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        if line.startswith(">"):
            words = line[1:].split()
            name = _NAME.sub("_", words[0])[:60] if words else ""
            found.append((name or f"sequence_{len(found) + 1}", []))
        elif line.strip():
            if not found:
                found.append(("pasted", []))
            found[-1][1].append(re.sub(r"[\s\d]+", "", line).upper())
    sequences = [(name, "".join(parts)) for name, parts in found]
    sequences = [(name, letters) for name, letters in sequences if letters]
    if not sequences:
        raise UploadError("There is no sequence in this; paste letters, or FASTA.")
    if len(sequences) > MOST_SEQUENCES or sum(len(s) for _, s in sequences) > MOST_LETTERS:
        raise UploadError(
            f"Ask for {MOST_SEQUENCES} sequences of {MOST_LETTERS:,} letters in all at the most; "
            "`kinlens search` takes files of any size.",
            status=413,
        )
    for name, letters in sequences:
        if strangers := sorted(set(letters) - set("ABCDEFGHIJKLMNOPQRSTUVWXYZ*-.")):
            raise UploadError(f"{name}: {strangers[0]!r} is no letter of a sequence.")
    return sequences


@contextmanager
def sequence_file(content: bytes) -> Iterator[Path]:
    """Hand out a FASTA file of pasted sequences; it is gone afterwards.

    Parameters
    ----------
    content : bytes
        UTF-8 text, as in `parse_pasted`.
    """
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UploadError("This is not text.") from error
    sequences = parse_pasted(text)
    with TemporaryDirectory(prefix="kinlens-sequences-") as folder:
        path = Path(folder) / "pasted.fasta"
        names: dict[str, int] = {}
        lines = []
        for name, letters in sequences:
            names[name] = names.get(name, 0) + 1
            unique = name if names[name] == 1 else f"{name}_{names[name]}"
            lines.append(f">{unique}\n{letters}\n")
        path.write_text("".join(lines), encoding="ascii", errors="replace")
        yield path
