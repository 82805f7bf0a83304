"""Vectors whose distance stands for edit distance, learned by a network.

The estimator here joins an encoder, a space and a target; training itself is in `learn`, exact
distances are in `geometry.edit`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from kinlens.atomic import atomic_path, write_json
from kinlens.errors import InputError, UsageError
from kinlens.geometry.edit import edit_distances
from kinlens.geometry.packing import PackedSequences, pack_sequences
from kinlens.learn.encoders import build_encoder
from kinlens.learn.fit import FitPlan, fit
from kinlens.learn.spaces import build_space
from kinlens.optional import need
from kinlens.parallel import torch_device
from kinlens.progress import SILENT, Progress
from kinlens.typing import AnyArray, Float32Array, IntArray

torch = need("torch")

__all__ = ["DEFAULT_PLAN", "NeuralDistanceEmbedder", "percent_rmse"]

DEFAULT_PLAN = FitPlan(epochs=150, learning_rate=0.01, patience=None, averaging=0.98)
"""About a minute for 6,000 reads of 152 letters on one processor."""

_FORMAT = 1
_ENCODE_BLOCK = 1024


class NeuralDistanceEmbedder(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    r"""Embeds sequences so that distances between vectors predict distances between sequences.

    Every batch is encoded once and the distances of all its pairs are regressed at the same time;
    exact labels are computed for each batch as it comes, so memory does not grow with the square
    of the number of sequences.

    Parameters
    ----------
    encoder : str
        One of `kinlens.learn.encoders.ENCODERS`.
    geometry : str
        One of `kinlens.learn.spaces.SPACES`.
    dimensions : int
        Length of the vectors.
    settings : dict, optional
        Of the encoder, such as ``{"hidden": 256, "dropout": 0.1}``.
    batch_size : int
        Sequences a step; a batch has ``batch_size * (batch_size - 1) / 2`` pairs.
    plan : FitPlan, optional
        Length, speed and stopping.
    device : str
        ``auto``, ``cpu`` or ``cuda``.
    random_state : int
        Seed.

    Attributes
    ----------
    alphabet_ : bytes
        Letters met in training, sorted; another letter is read as no letter.
    length_ : int
        Longest training sequence.
    unit_ : float
        What one unit of embedded distance stands for: the mean length of the training sequences,
        or 1 when a matrix was given.
    history_ : pandas.DataFrame
        Loss and validation score by epoch.

    References
    ----------
    Corso, Ying, Pandy, Velickovic, Leskovec & Lio (2021). Neural distance embeddings for
    biological sequences. NeurIPS.
    """

    def __init__(
        self,
        encoder: str = "mlp",
        geometry: str = "hyperbolic",
        *,
        dimensions: int = 128,
        settings: dict[str, Any] | None = None,
        batch_size: int = 256,
        plan: FitPlan | None = None,
        device: str = "auto",
        random_state: int = 0,
    ) -> None:
        self.encoder = encoder
        self.geometry = geometry
        self.dimensions = dimensions
        self.settings = settings
        self.batch_size = batch_size
        self.plan = plan
        self.device = device
        self.random_state = random_state

    def fit(
        self,
        sequences: Sequence[str | bytes],
        distances: AnyArray | None = None,
        *,
        validation: Sequence[str | bytes] | None = None,
        validation_distances: AnyArray | None = None,
        progress: Progress = SILENT,
        checkpoint: Path | None = None,
    ) -> NeuralDistanceEmbedder:
        """Learn from sequences and their distances.

        Parameters
        ----------
        sequences : sequence of str or bytes
            Two or more, of any lengths, the longest at least 1.
        distances : array of shape (n, n), optional
            What to predict, such as distances in a tree; edit distances when left out.
        validation : sequence of str or bytes, optional
            Decide on the epoch; a tenth of `sequences` is held out when left out.
        validation_distances : array, optional
            Needed when both `distances` and `validation` are given.
        progress : Progress
            Advances one step an epoch.
        checkpoint : path, optional
            Resume from here after an interruption.

        Raises
        ------
        InputError
            When there are too few sequences, or none with a letter.
        UsageError
            When settings or shapes do not fit.
        """
        train, held_out = self._parts(sequences, distances, validation, validation_distances)
        lengths = train.packed.lengths
        if len(train.packed) < 2 or lengths.max(initial=0) == 0:
            raise InputError(
                f"learning distances needs two or more sequences with letters, not "
                f"{len(train.packed)} (longest {lengths.max(initial=0)})"
            )
        self.alphabet_ = train.packed.letters
        self.length_ = int(lengths.max())
        self.unit_ = float(lengths.mean()) if distances is None else 1.0
        network = self._network()
        batches = _PairBatches(train, self, seed=self.random_state)
        valid = [held_out.batch(rows, self) for rows in _chunks(len(held_out.packed), 2048)]
        fitted = fit(
            network,
            _mean_squared_error,
            batches,
            score=lambda model: _rmse(model, valid),
            plan=self.plan or DEFAULT_PLAN,
            seed=self.random_state,
            device=self.device,
            progress=progress,
            label=f"Training {self.encoder}-{self.geometry}",
            checkpoint=checkpoint,
        )
        self.network_ = fitted.network
        self.history_ = fitted.history
        self.best_epoch_ = fitted.best_epoch
        return self

    def transform(self, sequences: Sequence[str | bytes]) -> Float32Array:
        """Return points of the space, shape (n, dimensions), in the order of `sequences`."""
        check_is_fitted(self, "network_")
        place = torch_device(self.device)
        self.network_.to(place)
        packed = pack_sequences(sequences)
        parts = []
        with torch.no_grad():
            # Sorted by length, so that a batch holds little padding.
            order = np.argsort(packed.lengths, kind="stable")
            for rows in _chunks(len(packed), _ENCODE_BLOCK):
                letters, mask = _one_hot(packed.take(order[rows]), self.alphabet_)
                parts.append(self.network_(letters.to(place), mask.to(place)).cpu())
        points = np.empty((len(packed), self.dimensions), dtype=np.float32)
        if parts:
            points[order] = torch.cat(parts).numpy()
        return points

    def distances(self, first: Float32Array, second: Float32Array | None = None) -> Float32Array:
        """Return predicted distances between points, in letters (or the matrix's own unit).

        Parameters
        ----------
        first, second : array of shape (n, dimensions), (m, dimensions)
            From `transform`; `second` is `first` when left out.

        Returns
        -------
        array of shape (n, m)
        """
        check_is_fitted(self, "network_")
        a = torch.from_numpy(np.ascontiguousarray(first, dtype=np.float32))
        b = a if second is None else torch.from_numpy(np.ascontiguousarray(second, np.float32))
        space = self.network_.space.cpu()
        with torch.no_grad():
            found = torch.cat(
                [space.between(a[rows], b) for rows in _chunks(len(a), _ENCODE_BLOCK)]
            )
        return np.asarray(found.numpy() * np.float32(self.unit_))

    def save(self, folder: str | Path) -> None:
        """Write `model.safetensors` and `config.json` into `folder`, atomically."""
        check_is_fitted(self, "network_")
        save_file = need("safetensors.torch").save_file
        state = {k: v.contiguous().cpu() for k, v in self.network_.state_dict().items()}
        with atomic_path(Path(folder) / "model.safetensors") as part:
            save_file(state, str(part))
        write_json(
            Path(folder) / "config.json",
            {
                "format": _FORMAT,
                "encoder": self.encoder,
                "geometry": self.geometry,
                "dimensions": self.dimensions,
                "settings": self.settings or {},
                "alphabet": self.alphabet_.decode("latin-1"),
                "length": self.length_,
                "unit": self.unit_,
            },
        )

    @classmethod
    def load(cls, folder: str | Path, *, device: str = "auto") -> NeuralDistanceEmbedder:
        """Read what `save` wrote; ready to transform, on any machine.

        Raises
        ------
        InputError
            When the files are missing, damaged or of a newer format.
        """
        folder = Path(folder)
        try:
            config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
            state = need("safetensors.torch").load_file(str(folder / "model.safetensors"))
        except (OSError, ValueError) as error:
            raise InputError(f"no sequence model that can be read ({error})", where=folder) from error
        if config.get("format") != _FORMAT:
            raise InputError(
                f"a sequence model of format {config.get('format')}, where {_FORMAT} is read",
                where=folder,
                remedy="Install the version of kinlens that wrote it, or a newer one.",
            )
        model = cls(
            config["encoder"],
            config["geometry"],
            dimensions=config["dimensions"],
            settings=config["settings"],
            device=device,
        )
        model.alphabet_ = config["alphabet"].encode("latin-1")
        model.length_, model.unit_ = config["length"], config["unit"]
        model.network_ = model._network()
        model.network_.load_state_dict(state)
        model.network_.eval()
        return model

    def _network(self) -> Any:
        with torch.random.fork_rng():
            torch.manual_seed(self.random_state)
            encoder = build_encoder(
                self.encoder,
                letters=len(self.alphabet_),
                length=self.length_,
                dimensions=self.dimensions,
                settings=self.settings or {},
            )
            return _EncoderInSpace(encoder, build_space(self.geometry))

    def _parts(
        self,
        sequences: Sequence[str | bytes],
        distances: AnyArray | None,
        validation: Sequence[str | bytes] | None,
        validation_distances: AnyArray | None,
    ) -> tuple[_Labelled, _Labelled]:
        packed = pack_sequences(sequences)
        if distances is not None and distances.shape != (len(packed), len(packed)):
            raise UsageError(
                f"distances must have shape {(len(packed), len(packed))}, not {distances.shape}."
            )
        if validation is not None:
            if (distances is None) != (validation_distances is None):
                raise UsageError("give distances for both parts, or for neither.")
            held_out = _Labelled(pack_sequences(validation), validation_distances)
            return _Labelled(packed, distances), held_out
        order = np.random.default_rng(self.random_state).permutation(len(packed))
        count = min(max(len(packed) // 10, 2), max(len(packed) - 2, 0)) or len(packed)
        parts = (order[count:] if count < len(packed) else order), order[:count]
        train, held_out = (
            _Labelled(
                packed.take(np.sort(rows)),
                None if distances is None else distances[np.ix_(np.sort(rows), np.sort(rows))],
            )
            for rows in parts
        )
        return train, held_out


def percent_rmse(predicted: AnyArray, exact: AnyArray, *, unit: float) -> float:
    r"""Return :math:`100 \sqrt{\mathrm{mean}((p - d)^2)} / \mathrm{unit}` over pairs i < j.

    Parameters
    ----------
    predicted, exact : array of shape (n, n)
        Distances in letters.
    unit : float
        Length of the sequences, in letters.

    Examples
    --------
    >>> percent_rmse(np.array([[0, 3], [3, 0]]), np.array([[0, 1], [1, 0]]), unit=100)
    2.0
    """
    total, n = 0.0, len(exact)
    for row in range(n - 1):
        gap = np.asarray(predicted[row, row + 1 :], np.float64) - exact[row, row + 1 :]
        total += float(gap @ gap)
    return 100.0 * float(np.sqrt(total / (n * (n - 1) / 2))) / unit


@dataclass(frozen=True, eq=False)
class _Labelled:
    """Sequences with a way to their distances: a matrix, or exact edit distances on demand."""

    packed: PackedSequences
    distances: AnyArray | None

    def batch(self, rows: IntArray, model: NeuralDistanceEmbedder) -> tuple[Any, Any, Any]:
        chosen = self.packed.take(rows)
        letters, mask = _one_hot(chosen, model.alphabet_)
        exact = edit_distances(chosen) if self.distances is None else self.distances[np.ix_(rows, rows)]
        labels = torch.from_numpy((exact / model.unit_).astype(np.float32))
        return letters, mask, labels


class _PairBatches:
    """Random batches of sequences with the distances of all pairs, drawn anew each epoch."""

    def __init__(self, data: _Labelled, model: NeuralDistanceEmbedder, *, seed: int) -> None:
        self.data = data
        self.model = model
        self.seed = seed
        self.epoch = 0
        self.size = min(max(model.batch_size, 2), len(data.packed))

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        # An incomplete last batch is left to another epoch, whose order differs.
        return max(len(self.data.packed) // self.size, 1)

    def __iter__(self) -> Iterator[tuple[Any, Any, Any]]:
        order = np.random.default_rng((self.seed, self.epoch)).permutation(len(self.data.packed))
        for number in range(len(self)):
            rows = order[number * self.size : (number + 1) * self.size]
            yield self.data.batch(rows, self.model)


class _EncoderInSpace(torch.nn.Module):  # type: ignore[misc,name-defined]
    def __init__(self, encoder: Any, space: Any) -> None:
        super().__init__()
        self.encoder = encoder
        self.space = space

    def forward(self, letters: Any, mask: Any) -> Any:
        return self.space.points(self.encoder(letters, mask))


def _mean_squared_error(network: Any, batch: tuple[Any, Any, Any]) -> Any:
    letters, mask, labels = batch
    points = network(letters, mask)
    # Every pair stands twice, and the diagonal is 0 on both sides up to rounding.
    n = len(points)
    gap = (network.space.between(points, points) - labels) ** 2
    return (gap.sum() - gap.diagonal().sum()) / (n * (n - 1))


def _rmse(network: Any, batches: list[tuple[Any, Any, Any]]) -> float:
    place = next(network.parameters()).device
    total, count = 0.0, 0
    for batch in batches:
        pairs = len(batch[0]) * (len(batch[0]) - 1)
        if pairs:
            moved = tuple(part.to(place) for part in batch)
            total += float(_mean_squared_error(network, moved)) * pairs  # type: ignore[arg-type]
            count += pairs
    return float(np.sqrt(total / max(count, 1)))


def _one_hot(packed: PackedSequences, alphabet: bytes) -> tuple[Any, Any]:
    """Return letters (n, longest, len(alphabet)) as 0 and 1, and which positions there are."""
    lengths = packed.lengths
    longest = max(int(lengths.max(initial=0)), 1)
    numbers = np.zeros(len(packed.letters) + 1, dtype=np.int64)
    for place, letter in enumerate(packed.letters):
        numbers[place + 1] = alphabet.find(letter) + 1
    codes = np.zeros((len(packed), longest), dtype=np.int64)
    inside = np.arange(longest)[None, :] < lengths[:, None]
    first = packed.store.starts[packed.members]
    source = first[:, None] + np.arange(longest)[None, :]
    codes[inside] = numbers[packed.store.codes[source[inside]]]
    table = torch.zeros(len(alphabet) + 1, len(alphabet))
    table[1:] = torch.eye(len(alphabet))
    return table[torch.from_numpy(codes)], torch.from_numpy(inside)


def _chunks(count: int, size: int) -> Iterator[IntArray]:
    for start in range(0, count, size):
        yield np.arange(start, min(start + size, count))


