"""The published way to name rare species: a metric network, long-tail training, genetic anchors.

Trains heads on features that are at hand, or a whole network on pictures when a trunk is given.
The rival without a network is in `phylogenetic_prototypes`; anchors are looked over in `anchors`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from kinlens.errors import UsageError
from kinlens.learn.batches import PictureBatches
from kinlens.learn.fit import fit
from kinlens.learn.losses import class_balanced_weights
from kinlens.learn.metric_losses import adjusted_logits, alignment_loss, reciprocal_triplet_loss
from kinlens.learn.metric_network import MetricNetwork, cap_row_norms
from kinlens.learn.plan import FitPlan
from kinlens.models.anchors import Anchors
from kinlens.models.fine_tuned import Trunk
from kinlens.models.labels import class_codes
from kinlens.optional import need
from kinlens.parallel import torch_device
from kinlens.typing import AnyArray, FloatArray, IntArray

torch = need("torch")

__all__ = ["LONG_TAIL", "MetricNet", "MetricPlan"]

LONG_TAIL = ("none", "weight_balancing", "logit_adjustment")
"""What is done about rare classes: nothing, two stages of weight balancing, or shifted logits."""

_DECAYS: tuple[float, ...] = (5e-4, 5e-3, 5e-2)


@dataclass(frozen=True)
class MetricPlan:
    """Lengths, speeds and shares of training.

    Parameters
    ----------
    epochs, balancing_epochs, alignment_epochs : int
        Of the first stage, of the second stage of weight balancing, and of alignment.
    batch_size : int
        Pictures in a step.
    learning_rate : float
        Of AdamW; a third of it when classes are balanced.
    triplet_weight : float
        Share of the triplet loss beside the softmax.
    margin : float
        Of the alignment.
    largest_norm : float
        Of a class's weights in the second stage.
    beta : float
        Of the class-balanced loss.
    """

    epochs: int = 20
    balancing_epochs: int = 10
    alignment_epochs: int = 5
    batch_size: int = 128
    learning_rate: float = 1e-3
    triplet_weight: float = 0.01
    margin: float = 0.5
    largest_norm: float = 1.0
    beta: float = 0.999


class MetricNet(ClassifierMixin, TransformerMixin, BaseEstimator):
    """Names classes by their nearest pictures in a learned space, or by their anchors.

    Stage one trains softmax plus a share of the reciprocal triplet loss. With
    ``long_tail="weight_balancing"`` its weight decay is chosen on validation, and a second stage
    trains both heads anew with class-balanced losses and capped norms; with
    ``"logit_adjustment"`` the softmax of stage one is shifted by how common classes are. With
    `anchors` a last stage draws embeddings to them. Nothing is random when it answers.

    Parameters
    ----------
    anchors : Anchors, optional
        Of some or all classes; their length becomes the embedding's.
    long_tail : {"none", "weight_balancing", "logit_adjustment"}
        See above.
    inference : {"knn", "anchors", "logits"}
        Nearest training pictures, nearest anchor, or the softmax.
    neighbours : int
        For ``"knn"``.
    trunk : Trunk, optional
        A network for pictures; X then holds pictures, (n, height, width, channels) uint8.
    train_trunk : bool
        Whether the trunk learns too.
    hidden, embedding : int
        Widths; 1,000 and 256 as published.
    plan : MetricPlan, optional
        Lengths and speeds.
    device : str
        ``auto``, ``cpu`` or ``cuda``.
    random_state : int
        Seed.

    Attributes
    ----------
    classes_ : array of shape (n_classes,)
        Sorted labels.
    network_ : MetricNetwork
        Trained.
    weight_decay_ : float
        As chosen.

    Notes
    -----
    Not a scikit-learn classifier to the letter when a trunk is given: pictures have four axes.

    References
    ----------
    Karaderi et al. (2024), WACV, 7114-7124; Alshammari et al. (2022), CVPR, 6897-6907; Menon et
    al. (2021), ICLR.
    """

    def __init__(
        self,
        *,
        anchors: Anchors | None = None,
        long_tail: str = "none",
        inference: str = "knn",
        neighbours: int = 5,
        trunk: Trunk | None = None,
        train_trunk: bool = False,
        hidden: int = 1000,
        embedding: int = 256,
        plan: MetricPlan | None = None,
        device: str = "cpu",
        random_state: int = 0,
    ) -> None:
        self.anchors = anchors
        self.long_tail = long_tail
        self.inference = inference
        self.neighbours = neighbours
        self.trunk = trunk
        self.train_trunk = train_trunk
        self.hidden = hidden
        self.embedding = embedding
        self.plan = plan
        self.device = device
        self.random_state = random_state

    def fit(
        self, X: AnyArray, y: AnyArray, *, validation: tuple[AnyArray, AnyArray] | None = None
    ) -> MetricNet:
        """Train all stages; each keeps the weights that do best on validation.

        Parameters
        ----------
        X : array of shape (n, n_features), or pictures
            What is learned from.
        y : array of shape (n,)
            Labels.
        validation : (X, y), optional
            Decides on epochs and weight decay; never the test part. Without it the training loss
            decides, and the middle of the weight decays is taken.

        Raises
        ------
        UsageError
            For a way of training or answering that does not exist, or anchors that are missing.
        """
        self._check()
        labels = class_codes(y)
        self.classes_, codes = labels.classes, labels.codes
        if len(X) != len(codes):
            raise UsageError(f"{len(X):,} rows and {len(codes):,} labels do not belong together.")
        plan = self.plan or MetricPlan()
        counts = np.bincount(codes)
        self._anchor_rows = self._anchors_of_classes()
        held_out = self._held_out(validation)
        decays: tuple[float, ...] = _DECAYS[:1]
        if self.long_tail == "weight_balancing":
            decays = _DECAYS if held_out is not None else _DECAYS[1:2]
        data = self._inputs(X)
        best: tuple[float, Any, float] | None = None
        for decay in decays:
            network = self._first_network(data, len(counts))
            loss = self._train(
                network, data, codes, held_out, self._softmax_and_triplet(counts, None, plan),
                epochs=plan.epochs, rate=plan.learning_rate, decay=decay, stage=0, plan=plan,
            )  # fmt: skip
            if best is None or loss < best[0]:
                best = loss, network, decay
        assert best is not None
        _, network, self.weight_decay_ = best
        if self.long_tail == "weight_balancing":
            self._balance(network, data, codes, counts, held_out, plan)
        if self.anchors is not None:
            self._align(network, data, codes, held_out, plan)
        self.network_ = network.eval()
        self._library, self._library_codes = self._embed(data)[0], codes
        return self

    def transform(self, X: AnyArray) -> FloatArray:
        """Return embeddings, shape (n, embedding)."""
        check_is_fitted(self, "network_")
        return self._embed(self._inputs(X))[0]

    def predict_proba(self, X: AnyArray) -> FloatArray:
        """Return the probabilities of the classes, shape (n, n_classes).

        For ``"knn"`` the shares of classes among the nearest, with ties broken by nearness; for
        ``"anchors"`` a softmax of cosines.
        """
        check_is_fitted(self, "network_")
        embeddings, logits = self._embed(self._inputs(X))
        if self.inference == "logits":
            return np.asarray(softmax(logits, axis=1))
        if self.inference == "anchors":
            unit = embeddings / np.maximum(np.linalg.norm(embeddings, axis=1, keepdims=True), 1e-12)
            size = np.linalg.norm(self._anchor_rows, axis=1, keepdims=True)
            cosines = unit @ (self._anchor_rows / np.maximum(size, 1e-12)).T
            cosines[:, size[:, 0] == 0] = -1.0
            return np.asarray(softmax(20.0 * cosines, axis=1))
        return self._neighbour_shares(embeddings)

    def predict(self, X: AnyArray) -> AnyArray:
        """Return the most probable class of each row, shape (n,)."""
        answer: AnyArray = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return answer

    # Stages --------------------------------------------------------------------------------------

    def _softmax_and_triplet(
        self, counts: IntArray, weights: Any | None, plan: MetricPlan
    ) -> Callable[[Any, Any], Any]:
        log_prior = torch.as_tensor(np.log(counts / counts.sum()), dtype=torch.float32)
        shifted = self.long_tail == "logit_adjustment"

        def objective(network: Any, batch: tuple[Any, Any]) -> Any:
            embeddings, logits = network(batch[0])
            if shifted:
                logits = adjusted_logits(logits, log_prior.to(logits.device))
            share = None if weights is None else weights.to(logits.device)
            loss = torch.nn.functional.cross_entropy(logits, batch[1], weight=share)
            return loss + plan.triplet_weight * reciprocal_triplet_loss(embeddings, batch[1], share)

        return objective

    def _balance(
        self, network: Any, data: Any, codes: IntArray, counts: IntArray, held_out: Any,
        plan: MetricPlan,
    ) -> None:  # fmt: skip
        weights = torch.as_tensor(
            class_balanced_weights(counts, beta=plan.beta), dtype=torch.float32
        )
        score = self._softmax_and_triplet(counts, weights, plan)

        def objective(network: Any, batch: tuple[Any, Any]) -> Any:
            # Before each step, which is after the last one: the caps hold where it matters.
            cap_row_norms(network.logits, plan.largest_norm)
            return score(network, batch)

        network.set_trained(trunk=False, hidden=False, embedding=True, logits=True)
        self._train(
            network, data, codes, held_out, objective, epochs=plan.balancing_epochs,
            rate=plan.learning_rate / 3, decay=self.weight_decay_, stage=1, plan=plan,
        )  # fmt: skip

    def _align(
        self, network: Any, data: Any, codes: IntArray, held_out: Any, plan: MetricPlan
    ) -> None:
        anchors = torch.as_tensor(self._anchor_rows, dtype=torch.float32)

        def objective(network: Any, batch: tuple[Any, Any]) -> Any:
            embeddings, _ = network(batch[0])
            return alignment_loss(
                embeddings, batch[1], anchors.to(embeddings.device), margin=plan.margin
            )

        network.set_trained(trunk=self.train_trunk, hidden=True, embedding=True, logits=False)
        self._train(
            network, data, codes, held_out, objective, epochs=plan.alignment_epochs,
            rate=plan.learning_rate, decay=0.0, stage=2, plan=plan,
        )  # fmt: skip

    def _train(
        self, network: Any, data: Any, codes: IntArray, held_out: Any, objective: Any, *,
        epochs: int, rate: float, decay: float, stage: int, plan: MetricPlan,
    ) -> float:  # fmt: skip
        judged = held_out if held_out is not None else (data, codes)

        def score(model: Any) -> float:
            device = next(model.parameters()).device
            total, n = 0.0, 0
            for inputs, labels in _in_order(*judged):
                loss = objective(model, (inputs.to(device), labels.to(device)))
                total, n = total + float(loss) * len(labels), n + len(labels)
            return total / n

        fitted = fit(
            network,
            objective,
            self._batches(data, codes, plan, stage),
            score=score,
            plan=FitPlan(epochs=epochs, patience=None, learning_rate=rate, weight_decay=decay),
            seed=self.random_state + stage,
            device=self.device,
            label="",
        )
        return fitted.best_score

    # Data ----------------------------------------------------------------------------------------

    def _check(self) -> None:
        if self.long_tail not in LONG_TAIL:
            raise UsageError(
                f"long_tail must be one of {', '.join(LONG_TAIL)}, not {self.long_tail!r}."
            )
        if self.inference not in ("knn", "anchors", "logits"):
            raise UsageError(f"inference must be knn, anchors or logits, not {self.inference!r}.")
        if self.inference == "anchors" and self.anchors is None:
            raise UsageError("inference by anchors needs anchors.")

    def _anchors_of_classes(self) -> FloatArray:
        if self.anchors is None:
            return np.zeros((len(self.classes_), self.embedding))
        names = [str(name) for name in self.classes_]
        known = self.anchors.select(names)
        if not len(known):
            raise UsageError("none of the classes has an anchor.")
        rows = np.zeros((len(names), self.anchors.vectors.shape[1]))
        place = {name: row for row, name in enumerate(names)}
        rows[[place[name] for name in known.species]] = known.vectors
        return rows

    def _inputs(self, X: AnyArray) -> Any:
        """Return what batches are cut from: features as a tensor, or all pictures prepared."""
        if self.trunk is None:
            return torch.as_tensor(np.asarray(X), dtype=torch.float32)
        labels = np.zeros(len(X), dtype=np.int64)
        prepared = PictureBatches(
            X, labels, mean=self.trunk.mean, spread=self.trunk.spread, batch_size=len(X), seed=0
        )
        return prepared.prepare(torch.arange(len(X)))

    def _held_out(self, validation: tuple[AnyArray, AnyArray] | None) -> Any:
        if validation is None or not len(validation[0]):
            return None
        place = {name: code for code, name in enumerate(self.classes_.tolist())}
        known = np.array([label in place for label in validation[1]])
        if not known.any():
            return None
        codes = np.array([place[label] for label in np.asarray(validation[1])[known]])
        return self._inputs(np.asarray(validation[0])[known]), codes

    def _first_network(self, data: Any, n_classes: int) -> Any:
        with torch.random.fork_rng():
            torch.manual_seed(self.random_state)
            network = MetricNetwork(
                None if self.trunk is None else self.trunk.module,
                data.shape[1] if self.trunk is None else self.trunk.n_features,
                n_classes,
                hidden=self.hidden,
                embedding=self._anchor_rows.shape[1],
            )
        network.set_trained(
            trunk=self.train_trunk and self.trunk is not None,
            hidden=True, embedding=True, logits=True,
        )  # fmt: skip
        return network

    def _batches(self, data: Any, codes: IntArray, plan: MetricPlan, stage: int) -> _Batches:
        return _Batches(data, codes, plan.batch_size, self.random_state + 7919 * stage)

    def _embed(self, data: Any) -> tuple[FloatArray, FloatArray]:
        place = torch_device(self.device)
        network = self.network_.to(place).eval()
        parts = []
        with torch.no_grad():
            for start in range(0, len(data), 512):
                embeddings, logits = network(data[start : start + 512].to(place))
                parts.append((embeddings.cpu().double().numpy(), logits.cpu().double().numpy()))
        first, second = zip(*parts, strict=True)
        return np.vstack(first), np.vstack(second)

    def _neighbour_shares(self, embeddings: FloatArray) -> FloatArray:
        """Return the shares of the classes of the nearest training pictures."""
        library = self._library
        squares = (embeddings**2).sum(axis=1)[:, None] - 2 * embeddings @ library.T
        squares += (library**2).sum(axis=1)
        k = min(self.neighbours, len(library))
        near = np.argsort(squares, axis=1, kind="stable")[:, :k]
        # The nearest counts a little more, so that a tie goes to it.
        weight = 1.0 + 1e-3 * np.arange(k, 0, -1) / k
        shares = np.zeros((len(embeddings), len(self.classes_)))
        rows = np.arange(len(embeddings))
        for position in range(k):
            np.add.at(shares, (rows, self._library_codes[near[:, position]]), weight[position])
        return np.asarray(shares / weight.sum())


class _Batches:
    """Shuffled batches of tensors; which they are depends on seed and epoch alone."""

    def __init__(self, data: Any, codes: IntArray, batch_size: int, seed: int) -> None:
        self.data, self.codes = data, torch.as_tensor(codes)
        self.batch_size, self.seed, self.epoch = batch_size, seed, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return (len(self.data) + self.batch_size - 1) // self.batch_size

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        order = np.random.default_rng([self.seed, self.epoch]).permutation(len(self.data))
        for start in range(0, len(order), self.batch_size):
            rows = torch.from_numpy(order[start : start + self.batch_size])
            yield self.data[rows], self.codes[rows]


def _in_order(data: Any, codes: IntArray, size: int = 512) -> Iterator[tuple[Any, Any]]:
    labels = torch.as_tensor(codes)
    for start in range(0, len(data), size):
        yield data[start : start + size], labels[start : start + size]
