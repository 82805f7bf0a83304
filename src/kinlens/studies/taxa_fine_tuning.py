"""The candidate of `taxa` that trains a network on the pictures themselves, all ranks at once.

Off by default: without a GPU it takes long, and frozen features are the better start for few
pictures. The network itself is `models.fine_tuned`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from kinlens.embed.clip_networks import clip_network
from kinlens.embed.encoders import parse_encoder
from kinlens.embed.image_pipeline import read_square
from kinlens.embed.timm_networks import timm_network
from kinlens.errors import UsageError
from kinlens.evaluate.metrics import Answers
from kinlens.learn.fit import FitPlan
from kinlens.models.fine_tuned import FineTunedClassifier, Trunk
from kinlens.optional import need
from kinlens.parallel import Resources
from kinlens.progress import tracked
from kinlens.records.collection import Collection
from kinlens.rng import RandomStreams
from kinlens.studies.taxa_task import Scored, Task, balanced_accuracy
from kinlens.typing import ByteArray, IntArray, ObjectArray

__all__ = ["FineTuningConfig", "fine_tune"]

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


@dataclass(frozen=True)
class _SquareReader:
    """What `read_square` has to know: the squares that the network wants."""

    input_size: int
    n_channels: int
    depth: str = "uint8"


def fine_tune(
    collection: Collection,
    task: Task,
    config: FineTuningConfig,
    streams: RandomStreams,
    resources: Resources,
) -> list[Scored]:
    """Train a network on the training part, choose its epoch on the validation part, and test it.

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
    spec = parse_encoder(config.fine_tune)
    if spec.library == "descriptors":
        raise UsageError("fine_tune needs a network: timm:NAME or open_clip:NAME.")
    build = timm_network if spec.library == "timm" else clip_network
    network = build(spec, n_channels=task.n_channels, weights=config.weights)
    pictures = _squares(collection, task, network.input_size, resources)
    labels, classes = _labels(task)
    model = FineTunedClassifier(
        _trunk(network, task.n_channels),
        plan=FitPlan(
            epochs=config.epochs, patience=max(config.epochs // 5, 3), learning_rate=3e-4,
            weight_decay=0.01, gradient_norm=1.0,
        ),
        batch_size=_BATCH,
        device=resources.device,
        random_state=streams.integer("fine_tune"),
    )  # fmt: skip
    train, validation = task.split.train, task.split.validation
    cache = resources.cache
    model.fit(
        pictures[train],
        labels[train],
        validation=(pictures[validation], labels[validation]),
        progress=resources.progress,
        checkpoint=None if cache is None else cache / "fine_tuning.ckpt",
    )
    return [
        _scored(rank, place, model, pictures, task, classes[place])
        for place, rank in enumerate(task.ranks)
    ]


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


def _squares(collection: Collection, task: Task, size: int, resources: Resources) -> ByteArray:
    reader: Any = _SquareReader(size, task.n_channels)
    images = [str(image) for image in task.table.image]
    squares = [
        read_square(collection.image_files(image), reader)
        for image in tracked(
            images, resources.progress, "Reading pictures", total=len(images), unit="image"
        )
    ]
    return np.stack(squares).astype(np.uint8)


def _trunk(network: Any, n_channels: int) -> Trunk:
    torch = need("torch")
    mean, spread = np.asarray(network.mean, float), np.asarray(network.std, float)
    if len(mean) != n_channels:
        mean, spread = np.full(n_channels, mean.mean()), np.full(n_channels, spread.mean())
    module = network.module.eval()
    with torch.no_grad():
        blank = torch.zeros(1, n_channels, network.input_size, network.input_size)
        n_features = int(module(blank).shape[1])
    return Trunk(module.requires_grad_(True).train(), n_features, mean=mean, spread=spread)
