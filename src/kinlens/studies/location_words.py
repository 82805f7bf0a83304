"""The words of the study `location`: headlines for the page, a paragraph for the paper.

Everywhere, `model`, `target` and `metric` name one row of ``metrics.csv``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from kinlens import __version__
from kinlens.records.collection import Collection
from kinlens.records.result import Headline
from kinlens.studies.location_task import Task

__all__ = ["LocationFindings", "headlines_of", "methods_of", "plural"]


@dataclass(frozen=True, eq=False)
class LocationFindings:
    """All that the words are made from.

    Parameters
    ----------
    collection : Collection
        The dataset.
    task : Task
        Pictures, labels and split.
    config : LocationConfig
        Settings of the study.
    metrics : pandas.DataFrame
        As in ``metrics.csv``.
    comparisons : pandas.DataFrame
        Paired differences from the tuned flat model.
    counts : pandas.DataFrame
        How many test units hold each label.
    kept : str
        The network that answers for new pictures; "" for none.
    calibration_error : float
        Of its calibrated probabilities on the test part; NaN for none.
    epochs : mapping of str to int
        How long the networks of the first repeat were trained.
    """

    collection: Collection
    task: Task
    config: Any
    metrics: pd.DataFrame
    comparisons: pd.DataFrame
    counts: pd.DataFrame
    kept: str
    calibration_error: float
    epochs: Mapping[str, int]

    def row(self, model: str, target: str, metric: str) -> pd.Series:
        """Return the row of one number, or an empty one."""
        m = self.metrics
        found = m[(m["model"] == model) & (m["target"] == target) & (m["metric"] == metric)]
        return found.iloc[0] if len(found) else pd.Series(dtype=object)

    @property
    def chosen(self) -> str:
        """The model that inner validation chose, or the best baseline where there is no other."""
        selected = self.metrics[self.metrics["selected"] == 1]
        if len(selected):
            return str(selected["model"].iloc[0])
        for model in ("logistic_tuned", "constant_tuned"):
            if not self.row(model, "macro", "f1").empty:
                return model
        return str(self.metrics["model"].iloc[0])

    @property
    def unit(self) -> str:
        """What is independent, in the plural: fields, specimens, pictures."""
        return plural(self.task.grouped_by)


def plural(column: str) -> str:
    """Return what the units of a split are called.

    Examples
    --------
    >>> plural("field"), plural("")
    ('fields', 'pictures')
    """
    return f"{column}s" if column else "pictures"


def headlines_of(found: LocationFindings) -> tuple[Headline, ...]:
    """Word what a reader takes away, each number beside what it is compared with."""
    model, n = found.chosen, found.task.n_units(found.task.split.test)
    row = found.row(model, "macro", "f1")
    beside = [
        f"{word} {_value(found.row(name, 'macro', 'f1'))}"
        for name, word in (
            ("constant_tuned", "the best constant answer"),
            ("logistic_tuned", "regression on descriptors"),
        )
        if name != model and not found.row(name, "macro", "f1").empty
    ]
    headlines = [
        Headline(
            f"{_word(model).capitalize()} names the {len(found.task.tree.labels)} labels of {n:,} "
            f"{found.unit} never seen with a macro F1 of {_interval(row)}; with labels shuffled "
            f"among {found.unit} {row['null_mean']:.2f} (p = {row['p_value']:.3g})"
            + (f"; {', '.join(beside)}." if beside else "."),
            "good" if float(row["p_value"]) <= 0.05 else "bad",
        )
    ]
    headlines += _thresholds(found) + _comparisons(found)
    undecided = found.counts[~found.counts["decidable"]]["label"].tolist()
    if undecided:
        headlines.append(
            Headline(
                f"Not decidable here, held by fewer than 10 test {found.unit}: "
                f"{', '.join(undecided)}."
            )
        )
    if np.isfinite(found.calibration_error):
        headlines.append(
            Headline(
                "Stated probabilities are off by "
                f"{found.calibration_error:.1%} on the average ({found.kept} model, calibrated)."
            )
        )
    if not found.task.leaks.is_clean:
        headlines.append(Headline(f"Leaks: {found.task.leaks}.", "bad"))
    return tuple(headlines)


def _thresholds(found: LocationFindings) -> list[Headline]:
    change = found.comparisons
    change = change[(change["model"] == "flat") & (change["target"] == "macro")]
    if not len(change):
        return []
    row = change.iloc[0]
    return [
        Headline(
            "Thresholds alone, tuned on the validation part instead of 0.5, change the macro F1 of "
            f"the flat network by {-row['difference']:+.3f} ({-row['high']:+.3f} to "
            f"{-row['low']:+.3f})."
        )
    ]


def _comparisons(found: LocationFindings) -> list[Headline]:
    headlines = []
    decidable = set(found.counts["label"][found.counts["decidable"]])
    for model in ("joint_tuned", "hard_routed_tuned"):
        change = found.comparisons[found.comparisons["model"] == model].set_index("target")
        if not len(change):
            continue
        row = change.loc["macro"]
        labels = change.loc[change.index.isin(decidable)]
        worse = labels.index[labels["high"] < 0].tolist()
        better = labels.index[labels["low"] > 0].tolist()
        sure = row["low"] > 0 or row["high"] < 0
        headlines.append(
            Headline(
                f"{_word(model).capitalize()} minus the flat one, thresholds tuned alike: macro F1 "
                f"{row['difference']:+.3f} ({row['low']:+.3f} to {row['high']:+.3f}); better for "
                f"{len(better)} and worse for {len(worse)} of {len(labels)} decidable labels"
                + (f" ({', '.join(worse)})" if worse else "")
                + ".",
                "good" if row["low"] > 0 else "bad" if sure else "plain",
            )
        )
    return headlines


def methods_of(found: LocationFindings) -> str:
    """Write the methods paragraph."""
    task, config = found.task, found.config
    split = task.split
    model = found.chosen
    row = found.row(model, "macro", "f1")
    dropped = task.dropped
    left_out = (
        f" {len(dropped)} labels were dropped or could not be learned "
        f"({', '.join(dropped['label'])}); {task.n_without_label:,} pictures held no other."
        if len(dropped)
        else ""
    )
    skipped = f" {len(task.skipped):,} pictures could not be read." if task.skipped else ""
    whole = f"whole {found.unit} on one side" if task.grouped_by else "each picture by itself"
    longest = ", ".join(f"{name} {epochs}" for name, epochs in found.epochs.items())
    networks = (
        f"""
Networks (`{config.network}`, {config.width:g} of its channels) saw all channels at once
({", ".join(task.channels)}), normalised by their training means, mirrored and turned by quarters at
random and never cropped. They learned the multi-label soft margin loss
({config.schedule} schedule, {_counted(config.repeats, "seed")}, scores are means over them; epochs
of the first: {longest}).{_joint_words(config)}
"""
        if found.epochs
        else ""
    )
    return f"""
{len(task.pictures):,} pictures ({found.collection.name}) with {len(task.tree.labels)} labels in
{len(task.tree.groups)} groups were read as squares of {config.size} pixels (kinlens
{__version__}).{left_out}{skipped} Before anything was trained they were split by iterative
stratification (Sechidis et al. 2011), {whole}: {len(split.train):,} to train,
{len(split.validation):,} to validate, {len(split.test):,} of {task.n_units(split.test):,}
{found.unit} to test.
{networks}
{_baseline_words(config)}Every model answered at the published
threshold of 0.5 and at thresholds that maximise each label's F1 on the validation part.
On the test part {_word(model)} reached a macro F1 of {_interval(row)}.
Precision is TP / (TP + FP). Prediction Advantage is 1 - R(f) / R(f0) with f0 the best constant
(El-Yaniv et al. 2017), and, as `source_advantage`, 1 - (1 - F1) / (1 - p). Intervals are 95%
percentile intervals of {config.replicates:,} bootstrap samples of {found.unit}, the same samples
for both models of a difference; the null shuffles label sets among test {found.unit}
({config.permutations:,} times). Labels held by fewer than 10 test {found.unit} are not decidable.
"""


def _joint_words(config: Any) -> str:
    if "joint" not in config.models:
        return ""
    losses = {
        "soft_margin": "",
        "balanced": "; its loss is balanced by how many pictures hold each label",
        "asymmetric": "; its loss is the asymmetric one (Ridnik et al. 2021)",
    }
    return (
        " The joint model has one trunk with three heads, labels, groups and labels given their "
        "group, and answers with the mean of the flat logit and that of P(group) "
        f"P(label | group); it starts at the flat model{losses[config.joint_loss]}."
    )


def _baseline_words(config: Any) -> str:
    words = {
        "constant": "the labels' shares in training",
        "logistic": "logistic regression on built-in descriptors",
    }
    beside = [words[name] for name in words if name in config.models]
    return f"Baselines: {' and '.join(beside)}. " if beside else ""


def _counted(n: int, word: str) -> str:
    return f"{n} {word}" if n == 1 else f"{n} {word}s"


def _interval(row: pd.Series) -> str:
    return f"{row['value']:.2f} ({row['low']:.2f} to {row['high']:.2f})"


def _value(row: pd.Series) -> str:
    return f"{row['value']:.2f}"


def _word(model: str) -> str:
    base = model.removesuffix("_tuned")
    words = {
        "flat": "the flat network",
        "joint": "the joint network",
        "longer": "the flat network trained longer",
        "larger": "the larger flat network",
        "pair": "a pair of flat networks",
        "hard_routed": "hard routing",
        "hard_routed_other": "hard routing with other",
        "logistic": "regression on descriptors",
        "constant": "a constant answer",
    }
    return words.get(base, base.replace("_", " "))
