"""Networks of the study `seqdist`: which are trained on which rows, each a block of its own.

Finished ones are kept in the cache, so that an interrupted run trains the rest only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from kinlens import __version__
from kinlens.atomic import hash_bytes
from kinlens.learn.plan import FitPlan
from kinlens.ledger import FolderLedger
from kinlens.optional import need
from kinlens.parallel import Resources, map_blocks
from kinlens.studies.seqdist_model import packed_network, unpacked_network
from kinlens.studies.seqdist_task import Task
from kinlens.typing import IntArray

__all__ = ["FitJob", "TrainedNetwork", "fit_networks", "train"]


@dataclass(frozen=True, eq=False)
class FitJob:
    """One network to train.

    Parameters
    ----------
    encoder, geometry : str
        As in `kinlens.embed.neural.NeuralDistanceEmbedder`.
    train, validation : array of int
        Rows.
    plan : FitPlan
        Length and speed.
    seed : int
        Of weights and batches.
    dimensions, batch_size : int
        Of the embedder.
    settings : dict
        Of the encoder.
    label : str
        Comes before the name, to tell two networks of one kind apart.
    """

    encoder: str
    geometry: str
    train: IntArray
    validation: IntArray
    plan: FitPlan
    seed: int
    dimensions: int = 128
    batch_size: int = 256
    settings: dict[str, Any] = field(default_factory=dict)
    label: str = ""

    @property
    def name(self) -> str:
        """As in ``metrics.csv``."""
        return f"{self.label}{self.encoder}-{self.geometry}"


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """What came of one job; plain enough to travel between processes and to be kept on disk.

    Parameters
    ----------
    config, arrays : dict
        From `packed_network`.
    validation_rmse : float
        In percent of the mean training length, at the best epoch.
    cpu_seconds : float
        Of training.
    history : pandas.DataFrame
        By epoch.
    """

    config: dict[str, Any]
    arrays: dict[str, Any]
    validation_rmse: float
    cpu_seconds: float
    history: pd.DataFrame

    def embedder(self, *, device: str = "auto") -> Any:
        """Return the trained embedder; `device` is where it computes."""
        return unpacked_network(self.config, self.arrays, device=device)


def fit_networks(task: Task, jobs: Sequence[FitJob], resources: Resources) -> list[TrainedNetwork]:
    """Train the networks of `jobs`, in parallel where there are workers.

    Parameters
    ----------
    task : Task
        The sequences.
    jobs : sequence of FitJob
        What to train.
    resources : Resources
        Where to work, and where finished networks are kept.
    """
    sequences = task.sequences.sequences
    ledger = None
    if resources.cache is not None:
        data = hash_bytes(__version__.encode(), *sequences)
        ledger = FolderLedger(resources.cache / "seqdist", data, kinds=(TrainedNetwork,))
    return list(
        map_blocks(
            partial(train, sequences, resources.device),
            jobs,
            resources=resources,
            ledger=ledger,
            label="Training networks",
            unit="network",
        )
    )


def train(sequences: Sequence[bytes], device: str, job: FitJob) -> TrainedNetwork:
    """Train one network on one thread, so that the answer does not depend on how many there are.

    Parameters
    ----------
    sequences : sequence of bytes
        All of them; the job says which are used.
    device : str
        Where to compute.
    job : FitJob
        What to train.
    """
    from kinlens.embed.neural import NeuralDistanceEmbedder

    torch = need("torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        model = NeuralDistanceEmbedder(
            job.encoder,
            job.geometry,
            dimensions=job.dimensions,
            settings=dict(job.settings),
            batch_size=job.batch_size,
            plan=job.plan,
            device=device,
            random_state=job.seed,
        ).fit(
            [sequences[i] for i in job.train],
            validation=[sequences[i] for i in job.validation],
        )
    finally:
        torch.set_num_threads(threads)
    packed = packed_network(model)
    return TrainedNetwork(
        config=packed["config"],
        arrays=packed["arrays"],
        validation_rmse=100.0 * float(np.nanmin(model.history_["score"])),
        cpu_seconds=float(model.history_["cpu_seconds"].iloc[-1]),
        history=model.history_,
    )
