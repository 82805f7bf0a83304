"""Compiled loops over a tree: contrasts of rows, the way back, and correlations of evolved traits.

Going up, nodes are taken in reverse preorder, and each joins its estimate to that of the sisters
that came before it; the way back undoes the joins in preorder. Polytomies are joined one sister
after the other, which is the same as resolving them with branches of length zero.

A tree with its joins is two arrays over the m nodes. ``nodes`` (m, 3) holds the parent, the row of
the contrast that the node's join makes (-1 when it is the first below its parent), and the row of
the values that belongs to a tip (-1 for other nodes). ``joins`` (m, 2) holds the weight of the
node's estimate in the joined one, and the standard deviation of the raw contrast (0 where two
zero-length paths meet).
"""

from __future__ import annotations

import numba
import numpy as np

from kinlens.typing import FloatArray, IntArray

__all__ = [
    "correlate_evolved_contrasts",
    "correlate_flipped_contrasts",
    "correlate_traits",
    "expand_rows",
    "plan_contrasts",
    "take_contrasts",
]

# Sums may be reordered (that is what lets them use vector registers), nothing else is relaxed.
_SUMS = {"reassoc", "contract", "nsz"}


@numba.njit(nogil=True, cache=True)
def plan_contrasts(nodes: IntArray, length: FloatArray, joins: FloatArray) -> float:
    """Fill in the joins for branches of these lengths, and the rows of the contrasts in `nodes`.

    Returns the logarithms of the variances of the raw contrasts, summed; -inf when one is 0.
    """
    m = length.size
    variance = np.zeros(m)
    is_open = np.zeros(m, np.bool_)
    contrast = 0
    total = 0.0
    for node in range(m - 1, 0, -1):
        above = nodes[node, 0]
        own = variance[node] + length[node]
        if not is_open[above]:
            is_open[above] = True
            variance[above] = own
            nodes[node, 1] = -1
        else:
            both = variance[above] + own
            nodes[node, 1] = contrast
            contrast += 1
            joins[node, 1] = np.sqrt(both)
            if both > 0.0:
                joins[node, 0] = variance[above] / both
                variance[above] = variance[above] * own / both
                total += np.log(both)
            else:
                joins[node, 0] = 0.5
                variance[above] = 0.0
                total = -np.inf
    return total


@numba.njit(nogil=True, cache=True, fastmath=_SUMS)
def take_contrasts(nodes: IntArray, joins: FloatArray, values: FloatArray) -> FloatArray:
    """Return the standardised contrasts of `values`, shape (n, p) to (n - 1, p)."""
    m = nodes.shape[0]
    n, p = values.shape
    estimate = np.empty((m, p))
    contrasts = np.empty((n - 1, p))
    for node in range(m):
        if nodes[node, 2] >= 0:
            estimate[node] = values[nodes[node, 2]]
    for node in range(m - 1, 0, -1):
        own = estimate[node]
        above = estimate[nodes[node, 0]]
        if nodes[node, 1] < 0:
            above[:] = own
        else:
            target = contrasts[nodes[node, 1]]
            weight = joins[node, 0]
            inverse = 1.0 / joins[node, 1]
            for j in range(p):
                difference = above[j] - own[j]
                target[j] = difference * inverse
                above[j] -= weight * difference
    return contrasts


@numba.njit(nogil=True, cache=True, fastmath=_SUMS)
def expand_rows(
    nodes: IntArray,
    joins: FloatArray,
    contrasts: FloatArray,
    estimate: FloatArray,
    values: FloatArray,
) -> None:
    """Fill `values` (n, p) with traits that have these contrasts and a root estimate of 0.

    `estimate` (m, p) is work space.
    """
    p = contrasts.shape[1]
    estimate[0] = 0.0
    for node in range(1, nodes.shape[0]):
        own = estimate[node]
        above = estimate[nodes[node, 0]]
        if nodes[node, 1] < 0:
            own[:] = above
        else:
            source = contrasts[nodes[node, 1]]
            up = joins[node, 0] * joins[node, 1]
            down = (1.0 - joins[node, 0]) * joins[node, 1]
            for j in range(p):
                own[j] = above[j] - down * source[j]
                above[j] += up * source[j]
        if nodes[node, 2] >= 0:
            values[nodes[node, 2]] = own


@numba.njit(nogil=True, cache=True, fastmath=_SUMS)
def _gram_correlation(gram: FloatArray, weights: FloatArray) -> float:
    """Correlate the distances of a Gram matrix with pairs that are centred and of length 1."""
    n = gram.shape[0]
    total = 0.0
    squares = 0.0
    product = 0.0
    diagonal = np.empty(n)
    for i in range(n):
        diagonal[i] = gram[i, i]
    for i in range(n - 1):
        own = gram[i]
        weight = weights[i]
        base = diagonal[i]
        row_total = 0.0
        row_squares = 0.0
        row_product = 0.0
        for j in range(i + 1, n):
            # Distances that are not Euclidean can turn out slightly negative when redrawn.
            square = max(base + diagonal[j] - 2.0 * own[j], 0.0)
            distance = np.sqrt(square)
            row_total += distance
            row_squares += square
            row_product += distance * weight[j]
        total += row_total
        squares += row_squares
        product += row_product
    spread = squares - total * total / (0.5 * n * (n - 1))
    return product / np.sqrt(spread) if spread > 0.0 else 0.0


@numba.njit(nogil=True, cache=True)
def correlate_traits(traits: FloatArray, weights: FloatArray) -> FloatArray:
    """Correlate distances of traits (b, n, k) with pairs (n, n), centred and of length 1."""
    out = np.empty(traits.shape[0])
    for b in range(traits.shape[0]):
        # One product of matrices is faster than differences of coordinates even for one axis.
        out[b] = _gram_correlation(np.dot(traits[b], traits[b].T), weights)
    return out


@numba.njit(nogil=True, cache=True)
def correlate_evolved_contrasts(
    nodes: IntArray, joins: FloatArray, contrasts: FloatArray, weights: FloatArray
) -> FloatArray:
    """Evolve contrasts (b, n - 1, k) to the tips, and correlate the distances with `weights`."""
    n = weights.shape[0]
    k = contrasts.shape[2]
    out = np.empty(contrasts.shape[0])
    estimate = np.empty((nodes.shape[0], k))
    values = np.empty((n, k))
    for b in range(contrasts.shape[0]):
        expand_rows(nodes, joins, contrasts[b], estimate, values)
        out[b] = _gram_correlation(np.dot(values, values.T), weights)
    return out


@numba.njit(nogil=True, cache=True, fastmath=_SUMS)
def correlate_flipped_contrasts(
    nodes: IntArray,
    joins: FloatArray,
    products: FloatArray,
    signs: FloatArray,
    weights: FloatArray,
) -> FloatArray:
    """Flip contrasts, evolve them back to the tips, and correlate the distances with `weights`.

    Parameters
    ----------
    nodes, joins : arrays, shape (m, 3) and (m, 2)
    products : array, shape (c, c)
        Inner products of the observed contrasts.
    signs : array, shape (b, c)
        1 or -1, one row per null world.
    weights : array, shape (n, n)
        Pairs of the other matrix, centred and of length 1.

    Returns
    -------
    array, shape (b,)
    """
    m = nodes.shape[0]
    n = weights.shape[0]
    c = products.shape[0]
    out = np.empty(signs.shape[0])
    flipped = np.empty((c, c))
    half = np.empty((n, c))
    turned = np.empty((c, n))
    gram = np.empty((n, n))
    wide = np.empty((m, c))
    narrow = np.empty((m, n))
    for b in range(signs.shape[0]):
        sign = signs[b]
        for i in range(c):
            for j in range(c):
                flipped[i, j] = products[i, j] * (sign[i] * sign[j])
        expand_rows(nodes, joins, flipped, wide, half)
        for i in range(n):
            for j in range(c):
                turned[j, i] = half[i, j]
        expand_rows(nodes, joins, turned, narrow, gram)
        out[b] = _gram_correlation(gram, weights)
    return out
