"""Error of learned sequence vectors on real reads: every encoder in every geometry.

``python benchmarks/neural_distance.py --runs linear:130 mlp:130 --seeds 0 1 2`` writes a table to
``results/neural_distance.md``. Reads are those of ``../shared/data/v4_reads``; of each seed's
random order 6,100 are trained on, 700 decide on the epoch and 1,500 are tested. With ``--cache``
what is finished is kept, and the next call goes on.
"""

from __future__ import annotations

import argparse
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
    "linear:130", "mlp:130", "mlp:300", "cnn:40", "gru:40", "transformer:40",
    "local_transformer:40",
)  # fmt: skip
Row = tuple[float, float, float]
"""CPU seconds of training, validation and test %RMSE."""


def main() -> None:
    """Train, test and write the table."""
    options = arguments()
    need("torch").set_num_threads(1)
    reads = read_fasta(options.reads).sequences
    edit_distances(reads[:600])  # compiles, or loads what was compiled
    ledger = None
    if options.cache is not None:
        ledger = FolderLedger(options.cache / "neural_distance", f"version-{__version__}")
    errors: dict[str, list[Row]] = {}
    for seed in options.seeds:
        train, validation, test = split(reads, seed)
        exact = edit_distances(test)
        unit = float(np.mean([len(read) for read in train]))
        for name, predicted in baselines(train, test):
            errors.setdefault(name, []).append(
                (0.0, np.nan, percent_rmse(predicted, exact, unit=unit))
            )
        for run in options.runs:
            encoder, _, epochs = run.partition(":")
            for geometry in options.geometries:
                key = f"{encoder}-{geometry}-{epochs}-{seed}"
                if ledger is not None and ledger.has(key):
                    row = ledger.load(key)
                else:
                    plan = DEFAULT_PLAN.model_copy(update={"epochs": int(epochs)})
                    model = NeuralDistanceEmbedder(
                        encoder, geometry, plan=plan, device=options.device, random_state=seed
                    )
                    row = trained(model, train, validation, test, exact, unit)
                    if ledger is not None:
                        ledger.store(key, row)
                    print(f"{key}: {row[0]:.0f} s, test {row[2]:.3f}", flush=True)
                errors.setdefault(f"{encoder} {geometry}, {epochs} epochs", []).append(row)
    write(errors, options)


def trained(
    model: NeuralDistanceEmbedder,
    train: list[bytes],
    validation: list[bytes],
    test: list[bytes],
    exact: np.ndarray,
    unit: float,
) -> Row:
    """Train one network, and test it once."""
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


def write(errors: dict[str, list[Row]], options: argparse.Namespace) -> None:
    """Write the table."""
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
    report(
        options.name,
        title="Learned vectors: error against exact edit distance on V4 reads",
        columns=("model", "training, CPU s", "validation %RMSE", "test %RMSE", "by seed"),
        rows=rows,
        notes=(
            f"{PARTS[0]:,} reads of 152 letters train, {PARTS[1]} validate, {PARTS[2]:,} test, in "
            f"a random split for each of the seeds {', '.join(map(str, options.seeds))}; %RMSE "
            f"over all {PARTS[2] * (PARTS[2] - 1) // 2:,} pairs of tested reads, in percent of the "
            "length. One thread, CPU seconds of the whole `fit`, labels and validation included. "
            f"{versions('torch', 'lightning')}."
        ),
    )


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
