"""A run folder is begun once, written by one, resumed as itself and closed in a known state."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from kinlens.atomic import write_text
from kinlens.config import Config
from kinlens.errors import InputError, TooManySkippedError, UsageError, WorkLostError
from kinlens.lock import FolderLock
from kinlens.parallel import map_blocks
from kinlens.run import RunFolder, read_run
from kinlens.skipped import Skipped


class Forest(Config):
    trees: int = 100


def begin(path: Path, **changes: Any) -> RunFolder:
    given: dict[str, Any] = {
        "study": "taxa",
        "config": Forest(),
        "seed": 1,
        "inputs": {"metadata.csv": "ab"},
    }
    return RunFolder.begin(path, **(given | changes))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# Beginning ---------------------------------------------------------------------------------------


def test_a_run_from_begin_to_finish(tmp_path: Path) -> None:
    out = tmp_path / "runs" / "first"
    with begin(out) as run:
        assert read_run(out)["status"] == "running"
        run.skipped.add("images/a.jpg", "truncated file")
        list(map_blocks(abs, [-1, 2], ledger=run.ledger("numbers")))
        write_text(run.cache / "vectors" / "a.txt", "kept for a resumed run")
        assert {".ledger", ".cache"} <= set(names(out))
        write_text(out / "note.txt", "done")
    assert names(out) == ["log.jsonl", "note.txt", "run.json", "skipped.tsv"]
    record = read_run(out)
    assert record["status"] == "finished"
    assert record["config"] == {"trees": 100}
    assert record["inputs"] == {"metadata.csv": "ab"}
    assert record["skipped"] == 1
    assert record["peak_memory_mb"] > 10
    assert record["seconds"] >= 0
    assert record["started"] <= record["ended"]
    assert (out / "skipped.tsv").read_text() == (
        "file\trecord\treason\nimages/a.jpg\t\ttruncated file\n"
    )
    events = [json.loads(line)["event"] for line in (out / "log.jsonl").read_text().splitlines()]
    assert events == ["begin", "finished"]


def test_facts_given_at_the_end_are_recorded(tmp_path: Path) -> None:
    run = begin(tmp_path)
    run.finish({"headline": "0.65"})
    assert read_run(tmp_path)["headline"] == "0.65"
    assert not (tmp_path / ".lock").exists()


def test_a_run_that_came_to_nothing_is_in_nobodys_way(tmp_path: Path) -> None:
    def fail(**changes: Any) -> None:
        with begin(tmp_path, **changes) as run:
            write_text(run.cache / "vectors.txt", "kept")
            raise UsageError("no model 'rf'")

    for trees in (1, 2):
        with pytest.raises(UsageError, match="rf"):
            fail(config=Forest(trees=trees))
        assert read_run(tmp_path)["config"] == {"trees": trees}
    assert (tmp_path / ".cache" / "vectors.txt").exists()
    write_text(tmp_path / "note.txt", "somebody's")
    with pytest.raises(UsageError, match="already holds a run"):
        fail()
    (tmp_path / "note.txt").unlink()
    with suppress(UsageError), begin(tmp_path) as run:
        list(map_blocks(abs, [-1], ledger=run.ledger("numbers")))
        raise UsageError("too late")
    with pytest.raises(UsageError, match="already holds a run"):
        fail()


def test_a_folder_with_foreign_content_is_never_touched(tmp_path: Path) -> None:
    (tmp_path / "thesis.docx").write_text("ten years")
    for choice in ({}, {"resume": True}, {"force": True}):
        with pytest.raises(UsageError, match=r"holds no run of kinlens \(thesis\.docx\)"):
            begin(tmp_path, **choice)
    (tmp_path / "run.json").write_text('{"program": "another"}')
    with pytest.raises(UsageError, match="holds no run of kinlens"):
        begin(tmp_path, force=True)
    assert names(tmp_path) == ["run.json", "thesis.docx"]


def test_a_folder_with_a_run_needs_a_word(tmp_path: Path) -> None:
    begin(tmp_path).finish()
    with pytest.raises(UsageError, match=r"already holds a run\. .* --resume, .* --force"):
        begin(tmp_path)
    with pytest.raises(UsageError, match="give only one"):
        begin(tmp_path, resume=True, force=True)


def test_force_replaces_the_run_and_nothing_outside_it(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept.txt").write_text("kept")
    out = tmp_path / "run"
    with begin(out) as run:
        (out / "figures").mkdir()
        write_text(out / "figures" / "old.png", "old")
        (out / "link").symlink_to(outside)
    with begin(out, force=True, config=Forest(trees=5)) as run:
        assert names(out) == [".lock", "log.jsonl", "run.json"]
        assert run.record["sessions"] == 1
    assert read_run(out)["config"] == {"trees": 5}
    assert names(outside) == ["kept.txt"]


def test_a_run_cannot_lie_over_its_dataset(tmp_path: Path) -> None:
    dataset = tmp_path / "data" / "butterflies"
    dataset.mkdir(parents=True)
    for out in (dataset, tmp_path / "data", dataset / ".." / "butterflies"):
        with pytest.raises(UsageError, match="holds the dataset"):
            begin(out, source=dataset)
    begin(dataset / "run", source=dataset).finish()


def test_a_file_is_no_run_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is a file"):
        begin(tmp_path / "file")
    with pytest.raises(UsageError, match="cannot be made: Not a directory"):
        begin(tmp_path / "file" / "run")


def test_two_runs_do_not_share_a_folder(tmp_path: Path) -> None:
    with begin(tmp_path), pytest.raises(UsageError, match="another run is writing here now"):
        begin(tmp_path, resume=True)
    lock = FolderLock(tmp_path)
    with pytest.raises(UsageError, match="another run is writing here now"):
        begin(tmp_path, force=True)
    lock.release()
    assert read_run(tmp_path)["status"] == "finished"


def test_a_start_that_fails_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        begin(tmp_path / "run", max_bad=-1)
    assert names(tmp_path) == []


# Ending badly ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ValueError("bad"), "failed"),
        (KeyboardInterrupt(), "interrupted"),
        (WorkLostError("scheduler lost"), "interrupted"),
    ],
)
def test_how_a_run_ended_is_recorded_and_it_can_be_resumed(
    tmp_path: Path, error: BaseException, status: str
) -> None:
    with suppress(type(error)), begin(tmp_path) as run:
        run.ledger("numbers").store("a", 1)
        raise error
    record = read_run(tmp_path)
    assert record["status"] == status
    assert record["error"] == f"{type(error).__name__}: {error}"
    with begin(tmp_path, resume=True) as run:
        assert run.ledger("numbers").has("a")
        assert run.record["sessions"] == 2
        assert run.record["error"] is None
    assert read_run(tmp_path)["status"] == "finished"
    assert not (tmp_path / ".ledger").exists()


def test_what_was_skipped_is_told_when_it_was_too_much(tmp_path: Path) -> None:
    both = [Skipped("a.jpg", "", "empty file"), Skipped("b.jpg", "", "empty file")]
    with pytest.raises(TooManySkippedError), begin(tmp_path, max_bad=1) as run:
        run.skipped.extend(both)
    assert len(pd.read_csv(tmp_path / "skipped.tsv", sep="\t")) == 2
    assert read_run(tmp_path)["status"] == "failed"


def test_the_first_error_is_the_one_that_arrives(tmp_path: Path) -> None:
    out = tmp_path / "run"

    def fail_where_nothing_can_be_recorded() -> None:
        with begin(out):
            (out / "skipped.tsv").mkdir()
            raise ValueError("the real reason")

    with pytest.raises(ValueError, match="the real reason"):
        fail_where_nothing_can_be_recorded()
    assert read_run(out)["status"] == "running"
    FolderLock(out).release()


# Resuming ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"config": Forest(trees=5)}, "trees was 100, now 5"),
        ({"seed": 2}, "seed was 1, now 2"),
        ({"study": "kinship"}, 'study was "taxa"'),
        ({"inputs": {"metadata.csv": "cd"}}, 'metadata.csv was "ab"'),
    ],
)
def test_only_the_same_run_is_resumed(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    with pytest.raises(RuntimeError), begin(tmp_path):
        raise RuntimeError
    with pytest.raises(UsageError, match=f"cannot be resumed.*{words}.*--force"):
        begin(tmp_path, resume=True, **change)
    assert read_run(tmp_path)["status"] == "failed"
    assert not (tmp_path / ".lock").exists()


def test_finished_blocks_of_other_settings_are_not_seen(tmp_path: Path) -> None:
    with begin(tmp_path / "a") as run:
        one = run.ledger("numbers").folder.name
    with begin(tmp_path / "b", config=Forest(trees=5)) as run:
        assert run.ledger("numbers").folder.name != one
    with begin(tmp_path / "c") as run:
        assert run.ledger("numbers").folder.name == one


def test_resuming_where_there_is_nothing_begins(tmp_path: Path) -> None:
    with begin(tmp_path / "new", resume=True) as run:
        assert run.record["sessions"] == 1
    (tmp_path / "empty").mkdir()
    begin(tmp_path / "empty", resume=True).finish()


def test_resuming_a_finished_run_changes_nothing(tmp_path: Path) -> None:
    begin(tmp_path).finish()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with begin(tmp_path, resume=True) as run:
        assert run.is_finished
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


_STUDY = """
import os, signal, sys
from pathlib import Path

import numpy as np
import pandas as pd

from kinlens.atomic import write_frame
from kinlens.parallel import Resources, map_blocks
from kinlens.rng import RandomStreams
from kinlens.run import RunFolder

out, workers, stop_at = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
calls = out.with_suffix(".calls")


def score(block):
    with calls.open("a") as file:
        file.write(f"{block}\\n")
    return {"block": block, "score": RandomStreams(1).generator("score", block).random(4)}


with RunFolder.begin(
    out, study="taxa", config={"blocks": 12}, seed=1, resume=True, inputs={"a": "1"}
) as run:
    run.skipped.add("images/x.jpg", "empty file")
    rows = []
    results = map_blocks(
        score, range(12), resources=Resources(workers=workers), ledger=run.ledger("scores")
    )
    for result in results:
        if len(rows) == stop_at:
            (out / ".kinlens-part-0-metrics.csv").write_text("half a tab")
            os.kill(os.getpid(), signal.SIGKILL)
        rows.append(result["score"])
    frame = pd.DataFrame(np.array(rows), columns=list("abcd"))
    write_frame(out / "metrics.csv", frame)
    write_frame(out / "metrics.parquet", frame)
"""


def run_study(out: Path, *, workers: int, stop_at: int) -> int:
    command = [sys.executable, "-c", _STUDY, str(out), str(workers), str(stop_at)]
    return subprocess.run(command, check=False, timeout=60).returncode


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the same run, never interrupted."""
    out = tmp_path_factory.mktemp("whole") / "run"
    assert run_study(out, workers=1, stop_at=-1) == 0
    return out


@pytest.mark.parametrize("workers", [1, 2])
def test_a_run_killed_in_the_middle_ends_with_the_same_bytes(
    tmp_path: Path, whole: Path, workers: int
) -> None:
    killed = tmp_path / "killed"
    assert run_study(killed, workers=workers, stop_at=7) == -signal.SIGKILL
    assert read_run(killed)["status"] == "running"
    assert not (killed / "metrics.csv").exists()
    assert run_study(killed, workers=workers, stop_at=-1) == 0
    assert names(killed) == names(whole)
    for name in ("metrics.csv", "metrics.parquet", "skipped.tsv"):
        assert (killed / name).read_bytes() == (whole / name).read_bytes()
    record = read_run(killed)
    assert (record["status"], record["sessions"]) == ("finished", 2)
    calls = [int(line) for line in (tmp_path / "killed.calls").read_text().split()]
    assert set(calls) == set(range(12))
    # Those that reached the reader were kept; only what was under way was worked on again.
    assert [calls.count(block) for block in range(7)] == [1] * 7


# Reading -----------------------------------------------------------------------------------------


def test_a_folder_without_a_run_cannot_be_read_as_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no run\.json that can be read.*Give a folder that"):
        read_run(tmp_path)
    (tmp_path / "runs" / "taxa").mkdir(parents=True)
    (tmp_path / "runs" / "taxa" / "run.json").write_text("[]")
    with pytest.raises(InputError, match=r"Give one of the runs in it: taxa\."):
        read_run(tmp_path / "runs")
    (tmp_path / "run.json").write_text("[]")
    with pytest.raises(InputError, match="was not written by kinlens"):
        read_run(tmp_path)


def test_the_record_of_a_real_run_names_no_person_and_no_machine(tmp_path: Path) -> None:
    begin(tmp_path, source=tmp_path.parent).finish()
    text = (tmp_path / "run.json").read_text() + (tmp_path / "log.jsonl").read_text()
    assert os.uname().nodename not in text
    assert str(tmp_path.parent) not in text
