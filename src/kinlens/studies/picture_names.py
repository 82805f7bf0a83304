"""From the models of runs to the names that the explorer shows for a new picture.

Each function takes a loaded model and returns what answers for one vector; places in the tree are
added in `questions`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import pandas as pd

from kinlens.explorer.asking import Name, PictureAnswer
from kinlens.studies.rare_model import RareModel
from kinlens.studies.taxa_model import NamingModel
from kinlens.typing import Float32Array

__all__ = ["Namer", "names_by_rare", "names_by_taxa"]

Namer: TypeAlias = Callable[[Float32Array], PictureAnswer]
"""Names a picture from its vector, of shape (d,)."""


def names_by_taxa(model: NamingModel) -> Namer:
    """Let the model of a run of `taxa` name pictures.

    Parameters
    ----------
    model : NamingModel
        Loaded.
    """

    def answer(vector: Float32Array) -> PictureAnswer:
        row = model.table(vector[None]).iloc[0]
        return PictureAnswer(
            **_named(row, model.classifier.lineages_.ranks),
            error_rate=model.safe.error_rate,
            vector=vector,
        )

    return answer


def names_by_rare(model: RareModel) -> Namer:
    """Let the model of a run of `rare` name pictures, those of species without pictures too.

    Parameters
    ----------
    model : RareModel
        Loaded.
    """

    def answer(vector: Float32Array) -> PictureAnswer:
        row = model.table(vector[None]).iloc[0]
        facts = {
            "specimens learned from": str(row["n_specimens"]),
            "known pictures as strange": f"{row['p_value']:.1%}",
            "if none of these, near": str(row["attaches_to"]),
        }
        if "view" in row.index and row["view"]:
            facts["view"] = str(row["view"])
        return PictureAnswer(
            **_named(row, model.ranks),
            error_rate=model.sets.error_rate,
            vector=vector,
            facts=facts,
        )

    return answer


def _named(row: pd.Series, ranks: tuple[str, ...]) -> dict[str, Any]:
    names = tuple(
        Name(rank, str(row[rank]), float(row[f"{rank}_probability"]))
        for rank in ranks
        if isinstance(row[rank], str)
    )
    return {
        "names": names,
        "safe": next((name for name in names if name.rank == row["safe_rank"]), None),
        "candidates": tuple(filter(None, str(row["candidates"]).split(";"))),
    }
