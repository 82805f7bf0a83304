"""The classifiers that `taxa` compares: baselines, the published recipe, and the usual rivals.

Each is a scikit-learn estimator built by name for one rank. The hierarchical classifier, which
answers all ranks at once, is `hierarchy.HierarchicalClassifier`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.decomposition import PCA
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from kinlens.errors import UsageError, did_you_mean
from kinlens.models.discriminant import ShrinkageDiscriminant
from kinlens.typing import AnyArray, FloatArray

__all__ = ["BASELINES", "MODELS", "NoiseUpsampledForest", "build_classifier"]

BASELINES = ("majority", "nearest_centroid", "random_forest")
"""Always shown for comparison and never chosen: trivial, classical, and as published."""
MODELS = ("decision_tree", "knn", "svm", "logistic", "mlp", "lda", "hierarchical")
"""Candidates, of which inner validation chooses one for each rank."""

# Iterative classifiers see this many principal components: with a few pictures a class the rest
# is noise, and hundreds of classes take seconds instead of hours.
_COMPONENTS = 200


class NoiseUpsampledForest(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """The published recipe: rare classes filled up with noisy copies, then a random forest.

    Parameters
    ----------
    n_trees : int
        Trees.
    noise : float
        Standard deviation of the noise added to copies, in standard deviations of each feature.
    most_rows : int
        Every tree draws at most this many of the filled-up rows, so that hundreds of classes
        take no more time than a few.
    n_jobs : int
        Threads.
    random_state : int
        Draws copies, noise, rows and features.

    Attributes
    ----------
    classes_ : array of shape (n_classes,)
        Sorted labels.
    forest_ : sklearn.ensemble.RandomForestClassifier
        The forest.
    n_rows_ : int
        Rows after filling up: the largest class times the number of classes.
    """

    def __init__(
        self,
        n_trees: int = 100,
        *,
        noise: float = 0.1,
        most_rows: int = 2000,
        n_jobs: int = 1,
        random_state: int | None = None,
    ) -> None:
        self.n_trees = n_trees
        self.noise = noise
        self.most_rows = most_rows
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(self, X: AnyArray, y: AnyArray) -> NoiseUpsampledForest:
        """Fill up the classes to the largest and grow the forest.

        Parameters
        ----------
        X : array of shape (n, n_features)
            Feature vectors, finite.
        y : array of shape (n,)
            Labels.
        """
        X, y = validate_data(self, X, y, dtype=np.float32)
        check_classification_targets(y)
        random = check_random_state(self.random_state)
        self.classes_, codes = np.unique(y, return_inverse=True)
        wanted = np.bincount(codes).max()
        copies = np.concatenate(
            [
                random.choice(rows, wanted - len(rows))
                for rows in (np.flatnonzero(codes == code) for code in range(len(self.classes_)))
                if len(rows) < wanted
            ]
            or [np.empty(0, np.int64)]
        ).astype(np.int64)
        jitter = random.standard_normal((len(copies), X.shape[1])).astype(np.float32)
        filled = np.concatenate([X, X[copies] + self.noise * X.std(axis=0) * jitter])
        labels = np.concatenate([codes, codes[copies]])
        self.n_rows_ = len(filled)
        self.forest_ = RandomForestClassifier(
            self.n_trees,
            max_samples=min(self.most_rows, len(filled)),
            n_jobs=self.n_jobs,
            random_state=random.randint(2**31 - 1),
        ).fit(filled, labels)
        return self

    def predict_proba(self, X: AnyArray) -> FloatArray:
        """Return the mean shares of classes in the leaves, shape (n, n_classes)."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float32, reset=False)
        return np.asarray(self.forest_.predict_proba(X), dtype=np.float64)

    def predict(self, X: AnyArray) -> AnyArray:
        """Return the most probable class, shape (n,)."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


def build_classifier(name: str, *, seed: int, n_jobs: int = 1) -> ClassifierMixin:
    """Build one classifier for one rank.

    Parameters
    ----------
    name : str
        One of `BASELINES` or `MODELS`, except ``hierarchical``, which needs a taxonomy.
    seed : int
        Of whatever is random in it.
    n_jobs : int
        Threads.

    Raises
    ------
    UsageError
        For an unknown name.
    """
    builders: dict[str, Callable[[], ClassifierMixin]] = {
        "majority": lambda: DummyClassifier(strategy="prior"),
        "nearest_centroid": lambda: make_pipeline(StandardScaler(), NearestCentroid()),
        "random_forest": lambda: NoiseUpsampledForest(n_jobs=n_jobs, random_state=seed),
        "decision_tree": lambda: _reduced(DecisionTreeClassifier(random_state=seed), seed),
        "knn": lambda: make_pipeline(
            StandardScaler(), KNeighborsClassifier(5, metric="cosine", weights="distance")
        ),
        "svm": lambda: _reduced(SVC(C=10.0, class_weight="balanced"), seed),
        "logistic": lambda: _reduced(
            LogisticRegression(C=0.1, class_weight="balanced", max_iter=200), seed
        ),
        "mlp": lambda: _reduced(
            MLPClassifier((256,), alpha=1e-3, max_iter=60, tol=1e-3, random_state=seed), seed
        ),
        "lda": lambda: ShrinkageDiscriminant(pull=0.0),
    }
    if name not in builders:
        raise UsageError(f"no classifier {name!r}. {did_you_mean(name, [*BASELINES, *MODELS])}")
    return builders[name]()


class _AtMostPCA(PCA):  # type: ignore[misc]
    """Principal components, as many as wanted or as there are."""

    def fit_transform(self, X: AnyArray, y: AnyArray | None = None) -> AnyArray:
        self.n_components = min(self.n_components, *X.shape)
        return super().fit_transform(X, y)


def _reduced(classifier: ClassifierMixin, seed: int) -> Pipeline:
    return make_pipeline(
        StandardScaler(), _AtMostPCA(_COMPONENTS, random_state=seed), StandardScaler(), classifier
    )
