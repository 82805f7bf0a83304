"""A network fine-tuned to name several ranks at once from pictures.

Takes pictures as arrays and a trunk as a module; reading files and building trunks is done
elsewhere. On a CPU this is for small sets; frozen features are the better start there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from kinlens.errors import UsageError
from kinlens.learn.batches import PictureBatches
from kinlens.learn.fit import fit
from kinlens.learn.heads import RankHeads
from kinlens.learn.losses import MISSING, class_balanced_weights, joint_cross_entropy
from kinlens.learn.plan import FitPlan
from kinlens.optional import need
from kinlens.parallel import torch_device
from kinlens.progress import SILENT, Progress
from kinlens.typing import ByteArray, FloatArray, IntArray

torch = need("torch")

__all__ = ["FineTunedClassifier", "Trunk"]


@dataclass(frozen=True, eq=False)
class Trunk:
    """A network that turns pictures into vectors, with the input that it was made for.

    Parameters
    ----------
    module : torch.nn.Module
        ``(B, C, H, W) -> (B, n_features)``.
    n_features : int
        Length of its vectors.
    mean, spread : array of shape (C,)
        Normalisation of values from 0 to 1.
    """

    module: Any
    n_features: int
    mean: FloatArray
    spread: FloatArray


class FineTunedClassifier(BaseEstimator):
    """Names every rank by one network trained with a joint, class-balanced loss.

    Parameters
    ----------
    trunk : Trunk
        Starting weights; trained further in place.
    plan : FitPlan
        Length, speed and stopping.
    beta : float
        Class balance, see `class_balanced_weights`; 0 weighs classes alike.
    rank_weights : sequence of float, optional
        How much each rank counts in the loss; alike when left out.
    batch_size : int
        Pictures a step.
    flips, quarter_turns : bool
        Augmentation of training pictures.
    device : str
        ``auto``, ``cpu`` or ``cuda``.
    random_state : int
        Seed.

    Attributes
    ----------
    network_ : RankHeads
        The trained network with its best weights.
    n_classes_ : tuple of int
        Classes of each rank.
    history_ : pandas.DataFrame
        Loss and validation score by epoch.

    Notes
    -----
    Not a scikit-learn classifier to the letter: pictures have four axes and labels two, one
    column a rank, with -1 for a taxon that is not known.

    References
    ----------
    Cui et al. (2019) for the class-balanced loss; Elhamod et al. (2022), Hierarchy-guided neural
    network for species classification, Methods in Ecology and Evolution 13, 642-652, for joint
    training over ranks.
    """

    def __init__(
        self,
        trunk: Trunk,
        *,
        plan: FitPlan | None = None,
        beta: float = 0.99,
        rank_weights: Sequence[float] | None = None,
        batch_size: int = 32,
        flips: bool = True,
        quarter_turns: bool = False,
        device: str = "auto",
        random_state: int = 0,
    ) -> None:
        self.trunk = trunk
        self.plan = plan
        self.beta = beta
        self.rank_weights = rank_weights
        self.batch_size = batch_size
        self.flips = flips
        self.quarter_turns = quarter_turns
        self.device = device
        self.random_state = random_state

    def fit(
        self,
        pictures: ByteArray,
        labels: IntArray,
        *,
        validation: tuple[ByteArray, IntArray],
        progress: Progress = SILENT,
        checkpoint: Path | None = None,
    ) -> FineTunedClassifier:
        """Train; the weights with the lowest validation loss are kept.

        Parameters
        ----------
        pictures : array of uint8, shape (n, height, width, channels)
            Training pictures.
        labels : array of int, shape (n, n_ranks)
            Classes from 0, -1 where unknown.
        validation : (pictures, labels)
            Decide on the epoch; never the test part.
        progress : Progress
            Advances one step an epoch.
        checkpoint : path, optional
            Resume from here after an interruption.

        Raises
        ------
        UsageError
            When shapes do not fit together.
        """
        labels = np.asarray(labels, dtype=np.int64)
        if pictures.ndim != 4 or labels.ndim != 2 or len(pictures) != len(labels):
            raise UsageError(
                f"pictures must be (n, height, width, channels) and labels (n, ranks), not "
                f"{pictures.shape} and {labels.shape}."
            )
        counts = [np.bincount(column[column != MISSING]) for column in labels.T]
        self.n_classes_ = tuple(len(count) for count in counts)
        self._weights = [
            torch.as_tensor(class_balanced_weights(c, beta=self.beta), dtype=torch.float32)
            for c in counts
        ]
        shares = self.rank_weights or [1.0 / len(counts)] * len(counts)
        # Classes first met in validation have no weight to learn from, so they do not count.
        valid_labels = np.where(
            validation[1] < np.asarray(self.n_classes_)[None, :], validation[1], MISSING
        )
        with torch.random.fork_rng():
            torch.manual_seed(self.random_state)
            network = RankHeads(self.trunk.module, self.trunk.n_features, self.n_classes_)
        held_out = self._batches(validation[0], valid_labels, seed=0)

        def objective(model: Any, batch: tuple[Any, Any]) -> Any:
            weights = [weight.to(batch[1].device) for weight in self._weights]
            return joint_cross_entropy(
                model(batch[0]), batch[1], class_weights=weights, rank_weights=shares
            )

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
            self._batches(pictures, labels, seed=self.random_state),
            score=score,
            plan=self.plan or FitPlan(epochs=30, patience=6, learning_rate=3e-4),
            seed=self.random_state,
            device=self.device,
            progress=progress,
            label="Fine-tuning",
            checkpoint=checkpoint,
        )
        self.network_ = fitted.network
        self.history_ = fitted.history
        return self

    def predict_proba(self, pictures: ByteArray) -> list[FloatArray]:
        """Return the probabilities of each rank's classes, each (n, n_classes)."""
        check_is_fitted(self, "network_")
        place = torch_device(self.device)
        self.network_.to(place)
        batches = self._batches(pictures, np.zeros((len(pictures), 1), np.int64), seed=0)
        parts: list[list[Any]] = [[] for _ in self.n_classes_]
        with torch.no_grad():
            for rows in torch.arange(len(pictures)).split(4 * self.batch_size):
                for part, logits in zip(
                    parts, self.network_(batches.prepare(rows).to(place)), strict=True
                ):
                    part.append(logits.float().softmax(1).cpu())
        return [torch.cat(part).double().numpy() for part in parts]

    def predict(self, pictures: ByteArray) -> IntArray:
        """Return the most probable class at each rank, shape (n, n_ranks)."""
        return np.stack([p.argmax(axis=1) for p in self.predict_proba(pictures)], axis=1)

    def _batches(self, pictures: ByteArray, labels: IntArray, *, seed: int) -> PictureBatches:
        return PictureBatches(
            pictures,
            labels,
            mean=self.trunk.mean,
            spread=self.trunk.spread,
            batch_size=self.batch_size,
            seed=seed,
            flips=self.flips,
            quarter_turns=self.quarter_turns,
        )
