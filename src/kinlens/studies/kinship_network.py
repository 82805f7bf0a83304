"""The published network on the folds of the study `kinship`; loads torch, so imported late.

Everywhere, `task` is what the study works on, `n_folds` the number of folds, `streams` draw, and
`resources` say where to compute.
"""

from __future__ import annotations

import numpy as np

from kinlens.evaluate.splits import Split
from kinlens.models.kinship import inner_folds
from kinlens.models.kinship_attention import AttentionEngine
from kinlens.parallel import Resources
from kinlens.rng import RandomStreams
from kinlens.studies.kinship_measures import HeldOut
from kinlens.studies.kinship_task import KinshipTask
from kinlens.typing import FloatArray

__all__ = ["held_out_network", "in_sample_network"]


def held_out_network(
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
    engine = AttentionEngine(device=resources.device)
    with resources.progress.task("Training the network", len(folds), unit="fold") as bar:
        for fold in folds:
            labels = [task.clades[i] for i in fold.train] if name == "clade" else None
            inner = inner_folds(
                len(fold.train), labels, n_folds, streams.generator("network", fold.name)
            )
            places = engine.fit(
                task.pictures.of_groups(fold.train),
                task.distances[np.ix_(fold.train, fold.train)],
                inner,
                streams.integer("network", fold.name),
            )
            new = places.place(task.pictures.of_groups(fold.test))
            predicted.append(_cosine_distances(new, new))
            to_training.append(_cosine_distances(new, places.positions))
            settings.append("attention pooling, cosine loss")
            bar.advance()
    return HeldOut(folds, tuple(predicted), tuple(to_training), tuple(settings))


def in_sample_network(
    task: KinshipTask, n_folds: int, streams: RandomStreams, resources: Resources
) -> FloatArray:
    """Train on all species and return the distances among these very species, (n, n)."""
    inner = inner_folds(task.n, None, n_folds, streams.generator("network", "in_sample"))
    places = AttentionEngine(device=resources.device).fit(
        task.pictures, task.distances, inner, streams.integer("network", "in_sample")
    )
    return _cosine_distances(places.positions, places.positions)


def _cosine_distances(first: FloatArray, second: FloatArray) -> FloatArray:
    return np.asarray(np.maximum(1.0 - first @ second.T, 0.0))
