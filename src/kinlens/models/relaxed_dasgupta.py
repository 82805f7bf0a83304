r"""Hierarchical clustering by gradient descent in hyperbolic space.

Dasgupta's cost of a tree counts, for each triple of things, the two pairs that are not the first to
meet. Here the tree is relaxed to points in the Poincare ball, where two points "meet" at the point
of their geodesic that is nearest to the centre. The exact cost of a tree, and linkage, are in
`geometry.dendrogram`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from kinlens.errors import UsageError
from kinlens.geometry.dendrogram import Linkage, linkage_tree
from kinlens.learn.fit import fit
from kinlens.learn.plan import FitPlan
from kinlens.optional import need
from kinlens.progress import SILENT, Progress
from kinlens.records.tree import Tree
from kinlens.typing import AnyArray, Float32Array, FloatArray

torch = need("torch")

__all__ = ["RelaxedDasgupta", "meeting_depths"]

_LARGEST_RADIUS = 0.999
_BATCHES_AN_EPOCH = 20
# Triples that decide on the epoch; drawn once.
_JUDGED_TRIPLES = 20_000


def meeting_depths(points: AnyArray) -> FloatArray:
    r"""Return how far from the centre the geodesic between each two points comes nearest to it.

    For points at one distance r from the centre of the Poincare ball and a gap s between them::

        cosh(depth) = (1 + r^2) / sqrt((1 - r^2)^2 + s^2)

    The diagonal holds the points' own depth.

    Parameters
    ----------
    points : array of shape (n, d)
        All of one length r below 1.

    References
    ----------
    Chami, Gu, Chatziafratis & Re (2020). From trees to continuous embeddings and back: hyperbolic
    hierarchical clustering. NeurIPS, section 4.2; the closed form above is theirs for leaves on a
    common sphere.

    Examples
    --------
    >>> meeting_depths(np.array([[0.5, 0.0], [-0.5, 0.0]])).round(4).tolist()
    [[1.0986, 0.0], [0.0, 1.0986]]
    """
    points = np.asarray(points, np.float64)
    square = float((points**2).sum(axis=1).mean())
    own = (points**2).sum(axis=1)
    gaps = np.maximum(own[:, None] + own[None, :] - 2.0 * points @ points.T, 0.0)
    np.fill_diagonal(gaps, 0.0)
    ratio = (1.0 + square) / np.sqrt((1.0 - square) ** 2 + gaps)
    return np.asarray(np.arccosh(np.maximum(ratio, 1.0)))


class RelaxedDasgupta(BaseEstimator):
    """A hierarchy of things, learned as points on a sphere in the Poincare ball.

    Parameters
    ----------
    dimensions : int
        2 can be drawn; more leave more freedom.
    epochs : int
        Of 20 steps each.
    triples : int
        Drawn at random for each step.
    learning_rate : float
        Of Adam, with cosine decay.
    temperature : float
        How soft "the deepest of three meetings" is; smaller is harder.
    random_state : int
        Seed.

    Attributes
    ----------
    points_ : array of shape (n, dimensions), float32
        All at one distance from the centre.
    history_ : pandas.DataFrame
        Mean relaxed cost of a triple by epoch.

    References
    ----------
    Chami, Gu, Chatziafratis & Re (2020). From trees to continuous embeddings and back: hyperbolic
    hierarchical clustering. NeurIPS. Dasgupta (2016). A cost function for similarity-based
    hierarchical clustering. STOC: 118-127.
    """

    def __init__(
        self,
        dimensions: int = 2,
        *,
        epochs: int = 40,
        triples: int = 2048,
        learning_rate: float = 0.05,
        temperature: float = 0.5,
        random_state: int = 0,
    ) -> None:
        self.dimensions = dimensions
        self.epochs = epochs
        self.triples = triples
        self.learning_rate = learning_rate
        self.temperature = temperature
        self.random_state = random_state

    def fit(self, X: AnyArray, y: Any = None, *, progress: Progress = SILENT) -> RelaxedDasgupta:
        """Place the things whose similarities are `X`.

        Parameters
        ----------
        X : array of shape (n, n)
            Similarities, symmetric, 0 or more; n is 3 or more.
        y : None
            Not used.
        progress : Progress
            Advances one step an epoch.

        Raises
        ------
        UsageError
            When the matrix is not square or has fewer than three rows.
        """
        if X.ndim != 2 or X.shape[0] != X.shape[1] or len(X) < 3:
            raise UsageError(f"similarities of three or more things were wanted, not {X.shape}.")
        weights = torch.from_numpy(np.ascontiguousarray(X, dtype=np.float32))
        # The spread of the weights, not their level, decides; the temperature is for a spread of 1.
        weights = weights / max(float(weights.std()), 1e-12)
        judged = _triples(len(X), _JUDGED_TRIPLES, np.random.default_rng((self.random_state, 1)))
        sphere = _Sphere(self._start(X))
        fitted = fit(
            sphere,
            lambda network, batch: _relaxed_cost(network, weights, batch, self.temperature),
            _TripleBatches(len(X), self.triples, self.random_state),
            score=lambda network: float(_relaxed_cost(network, weights, judged, self.temperature)),
            plan=FitPlan(
                epochs=self.epochs, learning_rate=self.learning_rate, patience=None, score_every=5
            ),
            seed=self.random_state,
            device="cpu",
            progress=progress,
            label="Clustering in the ball",
        )
        with torch.no_grad():
            self.points_: Float32Array = fitted.network().numpy()
        self.history_ = fitted.history
        return self

    def depths(self) -> FloatArray:
        """Return `meeting_depths` of the points."""
        check_is_fitted(self, "points_")
        return meeting_depths(self.points_)

    def tree(self, names: Sequence[str], *, method: Linkage = "single") -> Tree:
        """Decode the hierarchy: those that meet farthest from the centre are joined first.

        Parameters
        ----------
        names : sequence of str, length n
            Become the tips.
        method : str
            ``"single"`` joins by the deepest meeting of any two members, as Chami et al. do.
        """
        depths = self.depths()
        return linkage_tree(2.0 * (depths.max() - depths), names, method=method)

    def _start(self, similarity: AnyArray) -> AnyArray:
        """Lay alike things close together by the leading eigenvectors, with a little noise."""
        similarity = np.asarray(similarity, np.float64)
        mean = similarity.mean(axis=0)
        centred = similarity - mean - mean[:, None] + mean.mean()
        values, vectors = np.linalg.eigh(centred)
        leading = np.argsort(-values)[: self.dimensions]
        points = np.zeros((len(similarity), self.dimensions))
        points[:, : len(leading)] = vectors[:, leading]
        spread = np.abs(points).mean() or 1.0
        noise = np.random.default_rng((self.random_state, 2)).normal(size=points.shape)
        return (points / spread + 0.1 * noise).astype(np.float32)


class _Sphere(torch.nn.Module):  # type: ignore[name-defined]
    """Free directions, and one radius for all."""

    def __init__(self, start: AnyArray) -> None:
        super().__init__()
        self.directions = torch.nn.Parameter(torch.from_numpy(start))
        self.raw_radius = torch.nn.Parameter(torch.tensor(2.0))

    @property
    def radius(self) -> Any:
        return _LARGEST_RADIUS * torch.sigmoid(self.raw_radius)

    def forward(self) -> Any:
        return self.radius * torch.nn.functional.normalize(self.directions, dim=1)


class _TripleBatches:
    """Random triples, anew each epoch."""

    def __init__(self, n: int, size: int, seed: int) -> None:
        self.n, self.size, self.seed, self.epoch = n, size, seed, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return _BATCHES_AN_EPOCH

    def __iter__(self) -> Iterator[Any]:
        rng = np.random.default_rng((self.seed, 0, self.epoch))
        for _ in range(len(self)):
            yield _triples(self.n, self.size, rng)


def _triples(n: int, count: int, rng: np.random.Generator) -> Any:
    """Draw triples of different things, uniformly; shape (count, 3)."""
    first = rng.integers(n, size=count)
    second = (first + rng.integers(1, n, size=count)) % n
    third = rng.integers(n - 2, size=count)
    low, high = np.minimum(first, second), np.maximum(first, second)
    third += third >= low
    third += third >= high
    return torch.from_numpy(np.stack([first, second, third], axis=1))


def _relaxed_cost(sphere: Any, weights: Any, triples: Any, temperature: float) -> Any:
    """Mean weight of the two pairs of a triple that do not meet first (Chami et al. eq. 9)."""
    i, j, k = triples.T
    pairs = ((i, j), (i, k), (j, k))
    alike = torch.stack([weights[a, b] for a, b in pairs], dim=1)  # (T, 3)
    points, square = sphere(), sphere.radius**2
    gaps = torch.stack([(points[a] - points[b]).square().sum(1) for a, b in pairs], dim=1)
    # The log of the ratio that the depth grows with has a finite slope even where points coincide.
    depth = -0.5 * torch.log((1.0 - square) ** 2 + gaps)  # (T, 3)
    share = torch.softmax(depth / temperature, dim=1)
    return (alike.sum(1) - (share * alike).sum(1)).mean()
