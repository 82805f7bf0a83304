from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kinlens.config import Config
from kinlens.errors import InputError, TooManySkippedError, UsageError
from kinlens.parallel import Resources
from kinlens.records.collection import Collection
from kinlens.records.result import Headline, StudyResult, metric_row, metrics_frame
from kinlens.rng import RandomStreams
from kinlens.run import read_run
from kinlens.skipped import Skipped
from kinlens.studies.catalogue import Study
from kinlens.studies.runner import run_into_folder, write_report


class CountConfig(Config):
    """Settings of the study below."""

    fault: str = ""
    unreadable: int = 0


class Counting:
    """A study that counts pictures, and how often it was run."""

    def __init__(self) -> None:
        self.runs = 0

    def __call__(
        self,
        collection: Collection,
        config: CountConfig,
        streams: RandomStreams,
        resources: Resources,
    ) -> StudyResult:
        self.runs += 1
        assert resources.cache is not None
        resources.cache.mkdir(parents=True, exist_ok=True)
        (resources.cache / "block").write_text("kept")
        if config.fault == "bug":
            raise ZeroDivisionError
        if config.fault == "cut off":
            raise KeyboardInterrupt
        assert collection.specimens is not None
        row = metric_row(
            "count", target="all", model="sum", metric="n", value=collection.specimens.n_images
        )
        return StudyResult(
            study="count",
            title="Counting",
            headlines=(Headline(f"{collection.specimens.n_images} pictures."),),
            metrics=metrics_frame([row]),
            methods="Counted.",
            skipped=tuple(Skipped(f"{i}.png", "", "torn") for i in range(config.unreadable)),
        )


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    folder = tmp_path / "set"
    folder.mkdir()
    lines = ["image,species"]
    for name in "abcd":
        Image.fromarray(np.full((4, 4, 3), ord(name), np.uint8)).save(folder / f"{name}.png")
        lines.append(f"{name}.png,Ino ino")
    (folder / "metadata.csv").write_text("\n".join([*lines, "gone.png,Ino ino\n"]))
    return folder


def test_a_run_folder_is_whole(dataset: Path, tmp_path: Path) -> None:
    counting = Counting()
    study = Study("count", CountConfig, counting)
    result = run_into_folder(study, dataset, tmp_path / "run", CountConfig(), seed=4)
    assert result.value(metric="n") == 4
    names = {entry.name for entry in (tmp_path / "run").iterdir()}
    assert names == {
        "run.json", "metrics.csv", "METHODS.md", "mismatches.tsv", "skipped.tsv", "log.jsonl",
        "report.html", "result.json",
    }  # fmt: skip
    record = read_run(tmp_path / "run")
    assert (record["status"], record["seed"], record["skipped"]) == ("finished", 4, 1)
    assert "gone.png" in (tmp_path / "run" / "skipped.tsv").read_text()
    assert "4 pictures." in (tmp_path / "run" / "report.html").read_text()


def test_a_finished_run_is_read_back_and_its_report_made_good(
    dataset: Path, tmp_path: Path
) -> None:
    counting, out = Counting(), tmp_path / "run"
    study = Study("count", CountConfig, counting)
    run_into_folder(study, dataset, out, CountConfig())
    page = (out / "report.html").read_bytes()
    (out / "report.html").unlink()
    again = run_into_folder(study, dataset, out, CountConfig(), resume=True)
    assert counting.runs == 1
    assert again.value(metric="n") == 4
    assert (out / "report.html").read_bytes() == page
    with pytest.raises(UsageError, match=r"--resume.*--force"):
        run_into_folder(study, dataset, out, CountConfig())
    with pytest.raises(UsageError, match="begun otherwise"):
        run_into_folder(study, dataset, out, CountConfig(unreadable=1), resume=True)


@pytest.mark.parametrize(
    ("fault", "kind", "status"),
    [("bug", ZeroDivisionError, "failed"), ("cut off", KeyboardInterrupt, "interrupted")],
)
def test_a_run_that_ends_early_leaves_no_result(
    dataset: Path, tmp_path: Path, fault: str, kind: type[BaseException], status: str
) -> None:
    study = Study("count", CountConfig, Counting())
    with pytest.raises(kind):
        run_into_folder(study, dataset, tmp_path / "run", CountConfig(fault=fault))
    assert read_run(tmp_path / "run")["status"] == status
    names = {entry.name for entry in (tmp_path / "run").iterdir()}
    # What was worked out stays, to go on from; nothing looks like a result.
    assert names == {"run.json", "skipped.tsv", "log.jsonl", ".cache"}
    with pytest.raises(InputError, match=f"the run is not finished .{status}.*--resume"):
        write_report([tmp_path / "run"], tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_too_much_left_out_is_told_before_any_work(dataset: Path, tmp_path: Path) -> None:
    counting = Counting()
    study = Study("count", CountConfig, counting)
    with pytest.raises(TooManySkippedError, match=r"gone\.png"):
        run_into_folder(study, dataset, tmp_path / "run", CountConfig(), max_bad=0.1)
    assert counting.runs == 0


@pytest.mark.parametrize(("unreadable", "is_refused"), [(1, False), (2, True)])
def test_pictures_that_cannot_be_read_count_once(
    dataset: Path, tmp_path: Path, unreadable: int, is_refused: bool
) -> None:
    # Five records, one missing: with one more, two of five are left out; with two, three.
    study, config = Study("count", CountConfig, Counting()), CountConfig(unreadable=unreadable)
    if is_refused:
        with pytest.raises(TooManySkippedError):
            run_into_folder(study, dataset, tmp_path / "run", config, max_bad=0.4)
        assert not (tmp_path / "run" / "result.json").exists()
    else:
        run_into_folder(study, dataset, tmp_path / "run", config, max_bad=0.4)


def test_one_report_on_two_runs(dataset: Path, tmp_path: Path) -> None:
    study = Study("count", CountConfig, Counting())
    for name in ("one", "two"):
        run_into_folder(study, dataset, tmp_path / name, CountConfig())
    write_report([tmp_path / "one", tmp_path / "two"], tmp_path / "page.html", title="Both")
    page = (tmp_path / "page.html").read_text()
    assert "<h1>Both</h1>" in page
    assert page.count("<section") == 2
