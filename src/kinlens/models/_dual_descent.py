"""Compiled dual coordinate descent for many linear support vector machines on one Gram matrix.

Sixteen genes are solved side by side, one in each lane of a vector register: they share the rows
of the Gram matrix, and a row that changes no coefficient of any of them costs nothing.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from kinlens.geometry.compiled import compiled
from kinlens.models._lanes import LANES, add_scaled_rows, visit
from kinlens.typing import AnyArray, IntArray

__all__ = ["descend"]

_reordered = partial(compiled, fastmath={"contract", "reassoc", "nsz"})


@_reordered
def descend(
    gram: AnyArray,
    target: AnyArray,
    cap: AnyArray,
    order: IntArray,
    tolerance: float,
    signed: AnyArray,
    bias: AnyArray,
) -> None:
    r"""Solve one support vector machine a column, in place.

    Minimises :math:`\frac12 a' Q a - \sum a` with :math:`Q_{ik} = y_i y_k K_{ik}`,
    :math:`0 \le a_i \le c_i` and :math:`\sum y_i a_i = 0`; the last by the method of multipliers,
    whose multiplier is the intercept.

    Parameters
    ----------
    gram : array, shape (m, m)
        Symmetric.
    target, cap : array, shape (m, n_genes)
        y, -1 or 1, and c; a row with cap 0 takes no part.
    order : array of int, shape (n_sweeps, m)
        In which order rows are visited, sweep by sweep; as many sweeps at the most.
    tolerance : float
        Largest violation of the optimality conditions at which a gene is solved.
    signed : array, shape (m, n_genes)
        y times a on return; zeros on entry.
    bias : array, shape (n_genes,)
        The intercept on return; zeros on entry.
    """
    m, n_genes = target.shape
    kind = gram.dtype.type
    # The pull on the equality constraint is about as strong as that of one row on itself.
    pull = np.trace(gram) / kind(m)
    numbers = np.zeros(2, gram.dtype)
    numbers[0] = pull
    flat = gram.ravel()
    sign, most, dual, score = (
        np.zeros((m, LANES), gram.dtype),
        np.zeros((m, LANES), gram.dtype),
        np.zeros((m, LANES), gram.dtype),
        np.zeros((m, LANES), gram.dtype),
    )
    shared = np.zeros((4, LANES), gram.dtype)  # intercept, sum of y a, step, largest change
    step = shared[2:3]
    for start in range(0, n_genes, LANES):
        width = min(LANES, n_genes - start)
        sign[:], most[:], dual[:], score[:], shared[:] = kind(1), kind(0), kind(0), kind(0), kind(0)
        sign[:, :width] = target[:, start : start + width]
        most[:, :width] = cap[:, start : start + width]
        for sweep in range(order.shape[0]):
            shared[3] = kind(0)
            for place in range(m):
                row = order[sweep, place]
                numbers[1] = kind(1) / (gram[row, row] + pull)
                if visit(row, sign, most, dual, score, shared, numbers):
                    add_scaled_rows(score, flat, row * m, m, step)
            largest = max(shared[3].max(), np.abs(shared[1]).max())
            shared[0] += pull * shared[1]
            if largest * pull < tolerance:
                break
        bias[start : start + width] = shared[0, :width]
        signed[:, start : start + width] = (sign * dual)[:, :width]
