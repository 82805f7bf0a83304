"""Continuous traits evolving down a tree: Brownian motion, pull towards optima, lost signal.

Every process here is Gaussian and passed exactly from parent to child. Nothing here knows what a
trait looks like; that is `simulate.shells`.

Everywhere, `tree` is the tree on which traits evolve.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kinlens.errors import UsageError
from kinlens.records.tree import Tree
from kinlens.typing import FloatArray, IntArray

__all__ = ["Pull", "choose_clades", "evolve_traits", "pull_clades", "with_signal"]


@dataclass(frozen=True, eq=False)
class Pull:
    """Where on the tree traits are drawn to an optimum, and how strongly.

    Parameters
    ----------
    strength : array of float, shape (m,)
        The alpha of the Ornstein-Uhlenbeck process on the branch above each node, per unit of
        branch length; 0 is Brownian motion.
    optimum : array of float, shape (m, n_traits)
        Where each branch is drawn to; ignored where the strength is 0.
    """

    strength: FloatArray
    optimum: FloatArray

    @classmethod
    def everywhere(cls, tree: Tree, strength: float, optimum: FloatArray) -> Pull:
        """Pull every branch towards one `optimum`, shape (n_traits,), with one `strength`."""
        return cls(
            np.full(tree.n_nodes, float(strength)),
            np.broadcast_to(optimum, (tree.n_nodes, len(optimum))),
        )


def evolve_traits(
    tree: Tree,
    n_traits: int,
    rng: np.random.Generator,
    *,
    rate: float = 1.0,
    root: FloatArray | float = 0.0,
    pull: Pull | None = None,
) -> FloatArray:
    """Let independent traits evolve down a tree.

    On a branch of length t with pull a towards the optimum o, a trait x becomes::

        o + (x - o) e^(-at) + sqrt(rate (1 - e^(-2at)) / 2a) N(0, 1)

    which for a = 0 is Brownian motion, x + sqrt(rate t) N(0, 1). Under Brownian motion the
    covariance of two tips is `rate` times the path from the root that they share.

    Parameters
    ----------
    tree : Tree
        Any unit of branch length.
    n_traits : int
        How many traits, independent of each other.
    rng : numpy.random.Generator
        Source of randomness.
    rate : float
        Variance gained per unit of branch length, 0 or more.
    root : float or array of float, shape (n_traits,)
        State at the root.
    pull : Pull, optional
        Ornstein-Uhlenbeck pull; Brownian motion when left out.

    Returns
    -------
    array of float, shape (m, n_traits)
        State at every node, in node order; ``[tree.tips]`` are the species.

    References
    ----------
    Felsenstein (1985) Am. Nat. 125:1. Hansen (1997) Evolution 51:1341.

    Examples
    --------
    >>> tree = Tree.from_parents([-1, 0, 0], [0, 1, 1], ["", "a", "b"])
    >>> evolve_traits(tree, 2, np.random.default_rng(1), rate=0.0, root=3.0)
    array([[3., 3.],
           [3., 3.],
           [3., 3.]])
    """
    if rate < 0:
        raise UsageError(f"rate must be 0 or more, not {rate:g}.")
    strength = np.zeros(tree.n_nodes) if pull is None else pull.strength
    optimum = np.zeros((tree.n_nodes, n_traits)) if pull is None else pull.optimum
    if strength.shape != (tree.n_nodes,) or optimum.shape != (tree.n_nodes, n_traits):
        raise UsageError(
            f"pull must hold {tree.n_nodes} strengths and {tree.n_nodes} x {n_traits} optima, not "
            f"{strength.shape} and {optimum.shape}."
        )
    kept = np.exp(-strength * tree.length)
    # (1 - e^(-2at)) / 2a, which is t in the limit of a = 0.
    exponent = 2 * strength * tree.length
    gained = np.where(exponent > 0, -np.expm1(-exponent), 1.0)
    time = tree.length * np.divide(gained, exponent, out=gained.copy(), where=exponent > 0)
    steps = rng.standard_normal((tree.n_nodes, n_traits)) * np.sqrt(rate * time)[:, None]
    steps += optimum * (1 - kept)[:, None]
    states = np.empty((tree.n_nodes, n_traits))
    states[0] = root
    for node in range(1, tree.n_nodes):
        states[node] = states[tree.parent[node]] * kept[node] + steps[node]
    return states


def with_signal(tree: Tree, signal: float) -> Tree:
    """Return the tree on which traits have only part of their phylogenetic signal.

    Internal branches shrink to `signal` times their length and the branches above the tips grow
    until each tip is as far from the root as before. Covariances between species shrink by the
    same factor and variances stay: this is Pagel's lambda.

    Parameters
    ----------
    tree : Tree
        Any tree.
    signal : float
        Pagel's lambda, 0 (species are independent) to 1 (the tree as it is).

    References
    ----------
    Pagel (1999) Nature 401:877.

    Examples
    --------
    >>> tree = Tree.from_parents([-1, 0, 0, 1, 1], [0, 1, 3, 2, 2], ["", "", "c", "a", "b"])
    >>> with_signal(tree, 0.25).length
    array([0.  , 0.25, 2.75, 2.75, 3.  ])
    """
    if not 0 <= signal <= 1:
        raise UsageError(f"signal must be from 0 to 1, not {signal:g}.")
    depth = tree.depths()
    length = tree.length * signal
    tips = tree.tips[tree.parent[tree.tips] >= 0]
    length[tips] = depth[tips] - signal * depth[tree.parent[tips]]
    return tree.with_lengths(length)


def choose_clades(
    tree: Tree, count: int, rng: np.random.Generator, *, largest_share: float = 0.15
) -> IntArray:
    """Choose clades that do not overlap, each of at least two species where possible.

    The first is drawn at random; each further one is the clade whose common ancestor with those
    already chosen lies deepest, so that they are as little related as the tree allows (ties at
    random).

    Parameters
    ----------
    tree : Tree
        At least two tips.
    count : int
        How many.
    rng : numpy.random.Generator
        Source of randomness.
    largest_share : float
        A clade holds at most this share of the species (but may always be one species).

    Returns
    -------
    array of int, shape (count,)
        The top node of each clade.

    Raises
    ------
    UsageError
        When the tree has no room for so many.
    """
    size = tree.tip_stop - tree.tip_start
    largest = max(1, int(largest_share * tree.n_tips))
    # The largest clades that are small enough: they part the species among them.
    fits = size <= largest
    tops = rng.permutation(np.flatnonzero(fits & ~fits[np.maximum(tree.parent, 0)]))
    if count > len(tops):
        raise UsageError(
            f"the tree has room for {len(tops)} separate clades of up to {largest} species, "
            f"not for {count}."
        )
    if np.count_nonzero(size[tops] > 1) >= count:
        tops = tops[size[tops] > 1]
    chosen: list[int] = []
    while len(chosen) < count:
        kinship = [max((_shared_path(tree, top, old) for old in chosen), default=0) for top in tops]
        farthest = int(np.argmin(kinship))
        chosen.append(int(tops[farthest]))
        tops = np.delete(tops, farthest)
    return np.array(chosen, dtype=np.int64)


def pull_clades(tree: Tree, clades: IntArray, optimum: FloatArray, closeness: float) -> Pull:
    """Draw separate clades towards one common optimum, from the branch above each on.

    Parameters
    ----------
    tree : Tree
        The tree on which the traits evolve.
    clades : array of int
        The top node of each clade.
    optimum : array of float, shape (n_traits,)
        Where all of them go.
    closeness : float
        The share of its way to the optimum that a lineage is expected to have gone by the time
        of the tips, from 0 to below 1.
    """
    if not 0 <= closeness < 1:
        raise UsageError(f"closeness must be at least 0 and below 1, not {closeness:g}.")
    depth = tree.depths()
    strength = np.zeros(tree.n_nodes)
    for top in clades.tolist():
        below = slice(top, int(tree.stop[top]))
        time = depth[below].max() - depth[max(int(tree.parent[top]), 0)]
        if time > 0:
            strength[below] = -np.log1p(-closeness) / time
    return Pull(strength, np.broadcast_to(optimum, (tree.n_nodes, len(optimum))))


def _shared_path(tree: Tree, one: int, other: int) -> float:
    """Return the depth of the last common ancestor of two nodes."""
    ancestor = min(one, other)
    while tree.stop[ancestor] <= max(one, other):
        ancestor = int(tree.parent[ancestor])
    return float(tree.depths()[ancestor])
