"""The numbers of the study `rare`: per-class accuracy by shots, and what is left after controls.

A cell is one species in one repeat. Intervals resample species, with all their repeats; gains are
paired: the same cells, two models.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from kinlens.evaluate.resample import WeightedMeans, cluster_bootstrap
from kinlens.evaluate.tables import SHOT_BINS, shot_bin
from kinlens.records.result import metric_row
from kinlens.rng import RandomStreams
from kinlens.studies.rare_models import PROTOTYPES, Fitted, Naming
from kinlens.studies.rare_task import RareSplit, RareTask
from kinlens.typing import ObjectArray

__all__ = ["CELL_METRICS", "Repeat", "cells_of", "metric_rows"]

CELL_METRICS = ("per_class_accuracy", "top_5_accuracy", "genus_accuracy")
_TOP = 5


@dataclass(frozen=True, eq=False)
class Repeat:
    """One split with what was fitted on it.

    Parameters
    ----------
    number : int
        From 0.
    split : RareSplit
        Who trained.
    fitted : Fitted
        What the models said.
    """

    number: int
    split: RareSplit
    fitted: Fitted


def cells_of(task: RareTask, repeats: Sequence[Repeat]) -> pd.DataFrame:
    """Score every species in every repeat by every model.

    Parameters
    ----------
    task : RareTask
        Names and genera.
    repeats : sequence of Repeat
        What was fitted.

    Returns
    -------
    pandas.DataFrame
        ``repeat, model, species, shots, bin, n_test``, the `CELL_METRICS` (that of the genus NaN
        where it is not known), and ``taken_for``: the commonest wrong answer.
    """
    genus_of = task.genus_of()
    rows: list[dict[str, object]] = []
    for repeat in repeats:
        shots = task.specimens_of(repeat.split.train)
        truth = task.species[repeat.split.test]
        for name, naming in repeat.fitted.namings.items():
            table = _picture_table(naming, truth, genus_of)
            for species, part in table.groupby("truth", sort=True):
                wrong = part.loc[part["answer"] != species, "answer"]
                rows.append(
                    {
                        "repeat": repeat.number,
                        "model": name,
                        "species": species,
                        "shots": shots[str(species)],
                        "bin": shot_bin(shots[str(species)]),
                        "n_test": len(part),
                        "per_class_accuracy": part["is_right"].mean(),
                        "top_5_accuracy": part["is_near"].mean(),
                        "genus_accuracy": part["is_genus"].mean(),
                        "taken_for": wrong.value_counts().index[0] if len(wrong) else "",
                    }
                )
    return pd.DataFrame(rows)


def _picture_table(naming: Naming, truth: ObjectArray, genus_of: Mapping[str, str]) -> pd.DataFrame:
    classes = naming.classes.astype(str)
    answer = classes[naming.scores.argmax(axis=1)]
    place = {name: column for column, name in enumerate(classes)}
    column = np.array([place.get(name, -1) for name in truth])
    own = np.where(column >= 0, naming.scores[np.arange(len(truth)), column], -np.inf)
    ahead = (naming.scores > own[:, None]).sum(axis=1)
    # Species of which nothing is known are equal, and equals stand in random order.
    equal = np.maximum((naming.scores == own[:, None]).sum(axis=1), 1)
    genus = [genus_of.get(name, "") for name in truth]
    return pd.DataFrame(
        {
            "truth": list(truth),
            "answer": answer,
            "is_right": answer == np.asarray(truth, dtype=str),
            "is_near": np.clip((_TOP - ahead) / equal, 0.0, 1.0) * (column >= 0),
            "is_genus": [
                float(genus_of.get(name, "") == own_genus) if own_genus else np.nan
                for name, own_genus in zip(answer, genus, strict=True)
            ],
        }
    )


def metric_rows(
    cells: pd.DataFrame, *, replicates: int, streams: RandomStreams
) -> list[dict[str, object]]:
    """Average cells by bin and model, and pair the true tree with each control.

    Parameters
    ----------
    cells : pandas.DataFrame
        From `cells_of`.
    replicates : int
        Bootstrap replicates of species.
    streams : RandomStreams
        Draw them.
    """
    rows: list[dict[str, object]] = []
    bins = [name for name in SHOT_BINS if (cells["bin"] == name).any()]
    for target in (*bins, "all"):
        inside = cells if target == "all" else cells[cells["bin"] == target]
        by_model = {
            str(name): part.set_index(["repeat", "species"]).sort_index()
            for name, part in inside.groupby("model")
        }
        permuted = by_model["prototypes_permuted"]["per_class_accuracy"].mean()
        for name, part in by_model.items():
            for metric in CELL_METRICS:
                # The genus of a species may not be known.
                known = part[part[metric].notna()]
                if known.empty:
                    continue
                found = cluster_bootstrap(
                    WeightedMeans([metric], known[[metric]].to_numpy()),
                    known.index.get_level_values("species"),
                    rng=streams.generator("bootstrap", target, name),
                    n_replicates=replicates,
                )
                value, low, high = found[metric]
                is_head = name == "prototypes" and metric == "per_class_accuracy"
                rows.append(
                    metric_row(
                        "rare", target=target, model=name, metric=metric, value=value, low=low,
                        high=high, split="specimen", selected=name == "prototypes",
                        null_mean=float(permuted) if is_head else None, n=found.n_groups,
                        seed=streams.seed,
                    )
                )  # fmt: skip
        rows += _gain_rows(target, by_model, replicates, streams)
    return rows


def _gain_rows(
    target: str,
    by_model: Mapping[str, pd.DataFrame],
    replicates: int,
    streams: RandomStreams,
) -> list[dict[str, object]]:
    """Return paired differences of the true tree and each control, and of the aligned network."""
    pairs = [("prototypes", control) for control in PROTOTYPES[1:]]
    pairs += [
        ("aligned_long_tail", control)
        for control in ("aligned_permuted", "aligned_taxonomy", "long_tail")
    ]
    rows = []
    for model, control in pairs:
        if model not in by_model or control not in by_model:
            continue
        first, second = by_model[model], by_model[control]
        gains = first["per_class_accuracy"] - second["per_class_accuracy"]
        word = control.removeprefix("prototypes_").removeprefix("aligned_")
        name = f"gain_over_{word}"
        found = cluster_bootstrap(
            WeightedMeans([name], gains.to_numpy(dtype=np.float64)[:, None]),
            gains.index.get_level_values("species"),
            rng=streams.generator("gain", target, model, control),
            n_replicates=replicates,
        )
        value, low, high = found[name]
        rows.append(
            metric_row(
                "rare", target=target, model=model, metric=name, value=value, low=low, high=high,
                split="specimen", n=found.n_groups, seed=streams.seed,
            )
        )  # fmt: skip
    return rows
