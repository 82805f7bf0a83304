"""What every study returns: numbers, tables, figures and words, ready to write or to show.

Nothing here draws, reads or writes; `report` makes the figures and `io` the run folder.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from kinlens.errors import UsageError, did_you_mean
from kinlens.records.distances import DistanceMatrix
from kinlens.skipped import Skipped

__all__ = [
    "METRIC_COLUMNS",
    "FigureRecord",
    "Headline",
    "StudyResult",
    "metric_row",
    "metrics_frame",
]

METRIC_COLUMNS = (
    "study",
    "target",
    "model",
    "selected",
    "split",
    "metric",
    "value",
    "low",
    "high",
    "null_mean",
    "p_value",
    "n",
    "seed",
)
"""Columns of ``metrics.csv``: one number a row, empty where a column does not apply."""


@dataclass(frozen=True)
class FigureRecord:
    """One finished figure.

    Parameters
    ----------
    name : str
        File name without ending, lower case with underscores.
    title : str
        A short claim or subject.
    caption : str
        What is shown, with n and the split.
    png : bytes
        The picture at print resolution.
    svg : str
        The same picture as vectors; empty where points are too many for that.
    """

    name: str
    title: str
    caption: str
    png: bytes
    svg: str = ""


@dataclass(frozen=True)
class Headline:
    """One sentence that a reader takes away.

    Parameters
    ----------
    sentence : str
        With the number in it and what it is compared with.
    verdict : {"good", "plain", "bad"}
        How the page colours it.
    """

    sentence: str
    verdict: str = "plain"


@dataclass(frozen=True, eq=False)
class StudyResult:
    """Everything a study found.

    Parameters
    ----------
    study : str
        Name of the study, as in ``kinlens run``.
    title : str
        What the page is called.
    headlines : tuple of Headline
        The sentences on top of the page, most important first.
    metrics : pandas.DataFrame
        Columns `METRIC_COLUMNS`, one number a row.
    methods : str
        A paragraph for the methods section, Markdown, with numbers and citations.
    predictions : pandas.DataFrame, optional
        One row a picture (or species, or gene): truth, answers, confidence.
    splits : pandas.DataFrame, optional
        Columns ``image`` (or ``id``), ``split``, ``part``.
    tables : mapping of str to pandas.DataFrame
        Further tables, written as ``NAME.csv`` and shown on the page.
    table_captions : mapping of str to str
        A sentence for each of `tables`.
    figures : tuple of FigureRecord
        In the order in which they are read.
    embedding : anndata.AnnData, optional
        Vectors with their slots as in `kinlens.records.slots`.
    distances : DistanceMatrix, optional
        The study's main matrix.
    model : mapping, optional
        What ``predict`` needs: ``{"config": what JSON knows, "arrays": {name: array}}``.
    thumbnails : mapping of str to bytes
        Small JPEG pictures by image path, for the page.
    skipped : tuple of Skipped
        Records that the study had to leave out.
    """

    study: str
    title: str
    headlines: tuple[Headline, ...]
    metrics: pd.DataFrame
    methods: str
    predictions: pd.DataFrame | None = None
    splits: pd.DataFrame | None = None
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    table_captions: Mapping[str, str] = field(default_factory=dict)
    figures: tuple[FigureRecord, ...] = ()
    embedding: Any = None
    distances: DistanceMatrix | None = None
    model: Mapping[str, Any] | None = None
    thumbnails: Mapping[str, bytes] = field(default_factory=dict)
    skipped: tuple[Skipped, ...] = ()

    def __repr__(self) -> str:
        return (
            f"StudyResult({self.study!r}, {len(self.metrics)} metrics, "
            f"{len(self.figures)} figures, {len(self.tables)} tables)"
        )

    def value(self, **where: object) -> float:
        """Return the one metric whose columns equal `where`.

        Raises
        ------
        UsageError
            When no row or more than one row fits.
        """
        found = self.metrics
        for column, wanted in where.items():
            if column not in METRIC_COLUMNS:
                raise UsageError(
                    f"no metrics column {column!r}. {did_you_mean(column, METRIC_COLUMNS)}"
                )
            found = found[found[column] == wanted]
        if len(found) != 1:
            raise UsageError(f"{len(found)} metrics fit {where}; one was wanted.")
        return float(found["value"].iloc[0])


def metric_row(
    study: str,
    *,
    target: str,
    model: str,
    metric: str,
    value: float,
    split: str = "",
    selected: bool = False,
    low: float | None = None,
    high: float | None = None,
    null_mean: float | None = None,
    p_value: float | None = None,
    n: int | None = None,
    seed: int | None = None,
) -> dict[str, object]:
    """Build one row of ``metrics.csv``.

    Parameters
    ----------
    study, target, model, metric, split : str
        Names as documented in the run folder's table; lower case.
    value : float
        The number.
    selected : bool
        Whether inner validation chose this model.
    low, high : float, optional
        Ends of the 95% interval.
    null_mean, p_value : float, optional
        Mean of the score under the null, and the probability of a score as good.
    n : int, optional
        Number of independent units (specimens, species or clades), not pictures or pairs.
    seed : int, optional
        Seed of the run.

    Returns
    -------
    dict
        Keys `METRIC_COLUMNS`.
    """
    return {
        "study": study,
        "target": target,
        "model": model,
        "selected": int(selected),
        "split": split,
        "metric": metric,
        "value": value,
        "low": low,
        "high": high,
        "null_mean": null_mean,
        "p_value": p_value,
        "n": n,
        "seed": seed,
    }


def metrics_frame(rows: Iterable[Mapping[str, object]]) -> pd.DataFrame:
    """Gather rows of `metric_row` into a frame with stable columns and kinds."""
    frame = pd.DataFrame(list(rows), columns=list(METRIC_COLUMNS))
    for column in ("value", "low", "high", "null_mean", "p_value"):
        frame[column] = frame[column].astype("float64")
    for column in ("n", "seed"):
        frame[column] = frame[column].astype("Int64")
    frame["selected"] = frame["selected"].astype("int64")
    return frame
