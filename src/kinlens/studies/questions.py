"""Who answers the explorer's questions: the naming model, the tree, the search for sequences.

Models are loaded once and kept warm. What a run of `kinship` learned places new pictures in the
tree; without such a run it is learned in the background, from the pictures on the chart.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

import numpy as np
import pandas as pd
from PIL import Image

from kinlens.embed.encoders import ImageEncoder
from kinlens.embed.images import embed_images
from kinlens.errors import InputError, KinlensError
from kinlens.explorer.asking import (
    Answerers,
    AskAttention,
    AskPicture,
    AskSequence,
    PictureAnswer,
    Relative,
    SequenceHit,
    TreePlace,
)
from kinlens.explorer.charts import Chart
from kinlens.explorer.exhibit import Exhibit, ShownRun
from kinlens.io.results import read_model
from kinlens.models.kinship import KinshipEmbedder
from kinlens.models.kinship_state import embedder_from_state
from kinlens.parallel import Resources
from kinlens.records.slots import IMAGE
from kinlens.records.tree import Tree
from kinlens.studies.catalogue import PREDICTING, load_predictor
from kinlens.studies.kinship_model import likeliest_views
from kinlens.studies.new_pictures import EncoderOfRun
from kinlens.studies.picture_names import Namer, names_by_rare, names_by_taxa
from kinlens.studies.rare_model import load_rare_model
from kinlens.studies.taxa_model import load_naming_model
from kinlens.typing import Float32Array, FloatArray, IntArray, ObjectArray

__all__ = ["BackgroundPlacer", "PictureAnswerer", "answerers_for", "place_by"]

Placer: TypeAlias = Callable[[Float32Array], tuple[TreePlace | None, str]]
"""Places a vector in the tree; when it cannot, says why."""

_HITS = 10
# Learning kinship solves systems as large as the species are many.
_MOST_SPECIES = 1500
_MOST_PICTURES = 20_000
_PATIENCE = 8.0


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
        attention=_attention_answerer(exhibit, resources),
    )


def _picture_answerer(
    exhibit: Exhibit, weights: str | Path | None, resources: Resources
) -> AskPicture | None:
    run, encoder, naming = _naming_model(exhibit)
    kinship, placing = exhibit.run_of("kinship"), None
    if kinship is not None:
        encoder, placing = _placing_model(kinship, encoder)
    run = run or kinship
    if run is not None and encoder is not None:
        if encoder.n_channels != 3:
            return None  # one uploaded file holds no stains
        opened = encoder.open(run=run.folder, weights=weights, resources=resources)
        place = _placer(exhibit, run, placing)
        return PictureAnswerer(opened, naming=naming, place=place, resources=resources)
    for other in exhibit.runs:
        has_channels = other.dataset is not None and len(other.dataset.channels) > 0
        if other.result.study in PREDICTING and _has_model(other) and not has_channels:
            return _from_predictions(other, weights, resources)
    return None


def _naming_model(
    exhibit: Exhibit,
) -> tuple[ShownRun | None, EncoderOfRun | None, Namer | None]:
    """Load what names pictures: a run of `taxa`, or else one of `rare`."""
    taxa, rare = exhibit.run_of("taxa"), exhibit.run_of("rare")
    if taxa is not None:
        named = load_naming_model(taxa.folder)
        encoder = EncoderOfRun(named.embedder, named.fingerprint, named.n_channels)
        return taxa, encoder, names_by_taxa(named)
    if rare is not None and _has_model(rare):
        model = load_rare_model(rare.folder)
        encoder = EncoderOfRun(model.embedder, model.fingerprint, model.n_channels)
        return rare, encoder, names_by_rare(model)
    return None, None, None


def _has_model(run: ShownRun) -> bool:
    return (run.folder / "model" / "config.json").is_file()


def _placing_model(
    run: ShownRun, wanted: EncoderOfRun | None
) -> tuple[EncoderOfRun | None, KinshipEmbedder | None]:
    """Load what a run of `kinship` learned, when it sees pictures as the naming model does."""
    try:
        config, arrays = read_model(run.folder)
    except InputError:
        return wanted, None
    own = EncoderOfRun(config["embedder"], config["fingerprint"], config["n_channels"])
    if wanted is not None and wanted.fingerprint != own.fingerprint:
        return wanted, None
    return own, embedder_from_state(config["kinship"], arrays)


def _placer(exhibit: Exhibit, run: ShownRun, model: KinshipEmbedder | None) -> Placer | None:
    if model is not None:
        return lambda vector: place_by(model, vector)
    chart = next((c for c in exhibit.charts if c.name == run.name and c.kind == IMAGE.name), None)
    if chart is None or run.dataset is None or run.dataset.tree is None:
        return None
    placer = BackgroundPlacer(chart, run.dataset.tree, rank=run.dataset.tree_rank)
    # With a few hundred pictures it takes seconds; then the first question is answered whole.
    placer.wait(_PATIENCE)
    return placer


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
        # It imports torch, which most explorers never need.
        from kinlens.studies.seqdist_model import search

        table = search(run.folder, queries, count=_HITS, resources=resources)
        wanted = table[["query", "reference", "species", "edit_distance"]]
        return [
            SequenceHit(str(query), str(reference), str(species), int(distance))
            for query, reference, species, distance in wanted.itertuples(index=False, name=None)
        ]

    return answer


def _attention_answerer(exhibit: Exhibit, resources: Resources) -> AskAttention | None:
    run = exhibit.run_of("location")
    if run is None or run.dataset is None or not _has_model(run):
        return None
    # It imports torch, which most explorers never need.
    from kinlens.studies.location_attention import attention_by

    return attention_by(run.folder, run.dataset, resources)


class PictureAnswerer:
    """Names pictures, and places them in the tree, with models that are loaded once.

    Parameters
    ----------
    encoder : ImageEncoder
        The one of the run.
    naming : callable, optional
        Takes a vector and returns names; from a run of `taxa` or `rare`.
    place : callable, optional
        Takes a vector and returns its place in the tree, or None and why there is none.
    resources : Resources, optional
        Where to work.
    """

    def __init__(
        self,
        encoder: ImageEncoder,
        *,
        naming: Namer | None = None,
        place: Placer | None = None,
        resources: Resources | None = None,
    ) -> None:
        self._encoder = encoder
        self._naming = naming
        self._place = place
        self._resources = resources or Resources()
        self._warm_up()

    def _warm_up(self) -> None:
        """Answer once for a picture of a disc, so that the first question waits for nothing."""
        row, column = np.mgrid[:96, :96]
        is_inside = (row - 48) ** 2 + (column - 48) ** 2 < 30**2
        disc = np.where(is_inside[:, :, None], [120, 90, 160], [245, 245, 240])
        with TemporaryDirectory(prefix="kinlens-") as folder:
            path = Path(folder) / "disc.png"
            Image.fromarray(disc.astype(np.uint8)).save(path)
            self(path)

    def __call__(self, picture: Path) -> PictureAnswer:
        """Answer for one picture file."""
        values = embed_images([picture], self._encoder, resources=self._resources).values
        place, note = (None, "") if self._place is None else self._place(values[0])
        if self._naming is None:
            return PictureAnswer(vector=values[0], place=place, place_note=note)
        return replace(self._naming(values[0]), place=place, place_note=note)


def place_by(model: KinshipEmbedder, vector: Float32Array) -> tuple[TreePlace | None, str]:
    """Place one vector in the tree that a model learned.

    Parameters
    ----------
    model : KinshipEmbedder
        Fitted.
    vector : array of shape (d,)
        A picture, embedded as those learned from.

    Returns
    -------
    tuple
        The place, or None and the reason.
    """
    values = np.asarray(vector[None], dtype=np.float64)
    found = model.predict(values, views=likeliest_views(model, values))
    branches, tree = found.branches, found.tree
    if branches is None or tree is None:
        return None, "Kinship was learned from distances, without a tree to hang a picture on."
    relatives = tuple(
        Relative(
            found.species[i],
            float(found.distances[0, i]),
            float(found.low[0, i]),
            float(found.high[0, i]),
        )
        for i in np.argsort(found.distances[0], kind="stable")
    )
    place = TreePlace(
        tips=tree.tips_below(int(branches.node[0])),
        above=float(branches.above[0]),
        twig=float(branches.twig[0]),
        p_value=float(found.p_value[0]),
        is_in_tree=bool(found.is_in_tree[0]),
        relatives=relatives,
        confidence=1 - model.error_rate,
    )
    return place, ""


class BackgroundPlacer:
    """Learns in a thread of its own where pictures belong in a tree.

    Parameters
    ----------
    chart : Chart
        Pictures with their vectors.
    tree : Tree
        Whose tips are names of `rank`.
    rank : str
        A column of the chart, usually ``species``.
    """

    def __init__(self, chart: Chart, tree: Tree, *, rank: str) -> None:
        self._chart = chart
        self._tree = tree
        self._rank = rank
        self._model: KinshipEmbedder | None = None
        self._note = "The tree is still being learned; ask again in a moment."
        self._thread = threading.Thread(target=self._learn, name="kinlens-placer", daemon=True)
        self._thread.start()

    def wait(self, seconds: float | None = None) -> None:
        """Wait until learning has ended, or for some seconds."""
        self._thread.join(seconds)

    def __call__(self, vector: Float32Array) -> tuple[TreePlace | None, str]:
        """Place one vector; when that cannot be done, say why."""
        model = self._model
        return (None, self._note) if model is None else place_by(model, vector)

    def _learn(self) -> None:
        column = self._chart.column(self._rank)
        if column is None:
            self._note = f"The pictures have no {self._rank}, which the tips of the tree are."
            return
        codes = {name: code for code, name in enumerate(column.categories)}
        known = [codes[name] for name in self._tree.tip_names if name in codes]
        if len(known) > _MOST_SPECIES:
            self._note = (
                f"Of more than {_MOST_SPECIES:,} species, `kinlens run kinship` learns places; "
                "explore its run beside this one."
            )
            return
        rows = np.flatnonzero(np.isin(column.values, known))
        rows = _thinned(column.values[rows].astype(np.int64), rows)
        names: ObjectArray = np.array([column.words(int(row)) for row in rows], dtype=object)
        values: FloatArray = self._chart.vectors[rows].astype(np.float64)
        try:
            self._model = KinshipEmbedder().fit(values, names, kinship=self._tree)
        except KinlensError as error:
            self._note = f"There is no place in the tree: {error}"


def _thinned(species: IntArray, rows: IntArray) -> IntArray:
    """Keep as many rows as can be learned from, taking from each species in turn."""
    turn = pd.Series(species).groupby(species).cumcount().to_numpy()
    return np.sort(rows[np.argsort(turn, kind="stable")[:_MOST_PICTURES]])
