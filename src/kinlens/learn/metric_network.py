"""The network of the published system: a trunk, one hidden layer, an embedding and logits."""

from __future__ import annotations

from typing import Any

from kinlens.optional import need

torch = need("torch")

__all__ = ["MetricNetwork", "cap_row_norms"]


class MetricNetwork(torch.nn.Module):  # type: ignore[name-defined]
    """A trunk -> hidden layer -> ReLU -> {embedding, logits}.

    Parameters
    ----------
    trunk : torch.nn.Module or None
        Whatever comes before; features are taken as they are when None.
    n_features : int
        Length of what the trunk gives.
    n_classes : int
        Classes.
    hidden, embedding : int
        Width of the hidden layer and length of the embedding; 1,000 and 256 as published.

    References
    ----------
    Karaderi, T., Burghardt, T., Morard, R. & Schmidt, D. (2024). Deep visual-genetic biometrics for
    taxonomic classification of rare species. WACV, 7114-7124.
    """

    def __init__(
        self,
        trunk: Any | None,
        n_features: int,
        n_classes: int,
        *,
        hidden: int = 1000,
        embedding: int = 256,
    ) -> None:
        super().__init__()
        self.trunk = torch.nn.Identity() if trunk is None else trunk
        self.hidden = torch.nn.Sequential(torch.nn.Linear(n_features, hidden), torch.nn.ReLU())
        self.embedding = torch.nn.Linear(hidden, embedding)
        self.logits = torch.nn.Linear(hidden, n_classes)

    def forward(self, inputs: Any) -> tuple[Any, Any]:
        """Return embeddings (B, embedding) and logits (B, n_classes)."""
        shared = self.hidden(self.trunk(inputs))  # (B, hidden)
        return self.embedding(shared), self.logits(shared)

    def set_trained(self, *, trunk: bool, hidden: bool, embedding: bool, logits: bool) -> None:
        """Choose which parts learn; the others stay as they are.

        Parameters
        ----------
        trunk, hidden, embedding, logits : bool
            Whether each part learns.
        """
        parts = {
            self.trunk: trunk,
            self.hidden: hidden,
            self.embedding: embedding,
            self.logits: logits,
        }
        for part, is_trained in parts.items():
            part.requires_grad_(is_trained)


def cap_row_norms(layer: Any, largest: float) -> None:
    """Scale the weights of each output back to a length of `largest` where they are longer.

    Called MaxNorm where it balances long-tailed classes: common ones grow the longest weights.

    Parameters
    ----------
    layer : torch.nn.Linear
        Changed in place.
    largest : float
        Above 0.

    References
    ----------
    Alshammari, S., Wang, Y.-X., Ramanan, D. & Kong, S. (2022). Long-tailed recognition via weight
    balancing. CVPR, 6897-6907, section 3.3.

    Examples
    --------
    >>> layer = torch.nn.Linear(2, 1)
    >>> _ = layer.weight.data.copy_(torch.tensor([[3.0, 4.0]]))
    >>> cap_row_norms(layer, 1.0)
    >>> layer.weight.data.norm().round(decimals=3).item()
    1.0
    """
    with torch.no_grad():
        norms = layer.weight.norm(dim=1, keepdim=True)
        layer.weight.mul_((largest / norms.clamp_min(1e-12)).clamp_max(1.0))
