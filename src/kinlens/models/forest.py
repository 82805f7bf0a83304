"""The published recipe for unbalanced taxa: rare classes filled up with noise, then a forest.

The forest is scikit-learn's; only the filling up is here.
"""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import RandomForestClassifier
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from kinlens.errors import UsageError
from kinlens.models.labels import class_codes
from kinlens.typing import AnyArray, FloatArray, IntArray

__all__ = ["NoiseUpsampledForest"]


class NoiseUpsampledForest(ClassifierMixin, BaseEstimator):
    """Every class brought to the size of the largest by noisy copies, then a random forest.

    Parameters
    ----------
    n_trees : int
        Number of trees, 1 or more.
    noise : float
        Standard deviation of the noise, in standard deviations of each feature over all
        pictures, 0 or more.
    most_rows : int
        Rows that a tree draws at the most. scikit-learn's trees take time in proportion to rows
        and to classes, so with hundreds of species each tree sees a draw of the filled-up rows,
        in which classes are as balanced as in all of them.
    n_jobs : int, optional
        Threads.
    random_state : int, RandomState instance or None
        Draws copies, noise, rows and features.

    Attributes
    ----------
    classes_ : array of shape (n_classes,)
        Sorted labels.
    n_rows_ : int
        Rows after filling up: the largest class times the number of classes.
    forest_ : sklearn.ensemble.RandomForestClassifier
        The forest; its classes are positions in `classes_`.

    References
    ----------
    L. Breiman, Machine Learning 45 (2001), 5-32, for the forest; N. V. Chawla et al., Journal of
    Artificial Intelligence Research 16 (2002), 321-357, for up-sampling by synthetic neighbours,
    of which noise around the pictures themselves is the plainest form.
    """

    def __init__(
        self,
        n_trees: int = 100,
        *,
        noise: float = 0.1,
        most_rows: int = 2000,
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.n_trees = n_trees
        self.noise = noise
        self.most_rows = most_rows
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(self, X: AnyArray, y: AnyArray) -> NoiseUpsampledForest:
        """Fill up the classes and grow the forest.

        Parameters
        ----------
        X : array of shape (n, n_features)
            Feature vectors, finite.
        y : array of shape (n,)
            Labels.
        """
        if not self.noise >= 0:
            raise UsageError(f"noise must be 0 or more, not {self.noise}.")
        X, y = validate_data(self, X, y, dtype=np.float32)
        found = class_codes(y)
        self.classes_ = found.classes
        random = check_random_state(self.random_state)
        filled, codes = _filled_up(X, found.codes, self.noise, random)
        self.n_rows_ = len(filled)
        forest = RandomForestClassifier(
            self.n_trees,
            max_samples=min(self.most_rows, len(filled)),
            n_jobs=self.n_jobs,
            random_state=random.randint(2**31 - 1),
        )
        with warnings.catch_warnings():
            # A museum with one picture of most species is no regression problem.
            warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
            self.forest_ = forest.fit(filled, codes)
        return self

    def predict_proba(self, X: AnyArray) -> FloatArray:
        """Return the mean shares of the classes in the trees' leaves, shape (n, n_classes)."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float32, reset=False)
        return np.asarray(self.forest_.predict_proba(X), dtype=np.float64)

    def predict(self, X: AnyArray) -> AnyArray:
        """Return the most probable class, shape (n,)."""
        probabilities = self.predict_proba(X)
        labels: AnyArray = self.classes_[probabilities.argmax(axis=1)]
        return labels


def _filled_up(
    X: AnyArray, codes: IntArray, noise: float, random: np.random.RandomState
) -> tuple[AnyArray, IntArray]:
    """Append noisy copies until every class is as large as the largest."""
    counts = np.bincount(codes)
    rows = np.concatenate(
        [
            random.choice(np.flatnonzero(codes == code), size=missing)
            for code, missing in enumerate(counts.max() - counts)
        ]
    ).astype(np.int64)
    rng = np.random.default_rng(random.randint(2**31 - 1))
    added = rng.standard_normal((len(rows), X.shape[1]), dtype=np.float32)
    added *= np.float32(noise) * X.std(axis=0)
    added += X[rows]
    return np.vstack([X, added]), np.concatenate([codes, codes[rows]])
