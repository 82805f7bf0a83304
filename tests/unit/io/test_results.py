from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kinlens.errors import InputError
from kinlens.io.results import read_model, read_result, write_result
from kinlens.records.distances import DistanceMatrix
from kinlens.records.result import (
    FigureRecord,
    Headline,
    StudyResult,
    metric_row,
    metrics_frame,
)
from kinlens.skipped import Skipped


@pytest.fixture
def result() -> StudyResult:
    rows = [
        metric_row("taxa", target="species", model="lda", metric="mcc", value=1 / 3, seed=7, n=12),
        metric_row("taxa", target="genus", model="None", metric="mcc", value=float("nan"), low=0.1),
    ]
    return StudyResult(
        study="taxa",
        title="Names for butterflies",
        headlines=(Headline("Species: 65%.", "good"), Headline("No null <here>.")),
        metrics=metrics_frame(rows),
        methods="One *paragraph*.\n\nAnother.",
        # A genus may well be called NA.
        predictions=pd.DataFrame({"image": ["a.jpg", "b.jpg"], "genus": ["NA", "None"]}),
        splits=pd.DataFrame({"image": ["a.jpg"], "split": ["random"], "part": ["test"]}),
        tables={"per_class": pd.DataFrame({"class": ["null", "x"], "recall": [0.5, np.nan]})},
        table_captions={"per_class": "Each class."},
        figures=(
            FigureRecord("map", "Map", "n = 2", b"\x89PNG", "<svg/>"),
            FigureRecord("many", "Many", "n = 9", b"\x89PNG2"),
        ),
        distances=DistanceMatrix(("a", "b"), np.array([[0.0, 2.0], [2.0, 0.0]])),
        model={"config": {"ranks": ["species"]}, "arrays": {"w": np.eye(2, dtype=np.float32)}},
        thumbnails={"images/../a%2F.jpg": b"\xff\xd8", "images/b.jpg": b"\xff\xd8\xff"},
        skipped=(Skipped("c.jpg", "", "truncated"),),
    )


def test_a_result_is_read_back_as_it_was(tmp_path: Path, result: StudyResult) -> None:
    write_result(result, tmp_path)
    again = read_result(tmp_path)
    for name in ("study", "title", "headlines", "figures", "skipped"):
        assert getattr(again, name) == getattr(result, name)
    assert again.methods.strip() == result.methods
    assert dict(again.thumbnails) == dict(result.thumbnails)
    assert again.table_captions == result.table_captions
    pd.testing.assert_frame_equal(again.metrics, result.metrics, atol=1e-9, rtol=0)
    for name in ("predictions", "splits"):
        pd.testing.assert_frame_equal(getattr(again, name), getattr(result, name))
    pd.testing.assert_frame_equal(again.tables["per_class"], result.tables["per_class"])
    assert again.distances is not None
    assert again.distances.ids == ("a", "b")
    config, arrays = read_model(tmp_path)
    assert config == {"ranks": ["species"]}
    assert np.array_equal(arrays["w"], np.eye(2))


def test_the_same_result_gives_the_same_bytes(tmp_path: Path, result: StudyResult) -> None:
    for name in ("one", "two"):
        write_result(result, tmp_path / name)
    files = [path for path in (tmp_path / "one").rglob("*") if path.is_file()]
    assert len(files) > 10
    for file in files:
        other = tmp_path / "two" / file.relative_to(tmp_path / "one")
        assert file.read_bytes() == other.read_bytes(), file.name


def test_thumbnails_stay_in_their_folder(tmp_path: Path, result: StudyResult) -> None:
    write_result(result, tmp_path)
    assert len(list((tmp_path / "thumbnails").iterdir())) == 2


def test_what_is_no_finished_run_is_refused(tmp_path: Path, result: StudyResult) -> None:
    with pytest.raises(InputError, match=r"not a finished run.*--resume"):
        read_result(tmp_path)
    write_result(result, tmp_path)
    methods = (tmp_path / "METHODS.md").read_text()
    (tmp_path / "METHODS.md").unlink()
    with pytest.raises(InputError, match=r"METHODS.md of the run is missing.*--force"):
        read_result(tmp_path)
    (tmp_path / "METHODS.md").write_text(methods)
    (tmp_path / "model" / "model.safetensors").write_bytes(b"torn")
    with pytest.raises(InputError, match="damaged"):
        read_model(tmp_path)
    shutil.rmtree(tmp_path / "model")
    with pytest.raises(InputError, match="no model"):
        read_model(tmp_path)
