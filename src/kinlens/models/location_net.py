"""A network that tells which labels hold for pictures of any number of channels.

What it answers about labels is a `learn.label_kinds.LabelKind`; thresholds and calibration come
after. Pictures come in as arrays and the trunk as a module.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from kinlens.errors import UsageError
from kinlens.learn.batches import PictureBatches
from kinlens.learn.fit import fit
from kinlens.learn.label_kinds import Gated, LabelKind
from kinlens.learn.plan import FitPlan
from kinlens.models.fine_tuned import Trunk
from kinlens.optional import need
from kinlens.parallel import torch_device
from kinlens.progress import SILENT, Progress
from kinlens.typing import AnyArray, BoolArray, ByteArray, FloatArray

torch = need("torch")

__all__ = ["LabelNetwork", "published_plan"]


def published_plan(*, epochs: int = 100, learning_rate: float = 1e-3) -> FitPlan:
    """Return the source's schedule: six epochs of patience, one restart, six more, stop.

    Parameters
    ----------
    epochs : int
        At the most.
    learning_rate : float
        Before the restart divides it by ten.
    """
    return FitPlan(
        epochs=epochs, patience=6, restarts=1, learning_rate=learning_rate, schedule="constant"
    )


class LabelNetwork(BaseEstimator):
    """Trains heads and trunk together, and keeps the weights with the lowest validation loss.

    Parameters
    ----------
    trunk : Trunk
        Starting weights; trained further in place.
    kind : LabelKind
        What is answered about labels, and by which loss.
    plan : FitPlan
        Length, speed and stopping; `published_plan` when left out.
    batch_size : int
        Pictures a step.
    flips, quarter_turns : bool
        Augmentation. Nothing is ever cropped: a label may hold for one cell only, which a crop
        could lose.
    device : str
        ``auto``, ``cpu`` or ``cuda``.
    random_state : int
        Seed.

    Attributes
    ----------
    network_ : torch.nn.Module
        With its best weights.
    history_ : pandas.DataFrame
        Loss and validation score by epoch.

    Notes
    -----
    Not a scikit-learn classifier to the letter: pictures have four axes.
    """

    def __init__(
        self,
        trunk: Trunk,
        kind: LabelKind,
        *,
        plan: FitPlan | None = None,
        batch_size: int = 64,
        flips: bool = True,
        quarter_turns: bool = True,
        device: str = "auto",
        random_state: int = 0,
    ) -> None:
        self.trunk = trunk
        self.kind = kind
        self.plan = plan
        self.batch_size = batch_size
        self.flips = flips
        self.quarter_turns = quarter_turns
        self.device = device
        self.random_state = random_state

    def fit(
        self,
        pictures: ByteArray,
        truth: BoolArray,
        *,
        validation: tuple[ByteArray, BoolArray],
        start: Mapping[str, AnyArray] | None = None,
        progress: Progress = SILENT,
        checkpoint: Path | None = None,
        label: str = "Training",
    ) -> LabelNetwork:
        """Train.

        Parameters
        ----------
        pictures : array of uint8, shape (n, height, width, channels)
            Training pictures, already of the size wanted.
        truth : array of bool, shape (n, k)
            Which labels hold.
        validation : (pictures, truth)
            Decide on the epoch; never the test part.
        start : mapping of str to array, optional
            Weights to start from, as `weights` gives them; what is not in it starts anew.
        progress : Progress
            Advances one step an epoch.
        checkpoint : path, optional
            Resume from here after an interruption.
        label : str
            What the progress display calls it.

        Raises
        ------
        UsageError
            When shapes do not fit together.
        """
        if pictures.ndim != 4 or truth.ndim != 2 or len(pictures) != len(truth):
            raise UsageError(
                f"pictures must be (n, height, width, channels) and truth (n, labels), not "
                f"{pictures.shape} and {truth.shape}."
            )
        network = self._built(start)
        held_out = self._batches(*validation, seed=0)

        def objective(model: Any, batch: tuple[Any, Any]) -> Any:
            return self.kind.loss(model(batch[0]), batch[1])

        def score(model: Any) -> float:
            place = next(model.parameters()).device
            losses = []
            for rows in torch.arange(len(held_out.pictures)).split(4 * self.batch_size):
                batch = held_out.prepare(rows).to(place), held_out.labels[rows].to(place)
                losses.append(float(objective(model, batch)) * len(rows))
            return sum(losses) / len(held_out.pictures)

        fitted = fit(
            network,
            objective,
            self._batches(pictures, truth, seed=self.random_state),
            score=score,
            plan=self.plan or published_plan(),
            seed=self.random_state,
            device=self.device,
            progress=progress,
            label=label,
            checkpoint=checkpoint,
        )
        self.network_ = fitted.network
        self.history_ = fitted.history
        return self

    def load(self, weights: Mapping[str, AnyArray]) -> LabelNetwork:
        """Take over trained weights, as `weights` gave them, instead of fitting."""
        network = self._built(None)
        tensors = {name: torch.as_tensor(np.array(array)) for name, array in weights.items()}
        network.load_state_dict(tensors)
        self.network_ = network.eval()
        return self

    def weights(self) -> dict[str, AnyArray]:
        """Return the trained weights by name."""
        check_is_fitted(self, "network_")
        state = self.network_.state_dict()
        return {name: tensor.detach().cpu().numpy() for name, tensor in state.items()}

    def predict_proba(self, pictures: ByteArray) -> FloatArray:
        """Return the probability of each label, each by itself, shape (n, k)."""
        return self._said(pictures, self.kind.probabilities)[0]

    def predict_both(self, pictures: ByteArray) -> tuple[FloatArray, FloatArray]:
        """Return the probabilities of labels, (n, k), and of groups, (n, g), of a gated network.

        Raises
        ------
        UsageError
            When the network's kind names no groups.
        """
        if not isinstance(self.kind, Gated):
            raise UsageError("only a network with a gate names groups on its own.")
        labels, groups = self._said(
            pictures, self.kind.probabilities, self.kind.group_probabilities
        )
        return labels, groups

    def _said(self, pictures: ByteArray, *reads: Callable[[Any], Any]) -> list[FloatArray]:
        """Show the network every picture once, and read its output in several ways."""
        check_is_fitted(self, "network_")
        place = torch_device(self.device)
        network = self.network_.to(place).eval()
        batches = self._batches(pictures, np.zeros((len(pictures), 1), bool), seed=0, alone=True)
        parts: list[list[Any]] = [[] for _ in reads]
        with torch.no_grad():
            for rows in torch.arange(len(pictures)).split(4 * self.batch_size):
                output = network(batches.prepare(rows).to(place))
                for part, read in zip(parts, reads, strict=True):
                    part.append(read(output).cpu())
        return [torch.cat(part).double().numpy() for part in parts]

    def _built(self, start: Mapping[str, AnyArray] | None) -> Any:
        with torch.random.fork_rng():
            torch.manual_seed(self.random_state)
            network = self.kind.build(self.trunk.module, self.trunk.n_features)
        # The layout in which batches come, and in which convolutions are fastest.
        network = network.to(memory_format=torch.channels_last)
        if start is not None:
            tensors = {name: torch.as_tensor(np.array(array)) for name, array in start.items()}
            network.load_state_dict(tensors, strict=False)
            if hasattr(network, "open_the_gate") and "flat.weight" in tensors:
                network.open_the_gate()
        return network

    def _batches(
        self, pictures: ByteArray, truth: BoolArray, *, seed: int, alone: bool = False
    ) -> PictureBatches:
        if alone and len(pictures) == 1:
            # Batches are made for training, which needs two; the second is never asked for.
            pictures, truth = np.repeat(pictures, 2, axis=0), np.repeat(truth, 2, axis=0)
        return PictureBatches(
            pictures,
            truth.astype(np.float32),
            mean=self.trunk.mean,
            spread=self.trunk.spread,
            batch_size=self.batch_size,
            seed=seed,
            flips=self.flips,
            quarter_turns=self.quarter_turns,
        )
