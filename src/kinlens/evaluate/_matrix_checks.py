"""Checks that the matrix statistics make on entry, and the upper triangle in one order."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.distance import squareform

from kinlens.errors import InputError, UsageError
from kinlens.typing import FloatArray

__all__ = [
    "checked_covariance",
    "checked_distances",
    "checked_permutations",
    "checked_values",
    "refuse_unvarying",
    "same_rows",
    "upper_triangle",
]

# Asymmetry and self-distances below this share of the largest entry are rounding.
_ROUNDING = 1e-9


def checked_distances(matrix: ArrayLike, name: str, *, least: int = 3) -> FloatArray:
    """Return `matrix` as contiguous float64, or say what keeps it from being distances.

    Raises
    ------
    InputError
        When it is not square, finite and symmetric with a zero diagonal, or has fewer than
        `least` rows.
    """
    distances = _checked_symmetric(matrix, name, least=least)
    scale = np.abs(distances).max()
    if np.abs(np.diagonal(distances)).max() > _ROUNDING * scale:
        raise InputError(
            f"the {name} matrix has a diagonal that is not zero, so it holds no distances",
            remedy="Turn similarities into distances first.",
        )
    return distances


def checked_covariance(matrix: ArrayLike, *, n: int | None = None) -> FloatArray:
    """Return a phylogenetic covariance as float64, or say what is wrong with it.

    Raises
    ------
    InputError
        When it is not square, finite and symmetric, when a tip has no variance (it sits on the
        root), or when it has other than `n` rows.
    """
    covariance = _checked_symmetric(matrix, "covariance", least=2)
    if n is not None and len(covariance) != n:
        raise InputError(f"a covariance of {len(covariance):,} tips for {n:,} rows of values")
    on_root = np.flatnonzero(np.diagonal(covariance) <= 0)
    if on_root.size:
        raise InputError(
            "tips without variance, because they sit on the root",
            offenders=[f"row {row}" for row in on_root.tolist()],
            remedy="Give their branches a length, or leave them out.",
        )
    return covariance


def checked_values(values: ArrayLike, name: str = "values", *, least: int = 3) -> FloatArray:
    """Return traits as float64 of shape (n, p); one trait may come as (n,).

    Raises
    ------
    InputError
        When values are missing or infinite, or there are fewer than `least` rows.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2 or array.shape[1] == 0:
        raise InputError(f"{name} must have shape (n, p), not {array.shape}")
    if len(array) < least:
        raise InputError(f"{name} has {len(array):,} rows; at least {least} are needed")
    bad = np.flatnonzero(~np.isfinite(array).all(axis=1))
    if bad.size:
        raise InputError(
            f"{name} has rows that are not finite",
            offenders=[f"row {row}" for row in bad.tolist()],
            remedy="Leave those rows out, here and in everything that stands beside them.",
        )
    return np.ascontiguousarray(array)


def checked_permutations(permutations: int) -> None:
    """Refuse a negative number of null worlds; 0 is legal and gives no p-value."""
    if permutations < 0:
        raise UsageError(f"permutations must be 0 or more, not {permutations}.")


def refuse_unvarying(values: FloatArray, name: str = "values") -> None:
    """Refuse a table in which every column is constant: it tells objects apart in nothing."""
    if np.all(np.ptp(values, axis=0) <= 1e-12 * np.abs(values).max(axis=0)):
        raise InputError(f"{name} do not vary: all rows are the same")


def same_rows(first: FloatArray, second: FloatArray, names: str = "the two matrices") -> None:
    """Refuse inputs that do not describe the same number of objects."""
    if len(first) != len(second):
        raise InputError(f"{names} have {len(first):,} and {len(second):,} rows")


def upper_triangle(matrices: FloatArray) -> FloatArray:
    """Return the entries above the diagonal, row by row: (..., n, n) to (..., n (n - 1) / 2)."""
    if matrices.ndim > 2:
        return np.stack([upper_triangle(matrix) for matrix in matrices])
    return np.asarray(squareform(matrices, force="tovector", checks=False))


def _checked_symmetric(matrix: ArrayLike, name: str, *, least: int) -> FloatArray:
    array = np.asarray(matrix, dtype=np.float64)
    if array.ndim != 2 or array.shape[0] != array.shape[1]:
        raise InputError(f"the {name} matrix must be square, not of shape {array.shape}")
    if len(array) < least:
        raise InputError(f"the {name} matrix has {len(array):,} rows; at least {least} are needed")
    if not np.isfinite(array).all():
        row, column = np.argwhere(~np.isfinite(array))[0]
        raise InputError(
            f"the {name} matrix holds {array[row, column]} at row {row}, column {column}",
            remedy="Leave that row and column out of every matrix.",
        )
    asymmetry = np.abs(array - array.T)
    if asymmetry.max() > _ROUNDING * np.abs(array).max():
        row, column = np.unravel_index(int(asymmetry.argmax()), array.shape)
        raise InputError(
            f"the {name} matrix is not symmetric: row {row}, column {column} holds "
            f"{array[row, column]:g}, its mirror image {array[column, row]:g}"
        )
    return np.ascontiguousarray(array)
