"""Class means that learn from kin: a nested random-effects model along the taxonomy.

Knows means, counts and lineages only; the covariance around the means is `discriminant`'s.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kinlens.models.lineage import Lineages
from kinlens.typing import FloatArray, IntArray

__all__ = ["PulledMeans", "class_means", "pulled_means"]


@dataclass(frozen=True, eq=False)
class PulledMeans:
    """Predicted class means, and the variances that they rest on.

    Parameters
    ----------
    means : FloatArray of shape (n_classes, n_components)
        Posterior means.
    variances : dict of str to float
        Variance of a taxon of each rank around its parent, a dimension; infinite where too few
        taxa tell.
    """

    means: FloatArray
    variances: dict[str, float]


def class_means(rows: FloatArray, codes: IntArray, counts: IntArray) -> FloatArray:
    """Return the mean of each class's rows, shape (n_classes, n_columns).

    Parameters
    ----------
    rows : FloatArray of shape (n, n_columns)
        Vectors.
    codes : IntArray of shape (n,)
        Class of each.
    counts : IntArray of shape (n_classes,)
        How many each class has, 1 or more.
    """
    sums = np.zeros((len(counts), rows.shape[1]))
    np.add.at(sums, codes, rows)
    return sums / counts[:, None]


def pulled_means(
    means: FloatArray,
    counts: IntArray,
    lineages: Lineages,
    *,
    pull: float,
    n_dimensions: int,
) -> PulledMeans:
    """Predict class means in the nested model, on axes where a picture's noise is one.

    A class varies around its lowest taxon, that around the next, up to one root; the mean of n
    pictures carries noise ``pull / n``. The prediction is the posterior mean, found in one pass
    up the taxonomy and one down.

    Parameters
    ----------
    means : FloatArray of shape (n_classes, n_components)
        Plain class means on axes that span them, so that their squares add up as they do in all
        dimensions.
    counts : IntArray of shape (n_classes,)
        Pictures of each class, 1 or more.
    lineages : Lineages
        What is above the classes.
    pull : float
        Noise of a mean in units of its expectation; 0 leaves the means as they are.
    n_dimensions : int
        Dimensions in which the noise lies.

    References
    ----------
    S. R. Searle, G. Casella and C. E. McCulloch, Variance Components (1992), chapters 3 and 7.
    """
    noise = pull / counts.astype(np.float64)
    levels = len(lineages.ranks)
    variances = _rank_variances(means, noise, lineages, n_dimensions)
    if pull == 0:
        return PulledMeans(means, variances)
    # Up: what a taxon's members say about it, and with which variance.
    value, error = means, noise
    said = []
    for level in range(levels):
        said.append((value, error))
        precision = 1.0 / (error + variances[lineages.ranks[level]])
        parent = lineages.parents(level)
        if not np.isfinite(variances[lineages.ranks[level]]):
            precision = np.ones_like(error)  # no telling, so members count alike
        total = np.bincount(parent, weights=precision)
        sums = np.zeros((len(total), means.shape[1]))
        np.add.at(sums, parent, precision[:, None] * value)
        value, error = sums / total[:, None], 1.0 / total
    # Down: each taxon between what was said about it and its parent.
    for level in reversed(range(levels)):
        own, error = said[level]
        variance = variances[lineages.ranks[level]]
        weight = np.ones_like(error)
        if np.isfinite(variance):
            weight = variance / (variance + error)
        value = weight[:, None] * own + (1 - weight[:, None]) * value[lineages.parents(level)]
    return PulledMeans(value, variances)


def _rank_variances(
    means: FloatArray, noise: FloatArray, lineages: Lineages, n_dimensions: int
) -> dict[str, float]:
    """Estimate the variance of taxa around their parents, a dimension, rank by rank upwards.

    The squares of taxa around their parents' plain mean are expected to be (variance + noise) a
    degree of freedom, where the noise of a plain mean is that of its members over their number.
    """
    variances: dict[str, float] = {}
    value, error = means, noise
    for level, rank in enumerate(lineages.ranks):
        parent = lineages.parents(level)
        members = np.bincount(parent)
        centre = class_means(value, parent, members)
        freedom = len(parent) - len(members)
        variance = np.inf
        if freedom > 0:
            squares = ((value - centre[parent]) ** 2).sum() / (freedom * n_dimensions)
            # A taxon alone in its parent adds neither square nor noise.
            share = 1.0 - 1.0 / members[parent]
            expected = (share * error).sum() / freedom
            # Never quite zero: members stay in the order of what was seen of them.
            variance = max(squares - expected, 0.01 * expected, np.finfo(np.float64).tiny)
        variances[rank] = float(variance)
        own = error + (variance if np.isfinite(variance) else 0.0)
        error = np.bincount(parent, weights=own) / members**2
        value = centre
    return variances
