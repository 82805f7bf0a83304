"""Single genes from the pictures themselves: Gene2Bird from scratch, or a network fine-tuned.

One network a gene and split, as published: off by default, because it takes long without a GPU.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kinlens.evaluate.splits import Split
from kinlens.learn.gene2bird import Gene2Bird
from kinlens.learn.plan import FitPlan
from kinlens.models.fine_tuned import FineTunedClassifier, Trunk
from kinlens.models.gene_published import published_scores
from kinlens.optional import need
from kinlens.parallel import Resources
from kinlens.records.collection import Collection
from kinlens.rng import RandomStreams
from kinlens.studies.genes_task import GeneTask
from kinlens.studies.trunks import OpenTrunk, open_trunk, read_squares
from kinlens.typing import ByteArray, FloatArray, IntArray

__all__ = ["open_gene_network", "train_networks"]

_GENE2BIRD_SIDE = 128
_BATCH = 32


def train_networks(
    collection: Collection,
    task: GeneTask,
    patterns: Sequence[int],
    networks: Sequence[str],
    splits: Sequence[Split],
    streams: RandomStreams,
    resources: Resources,
    *,
    weights: Path | None = None,
    epochs: int = 20,
) -> list[dict[str, object]]:
    """Train each network for each gene, and score species held out.

    Parameters
    ----------
    collection : Collection
        Where the pictures are.
    task : GeneTask
        Species, genes and pictures.
    patterns : sequence of int
        Which genes.
    networks : sequence of str
        ``gene2bird``, ``timm:NAME`` or ``open_clip:NAME``.
    splits : sequence of Split
        Of the species; the validation part decides on the epoch.
    streams : RandomStreams
        Draws starting weights, order and augmentation.
    resources : Resources
        Device, and who watches.
    weights : path, optional
        Starting weights of a named network; the hub's when left out.
    epochs : int
        Passes over the training pictures, at the most.

    Returns
    -------
    list of dict
        Rows as `genes_models.compare_classifiers` has them. The score of a species is the mean
        probability over its pictures.
    """
    assert task.pictures is not None
    owner = task.pictures.species
    images = [str(image) for image in task.pictures.images[owner >= 0]]
    owner = owner[owner >= 0]
    rows: list[dict[str, object]] = []
    for name in networks:
        opened = open_gene_network(
            name, n_channels=len(collection.channels) or 3, weights=weights, streams=streams
        )
        pictures = read_squares(collection, images, opened, resources.progress)
        for pattern in patterns:
            truth = task.presence[:, pattern]
            for repeat, split in enumerate(splits):
                score = _trained(
                    opened,
                    pictures,
                    owner,
                    truth,
                    split,
                    epochs=epochs,
                    seed=streams.integer("network", name, pattern, repeat),
                    resources=resources,
                )
                test = split.test[(truth[split.test] <= 1) & np.isfinite(score[split.test])]
                rows.append(
                    {
                        "pattern": pattern,
                        "model": name.rpartition(":")[2],
                        "repeat": repeat,
                        **published_scores(
                            truth[test], (score[test] > 0.5).astype(np.int64), score[test]
                        ),
                    }
                )
    return rows


def open_gene_network(
    name: str, *, n_channels: int, weights: Path | None, streams: RandomStreams
) -> OpenTrunk:
    """Build a network without its last layer.

    Parameters
    ----------
    name : str
        ``gene2bird``, ``timm:NAME`` or ``open_clip:NAME``.
    n_channels : int
        Bands of the pictures.
    weights : path, optional
        Starting weights; Gene2Bird always starts from scratch.
    streams : RandomStreams
        Draws its first weights.
    """
    if name != "gene2bird":
        return open_trunk(name, n_channels=n_channels, weights=weights)
    torch = need("torch")
    with torch.random.fork_rng():
        torch.manual_seed(streams.integer("gene2bird"))
        module = Gene2Bird((n_channels, _GENE2BIRD_SIDE, _GENE2BIRD_SIDE))
    half = np.full(n_channels, 0.5)
    return OpenTrunk(Trunk(module, Gene2Bird.n_features, half, half), _GENE2BIRD_SIDE, n_channels)


def _trained(
    opened: OpenTrunk,
    pictures: ByteArray,
    owner: IntArray,
    truth: ByteArray,
    split: Split,
    *,
    epochs: int,
    seed: int,
    resources: Resources,
) -> FloatArray:
    """Return the mean probability of presence of each species, NaN for those without pictures."""

    def labelled(rows: IntArray) -> tuple[ByteArray, IntArray]:
        chosen = np.flatnonzero(np.isin(owner, rows[truth[rows] <= 1]))
        return pictures[chosen], truth[owner[chosen]].astype(np.int64)[:, None]

    trunk = Trunk(
        copy.deepcopy(opened.trunk.module),
        opened.trunk.n_features,
        opened.trunk.mean,
        opened.trunk.spread,
    )
    x, y = labelled(split.train)
    score = np.full(len(truth), np.nan)
    if len(np.unique(y)) < 2:
        score[:] = float(y.mean() > 0.5) if len(y) else 0.0
        return score
    model = FineTunedClassifier(
        trunk,
        plan=FitPlan(
            epochs=epochs,
            patience=max(epochs // 4, 3),
            learning_rate=3e-4,
            weight_decay=0.01,
            gradient_norm=1.0,
        ),
        batch_size=_BATCH,
        device=resources.device,
        random_state=seed,
    )
    model.fit(x, y, validation=labelled(split.validation), progress=resources.progress)
    chosen = np.flatnonzero(np.isin(owner, split.test))
    probability = model.predict_proba(pictures[chosen])[0][:, 1]
    sums = np.bincount(owner[chosen], weights=probability, minlength=len(truth))
    counts = np.bincount(owner[chosen], minlength=len(truth))
    np.divide(sums, counts, out=score, where=counts > 0)
    return score
