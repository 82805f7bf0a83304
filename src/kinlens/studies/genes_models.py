"""Single genes by the published classifiers, and by networks on pictures, on one kind of split.

The scan judges all genes by one fast classifier; here a few genes meet all that were published.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd

from kinlens.evaluate.splits import Shares, Split, random_split
from kinlens.models.gene_classifiers import MidpointRidgeClassifier
from kinlens.models.gene_published import (
    fit_published,
    published_scores,
)
from kinlens.parallel import Resources, map_blocks
from kinlens.records.collection import Collection
from kinlens.rng import RandomStreams
from kinlens.studies.genes_task import GeneTask
from kinlens.typing import ByteArray, FloatArray, IntArray

__all__ = ["ModelsConfig", "compare_classifiers", "published_splits"]

_SHARES = Shares(test=0.20, validation=0.16)


class ModelsConfig(Protocol):
    """The settings that this comparison reads."""

    @property
    def models(self) -> tuple[str, ...]:
        """Published classifiers."""

    @property
    def networks(self) -> tuple[str, ...]:
        """Networks to train on pictures."""

    @property
    def weights(self) -> Path | None:
        """Starting weights of a named network."""

    @property
    def epochs(self) -> int:
        """Passes of training, at the most."""

    @property
    def repeats(self) -> int:
        """Splits to average over."""


def compare_classifiers(
    collection: Collection,
    task: GeneTask,
    patterns: Sequence[int],
    config: ModelsConfig,
    streams: RandomStreams,
    resources: Resources,
) -> pd.DataFrame:
    """Score some genes by every classifier, on species held out at random.

    Parameters
    ----------
    collection : Collection
        Where the pictures are, for networks.
    task : GeneTask
        Species, genes and features.
    patterns : sequence of int
        Columns of ``task.presence``.
    config : ModelsConfig
        Which classifiers, and over how many splits.
    streams : RandomStreams
        Draws splits and starting weights.
    resources : Resources
        Where to work.

    Returns
    -------
    pandas.DataFrame
        Columns ``pattern model repeat accuracy balanced_accuracy precision recall f1 auc mcc``.
    """
    splits = published_splits(task.n, config.repeats, streams)
    work = partial(
        _classified,
        presence=task.presence,
        features=_standardised(task.features),
        splits=splits,
        models=("ridge", *config.models),
        seed=streams.integer("models"),
    )
    found = map_blocks(
        work, list(patterns), resources=resources, label="Published classifiers", unit="gene"
    )
    rows = [row for gene in found for row in gene]
    if config.networks:
        # Networks take seconds to import, and most runs need none.
        from kinlens.studies.genes_networks import train_networks

        rows += train_networks(
            collection,
            task,
            patterns,
            config.networks,
            splits,
            streams,
            resources,
            weights=config.weights,
            epochs=config.epochs,
        )
    return pd.DataFrame(rows)


def published_splits(n: int, repeats: int, streams: RandomStreams) -> list[Split]:
    """Split species 64-16-20 into training, validation and test part, as published.

    Parameters
    ----------
    n : int
        How many species.
    repeats : int
        How many splits.
    streams : RandomStreams
        One stream a split.
    """
    return [
        random_split(n, rng=streams.generator("published", repeat), shares=_SHARES)
        for repeat in range(repeats)
    ]


def _classified(
    pattern: int,
    *,
    presence: ByteArray,
    features: FloatArray,
    splits: Sequence[Split],
    models: Sequence[str],
    seed: int,
) -> list[dict[str, object]]:
    """Return one row a model and split, for one gene."""
    rows: list[dict[str, object]] = []
    truth = presence[:, pattern]
    known = truth <= 1
    for repeat, split in enumerate(splits):
        train, test = split.train[known[split.train]], split.test[known[split.test]]
        if not len(train) or not len(test):
            continue  # the gene is unknown in all species of one side
        for model in models:
            calls, scores = _answered(model, features, truth, train, test, seed)
            rows.append(
                {
                    "pattern": pattern,
                    "model": model,
                    "repeat": repeat,
                    **published_scores(truth[test], calls, scores),
                }
            )
    return rows


def _answered(
    model: str, X: FloatArray, truth: ByteArray, train: IntArray, test: IntArray, seed: int
) -> tuple[IntArray, FloatArray]:
    y = truth[train].astype(np.int64)
    if len(np.unique(y)) < 2:
        # One class is all that was seen, and all that can be said.
        return np.full(len(test), int(y.mean() > 0.5)), np.zeros(len(test))
    if model == "ridge":
        scores = MidpointRidgeClassifier().fit(X[train], y).decision_function(X[test])
        return (scores > 0).astype(np.int64), scores
    fitted = fit_published(model, X[train], y, seed=seed)
    assert fitted is not None
    calls: IntArray = fitted.predict(X[test])
    if hasattr(fitted, "predict_proba"):
        return calls, np.asarray(fitted.predict_proba(X[test])[:, 1])
    return calls, np.asarray(fitted.decision_function(X[test]))


def _standardised(features: FloatArray) -> FloatArray:
    spread = features.std(axis=0)
    varies = spread > 0
    scaled: FloatArray = (features[:, varies] - features[:, varies].mean(axis=0)) / spread[varies]
    return scaled
