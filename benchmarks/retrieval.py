"""Nearest-sequence search: a shortlist by vectors and exact re-ranking beside exhaustive search.

    python benchmarks/retrieval.py --references 100000

Every way searches the same simulated references for the same queries in this one process, on one
thread. The shortlist by 5-mers goes through the same code, with counts in the place of vectors.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kinlens.embed.kmer import KmerCounts
from kinlens.embed.neural import DEFAULT_PLAN, NeuralDistanceEmbedder
from kinlens.geometry.edit import edit_distances
from kinlens.geometry.packing import PackedSequences, pack_sequences
from kinlens.geometry.retrieval import VectorIndex, rerank
from kinlens.optional import need
from kinlens.simulate.reads import simulate_reads
from kinlens.typing import AnyArray, Float32Array
from reporting import report, versions

_LENGTHS = (25, 100, 400)
_TOPS = (1, 5, 10)


@dataclass(frozen=True, eq=False)
class Search:
    """What is searched, and the exact answer."""

    texts: tuple[bytes, ...]
    queries: PackedSequences
    references: PackedSequences
    exact: AnyArray
    exact_seconds: float


def main() -> None:
    """Search in every way and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--references", type=int, default=5_000)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--length", type=int, default=1_400)
    parser.add_argument("--learned-from", type=int, default=2_000)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--encoder", default="linear")
    arguments = parser.parse_args()
    need("torch").set_num_threads(1)
    n_queries, n_references = arguments.queries, arguments.references
    reads = simulate_reads(
        n_references + n_queries, arguments.length, np.random.default_rng(1)
    ).sequences
    search = searched(reads, n_queries)
    model = NeuralDistanceEmbedder(
        arguments.encoder,
        "hyperbolic",
        plan=DEFAULT_PLAN.model_copy(update={"epochs": arguments.epochs}),
        device="cpu",
    ).fit(reads[n_queries : n_queries + arguments.learned_from])
    training = float(model.history_["cpu_seconds"].iloc[-1])
    words = KmerCounts(5).fit(reads[:1])
    rows = [
        (
            "exhaustive",
            "",
            "",
            "",
            "",
            "100%",
            f"{1e3 * search.exact_seconds / n_queries:.3g} ms",
            "1x",
        ),
        *by_vectors(f"{arguments.encoder}, hyperbolic", search, model.transform, "euclidean"),
        *by_vectors(
            "5-mers, cosine",
            search,
            lambda texts: words.transform(texts).astype(np.float32),
            "cosine",
        ),
    ]
    report(
        "retrieval",
        title=f"Nearest of {n_references:,} sequences of {arguments.length:,} bases",
        columns=(
            "search", "compared exactly", "top 1, vectors alone", "top 5", "top 10",
            "top 1, re-ranked", "time a query", "faster by",
        ),
        rows=rows,
        notes=f"{n_queries} simulated queries; top k: a reference as near as any is among the "
        "first k answers. Wall time on one thread, with embedding the query and without embedding "
        f"the references, which is done once. The network learned from "
        f"{arguments.learned_from:,} of the references in {training:.0f} CPU seconds. "
        f"{versions('numpy', 'numba', 'torch')}.",
    )  # fmt: skip


def searched(reads: tuple[bytes, ...], n_queries: int) -> Search:
    """Compare all queries with all references exactly."""
    packed = pack_sequences(reads)
    queries = packed.take(range(n_queries))
    references = packed.take(range(n_queries, len(reads)))
    edit_distances(queries.take([0]), references.take(range(64)))  # Loads the compiled code.
    start = time.perf_counter()
    exact = edit_distances(queries, references)
    return Search(reads, queries, references, exact, time.perf_counter() - start)


def by_vectors(
    label: str,
    search: Search,
    embed: Callable[[tuple[bytes, ...]], Float32Array],
    metric: str,
) -> list[tuple[str, ...]]:
    """Search by shortlists of several lengths."""
    n_queries = len(search.queries)
    index = VectorIndex(embed(search.texts[n_queries:]), metric)
    index.nearest(embed(search.texts[:1]), 1)
    rows = []
    for length in _LENGTHS:
        start = time.perf_counter()
        listed = index.nearest(embed(search.texts[:n_queries]), length).rows
        hits = rerank(search.queries, search.references, listed, count=1)
        took = time.perf_counter() - start
        nearest = search.exact.min(axis=1)
        is_nearest = np.take_along_axis(search.exact, listed, 1) == nearest[:, None]
        rows.append(
            (
                label,
                str(length),
                *(f"{is_nearest[:, :k].any(axis=1).mean():.0%}" for k in _TOPS),
                f"{(hits.distances[:, 0] == nearest).mean():.0%}",
                f"{1e3 * took / n_queries:.3g} ms",
                f"{search.exact_seconds / took:.3g}x",
            )
        )
    return rows


if __name__ == "__main__":
    main()
