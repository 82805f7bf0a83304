"""One self-contained HTML page from one or several study results.

The page has no outside references: style, script, figures and thumbnails are inside it.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import ChainableUndefined, Environment, PackageLoader
from markupsafe import Markup, escape

from kinlens import __version__
from kinlens.records.result import FigureRecord, StudyResult

__all__ = ["render_page"]

_LONGEST_TABLE = 400
# An SVG with more text than this draws slowly in a browser; its PNG is shown instead.
_LARGEST_SVG = 1_500_000


def render_page(
    results: Sequence[StudyResult],
    *,
    title: str,
    provenance: Sequence[Mapping[str, Any]] = (),
) -> str:
    """Render results as one page.

    Parameters
    ----------
    results : sequence of StudyResult
        One section each, in the order given.
    title : str
        Heading of the page.
    provenance : sequence of mapping
        ``run.json`` of each result, for the foot of the page.

    Returns
    -------
    str
        A complete HTML document that needs no other file and no network.
    """
    page = (
        _environment()
        .get_template("page.html")
        .render(
            title=title,
            results=[_section(result, f"study-{n}") for n, result in enumerate(results, start=1)],
            provenance=[dict(entry) for entry in provenance],
            version=__version__,
            written=_when(provenance),
        )
    )
    return re.sub(r"\n\s*\n+", "\n", page)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("kinlens.report"),
        autoescape=True,
        undefined=ChainableUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["prose"] = _prose
    return environment


def _section(result: StudyResult, name: str) -> dict[str, Any]:
    """Gather what the template shows; every id inside begins with `name`, so that none repeats."""
    tables = {"metrics": result.metrics.dropna(axis=1, how="all"), **result.tables}
    captions = {
        "metrics": "Every number of this study, as in metrics.csv.",
        **result.table_captions,
    }
    return {
        "name": name,
        "title": result.title,
        "headlines": result.headlines,
        "figures": [
            {
                "name": f"{name}-{figure.name}",
                "title": figure.title,
                "caption": figure.caption,
                "markup": _figure_markup(figure, prefix=f"{name}-{figure.name}-"),
            }
            for figure in result.figures
        ],
        "tables": [
            {"name": name, "caption": captions.get(name, ""), **_table(frame, result.thumbnails)}
            for name, frame in tables.items()
        ],
        "methods": result.methods,
    }


def _table(frame: pd.DataFrame, thumbnails: Mapping[str, bytes]) -> dict[str, Any]:
    shown = frame.head(_LONGEST_TABLE)
    columns = [str(column) for column in shown.columns]
    numeric = [pd.api.types.is_numeric_dtype(shown[column]) for column in shown.columns]
    rows = [
        [_cell(value, thumbnails) for value in row]
        for row in shown.itertuples(index=False, name=None)
    ]
    # What is given only to be mistrusted is struck through.
    struck = [column.startswith("naive_") for column in columns]
    return {
        "columns": list(zip(columns, numeric, struck, strict=True)),
        "rows": rows,
        "length": len(frame),
    }


def _cell(value: object, thumbnails: Mapping[str, bytes]) -> dict[str, object]:
    """Give the text of a cell and the value by which it sorts."""
    if value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value)):
        return {"text": "", "sort": ""}
    if isinstance(value, float | np.floating):
        return {"text": _number(float(value)), "sort": repr(float(value))}
    if isinstance(value, str) and value in thumbnails:
        image = Markup('<img src="data:image/jpeg;base64,{}" alt="{}" loading="lazy">').format(
            Markup(_base64(thumbnails[value])),
            value,
        )
        return {"text": image, "sort": value}
    return {"text": str(value), "sort": str(value)}


def _number(value: float) -> str:
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        return f"{value:.4g}"
    return f"{value:.2e}"


def _figure_markup(figure: FigureRecord, *, prefix: str) -> Markup:
    if figure.svg and len(figure.svg) <= _LARGEST_SVG:
        label = escape(f"{figure.title}. {figure.caption}")
        width = float(figure.svg.split('viewBox="', 1)[1].split('"', 1)[0].split()[2])
        # Points times this give text of about the page's own size on a wide screen.
        style = f"max-width: {1.5 * width:.0f}px"
        body = _with_prefixed_ids(figure.svg, prefix).replace(
            "<svg ", f'<svg role="img" aria-label="{label}" style="{style}" ', 1
        )
        return Markup(body)
    return Markup('<img src="data:image/png;base64,{}" alt="{}">').format(
        Markup(_base64(figure.png)),
        figure.caption,
    )


def _with_prefixed_ids(svg: str, prefix: str) -> str:
    """Rename the identifiers of a figure, so that two runs of one study can share a page."""
    svg = re.sub(r'(?<=\bid=")', prefix, svg)
    svg = re.sub(r"(?<=url\(#)", prefix, svg)
    return re.sub(r'(?<=href="#)', prefix, svg)


def _prose(text: str) -> Markup:
    """Set the little Markdown that methods paragraphs use: paragraphs, emphasis, code."""
    paragraphs = []
    for block in text.strip().split("\n\n"):
        line = str(escape(" ".join(block.split())))
        if line.startswith("#"):
            paragraphs.append(f"<h4>{line.lstrip('# ')}</h4>")
            continue
        line = re.sub(r"`([^`]+)`", r"<code>\1</code>", line)
        line = re.sub(r"\*([^*]+)\*", r"<em>\1</em>", line)
        paragraphs.append(f"<p>{line}</p>")
    return Markup("\n".join(paragraphs))


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def _when(provenance: Sequence[Mapping[str, Any]]) -> str:
    times = [str(entry["ended"]) for entry in provenance if entry.get("ended")]
    if not times:
        return ""
    return datetime.fromisoformat(max(times)).strftime("%d %B %Y, %H:%M UTC")
