"""Finding genes by pictures and pictures by genes, each beside the same with genes permuted.

A species is asked for by where its genes put it among its relatives, so that pictures and genes
need not be of the same specimens, nor all species have both: species that kinship does not know
are left out on both sides, and of the others only those with test pictures are asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score

from kinlens.evaluate.metrics import ratio
from kinlens.evaluate.resample import cluster_bootstrap
from kinlens.evaluate.tables import SHOT_BINS, shot_bin
from kinlens.records.result import metric_row
from kinlens.records.tree import Tree
from kinlens.rng import RandomStreams
from kinlens.studies.rare_models import Naming
from kinlens.studies.rare_scores import Repeat
from kinlens.studies.rare_task import RareTask
from kinlens.typing import BoolArray, FloatArray, IntArray

__all__ = [
    "RETRIEVAL_METRICS",
    "retrieval_cells",
    "retrieval_rows",
    "retrieval_table",
    "shares_within",
]

RETRIEVAL_METRICS = (
    "picture_to_genes_top_1",
    "picture_to_genes_top_5",
    "picture_to_genes_median_rank",
    "genes_to_pictures_map",
)
"""Share of pictures whose species' genes come first or among five, their median rank among all
species' genes, and the mean average precision of a species' pictures among all test pictures."""

_PAIRS = {
    "prototypes": "prototypes_permuted",
    "aligned_long_tail_to_anchors": "aligned_permuted_to_anchors",
}


def retrieval_cells(task: RareTask, repeats: Sequence[Repeat]) -> pd.DataFrame:
    """Search in both ways, for every species in every repeat, by models that know all species.

    Parameters
    ----------
    task : RareTask
        Names and kinship.
    repeats : sequence of Repeat
        What was fitted.

    Returns
    -------
    pandas.DataFrame
        ``repeat, model, species, bin, n_genes, n_pictures``, the `RETRIEVAL_METRICS` and
        ``chance`` of the last of them. Ties count by what a random order would give.
    """
    known = _with_genes(task)
    rows: list[dict[str, object]] = []
    for repeat in repeats:
        truth = task.species[repeat.split.test].astype(str)
        shots = task.specimens_of(repeat.split.train)
        asked = np.isin(truth, sorted(known))
        for model in _models(repeat, known):
            scores, names = _among(repeat.fitted.namings[model], known, asked)
            ahead, equal = _ahead(scores, np.searchsorted(names, truth[asked]))
            ranks = 1.0 + ahead + (equal - 1.0) / 2
            first, five = (_within(k, ahead, equal) for k in (1, 5))
            for species in sorted(set(truth[asked])):
                own = truth[asked] == species
                column = scores[:, np.searchsorted(names, species)]
                rows.append(
                    {
                        "repeat": repeat.number,
                        "model": model,
                        "species": species,
                        "bin": shot_bin(shots[species]),
                        "n_genes": len(names),
                        "n_pictures": int(asked.sum()),
                        "picture_to_genes_top_1": first[own].mean(),
                        "picture_to_genes_top_5": five[own].mean(),
                        "picture_to_genes_median_rank": np.median(ranks[own]),
                        "genes_to_pictures_map": average_precision_score(own, column),
                        "chance": _chance_precision(int(own.sum()), len(own)),
                    }
                )
    return pd.DataFrame(rows)


def retrieval_rows(
    cells: pd.DataFrame, *, replicates: int, streams: RandomStreams
) -> list[dict[str, object]]:
    """Average cells by bin and model, and pair true genes with permuted ones.

    Parameters
    ----------
    cells : pandas.DataFrame
        From `retrieval_cells`.
    replicates : int
        Bootstrap replicates of species.
    streams : RandomStreams
        Draw them.

    Returns
    -------
    list of dict
        Rows of ``metrics.csv``; the gain over permuted genes is called ``METRIC_over_permuted``.
    """
    rows: list[dict[str, object]] = []
    for target in (*[name for name in SHOT_BINS if (cells["bin"] == name).any()], "all"):
        inside = cells if target == "all" else cells[cells["bin"] == target]
        by_model = {
            str(name): part.set_index(["repeat", "species"]).sort_index()
            for name, part in inside.groupby("model")
        }
        for model, control in _PAIRS.items():
            if model in by_model and control in by_model:
                rows += _paired_rows(target, model, control, by_model, replicates, streams)
    return rows


def _paired_rows(
    target: str,
    model: str,
    control: str,
    by_model: Mapping[str, pd.DataFrame],
    replicates: int,
    streams: RandomStreams,
) -> list[dict[str, object]]:
    first, second = (
        by_model[name][list(RETRIEVAL_METRICS)].to_numpy(dtype=np.float64)
        for name in (model, control)
    )
    found = cluster_bootstrap(
        _Both(first, second), by_model[model].index.get_level_values("species"),
        rng=streams.generator("retrieval", target, model), n_replicates=replicates,
    )  # fmt: skip
    rows = []
    for metric in RETRIEVAL_METRICS:
        null = found[f"control {metric}"][0]
        for name, own_metric, own_model in (
            (metric, metric, model),
            (f"control {metric}", metric, control),
            (f"gain {metric}", f"{metric}_over_permuted", model),
        ):
            value, low, high = found[name]
            rows.append(
                metric_row(
                    "rare", target=target, model=own_model, metric=own_metric, value=value,
                    low=low, high=high, split="specimen", n=found.n_groups, seed=streams.seed,
                    null_mean=null if name == metric else None,
                )
            )  # fmt: skip
    return rows


class _Both:
    """The measures of a model and of its control, and their difference, on the same species."""

    def __init__(self, first: FloatArray, second: FloatArray) -> None:
        self.names = tuple(
            f"{word}{metric}" for word in ("", "control ", "gain ") for metric in RETRIEVAL_METRICS
        )
        self._sides = (first, second)

    def __call__(self, weights: FloatArray) -> FloatArray:
        first, second = (_averages(side, weights) for side in self._sides)
        return np.hstack([first, second, first - second])


def _averages(values: FloatArray, weights: FloatArray) -> FloatArray:
    """Return weighted means of the columns, and the weighted median where ranks are."""
    total = weights.sum(axis=1, keepdims=True)
    means = ratio(weights @ values, np.broadcast_to(total, (len(weights), values.shape[1])))
    place = RETRIEVAL_METRICS.index("picture_to_genes_median_rank")
    order = np.argsort(values[:, place], kind="stable")
    reached = np.cumsum(weights[:, order], axis=1)
    means[:, place] = values[order, place][(reached < total / 2).sum(axis=1)]
    return means


def retrieval_table(metrics: pd.DataFrame, cells: pd.DataFrame) -> pd.DataFrame:
    """Lay the rows of both searches out for reading.

    Parameters
    ----------
    metrics : pandas.DataFrame
        As in ``metrics.csv``.
    cells : pandas.DataFrame
        From `retrieval_cells`.

    Returns
    -------
    pandas.DataFrame
        ``target, model, measure, value, low, high, permuted, permuted_low, permuted_high, gain,
        gain_low, gain_high, chance, n``; gains are paired.
    """
    rows = []
    keyed = {
        (str(row["target"]), str(row["model"]), str(row["metric"])): row
        for row in metrics.to_dict("records")
    }
    for (target, model, metric), row in keyed.items():
        if metric not in RETRIEVAL_METRICS or model not in _PAIRS:
            continue
        gain = keyed[target, model, f"{metric}_over_permuted"]
        control = keyed[target, _PAIRS[model], metric]
        inside = cells[cells["model"] == model]
        inside = inside if target == "all" else inside[inside["bin"] == target]
        n_genes = int(inside["n_genes"].iloc[0])
        chance = {
            "picture_to_genes_top_1": 1 / n_genes,
            "picture_to_genes_top_5": min(5 / n_genes, 1.0),
            "picture_to_genes_median_rank": (n_genes + 1) / 2,
            "genes_to_pictures_map": float(inside["chance"].mean()),
        }[metric]
        rows.append(
            {
                "target": target,
                "model": model,
                "measure": metric,
                "value": row["value"],
                "low": row["low"],
                "high": row["high"],
                "permuted": control["value"],
                "permuted_low": control["low"],
                "permuted_high": control["high"],
                "gain": gain["value"],
                "gain_low": gain["low"],
                "gain_high": gain["high"],
                "chance": chance,
                "n": row["n"],
            }
        )
    return pd.DataFrame(rows)


def shares_within(
    task: RareTask, repeats: Sequence[Repeat], model: str, *, target: str
) -> FloatArray:
    """Return how often the true genes are among the first k, for k = 1, 2, ...

    Parameters
    ----------
    task : RareTask
        Names and kinship.
    repeats : sequence of Repeat
        What was fitted.
    model : str
        One that knows all species.
    target : str
        A bin of training specimens, or ``all``.

    Returns
    -------
    array of shape (n_genes,)
        Mean over species and repeats; empty when no species is in the bin.
    """
    known = _with_genes(task)
    curves: list[FloatArray] = []
    for repeat in repeats:
        truth = task.species[repeat.split.test].astype(str)
        shots = task.specimens_of(repeat.split.train)
        asked = np.isin(truth, sorted(known))
        scores, names = _among(repeat.fitted.namings[model], known, asked)
        ahead, equal = _ahead(scores, np.searchsorted(names, truth[asked]))
        counts = pd.Series(truth[asked]).value_counts()
        inside = {s for s in counts.index if target in ("all", shot_bin(shots[s]))}
        rows = np.flatnonzero(np.isin(truth[asked], sorted(inside)))
        if len(rows):
            # Every species weighs the same; each picture's share rises evenly over its equals.
            rise = 1.0 / counts[truth[asked][rows]].to_numpy() / equal[rows]
            bends = np.zeros(len(names) + 1)
            np.add.at(bends, ahead[rows], rise)
            np.add.at(bends, ahead[rows] + equal[rows], -rise)
            curves.append(np.cumsum(np.cumsum(bends))[:-1] / len(inside))
    return np.mean(curves, axis=0) if curves else np.zeros(0)


def _with_genes(task: RareTask) -> set[str]:
    kinship = task.kinship
    known = kinship.tip_names if isinstance(kinship, Tree) else kinship.ids
    return set(known) & set(task.names)


def _models(repeat: Repeat, known: set[str]) -> list[str]:
    """List the models that can answer every species with genes."""
    wanted = {*_PAIRS, *_PAIRS.values()}
    return [
        name
        for name, naming in repeat.fitted.namings.items()
        if name in wanted and known <= set(naming.classes.astype(str))
    ]


def _among(naming: Naming, known: set[str], asked: BoolArray) -> tuple[FloatArray, FloatArray]:
    """Return the scores of asked pictures for species with genes, and the sorted names of these."""
    classes = naming.classes.astype(str)
    columns = np.flatnonzero(np.isin(classes, sorted(known)))
    return naming.scores[asked][:, columns], classes[columns]


def _ahead(scores: FloatArray, truth: IntArray) -> tuple[IntArray, IntArray]:
    """Count, for each picture, species ahead of the true one, and those equal to it, itself too."""
    own = scores[np.arange(len(scores)), truth][:, None]
    return (scores > own).sum(axis=1), (scores == own).sum(axis=1)


def _within(k: int, ahead: IntArray, equal: IntArray) -> FloatArray:
    """Return the chance to be among the first k, where equals stand in random order."""
    return np.asarray(np.clip((k - ahead) / equal, 0.0, 1.0))


def _chance_precision(n_own: int, n_all: int) -> float:
    """Return the expected average precision of `n_own` among `n_all` in random order (exact).

    Examples
    --------
    >>> _chance_precision(2, 2), round(_chance_precision(1, 3), 4)
    (1.0, 0.6111)
    """
    harmonic = float((1.0 / np.arange(1, n_all + 1)).sum())
    if n_all == 1:
        return 1.0
    return ((n_own - 1) / (n_all - 1) * (n_all - harmonic) + harmonic) / n_all
