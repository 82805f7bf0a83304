"""Answers summed up class by class, by how rare a class is, and by how sure the answers were.

The scores themselves are in `metrics`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from kinlens.evaluate.metrics import Answers, confidence_bins, estimate_scores, ratio

__all__ = ["SHOT_BINS", "class_table", "reliability", "shot_bin", "shot_table"]

SHOT_BINS = ("shots_0", "shots_1", "shots_2_5", "shots_6_20", "shots_over_20")
"""Classes by how many training specimens they have."""


def shot_bin(n_specimens: int) -> str:
    """Return the bin of a class with so many training specimens.

    Examples
    --------
    >>> [shot_bin(n) for n in (0, 1, 5, 6, 21)]
    ['shots_0', 'shots_1', 'shots_2_5', 'shots_6_20', 'shots_over_20']
    """
    return SHOT_BINS[int(np.searchsorted([0, 1, 5, 20], n_specimens))]


def class_table(
    answers: Answers, *, groups: Iterable[Any], training_specimens: Mapping[str, int]
) -> pd.DataFrame:
    """Score each class on its own.

    Parameters
    ----------
    answers : Answers
        What to score.
    groups : iterable of length n
        Specimen of each picture.
    training_specimens : mapping of str to int
        How many specimens of each class the model was fitted on; 0 for classes left out.

    Returns
    -------
    pandas.DataFrame
        One row for each class that is true of some picture, sorted by name: ``class``,
        ``shot_bin``, ``training_specimens``, ``specimens``, ``images``, ``recall``,
        ``precision`` (NaN when never answered), ``f1``.
    """
    k = len(answers.classes)
    true = np.bincount(answers.truth, minlength=k)
    answered = np.bincount(answers.answer, minlength=k)
    hit = np.bincount(answers.truth, weights=answers.is_correct, minlength=k)
    rows = pd.DataFrame({"code": answers.truth, "group": list(groups)})
    specimens = rows.groupby("code")["group"].nunique().reindex(range(k), fill_value=0)
    shots = np.array([training_specimens.get(name, 0) for name in answers.classes], np.int64)
    table = pd.DataFrame(
        {
            "class": answers.classes,
            "shot_bin": [shot_bin(n) for n in shots],
            "training_specimens": shots,
            "specimens": specimens.to_numpy(),
            "images": true,
            "recall": ratio(hit, true),
            "precision": ratio(hit, answered, empty=np.nan),
            "f1": ratio(2 * hit, true + answered),
        }
    )
    return table[true > 0].sort_values("class").reset_index(drop=True)


def shot_table(
    answers: Answers,
    groups: Iterable[Any],
    *,
    training_specimens: Mapping[str, int],
    rng: np.random.Generator,
    n_replicates: int = 1000,
) -> pd.DataFrame:
    """Score classes binned by how many specimens they were learned from.

    Parameters
    ----------
    answers, groups, training_specimens
        As for `class_table`.
    rng, n_replicates
        As for `estimate_scores`.

    Returns
    -------
    pandas.DataFrame
        One row for each bin that has pictures, and ``all``: ``shot_bin``, ``classes``,
        ``specimens``, ``images``, then ``accuracy`` and ``per_class_accuracy`` (the mean over
        the bin's classes), each with ``_low`` and ``_high``. The candidates are all classes.
    """
    group_list = np.asarray(list(groups), dtype=object)
    bins = np.array(
        [shot_bin(training_specimens.get(name, 0)) for name in answers.classes], dtype=object
    )
    rows = []
    for name in (*SHOT_BINS, "all"):
        chosen = np.ones(len(answers), bool) if name == "all" else bins[answers.truth] == name
        if not chosen.any():
            continue
        part, part_groups = answers.select(chosen), group_list[chosen]
        found = estimate_scores(
            part,
            part_groups,
            rng=rng,
            names=["accuracy", "balanced_accuracy"],
            n_replicates=n_replicates,
        )
        (accuracy, low, high), (mean, mean_low, mean_high) = (
            found["accuracy"],
            found["balanced_accuracy"],
        )
        rows.append(
            {
                "shot_bin": name,
                "classes": len(np.unique(part.truth)),
                "specimens": found.n_groups,
                "images": len(part),
                "accuracy": accuracy,
                "accuracy_low": low,
                "accuracy_high": high,
                "per_class_accuracy": mean,
                "per_class_accuracy_low": mean_low,
                "per_class_accuracy_high": mean_high,
            }
        )
    return pd.DataFrame(rows)


def reliability(answers: Answers, *, n_bins: int = 15) -> pd.DataFrame:
    """Compare confidence with accuracy, bin by bin: the points of a reliability curve.

    Parameters
    ----------
    answers : Answers
        With probabilities.
    n_bins : int
        Bins of equal numbers of pictures; fewer when confidences are tied.

    Returns
    -------
    pandas.DataFrame
        One row a bin, from the least confident up: ``confidence`` and ``accuracy`` (means),
        ``images``.
    """
    bins = confidence_bins(answers.confidence, n_bins)
    rows = pd.DataFrame(
        {"bin": bins, "confidence": answers.confidence, "accuracy": answers.is_correct, "images": 1}
    )
    how = {"confidence": "mean", "accuracy": "mean", "images": "sum"}
    return rows.groupby("bin").agg(how).reset_index(drop=True)
