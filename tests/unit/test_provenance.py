"""The record says what decides a run, and nothing about who ran it."""

from __future__ import annotations

import getpass
import json
import platform
from pathlib import Path
from typing import Any

import pytest

import kinlens
from kinlens.config import Config
from kinlens.provenance import differences, fingerprint, first_record, peak_memory_mb


class Forest(Config):
    trees: int = 100
    ranks: tuple[str, ...] = ("species",)


def record(**changes: Any) -> dict[str, Any]:
    given = {"study": "taxa", "config": Forest(), "seed": 1, "inputs": {"metadata.csv": "ab"}}
    return first_record(**(given | changes))


def test_the_record_is_plain_and_complete() -> None:
    made = record(source=Path("data") / "butterflies")
    assert json.loads(json.dumps(made)) == made
    assert made["config"] == {"trees": 100, "ranks": ["species"]}
    assert made["source"] == "butterflies"
    assert made["version"] == kinlens.__version__
    assert {"numpy", "torch", "scikit-learn"} <= made["versions"].keys()


def test_the_record_names_neither_host_nor_user_nor_absolute_path(tmp_path: Path) -> None:
    text = json.dumps(record(source=tmp_path))
    assert platform.node() not in text
    assert f'"{getpass.getuser()}"' not in text
    assert str(tmp_path.parent) not in text


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"study": "kinship"}, 'study was "taxa", now "kinship"'),
        ({"seed": 2}, "seed was 1, now 2"),
        ({"config": Forest(trees=5)}, "trees was 100, now 5"),
        ({"inputs": {"metadata.csv": "cd"}}, 'metadata.csv was "ab", now "cd"'),
        ({"inputs": {}}, 'metadata.csv was "ab", now absent'),
        ({"inputs": {"metadata.csv": "ab", "tree.nwk": "x"}}, 'tree.nwk was absent, now "x"'),
    ],
)
def test_whatever_decides_the_numbers_changes_the_fingerprint(
    change: dict[str, Any], words: str
) -> None:
    assert fingerprint(record()) != fingerprint(record(**change))
    assert differences(record(), record(**change)) == [words]


def test_a_record_read_back_is_the_same_run(tmp_path: Path) -> None:
    again = json.loads(json.dumps(record()))
    assert fingerprint(again) == fingerprint(record())
    assert differences(again, record(source=tmp_path)) == []


def test_long_values_are_shortened() -> None:
    words = differences(record(), record(config={"trees": "x" * 500, "ranks": ["species"]}))
    assert len(words[0]) < 100
    assert words[0].endswith("...")


def test_peak_memory_notices_a_large_allocation() -> None:
    before = peak_memory_mb()
    assert before is not None
    size = int(before) + 50
    block = bytearray(size * 1_000_000)
    block[::4096] = b"x" * len(block[::4096])
    after = peak_memory_mb()
    assert after is not None
    assert after >= size
    del block
