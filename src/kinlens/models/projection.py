"""Many dimensions to two, for looking; no result may rest on these coordinates."""

from __future__ import annotations

import threading
import warnings

import numpy as np

from kinlens.errors import UsageError
from kinlens.optional import need
from kinlens.typing import Float32Array, FloatArray

__all__ = ["neighbour_map", "plane_map"]

# UMAP's neighbour graph is built in this many principal components: enough for what a map can show.
_COMPONENTS = 50
_FEWEST = 12


def plane_map(
    vectors: Float32Array | FloatArray, *, seed: int, n_neighbors: int = 15
) -> FloatArray:
    """Lay vectors out in the plane by UMAP, near ones near each other.

    Parameters
    ----------
    vectors : array of shape (n, d)
        Finite values; columns are centred and scaled to unit variance first.
    seed : int
        The same seed gives the same map.
    n_neighbors : int
        Neighbours that count as near, 2 or more; fewer when there are fewer vectors.

    Returns
    -------
    array of shape (n, 2)
        Coordinates without unit. With fewer than 12 vectors, the first two principal components.

    References
    ----------
    McInnes, Healy & Melville (2018). UMAP: Uniform Manifold Approximation and Projection for
    Dimension Reduction. arXiv:1802.03426.

    Examples
    --------
    >>> plane_map(np.eye(5), seed=0).shape
    (5, 2)
    """
    if vectors.ndim != 2 or len(vectors) == 0:
        raise UsageError(f"vectors must have shape (n, d) with n > 0, not {vectors.shape}.")
    components = _principal_components(np.asarray(vectors, dtype=np.float64), seed)
    if len(vectors) < _FEWEST:
        padded = np.zeros((len(vectors), 2))
        padded[:, : components.shape[1]] = components[:, :2]
        return padded
    with warnings.catch_warnings():
        # On import it says that TensorFlow is absent, which is not used here.
        warnings.simplefilter("ignore", ImportWarning)
        umap = need("umap")
    # Its progress bar, never shown, would open a semaphore that worker processes leave behind.
    need("tqdm").tqdm.set_lock(threading.RLock())
    reducer = umap.UMAP(
        n_neighbors=min(n_neighbors, len(vectors) - 1),
        random_state=seed,
        # With a fixed seed UMAP runs on one thread anyway and warns unless told so.
        n_jobs=1,
        init="pca",
    )
    return np.asarray(reducer.fit_transform(components.astype(np.float32)), dtype=np.float64)


def neighbour_map(
    points: Float32Array | FloatArray, *, seed: int, perplexity: float = 30.0
) -> FloatArray:
    """Lay points out in the plane by t-SNE, which fills it evenly and keeps axes as they are.

    Parameters
    ----------
    points : array of shape (n, k)
        Finite values; nothing is scaled.
    seed : int
        The same seed gives the same map.
    perplexity : float
        Neighbours that count as near; fewer when there are fewer than three times as many points.

    Returns
    -------
    array of shape (n, 2)
        Coordinates without unit. With fewer than 12 points, the first two principal components.

    References
    ----------
    van der Maaten & Hinton (2008). Visualizing data using t-SNE. Journal of Machine Learning
    Research 9: 2579-2605.

    Examples
    --------
    >>> neighbour_map(np.eye(5), seed=0).shape
    (5, 2)
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    if points.ndim != 2 or len(points) == 0:
        raise UsageError(f"points must have shape (n, k) with n > 0, not {points.shape}.")
    values = np.asarray(points, dtype=np.float64)
    if len(values) < _FEWEST or values.shape[1] < 2:
        padded = np.zeros((len(values), 2))
        count = min(2, *values.shape)
        padded[:, :count] = PCA(count, random_state=seed).fit_transform(values)
        return padded
    near = min(perplexity, (len(values) - 1) / 3)
    layout = TSNE(2, init="pca", perplexity=near, random_state=seed).fit_transform(values)
    return np.asarray(layout, dtype=np.float64)


def _principal_components(vectors: FloatArray, seed: int) -> FloatArray:
    from sklearn.decomposition import PCA

    spread = vectors.std(axis=0)
    scaled = (vectors - vectors.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    count = min(_COMPONENTS, *scaled.shape)
    return np.asarray(PCA(count, random_state=seed).fit_transform(scaled), dtype=np.float64)
