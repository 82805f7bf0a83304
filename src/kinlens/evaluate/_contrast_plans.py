"""How contrasts are taken on a tree, for any value of lambda, and how their signs are drawn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar

from kinlens.errors import InputError, UsageError
from kinlens.evaluate._contrast_kernels import expand_rows, plan_contrasts, take_contrasts
from kinlens.records.tree import Tree
from kinlens.typing import FloatArray, IntArray

__all__ = ["ContrastPlan", "contrast_plan", "drawn_signs", "fitted_plan"]

# Where lambda is looked for before the best place is refined; dense where trees react most.
_GRID = np.concatenate([np.linspace(0, 0.95, 20), 1 - np.geomspace(0.03, 1e-4, 8), [1.0]])
# Species at distance 0 on the tree make the likelihood of lambda = 1 unbounded.
_LARGEST_WITH_TWINS = 0.999
# Sign patterns held at a time.
_SIGN_CELLS = 8_000_000


@dataclass(frozen=True, eq=False)
class ContrastPlan:
    """How contrasts are taken on one tree with one set of branch lengths.

    Build it with `contrast_plan`. The arrays run over the m nodes of the (pruned) tree; what their
    columns hold is told in `_contrast_kernels`.

    Parameters
    ----------
    nodes : array of int, shape (m, 3)
    joins : array of float, shape (m, 2)
    log_variance : float
        Sum of the logarithms of the variances of the raw contrasts; -inf when one is 0.
    """

    nodes: IntArray
    joins: FloatArray
    log_variance: float

    @property
    def n(self) -> int:
        """How many species."""
        return int(np.count_nonzero(self.nodes[:, 2] >= 0))

    def take(self, values: FloatArray) -> FloatArray:
        """Return the standardised contrasts of `values`, shape (n, p) to (n - 1, p)."""
        return np.asarray(take_contrasts(self.nodes, self.joins, values))

    def expand(self, contrasts: FloatArray) -> FloatArray:
        """Return traits with these contrasts and a root estimate of 0; undoes `take`."""
        estimate = np.empty((len(self.nodes), contrasts.shape[1]))
        values = np.empty((self.n, contrasts.shape[1]))
        expand_rows(self.nodes, self.joins, np.ascontiguousarray(contrasts), estimate, values)
        return values

    def products(self, distances: FloatArray) -> FloatArray:
        """Return the inner products of the contrasts of whatever lies at these distances.

        Shape (n, n) to (n - 1, n - 1). Contrasts are differences, so that squared distances say
        all that is needed and no coordinates are; distances that are not Euclidean are legal.
        """
        half = self.take(-0.5 * distances**2)
        return self.take(np.ascontiguousarray(half.T))


def contrast_plan(
    tree: Tree, n_rows: int, *, names: Sequence[str] | None, signal: float
) -> ContrastPlan:
    """Prepare to take contrasts of rows that stand in the order of `names`.

    Parameters
    ----------
    tree : Tree
        Tips that are not among `names` are pruned.
    n_rows : int
        How many rows the data have, for the check that each has its species.
    names : sequence of str or None
        The species of each row; None stands for the tip order of the tree.
    signal : float
        Pagel's lambda, 0 to 1: what the paths that species share are multiplied with.

    Raises
    ------
    InputError
        When names repeat or are no tips, when there are fewer than three or not as many as
        rows, or when species at distance 0 on the tree have contrasts without variance.
    """
    if not 0 <= signal <= 1:
        raise UsageError(f"signal must be from 0 to 1, not {signal}.")
    plan = _plans(tree, n_rows, names)(signal)
    if not np.isfinite(plan.log_variance):
        raise InputError(
            "species at distance 0 from each other on the tree have no variance to differ by",
            remedy="Keep one of them, or use a signal below 1.",
        )
    return plan


def drawn_signs(
    count: int, n_contrasts: int, rng: np.random.Generator
) -> Iterator[tuple[slice, FloatArray]]:
    """Yield where each block of null worlds stands, and its random signs, shape (b, n - 1)."""
    size = max(1, _SIGN_CELLS // n_contrasts)
    for start in range(0, count, size):
        stop = min(start + size, count)
        flips = rng.integers(0, 2, size=(stop - start, n_contrasts), dtype=np.int8)
        yield slice(start, stop), np.where(flips == 1, 1.0, -1.0)


def fitted_plan(
    distances: FloatArray,
    tree: Tree,
    names: Sequence[str] | None,
    signal: float | None,
) -> tuple[float, ContrastPlan]:
    """Return lambda, given or estimated from `distances`, and the plan that belongs to it."""
    if signal is not None:
        return float(signal), contrast_plan(tree, len(distances), names=names, signal=signal)
    plans = _plans(tree, len(distances), names)
    largest = 1.0 if np.isfinite(plans(1.0).log_variance) else _LARGEST_WITH_TWINS

    def deviance(value: float) -> float:
        plan = plans(value)
        if not np.isfinite(plan.log_variance):
            return np.inf
        size = float(np.trace(plan.products(distances)))
        return (plan.n - 1) * np.log(size) + plan.log_variance if size > 0 else np.inf

    grid = np.unique(np.minimum(_GRID, largest))
    heights = np.array([deviance(value) for value in grid])
    if not np.isfinite(heights).any():
        raise InputError(
            "no phylogenetic signal can be estimated: the distances are all 0, or too far from "
            "Euclidean for their contrasts to have a size",
            remedy="Give the signal, or take the square root of the distances.",
        )
    best = int(heights.argmin())
    value = float(grid[best])
    low, high = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
    refined = minimize_scalar(
        deviance, bounds=(low, high), method="bounded", options={"xatol": 1e-6}
    )
    if refined.fun < heights[best]:
        value = float(refined.x)
    return value, plans(value)


def _plans(tree: Tree, n_rows: int, names: Sequence[str] | None) -> Callable[[float], ContrastPlan]:
    """Match rows to tips once, and return what turns a lambda into a plan."""
    if names is not None:
        counts = Counter(names)
        if len(counts) < len(names):
            repeated = [name for name, count in counts.items() if count > 1]
            raise InputError("species that stand in more than one row", offenders=repeated)
        if len(names) < tree.n_tips:
            tree = tree.prune(names)
    if tree.n_tips < 3:
        raise InputError(f"contrasts need at least three species, not {tree.n_tips}")
    if tree.n_tips != n_rows:
        raise InputError(
            f"{n_rows:,} rows for {tree.n_tips:,} species of the tree",
            remedy="Give the names of the rows; tips that have none are pruned.",
        )
    if not tree.height > 0:
        raise InputError("the tree has no height: all its branches have length 0")
    nodes = np.column_stack([tree.parent, np.full((tree.n_nodes, 2), -1)])
    tips = tree.tips if names is None else tree.tips[tree.tip_positions(names)]
    nodes[tips, 2] = np.arange(tree.n_tips)
    depth_of_tips = np.where(tree.is_tip, tree.depths(), 0.0)

    def plan(signal: float) -> ContrastPlan:
        own = nodes.copy()
        joins = np.zeros((len(own), 2))
        length = signal * tree.length + (1 - signal) * depth_of_tips
        return ContrastPlan(own, joins, plan_contrasts(own, length, joins))

    return plan
