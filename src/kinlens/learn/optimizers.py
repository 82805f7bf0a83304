"""An optimiser that turns each weight matrix as a whole: Muon, with AdamW for what is no matrix.

On networks of fully connected layers over one-hot letters it takes a fraction of AdamW's steps.
How long and how fast to train is said by `fit.FitPlan`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kinlens.optional import need

torch = need("torch")

__all__ = ["Muon", "orthogonalized"]

Tensor = Any

# Coefficients and number of steps of Jordan et al.; they bring every singular value to 0.7 .. 1.2.
_QUINTIC = (3.4445, -4.7750, 2.0315)
_STEPS = 5
_MOMENTUM = 0.95
_BETAS = (0.9, 0.999)
_EPSILON = 1e-8
# What no gradient reaches any more fades below the least number that processors handle fast; there
# a step would take a hundred times as long. Smaller than this is nothing.
_LEAST_MOMENTUM = 1e-30
_LEAST_SHARE = 1e-12


class Muon(torch.optim.Optimizer):  # type: ignore[name-defined]
    r"""Momentum whose matrices are made orthogonal before each step.

    For a weight with two or more axes, seen as a matrix of shape (outputs, inputs), the step is
    :math:`-\eta \sqrt{\max(1, \mathrm{out} / \mathrm{in})} \, U V^\top`, where
    :math:`U S V^\top` is its Nesterov momentum. Every direction of the matrix moves equally far,
    so rare letters are learned as fast as frequent ones. All other parameters are moved by Adam.
    Weight decay is decoupled, as in AdamW, and is for matrices alone.

    Parameters
    ----------
    parameters : iterable of torch.nn.Parameter
        What to train.
    lr : float
        Learning rate of matrices and of the rest.
    weight_decay : float
        Of matrices.

    References
    ----------
    Jordan, Jin, Boza, You, Cesista, Newhouse & Bernstein (2024). Muon: an optimizer for hidden
    layers in neural networks. https://kellerjordan.github.io/posts/muon
    Loshchilov & Hutter (2019). Decoupled weight decay regularization. ICLR.
    """

    def __init__(
        self, parameters: Iterable[Any], *, lr: float = 0.02, weight_decay: float = 0.0
    ) -> None:
        super().__init__(parameters, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Move every parameter that has a gradient; returns what `closure` returns."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                if weight.ndim >= 2:
                    self._turn(weight, group["lr"], group["weight_decay"])
                else:
                    self._adam(weight, group["lr"])
        return loss

    def _turn(self, weight: Tensor, rate: float, decay: float) -> None:
        state = self.state[weight]
        if not state:
            state["momentum"] = torch.zeros_like(weight)
        momentum = _without_least(
            state["momentum"].lerp_(weight.grad, 1.0 - _MOMENTUM), _LEAST_MOMENTUM
        )
        state["momentum"] = momentum
        ahead = weight.grad.lerp(momentum, _MOMENTUM)
        matrix = ahead.reshape(len(ahead), -1)  # (out, in)
        outputs, inputs = matrix.shape
        weight.mul_(1.0 - rate * decay)
        size = rate * max(1.0, outputs / inputs) ** 0.5
        weight.add_(orthogonalized(matrix).view_as(weight), alpha=-size)

    def _adam(self, weight: Tensor, rate: float) -> None:
        state = self.state[weight]
        if not state:
            state["step"] = torch.zeros((), dtype=torch.float32)
            state["mean"] = torch.zeros_like(weight)
            state["square"] = torch.zeros_like(weight)
        state["step"] += 1
        count = int(state["step"])
        state["mean"].lerp_(weight.grad, 1.0 - _BETAS[0])
        state["square"].lerp_(weight.grad.square(), 1.0 - _BETAS[1])
        spread = (state["square"] / (1.0 - _BETAS[1] ** count)).sqrt_().add_(_EPSILON)
        weight.addcdiv_(state["mean"], spread, value=-rate / (1.0 - _BETAS[0] ** count))


def orthogonalized(matrix: Tensor) -> Tensor:
    """Return the matrix with all its singular values brought near 1.

    Parameters
    ----------
    matrix : torch.Tensor
        Shape (rows, columns); one of zeros stays zero.

    Returns
    -------
    torch.Tensor
        Same shape and kind; singular values that were not tiny lie between 0.6 and 1.3.

    Notes
    -----
    Five steps of a Newton-Schulz iteration, in bfloat16 where the processor multiplies that faster.
    """
    is_tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if is_tall else matrix
    x = x / x.norm().clamp_min(1e-7)  # no singular value is above 1
    x = _without_least(x, _LEAST_SHARE).to(_quick_kind(matrix))
    a, b, c = _QUINTIC
    for _ in range(_STEPS):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.T if is_tall else x).to(matrix.dtype)


def _without_least(numbers: Tensor, least: float) -> Tensor:
    return torch.nn.functional.hardshrink(numbers, least)


def _quick_kind(matrix: Tensor) -> Any:
    if matrix.device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else matrix.dtype
    # Not public, so it may be absent; on processors without tiles bfloat16 is emulated, slowly.
    has_tiles = getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    return torch.bfloat16 if has_tiles() else matrix.dtype
