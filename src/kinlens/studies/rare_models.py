"""The models that the study `rare` compares, each with its controls, fitted on one split.

Prototypes come under four trees: the true one, the same with its tips permuted, the taxonomy's,
and none. The published network comes in four stages, with anchors that are true, permuted, turned
at random (same Gram matrix), or the taxonomy's. What is learned is chosen on validation alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar

from kinlens.models.conformal import ConformalSets
from kinlens.models.gaussian_density import log_densities
from kinlens.models.phylogenetic_prototypes import PhylogeneticPrototypes
from kinlens.models.seen_gate import SeenGate, fit_seen_gate, matched_slope, tempered
from kinlens.records.taxonomy import Taxonomy
from kinlens.records.tree import Tree
from kinlens.rng import RandomStreams
from kinlens.studies.rare_task import RareSplit, RareTask
from kinlens.typing import BoolArray, FloatArray, IntArray, ObjectArray

__all__ = [
    "NETWORKS",
    "PROTOTYPES",
    "Answering",
    "Fitted",
    "Heads",
    "Naming",
    "fit_answering",
    "fit_models",
]

PROTOTYPES = (
    "prototypes",
    "prototypes_permuted",
    "prototypes_taxonomy",
    "prototypes_no_tree",
)
NETWORKS = (
    "baseline",
    "long_tail",
    "logit_adjusted",
    "aligned",
    "aligned_long_tail",
    "aligned_permuted",
    "aligned_same_gram",
    "aligned_taxonomy",
)

# How much withheld species count in what is chosen. By their number they would count so little
# that the best choice is never to name them.
_UNSEEN_WEIGHT = 0.3
# Specimens of a species that has more are spared, each in one of so many folds.
_SPARED, _FOLDS = 2, 4
# Judged specimens of learned species above which choices go by accuracy.
_ENOUGH = 30


@dataclass(frozen=True)
class Heads:
    """Sizes of the published network's heads, and the margin of its alignment.

    Parameters
    ----------
    hidden, embedding : int
        Lengths of the layer before the embedding, and of the embedding.
    margin : float
        Cosine that an embedding keeps between its own anchor and the others.
    """

    hidden: int = 1000
    embedding: int = 256
    margin: float = 0.5


@dataclass(frozen=True, eq=False)
class Naming:
    """What one model says of the test pictures.

    Parameters
    ----------
    model : str
        Its name in ``metrics.csv``.
    classes : array of shape (m,)
        Species that it can answer.
    scores : array of shape (n_test, m)
        Log densities, or anything that grows with belief.
    """

    model: str
    classes: ObjectArray
    scores: FloatArray


@dataclass(frozen=True, eq=False)
class Fitted:
    """Everything fitted on one split.

    Parameters
    ----------
    namings : dict of str to Naming
        Answers by model.
    prototypes : PhylogeneticPrototypes
        Under the true tree, on the training part.
    noise, spread : float
        As validation chose them for the true tree.
    probabilities : array of shape (n_test, m)
        Of the prototypes, calibrated on validation.
    candidates : array of bool, shape (n_test, m)
        Conformal sets.
    newcomer_odds : array of shape (n_test,)
        Log odds that a picture shows none of the species with pictures.
    branch : list of tuple of str
        Species below the branch where each test picture would attach.
    """

    namings: dict[str, Naming]
    prototypes: PhylogeneticPrototypes
    noise: float
    spread: float
    probabilities: FloatArray
    candidates: BoolArray
    newcomer_odds: FloatArray
    branch: list[tuple[str, ...]]


def fit_models(
    task: RareTask,
    split: RareSplit,
    streams: RandomStreams,
    *,
    noises: tuple[float, ...],
    error_rate: float,
    heads: Heads | None,
    advance: Callable[[], None],
) -> Fitted:
    """Fit all models on one split and let them name the test pictures.

    Parameters
    ----------
    task : RareTask
        Pictures and kinship.
    split : RareSplit
        Who trains.
    streams : RandomStreams
        Permutations and networks.
    noises : tuple of float
        Values of the prototypes' noise among which validation chooses, for each tree on its own.
    error_rate : float
        Of the conformal sets.
    heads : Heads or None
        Of the published network; None leaves it out.
    advance : callable
        Told after each model.
    """
    trees = _trees(task, streams)
    learners = _Learners.of(task, split, streams)
    outer = learners.outer
    test = outer.transform(task.vectors[split.test])
    namings = {"class_means": _class_means(outer, test)}
    gates: dict[str, SeenGate] = {}
    for name in PROTOTYPES:
        tree, taxonomy = trees[name]
        model, gate = learners.under(tree, taxonomy, noises)
        namings[name] = Naming(name, model.classes_, _weighed(model, gate, task, split.test))
        gates[name] = gate
        if name == "prototypes":
            fitted = model
        advance()
    sets = _candidate_sets(fitted, gates["prototypes"], task, split, error_rate)
    probabilities = np.exp(namings["prototypes"].scores)
    odds, branch = _newcomers(fitted, task, split)
    if heads is not None:
        # A network takes seconds to import, and a quick look needs none.
        from kinlens.studies.rare_networks import name_by_networks

        namings |= name_by_networks(
            task, split, outer, trees, streams, heads=heads, advance=advance
        )
    return Fitted(
        namings,
        fitted,
        fitted.noise,
        fitted.spread,
        probabilities,
        sets.predict(probabilities),
        odds,
        branch,
    )


@dataclass(frozen=True, eq=False)
class Answering:
    """All that is needed to answer for pictures that come later.

    Parameters
    ----------
    prototypes : PhylogeneticPrototypes
        Under the true tree.
    gate : SeenGate
        From its scores to calibrated log probabilities.
    sets : ConformalSets
        Which species are candidates.
    """

    prototypes: PhylogeneticPrototypes
    gate: SeenGate
    sets: ConformalSets


def fit_answering(
    task: RareTask,
    split: RareSplit,
    streams: RandomStreams,
    *,
    noises: tuple[float, ...],
    error_rate: float,
) -> Answering:
    """Fit what answers for new pictures: the prototypes under the true tree, without controls.

    Parameters
    ----------
    task, split, streams, noises, error_rate
        As for `fit_models`.
    """
    model, gate = _Learners.of(task, split, streams).under(task.tree, None, noises)
    return Answering(model, gate, _candidate_sets(model, gate, task, split, error_rate))


@dataclass(frozen=True, eq=False)
class _Learners:
    """Axes and means learned once for all trees, and what choices are made on."""

    task: RareTask
    split: RareSplit
    hearing: _Hearing
    inner: PhylogeneticPrototypes
    outer: PhylogeneticPrototypes
    folds: tuple[tuple[PhylogeneticPrototypes, IntArray], ...]

    @classmethod
    def of(cls, task: RareTask, split: RareSplit, streams: RandomStreams) -> _Learners:
        def learn(rows: IntArray) -> PhylogeneticPrototypes:
            return PhylogeneticPrototypes(candidates=task.names).fit(
                task.vectors[rows], task.species[rows], task.specimens[rows]
            )

        hearing = _hearing(task, split, streams)
        # Validation pictures are never learned from, so that what they calibrate is this model.
        inner, outer = learn(hearing.learned), learn(split.train)
        folds = tuple(
            (learn(np.setdiff1d(split.train, held)), held)
            for held in _spared(task, split.train, streams)
        )
        return cls(task, split, hearing, inner, outer, folds)

    def under(
        self, tree: Tree | None, taxonomy: Taxonomy | None, noises: tuple[float, ...]
    ) -> tuple[PhylogeneticPrototypes, SeenGate]:
        """Return the model under one tree, with its noise, spread and gate chosen."""
        judged, gate = _chosen(self.inner, tree, taxonomy, self.task, self.hearing, noises)
        model = self.outer.with_kinship(
            tree, taxonomy=taxonomy, noise=judged.noise, spread=judged.spread
        )
        heard = [(model, self.split.validation)]
        heard += [
            (
                fold.with_kinship(tree, taxonomy=taxonomy, noise=model.noise, spread=model.spread),
                held,
            )
            for fold, held in self.folds
        ]
        return model, _recalibrated(gate, heard, self.task)


Trees = dict[str, tuple[Tree | None, Taxonomy | None]]


def _trees(task: RareTask, streams: RandomStreams) -> Trees:
    order = streams.generator("permutation").permutation(np.array(task.names, dtype=object))
    other = dict(zip(task.names, order.tolist(), strict=True))
    permuted = task.tree.with_names([other.get(name, name) for name in task.tree.names])
    return {
        "prototypes": (task.tree, None),
        "prototypes_permuted": (permuted, None),
        "prototypes_taxonomy": (task.taxonomic, None),
        "prototypes_no_tree": (None, None),
    }


def _class_means(outer: PhylogeneticPrototypes, test: FloatArray) -> Naming:
    """Name by the nearest plain mean in whitened features: the classical way."""
    means = outer.discriminant_.means
    seen = outer.classes_[outer.n_specimens_ > 0]
    return Naming("class_means", seen, log_densities(test, means, np.ones_like(means)))


@dataclass(frozen=True, eq=False)
class _Hearing:
    """What choices are made on: rows learned from, and rows judged, some of withheld species."""

    learned: IntArray
    judged: IntArray
    withheld: frozenset[str]
    share: float


def _hearing(task: RareTask, split: RareSplit, streams: RandomStreams) -> _Hearing:
    """Withhold some species once more, as the split did, so that choices know of such species."""
    known = np.array(sorted(set(task.species[split.train])), dtype=object)
    n = min(len(split.unseen), max(len(known) // 5, 0), max(len(known) - 2, 0))
    withheld = streams.generator("hearing").choice(known, n, replace=False)
    is_withheld = np.isin(task.species[split.train].astype(str), withheld.astype(str))
    return _Hearing(
        split.train[~is_withheld],
        np.sort(np.concatenate([split.validation, split.train[is_withheld]])),
        frozenset(map(str, withheld)),
        _UNSEEN_WEIGHT,
    )


def _chosen(
    inner: PhylogeneticPrototypes,
    tree: Tree | None,
    taxonomy: Taxonomy | None,
    task: RareTask,
    hearing: _Hearing,
    noises: tuple[float, ...],
) -> tuple[PhylogeneticPrototypes, SeenGate]:
    """Return the model and the gate that name the most of a judged species' pictures."""
    rows = hearing.judged
    if not len(rows):
        return inner.with_kinship(tree, taxonomy=taxonomy, noise=noises[0]), SeenGate()
    truth = task.species[rows]
    points = inner.transform(task.vectors[rows])
    is_seen = inner.n_specimens_ > 0
    column = np.searchsorted(inner.classes_.astype(str), truth.astype(str))
    weights = _weights(truth, is_seen[column], hearing.share)
    best: tuple[float, PhylogeneticPrototypes, SeenGate] | None = None
    for noise in noises:
        model = inner.with_kinship(tree, taxonomy=taxonomy, noise=noise)
        likeliest = _likeliest_spread(points, truth, model, hearing)
        tried: tuple[float, ...] = (likeliest,)
        if _n_seen(task, hearing) >= _ENOUGH:
            # With enough specimens what counts is tried too: being right.
            tried = (1.0, float(np.sqrt(max(likeliest, 1.0))), likeliest)
        for spread in tried:
            model = model.with_spread(spread)
            scores = log_densities(points, model.means_, spread + model.variances_)
            oddness = model.oddness(scores)
            gate = fit_seen_gate(scores, column, is_seen, weights, oddness)
            found = gate(scores, is_seen, oddness)
            # Of equals the one that gives more probability to what is true wins.
            sure = np.maximum(found[np.arange(len(truth)), column], -50.0)
            worth = float((weights * ((found.argmax(axis=1) == column) + 1e-3 * sure)).sum())
            if best is None or worth > best[0]:
                best = worth, model, gate
    assert best is not None
    return best[1], best[2]


def _weights(truth: ObjectArray, is_seen: BoolArray, share: float) -> FloatArray:
    """Let each judged species of one side count alike, and the withheld side by `share`."""
    counts = pd.Series(truth).map(pd.Series(truth).value_counts()).to_numpy(dtype=np.float64)
    weights = 1.0 / counts
    for side, part in ((True, 1.0 - share), (False, share)):
        rows = is_seen == side
        if rows.any():
            weights[rows] *= part / weights[rows].sum()
    return np.asarray(weights / weights.sum())


def _n_seen(task: RareTask, hearing: _Hearing) -> int:
    """Count the judged specimens of species that were learned from."""
    seen = ~np.isin(task.species[hearing.judged].astype(str), sorted(hearing.withheld))
    return len(np.unique(task.specimens[hearing.judged][seen]))


def _likeliest_spread(
    points: FloatArray, truth: ObjectArray, model: PhylogeneticPrototypes, hearing: _Hearing
) -> float:
    """Return the spread under which judged pictures of learned species are likeliest.

    A density needs few pictures: each speaks on every axis.
    """
    seen = ~np.isin(truth.astype(str), sorted(hearing.withheld))
    if not seen.any():
        return 1.0
    own = np.searchsorted(model.classes_.astype(str), truth[seen].astype(str))
    squares = (points[seen] - model.means_[own]) ** 2
    variances = model.variances_[own]

    def cost(log_spread: float) -> float:
        total = np.exp(log_spread) + variances
        return float((squares / total + np.log(total)).mean())

    return float(np.exp(minimize_scalar(cost, bounds=(-2.0, 10.0), method="bounded").x))


def _spared(task: RareTask, train: IntArray, streams: RandomStreams) -> list[IntArray]:
    """Deal up to two specimens of each species that trains on several to folds; return their rows.

    At most one of a species is in a fold, so that without them a fold learns of the same species,
    and nearly as well. Validation alone is too little to tell a slope by.
    """
    rng = streams.generator("spared")
    held: list[list[IntArray]] = [[] for _ in range(_FOLDS)]
    number = 0
    for name in sorted(set(task.species[train])):
        rows = train[task.species[train] == name]
        own = rng.permutation(np.unique(task.specimens[rows]))
        for specimen in own[: min(len(own) - 1, _SPARED)]:
            held[number % _FOLDS].append(rows[task.specimens[rows] == specimen])
            number += 1
    return [np.sort(np.concatenate(parts)) for parts in held if parts]


def _recalibrated(
    gate: SeenGate, heard: list[tuple[PhylogeneticPrototypes, IntArray]], task: RareTask
) -> SeenGate:
    """Fit the slope among learned species again, each model on pictures it did not learn from."""
    is_seen = heard[0][0].n_specimens_ > 0
    names = heard[0][0].classes_[is_seen].astype(str)
    scores, truth = [], []
    for model, held in heard:
        rows = held[np.isin(task.species[held].astype(str), names)]
        if len(rows):
            found = model.class_scores(task.vectors[rows])
            scores.append(tempered(found[:, is_seen], model.oddness(found)))
            truth.append(np.searchsorted(names, task.species[rows].astype(str)))
    if not scores or len(names) < 2:
        return gate
    return replace(gate, seen_slope=matched_slope(np.vstack(scores), np.concatenate(truth)))


def _weighed(
    model: PhylogeneticPrototypes, gate: SeenGate, task: RareTask, rows: IntArray
) -> FloatArray:
    """Return calibrated log probabilities of pictures, shape (rows, n_classes)."""
    scores = model.class_scores(task.vectors[rows])
    return gate(scores, model.n_specimens_ > 0, model.oddness(scores))


def _candidate_sets(
    judged: PhylogeneticPrototypes,
    gate: SeenGate,
    task: RareTask,
    split: RareSplit,
    error_rate: float,
) -> ConformalSets:
    """Set the threshold on validation pictures, by a model that did not learn from them."""
    rows = split.validation
    truth = np.searchsorted(judged.classes_.astype(str), task.species[rows].astype(str))
    scores = np.zeros((0, len(judged.classes_)))
    if len(rows):
        scores = _weighed(judged, gate, task, rows)
    return ConformalSets(error_rate).fit(np.exp(scores), truth, task.specimens[rows])


def _newcomers(
    fitted: PhylogeneticPrototypes, task: RareTask, split: RareSplit
) -> tuple[FloatArray, list[tuple[str, ...]]]:
    """Let a model that was never told of the withheld species say which pictures are strange."""
    known = [str(name) for name in fitted.classes_[fitted.n_specimens_ > 0]]
    rows = split.train
    model = PhylogeneticPrototypes(
        kinship=task.tree.prune(known, keep_root=True), noise=fitted.noise, spread=fitted.spread
    )
    placed = model.fit(task.vectors[rows], task.species[rows], task.specimens[rows]).place(
        task.vectors[split.test]
    )
    return placed.log_odds, [placed.tree.tips_below(node) for node in placed.node.tolist()]
