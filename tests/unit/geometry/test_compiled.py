"""Machine code that outlives the process."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from kinlens.geometry import compiled as module_under_test
from kinlens.geometry.compiled import compiled

SOURCE = """
from kinlens.geometry.compiled import compiled

@compiled
def doubled(number):
    return number + number
"""


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    module_under_test._digest.cache_clear()
    path = tmp_path / "a_module_of_the_test.py"
    path.write_text(SOURCE)
    return path


def loaded(path: Path) -> ModuleType:
    """Import the file as a new process would."""
    spec = importlib.util.spec_from_file_location("kinlens_test_module", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # numba imports the module of a function that it takes from disk.
    import sys

    sys.modules["kinlens_test_module"] = module
    spec.loader.exec_module(module)
    return module


def test_code_is_taken_from_disk_the_second_time(source: Path) -> None:
    first = loaded(source).doubled
    assert first(2) == 4
    assert sum(first.stats.cache_misses.values()) == 1
    second = loaded(source).doubled
    assert second(2) == 4
    assert sum(second.stats.cache_hits.values()) == 1


def test_code_is_thrown_away_when_another_file_changed(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert loaded(source).doubled(2) == 4
    monkeypatch.setattr(module_under_test, "_digest_of_floor", lambda: "another")
    again = loaded(source).doubled
    assert again(2) == 4
    assert not again.stats.cache_hits


def test_damaged_code_is_compiled_anew(source: Path) -> None:
    assert loaded(source).doubled(2) == 4
    for kept in source.parent.rglob("*.nbc"):
        kept.write_bytes(kept.read_bytes()[:100])
    assert loaded(source).doubled(2) == 4


def test_without_a_folder_to_write_to(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A file where numba would make its folder, and no other place to go to.
    monkeypatch.setattr(
        module_under_test.caching.FunctionCache._impl_class,
        "_locator_classes",
        [module_under_test.caching.InTreeCacheLocator],
        raising=True,
    )
    (source.parent / "__pycache__").write_text("in the way")
    assert loaded(source).doubled(2) == 4


def test_a_full_disk_does_not_stop_the_computation(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module_under_test.caching.IndexDataCacheFile, "save", full)
    assert loaded(source).doubled(2) == 4


def test_functions_without_a_file_are_compiled_too() -> None:
    scope: dict[str, object] = {}
    exec("def tripled(number): return 3 * number", scope)
    tripled = compiled(scope["tripled"])  # type: ignore[type-var]
    assert tripled(2) == 6  # type: ignore[operator]
