"""Making probabilities mean what they say, from answers to pictures that a model did not see.

Held-out answers come from folds that keep specimens whole. Measuring calibration is for
`kinlens.evaluate.metrics`; this file changes probabilities only.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import minimize, minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from kinlens.errors import UsageError
from kinlens.evaluate.folds import specimen_folds
from kinlens.evaluate.groups import unit_codes
from kinlens.models.labels import class_codes
from kinlens.typing import AnyArray, FloatArray, IntArray

__all__ = [
    "CalibratedClassifier",
    "HeldOut",
    "Scaling",
    "fit_scaling",
    "held_out_scores",
    "specimen_probabilities",
]

# Smallest probability that a log is taken of: forests say zero to what no tree voted for.
_LEAST = 1e-6


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Scores of pictures by models that were fitted without their specimen.

    Parameters
    ----------
    rows : IntArray of shape (m,)
        Which pictures; those of a class's only specimen are not among them.
    scores : FloatArray of shape (m, n_classes)
        Log probabilities.
    """

    rows: IntArray
    scores: FloatArray


@dataclass(frozen=True, eq=False)
class Scaling:
    """A map from log probabilities z to calibrated ones: softmax(slope * z + offset).

    Parameters
    ----------
    slope, offset : FloatArray of shape (n_classes,)
        All slopes alike and no offset: temperature scaling, with temperature 1 / slope.
    """

    slope: FloatArray
    offset: FloatArray

    def __call__(self, scores: FloatArray) -> FloatArray:
        """Return calibrated probabilities, shape (n, n_classes)."""
        return np.asarray(softmax(self.slope * scores + self.offset, axis=1))


def fit_scaling(
    scores: FloatArray, truth: IntArray, *, method: str = "temperature", penalty: float = 1.0
) -> Scaling:
    """Find the scaling under which held-out truths are most probable.

    Parameters
    ----------
    scores : FloatArray of shape (n, n_classes)
        Log probabilities, or anything that is meant to go through a softmax.
    truth : IntArray of shape (n,)
        Column of each true class.
    method : ``"temperature"`` or ``"vector"``
        One slope for all classes, which leaves every ranking as it is; or a slope and an offset
        for each, drawn towards the best single slope so that rare classes do not run away.
    penalty : float
        Strength of that draw, in pictures; only for ``"vector"``.

    References
    ----------
    C. Guo, G. Pleiss, Y. Sun and K. Q. Weinberger, ICML (2017), 1321-1330.

    Examples
    --------
    >>> scores = np.log([[0.99, 0.01], [0.99, 0.01], [0.99, 0.01], [0.01, 0.99]])
    >>> scaling = fit_scaling(scores, np.array([0, 0, 1, 1]))
    >>> scaling(scores).max(axis=1).round(2).tolist()
    [0.75, 0.75, 0.75, 0.75]
    """
    scores = np.asarray(scores, dtype=np.float64)
    n, k = scores.shape
    if len(truth) != n or n == 0:
        raise UsageError(f"{len(truth)} truths for {n} pictures; at least one is needed.")
    rows = np.arange(n)

    def loss(log_slope: float) -> float:
        return -float(log_softmax(np.exp(log_slope) * scores, axis=1)[rows, truth].mean())

    # exp(7) is sharper and exp(-7) flatter than any model is.
    slope = float(np.exp(minimize_scalar(loss, bounds=(-7.0, 7.0), method="bounded").x))
    if method == "temperature":
        return Scaling(np.full(k, slope), np.zeros(k))
    if method != "vector":
        raise UsageError(f"method must be 'temperature' or 'vector', not {method!r}.")

    def penalised(parameters: FloatArray) -> tuple[float, FloatArray]:
        ratio, offset = parameters[:k], parameters[k:]
        logs = log_softmax(slope * ratio * scores + offset, axis=1)
        excess = np.exp(logs)
        excess[rows, truth] -= 1.0
        drawn = np.concatenate([ratio - 1.0, offset])
        value = -logs[rows, truth].sum() + 0.5 * penalty * (drawn**2).sum()
        gradient = np.concatenate([slope * (excess * scores).sum(axis=0), excess.sum(axis=0)])
        return float(value), gradient + penalty * drawn

    start = np.concatenate([np.ones(k), np.zeros(k)])
    found = minimize(penalised, start, jac=True, method="L-BFGS-B").x
    return Scaling(slope * found[:k], found[k:])


def held_out_scores(
    estimator: BaseEstimator,
    X: AnyArray,
    y: AnyArray,
    *,
    groups: Iterable[Any] | None = None,
    n_folds: int = 3,
    rng: np.random.Generator,
) -> HeldOut:
    """Score each picture by a model fitted on the folds without its specimen.

    Parameters
    ----------
    estimator : classifier with ``predict_proba``
        Cloned for each fold.
    X : array of shape (n, n_features)
        Feature vectors.
    y : array of shape (n,)
        Labels.
    groups : iterable of length n, optional
        Specimens; each picture on its own when left out.
    n_folds : int
        At least 2.
    rng : numpy.random.Generator
        Deals specimens to folds.

    Returns
    -------
    HeldOut
        Log probabilities, columns in sorted order of the labels.
    """
    classes, codes = np.unique(y, return_inverse=True)
    together = unit_codes(groups, n_rows=len(codes))
    rows, scores = [], []
    for fold in specimen_folds(codes, together, n_folds, rng=rng):
        if not len(fold.test):
            continue
        model = clone(estimator).fit(X[fold.train], y[fold.train])
        part = np.full((len(fold.test), len(classes)), np.log(_LEAST))
        part[:, np.searchsorted(classes, model.classes_)] = _log_probabilities(model, X[fold.test])
        rows.append(fold.test)
        scores.append(part)
    if not rows:
        raise UsageError("no class has two specimens, so nothing can be held out to calibrate on.")
    return HeldOut(np.concatenate(rows), np.vstack(scores))


class CalibratedClassifier(MetaEstimatorMixin, ClassifierMixin, BaseEstimator):
    """A classifier whose probabilities were scaled on specimens held out of its fitting.

    The classifier is fitted on folds that keep specimens whole, its held-out answers fit the
    scaling, and then it is fitted on everything. Where no class has two specimens it stays
    as it is.

    Parameters
    ----------
    estimator : classifier with ``predict_proba``
        What is calibrated.
    method : ``"temperature"`` or ``"vector"``
        As for `fit_scaling`.
    n_folds : int
        At least 2. Models of few folds are fitted on fewer specimens and err more often, which
        makes the scaling a little too modest.
    random_state : int, RandomState instance or None
        Deals specimens to folds.

    Attributes
    ----------
    classes_ : array of shape (n_classes,)
        Sorted labels.
    estimator_ : classifier
        Fitted on everything.
    scaling_ : Scaling
        The map from its log probabilities to calibrated ones.
    """

    def __init__(
        self,
        estimator: BaseEstimator,
        *,
        method: str = "temperature",
        n_folds: int = 5,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.estimator = estimator
        self.method = method
        self.n_folds = n_folds
        self.random_state = random_state

    def fit(
        self, X: AnyArray, y: AnyArray, groups: Iterable[Any] | None = None
    ) -> CalibratedClassifier:
        """Fit the classifier and its scaling.

        Parameters
        ----------
        X : array of shape (n, n_features)
            Feature vectors.
        y : array of shape (n,)
            Labels.
        groups : iterable of length n, optional
            Specimens.
        """
        X, y = validate_data(self, X, y)
        labels = class_codes(y)
        self.classes_, codes = labels.classes, labels.codes
        together = unit_codes(groups, n_rows=len(codes))
        seed = check_random_state(self.random_state).randint(2**31 - 1)
        n_classes = len(self.classes_)
        self.scaling_ = Scaling(np.ones(n_classes), np.zeros(n_classes))
        pairs = pd.DataFrame({"class": codes, "specimen": together}).drop_duplicates()
        if n_classes > 1 and pairs["class"].duplicated().any():
            held_out = held_out_scores(
                self.estimator,
                X,
                y,
                groups=together,
                n_folds=self.n_folds,
                rng=np.random.default_rng(seed),
            )
            self.scaling_ = fit_scaling(held_out.scores, codes[held_out.rows], method=self.method)
        self.estimator_ = clone(self.estimator).fit(X, y)
        return self

    def predict_proba(self, X: AnyArray) -> FloatArray:
        """Return calibrated probabilities, shape (n, n_classes)."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False)
        return self.scaling_(_log_probabilities(self.estimator_, X))

    def predict(self, X: AnyArray) -> AnyArray:
        """Return the most probable class, shape (n,)."""
        best = self.predict_proba(X).argmax(axis=1)
        answer: AnyArray = self.classes_[best]
        return answer


def specimen_probabilities(probabilities: FloatArray, groups: Iterable[Any]) -> FloatArray:
    """Combine what the pictures of one specimen say: their mean log probability, normalised.

    Parameters
    ----------
    probabilities : FloatArray of shape (n, n_classes)
        Of each picture.
    groups : iterable of length n
        Specimens.

    Returns
    -------
    FloatArray of shape (n, n_classes)
        The same row for all pictures of a specimen.

    Examples
    --------
    >>> specimen_probabilities(np.array([[0.9, 0.1], [0.5, 0.5]]), ["s", "s"]).round(2).tolist()
    [[0.75, 0.25], [0.75, 0.25]]
    """
    codes = unit_codes(groups, n_rows=len(probabilities))
    logs = np.log(np.maximum(probabilities, _LEAST))
    sums = np.zeros((int(codes.max(initial=-1)) + 1, logs.shape[1]))
    np.add.at(sums, codes, logs)
    means = sums / np.bincount(codes)[:, None]
    return np.asarray(softmax(means, axis=1)[codes])


def _log_probabilities(model: Any, X: AnyArray) -> FloatArray:
    if hasattr(model, "predict_log_proba"):
        logs = np.asarray(model.predict_log_proba(X), dtype=np.float64)
        # Discriminants say far less than the least probability, and mean it.
        return np.where(np.isfinite(logs), logs, np.log(_LEAST))
    return np.log(np.maximum(np.asarray(model.predict_proba(X), dtype=np.float64), _LEAST))
