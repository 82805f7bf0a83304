"""Probabilities of labels that come true as often as they say, each label by itself.

For classes of which exactly one is true, see `calibration`.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from kinlens.errors import UsageError
from kinlens.typing import BoolArray, FloatArray

__all__ = ["LabelCalibration", "label_calibration_error"]

_LEAST = 1e-6


class LabelCalibration(BaseEstimator):
    """Platt scaling: the logit of each label, stretched and shifted.

    Parameters
    ----------
    penalty : float
        Pulls the slope towards 1 and the shift towards 0, so that labels held by few pictures stay
        as they are; in units of pictures.

    Attributes
    ----------
    slope_, offset_ : array of shape (k,)
        ``logit -> slope_ * logit + offset_``.

    References
    ----------
    J. Platt, Probabilistic outputs for support vector machines, in Advances in Large Margin
    Classifiers (1999), 61-74.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> said = rng.random((2000, 1))
    >>> truth = rng.random((2000, 1)) < said**2
    >>> model = LabelCalibration().fit(said, truth)
    >>> before, after = (label_calibration_error(p, truth) for p in (said, model.transform(said)))
    >>> after < before / 2
    True
    """

    def __init__(self, penalty: float = 1.0) -> None:
        self.penalty = penalty

    def fit(self, probabilities: FloatArray, truth: BoolArray) -> LabelCalibration:
        """Fit slope and shift of each label by penalised maximum likelihood.

        Parameters
        ----------
        probabilities : array of float, shape (n, k)
            Of validation pictures.
        truth : array of bool, shape (n, k)
            Which labels hold.
        """
        if probabilities.shape != truth.shape or probabilities.ndim != 2:
            raise UsageError(
                f"probabilities and truth must be of one shape (n, k), not "
                f"{probabilities.shape} and {truth.shape}."
            )
        logits = _logit(probabilities)
        found = [
            _fitted(logits[:, label], truth[:, label].astype(float), self.penalty)
            for label in range(truth.shape[1])
        ]
        self.slope_, self.offset_ = np.array(found).reshape(-1, 2).T
        return self

    def transform(self, probabilities: FloatArray) -> FloatArray:
        """Return calibrated probabilities, shape (n, k); order within a label stays."""
        check_is_fitted(self, "slope_")
        return np.asarray(_sigmoid(self.slope_ * _logit(probabilities) + self.offset_))


def label_calibration_error(
    probabilities: FloatArray, truth: BoolArray, *, n_bins: int = 15
) -> float:
    """Return the mean gap between stated probability and share that holds, labels pooled.

    Parameters
    ----------
    probabilities : array of float, shape (n, k)
        From 0 to 1.
    truth : array of bool, shape (n, k)
        Which labels hold.
    n_bins : int
        Bins of equal width.

    Returns
    -------
    float
        From 0 to 1; bins count by the entries in them.
    """
    said, held = probabilities.ravel(), truth.ravel().astype(float)
    bins = np.minimum((said * n_bins).astype(int), n_bins - 1)
    gap = np.bincount(bins, said - held, n_bins)
    return float(np.abs(gap).sum() / max(len(said), 1))


def _fitted(logit: FloatArray, held: FloatArray, penalty: float) -> FloatArray:
    def loss(parameters: FloatArray) -> tuple[float, FloatArray]:
        slope, offset = np.exp(parameters[0]), parameters[1]
        z = slope * logit + offset
        value = np.logaddexp(0, z).sum() - held @ z
        value += penalty * (parameters[0] ** 2 + offset**2) / 2
        error = _sigmoid(z) - held
        slopes = np.array([slope * (error @ logit), error.sum()]) + penalty * parameters
        return float(value), slopes

    found = minimize(loss, np.zeros(2), jac=True, method="L-BFGS-B", bounds=[(-4, 4), (-20, 20)])
    return np.array([np.exp(found.x[0]), found.x[1]])


def _logit(probabilities: FloatArray) -> FloatArray:
    p = np.clip(probabilities, _LEAST, 1 - _LEAST)
    return np.asarray(np.log(p) - np.log1p(-p))


def _sigmoid(z: FloatArray) -> FloatArray:
    return np.asarray(0.5 * (1 + np.tanh(z / 2)))
