"""From a dataset folder to a finished run folder: read, check, run one study, write, report.

This is what `kinlens run` calls; in a notebook, a study's own `run` is shorter.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from kinlens.atomic import write_frame, write_text
from kinlens.config import Config
from kinlens.io.folder import read_collection
from kinlens.io.results import read_result, write_result
from kinlens.parallel import Resources
from kinlens.records.collection import Collection
from kinlens.records.result import StudyResult
from kinlens.report.page import render_page
from kinlens.rng import RandomStreams
from kinlens.run import RunFolder, find_runs, read_run
from kinlens.skipped import Skipped
from kinlens.studies.catalogue import Study

__all__ = ["run_into_folder", "write_report"]


def run_into_folder(
    study: Study,
    dataset: str | Path,
    out: str | Path,
    config: Config,
    *,
    seed: int = 0,
    resources: Resources | None = None,
    max_bad: float | None = None,
    resume: bool = False,
    force: bool = False,
) -> StudyResult:
    """Run `study` on a dataset folder and leave a whole run folder behind.

    Parameters
    ----------
    study : Study
        From `kinlens.studies.catalogue.load_study`.
    dataset : path
        The dataset folder.
    out : path
        The run folder: new or empty, unless `resume` or `force` is given.
    config : Config
        Of the study's own kind.
    seed : int
        Seed of everything random.
    resources : Resources, optional
        Where to work. Without a cache of its own, vectors of pictures are kept in the run folder
        until the run is finished, which is what `resume` goes on from.
    max_bad : float, optional
        Share (below 1) or number of pictures that may be skipped; no limit when left out.
    resume, force : bool
        Go on with the run in `out`, or replace it.

    Returns
    -------
    StudyResult
        As written to `out`; read back when the run was finished already.

    Raises
    ------
    InputError
        When the dataset lacks what the study needs.
    TooManySkippedError
        When more than `max_bad` had to be left out.
    UsageError
        When `out` may not be written to.
    """
    resources = resources or Resources()
    collection = read_collection(dataset)
    run = RunFolder.begin(
        out,
        study=study.name,
        config=config,
        seed=seed,
        inputs=collection.hashes,
        source=dataset,
        resume=resume,
        force=force,
        max_bad=max_bad,
    )
    with run:
        if run.is_finished:
            resources.progress.note(f"{out}: this run is finished already; nothing to do.")
            return _with_report(out)
        _note_skipped(run, collection)
        n_records = _n_records(collection, run)
        run.skipped.check(total=n_records)
        if resources.cache is None:
            resources = replace(resources, cache=run.path / ".cache")
        result = study.run(collection, config, RandomStreams(seed), resources)
        run.skipped.extend(result.skipped)
        run.skipped.check(total=n_records)
        write_frame(run.path / "mismatches.tsv", collection.mismatches_frame())
        write_result(result, run.path)
        run.finish({"headline": [headline.sentence for headline in result.headlines]})
    write_report([out], Path(out) / "report.html")
    return result


def write_report(runs: list[str | Path], path: str | Path, *, title: str | None = None) -> None:
    """Write one page on one or several finished runs.

    Parameters
    ----------
    runs : list of path
        Run folders, or folders that hold some.
    path : path
        The HTML file.
    title : str, optional
        Heading; the dataset and study of the first run when left out.
    """
    folders = find_runs(runs)
    results = [read_result(folder) for folder in folders]
    records = [read_run(folder) for folder in folders]
    heading = title or f"{results[0].title}: {records[0]['source']}"
    write_text(path, render_page(results, title=heading, provenance=records))


def _with_report(out: str | Path) -> StudyResult:
    """Read a finished run back; write its report when it was cut off before that."""
    result, report = read_result(out), Path(out) / "report.html"
    if not report.is_file():
        write_report([out], report)
    return result


def _note_skipped(run: RunFolder, collection: Collection) -> None:
    run.skipped.extend(
        Skipped(problem.file, problem.row, problem.reason)
        for problem in collection.problems
        if problem.level == "skip"
    )


def _n_records(collection: Collection, run: RunFolder) -> int:
    """Count what was looked at: the pictures that are there and what was left out before them."""
    used = collection.specimens.n_images if collection.specimens is not None else 0
    return used + len(run.skipped)
