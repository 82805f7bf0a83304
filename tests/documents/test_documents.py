"""Run the code that the README and the documents show, and follow their links.

The blocks of one document share their names and run in order in an empty folder. A block under the
line ``<!-- not run -->`` is left out.
"""

from __future__ import annotations

import doctest
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
NOT_RUN = "<!-- not run -->"
SHELLS = {"sh", "bash", "shell", "console"}


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text and the line in the document where the text starts."""

    language: str
    text: str
    line: int


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def blocks_of(path: Path) -> list[Block]:
    text = path.read_text(encoding="utf-8")
    found = re.finditer(
        r"^(?P<above>[^\n]*\n)?```(?P<language>\w*)[^\n]*\n(?P<text>.*?)^```", text, re.M | re.S
    )
    return [
        Block(match["language"], match["text"], text[: match.start("text")].count("\n"))
        for match in found
        if NOT_RUN not in (match["above"] or "")
    ]


each_document = pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)


@each_document
def test_python_blocks_run(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks_of(path):
        if block.language != "python":
            continue
        if ">>>" in block.text:
            flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
            test = doctest.DocTestParser().get_doctest(
                block.text, names, name_of(path), str(path), block.line
            )
            runner = doctest.DocTestRunner(optionflags=flags)
            assert runner.run(test, clear_globs=False).failed == 0, capsys.readouterr().out
            names = test.globs
        else:
            # Empty lines in front, so that a traceback points at the document's own line.
            exec(compile("\n" * block.line + block.text, str(path), "exec"), names)


@each_document
def test_commands_and_options_exist(path: Path) -> None:
    for block in blocks_of(path):
        if block.language not in SHELLS:
            continue
        for line in block.text.replace("\\\n", " ").splitlines():
            words = shlex.split(line.removeprefix("$ "), comments=True)
            if words[:1] == ["kinlens"] and len(words) > 1 and not words[1].startswith("-"):
                known = help_of(words[1])
                options = [word.partition("=")[0] for word in words[2:] if word.startswith("-")]
                unknown = [option for option in options if option not in known]
                assert unknown == [], f"{name_of(path)}: kinlens {words[1]} has no {unknown}"


@lru_cache
def help_of(verb: str) -> frozenset[str]:
    """The options that `kinlens VERB --help` shows."""
    shown = subprocess.run(
        [sys.executable, "-m", "kinlens", verb, "--help"],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {"COLUMNS": "200", "NO_COLOR": "1"},
    ).stdout
    return frozenset(re.findall(r"(?<![\w-])--?[a-z][\w-]*", shown))


@each_document
def test_links_inside_the_project_lead_somewhere(path: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)", path.read_text(encoding="utf-8"))
    sources = re.findall(r"(?:src|srcset|href)=\"([^\"#]+)\"", path.read_text(encoding="utf-8"))
    inside = [target for target in targets + sources if "://" not in target and ":" not in target]
    lost = [target for target in inside if not (path.parent / target).exists()]
    assert lost == []
