r"""Means of species that evolve along a tree: how fast, how tied to it, and where each one is.

On each axis on its own, the means of species are Gaussian with covariance
:math:`\sigma^2 (\lambda C + (1 - \lambda) D)`, where C comes from the tree by Brownian motion or by
an Ornstein-Uhlenbeck process, and D is its diagonal. Whose means they are is not known here.

Everywhere, `tips` is the node of each species, `means` holds the observed mean of each species,
and `noise` the variance of that observation, infinite where a species was not observed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kinlens.errors import UsageError
from kinlens.models._tree_messages import node_states, search_evolution
from kinlens.records.tree import Tree
from kinlens.typing import FloatArray, IntArray

__all__ = ["PROCESSES", "Evolution", "NodeStates", "fit_evolution", "infer_states"]

PROCESSES = ("brownian", "ou")
"""Brownian motion, or the better of Brownian motion and Ornstein-Uhlenbeck on each axis."""

# Strength of the pull a tree's height; the weakest is close to Brownian motion.
_PULLS = (0.0, 1.5, 4.0, 10.0)


@dataclass(frozen=True, eq=False)
class Evolution:
    """How the means of species evolve on each axis.

    Parameters
    ----------
    scale : array of float, shape (k,)
        Variance among species that are one tree's height apart from the root.
    signal : array of float, shape (k,)
        Pagel's lambda: the part of it that is inherited, 0 to 1.
    pull : array of float, shape (k,)
        Strength of the pull towards `origin`, per height of the tree; 0 for Brownian motion.
    origin : array of float, shape (k,)
        State of the root.
    log_likelihood : float
        Restricted, summed over axes.
    """

    scale: FloatArray
    signal: FloatArray
    pull: FloatArray
    origin: FloatArray
    log_likelihood: float


@dataclass(frozen=True, eq=False)
class NodeStates:
    """What the observations say of every node.

    Parameters
    ----------
    mean, variance : array of float, shape (n_nodes, k)
        Of the posterior, on each axis.
    """

    mean: FloatArray
    variance: FloatArray


def fit_evolution(
    tree: Tree, tips: IntArray, means: FloatArray, noise: FloatArray, *, process: str = "ou"
) -> Evolution:
    """Find scale, signal and pull of each axis by restricted maximum likelihood.

    Parameters
    ----------
    tree : Tree
        Of the species; its height is taken as 1.
    tips, means, noise
        See above; shapes (n,), (n, k) and (n,).
    process : {"brownian", "ou"}
        See `PROCESSES`.

    Returns
    -------
    Evolution
        With up to three observed species there is no telling a pull, so none is tried.

    Notes
    -----
    The likelihood costs the number of nodes, by messages from the tips to the root (Felsenstein
    1973, with noise at the tips), and is climbed along the inherited and the own variance in
    turns, by some 50 points an axis. A pull is taken only where it adds 2 to the log likelihood.

    References
    ----------
    Felsenstein J (1973) Maximum-likelihood estimation of evolutionary trees from continuous
    characters. American Journal of Human Genetics 25: 471-492. Pagel M (1999) Inferring the
    historical patterns of biological evolution. Nature 401: 877-884. Hansen TF (1997) Stabilizing
    selection and the comparative analysis of adaptation. Evolution 51: 1341-1351.

    Examples
    --------
    >>> tree = Tree.from_parents([-1, 0, 0, 1, 1], [0, 1, 3, 2, 2], ["", "", "c", "a", "b"])
    >>> means = np.array([[5.0], [5.2], [-3.0]])  # of a, b and c
    >>> found = fit_evolution(tree, tree.tips, means, np.full(3, 0.1))
    >>> bool(found.scale[0] > 1)
    True
    """
    if process not in PROCESSES:
        raise UsageError(f"process must be 'brownian' or 'ou', not {process!r}.")
    n_observed = int(np.isfinite(noise).sum())
    if n_observed == 0:
        raise UsageError("evolution cannot be fitted: no species was observed.")
    shape = _Shape.of(tree, _PULLS if process == "ou" and n_observed > 3 else _PULLS[:1])
    at_nodes, noise_at_nodes = _at_nodes(tree, tips, means, noise)
    rows = [
        search_evolution(
            tree.parent, shape.extra, shape.decay, shape.drift, shape.stationary,
            noise_at_nodes, values, n_observed,
        )
        for values in at_nodes
    ]  # fmt: skip
    inherited, own, number, origin, likelihood = (
        np.array(part) for part in zip(*rows, strict=True)
    )
    scale = inherited + own
    signal = np.divide(inherited, scale, out=np.ones_like(scale), where=scale > 0)
    pull = shape.pulls[number.astype(np.int64)]
    return Evolution(scale, signal, pull, origin, float(likelihood.sum()))


def infer_states(
    tree: Tree, tips: IntArray, means: FloatArray, noise: FloatArray, evolution: Evolution
) -> NodeStates:
    """Return the posterior of every node, ancestors and unobserved species among them.

    Parameters
    ----------
    tree, tips, means, noise
        As for `fit_evolution`.
    evolution : Evolution
        How the axes evolve.

    Examples
    --------
    >>> tree = Tree.from_parents([-1, 0, 0, 1, 1], [0, 1, 3, 2, 2], ["", "", "c", "a", "b"])
    >>> one = np.ones(1)
    >>> brownian = Evolution(one, one, 0 * one, 0 * one, 0.0)
    >>> seen, unseen = 1e-9, np.inf
    >>> noise = np.array([seen, unseen, unseen])
    >>> states = infer_states(tree, tree.tips, np.array([[3.0], [0], [0]]), noise, brownian)
    >>> states.mean[tree.tips, 0].round(3).tolist(), states.variance[tree.tips, 0].round(3).tolist()
    ([3.0, 1.0, 0.0], [0.0, 0.889, 1.0])
    """
    pulls, number = np.unique(evolution.pull, return_inverse=True)
    shape = _Shape.of(tree, tuple(pulls.tolist()))
    at_nodes, noise_at_nodes = _at_nodes(tree, tips, means, noise)
    mean, variance = np.empty_like(at_nodes), np.empty_like(at_nodes)
    inherited = evolution.scale * evolution.signal
    own = evolution.scale - inherited
    for axis, values in enumerate(at_nodes):
        which = int(number[axis])
        node_states(
            tree.parent, shape.extra, shape.decay[which], shape.drift[which],
            float(shape.stationary[which]), float(inherited[axis]), float(own[axis]),
            float(evolution.origin[axis]),
            noise_at_nodes, values, mean[axis], variance[axis],
        )  # fmt: skip
    return NodeStates(mean.T, variance.T)


@dataclass(frozen=True, eq=False)
class _Shape:
    """What a tree of height 1 means for a child's state, for each pull (rows)."""

    pulls: FloatArray
    extra: FloatArray
    decay: FloatArray
    drift: FloatArray
    stationary: FloatArray

    @classmethod
    def of(cls, tree: Tree, pulls: tuple[float, ...]) -> _Shape:
        height = tree.height or 1.0
        length = tree.length / height
        pull = np.array(pulls)[:, None]
        decay = np.exp(-pull * length)
        drift = np.where(pull > 0, 1.0 - decay**2, length)
        # A species' own part is as large as a full height of inherited change, at any depth, so
        # that every tip varies, and those of an even tree by the same amount as its depth.
        extra = np.where(tree.is_tip, 1.0, 0.0)
        return cls(np.array(pulls), extra, decay, drift, (pull[:, 0] > 0).astype(np.float64))


def _at_nodes(
    tree: Tree, tips: IntArray, means: FloatArray, noise: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Spread observations over the nodes, one row an axis: (k, n_nodes) and (n_nodes,)."""
    at_nodes = np.zeros((means.shape[1], tree.n_nodes))
    at_nodes[:, tips] = np.where(np.isfinite(noise)[:, None], means, 0.0).T
    noise_at_nodes = np.full(tree.n_nodes, np.inf)
    noise_at_nodes[tips] = noise
    return at_nodes, noise_at_nodes
