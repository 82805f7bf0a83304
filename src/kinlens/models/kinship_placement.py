"""From estimated distances to a place in the tree: branch, intervals, and "not in this tree".

What is learned here is how far estimates are off, from species that were held out; how the
estimates are made is not known.

Everywhere, `error_rate` is the share of intervals that may miss, and `groups` names what is held
out together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.isotonic import IsotonicRegression

from kinlens.geometry.patristic import distances_from_branch_points
from kinlens.records.tree import Tree
from kinlens.typing import BoolArray, FloatArray, IntArray

__all__ = [
    "BranchPoints",
    "DistanceCalibration",
    "Placement",
    "hierarchical_quantile",
    "nearest_branch_points",
    "outsider_p_values",
]

_BINS = 20
_MOST_PAIRS = 200_000


@dataclass(frozen=True, eq=False)
class DistanceCalibration:
    """How distances between places translate into the tree's, and how far off they are.

    Parameters
    ----------
    raw, patristic : array of float, shape (k,)
        A rising curve from distance between places to expected distance in the tree.
    edges, spread : array of float, shape (b,)
        Typical error by estimated distance, interpolated between `edges`.
    margin : float
        How many spreads the interval reaches to both sides; infinite when too few species were
        held out.
    error_rate : float
        Share of intervals that may miss.
    n_species : int
        Held-out species behind all this.
    """

    raw: FloatArray
    patristic: FloatArray
    edges: FloatArray
    spread: FloatArray
    margin: float
    error_rate: float
    n_species: int

    @classmethod
    def fit(
        cls,
        raw: FloatArray,
        patristic: FloatArray,
        species: IntArray,
        *,
        error_rate: float,
        rng: np.random.Generator,
    ) -> DistanceCalibration:
        """Learn from pairs of a held-out picture and a species that was learned from.

        Parameters
        ----------
        raw, patristic : array of float, shape (m,)
            Distance between places, and the true one.
        species : array of int, shape (m,)
            The held-out species of each pair. Each counts alike, however many its pairs.
        error_rate : float
            As above.
        rng : numpy.random.Generator
            Thins out when there are very many pairs.

        References
        ----------
        Lee, Y., Barber, R. F. & Willett, R. (2023). Distribution-free inference with hierarchical
        data. arXiv:2306.06342, equation 7: pairs of one species are not independent, species are.
        """
        if len(raw) > _MOST_PAIRS:
            kept = rng.choice(len(raw), _MOST_PAIRS, replace=False)
            raw, patristic, species = raw[kept], patristic[kept], species[kept]
        curve = IsotonicRegression(out_of_bounds="clip").fit(raw, patristic)
        estimate = curve.predict(raw)
        edges, spread = _spread_by_estimate(estimate, np.abs(patristic - estimate))
        score = np.abs(patristic - estimate) / np.interp(estimate, edges, spread)
        return cls(
            np.asarray(curve.X_thresholds_),
            np.asarray(curve.y_thresholds_),
            edges,
            spread,
            hierarchical_quantile(score, species, error_rate),
            error_rate,
            len(np.unique(species)),
        )

    def estimate(self, raw: FloatArray) -> FloatArray:
        """Return expected distances in the tree."""
        return np.interp(raw, self.raw, self.patristic)

    def errors(self, estimate: FloatArray) -> FloatArray:
        """Return the typical error of estimates."""
        return np.interp(estimate, self.edges, self.spread)

    def interval(self, estimate: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the ends of the interval that holds a distance at the stated rate."""
        reach = self.margin * self.errors(estimate)
        return np.maximum(estimate - reach, 0.0), estimate + reach


def _spread_by_estimate(estimate: FloatArray, error: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return mean absolute errors by estimate, in bins of equal counts, never near 0."""
    order = np.argsort(estimate, kind="stable")
    bins = [part for part in np.array_split(order, _BINS) if len(part)]
    centres = np.array([estimate[part].mean() for part in bins])
    means = np.array([error[part].mean() for part in bins])
    floor = 0.1 * float(means.mean()) if means.mean() > 0 else 1.0
    edges, place = np.unique(centres, return_index=True)
    return edges, np.maximum(means[place], floor)


def hierarchical_quantile(scores: FloatArray, groups: IntArray, error_rate: float) -> float:
    """Return the score that a new group's scores exceed at most at the stated rate.

    Every group has the same weight, and one more group, the new one, is taken to lie beyond all.

    Examples
    --------
    >>> hierarchical_quantile(np.arange(1.0, 20), np.arange(19), 0.1)
    18.0
    >>> hierarchical_quantile(np.arange(3.0), np.arange(3), 0.1)
    inf
    """
    _, member, counts = np.unique(groups, return_inverse=True, return_counts=True)
    order = np.argsort(scores, kind="stable")
    weight = (1.0 / counts[member])[order] / (len(counts) + 1)
    reached = np.flatnonzero(np.cumsum(weight) >= 1 - error_rate - 1e-12)
    return float(scores[order][reached[0]]) if len(reached) else float("inf")


def outsider_p_values(scores: FloatArray, known: FloatArray, groups: IntArray) -> FloatArray:
    """Return how often a species of this tree would look at least as strange.

    Parameters
    ----------
    scores : array of float, shape (q,)
        Strangeness of new pictures.
    known : array of float, shape (m,)
        Strangeness of pictures of species that were held out.
    groups : array of int, shape (m,)
        Their species; each counts alike.

    Returns
    -------
    array of float, shape (q,)
        At least 1 / (number of species + 1).
    """
    _, member, counts = np.unique(groups, return_inverse=True, return_counts=True)
    order = np.argsort(known, kind="stable")
    weight = (1.0 / counts[member])[order]
    above = np.append(np.cumsum(weight[::-1])[::-1], 0.0)
    first = np.searchsorted(known[order], scores, side="left")
    return np.asarray((1.0 + above[first]) / (len(counts) + 1.0))


@dataclass(frozen=True, eq=False)
class BranchPoints:
    """Points on branches of a tree, where newcomers attach.

    Parameters
    ----------
    node : array of int, shape (q,)
        The branch: the node at its lower end.
    above : array of float, shape (q,)
        How far above that node.
    twig : array of float, shape (q,)
        Length of the newcomer's own branch.
    misfit : array of float, shape (q,)
        Weighted root mean square of what the estimates miss the fitted distances by.
    """

    node: IntArray
    above: FloatArray
    twig: FloatArray
    misfit: FloatArray


def nearest_branch_points(distances: FloatArray, errors: FloatArray, tree: Tree) -> BranchPoints:
    """Find for each newcomer the point of the tree whose distances to the tips fit best.

    Weighted least squares over all branches: with s = 1 for tips below a branch and -1 otherwise,
    the distance to a tip from x above the branch's lower end, on a twig of length t, is
    ``d + s x + t``. On a dated tree the twig reaches the present, which leaves x alone to be
    found.

    Parameters
    ----------
    distances : array of float, shape (q, n_tips)
        Estimated distances to the tips, in tip order.
    errors : array of float, shape (q, n_tips)
        Their typical errors, above 0.
    tree : Tree
        With two tips or more.

    Returns
    -------
    BranchPoints
    """
    nodes = np.arange(1, tree.n_nodes)
    base = distances_from_branch_points(tree, nodes, np.zeros(len(nodes)))  # (m, n)
    tip = np.arange(tree.n_tips)
    below = (tree.tip_start[nodes, None] <= tip) & (tip < tree.tip_stop[nodes, None])
    side = np.where(below, 1.0, -1.0)
    length = tree.length[nodes]
    depth = tree.depths()
    is_dated = tree.is_ultrametric()
    fits = []
    for wanted, error in zip(distances, errors, strict=True):
        weight = 1.0 / error**2
        weight /= weight.sum()
        if is_dated:
            own = tree.height - depth[nodes]
            fits.append(_fit_dated(wanted, weight, base, side, length, own))
        else:
            fits.append(_fit_free(wanted, weight, base, side, length))
    chosen, above, twig, misfit = (np.array(part) for part in zip(*fits, strict=True))
    return BranchPoints(nodes[chosen.astype(np.int64)], above, twig, misfit)


def _fit_dated(
    wanted: FloatArray,
    weight: FloatArray,
    base: FloatArray,
    side: FloatArray,
    length: FloatArray,
    own: FloatArray,
) -> tuple[int, float, float, float]:
    """Fit x where the twig is as long as the present is away: slopes are 2 below, 0 elsewhere."""
    rest = wanted - base - own[:, None]
    slope = side + 1.0
    steep = (slope**2) @ weight
    x = np.clip((slope * rest) @ weight / np.maximum(steep, 1e-300), 0.0, length)
    loss = ((rest - slope * x[:, None]) ** 2) @ weight
    best = int(loss.argmin())
    return best, float(x[best]), float(own[best] + x[best]), float(np.sqrt(loss[best]))


def _fit_free(
    wanted: FloatArray, weight: FloatArray, base: FloatArray, side: FloatArray, length: FloatArray
) -> tuple[int, float, float, float]:
    """Fit x and the twig, both within bounds: the best of the inner optimum and the edges."""
    rest = wanted - base
    mean_side, mean_rest = side @ weight, rest @ weight
    varying = np.maximum(1.0 - mean_side**2, 1e-12)
    inner = np.clip(((side * rest) @ weight - mean_side * mean_rest) / varying, 0.0, length)
    without_twig = np.clip((side * rest) @ weight, 0.0, length)
    best = (0, 0.0, 0.0, np.inf)
    for x in (inner, np.zeros(len(length)), length, without_twig):
        twig = np.maximum(mean_rest - mean_side * x, 0.0)
        loss = ((rest - side * x[:, None] - twig[:, None]) ** 2) @ weight
        node = int(loss.argmin())
        if loss[node] < best[3] ** 2:
            best = (node, float(x[node]), float(twig[node]), float(np.sqrt(loss[node])))
    return best


@dataclass(frozen=True, eq=False)
class Placement:
    """Where new pictures belong.

    Parameters
    ----------
    species : tuple of str, length n
        The species that were learned from.
    distances, low, high : array of float, shape (q, n)
        Estimated distance to each species in the tree, and the ends of its interval.
    p_value : array of float, shape (q,)
        How often a species of this tree would look at least as strange.
    is_in_tree : array of bool, shape (q,)
        False where `p_value` is at or below the stated level.
    branches : BranchPoints, optional
        None when only distances were given.
    tree : Tree, optional
        The tree of the species that were learned from.
    """

    species: tuple[str, ...]
    distances: FloatArray
    low: FloatArray
    high: FloatArray
    p_value: FloatArray
    is_in_tree: BoolArray
    branches: BranchPoints | None = None
    tree: Tree | None = None

    def frame(self) -> pd.DataFrame:
        """Return one row a newcomer: nearest species with interval, branch, and doubts."""
        nearest = self.distances.argmin(axis=1)
        rows = np.arange(len(nearest))
        frame = pd.DataFrame(
            {
                "nearest_species": [self.species[i] for i in nearest],
                "distance": self.distances[rows, nearest],
                "low": self.low[rows, nearest],
                "high": self.high[rows, nearest],
                "in_tree": np.where(self.is_in_tree, "yes", "no"),
                "p_in_tree": self.p_value,
            }
        )
        if self.branches is not None and self.tree is not None:
            tree = self.tree
            frame["branch"] = [tree.clade_label(int(node)) for node in self.branches.node]
            frame["above"] = self.branches.above
            frame["twig"] = self.branches.twig
        return frame
