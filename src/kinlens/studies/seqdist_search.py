"""Search for good settings of the networks of the study `seqdist`, judged by validation alone.

Trials are kept in the cache, so that an interrupted search goes on; a trial that is behind after a
quarter of its epochs is given up.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Protocol

import pandas as pd

from kinlens.learn.plan import FitPlan, TrainingDivergedError
from kinlens.optional import need
from kinlens.parallel import Resources
from kinlens.progress import tracked
from kinlens.rng import RandomStreams
from kinlens.studies.seqdist_fits import FitJob, train
from kinlens.studies.seqdist_task import Task

__all__ = ["SearchConfig", "search_settings"]

# A trial shows after this share of its epochs whether it is worth the rest.
_FIRST_SHARE = 4
_TRIED_BEFORE_PRUNING = 4


class SearchConfig(Protocol):
    """The settings of the search, and those that it leaves alone."""

    encoders: tuple[Any, ...]
    geometries: tuple[Any, ...]
    dimensions: int
    search_trials: int
    search_method: Literal["random", "tpe"]

    def plan(self) -> FitPlan:
        """Return how long networks are trained."""


def search_settings(
    task: Task, config: SearchConfig, streams: RandomStreams, resources: Resources
) -> tuple[FitJob, pd.DataFrame]:
    """Try settings and return the job of the best ones, with a table of all trials.

    Searched are encoder and geometry (among those of the study), hidden units or filters, layers,
    dropout, batch size and learning rate.

    Parameters
    ----------
    task : Task
        Its random split's training and validation parts are used; the test part is not looked at.
    config : SearchConfig
        How many trials, and by which method.
    streams : RandomStreams
        Decides what is tried.
    resources : Resources
        Where to work; trials are kept in its cache.

    Returns
    -------
    (FitJob, pandas.DataFrame)
        The table has columns ``trial``, ``state``, ``validation_percent_rmse`` and one a setting.
    """
    optuna = need("optuna")
    seed = streams.integer("search")

    def score(trial: Any) -> float:
        job = _drawn(trial, task, config, streams)
        short = job.plan.model_copy(update={"epochs": max(job.plan.epochs // _FIRST_SHARE, 1)})
        for step, plan in enumerate((short, job.plan)):
            try:
                trained = train(task.sequences.sequences, resources.device, _with_plan(job, plan))
            except TrainingDivergedError as error:
                raise optuna.TrialPruned from error
            trial.report(trained.validation_rmse, step)
            if step == 0 and trial.should_prune():
                raise optuna.TrialPruned
        return trained.validation_rmse

    with _quiet(optuna):
        samplers = {"random": optuna.samplers.RandomSampler, "tpe": optuna.samplers.TPESampler}
        study = optuna.create_study(
            study_name="seqdist",
            storage=_storage(optuna, resources.cache),
            pruner=optuna.pruners.MedianPruner(
                n_startup_trials=_TRIED_BEFORE_PRUNING, n_warmup_steps=0
            ),
            load_if_exists=True,
        )
        finished = len(study.get_trials(deepcopy=False, states=_ended()))
        missing = range(finished, max(config.search_trials, finished))
        for number in tracked(
            missing, resources.progress, "Searching settings", total=len(missing), unit="trial"
        ):
            # Seeded by its number, so that a resumed search tries what an uninterrupted one would.
            study.sampler = samplers[config.search_method](seed=(seed + number) % 2**32)
            study.optimize(score, n_trials=1)
        best = optuna.trial.FixedTrial(study.best_params)
        return _drawn(best, task, config, streams), _table(study)


def _drawn(trial: Any, task: Task, config: SearchConfig, streams: RandomStreams) -> FitJob:
    """Ask `trial` for every setting."""
    encoder = trial.suggest_categorical("encoder", list(config.encoders))
    geometry = trial.suggest_categorical("geometry", list(config.geometries))
    settings: dict[str, Any] = {}
    if encoder != "linear":
        settings["hidden"] = trial.suggest_categorical(f"{encoder}_hidden", _widths(encoder))
        settings["layers"] = trial.suggest_int(f"{encoder}_layers", 1, 6 if encoder == "cnn" else 3)
        settings["dropout"] = trial.suggest_float(f"{encoder}_dropout", 0.0, 0.3, step=0.05)
    return FitJob(
        encoder,
        geometry,
        train=task.split.train,
        validation=task.split.validation,
        plan=config.plan().model_copy(
            update={"learning_rate": trial.suggest_float("learning_rate", 2e-3, 6e-2, log=True)}
        ),
        seed=streams.integer("network", encoder, geometry),
        dimensions=config.dimensions,
        batch_size=trial.suggest_categorical("batch_size", [64, 128, 256, 512]),
        settings=settings,
        label="searched-",
    )


def _widths(encoder: str) -> list[int]:
    return [128, 256, 512] if encoder == "mlp" else [16, 32, 64, 128]


def _with_plan(job: FitJob, plan: FitPlan) -> FitJob:
    return FitJob(**{**vars(job), "plan": plan})


def _storage(optuna: Any, cache: Path | None) -> Any:
    if cache is None:
        return None
    folder = cache / "seqdist"
    folder.mkdir(parents=True, exist_ok=True)
    journal = optuna.storages.journal.JournalFileBackend(str(folder / "search.log"))
    return optuna.storages.JournalStorage(journal)


def _ended() -> tuple[Any, ...]:
    """Return the states of trials that came to an end; one that was cut off never began."""
    states = need("optuna").trial.TrialState
    return states.COMPLETE, states.PRUNED


def _table(study: Any) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "trial": trial.number,
                "state": trial.state.name.lower(),
                "validation_percent_rmse": trial.value,
                **trial.params,
            }
            for trial in study.get_trials(states=_ended())
        ]
    )


@contextmanager
def _quiet(optuna: Any) -> Iterator[None]:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(before)
