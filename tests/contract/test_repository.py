"""House rules that no linter knows, for every file of the project."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LONGEST = 500
# Files that may be longer, each with its reason.
LONG_FOR_A_REASON = {
    "src/kinlens/records/tree.py": "one class over its own arrays; checks and shape changes of "
    "trees already have files of their own",
    "src/kinlens/models/kinship.py": "the estimator and what its engines promise; the arithmetic "
    "of each engine has a file of its own",
    "src/kinlens/studies/seqdist_results.py": "one table for each question of the study, all of "
    "one shape",
}
TEXT = {".cff", ".cfg", ".css", ".html", ".js", ".json", ".md", ".py", ".toml", ".txt", ".yml", ""}

# Written in pieces, so that this file does not find itself.
MACHINE_PATHS = re.compile(r"/(?:wo" r"rk|tm" r"p|ro" r"ot|home/\w+)/")
REGISTRIES = re.compile(r"py" r"pi\.org|python" r"hosted|download\.py" r"torch|index" r"-url")
UNFINISHED = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|X" r"XX)\b")


def tracked() -> list[Path]:
    """Files that are, or would be, in the repository; every file where there is no git."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        kept = ("src", "tests", "docs", "benchmarks", "validation")
        return [path for name in kept for path in (ROOT / name).rglob("*") if path.is_file()]
    listed = subprocess.run(
        [git, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\0")
    return [ROOT / name for name in listed if name and (ROOT / name).is_file()]


FILES = tracked()
PYTHON = [path for path in FILES if path.suffix == ".py"]
SOURCE = [path for path in PYTHON if path.is_relative_to(ROOT / "src")]
TESTS = [path for path in PYTHON if path.is_relative_to(ROOT / "tests")]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def lines_with(pattern: re.Pattern[str], files: list[Path]) -> list[str]:
    return [
        f"{name_of(path)}:{number}: {line.strip()[:100]}"
        for path in files
        if path.suffix in TEXT
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if pattern.search(line)
    ]


def test_the_files_are_found() -> None:
    assert len(SOURCE) > 20
    assert Path(__file__) in TESTS


def test_no_file_knows_the_machine_that_it_was_written_on() -> None:
    assert lines_with(MACHINE_PATHS, FILES) == []


def test_no_file_names_a_package_registry() -> None:
    assert lines_with(REGISTRIES, FILES) == []


def test_nothing_is_left_for_later() -> None:
    assert lines_with(UNFINISHED, FILES) == []


def test_no_file_is_large() -> None:
    assert [name_of(path) for path in FILES if path.stat().st_size > 500_000] == []


@pytest.mark.parametrize("path", SOURCE, ids=name_of)
def test_a_file_holds_one_idea(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= LONGEST or name_of(path) in LONG_FOR_A_REASON, f"{lines} lines"
    assert path.stem not in {"util", "utils", "helpers", "common", "misc"}


def test_dask_is_named_in_one_file_alone() -> None:
    naming = [path for path in SOURCE if re.search(r"\b(dask|distributed)\b", imports_of(path))]
    naming += [
        path
        for path in SOURCE
        if re.search(r"need\(\s*[\"'](dask|distributed)", path.read_text(encoding="utf-8"))
    ]
    assert {name_of(path) for path in naming} == {"src/kinlens/parallel.py"}


def imports_of(path: Path) -> str:
    """The modules that a file imports, one a line."""
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names.append(node.module or "")
    return "\n".join(names)


@pytest.mark.parametrize("path", TESTS, ids=name_of)
def test_tests_come_through_the_public_door(path: Path) -> None:
    private = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("kinlens"):
            parts = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
            private += [part for part in parts if part.startswith("_") and part != "__version__"]
    assert private == []
