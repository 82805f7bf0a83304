"""An embedding of pictures in which distance stands for kinship, and places in the tree.

The estimator, its default engine (kernel ridge) and how it learns to say how sure it is. Weights
of the ridge are in `kinship_ridge`, the published network in `kinship_attention`, one that reads
pictures in `kinship_fine_tuned`, scaling of pictures in `kinship_profiles`, branches and intervals
in `kinship_placement`; `kinship_state` writes a fitted estimator down.

As in all engines, `pictures` are the training pictures, `distances` the true distances between
their species, `folds` the species held out together, and `seed` draws; `views` and `groups` are
the view and species of each picture, `X` their vectors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from kinlens.errors import InputError, UsageError
from kinlens.evaluate.splits import Split
from kinlens.geometry.ordination import principal_coordinates
from kinlens.geometry.patristic import patristic_distances
from kinlens.models.kinship_engine import Engine, Pictures, inner_folds
from kinlens.models.kinship_outsiders import OutsiderScore
from kinlens.models.kinship_placement import (
    DistanceCalibration,
    Placement,
    nearest_branch_points,
    outsider_p_values,
)
from kinlens.models.kinship_profiles import PictureScaling, Profiles, fit_picture_scaling
from kinlens.models.kinship_ridge import (
    ALPHAS,
    KERNELS,
    Candidate,
    NestedSmoothers,
    SpeciesKernel,
    squared_distances,
)
from kinlens.models.pooling import mean_pool
from kinlens.records.distances import DistanceMatrix
from kinlens.records.tree import Tree
from kinlens.typing import AnyArray, FloatArray, IntArray, ObjectArray

__all__ = ["KinshipEmbedder", "RidgeEngine", "RidgePlaces"]


@dataclass(frozen=True)
class RidgeEngine:
    """Kernel ridge onto principal coordinates of square-rooted tree distances, in closed form.

    Parameters
    ----------
    kernels : tuple of {"cosine", "gaussian", "linear"}
        Similarities of looks to choose from.
    alphas : tuple of float
        Penalties to choose from, as shares of the kernel's mean diagonal.
    n_components : int
        Principal components kept of the features of each view.

    References
    ----------
    de Vienne, D. M., Aguileta, G. & Ollier, S. (2011). Euclidean nature of phylogenetic distance
    matrices. Systematic Biology 60, 826-832.
    """

    kernels: tuple[str, ...] = KERNELS
    alphas: tuple[float, ...] = ALPHAS
    n_components: int = 400

    def fit(
        self, pictures: Pictures, distances: FloatArray, folds: Sequence[Split], seed: int
    ) -> RidgePlaces:
        """Choose kernel and penalty by the inner folds, then solve for all species."""
        n, vectors = pictures.n_groups, _features(pictures)
        scaling = fit_picture_scaling(
            vectors, pictures.groups, pictures.views, n_components=self.n_components
        )
        profiles = scaling.profiles(vectors, pictures.groups, n, pictures.views)
        everyone = np.arange(n)
        nested = NestedSmoothers.build(
            profiles, everyone, everyone[:0], folds, kernels=self.kernels, alphas=self.alphas
        )
        chosen = nested.candidates[nested.choose(distances)]
        kernel = SpeciesKernel.fit(chosen.kernel, profiles)
        gram = kernel(profiles, profiles)
        coordinates = principal_coordinates(np.sqrt(distances), n - 1).points
        penalty = chosen.alpha * max(float(np.trace(gram)) / n, 1e-12)
        dual = np.asarray(np.linalg.solve(gram + penalty * np.eye(n), coordinates))
        return RidgePlaces(scaling, kernel, profiles, dual, coordinates, chosen)


@dataclass(frozen=True, eq=False)
class RidgePlaces:
    """What `RidgeEngine` learned.

    Parameters
    ----------
    scaling : PictureScaling
    kernel : SpeciesKernel
    profiles : Profiles
        Of the training species.
    dual : array of float, shape (n, k)
    positions : array of float, shape (n, k)
        Principal coordinates of the training species in the tree.
    chosen : Candidate
        Setting that inner validation chose.
    """

    scaling: PictureScaling
    kernel: SpeciesKernel
    profiles: Profiles
    dual: FloatArray
    positions: FloatArray
    chosen: Candidate

    def place(self, pictures: Pictures) -> FloatArray:
        """Return places of groups of pictures."""
        profiles = self.scaling.profiles(
            _features(pictures), pictures.groups, pictures.n_groups, pictures.views
        )
        return np.asarray(self.kernel(profiles, self.profiles) @ self.dual)


class KinshipEmbedder(TransformerMixin, BaseEstimator):
    """Learns, from species whose tree is known, to place pictures by kinship.

    Parameters
    ----------
    engine : Engine, optional
        `RidgeEngine` when left out; `kinship_attention.AttentionEngine` is the published network,
        `kinship_fine_tuned.FineTuningEngine` learns from the pictures themselves.
    n_folds : int
        Folds of training species by which settings are chosen and errors are learned.
    error_rate : float
        Share of distance intervals that may miss the true distance.
    outsider_level : float
        Pictures are called "not in this tree" at this p-value or below.
    random_state : int
        Deals species to folds.

    Attributes
    ----------
    species_ : tuple of str
        Species that were learned from, sorted as in the tree.
    positions_ : array of float, shape (n_species, k)
        Their places.
    places_ : Places
        The fitted engine.
    calibration_ : DistanceCalibration or None
        None with fewer than eight species: distances stay uncalibrated, intervals are infinite.
    tree_ : Tree or None
        The tree of `species_`.

    Examples
    --------
    >>> from kinlens.records.tree import Tree
    >>> tips = [f"t{i}" for i in range(8)]
    >>> parent = [-1, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6]
    >>> tree = Tree.from_parents(parent, [0.0] + [1.0] * 14, [""] * 7 + tips)
    >>> rng = np.random.default_rng(1)
    >>> looks = np.repeat(np.eye(8) + np.kron(np.eye(4), np.ones((2, 2))), 3, axis=0)
    >>> pictures = looks + 0.1 * rng.standard_normal(looks.shape)
    >>> model = KinshipEmbedder().fit(pictures, np.repeat(tips, 3), kinship=tree)
    >>> model.transform(pictures[:2]).shape[0]
    2
    """

    def __init__(
        self,
        engine: Engine | None = None,
        *,
        n_folds: int = 5,
        error_rate: float = 0.1,
        outsider_level: float = 0.05,
        random_state: int = 0,
    ) -> None:
        self.engine = engine
        self.n_folds = n_folds
        self.error_rate = error_rate
        self.outsider_level = outsider_level
        self.random_state = random_state

    def fit(
        self,
        X: ArrayLike,
        y: Sequence[str] | ObjectArray,
        *,
        kinship: Tree | DistanceMatrix,
        views: Sequence[str] | ObjectArray | None = None,
        clades: Mapping[str, str] | None = None,
    ) -> KinshipEmbedder:
        """Learn from pictures of species with known kinship.

        Parameters
        ----------
        X : array of float, shape (m, d)
            Features of pictures; or pictures, uint8 of shape (m, height, width, channels), for an
            engine that reads these.
        y : sequence of str, length m
            Their species. Pictures of species that `kinship` does not hold are left aside.
        kinship : Tree or DistanceMatrix
            Species without pictures are pruned. Without a tree, `predict` names no branches.
        views : sequence of str, optional
            Sides that pictures show, such as dorsal and ventral; each is scaled on its own.
        clades : mapping of str to str, optional
            Clade of each species. Given, folds hold out whole clades, which suits newcomers from
            clades that were never seen; left out, species.

        Raises
        ------
        InputError
            When fewer than four species have pictures and kinship.
        """
        pictures, names, tree, distances = _joined(X, y, kinship, views)
        engine: Engine = self.engine or RidgeEngine()
        rng = np.random.default_rng(self.random_state)
        labels = None if clades is None else [clades.get(name, name) for name in names]
        self.species_ = names
        self.tree_ = tree
        self.distances_ = distances
        folds = inner_folds(len(names), labels, self.n_folds, rng)
        self.places_ = engine.fit(pictures, distances, folds, self.random_state)
        self.positions_ = self.places_.positions
        self.outsiders_ = OutsiderScore.fit(pictures)
        self._learn_errors(engine, pictures, distances, labels, folds, rng)
        return self

    def _learn_errors(
        self,
        engine: Engine,
        pictures: Pictures,
        distances: FloatArray,
        labels: Sequence[str] | None,
        folds: Sequence[Split],
        rng: np.random.Generator,
    ) -> None:
        """Place each picture by what was learned from the other folds' species."""
        self.calibration_ = None
        self.outsider_scores_ = np.empty(0)
        self.outsider_groups_ = np.empty(0, dtype=np.int64)
        if not folds:
            return
        raw, truth, owner, strange, strange_owner = [], [], [], [], []
        for fold in folds:
            learned, held_out = fold.train, fold.test
            known = pictures.of_groups(learned)
            new = pictures.of_groups(held_out)
            inner_labels = None if labels is None else [labels[i] for i in learned]
            inner = inner_folds(len(learned), inner_labels, self.n_folds, rng)
            places = engine.fit(
                known, distances[np.ix_(learned, learned)], inner, self.random_state
            )
            species = held_out[new.groups]
            single = new.ungrouped()
            raw.append(np.sqrt(squared_distances(places.place(single), places.positions)).ravel())
            truth.append(distances[np.ix_(species, learned)].ravel())
            owner.append(np.repeat(species, len(learned)))
            strange.append(OutsiderScore.fit(known)(single))
            strange_owner.append(species)
        self.calibration_ = DistanceCalibration.fit(
            np.concatenate(raw),
            np.concatenate(truth),
            np.concatenate(owner),
            error_rate=self.error_rate,
            rng=rng,
        )
        self.outsider_scores_ = np.concatenate(strange)
        self.outsider_groups_ = np.concatenate(strange_owner)

    def transform(
        self,
        X: ArrayLike,
        *,
        groups: Sequence[int] | IntArray | None = None,
        views: Sequence[str] | ObjectArray | None = None,
    ) -> FloatArray:
        """Place pictures, or groups of them pooled.

        Parameters
        ----------
        X : array of float, shape (m, d)
        groups : array of int, optional
            Which pictures belong to one organism or species, from 0; each alone when left out.
        views : sequence of str, optional

        Returns
        -------
        array of float, shape (n_groups, k)
        """
        check_is_fitted(self, "positions_")
        return self.places_.place(_pictures(X, groups, views))

    def distances_to_species(
        self,
        X: ArrayLike,
        *,
        groups: Sequence[int] | IntArray | None = None,
        views: Sequence[str] | ObjectArray | None = None,
    ) -> FloatArray:
        """Estimate distances in the tree to each of `species_`, shape (n_groups, n_species)."""
        raw = squared_distances(self.transform(X, groups=groups, views=views), self.positions_)
        return raw if self.calibration_ is None else self.calibration_.estimate(np.sqrt(raw))

    def predict(
        self,
        X: ArrayLike,
        *,
        groups: Sequence[int] | IntArray | None = None,
        views: Sequence[str] | ObjectArray | None = None,
    ) -> Placement:
        """Place pictures in the tree: branch, distance to each species, or not in this tree.

        Parameters
        ----------
        X, groups, views
            As in `transform`.

        Returns
        -------
        Placement
            Intervals hold the true distance at ``1 - error_rate`` for species drawn like those
            learned from; they were made for single pictures, so that groups do better.
        """
        estimate = self.distances_to_species(X, groups=groups, views=views)
        pictures = _pictures(X, groups, views)
        if self.calibration_ is None:
            low, high = np.zeros_like(estimate), np.full_like(estimate, np.inf)
            errors = np.ones_like(estimate)
            p_value = np.ones(len(estimate))
        else:
            low, high = self.calibration_.interval(estimate)
            errors = self.calibration_.errors(estimate)
            strange = mean_pool(
                self.outsiders_(pictures.ungrouped())[:, None], pictures.groups, pictures.n_groups
            )[:, 0]
            p_value = outsider_p_values(strange, self.outsider_scores_, self.outsider_groups_)
        branches = None
        if self.tree_ is not None:
            branches = nearest_branch_points(estimate, errors, self.tree_)
        return Placement(
            species=self.species_,
            distances=estimate,
            low=low,
            high=high,
            p_value=p_value,
            is_in_tree=p_value > self.outsider_level,
            branches=branches,
            tree=self.tree_,
        )


def _joined(
    X: ArrayLike,
    y: Sequence[str] | ObjectArray,
    kinship: Tree | DistanceMatrix,
    views: Sequence[str] | ObjectArray | None,
) -> tuple[Pictures, tuple[str, ...], Tree | None, FloatArray]:
    """Join pictures and kinship by species."""
    values = _values(X)
    species = np.asarray(y, dtype=object)
    if values.ndim not in (2, 4) or species.shape != (len(values),):
        raise UsageError(f"pictures {values.shape} and species {species.shape} do not pair.")
    present = set(species.tolist())
    ids = kinship.tip_names if isinstance(kinship, Tree) else kinship.ids
    names = tuple(name for name in ids if name in present)
    if len(names) < 4:
        raise InputError(
            f"kinship is learned from four species or more with pictures, not {len(names)}",
            offenders=sorted(map(str, present - set(ids))),
            remedy="Check that species in the pictures are spelled as in the tree.",
        )
    tree = kinship.prune(names) if isinstance(kinship, Tree) else None
    if tree is not None:
        names = tree.tip_names
        distances = patristic_distances(tree).values
    else:
        assert isinstance(kinship, DistanceMatrix)
        distances = kinship.select(names).values
    if not distances.max() > 0:
        raise InputError("all species are at distance 0 from each other; there is no kinship")
    number = {name: i for i, name in enumerate(names)}
    rows = np.array([i for i, name in enumerate(species) if name in number], dtype=np.int64)
    groups = np.array([number[species[i]] for i in rows], dtype=np.int64)
    shown = _views(views, len(values))
    return Pictures(values[rows], groups, shown[rows]), names, tree, distances


def _pictures(
    X: ArrayLike,
    groups: Sequence[int] | IntArray | None,
    views: Sequence[str] | ObjectArray | None,
) -> Pictures:
    values = _values(X)
    own = np.arange(len(values)) if groups is None else np.asarray(groups, dtype=np.int64)
    if own.shape != (len(values),) or not np.array_equal(np.unique(own), np.arange(own.max() + 1)):
        raise UsageError("groups must number the pictures' organisms from 0, none left out.")
    return Pictures(values, own, _views(views, len(values)))


def _views(views: Sequence[str] | ObjectArray | None, n: int) -> ObjectArray:
    if views is None:
        return np.full(n, "", dtype=object)
    shown = np.asarray(views, dtype=object)
    if shown.shape != (n,):
        raise UsageError(f"{n} pictures and {shown.shape} views do not pair.")
    return shown


def _values(X: ArrayLike) -> AnyArray:
    """Return pictures as they are, and anything else as a table of floats."""
    given = np.asarray(X)
    if given.ndim == 4 and given.dtype == np.uint8:
        return given
    return np.atleast_2d(np.asarray(given, dtype=np.float64))


def _features(pictures: Pictures) -> FloatArray:
    if pictures.values.ndim != 2:
        raise UsageError(
            f"this engine learns from vectors of pictures, shape (m, d), not from pictures of "
            f"shape {pictures.values.shape}; encode them first, or take FineTuningEngine."
        )
    return pictures.values
