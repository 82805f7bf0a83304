"""Gene2Bird, the small convolutional network that was published for single genes.

Three convolutions (8, 64 and 128 filters of size 5, stride 2, padding 4), max-pooling of size 2,
and fully connected layers 2,176 - 1,024 - 128 - 1. How it is trained is decided elsewhere.
"""

from __future__ import annotations

from typing import Any

from kinlens.optional import need

torch = need("torch")
nn = torch.nn

__all__ = ["Gene2Bird"]


class Gene2Bird(nn.Module):  # type: ignore[name-defined]
    """The published layers, for pictures or for vectors; the last one is left to a head.

    Parameters
    ----------
    shape : tuple of int
        What comes in without its batch: ``(channels, height, width)`` for pictures,
        ``(channels, length)`` for vectors, which are convolved along their length.

    Notes
    -----
    Where pooling stands was not published. After the second and third convolution, a vector of
    length 512 leaves 128 filters at 17 places, which are the 2,176 inputs of the published first
    fully connected layer; no square picture leaves 17. For other inputs that one layer is as wide
    as it has to be, and all the others are as published.

    Examples
    --------
    >>> network = Gene2Bird((1, 512))
    >>> network.full[0].in_features, network.n_features
    (2176, 128)
    >>> Gene2Bird((3, 128, 128))(torch.zeros(2, 3, 128, 128)).shape
    torch.Size([2, 128])
    """

    n_features = 128

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        is_picture = len(shape) == 3
        convolution: Any = nn.Conv2d if is_picture else nn.Conv1d
        pool: Any = nn.MaxPool2d if is_picture else nn.MaxPool1d
        self.convolutions = nn.Sequential(
            convolution(shape[0], 8, 5, stride=2, padding=4),
            nn.ReLU(),
            convolution(8, 64, 5, stride=2, padding=4),
            nn.ReLU(),
            pool(2, stride=2),
            convolution(64, 128, 5, stride=2, padding=4),
            nn.ReLU(),
            pool(2, stride=2),
            nn.Flatten(),
        )
        with torch.no_grad():
            width = self.convolutions(torch.zeros(1, *shape)).shape[1]
        self.full = nn.Sequential(
            nn.Linear(width, 1024), nn.ReLU(), nn.Linear(1024, self.n_features), nn.ReLU()
        )

    def forward(self, inputs: Any) -> Any:
        """Return what the last layer sees, (B, 128)."""
        return self.full(self.convolutions(inputs))
