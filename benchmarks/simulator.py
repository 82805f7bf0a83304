"""Speed of the simulator: a dataset of 2,000 pictures, single pictures, reads for other benchmarks.

    python benchmarks/simulator.py [--workers 2]

There is no rival to compare with; the table says what other benchmarks and the demo wait for.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from kinlens.parallel import Resources
from kinlens.rng import RandomStreams
from kinlens.simulate.reads import simulate_reads
from kinlens.simulate.world import simulate_world
from kinlens.simulate.world_config import WorldConfig
from kinlens.studies.simulation import write_world
from reporting import report, versions

Row = tuple[str, str, str, str]


def main() -> None:
    """Run everything and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=2)
    workers = parser.parse_args().workers
    rows = [
        *(pictures(size) for size in (64, 128, 256)),
        dataset(1),
        dataset(workers),
        reads(100_000, 152),
        reads(20_000, 1_400),
        world(300),
    ]
    report(
        "simulator",
        title="The simulator",
        columns=("task", "processor s", "wall s", "each"),
        rows=rows,
        notes="One run each, compiled code warm; processor time is that of the main process. "
        f"{versions('numpy', 'numba', 'pillow')}.",
    )


def timed(task: str, work: Callable[[], object], each: Callable[[float], str]) -> Row:
    """Run once and word the row; `each` gets the processor seconds."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    processor, wall = time.process_time() - processor, time.perf_counter() - wall
    return (task, f"{processor:.1f}", f"{wall:.1f}", each(processor))


def pictures(size: int, *, count: int = 300) -> Row:
    """Draw pictures without writing them."""
    drawn = simulate_world(WorldConfig(image_size=size), RandomStreams(1)).pictures

    def draw(number: int) -> None:
        for picture in range(number):
            drawn.render(picture)

    draw(3)
    return timed(
        f"{count} pictures, {size} px",
        lambda: draw(count),
        lambda spent: f"{1000 * spent / count:.1f} ms a picture",
    )


def dataset(workers: int) -> Row:
    """Simulate and write the default world: 32 species, 2,000 pictures of 128 px."""
    with tempfile.TemporaryDirectory() as folder:

        def work() -> None:
            drawn = simulate_world(WorldConfig(), RandomStreams(1))
            write_world(drawn, Path(folder) / "world", resources=Resources(workers=workers))

        return timed(f"a dataset of 2,000 pictures, workers {workers}", work, lambda _spent: "")


def reads(count: int, length: int) -> Row:
    """Simulate distinct reads."""
    simulate_reads(100, length, np.random.default_rng(1))
    return timed(
        f"{count:,} reads of {length:,} bases",
        lambda: simulate_reads(count, length, np.random.default_rng(1)),
        lambda spent: f"{1e6 * spent / count:.0f} µs a read",
    )


def world(species: int) -> Row:
    """Draw everything of a world but its pictures."""
    config = WorldConfig(species=species, images=10 * species)
    return timed(
        f"a world of {species} species, pictures not drawn",
        lambda: simulate_world(config, RandomStreams(1)),
        lambda _spent: "",
    )


if __name__ == "__main__":
    main()
