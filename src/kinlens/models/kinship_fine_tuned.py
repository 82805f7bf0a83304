"""Kinship taught to the pictures' own network: its last blocks are trained, the rest stays frozen.

An engine for `kinship.KinshipEmbedder` with pooling and loss of the published recipe
(`kinship_attention`), for pictures instead of features. On a CPU this is for small sets.

As in all engines, `pictures` are the training pictures, `distances` the true distances between
their species, `folds` the species held out together, and `seed` draws weights and order.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kinlens.errors import UsageError
from kinlens.evaluate.splits import Split
from kinlens.learn.fit import fit
from kinlens.learn.plan import FitPlan
from kinlens.models.fine_tuned import Trunk
from kinlens.models.kinship_attention import AttentionHead, kinship_loss
from kinlens.models.kinship_bags import Bags, BagSteps
from kinlens.models.kinship_engine import Pictures, parts_for_stopping
from kinlens.optional import need
from kinlens.parallel import torch_device
from kinlens.typing import Float32Array, FloatArray, IntArray

torch = need("torch")

__all__ = ["FineTunedPlaces", "FineTuningEngine", "TrunkWithHead", "freeze_all_but_last"]

# Pictures that the trunk sees at once when nothing is learned.
_BLOCK = 64


def freeze_all_but_last(module: Any, n_blocks: int) -> list[Any]:
    """Switch off learning in a network, except in its last blocks.

    Parameters
    ----------
    module : torch.nn.Module
        Changed in place.
    n_blocks : int
        How many blocks keep learning, 0 or more; all of them when there are no more.

    Returns
    -------
    list of torch.nn.Module
        The frozen parts, which have to stay in evaluation mode: batch normalisation would go on
        to move its averages.

    Notes
    -----
    A block is a direct part of the network, or of a sequence that is one (`layer4` of a ResNet,
    `blocks` of a vision transformer), in which something has two axes or more: normalisation
    belongs to the block before it.
    """
    parts: list[Any] = []
    for child in module.children():
        is_sequence = isinstance(child, torch.nn.Sequential | torch.nn.ModuleList)
        parts += list(child.children()) if is_sequence else [child]
    blocks = [i for i, part in enumerate(parts) if any(p.ndim > 1 for p in part.parameters())]
    first = len(parts) if n_blocks == 0 else blocks[-n_blocks] if n_blocks < len(blocks) else 0
    module.requires_grad_(n_blocks >= len(blocks))
    for part in parts[first:]:
        part.requires_grad_(True)
    return parts[:first]


class TrunkWithHead(torch.nn.Module):  # type: ignore[name-defined]
    """A trunk whose last blocks learn, and the published head on top.

    Parameters
    ----------
    trunk : Trunk
        Copied, so that the one given stays as it is.
    n_blocks : int
        How many of its last blocks learn.
    flips : bool
        Mirror training pictures at random.
    """

    def __init__(self, trunk: Trunk, n_blocks: int, *, flips: bool = True) -> None:
        super().__init__()
        self.trunk = copy.deepcopy(trunk.module)
        self.head = AttentionHead(trunk.n_features)
        self.flips = flips
        mean, spread = (
            torch.as_tensor(np.asarray(each), dtype=torch.float32).view(1, -1, 1, 1)
            for each in (trunk.mean, trunk.spread)
        )
        self.register_buffer("mean", mean)
        self.register_buffer("spread", spread)
        self._frozen = freeze_all_but_last(self.trunk, n_blocks)
        self.train()  # Trainers keep the mode that they find.

    def train(self, mode: bool = True) -> TrunkWithHead:
        """Switch to training, or off it; frozen parts stay off."""
        super().train(mode)
        for part in self._frozen:
            part.eval()
        return self

    def features(self, pictures: Any) -> Any:
        """Turn pictures (B, H, W, C), uint8, into the trunk's vectors (B, F)."""
        inputs = pictures.permute(0, 3, 1, 2).to(torch.float32) / 255.0  # (B, C, H, W)
        if self.training and self.flips:
            mirrored = torch.rand(len(inputs), device=inputs.device) < 0.5
            inputs = torch.where(mirrored[:, None, None, None], inputs.flip(-1), inputs)
        return self.trunk((inputs - self.mean) / self.spread)

    def forward(self, pictures: Any, present: Any) -> Any:
        """Embed bags (B, P, H, W, C) of which `present` (B, P) are real, (B, K) of length 1."""
        vectors = self.features(pictures.flatten(0, 1))  # (B P, F)
        return self.head(vectors.view(*pictures.shape[:2], -1), present)


@dataclass(frozen=True)
class FineTuningEngine:
    """Trains the last blocks of a network together with the published head.

    Parameters
    ----------
    trunk : Trunk
        Starting weights; stays as it is.
    n_blocks : int
        How many of its last blocks learn.
    steps_per_epoch, species_per_step, pictures_per_species : int
        Each step takes that many species and, with replacement where they have fewer, that many
        pictures of each: rare species are sampled up, with mirrored pictures, common ones down.
    flips : bool
        Off for organisms whose side matters.
    device : str
        ``auto``, ``cpu`` or ``cuda``.
    plan : FitPlan
        Length and speed; the epoch with the least loss on held-out species is kept.
    """

    trunk: Trunk
    n_blocks: int = 1
    steps_per_epoch: int = 20
    species_per_step: int = 24
    pictures_per_species: int = 2
    flips: bool = True
    device: str = "auto"
    plan: FitPlan = field(
        default_factory=lambda: FitPlan(
            epochs=20, patience=5, learning_rate=1e-3, weight_decay=1e-2, gradient_norm=1.0
        )
    )

    def fit(
        self, pictures: Pictures, distances: FloatArray, folds: Sequence[Split], seed: int
    ) -> FineTunedPlaces:
        """Train on all groups but those of one fold, which decide when to stop.

        Raises
        ------
        UsageError
            When there are vectors instead of pictures.
        """
        if pictures.values.ndim != 4 or pictures.values.dtype != np.uint8:
            raise UsageError(
                "FineTuningEngine learns from pictures, uint8 of shape (m, height, width, "
                f"channels), not from {pictures.values.dtype} of shape {pictures.values.shape}."
            )
        n = pictures.n_groups
        bags = Bags(pictures.values, pictures.groups, n)
        learned, judged = parts_for_stopping(n, folds)
        largest = float(distances.max())
        target = torch.as_tensor(distances, dtype=torch.float32)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            network = TrunkWithHead(self.trunk, self.n_blocks, flips=self.flips)

        def objective(model: Any, batch: tuple[Any, Any, Any]) -> Any:
            shown, present, species = batch
            wanted = target[species.cpu()][:, species.cpu()].to(shown.device)
            return kinship_loss(model(shown, present), wanted, largest)

        held_out = pictures.of_groups(judged)

        def score(model: Any) -> float:
            places = torch.from_numpy(_places(model, held_out)).float()
            return float(kinship_loss(places, target[judged][:, judged], largest))

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
        network = fitted.network.to(torch_device(self.device))
        return FineTunedPlaces(network, _places(network, pictures))


@dataclass(frozen=True, eq=False)
class FineTunedPlaces:
    """What `FineTuningEngine` learned.

    Parameters
    ----------
    network : TrunkWithHead
    positions : array of float, shape (n, k)
        Places of the training species, of length 1.
    """

    network: Any
    positions: FloatArray

    def place(self, pictures: Pictures) -> FloatArray:
        """Return places of groups of pictures."""
        return _places(self.network, pictures)


def _places(network: Any, pictures: Pictures) -> FloatArray:
    """Run the trunk picture by picture, in blocks, and pool each group whole."""
    n = pictures.n_groups
    where = next(network.parameters()).device
    bags = Bags(_vectors(network, pictures), pictures.groups, n)
    with torch.no_grad():
        shown, present = bags.whole(np.arange(n))
        return np.asarray(network.head(shown.to(where), present.to(where)).double().cpu().numpy())


def _vectors(network: Any, pictures: Pictures) -> Float32Array:
    where = next(network.parameters()).device
    rows: IntArray = np.arange(len(pictures.values))
    parts = []
    with torch.no_grad():
        for part in np.array_split(rows, max(1, -(-len(rows) // _BLOCK))):
            block = torch.from_numpy(np.ascontiguousarray(pictures.values[part])).to(where)
            parts.append(network.features(block).float().cpu().numpy())
    return np.concatenate(parts)
