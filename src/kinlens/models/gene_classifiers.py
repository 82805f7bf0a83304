"""The scan's two classifiers as scikit-learn estimators, to pick up alone in a notebook."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from kinlens.errors import InputError
from kinlens.models.gene_scorers import RidgeScorer, SupportVectorScorer
from kinlens.typing import AnyArray, FloatArray

__all__ = ["MidpointRidgeClassifier", "ParallelSupportVectorClassifier"]


class _ManyGenes(ClassifierMixin, BaseEstimator):
    """What both share: y of one target or of many, scores minus thresholds, no copy per target."""

    def _scorer(self) -> RidgeScorer | SupportVectorScorer:
        raise NotImplementedError

    def fit(self, X: AnyArray, y: AnyArray) -> Any:
        """Keep the training rows; what depends on new rows is computed when they come.

        Parameters
        ----------
        X : array of shape (n_samples, n_features)
            Features, taken as they are: standardise them first.
        y : array of shape (n_samples,) or (n_samples, n_targets)
            Two labels, or 0 and 1 for each of many targets.
        """
        X, y = validate_data(self, X, y, multi_output=True, dtype=np.float64)
        self._scorer()
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if y.ndim == 1:
            check_classification_targets(y)
            self.classes_, codes = np.unique(y, return_inverse=True)
            if len(self.classes_) > 2:
                # scikit-learn's contract fixes the opening words.
                raise InputError(
                    f"Only binary classification is supported; y has {len(self.classes_)} labels"
                )
            self.presence_ = codes.reshape(-1, 1).astype(np.float64)
        else:
            self.classes_ = np.array([0, 1])
            if not np.isin(y, (0, 1)).all():
                raise InputError("with many targets, y holds 0 and 1 only")
            self.presence_ = y.astype(np.float64)
        self.rows_ = X
        self.is_single_ = y.ndim == 1
        return self

    def decision_function(self, X: AnyArray) -> FloatArray:
        """Return how far each row lies above each target's threshold.

        Parameters
        ----------
        X : array of shape (n_samples, n_features)
            Features as in `fit`.

        Returns
        -------
        array of shape (n_samples,) or (n_samples, n_targets)
            Above 0 means present. Infinite for a target of which one class only was seen.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        both = np.concatenate([self.rows_, X])
        m = len(self.rows_)
        gram = both @ both.T / both.shape[1]
        scorer = self._scorer()
        train, test = np.arange(m), np.arange(m, len(both))
        prepared: Any = scorer.prepare(gram, train, test, np.float64)
        found = scorer.scores(prepared, self.presence_, np.empty((0, self.presence_.shape[1])))
        above: FloatArray = found.scores - found.threshold
        return above[:, 0] if self.is_single_ else above

    def predict(self, X: AnyArray) -> AnyArray:
        """Return the label of each row, or 0 and 1 for each of many targets.

        Parameters
        ----------
        X : array of shape (n_samples, n_features)
            Features as in `fit`.
        """
        calls = (self.decision_function(X) > 0).astype(np.int64)
        if self.is_single_ and len(self.classes_) == 1:
            calls[:] = 0
        labels: AnyArray = self.classes_[calls]
        return labels

    def __sklearn_tags__(self) -> Tags:
        """Say that two classes are all there are, for one target or for many."""
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags


class MidpointRidgeClassifier(_ManyGenes):
    """Ridge regression on any number of binary targets, with leave-one-out thresholds.

    A row is called present above the point halfway between the mean leave-one-out scores of the
    two classes; see `gene_scorers.RidgeScorer`.

    Parameters
    ----------
    penalty : float
        Above 0, in units of the mean square of the features.

    Attributes
    ----------
    classes_ : array of shape (2,)
        The labels; 0 and 1 with many targets.
    rows_ : array of shape (n_samples, n_features)
        The training rows.
    presence_ : array of shape (n_samples, n_targets)
        1 where the second label was seen.

    Examples
    --------
    >>> X = np.array([[0.0], [0.2], [1.0], [1.2]]) - 0.6
    >>> model = MidpointRidgeClassifier().fit(X, np.array([[0, 1], [0, 1], [1, 0], [1, 0]]))
    >>> model.predict([[0.5]])
    array([[1, 0]])
    """

    def __init__(self, penalty: float = 1.0) -> None:
        self.penalty = penalty

    def _scorer(self) -> RidgeScorer:
        return RidgeScorer(self.penalty)


class ParallelSupportVectorClassifier(_ManyGenes):
    """Linear support vector machines for any number of binary targets, solved side by side.

    Gives what ``SVC(kernel="linear")`` gives on ``X / sqrt(n_features)``.

    Parameters
    ----------
    cost : float
        C of the formula, above 0.
    is_balanced : bool
        Whether both classes weigh the same.
    tolerance : float
        Largest violation of the optimality conditions.

    Attributes
    ----------
    classes_, rows_, presence_
        As for `MidpointRidgeClassifier`.

    Examples
    --------
    >>> X = np.array([[0.0], [0.2], [1.0], [1.2]])
    >>> ParallelSupportVectorClassifier().fit(X, ["no", "no", "yes", "yes"]).predict([[0.1], [2.0]])
    array(['no', 'yes'], dtype='<U3')
    """

    def __init__(
        self, cost: float = 1.0, *, is_balanced: bool = True, tolerance: float = 1e-3
    ) -> None:
        self.cost = cost
        self.is_balanced = is_balanced
        self.tolerance = tolerance

    def _scorer(self) -> SupportVectorScorer:
        return SupportVectorScorer(self.cost, self.is_balanced, self.tolerance)
