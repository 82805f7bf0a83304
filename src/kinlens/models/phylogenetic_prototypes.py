r"""Naming species from pictures where some have few pictures, or none, and relatives help out.

Every species has a prototype, the mean of its features, which evolved along the tree. A species
with many pictures keeps its own mean; one with few leans on its relatives; one with none is where
they say it should be, with an honest width. How means evolve is in `evolving_means`, which tree
is used in `species_tree`, and newcomers to the tree are in `newcomers`.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from scipy.special import log_softmax
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from kinlens.errors import InputError, UsageError
from kinlens.evaluate.groups import unit_codes
from kinlens.models.discriminant import Discriminant, check_options, fit_discriminant
from kinlens.models.evolving_means import Evolution, fit_evolution, infer_states
from kinlens.models.gaussian_density import log_densities, mean_squares
from kinlens.models.labels import class_codes
from kinlens.models.lineage import Lineages
from kinlens.models.newcomers import Newcomers, place_newcomers
from kinlens.models.species_tree import species_tree
from kinlens.records.distances import DistanceMatrix
from kinlens.records.taxonomy import Taxonomy
from kinlens.records.tree import Tree
from kinlens.typing import AnyArray, FloatArray, IntArray

__all__ = ["PhylogeneticPrototypes"]

# Parts of what is learned that are arrays, for keeping.
_AXES = ("xbar", "scalings", "means")
_EVOLUTION = ("scale", "signal", "pull", "origin")


class PhylogeneticPrototypes(ClassifierMixin, TransformerMixin, BaseEstimator):
    r"""Nearest species mean, where means are drawn towards where their relatives are.

    Features are whitened by the pooled within-species covariance, shrunk as in
    `ShrinkageDiscriminant`, and turned to the axes that species means span. On each axis, with
    :math:`m_s` the mean of species s, C its covariance along the tree and :math:`n_s` its
    specimens:

    .. math:: m \sim N(g, \sigma^2 (\lambda C + (1 - \lambda) D)), \qquad
              \bar x_s \sim N(m_s, \nu / n_s), \qquad x \sim N(m_s, \tau)

    Scale :math:`\sigma^2`, signal :math:`\lambda`, and the pull of an Ornstein-Uhlenbeck process
    are found for each axis by restricted maximum likelihood; the posterior of all :math:`m_s` is
    then exact, by messages on the tree, at a cost linear in species. A picture is named by its
    predictive density, :math:`N(E[m_s], \tau + Var[m_s])` on each axis, so that a species of which
    little is known is spread wide. Species are equally likely beforehand.

    Parameters
    ----------
    kinship : Tree or DistanceMatrix, optional
        Of the species. Tips that are no species here are left out.
    taxonomy : Taxonomy, optional
        Places species that `kinship` lacks: at their genus, or the next known taxon above, or at
        the root. Without `kinship` it is the tree, and without both all species are equally
        related.
    candidates : sequence of str, optional
        Species that may be answered although they have no picture.
    process : {"ou", "brownian"}
        Whether axes may evolve under a pull towards the origin.
    shrinkage : ``"ledoit_wolf"`` or float from 0 to 1
        Weight of the identity in the within-species covariance.
    noise : float
        :math:`\nu`, above 0. 1 takes the pictures of one specimen for as good as one picture, and
        the whitening for exact.
    spread : float
        :math:`\tau`, above 0: the variance of new pictures around their species' mean. 1 takes
        the whitening for exact; where it was learned from few pictures they spread wider, and
        species without pictures, which are wide already, are answered too often until this is
        said. Choose both on specimens held out.

    Attributes
    ----------
    classes_ : array of shape (n_classes,)
        Sorted species, with pictures or without.
    tree_ : Tree
        Its tips are the classes.
    means_, variances_ : FloatArray of shape (n_classes, n_axes)
        Posterior of each prototype, on axes where pictures of one species have variance 1.
    n_specimens_ : IntArray of shape (n_classes,)
        What each was learned from; pictures where no specimens were given.
    evolution_ : Evolution
        Scale, signal and pull of each axis.

    References
    ----------
    Felsenstein J (1973), American Journal of Human Genetics 25: 471-492; Pagel M (1999), Nature
    401: 877-884; Hansen TF (1997), Evolution 51: 1341-1351. For prototypes in whitened features:
    Mensink T et al. (2013), IEEE TPAMI 35: 2624-2637.

    Examples
    --------
    >>> tree = Tree.from_parents(
    ...     [-1, 0, 0, 1, 1, 2, 2], [0, 2, 2, 1, 1, 1, 1], ["", "", "", "a", "b", "c", "d"]
    ... )
    >>> rng = np.random.default_rng(0)
    >>> centres = np.array([[5.0, 0.0], [-5.0, 1.0], [-5.0, -1.0]])
    >>> X = np.repeat(centres, 6, axis=0) + 0.1 * rng.standard_normal((18, 2))
    >>> y = np.repeat(["a", "c", "d"], 6)
    >>> model = PhylogeneticPrototypes(kinship=tree, candidates=["b"]).fit(X, y)
    >>> model.predict([[-5.0, 1.0], [4.0, 0.5]]).tolist()  # b has no picture, but a is its sister
    ['c', 'b']
    """

    def __init__(
        self,
        *,
        kinship: Tree | DistanceMatrix | None = None,
        taxonomy: Taxonomy | None = None,
        candidates: Iterable[str] | None = None,
        process: str = "ou",
        shrinkage: str | float = "ledoit_wolf",
        noise: float = 1.0,
        spread: float = 1.0,
    ) -> None:
        self.kinship = kinship
        self.taxonomy = taxonomy
        self.candidates = candidates
        self.process = process
        self.shrinkage = shrinkage
        self.noise = noise
        self.spread = spread

    def fit(
        self, X: AnyArray, y: AnyArray, groups: Iterable[Any] | None = None
    ) -> PhylogeneticPrototypes:
        """Find the axes, how they evolve, and the prototypes.

        Parameters
        ----------
        X : array of shape (n, n_features)
            Feature vectors, finite.
        y : array of shape (n,)
            Species of each.
        groups : iterable of length n, optional
            Specimens: several pictures of one count once. Each picture on its own when left out.

        Raises
        ------
        InputError
            When `kinship` has none of the species, or all pictures are of one species while others
            are candidates.
        """
        check_options(shrinkage=self.shrinkage, pull=0.0)
        for name in ("noise", "spread"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value > 0):
                raise UsageError(f"{name} must be above 0, not {value!r}.")
        X, y = validate_data(self, X, y, dtype=np.float64, ensure_min_samples=2)
        labels = class_codes(y)
        self.classes_, self._seen = _with_candidates(labels.classes, self.candidates)
        if len(labels.classes) == 1 and len(self.classes_) > 1:
            raise InputError(
                f"all pictures are of {labels.classes[0]}, so nothing tells what differs between "
                f"species, and {len(self.classes_) - 1:,} others are candidates",
                remedy="Add pictures of a second species.",
            )
        lineages = Lineages.of(labels.classes, None)
        self._discriminant = fit_discriminant(
            X, labels.codes, lineages, shrinkage=self.shrinkage, pull=0.0
        )
        self.n_specimens_ = np.zeros(len(self.classes_), dtype=np.int64)
        self.n_specimens_[self._seen] = _count_units(labels.codes, groups)
        self._fit_prototypes()
        return self

    def _fit_prototypes(self) -> None:
        names = [str(name) for name in self.classes_]
        self.tree_ = species_tree(names, self.kinship, self.taxonomy)
        self._observe(self.tree_)
        if self._observed.shape[1] == 0:
            nothing = np.zeros(0)
            self.evolution_ = Evolution(nothing, nothing, nothing, nothing, 0.0)
            self.means_ = self.variances_ = np.zeros((len(names), 0))
            return
        self.evolution_ = fit_evolution(
            self.tree_, self._tips, self._observed, self._noise, process=self.process
        )
        states = infer_states(self.tree_, self._tips, self._observed, self._noise, self.evolution_)
        self.means_ = states.mean[self._tips]
        self.variances_ = states.variance[self._tips]

    def _observe(self, tree: Tree) -> None:
        """Put the means that were seen, and their noise, at the tips of the tree."""
        observed = self._discriminant.means
        names = [str(name) for name in self.classes_]
        self._tips = tree.tips[tree.tip_positions(names)]
        self._observed = np.zeros((len(names), observed.shape[1]))
        self._observed[self._seen] = observed
        with np.errstate(divide="ignore"):
            self._noise = np.where(self.n_specimens_ > 0, self.noise / self.n_specimens_, np.inf)

    def with_kinship(
        self,
        kinship: Tree | DistanceMatrix | None,
        *,
        taxonomy: Taxonomy | None = None,
        noise: float | None = None,
        spread: float | None = None,
    ) -> PhylogeneticPrototypes:
        """Return the same fit under another tree: same axes, same means as seen, nothing shared.

        What comparisons of trees need, at a fraction of the cost of fitting again.

        Parameters
        ----------
        kinship, taxonomy
            As for the class; they replace what this one has.
        noise, spread : float, optional
            As for the class; this one's when left out.
        """
        check_is_fitted(self)
        other = copy.copy(self)
        other.kinship, other.taxonomy = kinship, taxonomy
        other.noise = self.noise if noise is None else noise
        other.spread = self.spread if spread is None else spread
        other._fit_prototypes()
        return other

    def with_spread(self, spread: float) -> PhylogeneticPrototypes:
        """Return the same fit with another `spread`, at no cost: prototypes stay where they are.

        Parameters
        ----------
        spread : float
            As for the class.
        """
        check_is_fitted(self)
        other = copy.copy(self)
        other.spread = spread
        return other

    def transform(self, X: AnyArray) -> FloatArray:
        """Return pictures on the axes, shape (n, n_axes)."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        return self._discriminant.points(X)

    def class_scores(self, X: AnyArray) -> FloatArray:
        """Return the log density of each picture under each species, shape (n, n_classes)."""
        return log_densities(self.transform(X), self.means_, self.spread + self.variances_)

    def oddness(self, scores: FloatArray) -> FloatArray:
        """Return how far each picture is from the nearest species that has pictures.

        Parameters
        ----------
        scores : FloatArray of shape (n, n_classes)
            Of the pictures, from `class_scores`.

        Returns
        -------
        FloatArray of shape (n,)
            The mean squared distance over axes, in predictive variances. A picture that is taken
            like those learned from has about 1, and one in another light more on all axes.
        """
        seen = self.n_specimens_ > 0
        variances = self.spread + self.variances_[seen]
        return np.asarray(mean_squares(scores[:, seen], variances).min(axis=1))

    def decision_function(self, X: AnyArray) -> FloatArray:
        """Return `class_scores`; for two classes their difference, shape (n,)."""
        scores = self.class_scores(X)
        return scores[:, 1] - scores[:, 0] if len(self.classes_) == 2 else scores

    def predict_log_proba(self, X: AnyArray) -> FloatArray:
        """Return log probabilities, shape (n, n_classes); too sure until they are calibrated."""
        return np.asarray(log_softmax(self.class_scores(X), axis=1))

    def predict_proba(self, X: AnyArray) -> FloatArray:
        """Return probabilities, shape (n, n_classes)."""
        return np.asarray(np.exp(self.predict_log_proba(X)))

    def predict(self, X: AnyArray) -> AnyArray:
        """Return the most probable species of each picture, shape (n,)."""
        best = self.class_scores(X).argmax(axis=1)
        answer: AnyArray = self.classes_[best]
        return answer

    def place(self, X: AnyArray) -> Newcomers:
        """Ask of each picture whether it shows none of the species, and where it would attach.

        Parameters
        ----------
        X : array of shape (n, n_features)
            Feature vectors, finite.

        Returns
        -------
        Newcomers
            Log odds against all known species, and the branch that fits best.
        """
        points = self.transform(X)
        if not points.shape[1]:
            raise UsageError("with one species there are no axes on which a newcomer could differ.")
        known = log_densities(points, self.means_, self.spread + self.variances_)
        return place_newcomers(
            points, known, self.tree_, self._tips, self._observed, self._noise, self.evolution_,
            spread=self.spread,
        )  # fmt: skip

    def state(self) -> tuple[dict[str, Any], dict[str, AnyArray]]:
        """Return all that was learned, as a JSON-able mapping and named arrays.

        Returns
        -------
        (dict, dict of str to array)
            What `from_state` takes. Classes are kept as text.
        """
        check_is_fitted(self)
        words = {
            "classes": [str(name) for name in self.classes_],
            "tree": self.tree_.to_dict(),
            "process": self.process,
            "noise": float(self.noise),
            "spread": float(self.spread),
            "shrinkage": float(self._discriminant.shrinkage),
            "log_likelihood": float(self.evolution_.log_likelihood),
        }
        arrays: dict[str, AnyArray] = {
            "seen": self._seen,
            "n_specimens": self.n_specimens_,
            "means": self.means_,
            "variances": self.variances_,
        }
        arrays |= {f"axes.{part}": getattr(self._discriminant, part) for part in _AXES}
        arrays |= {f"evolution.{part}": getattr(self.evolution_, part) for part in _EVOLUTION}
        return words, arrays

    @classmethod
    def from_state(
        cls, words: Mapping[str, Any], arrays: Mapping[str, AnyArray]
    ) -> PhylogeneticPrototypes:
        """Build a fitted classifier from what `state` returned.

        Parameters
        ----------
        words, arrays : mapping
            The two parts of the state.
        """
        model = cls(process=words["process"], noise=words["noise"], spread=words["spread"])
        model.classes_ = np.array(words["classes"], dtype=object)
        model._seen = np.asarray(arrays["seen"])
        model.n_specimens_ = np.asarray(arrays["n_specimens"])
        model._discriminant = Discriminant(
            **{part: np.asarray(arrays[f"axes.{part}"]) for part in _AXES},
            shrinkage=words["shrinkage"],
            rank_variances={},
        )
        model.n_features_in_ = len(model._discriminant.xbar)
        model.tree_ = Tree.from_dict(words["tree"])
        model._observe(model.tree_)
        model.evolution_ = Evolution(
            **{part: np.asarray(arrays[f"evolution.{part}"]) for part in _EVOLUTION},
            log_likelihood=words["log_likelihood"],
        )
        model.means_ = np.asarray(arrays["means"])
        model.variances_ = np.asarray(arrays["variances"])
        return model

    @property
    def discriminant_(self) -> Discriminant:
        """The axes: what turns features into points, for whoever keeps the model."""
        check_is_fitted(self)
        return self._discriminant


def _with_candidates(
    pictured: AnyArray, candidates: Iterable[str] | None
) -> tuple[AnyArray, IntArray]:
    """Return all classes, sorted, and which of them have pictures."""
    if candidates is None:
        return pictured, np.arange(len(pictured))
    names = np.array([str(name) for name in pictured], dtype=object)
    classes = np.unique(np.concatenate([names, np.array([*map(str, candidates)], dtype=object)]))
    return classes, np.searchsorted(classes, names)


def _count_units(codes: IntArray, groups: Iterable[Any] | None) -> IntArray:
    if groups is None:
        return np.bincount(codes)
    units = unit_codes(groups, n_rows=len(codes))
    pairs = np.unique(np.column_stack([codes, units]), axis=0)
    return np.bincount(pairs[:, 0])
