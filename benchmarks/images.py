"""Pictures to vectors: reading and encoding together, beside a bare loop and the encoder alone.

    python benchmarks/images.py [--images FOLDER] [--count 256]

The limit is the encoder alone on pictures that are ready in memory (for a network, the bare forward
pass on normalised tensors). The bare loop is what one would write first: read and resize a batch of
pictures, encode it, and so on. All run in this process, in turns, on the same files; the vectors of
all ways are compared before they are timed. Networks have random weights, which are as fast.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from kinlens.embed.backbones import open_backbone
from kinlens.embed.encoders import ImageEncoder, open_encoder, parse_encoder
from kinlens.embed.image_pipeline import read_square
from kinlens.embed.images import embed_images
from kinlens.embed.network_encoder import NetworkEncoder
from kinlens.optional import need
from kinlens.parallel import Resources
from kinlens.rng import RandomStreams
from kinlens.simulate.world import simulate_world
from kinlens.simulate.world_config import WorldConfig
from kinlens.typing import AnyArray, Float32Array
from reporting import report, versions

NETWORK = "timm:resnet18?random"
Row = tuple[str, str, str, str, str, str]


def main() -> None:
    """Run everything and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=Path, help="folder of pictures; simulated when left out")
    parser.add_argument("--count", type=int, default=256, help="how many pictures")
    parser.add_argument("--rounds", type=int, default=5, help="turns, of which the median counts")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.images is None:
            files = simulated(arguments.count, Path(folder))
        else:
            files = sorted(f for f in arguments.images.rglob("*") if f.is_file())[: arguments.count]
        sizes = [Image.open(file).size for file in files]
        networks = [
            open_backbone(parse_encoder(f"{NETWORK}&size={size}"), device="cpu", precision=how)
            for size in (128, 224)
            for how in ("float32", "bfloat16")
        ]
        encoders: list[ImageEncoder] = [open_encoder("descriptors"), *networks]
        rows = [compare(encoder, files, Path(folder), arguments.rounds) for encoder in encoders]
    width, height = (int(statistics.median(side)) for side in zip(*sizes, strict=True))
    report(
        "images",
        title="Pictures to vectors, images a second",
        columns=("encoder", "encoder alone", "kinlens", "share of the limit", "bare loop", "kept"),
        rows=rows,
        notes=f"{len(files):,} pictures of {width} x {height} pixels (median), median of "
        f"{arguments.rounds} rounds, one way after the other in each; the last column is a second "
        f"run that finds every vector kept. {versions('torch', 'timm', 'pillow', 'numba')}.",
    )


def simulated(count: int, folder: Path) -> list[Path]:
    """Draw shells and save them as JPEG files, no two alike."""
    config = WorldConfig(species=16, images=count, image_size=200, zipf_exponent=0.3, genes=20)
    world = simulate_world(config, RandomStreams(1))
    files = [folder / f"{place:05d}.jpg" for place in range(count)]
    for place, file in enumerate(files):
        Image.fromarray(world.pictures.render(place)).save(file, quality=92)
    return files


def compare(encoder: ImageEncoder, files: Sequence[Path], folder: Path, rounds: int) -> Row:
    """Time every way for one encoder."""
    pictures = np.stack([read_square((file,), encoder) for file in files])
    cache = folder / encoder.fingerprint
    kept = Resources(cache=cache)
    ours = embed_images(files, encoder, resources=kept).values
    again = embed_images(files, encoder, resources=kept).values
    assert np.array_equal(ours, again), "kept vectors must be the same"
    agree(ours, encoder.encode(pictures[: len(ours)]))
    agree(ours[:32], bare_loop(encoder, files[:32]))

    ways: dict[str, Callable[[], object]] = {
        "limit": alone(encoder, pictures),
        "ours": lambda: embed_images(files, encoder, resources=replace(kept, cache=None)),
        "bare": lambda: bare_loop(encoder, files),
        "kept": lambda: embed_images(files, encoder, resources=kept),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            times[name].append(time.perf_counter() - start)
    rate = {name: len(files) / statistics.median(spent) for name, spent in times.items()}
    # Within a round, because other work on the machine slows down neighbours alike.
    share = statistics.median(a / b for a, b in zip(times["limit"], times["ours"], strict=True))
    name = encoder.name
    if isinstance(encoder, NetworkEncoder):
        name = f"{encoder.name}, {encoder.input_size} px, {encoder.precision}"
    return (
        name,
        f"{rate['limit']:,.0f}",
        f"{rate['ours']:,.0f}",
        f"{share:.2f}",
        f"{rate['bare']:,.0f}",
        f"{rate['kept']:,.0f}",
    )


def agree(ours: Float32Array, other: Float32Array) -> None:
    """Insist that two ways to the same vectors differ by no more than rounding."""
    scale = np.abs(other).max()
    assert np.abs(ours - other).max() <= 0.02 * scale, "the ways must give the same vectors"


def bare_loop(encoder: ImageEncoder, files: Sequence[Path]) -> Float32Array:
    """Read and resize a batch of pictures one after the other, then encode it, and so on."""
    step = encoder.batch_size
    batches = (files[i : i + step] for i in range(0, len(files), step))
    return np.concatenate(
        [encoder.encode(np.stack([read_square((f,), encoder) for f in batch])) for batch in batches]
    )


def alone(encoder: ImageEncoder, pictures: AnyArray) -> Callable[[], object]:
    """Return the encoder's own work on pictures that are ready."""
    step = encoder.batch_size
    if not isinstance(encoder, NetworkEncoder):
        return lambda: [
            encoder.encode(pictures[i : i + step]) for i in range(0, len(pictures), step)
        ]
    torch = need("torch")
    tensors = torch.from_numpy(pictures).permute(0, 3, 1, 2).float().split(step)
    tensors = [t.contiguous(memory_format=torch.channels_last) for t in tensors]

    def forward() -> None:
        is_fast = encoder.precision == "bfloat16"
        how = torch.autocast("cpu", torch.bfloat16) if is_fast else nullcontext()
        with torch.inference_mode(), how:
            for tensor in tensors:
                encoder.module(tensor)

    return forward


if __name__ == "__main__":
    main()
