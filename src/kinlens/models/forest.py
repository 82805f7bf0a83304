"""Random forests that stay fast with hundreds of classes, and the published recipe built on them.

The trees are those of Breiman's random forest; only the bookkeeping differs, see
`forest_kernels`. A single tree is a forest of one.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from kinlens.errors import UsageError
from kinlens.models.forest_kernels import N_BINS, add_votes, grow_tree
from kinlens.models.labels import class_codes
from kinlens.typing import AnyArray, FloatArray, IntArray

__all__ = ["ForestClassifier", "NoiseUpsampledForest", "Tree"]


@dataclass(frozen=True, eq=False)
class Tree:
    """One grown tree.

    Parameters
    ----------
    feature : IntArray of shape (n_nodes,)
        Feature asked at each node; -1 for a leaf.
    threshold : FloatArray of shape (n_nodes,)
        Values up to this go to the first child.
    child : IntArray of shape (n_nodes, 2)
        The two children; for a leaf, the bounds of its entries.
    entry_class, entry_share : arrays of shape (n_entries,)
        Classes in the leaves and their shares.
    """

    feature: IntArray
    threshold: FloatArray
    child: IntArray
    entry_class: IntArray
    entry_share: FloatArray


class ForestClassifier(ClassifierMixin, BaseEstimator):
    """Random forest whose training time does not grow with the number of classes.

    Trees grow until their leaves are pure. Every node tries `max_features` features that are not
    constant there and cuts where the Gini impurity falls most. A feature with more than 256
    distinct values is cut between 256 steps of equal mass.

    Parameters
    ----------
    n_trees : int
        Number of trees, 1 or more.
    max_features : ``"sqrt"``, None or int
        Features tried at each node: the square root of their number, all, or so many.
    bootstrap : bool
        Whether each tree sees a resample of the pictures, or all of them.
    n_jobs : int, optional
        Threads; -1 for all processors.
    random_state : int, RandomState instance or None
        Draws pictures and features.

    Attributes
    ----------
    classes_ : array of shape (n_classes,)
        Sorted labels.
    trees_ : tuple of Tree
        The forest.
    feature_importances_ : FloatArray of shape (n_features,)
        Share of the decrease in impurity that each feature brought.

    References
    ----------
    L. Breiman, Machine Learning 45 (2001), 5-32.

    Examples
    --------
    >>> X = np.array([[0.0], [1.0], [2.0], [3.0]])
    >>> model = ForestClassifier(n_trees=10, random_state=0).fit(X, [0, 0, 1, 1])
    >>> model.predict([[-1.0], [4.0]]).tolist()
    [0, 1]
    """

    def __init__(
        self,
        n_trees: int = 100,
        *,
        max_features: str | int | None = "sqrt",
        bootstrap: bool = True,
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.n_trees = n_trees
        self.max_features = max_features
        self.bootstrap = bootstrap
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(self, X: AnyArray, y: AnyArray) -> ForestClassifier:
        """Grow the trees.

        Parameters
        ----------
        X : array of shape (n, n_features)
            Feature vectors, finite; used as float32.
        y : array of shape (n,)
            Class labels.
        """
        X, y = validate_data(self, X, y, dtype=np.float32)
        labels = class_codes(y)
        self.classes_, codes = labels.classes, labels.codes
        random_state = check_random_state(self.random_state)
        n_seen = len(X)
        X, codes = self._prepared(X, codes, random_state)
        self._grow(X, codes, random_state, n_seen)
        return self

    def predict_proba(self, X: AnyArray) -> FloatArray:
        """Return the mean class shares of the leaves reached, shape (n, n_classes)."""
        check_is_fitted(self)
        X = np.ascontiguousarray(validate_data(self, X, dtype=np.float32, reset=False))
        votes = np.zeros((len(X), len(self.classes_)))
        for tree in self.trees_:
            add_votes(
                X,
                tree.feature,
                tree.threshold,
                tree.child,
                tree.entry_class,
                tree.entry_share,
                votes,
            )
        return votes / len(self.trees_)

    def predict(self, X: AnyArray) -> AnyArray:
        """Return the class with the largest mean share, shape (n,)."""
        best = self.predict_proba(X).argmax(axis=1)
        answer: AnyArray = self.classes_[best]
        return answer

    def _prepared(
        self, X: AnyArray, codes: IntArray, random_state: np.random.RandomState
    ) -> tuple[AnyArray, IntArray]:
        """Return the rows to grow on, those given first."""
        return X, codes

    def _grow(
        self, X: AnyArray, codes: IntArray, random_state: np.random.RandomState, n_seen: int
    ) -> None:
        """Grow the trees on all rows; steps are laid through the first `n_seen`."""
        n_candidates = self._n_candidates(X.shape[1])
        if self.n_trees < 1:
            raise UsageError(f"n_trees must be 1 or more, not {self.n_trees}.")
        columns = np.ascontiguousarray(X.T)
        steps = np.empty(columns.shape, np.uint8)
        seeds = random_state.randint(2**31 - 1, size=self.n_trees)
        n_classes = len(self.classes_)

        def lay_steps(feature: int) -> AnyArray:
            cuts = _edges(columns[feature, :n_seen])
            steps[feature] = np.searchsorted(cuts, columns[feature])
            return cuts

        def grow(seed: int) -> tuple[Tree, FloatArray]:
            weights = np.ones(len(codes), np.int64)
            if self.bootstrap:
                drawn = np.random.RandomState(seed).randint(len(codes), size=len(codes))
                weights = np.bincount(drawn, minlength=len(codes)).astype(np.int64)
            feature, cut, child, entry_class, entry_share, gain = grow_tree(
                steps, codes, weights, n_classes, n_candidates, int(seed)
            )
            threshold = np.zeros(len(feature))
            for node in np.flatnonzero(feature >= 0):
                low, high = cut[node]
                threshold[node] = edges[feature[node]][[low, high - 1]].mean(dtype=np.float64)
            return Tree(feature, threshold, child, entry_class, entry_share), gain

        threads = (os.cpu_count() or 1) if self.n_jobs == -1 else (self.n_jobs or 1)
        with ThreadPoolExecutor(threads) as pool:
            edges = list(pool.map(lay_steps, range(len(columns))))
            grown = list(pool.map(grow, seeds))
        self.trees_ = tuple(tree for tree, _gain in grown)
        gains = np.sum([gain for _tree, gain in grown], axis=0)
        self.feature_importances_ = gains / gains.sum() if gains.any() else gains

    def _n_candidates(self, n_features: int) -> int:
        if self.max_features is None:
            return n_features
        if self.max_features == "sqrt":
            return max(1, int(np.sqrt(n_features)))
        if isinstance(self.max_features, str) or not self.max_features >= 1:
            raise UsageError(
                f"max_features must be 'sqrt', None or 1 and more, not {self.max_features!r}."
            )
        return min(int(self.max_features), n_features)


class NoiseUpsampledForest(ForestClassifier):
    """The published recipe for unbalanced taxa: rare classes up-sampled with noise, then a forest.

    Every class is brought to the size of the largest by drawing its pictures again, each time
    with Gaussian noise added to the features.

    Parameters
    ----------
    n_trees : int
        Number of trees, 1 or more.
    noise : float
        Standard deviation of the noise, in standard deviations of each feature over all
        pictures, 0 or more.
    max_features, n_jobs, random_state
        As for `ForestClassifier`.

    Attributes
    ----------
    classes_, trees_, feature_importances_
        As for `ForestClassifier`.

    References
    ----------
    N. V. Chawla et al., Journal of Artificial Intelligence Research 16 (2002), 321-357, for
    up-sampling by synthetic neighbours, of which noise around the pictures themselves is the
    plainest form.
    """

    def __init__(
        self,
        n_trees: int = 100,
        *,
        noise: float = 0.1,
        max_features: str | int | None = "sqrt",
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        super().__init__(
            n_trees, max_features=max_features, n_jobs=n_jobs, random_state=random_state
        )
        self.noise = noise

    def _prepared(
        self, X: AnyArray, codes: IntArray, random_state: np.random.RandomState
    ) -> tuple[AnyArray, IntArray]:
        if not self.noise >= 0:
            raise UsageError(f"noise must be 0 or more, not {self.noise}.")
        counts = np.bincount(codes)
        drawn = [
            random_state.choice(np.flatnonzero(codes == code), size=missing)
            for code, missing in enumerate(counts.max() - counts)
        ]
        rows = np.concatenate(drawn).astype(np.int64)
        rng = np.random.default_rng(random_state.randint(2**31 - 1))
        added = rng.standard_normal((len(rows), X.shape[1]), dtype=np.float32)
        added *= np.float32(self.noise) * X.std(axis=0)
        added += X[rows]
        return np.vstack([X, added]), np.concatenate([codes, codes[rows]])


def _edges(column: AnyArray) -> AnyArray:
    """Return the values at which a feature is cut into steps, midway between what was seen."""
    distinct, counts = np.unique(column, return_counts=True)
    if len(distinct) > N_BINS:
        # Steps of equal mass: a value belongs where the mass before it puts it.
        before = counts.cumsum() - counts
        last = np.flatnonzero(np.diff(before * N_BINS // len(column)))
    else:
        last = np.arange(len(distinct) - 1)
    return 0.5 * distinct[last] + 0.5 * distinct[last + 1]
