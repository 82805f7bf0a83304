"""Pictures in memory to batches for a network: order by epoch, flips and turns for training only.

Reading and resizing files comes before; losses and labels' meaning come after.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np

from kinlens.errors import UsageError
from kinlens.optional import need
from kinlens.typing import ByteArray, FloatArray, IntArray

torch = need("torch")

__all__ = ["PictureBatches"]


class PictureBatches:
    """Batches of normalised pictures with their labels, drawn anew each epoch.

    Parameters
    ----------
    pictures : array of uint8, shape (n, height, width, channels)
        Already of the network's input size.
    labels : array of int64, shape (n, ...)
        Travels along with the pictures.
    mean, spread : array of shape (channels,)
        For values from 0 to 1: what is taken off and what divides.
    batch_size : int
        Pictures in a batch; the last batch of an epoch may be smaller, but never 1, since batch
        normalisation cannot learn from one picture.
    seed : int
        Decides, with the epoch, order and augmentation.
    flips : bool
        Mirror at random left to right; off for organisms whose side matters.
    quarter_turns : bool
        Turn at random by multiples of 90 degrees; for pictures without an upright.

    Examples
    --------
    >>> pictures = np.zeros((5, 8, 8, 3), np.uint8)
    >>> batches = PictureBatches(
    ...     pictures, np.arange(5), mean=np.zeros(3), spread=np.ones(3), batch_size=3, seed=0
    ... )
    >>> [tuple(inputs.shape) for inputs, _ in batches]
    [(3, 3, 8, 8), (2, 3, 8, 8)]
    """

    def __init__(
        self,
        pictures: ByteArray,
        labels: IntArray,
        *,
        mean: FloatArray,
        spread: FloatArray,
        batch_size: int,
        seed: int,
        flips: bool = True,
        quarter_turns: bool = False,
    ) -> None:
        if len(pictures) < 2 or len(pictures) != len(labels):
            raise UsageError(
                f"batches need two pictures or more, each with a label, not {len(pictures)} "
                f"pictures and {len(labels)} labels."
            )
        self.pictures = torch.from_numpy(pictures)  # (n, H, W, C)
        self.labels = torch.from_numpy(np.asarray(labels))
        self.mean = torch.as_tensor(np.asarray(mean), dtype=torch.float32).view(1, -1, 1, 1)
        self.spread = torch.as_tensor(np.asarray(spread), dtype=torch.float32).view(1, -1, 1, 1)
        self.batch_size = max(batch_size, 2)
        self.seed = seed
        self.flips = flips
        self.quarter_turns = quarter_turns
        self.epoch = 0
        self._share = (0, 1)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order and augmentation come next."""
        self.epoch = epoch

    def share(self, part: int, parts: int) -> PictureBatches:
        """Return a view that gives every `parts`-th batch only, from number `part` on.

        Batches are what they are without it; those of others are not prepared.
        """
        mine = copy.copy(self)
        mine._share = (part, parts)
        return mine

    def __len__(self) -> int:
        full, rest = divmod(len(self.pictures), self.batch_size)
        return full + (rest > 1 or full == 0)

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        generator = np.random.default_rng((self.seed, self.epoch))
        order = torch.from_numpy(generator.permutation(len(self.pictures)))
        part, parts = self._share
        for number in range(len(self)):
            rows = order[number * self.batch_size : (number + 1) * self.batch_size]
            mirrored, turns = self._drawn(len(rows), generator)
            if number % parts == part:
                yield _augmented(self.prepare(rows), mirrored, turns), self.labels[rows]

    def prepare(self, rows: Any) -> Any:
        """Return the pictures of `rows` as network input, (B, C, H, W), without augmentation."""
        inputs = self.pictures[rows].permute(0, 3, 1, 2).to(torch.float32) / 255.0
        return (inputs - self.mean) / self.spread

    def _drawn(self, n: int, generator: np.random.Generator) -> tuple[Any, IntArray]:
        """Draw which of `n` pictures are mirrored, and how often each is turned."""
        mirrored = generator.random(n) < 0.5 if self.flips else np.zeros(n, bool)
        is_square = self.pictures.shape[1] == self.pictures.shape[2]
        turns = (
            generator.integers(4, size=n)
            if self.quarter_turns and is_square
            else np.zeros(n, np.int64)
        )
        return torch.from_numpy(mirrored), turns


def _augmented(inputs: Any, mirrored: Any, turns: IntArray) -> Any:
    if mirrored.any():
        inputs[mirrored] = inputs[mirrored].flip(-1)
    for count in (1, 2, 3):
        turned = torch.from_numpy(turns == count)
        if turned.any():
            inputs[turned] = inputs[turned].rot90(count, dims=(-2, -1))
    return inputs
