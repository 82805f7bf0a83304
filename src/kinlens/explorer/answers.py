"""From what a run says of a new picture or sequence to what the page shows of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from kinlens.explorer.asking import PictureAnswer, SequenceHit
from kinlens.explorer.exhibit import Exhibit
from kinlens.explorer.queries import NEIGHBOURS
from kinlens.explorer.uploads import UploadError
from kinlens.records.slots import IMAGE, SPECIES

__all__ = ["STRANGE", "labelled_picture", "picture_answer", "sequence_answer"]

STRANGE = 0.02
"""When no more than this share of the known pictures is as far from all others, a new one is said
to be unlike anything here."""

_RELATIVES = 12
_EXAMPLES = 4


def picture_answer(answer: PictureAnswer, exhibit: Exhibit) -> dict[str, Any]:
    """Put an answer beside the pictures it is known by.

    Parameters
    ----------
    answer : PictureAnswer
        What the run says.
    exhibit : Exhibit
        What is shown.

    Returns
    -------
    dict
        Plain values: names, safe name, candidates, nearest pictures, how strange it is, where it
        falls on the chart and in the tree.
    """
    told: dict[str, Any] = {
        "names": [asdict(name) for name in answer.names],
        "safe": None if answer.safe is None else asdict(answer.safe),
        "candidates": list(answer.candidates),
        "error_rate": answer.error_rate,
        "facts": [[name, value] for name, value in answer.facts.items()],
        "place": None,
        "place_note": answer.place_note,
    }
    if answer.place is not None:
        told["place"] = asdict(answer.place)
        told["place"]["relatives"] = told["place"]["relatives"][:_RELATIVES]
    return told | _looks_of(answer, exhibit)


def _looks_of(answer: PictureAnswer, exhibit: Exhibit) -> dict[str, Any]:
    nothing: dict[str, Any] = {"chart": None, "nearest": [], "strangeness": None, "point": None}
    if answer.vector is None:
        return nothing
    shape = (IMAGE.name, len(answer.vector))
    alike = ((chart.kind, chart.vectors.shape[1]) == shape for chart in exhibit.charts)
    number = next((n for n, is_alike in enumerate(alike) if is_alike), None)
    if number is None:
        return nothing
    chart = exhibit.charts[number]
    likenesses = exhibit.likenesses(number)
    nearest = likenesses.nearest(answer.vector, NEIGHBOURS)
    share = likenesses.share_as_strange(answer.vector)
    # Among its nearest pictures, the nearer the heavier; a guide for the eye, not a projection.
    weight = np.maximum(nearest.similarity[:5], 1e-3) ** 4
    point = (chart.places[nearest.rows[:5]] * weight[:, None]).sum(axis=0) / weight.sum()
    return {
        "chart": number,
        "nearest": [
            {"row": int(row), "similarity": float(similarity)}
            for row, similarity in zip(nearest.rows, nearest.similarity, strict=True)
        ],
        "strangeness": {"share": share, "is_strange": share <= STRANGE},
        "point": point.tolist(),
    }


def sequence_answer(hits: Sequence[SequenceHit], exhibit: Exhibit) -> dict[str, Any]:
    """Put the nearest sequences beside pictures of their species.

    Parameters
    ----------
    hits : sequence of SequenceHit
        What was found.
    exhibit : Exhibit
        What is shown.
    """
    named = (chart.kind == IMAGE.name and chart.column(SPECIES.name) for chart in exhibit.charts)
    number = next((n for n, is_named in enumerate(named) if is_named), None)
    pictures: dict[str, list[int]] = {}
    column = exhibit.charts[number].column(SPECIES.name) if number is not None else None
    if column is not None:
        codes = {name: code for code, name in enumerate(column.categories)}
        for species in {hit.species for hit in hits} & codes.keys():
            rows = np.flatnonzero(column.values == codes[species])[:_EXAMPLES]
            pictures[species] = rows.tolist()
    return {"hits": [asdict(hit) for hit in hits], "chart": number, "pictures": pictures}


def labelled_picture(content: bytes, exhibit: Exhibit) -> tuple[str, str]:
    """Read which picture and label a question about attention means.

    Parameters
    ----------
    content : bytes
        JSON: ``chart`` and ``row`` of the picture, and ``label``.
    exhibit : Exhibit
        What is shown.

    Raises
    ------
    UploadError
        When there is no such picture, or the question is put otherwise.
    """
    try:
        asked = json.loads(content)
        number, row, label = asked["chart"], asked["row"], asked["label"]
        is_sound = type(number) is int and type(row) is int and type(label) is str
        if not (is_sound and number >= 0 and row >= 0):
            raise ValueError
        return exhibit.charts[number].ids[row], label
    except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise UploadError("There is no such picture.", status=404) from error
