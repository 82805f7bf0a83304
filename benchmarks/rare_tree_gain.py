"""What a tree adds to naming butterflies as pictures get fewer.

    python benchmarks/rare_tree_gain.py [--repeats 5] [--keep FOLDER]

In each repeat the same 30% of the species keep two specimens to learn from, one, a single picture
of one, or none; their other specimens are tested, by the same pictures at every level. The gain is
the difference between phylogenetic prototypes under the true tree and the same under the tree with
its tips permuted. Real input: ``../shared/data/butterflies``. Writes ``results/rare_tree_gain.md``.
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
from kinlens.parallel import Resources
from kinlens.rng import RandomStreams
from kinlens.studies.rare import RareConfig
from kinlens.studies.rare_models import fit_models
from kinlens.studies.rare_scores import Repeat, cells_of
from kinlens.studies.rare_task import RareSplit, RareTask, draw_split, prepare
from reporting import report, versions

DATA = Path(__file__).parents[2] / "shared" / "data" / "butterflies"
CONFIG = RareConfig(unseen_share=0.0)
LEVELS = ("2 specimens", "1 specimen", "1 picture", "no picture")
CONTROLS = ("prototypes_permuted", "prototypes_no_tree", "prototypes_taxonomy", "class_means")
KEPT = 2


def main() -> None:
    """Fit every level of every repeat, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--keep", type=Path, help="folder that keeps what is finished")
    options = parser.parse_args()
    task = prepare(read_collection(DATA), CONFIG, Resources(cache=options.keep))
    found: dict[str, list[pd.DataFrame]] = {level: [] for level in LEVELS}
    with tempfile.TemporaryDirectory() as temporary:
        ledger = FolderLedger(options.keep or temporary, "rare-tree-gain")
        for repeat in range(options.repeats):
            for level in LEVELS:
                key = f"{level}-{repeat}"
                if not ledger.has(key):
                    ledger.store(key, rare_cells(task, level, repeat))
                found[level].append(ledger.load(key))
    write({level: pd.concat(tables) for level, tables in found.items()}, options.repeats)


def rare_cells(task: RareTask, level: str, repeat: int) -> pd.DataFrame:
    """Fit all prototypes on one split at one level, and return the cells of its rare species."""
    streams = RandomStreams(0).child("repeat", repeat)
    split, rare = split_at(task, level, streams)
    fitted = fit_models(
        task, split, streams, noises=CONFIG.noises, error_rate=CONFIG.error_rate, heads=None,
        advance=lambda: None,
    )  # fmt: skip
    cells = cells_of(task, [Repeat(repeat, split, fitted)])
    cells = cells[cells["species"].isin(rare)]
    print(repeat, level, cells.groupby("model")["per_class_accuracy"].mean().round(3).to_dict(),
          flush=True)  # fmt: skip
    return cells


def split_at(
    task: RareTask, level: str, streams: RandomStreams
) -> tuple[RareSplit, tuple[str, ...]]:
    """Give rare species so much to learn from; the first specimens are never tested."""
    split = draw_split(task, CONFIG, streams)
    rng = streams.generator("kept")
    train = [split.train[~np.isin(task.species[split.train], split.rare)]]
    test, rare = [], []
    for name in split.rare:
        rows = np.flatnonzero(task.species == name)
        specimens = rng.permutation(np.unique(task.specimens[rows]))
        if len(specimens) <= KEPT:
            continue
        rare.append(name)
        own = [rows[task.specimens[rows] == specimen] for specimen in specimens]
        test += own[KEPT:]
        if level == "1 picture":
            train.append(own[0][:1])
        elif level != "no picture":
            train += own[: int(level[0])]
    chosen = replace(
        split,
        train=np.sort(np.concatenate(train)),
        test=np.sort(np.concatenate(test)),
        unseen=tuple(rare) if level == "no picture" else (),
        rare=() if level == "no picture" else tuple(rare),
    )
    return chosen, tuple(rare)


def write(found: dict[str, pd.DataFrame], repeats: int) -> None:
    """Average over species, pair, and write the table."""
    rows = []
    for level, cells in found.items():
        by_model = {
            str(name): part.set_index(["repeat", "species"])["per_class_accuracy"]
            for name, part in cells.groupby("model")
        }
        true = by_model["prototypes"]
        row = [level, f"{true.groupby('repeat').size().mean():.0f}", estimate(true)]
        row += [estimate(by_model[name]) for name in ("prototypes_permuted", "class_means")]
        row += [estimate(true - by_model[control], signed=True) for control in CONTROLS]
        rows.append(row)
    report(
        "rare_tree_gain",
        title="What a tree adds to naming butterflies as pictures get fewer",
        columns=(
            "to learn from", "rare species", "true tree", "tips permuted", "class means",
            *(f"gain over {name.removeprefix('prototypes_').replace('_', ' ')}"
              for name in CONTROLS),
        ),
        rows=rows,
        notes=(
            "Share of a rare species' pictures named right, among all 332 species; gains are "
            f"paired differences, in points. 95% bootstrap intervals over species; {repeats} "
            "repeats of seed 0. Where species have no picture they compete with "
            "all others, and so the 70% that have some lose to them; elsewhere every candidate "
            f"has pictures. Built-in descriptors. {versions('numpy', 'scikit-learn')}."
        ),
    )  # fmt: skip


def estimate(values: pd.Series, *, signed: bool = False) -> str:
    """Average cells over species, with an interval from resampling species."""
    found = cluster_bootstrap(
        WeightedMeans(["mean"], values.to_numpy()[:, None]),
        values.index.get_level_values("species"),
        rng=RandomStreams(0).generator("bootstrap"),
    )
    value, low, high = (100 * part for part in found["mean"])
    sign = "+" if signed else ""
    return f"{value:{sign}.1f} ({low:{sign}.1f} to {high:{sign}.1f})"


if __name__ == "__main__":
    main()
