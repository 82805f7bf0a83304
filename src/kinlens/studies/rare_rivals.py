"""What naming species without pictures has to beat: chance, and guessing within the genus.

The guesser names the genus by the most likely species that has pictures, and draws one of its
species at random: any of them, or, told which species were withheld, one of those. Its expected
accuracy is exact. Told, it is a strong rival: the prototypes do not know that the species shown was
withheld.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from kinlens.evaluate.resample import WeightedMeans, cluster_bootstrap
from kinlens.records.result import metric_row
from kinlens.rng import RandomStreams
from kinlens.studies.rare_scores import CELL_METRICS, Repeat
from kinlens.studies.rare_task import RareTask

__all__ = ["genus_guess_cells", "rival_rows"]

_TOP = 5
_CELL = ["repeat", "species"]
# Share right where the guesser is not told which species were withheld.
_UNTOLD = "untold"


def genus_guess_cells(task: RareTask, repeats: Sequence[Repeat]) -> pd.DataFrame:
    """Score the guesser on every withheld species of every repeat.

    Parameters
    ----------
    task : RareTask
        Names and genera.
    repeats : sequence of Repeat
        What was fitted.

    Returns
    -------
    pandas.DataFrame
        ``repeat, species``, the `CELL_METRICS` of the guesser that is told, and ``untold``, the
        per-class accuracy of the other; species without a known genus are never right.
    """
    genus_of = task.genus_of()
    rows: list[dict[str, object]] = []
    for repeat in repeats:
        naming = repeat.fitted.namings["prototypes"]
        classes = naming.classes.astype(str)
        withheld = set(repeat.split.unseen)
        pictured = np.array([name not in withheld for name in classes])
        nearest = classes[pictured][naming.scores[:, pictured].argmax(axis=1)]
        guessed = np.array([genus_of.get(name, "") for name in nearest], dtype=object)
        truth = task.species[repeat.split.test].astype(str)
        members = pd.Series([genus_of[name] for name in sorted(withheld)]).value_counts()
        everybody = pd.Series([genus_of.get(name, "") for name in classes]).value_counts()
        for name in sorted(withheld):
            genus = genus_of[name]
            is_right = (guessed[truth == name] == genus) if genus else np.zeros(1, dtype=bool)
            share = float(is_right.mean())
            rows.append(
                {
                    "repeat": repeat.number,
                    "species": name,
                    "per_class_accuracy": share / members[genus],
                    "top_5_accuracy": share * min(_TOP / members[genus], 1.0),
                    "genus_accuracy": share,
                    _UNTOLD: share / everybody[genus],
                }
            )
    return pd.DataFrame(rows, columns=[*_CELL, *CELL_METRICS, _UNTOLD])


def rival_rows(
    task: RareTask,
    cells: pd.DataFrame,
    guesses: pd.DataFrame,
    *,
    replicates: int,
    streams: RandomStreams,
) -> list[dict[str, object]]:
    """Put chance and the guesser beside the prototypes, for species without pictures.

    Parameters
    ----------
    task : RareTask
        Names and genera.
    cells : pandas.DataFrame
        From `kinlens.studies.rare_scores.cells_of`.
    guesses : pandas.DataFrame
        From `genus_guess_cells`.
    replicates : int
        Bootstrap replicates of species.
    streams : RandomStreams
        Draw them.
    """
    if not len(guesses):
        return []
    own = cells[(cells["model"] == "prototypes") & (cells["bin"] == "shots_0")]
    pairs = own.merge(guesses, on=_CELL, suffixes=("", "_guessed"), validate="one_to_one")
    if pairs.empty:
        return []
    guessed = [f"{metric}_guessed" for metric in CELL_METRICS]
    right = pairs["per_class_accuracy"]
    gains = [right - pairs["per_class_accuracy_guessed"], right - pairs[_UNTOLD]]
    values = np.column_stack([pairs[[*guessed, _UNTOLD]].to_numpy(dtype=np.float64), *gains])
    names = [*CELL_METRICS, _UNTOLD, "gain_over_genus_guess", "gain_over_untold_guess"]
    found = cluster_bootstrap(
        WeightedMeans(names, values), pairs["species"],
        rng=streams.generator("genus guess"), n_replicates=replicates,
    )  # fmt: skip
    rows = []
    for name in found.names:
        value, low, high = found[name]
        model, metric = "prototypes" if name.startswith("gain") else "genus_guess", name
        if name == _UNTOLD:
            model, metric = "genus_guess_untold", "per_class_accuracy"
        rows.append(
            metric_row(
                "rare", target="shots_0", model=model, metric=metric, value=value, low=low,
                high=high, split="specimen", n=found.n_groups, seed=streams.seed,
            )
        )  # fmt: skip
    genera = pd.Series([task.genus_of()[name] for name in task.names])
    same = genera[genera != ""].value_counts()
    n = len(task.names)
    asked = [task.genus_of()[name] for name in pairs["species"]]
    chance = (1 / n, min(_TOP / n, 1.0), float(np.mean([same.get(g, 0) / n for g in asked])))
    rows += [
        metric_row(
            "rare", target="shots_0", model="chance", metric=metric, value=value,
            split="specimen", n=found.n_groups, seed=streams.seed,
        )
        for metric, value in zip(CELL_METRICS, chance, strict=True)
    ]  # fmt: skip
    return rows
