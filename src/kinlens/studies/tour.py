"""The tour behind `kinlens demo`: simulated worlds, every study on one, truth beside findings.

A study joins the tour by a line in `STOPS`. What the worlds are like is decided in
`kinlens.simulate.world_config` and `kinlens.simulate.cell_world`, what a study does in its own
file.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from kinlens import __version__
from kinlens.atomic import plain, write_json, write_text
from kinlens.config import build_config
from kinlens.errors import InputError, UsageError, listing
from kinlens.explorer.exhibit import TRUTHS
from kinlens.io.newick import read_newick
from kinlens.io.results import read_result
from kinlens.parallel import Resources, map_blocks
from kinlens.progress import NamedProgress
from kinlens.records.result import Headline, StudyResult
from kinlens.report.page import render_page
from kinlens.rng import RandomStreams
from kinlens.run import read_run
from kinlens.simulate.cell_world import CellWorldConfig
from kinlens.simulate.world import simulate_world
from kinlens.simulate.world_config import WorldConfig
from kinlens.studies.catalogue import STUDIES, load_study
from kinlens.studies.cell_simulation import cell_world, write_cells
from kinlens.studies.runner import run_into_folder
from kinlens.studies.simulation import write_world

__all__ = ["STOPS", "Stop", "Tour", "run_tour"]


@dataclass(frozen=True)
class Stop:
    """How the tour runs one study and what it says of the truth.

    Parameters
    ----------
    truth : callable
        Given the folder ``truth`` of the dataset and the study's result, says in one sentence what
        is true in the simulated world, beside what was found.
    settings : mapping
        Settings of the study that differ from its defaults.
    dataset : str
        The world that it is about: ``dataset``, the snails, or ``cells``.
    """

    truth: Callable[[Path, StudyResult], str]
    settings: Mapping[str, Any] = field(default_factory=dict)
    dataset: str = "dataset"


@dataclass(frozen=True)
class Tour:
    """What a tour left behind.

    Parameters
    ----------
    sentences : tuple of str
        What is true and what was found, one a study.
    report : pathlib.Path
        The page with everything.
    """

    sentences: tuple[str, ...]
    report: Path


def run_tour(
    out: str | Path,
    *,
    species: int = 80,
    images: int = 720,
    seed: int = 1,
    resources: Resources | None = None,
    resume: bool = False,
    force: bool = False,
) -> Tour:
    """Simulate a world, run the studies on it and write one report on all of them.

    Parameters
    ----------
    out : path
        The snails go to ``out/dataset``, the cells to ``out/cells``, each study to ``out/STUDY``,
        the page to ``out/report.html``.
    species, images : int
        Size of the world of snails.
    seed : int
        Seed of the worlds and of every study.
    resources : Resources, optional
        Where to work, and who watches.
    resume : bool
        Keep what an interrupted tour with the same arguments finished.
    force : bool
        Replace an earlier tour.

    Returns
    -------
    Tour
        With one sentence a study.

    Raises
    ------
    UsageError
        When a tour is in `out` already and neither `resume` nor `force` is given, or the one to
        resume is of another world.
    """
    out = Path(out)
    resources = resources or Resources()
    if resume and force:
        raise UsageError("--resume goes on with a tour and --force replaces it: give only one.")
    _refuse_foreign(out)
    snails = WorldConfig(
        name="Simulated snails",
        species=species,
        images=images,
        gene_effect=2.0,
        zipf_exponent=2.0,
    )
    _make_world(snails, out / "dataset", seed=seed, resources=resources, resume=resume, force=force)
    stops = {name: STOPS.get(name, _NO_STOP) for name in STUDIES}
    if any(stop.dataset == "cells" for stop in stops.values()):
        _make_world(_CELLS, out / "cells", seed=seed, resources=resources, resume=resume,
                    force=force)  # fmt: skip
    _run_stops(stops, out, seed=seed, force=force, resources=resources)
    results, records = [], []
    truths: dict[str, str] = {}
    for name, stop in stops.items():
        result = read_result(out / name)
        if stop is not _NO_STOP:
            truths[name] = stop.truth(out / stop.dataset / "truth", result)
            result = replace(result, headlines=(Headline(truths[name]), *result.headlines))
        results.append(result)
        records.append(read_run(out / name))
    write_json(out / TRUTHS, truths)
    report = out / "report.html"
    title = f"A tour of {species} simulated species"
    write_text(report, render_page(results, title=title, provenance=records))
    sentences = tuple(result.headlines[0].sentence for result in results if result.headlines)
    return Tour(sentences, report)


def _run_stops(
    stops: Mapping[str, Stop], out: Path, *, seed: int, force: bool, resources: Resources
) -> None:
    """Run every study, as many at a time as there are workers; each leaves its run folder."""
    # On worlds this small a study would leave most of its workers waiting.
    is_shared = resources.workers > 1 and resources.scheduler is None
    run_stop = partial(
        _run_stop,
        stops,
        out=out,
        seed=seed,
        force=force,
        resources=replace(resources, workers=1) if is_shared else resources,
        is_shared=is_shared,
    )
    lanes = Resources(workers=resources.workers if is_shared else 1)
    for _ in map_blocks(run_stop, list(stops), resources=lanes, unit="study"):
        pass


def _run_stop(
    stops: Mapping[str, Stop],
    name: str,
    *,
    out: Path,
    seed: int,
    force: bool,
    resources: Resources,
    is_shared: bool,
) -> None:
    study, stop = load_study(name), stops[name]
    resources.progress.note(f"{name}: {STUDIES[name]}")
    if is_shared:
        resources = replace(resources, progress=NamedProgress(resources.progress, name))
    run_into_folder(
        study,
        out / stop.dataset,
        out / name,
        build_config(study.config, stop.settings, where=f"tour of {name}"),
        seed=seed,
        resources=resources,
        resume=not force,
        force=force,
    )


def _refuse_foreign(out: Path) -> None:
    """Keep out of a folder that holds anything but a tour, whatever --force says."""
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out}: is a file. Choose another folder for the tour.")
    own = {"dataset", "cells", "report.html", TRUTHS, *STUDIES}
    others = sorted({path.name for path in out.iterdir()} - own) if out.exists() else []
    if others:
        raise UsageError(
            f"{out}: holds something else, such as {listing(others)}. Choose another folder for "
            "the tour."
        )


def _make_world(
    config: WorldConfig | CellWorldConfig,
    dataset: Path,
    *,
    seed: int,
    resources: Resources,
    resume: bool,
    force: bool,
) -> None:
    """Write a world; when it is there already, keep it to go on or replace it, as asked."""
    is_cells = isinstance(config, CellWorldConfig)
    if not dataset.exists() or force:
        if isinstance(config, CellWorldConfig):
            cells = cell_world(config, RandomStreams(seed))
            write_cells(cells, dataset, resources=resources, force=force)
        else:
            world = simulate_world(config, RandomStreams(seed))
            write_world(world, dataset, resources=resources, force=force)
        return
    if not resume:
        raise UsageError(
            f"{dataset.parent}: already holds a tour. Go on with it with --resume, replace it with "
            "--force, or choose another folder."
        )
    name = "cell_world.json" if is_cells else "world.json"
    try:
        record = json.loads((dataset / "truth" / name).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError("not a simulated dataset", where=dataset) from error
    if record != plain({"kinlens": __version__, "seed": seed, "config": config}):
        raise UsageError(
            f"{dataset.parent}: cannot be resumed, because its world is another one. Begin it anew "
            "with --force, or choose another folder."
        )


# What is true ------------------------------------------------------------------------------------


def _truth_of_taxa(truth: Path, result: StudyResult) -> str:
    specimens = pd.read_csv(truth / "specimens.csv")
    n_species = specimens["looks_of"].nunique()
    right = _chosen(result, target="species", metric="accuracy")
    return (
        f"True: the pictures show {n_species} species by {len(specimens):,} shells, whose looks "
        "come from traits that evolved on the tree. "
        f"Found: {right['value']:.0%} of the pictures of shells never seen before got the right "
        f"species (95% interval {right['low']:.0%} to {right['high']:.0%}); with shuffled names "
        f"{right['null_mean']:.0%} would be right."
    )


def _truth_of_kinship(truth: Path, result: StudyResult) -> str:
    config = json.loads((truth / "world.json").read_text(encoding="utf-8"))["config"]
    return (
        "True: looks evolved on the tree by which kinship is measured, with a signal (Pagel's "
        f"lambda) of {config['signal']:.2f}. Found: {_found(result)}"
    )


def _truth_of_seqdist(truth: Path, result: StudyResult) -> str:
    tree = read_newick(truth / "sequence_tree.nwk")
    return (
        f"True: {tree.n_tips:,} sequences descend from one ancestor along a known tree, "
        f"{tree.height:.2f} substitutions per site deep; every insertion and deletion is known. "
        f"Found: {_found(result)}"
    )


def _truth_of_genes(truth: Path, result: StudyResult) -> str:
    acting = set(pd.read_csv(truth / "gene_effects.csv")["gene"])
    table = result.tables["genes"]
    tested = table[table["status"] == "tested"]
    found = tested[tested["q_value"] <= 0.05]["gene"]
    first = tested["gene"].head(len(acting))
    return (
        f"True: {len(acting)} of {len(table):,} genes act on looks, each on one trait of a few "
        f"dozen; {len(acting & set(tested['gene']))} of them vary enough to be tested. Found: "
        f"{len(found)} at a false discovery rate of 5%, {len(acting & set(found))} of which act; "
        f"{len(acting & set(first))} of those that act are among the first {len(first)} of "
        f"{len(tested):,}."
    )


def _truth_of_rare(truth: Path, result: StudyResult) -> str:
    config = json.loads((truth / "world.json").read_text(encoding="utf-8"))["config"]
    return (
        "True: looks evolved on the tree with a signal (Pagel's lambda) of "
        f"{config['signal']:.2f}, so relatives say something of a species without pictures, but "
        f"there are only {config['species']} species to learn it from. Found: {_found(result)}"
    )


def _truth_of_location(truth: Path, result: StudyResult) -> str:
    cells = pd.read_csv(truth / "cells.csv", keep_default_na=False)
    shows = cells["shows"].str.split(";")
    empty = cells["shows"].eq("").mean()
    labels = {label for row in shows for label in row if label}
    return (
        f"True: {len(cells):,} cells in {cells['image'].nunique():,} pictures show proteins at "
        f"{len(labels)} places; a label of a picture need not hold for each of its cells, and "
        f"{empty:.0%} of the cells show none. Found: {_found(result)}"
    )


def _found(result: StudyResult) -> str:
    """Return the study's own first sentence."""
    return result.headlines[0].sentence if result.headlines else "nothing."


def _chosen(result: StudyResult, *, target: str, metric: str) -> pd.Series:
    """Return the metrics row of the model that inner validation chose."""
    rows = result.metrics.query("selected == 1 and target == @target and metric == @metric")
    return rows.iloc[0]


STOPS: Mapping[str, Stop] = {
    "taxa": Stop(
        _truth_of_taxa,
        {
            "models": (
                "majority",
                "nearest_centroid",
                "random_forest",
                "svm",
                "lda",
                "hierarchical",
            ),
            "replicates": 300,
            "permutations": 99,
        },
    ),
    "kinship": Stop(
        _truth_of_kinship,
        {"models": ("ridge",), "permutations": 999, "shuffles": 49, "replicates": 300},
    ),
    "seqdist": Stop(
        _truth_of_seqdist,
        {
            "encoders": ("cnn",),
            "geometries": ("hyperbolic",),
            "epochs": 40,
            "cluster_repeats": 0,
            "cluster_epochs": 10,
            "replicates": 200,
            "permutations": 49,
        },
    ),
    "genes": Stop(
        _truth_of_genes,
        {
            "splits": 60,
            "most_null_genes": 15_000,
            "replicates": 100,
            "resplits": 500,
            "shown": 3,
            "compared": 3,
            "repeats": 1,
        },
    ),
    "rare": Stop(_truth_of_rare, {"networks": False, "repeats": 3, "replicates": 300}),
    "location": Stop(
        _truth_of_location,
        {
            "size": 48,
            "network": "timm:resnet10t?random",
            "width": 0.25,
            "epochs": 12,
            "fine_epochs": 4,
            "schedule": "cosine",
            "learning_rate": 3e-3,
            "batch_size": 32,
            "repeats": 1,
            "least_share": 0.07,
            "test_share": 0.3,
            "replicates": 300,
            "permutations": 99,
        },
        dataset="cells",
    ),
}
"""What the tour says of each study, and where it asks for less than a paper would, to be short."""

_NO_STOP = Stop(lambda _truth, _result: "")
_CELLS = CellWorldConfig(
    name="Simulated cells",
    images=400,
    image_size=48,
    images_per_antibody=1,
    fewest_cells=1,
    most_cells=2,
)
