"""The study `location`: which places of a cell a protein is at, level by level.

The split is made first, whole antibodies or fields on one side. Thresholds, epochs and the choice
among models come from the validation part; the test part is looked at once, at the end. Words,
figures and tables are in `location_report`, answering for new pictures in `location_model`.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from kinlens.config import one_of
from kinlens.parallel import Resources
from kinlens.records.collection import Collection
from kinlens.records.result import StudyResult
from kinlens.rng import RandomStreams
from kinlens.studies.location_answers import (
    MODELS,
    NETWORKS,
    described,
    scored_models,
    stage_scores,
)
from kinlens.studies.location_model import fit_location_model
from kinlens.studies.location_networks import NetworkConfig
from kinlens.studies.location_report import report_of
from kinlens.studies.location_scores import compared, metric_rows
from kinlens.studies.location_task import Task, prepare
from kinlens.studies.location_training import Trained, train_networks

__all__ = ["CONFIG", "LocationConfig", "run", "train_repeats"]


class LocationConfig(NetworkConfig):
    """Settings of the study `location`; the defaults run without a download."""

    models: tuple[Annotated[str, one_of(MODELS)], ...] = Field(
        default=("constant", "logistic", "flat", "joint"),
        description="Which models to compare, of constant, logistic, flat, stage1_single, "
        "stage1_multi, hard_routed, hard_routed_other, joint, longer, pair, larger.",
    )
    repeats: int = Field(
        default=3, ge=1, le=50, description="Networks of so many seeds; scores are their means."
    )
    replicates: int = Field(default=1000, ge=100, description="Bootstrap replicates.")
    permutations: int = Field(default=199, ge=19, description="Shuffles of labels for the null.")


CONFIG = LocationConfig


def run(
    collection: Collection, config: LocationConfig, streams: RandomStreams, resources: Resources
) -> StudyResult:
    """Tell where proteins are from pictures of cells.

    Parameters
    ----------
    collection : Collection
        With pictures and a column ``labels``.
    config : LocationConfig
        Settings.
    streams : RandomStreams
        Split, networks, intervals and nulls draw from streams of their own.
    resources : Resources
        Where to work.

    Returns
    -------
    StudyResult
        Scores of every model for every label on the test part, with intervals and nulls; paired
        comparisons; a calibrated network for new pictures; figures; predictions.

    Raises
    ------
    InputError
        When there are no labels, or too few pictures to split.
    UsageError
        For a channel or column that does not exist.
    """
    task = prepare(collection, config, streams, resources)
    trained = train_repeats(task, config, streams, resources)
    descriptors = described(task) if "logistic" in config.models else None
    scored = scored_models(task, config.models, trained, descriptors)
    with resources.progress.task("Scoring", len(scored), unit="model") as bar:
        metrics = metric_rows(task, scored, config, streams, advance=bar.advance)
    model = fit_location_model(collection, task, config, scored, trained[0])
    kept = None if model is None else trained[0][model.name].probabilities[task.split.test]
    return report_of(
        collection,
        task,
        config,
        streams,
        resources,
        scored=scored,
        stages=stage_scores(task, trained),
        metrics=metrics,
        comparisons=compared(task, scored, streams, replicates=config.replicates),
        model=model,
        said=kept,
        epochs={name: network.epochs for name, network in trained[0].items()},
    )


def train_repeats(
    task: Task, config: LocationConfig, streams: RandomStreams, resources: Resources
) -> list[dict[str, Trained]]:
    """Train the networks of every repeat; none when only baselines are wanted.

    Parameters
    ----------
    task : Task
        Pictures, labels and split.
    config : LocationConfig
        Which models, and how many repeats.
    streams : RandomStreams
        Each repeat has streams of its own.
    resources : Resources
        Where to work.
    """
    if not set(NETWORKS) & set(config.models):
        return [{}]
    return [
        train_networks(task, config, config.models, streams.child("repeat", number), resources)
        for number in range(config.repeats)
    ]
