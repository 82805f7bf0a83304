"""Scores where a picture may hold several labels: counts, average precision, Prediction Advantage.

Answers in groups (violations, hierarchical F) are in `label_groups`, thresholds in
`label_thresholds`, intervals in `resample`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from kinlens.errors import UsageError, did_you_mean
from kinlens.evaluate.metrics import ratio
from kinlens.typing import BoolArray, FloatArray, IntArray

__all__ = [
    "FEWEST_POSITIVES",
    "LABEL_METRICS",
    "LabelAnswers",
    "LabelScores",
    "MeanOf",
    "label_table",
]

FEWEST_POSITIVES = 10
"""Independent units that hold a label below which its scores are called not decidable."""

_FROM_COUNTS = ("precision", "recall", "f1", "prediction_advantage", "source_advantage")
_FROM_PROBABILITIES = ("average_precision", "log_advantage", "squared_advantage")
LABEL_METRICS = (*_FROM_COUNTS, *_FROM_PROBABILITIES)
"""What `LabelScores` can compute for each label; ``macro`` is the mean, ``micro`` the pool."""

_LEAST = 1e-7


@dataclass(frozen=True, eq=False)
class LabelAnswers:
    """Which labels are true of pictures, and which were answered.

    Parameters
    ----------
    labels : tuple of str
        Names of the k labels.
    truth, answer : array of bool, shape (n, k)
        Which hold, and which were said to hold.
    probabilities : array of float, shape (n, k), optional
        From 0 to 1, each label by itself.

    Examples
    --------
    >>> truth = np.array([[True, False], [True, True], [False, True]])
    >>> answers = LabelAnswers(("a", "b"), truth, np.ones((3, 2), bool))
    >>> float(LabelScores(answers, ["f1"])(np.ones((1, 3)))[0, 0])
    0.8
    """

    labels: tuple[str, ...]
    truth: BoolArray
    answer: BoolArray
    probabilities: FloatArray | None = None

    def __post_init__(self) -> None:
        wanted = (len(self.truth), len(self.labels))
        for name in ("truth", "answer", "probabilities"):
            array = getattr(self, name)
            if array is not None and array.shape != wanted:
                raise UsageError(f"{name} must have shape {wanted}, not {array.shape}.")

    def __len__(self) -> int:
        return len(self.truth)

    def select(self, rows: IntArray | BoolArray) -> LabelAnswers:
        """Return the answers for the given rows."""
        probabilities = None if self.probabilities is None else self.probabilities[rows]
        return LabelAnswers(self.labels, self.truth[rows], self.answer[rows], probabilities)


class LabelScores:
    """Scores of `LabelAnswers` as a statistic: many weightings of the pictures at once.

    With weighted counts TP, FP, FN of a label, its share p among the pictures, and each label's
    probability q:

    - ``precision`` TP / (TP + FP), ``recall`` TP / (TP + FN), ``f1`` 2 TP / (2 TP + FP + FN);
      0 where nothing was answered. (The source prints the formula of recall for precision.)
    - ``prediction_advantage`` 1 - (FP + FN) / (N min(p, 1 - p)): how much of the error of the best
      constant answer is avoided (El-Yaniv et al. 2017, for 0/1 loss).
    - ``source_advantage`` 1 - (1 - F1) / (1 - p), as the source has it.
    - ``log_advantage``, ``squared_advantage``: the same as the first for the losses
      -log q and (1 - q)^2, whose best constant is p.
    - ``average_precision``: mean precision over the label's pictures, from the surest on; pictures
      of equal probability are counted as one step.

    A label that holds for no picture, or for all, has no score (NaN). ``macro`` is the mean over
    labels that have one; ``micro`` pools the counts of all labels (for advantages: the losses).

    Parameters
    ----------
    answers : LabelAnswers
        What to score.
    metrics : iterable of str
        Of `LABEL_METRICS`.
    targets : {"all", "means"}
        With each label, or macro and micro alone.

    References
    ----------
    R. El-Yaniv, Y. Geifman and Y. Wiener, The Prediction Advantage, arXiv:1705.08499 (2017).
    """

    def __init__(
        self, answers: LabelAnswers, metrics: Iterable[str] = ("f1",), *, targets: str = "all"
    ) -> None:
        self.answers = answers
        self.metrics = tuple(metrics)
        for metric in self.metrics:
            if metric not in LABEL_METRICS:
                raise UsageError(f"no metric {metric!r}. {did_you_mean(metric, LABEL_METRICS)}")
            if metric in _FROM_PROBABILITIES and answers.probabilities is None:
                raise UsageError(f"{metric} needs probabilities.")
        if targets not in ("all", "means"):
            raise UsageError(f"targets must be 'all' or 'means', not {targets!r}.")
        self.targets = ("macro", "micro", *(answers.labels if targets == "all" else ()))
        truth, answer = answers.truth, answers.answer
        self._counted = {
            "tp": (truth & answer).astype(np.float64),
            "fp": (~truth & answer).astype(np.float64),
            "fn": (truth & ~answer).astype(np.float64),
            "true": truth.astype(np.float64),
        }

    @property
    def names(self) -> tuple[str, ...]:
        """``metric/target`` of each value."""
        return tuple(f"{metric}/{target}" for metric in self.metrics for target in self.targets)

    def __call__(self, weights: FloatArray) -> FloatArray:
        """Return the values, shape (R, k), under `weights`, shape (R, n_pictures).

        A macro mean is over the labels that a sample decides on, so that bootstrap replicates
        without a rare label leave it out, and some of their intervals lie high. Filling in the
        value of all pictures instead was tried on simulated answers: intervals that should hold
        the truth in 95% of cases held it in 43% to 85%, and in 86% to 99% as it is.
        """
        total = weights.sum(axis=1, keepdims=True)
        counts = {name: weights @ held for name, held in self._counted.items()}
        prevalence = counts["true"] / np.maximum(total, _LEAST)
        defined = (counts["true"] > 0) & (counts["true"] < total - _LEAST)
        parts = []
        for metric in self.metrics:
            if metric == "average_precision":
                values = self._average_precision(weights)
                micro = np.full(len(weights), np.nan)
            elif metric in _FROM_COUNTS:
                values = _from_counts(metric, counts, prevalence, total)
                micro = _pooled(metric, counts, prevalence, total)
            else:
                values, micro = self._advantage(metric, weights, prevalence, total)
            values = np.where(defined, values, np.nan)
            known = defined.sum(axis=1)
            macro = np.where(known > 0, np.nansum(values, axis=1) / np.maximum(known, 1), np.nan)
            means = np.stack([macro, micro], axis=1)
            parts.append(means if len(self.targets) == 2 else np.hstack([means, values]))
        return np.hstack(parts)

    def _advantage(
        self, metric: str, weights: FloatArray, prevalence: FloatArray, total: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        truth, q = self.answers.truth, self.answers.probabilities
        assert q is not None
        p = np.clip(prevalence, _LEAST, 1 - _LEAST)
        if metric == "log_advantage":
            q = np.clip(q, _LEAST, 1 - _LEAST)
            loss = -np.where(truth, np.log(q), np.log1p(-q))
            constant = -(p * np.log(p) + (1 - p) * np.log1p(-p))
        else:
            loss = (truth - q) ** 2
            constant = p * (1 - p)
        found = weights @ loss / np.maximum(total, _LEAST)
        pooled = 1 - found.sum(axis=1) / np.maximum(constant.sum(axis=1), _LEAST)
        return 1 - found / constant, pooled

    def _average_precision(self, weights: FloatArray) -> FloatArray:
        probabilities = self.answers.probabilities
        assert probabilities is not None
        values = np.empty((len(weights), len(self.answers.labels)))
        for label in range(values.shape[1]):
            q = probabilities[:, label]
            order = np.argsort(-q, kind="stable")
            # A step ends where the probability changes; ties are taken together.
            ends = np.flatnonzero(np.append(np.diff(q[order]) != 0, True))
            ordered = weights[:, order]
            held = ordered * self.answers.truth[order, label]
            hits = np.cumsum(held, axis=1)[:, ends]
            answered = np.cumsum(ordered, axis=1)[:, ends]
            gained = np.diff(hits, axis=1, prepend=0.0)
            precision = ratio(hits, answered)
            values[:, label] = ratio((gained * precision).sum(axis=1), hits[:, -1])
        return values


class MeanOf:
    """The mean of several statistics of the same names, such as those of networks of many seeds.

    Parameters
    ----------
    statistics : sequence of Statistic
        On the same rows.
    """

    def __init__(self, statistics: Sequence[LabelScores]) -> None:
        if not statistics or any(s.names != statistics[0].names for s in statistics):
            raise UsageError("the mean needs one statistic or more, all of the same names.")
        self.statistics = tuple(statistics)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the values."""
        return self.statistics[0].names

    def __call__(self, weights: FloatArray) -> FloatArray:
        """Return the mean values, shape (R, k), under `weights`, shape (R, n_rows)."""
        return np.asarray(np.mean([statistic(weights) for statistic in self.statistics], axis=0))


def label_table(truth: BoolArray, labels: Sequence[str], units: IntArray) -> pd.DataFrame:
    """Count, for each label, the pictures and independent units that hold it.

    Parameters
    ----------
    truth : array of bool, shape (n, k)
        Which labels hold.
    labels : sequence of str
        Their names.
    units : array of int, shape (n,)
        Independent unit of each picture, such as its antibody.

    Returns
    -------
    pandas.DataFrame
        ``label``, ``images``, ``units``, ``share`` (of pictures) and ``decidable``: whether at
        least `FEWEST_POSITIVES` units hold it.
    """
    n_units = [len(np.unique(units[held])) for held in truth.T]
    return pd.DataFrame(
        {
            "label": list(labels),
            "images": truth.sum(axis=0),
            "units": n_units,
            "share": truth.mean(axis=0),
            "decidable": np.asarray(n_units) >= FEWEST_POSITIVES,
        }
    )


def _from_counts(
    metric: str, counts: dict[str, FloatArray], prevalence: FloatArray, total: FloatArray
) -> FloatArray:
    tp, fp, fn = counts["tp"], counts["fp"], counts["fn"]
    if metric == "precision":
        return ratio(tp, tp + fp)
    if metric == "recall":
        return ratio(tp, tp + fn)
    f1 = ratio(2 * tp, 2 * tp + fp + fn)
    if metric == "f1":
        return f1
    if metric == "source_advantage":
        return 1 - (1 - f1) / np.maximum(1 - prevalence, _LEAST)
    return 1 - (fp + fn) / np.maximum(np.minimum(prevalence, 1 - prevalence) * total, _LEAST)


def _pooled(
    metric: str, counts: dict[str, FloatArray], prevalence: FloatArray, total: FloatArray
) -> FloatArray:
    if metric == "prediction_advantage":
        wrong = (counts["fp"] + counts["fn"]).sum(axis=1)
        constant = (np.minimum(prevalence, 1 - prevalence) * total).sum(axis=1)
        return np.asarray(1 - wrong / np.maximum(constant, _LEAST))
    pooled = {name: count.sum(axis=1, keepdims=True) for name, count in counts.items()}
    share = prevalence.mean(axis=1, keepdims=True)
    return _from_counts(metric, pooled, share, total)[:, 0]
