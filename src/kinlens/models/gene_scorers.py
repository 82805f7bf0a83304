"""How all genes are predicted at once in one split: kernel ridge, or linear support vectors.

A scorer works on a Gram matrix of the species, which is the same for every gene, and so does once
per split what other programs do once per gene. The loop over splits is in `gene_scan`.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from scipy.linalg import lapack

from kinlens.errors import InputError, UsageError
from kinlens.models._dual_descent import descend
from kinlens.models._gene_kernels import midpoints, row_sums
from kinlens.typing import AnyArray, FloatArray, IntArray

__all__ = [
    "Machines",
    "RidgeScorer",
    "Scorer",
    "Smoother",
    "SplitScores",
    "SupportVectorScorer",
    "gram_matrix",
]

# Block rows of the leave-one-out matrix: with four, 5/8 of the full product is computed.
_BLOCK_ROWS = 4


@dataclass(frozen=True, eq=False)
class SplitScores:
    """What a scorer says of the test rows of one split.

    Parameters
    ----------
    scores : array, shape (n_test, n_genes)
        Larger means more likely present.
    threshold : array, shape (n_genes,)
        A row is called present where its score is above.
    """

    scores: AnyArray
    threshold: AnyArray


class Scorer(Protocol):
    """A way to predict all genes of a split."""

    def prepare(self, gram: FloatArray, train: IntArray, test: IntArray, dtype: Any) -> Any:
        """Do what does not depend on the genes.

        Parameters
        ----------
        gram : array of float, shape (n, n)
            Of all species.
        train, test : array of int
            Row numbers.
        dtype : numpy dtype
            Of the arithmetic that follows.
        """

    def scores(self, prepared: Any, truth: AnyArray, known: AnyArray) -> SplitScores:
        """Learn from training rows and score the test rows of a chunk of genes.

        Parameters
        ----------
        prepared : object
            From `prepare`.
        truth : array, shape (n_train, n_genes)
            1 present, 0 absent or unknown.
        known : array, shape (n_train, n_genes) or (0, n_genes)
            1 where truth is known; no rows when all of it is.
        """


def gram_matrix(features: AnyArray) -> FloatArray:
    """Return the inner products of standardised rows, scaled so that the mean square is 1.

    Parameters
    ----------
    features : array, shape (n, n_features)
        One row a species; features that do not vary are left out.

    Returns
    -------
    array of float, shape (n, n)
        Symmetric; its diagonal has the mean 1.

    Raises
    ------
    InputError
        When a feature is not finite, or none varies.

    Examples
    --------
    >>> gram_matrix(np.array([[0.0, 1.0], [2.0, 1.0]]))
    array([[ 1., -1.],
           [-1.,  1.]])
    """
    values = np.asarray(features, dtype=np.float64)
    if values.ndim != 2 or not np.isfinite(values).all():
        raise InputError("features must be a table of finite numbers, one row a species")
    centred = values - values.mean(axis=0)
    spread = centred.std(axis=0)
    varies = spread > 1e-12 * np.maximum(np.abs(values).max(axis=0, initial=0.0), 1e-300)
    if not varies.any():
        raise InputError(
            "no feature differs between species, so nothing can be predicted from them"
        )
    standardised = centred[:, varies] / spread[varies]
    gram: FloatArray = standardised @ standardised.T / varies.sum()
    return gram


@dataclass(frozen=True)
class RidgeScorer:
    r"""Kernel ridge regression on presence, with a threshold from leave-one-out scores.

    With the Gram matrix K of the training rows, centred on them, and `penalty` :math:`\lambda`,
    the scores of test rows are :math:`(K_* (K + \lambda I)^{-1} + 1/m) y` for every gene y alike:
    one factorisation a split. A gene is called present above the point halfway between the mean
    leave-one-out scores of its two classes, which suits rare genes as well as common ones.

    Parameters
    ----------
    penalty : float
        Above 0, in units of the mean diagonal of the Gram matrix.

    Examples
    --------
    >>> gram = gram_matrix(np.array([[0.0], [1.0], [5.0], [6.0], [0.5], [5.5]]))
    >>> scorer = RidgeScorer()
    >>> prepared = scorer.prepare(gram, np.arange(4), np.array([4, 5]), np.float64)
    >>> found = scorer.scores(prepared, np.array([[0.0], [0.0], [1.0], [1.0]]), np.empty((0, 1)))
    >>> (found.scores > found.threshold).ravel()
    array([False,  True])
    """

    penalty: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.penalty < np.inf:
            raise UsageError(f"penalty must be above 0 and finite, not {self.penalty!r}.")

    def prepare(self, gram: FloatArray, train: IntArray, test: IntArray, dtype: Any) -> Smoother:
        """Factorise once, and return the weights by which genes become scores.

        Parameters
        ----------
        gram : array of float, shape (n, n)
            Of all species.
        train, test : array of int
            Row numbers.
        dtype : numpy dtype
            Of the weights; float32 for speed.
        """
        inside, across = _centred(gram, train, test)
        m = len(train)
        inside.flat[:: m + 1] += self.penalty
        inverse = _inverse(inside)
        own = self.penalty * np.diag(inverse) - 1.0 / m
        left_out = (1.0 / m - self.penalty * inverse) / own[:, None]
        left_out.flat[:: m + 1] = 0.0
        weights = np.vstack([across @ inverse + 1.0 / m, left_out.sum(axis=0)])
        return Smoother(
            weights.astype(dtype), left_out.astype(dtype), _upper_blocks(left_out, dtype)
        )

    def scores(self, prepared: Smoother, truth: AnyArray, known: AnyArray) -> SplitScores:
        """Score the test rows of a chunk of genes, and find the threshold of each gene.

        Parameters
        ----------
        prepared : Smoother
            From `prepare`.
        truth : array, shape (n_train, n_genes)
            1 present, 0 absent or unknown.
        known : array, shape (n_train, n_genes) or (0, n_genes)
            1 where truth is known; no rows when all of it is.
        """
        present = truth.sum(axis=0)
        inside = np.zeros_like(present)
        if len(known):
            seen = known.sum(axis=0)
            # An unknown cell says what the known ones say on average, and is not scored.
            target = known * (truth - present / np.maximum(seen, 1))
            left_out = prepared.left_out @ target
            row_sums(left_out, truth, inside)
            total = np.zeros_like(present)
            row_sums(left_out, known, total)
            scores = prepared.weights[:-1] @ target
        else:
            seen = np.full_like(present, len(truth))
            for rows, block in prepared.blocks:
                row_sums(block @ truth[rows.start :], truth[rows], inside)
            scores = prepared.weights @ truth
            scores, total = scores[:-1], scores[-1]
        return SplitScores(scores, midpoints(inside, total, present, seen))


@dataclass(frozen=True, eq=False)
class Smoother:
    """Weights of one split, by which all genes become scores.

    Parameters
    ----------
    weights : array, shape (n_test + 1, n_train)
        Presence in training rows to scores of test rows; the last row holds the column sums of
        `left_out`.
    left_out : array, shape (n_train, n_train)
        Presence to leave-one-out scores.
    blocks : tuple of (slice, array)
        Block rows of the symmetric part of `left_out`, from the diagonal to the right, with what
        is off the diagonal blocks doubled: a quadratic form needs no more.
    """

    weights: AnyArray
    left_out: AnyArray
    blocks: tuple[tuple[slice, AnyArray], ...]


@dataclass(frozen=True)
class SupportVectorScorer:
    """Linear support vector machines, all genes of a split side by side.

    Solves what ``sklearn.svm.SVC(kernel="linear")`` solves, with an intercept that is not
    penalised, on the same Gram matrix.

    Parameters
    ----------
    cost : float
        C of the formula, above 0.
    is_balanced : bool
        Whether both classes weigh the same, as with ``class_weight="balanced"``.
    tolerance : float
        Largest violation of the optimality conditions.
    most_sweeps : int
        Passes over the rows after which a gene counts as solved.

    References
    ----------
    Hsieh, C.-J. et al. (2008). A dual coordinate descent method for large-scale linear SVM.
    Proceedings of the 25th International Conference on Machine Learning, 408-415.
    """

    cost: float = 1.0
    is_balanced: bool = True
    tolerance: float = 1e-3
    most_sweeps: int = 300

    def __post_init__(self) -> None:
        if not (0 < self.cost < np.inf and self.tolerance > 0 and self.most_sweeps > 0):
            raise UsageError(
                "cost and tolerance must be above 0 and finite, most_sweeps 1 or more; got "
                f"{self.cost!r}, {self.tolerance!r}, {self.most_sweeps!r}."
            )

    def prepare(self, gram: FloatArray, train: IntArray, test: IntArray, dtype: Any) -> Machines:
        """Centre the Gram matrix on the training rows, and draw the order of visits.

        Parameters
        ----------
        gram, train, test, dtype
            As for `RidgeScorer.prepare`.
        """
        inside, across = _centred(gram, train, test)
        # Any fixed order will do, as long as it differs from sweep to sweep.
        rows = np.tile(np.arange(len(train)), (self.most_sweeps, 1))
        order = np.random.default_rng(0).permuted(rows, axis=1)
        return Machines(inside.astype(dtype), across.astype(dtype), order)

    def scores(self, prepared: Machines, truth: AnyArray, known: AnyArray) -> SplitScores:
        """Solve a chunk of genes and score the test rows.

        Parameters
        ----------
        prepared, truth, known
            As for `RidgeScorer.scores`.
        """
        m, n_genes = truth.shape
        present = truth.sum(axis=0)
        seen = known.sum(axis=0) if len(known) else np.full_like(present, m)
        cap = np.full_like(truth, self.cost)
        if self.is_balanced:
            half = self.cost * seen / 2
            of_present, of_absent = (
                half / np.maximum(present, 1),
                half / np.maximum(seen - present, 1),
            )
            cap = np.where(truth > 0, of_present, of_absent).astype(truth.dtype)
        if len(known):
            cap *= known
        signed, bias = np.zeros_like(truth), np.zeros_like(present)
        target = 2 * truth - 1
        descend(prepared.inside, target, cap, prepared.order, self.tolerance, signed, bias)
        threshold = np.zeros(n_genes, truth.dtype)
        threshold[present == 0] = np.inf
        threshold[present == seen] = -np.inf
        return SplitScores(prepared.across @ signed + bias, threshold)


@dataclass(frozen=True, eq=False)
class Machines:
    """What the support vector machines of one split share.

    Parameters
    ----------
    inside : array, shape (n_train, n_train)
        Centred Gram matrix of the training rows.
    across : array, shape (n_test, n_train)
        Of test rows with training rows.
    order : array of int, shape (n_sweeps, n_train)
        In which order rows are visited.
    """

    inside: AnyArray
    across: AnyArray
    order: IntArray


def _centred(gram: FloatArray, train: IntArray, test: IntArray) -> tuple[FloatArray, FloatArray]:
    """Return the Gram matrices (train, train) and (test, train), centred on the training mean."""
    inside, across = gram[np.ix_(train, train)], gram[np.ix_(test, train)]
    means = inside.mean(axis=0)
    middle = means.mean()
    across = across - across.mean(axis=1, keepdims=True) - means + middle
    return inside - means - means[:, None] + middle, across


def _inverse(matrix: FloatArray) -> FloatArray:
    """Invert a positive definite matrix by its Cholesky factor."""
    factor, fault = lapack.dpotrf(matrix, lower=1, overwrite_a=1)
    if fault == 0:
        inverse, fault = lapack.dpotri(factor, lower=1, overwrite_c=1)
    if fault != 0:
        raise InputError(
            "the Gram matrix of the features is not positive definite, even with the penalty",
            remedy="Raise the penalty, or look for features that are not finite.",
        )
    whole: FloatArray = np.tril(inverse) + np.tril(inverse, -1).T
    return whole


def _upper_blocks(left_out: FloatArray, dtype: Any) -> tuple[tuple[slice, AnyArray], ...]:
    symmetric = (left_out + left_out.T) / 2
    edges = np.linspace(0, len(left_out), _BLOCK_ROWS + 1).astype(int).tolist()
    blocks = []
    for start, stop in pairwise(edges):
        block = symmetric[start:stop, start:].astype(dtype)
        block[:, stop - start :] *= 2
        blocks.append((slice(start, stop), np.ascontiguousarray(block)))
    return tuple(blocks)
