from __future__ import annotations

import json
from pathlib import Path

import pytest

from kinlens.cli.display import Display
from kinlens.config import Config
from kinlens.errors import InputError, UsageError
from kinlens.parallel import Resources
from kinlens.records.collection import Collection
from kinlens.records.result import Headline, StudyResult, metric_row, metrics_frame
from kinlens.rng import RandomStreams
from kinlens.simulate.cell_world import CellWorldConfig
from kinlens.studies import tour
from kinlens.studies.catalogue import STUDIES, Study
from kinlens.studies.tour import STOPS, Stop, Tour, run_tour


class QuickConfig(Config):
    """Settings of the studies below."""

    depth: int = 1


def quick_study(name: str, runs: list[str]) -> Study:
    def run(
        collection: Collection,
        config: QuickConfig,
        streams: RandomStreams,
        _resources: Resources,
    ) -> StudyResult:
        if name == "broken":
            raise InputError("nothing to work on")
        runs.append(f"{name} {config.depth} {streams.seed}")
        assert collection.tree is not None
        row = metric_row(name, target="all", model="m", metric="tips", value=collection.tree.n_tips)
        return StudyResult(
            study=name,
            title=name.title(),
            headlines=(Headline("Found."),),
            metrics=metrics_frame([row]),
            methods="m",
        )

    return Study(name, QuickConfig, run)  # type: ignore[arg-type]


def truth_of_first(truth: Path, result: StudyResult) -> str:
    record = json.loads((truth / "world.json").read_text())
    return f"True: {record['config']['species']}; found: {result.value(metric='tips'):.0f}."


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two quick studies; what they ran."""
    done: list[str] = []
    studies = {"first": "Which?", "second": "How?"}
    monkeypatch.setattr(tour, "STUDIES", studies)
    monkeypatch.setattr(tour, "STOPS", {"first": Stop(truth_of_first, {"depth": 3})})
    monkeypatch.setattr(tour, "load_study", lambda name: quick_study(name, done))
    return done


def small(out: Path, **more: object) -> Tour:
    return run_tour(out, species=5, images=6, seed=2, **more)  # type: ignore[arg-type]


def test_truth_stands_beside_what_was_found(tmp_path: Path, runs: list[str]) -> None:
    told = small(tmp_path / "demo")
    assert runs == ["first 3 2", "second 1 2"]
    assert told.sentences == ("True: 5; found: 5.", "Found.")
    page = told.report.read_text()
    assert page.index("True: 5; found: 5.") < page.index("Found.")
    assert {entry.name for entry in (tmp_path / "demo").iterdir()} == {
        "dataset", "first", "second", "report.html", "truths.json",
    }  # fmt: skip
    truths = json.loads((tmp_path / "demo" / "truths.json").read_text())
    assert truths == {"first": "True: 5; found: 5."}


def test_a_tour_is_resumed_or_replaced_as_asked(tmp_path: Path, runs: list[str]) -> None:
    out = tmp_path / "demo"
    first = small(out).report.read_bytes()
    world = (out / "dataset" / "truth" / "world.json").stat().st_mtime_ns
    with pytest.raises(UsageError, match="already holds a tour"):
        small(out)
    (out / "report.html").unlink()
    assert small(out, resume=True).report.read_bytes() == first
    assert (out / "dataset" / "truth" / "world.json").stat().st_mtime_ns == world
    assert len(runs) == 2
    with pytest.raises(UsageError, match="its world is another one"):
        run_tour(out, species=6, images=6, seed=2, resume=True)
    with pytest.raises(UsageError, match="give only one"):
        small(out, resume=True, force=True)
    small(out, force=True)
    assert len(runs) == 4


@pytest.mark.parametrize("force", [False, True])
def test_a_folder_of_something_else_is_left_alone(
    tmp_path: Path, runs: list[str], force: bool
) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"holds something else, such as notes\.txt"):
        small(tmp_path, force=force)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    assert runs == []


def test_a_study_that_fails_fails_the_tour(
    tmp_path: Path, runs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tour, "STUDIES", {"first": "Which?", "broken": "Why?"})
    with pytest.raises(InputError, match="nothing to work on"):
        small(tmp_path / "demo")
    assert runs == ["first 3 2"]
    assert not (tmp_path / "demo" / "report.html").exists()


def test_a_study_of_cells_gets_a_world_of_cells(
    tmp_path: Path, runs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(collection: Collection, *_rest: object) -> StudyResult:
        runs.append(" ".join(collection.channels))
        row = metric_row("second", target="all", model="m", metric="labels", value=1.0)
        return StudyResult(study="second", title="Second", headlines=(Headline("Found."),),
                           metrics=metrics_frame([row]), methods="m")  # fmt: skip

    tiny = CellWorldConfig(images=8, image_size=24)
    monkeypatch.setattr(tour, "_CELLS", tiny)
    monkeypatch.setattr(tour, "STUDIES", {"second": "How?"})
    monkeypatch.setattr(
        tour, "STOPS", {"second": Stop(lambda truth, _: truth.parent.name, dataset="cells")}
    )
    monkeypatch.setattr(tour, "load_study", lambda name: Study(name, QuickConfig, run))
    assert small(tmp_path / "demo").sentences == ("cells",)
    assert runs == ["red green blue yellow"]
    assert small(tmp_path / "demo", resume=True).sentences == ("cells",)
    monkeypatch.setattr(tour, "_CELLS", tiny.model_copy(update={"images": 9}))
    with pytest.raises(UsageError, match="its world is another one"):
        small(tmp_path / "demo", resume=True)


def test_studies_side_by_side_find_what_they_find_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    quick = {
        "kinship": {"models": ["ridge"], "permutations": 99, "shuffles": 19, "replicates": 100},
        "genes": {"splits": 10, "compared": 0, "shown": 1, "resplits": 100, "replicates": 100},
    }
    monkeypatch.setattr(tour, "STUDIES", {name: STUDIES[name] for name in quick})
    monkeypatch.setattr(tour, "STOPS", {name: Stop(name_of, quick[name]) for name in quick})
    alone, together = tmp_path / "alone", tmp_path / "together"
    for out, workers in ((alone, 1), (together, 2)):
        resources = Resources(workers=workers, progress=Display())
        run_tour(out, species=20, images=240, seed=2, resources=resources)
        if out == alone:
            capfd.readouterr()
    for name in quick:
        tables = [(out / name / "metrics.csv").read_bytes() for out in (alone, together)]
        assert tables[0] == tables[1]
    told = capfd.readouterr().err
    assert "kinship: Encoding" in told
    assert "genes: Encoding" in told


def name_of(_truth: Path, result: StudyResult) -> str:
    """Stand in for what is true."""
    return result.study


def test_every_study_has_its_place() -> None:
    without = set(STUDIES) - set(STOPS)
    assert without == set(), f"no word of truth in the tour for {without}"
