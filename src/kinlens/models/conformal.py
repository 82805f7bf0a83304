"""Sets of candidates that hold the true class at a stated rate.

Turns probabilities into sets by a threshold from calibration pictures, which the model that gave
the probabilities must not have seen. The guarantee needs calibration and new specimens to be
exchangeable - drawn alike, say by one random split - and nothing of the model; it says nothing
about species that were not in training, or pictures from another camera. Pictures of one
specimen may depend on each other: a specimen counts as one, whatever its number of pictures. Where
an answer should rather stop at a higher rank, see `safe_rank`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from kinlens.errors import UsageError
from kinlens.evaluate.groups import unit_codes
from kinlens.typing import BoolArray, FloatArray, IntArray

__all__ = ["ConformalSets"]

_SCORES = ("lac", "aps", "raps")


class ConformalSets(BaseEstimator):
    """Sets of classes that hold the true one at a stated rate.

    A class enters a picture's set when its nonconformity is at most a threshold, the
    ``1 - error_rate`` quantile of the truths' nonconformity on calibration pictures, where
    each specimen weighs the same and the new one is counted in as infinite. Then
    P(truth in set) >= 1 - error_rate for a picture of a new specimen.

    Parameters
    ----------
    error_rate : float
        How often the truth may be missed, between 0 and 1.
    score : ``"lac"``, ``"aps"`` or ``"raps"``
        Nonconformity of a class: one minus its probability (smallest sets on average); the
        probability of the classes before it, with a random share of its own (sets that adapt to
        how hard a picture is); the same with a penalty for classes beyond the first few.
    category_of : IntArray of shape (n_classes,), optional
        Category of each class, such as its genus or how rare it is; thresholds are then set, and
        the rate holds, within each category. A category with fewer than 1 / error_rate - 1
        calibration specimens has no finite threshold, and its classes are in every set.
    penalty, free : float, int
        For ``"raps"``: added for each class beyond the first `free`.
    random_state : int, RandomState instance or None
        Draws the random shares of ``"aps"`` and ``"raps"``.

    Attributes
    ----------
    thresholds_ : FloatArray of shape (n_categories,)
        Largest nonconformity that enters.

    References
    ----------
    M. Sadinle, J. Lei and L. Wasserman, JASA 114 (2019), 223-234 (LAC); Y. Romano, M. Sesia and
    E. Candes, NeurIPS (2020) (APS); A. Angelopoulos et al., ICLR (2021) (RAPS); V. Vovk, Asian
    Conference on Machine Learning (2012), 475-490 (categories); R. Dunn, L. Wasserman and
    A. Ramdas, JASA 118 (2023), 2491-2502 (groups of observations).

    Examples
    --------
    >>> probabilities = np.tile([[0.7, 0.2, 0.1]], (20, 1))
    >>> truth = np.repeat([0, 1], [15, 5])
    >>> sets = ConformalSets(0.1, score="lac").fit(probabilities, truth)
    >>> sets.predict(probabilities[:1]).tolist()
    [[True, True, False]]
    """

    def __init__(
        self,
        error_rate: float = 0.05,
        *,
        score: str = "lac",
        category_of: IntArray | None = None,
        penalty: float = 0.01,
        free: int = 5,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.error_rate = error_rate
        self.score = score
        self.category_of = category_of
        self.penalty = penalty
        self.free = free
        self.random_state = random_state

    def fit(
        self, probabilities: FloatArray, truth: IntArray, groups: Iterable[Any] | None = None
    ) -> ConformalSets:
        """Set the thresholds.

        Parameters
        ----------
        probabilities : FloatArray of shape (n, n_classes)
            Of calibration pictures, by a model that did not see them. Out-of-fold
            probabilities of several models do as well in practice; their guarantee is
            1 - 2 * error_rate (Barber et al., Annals of Statistics 49 (2021), 486-507).
        truth : IntArray of shape (n,)
            Columns of the true classes.
        groups : iterable of length n, optional
            Specimens; each picture on its own when left out.
        """
        _check_rate(self.error_rate)
        if self.score not in _SCORES:
            raise UsageError(f"score must be one of {', '.join(_SCORES)}, not {self.score!r}.")
        probabilities = np.asarray(probabilities, dtype=np.float64)
        self._state = check_random_state(self.random_state).randint(2**31 - 1)
        category = self._categories(probabilities.shape[1])
        rows = np.arange(len(truth))
        found = self._nonconformity(probabilities, offset=0)[rows, truth]
        specimens = unit_codes(groups, n_rows=len(truth))
        self.thresholds_ = np.array(
            [
                self._threshold(found[chosen], specimens[chosen])
                for number in range(int(category.max()) + 1)
                for chosen in [category[truth] == number]
            ]
        )
        return self

    def predict(self, probabilities: FloatArray) -> BoolArray:
        """Return which classes are in each picture's set, shape (n, n_classes).

        With ``"aps"`` and ``"raps"`` a set may be empty, for a picture as unlike its own class as
        the error rate allows.
        """
        check_is_fitted(self)
        probabilities = np.asarray(probabilities, dtype=np.float64)
        limit = self.thresholds_[self._categories(probabilities.shape[1])]
        inside: BoolArray = self._nonconformity(probabilities, offset=1) <= limit
        return inside

    def _categories(self, n_classes: int) -> IntArray:
        if self.category_of is None:
            return np.zeros(n_classes, dtype=np.int64)
        category = np.asarray(self.category_of, dtype=np.int64)
        if category.shape != (n_classes,) or category.min() < 0:
            raise UsageError(f"category_of must hold {n_classes} numbers of 0 and more.")
        return category

    def _nonconformity(self, probabilities: FloatArray, *, offset: int) -> FloatArray:
        if self.score == "lac":
            return 1.0 - probabilities
        order = np.argsort(-probabilities, axis=1, kind="stable")
        ranked = np.take_along_axis(probabilities, order, axis=1)
        # Calibration and new pictures draw different numbers, whatever the seed.
        rng = np.random.default_rng([self._state, offset])
        ranked = ranked.cumsum(axis=1) - ranked * rng.random((len(ranked), 1))
        if self.score == "raps":
            ranked += self.penalty * np.maximum(np.arange(ranked.shape[1]) + 1 - self.free, 0)
        found = np.empty_like(ranked)
        np.put_along_axis(found, order, ranked, axis=1)
        return found

    def _threshold(self, found: FloatArray, specimens: IntArray) -> float:
        """Return the weighted quantile in which each specimen weighs 1 / (n_specimens + 1)."""
        if not len(found):
            return np.inf
        kinds, counts = np.unique(specimens, return_counts=True)
        weight = 1.0 / (counts[np.searchsorted(kinds, specimens)] * (len(kinds) + 1))
        order = np.argsort(found, kind="stable")
        reached = np.cumsum(weight[order])
        # Rounding must not push the quantile one place up.
        place = int(np.searchsorted(reached, 1.0 - self.error_rate - 1e-12))
        return float(found[order[place]]) if place < len(found) else np.inf


def _check_rate(error_rate: float) -> None:
    if not 0 < error_rate < 1:
        raise UsageError(f"error_rate must be between 0 and 1, not {error_rate}.")
