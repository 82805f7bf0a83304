"""Scores of a network's answers: cross-entropy over several ranks, with classes weighed.

A loss knows logits and labels only; where labels come from, and what a rank is, is not its affair.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kinlens.errors import UsageError
from kinlens.optional import need
from kinlens.typing import FloatArray, IntArray

torch = need("torch")

__all__ = ["MISSING", "class_balanced_weights", "joint_cross_entropy"]

MISSING = -1
"""Label of a picture whose taxon at a rank is not known; it does not count in the loss."""


def class_balanced_weights(counts: IntArray, *, beta: float = 0.999) -> FloatArray:
    r"""Weigh classes by the effective number of their pictures.

    Parameters
    ----------
    counts : array of int, shape (n_classes,)
        Training pictures of each class; 0 gives weight 0.
    beta : float
        From 0 (all classes alike) towards 1 (inverse frequency), below 1.

    Returns
    -------
    array of shape (n_classes,)
        Weights with mean 1 over the classes that have pictures:
        :math:`w_c \propto (1 - \beta) / (1 - \beta^{n_c})`.

    References
    ----------
    Cui, Jia, Lin, Song & Belongie (2019). Class-balanced loss based on effective number of
    samples. CVPR, equation 4.

    Examples
    --------
    >>> class_balanced_weights(np.array([1, 1000]), beta=0.999).round(3).tolist()
    [1.997, 0.003]
    """
    if not 0 <= beta < 1:
        raise UsageError(f"beta must be from 0 to below 1, not {beta}.")
    numbers = np.asarray(counts, dtype=np.float64)
    present = numbers > 0
    if not present.any():
        raise UsageError("class_balanced_weights needs at least one class with a picture.")
    weights = np.zeros(len(numbers))
    weights[present] = (1 - beta) / (1 - beta ** numbers[present])
    weights /= weights[present].mean()
    return weights


def joint_cross_entropy(
    logits: Sequence[Any],
    labels: Any,
    *,
    class_weights: Sequence[Any],
    rank_weights: Sequence[float],
) -> Any:
    """Add up the cross-entropies of several ranks.

    Parameters
    ----------
    logits : sequence of tensor, each (B, n_classes of the rank)
        One per rank.
    labels : tensor of int64, shape (B, n_ranks)
        Class of each picture at each rank, `MISSING` where unknown.
    class_weights : sequence of tensor, each (n_classes of the rank,)
        From `class_balanced_weights`, or ones.
    rank_weights : sequence of float
        How much each rank counts.

    Returns
    -------
    tensor, scalar
        0 when no picture of the batch has a label.
    """
    total = logits[0].sum() * 0.0
    for rank, (scores, weights, share) in enumerate(
        zip(logits, class_weights, rank_weights, strict=True)
    ):
        known = labels[:, rank] != MISSING
        if bool(known.any()):
            total = total + share * torch.nn.functional.cross_entropy(
                scores[known], labels[known, rank], weight=weights
            )
    return total
