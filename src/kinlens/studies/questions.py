"""Who answers the explorer's questions: the naming model, the tree of its pictures, the search.

Models are loaded once and kept warm. Where in the tree a new picture belongs is learned from the
pictures of the run and the tree of its dataset, in the background, when the explorer opens.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from kinlens.embed.encoders import ImageEncoder, open_encoder
from kinlens.embed.images import embed_images
from kinlens.errors import InputError, KinlensError
from kinlens.explorer.asking import (
    Answerers,
    AskPicture,
    AskSequence,
    Name,
    PictureAnswer,
    Relative,
    SequenceHit,
    TreePlace,
)
from kinlens.explorer.charts import Chart
from kinlens.explorer.exhibit import Exhibit, ShownRun
from kinlens.models.kinship import KinshipEmbedder
from kinlens.parallel import Resources
from kinlens.records.slots import IMAGE
from kinlens.records.tree import Tree
from kinlens.studies.catalogue import PREDICTING, load_predictor
from kinlens.studies.taxa_model import NamingModel, load_naming_model
from kinlens.typing import Float32Array

__all__ = ["PictureNamer", "TreePlacer", "answerers_for"]

_HITS = 10
# Learning kinship solves systems as large as the species are many.
_MOST_SPECIES = 1500
_MOST_PICTURES = 20_000


def answerers_for(
    exhibit: Exhibit,
    *,
    weights: str | Path | None = None,
    resources: Resources | None = None,
) -> Answerers:
    """Find out who can answer for the runs of an exhibit, and make them ready.

    Parameters
    ----------
    exhibit : Exhibit
        What the explorer shows.
    weights : path, optional
        The network's weights when a run was made with a file of them.
    resources : Resources, optional
        Where to work.

    Raises
    ------
    InputError
        When the encoder of a run is not the one it was made with.
    """
    resources = resources or Resources()
    return Answerers(
        picture=_picture_answerer(exhibit, weights, resources),
        sequence=_sequence_answerer(exhibit, resources),
    )


def _picture_answerer(
    exhibit: Exhibit, weights: str | Path | None, resources: Resources
) -> AskPicture | None:
    for run in exhibit.runs:
        if run.result.study == "taxa":
            return PictureNamer(run, exhibit, weights=weights, resources=resources)
    for run in exhibit.runs:
        if run.result.study in PREDICTING:
            return _from_predictions(run, weights, resources)
    return None


def _from_predictions(
    run: ShownRun, weights: str | Path | None, resources: Resources
) -> AskPicture:
    """Let a run answer by what `kinlens predict` says, column by column."""
    predict = load_predictor(run.folder)

    def answer(picture: Path) -> PictureAnswer:
        row = predict(run.folder, [picture], weights=weights, resources=resources).iloc[0]
        facts = {
            str(name): f"{value:.3g}" if isinstance(value, float) else str(value)
            for name, value in row.items()
            if name not in (IMAGE.name, "problem") and not pd.isna(value) and value != ""
        }
        return PictureAnswer(facts=facts)

    return answer


def _sequence_answerer(exhibit: Exhibit, resources: Resources) -> AskSequence | None:
    run = exhibit.run_of("seqdist")
    if run is None:
        return None

    def answer(queries: Path) -> list[SequenceHit]:
        from kinlens.studies.seqdist_model import search

        table = search(run.folder, queries, count=_HITS, resources=resources)
        return [
            SequenceHit(str(query), str(reference), str(species), int(distance))
            for query, reference, species, distance in zip(
                table["query"],
                table["reference"],
                table["species"],
                table["edit_distance"],
                strict=True,
            )
        ]

    return answer


class PictureNamer:
    """Names pictures by a run of `taxa`, and places them in the tree when there is one.

    Parameters
    ----------
    run : ShownRun
        A run of `taxa`.
    exhibit : Exhibit
        With the chart of that run, and perhaps a tree.
    weights : path, optional
        The network's weights when the run was made with a file of them.
    resources : Resources, optional
        Where to work.

    Raises
    ------
    InputError
        When the encoder is not the one that the run was made with.
    """

    def __init__(
        self,
        run: ShownRun,
        exhibit: Exhibit,
        *,
        weights: str | Path | None = None,
        resources: Resources | None = None,
    ) -> None:
        self._resources = resources or Resources()
        self._model: NamingModel = load_naming_model(run.folder)
        self._encoder: ImageEncoder = open_encoder(
            self._model.embedder,
            n_channels=self._model.n_channels,
            weights=weights,
            device=self._resources.device,
        )
        if self._encoder.fingerprint != self._model.fingerprint:
            raise InputError(
                f"the run was made with the encoder {self._model.fingerprint}, but "
                f"{self._model.embedder!r} is now {self._encoder.fingerprint}",
                where=run.folder,
                remedy="Give the same --weights, or run the study again.",
            )
        self._warm_up()
        chart = next((c for c in exhibit.charts if c.name == run.name), None)
        self._placer: TreePlacer | None = None
        if chart is not None and exhibit.tree is not None and exhibit.dataset is not None:
            self._placer = TreePlacer(chart, exhibit.tree, rank=exhibit.dataset.tree_rank)

    def _warm_up(self) -> None:
        """Encode one blank picture, so that compiled parts are ready for the first question."""
        size = self._encoder.input_size
        blank = np.full((1, size, size, self._encoder.n_channels), 255)
        self._encoder.encode(blank.astype(self._encoder.depth))

    def __call__(self, picture: Path) -> PictureAnswer:
        """Name one picture."""
        embedded = embed_images([picture], self._encoder, resources=self._resources)
        vector: Float32Array = embedded.values[0]
        row = self._model.table(embedded.values).iloc[0]
        ranks = self._model.classifier.lineages_.ranks
        names = tuple(
            Name(rank, str(row[rank]), float(row[f"{rank}_probability"]))
            for rank in ranks
            if isinstance(row[rank], str)
        )
        safe = next((name for name in names if name.rank == row["safe_rank"]), None)
        place, note = (None, "") if self._placer is None else self._placer(vector)
        return PictureAnswer(
            names=names,
            safe=safe,
            candidates=tuple(filter(None, str(row["candidates"]).split(";"))),
            error_rate=self._model.safe.error_rate,
            vector=vector,
            place=place,
            place_note=note,
        )


class TreePlacer:
    """Learns in the background to place pictures in a tree.

    Parameters
    ----------
    chart : Chart
        Pictures with their vectors and the rank that the tips have.
    tree : Tree
        Whose tips are names of that rank.
    rank : str
        Usually ``species``.
    """

    def __init__(self, chart: Chart, tree: Tree, *, rank: str) -> None:
        self._chart = chart
        self._tree = tree
        self._rank = rank
        self._model: KinshipEmbedder | None = None
        self._note = "The tree is still being learned; ask again in a moment."
        self._thread = threading.Thread(target=self._learn, name="tree-placer", daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Wait until learning has ended."""
        self._thread.join()

    def __call__(self, vector: Float32Array) -> tuple[TreePlace | None, str]:
        """Place one vector; when that cannot be done, say why."""
        model = self._model
        if model is None:
            return None, self._note
        found = model.predict(vector[None])
        order = np.argsort(found.distances[0], kind="stable")
        relatives = tuple(
            Relative(
                found.species[i],
                float(found.distances[0, i]),
                float(found.low[0, i]),
                float(found.high[0, i]),
            )
            for i in order
        )
        branches, tree = found.branches, found.tree
        if branches is None or tree is None:
            return None, "The run has no tree of its species."
        return TreePlace(
            tips=tree.tips_below(int(branches.node[0])),
            above=float(branches.above[0]),
            twig=float(branches.twig[0]),
            p_value=float(found.p_value[0]),
            is_in_tree=bool(found.is_in_tree[0]),
            relatives=relatives,
            confidence=1 - model.error_rate,
        ), ""

    def _learn(self) -> None:
        try:
            self._model = self._learned()
        except KinlensError as error:
            self._note = f"There is no place in the tree: {error}"

    def _learned(self) -> KinshipEmbedder | None:
        column = self._chart.column(self._rank)
        if column is None:
            self._note = f"The pictures have no column {self._rank!r}, which the tree's tips are."
            return None
        names = np.array([column.words(row) for row in range(len(self._chart))], dtype=object)
        is_known = np.isin(names, list(self._tree.tip_names))
        rows = np.flatnonzero(is_known)
        if len(set(names[rows])) > _MOST_SPECIES:
            self._note = f"With more than {_MOST_SPECIES:,} species, places are not learned here."
            return None
        if len(rows) > _MOST_PICTURES:
            rows = _thinned(names, rows, _MOST_PICTURES)
        return KinshipEmbedder().fit(
            self._chart.vectors[rows].astype(np.float64), names[rows], kinship=self._tree
        )


def _thinned(names: Sequence[str] | np.ndarray, rows: np.ndarray, most: int) -> np.ndarray:
    """Keep at most `most` rows, taking from each species in turn."""
    turn = pd.Series(np.asarray(names, dtype=object)[rows]).groupby(
        np.asarray(names, dtype=object)[rows]
    ).cumcount()
    return np.sort(rows[np.argsort(turn.to_numpy(), kind="stable")[:most]])
