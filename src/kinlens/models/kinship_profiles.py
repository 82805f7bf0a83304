"""What a species looks like, as one vector: views apart, noise within species taken down.

Features in which pictures of one species differ a lot say little about which species it is. Their
directions are shrunk here, before pooling, by whitening with the pooled covariance within species.
Trees are not known here.

Everywhere, `values` are vectors of pictures, `views` the view of each, `n_groups` the number of
species; `words` and `arrays` are the two halves of a saved state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import eigh
from sklearn.covariance import ledoit_wolf_shrinkage

from kinlens.errors import UsageError
from kinlens.models.pooling import mean_pool, unit_rows
from kinlens.typing import BoolArray, FloatArray, IntArray, ObjectArray

__all__ = ["PictureScaling", "Profiles", "fit_picture_scaling"]

_VARYING = 1e-9
# Eigenvalues this small, as a share of the largest, are rounding.
_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class Profiles:
    """Pooled vectors of groups of pictures.

    Parameters
    ----------
    values : array of float, shape (n, p)
        Whitened means, one block of columns a view; zeros where a group has no picture of it.
    has_view : array of bool, shape (n, n_views)
        Which views each group has.
    edges : tuple of int
        Columns at which a new block begins, the first block left out.
    """

    values: FloatArray
    has_view: BoolArray
    edges: tuple[int, ...]

    def blocks(self) -> list[FloatArray]:
        """Return the columns of each view."""
        return np.split(self.values, self.edges, axis=1)

    def directions(self) -> FloatArray:
        """Return each block scaled to length 1, and then the whole: products are mean cosines."""
        return unit_rows(np.hstack([unit_rows(block) for block in self.blocks()]))

    def select(self, rows: IntArray) -> Profiles:
        """Return the profiles of some groups."""
        return Profiles(self.values[rows], self.has_view[rows], self.edges)


@dataclass(frozen=True, eq=False)
class _View:
    """Scaling of the pictures of one view.

    Parameters
    ----------
    name : str
    centre : array, shape (d,)
        Mean of the species means.
    directions : array, shape (d, k)
        Takes a centred picture to whitened coordinates.
    span : array, shape (d, k)
        Orthonormal directions of the scaled features that training pictures vary along.
    scale : array, shape (d,)
    residual : float
        Mean squared length of training pictures outside `span`, at least a small number.
    """

    name: str
    centre: FloatArray
    directions: FloatArray
    span: FloatArray
    scale: FloatArray
    residual: float


@dataclass(frozen=True, eq=False)
class PictureScaling:
    """From features of pictures to whitened profiles of groups; made by `fit_picture_scaling`.

    Parameters
    ----------
    views : tuple
        One scaling a view.
    is_whitened : bool
        False when no species has two pictures of one view, so that nothing is known of the
        variation within species.
    """

    views: tuple[_View, ...]
    is_whitened: bool

    @property
    def view_names(self) -> tuple[str, ...]:
        """Names of the views, "" for pictures that name none."""
        return tuple(view.name for view in self.views)

    @property
    def width(self) -> int:
        """Number of columns of all blocks."""
        return sum(view.directions.shape[1] for view in self.views)

    def pictures(self, values: FloatArray, views: ObjectArray) -> FloatArray:
        """Return whitened pictures, shape (n, width), zeros in the blocks of other views.

        A view that was not in training is scaled by the first one.
        """
        out = np.zeros((len(values), self.width))
        start = 0
        for number, view in enumerate(self.views):
            stop = start + view.directions.shape[1]
            rows = self._rows(views, number)
            out[rows, start:stop] = (values[rows] - view.centre) @ view.directions
            start = stop
        return out

    def strangeness(self, values: FloatArray, views: ObjectArray) -> FloatArray:
        """Return how far pictures lie outside what training pictures span; about 1 for those."""
        out = np.zeros(len(values))
        for number, view in enumerate(self.views):
            rows = self._rows(views, number)
            scaled = (values[rows] - view.centre) / view.scale
            outside = (scaled**2).sum(axis=1) - ((scaled @ view.span) ** 2).sum(axis=1)
            out[rows] = np.maximum(outside, 0.0) / view.residual
        return out

    def profiles(
        self, values: FloatArray, groups: IntArray, n_groups: int, views: ObjectArray
    ) -> Profiles:
        """Pool pictures to groups, each view apart."""
        whitened = self.pictures(values, views)
        blocks, has_view = [], np.zeros((n_groups, len(self.views)), dtype=bool)
        start = 0
        for number, view in enumerate(self.views):
            stop = start + view.directions.shape[1]
            rows = self._rows(views, number)
            blocks.append(mean_pool(whitened[rows, start:stop], groups[rows], n_groups))
            has_view[groups[rows], number] = True
            start = stop
        edges = np.cumsum([block.shape[1] for block in blocks])[:-1]
        return Profiles(np.hstack(blocks), has_view, tuple(edges.tolist()))

    def _rows(self, views: ObjectArray, number: int) -> IntArray:
        mine = views == self.views[number].name
        if number == 0:
            mine |= ~np.isin(views, np.array(self.view_names, dtype=object))
        return np.flatnonzero(mine)

    def state(self) -> tuple[dict[str, Any], dict[str, FloatArray]]:
        """Return words and arrays from which `from_state` makes the scaling again."""
        arrays = {}
        for number, view in enumerate(self.views):
            for part in ("centre", "directions", "span", "scale"):
                arrays[f"view{number}.{part}"] = getattr(view, part)
        words = {
            "views": list(self.view_names),
            "residuals": [view.residual for view in self.views],
            "is_whitened": self.is_whitened,
        }
        return words, arrays

    @classmethod
    def from_state(cls, words: dict[str, Any], arrays: dict[str, FloatArray]) -> PictureScaling:
        """Make the scaling again from what `state` returned."""
        views = tuple(
            _View(
                name=name,
                centre=arrays[f"view{i}.centre"],
                directions=arrays[f"view{i}.directions"],
                span=arrays[f"view{i}.span"],
                scale=arrays[f"view{i}.scale"],
                residual=words["residuals"][i],
            )
            for i, name in enumerate(words["views"])
        )
        return cls(views, words["is_whitened"])


def fit_picture_scaling(
    values: FloatArray,
    species: IntArray,
    views: ObjectArray,
    *,
    n_components: int = 400,
    least: int = 8,
) -> PictureScaling:
    """Learn, from pictures and their species, how to scale pictures before they are pooled.

    Features are standardised, their principal components found, and the components whitened by
    the pooled covariance within species, shrunk by the formula of Ledoit and Wolf.

    Parameters
    ----------
    values : array of float, shape (n, d)
        Features of training pictures.
    species : array of int, shape (n,)
        Numbers of their species.
    views : array of object, shape (n,)
        The view of each picture; "" for none.
    n_components : int
        Principal components kept of each view, at the most.
    least : int
        Views with fewer pictures are no view of their own and count as the commonest one.

    References
    ----------
    Ledoit, O. & Wolf, M. (2004). A well-conditioned estimator for large-dimensional covariance
    matrices. Journal of Multivariate Analysis 88, 365-411.
    """
    if len(values) < 2:
        raise UsageError("two pictures or more are needed to scale pictures.")
    names = _common_views(views, least)
    belongs = np.where(np.isin(views, np.array(names, dtype=object)), views, names[0])
    scaled = [
        _fit_view(name, values[belongs == name], species[belongs == name], n_components)
        for name in names
    ]
    return PictureScaling(
        tuple(view for view, _ in scaled), is_whitened=any(known for _, known in scaled)
    )


def _common_views(views: ObjectArray, least: int) -> Sequence[str]:
    """Return the views that are frequent enough, the commonest first."""
    names, counts = np.unique(views.astype(str), return_counts=True)
    order = np.argsort(-counts, kind="stable")
    common = [str(names[i]) for i in order if counts[i] >= least]
    return common or [str(names[order[0]])]


def _fit_view(
    name: str, values: FloatArray, species: IntArray, n_components: int
) -> tuple[_View, bool]:
    values = np.asarray(values, dtype=np.float64)
    _, member, counts = np.unique(species, return_inverse=True, return_counts=True)
    means = mean_pool(values, member, len(counts))
    centre = means.mean(axis=0)
    centred = values - centre
    scale = np.sqrt((centred**2).mean(axis=0))
    scale[scale <= _VARYING * max(float(scale.max()), 1e-300)] = np.inf  # says nothing
    scaled = centred / scale
    span = _principal_directions(scaled, n_components)
    inside = scaled @ span
    residual = float(((scaled**2).sum(axis=1) - (inside**2).sum(axis=1)).mean())
    within = inside - mean_pool(inside, member, len(counts))[member]
    freedom = len(values) - len(counts)
    is_known = freedom >= 1 and bool((within**2).sum() > 0)
    turned = span
    if is_known:
        covariance = within.T @ within / freedom
        mean_variance = float(np.trace(covariance)) / len(covariance)
        weight = max(float(ledoit_wolf_shrinkage(within, assume_centered=True)), 1e-3)
        covariance *= 1 - weight
        covariance[np.diag_indices(len(covariance))] += weight * mean_variance
        variances, axes = eigh(covariance)
        turned = span @ (axes / np.sqrt(variances))
    finite = np.where(np.isfinite(scale), scale, 1.0)
    directions = np.where(np.isfinite(scale), 1.0 / finite, 0.0)[:, None] * turned
    floor = 1e-6 * float((scaled**2).sum(axis=1).mean()) + 1e-300
    return _View(name, centre, directions, span, finite, max(residual, floor)), is_known


def _principal_directions(scaled: FloatArray, n_components: int) -> FloatArray:
    """Return orthonormal columns along which rows vary most, shape (d, k)."""
    n, d = scaled.shape
    products = scaled.T @ scaled if d <= n else scaled @ scaled.T
    keep = min(n_components, len(products))
    values, vectors = eigh(products, subset_by_index=(len(products) - keep, len(products) - 1))
    carrying = values > _ROUNDING * max(float(values[-1]), 1e-300)
    values, vectors = values[carrying][::-1], vectors[:, carrying][:, ::-1]
    if d <= n:
        return np.asarray(vectors)
    return np.asarray(scaled.T @ vectors / np.sqrt(values))
