"""The candidate of `taxa` that trains a network on the pictures themselves, all ranks at once.

Off by default: without a GPU it takes long, and frozen features are the better start for few
pictures. The network itself is `models.fine_tuned`.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from kinlens.evaluate.metrics import Answers
from kinlens.learn.plan import FitPlan
from kinlens.models.fine_tuned import FineTunedClassifier
from kinlens.parallel import Resources
from kinlens.records.collection import Collection
from kinlens.rng import RandomStreams
from kinlens.studies.taxa_task import Scored, Task, balanced_accuracy
from kinlens.studies.trunks import open_trunk, read_squares
from kinlens.typing import ByteArray, IntArray, ObjectArray

__all__ = ["FineTuningConfig", "fine_tune"]

# Of the training specimens, those by which training stops.
_STOP_SHARE = 0.15

_BATCH = 32


class FineTuningConfig(Protocol):
    """The settings that this candidate reads."""

    @property
    def fine_tune(self) -> str:
        """``timm:NAME`` or ``open_clip:NAME``."""

    @property
    def weights(self) -> Any:
        """File or folder of starting weights."""

    @property
    def epochs(self) -> int:
        """Passes over the training pictures, at the most."""


def fine_tune(
    collection: Collection,
    task: Task,
    config: FineTuningConfig,
    streams: RandomStreams,
    resources: Resources,
) -> list[Scored]:
    """Train a network on most of the training part, choose its epoch on the rest, and test it.

    The validation part is left alone: by it the network is compared with models that never saw it.

    Parameters
    ----------
    collection : Collection
        Where the pictures are.
    task : Task
        Names and split.
    config : FineTuningConfig
        Which network, and for how long.
    streams : RandomStreams
        Draws new weights, order and augmentation.
    resources : Resources
        Device, and who watches; with a cache, an interrupted training goes on.

    Returns
    -------
    list of Scored
        One for each rank, called ``fine_tuned``.
    """
    opened = open_trunk(config.fine_tune, n_channels=task.n_channels, weights=config.weights)
    images = [str(image) for image in task.table.image]
    pictures = read_squares(collection, images, opened, resources.progress)
    labels, classes = _labels(task)
    model = FineTunedClassifier(
        opened.trunk,
        plan=FitPlan(
            epochs=config.epochs, patience=max(config.epochs // 5, 3), learning_rate=3e-4,
            weight_decay=0.01, gradient_norm=1.0,
        ),
        batch_size=_BATCH,
        device=resources.device,
        random_state=streams.integer("fine_tune"),
    )  # fmt: skip
    train, stop = _inner_split(task, streams)
    cache = resources.cache
    model.fit(
        pictures[train],
        labels[train],
        validation=(pictures[stop], labels[stop]),
        progress=resources.progress,
        checkpoint=None if cache is None else cache / "fine_tuning.ckpt",
    )
    return [
        _scored(rank, place, model, pictures, task, classes[place])
        for place, rank in enumerate(task.ranks)
    ]


def _inner_split(task: Task, streams: RandomStreams) -> tuple[IntArray, IntArray]:
    """Part the training pictures, whole specimens on one side: to train on, and to stop by."""
    train = task.split.train
    units = np.unique(task.together[train])
    rng = streams.generator("fine_tune", "stop")
    drawn = rng.permutation(units)[: max(1, round(_STOP_SHARE * len(units)))]
    stops = np.isin(task.together[train], drawn)
    if stops.sum() < 2 or (~stops).sum() < 2:
        return train, train
    return train[~stops], train[stops]


def _scored(
    rank: str,
    place: int,
    model: FineTunedClassifier,
    pictures: ByteArray,
    task: Task,
    classes: ObjectArray,
) -> Scored:
    answers = []
    for part in (task.split.validation, task.split.test):
        rows = task.known(rank, part)
        probabilities = model.predict_proba(pictures[rows])[place]
        answer = classes[probabilities.argmax(axis=1)]
        answers.append(Answers.from_labels(task.labels(rank, rows), answer, probabilities, classes))
    inner = balanced_accuracy(answers[0])
    return Scored(rank, "fine_tuned", answers[1], task.known(rank, task.split.test), inner)


def _labels(task: Task) -> tuple[IntArray, list[ObjectArray]]:
    """Give the classes of the training part numbers at each rank, and -1 to others."""
    columns, classes = [], []
    for rank in task.ranks:
        names = task.labels(rank, np.arange(task.split.n_rows))
        known = np.array(sorted({*names[task.split.train]} - {""}), dtype=object)
        place = {name: number for number, name in enumerate(known)}
        columns.append([place.get(name, -1) for name in names])
        classes.append(known)
    return np.array(columns, dtype=np.int64).T, classes
