"""The model that names pictures: fitted by the study, kept in its run, asked by `kinlens predict`.

One hierarchical classifier answers every rank consistently; thresholds on its probabilities, set
on specimens held out of its fitting, give the deepest safe rank and the sets of candidates.

Everywhere, `task` is what the study works on and `seed` deals specimens to folds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd

from kinlens.errors import InputError
from kinlens.io.results import read_model
from kinlens.models.conformal import ConformalSets
from kinlens.models.hierarchy import HierarchicalClassifier
from kinlens.models.safe_rank import DeepestSafeRank, SafeAnswers
from kinlens.parallel import Resources
from kinlens.studies.new_pictures import EncoderOfRun, row_for_each
from kinlens.studies.taxa_task import Task
from kinlens.typing import Float32Array, FloatArray, IntArray

__all__ = [
    "ErrorRate",
    "NamingModel",
    "fit_hierarchical",
    "fit_naming_model",
    "load_naming_model",
    "predict",
]

_FORMAT = 1
# More folds than three: each held-out specimen should be judged by nearly as much training as a new
# one will be, or thresholds are stricter than was asked.
_FOLDS = 5


class ErrorRate(Protocol):
    """The setting that decides how safe is safe."""

    error_rate: float


@dataclass(frozen=True, eq=False)
class NamingModel:
    """A classifier for all ranks, with its thresholds.

    Parameters
    ----------
    classifier : HierarchicalClassifier
        Fitted on training and validation part.
    safe : DeepestSafeRank
        Where an answer has to stop.
    sets : ConformalSets
        Which species are candidates.
    embedder, fingerprint : str
        The encoder, and what must be the same again when new pictures are embedded.
    n_channels : int
        Bands of the pictures, or separate channel files.
    n_specimens : int
        Specimens that it was fitted on.
    """

    classifier: HierarchicalClassifier
    safe: DeepestSafeRank
    sets: ConformalSets
    embedder: str
    fingerprint: str
    n_channels: int
    n_specimens: int

    def answers(self, vectors: Float32Array) -> tuple[FloatArray, SafeAnswers]:
        """Return the probabilities of the species, (n, n_species), and the safe answers."""
        probabilities = self.classifier.predict_proba(vectors)
        return probabilities, self.safe.predict(probabilities)

    def table(self, vectors: Float32Array) -> pd.DataFrame:
        """Name pictures.

        Returns
        -------
        pandas.DataFrame
            One row a picture: the name at each rank with its probability, ``safe_rank`` and
            ``safe_name`` (empty when no rank is safe), ``candidates`` (species that the truth is
            among at the stated rate, most probable first) and their number.
        """
        probabilities, safe = self.answers(vectors)
        lineages = self.classifier.lineages_
        frame = self.classifier.predict_frame(vectors)
        names = safe.names(lineages)
        ranks = np.array([*lineages.ranks, ""], dtype=object)
        depth = np.minimum(safe.depth, len(lineages.ranks))
        frame["safe_rank"] = ranks[depth]
        frame["safe_name"] = [
            "" if d == len(lineages.ranks) else names[i, d] or "" for i, d in enumerate(depth)
        ]
        inside = self.sets.predict(probabilities)
        order = np.argsort(-probabilities, axis=1, kind="stable")
        frame["n_candidates"] = inside.sum(axis=1)
        frame["candidates"] = [
            ";".join(str(self.classifier.classes_[c]) for c in row if chosen[c])
            for row, chosen in zip(order, inside, strict=True)
        ]
        return frame

    def state(self) -> dict[str, Any]:
        """Return what `load_naming_model` reads back, for ``StudyResult.model``."""
        words, arrays = self.classifier.state()
        config = {
            "format": _FORMAT,
            "embedder": self.embedder,
            "fingerprint": self.fingerprint,
            "n_channels": self.n_channels,
            "n_specimens": self.n_specimens,
            "error_rate": self.safe.error_rate,
            # JSON has no infinity; None says that no rank is safe.
            "safe_threshold": _finite(self.safe.threshold_),
            "set_threshold": _finite(float(self.sets.thresholds_[0])),
            "classifier": words,
        }
        return {"config": config, "arrays": arrays}


def fit_hierarchical(task: Task, rows: IntArray, seed: int) -> HierarchicalClassifier:
    """Fit the hierarchical classifier on the pictures of `rows`, specimens kept whole."""
    return HierarchicalClassifier(task.taxonomy, n_folds=_FOLDS, random_state=seed).fit(
        task.vectors[rows], task.labels("species", rows), task.together[rows]
    )


def fit_naming_model(
    task: Task, classifier: HierarchicalClassifier, config: ErrorRate
) -> NamingModel:
    """Set the thresholds of a fitted classifier, never looking at the test part.

    They come from what the classifier said of its own training pictures while their specimens
    were held out, so nothing is fitted again.

    Parameters
    ----------
    task : Task
        The pictures and their split.
    classifier : HierarchicalClassifier
        Fitted on training and validation part.
    config : ErrorRate
        Settings of the study.

    Returns
    -------
    NamingModel
    """
    rows = task.split.development
    held_out = classifier.held_out_
    probabilities = np.exp(held_out.scores)
    truth = np.searchsorted(classifier.classes_, task.labels("species", rows)[held_out.rows])
    groups = task.together[rows][held_out.rows]
    return NamingModel(
        classifier=classifier,
        safe=DeepestSafeRank(config.error_rate).fit(
            probabilities, truth, classifier.lineages_, groups
        ),
        sets=ConformalSets(config.error_rate).fit(probabilities, truth, groups),
        embedder=task.embedder,
        fingerprint=task.fingerprint,
        n_channels=task.n_channels,
        n_specimens=task.n_specimens(rows),
    )


def load_naming_model(run: str | Path) -> NamingModel:
    """Read the naming model of a finished run.

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
    classifier = HierarchicalClassifier.from_state(config["classifier"], arrays)
    safe = DeepestSafeRank(config["error_rate"])
    safe.lineages_ = classifier.lineages_
    safe.threshold_ = _infinite(config["safe_threshold"])
    sets = ConformalSets(config["error_rate"])
    sets.thresholds_ = np.array([_infinite(config["set_threshold"])])
    return NamingModel(
        classifier=classifier,
        safe=safe,
        sets=sets,
        embedder=config["embedder"],
        fingerprint=config["fingerprint"],
        n_channels=config["n_channels"],
        n_specimens=config["n_specimens"],
    )


def predict(
    run: str | Path,
    images: Sequence[str | Path],
    *,
    weights: str | Path | None = None,
    resources: Resources | None = None,
) -> pd.DataFrame:
    """Name new pictures by a finished run of `taxa`.

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
        One row a picture, in the order given: ``image``, the columns of `NamingModel.table`, and
        ``problem``.

    Raises
    ------
    InputError
        When the run has no model, or the encoder is not the one it was made with.
    """
    model = load_naming_model(run)
    encoder = EncoderOfRun(model.embedder, model.fingerprint, model.n_channels)
    embedded = encoder.embed(images, run=run, weights=weights, resources=resources or Resources())
    return row_for_each(images, embedded, model.table(embedded.values))


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _infinite(value: float | None) -> float:
    return np.inf if value is None else float(value)
