"""The pairs of a distance matrix: ranked, centred, scaled, and back to a square."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

from kinlens.errors import InputError, UsageError
from kinlens.evaluate._matrix_checks import upper_triangle
from kinlens.typing import FloatArray

__all__ = [
    "centred_pairs",
    "orthonormal_pairs",
    "refuse_constant",
    "scored",
    "square",
    "unit_pairs",
]


def scored(matrix: FloatArray, method: str, name: str) -> FloatArray:
    """Return the distances, or their mean ranks; refuse a matrix without variation."""
    if method not in ("pearson", "spearman"):
        raise UsageError(f"method must be 'pearson', 'spearman' or 'kendall', not {method!r}.")
    pairs = upper_triangle(matrix)
    refuse_constant(pairs, name)
    return matrix if method == "pearson" else square(rankdata(pairs), len(matrix))


def refuse_constant(pairs: FloatArray, name: str) -> None:
    """Refuse distances that are all equal: no correlation with them is defined."""
    if np.ptp(pairs) <= 1e-12 * np.abs(pairs).max():
        raise InputError(f"all distances in the {name} matrix are equal; nothing correlates")


def square(pairs: FloatArray, n: int) -> FloatArray:
    """Return the symmetric matrix, with a zero diagonal, whose upper triangle is `pairs`."""
    matrix = np.zeros((n, n))
    rows, columns = np.triu_indices(n, 1)
    matrix[rows, columns] = matrix[columns, rows] = pairs
    return matrix


def centred_pairs(matrix: FloatArray) -> FloatArray:
    """Take the mean of the pairs from each entry; the diagonal is never read."""
    return np.asarray(matrix - upper_triangle(matrix).mean())


def unit_pairs(matrix: FloatArray) -> FloatArray:
    """Centre the pairs and scale them to length 1."""
    centred = centred_pairs(matrix)
    length = np.sqrt((upper_triangle(centred) ** 2).sum())
    return np.asarray(centred / length)


def orthonormal_pairs(matrices: list[FloatArray]) -> FloatArray:
    """Return matrices of pair length 1, orthogonal to each other, that span the same space."""
    units = np.stack([unit_pairs(matrix) for matrix in matrices])
    pairs = upper_triangle(units)
    values, vectors = np.linalg.eigh(pairs @ pairs.T)
    kept = values > 1e-10 * values.max()
    return np.tensordot((vectors[:, kept] / np.sqrt(values[kept])).T, units, 1)
