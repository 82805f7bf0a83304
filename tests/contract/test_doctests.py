"""Every example in a docstring runs and prints what it says."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import kinlens

MODULES = [
    "kinlens",
    *(found.name for found in pkgutil.walk_packages(kinlens.__path__, "kinlens.")),
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(
    name: str, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    module = importlib.import_module(name)
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    # As `pytest --doctest-modules` does, for examples that need an empty folder.
    names = {"getfixture": request.getfixturevalue}
    result = doctest.testmod(module, optionflags=flags, extraglobs=names)
    assert result.failed == 0, capsys.readouterr().out
