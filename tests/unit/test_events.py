"""The log is one JSON object a line, whatever happened to the process before."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from kinlens.events import EventLog


def test_each_line_is_an_object_with_time_level_and_event(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "log.jsonl")
    log.write("begin", {"n": np.int64(3), "path": Path("a/b"), "text": "two\nlines"})
    log.write("skipped", level="warning")
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["level"] for line in lines] == ["info", "warning"]
    assert lines[0] | {"time": ""} == {
        "time": "",
        "level": "info",
        "event": "begin",
        "n": 3,
        "path": "a/b",
        "text": "two\nlines",
    }
    assert datetime.fromisoformat(lines[0]["time"]).utcoffset() == timedelta(0)
    log.close()


def test_a_line_cut_short_by_a_kill_is_removed(tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl"
    log = EventLog(file)
    log.write("begin")
    log.close()
    with file.open("a") as handle:
        handle.write('{"time": "2024-')
    log.write("again")
    log.close()
    assert [json.loads(line)["event"] for line in file.read_text().splitlines()] == [
        "begin",
        "again",
    ]
