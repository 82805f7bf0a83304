"""One training by Lightning: its steps, and who watches over them.

`fit` calls it in this process, `several` in one process for each device.
"""

from __future__ import annotations

import copy
import logging
import math
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kinlens.atomic import atomic_path
from kinlens.learn.optimizers import Muon
from kinlens.learn.patience import Patience
from kinlens.learn.plan import FitPlan, TrainingDivergedError
from kinlens.optional import need

if TYPE_CHECKING:
    import torch as torch_types

torch = need("torch")
lightning = need("lightning")

__all__ = ["Outcome", "Training"]


@dataclass(frozen=True, eq=False)
class Outcome:
    """What is left of a training.

    Parameters
    ----------
    best : dict of str to tensor
        The best weights, on the CPU.
    best_epoch : int
        Counted from 1.
    best_score : float
        Validation score at that epoch.
    history : list of dict
        One entry an epoch.
    """

    best: dict[str, Any]
    best_epoch: int
    best_score: float
    history: list[dict[str, float]]


@dataclass(frozen=True, eq=False)
class Training:
    """Everything that a training needs to know; parameters are those of `fit`.

    Parameters
    ----------
    network, objective, batches, score, plan, seed, label, checkpoint
        As in `fit`.
    place : torch.device
        Where to train.
    """

    network: Any
    objective: Callable[[Any, Any], Any]
    batches: Iterable[Any]
    score: Callable[[Any], float]
    plan: FitPlan
    seed: int
    place: torch_types.device
    label: str
    checkpoint: Path | None

    def run(self, advance: Callable[[], None], *, part: int = 0) -> Outcome:
        """Train to the end.

        Parameters
        ----------
        advance : callable
            Told after each epoch.
        part : int
            Which of the plan's devices this process is, from 0.

        Raises
        ------
        TrainingDivergedError
            At the first loss or score that is not finite.
        """
        parts = self.plan.devices
        task = _Task(self.network, self.objective, self.plan, self.seed + part)
        watch = _Watch(score=self.score, plan=self.plan, checkpoint=self.checkpoint, part=part,
                       advance=advance)  # fmt: skip
        with _quiet(), _interrupted_as_usual(), torch.random.fork_rng():
            trainer = lightning.Trainer(
                accelerator="gpu" if self.place.type == "cuda" else "cpu",
                devices=self._devices(),
                strategy="auto" if parts == 1 else "ddp",
                precision=self.plan.precision,
                max_epochs=self.plan.epochs,
                gradient_clip_val=self.plan.gradient_norm,
                callbacks=[watch],
                logger=False,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
                num_sanity_val_steps=0,
                use_distributed_sampler=False,
            )
            resume = self.checkpoint is not None and self.checkpoint.is_file()
            trainer.fit(
                task,
                _EpochBatches(
                    self.batches,
                    epoch=self._finished_epochs() if resume else 0,
                    share=(part, parts),
                ),
                ckpt_path=str(self.checkpoint) if resume else None,
                weights_only=True if resume else None,
            )
        if watch.best is None:
            raise TrainingDivergedError(f"{self.label}: no epoch was finished.")
        return Outcome(watch.best, watch.best_epoch, watch.best_score, watch.history)

    def _devices(self) -> int | list[int]:
        if self.place.type != "cuda" or self.plan.devices > 1:
            return self.plan.devices
        return [self.place.index or 0]

    def _finished_epochs(self) -> int:
        state = torch.load(self.checkpoint, map_location="cpu", weights_only=True)
        return int(state["epoch"]) + 1


class _EpochBatches:
    """Counts the epochs for batches that want to know, and takes a device's share of them."""

    def __init__(self, batches: Iterable[Any], *, epoch: int, share: tuple[int, int]) -> None:
        part, parts = share
        self.batches = batches
        self.part, self.parts = part, parts
        # The first epoch's batches are asked for before Lightning tells which epoch it is.
        self.epoch = epoch
        # Lightning tells the epoch to what it finds under this name, before it asks for batches.
        self.sampler = self

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __iter__(self) -> Iterator[Any]:
        if hasattr(self.batches, "set_epoch"):
            self.batches.set_epoch(self.epoch)
        if self.parts == 1:
            return iter(self.batches)
        if hasattr(self.batches, "share"):
            mine = iter(self.batches.share(self.part, self.parts))
        else:
            mine = islice(self.batches, self.part, None, self.parts)
        # Devices wait for each other, so all take the same number.
        return islice(mine, len(self))

    def __len__(self) -> int:
        return len(self.batches) // self.parts  # type: ignore[arg-type]


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
        part: int,
        advance: Callable[[], None],
    ) -> None:
        self.score = score
        self.plan = plan
        self.checkpoint = checkpoint
        self.part = part
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
        mean = torch.stack(self._losses).float().mean()
        loss = float(trainer.strategy.reduce(mean, reduce_op="mean"))
        self._refuse_nan(loss, "loss", epoch)
        last = epoch == self.plan.epochs
        value = math.nan
        if epoch % self.plan.score_every == 0 or last:
            judged = task.network if self._average is None else self._average
            judged.eval()
            if self.part == 0:
                with torch.no_grad():
                    value = float(self.score(judged))
            # All devices go by the score of the first, or one would stop and the others wait.
            value = float(trainer.strategy.broadcast(value))
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
        if self.part > 0:
            # Only the first device writes; the others have to ask for it as well.
            trainer.save_checkpoint(self.checkpoint)
            return
        with atomic_path(self.checkpoint) as temporary:
            trainer.save_checkpoint(temporary)

    def _refuse_nan(self, value: float, what: str, epoch: int) -> None:
        if not math.isfinite(value):
            raise TrainingDivergedError(
                f"the {what} became {value} in epoch {epoch} at learning rate "
                f"{self.plan.learning_rate:g}. Lower learning_rate, or set gradient_norm = 1."
            )


@contextmanager
def _interrupted_as_usual() -> Iterator[None]:
    """Hand Ctrl-C on; Lightning would end the program with exit code 1, and go on to ignore it."""
    is_main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as end:
        if not isinstance(end.__context__, KeyboardInterrupt):
            raise
        if is_main:
            signal.signal(signal.SIGINT, handler)
        raise KeyboardInterrupt from end


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
