"""What the prototypes' certainty is worth: probabilities, candidate sets, and strangeness.

Every number has an interval that resamples species, with all their repeats and pictures.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from kinlens.evaluate.metrics import (
    SHIFTED_METRICS,
    Answers,
    Scores,
    chance_calibration_error,
    ratio,
)
from kinlens.evaluate.resample import Statistic, WeightedMeans, cluster_bootstrap
from kinlens.records.result import metric_row
from kinlens.rng import RandomStreams
from kinlens.studies.rare_scores import Repeat
from kinlens.studies.rare_task import RareTask
from kinlens.typing import BoolArray, FloatArray, IntArray

__all__ = ["quality_rows"]


def quality_rows(
    task: RareTask,
    repeats: Sequence[Repeat],
    *,
    error_rate: float,
    replicates: int,
    streams: RandomStreams,
) -> list[dict[str, object]]:
    """Score probabilities, sets and newcomers of the prototypes.

    Parameters
    ----------
    task : RareTask
        Names and genera.
    repeats : sequence of Repeat
        What was fitted.
    error_rate : float
        Promised by the sets.
    replicates : int
        Bootstrap replicates of species.
    streams : RandomStreams
        Draw them.

    Returns
    -------
    list of dict
        Rows of ``metrics.csv``. `null_mean` is what chance gives, and for ``coverage`` what was
        promised.
    """
    table = pd.concat([_pictures(task, repeat) for repeat in repeats], ignore_index=True)
    is_new = table["is_new"].to_numpy()
    asked = is_new & table["branch_holds_genus"].notna().to_numpy()

    def mean(metric: str, column: str, used: BoolArray) -> WeightedMeans:
        return WeightedMeans([metric], table.loc[used, [column]].to_numpy())

    wanted: list[tuple[str, str, Statistic, BoolArray, float | None]] = [
        ("seen", "coverage", mean("coverage", "is_covered", ~is_new), ~is_new, 1 - error_rate),
        ("seen", "candidates", mean("candidates", "n_candidates", ~is_new), ~is_new, None),
    ]
    if is_new.any() and not is_new.all():
        everyone = np.ones(len(table), dtype=bool)
        wanted.append(("shots_0", "newcomer_auc", _Stranger(table), everyone, 0.5))
    if asked.any():
        chance = float(table.loc[asked, "other_branch_holds_genus"].mean())
        branch = mean("branch_holds_genus", "branch_holds_genus", asked)
        wanted.append(("shots_0", "branch_holds_genus", branch, asked, chance))
    rows = [_calibration_row(task, repeats, replicates, streams)]
    for target, metric, statistic, used, null in wanted:
        found = cluster_bootstrap(
            statistic, table.loc[used, "species"], rng=streams.generator("quality", metric),
            n_replicates=replicates,
        )  # fmt: skip
        value, low, high = found[metric]
        rows.append(
            metric_row(
                "rare", target=target, model="prototypes", metric=metric, value=value, low=low,
                high=high, split="specimen", null_mean=null, n=found.n_groups, seed=streams.seed,
            )
        )  # fmt: skip
    return rows


def _pictures(task: RareTask, repeat: Repeat) -> pd.DataFrame:
    """Gather one row a test picture of one repeat."""
    split, fitted = repeat.split, repeat.fitted
    truth = task.species[split.test]
    genus_of = task.genus_of()
    classes = fitted.prototypes.classes_.astype(str)
    is_new = np.isin(truth.astype(str), list(split.unseen))
    known = {genus_of[name] for name in set(task.species[split.train])} - {""}
    # Which genera hang below each branch, and so how often any branch would hold a given genus.
    below = [{genus_of[name] for name in branch} for branch in fitted.branch]
    holds, others = np.full(len(truth), np.nan), np.full(len(truth), np.nan)
    for row, name in enumerate(truth.tolist()):
        if is_new[row] and genus_of[name] in known:
            holds[row] = genus_of[name] in below[row]
            others[row] = np.mean([genus_of[name] in each for each in below])
    return pd.DataFrame(
        {
            "repeat": repeat.number,
            "species": truth,
            "is_new": is_new,
            "is_covered": fitted.candidates[
                np.arange(len(truth)), np.searchsorted(classes, truth.astype(str))
            ],
            "n_candidates": fitted.candidates.sum(axis=1),
            "odds": fitted.newcomer_odds,
            "branch_holds_genus": holds,
            "other_branch_holds_genus": others,
        }
    )


class _Stranger:
    """How often a picture of an unknown species is stranger than one of a known, in a repeat."""

    names = ("newcomer_auc",)

    def __init__(self, table: pd.DataFrame) -> None:
        self._parts: list[tuple[IntArray, IntArray, FloatArray]] = []
        odds = table["odds"].to_numpy(dtype=np.float64)
        for number in table["repeat"].unique():
            inside = (table["repeat"] == number).to_numpy()
            new = np.flatnonzero(inside & table["is_new"].to_numpy())
            old = np.flatnonzero(inside & ~table["is_new"].to_numpy())
            above, below = odds[new][:, None], odds[old][None, :]
            self._parts.append((new, old, (above > below) + 0.5 * (above == below)))

    def __call__(self, weights: FloatArray) -> FloatArray:
        areas = [
            ratio(
                ((weights[:, new] @ wins) * weights[:, old]).sum(axis=1),
                weights[:, new].sum(axis=1) * weights[:, old].sum(axis=1),
                empty=np.nan,
            )
            for new, old, wins in self._parts
        ]
        return _mean_of_known(np.stack(areas))[:, None]


def _calibration_row(
    task: RareTask, repeats: Sequence[Repeat], replicates: int, streams: RandomStreams
) -> dict[str, object]:
    """Average the calibration error of the repeats, among learned species.

    Exact probabilities would seem off as well, by what stands in ``null_mean``.
    """
    scores, species, chance = [], [], []
    for repeat in repeats:
        answers, names = _answers_among_learned(task, repeat)
        scores.append(Scores(answers, ["calibration_error"]))
        species.append(names)
        chance.append(chance_calibration_error(answers.confidence))
    groups = np.concatenate(species)
    found = cluster_bootstrap(
        _MeanOfRepeats(scores),
        groups,
        rng=streams.generator("quality", "calibration_error"),
        n_replicates=replicates,
        shifted=SHIFTED_METRICS,
    )
    value, low, high = found["calibration_error"]
    return metric_row(
        "rare", target="seen", model="prototypes", metric="calibration_error", value=value,
        low=low, high=high, split="specimen", null_mean=float(np.mean(chance)),
        n=len(set(groups)), seed=streams.seed,
    )  # fmt: skip


class _MeanOfRepeats:
    """Scores of several repeats, one after the other in the rows, averaged."""

    def __init__(self, scores: Sequence[Scores]) -> None:
        self.names = scores[0].names
        self._scores = scores
        self._stops = np.cumsum([len(each.answers) for each in scores])[:-1]

    def __call__(self, weights: FloatArray) -> FloatArray:
        """Return the means, shape (R, k), under `weights`, shape (R, n_rows)."""
        parts = np.split(weights, self._stops, axis=1)
        values = [score(part) for score, part in zip(self._scores, parts, strict=True)]
        return _mean_of_known(np.stack(values))


def _answers_among_learned(task: RareTask, repeat: Repeat) -> tuple[Answers, FloatArray]:
    """Return what is said of pictures of learned species, with the others left out, and the truth.

    Calibration was for learned species among themselves; how often the others come is a weight.
    """
    fitted = repeat.fitted
    truth = task.species[repeat.split.test].astype(str)
    rows = ~np.isin(truth, list(repeat.split.unseen))
    learned = fitted.prototypes.n_specimens_ > 0
    names = fitted.prototypes.classes_.astype(str)[learned]
    given = fitted.probabilities[rows][:, learned]
    given = given / np.maximum(given.sum(axis=1, keepdims=True), 1e-300)
    answers = Answers.from_labels(truth[rows], names[given.argmax(axis=1)], given, names)
    return answers, truth[rows]


def _mean_of_known(values: FloatArray) -> FloatArray:
    """Average down the columns; what is undefined is left out, NaN where all are."""
    known = np.isfinite(values)
    return ratio(np.where(known, values, 0.0).sum(axis=0), known.sum(axis=0), empty=np.nan)
