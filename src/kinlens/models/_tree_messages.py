r"""Gaussian messages on a tree: what tips say goes up to the root, and what others say comes down.

On each axis, a child is ``origin + a (parent - origin) + noise of variance v``, with a and v from
its branch. What the subtree below a node says of its state x is proportional to
:math:`\exp(-P x^2/2 + (H - g O) x)`, where g is the origin, so that three numbers a node are
enough. Cost grows with the number of nodes. All kernels work on one axis.
"""

from __future__ import annotations

import numpy as np

from kinlens.geometry.compiled import compiled
from kinlens.typing import FloatArray, IntArray

__all__ = ["climb_variances", "gather_upwards", "node_states", "search_evolution"]

LOG_2_PI = float(np.log(2.0 * np.pi))
# What a pull must add to the log likelihood, as the criterion of Akaike would have it twice over.
PULL_PRICE = 2.0


@compiled
def gather_upwards(
    parent: IntArray,
    extra: FloatArray,
    decay: FloatArray,
    drift: FloatArray,
    stationary: float,
    inherited: float,
    own: float,
    noise: FloatArray,
    values: FloatArray,
    precision: FloatArray,
    said: FloatArray,
    counted: FloatArray,
) -> tuple[float, float]:
    """Fill the three message arrays; return the restricted log likelihood and the best origin.

    `inherited` and `own` are the variances that follow the tree and that each tip has for itself;
    `extra` is 1 for tips and 0 elsewhere; `decay` and `drift` are a and v of each branch for
    inherited variance 1; `noise` is infinite for nodes that were not observed; `stationary` is
    1 where the root varies around the origin and 0 where it sits there.
    """
    precision[:] = 0.0
    said[:] = 0.0
    counted[:] = 0.0
    level, squares, cross, ones = 0.0, 0.0, 0.0, 0.0
    for node in range(len(parent) - 1, -1, -1):
        if np.isfinite(noise[node]):
            weight = 1.0 / noise[node]
            precision[node] += weight
            said[node] += weight * values[node]
            counted[node] += weight
            level += 0.5 * np.log(weight)
            squares += weight * values[node] * values[node]
            cross += weight * values[node]
            ones += weight
        if precision[node] == 0.0:
            continue
        if node == 0:
            variance = inherited * stationary
        else:
            variance = inherited * drift[node] + own * extra[node]
        spread = 1.0 + variance * precision[node]
        level -= 0.5 * np.log(spread)
        share = variance / spread
        squares -= share * said[node] * said[node]
        cross -= share * said[node] * counted[node]
        ones -= share * counted[node] * counted[node]
        if node > 0:
            above = parent[node]
            passed = decay[node] / spread
            precision[above] += decay[node] * passed * precision[node]
            said[above] += passed * said[node]
            # The child is origin + a (parent - origin): in deviations, data lose the origin once.
            counted[above] += passed * counted[node]
    if ones <= 0.0:
        return -np.inf, 0.0
    origin = cross / ones
    return level - 0.5 * (squares - cross * origin) - 0.5 * np.log(ones), origin


@compiled
def search_evolution(
    parent: IntArray,
    extra: FloatArray,
    decay: FloatArray,
    drift: FloatArray,
    stationary: FloatArray,
    noise: FloatArray,
    values: FloatArray,
    n_observed: int,
) -> tuple[float, float, int, float, float]:
    """Climb to the variances and the pull under which the observed means are likeliest.

    `decay` and `drift` have one row for each pull that may be chosen. Returns the inherited and
    the own variance, the number of the pull, the origin and the log likelihood.
    """
    n_nodes = len(parent)
    precision, said, counted = np.empty(n_nodes), np.empty(n_nodes), np.empty(n_nodes)
    total, total_square, total_noise = 0.0, 0.0, 0.0
    for node in range(n_nodes):
        if np.isfinite(noise[node]):
            total += values[node]
            total_square += values[node] ** 2
            total_noise += noise[node]
    spread = total_square / n_observed - (total / n_observed) ** 2
    usual_noise = total_noise / n_observed
    variances = np.full(2, 0.5 * max(spread - usual_noise, 0.1 * usual_noise))
    best, origin = climb_variances(
        parent, extra, decay[0], drift[0], stationary[0], np.array([6.0, 2.5, 1.6, 1.25]),
        variances, noise, values, precision, said, counted,
    )  # fmt: skip
    pull, likeliest, start = 0, best, variances.copy()
    for candidate in range(1, len(decay)):
        tried = start.copy()
        found, at = climb_variances(
            parent, extra, decay[candidate], drift[candidate], stationary[candidate],
            np.array([2.0, 1.25]), tried, noise, values, precision, said, counted,
        )  # fmt: skip
        # One more parameter has to earn its place, or noise would be taken for strong pull.
        if found - PULL_PRICE > best:
            best, likeliest, origin, pull = found - PULL_PRICE, found, at, candidate
            variances[:] = tried
    constant = 0.5 * (n_observed - 1) * LOG_2_PI
    return variances[0], variances[1], pull, origin, likeliest - constant


@compiled
def climb_variances(
    parent: IntArray,
    extra: FloatArray,
    decay: FloatArray,
    drift: FloatArray,
    stationary: float,
    steps: FloatArray,
    variances: FloatArray,
    noise: FloatArray,
    values: FloatArray,
    precision: FloatArray,
    said: FloatArray,
    counted: FloatArray,
) -> tuple[float, float]:
    """Climb the inherited and the own variance in turns, by ever smaller factors, in place.

    Returns the log likelihood at the top and its origin. Zero is tried for both once near the top.
    """
    tried = np.empty(2)
    best, origin = gather_upwards(
        parent, extra, decay, drift, stationary, variances[0], variances[1], noise, values,
        precision, said, counted,
    )  # fmt: skip
    for number, step in enumerate(steps):
        for which in range(2):
            for direction in range(3):
                for _ in range(6):
                    tried[:] = variances
                    if direction == 0:
                        tried[which] *= step
                    elif direction == 1:
                        tried[which] /= step
                    else:
                        tried[which] = 0.0
                    if direction == 2 and (number < len(steps) - 1 or variances[which] == 0.0):
                        break
                    found, at = gather_upwards(
                        parent, extra, decay, drift, stationary, tried[0], tried[1], noise,
                        values, precision, said, counted,
                    )  # fmt: skip
                    if found <= best:
                        break
                    best, origin = found, at
                    variances[:] = tried
    return best, origin


@compiled
def node_states(
    parent: IntArray,
    extra: FloatArray,
    decay: FloatArray,
    drift: FloatArray,
    stationary: float,
    inherited: float,
    own: float,
    origin: float,
    noise: FloatArray,
    values: FloatArray,
    mean: FloatArray,
    variance: FloatArray,
) -> None:
    """Write what all observations together say of each node: its mean and its variance."""
    n_nodes = len(parent)
    precision, said, counted = np.empty(n_nodes), np.empty(n_nodes), np.empty(n_nodes)
    gather_upwards(
        parent, extra, decay, drift, stationary, inherited, own, noise, values,
        precision, said, counted,
    )  # fmt: skip
    for node in range(n_nodes):
        below = said[node] - origin * counted[node]
        if node == 0:
            free = inherited * stationary
            from_above, uncertain = 0.0, 0.0
        else:
            free = inherited * drift[node] + own * extra[node]
            from_above = decay[node] * (mean[parent[node]] - origin)
            uncertain = decay[node] ** 2 * variance[parent[node]]
        spread = 1.0 + free * precision[node]
        mean[node] = origin + (from_above + free * below) / spread
        variance[node] = free / spread + uncertain / spread**2
