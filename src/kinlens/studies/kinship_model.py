"""The part of a `kinship` run that answers later: where in the tree new pictures belong."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd

from kinlens.io.results import read_model
from kinlens.models.kinship import KinshipEmbedder
from kinlens.models.kinship_engine import Pictures
from kinlens.models.kinship_state import embedder_from_state, embedder_state
from kinlens.parallel import Resources
from kinlens.records.distances import DistanceMatrix
from kinlens.rng import RandomStreams
from kinlens.studies.kinship_task import KinshipTask
from kinlens.studies.new_pictures import EncoderOfRun, row_for_each
from kinlens.typing import FloatArray, ObjectArray

__all__ = ["PlacingConfig", "likeliest_views", "placing_model", "predict"]


class PlacingConfig(Protocol):
    """The settings that decide about folds and intervals."""

    folds: int
    error_rate: float


def placing_model(
    task: KinshipTask, n_channels: int, config: PlacingConfig, streams: RandomStreams
) -> dict[str, Any]:
    """Learn from all species where new pictures belong, and return it as a result's model.

    Parameters
    ----------
    task : KinshipTask
        Pictures and tree.
    n_channels : int
        Bands of the pictures.
    config : PlacingConfig
        Folds, and the share of intervals that may miss.
    streams : RandomStreams
        Deals species to folds.
    """
    names = np.array(task.species, dtype=object)
    model = KinshipEmbedder(
        n_folds=config.folds,
        error_rate=config.error_rate,
        random_state=streams.integer("placing"),
    ).fit(
        task.pictures.values,
        names[task.pictures.groups],
        kinship=task.tree or DistanceMatrix(task.species, task.distances),
        views=task.pictures.views,
    )
    state = embedder_state(model)
    return {
        "config": {
            "embedder": task.embedder,
            "fingerprint": task.fingerprint,
            "n_channels": n_channels,
            "kinship": state["config"],
        },
        "arrays": state["arrays"],
    }


def predict(
    run: str | Path,
    images: Sequence[str | Path],
    *,
    weights: str | Path | None = None,
    resources: Resources | None = None,
) -> pd.DataFrame:
    """Place new pictures in the tree of a finished run of `kinship`.

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
        One row a picture, in the order given: ``image``, the nearest species with its distance in
        the tree and the interval, whether the picture is of this tree at all, the branch to which
        it belongs, the ``view`` that it was taken for, and ``problem``.

    Raises
    ------
    InputError
        When the run has no model, or the encoder is not the one it was made with.
    """
    config, arrays = read_model(run)
    model = embedder_from_state(config["kinship"], arrays)
    encoder = EncoderOfRun(config["embedder"], config["fingerprint"], config["n_channels"])
    embedded = encoder.embed(images, run=run, weights=weights, resources=resources or Resources())
    values = np.asarray(embedded.values, dtype=np.float64)
    views = likeliest_views(model, values)
    answers = model.predict(values, views=views).frame()
    answers["view"] = views
    return row_for_each(images, embedded, answers)


def likeliest_views(model: KinshipEmbedder, values: FloatArray) -> ObjectArray:
    """Guess the view that each picture shows: the one in which it looks least strange.

    Parameters
    ----------
    model : KinshipEmbedder
        Fitted.
    values : array of float, shape (m, d)
        Features.

    Returns
    -------
    array of object, shape (m,)
        "" where the model knows no views.
    """
    known = np.array(model.outsiders_.scaling.view_names, dtype=object)
    everyone = np.arange(len(values))
    strange = [
        model.outsiders_(Pictures(values, everyone, np.full(len(values), view, dtype=object)))
        for view in known
    ]
    return np.asarray(known[np.argmin(strange, axis=0)])
