"""Draw `tour.jpg`, a figure of each study of a tour: `python docs/images/make_tour.py demo`."""

from __future__ import annotations

import sys
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.image import imread

PANELS = (
    ("taxa", "scores_balanced_accuracy", "taxa: which names do pictures tell?"),
    ("kinship", "correlations", "kinship: does looking alike mean being related?"),
    ("seqdist", "predicted", "seqdist: do vectors stand for edit distance?"),
    ("genes", "volcano", "genes: which ones can be told from looks?"),
    ("location", "scores_f1", "location: where in a cell is a protein?"),
    ("rare", "shots", "rare: what do kin say of species without pictures?"),
)
here = Path(__file__)
demo = Path(sys.argv[1])
figure = Figure(figsize=(11, 11.6), layout="constrained")
shells, *panels = figure.subplot_mosaic(
    [["shells", "shells"], ["0", "1"], ["2", "3"], ["4", "5"]], height_ratios=[0.95, 1, 1, 1]
).values()
shells.imshow(imread(here.with_name("shells.png"))[:192])
shells.set_title("A simulated clade, in the order of its tree", loc="left", weight="bold")
for panel, (study, name, title) in zip(panels, PANELS, strict=True):
    panel.imshow(imread(demo / study / "figures" / f"{name}.png"))
    panel.set_title(title, loc="left", weight="bold")
for panel in (shells, *panels):
    panel.set_axis_off()
options = {"quality": 88, "subsampling": 0, "optimize": True}
figure.savefig(here.with_name("tour.jpg"), dpi=130, pil_kwargs=options)
