"""The classifiers that were published for single genes, on one vector a species."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    f1_score,
    matthews_corrcoef,
    precision_score,
    recall_score,
    roc_auc_score,
)
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from kinlens.errors import UsageError, did_you_mean
from kinlens.typing import AnyArray, FloatArray

__all__ = ["PUBLISHED", "build_published", "fit_published", "published_scores"]

PUBLISHED = ("logistic", "decision_tree", "random_forest", "svm", "mlp")
"""Names of the classifiers."""


def build_published(name: str, *, seed: int) -> Pipeline:
    """Build one classifier; features are standardised first.

    Parameters
    ----------
    name : str
        One of `PUBLISHED`.
    seed : int
        Of whatever is random in it.

    Raises
    ------
    UsageError
        For an unknown name.

    Examples
    --------
    >>> model = build_published("svm", seed=0).fit(np.eye(6), [0, 0, 0, 1, 1, 1])
    >>> model.predict(np.eye(6)[:1]).tolist()
    [0]
    """
    builders: dict[str, Callable[[], ClassifierMixin]] = {
        "logistic": lambda: LogisticRegression(max_iter=500),
        "decision_tree": lambda: DecisionTreeClassifier(random_state=seed),
        "random_forest": lambda: RandomForestClassifier(100, random_state=seed),
        "svm": lambda: SVC(kernel="linear", class_weight="balanced"),
        "mlp": lambda: MLPClassifier((128, 32), max_iter=200, random_state=seed),
    }
    if name not in builders:
        raise UsageError(f"no published classifier {name!r}. {did_you_mean(name, PUBLISHED)}")
    return make_pipeline(StandardScaler(), builders[name]())


def fit_published(name: str, X: FloatArray, y: AnyArray, *, seed: int) -> Pipeline | None:
    """Fit one classifier; None where training holds a single class.

    Parameters
    ----------
    name, seed
        As for `build_published`.
    X : array of shape (n, n_features)
        One row a species.
    y : array of shape (n,)
        0 or 1.
    """
    if len(np.unique(y)) < 2:
        return None
    with warnings.catch_warnings():
        # Few species and many features: the published settings stop before they converge.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return build_published(name, seed=seed).fit(X, y)


def published_scores(truth: AnyArray, calls: AnyArray, scores: AnyArray) -> dict[str, float]:
    """Return the seven published scores of one gene on test species.

    Parameters
    ----------
    truth, calls : array of shape (n,)
        0 or 1.
    scores : array of shape (n,)
        Larger means more likely present.

    Returns
    -------
    dict
        ``accuracy balanced_accuracy precision recall f1 auc mcc``; ``auc`` is NaN where the test
        part holds one class.

    Examples
    --------
    >>> truth, calls = np.array([0, 0, 1, 1]), np.array([0, 0, 1, 0])
    >>> found = published_scores(truth, calls, np.array([0.1, 0.2, 0.9, 0.4]))
    >>> found["accuracy"], found["recall"], found["auc"]
    (0.75, 0.5, 1.0)
    """
    has_both = len(np.unique(truth)) == 2
    with warnings.catch_warnings():
        # One class among the tested or the called gives 0, as the table says.
        warnings.simplefilter("ignore", UserWarning)
        return {
            "accuracy": float(accuracy_score(truth, calls)),
            "balanced_accuracy": float(balanced_accuracy_score(truth, calls)),
            "precision": float(precision_score(truth, calls, zero_division=0)),
            "recall": float(recall_score(truth, calls, zero_division=0)),
            "f1": float(f1_score(truth, calls, zero_division=0)),
            "auc": float(roc_auc_score(truth, scores)) if has_both else float("nan"),
            "mcc": float(matthews_corrcoef(truth, calls)) if has_both else 0.0,
        }
