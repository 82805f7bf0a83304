"""Which rows belong together: specimens, copies, clades and clusters as numbers.

Decides nothing about parts; `splits` and `folds` do, and keep whole what is numbered here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import squareform

from kinlens.errors import InputError, UsageError
from kinlens.typing import AnyArray, FloatArray, IntArray

__all__ = [
    "GroupCodes",
    "distance_clusters",
    "group_codes",
    "join_groups",
    "shuffled_strata",
    "unit_codes",
]


@dataclass(frozen=True, eq=False)
class GroupCodes:
    """Labels as numbers.

    Parameters
    ----------
    codes : IntArray of shape (n_rows,)
        Number of each row's label, from 0 in order of appearance; -1 where nothing is named.
    names : tuple
        The label behind each number.
    """

    codes: IntArray
    names: tuple[Any, ...]


def group_codes(values: Iterable[Any], *, n_rows: int | None = None) -> GroupCodes:
    """Give labels numbers in order of appearance, -1 to those that name nothing.

    Blanks, None, NaN and negative integers name nothing.

    Parameters
    ----------
    values : iterable
        One label a row.
    n_rows : int, optional
        How many there must be.

    Returns
    -------
    GroupCodes
        Numbers, and the label behind each.

    Examples
    --------
    >>> group_codes(["b", "", "a", "b"]).codes.tolist()
    [0, -1, 1, 0]
    """
    if isinstance(values, np.ndarray) and values.dtype.kind in "iu":
        series, blank = pd.Series(values), pd.Series(values < 0)
    else:
        series = pd.Series(list(values), dtype=object)
        blank = series.map(_names_nothing).astype(bool)
    if n_rows is not None and len(series) != n_rows:
        raise UsageError(f"{len(series)} labels for {n_rows} rows.")
    codes = np.full(len(series), -1, np.int64)
    known, names = pd.factorize(series[~blank])
    codes[~blank.to_numpy()] = known
    return GroupCodes(codes, tuple(names))


def unit_codes(groups: Iterable[Any] | None, *, n_rows: int) -> IntArray:
    """Give every row the number of its independent unit: its group, or itself when it names none.

    Parameters
    ----------
    groups : iterable of length n_rows, optional
        Labels; every row is its own unit when left out.
    n_rows : int
        Number of rows.

    Returns
    -------
    IntArray of shape (n_rows,)
        Numbers from 0, none left out.

    Examples
    --------
    >>> unit_codes(["a", "", "a", ""], n_rows=4).tolist()
    [0, 1, 0, 2]
    """
    if groups is None:
        return np.arange(n_rows)
    numbered = group_codes(groups, n_rows=n_rows)
    codes = numbered.codes.copy()
    alone = np.flatnonzero(codes < 0)
    codes[alone] = len(numbered.names) + np.arange(alone.size)
    return codes


def _names_nothing(value: Any) -> bool:
    if isinstance(value, str):
        return not value.strip()
    if isinstance(value, int | np.integer):
        return bool(value < 0)
    return bool(pd.isna(value))


def join_groups(n_rows: int, *labels: Iterable[Any] | None) -> IntArray:
    """Give rows group numbers, joining whatever any of the labellings joins.

    Two rows with the same specimen are together, two copies are together, and so is everything
    that these links connect.

    Parameters
    ----------
    n_rows : int
        Number of rows.
    *labels : iterables of length n_rows, or None
        Labellings such as specimens and duplicate groups. "", None, NaN and negative integers
        join nothing; a labelling of None is passed over.

    Returns
    -------
    IntArray of shape (n_rows,)
        Group numbers from 0, in order of first appearance.

    Examples
    --------
    >>> join_groups(4, ["a", "a", "b", ""], [-1, 7, 7, -1]).tolist()
    [0, 0, 0, 1]
    """
    ends: list[AnyArray] = [np.arange(n_rows)]
    starts: list[AnyArray] = [np.arange(n_rows)]
    for values in labels:
        if values is None:
            continue
        codes = group_codes(values, n_rows=n_rows).codes
        rows = np.flatnonzero(codes >= 0)
        # Every row is linked to the first row of its group: a star joins as well as a clique.
        first = np.full(codes.max(initial=-1) + 1, n_rows)
        np.minimum.at(first, codes[rows], rows)
        starts.append(rows)
        ends.append(first[codes[rows]])
    start, end = np.concatenate(starts), np.concatenate(ends)
    graph = coo_matrix((np.ones(len(start), bool), (start, end)), shape=(n_rows, n_rows))
    _n, component = connected_components(graph, directed=False)
    return group_codes(component).codes


def distance_clusters(distances: FloatArray, n_clusters: int) -> IntArray:
    """Cluster things by a distance matrix, to hold out whole clusters with `clade_split`.

    Average linkage, cut at `n_clusters`. Memory grows with the square of n.

    Parameters
    ----------
    distances : FloatArray of shape (n, n)
        Symmetric, zero diagonal, finite.
    n_clusters : int
        1 to n; ties in the linkage may give fewer.

    Returns
    -------
    IntArray of shape (n,)
        Cluster numbers from 0, in order of first appearance.

    Examples
    --------
    >>> points = np.array([0.0, 1.0, 10.0, 11.0])
    >>> distance_clusters(abs(points[:, None] - points), 2).tolist()
    [0, 0, 1, 1]
    """
    distances = np.asarray(distances, dtype=np.float64)
    n = len(distances)
    if distances.shape != (n, n) or not np.isfinite(distances).all():
        raise InputError("clusters need a square matrix of finite distances")
    if not np.allclose(distances, distances.T) or np.any(np.diag(distances) != 0):
        raise InputError("clusters need a symmetric matrix with a zero diagonal")
    if not 1 <= n_clusters <= n:
        raise UsageError(f"n_clusters must be from 1 to {n}, not {n_clusters}.")
    if n == 1:
        return np.zeros(1, np.int64)
    joined = linkage(squareform(distances, checks=False), method="average")
    labels = fcluster(joined, n_clusters, criterion="maxclust")
    return group_codes(labels).codes


def _group_strata(groups: IntArray, strata: IntArray) -> IntArray:
    """Return the commonest stratum of each group, the first to appear among equals; -1: none."""
    known = strata >= 0
    pairs = np.column_stack([groups[known], strata[known]])
    distinct, counts = np.unique(pairs, axis=0, return_counts=True)
    order = np.lexsort((distinct[:, 1], -counts, distinct[:, 0]))
    best, first = np.unique(distinct[order, 0], return_index=True)
    of_group = np.full(int(groups.max(initial=-1)) + 1, -1, np.int64)
    of_group[best] = distinct[order[first], 1]
    return of_group


def shuffled_strata(groups: IntArray, strata: IntArray, rng: np.random.Generator) -> list[IntArray]:
    """Return the groups of each stratum, both strata and groups in random order.

    Parameters
    ----------
    groups : IntArray of shape (n_rows,)
        Numbers from 0, none left out.
    strata : IntArray of shape (n_rows,)
        Numbers from 0; -1 for rows that take no part. A group that spans strata counts as one of
        its commonest stratum.
    rng : numpy.random.Generator
        Decides the order.
    """
    stratum = _group_strata(groups, strata)
    order = rng.permutation(len(stratum))
    order = order[stratum[order] >= 0]
    order = order[np.argsort(stratum[order], kind="stable")]
    bounds = np.flatnonzero(np.diff(stratum[order])) + 1
    members = np.split(order, bounds)
    return [members[i] for i in rng.permutation(len(members))]
