"""Pictures of species that nobody told of: whether they are new, and on which branch they belong.

A newcomer may hang from the middle of any branch, the longer the likelier, on a twig that reaches
as far as the tips do. Its density there comes from what the tree says about that point.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logsumexp

from kinlens.errors import UsageError
from kinlens.models.evolving_means import Evolution, infer_states
from kinlens.models.gaussian_density import log_densities
from kinlens.records.tree import Tree
from kinlens.typing import FloatArray, IntArray

__all__ = ["Newcomers", "place_newcomers"]


@dataclass(frozen=True, eq=False)
class Newcomers:
    """What pictures say when their species may be none of the known.

    Parameters
    ----------
    log_odds : array of float, shape (n,)
        Log of the density of a newcomer anywhere on the tree over that of a known species, all
        places and all species taken as equally likely.
    node : array of int, shape (n,)
        The branch where the picture fits best, by the node at its lower end.
    log_support : array of float, shape (n,)
        Log of the posterior of that branch among all branches.
    tree : Tree
        Whose branches these are.
    """

    log_odds: FloatArray
    node: IntArray
    log_support: FloatArray
    tree: Tree

    def probability(self, prior: float = 0.05, *, slope: float = 1.0) -> FloatArray:
        """Return the probability that a picture shows none of the species, shape (n,).

        Parameters
        ----------
        prior : float
            The share of newcomers that is expected, between 0 and 1.
        slope : float
            By which log odds are scaled: the slope of the calibration of the known species.
        """
        if not 0 < prior < 1:
            raise UsageError(f"prior must be between 0 and 1, not {prior}.")
        return np.asarray(expit(slope * self.log_odds + np.log(prior) - np.log1p(-prior)))


def place_newcomers(
    points: FloatArray,
    known: FloatArray,
    tree: Tree,
    tips: IntArray,
    means: FloatArray,
    noise: FloatArray,
    evolution: Evolution,
    *,
    spread: float = 1.0,
) -> Newcomers:
    """Compare every picture with a newcomer at the middle of every branch.

    Parameters
    ----------
    points : array of float, shape (n, k)
        Pictures, on axes where those of one species have variance 1.
    known : array of float, shape (n, n_species)
        Their log densities under the known species.
    tree, tips, means, noise, evolution
        As for `kinlens.models.evolving_means.infer_states`.
    spread : float
        Variance of pictures around their species' mean.
    """
    halved, middle, new_tips = _with_middles(tree, tips)
    states = infer_states(halved, new_tips, means, noise, evolution)
    height = tree.height or 1.0
    depth = halved.depths() / height
    reach = np.array(
        [depth[halved.tips[halved.tip_start[m] : halved.tip_stop[m]]].max() for m in middle]
    )
    twig = (reach - depth[middle])[:, None]  # (branches, 1)
    pulled = evolution.pull > 0
    decay = np.exp(-evolution.pull * twig)
    drift = np.where(pulled, 1.0 - decay**2, twig)
    mean = evolution.origin + decay * (states.mean[middle] - evolution.origin)
    own = evolution.scale * (evolution.signal * drift + (1.0 - evolution.signal))
    variance = spread + decay**2 * states.variance[middle] + own
    with np.errstate(divide="ignore"):
        weight = np.log(tree.length[1:]) - np.log(tree.length[1:].sum())
    scores = log_densities(points, mean, variance) + weight
    total = logsumexp(scores, axis=1)
    best = scores.argmax(axis=1)
    rows = np.arange(len(points))
    usual = logsumexp(known, axis=1) - np.log(known.shape[1])
    return Newcomers(
        np.asarray(total - usual), best + 1, np.asarray(scores[rows, best] - total), tree
    )


def _with_middles(tree: Tree, tips: IntArray) -> tuple[Tree, IntArray, IntArray]:
    """Put a node into the middle of every branch.

    Returns the tree, the middle of the branch above each node but the root, and the tips.
    """
    n = tree.n_nodes
    # Node i > 0 is preceded by its middle: preorder again, with places 2 i - 1 and 2 i.
    parent = np.full(2 * n - 1, -1, dtype=np.int64)
    length = np.zeros(2 * n - 1)
    nodes = np.arange(1, n)
    parent[2 * nodes - 1] = 2 * tree.parent[1:]
    parent[2 * nodes] = 2 * nodes - 1
    length[2 * nodes - 1] = length[2 * nodes] = tree.length[1:] / 2
    names = [""] * (2 * n - 1)
    for node in range(n):
        names[2 * node] = tree.names[node]
    return Tree(parent, length, tuple(names)), 2 * nodes - 1, 2 * np.asarray(tips)
