"""The sequence graph transform beside the authors' package `sgt` and a vectorised definition.

    python benchmarks/sequence_graph.py [--length 3000]

All run in this process, in turns, on the same sequences, after their answers were compared. The
package is used where it is installed (`pip install --no-deps sgt`).
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from importlib.util import find_spec
from itertools import product

import numpy as np

from kinlens.embed.sgt import SequenceGraphTransform
from kinlens.typing import FloatArray
from reporting import report, versions

Way = Callable[[str], FloatArray]

SEED = 1
LETTERS = "ATCG"
WORDS = ["".join(word) for word in product(LETTERS, repeat=2)]


def main() -> None:
    """Time each way on each sequence and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--length", type=int, default=3_000, help="letters in each sequence")
    parser.add_argument("--count", type=int, default=5, help="how many sequences")
    arguments = parser.parse_args()
    rng = np.random.default_rng(SEED)
    sequences = [
        "".join(rng.choice(list(LETTERS), arguments.length)) for _ in range(arguments.count)
    ]
    ways = {"kinlens": by_kinlens(), "definition, vectorised": by_definition}
    if find_spec("sgt"):
        ways["package `sgt`"] = by_package()
    check(ways, sequences[0])
    times: dict[str, list[float]] = {way: [] for way in ways}
    for sequence in sequences:
        for way, call in ways.items():
            times[way].append(seconds(call, sequence))
    medians = {way: statistics.median(each) for way, each in times.items()}
    report(
        "sequence_graph",
        title="Sequence graph transform",
        columns=("way", "seconds a sequence", "kinlens is faster by"),
        rows=[
            (way, f"{median:.3g}", f"{median / medians['kinlens']:,.0f}x")
            for way, median in medians.items()
        ],
        notes=f"Medians over {arguments.count} random sequences of {arguments.length:,} letters "
        f"(seed {SEED}), overlapping dinucleotides recoded to sixteen letters, kappa 1, not "
        "length-sensitive; one thread, compiled code warm. "
        f"{versions('numba', 'numpy', *(['sgt'] if find_spec('sgt') else []))}.",
    )


def by_kinlens() -> Way:
    """Return the transform of this project."""
    transform = SequenceGraphTransform(LETTERS).fit([LETTERS])
    return lambda sequence: transform.transform([sequence])[0]


def by_package() -> Way:
    """Return the transform of the authors' package."""
    from sgt import SGT

    embedder = SGT(alphabets=WORDS, kappa=1, lengthsensitive=False)
    return lambda sequence: np.asarray(embedder.fit(recoded(sequence)))


def by_definition(sequence: str) -> FloatArray:
    """Take the sum over all pairs of places, for each two words at once."""
    words = np.array(recoded(sequence))
    places = [np.flatnonzero(words == word) for word in WORDS]
    psi = np.zeros((len(WORDS), len(WORDS)))
    for u, v in product(range(len(WORDS)), repeat=2):
        gaps = places[v] - places[u][:, None]
        gaps = gaps[gaps > 0]
        if len(gaps):
            psi[u, v] = np.exp(-gaps).mean()
    return psi.ravel()


def recoded(sequence: str) -> list[str]:
    """Return the overlapping dinucleotides."""
    return [sequence[place : place + 2] for place in range(len(sequence) - 1)]


def check(ways: dict[str, Way], sequence: str) -> None:
    """Compare all answers before anything is timed; this also compiles."""
    expected = ways["definition, vectorised"](sequence)
    for way, call in ways.items():
        if not np.allclose(call(sequence), expected, rtol=0, atol=1e-12):
            raise SystemExit(f"{way}: the answer differs from the definition.")


def seconds(call: Way, sequence: str) -> float:
    """Return the wall time of a call; the shortest of three, as other work can only add to it."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        call(sequence)
        times.append(time.perf_counter() - start)
    return min(times)


if __name__ == "__main__":
    main()
