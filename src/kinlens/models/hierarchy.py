"""A classifier whose answers agree from order down to species, with probabilities at each rank.

One discriminant a rank, weighed together on held-out specimens. Deciding how deep an answer may
go is for `conformal`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import log_softmax, softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from kinlens.errors import UsageError, did_you_mean
from kinlens.evaluate.folds import specimen_folds
from kinlens.evaluate.groups import unit_codes
from kinlens.models.calibration import HeldOut
from kinlens.models.discriminant import Discriminant, check_options, fit_discriminant
from kinlens.models.labels import class_codes
from kinlens.models.lineage import Lineages, best_path
from kinlens.models.rank_weights import RankWeights, fit_rank_weights
from kinlens.records.taxonomy import Taxonomy
from kinlens.typing import AnyArray, FloatArray, IntArray, ObjectArray

__all__ = ["HierarchicalClassifier"]

# Probabilities below this are too small to tell from zero, of which there is no logarithm.
_LEAST = np.finfo(np.float64).tiny


class HierarchicalClassifier(ClassifierMixin, BaseEstimator):
    """Names every rank of a picture so that the names agree.

    For each rank at which there is something to tell apart, a `ShrinkageDiscriminant` is fitted on
    that rank's taxa, its means pulled towards their relatives. The discriminants are multiplied
    into one distribution over the lowest rank's classes, see `RankWeights`; a taxon's probability
    is the sum over its classes, so a family is never less probable than its best genus. The
    weights maximise the mean log probability of the truth over all ranks on specimens held out in
    folds, which calibrates the probabilities at the same time.

    Parameters
    ----------
    taxonomy : Taxonomy, optional
        Holds every label; without it there is one rank.
    rank : str
        The rank of the labels.
    shrinkage, pull
        As for `ShrinkageDiscriminant`.
    n_folds : int
        Folds that the weights are fitted on, at least 2.
    random_state : int, RandomState instance or None
        Deals specimens to folds.

    Attributes
    ----------
    classes_ : array of shape (n_classes,)
        Sorted labels.
    lineages_ : Lineages
        The taxa above them.
    head_ranks_ : tuple of str
        Ranks that have a discriminant.
    heads_ : tuple of Discriminant
        Fitted on everything.
    weights_ : RankWeights
        How they are weighed.
    held_out_ : HeldOut
        What the weighed discriminants said of each training picture when its specimen was held
        out; calibrates conformal answers without further fitting.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> centre = np.repeat([[0.0, 0.0], [0.0, 1.0], [9.0, 0.0]], 8, axis=0)
    >>> X = centre + 0.1 * rng.standard_normal(centre.shape)
    >>> y = np.repeat(["A_a", "A_b", "B_a"], 8)
    >>> rows = pd.DataFrame({"species": ["A_a", "A_b", "B_a"], "genus": ["A", "A", "B"]})
    >>> model = HierarchicalClassifier(Taxonomy.from_images(rows), random_state=0).fit(X, y)
    >>> model.predict_frame([[0.0, 0.9]])[["species", "genus"]].to_numpy().tolist()
    [['A_b', 'A']]
    """

    def __init__(
        self,
        taxonomy: Taxonomy | None = None,
        *,
        rank: str = "species",
        shrinkage: str | float = "ledoit_wolf",
        pull: float = 1.0,
        n_folds: int = 3,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.taxonomy = taxonomy
        self.rank = rank
        self.shrinkage = shrinkage
        self.pull = pull
        self.n_folds = n_folds
        self.random_state = random_state

    def fit(
        self, X: AnyArray, y: AnyArray, groups: Iterable[Any] | None = None
    ) -> HierarchicalClassifier:
        """Fit the discriminants and their weights.

        Parameters
        ----------
        X : array of shape (n, n_features)
            Feature vectors, finite.
        y : array of shape (n,)
            Labels of `rank`.
        groups : iterable of length n, optional
            Specimens; each picture on its own when left out.
        """
        check_options(shrinkage=self.shrinkage, pull=self.pull)
        X, y = validate_data(self, X, y, dtype=np.float64, ensure_min_samples=2)
        labels = class_codes(y)
        self.classes_, codes = labels.classes, labels.codes
        self.lineages_ = Lineages.of(self.classes_, self.taxonomy, self.rank)
        # A rank with one taxon tells nothing, and one that repeats the rank below nothing new.
        sizes = [len(names) for names in self.lineages_.taxa]
        self._levels = [
            level for level, size in enumerate(sizes) if level == 0 or (1 < size < sizes[level - 1])
        ]
        self.head_ranks_ = tuple(self.lineages_.ranks[level] for level in self._levels)
        together = unit_codes(groups, n_rows=len(codes))
        seed = check_random_state(self.random_state).randint(2**31 - 1)
        self._weigh(X, codes, together, np.random.default_rng(seed))
        self.heads_ = self._fit_heads(X, codes, self.lineages_)
        return self

    def predict_log_proba(self, X: AnyArray, rank: str | None = None) -> FloatArray:
        """Return the logarithms of ``predict_proba(X, rank)``."""
        return np.asarray(np.log(np.maximum(self.predict_proba(X, rank), _LEAST)))

    def predict_proba(self, X: AnyArray, rank: str | None = None) -> FloatArray:
        """Return probabilities of the taxa of one rank, shape (n, n_taxa).

        Parameters
        ----------
        X : array of shape (n, n_features)
            Feature vectors.
        rank : str, optional
            The columns are `taxa` of this rank; `classes_` when left out.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        level = self._level(rank)
        scores = self.weights_.scores(
            _class_distances(self.heads_, X, self.lineages_, self._levels)
        )
        return self.lineages_.gathered(np.asarray(softmax(scores, axis=1)), level)

    def predict(self, X: AnyArray) -> AnyArray:
        """Return the class at the end of the most probable path, shape (n,)."""
        path = best_path(self.predict_proba(X), self.lineages_)
        labels: AnyArray = self.classes_[path[:, 0]]
        return labels

    def predict_frame(self, X: AnyArray) -> pd.DataFrame:
        """Return the names at every rank, and how sure they are.

        The path goes from the top down: the most probable taxon of the highest rank, within it
        the most probable one of the next, and so on; so names agree, and the probability falls
        from rank to rank.

        Returns
        -------
        pandas.DataFrame
            One row a picture; for each rank, low to high, its name (None where the taxonomy
            names none) and ``RANK_probability``.
        """
        probabilities = self.predict_proba(X)
        path = best_path(probabilities, self.lineages_)
        rows = np.arange(len(path))
        columns: dict[str, AnyArray] = {}
        for level, rank in enumerate(self.lineages_.ranks):
            names = self.classes_ if level == 0 else self.lineages_.taxa[level]
            columns[rank] = np.asarray(names, dtype=object)[path[:, level]]
            gathered = self.lineages_.gathered(probabilities, level)
            columns[f"{rank}_probability"] = gathered[rows, path[:, level]]
        return pd.DataFrame(columns)

    def taxa(self, rank: str | None = None) -> ObjectArray:
        """Return the names behind the columns of ``predict_proba(X, rank)``."""
        check_is_fitted(self)
        level = self._level(rank)
        return self.lineages_.taxa[level]

    def state(self) -> tuple[dict[str, Any], dict[str, AnyArray]]:
        """Return all that was learned, as a JSON-able mapping and named arrays.

        Returns
        -------
        (dict, dict of str to array)
            What `from_state` takes.
        """
        check_is_fitted(self)
        words = {
            "rank": self.rank,
            "ranks": list(self.lineages_.ranks),
            "taxa": [list(names) for names in self.lineages_.taxa],
            "levels": list(self._levels),
            "n_features": self.n_features_in_,
            "shrinkage": [head.shrinkage for head in self.heads_],
        }
        arrays: dict[str, AnyArray] = {
            "weights.sharpness": self.weights_.sharpness,
            "weights.tail": self.weights_.tail,
        }
        for level, codes in enumerate(self.lineages_.codes):
            arrays[f"lineages.{level}"] = codes
        for number, head in enumerate(self.heads_):
            for part in ("xbar", "scalings", "means"):
                arrays[f"heads.{number}.{part}"] = getattr(head, part)
        return words, arrays

    @classmethod
    def from_state(
        cls, words: Mapping[str, Any], arrays: Mapping[str, AnyArray]
    ) -> HierarchicalClassifier:
        """Build a fitted classifier from what `state` returned.

        Parameters
        ----------
        words, arrays : mapping
            The two parts of the state.
        """
        model = cls(rank=words["rank"])
        taxa = tuple(np.array(names, dtype=object) for names in words["taxa"])
        codes = tuple(np.asarray(arrays[f"lineages.{i}"]) for i in range(len(taxa)))
        model.lineages_ = Lineages(tuple(words["ranks"]), taxa, codes)
        model.classes_ = np.asarray(taxa[0])
        model._levels = list(words["levels"])
        model.head_ranks_ = tuple(model.lineages_.ranks[level] for level in model._levels)
        model.n_features_in_ = int(words["n_features"])
        model.weights_ = RankWeights(
            np.asarray(arrays["weights.sharpness"]), np.asarray(arrays["weights.tail"])
        )
        model.heads_ = tuple(
            Discriminant(
                xbar=np.asarray(arrays[f"heads.{i}.xbar"]),
                scalings=np.asarray(arrays[f"heads.{i}.scalings"]),
                means=np.asarray(arrays[f"heads.{i}.means"]),
                shrinkage=float(shrinkage),
                rank_variances={},
            )
            for i, shrinkage in enumerate(words["shrinkage"])
        )
        return model

    def _level(self, rank: str | None) -> int:
        ranks = self.lineages_.ranks
        if rank is None:
            return 0
        if rank not in ranks:
            raise UsageError(f"no rank {rank!r} here. {did_you_mean(rank, ranks)}")
        return ranks.index(rank)

    def _fit_heads(
        self, X: FloatArray, codes: IntArray, lineages: Lineages
    ) -> tuple[Discriminant, ...]:
        return tuple(
            fit_discriminant(
                X,
                lineages.codes[level][codes],
                lineages.above(level),
                shrinkage=self.shrinkage,
                pull=self.pull,
            )
            for level in self._levels
        )

    def _weigh(
        self, X: FloatArray, codes: IntArray, together: IntArray, rng: np.random.Generator
    ) -> None:
        """Fit the weights on the distances of held-out specimens."""
        distances: list[list[FloatArray]] = []
        rows = []
        for fold in specimen_folds(codes, together, self.n_folds, rng=rng):
            known, train_codes = np.unique(codes[fold.train], return_inverse=True)
            # A specimen that spans classes may take one out of training altogether.
            test = fold.test[np.isin(codes[fold.test], known)]
            if len(test) and len(known) > 1:
                lineages = self.lineages_.select(known)
                heads = self._fit_heads(X[fold.train], train_codes, lineages)
                found = _class_distances(heads, X[test], lineages, self._levels)
                distances.append([_widened(part, known, len(self.classes_)) for part in found])
                rows.append(test)
        n_heads = len(self._levels)
        if not rows:
            # Nothing can be held out: about as sharp as a Gaussian in one dimension.
            self.weights_ = RankWeights(np.ones(n_heads), np.ones(n_heads))
            self.held_out_ = HeldOut(np.empty(0, np.int64), np.empty((0, len(self.classes_))))
            return
        held = np.concatenate(rows)
        stacked = [np.vstack([part[head] for part in distances]) for head in range(n_heads)]
        self.weights_ = fit_rank_weights(stacked, codes[held], self.lineages_, self._levels)
        scores = log_softmax(self.weights_.scores(stacked), axis=1)
        self.held_out_ = HeldOut(held, np.asarray(scores))


def _class_distances(
    heads: Sequence[Discriminant], X: FloatArray, lineages: Lineages, levels: Sequence[int]
) -> list[FloatArray]:
    """Return, for each head, the squared distance of each picture to each class's taxon."""
    return [
        head.squared_distances(X)[:, lineages.codes[level]]
        for head, level in zip(heads, levels, strict=True)
    ]


def _widened(distances: FloatArray, known: IntArray, n_classes: int) -> FloatArray:
    """Place columns among all classes, those that were not known out of reach."""
    if len(known) == n_classes:
        return distances
    wide = np.full((len(distances), n_classes), 1e6 * (1.0 + distances.max()))
    wide[:, known] = distances
    return wide
