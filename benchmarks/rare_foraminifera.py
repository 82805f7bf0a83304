"""The published stages and the prototypes on simulated worlds with the tail of a foraminifer atlas.

    python benchmarks/rare_foraminifera.py [--seeds 0 1 2 ...] [--keep FOLDER]

Each world has a clade of its own: 32 species with 7 to about 2,000 pictures, one a specimen, and
rDNA that evolved along the tree; kinship is known from the rDNA alone. With a signal (Pagel's
lambda) of 0.9 looks follow the tree, with 0 nothing can be gained from it. Writes
``results/rare_foraminifera.md`` anew after each world.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from kinlens.evaluate.resample import WeightedMeans, cluster_bootstrap
from kinlens.io.folder import read_collection
from kinlens.ledger import FolderLedger
from kinlens.optional import need
from kinlens.parallel import Resources
from kinlens.rng import RandomStreams
from kinlens.simulate.world import simulate_world
from kinlens.simulate.world_config import WorldConfig
from kinlens.studies.rare import RareConfig
from kinlens.studies.rare_models import fit_models
from kinlens.studies.rare_scores import Repeat, cells_of
from kinlens.studies.rare_task import RareSplit, RareTask, prepare
from kinlens.studies.simulation import write_world
from reporting import report, versions

WORLD = WorldConfig(
    name="foraminifera", species=32, images=7800, image_size=64, zipf_exponent=4.22, most_views=1
)
SIGNALS = (0.9, 0.0)
SHARES = (0.6, 0.2)  # train, validate; the rest tests
RARE = 20
"""A species is rare with at most so many pictures to learn from."""
CONFIG = RareConfig()
MODELS = (
    "class_means", "baseline", "long_tail", "logit_adjusted", "aligned", "aligned_long_tail",
    "aligned_permuted", "aligned_same_gram", "aligned_taxonomy",
    "prototypes", "prototypes_permuted", "prototypes_taxonomy", "prototypes_no_tree",
)  # fmt: skip
PAIRS = (
    ("aligned_long_tail", "aligned_permuted"),
    ("aligned_long_tail", "aligned_same_gram"),
    ("aligned_long_tail", "aligned_taxonomy"),
    ("aligned_long_tail", "long_tail"),
    ("prototypes", "prototypes_permuted"),
    ("prototypes", "prototypes_taxonomy"),
    ("prototypes", "prototypes_no_tree"),
    ("prototypes", "class_means"),
    ("prototypes", "aligned_long_tail"),
)


def main() -> None:
    """Go through the worlds that are not finished, and write the table of all that are."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(10)))
    parser.add_argument("--images", type=int, default=WORLD.images)
    parser.add_argument("--keep", type=Path, help="folder that keeps finished worlds")
    options = parser.parse_args()
    need("torch").set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        ledger = FolderLedger(options.keep or temporary, f"rare-foraminifera-{options.images}")
        done: dict[float, list[pd.DataFrame]] = {signal: [] for signal in SIGNALS}
        for seed in options.seeds:
            for signal in SIGNALS:
                key = f"{signal}-{seed}"
                if not ledger.has(key):
                    ledger.store(key, world_cells(signal, seed, options.images))
                done[signal].append(ledger.load(key))
            write(done, options.images)


def world_cells(signal: float, seed: int, images: int) -> pd.DataFrame:
    """Make one world, fit everything once, and return the cells of its species."""
    config = WORLD.model_copy(update={"signal": signal, "images": images})
    with tempfile.TemporaryDirectory() as folder:
        write_world(simulate_world(config, RandomStreams(seed)), Path(folder, "world"))
        collection = replace(read_collection(Path(folder, "world")), tree=None)
        task = prepare(collection, CONFIG, Resources())
    streams = RandomStreams(seed)
    split = natural_split(task, streams)
    fitted = fit_models(
        task, split, streams, noises=CONFIG.noises, error_rate=CONFIG.error_rate,
        heads=CONFIG.heads, advance=lambda: None,
    )  # fmt: skip
    cells = cells_of(task, [Repeat(seed, split, fitted)])
    print(f"lambda {signal:g}, seed {seed}: {means(cells)}", flush=True)
    return cells.assign(species=[f"{seed} {name}" for name in cells["species"]])


def natural_split(task: RareTask, streams: RandomStreams) -> RareSplit:
    """Part the specimens of each species as they come; the tail is long enough by itself."""
    rng = streams.generator("natural split")
    parts: dict[str, list[int]] = {"train": [], "validation": [], "test": []}
    rare = []
    for name in task.names:
        own = rng.permutation(np.flatnonzero(task.species == name)).tolist()
        n_train = round(SHARES[0] * len(own))
        n_validation = max(round(SHARES[1] * len(own)), 1)
        parts["train"] += own[:n_train]
        parts["validation"] += own[n_train : n_train + n_validation]
        parts["test"] += own[n_train + n_validation :]
        if n_train <= RARE:
            rare.append(name)
    rows = {part: np.sort(np.array(found)) for part, found in parts.items()}
    return RareSplit(**rows, unseen=(), rare=tuple(rare))


def means(cells: pd.DataFrame) -> str:
    """Say in one line how the rare species do."""
    rare = cells[cells["shots"] <= RARE]
    found = rare.groupby("model")["per_class_accuracy"].mean()
    return ", ".join(f"{model} {found[model]:.3f}" for model in MODELS)


def write(done: dict[float, list[pd.DataFrame]], images: int) -> None:
    """Average over worlds, pair, and write the table."""
    rows: list[list[str]] = []
    cells = {signal: pd.concat(tables) for signal, tables in done.items()}
    for model in MODELS:
        row = [model]
        for table in cells.values():
            own = table[table["model"] == model]
            row += [estimate(own[own["shots"] <= RARE]), estimate(own)]
        rows.append(row)
    for model, control in PAIRS:
        row = [f"{model} - {control}"]
        for table in cells.values():
            paired = differences(table, model, control)
            row += [estimate(paired[paired["shots"] <= RARE]), estimate(paired)]
        rows.append(row)
    table = cells[SIGNALS[0]]
    one = table[table["model"] == "prototypes"]
    n_worlds = len(done[SIGNALS[0]])
    report(
        "rare_foraminifera",
        title="Rare species in simulated worlds with the tail of a foraminifer atlas",
        columns=(
            "model",
            *(f"{part}, lambda {signal:g}" for signal in SIGNALS for part in ("rare", "all")),
        ),
        rows=rows,
        notes=(
            f"Per-class accuracy, or its paired difference, with 95% bootstrap intervals over "
            f"species. {n_worlds} worlds for each lambda (seeds 0 to {n_worlds - 1}), each of 32 "
            f"species and {images:,} pictures of {WORLD.image_size} px, 60% to learn from, 20% to "
            f"validate, 20% to test. Rare: at most {RARE} pictures to learn from; "
            f"{int((one['shots'] <= RARE).sum())} of {len(one)} species with lambda 0.9. Kinship: "
            f"5-mers of simulated rDNA. Features: built-in descriptors. "
            f"{versions('torch', 'scikit-learn')}."
        ),
    )


def differences(table: pd.DataFrame, model: str, control: str) -> pd.DataFrame:
    """Subtract one model's cells from another's."""
    first, second = (
        table[table["model"] == name].set_index(["repeat", "species"]) for name in (model, control)
    )
    gain = first["per_class_accuracy"] - second["per_class_accuracy"]
    return first.assign(per_class_accuracy=gain).reset_index()


def estimate(cells: pd.DataFrame) -> str:
    """Average over species, with an interval from resampling them."""
    found = cluster_bootstrap(
        WeightedMeans(["mean"], cells[["per_class_accuracy"]].to_numpy(dtype=np.float64)),
        cells["species"],
        rng=RandomStreams(0).generator("bootstrap"),
    )
    value, low, high = found["mean"]
    return f"{value:.3f} ({low:.3f} to {high:.3f})"


if __name__ == "__main__":
    main()
