"""The published way to teach kinship: a head on frozen features, attention pooling, cosine loss.

An engine for `kinship.KinshipEmbedder`, and the network behind it. The default engine, in closed
form and faster, is in `kinship`; which one does better on species or clades never seen is for the
study to say.

As in all engines, `pictures` are the training pictures, `distances` the true distances between
their species, `folds` the species held out together, and `seed` draws weights and order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kinlens.evaluate.splits import Split
from kinlens.learn.fit import fit
from kinlens.learn.plan import FitPlan
from kinlens.models.kinship_bags import Bags, BagSteps
from kinlens.models.kinship_engine import Pictures, parts_for_stopping
from kinlens.models.kinship_profiles import PictureScaling, fit_picture_scaling
from kinlens.optional import need
from kinlens.typing import FloatArray

torch = need("torch")

__all__ = ["AttentionEngine", "AttentionHead", "AttentionPlaces", "kinship_loss"]


class AttentionHead(torch.nn.Module):  # type: ignore[name-defined]
    """A projection of pictures, pooled to species by learned weights, of length 1.

    Parameters
    ----------
    n_features : int
        Length of the frozen features.
    n_hidden : int
        Width of the hidden layer and of the attention.
    n_outputs : int
        Length of the embedding.
    dropout : float
        Share of inputs switched off in training.

    References
    ----------
    Ilse, M., Tomczak, J. & Welling, M. (2018). Attention-based deep multiple instance learning.
    ICML, 2127-2136.
    """

    def __init__(
        self, n_features: int, n_hidden: int = 256, n_outputs: int = 64, *, dropout: float = 0.3
    ) -> None:
        super().__init__()
        self.body = torch.nn.Sequential(
            torch.nn.Dropout(dropout),
            torch.nn.Linear(n_features, n_hidden),
            torch.nn.GELU(),
            torch.nn.Dropout(dropout),
        )
        self.attention = torch.nn.Sequential(
            torch.nn.Linear(n_hidden, 64), torch.nn.Tanh(), torch.nn.Linear(64, 1)
        )
        self.out = torch.nn.Linear(n_hidden, n_outputs)

    def forward(self, pictures: Any, present: Any) -> Any:
        """Embed bags of pictures.

        Parameters
        ----------
        pictures : tensor (B, P, D)
            P pictures of each of B species.
        present : tensor of bool (B, P)
            False where a bag has fewer than P.

        Returns
        -------
        tensor (B, K)
            Of length 1.
        """
        hidden = self.body(pictures)  # (B, P, H)
        scores = self.attention(hidden)[..., 0].masked_fill(~present, -torch.inf)  # (B, P)
        weights = scores.softmax(dim=1)
        pooled = (weights[..., None] * hidden).sum(dim=1)  # (B, H)
        return torch.nn.functional.normalize(self.out(pooled), dim=1)


def kinship_loss(places: Any, distances: Any, largest: float) -> Any:
    """Mean squared error between cosines of places and distances scaled from 1 to -1.

    Parameters
    ----------
    places : tensor (B, K)
        Of length 1.
    distances : tensor (B, B)
        In the tree; 0 is to be cosine 1, `largest` cosine -1. The upper triangle counts.
    largest : float
    """
    one, other = torch.triu_indices(len(places), len(places), 1)
    cosine = (places[one] * places[other]).sum(dim=1)
    wanted = 1.0 - 2.0 * distances[one, other] / largest
    return ((cosine - wanted) ** 2).mean()


@dataclass(frozen=True)
class AttentionEngine:
    """Trains an `AttentionHead` on whitened features.

    Parameters
    ----------
    steps_per_epoch, species_per_step, pictures_per_species : int
        Each step takes that many species and, with replacement where they have fewer, that many
        pictures of each: rare species are sampled up, common ones down.
    plan : FitPlan
        Length and speed; the epoch with the least loss on held-out species is kept.
    n_components : int
        Principal components kept of the features of each view.
    device : str
    """

    steps_per_epoch: int = 20
    species_per_step: int = 96
    pictures_per_species: int = 4
    n_components: int = 200
    device: str = "cpu"
    plan: FitPlan = field(
        default_factory=lambda: FitPlan(
            epochs=25, patience=6, learning_rate=2e-3, weight_decay=1e-2
        )
    )

    def fit(
        self, pictures: Pictures, distances: FloatArray, folds: Sequence[Split], seed: int
    ) -> AttentionPlaces:
        """Train on all groups but those of one fold, which decide when to stop."""
        n = pictures.n_groups
        scaling = fit_picture_scaling(
            pictures.values, pictures.groups, pictures.views, n_components=self.n_components
        )
        vectors = scaling.pictures(pictures.values, pictures.views)
        size = float(np.sqrt((vectors**2).sum(axis=1).mean() / max(scaling.width, 1))) or 1.0
        bags = Bags((vectors / size).astype(np.float32), pictures.groups, n)
        learned, judged = parts_for_stopping(n, folds)
        largest = float(distances.max())
        target = torch.as_tensor(distances, dtype=torch.float32)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            network = AttentionHead(scaling.width)

        def objective(model: Any, batch: tuple[Any, Any, Any]) -> Any:
            vectors, present, species = batch
            species = species.cpu()
            wanted = target[species][:, species].to(vectors.device)
            return kinship_loss(model(vectors, present), wanted, largest)

        held_out = bags.whole(judged)
        wanted = target[judged][:, judged]

        def score(model: Any) -> float:
            place = next(model.parameters()).device
            places = model(held_out[0].to(place), held_out[1].to(place)).cpu()
            return float(kinship_loss(places, wanted, largest))

        fitted = fit(
            network,
            objective,
            BagSteps(
                bags,
                learned,
                steps=self.steps_per_epoch,
                species_per_step=self.species_per_step,
                pictures_per_species=self.pictures_per_species,
                seed=seed,
            ),
            score=score,
            plan=self.plan,
            seed=seed,
            device=self.device,
            label="",
        )
        with torch.no_grad():
            positions = fitted.network(*bags.whole(np.arange(n))).double().numpy()
        return AttentionPlaces(scaling, size, fitted.network, positions)


@dataclass(frozen=True, eq=False)
class AttentionPlaces:
    """What `AttentionEngine` learned.

    Parameters
    ----------
    scaling : PictureScaling
    size : float
        By which whitened features are divided.
    network : AttentionHead
    positions : array of float, shape (n, k)
        Places of the training species, of length 1.
    """

    scaling: PictureScaling
    size: float
    network: Any
    positions: FloatArray

    def place(self, pictures: Pictures) -> FloatArray:
        """Return places of groups of pictures."""
        vectors = self.scaling.pictures(pictures.values, pictures.views) / self.size
        bags = Bags(vectors.astype(np.float32), pictures.groups, pictures.n_groups)
        with torch.no_grad():
            return np.asarray(self.network(*bags.whole(np.arange(bags.n))).double().numpy())
