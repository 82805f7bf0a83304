"""The study `rare`: names for species with few pictures or none, by what kinship says of them.

Species are made rare on purpose, so that the answer is known; every gain is shown beside the same
model under a tree whose tips were dealt out at random. Models are in `rare_models`, numbers in
`rare_scores`, figures and words in `rare_report`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import Field

from kinlens.config import Config
from kinlens.models.anchors import AnchorReport
from kinlens.optional import need
from kinlens.parallel import Resources
from kinlens.records.collection import Collection
from kinlens.records.result import StudyResult, metrics_frame
from kinlens.rng import RandomStreams
from kinlens.studies.rare_anchors import anchor_reports
from kinlens.studies.rare_model import fit_rare_model
from kinlens.studies.rare_models import NETWORKS, PROTOTYPES, Heads, fit_models
from kinlens.studies.rare_qualities import quality_rows
from kinlens.studies.rare_report import RareFindings, report_of
from kinlens.studies.rare_retrieval import retrieval_cells, retrieval_rows
from kinlens.studies.rare_rivals import genus_guess_cells, rival_rows
from kinlens.studies.rare_scores import Repeat, cells_of, metric_rows
from kinlens.studies.rare_task import RareTask, draw_split, prepare

__all__ = ["CONFIG", "RareConfig", "run"]


class RareConfig(Config):
    """Settings of the study `rare`; the defaults run without a download."""

    embedder: str = Field(
        default="descriptors", description="descriptors, timm:NAME or open_clip:NAME."
    )
    weights: Path | None = Field(
        default=None, description="safetensors file or folder for the network; the hub otherwise."
    )
    repeats: int = Field(default=5, ge=1, le=100, description="Splits, each drawn anew.")
    unseen_share: float = Field(
        default=0.1, ge=0, lt=1, description="Share of species of which no picture is learned from."
    )
    rare_share: float = Field(
        default=0.3, ge=0, lt=1, description="Share of species that keep one specimen."
    )
    test_share: float = Field(
        default=0.4, gt=0, lt=1, description="Share of the other species' specimens tested."
    )
    noises: tuple[float, ...] = Field(
        default=(1.0, 4.0, 8.0, 16.0, 32.0, 64.0, 256.0),
        min_length=1,
        description="Noise of a specimen among which validation chooses, see the prototypes.",
    )
    name_unpictured: bool = Field(
        default=True,
        description="Let the model that answers for new pictures also name species that are in the "
        "tree and have no picture.",
    )
    networks: bool = Field(
        default=True, description="Train the published network, its stages and its controls too."
    )
    hidden: int = Field(
        default=1000, ge=2, description="Width of the published network before its embedding."
    )
    embedding: int = Field(default=256, ge=2, description="Length of its embedding.")
    margin: float = Field(
        default=0.5,
        gt=-1,
        lt=1,
        description="Margin at which anchors are looked over, and embeddings drawn to them.",
    )
    error_rate: float = Field(
        default=0.1, gt=0, lt=1, description="How often candidate sets may miss the species."
    )
    replicates: int = Field(default=1000, ge=100, description="Bootstrap replicates of species.")

    @property
    def heads(self) -> Heads | None:
        """Of the published network; None when it is left out."""
        return Heads(self.hidden, self.embedding, self.margin) if self.networks else None


CONFIG = RareConfig


def run(
    collection: Collection, config: RareConfig, streams: RandomStreams, resources: Resources
) -> StudyResult:
    """Make species rare, name their pictures, and tell what kinship added.

    Parameters
    ----------
    collection : Collection
        With pictures and species, and a tree, distances or sequences of the species.
    config : RareConfig
        Settings.
    streams : RandomStreams
        Splits, permutations, networks and intervals draw from streams of their own.
    resources : Resources
        Where to work.

    Returns
    -------
    StudyResult
        Accuracy by number of training specimens for each model and control, paired gains over
        species, a table with one row a species, figures.

    Raises
    ------
    InputError
        When there is no kinship, no name in common, or too few species or specimens.
    """
    task = prepare(collection, config, resources)
    anchors = anchor_reports(collection, task, margin=config.margin)
    for report in anchors.values():
        if not report.is_sound:
            resources.progress.note(f"Anchors: {report}")
    n_models = len(PROTOTYPES) + (len(NETWORKS) if config.networks else 0)
    repeats = []
    with (
        resources.progress.task("Comparing", config.repeats * n_models, unit="model") as bar,
        # Matrices of a few hundred rows, many times over: more threads would wait for each other.
        need("threadpoolctl").threadpool_limits(1),
    ):
        for number in range(config.repeats):
            own = streams.child("repeat", number)
            split = draw_split(task, config, own)
            fitted = fit_models(
                task, split, own, noises=config.noises, error_rate=config.error_rate,
                heads=config.heads, advance=bar.advance,
            )  # fmt: skip
            repeats.append(Repeat(number, split, fitted))
    with resources.progress.task("Scoring", 1) as bar:
        found = _findings(task, repeats, anchors, config, streams)
        bar.advance()
    with (
        resources.progress.task("Learning to name new pictures", 1) as bar,
        need("threadpoolctl").threadpool_limits(1),
    ):
        model = fit_rare_model(task, len(collection.channels) or 3, config, streams)
        bar.advance()
    return report_of(collection, found, model, config=config, streams=streams)


def _findings(
    task: RareTask,
    repeats: list[Repeat],
    anchors: Mapping[str, AnchorReport],
    config: RareConfig,
    streams: RandomStreams,
) -> RareFindings:
    cells, searches = cells_of(task, repeats), retrieval_cells(task, repeats)
    guesses = genus_guess_cells(task, repeats)
    replicates = config.replicates
    rows = [
        *metric_rows(cells, replicates=replicates, streams=streams),
        *rival_rows(task, cells, guesses, replicates=replicates, streams=streams),
        *retrieval_rows(searches, replicates=replicates, streams=streams),
        *quality_rows(
            task, repeats, error_rate=config.error_rate, replicates=replicates, streams=streams
        ),
    ]
    return RareFindings(task, repeats, cells, searches, metrics_frame(rows), anchors)
