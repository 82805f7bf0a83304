"""Sequences to vectors: networks that read one-hot letters with a mask.

Every encoder takes ``(letters, mask)`` and returns one vector a sequence; in which space these
vectors live, and what they are trained for, is decided by others (`spaces`, `losses`).

Everywhere, `letters` is the size of the alphabet, `length` the longest training sequence and
`dimensions` the length of the vectors; `hidden` is the width of inner layers, `layers` their
number, `kernel` the letters that a convolution sees, `heads` the parts of attention, `stride` the
letters that make one token, `window` how many tokens away attention looks, and `dropout` the
share of features switched off in training. `_shape` swallows what a simpler encoder has no use
for.
"""

from __future__ import annotations

import math
from typing import Any

from kinlens.errors import UsageError, did_you_mean
from kinlens.optional import need

torch = need("torch")
nn = torch.nn

__all__ = [
    "ENCODERS",
    "ConvolutionEncoder",
    "LinearEncoder",
    "LocalTransformerEncoder",
    "MLPEncoder",
    "RecurrentEncoder",
    "TransformerEncoder",
    "build_encoder",
]

Tensor = Any

# Up to so many tokens, a band of the whole square is compared faster than windows.
_FEW_TOKENS = 128


class LinearEncoder(nn.Module):  # type: ignore[name-defined]
    """One weight for each letter at each position; sequences are cut or padded to `length`."""

    def __init__(self, *, letters: int, length: int, dimensions: int, **_shape: Any) -> None:
        super().__init__()
        self.length = length
        self.out = nn.Linear(length * letters, dimensions)
        nn.init.zeros_(self.out.bias)

    def forward(self, letters: Tensor, mask: Tensor) -> Tensor:
        """Return (B, dimensions) for letters (B, L, A) and mask (B, L)."""
        return self.out(_fixed_length(letters, self.length).flatten(1))


class MLPEncoder(nn.Module):  # type: ignore[name-defined]
    """Fully connected layers on the one-hot letters, cut or padded to `length`."""

    def __init__(
        self,
        *,
        letters: int,
        length: int,
        dimensions: int,
        hidden: int = 256,
        layers: int = 1,
        dropout: float = 0.0,
        **_shape: Any,
    ) -> None:
        super().__init__()
        self.length = length
        steps: list[Any] = []
        width = length * letters
        for _ in range(layers):
            steps += [nn.Linear(width, hidden), nn.ReLU(), nn.BatchNorm1d(hidden)]
            steps += [nn.Dropout(dropout)] if dropout else []
            width = hidden
        self.net = nn.Sequential(*steps, nn.Linear(width, dimensions))

    def forward(self, letters: Tensor, mask: Tensor) -> Tensor:
        """Return (B, dimensions) for letters (B, L, A) and mask (B, L)."""
        return self.net(_fixed_length(letters, self.length).flatten(1))


class ConvolutionEncoder(nn.Module):  # type: ignore[name-defined]
    """Convolutions, each followed by pooling over two positions, then as many bins as fit.

    The last feature map is averaged into `bins` stretches of the sequence, so that any length is
    read and position still counts.
    """

    def __init__(
        self,
        *,
        letters: int,
        length: int,
        dimensions: int,
        hidden: int = 32,
        layers: int = 4,
        kernel: int = 3,
        bins: int | None = None,
        dropout: float = 0.0,
        **_shape: Any,
    ) -> None:
        super().__init__()
        # Halve no further than to a handful of positions.
        layers = max(1, min(layers, int(math.log2(max(length, 16) / 4))))
        self.bins = bins or max(1, min(length // 2**layers, 32))
        self.first = nn.Conv1d(letters, hidden, 1)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(hidden, hidden, kernel, padding=kernel // 2),
                nn.BatchNorm1d(hidden),
                nn.ReLU(),
            )
            for _ in range(layers)
        )
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(hidden * self.bins, dimensions)

    def forward(self, letters: Tensor, mask: Tensor) -> Tensor:
        """Return (B, dimensions) for letters (B, L, A) and mask (B, L)."""
        present = mask.unsqueeze(1).to(letters.dtype)  # (B, 1, L)
        features = self.first(letters.transpose(1, 2)) * present  # (B, C, L)
        for block in self.blocks:
            features = block(features) * present
            features, present = _halved(features, present)
        return self.out(self.dropout(_binned(features, present, self.bins)).flatten(1))


class RecurrentEncoder(nn.Module):  # type: ignore[name-defined]
    """A bidirectional GRU over stretches of letters; its states are averaged into bins."""

    def __init__(
        self,
        *,
        letters: int,
        length: int,
        dimensions: int,
        hidden: int = 64,
        layers: int = 1,
        stride: int = 4,
        dropout: float = 0.0,
        **_shape: Any,
    ) -> None:
        super().__init__()
        self.stride = stride if length >= 8 * stride else 1
        self.gru = nn.GRU(
            letters * self.stride,
            hidden,
            num_layers=layers,
            batch_first=True,
            bidirectional=True,
            dropout=dropout if layers > 1 else 0.0,
        )
        self.bins = max(1, min(length // (4 * self.stride), 16))
        self.out = nn.Linear(2 * hidden * self.bins, dimensions)

    def forward(self, letters: Tensor, mask: Tensor) -> Tensor:
        """Return (B, dimensions) for letters (B, L, A) and mask (B, L)."""
        tokens, present = _tokens(letters, mask, self.stride)
        states = self._states(tokens, present)  # (B, T, 2 H)
        weights = present.unsqueeze(1).to(states.dtype)
        return self.out(_binned(states.transpose(1, 2), weights, self.bins).flatten(1))

    def _states(self, tokens: Tensor, present: Tensor) -> Tensor:
        # Packing keeps the backward pass from starting in the padding; without padding it only
        # costs time.
        if bool(present.all()):
            return self.gru(tokens)[0]
        lengths = present.sum(dim=1).clamp_min(1).cpu()
        packed = nn.utils.rnn.pack_padded_sequence(
            tokens, lengths, batch_first=True, enforce_sorted=False
        )
        states, _ = nn.utils.rnn.pad_packed_sequence(
            self.gru(packed)[0], batch_first=True, total_length=tokens.shape[1]
        )
        return states


class TransformerEncoder(nn.Module):  # type: ignore[name-defined]
    """Self-attention over stretches of letters, to all others or to near ones only."""

    def __init__(
        self,
        *,
        letters: int,
        length: int,
        dimensions: int,
        hidden: int = 64,
        layers: int = 2,
        heads: int = 4,
        stride: int = 8,
        window: int | None = None,
        dropout: float = 0.0,
        **_shape: Any,
    ) -> None:
        super().__init__()
        if hidden % heads or hidden % 2:
            raise UsageError(f"hidden ({hidden}) must be even, and a multiple of heads ({heads}).")
        self.stride = stride if length >= 8 * stride else 1
        self.inner = nn.Linear(letters * self.stride, hidden)
        self.layers = nn.ModuleList(
            _AttentionLayer(hidden, heads, window, dropout) for _ in range(layers)
        )
        self.bins = max(1, min(length // (2 * self.stride), 16))
        self.out = nn.Linear(hidden * self.bins, dimensions)

    def forward(self, letters: Tensor, mask: Tensor) -> Tensor:
        """Return (B, dimensions) for letters (B, L, A) and mask (B, L)."""
        tokens, present = _tokens(letters, mask, self.stride)
        features = self.inner(tokens)  # (B, T, H)
        features = features + _positions(features)
        for layer in self.layers:
            features = layer(features, present)
        weights = present.unsqueeze(1).to(features.dtype)
        return self.out(_binned(features.transpose(1, 2), weights, self.bins).flatten(1))


class LocalTransformerEncoder(TransformerEncoder):
    """Self-attention among neighbours only; its work grows with the length, not with its square."""

    def __init__(self, **shape: Any) -> None:
        super().__init__(**{"window": 4} | shape)


class _AttentionLayer(nn.Module):  # type: ignore[name-defined]
    """Attention, then two dense layers, each added to what it read (Vaswani et al. 2017)."""

    def __init__(self, hidden: int, heads: int, window: int | None, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.window = window
        self.before_attention = nn.LayerNorm(hidden)
        self.asked = nn.Linear(hidden, 3 * hidden)
        self.answered = nn.Linear(hidden, hidden)
        self.dense = nn.Sequential(
            nn.LayerNorm(hidden),
            nn.Linear(hidden, 2 * hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(2 * hidden, hidden),
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: Tensor, present: Tensor) -> Tensor:
        """Return (B, T, H) for features (B, T, H) and which tokens there are, (B, T)."""
        batch, count, hidden = features.shape
        parts = self.asked(self.before_attention(features))
        parts = parts.view(batch, count, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        query, key, value = parts  # (B, heads, T, H / heads)
        attend = _attend_to_all if self.window is None else self._attend_near
        found = attend(query, key, value, present).transpose(1, 2)  # (B, T, heads, H / heads)
        features = features + self.dropout(self.answered(found.reshape(batch, count, hidden)))
        return features + self.dropout(self.dense(features))

    def _attend_near(self, query: Tensor, key: Tensor, value: Tensor, present: Tensor) -> Tensor:
        attend = _attend_in_band if query.shape[2] <= _FEW_TOKENS else _attend_to_neighbours
        return attend(query, key, value, present, min(self.window or 0, query.shape[2] - 1))


def _attend_in_band(
    query: Tensor, key: Tensor, value: Tensor, present: Tensor, reach: int
) -> Tensor:
    """Compare all with all and pass over the far ones: quick where there are few tokens."""
    place = torch.arange(query.shape[2], device=query.device)
    gap = (place[:, None] - place[None, :]).abs()
    # A token always sees itself: one that sees nothing would be 0/0.
    seen = ((gap <= reach) & present[:, None, :]) | (gap == 0)  # (B, T, T)
    return nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=seen[:, None])


def _attend_to_neighbours(
    query: Tensor, key: Tensor, value: Tensor, present: Tensor, reach: int
) -> Tensor:
    """Compare with the neighbours alone: work and memory grow with the length only."""
    near_key, near_value = _neighbours(key, reach), _neighbours(value, reach)
    near = nn.functional.pad(present, (reach, reach)).unfold(1, 2 * reach + 1, 1)  # (B, T, W)
    near = near | (torch.arange(2 * reach + 1, device=near.device) == reach)
    scores = torch.einsum("bhtd,bhtdw->bhtw", query, near_key) / query.shape[-1] ** 0.5
    weights = scores.masked_fill(~near[:, None], -math.inf).softmax(-1)
    return torch.einsum("bhtw,bhtdw->bhtd", weights, near_value)


def _attend_to_all(query: Tensor, key: Tensor, value: Tensor, present: Tensor) -> Tensor:
    seen = present.clone()
    seen[:, 0] = True  # A sequence without letters would attend to nothing, which is 0/0.
    return nn.functional.scaled_dot_product_attention(
        query, key, value, attn_mask=None if bool(seen.all()) else seen[:, None, None, :]
    )


def _neighbours(tokens: Tensor, reach: int) -> Tensor:
    """Give each token its neighbours: (B, heads, T, D) to (B, heads, T, D, 2 reach + 1)."""
    return nn.functional.pad(tokens, (0, 0, reach, reach)).unfold(2, 2 * reach + 1, 1)


ENCODERS = {
    "linear": LinearEncoder,
    "mlp": MLPEncoder,
    "cnn": ConvolutionEncoder,
    "gru": RecurrentEncoder,
    "transformer": TransformerEncoder,
    "local_transformer": LocalTransformerEncoder,
}
"""Encoders by name."""


def build_encoder(
    name: str, *, letters: int, length: int, dimensions: int, settings: dict[str, Any]
) -> Any:
    """Build an encoder.

    Parameters
    ----------
    name : str
        One of `ENCODERS`.
    letters : int
        Size of the alphabet.
    length : int
        Longest training sequence. Linear and MLP read no further; the others read any length.
    dimensions : int
        Length of the vectors.
    settings : dict
        Such as ``hidden``, ``layers``, ``dropout``; what an encoder does not know is refused.

    Raises
    ------
    UsageError
        For an unknown encoder or setting.
    """
    if name not in ENCODERS:
        raise UsageError(f"no encoder {name!r}. {did_you_mean(name, list(ENCODERS))}")
    kind = ENCODERS[name]
    base = TransformerEncoder if issubclass(kind, TransformerEncoder) else kind
    code = base.__init__.__code__
    known = set(code.co_varnames[1 : 1 + code.co_kwonlyargcount])
    known -= {"letters", "length", "dimensions"}
    for setting in settings:
        if setting not in known:
            hint = did_you_mean(setting, sorted(known)) if known else "It has none."
            raise UsageError(f"the encoder {name!r} has no setting {setting!r}. {hint}")
    return kind(letters=letters, length=length, dimensions=dimensions, **settings)


def _fixed_length(letters: Tensor, length: int) -> Tensor:
    missing = length - letters.shape[1]
    if missing > 0:
        return nn.functional.pad(letters, (0, 0, 0, missing))
    return letters[:, :length]


def _halved(features: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
    """Average pairs of positions, counting only those that are there."""
    if features.shape[-1] % 2:
        features = nn.functional.pad(features, (0, 1))
        present = nn.functional.pad(present, (0, 1))
    count = present[..., 0::2] + present[..., 1::2]
    total = features[..., 0::2] + features[..., 1::2]
    return total / count.clamp_min(1.0), (count > 0).to(features.dtype)


def _binned(features: Tensor, present: Tensor, bins: int) -> Tensor:
    """Average (B, C, L) into (B, C, bins), bin by the position relative to the own length."""
    length = features.shape[-1]
    counts = present.sum(-1)  # (B, 1)
    if length == bins and bool((counts == length).all()):
        return features
    place = torch.arange(length, device=features.device).view(1, length)
    scaled = (place + 0.5) * bins / counts.clamp_min(1.0)  # (B, L)
    nearest = scaled.floor().clamp(0, bins - 1).long()
    member = nn.functional.one_hot(nearest, bins).to(features.dtype)  # (B, L, bins)
    member = member * present.transpose(1, 2)
    share = member / member.sum(1, keepdim=True).clamp_min(1.0)
    return features @ share


def _tokens(letters: Tensor, mask: Tensor, stride: int) -> tuple[Tensor, Tensor]:
    """Join `stride` neighbouring letters into one token."""
    short = -letters.shape[1] % stride
    if short:
        letters = nn.functional.pad(letters, (0, 0, 0, short))
        mask = nn.functional.pad(mask, (0, short))
    count = letters.shape[1] // stride
    tokens = letters.reshape(len(letters), count, -1)
    return tokens, mask.reshape(len(mask), count, stride).any(-1)


def _positions(features: Tensor) -> Tensor:
    """Sinusoidal positions (Vaswani et al. 2017, section 3.5)."""
    _, count, width = features.shape
    place = torch.arange(count, device=features.device, dtype=features.dtype)[:, None]
    rates = torch.exp(
        torch.arange(0, width, 2, device=features.device, dtype=features.dtype)
        * (-math.log(10_000.0) / width)
    )
    waves = torch.zeros(count, width, device=features.device, dtype=features.dtype)
    waves[:, 0::2] = torch.sin(place * rates)
    waves[:, 1::2] = torch.cos(place * rates)
    return waves
