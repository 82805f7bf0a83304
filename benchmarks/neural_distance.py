"""Error of learned sequence vectors on real reads: every encoder in every geometry.

``python benchmarks/neural_distance.py --encoders linear mlp --seeds 0 1 2`` writes a table to
``results/neural_distance.md``. Reads are those of ``../shared/data/v4_reads``; of each seed's
random order 6,100 are trained on, 700 decide on the epoch and 1,500 are tested.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from kinlens.embed.kmer import KmerCounts
from kinlens.embed.neural import DEFAULT_PLAN, NeuralDistanceEmbedder, percent_rmse
from kinlens.geometry.edit import edit_distances
from kinlens.io.fasta import read_fasta
from kinlens.learn.encoders import ENCODERS
from kinlens.learn.spaces import SPACES
from kinlens.optional import need
from reporting import report, versions

READS = Path(__file__).parents[2] / "shared" / "data" / "v4_reads" / "sequences.fasta"
PARTS = (6100, 700, 1500)


def main() -> None:
    """Train, test and write the table."""
    options = arguments()
    need("torch").set_num_threads(1)
    reads = read_fasta(options.reads).sequences
    edit_distances(reads[:600])  # compiles, or loads what was compiled
    errors: dict[str, list[tuple[float, float, float]]] = {}
    for seed in options.seeds:
        train, validation, test = split(reads, seed)
        exact = edit_distances(test)
        unit = float(np.mean([len(read) for read in train]))
        for name, predicted in baselines(train, test):
            errors.setdefault(name, []).append(
                (0.0, np.nan, percent_rmse(predicted, exact, unit=unit))
            )
        for encoder in options.encoders:
            for geometry in options.geometries:
                plan = DEFAULT_PLAN.model_copy(update={"epochs": options.epochs})
                start = time.process_time()
                model = NeuralDistanceEmbedder(
                    encoder, geometry, plan=plan, device=options.device, random_state=seed
                ).fit(train, validation=validation)
                took = time.process_time() - start
                error = percent_rmse(model.distances(model.transform(test)), exact, unit=unit)
                row = (took, 100.0 * model.history_["score"].min(), error)
                errors.setdefault(f"{encoder} {geometry}", []).append(row)
                print(
                    f"{encoder} {geometry} seed {seed}: {took:.0f} s, test {error:.3f}", flush=True
                )
        write(errors, options, reached=seed)


def split(reads: tuple[bytes, ...], seed: int) -> tuple[list[bytes], list[bytes], list[bytes]]:
    """Return training, validation and test reads."""
    order = np.random.default_rng(seed).permutation(len(reads))
    ends = np.cumsum(PARTS)
    first, second, third = (
        [reads[i] for i in order[end - size : end]] for size, end in zip(PARTS, ends, strict=True)
    )
    return first, second, third


def baselines(train: list[bytes], test: list[bytes]) -> list[tuple[str, np.ndarray]]:
    """Predict the training mean, and a straight line through 5-mer cosine distances."""
    sample = train[:1500]
    exact = edit_distances(sample).astype(np.float64)
    pairs = np.triu_indices(len(sample), 1)
    cosine = kmer_cosine(sample)[pairs]
    slope = float(cosine @ exact[pairs]) / float(cosine @ cosine)
    constant = np.full((len(test), len(test)), exact[pairs].mean())
    return [("mean distance", constant), ("5-mer cosine", slope * kmer_cosine(test))]


def kmer_cosine(reads: list[bytes]) -> np.ndarray:
    """Return one minus the cosine of 5-mer counts, which come with length 1."""
    counts = np.asarray(KmerCounts(5).fit_transform(reads), dtype=np.float64)
    return 1.0 - counts @ counts.T


def write(
    errors: dict[str, list[tuple[float, float, float]]],
    options: argparse.Namespace,
    *,
    reached: int,
) -> None:
    """Write the table of the seeds that are done."""
    rows = []
    for name, found in errors.items():
        took, validation, tested = np.array(found).T
        rows.append(
            (
                name,
                f"{took.mean():.0f}" if took.any() else "-",
                "-" if np.isnan(validation).all() else f"{validation.mean():.2f}",
                f"{tested.mean():.2f}",
                " ".join(f"{value:.2f}" for value in tested),
            )
        )
    done = options.seeds[: options.seeds.index(reached) + 1]
    report(
        options.name,
        title="Learned vectors: error against exact edit distance on V4 reads",
        columns=("model", "training, CPU s", "validation %RMSE", "test %RMSE", "by seed"),
        rows=rows,
        notes=(
            f"{PARTS[0]:,} reads of 152 letters train, {PARTS[1]} validate, {PARTS[2]:,} test, in "
            f"a random split for each of the seeds {', '.join(map(str, done))}; %RMSE over all "
            f"{PARTS[2] * (PARTS[2] - 1) // 2:,} pairs of tested reads, in percent of the length. "
            f"{options.epochs} epochs, one thread, CPU seconds of the whole `fit`, labels and "
            f"validation included. {versions('torch', 'lightning')}."
        ),
    )


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--encoders", nargs="+", default=list(ENCODERS), choices=ENCODERS)
    parser.add_argument(
        "--geometries", nargs="+", default=["hyperbolic", "euclidean"], choices=SPACES
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=DEFAULT_PLAN.epochs)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--reads", type=Path, default=READS)
    parser.add_argument("--name", default="neural_distance", help="of the table in results/")
    return parser.parse_args()


if __name__ == "__main__":
    main()
