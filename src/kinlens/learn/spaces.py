r"""Spaces in which an encoder's vectors live, each with its distance.

A space turns raw network outputs into points, and points into distances with a learned scale. All
are safe in float32: no distance has an unbounded gradient and none can become NaN.

Everywhere, `first` and `second` are points, shapes (A, D) and (B, D), and `scale` is what
multiplies distances at the start.
"""

from __future__ import annotations

import math
from typing import Any

from kinlens.errors import UsageError, did_you_mean
from kinlens.optional import need

torch = need("torch")
nn = torch.nn

__all__ = [
    "SPACES",
    "Cosine",
    "Euclidean",
    "HyperbolicSphere",
    "Manhattan",
    "PoincareBall",
    "Space",
    "SquaredEuclidean",
    "build_space",
]

Tensor = Any

# Below this squared distance the root is replaced by a straight line, whose slope is finite at 0.
_SMALLEST_SQUARE = 1e-9
_LARGEST_RADIUS = 0.999
# Most that a first batch may say about the logarithm of the scale.
_LARGEST_LOG = 10.0


class Space(nn.Module):  # type: ignore[name-defined]
    """Base of the spaces: a learned, positive scale."""

    starts_from_data = True
    """Whether `start` sets the scale; where points are bounded the default fits every network."""

    def __init__(self, *, scale: float = 1.0) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(math.log(scale)))

    @property
    def scale(self) -> Tensor:
        """What multiplies every distance."""
        return self.log_scale.exp()

    def points(self, raw: Tensor) -> Tensor:
        """Turn network outputs (B, D) into points of the space (B, D)."""
        return raw

    def between(self, first: Tensor, second: Tensor) -> Tensor:
        """Return distances (A, B) between points (A, D) and (B, D)."""
        raise NotImplementedError

    def start(self, points: Tensor, wanted: Tensor) -> None:
        """Set the scale so that distances of `points` (B, D) are on average those `wanted` (B, B).

        An untrained network's vectors may be hundreds of times too long, and a scale is learned
        slowly. Nothing is done where either average is 0.
        """
        if not self.starts_from_data:
            return
        with torch.no_grad():
            ratio = float(wanted.mean()) / max(float(self.between(points, points).mean()), 1e-12)
            if ratio > 0.0:
                self.log_scale += max(-_LARGEST_LOG, min(math.log(ratio), _LARGEST_LOG))

    def clamped(self, points: Tensor) -> Tensor:
        """Return the share of points that had to be pushed back into the space; 0 if none can."""
        return torch.zeros((), device=points.device)


class Euclidean(Space):
    """Straight-line distance."""

    def between(self, first: Tensor, second: Tensor) -> Tensor:
        """Return distances (A, B)."""
        return self.scale * _squares(first, second).clamp_min(_SMALLEST_SQUARE).sqrt()


class SquaredEuclidean(Space):
    """Square of the straight-line distance; additive along independent directions."""

    def between(self, first: Tensor, second: Tensor) -> Tensor:
        """Return squared distances (A, B)."""
        return self.scale * _squares(first, second).clamp_min(0.0)


class Manhattan(Space):
    """Sum of absolute differences."""

    def between(self, first: Tensor, second: Tensor) -> Tensor:
        """Return distances (A, B)."""
        return self.scale * torch.cdist(first, second, p=1.0)


class Cosine(Space):
    """One minus the cosine of the angle."""

    def points(self, raw: Tensor) -> Tensor:
        """Put points on the unit sphere."""
        return nn.functional.normalize(raw, dim=1)

    def between(self, first: Tensor, second: Tensor) -> Tensor:
        """Return distances (A, B)."""
        return self.scale * (1.0 - first @ second.T)


class HyperbolicSphere(Space):
    r"""Hyperbolic distance between points on a sphere of learned radius in the Poincare ball.

    With all points at distance r from the centre, the distance is
    :math:`s \cdot 2 \operatorname{asinh}(\lVert u - v \rVert / (1 - r^2))`: one matrix product,
    bounded, and no point can reach the border.
    """

    starts_from_data = False

    def __init__(self, *, scale: float = 0.3, radius: float = 0.5) -> None:
        super().__init__(scale=scale)
        self.raw_radius = nn.Parameter(torch.tensor(math.log(radius / (1.0 - radius))))

    @property
    def radius(self) -> Tensor:
        """Radius of the sphere, between 0 and 0.999."""
        return _LARGEST_RADIUS * torch.sigmoid(self.raw_radius)

    def points(self, raw: Tensor) -> Tensor:
        """Put points on the sphere."""
        return self.radius * nn.functional.normalize(raw, dim=1)

    def between(self, first: Tensor, second: Tensor) -> Tensor:
        """Return distances (A, B)."""
        gap = _squares(first, second).clamp_min(_SMALLEST_SQUARE).sqrt()
        return self.scale * 2.0 * torch.asinh(gap / (1.0 - self.radius**2))


class PoincareBall(Space):
    r"""The whole Poincare ball; points that would leave it are projected back.

    :math:`s \cdot 2 \operatorname{asinh}(\lVert u - v \rVert /
    \sqrt{(1 - \lVert u \rVert^2)(1 - \lVert v \rVert^2)})`, which equals the usual form with
    arcosh and keeps its precision for near points.

    References
    ----------
    Nickel & Kiela (2017). Poincare embeddings for learning hierarchical representations. NeurIPS.
    """

    starts_from_data = False

    def __init__(self, *, scale: float = 0.3) -> None:
        super().__init__(scale=scale)

    def points(self, raw: Tensor) -> Tensor:
        """Map the plane into the ball, tanh(|x|) x / |x|, then keep off the border."""
        length = raw.norm(dim=1, keepdim=True).clamp_min(1e-6)
        return raw * (torch.tanh(length).clamp_max(_LARGEST_RADIUS) / length)

    def between(self, first: Tensor, second: Tensor) -> Tensor:
        """Return distances (A, B)."""
        gap = _squares(first, second).clamp_min(_SMALLEST_SQUARE)
        room = (1.0 - first.square().sum(1))[:, None] * (1.0 - second.square().sum(1))[None, :]
        return self.scale * 2.0 * torch.asinh((gap / room.clamp_min(1e-6)).sqrt())

    def clamped(self, points: Tensor) -> Tensor:
        """Return the share of points on the border."""
        return (points.norm(dim=1) >= _LARGEST_RADIUS - 1e-6).float().mean()


SPACES = {
    "euclidean": Euclidean,
    "squared": SquaredEuclidean,
    "manhattan": Manhattan,
    "cosine": Cosine,
    "hyperbolic": HyperbolicSphere,
    "poincare": PoincareBall,
}
"""Spaces by name."""


def build_space(name: str) -> Any:
    """Build a space by name.

    Raises
    ------
    UsageError
        For a name that is not in `SPACES`.
    """
    if name not in SPACES:
        raise UsageError(f"no geometry {name!r}. {did_you_mean(name, list(SPACES))}")
    return SPACES[name]()


def _squares(first: Tensor, second: Tensor) -> Tensor:
    """Squared straight-line distances by one matrix product; may be slightly below 0."""
    own = first.square().sum(1)[:, None] + second.square().sum(1)[None, :]
    return own - 2.0 * first @ second.T
