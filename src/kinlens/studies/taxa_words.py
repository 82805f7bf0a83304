"""The words of the study `taxa`: headlines for the page, a paragraph for the paper.

Everywhere, `rank`, `model` and `metric` name one row of ``metrics.csv``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from kinlens import __version__
from kinlens.evaluate.hierarchy import SafetyReport
from kinlens.records.collection import Collection
from kinlens.records.result import Headline
from kinlens.studies.taxa_task import Task

__all__ = ["TaxaFindings", "headlines_of", "methods_of"]


# With fewer things to resample than this a bootstrap's 95% intervals cover some 80 to 90%.
_FEW = 20


@dataclass(frozen=True, eq=False)
class TaxaFindings:
    """All that the words are made from.

    Parameters
    ----------
    collection : Collection
        The dataset.
    task : Task
        Pictures, names and split.
    metrics : pandas.DataFrame
        As in ``metrics.csv``.
    safety : SafetyReport
        How deep names go, and how often they are wrong.
    error_range : (float, float)
        Where the error seen should lie when the promise holds, for so many specimens.
    mean_candidates : float
        How many species are candidates.
    error_rate : float
        The error that was allowed.
    replicates, permutations : int
        Behind intervals and nulls.
    """

    collection: Collection
    task: Task
    metrics: pd.DataFrame
    safety: SafetyReport
    error_range: tuple[float, float]
    mean_candidates: float
    error_rate: float
    replicates: int
    permutations: int

    def row(self, rank: str, model: str, metric: str) -> pd.Series:
        """Return the row of one number, or an empty one."""
        m = self.metrics
        found = m[(m["target"] == rank) & (m["model"] == model) & (m["metric"] == metric)]
        return found.iloc[0] if len(found) else pd.Series(dtype=object)

    def chosen_model(self, rank: str) -> str:
        """Return the model that inner validation chose for a rank; "" when none was."""
        m = self.metrics
        found = m[(m["target"] == rank) & (m["selected"] == 1)]
        return str(found["model"].iloc[0]) if len(found) else ""


def headlines_of(found: TaxaFindings) -> tuple[Headline, ...]:
    """Word what a reader takes away, each number beside what it is compared with."""
    headlines = []
    for rank in found.task.ranks:
        model = found.chosen_model(rank)
        if not model:
            continue
        row = found.row(rank, model, "balanced_accuracy")
        accuracy = found.row(rank, model, "accuracy")
        majority = found.row(rank, "majority", "accuracy")
        above_null = float(row["p_value"]) <= 0.05
        compared = "" if majority.empty else f" Always the commonest: {majority['value']:.1%}."
        headlines.append(
            Headline(
                f"{rank.capitalize()}: {_interval(accuracy)} of the pictures of "
                f"{int(row['n']):,} {found.task.unit} never seen are named right by "
                f"{_word(model)}; balanced over taxa {_interval(row)}. "
                f"Names shuffled among {found.task.unit}: "
                f"{row['null_mean']:.1%} balanced (p = {row['p_value']:.3g}).{compared}",
                "good" if above_null else "bad",
            )
        )
    safety = found.safety
    least, most = found.error_range
    parts = [
        f"{share:.0%} at {'no rank' if rank == 'none' else rank}"
        for rank, share in zip(safety.by_rank["rank"], safety.by_rank["share"], strict=True)
        if share > 0
    ]
    headlines.append(
        Headline(
            f"Names that stop at the deepest rank safe at {found.error_rate:.0%} error are wrong "
            f"in {safety.error_rate:.1%} ({safety.low:.1%} to {safety.high:.1%}); a rule that "
            f"keeps its promise shows {least:.1%} to {most:.1%} on so many {found.task.unit}. "
            f"Answered: {', '.join(parts)}.",
            "good" if safety.error_rate <= most else "bad",
        )
        if np.isfinite(safety.error_rate)
        else Headline(f"No name is safe at {found.error_rate:.0%} error: nothing was answered.")
    )
    headlines.append(
        Headline(
            f"Sets of candidates ({found.mean_candidates:.1f} species on average) hold the true "
            f"species of {_interval(found.row('species', 'hierarchical', 'set_coverage'))} of "
            "test pictures; "
            + (
                "no promise holds for species that were not learned, as none of these were."
                if found.task.split.name == "clade"
                else f"{1 - found.error_rate:.0%} was promised."
            )
        )
    )
    n_test = len(np.unique(found.task.units[found.task.split.test]))
    if n_test < _FEW:
        headlines.append(
            Headline(
                f"Only {n_test} test {found.task.unit}: intervals from so few are narrower than "
                "they should be, and hold the truth less often than they say."
            )
        )
    if not found.task.leaks.is_clean:
        headlines.append(Headline(f"Leaks: {found.task.leaks}.", "bad"))
    return tuple(headlines)


def methods_of(found: TaxaFindings) -> str:
    """Write the methods paragraph."""
    task = found.task
    lowest = task.ranks[0]
    split = task.split
    n_test, n_dev = task.n_specimens(split.test), task.n_specimens(split.development)
    model = found.chosen_model(lowest)
    row = found.row(lowest, model, "accuracy") if model else pd.Series(dtype=object)
    result = ""
    if not row.empty:
        result = (
            f" On the test part {_word(model)}, chosen for {lowest} by balanced accuracy on the "
            f"validation part, named {_interval(row)} of pictures right."
        )
    skipped = f" {len(task.skipped):,} pictures could not be read." if task.skipped else ""
    return f"""
{task.table.n_images:,} pictures of {len(set(task.table.specimen)):,} specimens of
{task.names["species"].nunique():,} species ({found.collection.name}) were turned into vectors of
length {task.vectors.shape[1]:,} (kinlens {__version__}, `{task.embedder}`,
fingerprint `{task.fingerprint}`).{skipped} Before anything was fitted,
{_split_words(task)}{_duplicate_words(task)}
Test part: {len(split.test):,} pictures of {n_test:,} specimens; training and validation part:
{len(split.development):,} pictures of {n_dev:,} specimens.

{_compared_words(found)} New pictures are named by a hierarchical
classifier: one discriminant a rank, taxon means pulled towards their relatives', multiplied into
one distribution over species so that names agree from rank to rank.{result}

Intervals are 95% percentile intervals of {found.replicates:,} bootstrap samples of {task.unit};
those of means over taxa and of the calibration error are moved back by the mean shift that
resampling causes. The null shuffles names among test {task.unit}
({found.permutations:,} times; p counts the data themselves). Probabilities of the hierarchical
classifier were calibrated, and the thresholds of safe ranks (conformal risk control at
{found.error_rate:.0%} error, Angelopoulos et al. 2024) and of candidate sets (conformal
prediction, Sadinle et al. 2019) were set, on training specimens held out in folds; their guarantee
holds for new specimens drawn like the training specimens, of species that were in training.
Observed error of safe names: {found.safety.error_rate:.1%}
({found.safety.low:.1%} to {found.safety.high:.1%}); {found.error_range[0]:.1%} to
{found.error_range[1]:.1%} was expected.
"""


def _split_words(task: Task) -> str:
    words = {
        "specimen": "whole specimens were drawn for testing and validation within each species; "
        "a species with one specimen trains only.",
        "random": "pictures were drawn at random, so that pictures of one specimen may lie on both "
        "sides: these scores are too good.",
        "clade": f"whole {task.split.grouped_by} were held out.",
    }
    return words.get(task.split.name, f"the split '{task.split.name}' was made.")


def _compared_words(found: TaxaFindings) -> str:
    """Name the models that were compared, and none that was not."""
    m = found.metrics
    names = dict.fromkeys(m.loc[m["metric"] == "accuracy", "model"])
    words = {
        "majority": "always the commonest taxon",
        "nearest_centroid": "the nearest taxon mean",
        "random_forest": "a random forest of 100 trees on classes filled up with noisy copies "
        "(after Hofmann et al. 2024)",
        "decision_tree": "a decision tree",
        "knn": "k nearest neighbours",
        "svm": "a support vector machine",
        "logistic": "logistic regression",
        "mlp": "a multilayer perceptron",
        "lda": "linear discriminants with shrunken covariance (Ledoit & Wolf 2004)",
        "hierarchical": "the hierarchical classifier below",
        "fine_tuned": "a network trained further on the pictures themselves",
    }
    listed = ", ".join(words.get(str(name), str(name)) for name in names)
    return f"Compared for each rank: {listed}."


def _duplicate_words(task: Task) -> str:
    if not task.n_duplicates or task.split.name == "random":
        return ""
    return f" {task.n_duplicates:,} pictures that look the same as another were kept on one side."


def _interval(row: pd.Series) -> str:
    return f"{row['value']:.1%} ({row['low']:.1%} to {row['high']:.1%})"


def _word(model: str) -> str:
    words = {
        "lda": "linear discriminants",
        "svm": "a support vector machine",
        "mlp": "a multilayer perceptron",
        "knn": "nearest neighbours",
        "logistic": "logistic regression",
        "hierarchical": "the hierarchical classifier",
        "decision_tree": "a decision tree",
        "random_forest": "the random forest",
    }
    return words.get(model, model.replace("_", " "))
