"""The published layouts that can be converted, by the name that the command knows them by.

A converter is imported when it is asked for, so that listing them costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from kinlens.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from kinlens.io.convert.dataset_folder import ConversionReport

__all__ = ["LAYOUTS", "Layout", "find_layout"]


@dataclass(frozen=True)
class Layout:
    """A published layout and what converts it.

    Parameters
    ----------
    name : str
        What the command calls it.
    description : str
        One line on what it holds.
    extra : tuple of str
        Keyword arguments of `convert` besides ``options``.
    other_names : tuple of str
        What else it answers to.
    """

    name: str
    description: str
    extra: tuple[str, ...] = ()
    other_names: tuple[str, ...] = ()

    @property
    def convert(self) -> Callable[..., ConversionReport]:
        """What converts it: ``convert(source, dataset, *, options=None, ...)``."""
        module = import_module(f"kinlens.io.convert.{self.name.replace('-', '_')}")
        converter: Callable[..., ConversionReport] = module.convert
        return converter


LAYOUTS = (
    Layout("class-folders", "one folder of pictures per class", ("ranks",)),
    Layout(
        "darwin-core",
        "a GBIF download or another Darwin Core archive, with its pictures",
        ("media",),
    ),
    Layout("endless-forams", "Endless Forams, planktonic foraminifera"),
    Layout("bimages", "BIMAGES, bivalves (meta.tsv)"),
    Layout(
        "hpa-kaggle",
        "the Human Protein Atlas competition on Kaggle (train.csv, four channels)",
    ),
    Layout(
        "protein-fasta",
        "protein FASTA files of NCBI or UniProt, one per species (or ncbi-proteins)",
        ("synonyms", "identity"),
        other_names=("ncbi-proteins",),
    ),
)


def find_layout(name: str) -> Layout:
    """Return the layout called `name`.

    Raises
    ------
    UsageError
        When there is none, with the nearest one.

    Examples
    --------
    >>> find_layout("bimages").description
    'BIMAGES, bivalves (meta.tsv)'
    """
    for layout in LAYOUTS:
        if name in (layout.name, *layout.other_names):
            return layout
    raise UsageError(
        f"unknown layout {name!r}. {did_you_mean(name, [layout.name for layout in LAYOUTS])}"
    )
