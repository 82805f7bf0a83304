"""Linear discriminants for many classes with few pictures each, with means that learn from kin.

Closed form: one covariance, one factorisation, no iterations, seconds for hundreds of classes.
Probabilities come out too sure of themselves; `calibration` mends that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cholesky, solve_triangular
from scipy.special import log_softmax
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from kinlens.errors import UsageError
from kinlens.models.labels import class_codes
from kinlens.models.lineage import Lineages
from kinlens.models.nested_means import class_means, pulled_means
from kinlens.records.taxonomy import Taxonomy
from kinlens.typing import AnyArray, FloatArray, IntArray

__all__ = ["Discriminant", "ShrinkageDiscriminant", "check_options", "fit_discriminant"]

# Within-class spread of a feature, as a share of its total spread, below which it is not divided
# by: a feature that is constant within every class would otherwise decide everything.
_LEAST_SPREAD = 1e-3


@dataclass(frozen=True, eq=False)
class Discriminant:
    """Fitted discriminant axes and class means.

    Parameters
    ----------
    xbar : FloatArray of shape (n_features,)
        Mean of the training pictures.
    scalings : FloatArray of shape (n_features, n_components)
        Axes on which the within-class covariance is the identity.
    means : FloatArray of shape (n_classes, n_components)
        Class means on those axes.
    shrinkage : float
        Weight of the identity in the covariance.
    rank_variances : dict of str to float
        Variance of a taxon of each rank around its parent.
    """

    xbar: FloatArray
    scalings: FloatArray
    means: FloatArray
    shrinkage: float
    rank_variances: dict[str, float]

    def points(self, X: FloatArray) -> FloatArray:
        """Return pictures on the axes, shape (n, n_components)."""
        return (X - self.xbar) @ self.scalings

    def squared_distances(self, X: FloatArray) -> FloatArray:
        """Return the squared distance of each picture to each mean, shape (n, n_classes)."""
        points = self.points(X)
        squares: FloatArray = (points**2).sum(axis=1)[:, None] - 2 * points @ self.means.T
        squares += (self.means**2).sum(axis=1)
        return np.maximum(squares, 0.0)


def fit_discriminant(
    X: FloatArray,
    codes: IntArray,
    lineages: Lineages,
    *,
    shrinkage: str | float = "ledoit_wolf",
    pull: float = 1.0,
) -> Discriminant:
    """Fit what `ShrinkageDiscriminant` documents.

    Parameters
    ----------
    X : FloatArray of shape (n, n_features)
        Feature vectors.
    codes : IntArray of shape (n,)
        Class of each, 0 to ``lineages.n_classes - 1``, none left out.
    lineages : Lineages
        What is above the classes.
    shrinkage, pull
        As for `ShrinkageDiscriminant`.
    """
    counts = np.bincount(codes, minlength=lineages.n_classes)
    xbar = X.mean(axis=0)
    centred = X - xbar
    scale, means, residuals = _scaled(centred, codes, counts)
    basis = None
    if X.shape[1] > 2 * len(X):
        # All means and residuals lie in the row space: the same answer, from n instead of d.
        basis = np.linalg.qr((centred / scale).T)[0]
        means, residuals = means @ basis, residuals @ basis
    within, weight = _shrunken(
        residuals, n_classes=len(counts), n_features=X.shape[1], shrinkage=shrinkage
    )
    factor = cholesky(within, lower=True, overwrite_a=True, check_finite=False)
    white = solve_triangular(factor, means.T, lower=True, check_finite=False).T  # (C, k)
    axes = _span(white - white.mean(axis=0))
    scalings = solve_triangular(factor, axes, lower=True, trans="T", check_finite=False)
    scalings = (scalings if basis is None else basis @ scalings) / scale[:, None]
    pulled = pulled_means(white @ axes, counts, lineages, pull=pull, n_dimensions=X.shape[1])
    return Discriminant(xbar, scalings, pulled.means, weight, pulled.variances)


class ShrinkageDiscriminant(ClassifierMixin, TransformerMixin, BaseEstimator):
    """Linear discriminant analysis with a shrunken covariance and means pulled towards kin.

    A picture x of class c is taken as Gaussian around the class's mean m_c, with one covariance W
    for all classes:

    - features are divided by their within-class standard deviation;
    - W is the pooled within-class covariance, shrunk towards a multiple of the identity;
    - the m_c are the posterior means of a nested random-effects model: a class varies around its
      genus, the genus around its family, and so on, with one variance a rank, estimated by the
      method of moments; the mean of n_c pictures carries noise `pull` / n_c. A class with one
      picture so borrows from its relatives, one with many keeps its own mean.

    The score of class c is -(x - m_c)' W^-1 (x - m_c) / 2. Classes are equally likely beforehand.

    Parameters
    ----------
    shrinkage : ``"ledoit_wolf"`` or float from 0 to 1
        Weight of the identity in W.
    pull : float
        Noise of a mean in units of its expectation, 0 or more; 0 leaves class means as they are.
    taxonomy : Taxonomy, optional
        What is above the classes; without it all means are pulled towards the mean of all.
    rank : str
        The rank of the classes in the taxonomy.

    Attributes
    ----------
    classes_ : array of shape (n_classes,)
        Sorted labels.
    xbar_ : FloatArray of shape (n_features,)
        Mean of the training pictures.
    scalings_ : FloatArray of shape (n_features, n_components)
        Discriminant axes, on which the within-class covariance is the identity.
    means_ : FloatArray of shape (n_classes, n_components)
        Pulled class means on those axes.
    shrinkage_ : float
        The weight used.
    rank_variances_ : dict of str to float
        Variance of a taxon of each rank around its parent, per within-class variance; infinite
        where too few taxa tell.

    References
    ----------
    O. Ledoit and M. Wolf, Journal of Multivariate Analysis 88 (2004), 365-411, for the shrinkage;
    S. R. Searle, G. Casella and C. E. McCulloch, Variance Components (1992), chapters 3 and 7,
    for moments and best linear prediction in nested models.

    Examples
    --------
    >>> X = np.array([[0.0, 0.0], [0.0, 1.0], [4.0, 0.0], [4.0, 1.0]])
    >>> model = ShrinkageDiscriminant().fit(X, ["a", "a", "b", "b"])
    >>> model.predict([[1.0, 0.5]]).tolist()
    ['a']
    """

    def __init__(
        self,
        *,
        shrinkage: str | float = "ledoit_wolf",
        pull: float = 1.0,
        taxonomy: Taxonomy | None = None,
        rank: str = "species",
    ) -> None:
        self.shrinkage = shrinkage
        self.pull = pull
        self.taxonomy = taxonomy
        self.rank = rank

    def fit(self, X: AnyArray, y: AnyArray) -> ShrinkageDiscriminant:
        """Estimate the axes and the means.

        Parameters
        ----------
        X : array of shape (n, n_features)
            Feature vectors, finite.
        y : array of shape (n,)
            Class labels, one picture a class or more.
        """
        check_options(shrinkage=self.shrinkage, pull=self.pull)
        X, y = validate_data(self, X, y, dtype=np.float64, ensure_min_samples=2)
        labels = class_codes(y)
        self.classes_, codes = labels.classes, labels.codes
        lineages = Lineages.of(self.classes_, self.taxonomy, self.rank)
        found = fit_discriminant(X, codes, lineages, shrinkage=self.shrinkage, pull=self.pull)
        self._discriminant = found
        self.xbar_, self.scalings_, self.means_ = found.xbar, found.scalings, found.means
        self.shrinkage_, self.rank_variances_ = found.shrinkage, found.rank_variances
        return self

    def transform(self, X: AnyArray) -> FloatArray:
        """Return pictures on the discriminant axes, shape (n, n_components)."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        return self._discriminant.points(X)

    def squared_distances(self, X: AnyArray) -> FloatArray:
        """Return the distance of each picture to each class's mean on the discriminant axes.

        Returns
        -------
        FloatArray of shape (n, n_classes)
            Squares, in units of the within-class variance.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        return self._discriminant.squared_distances(X)

    def class_scores(self, X: AnyArray) -> FloatArray:
        """Return log likelihoods up to a constant of each picture, shape (n, n_classes)."""
        scores: FloatArray = -0.5 * self.squared_distances(X)
        return scores

    def decision_function(self, X: AnyArray) -> FloatArray:
        """Return `class_scores`; for two classes their difference, shape (n,)."""
        scores = self.class_scores(X)
        return scores[:, 1] - scores[:, 0] if len(self.classes_) == 2 else scores

    def predict_log_proba(self, X: AnyArray) -> FloatArray:
        """Return log probabilities, shape (n, n_classes)."""
        return np.asarray(log_softmax(self.class_scores(X), axis=1))

    def predict_proba(self, X: AnyArray) -> FloatArray:
        """Return probabilities, shape (n, n_classes)."""
        return np.asarray(np.exp(self.predict_log_proba(X)))

    def predict(self, X: AnyArray) -> AnyArray:
        """Return the most probable class of each picture, shape (n,)."""
        best = self.class_scores(X).argmax(axis=1)
        answer: AnyArray = self.classes_[best]
        return answer


def check_options(*, shrinkage: str | float, pull: float) -> None:
    """Refuse a shrinkage or a pull that means nothing.

    Raises
    ------
    UsageError
        Naming the argument, its value and what it may be.
    """
    if isinstance(shrinkage, str):
        if shrinkage != "ledoit_wolf":
            raise UsageError(f"shrinkage must be 'ledoit_wolf' or a number, not {shrinkage!r}.")
    elif not 0 <= shrinkage <= 1:
        raise UsageError(f"shrinkage must be from 0 to 1, not {shrinkage}.")
    if not pull >= 0:
        raise UsageError(f"pull must be 0 or more, not {pull}.")


def _scaled(
    centred: FloatArray, codes: IntArray, counts: IntArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return each feature's scale, and class means and residuals in units of it."""
    means = class_means(centred, codes, counts)
    residuals = centred - means[codes]
    freedom = max(len(codes) - len(counts), 1)
    total = np.sqrt((centred**2).mean(axis=0))
    scale = np.sqrt((residuals**2).sum(axis=0) / freedom)
    scale = np.maximum(scale, _LEAST_SPREAD * total)
    # Constant features say nothing; what rounding leaves of them must not be blown up.
    constant = total <= np.finfo(np.float64).eps * 10 * np.abs(centred).max(initial=1.0)
    scale[constant | (scale == 0)] = 1.0
    return scale, means / scale, residuals / scale


def _shrunken(
    residuals: FloatArray, *, n_classes: int, n_features: int, shrinkage: str | float
) -> tuple[FloatArray, float]:
    """Return the shrunken pooled covariance and the weight of the identity in it.

    `residuals` may have fewer columns than there are features, when these span nothing more.
    """
    n, k = residuals.shape
    freedom = n - n_classes
    if freedom < 1 or not residuals.any():
        # No class has two different pictures: nothing is known, so every direction counts alike.
        return np.eye(k), 1.0
    scatter = residuals.T @ residuals
    mean = np.trace(scatter) / n_features  # the mean eigenvalue, over all features
    if isinstance(shrinkage, str):
        # Lemma 3.2 to 3.4 of Ledoit and Wolf, with mean zero.
        norm = (scatter**2).sum() / n**2
        spread = norm - n_features * (mean / n) ** 2
        error = (((residuals**2).sum(axis=1) ** 2).mean() - norm) / n
        weight = float(np.clip(error / spread, 0.0, 1.0)) if spread > 0 else 1.0
    else:
        weight = float(shrinkage)
    # Singular without any shrinkage when there are more features than pictures.
    weight = max(weight, 1e-9)
    within: FloatArray = (1 - weight) / freedom * scatter
    within[np.diag_indices(k)] += weight * mean / freedom
    return within, weight


def _span(rows: FloatArray) -> FloatArray:
    """Return orthonormal columns that span `rows`, shape (k, rank)."""
    _left, size, right = np.linalg.svd(rows, full_matrices=False)
    kept = size > size.max(initial=0.0) * max(rows.shape) * np.finfo(np.float64).eps
    axes: FloatArray = right[kept & (size > 0)].T
    return axes
