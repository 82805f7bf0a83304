"""Vectors of pictures to one vector a taxon: means, and means weighted by attention.

Pooling only; which weights a network learns is in `kinship_attention`, and how features are scaled
before they are pooled in `kinship_profiles`. Groups may be species or taxa of any other rank.

Everywhere, `groups` numbers the species of each picture, `n_groups` counts them, and `scores` are
the attention that pictures ask for.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from kinlens.errors import UsageError
from kinlens.typing import FloatArray, IntArray

__all__ = ["attention_pool", "attention_weights", "mean_pool", "unit_rows"]


def mean_pool(values: ArrayLike, groups: ArrayLike, n_groups: int) -> FloatArray:
    """Average the rows of each group.

    Parameters
    ----------
    values : array of float, shape (n, d)
        Vectors of pictures.
    groups : array of int, shape (n,)
        The group of each row, 0 to ``n_groups - 1``.
    n_groups : int
        How many groups there are.

    Returns
    -------
    array of float, shape (n_groups, d)
        Zeros for a group without rows.

    Examples
    --------
    >>> mean_pool([[1.0, 0.0], [3.0, 0.0], [5.0, 1.0]], [0, 0, 2], 3)
    array([[2., 0.],
           [0., 0.],
           [5., 1.]])
    """
    table, member = _checked(values, groups, n_groups)
    return _weighted_sums(table, member, n_groups, np.ones(len(table)))


def attention_weights(scores: ArrayLike, groups: ArrayLike, n_groups: int) -> FloatArray:
    """Turn one score a picture into weights that add up to 1 within each group (softmax).

    Examples
    --------
    >>> attention_weights([0.0, 0.0, 7.0], [0, 0, 1], 2)
    array([0.5, 0.5, 1. ])
    """
    score = np.asarray(scores, dtype=np.float64)
    member = np.asarray(groups, dtype=np.int64)
    if score.shape != member.shape or score.ndim != 1:
        raise UsageError(f"{score.shape} scores and {member.shape} groups do not pair.")
    highest = np.full(n_groups, -np.inf)
    np.maximum.at(highest, member, score)
    weight = np.exp(score - highest[member])
    weight /= np.bincount(member, weight, minlength=n_groups)[member]
    return np.asarray(weight)


def attention_pool(
    values: ArrayLike, scores: ArrayLike, groups: ArrayLike, n_groups: int
) -> FloatArray:
    """Average the rows of each group, weighted by `attention_weights`.

    Parameters
    ----------
    values, groups, n_groups
        As in `mean_pool`.
    scores : array of float, shape (n,)
        Higher counts more; equal scores give the mean.

    Returns
    -------
    array of float, shape (n_groups, d)

    References
    ----------
    Ilse, M., Tomczak, J. & Welling, M. (2018). Attention-based deep multiple instance learning.
    ICML, 2127-2136, equation 8.
    """
    table, member = _checked(values, groups, n_groups)
    return _weighted_sums(table, member, n_groups, attention_weights(scores, member, n_groups))


def unit_rows(values: ArrayLike) -> FloatArray:
    """Scale each row to length 1; a row of zeros stays.

    Examples
    --------
    >>> unit_rows([[3.0, 4.0], [0.0, 0.0]])
    array([[0.6, 0.8],
           [0. , 0. ]])
    """
    table = np.asarray(values, dtype=np.float64)
    length = np.linalg.norm(table, axis=1, keepdims=True)
    return np.asarray(np.divide(table, length, out=np.zeros_like(table), where=length > 0))


def _checked(values: ArrayLike, groups: ArrayLike, n_groups: int) -> tuple[FloatArray, IntArray]:
    table = np.asarray(values, dtype=np.float64)
    member = np.asarray(groups, dtype=np.int64)
    if table.ndim != 2 or member.shape != (len(table),):
        raise UsageError(f"vectors {table.shape} and groups {member.shape} do not pair.")
    if len(member) and not (member.min() >= 0 and member.max() < n_groups):
        raise UsageError(f"groups must be from 0 to {n_groups - 1}.")
    return table, member


def _weighted_sums(
    table: FloatArray, member: IntArray, n_groups: int, weight: FloatArray
) -> FloatArray:
    """Return weighted means by group; a sort makes each group one run that is added up at once."""
    pooled = np.zeros((n_groups, table.shape[1]))
    if not len(table):
        return pooled
    order = np.argsort(member, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(member[order]) > 0])
    found = member[order][starts]
    sums = np.add.reduceat(table[order] * weight[order, None], starts, axis=0)
    pooled[found] = sums / np.add.reduceat(weight[order], starts)[:, None]
    return pooled
