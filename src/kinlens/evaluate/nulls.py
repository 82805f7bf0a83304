"""What an observed number is compared with: permutation schemes, p-values, the common result.

A scheme says which reorderings of the objects are equally likely when the null hypothesis holds;
the tests in `matrices`, `association` and `signal` take one. Nulls that evolve traits along a tree
are in `brownian`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kinlens.errors import InputError, UsageError
from kinlens.evaluate._matrix_checks import checked_distances
from kinlens.evaluate._permutation_kernels import (
    run_blocks,
    shuffle_rows,
    similarity_permutations,
)
from kinlens.evaluate._tails import Alternative, tail_share
from kinlens.typing import AnyArray, FloatArray

__all__ = [
    "Alternative",
    "FreePermutation",
    "GroupedPermutation",
    "PermutationScheme",
    "PermutationTest",
    "PhylogeneticPermutation",
]

OrderArray = NDArray[np.uint32]


@dataclass(frozen=True)
class PermutationTest:
    """One statistic beside the null that it was compared with.

    Parameters
    ----------
    name : str
        What was computed.
    statistic : float
        The observed value.
    p_value : float
        (1 + number of null values at least as extreme) / (1 + n_permutations). Values within a
        relative 1e-10 of the observed one are ties and count as extreme. NaN without
        permutations.
    n : int
        Number of objects (species, not pairs of them).
    null_description : str
        What the null worlds were, in words.
    alternative : {"greater", "less", "two-sided"}
    null : numpy.ndarray
        The statistic in each null world, shape (n_permutations,).

    References
    ----------
    Phipson, B. & Smyth, G. K. (2010). Permutation p-values should never be zero. Statistical
    Applications in Genetics and Molecular Biology 9, 39.

    Examples
    --------
    >>> null = np.array([0.1, 0.5, -0.7])
    >>> test = PermutationTest.from_null("r", 0.5, null, n=10, null_description="free")
    >>> test.p_value, test.n_permutations, round(test.null_mean, 3)
    (0.5, 3, -0.033)
    """

    name: str
    statistic: float
    p_value: float
    n: int
    null_description: str
    alternative: Alternative
    null: FloatArray = field(repr=False, compare=False)

    @classmethod
    def from_null(
        cls,
        name: str,
        statistic: float,
        null: FloatArray,
        *,
        n: int,
        null_description: str,
        alternative: Alternative = "greater",
        centre: float = 0.0,
    ) -> PermutationTest:
        """Compare a statistic with its values in null worlds.

        Parameters
        ----------
        name, statistic, null, n, null_description, alternative
            As the fields of `PermutationTest`.
        centre : float
            What the statistic is near when the null hypothesis holds; a two-sided p-value
            compares distances from it.
        """
        p_value = tail_share(statistic, null, alternative, centre=centre)
        return cls(name, float(statistic), p_value, n, null_description, alternative, null)

    @property
    def n_permutations(self) -> int:
        """How many null worlds there were."""
        return len(self.null)

    @property
    def null_mean(self) -> float:
        """Mean of the statistic when the null hypothesis holds; NaN without permutations."""
        return float(self.null.mean()) if len(self.null) else float("nan")

    @property
    def null_low(self) -> float:
        """The 2.5 % quantile of the null; NaN without permutations."""
        return float(np.quantile(self.null, 0.025)) if len(self.null) else float("nan")

    @property
    def null_high(self) -> float:
        """The 97.5 % quantile of the null; NaN without permutations."""
        return float(np.quantile(self.null, 0.975)) if len(self.null) else float("nan")

    @property
    def effect(self) -> float:
        """Distance of the statistic from the null mean, in standard deviations of the null.

        NaN without permutations or when the null does not vary.
        """
        spread = float(self.null.std()) if len(self.null) else 0.0
        return (self.statistic - self.null_mean) / spread if spread > 0 else float("nan")


class PermutationScheme(Protocol):
    """Which reorderings of n objects are as likely as the observed order."""

    @property
    def n(self) -> int:
        """How many objects are reordered."""

    @property
    def description(self) -> str:
        """The null worlds in words, for tables and figure captions."""

    def draw(self, count: int, rng: np.random.Generator) -> OrderArray:
        """Return `count` permutations of ``range(n)``, shape (count, n); entry i moves to i."""


@dataclass(frozen=True)
class FreePermutation:
    """Every order is as likely as any other: the objects are exchangeable.

    Examples
    --------
    >>> FreePermutation(3).draw(2, np.random.default_rng(1)).shape
    (2, 3)
    """

    n: int

    @property
    def description(self) -> str:
        """The null worlds in words."""
        return "all orders of the objects equally likely"

    def draw(self, count: int, rng: np.random.Generator) -> OrderArray:
        """Return `count` permutations, shape (count, n)."""
        return _shuffled(np.arange(self.n, dtype=np.uint32), count, rng)


@dataclass(frozen=True, eq=False)
class GroupedPermutation:
    """Objects change places within their group only, as within a clade or a fold.

    Parameters
    ----------
    groups : array, shape (n,)
        The group of each object; a group of one never moves.

    Raises
    ------
    InputError
        When every group has one member, so that nothing could move.

    Examples
    --------
    >>> GroupedPermutation(np.array(["a", "a", "b"])).draw(1, np.random.default_rng(1))[0, 2]
    np.uint32(2)
    """

    groups: AnyArray

    def __post_init__(self) -> None:
        groups = np.asarray(self.groups)
        if groups.ndim != 1 or len(np.unique(groups)) == len(groups):
            raise InputError("a grouped permutation needs a group with at least two members")
        object.__setattr__(self, "groups", groups)

    @property
    def n(self) -> int:
        """How many objects are reordered."""
        return len(self.groups)

    @property
    def description(self) -> str:
        """The null worlds in words."""
        return f"objects reordered within {len(np.unique(self.groups)):,} groups"

    def draw(self, count: int, rng: np.random.Generator) -> OrderArray:
        """Return `count` permutations, shape (count, n)."""
        orders = np.empty((count, self.n), dtype=np.uint32)
        for group in np.unique(self.groups):
            members = np.flatnonzero(self.groups == group).astype(np.uint32)
            orders[:, members] = _shuffled(members, count, rng)
        return orders


@dataclass(frozen=True, eq=False)
class PhylogeneticPermutation:
    """Species change places with their relatives more often than with strangers.

    Species, taken in random order, each draw one of the places that are still free; place j has
    a probability proportional to ``flatness - d[i, j] / max(d)``.

    Parameters
    ----------
    distances : array of float, shape (n, n)
        Patristic distances, in any unit.
    flatness : float
        1 (the default, used by Harmon & Glor) never swaps the two most distant species directly;
        large values approach `FreePermutation`. At least 1.

    Notes
    -----
    The scheme lowers the false positives of the Mantel test between two traits that evolved on
    one tree, but it does not bring them down to the nominal level: see `contrasts.contrast_test`
    for one that does.

    References
    ----------
    Lapointe, F.-J. & Garland, T. (2001). A generalized permutation model for the analysis of
    cross-species data. Journal of Classification 18, 109-127.
    Harmon, L. J. & Glor, R. E. (2010). Poor statistical performance of the Mantel test in
    phylogenetic comparative analyses. Evolution 64, 2173-2178.

    Examples
    --------
    >>> d = np.array([[0, 1, 2], [1, 0, 2], [2, 2, 0.0]])
    >>> PhylogeneticPermutation(d).draw(4, np.random.default_rng(1)).shape
    (4, 3)
    """

    distances: FloatArray
    flatness: float = 1.0

    def __post_init__(self) -> None:
        distances = checked_distances(self.distances, "tree distance", least=2)
        if not 1 <= self.flatness < np.inf:
            raise UsageError(f"flatness must be 1 or more, not {self.flatness}.")
        if not distances.max() > 0:
            raise InputError("all tree distances are 0, so that no relative is nearer than others")
        object.__setattr__(self, "distances", distances)

    @property
    def n(self) -> int:
        """How many species are reordered."""
        return len(self.distances)

    @property
    def description(self) -> str:
        """The null worlds in words."""
        return f"relatives change places more often (flatness {self.flatness:g})"

    def draw(self, count: int, rng: np.random.Generator) -> OrderArray:
        """Return `count` permutations, shape (count, n)."""
        similarity = 1 - self.distances / (self.flatness * self.distances.max())
        seeds = _seeds(count, rng)
        orders = np.empty((count, self.n), dtype=np.uint32)

        def fill(block: slice) -> None:
            similarity_permutations(similarity, seeds[block], orders[block])

        run_blocks(fill, count, cells=8 * self.n)
        return orders


def _shuffled(items: OrderArray, count: int, rng: np.random.Generator) -> OrderArray:
    """Return `items` in `count` random orders, each equally likely."""
    orders = np.tile(items, (count, 1))
    shuffle_rows(_seeds(count, rng), orders)
    return orders


def _seeds(count: int, rng: np.random.Generator) -> NDArray[np.uint64]:
    """Draw one seed for each permutation, so that blocks and threads change nothing."""
    return rng.integers(0, 2**64, size=count, dtype=np.uint64)
