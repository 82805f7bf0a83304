"""Log densities and distances of many points from many Gaussians whose axes are independent."""

from __future__ import annotations

import numpy as np

from kinlens.typing import FloatArray

__all__ = ["log_densities", "mean_squares"]

# Numbers in one block of points by Gaussians.
_BLOCK = 4_000_000


def log_densities(points: FloatArray, means: FloatArray, variances: FloatArray) -> FloatArray:
    r"""Return :math:`-\frac12 \sum_j [(x_j - m_j)^2 / v_j + \log v_j]` of points and Gaussians.

    Parameters
    ----------
    points : FloatArray of shape (n, k)
        Where pictures lie.
    means, variances : FloatArray of shape (m, k)
        Of each Gaussian; variances above 0.

    Returns
    -------
    FloatArray of shape (n, m)

    Examples
    --------
    >>> -2 * log_densities(np.zeros((1, 1)), np.array([[0.0], [2.0]]), np.ones((2, 1)))
    array([[0., 4.]])
    """
    weights = 1.0 / variances
    constant = (means**2 * weights).sum(axis=1) + np.log(variances).sum(axis=1)
    out = np.empty((len(points), len(means)))
    step = max(1, _BLOCK // max(len(means), 1))
    for start in range(0, len(points), step):
        block = points[start : start + step]
        squares = (block**2) @ weights.T - 2.0 * block @ (means * weights).T
        out[start : start + step] = -0.5 * (squares + constant)
    return out


def mean_squares(densities: FloatArray, variances: FloatArray) -> FloatArray:
    """Return the mean over axes of the squared distance, in variances: 1 is as expected.

    Parameters
    ----------
    densities : FloatArray of shape (n, m)
        From `log_densities`.
    variances : FloatArray of shape (m, k)
        Those that they were computed with.

    Returns
    -------
    FloatArray of shape (n, m)

    Examples
    --------
    >>> means, variances = np.array([[0.0, 0.0], [2.0, 4.0]]), np.full((2, 2), 4.0)
    >>> densities = log_densities(np.zeros((1, 2)), means, variances)
    >>> mean_squares(densities, variances).round(9).tolist()
    [[0.0, 2.5]]
    """
    squares = -2.0 * densities - np.log(variances).sum(axis=1)
    return np.asarray(squares / max(variances.shape[1], 1))
