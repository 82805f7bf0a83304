"""The one trainer: epochs, best weights by validation, early stopping, resume, no NaN.

A caller brings a network, an objective for one batch and a score on validation data; what these
mean is not known here. Lightning drives the loop, the device, the precision and several GPUs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from kinlens.learn.plan import FitPlan
from kinlens.learn.several import run_on_several
from kinlens.learn.training import Training
from kinlens.parallel import torch_device
from kinlens.progress import SILENT, Progress

__all__ = ["Fitted", "fit"]


@dataclass(frozen=True, eq=False)
class Fitted:
    """A trained network and how it came about.

    Parameters
    ----------
    network : torch.nn.Module
        The network given, holding its best weights, in evaluation mode on the CPU.
    best_epoch : int
        Counted from 1.
    best_score : float
        Validation score at that epoch; lower is better.
    history : pandas.DataFrame
        One row an epoch: ``epoch``, ``loss`` (mean over batches), ``score`` (NaN where not
        computed), ``learning_rate``, ``cpu_seconds`` (of this process, since the start).
    """

    network: Any
    best_epoch: int
    best_score: float
    history: pd.DataFrame


def fit(
    network: Any,
    objective: Callable[[Any, Any], Any],
    batches: Iterable[Any],
    *,
    score: Callable[[Any], float],
    plan: FitPlan,
    seed: int,
    device: str = "auto",
    progress: Progress = SILENT,
    label: str = "Training",
    checkpoint: Path | None = None,
) -> Fitted:
    """Train `network` and give back its best weights.

    Parameters
    ----------
    network : torch.nn.Module
        Trained in place.
    objective : callable
        ``objective(network, batch) -> loss``, a scalar tensor.
    batches : iterable
        Gone through once an epoch; a ``DataLoader``, or any iterable of batches. Where it has
        ``set_epoch(epoch)``, that is called before each epoch, so that a resumed run sees the
        batches that an uninterrupted one sees.
    score : callable
        ``score(network) -> float`` on validation data, lower is better. The network is in
        evaluation mode and gradients are off.
    plan : FitPlan
        Length, speed and stopping.
    seed : int
        Seeds dropout and the like, anew each epoch; the caller's own random state is left alone.
    device : str
        ``auto``, ``cpu`` or ``cuda``.
    progress : Progress
        Advances one step an epoch.
    label : str
        What the progress display calls it.
    checkpoint : path, optional
        File that holds the state after the last whole epoch. When it exists, training goes on
        from it; it is removed at the end.

    Raises
    ------
    TrainingDivergedError
        At the first loss or score that is not finite.

    Notes
    -----
    The checkpoint is Lightning's own format and is read with ``weights_only=True``.
    """
    training = Training(
        network=network,
        objective=objective,
        batches=batches,
        score=score,
        plan=plan,
        seed=seed,
        place=torch_device(device),
        label=label,
        checkpoint=checkpoint,
    )
    with progress.task(label, plan.epochs, unit="epoch") as bar:
        if plan.devices == 1:
            outcome = training.run(bar.advance)
        else:
            outcome = run_on_several(training, bar.advance)
    network.load_state_dict(outcome.best)
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)
    return Fitted(
        network=network.cpu().eval(),
        best_epoch=outcome.best_epoch,
        best_score=outcome.best_score,
        history=pd.DataFrame(outcome.history),
    )
