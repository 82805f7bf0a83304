"""The classifiers that `taxa` compares: baselines, the published recipe, and the usual rivals.

Each is a scikit-learn estimator built by name for one rank. The hierarchical classifier, which
answers all ranks at once, is `hierarchy.HierarchicalClassifier`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    MetaEstimatorMixin,
    TransformerMixin,
    clone,
)
from sklearn.decomposition import PCA
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from kinlens.errors import UsageError, did_you_mean
from kinlens.models.discriminant import ShrinkageDiscriminant
from kinlens.models.forest import NoiseUpsampledForest
from kinlens.models.labels import class_codes
from kinlens.typing import AnyArray, FloatArray

__all__ = ["BASELINES", "MODELS", "PrincipalAxes", "ReducedClassifier", "build_classifier"]

BASELINES = ("majority", "nearest_centroid", "random_forest")
"""Always shown for comparison and never chosen: trivial, classical, and as published."""
MODELS = ("decision_tree", "knn", "svm", "logistic", "mlp", "lda", "hierarchical")
"""Candidates, of which inner validation chooses one for each rank."""


class PrincipalAxes(TransformerMixin, BaseEstimator):
    """Standardised features on their first principal axes, each scaled to unit variance.

    Iterative classifiers need this: with a few pictures a class the later axes are noise, and
    without the scaling the first ones, mostly pose and size, drown the rest.

    Parameters
    ----------
    n_components : int
        Axes kept, or as many as there are.
    random_state : int, RandomState instance or None
        Of the randomised decomposition.

    Attributes
    ----------
    n_components_ : int
        Axes kept.
    """

    def __init__(
        self, n_components: int = 200, *, random_state: int | np.random.RandomState | None = None
    ) -> None:
        self.n_components = n_components
        self.random_state = random_state

    def fit(self, X: AnyArray, y: AnyArray | None = None) -> PrincipalAxes:
        """Find the axes.

        Parameters
        ----------
        X : array of shape (n, n_features)
            Feature vectors, finite.
        y : ignored
            Taken for the sake of pipelines.
        """
        X = validate_data(self, X, dtype=np.float64, ensure_min_samples=2)
        self._scaler = StandardScaler().fit(X)
        self.n_components_ = min(self.n_components, len(X) - 1, X.shape[1])
        self._axes = PCA(
            self.n_components_, svd_solver="randomized", random_state=self.random_state
        ).fit(self._scaler.transform(X))
        # An axis without variance carries rounding alone, which must not be blown up.
        spread = np.sqrt(self._axes.explained_variance_)
        self._scale = np.where(spread > 1e-6 * spread.max(initial=0.0), spread, np.inf)
        return self

    def transform(self, X: AnyArray) -> FloatArray:
        """Return pictures on the axes, shape (n, n_components_)."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        return np.asarray(self._axes.transform(self._scaler.transform(X)) / self._scale)


class ReducedClassifier(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """A classifier on principal axes, which says nothing about what is normal here.

    Classes with one picture, and iterations that end at their limit, are no news with hundreds of
    species; scikit-learn would warn of both.

    Parameters
    ----------
    classifier : classifier
        Fitted on the axes.
    n_components : int
        As for `PrincipalAxes`.
    random_state : int, RandomState instance or None
        Of the axes; the classifier has its own.

    Attributes
    ----------
    classes_ : array of shape (n_classes,)
        Sorted labels.
    axes_ : PrincipalAxes
        The axes.
    classifier_ : classifier
        Fitted.
    """

    def __init__(
        self,
        classifier: ClassifierMixin,
        *,
        n_components: int = 200,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.classifier = classifier
        self.n_components = n_components
        self.random_state = random_state

    def fit(self, X: AnyArray, y: AnyArray) -> ReducedClassifier:
        """Find the axes and fit the classifier.

        Parameters
        ----------
        X : array of shape (n, n_features)
            Feature vectors, finite.
        y : array of shape (n,)
            Labels.
        """
        X, y = validate_data(self, X, y, dtype=np.float64, ensure_min_samples=2)
        self.classes_ = class_codes(y).classes
        self.axes_ = PrincipalAxes(self.n_components, random_state=self.random_state).fit(X)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
            warnings.simplefilter("ignore", ConvergenceWarning)
            self.classifier_ = clone(self.classifier).fit(self.axes_.transform(X), y)
        return self

    def predict(self, X: AnyArray) -> AnyArray:
        """Return the class of each picture, shape (n,)."""
        check_is_fitted(self)
        answer: AnyArray = self.classifier_.predict(self._reduced(X))
        return answer

    @available_if(lambda self: hasattr(self.classifier, "predict_proba"))
    def predict_proba(self, X: AnyArray) -> FloatArray:
        """Return probabilities, shape (n, n_classes)."""
        check_is_fitted(self)
        return np.asarray(self.classifier_.predict_proba(self._reduced(X)), dtype=np.float64)

    def _reduced(self, X: AnyArray) -> FloatArray:
        return self.axes_.transform(validate_data(self, X, dtype=np.float64, reset=False))


def build_classifier(
    name: str, *, seed: int, n_jobs: int = 1, n_samples: int | None = None
) -> BaseEstimator:
    """Build one classifier for one rank.

    Parameters
    ----------
    name : str
        One of `BASELINES` or `MODELS`, except ``hierarchical``, which needs a taxonomy.
    seed : int
        Of whatever is random in it.
    n_jobs : int
        Threads.
    n_samples : int, optional
        How many will be learned from, where that may be fewer than the five nearest.

    Returns
    -------
    classifier
        Not fitted; all but ``svm`` have ``predict_proba``.

    Raises
    ------
    UsageError
        For an unknown name.

    Examples
    --------
    >>> model = build_classifier("knn", seed=0).fit(np.eye(6), list("aaabbb"))
    >>> model.predict(np.eye(6)[:1]).tolist()
    ['a']
    """
    builders: dict[str, Callable[[], ClassifierMixin]] = {
        "majority": lambda: DummyClassifier(strategy="prior"),
        # With nothing left of the covariance but each feature's spread within classes.
        "nearest_centroid": lambda: ShrinkageDiscriminant(shrinkage=1.0, pull=0.0),
        "random_forest": lambda: NoiseUpsampledForest(n_jobs=n_jobs, random_state=seed),
        "decision_tree": lambda: ReducedClassifier(
            DecisionTreeClassifier(random_state=seed), random_state=seed
        ),
        "knn": lambda: ReducedClassifier(
            KNeighborsClassifier(min(5, n_samples or 5), metric="cosine", weights="distance"),
            random_state=seed,
        ),
        "svm": lambda: ReducedClassifier(
            SVC(C=0.1, kernel="linear", class_weight="balanced"), random_state=seed
        ),
        "logistic": lambda: ReducedClassifier(
            LogisticRegression(C=0.1, class_weight="balanced", max_iter=200), random_state=seed
        ),
        "mlp": lambda: ReducedClassifier(
            MLPClassifier((256,), alpha=1e-3, max_iter=60, tol=1e-3, random_state=seed),
            random_state=seed,
        ),
        "lda": lambda: ShrinkageDiscriminant(pull=0.0),
    }
    if name not in builders:
        raise UsageError(f"no classifier {name!r}. {did_you_mean(name, [*BASELINES, *MODELS])}")
    return builders[name]()
