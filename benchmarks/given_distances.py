"""How well flat and hyperbolic points hold the distances of a real tree.

``python benchmarks/given_distances.py`` embeds the genetic distances between 79 bivalve families
(``../shared/data/bivalve_distances``), which are exactly those of a tree, and joins them to that
tree. Writes ``results/given_distances.md``.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from kinlens.embed.given_distances import GivenDistancesEmbedder
from kinlens.geometry.neighbour_joining import neighbour_joining
from kinlens.geometry.patristic import patristic_distances
from kinlens.io.distances import read_distances
from kinlens.optional import need
from reporting import report, versions

MATRIX = Path(__file__).parents[2] / "shared" / "data" / "bivalve_distances" / "distances.csv"
SPACES = ("euclidean", "poincare", "hyperbolic")


def main() -> None:
    """Embed in every space and number of dimensions, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--matrix", type=Path, default=MATRIX)
    parser.add_argument("--dimensions", type=int, nargs="+", default=[2, 3, 4, 8, 16, 32])
    parser.add_argument("--iterations", type=int, default=1000)
    arguments = parser.parse_args()
    need("torch").set_num_threads(1)
    matrix = read_distances(arguments.matrix)
    joined = patristic_distances(neighbour_joining(matrix)).select(matrix.ids)
    gap = float(np.abs(joined.values - matrix.values).max())
    rows = []
    for dimensions in arguments.dimensions:
        for geometry in SPACES:
            start = time.process_time()
            made = GivenDistancesEmbedder(
                geometry, dimensions, iterations=arguments.iterations
            ).fit(matrix.values)
            spent = time.process_time() - start
            found = made.distortion_
            rows.append(
                (
                    str(dimensions),
                    geometry,
                    f"{found.mean:.2%}",
                    f"{found.worst:.2f}",
                    f"{found.stress:.4f}",
                    f"{spent:.1f}",
                )
            )
            print(*rows[-1], flush=True)
    report(
        "given_distances",
        title=f"Points for the distances between {len(matrix.ids)} bivalve families",
        columns=("dimensions", "space", "mean distortion", "worst", "stress", "CPU s"),
        rows=rows,
        notes="Mean distortion: mean of |embedded - given| / given over pairs. Worst: the largest "
        "ratio of embedded to given distance over the smallest. `poincare` is the whole ball, "
        "`hyperbolic` the sphere of learned radius in it; the scale is learned in each space. "
        "Neighbour joining gives back the tree: its distances differ from those given by "
        f"{gap:.1e} at the most, the largest being {matrix.values.max():.2f}. {versions('torch')}.",
    )


if __name__ == "__main__":
    main()
