"""The part of a `rare` run that answers later: which species a new picture shows, or that of none.

Nothing is withheld here but the few specimens that probabilities are calibrated on. Species that
have a place in the tree and no picture may be answered as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
from scipy.special import logsumexp

from kinlens.errors import InputError
from kinlens.io.results import read_model
from kinlens.models.conformal import ConformalSets
from kinlens.models.kinship_placement import outsider_p_values
from kinlens.models.phylogenetic_prototypes import PhylogeneticPrototypes
from kinlens.models.seen_gate import SeenGate
from kinlens.models.species_tree import species_tree
from kinlens.parallel import Resources
from kinlens.records.taxonomy import Taxonomy
from kinlens.records.tree import Tree
from kinlens.rng import RandomStreams
from kinlens.studies.new_pictures import EncoderOfRun, row_for_each
from kinlens.studies.rare_models import fit_answering
from kinlens.studies.rare_task import RareSplit, RareTask, validation_counts
from kinlens.typing import BoolArray, Float32Array, FloatArray, IntArray, ObjectArray

__all__ = [
    "AnsweringConfig",
    "RareAnswers",
    "RareModel",
    "branch_words",
    "fit_rare_model",
    "load_rare_model",
    "predict",
]

_FORMAT = 3


class AnsweringConfig(Protocol):
    """The settings that decide how new pictures are answered."""

    noises: tuple[float, ...]
    error_rate: float
    name_unpictured: bool


@dataclass(frozen=True, eq=False)
class RareAnswers:
    """What the model says of some pictures.

    Parameters
    ----------
    views : array of shape (n,)
        The view that each was taken for, "" where no views are known.
    probabilities : array of shape (n, n_species)
        Calibrated.
    candidates : array of bool, shape (n, n_species)
        Species that the truth is among, at the error rate, for species that were learned from.
    p_value : array of shape (n,)
        How often a picture of a learned species is at least as strange.
    branch : list of tuple of str
        Species below the branch that each would hang on, were it of none of the species.
    """

    views: ObjectArray
    probabilities: FloatArray
    candidates: BoolArray
    p_value: FloatArray
    branch: list[tuple[str, ...]]


@dataclass(frozen=True, eq=False)
class RareModel:
    """Prototypes on a tree, with all that turns a new picture into an answer.

    Parameters
    ----------
    prototypes : PhylogeneticPrototypes
        Under the true tree.
    gate : SeenGate
        From their scores to calibrated log probabilities.
    sets : ConformalSets
        Which species are candidates.
    known_odds : array of shape (m,)
        Log odds of being a newcomer, of pictures of learned species that were held out.
    known_species : array of int, shape (m,)
        The species of each; all species count alike, however many pictures they have.
    ranks : tuple of str
        ``species`` and what is above it.
    taxa : array of shape (n_species, n_ranks)
        Name of each species at each rank, "" where unknown.
    view_means : dict of str to array of shape (d,)
        What is taken off the pictures of each view; empty when views were not known.
    embedder, fingerprint : str
        The encoder, and what must be the same again when new pictures are embedded.
    n_channels : int
        Bands of the pictures, or separate channel files.
    """

    prototypes: PhylogeneticPrototypes
    gate: SeenGate
    sets: ConformalSets
    known_odds: FloatArray
    known_species: IntArray
    ranks: tuple[str, ...]
    taxa: ObjectArray
    view_means: Mapping[str, FloatArray]
    embedder: str
    fingerprint: str
    n_channels: int

    def answers(self, vectors: Float32Array | FloatArray) -> RareAnswers:
        """Answer for pictures as the encoder made them, shape (n, d)."""
        centred, views = self._without_view(np.asarray(vectors, dtype=np.float64))
        prototypes = self.prototypes
        scores = prototypes.class_scores(centred)
        oddness = prototypes.oddness(scores)
        probabilities = np.exp(self.gate(scores, prototypes.n_specimens_ > 0, oddness))
        placed = prototypes.place(centred)
        return RareAnswers(
            views=views,
            probabilities=probabilities,
            candidates=self.sets.predict(probabilities),
            p_value=outsider_p_values(placed.log_odds, self.known_odds, self.known_species),
            branch=[placed.tree.tips_below(node) for node in placed.node.tolist()],
        )

    def _without_view(self, vectors: FloatArray) -> tuple[FloatArray, ObjectArray]:
        """Take off the mean of the view that each picture shows: where it looks least strange."""
        if not self.view_means:
            return vectors, np.full(len(vectors), "", dtype=object)
        names = np.array(list(self.view_means), dtype=object)
        each = np.stack([vectors - mean for mean in self.view_means.values()])  # (views, n, d)
        likely = np.stack([logsumexp(self.prototypes.class_scores(x), axis=1) for x in each])
        best = likely.argmax(axis=0)
        return each[best, np.arange(len(vectors))], names[best]

    def table(self, vectors: Float32Array | FloatArray) -> pd.DataFrame:
        """Name pictures.

        Parameters
        ----------
        vectors : array of shape (n, d)
            As the encoder made them.

        Returns
        -------
        pandas.DataFrame
            One row a picture: the species and the taxa above it, each with the probability that
            it is right; ``n_specimens`` that the species was learned from, 0 when only its
            relatives speak for it; ``safe_rank`` and ``safe_name``, the lowest taxon that holds
            all candidates; ``candidates`` (most probable first) and their number; ``p_value``,
            how often a picture of a learned species is at least as strange; ``attaches_to``, the
            branch where it would hang were it of none of them; ``view`` where views are known.
        """
        found = self.answers(vectors)
        best = found.probabilities.argmax(axis=1)
        columns: dict[str, object] = {}
        for place, rank in enumerate(self.ranks):
            own = self.taxa[best, place]
            alike = (self.taxa[:, place][None, :] == own[:, None]) & (own != "")[:, None]
            columns[rank] = np.where(own == "", None, own)
            columns[f"{rank}_probability"] = np.where(
                own == "", np.nan, (found.probabilities * alike).sum(axis=1)
            )
        safe = [self._safe(inside) for inside in found.candidates]
        order = np.argsort(-found.probabilities, axis=1, kind="stable")
        columns |= {
            "n_specimens": self.prototypes.n_specimens_[best],
            "safe_rank": [rank for rank, _name in safe],
            "safe_name": [name for _rank, name in safe],
            "n_candidates": found.candidates.sum(axis=1),
            "candidates": [
                ";".join(str(self.prototypes.classes_[c]) for c in row if inside[c])
                for row, inside in zip(order, found.candidates, strict=True)
            ],
            "p_value": found.p_value,
            "attaches_to": [branch_words(below) for below in found.branch],
        }
        if self.view_means:
            columns["view"] = found.views
        return pd.DataFrame(columns)

    def _safe(self, inside: BoolArray) -> tuple[str, str]:
        """Return rank and name of the lowest taxon that holds all candidates; "" for none."""
        for place, rank in enumerate(self.ranks):
            names = set(self.taxa[inside, place])
            if len(names) == 1 and names != {""}:
                return rank, str(names.pop())
        return "", ""

    def state(self) -> dict[str, Any]:
        """Return what `load_rare_model` reads back, for ``StudyResult.model``."""
        words, arrays = self.prototypes.state()
        threshold = float(self.sets.thresholds_[0])
        config = {
            "format": _FORMAT,
            "embedder": self.embedder,
            "fingerprint": self.fingerprint,
            "n_channels": self.n_channels,
            "error_rate": self.sets.error_rate,
            # JSON has no infinity; None says that every species is a candidate.
            "set_threshold": threshold if np.isfinite(threshold) else None,
            "gate": dict(vars(self.gate)),
            "ranks": list(self.ranks),
            "taxa": self.taxa.tolist(),
            "views": list(self.view_means),
            "prototypes": words,
        }
        views = {f"view.{place}": mean for place, mean in enumerate(self.view_means.values())}
        return {
            "config": config,
            "arrays": arrays
            | views
            | {
                "known_odds": self.known_odds,
                "known_species": self.known_species,
            },
        }


def branch_words(below: Sequence[str]) -> str:
    """Name a branch by its tips.

    Examples
    --------
    >>> branch_words(("A_a",)), branch_words(("A_a", "A_b", "A_c"))
    ('A_a', 'A_a | A_c (3)')
    """
    return below[0] if len(below) == 1 else f"{below[0]} | {below[-1]} ({len(below)})"


def fit_rare_model(
    task: RareTask, n_channels: int, config: AnsweringConfig, streams: RandomStreams
) -> RareModel:
    """Learn from all specimens but those that calibrate.

    Parameters
    ----------
    task : RareTask
        Pictures and kinship.
    n_channels : int
        Bands of the pictures.
    config : AnsweringConfig
        Settings of the study.
    streams : RandomStreams
        Choose who calibrates.
    """
    own = streams.child("answering")
    if config.name_unpictured:
        task = _with_told_species(task)
    split = _split(task, own)
    found = fit_answering(task, split, own, noises=config.noises, error_rate=config.error_rate)
    held_out = task.vectors[split.validation]
    odds = found.prototypes.place(held_out).log_odds if len(held_out) else np.zeros(0)
    return RareModel(
        prototypes=found.prototypes,
        gate=found.gate,
        sets=found.sets,
        known_odds=odds,
        known_species=np.unique(task.species[split.validation], return_inverse=True)[1].ravel(),
        ranks=task.taxonomy.ranks,
        taxa=_taxa([str(name) for name in found.prototypes.classes_], task.taxonomy),
        view_means=task.view_means,
        embedder=task.embedder,
        fingerprint=task.fingerprint,
        n_channels=n_channels,
    )


def _taxa(species: Sequence[str], taxonomy: Taxonomy) -> ObjectArray:
    """Return the name of each species at each rank, (n, n_ranks), "" where it is not known.

    A species without a picture is in no metadata. Where all others are named after their genus, it
    is of the genus that its own name begins with, and of the taxa above that.
    """
    lineages = {name: taxonomy.lineage(name) for name in taxonomy.species}
    by_genus: dict[str, dict[str, str | None]] = {}
    if "genus" in taxonomy.ranks:
        placed = {name: each["genus"] for name, each in lineages.items() if each["genus"]}
        if all(name.split("_")[0] == genus for name, genus in placed.items()):
            by_genus = {str(genus): lineages[name] for name, genus in placed.items()}
    rows = []
    for name in species:
        above = lineages.get(name) or by_genus.get(name.split("_")[0]) or {}
        rows.append([name, *(str(above.get(rank) or "") for rank in taxonomy.ranks[1:])])
    return np.array(rows, dtype=object).reshape(len(species), len(taxonomy.ranks))


def _with_told_species(task: RareTask) -> RareTask:
    """Let the species of the tree that have no picture be answered too."""
    kinship = task.kinship
    known = kinship.tip_names if isinstance(kinship, Tree) else kinship.ids
    told = tuple(sorted(set(known) - set(task.names)))
    if not told:
        return task
    names = sorted({*task.names, *told})
    return replace(task, told=told, tree=species_tree(names, kinship, task.taxonomy))


def _split(task: RareTask, streams: RandomStreams) -> RareSplit:
    """Let a few specimens of species that have several calibrate, and all others train."""
    rng = streams.generator("split")
    members = [
        np.unique(task.specimens[task.species == name]) for name in sorted(set(task.species))
    ]
    several = [rng.permutation(own) for own in members if len(own) > 1]
    counts = validation_counts(map(len, several))
    held_out = [own[:count] for own, count in zip(several, counts, strict=True)]
    calibrates = np.isin(task.specimens, np.concatenate(held_out) if held_out else [])
    return RareSplit(
        train=np.flatnonzero(~calibrates),
        validation=np.flatnonzero(calibrates),
        test=np.zeros(0, dtype=np.int64),
        unseen=task.told,
        rare=(),
    )


def load_rare_model(run: str | Path) -> RareModel:
    """Read the model of a finished run.

    Parameters
    ----------
    run : path
        The run folder.

    Raises
    ------
    InputError
        When there is none, or it was written by another version of the format.
    """
    config, arrays = read_model(run)
    if config.get("format") != _FORMAT:
        raise InputError(
            f"a model of format {config.get('format')}, where {_FORMAT} is read",
            where=run,
            remedy="Install the version of kinlens that made the run, or run the study again.",
        )
    sets = ConformalSets(config["error_rate"])
    threshold = config["set_threshold"]
    sets.thresholds_ = np.array([np.inf if threshold is None else threshold])
    return RareModel(
        prototypes=PhylogeneticPrototypes.from_state(config["prototypes"], arrays),
        gate=SeenGate(**config["gate"]),
        sets=sets,
        known_odds=arrays["known_odds"],
        known_species=arrays["known_species"],
        ranks=tuple(config["ranks"]),
        taxa=np.array(config["taxa"], dtype=object),
        view_means={name: arrays[f"view.{place}"] for place, name in enumerate(config["views"])},
        embedder=config["embedder"],
        fingerprint=config["fingerprint"],
        n_channels=config["n_channels"],
    )


def predict(
    run: str | Path,
    images: Sequence[str | Path],
    *,
    weights: str | Path | None = None,
    resources: Resources | None = None,
) -> pd.DataFrame:
    """Name new pictures by a finished run of `rare`.

    Parameters
    ----------
    run : path
        The run folder.
    images : sequence of path
        Pictures; unreadable ones get a row with the reason in ``problem``.
    weights : path, optional
        The network's weights when the run was made with a file of them.
    resources : Resources, optional
        Where to work.

    Returns
    -------
    pandas.DataFrame
        One row a picture, in the order given: ``image``, the columns of `RareModel.table`, and
        ``problem``.

    Raises
    ------
    InputError
        When the run has no model, or the encoder is not the one it was made with.
    """
    model = load_rare_model(run)
    encoder = EncoderOfRun(model.embedder, model.fingerprint, model.n_channels)
    embedded = encoder.embed(images, run=run, weights=weights, resources=resources or Resources())
    return row_for_each(images, embedded, model.table(embedded.values))
