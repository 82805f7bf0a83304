"""The figures of the study `kinship`: each takes what was found and returns one figure.

Everywhere, `task` is what the study works on and `pictures` are small pictures by species.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from kinlens.evaluate.groups import group_codes
from kinlens.geometry.neighbour_joining import neighbour_joining
from kinlens.geometry.topology import normalised_robinson_foulds
from kinlens.models.pooling import unit_rows
from kinlens.records.distances import DistanceMatrix
from kinlens.records.result import FigureRecord
from kinlens.records.tree import Tree
from kinlens.records.tree_shape import ladderized, rooted_at_midpoint, untangled
from kinlens.report import trees
from kinlens.report.figure import INK, MUTED, PALETTE, finish, themed_figure
from kinlens.studies.kinship import KinshipFindings
from kinlens.studies.kinship_measures import visual_distances
from kinlens.studies.kinship_task import KinshipTask
from kinlens.typing import ByteArray, FloatArray, IntArray

__all__ = [
    "ancestral_places",
    "clade_means",
    "correlation_figure",
    "heatmap_figure",
    "morphospace_figure",
    "representatives",
    "scatter_figure",
    "tangle_figure",
    "thumbnail_tree_figure",
]

_MOST_TIPS = 45
_WORDS = {
    ("raw", "euclidean", "none"): "raw looks, Euclidean",
    ("raw", "cosine", "none"): "raw looks, cosine",
    ("in_sample", "ridge", "none"): "ridge, species it learned from (circular)",
    ("in_sample", "attention_head", "none"): "network, species it learned from (circular)",
    ("in_sample", "fine_tuned", "none"): "fine-tuned, species it learned from (circular)",
    ("held_out", "ridge", "species"): "ridge, species never seen",
    ("held_out", "ridge", "clade"): "ridge, clades never seen",
    ("held_out", "attention_head", "species"): "network, species never seen",
    ("held_out", "attention_head", "clade"): "network, clades never seen",
    ("held_out", "fine_tuned", "species"): "fine-tuned, species never seen",
    ("held_out", "fine_tuned", "clade"): "fine-tuned, clades never seen",
}


def correlation_figure(found: KinshipFindings) -> FigureRecord:
    """Draw every correlation beside its ceiling and its null."""
    rows = [(words, found.correlations[key]) for key, words in _WORDS.items()
            if key in found.correlations]  # fmt: skip
    with themed_figure(7.4, 1.1 + 0.4 * len(rows)) as figure:
        axis = figure.subplots()
        for place, (words, each) in enumerate(rows):
            is_circular = "circular" in words
            colour = MUTED if is_circular else PALETTE[5 if "never" in words else 0]
            if each.ceiling is not None:
                axis.barh(
                    place,
                    each.ceiling.high - each.ceiling.low,
                    left=each.ceiling.low,
                    height=0.62,
                    color=PALETTE[4],
                    alpha=0.28,
                    linewidth=0,
                    label="Brownian motion on this tree" if place == 0 else None,
                )
            null = each.null[np.isfinite(each.null)]
            if len(null):
                low, high = np.quantile(null, [0.025, 0.975])
                axis.plot(
                    [low, high],
                    [place] * 2,
                    color=MUTED,
                    linewidth=5,
                    alpha=0.6,
                    solid_capstyle="butt",
                    label="shuffled trees" if "never" in words else None,
                )
            axis.plot([each.low, each.high], [place] * 2, color=colour, linewidth=1.6)
            axis.scatter(each.value, place, color=colour, s=30, zorder=3)
            axis.annotate(
                f"{each.value:.2f}",
                (each.value, place),
                xytext=(0, 6),
                textcoords="offset points",
                ha="center",
                fontsize=7.5,
                color=INK,
            )
        axis.axvline(0, color=MUTED, linewidth=0.8)
        axis.set_yticks(range(len(rows)), [words for words, _ in rows])
        axis.set(ylim=(len(rows) - 0.4, -0.7), xlabel="correlation with distance in the tree (r)")
        axis.grid(axis="x")
        handles, labels = axis.get_legend_handles_labels()
        unique = dict(zip(labels, handles, strict=True))
        if unique:
            axis.legend(
                unique.values(), unique.keys(), loc="upper center", bbox_to_anchor=(0.4, -0.16),
                ncols=2,
            )  # fmt: skip
        return finish(
            figure,
            name="correlations",
            title="Looks against kinship: what holds for species never seen",
            caption=(
                f"Pearson correlation over pairs of {found.task.n:,} {found.task.rank}, with 95% "
                "intervals from resampling whole clades. Light band: what Brownian motion with as "
                "many dimensions gives on this tree. Grey bar: the same learning on trees with "
                "shuffled tips. Only the orange dots speak of species that were not learned from."
            ),
        )


def heatmap_figure(found: KinshipFindings) -> FigureRecord:
    """Draw looks and kinship side by side, ordered by the tree."""
    task = found.task
    order = np.arange(task.n)
    if task.tree is None:
        order = np.argsort(group_codes(task.clades).codes, kind="stable")
    looks = visual_distances(found.features, "cosine")[np.ix_(order, order)]
    return trees.heatmap_pair(
        looks,
        task.distances[np.ix_(order, order)],
        [task.clades[i] for i in order],
        name="heatmaps",
        title="Distance of looks and distance in the tree",
        caption=(
            f"{task.n:,} {task.rank} in the order of the tree, lines between {_plural(task)}. "
            "Left: cosine distance of raw looks, nothing learned. Right: distance along the tree."
        ),
        left_title="looks (cosine)",
        right_title="tree",
    )


def scatter_figure(found: KinshipFindings) -> FigureRecord:
    """Draw visual against genetic distance, raw and for held-out pairs."""
    task = found.task
    upper = np.triu_indices(task.n, 1)
    panels: list[tuple[str, FloatArray, FloatArray, float]] = []
    raw = visual_distances(found.features, "cosine")[upper]
    panels.append(
        ("raw looks (cosine)", task.distances[upper], raw,
         found.correlations["raw", "cosine", "none"].value)
    )  # fmt: skip
    for split, words in (("species", "species never seen"), ("clade", "clades never seen")):
        if ("ridge", split) not in found.held_out:
            continue
        held_out = found.held_out["ridge", split].matrix(task.n)[upper]
        known = np.isfinite(held_out)
        panels.append(
            (
                f"ridge, {words}",
                task.distances[upper][known],
                held_out[known],
                found.correlations["held_out", "ridge", split].value,
            )
        )
    with themed_figure(3.0 * len(panels) + 0.6, 3.3) as figure:
        axes = figure.subplots(1, len(panels), squeeze=False)[0]
        for number, (axis, (title, kin, look, value)) in enumerate(zip(axes, panels, strict=True)):
            colour = PALETTE[0] if number == 0 else PALETTE[5]
            size = float(np.clip(6000 / max(len(kin), 1), 1.2, 18))
            axis.scatter(
                kin, look, s=size, alpha=float(np.clip(1500 / max(len(kin), 1), 0.06, 0.6)),
                color=colour, linewidths=0, rasterized=True,
            )  # fmt: skip
            _running_median(axis, kin, look)
            axis.set_title(f"{title}\nr = {value:.2f}, {len(kin):,} pairs", fontsize=8.5)
            axis.set_xlabel("distance in the tree")
            axis.set_ylabel("distance of looks" if number == 0 else "predicted, relative")
        return finish(
            figure,
            name="distances",
            title="Distance of looks against distance in the tree",
            caption=(
                f"Each dot is a pair of {task.rank} ({task.n:,} {task.rank}; pairs are not "
                "independent). Blue: raw looks, all pairs. Orange: pairs of which neither was "
                "learned from. Lines: medians by tenths of the distance in the tree. r is the "
                "mean over folds."
            ),
        )


def _running_median(axis: object, kin: FloatArray, look: FloatArray) -> None:
    edges = np.unique(np.quantile(kin, np.linspace(0, 1, 11)))
    if len(edges) < 3:
        return
    place = np.clip(np.searchsorted(edges, kin, side="right") - 1, 0, len(edges) - 2)
    bins = [b for b in range(len(edges) - 1) if (place == b).any()]
    axis.plot(  # type: ignore[attr-defined]
        [np.median(kin[place == b]) for b in bins],
        [np.median(look[place == b]) for b in bins],
        color=INK,
        linewidth=1.4,
    )


def representatives(task: KinshipTask, most: int = _MOST_TIPS) -> IntArray:
    """Return the species that stand for the whole in figures of few tips.

    All where they are few; otherwise the one with the most pictures of each clade, of the largest
    clades first.
    """
    if task.n <= most:
        return np.arange(task.n)
    counts = np.bincount(task.pictures.groups, minlength=task.n)
    codes = group_codes(task.clades).codes
    sizes = np.bincount(codes)
    chosen = []
    for clade in np.argsort(-sizes, kind="stable")[:most]:
        members = np.flatnonzero(codes == clade)
        chosen.append(int(members[counts[members].argmax()]))
    return np.sort(np.array(chosen))


def clade_means(distances: FloatArray, clades: IntArray) -> FloatArray:
    """Return mean distances between clades, shape (k, k), zero on the diagonal.

    NaN pairs are passed over; two clades without any pair get the mean of all.
    """
    k = int(clades.max()) + 1
    share = np.eye(k)[clades].T
    known = np.isfinite(distances)
    pairs = share @ known @ share.T
    total = share @ np.where(known, distances, 0.0) @ share.T
    mean = np.divide(total, pairs, out=np.full((k, k), np.nan), where=pairs > 0)
    mean = np.where(np.isfinite(mean), mean, np.nanmean(mean))
    np.fill_diagonal(mean, 0.0)
    return np.asarray((mean + mean.T) / 2)


def tangle_figure(found: KinshipFindings) -> FigureRecord | None:
    """Draw the tree of looks beside the tree, by species where they are few, else by clades."""
    task = found.task
    if task.tree is None or task.tree.height <= 0:
        return None
    looks = visual_distances(found.features, "cosine")
    shown = representatives(task)
    is_whole = len(shown) == task.n
    names = [task.species[i] for i in shown]
    tree = task.tree.prune(names)
    if is_whole:
        matrix, labels = looks, list(task.species)
    else:
        codes = group_codes(task.clades).codes
        of_shown = codes[shown]
        matrix = clade_means(looks, codes)[np.ix_(of_shown, of_shown)]
        labels = [task.clades[i] for i in shown]
        renamed = dict(zip(names, labels, strict=True))
        tree = tree.with_names([renamed.get(name, name) for name in tree.names])
    if len(labels) < 4 or tree.height <= 0:
        return None
    tree = ladderized(tree)
    image_tree = rooted_at_midpoint(neighbour_joining(DistanceMatrix(tuple(labels), matrix)))
    if image_tree.height <= 0:
        return None
    rank = {name: float(place) for place, name in enumerate(tree.tip_names)}
    image_tree = untangled(image_tree, rank)
    apart = normalised_robinson_foulds(tree, image_tree)
    place = {name: i for i, name in enumerate(image_tree.tip_names)}
    moved = sorted(labels, key=lambda name: -abs(place[name] - rank[name]))
    far = [n for n in moved if abs(place[n] - rank[n]) > len(labels) / 3]
    what = f"{task.n:,} {task.rank}" if is_whole else f"{len(labels)} {_plural(task)}"
    return trees.tanglegram(
        tree,
        image_tree,
        name="tanglegram",
        title="The tree, and the tree that looks alone would give",
        caption=(
            f"{what}. Left: the tree given. Right: neighbour joining of cosine distances of raw "
            "looks, rooted at the midpoint, clades turned to untangle; of all splits "
            f"{apart:.0%} are in one of the two only (Robinson and Foulds, normalised). Orange: "
            "those that end up more than a third of the figure away."
        ),
        left_title="tree",
        right_title="looks",
        marked=far,
    )


def thumbnail_tree_figure(
    task: KinshipTask, pictures: Mapping[str, ByteArray]
) -> FigureRecord | None:
    """Draw the tree with a picture at each tip."""
    if task.tree is None:
        return None
    shown = representatives(task)
    names = [task.species[i] for i in shown]
    if len(names) < 2:
        return None
    tree = ladderized(task.tree.prune(names))
    is_whole = len(names) == task.n
    which = "all" if is_whole else f"one for each of the {len(names)} largest {_plural(task)}"
    return trees.tree_with_pictures(
        tree,
        {name: pictures[name] for name in names if name in pictures},
        name="tree",
        title="The tree, with its pictures",
        caption=f"{len(names)} of {task.n:,} {task.rank}, {which}. The first picture of each.",
    )


def ancestral_places(tree: Tree, tips: FloatArray) -> FloatArray:
    """Return places of all nodes under Brownian motion, tips where they are (squared-change).

    Each ancestor is the mean of its neighbours weighted by one over the branch between; branches
    of length 0 count as very short.

    References
    ----------
    Maddison, W. P. (1991). Squared-change parsimony reconstructions of ancestral states for
    continuous-valued characters on a phylogenetic tree. Systematic Zoology 40, 304-314.
    """
    floor = 1e-6 * (tree.height or 1.0)
    tightness = 1.0 / np.maximum(tree.length, floor)
    places = np.zeros((tree.n_nodes, tips.shape[1]))
    places[tree.tips] = tips
    # Up: what the clade below says of each node; down: what the rest says as well.
    below = np.zeros_like(places)
    weight = np.zeros(tree.n_nodes)
    for node in range(tree.n_nodes - 1, 0, -1):
        if tree.is_tip[node]:
            mean, precision = places[node], tightness[node]
        else:
            mean = below[node] / weight[node]
            precision = 1.0 / (1.0 / weight[node] + 1.0 / tightness[node])
        above = int(tree.parent[node])
        below[above] += precision * mean
        weight[above] += precision
    if not tree.is_tip[0]:
        places[0] = below[0] / weight[0]
    for node in range(1, tree.n_nodes):
        if not tree.is_tip[node]:
            above = places[tree.parent[node]]
            places[node] = (below[node] + tightness[node] * above) / (
                weight[node] + tightness[node]
            )
    return places


def morphospace_figure(found: KinshipFindings) -> FigureRecord | None:
    """Draw the tree through the two main axes of looks."""
    task = found.task
    if task.tree is None or task.n < 4:
        return None
    # Directions, so that a few odd pictures do not take up the whole plane.
    looks = unit_rows(found.features)
    left, size, _ = np.linalg.svd(looks - looks.mean(axis=0), full_matrices=False)
    share = size**2 / (size**2).sum()
    tips = left[:, :2] * size[:2]
    return trees.phylomorphospace(
        task.tree,
        ancestral_places(task.tree, tips),
        task.clades,
        name="phylomorphospace",
        title="The tree in the space of looks",
        caption=(
            f"First two principal components of the raw looks of {task.n:,} {task.rank}, each "
            "scaled to length 1; lines join each to its ancestors, placed as Brownian motion would "
            "have them (squared-change parsimony). Coloured by the commonest "
            f"{_plural(task)}."
        ),
        axis_labels=(f"axis 1 ({share[0]:.0%})", f"axis 2 ({share[1]:.0%})"),
    )


def _plural(task: KinshipTask) -> str:
    words = {"genus": "genera", "family": "families", "species": "species"}
    return words.get(task.clades_by, "clades")
