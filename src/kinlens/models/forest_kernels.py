"""Growing classification trees at a cost that does not depend on the number of classes.

Only arrays in and out; the estimators are in `forest`. Gini impurity is updated sample by sample:
moving one of class c changes a sum of squared counts by 2 count_c + 1, whatever the other classes.
"""

from __future__ import annotations

import numpy as np

from kinlens.geometry.compiled import compiled
from kinlens.typing import AnyArray, FloatArray, IntArray

__all__ = ["N_BINS", "add_votes", "grow_tree"]

N_BINS = 256
"""Most steps of a feature."""

# From this many samples on, counting them by step beats sorting by insertion.
_COUNT_FROM = 48


@compiled
def grow_tree(  # noqa: PLR0915 - one loop over nodes; its parts share too much state to be apart
    steps: AnyArray,
    labels: IntArray,
    weights: IntArray,
    n_classes: int,
    n_candidates: int,
    seed: int,
) -> tuple[AnyArray, AnyArray, AnyArray, AnyArray, AnyArray, AnyArray]:
    """Grow one tree until its leaves are pure or cannot be split.

    Parameters
    ----------
    steps : array of uint8, shape (n_features, n)
        Each sample's step on each feature, in the order of the feature's values.
    labels : IntArray of shape (n,)
        Classes from 0.
    weights : IntArray of shape (n,)
        How often each sample was drawn; 0 leaves it out.
    n_classes : int
        Number of classes.
    n_candidates : int
        Features tried at each node, those constant in the node not counted.
    seed : int
        Decides which features are tried.

    Returns
    -------
    feature : array of shape (n_nodes,)
        Feature of each node, -1 for a leaf.
    cut : array of shape (n_nodes, 2)
        The steps present on either side of the node's cut.
    child : array of shape (n_nodes, 2)
        Nodes below and above the cut; for a leaf, the bounds of its entries.
    entry_class, entry_share : arrays of shape (n_entries,)
        Classes in the leaves and their shares.
    gain : array of shape (n_features,)
        Decrease of impurity that each feature brought, weighted by samples.
    """
    n_features = len(steps)
    rows = np.flatnonzero(weights)
    m = len(rows)
    feature = np.full(2 * m, -1, np.int64)
    cut = np.zeros((2 * m, 2), np.int64)
    child = np.zeros((2 * m, 2), np.int64)
    entry_class = np.empty(m, np.int64)
    entry_share = np.empty(m, np.float64)
    gain = np.zeros(n_features, np.float64)
    # Class and weight of each row in one number, kept in the order of `rows`.
    load = (labels[rows] << 32) + weights[rows]
    count = np.zeros(n_classes, np.float64)
    left = np.zeros(n_classes, np.float64)
    order = np.arange(n_features)
    key = np.empty(m, np.uint8)
    sorted_load = np.empty(m, np.int64)
    waiting = np.zeros((2 * m, 3), np.int64)  # nodes still to be done: start, stop, number
    waiting[0, 1] = m
    n_waiting, n_nodes, n_entries = 1, 1, 0
    state = np.uint64(seed) * np.uint64(2654435769) + np.uint64(88172645463325252)
    while n_waiting > 0:
        n_waiting -= 1
        start, stop, node = waiting[n_waiting]
        total, squares = _count(load[start:stop], count)
        best_score, best, best_cut = -1.0, -1, (0, 0)
        tried, untried = 0, n_features
        if squares == total * total:
            untried = 0
        while untried > 0 and tried < n_candidates:
            state ^= state << np.uint64(13)
            state ^= state >> np.uint64(7)
            state ^= state << np.uint64(17)
            pick = np.int64(state % np.uint64(untried))
            untried -= 1
            chosen = order[pick]
            order[pick] = order[untried]
            order[untried] = chosen
            step = steps[chosen]
            smallest = largest = step[rows[start]]
            for i in range(start, stop):
                key[i - start] = step[rows[i]]
                smallest = min(smallest, key[i - start])
                largest = max(largest, key[i - start])
            if smallest == largest:
                continue
            tried += 1
            score, low, high = _best_cut(
                key[: stop - start], load[start:stop], sorted_load, count, left, total, squares
            )
            if score > best_score:
                best_score, best, best_cut = score, chosen, (low, high)
        if best < 0:
            child[node, 0] = n_entries
            n_entries = _add_leaf(
                load[start:stop], total, squares, entry_class, entry_share, n_entries
            )
            child[node, 1] = n_entries
        else:
            gain[best] += best_score - squares / total
            middle = _part(steps[best], best_cut[0], rows, load, start, stop)
            feature[node] = best
            cut[node, 0], cut[node, 1] = best_cut
            for side, (begin, end) in enumerate(((start, middle), (middle, stop))):
                child[node, side] = n_nodes
                waiting[n_waiting, 0], waiting[n_waiting, 1] = begin, end
                waiting[n_waiting, 2] = n_nodes
                n_waiting += 1
                n_nodes += 1
        for i in range(start, stop):
            count[load[i] >> 32] = 0.0
    return (
        feature[:n_nodes].copy(),
        cut[:n_nodes].copy(),
        child[:n_nodes].copy(),
        entry_class[:n_entries].copy(),
        entry_share[:n_entries].copy(),
        gain,
    )


@compiled
def _count(load: IntArray, count: FloatArray) -> tuple[float, float]:
    """Count each class's samples, and return their number and the sum of squared counts."""
    total = 0.0
    squares = 0.0
    for item in load:
        weight = float(item & 0xFFFFFFFF)
        squares += weight * (2 * count[item >> 32] + weight)
        count[item >> 32] += weight
        total += weight
    return total, squares


@compiled
def _best_cut(
    key: AnyArray,
    load: IntArray,
    sorted_load: IntArray,
    count: FloatArray,
    left: FloatArray,
    total: float,
    squares: float,
) -> tuple[float, int, int]:
    """Return the best cut's score (the larger the purer) and the steps on either side of it."""
    size = len(key)
    bound = np.zeros(N_BINS + 1, np.int64)
    if size < _COUNT_FROM:
        sorted_load[:size] = load
        for i in range(1, size):
            moved, item = key[i], load[i]
            j = i - 1
            while j >= 0 and key[j] > moved:
                key[j + 1], sorted_load[j + 1] = key[j], sorted_load[j]
                j -= 1
            key[j + 1], sorted_load[j + 1] = moved, item
    else:
        for i in range(size):
            bound[np.int64(key[i]) + 1] += 1
        for step in range(N_BINS):
            bound[step + 1] += bound[step]
        for i in range(size):
            sorted_load[bound[key[i]]] = load[i]
            bound[key[i]] += 1
        # Each bound now is where its step ends, so the sorted keys need not be written sample
        # by sample.
        begin = 0
        for step in range(N_BINS):
            key[begin : bound[step]] = step
            begin = int(bound[step])
    best, low, high = -1.0, 0, 0
    left_total, left_squares, right_squares = 0.0, 0.0, squares
    for i in range(size - 1):
        kind = sorted_load[i] >> 32
        weight = float(sorted_load[i] & 0xFFFFFFFF)
        left_squares += weight * (2 * left[kind] + weight)
        right_squares += weight * (weight - 2 * (count[kind] - left[kind]))
        left[kind] += weight
        left_total += weight
        if key[i] != key[i + 1]:
            score = left_squares / left_total + right_squares / (total - left_total)
            if score > best:
                best, low, high = score, int(key[i]), int(key[i + 1])
    for i in range(size):
        left[sorted_load[i] >> 32] = 0.0
    return best, low, high


@compiled
def _add_leaf(
    load: IntArray,
    total: float,
    squares: float,
    entry_class: IntArray,
    entry_share: FloatArray,
    n_entries: int,
) -> int:
    """Write the leaf's entries: one for a pure leaf, one a sample otherwise."""
    if squares == total * total:
        entry_class[n_entries], entry_share[n_entries] = load[0] >> 32, 1.0
        return n_entries + 1
    for item in load:
        entry_class[n_entries] = item >> 32
        entry_share[n_entries] = float(item & 0xFFFFFFFF) / total
        n_entries += 1
    return n_entries


@compiled
def _part(step: AnyArray, low: int, rows: IntArray, load: IntArray, start: int, stop: int) -> int:
    """Bring samples up to step `low` to the front, and return where the others begin."""
    i, j = start, stop - 1
    while i <= j:
        if step[rows[i]] <= low:
            i += 1
        else:
            rows[i], rows[j] = rows[j], rows[i]
            load[i], load[j] = load[j], load[i]
            j -= 1
    return i


@compiled
def add_votes(
    X: AnyArray,
    feature: IntArray,
    threshold: FloatArray,
    child: IntArray,
    entry_class: IntArray,
    entry_share: FloatArray,
    votes: FloatArray,
) -> None:
    """Add one tree's class shares for each row of X, shape (n, n_features), to `votes`."""
    for i in range(X.shape[0]):
        node = 0
        while feature[node] >= 0:
            node = child[node, 0 if X[i, feature[node]] <= threshold[node] else 1]
        for entry in range(child[node, 0], child[node, 1]):
            votes[i, entry_class[entry]] += entry_share[entry]
