"""The networks on the folds of the study `kinship`; loads torch, so imported late.

Everywhere, `collection` is the dataset, `task` what the study works on, `n_folds` the number of
folds, `learner` what is trained, `streams` draw, and `resources` say where to compute.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kinlens.evaluate.splits import Split
from kinlens.models.kinship_attention import AttentionEngine
from kinlens.models.kinship_engine import Engine, Pictures, inner_folds
from kinlens.models.kinship_fine_tuned import FineTuningEngine
from kinlens.parallel import Resources
from kinlens.records.collection import Collection
from kinlens.rng import RandomStreams
from kinlens.studies.kinship_measures import HeldOut
from kinlens.studies.kinship_task import KinshipTask
from kinlens.studies.trunks import open_trunk, read_squares
from kinlens.typing import FloatArray

__all__ = ["Learner", "fine_tuned", "held_out_network", "in_sample_network", "published_network"]


@dataclass(frozen=True, eq=False)
class Learner:
    """An engine with the pictures that it reads.

    Parameters
    ----------
    engine : Engine
    pictures : Pictures
        Vectors of the task's pictures, or the pictures themselves.
    stream : str
        Name of the streams that it draws from.
    words : str
        What it is.
    """

    engine: Engine
    pictures: Pictures
    stream: str
    words: str


def published_network(task: KinshipTask, resources: Resources) -> Learner:
    """Return the published network, on the frozen features of the task."""
    return Learner(
        AttentionEngine(device=resources.device),
        task.pictures,
        "network",
        "attention pooling, cosine loss",
    )


def fine_tuned(
    collection: Collection,
    task: KinshipTask,
    name: str,
    weights: Path | None,
    resources: Resources,
) -> Learner:
    """Return a network whose last block is trained as well, on the pictures of the task.

    Parameters
    ----------
    name : str
        ``timm:NAME`` or ``open_clip:NAME``.
    weights : path or None
        Starting weights, when they are a file.
    """
    assert collection.specimens is not None  # because the task has pictures
    opened = open_trunk(name, n_channels=len(collection.channels) or 3, weights=weights)
    images = [str(image) for image in collection.specimens.image[task.rows]]
    squares = read_squares(collection, images, opened, resources.progress)
    return Learner(
        FineTuningEngine(opened.trunk, device=resources.device),
        Pictures(squares, task.pictures.groups, task.pictures.views),
        "fine_tuned",
        f"{name}, last block trained",
    )


def held_out_network(
    learner: Learner,
    task: KinshipTask,
    folds: tuple[Split, ...],
    name: str,
    n_folds: int,
    streams: RandomStreams,
    resources: Resources,
) -> HeldOut:
    """Train on each fold's training species and predict distances of its test species.

    Parameters
    ----------
    learner : Learner
    task : KinshipTask
    folds : tuple of Split
    name : str
        ``"clade"`` stops training by whole clades held out, anything else by species.
    n_folds : int
        Of which the first inner one decides when to stop.
    streams : RandomStreams
    resources : Resources
    """
    predicted, to_training, settings = [], [], []
    with resources.progress.task("Training the network", len(folds), unit="fold") as bar:
        for fold in folds:
            labels = [task.clades[i] for i in fold.train] if name == "clade" else None
            inner = inner_folds(
                len(fold.train), labels, n_folds, streams.generator(learner.stream, fold.name)
            )
            places = learner.engine.fit(
                learner.pictures.of_groups(fold.train),
                task.distances[np.ix_(fold.train, fold.train)],
                inner,
                streams.integer(learner.stream, fold.name),
            )
            new = places.place(learner.pictures.of_groups(fold.test))
            predicted.append(_cosine_distances(new, new))
            to_training.append(_cosine_distances(new, places.positions))
            settings.append(learner.words)
            bar.advance()
    return HeldOut(folds, tuple(predicted), tuple(to_training), tuple(settings))


def in_sample_network(
    learner: Learner, task: KinshipTask, n_folds: int, streams: RandomStreams
) -> FloatArray:
    """Train on all species and return the distances among these very species, (n, n)."""
    inner = inner_folds(task.n, None, n_folds, streams.generator(learner.stream, "in_sample"))
    places = learner.engine.fit(
        learner.pictures, task.distances, inner, streams.integer(learner.stream, "in_sample")
    )
    return _cosine_distances(places.positions, places.positions)


def _cosine_distances(first: FloatArray, second: FloatArray) -> FloatArray:
    return np.asarray(np.maximum(1.0 - first @ second.T, 0.0))
