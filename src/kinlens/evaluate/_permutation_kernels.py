"""Compiled loops behind the matrix tests: permuted inner products, Kendall's tau, permutations.

Everything here works on plain arrays that the public functions have already checked. The loops
release the interpreter lock, and `run_blocks` spreads blocks of permutations over threads.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise

import numba
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from kinlens.typing import FloatArray, IntArray

__all__ = [
    "kendall_sums",
    "permuted_products",
    "run_blocks",
    "shuffle_rows",
    "similarity_permutations",
]

OrderArray = NDArray[np.uint32]
"""Permutations; an unsigned index needs no check for counting from the end, which saves time."""


def run_blocks(task: Callable[[slice], None], count: int, *, cells: int) -> None:
    """Call `task` on slices that cover ``range(count)``, on as many threads as numba may use.

    Parameters
    ----------
    task : callable
        Fills its slice of a result that it holds; must release the interpreter lock to gain.
    count : int
        How many items.
    cells : int
        Work per item, in array elements; small jobs stay on the calling thread.
    """
    # NUMBA_NUM_THREADS is the one knob; it defaults to the cores that this process may use.
    threads = int(vars(numba.config)["NUMBA_NUM_THREADS"])
    if count * cells < 2_000_000:
        threads = 1
    edges = np.linspace(0, count, (4 * threads if threads > 1 else 1) + 1).astype(int).tolist()
    blocks = [slice(start, stop) for start, stop in pairwise(edges) if start < stop]
    # Matrix products inside must not start threads of their own: they would wait for each other.
    with _thread_pools().limit(limits=1, user_api="blas"):
        if threads == 1:
            for block in blocks:
                task(block)
        else:
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(task, blocks))


@cache
def _thread_pools() -> ThreadpoolController:
    """Find the libraries that have thread pools; a search of milliseconds, made once."""
    return ThreadpoolController()


@numba.njit(nogil=True, cache=True, fastmath={"contract"})
def permuted_products(
    matrix: FloatArray, weights: FloatArray, orders: OrderArray, out: FloatArray
) -> None:
    """Fill ``out[m, k]`` with the sum over i < j of ``matrix[q[i], q[j]] * weights[k, i, j]``.

    `matrix` is (n, n) and symmetric, `weights` (K, n, n), ``q = orders[m]``. Four running sums
    keep the processor busy; vector registers would be slower, because collecting scattered
    values into them takes longer than adding them up.
    """
    n = matrix.shape[0]
    for m in range(orders.shape[0]):
        order = orders[m]
        for k in range(weights.shape[0]):
            a = b = c = d = 0.0
            for i in range(n - 1):
                source = matrix[order[i]]
                weight = weights[k, i]
                j = i + 1
                while j + 3 < n:
                    a += source[order[j]] * weight[j]
                    b += source[order[j + 1]] * weight[j + 1]
                    c += source[order[j + 2]] * weight[j + 2]
                    d += source[order[j + 3]] * weight[j + 3]
                    j += 4
                while j < n:
                    a += source[order[j]] * weight[j]
                    j += 1
            out[m, k] = (a + b) + (c + d)


@numba.njit(nogil=True, cache=True)
def kendall_sums(
    ranks: IntArray,
    rows: IntArray,
    columns: IntArray,
    starts: IntArray,
    orders: OrderArray,
) -> FloatArray:
    """Count concordant minus discordant pairs of pairs, Kendall's S, for each permutation.

    Parameters
    ----------
    ranks : array of int, shape (n, n)
        Dense ranks of the first matrix, from 0.
    rows, columns : array of int, shape (n (n - 1) / 2,)
        The pairs, ordered by the second matrix.
    starts : array of int, shape (g + 1,)
        Where each run of ties in the second matrix begins in that order.
    orders : array of uint32, shape (m, n)

    Returns
    -------
    array, shape (m,)

    Notes
    -----
    Runs of ties go into a Fenwick tree of rank counts after all their members have been looked
    up, so that ties in either matrix count neither way.
    """
    n_ranks = ranks.max() + 1
    counts = np.empty(n_ranks + 1, np.int64)
    out = np.empty(orders.shape[0])
    for m in range(orders.shape[0]):
        order = orders[m]
        counts[:] = 0
        seen = 0
        total = 0
        for group in range(starts.size - 1):
            start, stop = starts[group], starts[group + 1]
            for pair in range(start, stop):
                rank = ranks[order[rows[pair]], order[columns[pair]]]
                below = 0
                at = rank
                while at > 0:
                    below += counts[at]
                    at -= at & -at
                equal_or_below = 0
                at = rank + 1
                while at > 0:
                    equal_or_below += counts[at]
                    at -= at & -at
                total += below - (seen - equal_or_below)
            for pair in range(start, stop):
                at = ranks[order[rows[pair]], order[columns[pair]]] + 1
                while at <= n_ranks:
                    counts[at] += 1
                    at += at & -at
            seen += stop - start
        out[m] = total
    return out


@numba.njit(nogil=True, cache=True)
def shuffle_rows(seeds: NDArray[np.uint64], orders: OrderArray) -> None:
    """Put each row of `orders` into a random order that depends on its own seed alone."""
    for m in range(orders.shape[0]):
        state = seeds[m]
        order = orders[m]
        for last in range(order.size - 1, 0, -1):
            state, uniform = _uniform(state)
            pick = int(uniform * (last + 1))
            order[last], order[pick] = order[pick], order[last]


@numba.njit(nogil=True, cache=True)
def similarity_permutations(
    similarity: FloatArray, seeds: NDArray[np.uint64], orders: OrderArray
) -> None:
    """Fill each row of `orders` with a permutation that prefers similar places.

    Items, taken in random order, each draw one of the places still free with a probability
    proportional to ``similarity[item, place]``; ``order[place] = item``. Each row depends on its
    own seed alone. An item that has no similarity to any free place takes one at random.
    """
    n = similarity.shape[0]
    free = np.empty(n, np.int64)
    items = np.empty(n, np.int64)
    for m in range(orders.shape[0]):
        state = seeds[m]
        for i in range(n):
            free[i] = i
            items[i] = i
        for remaining in range(n, 0, -1):
            state, uniform = _uniform(state)
            pick = int(uniform * remaining)
            item = items[pick]
            items[pick] = items[remaining - 1]
            weights = similarity[item]
            slot = -1
            # Rejection needs few tries as long as the item has relatives among the free places;
            # after that, one exact pass over what is left.
            for _ in range(16):
                state, uniform = _uniform(state)
                candidate = int(uniform * remaining)
                state, uniform = _uniform(state)
                if uniform < weights[free[candidate]]:
                    slot = candidate
                    break
            if slot < 0:
                total = 0.0
                for i in range(remaining):
                    total += weights[free[i]]
                state, uniform = _uniform(state)
                if total <= 0.0:
                    slot = int(uniform * remaining)
                else:
                    threshold = uniform * total
                    running = 0.0
                    for i in range(remaining):
                        running += weights[free[i]]
                        if weights[free[i]] > 0.0:
                            slot = i
                        if running > threshold:
                            break
            orders[m, free[slot]] = item
            free[slot] = free[remaining - 1]


@numba.njit(nogil=True, cache=True, inline="always")
def _uniform(state: np.uint64) -> tuple[np.uint64, float]:
    """Advance a SplitMix64 state and return it with a number in [0, 1)."""
    state = state + np.uint64(0x9E3779B97F4A7C15)
    z = state
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return state, (z >> np.uint64(11)) * (1.0 / 9007199254740992.0)
