"""From two matrices to the null of their inner product: what the permutation tests share."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from kinlens.errors import UsageError
from kinlens.evaluate._matrix_checks import checked_permutations
from kinlens.evaluate._permutation_kernels import permuted_products, run_blocks
from kinlens.evaluate.nulls import (
    Alternative,
    FreePermutation,
    PermutationScheme,
    PermutationTest,
)
from kinlens.typing import FloatArray

__all__ = ["drawn_blocks", "null_test", "permuted_sums", "scheme_for"]

# Indices held at a time: 32 MiB of them.
_BLOCK_INDICES = 8_000_000


def scheme_for(scheme: PermutationScheme | None, n: int, permutations: int) -> PermutationScheme:
    """Return `scheme`, free permutation when it is None; refuse what n objects cannot have."""
    checked_permutations(permutations)
    if scheme is None:
        return FreePermutation(n)
    if scheme.n != n:
        raise UsageError(f"the scheme permutes {scheme.n:,} objects, but the data have {n:,}.")
    return scheme


def drawn_blocks(
    scheme: PermutationScheme, count: int, rng: np.random.Generator
) -> Iterator[tuple[slice, NDArray[np.uint32]]]:
    """Yield where each block of permutations stands, and the block, shape (b, n)."""
    size = max(1, _BLOCK_INDICES // scheme.n)
    for start in range(0, count, size):
        stop = min(start + size, count)
        yield slice(start, stop), scheme.draw(stop - start, rng)


def permuted_sums(
    matrix: FloatArray,
    weights: FloatArray,
    scheme: PermutationScheme,
    permutations: int,
    rng: np.random.Generator,
    *,
    with_diagonal: bool = False,
) -> FloatArray:
    """Sum ``matrix[q[i], q[j]] * weights[k, i, j]`` over pairs for every permutation q.

    Parameters
    ----------
    matrix : array, shape (n, n)
        Symmetric; the one whose rows and columns are reordered together.
    weights : array, shape (K, n, n)
        Symmetric.
    scheme : PermutationScheme
    permutations : int
    rng : numpy.random.Generator
    with_diagonal : bool
        Sum over all i and j instead of over i < j.

    Returns
    -------
    array, shape (permutations, K)
    """
    weights = np.ascontiguousarray(weights)
    sums = np.empty((permutations, len(weights)))
    for place, orders in drawn_blocks(scheme, permutations, rng):
        out = sums[place]

        def fill(block: slice, orders: NDArray[np.uint32] = orders, out: FloatArray = out) -> None:
            permuted_products(matrix, weights, orders[block], out[block])

        run_blocks(fill, len(orders), cells=scheme.n**2 // 2)
        if with_diagonal:
            out *= 2
            out += np.diagonal(matrix)[orders] @ np.diagonal(weights, axis1=1, axis2=2).T
    return sums


def null_test(
    name: str,
    statistic: float,
    null: FloatArray,
    *,
    scheme: PermutationScheme,
    alternative: Alternative,
) -> PermutationTest:
    """Put a statistic and its null together with the p-value."""
    return PermutationTest.from_null(
        name,
        statistic,
        null,
        n=scheme.n,
        null_description=scheme.description,
        alternative=alternative,
    )
