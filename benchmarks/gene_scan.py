"""The gene scan beside scikit-learn: 258 species, 512 features, 17,060 genes, thousands of splits.

    python benchmarks/gene_scan.py [--splits 10000] [--workers 2]

Every rival runs in this same process on the same splits, on a sample of genes that is stated, on
one core. Genes are simulated: 3,000 follow from features, the rest do not.
"""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import numpy as np
import psutil
from sklearn.svm import SVC, LinearSVC
from threadpoolctl import threadpool_limits

from kinlens.evaluate.repeated import TEST, TRAIN, repeat_random
from kinlens.models.gene_scan import call_genes, scan_genes
from kinlens.models.gene_scorers import RidgeScorer, Scorer, SupportVectorScorer, gram_matrix
from kinlens.parallel import Resources
from kinlens.typing import ByteArray, FloatArray
from reporting import report, versions

SPECIES, FEATURES, GENES, PLANTED = 258, 512, 17_060, 3_000
SAMPLE = 426  # every 40th gene
SEED = 1


def main() -> None:
    """Time everything, check that answers agree, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--splits", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    features, genes = world(np.random.default_rng(SEED))
    gram = gram_matrix(features)
    parts = repeat_random(SPECIES, arguments.splits, rng=np.random.default_rng(SEED))
    with threadpool_limits(1):
        rows = one_core(features, gram, genes, parts[:20])
        rows += all_splits(gram, genes, parts, arguments.workers)
        rows.append(million(gram, genes, parts[:10]))
    report(
        "gene_scan",
        title=f"Predicting {GENES:,} genes of {SPECIES} species from {FEATURES} features",
        columns=("what", "genes x splits", "processor s", "genes a second", "times SVC", "agrees"),
        rows=rows,
        notes="Splits 75/25 at random, seed 1. A second is one of processor time on one core; on "
        "several, of wall time. `agrees`: share of test labels equal to those of SVC on the same "
        "Gram matrix. Ridge has leave-one-out thresholds and so answers another question than "
        f"SVC, about the same genes. {versions('scikit-learn', 'numpy', 'numba')}.",
    )


def world(rng: np.random.Generator) -> tuple[FloatArray, ByteArray]:
    """Features with twenty strong directions, genes that follow one of them more or less."""
    hidden = rng.standard_normal((SPECIES, 20))
    axes = np.linalg.qr(rng.standard_normal((FEATURES, 20)))[0]
    features = rng.standard_normal((SPECIES, FEATURES)) + 3.0 * hidden @ axes.T
    looks = rng.standard_normal((SPECIES, GENES))
    planted = hidden @ rng.standard_normal((20, PLANTED))
    strength = rng.uniform(0, 3, PLANTED) / planted.std(axis=0)
    looks[:, :PLANTED] = planted * strength + rng.logistic(size=planted.shape)
    share = rng.beta(0.7, 0.7, GENES).clip(0.03, 0.97)
    rank = looks.argsort(axis=0).argsort(axis=0)
    return features, (rank >= np.floor(SPECIES * (1 - share))).astype(np.uint8)


def one_core(
    features: FloatArray, gram: FloatArray, genes: ByteArray, parts: np.ndarray
) -> list[tuple[str, ...]]:
    """Scikit-learn gene by gene, then both scorers on all genes."""
    sample = np.arange(0, GENES, GENES // SAMPLE)
    train, test = np.flatnonzero(parts[0] == TRAIN), np.flatnonzero(parts[0] == TEST)
    inside, across = gram[np.ix_(train, train)], gram[np.ix_(test, train)]
    scaled = (features - features.mean(axis=0)) / features.std(axis=0) / np.sqrt(FEATURES)
    sample = sample[(genes[train][:, sample].std(axis=0) > 0)]

    def precomputed(gene: int) -> np.ndarray:
        machine = SVC(kernel="precomputed", class_weight="balanced").fit(inside, genes[train, gene])
        return machine.predict(across)

    def linear(gene: int) -> np.ndarray:
        machine = SVC(kernel="linear", class_weight="balanced")
        return machine.fit(scaled[train], genes[train, gene]).predict(scaled[test])

    def liblinear(gene: int) -> np.ndarray:
        machine = LinearSVC(class_weight="balanced", loss="hinge", max_iter=10_000)
        return machine.fit(scaled[train], genes[train, gene]).predict(scaled[test])

    expected, base = timed(lambda: np.array([precomputed(gene) for gene in sample]).T)
    speed = len(sample) / base
    rows = [row("SVC, precomputed kernel", len(sample), 1, base, speed)]
    for name, rival in (("SVC, linear kernel", linear), ("LinearSVC, hinge loss", liblinear)):
        some = sample[::4]
        found, spent = timed(lambda rival=rival, some=some: np.array([rival(g) for g in some]).T)
        agrees = float((found == expected[:, ::4]).mean())
        rows.append(row(name, len(some), 1, spent, speed, f"{agrees:.2%}"))
    scorers: tuple[tuple[str, Scorer, int], ...] = (
        ("kinlens support vectors", SupportVectorScorer(), 2),
        ("kinlens ridge", RidgeScorer(), len(parts)),
    )
    for name, scorer, n_splits in scorers:
        # Compiled beforehand, as in any run but the first.
        scan_genes(gram, genes[:, :512], parts[:1], scorer=scorer, measures=("mcc", "auc"))
        scanned = parts[:n_splits]
        _, spent = timed(lambda s=scorer, p=scanned: scan_genes(gram, genes, p, scorer=s))
        calls = call_genes(gram, genes[:, sample], parts[:1], scorer=scorer).calls[0]
        agrees = float((calls == (expected == 1)).mean())
        rows.append(row(name, GENES, n_splits, spent, speed, f"{agrees:.2%}"))
    measures: tuple[str, ...] = ("mcc", "auc")
    _, spent = timed(lambda: scan_genes(gram, genes, parts, measures=measures))
    rows.append(row("kinlens ridge, with AUC", GENES, len(parts), spent, speed))
    double, spent = timed(lambda: scan_genes(gram, genes, parts[:3], dtype=np.float64))
    single = scan_genes(gram, genes, parts[:3])
    apart = float(np.abs(single.mcc - double.mcc).max())
    note = f"MCC within {apart:.2g} of float32"
    rows.append(row("kinlens ridge, float64", GENES, 3, spent, speed, note))
    return rows


def all_splits(
    gram: FloatArray, genes: ByteArray, parts: np.ndarray, workers: int
) -> list[tuple[str, ...]]:
    """Time the resampling that was published for one gene, for every gene."""
    start = time.perf_counter()
    with PeakMemory() as memory:
        scan_genes(gram, genes, parts, resources=Resources(workers=workers))
    spent = time.perf_counter() - start
    speed = GENES * len(parts) / spent
    shown = f"{spent:,.0f} (wall, {workers} cores)"
    return [
        (
            "kinlens ridge, all splits",
            f"{GENES:,} x {len(parts):,}",
            shown,
            f"{speed:,.0f}",
            "",
            f"peak memory {memory.gib:.2f} GiB over all processes",
        )
    ]


def million(gram: FloatArray, genes: ByteArray, parts: np.ndarray) -> tuple[str, ...]:
    """Time a pangenome of a million genes."""
    many = np.tile(genes, (1, 1_000_000 // GENES + 1))[:, :1_000_000]
    with PeakMemory() as memory:
        _, spent = timed(lambda: scan_genes(gram, many, parts))
    shown = row("kinlens ridge, a million genes", 1_000_000, len(parts), spent, np.inf)
    return (*shown[:4], "", f"peak memory {memory.gib:.2f} GiB")


def timed(work: Callable[[], object]) -> tuple[object, float]:
    """Return what `work` gives and the processor seconds that it took."""
    start = time.process_time()
    found = work()
    return found, time.process_time() - start


def row(
    name: str, n_genes: int, n_splits: int, spent: float, base: float, agrees: str = ""
) -> tuple[str, ...]:
    """Word one line of the table."""
    speed = n_genes * n_splits / spent
    return (
        name,
        f"{n_genes:,} x {n_splits:,}",
        f"{spent:.2f}",
        f"{speed:,.0f}",
        f"{speed / base:,.1f}" if np.isfinite(base) else "",
        agrees,
    )


class PeakMemory:
    """Watch the memory of this process and its children together, while the context is open."""

    def __enter__(self) -> PeakMemory:
        self.gib, self._ends = 0.0, threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._watcher.join()

    def _watch(self) -> None:
        this = psutil.Process()
        while not self._ends.wait(0.2):
            total = this.memory_info().rss
            for child in this.children(recursive=True):
                with suppress(psutil.Error):
                    total += child.memory_info().rss
            self.gib = max(self.gib, total / 2**30)


if __name__ == "__main__":
    main()
