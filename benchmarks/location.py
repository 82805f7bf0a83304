"""Where a protein sits: the rows of the source's table on simulated cells; controls on real ones.

``python benchmarks/location.py simulated`` draws a world of cells with the real label sets of
``../shared/data/hpa_labels``, trains every model of the study `location` with several seeds, and
writes three tables to ``results/``; they are written anew after each seed, and an interrupted run
goes on from ``--cache``. ``python benchmarks/location.py cells`` does the flat and the joint model
on the real cells of ``../shared/data/cells``, beside models that see the protein alone or the three
reference channels alone.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from kinlens.evaluate.multilabel import label_table
from kinlens.evaluate.resample import cluster_bootstrap
from kinlens.io.folder import read_collection
from kinlens.io.toml import toml_text
from kinlens.optional import need
from kinlens.parallel import Resources
from kinlens.records.result import metrics_frame
from kinlens.rng import RandomStreams
from kinlens.simulate.cell_world import CellWorldConfig
from kinlens.simulate.micrograph import CHANNELS
from kinlens.studies.cell_simulation import cell_world, write_cells
from kinlens.studies.location import LocationConfig
from kinlens.studies.location_answers import (
    MODELS,
    Scored,
    StageScores,
    described,
    scored_models,
    stage_scores,
)
from kinlens.studies.location_scores import compared, metric_rows
from kinlens.studies.location_task import Task, prepare
from kinlens.studies.location_training import Trained, train_networks
from reporting import report, versions

DATA = Path(__file__).parents[2] / "shared" / "data"
WORLD_SEED = 7
STREAMS = RandomStreams(0)
SETTINGS = {
    "schedule": "cosine",
    "size": 64,
    "batch_size": 32,
    "learning_rate": 4e-3,
    "fine_learning_rate": 2e-3,
}


def main() -> None:
    """Train, score and write the tables."""
    options = arguments()
    need("torch").set_num_threads(1)
    {"simulated": simulated, "cells": cells}[options.which](options)


def simulated(options: argparse.Namespace) -> None:
    """Compare all models on a simulated world."""
    world = CellWorldConfig(
        images=options.images,
        image_size=64,
        images_per_antibody=1,
        fewest_cells=1,
        most_cells=3,
        label_table=options.labels,
    )
    folder = options.cache / f"cells-{options.images}"
    if not folder.exists():
        write_cells(cell_world(world, RandomStreams(WORLD_SEED)), folder)
    config = LocationConfig(
        **SETTINGS,
        models=MODELS,
        network=f"timm:{options.network}?random",
        larger=f"timm:{options.larger}?random",
        width=options.width,
        epochs=options.epochs,
        fine_epochs=max(options.epochs // 2, 1),
        test_share=0.3,
        find_duplicates=False,
        replicates=1000,
        permutations=99,
    )
    resources = Resources(cache=options.cache, device=options.device)
    task = prepare(read_collection(folder), config, STREAMS, resources)
    print(f"{len(task.pictures):,} pictures, {len(task.tree.labels)} labels", flush=True)
    descriptors = described(task)
    trained: list[dict[str, Trained]] = []
    for repeat in range(options.repeats):
        streams = STREAMS.child("repeat", repeat)
        trained.append(train_networks(task, config, config.models, streams, resources))
        scored = scored_models(task, config.models, trained, descriptors)
        stages = stage_scores(task, trained)
        write_simulated(task, config, scored, stages, parameters(trained[0]), options, repeat + 1)


def parameters(trained: Mapping[str, Trained]) -> dict[str, int]:
    """Count the weights that each model answers with."""
    size = {name: sum(a.size for a in each.weights.values()) for name, each in trained.items()}
    routed = {
        model: size["stage1_multi"]
        + sum(n for name, n in size.items() if is_stage_2(name, with_other))
        for model, with_other in (("hard_routed", False), ("hard_routed_other", True))
    }
    alone = {name: size[name] for name in ("flat", "joint", "longer", "larger")}
    return alone | routed | {"pair": size["flat"] + size["second"]}


def is_stage_2(name: str, with_other: bool) -> bool:
    """Tell whether a network names the labels of one group, with or without foreign pictures."""
    return name.startswith("stage2_") and name.startswith("stage2_other_") == with_other


def write_simulated(
    task: Task,
    config: LocationConfig,
    scored: Sequence[Scored],
    stages: Sequence[StageScores],
    sizes: Mapping[str, int],
    options: argparse.Namespace,
    repeats: int,
) -> None:
    """Write rows, labels and stages as three tables."""
    metrics = metrics_frame(metric_rows(task, scored, config, STREAMS))
    comparisons = compared(task, scored, STREAMS, replicates=config.replicates)
    split = task.split
    counts = label_table(task.truth[split.test], task.tree.labels, task.units[split.test])
    decidable = set(counts["label"][counts["decidable"]])
    notes = (
        f"{len(task.pictures):,} simulated pictures of 64 px with 1 to 3 cells and real label sets "
        f"(world seed {WORLD_SEED}); {len(task.tree.labels)} labels that at least 1% hold, "
        f"{len(decidable)} of them held by 10 test antibodies or more. Each picture shows "
        f"another antibody: {len(split.train):,} train, {len(split.validation):,} validate, "
        f"{len(split.test):,} test. Networks: {options.network} (larger: {options.larger}) with "
        f"{options.width:g} of its channels, from random weights, "
        f"{options.epochs} epochs ({max(options.epochs // 2, 1)} where one starts from another: "
        f"stage 2, joint, longer), cosine schedule, the same for all; {repeats} seeds, of whose "
        "scores the mean is shown. Intervals: 95%, 1,000 bootstrap samples of antibodies, the same "
        f"for both models of a difference. {versions('torch', 'timm')}."
    )
    value = metrics.set_index(["model", "target", "metric"]).sort_index()
    rows = []
    for each in scored:
        macro = value.loc[each.model, "macro"]
        size = sizes.get(each.model.removesuffix("_tuned"))
        change = comparisons[comparisons["model"] == each.model].set_index("target")
        against = change.loc[change.index.intersection(sorted(decidable))]
        rows.append(
            (
                each.model,
                f"{size:,}" if size else "-",
                interval(macro.loc["f1"]),
                f"{macro.loc['f1', 'null_mean']:.3f}",
                f"{value.loc[(each.model, 'micro', 'f1'), 'value']:.3f}",
                *(
                    f"{macro.loc[metric, 'value']:.3f}"
                    for metric in (
                        "precision", "recall", "average_precision", "prediction_advantage",
                        "source_advantage", "log_advantage",
                    )
                ),
                f"{each.hierarchical_f1:.3f}",
                "-" if np.isnan(each.violations) else f"{each.violations:.2f}",
                interval(change.loc["macro"], "difference") if len(change) else "-",
                f"{(against['low'] > 0).sum()} / {(against['high'] < 0).sum()}"
                if len(change)
                else "-",
            )
        )  # fmt: skip
    report(
        "location_simulated",
        title="Where a protein sits: every model on simulated cells",
        columns=(
            "model", "parameters", "macro F1", "shuffled labels", "micro F1", "precision",
            "recall", "average precision", "PA (0/1)", "PA (source)", "PA (log)", "hierarchical F1",
            "group and labels disagree", "macro F1 minus flat_tuned", "labels better / worse",
        ),
        rows=rows,
        notes=notes,
    )  # fmt: skip
    write_labels(metrics, comparisons, counts, notes)
    write_stages(task, stages, notes)


def write_labels(
    metrics: pd.DataFrame, comparisons: pd.DataFrame, counts: pd.DataFrame, notes: str
) -> None:
    """Write the F1 of each label by the main models."""
    shown = ("flat", "flat_tuned", "hard_routed_tuned", "joint_tuned", "pair_tuned", "larger_tuned")
    f1 = metrics[metrics["metric"] == "f1"].set_index(["model", "target"])
    joint = comparisons[comparisons["model"] == "joint_tuned"].set_index("target")
    rows = [
        (
            row.label,
            f"{row.units}" + ("" if row.decidable else " (not decidable)"),
            *(f"{f1.loc[(model, row.label), 'value']:.2f}" for model in shown),
            interval(joint.loc[row.label], "difference"),
        )
        for row in counts.itertuples()
    ]
    report(
        "location_simulated_labels",
        title="Where a protein sits: F1 of each label on simulated cells",
        columns=("label", "test antibodies", *shown, "joint_tuned minus flat_tuned"),
        rows=rows,
        notes=notes,
    )


def write_stages(task: Task, stages: Sequence[StageScores], notes: str) -> None:
    """Write how each stage did on its own."""
    rows = []
    for each in stages:
        found = cluster_bootstrap(
            Scored(each.model, each.answers, (), np.nan, np.nan, np.nan).statistic(
                ["precision", "recall", "f1", "source_advantage"], targets="means"
            ),
            task.units[each.rows],
            rng=STREAMS.generator("stages"),
        ).frame().set_index("metric")  # fmt: skip
        rows.append(
            (
                each.stage,
                each.model,
                *(f"{found.loc[f'{m}/macro', 'value']:.3f}" for m in ("precision", "recall")),
                interval(found.loc["f1/macro"]),
                interval(found.loc["source_advantage/macro"]),
            )
        )
    report(
        "location_simulated_stages",
        title="Where a protein sits: each stage on its own",
        columns=("stage", "model", "precision", "recall", "F1", "PA (source)"),
        rows=rows,
        notes="Stage 1 answers for groups on all test pictures; stage 2 for the labels of its "
        "group, on test pictures that hold one, beside the flat network on the same. Means over "
        f"labels, threshold 0.5. {notes}",
    )


def cells(options: argparse.Namespace) -> None:
    """Compare models and channels on real cells."""
    rows = []
    dataset = real_cells(options.cells, options.cache)
    resources = Resources(cache=options.cache, device=options.device)
    views = {
        "all four channels": (),
        "protein alone": ("green",),
        "references alone": ("red", "blue", "yellow"),
    }
    size = ""
    for view, channels in views.items():
        names = ("constant", "logistic", "flat", "joint") if not channels else ("logistic", "flat")
        config = LocationConfig(
            **SETTINGS,
            models=names,
            channels=channels,
            network=f"timm:{options.network}?random",
            width=options.width,
            epochs=options.epochs,
            fine_epochs=max(options.epochs // 2, 1),
            test_share=0.3,
            split_seed=0,
            find_duplicates=False,
            repeats=options.repeats,
            replicates=1000,
            permutations=199,
        )
        task = prepare(read_collection(dataset), config, STREAMS, resources)
        trained = [
            train_networks(task, config, names, STREAMS.child("repeat", repeat), resources)
            for repeat in range(options.repeats)
        ]
        scored = scored_models(task, names, trained, described(task))
        metrics = metrics_frame(metric_rows(task, scored, config, STREAMS))
        value = metrics.set_index(["model", "target", "metric"]).sort_index()
        split = task.split
        size = (
            f"{len(task.pictures):,} real cells of {task.n_units(np.arange(len(task.truth)))} "
            f"fields at 64 px, {len(task.tree.labels)} labels; whole fields on one side: "
            f"{len(split.train):,} cells train, {len(split.validation):,} validate, "
            f"{len(split.test):,} of {task.n_units(split.test)} fields test."
        )
        for each in scored:
            if view != "all four channels" and not each.model.endswith("_tuned"):
                continue
            macro = value.loc[each.model, "macro"]
            rows.append(
                (
                    view,
                    each.model,
                    interval(macro.loc["f1"]),
                    f"{macro.loc['f1', 'null_mean']:.3f}",
                    f"{macro.loc['f1', 'p_value']:.3g}",
                    interval(macro.loc["average_precision"]),
                    interval(macro.loc["prediction_advantage"]),
                    interval(macro.loc["source_advantage"]),
                    interval(macro.loc["log_advantage"]),
                )
            )
    report(
        "location_cells",
        title="Where a protein sits: real cells, and what single channels know",
        columns=(
            "channels", "model", "macro F1", "shuffled labels", "p", "average precision",
            "PA (0/1)", "PA (source)", "PA (log)",
        ),
        rows=rows,
        notes=(
            f"{size} {options.network} with {options.width:g} of its channels, random weights, "
            f"{options.epochs} epochs, {options.repeats} seeds, of whose scores the mean is shown. "
            "Intervals: 95%, 1,000 bootstrap samples of fields; p: labels shuffled among fields "
            f"199 times. {versions('torch', 'timm')}."
        ),
    )  # fmt: skip


def real_cells(folder: Path, cache: Path) -> Path:
    """Link the real cells into a dataset folder that says which channels there are."""
    dataset = cache / "real-cells"
    if not dataset.exists():
        dataset.mkdir(parents=True)
        for name in ("metadata.csv", "images"):
            (dataset / name).symlink_to((folder / name).resolve())
        settings = {"channels": CHANNELS, "channel_pattern": "{image}_{channel}.jpg"}
        (dataset / "dataset.toml").write_text(toml_text(settings), encoding="utf-8")
    return dataset


def interval(row: pd.Series, value: str = "value") -> str:
    """Word a value with its interval."""
    return f"{row[value]:.3f} ({row['low']:.3f} to {row['high']:.3f})"


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("which", choices=["simulated", "cells"])
    parser.add_argument("--images", type=int, default=6000)
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--network", default="resnet10t", help="of timm; the source has resnet18")
    parser.add_argument("--larger", default="resnet26t", help="the rival of more parameters")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--width", type=float, default=0.125)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--cache", type=Path, required=True, help="what is kept between runs")
    parser.add_argument("--labels", type=Path, default=DATA / "hpa_labels" / "train.csv")
    parser.add_argument("--cells", type=Path, default=DATA / "cells")
    return parser.parse_args()


if __name__ == "__main__":
    main()
