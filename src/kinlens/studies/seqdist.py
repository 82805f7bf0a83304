"""The study `seqdist`: vectors whose distance stands for edit distance, and what they are good for.

Splits come first; models are chosen by validation sequences; tested ones are looked at once, at
the end. Steps are in `seqdist_task` (data and splits), `seqdist_fits` (training), `seqdist_search`
(settings), `seqdist_predictors`, `seqdist_scores` and `seqdist_report`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from pydantic import Field

from kinlens.config import Config
from kinlens.embed.neural import DEFAULT_PLAN
from kinlens.evaluate.splits import Split
from kinlens.learn.plan import FitPlan
from kinlens.parallel import Resources
from kinlens.records.collection import Collection
from kinlens.records.result import StudyResult
from kinlens.rng import RandomStreams
from kinlens.studies.seqdist_fits import FitJob, TrainedNetwork, fit_networks
from kinlens.studies.seqdist_report import report_of
from kinlens.studies.seqdist_search import search_settings
from kinlens.studies.seqdist_task import RelativesSplit, Task, prepare

__all__ = ["CONFIG", "SeqdistConfig", "run"]

Encoder = Literal["linear", "mlp", "cnn", "gru", "transformer", "local_transformer"]
Geometry = Literal["hyperbolic", "euclidean", "squared", "manhattan", "cosine", "poincare"]


class SeqdistConfig(Config):
    """Settings of the study `seqdist`; the defaults take minutes for some thousand reads."""

    encoders: tuple[Encoder, ...] = Field(
        default=("linear", "mlp"),
        min_length=1,
        description="Networks: linear, mlp, cnn, gru, transformer, local_transformer.",
    )
    geometries: tuple[Geometry, ...] = Field(
        default=("hyperbolic", "euclidean"),
        min_length=1,
        description="Spaces: hyperbolic, euclidean, squared, manhattan, cosine, poincare.",
    )
    dimensions: int = Field(default=128, ge=2, description="Length of the vectors.")
    epochs: int = Field(default=40, ge=1, description="Of training, for every network.")
    learning_rate: float = Field(
        default=DEFAULT_PLAN.learning_rate, gt=0, description="Of Muon, with cosine decay."
    )
    batch_size: int = Field(
        default=256, ge=2, description="Sequences in a batch; all their pairs are learned from."
    )
    kmers: tuple[int, ...] = Field(
        default=(2, 3, 4, 5, 6), description="Lengths of the words that are the classical rivals."
    )
    most_sequences: int = Field(
        default=10_000, ge=20, description="Of more distinct sequences, a random part is used."
    )
    test_share: float = Field(default=0.18, gt=0, lt=1, description="Share of sequences tested.")
    validation_share: float = Field(
        default=0.085, gt=0, lt=1, description="Share that decides on epochs and models."
    )
    cluster_depths: tuple[int, ...] = Field(
        default=(0, 4, 8),
        description="For each d, the 2^d nearest relatives of tested sequences are not trained on.",
    )
    cluster_repeats: int = Field(
        default=2, ge=0, description="Draws of tested sequences for the curve; 0 leaves it out."
    )
    cluster_most: int = Field(
        default=400, ge=5, description="Tested sequences that are clustered, at the most."
    )
    cluster_epochs: int = Field(
        default=40, ge=1, description="Of descent on the relaxed clustering cost."
    )
    shortlist: int = Field(
        default=100, ge=1, description="References that are compared exactly for each query."
    )
    search_trials: int = Field(
        default=0, ge=0, description="Settings tried by random or TPE search; 0 searches none."
    )
    search_method: Literal["random", "tpe"] = Field(
        default="tpe", description="How the next settings to try are chosen."
    )
    replicates: int = Field(default=500, ge=100, description="Bootstrap replicates.")
    permutations: int = Field(default=199, ge=19, description="Shuffles for the null.")

    def plan(self) -> FitPlan:
        """Return how long and how fast networks are trained."""
        return DEFAULT_PLAN.model_copy(
            update={"epochs": self.epochs, "learning_rate": self.learning_rate}
        )


CONFIG = SeqdistConfig


def run(
    collection: Collection, config: SeqdistConfig, streams: RandomStreams, resources: Resources
) -> StudyResult:
    """Learn vectors for the sequences of a collection, and test what they can do.

    Parameters
    ----------
    collection : Collection
        With sequences; their species colour a map where they are known.
    config : SeqdistConfig
        Settings.
    streams : RandomStreams
        Splits, networks, intervals and nulls draw from streams of their own.
    resources : Resources
        Where to work. With a cache, finished networks and search trials are not computed again.

    Returns
    -------
    StudyResult
        Errors of every network and of its classical rivals, retrieval and clustering on the test
        part, with intervals and nulls; the chosen network, ready for ``kinlens search``.

    Raises
    ------
    InputError
        When there are too few distinct sequences, or kinds of molecule are mixed.
    """
    task = prepare(collection, config, streams, resources)
    jobs = [
        _job(encoder, geometry, task.split, config, streams)
        for encoder in config.encoders
        for geometry in config.geometries
    ]
    trials = None
    if config.search_trials:
        found, trials = search_settings(task, config, streams, resources)
        jobs.append(found)
    networks = fit_networks(task, jobs, resources)
    best = min(range(len(jobs)), key=lambda place: networks[place].validation_rmse)
    curve = _curve(task, jobs[best], streams, resources)

    return report_of(
        collection.name,
        task,
        config,
        streams,
        resources,
        jobs=jobs,
        networks=networks,
        best=best,
        curve=curve,
        trials=trials,
    )


def _job(
    encoder: Encoder,
    geometry: Geometry,
    split: Split,
    config: SeqdistConfig,
    streams: RandomStreams,
) -> FitJob:
    return FitJob(
        encoder,
        geometry,
        train=split.train,
        validation=split.validation,
        plan=config.plan(),
        seed=streams.integer("network", encoder, geometry),
        dimensions=config.dimensions,
        batch_size=config.batch_size,
    )


def _curve(
    task: Task, chosen: FitJob, streams: RandomStreams, resources: Resources
) -> list[tuple[RelativesSplit, TrainedNetwork]]:
    """Train the chosen kind of network anew without relatives of the tested sequences."""
    jobs = [
        replace(
            chosen,
            train=split.train,
            validation=split.validation,
            seed=streams.integer("relatives", split.repeat),
        )
        for split in task.relatives
    ]
    return list(zip(task.relatives, fit_networks(task, jobs, resources), strict=True))
