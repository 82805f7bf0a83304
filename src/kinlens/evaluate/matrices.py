"""Correlation of distance matrices, tested: Mantel and partial Mantel.

The objects are permuted, rows and columns together, because n objects make n (n - 1) / 2 distances
that are not independent. Which orders are equally likely is the `scheme` (see `nulls`); when both
matrices come from traits that evolved on one tree no order is, and `contrasts.contrast_test` is the
test to use. Regression on several matrices is in `matrix_regression`, statistics of traits rather
than of distances in `association`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import kendalltau, rankdata

from kinlens.errors import InputError, UsageError
from kinlens.evaluate._matrix_checks import checked_distances, same_rows, upper_triangle
from kinlens.evaluate._pairs import (
    orthonormal_pairs,
    refuse_constant,
    scored,
    square,
    unit_pairs,
)
from kinlens.evaluate._permutation_kernels import kendall_sums, run_blocks
from kinlens.evaluate._permutation_tests import (
    drawn_blocks,
    null_test,
    permuted_sums,
    scheme_for,
)
from kinlens.evaluate.nulls import Alternative, PermutationScheme, PermutationTest
from kinlens.typing import AnyArray, FloatArray

__all__ = ["Method", "mantel", "matrix_correlation", "partial_mantel"]

Method = Literal["pearson", "spearman", "kendall"]
"""Correlation of the pairs: of values, of mean ranks, or tau-b."""


def mantel(
    first: ArrayLike,
    second: ArrayLike,
    *,
    rng: np.random.Generator,
    method: Method = "pearson",
    permutations: int = 9_999,
    scheme: PermutationScheme | None = None,
    alternative: Alternative = "greater",
) -> PermutationTest:
    """Test whether objects that are far apart in one matrix are far apart in another.

    Parameters
    ----------
    first, second : array of float, shape (n, n)
        Symmetric distances with a zero diagonal, rows in the same order; n at least 3.
    rng : numpy.random.Generator
    method : {"pearson", "spearman", "kendall"}
        Correlation of the n (n - 1) / 2 pairs. Spearman gives ties their mean rank; Kendall is
        tau-b.
    permutations : int
        Null worlds; 0 gives the statistic alone.
    scheme : PermutationScheme, optional
        Which reorderings of the objects are equally likely; all of them when left out.
    alternative : {"greater", "less", "two-sided"}
        Two-sided compares absolute values.

    Returns
    -------
    PermutationTest
        With n the number of objects.

    Raises
    ------
    InputError
        When a matrix is not a distance matrix, or all its distances are equal.

    Notes
    -----
    The statistic is that of ``skbio.stats.distance.mantel``. The permutations run in a loop of
    our own, as fast as scikit-bio's (`benchmarks/matrices.py`), because that function returns
    neither the null nor takes a scheme. Rows in which a value is missing must be left out.

    The test is exact when the objects are exchangeable: for looks against kinship, when looks
    carry no phylogenetic signal. Between two traits that both evolved on a tree it is not, and
    nearly always finds something.

    References
    ----------
    Mantel, N. (1967). The detection of disease clustering and a generalized regression approach.
    Cancer Research 27, 209-220.

    Examples
    --------
    >>> from scipy.spatial.distance import pdist, squareform
    >>> rng = np.random.default_rng(1)
    >>> places = rng.standard_normal((20, 2))
    >>> near = squareform(pdist(places))
    >>> noisy = squareform(pdist(places + 0.5 * rng.standard_normal((20, 2))))
    >>> test = mantel(near, noisy, permutations=999, rng=rng)
    >>> round(test.statistic, 3), test.p_value
    (0.897, 0.001)
    """
    one, two = _checked_pair(first, second)
    scheme = scheme_for(scheme, len(one), permutations)
    name = f"Mantel correlation ({method})"
    if method == "kendall":
        statistic, null = _kendall(one, two, scheme, permutations, rng)
    else:
        one = unit_pairs(scored(one, method, "first"))
        two = unit_pairs(scored(two, method, "second"))
        statistic = float(upper_triangle(one) @ upper_triangle(two))
        null = permuted_sums(one, two[None], scheme, permutations, rng)[:, 0]
    return null_test(name, statistic, null, scheme=scheme, alternative=alternative)


def matrix_correlation(first: ArrayLike, second: ArrayLike, *, method: Method = "pearson") -> float:
    """Return the correlation of two distance matrices, without a test.

    Parameters
    ----------
    first, second, method
        As in `mantel`.

    Examples
    --------
    >>> d = np.array([[0, 1, 3], [1, 0, 2], [3, 2, 0.0]])
    >>> round(matrix_correlation(d, d**2), 4)
    0.9897
    """
    one, two = _checked_pair(first, second)
    if method == "kendall":
        return float(kendalltau(upper_triangle(one), upper_triangle(two)).statistic)
    one, two = unit_pairs(scored(one, method, "first")), unit_pairs(scored(two, method, "second"))
    return float(upper_triangle(one) @ upper_triangle(two))


def partial_mantel(
    first: ArrayLike,
    second: ArrayLike,
    given: ArrayLike | Sequence[ArrayLike],
    *,
    rng: np.random.Generator,
    method: Literal["pearson", "spearman"] = "pearson",
    permutations: int = 9_999,
    scheme: PermutationScheme | None = None,
    alternative: Alternative = "greater",
) -> PermutationTest:
    r"""Test two distance matrices for association beyond what a third one explains.

    Parameters
    ----------
    first, second : array of float, shape (n, n)
        Symmetric distances; the objects of `first` are permuted.
    given : array of float, shape (n, n), or a sequence of such
        What is held constant.
    rng, permutations, scheme, alternative
        As in `mantel`.
    method : {"pearson", "spearman"}
        Spearman ranks all matrices first.

    Returns
    -------
    PermutationTest

    Raises
    ------
    InputError
        When `second` follows exactly from `given`, or a matrix is constant or no distance matrix.

    Notes
    -----
    With A, B and C the two matrices and the one given,

    .. math:: r_{AB.C} = \frac{r_{AB} - r_{AC} r_{BC}}{\sqrt{1 - r_{AC}^2}\sqrt{1 - r_{BC}^2}}

    and both correlations with A are taken anew in each permutation of A (Legendre 2000, method 1;
    `mantel.partial` of the R package vegan). Holding the tree's distances constant does not make
    two evolved traits exchangeable: false positives stay far above nominal.

    References
    ----------
    Smouse, P. E., Long, J. C. & Sokal, R. R. (1986). Multiple regression and correlation
    extensions of the Mantel test of matrix correspondence. Systematic Zoology 35, 627-632.
    Legendre, P. (2000). Comparison of permutation methods for the partial correlation and partial
    Mantel tests. Journal of Statistical Computation and Simulation 67, 37-73.

    Examples
    --------
    >>> from scipy.spatial.distance import pdist, squareform
    >>> rng = np.random.default_rng(1)
    >>> a, b, c = (squareform(pdist(rng.standard_normal((15, 2)))) for _ in range(3))
    >>> round(partial_mantel(a, b, c, permutations=99, rng=rng).statistic, 3)
    0.056
    """
    if method not in ("pearson", "spearman"):
        raise UsageError(f"method must be 'pearson' or 'spearman', not {method!r}.")
    one, two = _checked_pair(first, second)
    controls = _stack_of(given, len(one), "given")
    scheme = scheme_for(scheme, len(one), permutations)
    one, two = scored(one, method, "first"), scored(two, method, "second")
    basis = orthonormal_pairs([scored(control, method, "given") for control in controls])

    residual = unit_pairs(two)
    overlap = np.einsum("kp,p->k", upper_triangle(basis), upper_triangle(residual))
    explained = float(overlap @ overlap)
    if 1 - explained < 1e-12:
        raise InputError("the second matrix follows exactly from what is given")
    residual = (residual - np.tensordot(overlap, basis, 1)) / np.sqrt(1 - explained)

    weights = np.concatenate([residual[None], basis])
    scaled = unit_pairs(one)
    observed = upper_triangle(weights) @ upper_triangle(scaled)
    sums = permuted_sums(scaled, weights, scheme, permutations, rng)
    both = np.concatenate([observed[None], sums])
    unexplained = np.maximum(1 - (both[:, 1:] ** 2).sum(axis=1), 1e-300)
    values = both[:, 0] / np.sqrt(unexplained)
    return null_test(
        f"partial Mantel correlation ({method})",
        values[0],
        values[1:],
        scheme=scheme,
        alternative=alternative,
    )


def _checked_pair(first: ArrayLike, second: ArrayLike) -> tuple[FloatArray, FloatArray]:
    one, two = checked_distances(first, "first"), checked_distances(second, "second")
    same_rows(one, two)
    return one, two


def _stack_of(given: ArrayLike | Sequence[ArrayLike], n: int, name: str) -> list[FloatArray]:
    """Return one or several matrices as a list of checked ones with n rows."""
    array = np.asarray(given, dtype=np.float64)
    if array.ndim not in (2, 3) or array.size == 0:
        raise InputError(f"{name!r} must be one (n, n) matrix or several, not {array.shape}")
    matrices = [checked_distances(m, name) for m in (array[None] if array.ndim == 2 else array)]
    if len(matrices[0]) != n:
        raise InputError(f"{name!r} has {len(matrices[0]):,} rows, the other matrices {n:,}")
    return matrices


def _kendall(
    first: FloatArray,
    second: FloatArray,
    scheme: PermutationScheme,
    permutations: int,
    rng: np.random.Generator,
) -> tuple[float, FloatArray]:
    """Return Kendall's tau-b of two matrices and its permutation null."""
    n = len(first)
    rows, columns = np.triu_indices(n, 1)
    one, two = first[rows, columns], second[rows, columns]
    refuse_constant(one, "first")
    refuse_constant(two, "second")
    ranks = square(rankdata(one, method="dense") - 1, n).astype(np.int64)
    order = np.argsort(two, kind="stable")
    starts = np.concatenate([[0], np.flatnonzero(np.diff(two[order])) + 1, [len(two)]])
    rows, columns = rows[order], columns[order]
    untied = np.sqrt(_untied_pairs(one) * _untied_pairs(two))

    def taus(orders: AnyArray) -> FloatArray:
        out = np.empty(len(orders))

        def fill(block: slice) -> None:
            out[block] = kendall_sums(ranks, rows, columns, starts, orders[block])

        run_blocks(fill, len(orders), cells=40 * len(rows))
        return np.asarray(out / untied)

    null = np.empty(permutations)
    for place, orders in drawn_blocks(scheme, permutations, rng):
        null[place] = taus(orders)
    return float(taus(np.arange(n, dtype=np.uint32)[None])[0]), null


def _untied_pairs(values: FloatArray) -> float:
    counts = np.unique(values, return_counts=True)[1].astype(np.float64)
    m = float(len(values))
    return m * (m - 1) / 2 - float((counts * (counts - 1)).sum()) / 2
