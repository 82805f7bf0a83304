"""How good answers are: every score of a classifier, for one weighting of the pictures or many.

Each score is written so that a thousand bootstrap replicates cost a few matrix products. The
resampling itself is in `resample`, tables by class and by confidence are in `tables`, and scores
that know the taxonomy are in `hierarchy`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.stats import rankdata

from kinlens.errors import UsageError, did_you_mean, listing
from kinlens.evaluate.resample import Estimates, cluster_bootstrap
from kinlens.typing import AnyArray, FloatArray, IntArray

__all__ = [
    "METRICS",
    "SHIFTED_METRICS",
    "Answers",
    "Scores",
    "chance_calibration_error",
    "class_indicator",
    "confidence_bins",
    "estimate_scores",
    "ratio",
]

_FROM_LABELS = (
    "accuracy",
    "balanced_accuracy",
    "macro_f1",
    "weighted_f1",
    "macro_precision",
    "macro_recall",
    "mcc",
)
_FROM_PROBABILITIES = ("roc_auc", "top_5_accuracy", "calibration_error", "brier", "log_loss")
METRICS = (*_FROM_LABELS, *_FROM_PROBABILITIES)
"""Names of all scores; those after ``mcc`` need probabilities."""

SHIFTED_METRICS = (
    "balanced_accuracy", "macro_f1", "macro_precision", "macro_recall", "roc_auc",
    "calibration_error",
)  # fmt: skip
"""Scores that resampling shifts: means over classes lose rare ones, calibration gains noise."""

_TOP = 5
_BINS = 15
# Above this many pictures the all-pairs table behind the ROC-AUC's replicates takes too much
# memory, and its replicates are taken to first order instead.
_MOST_PAIRED_ROWS = 4096


@dataclass(frozen=True, eq=False)
class Answers:
    """True classes and answered ones, as numbers into one list of classes.

    Parameters
    ----------
    classes : tuple of str
        Every class that is true of, or answered for, some picture; others may be there too.
    truth, answer : IntArray of shape (n,)
        Positions in `classes`.
    probabilities : FloatArray of shape (n, len(classes)), optional
        Rows sum to one; a class that the model never saw has probability zero.

    Examples
    --------
    >>> answers = Answers.from_labels(["a", "b", "b"], ["a", "b", "a"])
    >>> answers.classes, answers.answer.tolist()
    (('a', 'b'), [0, 1, 0])
    """

    classes: tuple[str, ...]
    truth: IntArray
    answer: IntArray
    probabilities: FloatArray | None = None

    def __post_init__(self) -> None:
        n, k = len(self.truth), len(self.classes)
        if len(self.answer) != n:
            raise UsageError(f"{len(self.answer)} answers for {n} pictures.")
        for name in ("truth", "answer"):
            codes = getattr(self, name)
            if n and (codes.min() < 0 or codes.max() >= k):
                raise UsageError(f"{name} holds numbers outside 0 to {k - 1}.")
        if self.probabilities is not None and self.probabilities.shape != (n, k):
            raise UsageError(
                f"probabilities must have shape {(n, k)}, not {self.probabilities.shape}."
            )

    @classmethod
    def from_labels(
        cls,
        truth: Sequence[str] | AnyArray,
        answer: Sequence[str] | AnyArray,
        probabilities: FloatArray | None = None,
        columns: Sequence[str] | AnyArray | None = None,
    ) -> Answers:
        """Gather labels, and the probabilities of a model that knew other classes perhaps.

        Parameters
        ----------
        truth, answer : sequence of str, length n
            Labels.
        probabilities : FloatArray of shape (n, len(columns)), optional
            One column for each class that the model knew.
        columns : sequence of str
            The names of those columns.
        """
        known = [] if columns is None else [str(name) for name in columns]
        names = sorted({*map(str, truth), *map(str, answer), *known})
        index = pd.Index(names, dtype=object)
        full = None
        if probabilities is not None:
            if columns is None:
                raise UsageError("probabilities need the names of their columns.")
            full = np.zeros((len(truth), len(names)))
            full[:, index.get_indexer(pd.Index(known, dtype=object))] = probabilities
        return cls(
            tuple(names),
            index.get_indexer(pd.Index(list(map(str, truth)), dtype=object)).astype(np.int64),
            index.get_indexer(pd.Index(list(map(str, answer)), dtype=object)).astype(np.int64),
            full,
        )

    def __len__(self) -> int:
        return len(self.truth)

    @cached_property
    def is_correct(self) -> FloatArray:
        """1.0 where the answer is the truth, shape (n,)."""
        return np.asarray(self.truth == self.answer, dtype=np.float64)

    @cached_property
    def confidence(self) -> FloatArray:
        """Probability of the answer given, shape (n,)."""
        if self.probabilities is None:
            raise UsageError("these answers have no probabilities.")
        confidence: FloatArray = self.probabilities[np.arange(len(self)), self.answer]
        return confidence

    def select(self, rows: AnyArray) -> Answers:
        """Return the answers for some rows (numbers or a mask)."""
        probabilities = None if self.probabilities is None else self.probabilities[rows]
        return Answers(self.classes, self.truth[rows], self.answer[rows], probabilities)


class Scores:
    """The scores of `Answers` as a statistic: many weightings of the pictures at once.

    Definitions, with w the weight of a picture and C the classes with weight in the truth:

    - ``accuracy``: weighted share of right answers.
    - ``balanced_accuracy``, ``macro_recall``: mean over C of the share of a class's pictures
      that are answered right.
    - ``macro_precision``, ``macro_f1``: means over C; 0 for a class that is never answered. A
      class that is answered but never true lowers the precision of none and counts in no mean.
    - ``weighted_f1``: mean over C weighted by the classes' pictures.
    - ``mcc``: Gorodkin's multi-class Matthews correlation; 0 when undefined.
    - ``roc_auc``: mean over C of one-vs-rest areas, ties counting half; NaN with one class.
    - ``top_5_accuracy``: share whose truth is among the five most probable classes. A class
      tied with the truth counts as ahead of it.
    - ``calibration_error``: mean absolute difference of confidence and accuracy over (up to) 15
      bins with the same number of pictures each; pictures of equal confidence share a bin.
    - ``brier``: mean squared distance of the probabilities from the truth, 0 to 2.
    - ``log_loss``: mean of -log of the truth's probability, clipped at 2.2e-16.

    Parameters
    ----------
    answers : Answers
        What to score.
    names : sequence of str, optional
        Which scores, from `METRICS`; all that the answers allow when left out.

    References
    ----------
    J. Gorodkin, Computational Biology and Chemistry 28 (2004), 367-374; T. Fawcett, Pattern
    Recognition Letters 27 (2006), 861-874; K. Nguyen and B. O'Connor, EMNLP (2015), 1587-1598
    (adaptive bins).

    Examples
    --------
    >>> answers = Answers.from_labels(["a", "b", "b"], ["a", "b", "a"])
    >>> scores = Scores(answers, names=["accuracy", "balanced_accuracy"])
    >>> scores(np.array([[1.0, 1.0, 1.0], [0.0, 1.0, 1.0]])).round(3).tolist()
    [[0.667, 0.75], [0.5, 0.5]]
    """

    def __init__(self, answers: Answers, names: Iterable[str] | None = None) -> None:
        has_probabilities = answers.probabilities is not None
        possible = METRICS if has_probabilities else _FROM_LABELS
        chosen = possible if names is None else tuple(names)
        for name in chosen:
            if name not in METRICS:
                raise UsageError(f"no metric {name!r}. {did_you_mean(name, METRICS)}")
        lacking = [name for name in chosen if name not in possible]
        if lacking:
            raise UsageError(f"{listing(lacking)} need probabilities, which are not given.")
        self.answers = answers
        self.names = chosen
        self._by_truth = class_indicator(answers.truth, len(answers.classes))
        self._by_answer = class_indicator(answers.answer, len(answers.classes))

    def __call__(self, weights: FloatArray) -> FloatArray:
        """Return the scores, shape (R, k), under `weights`, shape (R, n), all 0 or more."""
        weights = np.asarray(weights, dtype=np.float64)
        total = weights.sum(axis=1)
        values = self._from_labels(weights, total)
        from_probabilities = {
            "roc_auc": self._roc_auc,
            "top_5_accuracy": self._top_5_accuracy,
            "calibration_error": self._calibration_error,
            "brier": self._brier,
            "log_loss": self._log_loss,
        }
        for name in self.names:
            if name in from_probabilities:
                values[name] = from_probabilities[name](weights, total)
        return np.column_stack([values[name] for name in self.names])

    def _from_labels(self, weights: FloatArray, total: FloatArray) -> dict[str, FloatArray]:
        right = weights * self.answers.is_correct
        true = (self._by_truth @ weights.T).T  # (R, C)
        answered = (self._by_answer @ weights.T).T  # (R, C)
        hit = (self._by_truth @ right.T).T  # (R, C)
        is_true = true > 0
        recall = ratio(hit, true)
        f1 = ratio(2 * hit, true + answered)
        n_true = is_true.sum(axis=1)
        recall_mean = ratio(recall.sum(axis=1), n_true, empty=np.nan)
        covariance = hit.sum(axis=1) * total - (true * answered).sum(axis=1)
        spread = (total**2 - (answered**2).sum(axis=1)) * (total**2 - (true**2).sum(axis=1))
        return {
            "accuracy": ratio(hit.sum(axis=1), total, empty=np.nan),
            "balanced_accuracy": recall_mean,
            "macro_recall": recall_mean,
            "macro_precision": ratio(
                (ratio(hit, answered) * is_true).sum(axis=1), n_true, empty=np.nan
            ),
            "macro_f1": ratio((f1 * is_true).sum(axis=1), n_true, empty=np.nan),
            "weighted_f1": ratio((f1 * true).sum(axis=1), total, empty=np.nan),
            "mcc": ratio(covariance, np.sqrt(np.maximum(spread, 0))),
        }

    def _roc_auc(self, weights: FloatArray, total: FloatArray) -> FloatArray:
        true = (self._by_truth @ weights.T).T  # (R, C)
        scored = (true > 0) & (true < total[:, None])
        n_scored = scored.sum(axis=1)
        if len(self.answers) > _MOST_PAIRED_ROWS:
            area, influence = self._auc_influence
            centre = weights / total[:, None]
            return np.where(n_scored > 0, area + centre @ influence, np.nan)
        beaten = weights @ self._pairs  # (R, n): weight of the others that each picture beats
        wins = (self._by_truth @ (weights * beaten).T).T  # (R, C)
        pairs = true * (total[:, None] - true)
        areas = np.where(scored, ratio(wins, pairs), 0.0)
        return ratio(areas.sum(axis=1), n_scored, empty=np.nan)

    @cached_property
    def _pairs(self) -> FloatArray:
        """How far picture i beats j of another class, by the score of i's class: 1, 1/2 or 0."""
        probabilities, truth = self._probabilities, self.answers.truth
        score = probabilities[:, truth]  # (n, n): row j, by the class of column i
        own = probabilities[np.arange(len(truth)), truth]
        beats: FloatArray = (score < own) + 0.5 * (score == own)
        beats[truth[:, None] == truth[None, :]] = 0.0
        return beats

    @cached_property
    def _auc_influence(self) -> tuple[float, FloatArray]:
        """Mean area and each picture's influence on it, n times what leaving it out would do.

        References
        ----------
        E. R. DeLong, D. M. DeLong and D. L. Clarke-Pearson, Biometrics 44 (1988), 837-845: the
        placements.
        """
        probabilities, truth = self._probabilities, self.answers.truth
        n = len(truth)
        influence = np.zeros(n)
        areas = []
        for code in np.unique(truth):
            positive = truth == code
            n_positive = int(positive.sum())
            if n_positive == n:
                continue
            score = probabilities[:, code]
            rank = rankdata(score)
            # Share of the other side that each picture beats, from ranks among all and among own.
            placement = np.empty(n)
            placement[positive] = (rank[positive] - rankdata(score[positive])) / (n - n_positive)
            placement[~positive] = (
                n_positive - (rank[~positive] - rankdata(score[~positive]))
            ) / n_positive
            area = float(placement[positive].mean())
            areas.append(area)
            influence += (placement - area) * np.where(
                positive, n / n_positive, n / (n - n_positive)
            )
        if not areas:
            return np.nan, influence
        return float(np.mean(areas)), influence / len(areas)

    def _top_5_accuracy(self, weights: FloatArray, total: FloatArray) -> FloatArray:
        probabilities, truth = self._probabilities, self.answers.truth
        own = probabilities[np.arange(len(truth)), truth]
        ahead = (probabilities >= own[:, None]).sum(axis=1) - 1
        return ratio(weights @ (ahead < _TOP).astype(np.float64), total, empty=np.nan)

    def _calibration_error(self, weights: FloatArray, total: FloatArray) -> FloatArray:
        bins = confidence_bins(self.answers.confidence, _BINS)
        gap = self.answers.confidence - self.answers.is_correct
        gaps = class_indicator(bins, int(bins.max(initial=0)) + 1) @ (weights * gap).T  # (bins, R)
        return ratio(np.abs(gaps).sum(axis=0), total, empty=np.nan)

    def _brier(self, weights: FloatArray, total: FloatArray) -> FloatArray:
        probabilities, truth = self._probabilities, self.answers.truth
        own = probabilities[np.arange(len(truth)), truth]
        distance = (probabilities**2).sum(axis=1) - 2 * own + 1
        return ratio(weights @ distance, total, empty=np.nan)

    def _log_loss(self, weights: FloatArray, total: FloatArray) -> FloatArray:
        own = self._probabilities[np.arange(len(self.answers)), self.answers.truth]
        loss = -np.log(np.clip(own, np.finfo(np.float64).eps, 1.0))
        return ratio(weights @ loss, total, empty=np.nan)

    @property
    def _probabilities(self) -> FloatArray:
        assert self.answers.probabilities is not None  # the constructor has seen to it
        return self.answers.probabilities


def estimate_scores(
    answers: Answers,
    groups: Iterable[Any],
    *,
    rng: np.random.Generator,
    names: Iterable[str] | None = None,
    n_replicates: int = 1000,
    level: float = 0.95,
) -> Estimates:
    """Score answers, each score with its interval from a bootstrap over specimens.

    Parameters
    ----------
    answers : Answers
        What to score.
    groups : iterable of length n
        Specimen of each picture.
    rng : numpy.random.Generator
        Draws the replicates.
    names, n_replicates, level
        As for `Scores` and `resample.cluster_bootstrap`.
    """
    return cluster_bootstrap(
        Scores(answers, names),
        groups,
        rng=rng,
        n_replicates=n_replicates,
        level=level,
        shifted=SHIFTED_METRICS,
    )


def confidence_bins(confidence: FloatArray, n_bins: int) -> IntArray:
    """Return the bin of each picture, bins of equal mass, numbered from the least confident up.

    Pictures of equal confidence share a bin, so there may be fewer than `n_bins`.
    """
    if not len(confidence):
        return np.empty(0, np.int64)
    place = (rankdata(confidence, method="min") - 1) * n_bins / len(confidence)
    _kept, bins = np.unique(place.astype(np.int64), return_inverse=True)
    return bins.astype(np.int64)


def chance_calibration_error(confidence: FloatArray) -> float:
    """Return the ``calibration_error`` to expect when every confidence is exactly right.

    A sample is off by chance: in a bin of outcomes with probabilities p, the gap between what was
    said and what came is about normal with variance sum p (1 - p), and the mean of its absolute
    value is sqrt(2 / pi) times the standard deviation.

    Parameters
    ----------
    confidence : array of shape (n,)
        Probabilities of the answers, taken as independent: copies of a picture make it larger.

    Examples
    --------
    >>> confidence = np.full(1000, 0.5)
    >>> rng = np.random.default_rng(0)
    >>> drawn = np.abs((rng.random((2000, 1000)) < confidence).mean(axis=1) - 0.5).mean()
    >>> round(chance_calibration_error(confidence), 3), round(float(drawn), 3)
    (0.013, 0.013)
    """
    bins = confidence_bins(confidence, _BINS)
    variances = np.bincount(bins, confidence * (1 - confidence))
    return float(np.sqrt(2 * variances / np.pi).sum() / max(len(confidence), 1))


def class_indicator(codes: IntArray, n_codes: int) -> sparse.csr_array:
    """Return the matrix that adds up pictures by class.

    Parameters
    ----------
    codes : IntArray of shape (n,)
        Class of each picture.
    n_codes : int
        Number of classes.

    Returns
    -------
    sparse array of shape (n_codes, n)
        One where the picture is of the class.
    """
    n = len(codes)
    return sparse.csr_array((np.ones(n), (codes, np.arange(n))), shape=(n_codes, n))


def ratio(above: AnyArray, below: AnyArray, *, empty: float = 0.0) -> FloatArray:
    """Divide element by element.

    Parameters
    ----------
    above, below : arrays of one shape
        Numerators, and denominators of 0 or more.
    empty : float
        The result where there is nothing to divide by.
    """
    above, below = np.asarray(above, np.float64), np.asarray(below, np.float64)
    out: FloatArray = np.full(above.shape, empty)
    return np.divide(above, below, out=out, where=below > 0)
