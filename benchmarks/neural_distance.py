"""Error of learned sequence vectors on real reads: every encoder in every geometry.

``python benchmarks/neural_distance.py --runs linear:130 mlp:110 --seeds 0 1 2`` writes a table to
``results/neural_distance.md``. Reads are those of ``../shared/data/v4_reads``; of each seed's
random order 6,100 are trained on, 700 decide on the epoch and 1,500 are tested. With ``--cache``
what is finished is kept, and the next call goes on.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
from pathlib import Path

import numpy as np

from kinlens import __version__
from kinlens.embed.kmer import KmerCounts
from kinlens.embed.neural import DEFAULT_PLAN, NeuralDistanceEmbedder, percent_rmse
from kinlens.geometry.edit import edit_distances
from kinlens.io.fasta import read_fasta
from kinlens.learn.spaces import SPACES
from kinlens.ledger import FolderLedger
from kinlens.optional import need
from reporting import report, versions

READS = Path(__file__).parents[2] / "shared" / "data" / "v4_reads" / "sequences.fasta"
PARTS = (6100, 700, 1500)
RUNS = (
    "linear:130", "mlp:110", "mlp:400", "cnn:40", "cnn:90", "gru:15", "transformer:25",
    "local_transformer:25",
)  # fmt: skip
ALL_SEEDS = range(10)
Row = tuple[float, float, float]
"""CPU seconds of training, validation and test %RMSE."""


def main() -> None:
    """Train and test what is missing, and write the table of all that is there."""
    options = arguments()
    need("torch").set_num_threads(1)
    reads = read_fasta(options.reads).sequences
    edit_distances(reads[:600])  # compiles, or loads what was compiled
    with tempfile.TemporaryDirectory() as temporary:
        ledger = FolderLedger(options.cache or temporary, f"neural-distance-{__version__}")
        for seed in options.seeds:
            parts = split(reads, seed)
            exact = edit_distances(parts[2])
            for name, predicted in baselines(parts[0], parts[2]):
                error = percent_rmse(predicted, exact, unit=len(reads[0]))
                ledger.store(f"{name}-{seed}", (0.0, np.nan, error))
            for run, geometry in itertools.product(options.runs, options.geometries):
                encoder, _, epochs = run.partition(":")
                key = f"{encoder} {geometry}, {epochs} epochs-{seed}"
                if ledger.has(key):
                    continue
                plan = DEFAULT_PLAN.model_copy(update={"epochs": int(epochs)})
                model = NeuralDistanceEmbedder(
                    encoder, geometry, plan=plan, device=options.device, random_state=seed
                )
                row = trained(model, parts, exact, unit=len(reads[0]))
                ledger.store(key, row)
                print(f"{key}: {row[0]:.0f} s, test {row[2]:.3f}", flush=True)
        write(ledger, options)


def trained(
    model: NeuralDistanceEmbedder,
    parts: tuple[list[bytes], list[bytes], list[bytes]],
    exact: np.ndarray,
    *,
    unit: float,
) -> Row:
    """Train one network, and test it once."""
    train, validation, test = parts
    start = time.process_time()
    model.fit(train, validation=validation)
    took = time.process_time() - start
    error = percent_rmse(model.distances(model.transform(test)), exact, unit=unit)
    return took, 100.0 * float(np.nanmin(model.history_["score"])), error


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


def write(ledger: FolderLedger, options: argparse.Namespace) -> None:
    """Write the table of everything that is finished."""
    names = ["mean distance", "5-mer cosine"]
    for run, geometry in itertools.product(RUNS, SPACES):
        encoder, _, epochs = run.partition(":")
        names.append(f"{encoder} {geometry}, {epochs} epochs")
    rows = []
    for name in names:
        done = [seed for seed in ALL_SEEDS if ledger.has(f"{name}-{seed}")]
        if not done:
            continue
        took, validation, tested = np.array([ledger.load(f"{name}-{seed}") for seed in done]).T
        rows.append(
            (
                name,
                f"{took.mean():.0f}" if took.any() else "-",
                "-" if np.isnan(validation).all() else f"{validation.mean():.2f}",
                f"{tested.mean():.2f}",
                " ".join(f"{value:.2f}" for value in tested),
                " ".join(map(str, done)),
            )
        )
    report(
        options.name,
        title="Learned vectors: error against exact edit distance on V4 reads",
        columns=(
            "model", "training, CPU s", "validation %RMSE", "test %RMSE", "by seed", "seeds",
        ),
        rows=rows,
        notes=(
            f"{PARTS[0]:,} reads of 152 letters train, {PARTS[1]} validate, {PARTS[2]:,} test, in "
            "a random split for each seed, the same for all models; %RMSE over all "
            f"{PARTS[2] * (PARTS[2] - 1) // 2:,} pairs of tested reads, in percent of the length. "
            "One thread, CPU seconds of the whole `fit`, labels and validation included. "
            f"{versions('torch', 'lightning')}."
        ),
    )  # fmt: skip


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", nargs="+", default=list(RUNS), help="encoder:epochs")
    parser.add_argument(
        "--geometries", nargs="+", default=["hyperbolic", "euclidean"], choices=SPACES
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--reads", type=Path, default=READS)
    parser.add_argument("--cache", type=Path, help="folder that keeps what is finished")
    parser.add_argument("--name", default="neural_distance", help="of the table in results/")
    return parser.parse_args()


if __name__ == "__main__":
    main()
