"""The study `genes`: which genes can be predicted from looks, with a null that kin cannot fool.

Every gene is predicted from the same features in many splits, and judged beside null genes that
evolved on the same tree, are as common and changed as often. The scan is in `genes_scan`, what it
works on in `genes_task`.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from kinlens.config import one_of
from kinlens.models.gene_published import PUBLISHED
from kinlens.parallel import Resources
from kinlens.records.collection import Collection
from kinlens.records.result import StudyResult
from kinlens.rng import RandomStreams
from kinlens.studies.genes_models import compare_classifiers
from kinlens.studies.genes_report import report_of
from kinlens.studies.genes_scan import GeneFindings, GeneScanConfig, measure
from kinlens.studies.genes_task import LOOKS, prepare

__all__ = ["CONFIG", "GenesConfig", "compared_patterns", "run"]


class GenesConfig(GeneScanConfig):
    """Settings of the study `genes`; the defaults run without a download."""

    models: tuple[Annotated[str, one_of(PUBLISHED)], ...] = Field(
        default=PUBLISHED, description="Published classifiers for the genes that are compared."
    )
    networks: tuple[str, ...] = Field(
        default=(),
        description="Networks to train on the pictures for these genes: gene2bird, timm:NAME "
        "(such as timm:resnet18, timm:resnet50, timm:resnest50d) or open_clip:NAME.",
    )
    epochs: int = Field(default=20, ge=1, description="Passes of training, at the most.")
    compared: int = Field(
        default=8, ge=0, description="Genes that meet all classifiers; candidates come first."
    )
    repeats: int = Field(default=3, ge=1, description="Splits 64-16-20 for these classifiers.")


CONFIG = GenesConfig


def run(
    collection: Collection, config: GenesConfig, streams: RandomStreams, resources: Resources
) -> StudyResult:
    """Scan the genes of a collection.

    Parameters
    ----------
    collection : Collection
        With genes and tree, and pictures or traits.
    config : GenesConfig
        Settings.
    streams : RandomStreams
        Splits, null genes and intervals draw from streams of their own.
    resources : Resources
        Where to work; with a cache, an interrupted scan goes on.

    Returns
    -------
    StudyResult
        The table ``genes`` with one row a gene (of the first trait, when there are several; each
        other one has a table of its own), metrics, figures and words.

    Raises
    ------
    InputError
        When a part is missing, too few species have all of them, or no gene varies.
    UsageError
        For a trait or classifier that does not exist.
    """
    found: list[GeneFindings] = []
    for task in prepare(collection, config, streams, resources):
        found.append(measure(task, config, streams.child(task.target), resources))
    first = found[0]
    compared = None
    if first.task.target == LOOKS and config.compared:
        compared = compare_classifiers(
            collection,
            first.task,
            compared_patterns(first, config.compared),
            config,
            streams,
            resources,
        )
    return report_of(collection, found, compared, config, streams, resources)


def compared_patterns(found: GeneFindings, most: int) -> list[int]:
    """Choose the genes that meet all classifiers: candidates, then the most significant.

    Parameters
    ----------
    found : GeneFindings
        The scan.
    most : int
        How many genes; all candidates that were tested are taken.
    """
    task = found.task
    place = {gene: i for i, gene in enumerate(task.genes)}
    candidates = [int(task.pattern_of[place[name]]) for name in task.candidates]
    wanted = [pattern for pattern in candidates if pattern >= 0]
    wanted += found.order.tolist()[: max(most - len(wanted), 0)]
    return list(dict.fromkeys(wanted))
