"""Makers that the tests of reading share."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def make_bad_images() -> Callable[[Path], dict[str, str]]:
    """The maker in `tests/bad_images.py`: a folder to {file name: expected code}."""
    file = Path(__file__).resolve().parents[2] / "bad_images.py"
    spec = importlib.util.spec_from_file_location("bad_images", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.make_bad_images
