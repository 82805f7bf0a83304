"""The string in the middle of each cluster, found with vectors and without.

How such a string is searched for is in `kinlens.models.consensus`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from kinlens.evaluate.resample import cluster_bootstrap, permutation_p_value
from kinlens.models.consensus import consensus_string
from kinlens.records.result import metric_row
from kinlens.rng import RandomStreams
from kinlens.studies.seqdist_predictors import Predictor
from kinlens.studies.seqdist_results import Clustered, ResultsConfig
from kinlens.studies.seqdist_task import Task
from kinlens.typing import FloatArray, IntArray

__all__ = ["consensus_results"]

_MOST_CLUSTERS = 12
_FEWEST, _MOST = 4, 40
_DRAWS = 999


def consensus_results(
    task: Task,
    clustered: Clustered,
    predictors: Sequence[Predictor],
    config: ResultsConfig,
    streams: RandomStreams,
    *,
    selected: str,
) -> list[dict[str, object]]:
    """Look for a string in the middle of each of the largest clusters of test sequences.

    The centre by vectors is the member with the least sum of predicted distances; ``decoded`` is
    what voting makes of it, without comparing all with all; ``consensus`` is the same from the
    exact centre. Costs are sums of exact distances, as a share of the best member's.

    Parameters
    ----------
    task : Task
        The sequences.
    clustered : Clustered
        Test sequences and their exact tree, whose clades are the clusters.
    predictors : sequence of Predictor
        The chosen one among them.
    config : ResultsConfig
        Replicates.
    streams : RandomStreams
        Intervals and nulls.
    selected : str
        Name of the chosen network.

    Returns
    -------
    list of dict
        Rows of ``metrics.csv``, target ``consensus``; none when no cluster has four members.
        Intervals resample clusters; the null takes members at random.
    """
    groups = _clusters(task, clustered)
    if not groups:
        return []
    chosen = next(p for p in predictors if p.name == selected)
    costs: dict[str, list[float]] = {name: [] for name in (selected, "decoded", "consensus")}
    random = np.zeros((_DRAWS, len(groups)))
    best = np.zeros(len(groups))
    rng = streams.generator("consensus")
    for place, rows in enumerate(groups):
        texts = [task.sequences.sequences[row] for row in rows]
        sums = task.exact(rows, rows).sum(axis=1, dtype=np.int64)
        centre = int(np.asarray(chosen(rows, rows), np.float64).sum(axis=1).argmin())
        best[place] = sums.min()
        costs[selected].append(float(sums[centre]))
        costs["decoded"].append(float(consensus_string(texts, start=centre).cost))
        costs["consensus"].append(float(consensus_string(texts, start=int(sums.argmin())).cost))
        random[:, place] = sums[rng.integers(len(rows), size=_DRAWS)]
    null = random.sum(axis=1) / best.sum()
    return [
        _row(name, np.array(each), best, null, config, streams, is_selected=name == selected)
        for name, each in costs.items()
    ]


def _row(
    name: str,
    cost: FloatArray,
    best: FloatArray,
    null: FloatArray,
    config: ResultsConfig,
    streams: RandomStreams,
    *,
    is_selected: bool,
) -> dict[str, object]:
    estimates = cluster_bootstrap(
        _CostRatio(cost, best),
        range(len(best)),
        rng=streams.generator("consensus", "bootstrap"),
        n_replicates=config.replicates,
    )
    value, low, high = estimates["consensus_cost_ratio"]
    return metric_row(
        "seqdist",
        target="consensus",
        model=name,
        metric="consensus_cost_ratio",
        value=value,
        low=low,
        high=high,
        split="random",
        selected=is_selected,
        null_mean=float(null.mean()),
        p_value=permutation_p_value(value, null, alternative="less"),
        n=len(best),
        seed=streams.seed,
    )


class _CostRatio:
    """Summed cost over the summed cost of the best members, for any weighting of the clusters."""

    names = ("consensus_cost_ratio",)

    def __init__(self, cost: FloatArray, best: FloatArray) -> None:
        self.cost, self.best = cost, best

    def __call__(self, weights: FloatArray) -> FloatArray:
        return np.asarray((weights @ self.cost) / (weights @ self.best))[:, None]


def _clusters(task: Task, clustered: Clustered) -> list[IntArray]:
    """Return the rows of the largest clusters that are neither tiny, huge nor all alike."""
    tree = clustered.reference
    row_of: Mapping[str, int] = {task.sequences.ids[row]: int(row) for row in clustered.rows}
    names = np.array(tree.tip_names, dtype=object)
    n_clades = max(2, tree.n_tips // (_MOST // 2))
    codes = tree.cut_into(min(n_clades, tree.n_tips))
    found = []
    for code in np.argsort(-np.bincount(codes), kind="stable"):
        members = np.array([row_of[name] for name in names[codes == code]][:_MOST], dtype=np.int64)
        if len(members) >= _FEWEST and task.exact(members, members).any():
            found.append(members)
    return found[:_MOST_CLUSTERS]
