"""Multiple alignment along guide trees from vectors, beside the aligner's own tree.

    python benchmarks/guide_tree.py --sequences 200

Needs MAFFT (``mafft`` in Debian). Sequences evolve on a tree with insertions and deletions, so that
the true alignment is known; an alignment's score is the share of truly homologous pairs of letters
that it puts in one column. Writes ``results/guide_tree.md``.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from kinlens.embed.kmer import KmerCounts
from kinlens.embed.neural import DEFAULT_PLAN, NeuralDistanceEmbedder
from kinlens.geometry.dendrogram import linkage_tree
from kinlens.geometry.edit import edit_distances
from kinlens.geometry.topology import normalised_robinson_foulds
from kinlens.io.fasta import read_fasta, write_fasta
from kinlens.optional import need
from kinlens.records.sequences import SequenceSet
from kinlens.records.tree import Tree
from kinlens.rng import RandomStreams
from kinlens.simulate.sequences import EvolvedSequences, IndelModel, evolve_sequences
from kinlens.simulate.trees import birth_death_tree
from kinlens.typing import AnyArray, IntArray
from reporting import report, versions

SCORED_PAIRS = 3_000
HEIGHT = 0.6
INDELS = IndelModel(insertion_rate=0.02, deletion_rate=0.02, mean_length=3.0)
Row = tuple[str, float, float, float, float]


def main() -> None:
    """Simulate, align along every tree, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sequences", type=int, default=200)
    parser.add_argument("--length", type=int, default=300)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    arguments = parser.parse_args()
    if shutil.which("mafft") is None:
        raise SystemExit("mafft was not found. On Debian: apt-get install mafft")
    need("torch").set_num_threads(1)
    by_world = [measured(arguments.sequences, arguments.length, seed) for seed in arguments.seeds]
    rows = []
    for same in zip(*by_world, strict=True):
        score, shape, distances, aligning = np.array([row[1:] for row in same]).T
        rows.append(
            (
                same[0][0],
                f"{score.mean():.1%}",
                " ".join(f"{value:.1%}" for value in score),
                "" if np.isnan(shape).all() else f"{shape.mean():.2f}",
                "" if np.isnan(distances).all() else f"{distances.mean():.2f} s",
                f"{aligning.mean():.1f} s",
            )
        )
    report(
        "guide_tree",
        title="Multiple alignment along a guide tree",
        columns=(
            "guide tree", "homologous pairs found", "by world", "distance from the true tree",
            "distances", "aligning",
        ),
        rows=rows,
        notes=f"{arguments.sequences:,} simulated sequences of about {arguments.length:,} bases "
        f"in each of {len(arguments.seeds)} worlds, aligned by MAFFT {mafft_version()}; given "
        "trees are average linkage on the distances named, and are aligned along once. Homologous "
        f"pairs: the share of letters in {SCORED_PAIRS:,} pairs of sequences that stand with their "
        "true partner. Distance from the true tree: normalised Robinson-Foulds. Seconds of "
        "distances include training. "
        f"{versions('torch', 'numba')}.",
    )  # fmt: skip


def measured(n: int, length: int, seed: int) -> list[Row]:
    """Align the sequences of one world along every tree."""
    rng = RandomStreams(seed).generator("guide_tree")
    tree = birth_death_tree(n, rng).with_height(HEIGHT)
    world = evolve_sequences(tree, length, rng, indels=INDELS)
    records = world.tips()
    texts = records.sequences
    pairs = rng.integers(n, size=(SCORED_PAIRS, 2))
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    rows: list[Row] = []
    for label, options in (("MAFFT's own, once", ["--retree", "1"]), ("MAFFT's own, twice", [])):
        aligned, took = align(records, ["--retree", "2", *options])
        rows.append((label, homology(world, aligned, pairs), np.nan, np.nan, took))
    ways: dict[str, Callable[[], AnyArray]] = {
        "exact edit distance": lambda: edit_distances(texts),
        "5-mers, cosine": lambda: words(texts),
        "linear, hyperbolic": lambda: vectors(texts, "linear", seed),
        "cnn, hyperbolic": lambda: vectors(texts, "cnn", seed),
    }
    ways["at random"] = lambda: rng.random((n, n))
    for label, distances in ways.items():
        start = time.process_time()
        apart = np.asarray(distances(), dtype=np.float64)
        spent = time.process_time() - start
        guide = linkage_tree((apart + apart.T) / 2, records.ids)
        aligned, took = align(records, ["--retree", "1"], guide)
        shape = normalised_robinson_foulds(guide, tree)
        rows.append((label, homology(world, aligned, pairs), shape, spent, took))
    return rows


def words(texts: tuple[bytes, ...]) -> AnyArray:
    """Return cosine distances of 5-mer counts."""
    counts = np.asarray(KmerCounts(5).fit_transform(texts), dtype=np.float64)
    return 1.0 - counts @ counts.T


def vectors(texts: tuple[bytes, ...], encoder: str, seed: int) -> AnyArray:
    """Learn from these very sequences, and return the distances of their vectors."""
    plan = DEFAULT_PLAN.model_copy(update={"epochs": 60})
    model = NeuralDistanceEmbedder(
        encoder, "hyperbolic", plan=plan, batch_size=128, device="cpu", random_state=seed
    ).fit(texts)
    return model.distances(model.transform(texts))


def align(
    records: SequenceSet, options: list[str], guide: Tree | None = None
) -> tuple[tuple[bytes, ...], float]:
    """Run MAFFT on one thread; return the rows in the order of the records, and wall seconds."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "in.fasta"
        write_fasta(records, source)
        if guide is not None:
            tree = Path(folder) / "guide.txt"
            tree.write_text(mafft_tree(guide, records.ids))
            options = [*options, "--treein", str(tree)]
        start = time.perf_counter()
        done = subprocess.run(
            ["mafft", "--quiet", "--thread", "1", *options, str(source)],
            check=True,
            capture_output=True,
        )
        took = time.perf_counter() - start
        target = Path(folder) / "out.fasta"
        target.write_bytes(done.stdout)
        aligned = read_fasta(target)
    place = {name: row for row, name in enumerate(aligned.ids)}
    return tuple(aligned.sequences[place[name]] for name in records.ids), took


def mafft_tree(tree: Tree, names: tuple[str, ...]) -> str:
    """Write a binary tree as MAFFT reads it: a line a join, clades called by their first member."""
    number = {name: place for place, name in enumerate(names, start=1)}
    first = np.zeros(tree.n_nodes, dtype=np.int64)
    lines = []
    for node in range(tree.n_nodes - 1, -1, -1):
        below = tree.children(node)
        if not len(below):
            first[node] = number[tree.names[node]]
            continue
        one, other = sorted(below.tolist(), key=lambda child: first[child])
        lines.append(
            f"{first[one]:5d} {first[other]:5d} {max(tree.length[one], 1e-4):10.5f} "
            f"{max(tree.length[other], 1e-4):10.5f}"
        )
        first[node] = first[one]
    return "\n".join(lines) + "\n"


def homology(world: EvolvedSequences, aligned: tuple[bytes, ...], pairs: IntArray) -> float:
    """Return the share of truly homologous pairs of letters that share a column."""
    tips = world.tree.tips
    columns = []
    for row in aligned:
        letters = np.frombuffer(row, dtype=np.uint8)
        columns.append(np.flatnonzero(letters != ord("-")))
    found = total = 0
    for one, other in pairs.tolist():
        _, here, there = np.intersect1d(
            world.places[tips[one]], world.places[tips[other]], return_indices=True
        )
        found += int((columns[one][here] == columns[other][there]).sum())
        total += len(here)
    return found / max(total, 1)


def mafft_version() -> str:
    """Return the version of MAFFT."""
    done = subprocess.run(["mafft", "--version"], capture_output=True, text=True, check=False)
    words = re.search(r"v?(\d[\w.]*)", done.stderr + done.stdout)
    return words[1] if words else "of unknown version"


if __name__ == "__main__":
    main()
