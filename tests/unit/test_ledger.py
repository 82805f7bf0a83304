"""Finished blocks come back as they were, under the same settings only."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kinlens.errors import UsageError
from kinlens.ledger import FolderLedger


@dataclass(frozen=True)
class Scores:
    rank: str
    values: np.ndarray
    best: tuple[int, float]


@pytest.fixture
def ledger(tmp_path: Path) -> FolderLedger:
    return FolderLedger(tmp_path / "scores", "settings-1", kinds=(Scores,))


def test_a_result_of_many_parts_comes_back(ledger: FolderLedger) -> None:
    result = {
        "scores": [Scores("genus", np.arange(3.0), (1, 0.5)), None],
        "mask": np.array([[True], [False]]),
        "names": np.array(["é", "bb"]),
        "nothing": np.zeros((0, 4), dtype=np.float32),
        "scalar": np.float32(0.1),
        "png": b"\x89PNG\x00",
        "not_finite": [float("nan"), float("-inf")],
        "text": "tree\n",
        "empty": ((), [], {}),
    }
    ledger.store("a", result)
    again = ledger.load("a")
    scores = again["scores"][0]
    assert isinstance(scores, Scores)
    assert (scores.rank, scores.best, again["scores"][1]) == ("genus", (1, 0.5), None)
    np.testing.assert_array_equal(scores.values, np.arange(3.0))
    np.testing.assert_array_equal(again["mask"], result["mask"])
    np.testing.assert_array_equal(again["names"], result["names"])
    assert again["nothing"].shape == (0, 4)
    assert again["nothing"].dtype == np.float32
    assert again["scalar"] == np.float32(0.1)
    assert type(again["scalar"]) is np.float32
    assert again["png"] == b"\x89PNG\x00"
    assert np.isnan(again["not_finite"][0])
    assert again["not_finite"][1] == float("-inf")
    assert again["text"] == "tree\n"
    assert again["empty"] == ((), [], {})


def test_a_table_comes_back_with_its_index_and_kinds(ledger: FolderLedger) -> None:
    frame = pd.DataFrame(
        {"name": ["a", None], "value": np.float32([1.5, np.nan])}, index=["x", "y"]
    )
    ledger.store("a", frame)
    pd.testing.assert_frame_equal(ledger.load("a"), frame)


def test_other_settings_do_not_see_the_block(tmp_path: Path, ledger: FolderLedger) -> None:
    ledger.store("a", 1)
    other = FolderLedger(tmp_path / "scores", "settings-2")
    assert ledger.has("a")
    assert not other.has("a")
    assert (len(ledger), len(other)) == (1, 0)
    ledger.clear()
    assert not ledger.has("a")


def test_a_missing_block_is_a_key_error(ledger: FolderLedger) -> None:
    with pytest.raises(KeyError):
        ledger.load("a")


@pytest.mark.parametrize("damage", ["cut", "emptied", "flipped"])
def test_a_damaged_block_is_a_missing_block(ledger: FolderLedger, damage: str) -> None:
    ledger.store("a", np.arange(1000.0))
    (file,) = ledger.folder.iterdir()
    content = bytearray(file.read_bytes())
    if damage == "cut":
        content = content[:-200]
    elif damage == "emptied":
        content = bytearray()
    else:
        content[2000] ^= 1
    file.write_bytes(content)
    with pytest.raises(KeyError):
        ledger.load("a")


def test_a_file_that_would_run_code_is_not_run(ledger: FolderLedger, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "sprung",))

    ledger.store("a", np.arange(3))
    (file,) = ledger.folder.iterdir()
    with file.open("wb") as handle:
        np.savez(handle, tree=np.array(Trap(), dtype=object), allow_pickle=True)
    with pytest.raises(KeyError):
        ledger.load("a")
    assert not (tmp_path / "sprung").exists()


def test_the_file_is_a_plain_archive_of_arrays(ledger: FolderLedger) -> None:
    ledger.store("a", {"x": np.arange(3)})
    with zipfile.ZipFile(ledger.folder / "a.npz") as archive:
        assert sorted(archive.namelist()) == ["a0.npy", "tree.npy"]


@pytest.mark.parametrize("value", [object(), {1: "number as key"}, np.array([{}], dtype=object)])
def test_what_cannot_be_kept_is_said_and_leaves_nothing(
    ledger: FolderLedger, value: object
) -> None:
    with pytest.raises(TypeError, match="cannot be kept"):
        ledger.store("a", value)
    assert not ledger.folder.exists()


@pytest.mark.parametrize("fingerprint", ["", "../elsewhere", "a/b"])
def test_a_fingerprint_cannot_lead_out_of_the_folder(tmp_path: Path, fingerprint: str) -> None:
    with pytest.raises(UsageError, match="fingerprint"):
        FolderLedger(tmp_path, fingerprint)
