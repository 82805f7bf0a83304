"""How long, how fast and on how much hardware a network is trained."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from kinlens.config import Config
from kinlens.errors import KinlensError

__all__ = ["FitPlan", "TrainingDivergedError"]


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
    devices : int
        GPUs, or processes on a CPU, that train one network together. Each takes batches of its own
        and gradients are averaged, so that a step sees `devices` times as many examples.
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
    devices: int = Field(default=1, ge=1)
