"""What the study `kinship` finds: in real butterflies, in worlds with kinship, in worlds without.

    python benchmarks/kinship.py --butterflies ../shared/data/butterflies --worlds 500

Writes ``results/kinship.md``. Real species are held out at random and by whole genera, on the same
folds for every model. In simulated worlds looks are the very traits that evolved.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from kinlens import __version__
from kinlens.atomic import hash_bytes, write_text
from kinlens.io.folder import read_collection
from kinlens.ledger import FolderLedger
from kinlens.optional import need
from kinlens.parallel import Resources, map_blocks
from kinlens.records.collection import Collection
from kinlens.records.result import StudyResult
from kinlens.rng import RandomStreams
from kinlens.simulate.traits import evolve_traits, with_signal
from kinlens.simulate.trees import birth_death_tree
from kinlens.studies.kinship import KinshipConfig, KinshipFindings, measure, run
from kinlens.studies.kinship_task import KinshipTask, assemble
from reporting import RESULTS, machine

BUTTERFLIES = Path(__file__).parents[2] / "shared" / "data" / "butterflies"
PICTURES = 3
NOISE = 0.02
BLOCK = 10


@dataclass(frozen=True)
class World:
    """Looks that evolved on a tree, or without regard to it.

    Parameters
    ----------
    title : str
    species, traits : int
    signal : float
        Pagel's lambda of the traits.
    is_dealt_out : bool
        Whether species swap looks at random: they evolved, but not on this tree.
    """

    title: str
    species: int
    traits: int
    signal: float
    is_dealt_out: bool = False


KIN = tuple(World(f"{n} species, {k} traits", n, k, 1.0) for n in (40, 100) for k in (8, 24))
NULL = (
    World("no signal, 32 species, 8 traits", 32, 8, 0.0),
    World("signal of another tree, 32 species, 8 traits", 32, 8, 1.0, is_dealt_out=True),
)


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--butterflies", type=Path, default=BUTTERFLIES)
    parser.add_argument("--worlds", type=int, default=500, help="without kinship, of each kind")
    parser.add_argument("--kin-worlds", type=int, default=20, help="with kinship, of each kind")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--cache", type=Path, help="folder that keeps what is finished")
    arguments = parser.parse_args()
    resources = Resources(workers=arguments.workers, device="cpu", cache=arguments.cache)
    config = KinshipConfig()
    butterflies = read_collection(arguments.butterflies)
    real = [run(butterflies, config, RandomStreams(seed), resources) for seed in arguments.seeds]
    text = page(
        real,
        config,
        with_kinship=[reached(world, arguments.kin_worlds, resources) for world in KIN],
        without=[found_by_chance(world, arguments.worlds, resources) for world in NULL],
        arguments=arguments,
    )
    print(text)
    write_text(RESULTS / "kinship.md", text)


# Simulated worlds --------------------------------------------------------------------------------


def reached(world: World, count: int, resources: Resources) -> tuple[str, ...]:
    """Return a row: held-out r, Brownian ceiling, and the share of it that was reached."""
    config = KinshipConfig(
        models=("ridge",), permutations=99, shuffles=19, replicates=100, worlds=299
    )
    pairs = []
    for found in measured(world, count, config, resources):
        value, ceiling, _ = found
        pairs.append((value, ceiling))
    values, ceilings = np.array(pairs).T
    share = values.mean() / ceilings.mean()
    each = values / ceilings
    error = 1.96 * each.std(ddof=1) / np.sqrt(count)
    return (
        world.title, str(count), f"{values.mean():.2f}", f"{ceilings.mean():.2f}",
        f"{share:.0%} ± {100 * error:.0f}",
    )  # fmt: skip


def found_by_chance(world: World, count: int, resources: Resources) -> tuple[str, ...]:
    """Return a row: in how many worlds without kinship the study says that there is some."""
    config = KinshipConfig(
        models=("ridge",), permutations=99, shuffles=39, replicates=100, worlds=99
    )
    says = np.array([p for _, _, p in measured(world, count, config, resources)]) <= 0.05
    error = 196 * np.sqrt(0.05 * 0.95 / count)
    return world.title, str(count), f"{100 * says.mean():.1f} %", f"5 ± {error:.1f} %"


def measured(
    world: World, count: int, config: KinshipConfig, resources: Resources
) -> list[tuple[float, float, float]]:
    """Return held-out r, its ceiling and the p-value to believe, for each of `count` worlds."""
    blocks = [(start, min(start + BLOCK, count)) for start in range(0, count, BLOCK)]
    ledger = None
    if resources.cache is not None:
        what = hash_bytes(f"{__version__} {world} {config}".encode())
        ledger = FolderLedger(resources.cache / "kinship_worlds", what)
    found = map_blocks(
        partial(measure_block, world, config), blocks, resources=resources, ledger=ledger
    )
    return [row for block in found for row in block]


def measure_block(
    world: World, config: KinshipConfig, numbers: tuple[int, int]
) -> list[tuple[float, float, float]]:
    """Simulate and measure a few worlds, each from a stream of its own."""
    rows = []
    for number in range(*numbers):
        streams = RandomStreams(number).child(world.title)
        with need("threadpoolctl").threadpool_limits(1):
            found = measure(simulated(world, streams), config, streams, Resources())
        rows.append(numbers_of(found))
    return rows


def numbers_of(found: KinshipFindings) -> tuple[float, float, float]:
    """Return held-out r of species, its Brownian ceiling, and the p-value to believe."""
    believed = found.believed
    assert believed is not None
    assert believed.ceiling is not None
    return believed.value, believed.ceiling.mean, found.believed_p


def simulated(world: World, streams: RandomStreams) -> KinshipTask:
    """Evolve traits on a birth-death tree, and take a few nearly equal pictures of each."""
    rng = streams.generator("world")
    tree = birth_death_tree(world.species, rng)
    means = evolve_traits(with_signal(tree, world.signal), world.traits, rng)[tree.tips]
    if world.is_dealt_out:
        means = means[rng.permutation(len(means))]
    values = np.repeat(means, PICTURES, axis=0)
    values = values + NOISE * rng.standard_normal(values.shape)
    species = np.repeat(np.array(tree.tip_names, dtype=object), PICTURES)
    collection = Collection(name="simulated", folder=Path("simulated"), tree=tree)
    return assemble(values, species, kinship=collection)


# The page ----------------------------------------------------------------------------------------


def page(
    real: list[StudyResult],
    config: KinshipConfig,
    *,
    with_kinship: list[tuple[str, ...]],
    without: list[tuple[str, ...]],
    arguments: argparse.Namespace,
) -> str:
    """Word the page."""
    kin = table(
        ("world", "worlds", "held-out r", "Brownian ceiling", "share reached, %"), with_kinship
    )
    null = table(("world", "worlds", "says that looks tell kinship", "should"), without)
    first = real[0].metrics
    n, seeds = int(first["n"].max()), ", ".join(map(str, arguments.seeds))
    return f"""# Kinship from looks

## Butterflies

{butterfly_table(real)}

{n} species, built-in descriptors, {config.folds} folds, seeds {seeds} (each deals its own folds,
the same for every model); r is the mean over folds of the correlation of predicted with true
distance among held-out species, here averaged over seeds, with the range over seeds. Intervals: of
the first seed, whole clades resampled. Shuffled tree: all learning repeated on {config.shuffles}
trees with shuffled tips, the middle 95 %.

## Simulated worlds with kinship

True traits that evolved by Brownian motion, species held out at random. The ceiling is what
Euclidean distances between Brownian traits of as many effective dimensions reach unlearned; a
learned map weighs its axes and may pass it.

{kin}

## Simulated worlds without

In how many worlds the study says that looks tell kinship, at 5 %.

{null}

Machine: {machine()}.
"""


def butterfly_table(real: list[StudyResult]) -> str:
    """Lay models down: r for species and for genera never seen, in sample and raw."""
    rows = []
    for label, target, model, split in (
        ("raw looks, Euclidean", "raw", "euclidean", "none"),
        ("raw looks, cosine", "raw", "cosine", "none"),
        ("ridge, species never seen", "held_out", "ridge", "species"),
        ("ridge, genera never seen", "held_out", "ridge", "clade"),
        ("published network, species never seen", "held_out", "attention_head", "species"),
        ("published network, genera never seen", "held_out", "attention_head", "clade"),
        ("shuffled tree, species", "held_out", "shuffled_tree", "species"),
        ("shuffled tree, genera", "held_out", "shuffled_tree", "clade"),
        ("ridge, in sample (circular)", "in_sample", "ridge", "none"),
        ("published network, in sample (circular)", "in_sample", "attention_head", "none"),
    ):
        each = [row_of(result, target, model, split) for result in real]
        values = np.array([row["value"] for row in each])
        spread = f"{values.min():.2f} to {values.max():.2f}"
        interval = f"{each[0]['low']:.2f} to {each[0]['high']:.2f}"
        rows.append((label, f"{values.mean() + 0.0:.2f}", spread, interval))
    return table(("model", "r", "over seeds", "95% interval"), rows)


def row_of(result: StudyResult, target: str, model: str, split: str) -> dict[str, float]:
    """Return one row of the metrics."""
    chosen = result.metrics.query(
        "target == @target and model == @model and split == @split and metric == 'pearson_r'"
    )
    return dict(chosen.iloc[0])


def table(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Lay out a table."""
    lines = [" | ".join(columns), " | ".join("---" for _ in columns), *map(" | ".join, rows)]
    return "\n".join(f"| {line} |" for line in lines)


if __name__ == "__main__":
    main()
