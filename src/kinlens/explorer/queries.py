"""From a path to what lies there: every question of the page that has one fixed answer.

Paths are words and whole numbers that index what was read at the start; none of them is ever a
path on disk. The server answers them one by one, the static export writes all of them down.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from kinlens import __version__
from kinlens.explorer import views
from kinlens.explorer.exhibit import Exhibit
from kinlens.explorer.pictures import SIZES, PictureShelf, tint_of

__all__ = ["NEIGHBOURS", "Payload", "Queries", "to_json"]

NEIGHBOURS = 12
"""How many similar things are told of each thing."""

# Of larger charts an export holds points and columns, and no word about each point.
_MOST_THINGS = 40_000
_NUMBER = r"(0|[1-9][0-9]{0,8})"


@dataclass(frozen=True)
class Payload:
    """What lies at a path.

    Parameters
    ----------
    content : bytes
        The answer.
    media_type : str
        What kind it is.
    """

    content: bytes
    media_type: str


class Queries:
    """Answers paths about one exhibit.

    Parameters
    ----------
    exhibit : Exhibit
        What is shown.
    shelf : PictureShelf
        Its pictures.
    can_ask : mapping of str to bool
        Which questions can be asked, from `Answerers.offered`.
    """

    def __init__(self, exhibit: Exhibit, shelf: PictureShelf, can_ask: dict[str, bool]) -> None:
        self.exhibit = exhibit
        self._shelf = shelf
        self._can_ask = can_ask
        for chart in exhibit.charts:
            _ = chart.tiles  # cut now, or the first visitor waits for it
        self._answers: tuple[tuple[re.Pattern[str], Callable[..., Payload | None]], ...] = tuple(
            (re.compile(pattern), answer)
            for pattern, answer in (
                ("exhibit.json", self._exhibit_json),
                ("tree.json", self._tree),
                ("genes.json", self._genes),
                ("species.json", self._species),
                ("labels.json", self._labels),
                (f"gene/{_NUMBER}.bin", self._gene),
                (f"run/{_NUMBER}/findings.json", self._findings),
                (f"run/{_NUMBER}/figure/{_NUMBER}.(svg|png)", self._figure),
                (f"chart/{_NUMBER}/positions.bin", self._positions),
                (f"chart/{_NUMBER}/ids.json", self._ids),
                (f"chart/{_NUMBER}/column/{_NUMBER}.bin", self._column),
                (f"chart/{_NUMBER}/tile/{_NUMBER}-{_NUMBER}-{_NUMBER}.bin", self._tile),
                (f"chart/{_NUMBER}/thing/{_NUMBER}.json", self._thing),
                (f"chart/{_NUMBER}/({'|'.join(SIZES)})/{_NUMBER}.jpg", self._picture),
                (f"chart/{_NUMBER}/channel/{_NUMBER}/{_NUMBER}.jpg", self._channel),
            )
        )

    def answer(self, path: str) -> Payload | None:
        """Return what lies at `path`, None when nothing does."""
        for pattern, answer in self._answers:
            found = pattern.fullmatch(path)
            if found is not None:
                try:
                    return answer(*found.groups())
                except IndexError:
                    return None
        return None

    def every_path(self, *, most_pictures: int) -> Iterator[str]:
        """List all paths that have an answer, for the static export.

        Parameters
        ----------
        most_pictures : int
            With more things than this on a chart, their larger pictures are left out.
        """
        exhibit = self.exhibit
        yield from ("exhibit.json", "tree.json", "genes.json", "species.json", "labels.json")
        if exhibit.genes is not None:
            yield from (f"gene/{number}.bin" for number in range(exhibit.genes.shape[1]))
        for number, run in enumerate(exhibit.runs):
            yield f"run/{number}/findings.json"
            for place, figure in enumerate(run.result.figures):
                yield f"run/{number}/figure/{place}.{'svg' if figure.svg else 'png'}"
        for number, chart in enumerate(exhibit.charts):
            yield f"chart/{number}/positions.bin"
            yield f"chart/{number}/ids.json"
            yield from (f"chart/{number}/column/{c}.bin" for c in range(len(chart.columns)))
            for level, column, row in chart.tiles.rows:
                yield f"chart/{number}/tile/{level}-{column}-{row}.bin"
            if len(chart) > _MOST_THINGS:
                continue
            yield from (f"chart/{number}/thing/{row}.json" for row in range(len(chart)))
            if self._shelf.is_pictured(number):
                sizes = ("small", "medium") if len(chart) <= most_pictures else ("small",)
                for size in sizes:
                    yield from (f"chart/{number}/{size}/{row}.jpg" for row in range(len(chart)))

    # Words about the whole -------------------------------------------------------------------

    def _exhibit_json(self) -> Payload:
        exhibit = self.exhibit
        return _json(
            {
                "program": f"kinlens {__version__}",
                "title": exhibit.title,
                "can_ask": self._can_ask,
                "runs": [
                    {
                        "name": run.name,
                        "study": run.result.study,
                        "title": run.result.title,
                        "truth": run.truth,
                        "headlines": [
                            {"sentence": line.sentence, "verdict": line.verdict}
                            for line in run.result.headlines
                        ],
                    }
                    for run in exhibit.runs
                ],
                "charts": [
                    {
                        "name": chart.name,
                        "kind": chart.kind,
                        "placed_by": chart.placed_by,
                        "n": len(chart),
                        "has_pictures": self._shelf.is_pictured(number),
                        "channels": self._channels(number),
                        "tiles": [[*name, len(rows)] for name, rows in chart.tiles.rows.items()],
                        "columns": [
                            {
                                "name": column.name,
                                "kind": column.kind,
                                "categories": list(column.categories),
                            }
                            for column in chart.columns
                        ],
                    }
                    for number, chart in enumerate(exhibit.charts)
                ],
                "has_tree": exhibit.tree is not None,
            }
        )

    def _channels(self, number: int) -> list[dict[str, Any]]:
        dataset = self.exhibit.dataset_of_chart(number)
        if dataset is None or not self._shelf.is_pictured(number):
            return []
        return [
            {"name": name, "tint": tint_of(name, place)}
            for place, name in enumerate(dataset.channels)
        ]

    def _tree(self) -> Payload:
        return _json(views.tree_view(self.exhibit))

    def _genes(self) -> Payload:
        return _json(views.genes_view(self.exhibit))

    def _species(self) -> Payload:
        return _json(views.species_view(self.exhibit))

    def _labels(self) -> Payload:
        return _json(views.labels_view(self.exhibit))

    def _gene(self, number: str) -> Payload | None:
        genes = self.exhibit.genes
        if genes is None:
            return None
        values = genes.iloc[:, int(number)].to_numpy(dtype=np.float32, na_value=np.nan)
        return _binary(values)

    def _findings(self, number: str) -> Payload:
        return _json(views.findings_view(self.exhibit.runs[int(number)]))

    def _figure(self, number: str, place: str, kind: str) -> Payload | None:
        figure = self.exhibit.runs[int(number)].result.figures[int(place)]
        if kind == "png":
            return Payload(figure.png, "image/png")
        return Payload(figure.svg.encode(), "image/svg+xml") if figure.svg else None

    # Charts ----------------------------------------------------------------------------------

    def _positions(self, number: str) -> Payload:
        return _binary(self.exhibit.charts[int(number)].places)

    def _ids(self, number: str) -> Payload:
        return _json(self.exhibit.charts[int(number)].ids)

    def _column(self, number: str, column: str) -> Payload:
        return _binary(self.exhibit.charts[int(number)].columns[int(column)].values)

    def _tile(self, number: str, level: str, column: str, row: str) -> Payload | None:
        """Return the things of a tile: their numbers, then their places."""
        chart = self.exhibit.charts[int(number)]
        rows = chart.tiles.rows.get((int(level), int(column), int(row)))
        if rows is None:
            return None
        content = rows.astype("<u4").tobytes() + chart.places[rows].astype("<f4").tobytes()
        return Payload(content, "application/octet-stream")

    def _thing(self, number: str, row: str) -> Payload | None:
        chart = self.exhibit.charts[int(number)]
        place = int(row)
        if place >= len(chart):
            return None
        nearest = self.exhibit.likenesses(int(number)).nearest(
            chart.vectors[place], NEIGHBOURS, but=place
        )
        return _json(
            {
                "row": place,
                "id": chart.ids[place],
                "facts": views.facts_of(self.exhibit, int(number), place),
                "nearest": [
                    {"row": int(near), "similarity": float(similarity)}
                    for near, similarity in zip(nearest.rows, nearest.similarity, strict=True)
                ],
            }
        )

    # Pictures --------------------------------------------------------------------------------

    def _picture(self, number: str, size: str, row: str) -> Payload | None:
        chart, place = int(number), int(row)
        if place >= len(self.exhibit.charts[chart]) or not self._shelf.is_pictured(chart):
            return None
        content = self._shelf.jpeg(chart, place, size)
        return None if content is None else Payload(content, "image/jpeg")

    def _channel(self, number: str, channel: str, row: str) -> Payload | None:
        chart, place = int(number), int(row)
        if place >= len(self.exhibit.charts[chart]) or not self._shelf.is_pictured(chart):
            return None
        content = self._shelf.channel(chart, place, int(channel))
        return None if content is None else Payload(content, "image/jpeg")


def to_json(value: Any) -> bytes:
    """Write plain values as JSON; what is not a finite number becomes null.

    Examples
    --------
    >>> to_json({"p": float("nan"), "n": np.int64(3)})
    b'{"p":null,"n":3}'
    """
    return json.dumps(_plain(value), separators=(",", ":"), ensure_ascii=False).encode()


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _json(value: Any) -> Payload:
    return Payload(to_json(value), "application/json")


def _binary(values: Any) -> Payload:
    return Payload(np.ascontiguousarray(values, dtype="<f4").tobytes(), "application/octet-stream")
