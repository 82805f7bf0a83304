"""Answers with a guarantee: sets that hold the truth, and the deepest rank that is safe.

Both turn probabilities into answers with thresholds from calibration pictures, which the model
that gave the probabilities must not have seen. The guarantees need calibration and new specimens to
be exchangeable - drawn alike, say by one random split - and nothing of the model; they say nothing
about species that were not in training, or pictures from another camera. Pictures of one specimen
may depend on each other: a specimen counts as one, whatever its number of pictures.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from kinlens.errors import UsageError
from kinlens.evaluate.groups import group_codes
from kinlens.models.hierarchy import best_path
from kinlens.models.lineage import Lineages
from kinlens.typing import AnyArray, BoolArray, FloatArray, IntArray

__all__ = ["ConformalSets", "DeepestSafeRank", "SafeAnswers"]

_SCORES = ("lac", "aps", "raps")
_CONTROLS = ("expected", "confident")


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
        specimens = _specimens(groups, len(truth))
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


@dataclass(frozen=True, eq=False)
class SafeAnswers:
    """Answers that stop at a safe rank.

    Parameters
    ----------
    path : IntArray of shape (n, n_ranks)
        Position of the taxon at each rank, low to high, on the way down.
    confidence : FloatArray of shape (n, n_ranks)
        Probability of each of these taxa.
    depth : IntArray of shape (n,)
        Lowest rank answered, as a column of `path`; n_ranks where nothing is safe.
    """

    path: IntArray
    confidence: FloatArray
    depth: IntArray

    def names(self, lineages: Lineages) -> AnyArray:
        """Return the names answered, (n, n_ranks), None below the safe rank."""
        columns = [lineages.taxa[level][self.path[:, level]] for level in range(self.path.shape[1])]
        names = np.column_stack(columns).astype(object)
        names[np.arange(names.shape[1])[None, :] < self.depth[:, None]] = None
        return names


class DeepestSafeRank(BaseEstimator):
    """Answers each picture at the deepest rank at which answers are safe enough.

    The path through the taxonomy goes from the top to the most probable taxon each time; the
    answer stops at the lowest rank whose probability is at least a threshold. The higher the
    threshold the higher the ranks answered and the rarer an error, since a wrong family is a
    wrong species too. The threshold is the smallest at which the error on calibration pictures
    permits a guarantee for a new specimen:

    - ``"expected"``: the expected error, averaged over calibration sets, is at most `error_rate`.
      A picture answered nowhere is not an error. (Conformal risk control.)
    - ``"confident"``: with probability 1 - `doubt` over calibration sets, the error *among
      pictures that are answered* is at most `error_rate`. Thresholds are tested from the
      strictest down until the first that fails. (Learn then test.)

    Parameters
    ----------
    error_rate : float
        Share of wrong answers accepted, between 0 and 1.
    control : ``"expected"`` or ``"confident"``
        Which guarantee.
    doubt : float
        For ``"confident"``: probability that the guarantee fails.

    Attributes
    ----------
    threshold_ : float
        Least probability at which a rank is answered; infinite when no threshold is safe.
    calibration_error_ : float
        Error at that threshold on the calibration pictures, each specimen weighing the same.
    n_specimens_ : int
        Calibration specimens.

    References
    ----------
    A. N. Angelopoulos, S. Bates, A. Fisch, L. Lei and T. Schuster, ICLR (2024), theorem 1;
    A. N. Angelopoulos, S. Bates, E. J. Candes, M. I. Jordan and L. Lei, Annals of Applied
    Statistics 19 (2025), 1641-1662, section 3 and proposition 2.

    Examples
    --------
    >>> lineages = Lineages.of(["a", "b"], None)
    >>> sure = np.tile([[0.99, 0.01]], (60, 1))
    >>> unsure = np.tile([[0.6, 0.4]], (40, 1))
    >>> truth = np.repeat([0, 1, 0], [60, 20, 20])
    >>> model = DeepestSafeRank(0.05).fit(np.vstack([sure, unsure]), truth, lineages)
    >>> model.predict(np.array([[0.99, 0.01], [0.6, 0.4]])).depth.tolist()
    [0, 1]
    """

    def __init__(
        self, error_rate: float = 0.05, *, control: str = "expected", doubt: float = 0.1
    ) -> None:
        self.error_rate = error_rate
        self.control = control
        self.doubt = doubt

    def fit(
        self,
        probabilities: FloatArray,
        truth: IntArray,
        lineages: Lineages,
        groups: Iterable[Any] | None = None,
    ) -> DeepestSafeRank:
        """Set the threshold.

        Parameters
        ----------
        probabilities : FloatArray of shape (n, n_classes)
            Of calibration pictures, by a model that did not see them.
        truth : IntArray of shape (n,)
            Columns of the true classes; -1 for a class that the model does not know, on which
            every answer counts as wrong.
        lineages : Lineages
            What is above the classes.
        groups : iterable of length n, optional
            Specimens; each picture on its own when left out.
        """
        _check_rate(self.error_rate)
        if self.control not in _CONTROLS:
            raise UsageError(
                f"control must be one of {', '.join(_CONTROLS)}, not {self.control!r}."
            )
        if not 0 < self.doubt < 1:
            raise UsageError(f"doubt must be between 0 and 1, not {self.doubt}.")
        self.lineages_ = lineages
        path, confidence = _path_confidence(probabilities, lineages)
        known = np.asarray(truth) >= 0
        true = np.column_stack([codes[np.where(known, truth, 0)] for codes in lineages.codes])
        right = (path == true) & known[:, None]
        specimens = _specimens(groups, len(known))
        sample = _Calibration(confidence, right, specimens)
        self.n_specimens_ = sample.n_specimens
        if self.control == "expected":
            self.threshold_ = self._expected_threshold(sample)
        else:
            self.threshold_ = self._confident_threshold(sample)
        self.calibration_error_ = sample.errors(self.threshold_).mean
        return self

    def predict(self, probabilities: FloatArray) -> SafeAnswers:
        """Return the answers for pictures, given the probabilities of their classes."""
        check_is_fitted(self)
        path, confidence = _path_confidence(probabilities, self.lineages_)
        return SafeAnswers(path, confidence, _depth(confidence, self.threshold_))

    def _expected_threshold(self, sample: _Calibration) -> float:
        """Return the smallest confidence seen at which the bound on the expected error holds."""
        n = sample.n_specimens
        candidates = np.unique(sample.confidence)
        # Errors only get rarer as the threshold rises, so the place can be found by halving.
        low, high = 0, len(candidates)
        while low < high:
            middle = (low + high) // 2
            error = sample.errors(candidates[middle]).per_specimen.sum()
            if (error + 1.0) / (n + 1.0) <= self.error_rate:
                high = middle
            else:
                low = middle + 1
        if low == 0:
            # Safe even where every calibration picture is answered at the lowest rank.
            return 0.0
        return float(candidates[low]) if low < len(candidates) else np.inf

    def _confident_threshold(self, sample: _Calibration) -> float:
        """Return the smallest threshold of a fixed grid for which the error is shown to be small.

        Several sequences of tests start along the grid, each with its share of the doubt and each
        until its first failure: where hardly anything is answered a test fails for want of
        specimens, which must not end the search.
        """
        passed = np.inf
        for start in range(0, len(_GRID), _START_EVERY):
            doubt = self.doubt * _START_EVERY / len(_GRID)
            for threshold in _GRID[start:]:
                found = sample.errors(threshold)
                if _risk_p_value(found.mean, found.n_answered, self.error_rate) > doubt:
                    break
                passed = min(passed, float(threshold))
        return passed


# From strict to loose, fixed before any data are seen, as the guarantee needs.
_GRID = 1.0 - np.geomspace(1e-4, 1.0, 80)
_START_EVERY = 20


@dataclass(frozen=True, eq=False)
class _Errors:
    """Errors at one threshold: of each specimen as a share of its pictures, and among answered."""

    per_specimen: FloatArray
    mean: float
    n_answered: int


@dataclass(frozen=True, eq=False)
class _Calibration:
    """Calibration pictures: how sure each rank was, whether it was right, and whose they are."""

    confidence: FloatArray  # (n, n_ranks)
    right: BoolArray  # (n, n_ranks)
    specimens: IntArray  # (n,), from 0

    @property
    def n_specimens(self) -> int:
        return int(self.specimens.max(initial=-1)) + 1

    def errors(self, threshold: float) -> _Errors:
        n_ranks = self.confidence.shape[1]
        depth = _depth(self.confidence, threshold)
        answered = depth < n_ranks
        is_right = self.right[np.arange(len(depth)), np.minimum(depth, n_ranks - 1)]
        pictures = np.bincount(self.specimens)
        wrong = np.bincount(self.specimens, weights=answered & ~is_right)
        given = np.bincount(self.specimens, weights=answered)
        some = given > 0
        mean = float((wrong[some] / given[some]).mean()) if some.any() else 0.0
        return _Errors(wrong / pictures, mean, int(some.sum()))


def _path_confidence(probabilities: FloatArray, lineages: Lineages) -> tuple[IntArray, FloatArray]:
    """Return the path down and the probability of each taxon on it, both (n, n_ranks)."""
    probabilities = np.asarray(probabilities, dtype=np.float64)
    path = best_path(probabilities, lineages)
    rows = np.arange(len(path))
    confidence = np.column_stack(
        [
            lineages.gathered(probabilities, level)[rows, path[:, level]]
            for level in range(path.shape[1])
        ]
    )
    # A taxon is as probable as all in it; rounding must not have it less.
    return path, np.minimum(np.maximum.accumulate(confidence, axis=1), 1.0)


def _depth(confidence: FloatArray, threshold: float) -> IntArray:
    """Return the lowest rank that is sure enough, n_ranks where none is."""
    sure = confidence >= threshold
    depth: IntArray = np.where(sure.any(axis=1), sure.argmax(axis=1), confidence.shape[1])
    return depth


def _risk_p_value(mean: float, n: int, level: float) -> float:
    """Return the Hoeffding-Bentkus p-value that the mean of n losses in [0, 1] exceeds `level`."""
    if n == 0:
        return 1.0
    seen = min(mean, level)
    divergence = seen * np.log(seen / level) if seen > 0 else 0.0
    divergence += (1 - seen) * np.log((1 - seen) / (1 - level))
    hoeffding = np.exp(-n * divergence)
    bentkus = np.e * stats.binom.cdf(np.ceil(n * mean - 1e-9), n, level)
    return float(min(hoeffding, bentkus, 1.0))


def _specimens(groups: Iterable[Any] | None, n: int) -> IntArray:
    """Give specimens numbers from 0; pictures that name none are specimens of their own."""
    if groups is None:
        return np.arange(n, dtype=np.int64)
    codes = group_codes(groups, n_rows=n).codes
    alone = codes < 0
    numbered = np.where(alone, codes.max(initial=-1) + alone.cumsum(), codes)
    return numbered.astype(np.int64)


def _check_rate(error_rate: float) -> None:
    if not 0 < error_rate < 1:
        raise UsageError(f"error_rate must be between 0 and 1, not {error_rate}.")
