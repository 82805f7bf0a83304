"""A file is there whole or not at all; equal content gives equal bytes."""

from __future__ import annotations

import errno
import gzip
import json
import os
import stat
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kinlens.atomic import (
    atomic_path,
    hash_bytes,
    hash_file,
    is_leftover,
    plain,
    remove_leftovers,
    write_bytes,
    write_frame,
    write_json,
    write_npy,
    write_text,
)
from kinlens.errors import UsageError


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_nothing_is_in_sight_before_all_is_written(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "deep" / "a.csv.gz") as part:
        assert part.parent == tmp_path / "deep"
        assert part.name.endswith("a.csv.gz")
        assert not part.exists()
        part.write_text("half")
        assert not (tmp_path / "deep" / "a.csv.gz").exists()
    assert names(tmp_path / "deep") == ["a.csv.gz"]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "old")
    with suppress(RuntimeError), atomic_path(tmp_path / "a.txt") as part:
        part.write_text("new, but only ha")
        raise RuntimeError
    assert names(tmp_path) == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"


def test_a_folder_replaces_a_folder_as_a_whole(tmp_path: Path) -> None:
    for content in ("old", "new"):
        with atomic_path(tmp_path / "model") as part:
            part.mkdir()
            (part / f"{content}.json").write_text(content)
    assert names(tmp_path) == ["model"]
    assert names(tmp_path / "model") == ["new.json"]
    with suppress(RuntimeError), atomic_path(tmp_path / "model") as part:
        part.mkdir()
        raise RuntimeError
    assert names(tmp_path / "model") == ["new.json"]


def test_a_file_has_the_rights_that_the_user_chose_for_new_files(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("")
    write_text(tmp_path / "atomic", "")
    rights = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "atomic")]
    assert rights[0] == rights[1]


def test_a_name_as_long_as_the_system_allows(tmp_path: Path) -> None:
    write_text(tmp_path / ("a" * 251 + ".txt"), "whole")
    assert len(names(tmp_path)[0]) == 255


def test_a_full_disk_is_said_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(UsageError, match=r"a\.csv: cannot be written: No space.*Free some"):
        write_frame(tmp_path / "a.csv", pd.DataFrame({"a": [1]}))
    assert names(tmp_path) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_disk_that_fills_up_while_writing_is_said() -> None:
    with (
        pytest.raises(UsageError, match="No space left on device"),
        atomic_path("a.txt"),
        Path("/dev/full").open("w") as file,
    ):
        file.write("x" * 100_000)


def test_a_parent_that_is_a_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"cannot be written: [\w ]+\. Choose another place"):
        write_text(tmp_path / "file" / "a.txt", "x")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_missing_right_is_said(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(UsageError, match="Permission denied"):
        write_text(tmp_path / "a.txt", "x")


def test_an_error_about_another_file_is_not_blamed_on_the_one_written(tmp_path: Path) -> None:
    with pytest.raises(PermissionError), atomic_path(tmp_path / "a.txt"):
        raise PermissionError(errno.EACCES, "Permission denied", "elsewhere.jpg")


def test_leftovers_of_killed_processes_are_found(tmp_path: Path) -> None:
    part = atomic_path(tmp_path / "deep" / "a.csv").__enter__()  # never left, as after a kill
    part.write_text("half")
    assert is_leftover(part.name)
    assert remove_leftovers(tmp_path) == 1
    assert names(tmp_path / "deep") == []
    assert remove_leftovers(tmp_path) == 0


# Tables ------------------------------------------------------------------------------------------


def test_the_bytes_of_a_table_are_these(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "name": ["Pérez, J.", "tab\there", None],
            "third": [1 / 3, np.nan, -0.0],
            "narrow": np.array([0.1, np.nan, 1e-9], dtype=np.float32),
            "count": [1, 2, 3],
            "flag": [True, False, True],
        },
        index=[7, 8, 9],
    )
    write_frame(tmp_path / "a.csv", frame)
    assert (tmp_path / "a.csv").read_bytes() == (
        "name,third,narrow,count,flag\n"
        '"Pérez, J.",0.3333333333,0.1,1,True\n'
        "tab\there,,,2,False\n"
        ",-0,1e-09,3,True\n"
    ).encode()
    write_frame(tmp_path / "a.tsv", frame)
    assert (tmp_path / "a.tsv").read_text(encoding="utf-8").splitlines()[
        2
    ] == '"tab\there"\t\t\t2\tFalse'
    assert frame["narrow"].dtype == np.float32  # the caller's table is left alone


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".csv.gz", ".tsv.gz", ".parquet"])
def test_equal_tables_give_equal_bytes_and_come_back(tmp_path: Path, suffix: str) -> None:
    frame = pd.DataFrame({"a": ["x", "y"], "b": [0.5, 2.25], "c": [1, 2]})
    write_frame(tmp_path / f"1{suffix}", frame)
    write_frame(tmp_path / f"2{suffix}", frame.copy().set_axis([5, 6]))
    assert (tmp_path / f"1{suffix}").read_bytes() == (tmp_path / f"2{suffix}").read_bytes()
    if suffix == ".parquet":
        again = pd.read_parquet(tmp_path / f"1{suffix}")
    else:
        again = pd.read_csv(tmp_path / f"1{suffix}", sep="\t" if ".tsv" in suffix else ",")
    pd.testing.assert_frame_equal(again, frame)


def test_the_gzip_header_holds_neither_time_nor_name(tmp_path: Path) -> None:
    write_frame(tmp_path / "a.csv.gz", pd.DataFrame({"a": [1]}))
    content = (tmp_path / "a.csv.gz").read_bytes()
    assert content[3] == 0  # no optional fields
    assert content[4:8] == bytes(4)
    assert gzip.decompress(content) == b"a\n1\n"


def test_an_unknown_table_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"a table is written as \.csv"):
        write_frame(tmp_path / "a.xlsx", pd.DataFrame({"a": [1]}))


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="distinct names, not two of a"):
        write_frame(tmp_path / "a.csv", pd.DataFrame([[1, 2]], columns=["a", "a"]))
    assert names(tmp_path) == []


# JSON, text, arrays ------------------------------------------------------------------------------


def test_json_keeps_order_and_has_no_words_of_its_own(tmp_path: Path) -> None:
    value = {
        "z": np.float32(0.5),
        "a": [float("nan"), float("inf"), np.int64(3), np.bool_(True)],
        "array": np.arange(4).reshape(2, 2),
        "path": Path("a") / "b",
        "set": {"b", "a"},
        "text": "Pérez",
        1: None,
    }
    write_json(tmp_path / "a.json", value)
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert json.loads(text) == {
        "z": 0.5,
        "a": [None, None, 3, True],
        "array": [[0, 1], [2, 3]],
        "path": "a/b",
        "set": ["a", "b"],
        "text": "Pérez",
        "1": None,
    }
    assert list(json.loads(text)) == ["z", "a", "array", "path", "set", "text", "1"]
    assert text.endswith("}\n")


def test_what_json_cannot_hold_is_refused() -> None:
    with pytest.raises(TypeError, match="object has no place in JSON"):
        plain({"a": object()})


def test_text_and_bytes_are_written_as_they_are(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "é\r\n\n")
    assert (tmp_path / "a.txt").read_bytes() == b"\xc3\xa9\r\n\n"
    write_bytes(tmp_path / "b", bytes(range(256)))
    assert (tmp_path / "b").read_bytes() == bytes(range(256))


def test_arrays_come_back_and_objects_are_refused(tmp_path: Path) -> None:
    write_npy(tmp_path / "a.npy", np.arange(6, dtype=np.float32).reshape(2, 3))
    again = np.load(tmp_path / "a.npy", allow_pickle=False)
    np.testing.assert_array_equal(again, np.arange(6, dtype=np.float32).reshape(2, 3))
    with pytest.raises(ValueError, match="Object arrays cannot be saved"):
        write_npy(tmp_path / "b.npy", np.array([{}], dtype=object))
    assert names(tmp_path) == ["a.npy"]


# Hashes ------------------------------------------------------------------------------------------


def test_hashes_are_blake2b_of_the_content(tmp_path: Path) -> None:
    write_bytes(tmp_path / "a", b"abc" * 100_000)
    assert hash_file(tmp_path / "a") == hash_bytes(b"abc" * 100_000)
    # From `printf abc | b2sum --length 128`.
    assert hash_bytes(b"abc") == ABC


def test_hashes_know_where_one_content_ends() -> None:
    hashes = {
        hash_bytes(*parts) for parts in [(b"abc",), (b"a", b"bc"), (b"ab", b"c"), (b"abc", b"")]
    }
    assert len(hashes) == 4


ABC = "cf4ab791c62b8d2b2109c90275287816"
