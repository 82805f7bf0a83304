"""What a network answers about labels: each by itself, one combination, or group and label.

A kind builds the heads on a trunk, scores their output and turns it into probabilities. Losses are
in `multilabel_losses`, the trainer is `fit`. Everywhere, `output` is what the network built by
`build` gives for a batch, and `truth` a tensor of shape (B, k), 0 or 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np

from kinlens.learn.multilabel_losses import soft_margin
from kinlens.optional import need
from kinlens.typing import BoolArray, IntArray

torch = need("torch")
nn = torch.nn
Tensor: TypeAlias = Any
Loss: TypeAlias = Callable[..., Any]

__all__ = ["Combined", "Gated", "GatedLogits", "Independent", "LabelKind", "gate_logit"]


class LabelKind(Protocol):
    """A way to answer about labels."""

    def build(self, trunk: Any, n_features: int) -> Any:
        """Return a network: the trunk (B, C, H, W) -> (B, n_features) with heads on it."""

    def loss(self, output: Any, truth: Tensor) -> Tensor:
        """Return what training makes small."""

    def probabilities(self, output: Any) -> Tensor:
        """Return the probability of each label, (B, k)."""


@dataclass(frozen=True, eq=False)
class Independent:
    """Each label by itself: the published baseline.

    Parameters
    ----------
    n_labels : int
        Number of labels.
    base : callable
        ``base(logits, truth, mask=None)``.
    """

    n_labels: int
    base: Loss = soft_margin

    def build(self, trunk: Any, n_features: int) -> Any:
        """Return a network with one linear head on the trunk of `n_features`."""
        return _LabelHead(trunk, n_features, self.n_labels)

    def loss(self, output: Any, truth: Tensor) -> Tensor:
        """Return the base loss."""
        return self.base(output, truth)

    def probabilities(self, output: Any) -> Tensor:
        """Return the sigmoid of the output's logits."""
        return torch.sigmoid(output.float())


@dataclass(frozen=True, eq=False)
class Combined:
    """One of the combinations of labels that occur: the published single-label stage 1.

    Parameters
    ----------
    patterns : array of bool, shape (n_patterns, k)
        The combinations, each once.
    """

    patterns: BoolArray

    @classmethod
    def seen(cls, truth: BoolArray) -> Combined:
        """Return the kind that knows the combinations which occur in `truth`, shape (n, k)."""
        return cls(np.unique(truth, axis=0))

    def build(self, trunk: Any, n_features: int) -> Any:
        """Return a network with one logit a combination on the trunk of `n_features`."""
        return _LabelHead(trunk, n_features, len(self.patterns))

    def loss(self, output: Any, truth: Tensor) -> Tensor:
        """Return the cross-entropy of the combinations; one never seen counts as the nearest."""
        patterns = torch.as_tensor(self.patterns, dtype=torch.float32, device=output.device)
        distance = torch.cdist(truth.to(torch.float32), patterns, p=1)
        return nn.functional.cross_entropy(output, distance.argmin(dim=1))

    def probabilities(self, output: Any) -> Tensor:
        """Return each label's sum over the combinations that hold it."""
        patterns = torch.as_tensor(self.patterns, dtype=torch.float32, device=output.device)
        return (output.float().softmax(dim=1) @ patterns).clamp(0.0, 1.0)


class GatedLogits(NamedTuple):
    """What a network with gated heads says of a batch.

    Parameters
    ----------
    flat : tensor of shape (B, k)
        Logit of each label by itself.
    group : tensor of shape (B, g)
        Logit of each group.
    inner : tensor of shape (B, k)
        Logit of each label, given that its group holds.
    joint : tensor of shape (B, k)
        Mean of the flat logit and that of P(group) P(label | group): the answer.

    Notes
    -----
    The gate's heads read the trunk's features without bending them, so that what the trunk learns
    is what it learns for the flat head.
    """

    flat: Tensor
    group: Tensor
    inner: Tensor
    joint: Tensor


@dataclass(frozen=True, eq=False)
class Gated:
    """Group and label from one trunk: P(label) from a flat head and from P(group) P(label | group).

    Nothing is cut off by the group: its probability only scales its labels', and the flat head can
    overrule it.

    Parameters
    ----------
    group_of : array of int, shape (k,)
        Group of each label, from 0.
    base : callable
        As for `Independent`.
    """

    group_of: IntArray
    base: Loss = soft_margin

    def build(self, trunk: Any, n_features: int) -> Any:
        """Return a network with flat, group and inner heads on the trunk of `n_features`."""
        return _GatedHeads(trunk, n_features, self.group_of)

    def loss(self, output: Any, truth: Tensor) -> Tensor:
        """Return the sum of the losses of the joint answer and of the three heads.

        The inner head learns from pictures of the label's group alone. The flat head's loss alone
        reaches the trunk; see `GatedLogits`.
        """
        group_of = torch.as_tensor(self.group_of, device=truth.device)
        held = torch.zeros(
            len(truth), output.group.shape[1], dtype=truth.dtype, device=truth.device
        )
        held = held.scatter_reduce(1, group_of.expand(len(truth), -1), truth, "amax")
        parts = (
            self.base(output.joint, truth),
            self.base(output.flat, truth),
            self.base(output.inner, truth, mask=held[:, group_of] > 0),
            # Groups are few and common, so they need no balancing.
            soft_margin(output.group, held),
        )
        return sum(parts)

    def probabilities(self, output: Any) -> Tensor:
        """Return the sigmoid of the joint logits."""
        return torch.sigmoid(output.joint.float())

    def group_probabilities(self, output: Any) -> Tensor:
        """Return the sigmoid of the logits of the groups, (B, g)."""
        return torch.sigmoid(output.group.float())


def gate_logit(group: Tensor, inner: Tensor) -> Tensor:
    """Return the logit of a product of two probabilities, given their logits.

    1/p - 1 = e^-a + e^-b + e^-(a+b) for p = s(a) s(b), so nothing overflows.

    Parameters
    ----------
    group, inner : tensors of one shape
        Logits a and b.

    Examples
    --------
    >>> float(torch.sigmoid(gate_logit(torch.zeros(1), torch.zeros(1))))
    0.25
    """
    return -torch.logsumexp(torch.stack([-group, -inner, -(group + inner)]), dim=0)


class _LabelHead(nn.Module):  # type: ignore[name-defined]
    """A trunk and one linear layer."""

    def __init__(self, trunk: Any, n_features: int, n_logits: int) -> None:
        super().__init__()
        self.trunk = trunk
        self.flat = nn.Linear(n_features, n_logits)

    def forward(self, pictures: Tensor) -> Tensor:
        """Return (B, n_logits) for pictures (B, C, H, W)."""
        return self.flat(self.trunk(pictures))


class _GatedHeads(nn.Module):  # type: ignore[name-defined]
    """A trunk and three linear layers: labels, groups, labels within their group."""

    def __init__(self, trunk: Any, n_features: int, group_of: IntArray) -> None:
        super().__init__()
        self.trunk = trunk
        self.flat = nn.Linear(n_features, len(group_of))
        self.group = nn.Linear(n_features, int(np.max(group_of)) + 1)
        self.inner = nn.Linear(n_features, len(group_of))
        self.register_buffer("group_of", torch.as_tensor(group_of), persistent=False)

    def open_the_gate(self) -> None:
        """Start at the flat model: every group likely, and each label as the flat head has it."""
        with torch.no_grad():
            self.group.weight.zero_()
            self.group.bias.fill_(4.0)
            self.inner.weight.copy_(self.flat.weight)
            self.inner.bias.copy_(self.flat.bias)

    def forward(self, pictures: Tensor) -> GatedLogits:
        """Return `GatedLogits` for pictures (B, C, H, W)."""
        features = self.trunk(pictures)
        flat, read = self.flat(features), features.detach()
        group, inner = self.group(read), self.inner(read)
        gate = gate_logit(group[:, self.group_of], inner)
        return GatedLogits(flat, group, inner, (flat.detach() + gate) / 2)
