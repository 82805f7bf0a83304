"""The one trainer: epochs, best weights by validation, early stopping, resume, no NaN.

A caller brings a network, an objective for one batch and a score on validation data; what these
mean is not known here. Lightning drives the loop, the device, the precision and several GPUs.
"""

from __future__ import annotations

import copy
import logging
import math
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from pydantic import Field

from kinlens.atomic import atomic_path
from kinlens.config import Config
from kinlens.errors import KinlensError
from kinlens.learn.optimizers import Muon
from kinlens.learn.patience import Patience
from kinlens.optional import need
from kinlens.parallel import torch_device
from kinlens.progress import SILENT, Progress

torch = need("torch")
lightning = need("lightning")

__all__ = ["FitPlan", "Fitted", "TrainingDivergedError", "fit"]


class TrainingDivergedError(KinlensError):
    """The loss stopped being a finite number; the message says when, and what to change."""


class FitPlan(Config):
    """How long and how fast to train.

    Parameters
    ----------
    epochs : int
        At the most.
    patience : int or None
        Stop after this many epochs without a better validation score; never when None.
    restarts : int
        How often, instead of stopping, training goes back to the best weights so far and on with a
        tenth of the learning rate.
    optimizer : {"adamw", "muon"}
        Muon needs far fewer steps where most weights are matrices, at some more work for each.
    learning_rate, weight_decay : float
        Of the optimiser; Muon's rates are about twice those of AdamW, and its decay 0.1.
    schedule : {"cosine", "constant"}
        Cosine goes down to zero over `epochs`.
    gradient_norm : float or None
        Longer gradients are cut to this length.
    precision : str
        ``"32-true"``, ``"bf16-mixed"`` or ``"16-mixed"``, as Lightning names them.
    score_every : int
        Epochs between validation scores.
    averaging : float
        Share of the old in a running average of the weights over steps, from 0 (off) to below 1.
        With it, scores and kept weights are those of the average, which is less noisy.
    """

    epochs: int = 50
    patience: int | None = 10
    restarts: int = Field(default=0, ge=0)
    optimizer: Literal["adamw", "muon"] = "adamw"
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    schedule: Literal["cosine", "constant"] = "cosine"
    gradient_norm: float | None = None
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    score_every: int = 1
    averaging: float = Field(default=0.0, ge=0.0, lt=1.0)


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
    place = torch_device(device)
    task = _Task(network, objective, plan, seed)
    with _quiet(), torch.random.fork_rng(), progress.task(label, plan.epochs, unit="epoch") as bar:
        watch = _Watch(score=score, plan=plan, checkpoint=checkpoint, advance=bar.advance)
        trainer = lightning.Trainer(
            accelerator="gpu" if place.type == "cuda" else "cpu",
            devices=[place.index or 0] if place.type == "cuda" else 1,
            precision=plan.precision,
            max_epochs=plan.epochs,
            gradient_clip_val=plan.gradient_norm,
            callbacks=[watch],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
        )
        resume = checkpoint is not None and checkpoint.is_file()
        trainer.fit(
            task,
            _EpochBatches(batches, epoch=_finished_epochs(checkpoint) if resume else 0),
            ckpt_path=str(checkpoint) if resume else None,
            weights_only=True if resume else None,
        )
    if watch.best is None:
        raise TrainingDivergedError(f"{label}: no epoch was finished.")
    network.load_state_dict(watch.best)
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)
    return Fitted(
        network=network.cpu().eval(),
        best_epoch=watch.best_epoch,
        best_score=watch.best_score,
        history=pd.DataFrame(watch.history),
    )


def _finished_epochs(checkpoint: Path | None) -> int:
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    return int(state["epoch"]) + 1


class _EpochBatches:
    """Counts the epochs for batches that want to know; hides nothing else."""

    def __init__(self, batches: Iterable[Any], *, epoch: int) -> None:
        self.batches = batches
        # The first epoch's batches are asked for before Lightning tells which epoch it is.
        self.epoch = epoch
        # Lightning tells the epoch to what it finds under this name, before it asks for batches.
        self.sampler = self

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __iter__(self) -> Iterator[Any]:
        if hasattr(self.batches, "set_epoch"):
            self.batches.set_epoch(self.epoch)
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)  # type: ignore[arg-type]


class _Task(lightning.LightningModule):  # type: ignore[name-defined]
    """What Lightning needs to know of a network: its step and its optimiser."""

    def __init__(self, network: Any, objective: Callable[..., Any], plan: FitPlan, seed: int):
        super().__init__()
        self.network = network
        self.objective = objective
        self.plan = plan
        self.seed = seed

    def training_step(self, batch: Any, _index: int) -> Any:
        return self.objective(self.network, batch)

    def configure_optimizers(self) -> Any:
        trained = [p for p in self.network.parameters() if p.requires_grad]
        kind = Muon if self.plan.optimizer == "muon" else torch.optim.AdamW
        optimizer = kind(trained, lr=self.plan.learning_rate, weight_decay=self.plan.weight_decay)
        if self.plan.schedule == "constant":
            return optimizer
        steps = max(int(self.trainer.estimated_stepping_batches), 1)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }


class _Watch(lightning.Callback):  # type: ignore[name-defined]
    """Keeps the best weights and the history, stops early, refuses NaN, saves each epoch."""

    def __init__(
        self,
        *,
        score: Callable[[Any], float],
        plan: FitPlan,
        checkpoint: Path | None,
        advance: Callable[[], None],
    ) -> None:
        self.score = score
        self.plan = plan
        self.checkpoint = checkpoint
        self.advance = advance
        self.best: dict[str, Any] | None = None
        self.best_epoch = 0
        self.best_score = math.inf
        self.history: list[dict[str, float]] = []
        self._patience = Patience(plan.patience, plan.restarts)
        self._average: Any = None
        self._resumed_average: dict[str, Any] | None = None
        self._losses: list[Any] = []
        self._started = time.process_time()

    def on_train_epoch_start(self, trainer: Any, task: Any) -> None:
        torch.manual_seed((task.seed * 1_000_003 + trainer.current_epoch) % 2**63)
        self._losses = []

    def on_train_batch_end(
        self, trainer: Any, task: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._losses.append(outputs["loss"].detach())
        if self.plan.averaging:
            self._move_average(task.network, step=trainer.global_step)

    def on_train_epoch_end(self, trainer: Any, task: Any) -> None:
        epoch = trainer.current_epoch + 1
        loss = float(torch.stack(self._losses).float().mean())  # noqa: PD013 - torch's, not pandas'
        self._refuse_nan(loss, "loss", epoch)
        last = epoch == self.plan.epochs
        value = math.nan
        if epoch % self.plan.score_every == 0 or last:
            judged = task.network if self._average is None else self._average
            judged.eval()
            with torch.no_grad():
                value = float(self.score(judged))
            task.network.train()
            self._refuse_nan(value, "validation score", epoch)
            if value < self.best_score:
                self.best_score, self.best_epoch = value, epoch
                self.best = copy.deepcopy(
                    {k: v.detach().cpu() for k, v in judged.state_dict().items()}
                )
        self.history.append(
            {
                "epoch": epoch,
                "loss": loss,
                "score": value,
                "learning_rate": trainer.optimizers[0].param_groups[0]["lr"],
                "cpu_seconds": time.process_time() - self._started,
            }
        )
        verdict = self._patience.judge(epoch, best_epoch=self.best_epoch)
        if verdict == "restart" and self.best is not None:
            self._restart(trainer, task.network)
        self.advance()
        if self.checkpoint is not None:
            self._save(trainer)
        if verdict == "stop":
            trainer.should_stop = True

    def state_dict(self) -> dict[str, Any]:
        return {
            "best": self.best,
            "best_epoch": self.best_epoch,
            "best_score": self.best_score,
            "history": self.history,
            "patience": [self._patience.used, self._patience.since],
            "average": None if self._average is None else self._average.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._resumed_average = state.pop("average")
        self._patience.used, self._patience.since = state.pop("patience")
        self.__dict__.update(state)

    def _restart(self, trainer: Any, network: Any) -> None:
        network.load_state_dict(self.best)
        self._average = None
        for group in trainer.optimizers[0].param_groups:
            group["lr"] /= 10.0

    def _move_average(self, network: Any, *, step: int) -> None:
        if self._average is None:
            self._average = copy.deepcopy(network)
            if self._resumed_average is not None:
                self._average.load_state_dict(self._resumed_average)
        # Early on the average forgets faster, or it would hold on to the first random weights.
        new_share = max(1.0 - self.plan.averaging, 1.0 / (step + 1))
        with torch.no_grad():
            for old, new in zip(
                self._average.state_dict().values(), network.state_dict().values(), strict=True
            ):
                if old.is_floating_point():
                    old.lerp_(new, new_share)
                else:
                    old.copy_(new)

    def _save(self, trainer: Any) -> None:
        assert self.checkpoint is not None
        with atomic_path(self.checkpoint) as part:
            trainer.save_checkpoint(part)

    def _refuse_nan(self, value: float, what: str, epoch: int) -> None:
        if not math.isfinite(value):
            raise TrainingDivergedError(
                f"the {what} became {value} in epoch {epoch} at learning rate "
                f"{self.plan.learning_rate:g}. Lower learning_rate, or set gradient_norm = 1."
            )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Lightning's advertisements and its advice on workers out of the user's terminal."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning.*")
            warnings.filterwarnings("ignore", message=".*does not have many workers.*")
            warnings.filterwarnings("ignore", message=".*logging interval.*")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
