"""How every figure looks, and how a drawn figure becomes a `FigureRecord`.

The SVG takes the page's text colour, so that one figure serves light and dark pages; the PNG is
for papers and stands on white. What is drawn is in `plots` and `pictures`.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from kinlens.records.result import FigureRecord

__all__ = ["INK", "MUTED", "PALETTE", "SEQUENTIAL", "finish", "themed_figure"]

INK = "#1c2127"
"""Colour of text and axes; replaced by the page's own text colour in the SVG."""
MUTED = "#8a929c"
"""Colour of baselines, nulls and grid lines; readable on light and on dark."""
# Okabe and Ito (2008), reordered so that neighbours differ in lightness, plus two for ten classes.
PALETTE = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#CC79A7",
    "#56B4E9",
    "#D55E00",
    "#7B5EA7",
    "#B8A200",
    "#8C564B",
    "#6C7A89",
)
SEQUENTIAL = "cividis"

_STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9.0,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.axisbelow": True,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "legend.frameon": False,
    "legend.fontsize": 8.0,
    "grid.color": MUTED,
    "grid.alpha": 0.25,
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.6,
    "figure.constrained_layout.use": True,
    "svg.fonttype": "none",
}


@contextmanager
def themed_figure(width: float = 7.0, height: float = 4.2) -> Iterator[Figure]:
    """Open a figure of `width` by `height` inches in the common style; nothing global changes."""
    with mpl.rc_context(_STYLE):
        yield Figure(figsize=(width, height))


def finish(figure: Figure, *, name: str, title: str, caption: str, dpi: int = 200) -> FigureRecord:
    """Turn a drawn figure into bytes.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Drawn inside `themed_figure`.
    name, title, caption : str
        As in `FigureRecord`.
    dpi : int
        Resolution of the PNG in dots per inch.

    Returns
    -------
    FigureRecord
        The same figure gives the same bytes.
    """
    png, svg = io.BytesIO(), io.StringIO()
    # A salt of the figure's own keeps clip-path identifiers apart when figures share a page.
    with mpl.rc_context(_STYLE | {"svg.hashsalt": name}):
        figure.savefig(png, format="png", dpi=dpi, facecolor="white", metadata={"Software": None})
        metadata: dict[str, Any] = {"Date": None, "Creator": None, "Format": None, "Type": None}
        figure.savefig(svg, format="svg", dpi=150, transparent=True, metadata=metadata)
    return FigureRecord(
        name=name, title=title, caption=caption, png=png.getvalue(), svg=_inline(svg.getvalue())
    )


def _inline(svg: str) -> str:
    """Cut the XML prologue, let the page decide colour and width, drop names nothing refers to."""
    body = svg[svg.index("<svg") :].replace(INK, "currentColor")
    body = re.sub(r'<g id="[^"]*"', "<g", body)
    opening, rest = body.split(">", 1)
    return re.sub(r' (width|height)="[^"]*"', "", opening) + ">" + rest
