"""Multiple regression on distance matrices (MRM), tested by permuting the response."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from kinlens.errors import InputError, UsageError
from kinlens.evaluate._matrix_checks import checked_distances, same_rows, upper_triangle
from kinlens.evaluate._pairs import centred_pairs, scored
from kinlens.evaluate._permutation_tests import null_test, permuted_sums, scheme_for
from kinlens.evaluate.nulls import PermutationScheme
from kinlens.typing import FloatArray

__all__ = ["MatrixRegression", "mrm"]


@dataclass(frozen=True, eq=False)
class MatrixRegression:
    """Multiple regression on distance matrices, with permutation p-values.

    Parameters
    ----------
    names : tuple of str
        ``"intercept"``, then the predictors.
    coefficients, t_values, p_values : numpy.ndarray
        One entry per name. The t-values are pseudo-t: distances are not independent, so only the
        permutations give them meaning. p-values are two-sided.
    r_squared : float
        Share of the variance of the response distances that the predictors explain.
    f_value, p_value : float
        The pseudo-F of the whole regression and its permutation p-value (the same for R squared).
    n, n_permutations : int
    null_description : str
    """

    names: tuple[str, ...]
    coefficients: FloatArray
    t_values: FloatArray
    p_values: FloatArray
    r_squared: float
    f_value: float
    p_value: float
    n: int
    n_permutations: int
    null_description: str


def mrm(
    response: ArrayLike,
    predictors: Mapping[str, ArrayLike],
    *,
    rng: np.random.Generator,
    permutations: int = 9_999,
    scheme: PermutationScheme | None = None,
) -> MatrixRegression:
    """Regress one distance matrix on several, and test each by permuting the response.

    Parameters
    ----------
    response : array of float, shape (n, n)
        Symmetric distances; its objects are permuted.
    predictors : mapping of str to array of float, shape (n, n)
        Named symmetric distances.
    rng, permutations, scheme
        As in `mantel`.

    Returns
    -------
    MatrixRegression

    Raises
    ------
    InputError
        When there are no more pairs than coefficients, when predictors follow from each other, or
        when a matrix is constant or no distance matrix.

    Notes
    -----
    Ordinary least squares over the n (n - 1) / 2 pairs. In each permutation of the response the
    t-value of every coefficient is computed anew and compared in absolute value. `MRM` of the R
    package ecodist and `multi.mantel` of phytools do the same.

    References
    ----------
    Legendre, P., Lapointe, F.-J. & Casgrain, P. (1994). Modeling brain evolution from behavior: a
    permutational regression approach. Evolution 48, 1487-1499.
    Lichstein, J. W. (2007). Multiple regression on distance matrices: a multivariate spatial
    analysis tool. Plant Ecology 188, 117-131.

    Examples
    --------
    >>> from scipy.spatial.distance import pdist, squareform
    >>> rng = np.random.default_rng(1)
    >>> climate, soil = (squareform(pdist(rng.standard_normal((15, 1)))) for _ in range(2))
    >>> fit = mrm(2 * climate, {"climate": climate, "soil": soil}, permutations=99, rng=rng)
    >>> fit.names, np.round(fit.coefficients, 6) + 0.0
    (('intercept', 'climate', 'soil'), array([0., 2., 0.]))
    """
    target = checked_distances(response, "response")
    if not predictors:
        raise UsageError("a regression needs at least one predictor.")
    n, n_pairs, k = len(target), len(target) * (len(target) - 1) // 2, len(predictors)
    if n_pairs <= k + 1:
        raise InputError(f"{n_pairs:,} pairs cannot carry {k + 1:,} coefficients")
    named = {name: checked_distances(value, name) for name, value in predictors.items()}
    for name, matrix in named.items():
        same_rows(target, matrix, f"the response and {name!r}")
    scheme = scheme_for(scheme, n, permutations)

    y = upper_triangle(scored(target, "pearson", "response"))
    columns = np.stack([upper_triangle(scored(m, "pearson", key)) for key, m in named.items()])
    means = columns.mean(axis=1)
    centred = columns - means[:, None]
    spread = np.sqrt((centred**2).sum(axis=1))
    scaled = centred / spread[:, None]
    gram = scaled @ scaled.T
    if np.linalg.matrix_rank(gram, tol=1e-10) < k:
        raise InputError("predictors that follow from each other", offenders=named)
    inverse = np.linalg.inv(gram) / np.outer(spread, spread)

    weights = np.stack(
        [(m - mean) / length for m, mean, length in zip(named.values(), means, spread, strict=True)]
    )
    sums = permuted_sums(centred_pairs(target), weights, scheme, permutations, rng)
    products = np.concatenate([(scaled @ y)[None], sums]) * spread  # (1 + permutations, k)
    total = float(((y - y.mean()) ** 2).sum())
    slopes = products @ inverse
    explained = np.einsum("mk,mk->m", slopes, products)
    degrees = n_pairs - k - 1
    # A perfect fit leaves rounding, which must not turn negative.
    residual = np.maximum(total - explained, total * 1e-15)
    intercepts = y.mean() - slopes @ means
    coefficients = np.column_stack([intercepts, slopes])
    unit_variance = np.concatenate([[1 / n_pairs + means @ inverse @ means], np.diagonal(inverse)])
    t_values = coefficients / np.sqrt(unit_variance * (residual / degrees)[:, None])
    f_values = (explained / k) / (residual / degrees)

    names = ("intercept", *named)
    tests = [
        null_test(name, t_values[0, i], t_values[1:, i], scheme=scheme, alternative="two-sided")
        for i, name in enumerate(names)
    ]
    whole = null_test("F", f_values[0], f_values[1:], scheme=scheme, alternative="greater")
    return MatrixRegression(
        names=names,
        coefficients=coefficients[0],
        t_values=t_values[0],
        p_values=np.array([test.p_value for test in tests]),
        r_squared=float(explained[0] / total),
        f_value=whole.statistic,
        p_value=whole.p_value,
        n=n,
        n_permutations=permutations,
        null_description=scheme.description,
    )
