"""From what `location` found to its result: tables, figures, predictions and words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from kinlens.evaluate.multilabel import LabelScores, MeanOf, label_table
from kinlens.io.thumbnails import to_jpeg
from kinlens.models.label_calibration import label_calibration_error
from kinlens.models.location_net import LabelNetwork
from kinlens.parallel import Resources
from kinlens.records.collection import Collection
from kinlens.records.result import FigureRecord, StudyResult, metric_row, metrics_frame
from kinlens.report.pictures import Tile
from kinlens.rng import RandomStreams
from kinlens.studies import location_figures as figures
from kinlens.studies.location_answers import Scored, StageScores
from kinlens.studies.location_model import LocationModel
from kinlens.studies.location_occlusion import channel_effects, place_effects
from kinlens.studies.location_reading import Reading, unit_means, unit_truth
from kinlens.studies.location_task import Task
from kinlens.studies.location_words import LocationFindings, headlines_of, methods_of
from kinlens.typing import BoolArray, ByteArray, FloatArray

__all__ = ["report_of"]

_BLANKED_PICTURES = 200
_EXAMPLE_LABELS = 8
_TABLE_THUMBNAILS = 80


def report_of(
    collection: Collection,
    task: Task,
    config: Any,
    streams: RandomStreams,
    resources: Resources,
    *,
    scored: Sequence[Scored],
    stages: Sequence[StageScores],
    metrics: Sequence[dict[str, object]],
    comparisons: pd.DataFrame,
    model: LocationModel | None,
    said: FloatArray | None,
    epochs: Mapping[str, int],
) -> StudyResult:
    """Gather the result of the study.

    Parameters
    ----------
    collection : Collection
        The dataset.
    task : Task
        Pictures, labels and split.
    config : LocationConfig
        Settings of the study.
    streams : RandomStreams
        For the choice of pictures that are blanked.
    resources : Resources
        Device, and whom to tell.
    scored : sequence of Scored
        Answers of every model.
    stages : sequence of StageScores
        What each stage did on its own.
    metrics : sequence of dict
        Rows of ``metrics.csv`` for the models; those of the kept network are added here.
    comparisons : pandas.DataFrame
        Paired differences from the tuned flat model.
    model : LocationModel or None
        The network that answers for new pictures.
    said : array of float, shape (n_test, n_labels), or None
        Its probabilities for the test part, not calibrated.
    epochs : mapping of str to int
        How long each network of the first repeat was trained.
    """
    test, tree = task.split.test, task.tree
    counts = label_table(task.truth[test], tree.labels, task.units[test])
    error = np.nan
    rows = list(metrics)
    if model is not None and said is not None:
        errors = {
            "calibration_error": _calibration_error(model.of_pictures, said, task.truth[test])
        }
        error = errors["calibration_error"]
        if task.grouped_by:
            errors["unit_calibration_error"] = _calibration_error(
                model.of_units,
                unit_means(said, task.units[test]),
                unit_truth(task.truth[test], task.units[test]),
            )
        rows += [
            metric_row(
                "location",
                target="all",
                model=model.name,
                metric=metric,
                value=value,
                split=task.split.name,
                n=task.n_units(test),
                seed=streams.seed,
            )
            for metric, value in errors.items()
        ]
    findings = LocationFindings(
        collection=collection,
        task=task,
        config=config,
        metrics=metrics_frame(rows),
        comparisons=comparisons,
        counts=counts,
        kept="" if model is None else model.name,
        calibration_error=error,
        epochs=epochs,
    )
    with resources.progress.task("Drawing figures", 1) as bar:
        drawn = _figures(findings, stages)
        if model is not None and said is not None:
            network = model.estimator(device=resources.device)
            drawn += _views(task, model, network, said, error, streams)
        bar.advance()
    tables, captions = _tables(task, findings, stages)
    predictions = _predictions(task, model, said, scored)
    tables["test_pictures"] = predictions[["image", "truth", "answer"]]
    captions["test_pictures"] = "Each test picture: the labels that hold, and those answered."
    if model is not None and said is not None and task.grouped_by:
        tables["test_units"] = _unit_table(task, model, said)
        captions["test_units"] = (
            f"The pictures of each test {task.grouped_by} together: labels that hold for one of "
            "them, those answered, and calibrated probabilities."
        )
    shown = test[:_TABLE_THUMBNAILS]
    return StudyResult(
        study="location",
        title="Where a protein sits",
        headlines=headlines_of(findings),
        metrics=findings.metrics,
        methods=methods_of(findings),
        predictions=predictions,
        splits=task.split.frame(task.table.image),
        tables=tables,
        table_captions=captions,
        figures=tuple(drawn),
        model=None if model is None else model.state(),
        thumbnails={
            str(task.table.image[row]): to_jpeg(
                figures.composite(task.pictures[row], task.channels)
            )
            for row in shown
        },
        skipped=task.skipped,
    )


def _figures(findings: LocationFindings, stages: Sequence[StageScores]) -> list[FigureRecord]:
    task, metrics = findings.task, findings.metrics
    n = task.n_units(task.split.test)
    decidable = set(findings.counts["label"][findings.counts["decidable"]])
    found = [
        figures.score_figure(metrics, n=n, unit=findings.unit),
        figures.label_figure(metrics, task.tree, n=n, unit=findings.unit, decidable=decidable),
    ]
    if "flat" in set(metrics["model"]):
        found.append(
            figures.advantage_figure(
                metrics, task.tree, n=n, unit=findings.unit, decidable=decidable
            )
        )
    kinds = {each.stage for each in stages}
    if "stage 1" in kinds:
        found.append(figures.stage_1_figure(stages, n=n, unit=findings.unit))
    if kinds - {"stage 1"}:
        found.append(figures.stage_2_figure(stages))
    found.append(figures.co_occurrence_figure(task.truth, task.tree))
    return found


def _views(
    task: Task,
    model: LocationModel,
    network: LabelNetwork,
    said: FloatArray,
    error: float,
    streams: RandomStreams,
) -> list[FigureRecord]:
    """Draw what the kept network looks at, and how far its probabilities can be trusted."""
    test = task.split.test
    truth = task.truth[test]
    blank = np.round(255 * model.mean).astype(np.uint8)
    rng = streams.generator("blanked")
    chosen = np.sort(rng.choice(len(test), min(_BLANKED_PICTURES, len(test)), replace=False))
    effects = channel_effects(network, task.pictures[test[chosen]], truth[chosen], blank)
    errors = {
        "as it is": label_calibration_error(said, truth),
        "calibrated": error,
    }
    return [
        figures.channel_figure(
            effects, task.tree, task.channels, model=model.name, pictures=len(chosen)
        ),
        figures.reliability_figure(
            {"as it is": said, "calibrated": model.of_pictures.calibration.transform(said)},
            truth,
            errors=errors,
        ),
        figures.example_figure(_examples(task, model, network, said, blank)),
    ]


def _examples(
    task: Task, model: LocationModel, network: LabelNetwork, said: FloatArray, blank: ByteArray
) -> list[list[Tile]]:
    """Choose pictures of the commonest labels of each group: hits, a miss, a false alarm."""
    test = task.split.test
    truth, answered = task.truth[test], said >= model.of_pictures.thresholds
    calibrated = model.of_pictures.calibration.transform(said)
    order = np.argsort(-truth.sum(axis=0), kind="stable")
    shown = [label for label in order if truth[:, label].any()][:_EXAMPLE_LABELS]
    rows = []
    for label in sorted(shown):
        surest = np.argsort(-said[:, label], kind="stable")
        hits = [row for row in surest if truth[row, label] and answered[row, label]]
        misses = [row for row in surest[::-1] if truth[row, label] and not answered[row, label]]
        alarms = [row for row in surest if not truth[row, label] and answered[row, label]]
        first = hits[0] if hits else misses[0]
        picture = task.pictures[test[first]]
        effects = place_effects(network, picture, int(label), blank)
        seen = figures.composite(picture, task.channels)
        name = task.tree.labels[label]
        rows.append(
            [
                Tile(seen, _lines(name, calibrated[first, label]), _frame(bool(hits))),
                Tile(figures.heat_over(seen, effects), ("what counts",), "other"),
                *(
                    Tile(
                        figures.composite(task.pictures[test[row]], task.channels),
                        _lines(name, calibrated[row, label]),
                        _frame(right),
                    )
                    for row, right in _few(hits, misses, alarms)
                ),
            ]
        )
    return rows


def _few(hits: list[int], misses: list[int], alarms: list[int]) -> list[tuple[int, bool]]:
    """Take one more hit, one miss and one false alarm, as far as there are any."""
    return [
        *((row, True) for row in hits[1:2]),
        *((row, False) for row in misses[:1]),
        *((row, False) for row in alarms[:1]),
    ]


def _frame(is_right: bool) -> str:
    return "same" if is_right else "wrong"


def _lines(label: str, probability: float) -> tuple[str, ...]:
    return label, f"p = {probability:.2f}"


def _tables(
    task: Task, findings: LocationFindings, stages: Sequence[StageScores]
) -> tuple[dict[str, pd.DataFrame], dict[str, str]]:
    tables: dict[str, pd.DataFrame] = {"labels": _label_rows(findings)}
    captions = {
        "labels": "Each label: how many test pictures and units hold it, and its F1 by the models."
    }
    if len(findings.comparisons):
        tables["comparisons"] = findings.comparisons
        captions["comparisons"] = (
            "F1 of each tuned model minus that of the tuned flat one, on the same resampled units."
        )
    if stages:
        tables["stages"] = _stage_rows(stages, task)
        captions["stages"] = "Each stage on its own, threshold 0.5, mean of the repeats."
    if len(task.dropped):
        tables["dropped_labels"] = task.dropped
        captions["dropped_labels"] = "Labels that were left out or cannot be learned, and why."
    leaks = task.leaks.frame()
    if len(leaks):
        tables["leaks"] = leaks
        captions["leaks"] = "Units and copies that sit on two sides of the split."
    return tables, captions


def _label_rows(findings: LocationFindings) -> pd.DataFrame:
    metrics = findings.metrics
    f1 = metrics[(metrics["metric"] == "f1") & metrics["target"].isin(findings.counts["label"])]
    wide = f1.pivot_table(index="target", columns="model", values="value", sort=False)
    return findings.counts.merge(
        wide.add_prefix("f1_").reset_index(names="label"), on="label", how="left"
    )


def _stage_rows(stages: Sequence[StageScores], task: Task) -> pd.DataFrame:
    metrics = ["precision", "recall", "f1", "source_advantage"]
    rows = []
    for each in stages:
        scores = MeanOf([LabelScores(answers, metrics) for answers in each.answers])
        found = dict(zip(scores.names, scores(np.ones((1, len(each.rows))))[0], strict=True))
        rows += [
            {
                "stage": each.stage,
                "model": each.model,
                "target": target,
                **{metric: found[f"{metric}/{target}"] for metric in metrics},
                "n": task.n_units(each.rows),
            }
            for target in ("macro", *each.answers[0].labels)
        ]
    return pd.DataFrame(rows)


def _predictions(
    task: Task, model: LocationModel | None, said: FloatArray | None, scored: Sequence[Scored]
) -> pd.DataFrame:
    """Put truth and answer side by side, for every test picture."""
    test = task.split.test
    front = pd.DataFrame({"image": task.table.image[test]})
    if task.grouped_by:
        front[task.grouped_by] = task.table.frame[task.grouped_by].to_numpy()[test]
    front["truth"] = _joined(task, task.truth[test])
    if model is not None and said is not None:
        return pd.concat([front, model.of_pictures.table(said, task.tree)], axis=1)
    last = scored[-1].answers[0]
    front["answer"] = _joined(task, last.answer)
    return front


def _unit_table(task: Task, model: LocationModel, said: FloatArray) -> pd.DataFrame:
    """Put truth and answer side by side, for every field or antibody of the test part."""
    test = task.split.test
    units = task.units[test]
    held = unit_truth(task.truth[test], units)
    names = pd.Series(task.table.frame[task.grouped_by].to_numpy()[test].astype(str))
    by_unit = names.groupby(units)
    # Fields that share a picture are one unit.
    front = pd.DataFrame(
        {
            task.grouped_by: by_unit.agg(lambda each: ";".join(dict.fromkeys(each))).to_numpy(),
            "pictures": by_unit.size().to_numpy(),
            "truth": _joined(task, held),
        }
    )
    answers = model.of_units.table(unit_means(said, units), task.tree)
    return pd.concat([front, answers], axis=1)


def _calibration_error(reading: Reading, said: FloatArray, truth: BoolArray) -> float:
    return label_calibration_error(reading.calibration.transform(said), truth)


def _joined(task: Task, held: BoolArray) -> list[str]:
    names = np.array(task.tree.labels, dtype=object)
    return [";".join(names[row]) for row in held]
