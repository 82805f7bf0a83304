"""Scores of the study `location`: each label by each model, with intervals, nulls and pairs.

What was answered is in `location_answers`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import pandas as pd

from kinlens.evaluate.multilabel import LABEL_METRICS, LabelAnswers, LabelScores, MeanOf
from kinlens.evaluate.resample import (
    Estimates,
    cluster_bootstrap,
    paired_bootstrap,
    permutation_p_value,
    permuted_labels,
)
from kinlens.records.result import metric_row
from kinlens.rng import RandomStreams
from kinlens.studies.location_answers import (
    Scored,
)
from kinlens.studies.location_reading import unit_means, unit_truth
from kinlens.studies.location_task import Task
from kinlens.typing import FloatArray, IntArray

__all__ = ["ScoreConfig", "compared", "metric_rows", "unit_f1"]

_FROM_ANSWERS = ("f1", "precision", "recall", "prediction_advantage", "source_advantage")
_FROM_PROBABILITIES = tuple(name for name in LABEL_METRICS if name not in _FROM_ANSWERS)
_AGAINST = "flat_tuned"


class ScoreConfig(Protocol):
    """The settings that decide about intervals and nulls."""

    @property
    def replicates(self) -> int:
        """Bootstrap replicates."""

    @property
    def permutations(self) -> int:
        """Shuffles of labels."""


def metric_rows(
    task: Task,
    scored: Sequence[Scored],
    config: ScoreConfig,
    streams: RandomStreams,
    *,
    advance: Any = None,
) -> list[dict[str, object]]:
    """Score every model: value, interval over units, null, p-value.

    Parameters
    ----------
    task : Task
        Labels, split and units.
    scored : sequence of Scored
        Answers.
    config : ScoreConfig
        How many replicates and permutations.
    streams : RandomStreams
        For intervals and nulls.
    advance : callable, optional
        Called after each model.
    """
    units = task.units[task.split.test]
    rows: list[dict[str, object]] = []
    known: dict[str, Estimates] = {}
    for each in scored:
        base = each.model.removesuffix("_tuned")
        if base not in known:
            # Thresholds change nothing here, so both rows of a model share these.
            known[base] = cluster_bootstrap(
                each.statistic(_FROM_PROBABILITIES),
                units,
                rng=streams.generator("bootstrap", base),
                n_replicates=config.replicates,
            )
        found = cluster_bootstrap(
            each.statistic(_FROM_ANSWERS),
            units,
            rng=streams.generator("bootstrap", base),
            n_replicates=config.replicates,
        )
        null = _null_f1(each, units, config.permutations, streams.generator("null", each.model))
        for estimates in (found, known[base]):
            rows += _rows_of(estimates, each, task, streams, null)
        rows += _single_rows(each, task, streams)
        if advance is not None:
            advance()
    return rows


def compared(
    task: Task, scored: Sequence[Scored], streams: RandomStreams, *, replicates: int
) -> pd.DataFrame:
    """Compare every tuned model with the tuned flat one, on the same resampled units.

    Parameters
    ----------
    task : Task
        Units of the test part.
    scored : sequence of Scored
        Answers.
    streams : RandomStreams
        For the bootstrap.
    replicates : int
        Bootstrap replicates.

    Returns
    -------
    pandas.DataFrame
        ``model``, ``against``, ``target``, ``difference`` of F1, ``low``, ``high``, ``p_value``,
        ``n`` (units); empty when there is nothing to compare with.
    """
    by_name = {each.model: each for each in scored}
    columns = ["model", "against", "target", "difference", "low", "high", "p_value", "n"]
    if _AGAINST not in by_name:
        return pd.DataFrame(columns=columns)
    frames = []
    for each in scored:
        is_rival = each.model.endswith("_tuned") or each.model == "flat"
        if not is_rival or each.model == _AGAINST:
            continue
        found = paired_bootstrap(
            _as_often(each, by_name[_AGAINST]),
            by_name[_AGAINST].statistic(["f1"]),
            task.units[task.split.test],
            rng=streams.generator("paired"),
            n_replicates=replicates,
        ).frame()
        frames.append(
            found.assign(
                model=each.model,
                against=_AGAINST,
                target=[name.partition("/")[2] for name in found["metric"]],
                difference=found["value"],
            )[columns]
        )
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)


def _as_often(each: Scored, other: Scored) -> MeanOf:
    """Return the scores of a model; a baseline has one repeat, which stands for all."""
    assert len(each.answers) in (1, len(other.answers))
    return each.statistic(["f1"])


def _null_f1(
    scored: Scored, units: IntArray, permutations: int, rng: np.random.Generator
) -> Mapping[str, FloatArray]:
    """Score answers, the mean of the repeats, against labels dealt out anew among the units."""
    first = scored.answers[0]
    rows = np.arange(len(first))
    ones = np.ones((1, len(first)))
    drawn = []
    names: tuple[str, ...] = ()
    for _ in range(permutations):
        shuffled = first.truth[permuted_labels(rows, units, rng=rng)]
        scores = MeanOf(
            [
                LabelScores(LabelAnswers(each.labels, shuffled, each.answer), ["f1"])
                for each in scored.answers
            ]
        )
        drawn.append(scores(ones)[0])
        names = scores.names
    return dict(zip(names, np.stack(drawn, axis=1), strict=True))


def _rows_of(
    estimates: Estimates,
    scored: Scored,
    task: Task,
    streams: RandomStreams,
    null: Mapping[str, FloatArray],
) -> list[dict[str, object]]:
    rows = []
    for name in estimates.names:
        metric, _, target = name.partition("/")
        value, low, high = estimates[name]
        if metric == "average_precision" and target == "micro":
            continue
        drawn = null.get(name)
        if drawn is not None and not np.isfinite(drawn).any():
            drawn = None
        rows.append(
            metric_row(
                "location",
                target=target,
                model=scored.model,
                metric=metric,
                value=value,
                low=low,
                high=high,
                split=task.split.name,
                selected=scored.is_chosen,
                null_mean=None if drawn is None else float(np.nanmean(drawn)),
                p_value=None if drawn is None else permutation_p_value(value, drawn),
                n=estimates.n_groups,
                seed=streams.seed,
            )
        )
    return rows


def _single_rows(scored: Scored, task: Task, streams: RandomStreams) -> list[dict[str, object]]:
    values = {
        "hierarchical_f1": scored.hierarchical_f1,
        "violation_share": scored.violations,
        "silent_share": float(np.mean([~each.answer.any(axis=1) for each in scored.answers])),
        "unit_f1": unit_f1(scored, task),
    }
    return [
        metric_row(
            "location",
            target="macro" if metric == "unit_f1" else "all",
            model=scored.model,
            metric=metric,
            value=value,
            split=task.split.name,
            selected=scored.is_chosen,
            n=task.n_units(task.split.test),
            seed=streams.seed,
        )
        for metric, value in values.items()
        if np.isfinite(value)
    ]


def unit_f1(scored: Scored, task: Task) -> float:
    """Return the macro F1 of answers for whole units: fields or antibodies, not pictures.

    The probabilities of a unit's pictures are averaged before the thresholds are applied; a label
    holds for a unit when it holds for one of its pictures.

    Parameters
    ----------
    scored : Scored
        Answers for pictures.
    task : Task
        Which pictures belong together.
    """
    units = task.units[task.split.test]
    found = []
    for each, threshold in zip(scored.answers, scored.thresholds, strict=True):
        assert each.probabilities is not None
        said, held = unit_means(each.probabilities, units), unit_truth(each.truth, units)
        answers = LabelAnswers(each.labels, held, said >= threshold)
        found.append(LabelScores(answers, ["f1"], targets="means")(np.ones((1, len(held))))[0, 0])
    return float(np.mean(found))
