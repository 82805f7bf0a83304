"""What the network of a finished run looks at, for one picture of its dataset at a time."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np

from kinlens.errors import InputError, UsageError, did_you_mean
from kinlens.models.location_net import LabelNetwork
from kinlens.parallel import Resources
from kinlens.records.collection import Collection
from kinlens.studies.location_model import LocationModel, load_location_model
from kinlens.studies.location_occlusion import place_effects
from kinlens.studies.location_pictures import read_pictures
from kinlens.typing import FloatArray

__all__ = ["attention_by"]


def attention_by(
    run: str | Path, dataset: Collection, resources: Resources
) -> Callable[[str, str], FloatArray]:
    """Return what tells by how much a label of a picture loses when a square of it is blanked.

    The network is loaded at the first question.

    Parameters
    ----------
    run : path
        A finished run of `location` with a network.
    dataset : Collection
        The dataset that it came from.
    resources : Resources
        Where to work.

    Returns
    -------
    callable
        Takes the name of a picture and a label, and returns losses of shape (cells, cells). A
        label that the run does not know is a UsageError, a picture that cannot be read an
        InputError.
    """

    @cache
    def loaded() -> tuple[LocationModel, LabelNetwork]:
        model = load_location_model(run)
        return model, model.estimator(device=resources.device)

    def answer(image: str, label: str) -> FloatArray:
        model, network = loaded()
        labels = list(model.tree.labels)
        if label not in labels:
            raise UsageError(f"no label {label!r}. {did_you_mean(label, labels)}")
        every = model.every_channel or ("red", "green", "blue")
        pictures, _readable, skipped = read_pictures(
            [dataset.image_files(image)],
            [image],
            bands=tuple(every.index(channel) for channel in model.channels),
            size=model.size,
            resources=resources,
        )
        if skipped:
            raise InputError(skipped[0].reason, where=image)
        blank = np.round(255 * model.mean).astype(np.uint8)
        return place_effects(network, pictures[0], labels.index(label), blank)

    return answer
