"""What sits on a trunk: one classifier a rank.

The trunk is any module that turns pictures into vectors; it is built elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kinlens.optional import need

torch = need("torch")

__all__ = ["RankHeads"]


class RankHeads(torch.nn.Module):  # type: ignore[name-defined]
    """A trunk with one linear head for each rank, so that ranks share what they see.

    Parameters
    ----------
    trunk : torch.nn.Module
        ``(B, C, H, W) -> (B, n_features)``.
    n_features : int
        Length of the trunk's vectors.
    n_classes : sequence of int
        Classes of each rank.
    dropout : float
        Share of features switched off in training.
    """

    def __init__(
        self, trunk: Any, n_features: int, n_classes: Sequence[int], *, dropout: float = 0.2
    ) -> None:
        super().__init__()
        self.trunk = trunk
        self.dropout = torch.nn.Dropout(dropout)
        self.heads = torch.nn.ModuleList(
            torch.nn.Linear(n_features, classes) for classes in n_classes
        )

    def forward(self, pictures: Any) -> list[Any]:
        """Return the logits of each rank, each (B, n_classes)."""
        features = self.dropout(self.trunk(pictures))  # (B, n_features)
        return [head(features) for head in self.heads]
