"""The deepest rank at which an answer is safe, at a stated error rate.

Turns probabilities into answers that stop where they must, by a threshold from calibration pictures
under the same conditions as in `conformal`: exchangeable specimens, none of which the model
that gave the probabilities has seen. How often such answers were wrong is counted by
`kinlens.evaluate.hierarchy.safety_report`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from kinlens.errors import UsageError
from kinlens.evaluate.groups import unit_codes
from kinlens.models.lineage import Lineages, best_path
from kinlens.typing import AnyArray, BoolArray, FloatArray, IntArray

__all__ = ["DeepestSafeRank", "SafeAnswers", "observed_error_range"]

_CONTROLS = ("expected", "confident")
# From strict to loose, fixed before any data are seen, as the guarantee needs.
_GRID = 1.0 - np.geomspace(1e-4, 1.0, 80)
_START_EVERY = 20


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
        specimens = unit_codes(groups, n_rows=len(known))
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


def observed_error_range(
    error_rate: float, *, n_calibration: int, n_test: int, level: float = 0.95
) -> tuple[float, float]:
    """Return the range in which the error seen on test specimens should be.

    With ``control="expected"`` the error rate of the threshold found varies from one calibration
    set to the next as Beta(k, n_calibration + 1 - k) with k = floor(error_rate (n_calibration +
    1)), and the errors among n_test specimens are binomial around it.

    Parameters
    ----------
    error_rate : float
        The rate asked for.
    n_calibration, n_test : int
        Specimens, not pictures.
    level : float
        Probability that the error seen is in the range.

    References
    ----------
    V. Vovk, Asian Conference on Machine Learning (2012), 475-490, proposition 2a.

    Examples
    --------
    >>> low, high = observed_error_range(0.05, n_calibration=500, n_test=300)
    >>> round(low, 3), round(high, 3)
    (0.023, 0.083)
    """
    _check_rate(error_rate)
    k = int(np.floor(error_rate * (n_calibration + 1)))
    if k == 0:
        return 0.0, 0.0  # too few to let any error pass: everything stops at a sure rank
    drawn = stats.betabinom(n_test, k, n_calibration + 1 - k)
    low, high = drawn.ppf([(1 - level) / 2, (1 + level) / 2]) / n_test
    return float(low), float(high)


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


def _check_rate(error_rate: float) -> None:
    if not 0 < error_rate < 1:
        raise UsageError(f"error_rate must be between 0 and 1, not {error_rate}.")
