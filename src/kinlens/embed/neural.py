"""Vectors whose distance stands for edit distance, learned by a network.

The estimator here joins an encoder, a space and a target; training itself is in `learn`, exact
distances are in `geometry.edit`.

In all of these, `folder` is the folder of a saved model and `device` is ``auto``, ``cpu`` or
``cuda``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from kinlens.atomic import atomic_path, hash_bytes, write_json
from kinlens.embed.sequence_batches import Labelled, PairBatches, chunks, one_hot
from kinlens.errors import InputError, UsageError
from kinlens.geometry.packing import pack_sequences
from kinlens.learn.encoders import build_encoder
from kinlens.learn.fit import fit
from kinlens.learn.plan import FitPlan
from kinlens.learn.spaces import build_space
from kinlens.optional import need
from kinlens.parallel import torch_device
from kinlens.progress import SILENT, Progress
from kinlens.typing import AnyArray, Float32Array

torch = need("torch")

__all__ = ["NeuralDistanceEmbedder", "percent_rmse"]

DEFAULT_PLAN = FitPlan(
    epochs=150,
    patience=None,
    optimizer="muon",
    learning_rate=0.02,
    weight_decay=0.1,
    score_every=5,
)
"""About a minute for 6,000 reads of 152 letters and the encoder `mlp` on one processor."""

_FORMAT = 1
_ENCODE_BLOCK = 1024
_SCORE_BLOCK = 2048
# Of fewer sequences none is held out; the epoch is then decided by those trained on.
_FEWEST_TO_SPLIT = 20
# Letters that are encoded at once, so that long sequences do not fill the memory.
_ENCODE_LETTERS = 2**19


class NeuralDistanceEmbedder(TransformerMixin, BaseEstimator):
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
    recombined_share : float
        Share of each batch that is exchanged for recombinants of two of its sequences, 0 to 1: new
        sequences keep the network from learning the given ones by heart. Without effect where
        distances are given.
    plan : FitPlan, optional
        Length, speed and stopping; `DEFAULT_PLAN` when left out.
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
        or the largest distance when a matrix was given.
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
        recombined_share: float = 0.5,
        plan: FitPlan | None = None,
        device: str = "auto",
        random_state: int = 0,
    ) -> None:
        self.encoder = encoder
        self.geometry = geometry
        self.dimensions = dimensions
        self.settings = settings
        self.batch_size = batch_size
        self.recombined_share = recombined_share
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
            Decide on the epoch. When left out, a tenth of `sequences` is held out for it; of fewer
            than 20, none is, and the epoch is decided by those trained on.
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
        if not 0.0 <= self.recombined_share <= 1.0:
            raise UsageError(f"recombined_share is from 0 to 1, not {self.recombined_share}.")
        train, held_out = self._parts(sequences, distances, validation, validation_distances)
        lengths = train.packed.lengths
        if len(train.packed) < 2 or lengths.max(initial=0) == 0:
            raise InputError(
                f"learning distances needs two or more sequences with letters, not "
                f"{len(train.packed)} (longest {lengths.max(initial=0)})"
            )
        self.alphabet_ = train.packed.letters
        self.length_ = int(lengths.max())
        given = train.distances
        self.unit_ = float(lengths.mean() if given is None else given.max()) or 1.0
        network = self._network()
        batches = PairBatches(
            train,
            alphabet=self.alphabet_,
            unit=self.unit_,
            size=self.batch_size,
            recombined_share=self.recombined_share,
            seed=self.random_state,
        )
        valid = [
            held_out.take(rows).batch(alphabet=self.alphabet_, unit=self.unit_)
            for rows in chunks(len(held_out.packed), _SCORE_BLOCK)
        ]
        _start_scale(network, batches)
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
        points = np.empty((len(packed), self.dimensions), dtype=np.float32)
        # Sorted by length, so that a batch holds little padding.
        order = np.argsort(packed.lengths, kind="stable")
        longest = max(int(packed.lengths.max(initial=1)), 1)
        size = max(1, min(_ENCODE_BLOCK, _ENCODE_LETTERS // longest))
        with torch.no_grad():
            for rows in chunks(len(packed), size):
                letters, mask = one_hot(packed.take(order[rows]), self.alphabet_)
                encoded = self.network_(letters.to(place), mask.to(place))
                points[order[rows]] = encoded.cpu().numpy()
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
        place = torch_device(self.device)
        space = self.network_.space.to(place)
        a = torch.from_numpy(np.ascontiguousarray(first, dtype=np.float32))
        b = a if second is None else torch.from_numpy(np.ascontiguousarray(second, np.float32))
        b = b.to(place)
        found = np.empty((len(a), len(b)), dtype=np.float32)
        with torch.no_grad():
            for rows in chunks(len(a), _ENCODE_BLOCK):
                found[rows] = space.between(a[rows].to(place), b).cpu().numpy()
        return found * np.float32(self.unit_)

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
                "digest": _digest(state),
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
        safetensors = need("safetensors")
        load_file = need("safetensors.torch").load_file
        try:
            config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
            state = load_file(str(folder / "model.safetensors"))
        except (OSError, ValueError, safetensors.SafetensorError) as error:
            raise _damaged(folder, error) from error
        if not isinstance(config, dict) or config.get("format") != _FORMAT:
            found = config.get("format") if isinstance(config, dict) else type(config).__name__
            raise InputError(
                f"a sequence model of format {found}, where {_FORMAT} is read",
                where=folder,
                remedy="Install the version of kinlens that wrote it, or a newer one.",
            )
        if config.get("digest") != _digest(state):
            raise _damaged(folder, "the weights are not those that were written")
        try:
            model = cls(
                config["encoder"],
                config["geometry"],
                dimensions=config["dimensions"],
                settings=config["settings"],
                device=device,
            )
            model.alphabet_ = config["alphabet"].encode("latin-1")
            model.length_, model.unit_ = int(config["length"]), float(config["unit"])
            model.network_ = model._network()
            model.network_.load_state_dict(state)
        except (KeyError, TypeError, ValueError, RuntimeError, UsageError) as error:
            raise _damaged(folder, error) from error
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
    ) -> tuple[Labelled, Labelled]:
        given = _labelled(sequences, distances, "sequences")
        if validation is not None:
            if (distances is None) != (validation_distances is None):
                raise UsageError("give distances for both parts, or for neither.")
            held_out = _labelled(validation, validation_distances, "validation sequences")
            if len(held_out.packed) < 2:
                raise InputError("validation needs two or more sequences: distances are of pairs")
            return given, held_out
        n = len(given.packed)
        if n < _FEWEST_TO_SPLIT:
            return given, given
        order = np.random.default_rng(self.random_state).permutation(n)
        return given.take(np.sort(order[n // 10 :])), given.take(np.sort(order[: n // 10]))


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

    Raises
    ------
    UsageError
        When there is no pair.
    """
    total, n = 0.0, len(exact)
    if n < 2:
        raise UsageError(f"percent_rmse needs the distances of two or more things, not {n}.")
    for row in range(n - 1):
        gap = np.asarray(predicted[row, row + 1 :], np.float64) - exact[row, row + 1 :]
        total += float(gap @ gap)
    return 100.0 * float(np.sqrt(total / (n * (n - 1) / 2))) / unit


def _labelled(sequences: Sequence[str | bytes], distances: AnyArray | None, what: str) -> Labelled:
    packed = pack_sequences(sequences)
    if distances is None:
        return Labelled(packed, None)
    distances, n = np.asarray(distances), len(packed)
    if distances.shape != (n, n):
        raise UsageError(f"distances of {n} {what} have shape {(n, n)}, not {distances.shape}.")
    if not np.isfinite(distances).all() or (distances < 0).any():
        raise InputError(f"distances of {what} must be finite and 0 or more")
    return Labelled(packed, distances)


def _digest(state: dict[str, Any]) -> str:
    return hash_bytes(
        *(part for name in sorted(state) for part in (name.encode(), state[name].numpy().tobytes()))
    )


def _damaged(folder: Path, why: object) -> InputError:
    return InputError(
        f"no sequence model that can be read ({why})",
        where=folder,
        remedy="Train it again, or copy both model.safetensors and config.json again.",
    )


class _EncoderInSpace(torch.nn.Module):  # type: ignore[name-defined]
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


def _start_scale(network: Any, batches: PairBatches) -> None:
    letters, mask, labels = next(iter(batches))
    network.eval()
    with torch.no_grad():
        network.space.start(network(letters, mask), labels)
    network.train()


def _rmse(network: Any, batches: list[tuple[Any, Any, Any]]) -> float:
    place = next(network.parameters()).device
    total, count = 0.0, 0
    for batch in batches:
        pairs = len(batch[0]) * (len(batch[0]) - 1)
        if pairs:
            moved = tuple(part.to(place) for part in batch)
            total += float(_mean_squared_error(network, moved)) * pairs
            count += pairs
    return float(np.sqrt(total / max(count, 1)))
