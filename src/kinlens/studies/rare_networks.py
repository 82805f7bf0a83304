"""The published network in the study `rare`: its four stages, a rival, and controls of its anchors.

Heads are trained on the axes that species means span, which keeps a run within minutes; a network
on pictures is `kinlens.models.metric_net` with a trunk.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from kinlens.geometry.patristic import patristic_distances
from kinlens.models.anchors import Anchors
from kinlens.models.metric_net import MetricNet, MetricPlan
from kinlens.models.phylogenetic_prototypes import PhylogeneticPrototypes
from kinlens.records.taxonomy import Taxonomy
from kinlens.records.tree import Tree
from kinlens.rng import RandomStreams
from kinlens.studies.rare_models import NETWORKS, Heads, Naming
from kinlens.studies.rare_task import RareSplit, RareTask
from kinlens.typing import FloatArray

__all__ = ["name_by_networks", "tree_anchors"]


# Whose own anchors are asked as well, and its control.
_TO_ANCHORS = ("aligned_long_tail", "aligned_permuted")


def tree_anchors(tree: Tree, source: str) -> Anchors:
    """Return the principal coordinates of a tree's distances as anchors.

    Parameters
    ----------
    tree : Tree
        Of the species.
    source : str
        For reports.
    """
    return Anchors.of_distances(patristic_distances(tree), source=source)


def name_by_networks(
    task: RareTask,
    split: RareSplit,
    axes: PhylogeneticPrototypes,
    trees: Mapping[str, tuple[Tree | None, Taxonomy | None]],
    streams: RandomStreams,
    *,
    heads: Heads,
    advance: Callable[[], None],
) -> dict[str, Naming]:
    """Train every stage and every control, and name the test pictures.

    Parameters
    ----------
    task, split
        What is learned from.
    axes : PhylogeneticPrototypes
        Whose axes are the features.
    trees : mapping
        From which anchors are made.
    streams : RandomStreams
        Weights, order and rotations.
    heads : Heads
        How wide, and with which margin.
    advance : callable
        Told after each model.
    """
    points = axes.transform(task.vectors)
    points = (points / max(float(np.sqrt((points**2).mean())), 1e-12)).astype(np.float32)
    true = tree_anchors(task.tree, "tree")
    turned = true.same_gram(streams.generator("rotation"))
    permuted = true.permuted(streams.generator("permuted anchors"))
    taxonomic = tree_anchors(task.taxonomic, "taxonomy")
    stages: dict[str, tuple[Anchors | None, str]] = {
        "baseline": (None, "none"),
        "long_tail": (None, "weight_balancing"),
        "logit_adjusted": (None, "logit_adjustment"),
        "aligned": (true, "none"),
        "aligned_long_tail": (true, "weight_balancing"),
        "aligned_permuted": (permuted, "weight_balancing"),
        "aligned_same_gram": (turned, "weight_balancing"),
        "aligned_taxonomy": (taxonomic, "weight_balancing"),
    }
    found = {}
    for name in NETWORKS:
        anchors, long_tail = stages[name]
        model = MetricNet(
            anchors=anchors,
            long_tail=long_tail,
            inference="logits" if name == "logit_adjusted" else "knn",
            hidden=heads.hidden,
            embedding=heads.embedding,
            plan=MetricPlan(margin=heads.margin),
            random_state=streams.integer("network"),
        )
        model.fit(
            points[split.train],
            task.species[split.train],
            validation=(points[split.validation], task.species[split.validation]),
        )
        found[name] = Naming(
            name,
            np.asarray(model.classes_, dtype=object),
            np.log(np.maximum(model.predict_proba(points[split.test]), 1e-12)),
        )
        if anchors is not None and name in _TO_ANCHORS:
            found |= _nearest_anchors(f"{name}_to_anchors", model, anchors, points[split.test])
        advance()
    return found


def _nearest_anchors(
    name: str, model: MetricNet, anchors: Anchors, points: FloatArray
) -> dict[str, Naming]:
    """Name by the nearest anchor, which species without pictures have as well."""
    embedded = model.transform(points)
    embedded = embedded / np.maximum(np.linalg.norm(embedded, axis=1, keepdims=True), 1e-12)
    order = np.argsort(np.array(anchors.species, dtype=object).astype(str), kind="stable")
    unit = anchors.vectors / np.linalg.norm(anchors.vectors, axis=1, keepdims=True)
    species = np.array(anchors.species, dtype=object)[order]
    return {name: Naming(name, species, embedded @ unit[order].T)}
