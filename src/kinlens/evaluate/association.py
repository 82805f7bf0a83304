"""Association of traits: PROTEST, RV, distance correlation, and differences among groups.

These compare two tables of traits, or distances and groups, of the same objects, and permute the
objects. Correlation of distance matrices is in `matrices`. For traits that evolved on a tree no
permutation of species is right: take contrasts first, or use `contrasts.contrast_test`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from kinlens.errors import InputError
from kinlens.evaluate._matrix_checks import (
    checked_distances,
    checked_values,
    refuse_unvarying,
    same_rows,
    upper_triangle,
)
from kinlens.evaluate._permutation_tests import (
    drawn_blocks,
    null_test,
    permuted_sums,
    scheme_for,
)
from kinlens.evaluate.nulls import Alternative, PermutationScheme, PermutationTest
from kinlens.typing import AnyArray, FloatArray

__all__ = [
    "GroupDifference",
    "distance_correlation",
    "permanova",
    "protest",
    "rv_coefficient",
    "unbiased_distance_correlation",
]


def protest(
    first: ArrayLike,
    second: ArrayLike,
    *,
    rng: np.random.Generator,
    permutations: int = 9_999,
    scheme: PermutationScheme | None = None,
    alternative: Alternative = "greater",
) -> PermutationTest:
    r"""Test whether two configurations of the same objects can be rotated onto each other.

    Parameters
    ----------
    first, second : array of float, shape (n, p) and (n, q)
        Coordinates of the objects, rows in the same order.
    rng : numpy.random.Generator
    permutations : int
        Null worlds; 0 gives the statistic alone.
    scheme : PermutationScheme, optional
        Which reorderings of the objects are equally likely; all of them when left out.
    alternative : {"greater", "less", "two-sided"}

    Returns
    -------
    PermutationTest
        The statistic is the symmetric Procrustes correlation, from 0 to 1.

    Notes
    -----
    With X and Y centred and scaled to a sum of squares of 1, the statistic is the sum of the
    singular values of :math:`X^\top Y`, that is :math:`\sqrt{1 - m_{12}^2}` with :math:`m_{12}^2`
    the residual sum of squares after rotation and scaling (`protest` of the R package vegan).
    It does not change when either configuration is moved, rotated, mirrored or scaled. Under
    the null hypothesis it is well above 0: see `null_mean`.

    References
    ----------
    Jackson, D. A. (1995). PROTEST: a Procrustean randomization test of community environment
    concordance. Ecoscience 2, 297-303.
    Peres-Neto, P. R. & Jackson, D. A. (2001). How well do multivariate data sets match? Oecologia
    129, 169-178.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> shape = rng.standard_normal((12, 2))
    >>> turned = shape @ np.array([[0.0, 2.0], [-2.0, 0.0]]) + 5
    >>> round(protest(shape, turned, permutations=99, rng=rng).statistic, 6)
    1.0
    """
    one, two = _checked_tables(first, second)
    scheme = scheme_for(scheme, len(one), permutations)
    # Rotating either table changes no singular value, so that wide tables may be cut to their rank.
    one, two = _unit_scores(one, "the first table"), _unit_scores(two, "the second table")
    statistic = float(_nuclear_norm(two.T @ one))
    null = np.empty(permutations)
    # Reordered tables and cross products held at a time: 32 MiB.
    step = max(1, 4_000_000 // (one.size + one.shape[1] * two.shape[1]))
    for place, orders in drawn_blocks(scheme, permutations, rng):
        values = null[place]
        for start in range(0, len(orders), step):
            block = slice(start, start + step)
            values[block] = _nuclear_norm(two.T @ one[orders[block]])  # of (b, q, p)
    return null_test(
        "Procrustes correlation", statistic, null, scheme=scheme, alternative=alternative
    )


def rv_coefficient(
    first: ArrayLike,
    second: ArrayLike,
    *,
    rng: np.random.Generator,
    permutations: int = 9_999,
    scheme: PermutationScheme | None = None,
    alternative: Alternative = "greater",
) -> PermutationTest:
    r"""Test two tables of traits of the same objects for linear association.

    Parameters
    ----------
    first, second : array of float, shape (n, p) and (n, q)
        Traits, rows in the same order. Scale the columns first when their units differ.
    rng, permutations, scheme, alternative
        As in `protest`.

    Returns
    -------
    PermutationTest
        The statistic runs from 0 (no covariance) to 1 (same configuration up to rotation and
        scale). For one column each it is the squared correlation.

    Notes
    -----
    With :math:`S = XX^\top` and :math:`T = YY^\top` of the centred tables,
    :math:`RV = \mathrm{tr}(ST) / \sqrt{\mathrm{tr}(S^2)\,\mathrm{tr}(T^2)}`. Its expectation
    under independence grows with the number of traits; compare with `null_mean`, not with 0.

    References
    ----------
    Robert, P. & Escoufier, Y. (1976). A unifying tool for linear multivariate statistical methods:
    the RV-coefficient. Applied Statistics 25, 257-265.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> x = rng.standard_normal((30, 1))
    >>> y = x + rng.standard_normal((30, 1))
    >>> test = rv_coefficient(x, y, permutations=99, rng=rng)
    >>> abs(np.corrcoef(x[:, 0], y[:, 0])[0, 1] ** 2 - test.statistic) < 1e-12
    np.True_
    """
    one, two = _checked_tables(first, second)
    refuse_unvarying(one, "the first table")
    refuse_unvarying(two, "the second table")
    centred = (one - one.mean(axis=0), two - two.mean(axis=0))
    return _inner_product_test(
        "RV coefficient",
        centred[0] @ centred[0].T,
        centred[1] @ centred[1].T,
        rng=rng,
        permutations=permutations,
        scheme=scheme,
        alternative=alternative,
    )


def distance_correlation(
    first: ArrayLike,
    second: ArrayLike,
    *,
    rng: np.random.Generator,
    permutations: int = 9_999,
    scheme: PermutationScheme | None = None,
    alternative: Alternative = "greater",
) -> PermutationTest:
    """Test two sets of distances for any dependence, not only a linear one.

    Parameters
    ----------
    first, second : array of float, shape (n, n)
        Euclidean distances (or others of negative type) among the same objects.
    rng, permutations, scheme, alternative
        As in `protest`.

    Returns
    -------
    PermutationTest
        The statistic runs from 0 to 1; it is far above 0 for independent samples when n is small
        or the traits are many. `unbiased_distance_correlation` is not.

    References
    ----------
    Székely, G. J., Rizzo, M. L. & Bakirov, N. K. (2007). Measuring and testing dependence by
    correlation of distances. Annals of Statistics 35, 2769-2794, definitions 4 to 6.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> x = rng.standard_normal(40)
    >>> first, second = abs(x[:, None] - x), abs(x[:, None] ** 2 - x**2)
    >>> distance_correlation(first, second, permutations=999, rng=rng).p_value
    0.001
    """
    one, two = checked_distances(first, "first"), checked_distances(second, "second")
    same_rows(one, two)
    squared = _inner_product_test(
        "distance correlation",
        _double_centred(one),
        _double_centred(two),
        rng=rng,
        permutations=permutations,
        scheme=scheme,
        alternative=alternative,
    )
    return PermutationTest(
        squared.name,
        float(np.sqrt(max(squared.statistic, 0.0))),
        squared.p_value,
        squared.n,
        squared.null_description,
        alternative,
        np.sqrt(np.maximum(squared.null, 0.0)),
    )


def unbiased_distance_correlation(
    first: ArrayLike,
    second: ArrayLike,
    *,
    rng: np.random.Generator,
    permutations: int = 9_999,
    scheme: PermutationScheme | None = None,
    alternative: Alternative = "greater",
) -> PermutationTest:
    """Test two sets of distances for any dependence, with a statistic that is near 0 without any.

    Parameters
    ----------
    first, second : array of float, shape (n, n)
        Euclidean distances among the same objects, n at least 4.
    rng, permutations, scheme, alternative
        As in `protest`.

    Returns
    -------
    PermutationTest
        The statistic estimates the *squared* distance correlation without bias from n and from the
        number of traits; it can be slightly negative, and is at most 1.

    References
    ----------
    Székely, G. J. & Rizzo, M. L. (2014). Partial distance correlation with methods for
    dissimilarities. Annals of Statistics 42, 2382-2412, equations 2.5 to 2.7.

    Examples
    --------
    >>> from scipy.spatial.distance import pdist, squareform
    >>> rng = np.random.default_rng(1)
    >>> a, b = (squareform(pdist(rng.standard_normal((40, 20)))) for _ in range(2))
    >>> round(unbiased_distance_correlation(a, b, permutations=99, rng=rng).statistic, 2)
    0.01
    """
    one = checked_distances(first, "first", least=4)
    two = checked_distances(second, "second", least=4)
    same_rows(one, two)
    return _inner_product_test(
        "unbiased squared distance correlation",
        _u_centred(one),
        _u_centred(two),
        rng=rng,
        permutations=permutations,
        scheme=scheme,
        alternative=alternative,
    )


@dataclass(frozen=True)
class GroupDifference:
    """How far groups lie apart, and whether by more than chance.

    Parameters
    ----------
    test : PermutationTest
        Of the pseudo-F.
    r_squared : float
        Share of the squared distances that lies between groups.
    n_groups : int
    """

    test: PermutationTest
    r_squared: float
    n_groups: int


def permanova(
    distances: ArrayLike,
    groups: ArrayLike,
    *,
    rng: np.random.Generator,
    permutations: int = 9_999,
    scheme: PermutationScheme | None = None,
) -> GroupDifference:
    """Test whether objects lie nearer to their own group than to others.

    Parameters
    ----------
    distances : array of float, shape (n, n)
        Any symmetric distances.
    groups : array, shape (n,)
        The group of each object; at least two groups, at least one with two members.
    rng, permutations, scheme
        As in `protest`.

    Returns
    -------
    GroupDifference

    Raises
    ------
    InputError
        When there is one group only, or none has two members.

    Notes
    -----
    The pseudo-F is that of ``skbio.stats.distance.permanova``, with its null beside it. A
    difference in spread alone can also make it large.

    References
    ----------
    Anderson, M. J. (2001). A new method for non-parametric multivariate analysis of variance.
    Austral Ecology 26, 32-46.

    Examples
    --------
    >>> x = np.array([0.0, 1, 2, 10, 11, 12])
    >>> result = permanova(abs(x[:, None] - x), list("aaabbb"), rng=np.random.default_rng(1))
    >>> round(result.test.statistic, 6), round(result.r_squared, 3)
    (150.0, 0.974)
    """
    square = checked_distances(distances, "distance") ** 2
    labels, codes = np.unique(np.asarray(groups), return_inverse=True)
    n, n_groups = len(square), len(labels)
    if codes.shape != (n,):
        raise InputError(f"{n:,} objects need {n:,} groups, not {codes.shape}")
    if not 1 < n_groups < n:
        raise InputError(
            f"{n_groups:,} groups of {n:,} objects: at least two groups are needed, and one of "
            "them must have two members"
        )
    scheme = scheme_for(scheme, n, permutations)
    members = np.bincount(codes)
    weight = np.where(codes[:, None] == codes, 1 / members[codes][:, None], 0.0)
    total = float(upper_triangle(square).sum()) / n
    within = float((upper_triangle(square) * upper_triangle(weight)).sum())
    if total <= 0:
        raise InputError("all distances are 0")
    sums = permuted_sums(square, weight[None], scheme, permutations, rng)[:, 0]

    def pseudo_f(inside: FloatArray) -> FloatArray:
        floor = np.maximum(inside, total * 1e-15)
        return np.asarray((total - floor) / (n_groups - 1) / (floor / (n - n_groups)))

    test = null_test(
        "PERMANOVA pseudo-F",
        float(pseudo_f(np.array(within))),
        pseudo_f(sums),
        scheme=scheme,
        alternative="greater",
    )
    return GroupDifference(test=test, r_squared=1 - within / total, n_groups=n_groups)


def _checked_tables(first: ArrayLike, second: ArrayLike) -> tuple[FloatArray, FloatArray]:
    one, two = checked_values(first, "first"), checked_values(second, "second")
    same_rows(one, two, "the two tables")
    return one, two


def _unit_scores(table: FloatArray, name: str) -> FloatArray:
    """Centre, rotate to principal axes, drop empty ones, and scale to a sum of squares of 1."""
    refuse_unvarying(table, name)
    centred = table - table.mean(axis=0)
    left, values, _ = np.linalg.svd(centred, full_matrices=False)
    kept = values > 1e-12 * values[0]
    return np.asarray(left[:, kept] * (values[kept] / np.linalg.norm(values)))


def _nuclear_norm(stack: AnyArray) -> FloatArray:
    """Return the sum of the singular values of each matrix in a stack, shape (...)."""
    return np.asarray(np.linalg.svd(stack, compute_uv=False).sum(axis=-1))


def _inner_product_test(
    name: str,
    first: FloatArray,
    second: FloatArray,
    *,
    rng: np.random.Generator,
    permutations: int,
    scheme: PermutationScheme | None,
    alternative: Alternative,
) -> PermutationTest:
    """Test the cosine of two symmetric matrices, diagonals included."""
    scheme = scheme_for(scheme, len(first), permutations)
    scale = float(np.linalg.norm(first) * np.linalg.norm(second))
    if not scale > 0:
        raise InputError("one of the two matrices does not vary")
    statistic = float(np.vdot(first, second)) / scale
    sums = permuted_sums(first, second[None], scheme, permutations, rng, with_diagonal=True)
    return null_test(name, statistic, sums[:, 0] / scale, scheme=scheme, alternative=alternative)


def _double_centred(distances: FloatArray) -> FloatArray:
    rows = distances.mean(axis=1)
    return np.asarray(distances - rows[:, None] - rows + rows.mean())


def _u_centred(distances: FloatArray) -> FloatArray:
    n = len(distances)
    rows = distances.sum(axis=1)
    centred = distances - (rows[:, None] + rows) / (n - 2) + rows.sum() / ((n - 1) * (n - 2))
    np.fill_diagonal(centred, 0.0)
    return np.asarray(centred)
