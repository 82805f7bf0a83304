r"""Kernel ridge from looks to places in a tree, as weights over the species that were learned from.

Ridge regression onto the principal coordinates of square-rooted tree distances D gives a new
species the place :math:`\sum_j w_j y_j`, with weights w that add up to 1 and do not depend on the
tree. Squared distances between such places are :math:`-\frac{1}{2}(w - v)^\top D (w - v)`, so that
neither coordinates nor a choice of axes is needed, and the same weights serve any number of
shuffled trees. The estimator around this is in `kinship`.

Everywhere, `alpha` (or `alphas`) is the ridge penalty, `power` (or `powers`) the exponent that is
put on distances, `kernels` are similarities of species and `name` is one's name, `choice` is the
chosen combination, `squares` are squared distances, `weights` weigh species, and `first` and
`second` are two sets of distances over the same pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Literal

import numpy as np
from scipy.linalg import eigh

from kinlens.errors import UsageError
from kinlens.evaluate.splits import Split
from kinlens.models.kinship_profiles import Profiles
from kinlens.typing import AnyArray, Float32Array, FloatArray, IntArray

__all__ = [
    "ALPHAS",
    "KERNELS",
    "POWERS",
    "Candidate",
    "KernelName",
    "NestedSmoothers",
    "SpeciesKernel",
    "correlate",
    "pair_correlation",
    "places_apart",
    "places_to_training",
    "smoother_weights",
    "squared_distances",
]

KernelName = Literal["cosine", "gaussian", "linear"]
KERNELS: tuple[KernelName, ...] = ("cosine", "gaussian")
ALPHAS = (0.1, 0.3, 0.03)
POWERS = (0.25, 0.5, 1.0)
"""Candidate exponents from the squared distance of two places to their distance in the tree.

In all three tuples the first is the default, left only for what is clearly better.
"""


@dataclass(frozen=True)
class Candidate:
    """One setting: kernel, penalty as a share of the kernel's mean diagonal, and exponent."""

    kernel: str
    alpha: float
    power: float = 0.5


@dataclass(frozen=True)
class SpeciesKernel:
    """Similarity of profiles.

    Parameters
    ----------
    name : {"cosine", "gaussian", "linear"}
        Mean cosine over views; a Gaussian of the distance; or the plain inner product.
    scale : float
        Median squared distance (gaussian) or mean squared length (linear) of the training
        profiles, so that penalties mean the same for all kernels.
    """

    name: str
    scale: float = 1.0

    @classmethod
    def fit(cls, name: str, profiles: Profiles) -> SpeciesKernel:
        """Take the scale from training profiles."""
        if name == "cosine":
            return cls(name)
        squares = (profiles.values**2).sum(axis=1)
        if name == "linear":
            scale = float(squares.mean())
        elif name == "gaussian":
            apart = squared_distances(profiles.values, profiles.values)
            scale = float(np.median(apart[np.triu_indices(len(apart), 1)]))
        else:
            raise UsageError(f"no kernel {name!r}; there are cosine, gaussian and linear.")
        return cls(name, scale if scale > 0 else 1.0)

    def __call__(self, first: Profiles, second: Profiles) -> FloatArray:
        """Return similarities, shape (n_first, n_second)."""
        if self.name == "cosine":
            return np.asarray(first.directions() @ second.directions().T)
        if self.name == "linear":
            return np.asarray(first.values @ second.values.T / self.scale)
        return np.asarray(np.exp(-squared_distances(first.values, second.values) / self.scale))


def smoother_weights(kernel: FloatArray, cross: FloatArray, alphas: Sequence[float]) -> FloatArray:
    """Return what each training species weighs in the place of each new one.

    Parameters
    ----------
    kernel : array of float, shape (n, n)
        Similarities of the training species.
    cross : array of float, shape (q, n)
        Similarities of the new ones to them.
    alphas : sequence of float
        Penalties, as shares of the mean diagonal of `kernel`.

    Returns
    -------
    array of float, shape (len(alphas), q, n)
        Rows add up to 1; weights may be negative.
    """
    n = len(kernel)
    values, vectors = eigh(kernel)
    values = np.maximum(values, 0.0)
    level = max(float(np.trace(kernel)) / n, 1e-12)
    projected = cross @ vectors
    weights = np.stack([(projected / (values + alpha * level)) @ vectors.T for alpha in alphas])
    weights += (1.0 - weights.sum(axis=2, keepdims=True)) / n
    return np.asarray(weights)


def places_apart(weights: AnyArray, squares: AnyArray) -> FloatArray:
    """Return Euclidean distances between places given as weights over training species.

    Parameters
    ----------
    weights : array of float, shape (..., q, n)
        From `smoother_weights`.
    squares : array of float, shape (n, n)
        Squared distances of the training species' own places: their patristic distances.

    Returns
    -------
    array of float, shape (..., q, q)
        Where squares come out negative, which happens only for matrices that fit no Euclidean
        space, the distance is 0.
    """
    products = weights @ squares @ np.swapaxes(weights, -1, -2)
    own = np.diagonal(products, axis1=-2, axis2=-1)
    apart = products - (own[..., :, None] + own[..., None, :]) / 2
    return np.asarray(np.sqrt(np.maximum(apart, 0.0)))


def places_to_training(weights: FloatArray, squares: FloatArray) -> FloatArray:
    """Return Euclidean distances from places to those of the training species, (..., q, n)."""
    to_each = weights @ squares
    own = (to_each * weights).sum(axis=-1)
    return np.asarray(np.sqrt(np.maximum(to_each - own[..., None] / 2, 0.0)))


def pair_correlation(first: FloatArray, second: FloatArray) -> FloatArray:
    """Correlate distances over pairs (Pearson).

    Parameters
    ----------
    first : array of float, shape (..., q, q)
    second : array of float, shape (q, q)

    Returns
    -------
    array of float, shape (...)
        NaN where distances do not vary.
    """
    rows, columns = np.triu_indices(second.shape[-1], 1)
    return correlate(first[..., rows, columns], second[rows, columns])


def correlate(first: FloatArray, second: FloatArray) -> FloatArray:
    """Correlate (Pearson) along the last axis, shape (...); NaN where nothing varies."""
    one = first - first.mean(axis=-1, keepdims=True)
    two = second - second.mean()
    scale = np.sqrt((one**2).sum(axis=-1) * (two**2).sum())
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(scale > 1e-12, (one @ two) / scale, np.nan)


@dataclass(frozen=True, eq=False)
class NestedSmoothers:
    """Weights of one fold's test species for every candidate, and of its inner folds to choose.

    Parameters
    ----------
    train, test : array of int
        Rows of the distance matrix.
    kernels : tuple of str
    alphas, powers : tuple of float
    weights : array of float, shape (n_kernels * n_alphas, n_test, n_train)
    inner : tuple of (train, test, weights)
        The same for folds of the training species, in single precision: they only choose, and
        that as often as there are shuffled trees.
    """

    train: IntArray
    test: IntArray
    kernels: tuple[str, ...]
    alphas: tuple[float, ...]
    powers: tuple[float, ...]
    weights: FloatArray
    inner: tuple[tuple[IntArray, IntArray, Float32Array], ...]

    @classmethod
    def build(
        cls,
        profiles: Profiles,
        train: IntArray,
        test: IntArray,
        inner: Sequence[Split],
        *,
        kernels: Sequence[str] = KERNELS,
        alphas: Sequence[float] = ALPHAS,
        powers: Sequence[float] = POWERS,
    ) -> NestedSmoothers:
        """Compute all weights; no tree is involved.

        Parameters
        ----------
        profiles : Profiles
            Of all species, scaled by the pictures of the training species alone.
        train, test : array of int
            Species.
        inner : sequence of Split
            Folds of the training species, whose rows count from 0 within `train`.
        """
        learned = profiles.select(train)
        grams = []
        for name in kernels:
            kernel = SpeciesKernel.fit(name, learned)
            grams.append(kernel(profiles, profiles))

        def weights(rows: IntArray, new: IntArray) -> FloatArray:
            return np.concatenate(
                [
                    smoother_weights(gram[np.ix_(rows, rows)], gram[np.ix_(new, rows)], alphas)
                    for gram in grams
                ]
            )

        folds = []
        for fold in inner:
            rows, new = train[fold.train], train[fold.test]
            if len(new) >= 3 and len(rows) >= 2:
                folds.append((rows, new, weights(rows, new).astype(np.float32)))
        return cls(
            train,
            test,
            tuple(kernels),
            tuple(alphas),
            tuple(powers),
            weights(train, test),
            tuple(folds),
        )

    @cached_property
    def candidates(self) -> tuple[Candidate, ...]:
        """All settings, in the order of `scores`."""
        return tuple(Candidate(*each) for each in product(self.kernels, self.alphas, self.powers))

    def scores(self, distances: FloatArray) -> FloatArray:
        """Return the correlation of each candidate in each inner fold, shape (folds, candidates).

        Correlations that are not defined count as 0.
        """
        found = np.zeros((len(self.inner), len(self.candidates)))
        single = distances.astype(np.float32)
        for row, (rows, new, weights) in zip(found, self.inner, strict=True):
            apart = places_apart(weights, single[np.ix_(rows, rows)])
            one, other = np.triu_indices(len(new), 1)
            truth = distances[np.ix_(new, new)][one, other]
            pairs = apart[:, one, other]
            each = np.stack([correlate(_raised(pairs, p), truth) for p in self.powers], axis=1)
            row[:] = np.nan_to_num(each.ravel())
        return found

    def choose(self, distances: FloatArray) -> int:
        """Return the position of the first candidate that none is clearly better than.

        Clearly better is one standard error, over inner folds, of the difference to the best one
        (the rule of Breiman et al. 1984); the noise of few folds does not decide then.
        """
        scores = self.scores(distances)
        if len(scores) < 2:
            return int(scores.sum(axis=0).argmax()) if len(scores) else 0
        mean = scores.mean(axis=0)
        best = int(mean.argmax())
        behind = scores[:, [best]] - scores
        error = behind.std(axis=0, ddof=1) / np.sqrt(len(scores))
        return int(np.argmax(mean[best] - mean <= error))

    def predict(self, distances: FloatArray, choice: int | None = None) -> FloatArray:
        """Return distances among the test species, learned from the training species' alone.

        Parameters
        ----------
        distances : array of float, shape (n, n)
            Patristic distances of all species; of those of test species nothing is used.
        choice : int, optional
            Position of the candidate; chosen by inner validation when left out.
        """
        choice = self.choose(distances) if choice is None else choice
        setting = self.candidates[choice]
        weights = self.weights[choice // len(self.powers)]
        apart = places_apart(weights, distances[np.ix_(self.train, self.train)])
        return _raised(apart, setting.power)

    def predict_to_training(self, distances: FloatArray, choice: int) -> FloatArray:
        """Return distances from test to training species, in squared places, (n_test, n_train)."""
        weights = self.weights[choice // len(self.powers)]
        known = distances[np.ix_(self.train, self.train)]
        return places_to_training(weights, known)


def _raised(apart: FloatArray, power: float) -> FloatArray:
    """Raise squared distances to `power`; the usual powers without the slow general routine."""
    if power == 0.25:
        return np.sqrt(apart)
    if power == 0.5:
        return apart
    return np.asarray(apart ** (2 * power))


def squared_distances(first: FloatArray, second: FloatArray) -> FloatArray:
    """Return squared Euclidean distances between the rows of two tables, (n_first, n_second)."""
    squares = (first**2).sum(axis=1)[:, None] + (second**2).sum(axis=1)
    return np.asarray(np.maximum(squares - 2 * first @ second.T, 0.0))
