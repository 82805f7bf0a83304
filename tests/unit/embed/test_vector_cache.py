"""Vectors on disk by key."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kinlens.embed.vector_cache import VectorCache

VECTORS = np.arange(6, dtype=np.float32).reshape(3, 2)


def test_what_was_stored_is_found_in_another_session(tmp_path: Path) -> None:
    VectorCache(tmp_path, "maker", 2).store(["a", "b", "c"], VECTORS)
    found = VectorCache(tmp_path, "maker", 2).find(["c", "a", "z"])
    assert set(found) == {"a", "c"}
    np.testing.assert_array_equal(found["c"], [4, 5])


def test_makers_do_not_see_each_other(tmp_path: Path) -> None:
    VectorCache(tmp_path, "maker", 2).store(["a", "b", "c"], VECTORS)
    assert VectorCache(tmp_path, "other", 2).find(["a"]) == {}


def test_without_a_folder_nothing_is_kept() -> None:
    cache = VectorCache(None, "maker", 2)
    cache.store(["a", "b", "c"], VECTORS)
    assert cache.find(["a"]) == {}


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 no zip", None])
def test_damaged_and_foreign_blocks_count_as_missing(tmp_path: Path, damage: bytes | None) -> None:
    cache = VectorCache(tmp_path, "maker", 2)
    cache.store(["a", "b", "c"], VECTORS)
    (file,) = (tmp_path / "maker").iterdir()
    if damage is None:
        np.savez(file, keys=np.array(["a"]), vectors=np.zeros((1, 9), np.float32))
    else:
        file.write_bytes(damage)
    assert cache.find(["a"]) == {}


def test_pickled_block_is_not_opened(tmp_path: Path) -> None:
    cache = VectorCache(tmp_path, "maker", 2)
    (tmp_path / "maker").mkdir()
    harmful = np.array(["a", {"b": 1}], dtype=object)
    np.savez(tmp_path / "maker" / "x.npz", keys=harmful, vectors=VECTORS)
    assert cache.find(["a"]) == {}


def test_half_written_blocks_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = VectorCache(tmp_path, "maker", 2)

    def fails(*_args: object, **_kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez", fails)
    with pytest.raises(KeyboardInterrupt):
        cache.store(["a", "b", "c"], VECTORS)
    assert list((tmp_path / "maker").iterdir()) == []
