"""What each view of the page shows, as plain values: tree, genes, species, labels, findings.

A view whose run or data is not there is an empty one; the page then does not offer it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from kinlens.explorer.exhibit import Exhibit, ShownRun
from kinlens.records.slots import IMAGE, SPECIES

__all__ = ["facts_of", "findings_view", "genes_view", "labels_view", "species_view", "tree_view"]

# A gene table of this many rows is drawn and sorted without a pause.
_MOST_ROWS = 50_000
# The mean of so many pictures of a species tells what it looks like.
_MOST_AVERAGED = 500


def tree_view(exhibit: Exhibit) -> dict[str, Any]:
    """Return the tree, the tree of looks beside it, and a picture for each species.

    Parameters
    ----------
    exhibit : Exhibit
        What is shown.
    """
    tree = exhibit.tree
    if tree is None:
        return {}
    looks = exhibit.looks_tree
    shared = set(tree.tip_names) & set(looks.tip_names) if looks is not None else set()
    return {
        "tree": tree.to_dict(),
        "looks": looks.prune(sorted(shared)).to_dict() if looks and len(shared) > 2 else None,
        "rank": exhibit.tip_rank,
        "chart": exhibit.chart_of_tips,
        "pictures": _type_pictures(exhibit),
        "counts": _counts(exhibit),
    }


def _type_pictures(exhibit: Exhibit) -> dict[str, int]:
    """Choose for each tip the picture that looks most like the mean of its pictures."""
    number = exhibit.chart_of_tips
    chart = None if number is None else exhibit.charts[number]
    tips = chart.column(exhibit.tip_rank) if chart is not None else None
    if chart is None or tips is None or chart.kind != IMAGE.name:
        return {}
    chosen = {}
    order = np.argsort(tips.values, kind="stable")
    bounds = np.searchsorted(tips.values[order], np.arange(len(tips.categories) + 1))
    for code, name in enumerate(tips.categories):
        rows = order[bounds[code] : bounds[code + 1]][:_MOST_AVERAGED]
        if len(rows):
            vectors = chart.vectors[rows]
            apart = ((vectors - vectors.mean(axis=0)) ** 2).sum(axis=1)
            chosen[name] = int(rows[apart.argmin()])
    return chosen


def _counts(exhibit: Exhibit) -> dict[str, int]:
    """Count the things of each tip."""
    number = exhibit.chart_of_tips
    tips = None if number is None else exhibit.charts[number].column(exhibit.tip_rank)
    if tips is None:
        return {}
    known = tips.values[~np.isnan(tips.values)].astype(np.int64)
    numbers = np.bincount(known, minlength=len(tips.categories))
    return dict(zip(tips.categories, numbers.tolist(), strict=True))


def genes_view(exhibit: Exhibit) -> dict[str, Any]:
    """Return the scan of a run of `genes`, one row a gene, and where each gene's column is.

    Parameters
    ----------
    exhibit : Exhibit
        What is shown.
    """
    run = exhibit.run_of("genes")
    table = run.result.tables.get("genes") if run is not None else None
    if table is None or not len(table):
        return {}
    shown = table.head(_MOST_ROWS)
    genes = exhibit.genes
    number = {} if genes is None else {str(name): i for i, name in enumerate(genes.columns)}
    names = shown["gene"] if "gene" in shown.columns else shown.iloc[:, 0]
    return {
        "columns": {str(name): _values(shown[name]) for name in shown.columns},
        "name": str(names.name),
        "numbers": [number.get(str(name)) for name in names],
        "species": [] if genes is None else [str(name) for name in genes.index],
        "caption": run.result.table_captions.get("genes", "") if run is not None else "",
    }


def species_view(exhibit: Exhibit) -> dict[str, Any]:
    """Return what a run of `rare` says of each species.

    Parameters
    ----------
    exhibit : Exhibit
        What is shown.
    """
    run = exhibit.run_of("rare")
    table = run.result.tables.get("species") if run is not None else None
    if run is None or table is None or not len(table):
        return {}
    return {
        "columns": {str(name): _values(table[name]) for name in table.columns},
        "name": SPECIES.name if SPECIES.name in table.columns else str(table.columns[0]),
        "caption": run.result.table_captions.get("species", ""),
    }


def labels_view(exhibit: Exhibit) -> dict[str, Any]:
    """Return the labels that a run of `location` gives to pictures, with their probabilities.

    Parameters
    ----------
    exhibit : Exhibit
        What is shown.
    """
    run = exhibit.run_of("location")
    table = run.result.predictions if run is not None else None
    if table is None or IMAGE.name not in table.columns:
        return {}
    numeric = [str(name) for name in table.columns if pd.api.types.is_float_dtype(table[name])]
    return {
        "run": run.name if run is not None else "",
        "images": [str(image) for image in table[IMAGE.name]],
        "columns": {name: _values(table[name]) for name in numeric},
        "texts": {
            str(name): _values(table[name])
            for name in table.columns
            if str(name) not in numeric and name != IMAGE.name
        },
    }


def findings_view(run: ShownRun) -> dict[str, Any]:
    """Return what one run found, as its report says it.

    Parameters
    ----------
    run : ShownRun
        The run.
    """
    return {
        "figures": [
            {
                "title": figure.title,
                "caption": figure.caption,
                "kind": "svg" if figure.svg else "png",
            }
            for figure in run.result.figures
        ],
        "methods": run.result.methods,
    }


def facts_of(exhibit: Exhibit, number: int, row: int) -> list[list[Any]]:
    """Return what is known of one thing of a chart: its columns, and what was predicted.

    Parameters
    ----------
    exhibit : Exhibit
        What is shown.
    number : int
        The chart.
    row : int
        The thing.
    """
    chart = exhibit.charts[number]
    facts = [[column.name, column.words(row)] for column in chart.columns]
    told = {fact[0] for fact in facts}
    for name, value in exhibit.prediction_of(number, row).items():
        if name in told:
            # The chart's own column is the truth; what was answered goes by another name.
            if f"true_{name}" in exhibit.prediction_of(number, row):
                facts.append([f"answered_{name}", _value(value)])
        else:
            facts.append([name, _value(value)])
    return [fact for fact in facts if fact[1] is not None]


def _values(column: pd.Series) -> list[Any]:
    return [_value(value) for value in column]


def _value(value: Any) -> Any:
    if value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value)):
        return None
    return value.item() if isinstance(value, np.generic) else value
