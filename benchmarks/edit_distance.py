"""Exact edit distances beside rapidfuzz, edlib and python-Levenshtein, and streamed to disk.

    python benchmarks/edit_distance.py [--reads FASTA] [--instruction-set avx2] [--threads 2]
    python benchmarks/edit_distance.py --streaming 100000 [--threads 2] [--folder FOLDER]

All run in one process, in turns, on the same threads, after their answers were compared. Every task
is a symmetric matrix, of which kinlens and rapidfuzz compute one half; rapidfuzz that of the first
third of the sequences, which costs it as much a pair, and edlib and python-Levenshtein are called
on a sample of the pairs. An older processor is not imitated by
narrower vectors alone: for `--instruction-set` the longer ones are switched off, in a process of
its own.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import edlib
import Levenshtein
import numpy as np
from rapidfuzz import process
from rapidfuzz.distance import Levenshtein as RapidLevenshtein

from kinlens.geometry.edit import edit_distances
from kinlens.geometry.edit_disk import edit_distances_to_disk
from kinlens.geometry.instruction_sets import available_instruction_sets
from kinlens.geometry.packing import pack_sequences
from kinlens.simulate.reads import simulate_reads
from kinlens.typing import AnyArray
from reporting import report, versions

Row = tuple[str, ...]

SEED = 1
READS = Path(__file__).parents[2] / "shared" / "data" / "v4_reads" / "sequences.fasta"
PROTEIN = "ACDEFGHIKLMNPQRSTVWY"
# What stands in the way of the vectors that are asked for.
LONGER = {"avx2": ("avx512", "avx10", "amx"), "sse2": ("avx", "amx", "fma", "f16c", "vaes", "vpcl")}
SAMPLED_PAIRS = 300
RIVALS_SHARE = 3
FEWEST_TURNS, SECONDS_A_TASK = 3, 1.0


def main() -> None:
    """Run what the arguments ask for; a child prints its rows as JSON instead of a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--reads", type=Path, default=READS, help="real reads, used where present")
    parser.add_argument("--threads", type=int, default=2, help="the most threads used")
    parser.add_argument("--instruction-set", choices=("avx2", "sse2"), help="only this one")
    parser.add_argument("--streaming", type=int, metavar="N", help="write N x N distances instead")
    parser.add_argument("--folder", type=Path, help="where to write them; a temporary one else")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.streaming:
        stream(arguments.streaming, arguments.threads, arguments.folder)
    elif arguments.child:
        print(json.dumps(beside_the_rivals(arguments.reads, 1)))
    else:
        compare(arguments.reads, arguments.threads, arguments.instruction_set)


def compare(reads: Path, threads: int, instruction_set: str | None) -> None:
    """Write the table of all rivals."""
    if instruction_set is not None:
        rows = in_a_child(reads, instruction_set)
    else:
        rows = beside_the_rivals(reads, 1)
        if threads > 1:
            rows += beside_the_rivals(reads, threads, few=True)
            rows += more_threads(reads, threads)
        rows.append(small_batches(reads))
        if available_instruction_sets()[0] == "avx512":
            rows += in_a_child(reads, "avx2")
    report(
        "edit_distance" if instruction_set is None else f"edit_distance_{instruction_set}",
        title="Exact edit distances",
        columns=(
            "sequences",
            "vectors",
            "threads",
            "kinlens, pairs/s",
            "rapidfuzz, pairs/s",
            "edlib, pairs/s",
            "python-Levenshtein, pairs/s",
            "faster than rapidfuzz by",
        ),
        rows=rows,
        notes="Pairs are distinct pairs. The best of several turns: processor time with one "
        "thread, wall time with more; compiled code warm. "
        f"Simulated with seed {SEED}. "
        f"{versions('rapidfuzz', 'edlib', 'Levenshtein', 'numba', 'numpy')}.",
    )


# Beside the rivals -------------------------------------------------------------------------------


def tasks(reads: Path, *, few: bool = False) -> dict[str, list[str]]:
    """Return the sequences of each task by its name."""
    rng = np.random.default_rng(SEED)
    real = read_sequences(reads)
    first = {"V4 reads, real": real[:2_000]} if real else {}
    first |= {
        f"{kind}, simulated": [str(s, "ascii") for s in simulate_reads(n, length, rng).sequences]
        for kind, n, length in (
            ("V4 reads", 2_000, 152),
            ("reads", 1_000, 465),
            ("16S genes", 400, 1_421),
        )
    }
    if few:
        return first
    return first | {
        "unrelated DNA": unrelated(rng, 2_000, "ACGT", 152, 152),
        "unrelated DNA, ragged": unrelated(rng, 1_000, "ACGT", 50, 400),
        "unrelated proteins, ragged": unrelated(rng, 600, PROTEIN, 50, 500),
    }


def beside_the_rivals(reads: Path, threads: int, *, few: bool = False) -> list[Row]:
    """Time every task by everyone."""
    vectors = available_instruction_sets()[0]
    # With one thread, what other programs do to the wall time is left out.
    clock = time.process_time if threads == 1 else time.perf_counter
    rows: list[Row] = []
    for name, sequences in tasks(reads, few=few).items():
        first = sequences[: len(sequences) // RIVALS_SHARE]

        def ours(sequences: list[str] = sequences) -> AnyArray:
            return edit_distances(sequences, threads=threads)

        def rapidfuzz(sequences: list[str] = first) -> AnyArray:
            return process.cdist(
                sequences,
                sequences,
                scorer=RapidLevenshtein.distance,
                dtype=np.uint16,
                workers=threads,
            )

        found = ours()
        if not np.array_equal(found[: len(first), : len(first)], rapidfuzz()):
            raise SystemExit(f"{name}: the distances differ from those of rapidfuzz.")
        our_time, rapid_time = in_turns(ours, rapidfuzz, clock=clock)
        our_rate, rapid_rate = (
            len(each) * (len(each) - 1) / 2 / spent
            for each, spent in ((sequences, our_time), (first, rapid_time))
        )
        edlib_rate = sampled_rate(sequences, found, lambda a, b: edlib.align(a, b)["editDistance"])
        other_rate = sampled_rate(sequences, found, Levenshtein.distance)
        rows.append(
            (
                f"{len(sequences):,} {name}, {lengths_of(sequences)}",
                vectors,
                str(threads),
                f"{our_rate:,.0f}",
                f"{rapid_rate:,.0f}",
                f"{edlib_rate:,.0f}",
                f"{other_rate:,.0f}",
                f"{our_rate / rapid_rate:.1f}x",
            )
        )
        print(*rows[-1], sep=" | ", file=sys.stderr, flush=True)
    return rows


def in_turns(
    *calls: Callable[[], object], clock: Callable[[], float] = time.process_time
) -> list[float]:
    """Call each in turn, several times, and return the shortest time of each.

    The shortest, because whatever else the machine does can only add to it.
    """
    best = [float("inf")] * len(calls)
    begin = time.perf_counter()
    turns = 0
    while turns < FEWEST_TURNS or time.perf_counter() - begin < SECONDS_A_TASK:
        turns += 1
        for place, call in enumerate(calls):
            start = clock()
            call()
            best[place] = min(best[place], clock() - start)
    return best


def sampled_rate(
    sequences: list[str], expected: AnyArray, distance: Callable[[str, str], int]
) -> float:
    """Return pairs per second, by calls on single pairs that are first checked."""
    rng = np.random.default_rng(SEED)
    chosen = rng.integers(0, len(sequences), (SAMPLED_PAIRS, 2)).tolist()
    pairs = [(sequences[i], sequences[j]) for i, j in chosen]
    if [distance(*pair) for pair in pairs] != [expected[i, j] for i, j in chosen]:
        raise SystemExit("the distances differ from those of a rival.")
    (shortest,) = in_turns(lambda: [distance(*pair) for pair in pairs])
    return SAMPLED_PAIRS / shortest


def in_a_child(reads: Path, instruction_set: str) -> list[Row]:
    """Time every task in a process whose compiler does not know the longer vectors."""
    from llvmlite import binding

    features = binding.get_host_cpu_features()
    for feature in features:
        if feature.startswith(LONGER[instruction_set]) and feature != instruction_set:
            features[feature] = False
    environment = os.environ | {
        "NUMBA_CPU_NAME": "generic",
        "NUMBA_CPU_FEATURES": features.flatten(),
    }
    command = [sys.executable, __file__, "--child", "--reads", str(reads)]
    child = subprocess.run(
        command, env=environment, check=True, stdout=subprocess.PIPE, encoding="utf-8"
    )
    return [tuple(row) for row in json.loads(child.stdout)]


# By itself ---------------------------------------------------------------------------------------


def more_threads(reads: Path, threads: int) -> list[Row]:
    """Time a large matrix with one thread and with several."""
    sequences = read_sequences(reads) or [
        str(s, "ascii") for s in simulate_reads(8_000, 152, np.random.default_rng(SEED)).sequences
    ]
    packed = pack_sequences(sequences)
    counts = (1, threads)
    calls = [lambda count=count: edit_distances(packed, threads=count) for count in counts]
    times = in_turns(*calls, clock=time.perf_counter)
    # What threads cost each other shows here even while other programs take the processors.
    processor_times = in_turns(*calls, clock=time.process_time)
    n_pairs = len(sequences) * (len(sequences) - 1) / 2
    return [
        (
            f"{len(sequences):,} V4 reads, all pairs in {elapsed:.2f} s, {times[0] / elapsed:.2f} "
            f"times one thread; {processor_time:.2f} s of processor time",
            available_instruction_sets()[0],
            str(count),
            f"{n_pairs / elapsed:,.0f}",
            *[""] * 4,
        )
        for count, elapsed, processor_time in zip(counts, times, processor_times, strict=True)
    ]


def small_batches(reads: Path) -> Row:
    """Time the labels of a training batch: all pairs of 256 of the packed reads."""
    rng = np.random.default_rng(SEED)
    sequences = read_sequences(reads) or unrelated(rng, 2_000, "ACGT", 152, 152)
    packed = pack_sequences(sequences)
    batches = [packed.take(rng.integers(0, len(packed), 256)) for _ in range(20)]
    (elapsed,) = in_turns(lambda: [edit_distances(batch) for batch in batches])
    each = elapsed / len(batches)
    return (
        f"a training batch of 256 V4 reads, packed before, in {1e3 * each:.2f} ms",
        available_instruction_sets()[0],
        "1",
        f"{256 * 255 / 2 / each:,.0f}",
        *[""] * 4,
    )


def stream(n_reads: int, threads: int, folder: Path | None) -> None:
    """Write all distances of simulated reads to disk, and check some of them."""
    reads = simulate_reads(n_reads, 152, np.random.default_rng(SEED)).sequences
    edit_distances(reads[:2_000])  # so that no compiling is timed
    before = peak_memory()
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        start = time.perf_counter()
        written = edit_distances_to_disk(reads, Path(temporary) / "d.npy", threads=threads)
        elapsed = time.perf_counter() - start
        chosen = np.random.default_rng(SEED).integers(0, n_reads, (20_000, 2)).tolist()
        wrong = sum(
            int(written[i, j]) != RapidLevenshtein.distance(reads[i], reads[j]) for i, j in chosen
        )
    if wrong:
        raise SystemExit(f"{wrong} of {len(chosen):,} distances are wrong.")
    report(
        "edit_distance_streaming",
        title="Edit distances streamed to disk",
        columns=("reads of 152 bases", "file", "threads", "minutes", "peak memory", "before"),
        rows=[
            (
                f"{n_reads:,} x {n_reads:,}",
                f"{2 * n_reads**2 / 1e9:.1f} GB",
                str(threads),
                f"{elapsed / 60:.2f}",
                f"{peak_memory():.2f} GiB",
                f"{before:.2f} GiB",
            )
        ],
        notes=f"Simulated with seed {SEED}; {len(chosen):,} of the distances were compared with "
        f"rapidfuzz. Each block is on disk before it counts as done. {versions('numba', 'numpy')}.",
    )


def peak_memory() -> float:
    """Return the most memory that this process has held so far, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


# Sequences ---------------------------------------------------------------------------------------


def read_sequences(path: Path) -> list[str]:
    """Return the sequences of a FASTA file with one line each, none where there is no file."""
    if not path.is_file():
        return []
    return [line for line in path.read_text("ascii").splitlines() if not line.startswith(">")]


def unrelated(
    rng: np.random.Generator, n: int, letters: str, shortest: int, longest: int
) -> list[str]:
    """Draw every letter by itself: the hardest case, as no band can be narrow."""
    lengths = rng.integers(shortest, longest + 1, n)
    return ["".join(rng.choice(list(letters), length)) for length in lengths]


def lengths_of(sequences: list[str]) -> str:
    """Word the range of lengths."""
    shortest, longest = min(map(len, sequences)), max(map(len, sequences))
    return f"{shortest}" if shortest == longest else f"{shortest} to {longest}"


if __name__ == "__main__":
    main()
