"""From run folders to what the explorer shows: charts, trees, pictures and findings, joined.

A part is there when a run or its dataset holds what it needs, and absent otherwise; nothing here
fails because a study did not leave something. What is answered to a request is in `queries`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kinlens.errors import InputError, UsageError, listing
from kinlens.explorer.charts import Chart, Column, column_of, columns_of, unit_square
from kinlens.explorer.neighbours import Likenesses
from kinlens.geometry.dendrogram import linkage_tree
from kinlens.io.folder import read_collection
from kinlens.io.results import read_result
from kinlens.optional import need
from kinlens.records.collection import Collection
from kinlens.records.result import StudyResult
from kinlens.records.slots import IMAGE, SEQUENCE, SPECIES, SPECIMEN, UMAP
from kinlens.records.tree import Tree
from kinlens.run import find_runs, read_run, unfinished_runs
from kinlens.typing import AnyArray, Float32Array

__all__ = ["TRUTHS", "Exhibit", "ShownRun", "open_exhibit"]

TRUTHS = "truths.json"
"""A file beside the runs of a tour: what is true in its world, by the name of the run folder."""

# Charts are offered in this order.
_KINDS = (IMAGE.name, SEQUENCE.name, SPECIES.name)
# A dendrogram of more species takes long, and cannot be compared by eye.
_MOST_COMPARED = 3000


@dataclass(frozen=True, eq=False)
class ShownRun:
    """One run folder, read.

    Parameters
    ----------
    folder : pathlib.Path
        Where it is.
    name : str
        What it is called here: its study, numbered when there are several.
    record : mapping
        Its ``run.json``.
    result : StudyResult
        What its study found.
    dataset : Collection, optional
        The dataset that it came from, when its folder is still there.
    truth : str
        What is true, beside what was found, when the world of the run was simulated by a tour.
    """

    folder: Path
    name: str
    record: Mapping[str, Any]
    result: StudyResult
    dataset: Collection | None = None
    truth: str = ""


@dataclass(frozen=True, eq=False)
class Exhibit:
    """Everything that can be shown of one or several runs.

    Parameters
    ----------
    title : str
        The dataset's name.
    runs : tuple of ShownRun
        In the order given.
    charts : tuple of Chart
        Pictures first.
    notes : tuple of str
        What is missing, and why, for whoever started the explorer.
    """

    title: str
    runs: tuple[ShownRun, ...]
    charts: tuple[Chart, ...]
    notes: tuple[str, ...] = ()
    _likenesses: dict[int, Likenesses] = field(default_factory=dict, init=False)
    _predicted: dict[int, dict[str, int]] = field(default_factory=dict, init=False)

    @cached_property
    def dataset(self) -> Collection | None:
        """The dataset whose tree and genes are shown: the first that has a tree, or the first."""
        datasets = [run.dataset for run in self.runs if run.dataset is not None]
        with_tree = [dataset for dataset in datasets if dataset.tree is not None]
        return next(iter(with_tree + datasets), None)

    def run_of_chart(self, number: int) -> ShownRun | None:
        """Return the run that a chart comes from."""
        name = self.charts[number].name
        return next((run for run in self.runs if run.name == name), None)

    def dataset_of_chart(self, number: int) -> Collection | None:
        """Return the dataset behind a chart; None when it is not there any more."""
        run = self.run_of_chart(number)
        return None if run is None else run.dataset

    @property
    def tip_rank(self) -> str:
        """The column whose values are tips of the tree."""
        return self.dataset.tree_rank if self.dataset is not None else SPECIES.name

    @cached_property
    def chart_of_tips(self) -> int | None:
        """The number of the first chart whose things belong to tips of the tree."""
        found = (n for n, chart in enumerate(self.charts) if chart.column(self.tip_rank))
        return next(found, None)

    @property
    def tree(self) -> Tree | None:
        """The tree of the species, None without one."""
        return self.dataset.tree if self.dataset is not None else None

    @cached_property
    def looks_tree(self) -> Tree | None:
        """Species clustered by how unlike they look, from a run of `kinship`; None without one."""
        for run in self.runs:
            distances = run.result.distances
            if run.result.study != "kinship" or distances is None:
                continue
            if 2 < len(distances) <= _MOST_COMPARED and np.isfinite(distances.values).all():
                return linkage_tree(distances.values, distances.ids)
        return None

    @property
    def genes(self) -> pd.DataFrame | None:
        """Which species has which gene; None without a table."""
        return self.dataset.genes if self.dataset is not None else None

    def prediction_of(self, number: int, row: int) -> Mapping[str, Any]:
        """Return what the run of a chart predicted of one thing; empty when it did not.

        Parameters
        ----------
        number : int
            The chart.
        row : int
            The thing.
        """
        chart, run = self.charts[number], self.run_of_chart(number)
        table = run.result.predictions if run is not None else None
        if table is None:
            return {}
        key = chart.kind if chart.kind in table.columns else "id"
        if key not in table.columns:
            return {}
        if number not in self._predicted:
            names = table[key].astype(str)
            self._predicted[number] = {name: place for place, name in enumerate(names)}
        place = self._predicted[number].get(chart.ids[row])
        if place is None:
            return {}
        found = table.iloc[place].drop(key)
        return {str(name): value for name, value in found.items()}

    def get_ready(self) -> None:
        """Compute what the first question about looks would otherwise wait for."""
        for number, chart in enumerate(self.charts):
            if len(chart):
                self.likenesses(number).share_as_strange(chart.vectors[0])

    def likenesses(self, number: int) -> Likenesses:
        """Return what finds similar things on a chart."""
        if number not in self._likenesses:
            chart = self.charts[number]
            specimen = chart.column(SPECIMEN.name)
            groups = None
            if specimen is not None and not np.isnan(specimen.values).any():
                groups = specimen.values.astype(np.int64)
            self._likenesses[number] = Likenesses(chart.vectors, groups)
        return self._likenesses[number]

    def run_of(self, study: str) -> ShownRun | None:
        """Return the first run of a study."""
        return next((run for run in self.runs if run.result.study == study), None)


def open_exhibit(runs: Sequence[str | Path], *, dataset: str | Path | None = None) -> Exhibit:
    """Read run folders, and the dataset that they came from when it can be found.

    Parameters
    ----------
    runs : sequence of path
        Run folders, or folders that hold some.
    dataset : path, optional
        The dataset folder. Left out, it is looked for beside the runs and in the working folder,
        by the name and content that the runs recorded.

    Raises
    ------
    InputError
        When a folder is no finished run, or `dataset` is not the one that the runs came from.
    UsageError
        When no run is given.
    """
    folders = find_runs(runs)
    if not folders:
        raise UsageError("no run to explore; give the folder of a finished one.")
    read = [(folder, read_run(folder), read_result(folder)) for folder in folders]
    shown, notes = _named(read, dataset)
    left_out = unfinished_runs(runs)
    if left_out:
        notes.append(f"Left out, since not finished: {listing(left_out)}")
    charts = [chart for run in shown if (chart := _chart_of(run)) is not None]
    charts.sort(key=lambda chart: _KINDS.index(chart.kind) if chart.kind in _KINDS else 9)
    exhibit = Exhibit("", shown, tuple(charts), tuple(notes))
    title = exhibit.dataset.name if exhibit.dataset is not None else shown[0].record.get("source")
    return replace(exhibit, title=str(title or shown[0].folder.name))


def _named(
    read: Sequence[tuple[Path, dict[str, Any], StudyResult]], given: str | Path | None
) -> tuple[tuple[ShownRun, ...], list[str]]:
    """Give each run its name and its dataset; say which datasets were not found."""
    datasets = _Datasets(given)
    seen: dict[str, int] = {}
    shown, homeless = [], []
    for folder, record, result in read:
        seen[result.study] = seen.get(result.study, 0) + 1
        again = seen[result.study]
        name = result.study if again == 1 else f"{result.study} {again}"
        dataset = datasets.of(folder, record)
        if dataset is None:
            homeless.append(name)
        shown.append(ShownRun(folder, name, record, result, dataset, _truth_of(folder)))
    datasets.refuse_what_nobody_came_from(read[0][1])
    notes = []
    if homeless:
        notes.append(
            f"{listing(homeless)}: the dataset was not found beside the run, or has changed since. "
            "Pictures are the run's own thumbnails, and there is no tree. --data FOLDER names it."
        )
    return tuple(shown), notes


def _truth_of(folder: Path) -> str:
    path = folder.resolve().parent / TRUTHS
    if not path.is_file():
        return ""
    try:
        return str(json.loads(path.read_text(encoding="utf-8")).get(folder.resolve().name, ""))
    except (ValueError, AttributeError) as error:
        raise InputError("not a table of truths", where=path) from error


# The dataset -------------------------------------------------------------------------------------


class _Datasets:
    """Dataset folders, each read once, matched to runs by what these recorded."""

    def __init__(self, given: str | Path | None) -> None:
        self._given = None if given is None else read_collection(given)
        self._is_given_used = False
        self._read: dict[Path, Collection | None] = {}

    def of(self, folder: Path, record: Mapping[str, Any]) -> Collection | None:
        """Return the dataset that a run came from, None when it is not found."""
        if self._given is not None and not _changed(record, self._given):
            self._is_given_used = True
            return self._given
        name = record.get("source")
        if not isinstance(name, str) or not name:
            return None
        for place in (folder.resolve().parent / name, Path.cwd() / name):
            found = self._at(place)
            if found is not None and not _changed(record, found):
                return found
        return None

    def refuse_what_nobody_came_from(self, record: Mapping[str, Any]) -> None:
        """Refuse a folder that was given when it fits no run; say in what it differs from one."""
        if self._given is None or self._is_given_used:
            return
        raise InputError(
            "not the dataset that the run came from: other content of "
            + listing(_changed(record, self._given)),
            where=self._given.folder,
            remedy="Give the dataset folder as it was when the study ran, or leave --data out.",
        )

    def _at(self, place: Path) -> Collection | None:
        if place not in self._read:
            try:
                self._read[place] = read_collection(place)
            except InputError:
                self._read[place] = None
        return self._read[place]


def _changed(record: Mapping[str, Any], collection: Collection) -> list[str]:
    """Name the inputs of a run that the dataset lacks or holds with other content."""
    recorded = record.get("inputs") or {}
    return [name for name, digest in recorded.items() if collection.hashes.get(name) != digest]


# Charts ------------------------------------------------------------------------------------------


def _chart_of(run: ShownRun) -> Chart | None:
    path = run.folder / "embedding.h5ad"
    if not path.is_file():
        return _chart_of_answers(run)
    container = need("anndata").read_h5ad(path)
    vectors = np.asarray(container.X, dtype=np.float32)
    if len(vectors) == 0 or not np.isfinite(vectors).all():
        return None
    if UMAP.key in container.obsm:
        points, placed_by = np.asarray(container.obsm[UMAP.key]), "UMAP"
    else:
        points, placed_by = _two_components(vectors), "two principal components"
    ids = tuple(map(str, container.obs_names))
    frame = container.obs.reset_index(drop=True)
    kind = str(container.obs_names.name or IMAGE.name)
    if kind == SPECIES.name and SPECIES.name not in frame.columns:
        frame.insert(0, SPECIES.name, list(ids))
    columns = columns_of(frame)
    if kind == IMAGE.name and run.result.predictions is not None:
        columns = (*_answer_columns(run.result.predictions, ids), *columns)
    return Chart(run.name, kind, placed_by, ids, unit_square(points), columns, vectors)


def _chart_of_answers(run: ShownRun) -> Chart | None:
    """Place pictures by the probabilities that a run without an embedding gave their labels."""
    table = run.result.predictions
    if table is None or IMAGE.name not in table.columns or len(table) < 3:
        return None
    table = table.drop_duplicates(IMAGE.name).reset_index(drop=True)
    shares = [name for name in table.columns if _are_shares(table[name])]
    if len(shares) < 2:
        return None
    vectors = table[shares].to_numpy(dtype=np.float32)
    return Chart(
        run.name,
        IMAGE.name,
        "two principal components of its probabilities",
        tuple(map(str, table[IMAGE.name])),
        unit_square(_two_components(vectors)),
        columns_of(table.drop(columns=IMAGE.name)),
        vectors,
    )


def _are_shares(column: pd.Series) -> bool:
    return bool(pd.api.types.is_float_dtype(column) and column.between(0, 1).all())


def _two_components(vectors: Float32Array) -> AnyArray:
    """Return the first two principal components; zeros where there are none."""
    centred = np.asarray(vectors - vectors.mean(axis=0), dtype=np.float64)
    points = np.zeros((len(vectors), 2))
    if min(centred.shape) > 2:
        left, size, _ = need("scipy.sparse.linalg").svds(
            centred, k=2, v0=np.ones(min(centred.shape))
        )
        points[:] = (left * size)[:, ::-1]
    else:
        points[:, : centred.shape[1]] = centred[:, :2]
    # The sign of a component means nothing: let the farthest point lie on the positive side.
    farthest = np.abs(points).argmax(axis=0)
    return points * np.where(points[farthest, [0, 1]] < 0, -1.0, 1.0)


def _answer_columns(predictions: pd.DataFrame, ids: Sequence[str]) -> tuple[Column, ...]:
    """Return whether each picture was named right, and how surely, from a table of answers."""
    needed = {IMAGE.name, "species", "true_species"}
    if not needed <= set(predictions.columns):
        return ()
    table = predictions.drop_duplicates(IMAGE.name).set_index(IMAGE.name).reindex(list(ids))
    was_asked = table["true_species"].notna()
    is_right = table["species"] == table["true_species"]
    verdict = pd.Series(np.where(is_right, "right", "wrong"), index=table.index)
    found = [column_of("answer", verdict.where(was_asked, "not tested"))]
    if "species_probability" in table.columns:
        found.append(column_of("confidence", table["species_probability"]))
    return tuple(found)
