"""How much of the bare speed of a network training keeps: batches, augmentation, trainer.

``python benchmarks/location_throughput.py`` trains the flat network of the study `location` through
`kinlens.learn.fit` on pictures in memory, and beside it runs the same network, loss and optimiser
on tensors that lie ready, in turns in one process; it writes a table to ``results/``.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np

from kinlens.learn.batches import PictureBatches
from kinlens.learn.fit import fit
from kinlens.learn.label_kinds import Independent
from kinlens.learn.plan import FitPlan
from kinlens.optional import need
from kinlens.rng import RandomStreams
from kinlens.simulate.cell_world import CellWorldConfig, simulate_cells
from kinlens.studies.location_networks import NetworkConfig, trunk_of
from kinlens.typing import BoolArray, ByteArray
from reporting import report, versions

torch = need("torch")
LABELS = 21


def main() -> None:
    """Time both in turns and write the table."""
    options = arguments()
    torch.set_num_threads(options.threads)
    config = CellWorldConfig(images=options.images, image_size=options.size)
    world = simulate_cells(config, RandomStreams(0))
    pictures = np.stack([world.render(number) for number in range(options.images)])
    truth = np.random.default_rng(0).random((options.images, LABELS)) < 0.08
    rows = []
    for network, width in (("timm:resnet18?random", 1.0), ("timm:resnet18?random", 0.375)):
        settings = NetworkConfig(network=network, width=width, size=options.size)
        timings: dict[str, list[float]] = {"trained": [], "bare": []}
        for turn in range(options.turns + 1):
            trained = images_per_second(trained_epochs, pictures, truth, settings, options)
            bare = images_per_second(bare_epochs, pictures, truth, settings, options)
            if turn:  # the first turn warms up
                timings["trained"].append(trained)
                timings["bare"].append(bare)
        pairs = zip(timings["trained"], timings["bare"], strict=True)
        ratios = sorted(trained / bare for trained, bare in pairs)
        rows.append(
            (
                f"ResNet18, {width:g} of its channels",
                f"{statistics.median(timings['bare']):.1f}",
                f"{statistics.median(timings['trained']):.1f}",
                f"{statistics.median(ratios):.3f}",
                f"{ratios[0]:.3f} to {ratios[-1]:.3f}",
            )
        )
    report(
        "location_throughput",
        title="Training networks for cells: how much of the bare speed is kept",
        columns=("network", "bare, images/s", "trained, images/s", "ratio", "range of the turns"),
        rows=rows,
        notes=(
            f"{options.images} pictures of {options.size} px in four channels, batches of "
            f"{options.batch}, {options.epochs} epochs a turn, {options.turns} turns after one to "
            f"warm up, {options.threads} threads. Bare: forward, loss, backward and AdamW on "
            "normalised float32 tensors that lie ready. Trained: the study's own batches from "
            "8-bit pictures, with flips and quarter turns, through Lightning; without scoring the "
            f"validation part. Medians. {versions('torch', 'timm', 'lightning')}."
        ),
    )


def images_per_second(
    run, pictures: ByteArray, truth: BoolArray, settings: NetworkConfig, options
) -> float:
    """Return the pictures a second of `run`, without building the network."""
    trunk = trunk_of(pictures, settings.network, settings, seed=0)
    kind = Independent(LABELS)
    network = kind.build(trunk.module, trunk.n_features).to(memory_format=torch.channels_last)
    batches = PictureBatches(
        pictures,
        truth.astype(np.float32),
        mean=trunk.mean,
        spread=trunk.spread,
        batch_size=options.batch,
        seed=0,
        quarter_turns=True,
    )
    took = run(network.train(), kind, batches, options.epochs)
    return options.epochs * len(pictures) / took


def trained_epochs(network, kind: Independent, batches: PictureBatches, epochs: int) -> float:
    """Train through the one trainer; return the seconds it took."""
    start = time.perf_counter()
    fit(
        network,
        lambda model, batch: kind.loss(model(batch[0]), batch[1]),
        batches,
        score=lambda _model: 0.0,
        plan=FitPlan(epochs=epochs, patience=None, schedule="constant"),
        seed=0,
        device="cpu",
    )
    return time.perf_counter() - start


def bare_epochs(network, kind: Independent, batches: PictureBatches, epochs: int) -> float:
    """Step through tensors that lie ready; return the seconds it took."""
    ready = [(inputs.clone(memory_format=torch.preserve_format), held) for inputs, held in batches]
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=0.0)
    start = time.perf_counter()
    for _ in range(epochs):
        for inputs, held in ready:
            optimizer.zero_grad()
            kind.loss(network(inputs), held).backward()
            optimizer.step()
    return time.perf_counter() - start


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


if __name__ == "__main__":
    main()
