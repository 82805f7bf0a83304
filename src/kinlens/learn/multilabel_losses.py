"""Losses where a picture may hold several labels, each label by itself.

Which logits there are and what they mean is in `label_kinds`. Everywhere, `logits` and `truth`
are tensors of shape (B, k), truth 0 or 1.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from kinlens.errors import UsageError
from kinlens.optional import need
from kinlens.typing import FloatArray, IntArray

torch = need("torch")
Tensor: TypeAlias = Any

__all__ = ["asymmetric", "label_balance", "soft_margin"]


def soft_margin(
    logits: Tensor, truth: Tensor, *, weights: Tensor | None = None, mask: Tensor | None = None
) -> Tensor:
    """Return the mean binary cross-entropy: the multi-label soft margin loss.

    Parameters
    ----------
    logits, truth
        As at the module's top.
    weights : tensor of shape (k,), optional
        How much a picture that holds the label counts in that label's loss; 1 when left out.
    mask : tensor of bool, shape (B, k), optional
        Which entries count; all when left out.

    Examples
    --------
    >>> round(float(soft_margin(torch.zeros(2, 3), torch.ones(2, 3))), 4)
    0.6931
    """
    loss = torch.nn.functional.binary_cross_entropy_with_logits(
        logits, truth.to(logits.dtype), reduction="none"
    )
    return _mean(loss, truth, weights, mask)


def asymmetric(
    logits: Tensor,
    truth: Tensor,
    *,
    focus: float = 2.0,
    margin: float = 0.05,
    weights: Tensor | None = None,
    mask: Tensor | None = None,
) -> Tensor:
    """Return the asymmetric loss, which lets easy absences count for little.

    With p the probability and q = max(p - margin, 0): -log p where the label holds,
    -q^focus log(1 - q) where it does not.

    Parameters
    ----------
    logits, truth
        As at the module's top.
    focus : float
        How fast absences lose weight as they get easy, 0 or more.
    margin : float
        Probability below which an absence does not count at all, 0 to below 1.
    weights, mask
        As for `soft_margin`.

    References
    ----------
    T. Ridnik et al., Asymmetric loss for multi-label classification, ICCV 2021, equations 5 to 7.
    """
    held = truth.to(logits.dtype)
    absent = (torch.sigmoid(logits) - margin).clamp_min(0.0)
    loss = -held * torch.nn.functional.logsigmoid(logits) - (1 - held) * absent**focus * (
        torch.log1p(-absent.clamp_max(1 - 1e-6))
    )
    return _mean(loss, truth, weights, mask)


def label_balance(positives: IntArray, n: int, *, strength: float) -> FloatArray:
    """Return by how much pictures that hold a label count more in its loss.

    Parameters
    ----------
    positives : array of int, shape (k,)
        Training pictures that hold each label.
    n : int
        Training pictures.
    strength : float
        0 for all alike, 1 for as much weight on pictures that hold the label as on the others.

    Examples
    --------
    >>> label_balance(np.array([50, 4]), 100, strength=0.5).round(2).tolist()
    [1.0, 4.9]
    """
    if not 0 <= strength <= 1:
        raise UsageError(f"strength must be from 0 to 1, not {strength:g}.")
    odds = (n - positives) / np.maximum(positives, 1)
    return np.asarray(np.maximum(odds, 1.0) ** strength, np.float64)


def _mean(loss: Tensor, truth: Tensor, weights: Tensor | None, mask: Tensor | None) -> Tensor:
    if weights is not None:
        loss = loss * torch.where(truth > 0, weights.to(loss), torch.ones((), device=loss.device))
    if mask is None:
        return loss.mean()
    counts = mask.to(loss.dtype)
    return (loss * counts).sum() / counts.sum().clamp_min(1.0)
