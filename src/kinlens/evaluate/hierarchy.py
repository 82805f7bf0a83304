"""Scores that know the taxonomy: partly right answers, contradictions, and how deep was safe.

An answer here has one name at each rank and may stop at any rank. Scores of one rank alone are in
`metrics`; choosing where to stop is for `kinlens.models.conformal`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from kinlens.errors import UsageError
from kinlens.evaluate.metrics import class_indicator, ratio
from kinlens.evaluate.resample import (
    WeightedMeans,
    cluster_bootstrap,
    exact_proportion_interval,
)
from kinlens.records.taxonomy import Taxonomy
from kinlens.typing import BoolArray, FloatArray, IntArray, ObjectArray

__all__ = [
    "HierarchicalScores",
    "MeanDistance",
    "RankedAnswers",
    "SafetyReport",
    "consistency_violations",
    "safety_report",
]


@dataclass(frozen=True, eq=False)
class RankedAnswers:
    """True and answered names at each rank, low to high.

    Parameters
    ----------
    ranks : tuple of str
        Low to high, such as ``("species", "genus", "family")``.
    truth : ObjectArray of shape (n, len(ranks))
        Names; None where the taxonomy does not say.
    answer : ObjectArray of shape (n, len(ranks))
        Names; None below the rank at which the answer stops, and everywhere when nothing is
        answered.

    Examples
    --------
    >>> answers = RankedAnswers(
    ...     ("species", "genus"),
    ...     truth=np.array([["A_a", "A"], ["B_b", "B"]], dtype=object),
    ...     answer=np.array([[None, "A"], ["A_a", "A"]], dtype=object),
    ... )
    >>> answers.depth.tolist(), answers.is_wrong.tolist()
    ([1, 0], [False, True])
    """

    ranks: tuple[str, ...]
    truth: ObjectArray
    answer: ObjectArray

    def __post_init__(self) -> None:
        for name in ("truth", "answer"):
            shape = getattr(self, name).shape
            if shape != (len(self.truth), len(self.ranks)):
                raise UsageError(f"{name} must have one column for each rank, not shape {shape}.")

    @classmethod
    def from_species(
        cls,
        taxonomy: Taxonomy,
        truth: Sequence[str],
        answer: Sequence[str],
        *,
        depth: IntArray | None = None,
        ranks: Sequence[str] | None = None,
    ) -> RankedAnswers:
        """Look up the ranks above true and answered species.

        Parameters
        ----------
        taxonomy : Taxonomy
            Holds every species.
        truth, answer : sequence of str
            Species of each picture.
        depth : IntArray of shape (n,), optional
            Position in `ranks` at which each answer stops (``len(ranks)``: not answered at
            all); all go down to the species when left out.
        ranks : sequence of str, optional
            Low to high; all of the taxonomy's when left out.
        """
        chosen = taxonomy.ranks if ranks is None else tuple(ranks)
        columns = {
            name: np.array([taxonomy.labels(rank, species) for rank in chosen], dtype=object).T
            for name, species in (("truth", truth), ("answer", answer))
        }
        given = columns["answer"].reshape(len(answer), len(chosen))
        if depth is not None:
            given[np.arange(len(chosen))[None, :] < depth[:, None]] = None
        return cls(chosen, columns["truth"].reshape(len(truth), len(chosen)), given)

    def __len__(self) -> int:
        return len(self.truth)

    @property
    def depth(self) -> IntArray:
        """Position of the lowest rank answered, ``len(ranks)`` where none is, shape (n,)."""
        given = _known(self.answer)
        return np.where(given.any(axis=1), given.argmax(axis=1), len(self.ranks)).astype(np.int64)

    @property
    def is_wrong(self) -> BoolArray:
        """True where the lowest rank answered is not the truth; never where none is, shape (n,).

        An answer at a rank where the truth is unknown counts as wrong.
        """
        answered = np.flatnonzero(self.depth < len(self.ranks))
        depth = self.depth[answered]
        wrong = np.zeros(len(self), dtype=bool)
        wrong[answered] = self.answer[answered, depth] != self.truth[answered, depth]
        return wrong


class HierarchicalScores:
    """Hierarchical precision, recall and F1 as a statistic for `resample.cluster_bootstrap`.

    An answer is the set of the taxa it names, from its lowest rank up; so is the truth. With P
    and T these sets over all pictures, the precision is |P and T| / |P|, the recall |P and T| /
    |T|. A wrong species of the right genus is therefore better than one of another family. Ranks
    at which all true taxa are the same say nothing and are left out. Precision is NaN where
    nothing is answered.

    Parameters
    ----------
    answers : RankedAnswers
        What to score.

    References
    ----------
    S. Kiritchenko, S. Matwin, R. Nock and A. F. Famili, Canadian AI (2006), 395-406, section 4.

    Examples
    --------
    >>> answers = RankedAnswers(
    ...     ("species", "genus"),
    ...     truth=np.array([["A_a", "A"], ["B_b", "B"]], dtype=object),
    ...     answer=np.array([["A_c", "A"], ["B_b", "B"]], dtype=object),
    ... )
    >>> HierarchicalScores(answers)(np.ones((1, 2))).tolist()
    [[0.75, 0.75, 0.75]]
    """

    names = ("hierarchical_precision", "hierarchical_recall", "hierarchical_f1")

    def __init__(self, answers: RankedAnswers) -> None:
        telling = [i for i in range(len(answers.ranks)) if pd.unique(answers.truth[:, i]).size > 1]
        truth, answer = answers.truth[:, telling], answers.answer[:, telling]
        self._counts = np.column_stack(
            [
                (_known(answer) & (answer == truth)).sum(axis=1),
                _known(answer).sum(axis=1),
                _known(truth).sum(axis=1),
            ]
        ).astype(np.float64)

    def __call__(self, weights: FloatArray) -> FloatArray:
        """Return precision, recall and F1, shape (R, 3), under `weights`, shape (R, n)."""
        both, answered, true = (weights @ self._counts).T
        return np.column_stack(
            [
                ratio(both, answered, empty=np.nan),
                ratio(both, true, empty=np.nan),
                ratio(2 * both, answered + true, empty=np.nan),
            ]
        )


class MeanDistance:
    """Mean distance between truth and answer in a tree or taxonomy, as a statistic.

    Parameters
    ----------
    distances : FloatArray of shape (k, k)
        Between all classes: patristic distances, or `Taxonomy.steps_between`.
    truth, answer : IntArray of shape (n,)
        Rows of `distances`.
    name : str
        What the score is called, such as ``"tree_distance"``. The second score, ``NAME_errors``,
        is the mean over wrong answers alone (NaN when there is none), and the third,
        ``NAME_chance``, the mean distance when answers are shuffled among the pictures.
    """

    def __init__(
        self, distances: FloatArray, truth: IntArray, answer: IntArray, *, name: str = "distance"
    ) -> None:
        distances = np.asarray(distances, dtype=np.float64)
        self.names = (name, f"{name}_errors", f"{name}_chance")
        self._distance = distances[truth, answer]
        self._wrong = (truth != answer).astype(np.float64)
        self._distances = distances
        self._by_truth = class_indicator(truth, len(distances))
        self._by_answer = class_indicator(answer, len(distances))

    def __call__(self, weights: FloatArray) -> FloatArray:
        """Return the three means, shape (R, 3), under `weights`, shape (R, n)."""
        weights = np.asarray(weights, dtype=np.float64)
        total, wrong = weights.sum(axis=1), weights @ self._wrong
        true, answered = (self._by_truth @ weights.T).T, (self._by_answer @ weights.T).T  # (R, k)
        shuffled = ((true @ self._distances) * answered).sum(axis=1)
        return np.column_stack(
            [
                ratio(weights @ self._distance, total, empty=np.nan),
                ratio(weights @ (self._distance * self._wrong), wrong, empty=np.nan),
                ratio(shuffled, total**2, empty=np.nan),
            ]
        )


def consistency_violations(
    answers: Mapping[str, Sequence[str | None]], taxonomy: Taxonomy
) -> BoolArray:
    """Find answers that contradict themselves: a genus that is not in the family answered.

    Parameters
    ----------
    answers : mapping of rank to sequence of str
        One name a picture for each rank, given by whatever models; None contradicts nothing.
    taxonomy : Taxonomy
        Holds the ranks.

    Returns
    -------
    BoolArray of shape (n,)
        True where the names at two neighbouring ranks given do not belong together.

    Examples
    --------
    >>> rows = pd.DataFrame({"species": ["A_a", "B_b"], "genus": ["A", "B"]})
    >>> found = consistency_violations(
    ...     {"species": ["A_a", "A_a"], "genus": ["A", "B"]}, Taxonomy.from_images(rows)
    ... )
    >>> found.tolist()
    [False, True]
    """
    ranks = [rank for rank in taxonomy.ranks if rank in answers]
    n = len(next(iter(answers.values()))) if answers else 0
    violated = np.zeros(n, dtype=bool)
    for low, high in pairwise(ranks):
        parents = _parents_between(taxonomy, low, high)
        for row, (child, parent) in enumerate(zip(answers[low], answers[high], strict=True)):
            known = parents.get(child) if child is not None else None
            violated[row] |= known is not None and parent is not None and known != parent
    return violated


@dataclass(frozen=True, eq=False)
class SafetyReport:
    """How often answers that stop at a safe rank are wrong.

    Parameters
    ----------
    by_rank : pandas.DataFrame
        One row for each rank, low to high, and ``none``: ``rank``, ``images``, ``share`` of all
        pictures whose answer stops there with its interval (``low``, ``high``; a bootstrap over
        specimens), ``errors``, ``error_rate`` among them.
    error_rate, low, high : float
        Wrong answers among the pictures answered at any rank, with the interval of a bootstrap
        over specimens. NaN when nothing is answered.
    exact_low, exact_high : float
        The Clopper-Pearson interval that takes each specimen as one trial, wrong when half of
        its pictures that are answered, or more, are wrong.
    n_answered, n_images, n_specimens : int
        Pictures answered, pictures in all, and specimens with an answer.
    """

    by_rank: pd.DataFrame
    error_rate: float
    low: float
    high: float
    exact_low: float
    exact_high: float
    n_answered: int
    n_images: int
    n_specimens: int


def safety_report(
    answers: RankedAnswers,
    groups: Iterable[Any],
    *,
    rng: np.random.Generator,
    n_replicates: int = 1000,
) -> SafetyReport:
    """Report the share of pictures answered at each rank, and the error among them.

    Parameters
    ----------
    answers : RankedAnswers
        Answers that stop at the deepest rank thought safe.
    groups : iterable of length n
        Specimen of each picture.
    rng, n_replicates
        As for `resample.cluster_bootstrap`.
    """
    depth, wrong = answers.depth, answers.is_wrong
    answered = depth < len(answers.ranks)
    specimens = pd.Series(list(groups), dtype=object)
    n = len(answers)
    stops = (*answers.ranks, "none")
    stopped = depth[:, None] == np.arange(len(stops))
    images, errors = stopped.sum(axis=0), (stopped & wrong[:, None]).sum(axis=0)
    by_rank = pd.DataFrame({"rank": stops, "images": images})
    by_rank[["share", "low", "high"]] = np.nan
    rate, low, high = np.nan, np.nan, np.nan
    if n:
        shares = WeightedMeans(stops, stopped)
        found = cluster_bootstrap(shares, specimens, rng=rng, n_replicates=n_replicates)
        by_rank[["share", "low", "high"]] = np.column_stack([found.value, found.low, found.high])
    if answered.any():
        found = cluster_bootstrap(
            _ErrorRate(wrong, answered), specimens, rng=rng, n_replicates=n_replicates
        )
        rate, low, high = found["error_rate"]
    by_rank["errors"] = errors
    by_rank["error_rate"] = np.where(
        by_rank["rank"] == "none", np.nan, ratio(errors, images, empty=np.nan)
    )
    share_wrong = (
        pd.Series(wrong[answered]).groupby(specimens[answered].to_numpy(dtype=object)).mean()
    )
    bad = int((share_wrong >= 0.5).sum())
    exact_low, exact_high = exact_proportion_interval(bad, len(share_wrong))
    return SafetyReport(
        by_rank,
        rate,
        low,
        high,
        exact_low,
        exact_high,
        n_answered=int(answered.sum()),
        n_images=n,
        n_specimens=len(share_wrong),
    )


class _ErrorRate:
    names = ("error_rate",)

    def __init__(self, wrong: BoolArray, answered: BoolArray) -> None:
        self._counts = np.column_stack([wrong & answered, answered]).astype(np.float64)

    def __call__(self, weights: FloatArray) -> FloatArray:
        errors, answered = (weights @ self._counts).T
        return ratio(errors, answered, empty=np.nan)[:, None]


def _known(names: ObjectArray) -> BoolArray:
    known: BoolArray = pd.notna(names)
    return known


def _parents_between(taxonomy: Taxonomy, low: str, high: str) -> dict[str, str]:
    """Map each taxon of `low` to its taxon of `high`, where known."""
    pairs = zip(
        taxonomy.labels(low, taxonomy.species),
        taxonomy.labels(high, taxonomy.species),
        strict=True,
    )
    return {child: parent for child, parent in pairs if child is not None and parent is not None}
