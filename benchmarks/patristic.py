"""Tree distances, neighbour joining and Newick reading beside scikit-bio and DendroPy.

    python benchmarks/patristic.py

Every rival runs in this same process, on the same tree, after its answer was compared with ours.
The streamed matrix runs in a child process, so that its memory is its own.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import dendropy
import numpy as np
import skbio
from skbio.tree import nj

from kinlens.geometry.neighbour_joining import neighbour_joining
from kinlens.geometry.patristic import patristic_distances, vcv, write_patristic
from kinlens.geometry.topology import robinson_foulds
from kinlens.io.newick import format_newick, parse_newick
from kinlens.records.tree import Tree
from kinlens.simulate.tree_noise import with_branch_noise, with_regrafts
from kinlens.simulate.trees import birth_death_tree, ladder_tree
from reporting import report, seconds, versions

Row = tuple[str, str, str, str, str]


def main() -> None:
    """Run everything and write the table, or stream one matrix when called as a child."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stream", nargs=2, metavar=("TIPS", "DTYPE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.stream:
        stream(int(arguments.stream[0]), arguments.stream[1])
        return
    rng = np.random.default_rng(1)
    rows = [
        distances_beside_scikit_bio(random_tree(5_000, rng)),
        distances_beside_dendropy(random_tree(1_000, rng)),
        shared_paths(random_tree(5_000, rng)),
        *(streamed(20_000, dtype) for dtype in ("float32", "float64")),
        *(joining_beside_scikit_bio(random_tree(n, rng)) for n in (1_000, 2_000)),
        topology_beside_scikit_bio(random_tree(2_000, rng), rng),
        reading_beside_scikit_bio("random, 100,000 tips", random_tree(100_000, rng)),
        reading_beside_scikit_bio("ladder, 10,000 deep", ladder_tree(10_000)),
        reading_beside_scikit_bio("ladder, 100,000 deep", ladder_tree(100_000)),
    ]
    report(
        "patristic",
        title="Trees: distances, joining, reading",
        columns=("task", "kinlens", "rival", "rival's time", "faster by"),
        rows=rows,
        notes="Median wall seconds in one process, one thread, compiled code warm. "
        f"{versions('scikit-bio', 'DendroPy', 'numpy', 'numba')}.",
    )


def random_tree(n_tips: int, rng: np.random.Generator) -> Tree:
    """Draw a birth-death tree whose branches are not clock-like."""
    return with_branch_noise(birth_death_tree(n_tips, rng), rng, spread=0.5)


def scikit_bio_tree(tree: Tree) -> skbio.TreeNode:
    """Hand the tree to scikit-bio."""
    return parsed_by_scikit_bio(format_newick(tree))


def parsed_by_scikit_bio(text: str) -> skbio.TreeNode:
    """Read Newick text with scikit-bio."""
    return skbio.TreeNode.read(StringIO(text), format="newick", convert_underscores=False)


def compared(
    task: str, ours: Callable[[], object], rival: str, theirs: Callable[[], object]
) -> Row:
    """Time both and word the row."""
    our_time, their_time = seconds(ours), seconds(theirs, repeats=3)
    ratio = their_time / our_time
    return (task, f"{our_time:.3g} s", rival, f"{their_time:.3g} s", f"{ratio:.3g}x")


def distances_beside_scikit_bio(tree: Tree) -> Row:
    """Compute all tip-to-tip distances, as a DistanceMatrix in both."""
    other = scikit_bio_tree(tree)
    expected = other.cophenet().filter(tree.tip_names).data
    np.testing.assert_allclose(patristic_distances(tree).values, expected, rtol=1e-9, atol=1e-12)
    return compared(
        f"all distances, {tree.n_tips:,} tips",
        lambda: patristic_distances(tree),
        "scikit-bio `cophenet`",
        other.cophenet,
    )


def distances_beside_dendropy(tree: Tree) -> Row:
    """Compute the same beside DendroPy, whose result is a dictionary."""
    text = format_newick(tree)
    other = dendropy.Tree.get(data=text, schema="newick", preserve_underscores=True)
    theirs = other.phylogenetic_distance_matrix()
    ours = patristic_distances(tree)
    taxa = {taxon.label: taxon for taxon in other.taxon_namespace}
    first, second = ours.ids[0], ours.ids[-1]
    np.testing.assert_allclose(theirs(taxa[first], taxa[second]), ours.values[0, -1])
    return compared(
        f"all distances, {tree.n_tips:,} tips",
        lambda: patristic_distances(tree),
        "DendroPy `phylogenetic_distance_matrix`",
        other.phylogenetic_distance_matrix,
    )


def shared_paths(tree: Tree) -> Row:
    """Compute the Brownian covariance; no rival in Python does."""
    return (f"`vcv`, {tree.n_tips:,} tips", f"{seconds(lambda: vcv(tree)):.3g} s", "none", "", "")


def streamed(n_tips: int, dtype: str) -> Row:
    """Write a matrix that is never in memory, in a child process."""
    child = subprocess.run(
        [sys.executable, __file__, "--stream", str(n_tips), dtype],
        check=True,
        capture_output=True,
        text=True,
    )
    took, before, peak, size = child.stdout.split()
    task = f"{n_tips:,} tips streamed to disk, {dtype}, {float(size):.1f} GB"
    memory = f"memory peaks at {float(peak):.0f} MB, {float(before):.0f} MB before it began"
    return (task, f"{float(took):.3g} s; {memory}", "none", "", "")


def stream(n_tips: int, dtype: str) -> None:
    """Print the seconds, the peak memory before and after (MB) and the size of the file (GB)."""
    tree = birth_death_tree(n_tips, np.random.default_rng(1))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "distances.npy"
        write_patristic(ladder_tree(3), path, dtype=dtype)  # Loads the compiled code.
        before = peak_memory()
        start = time.perf_counter()
        write_patristic(tree, path, dtype=dtype)
        took = time.perf_counter() - start
        print(took, before, peak_memory(), path.stat().st_size / 1e9)


def peak_memory() -> float:
    """Return the most memory this process ever had, in MB; `getrusage` adds that of its parent."""
    status = Path("/proc/self/status").read_text()
    return float(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024


def joining_beside_scikit_bio(tree: Tree) -> Row:
    """Join additive distances, which must give the tree back."""
    matrix = patristic_distances(tree)
    other = skbio.DistanceMatrix(matrix.values, matrix.ids)
    if robinson_foulds(neighbour_joining(matrix), tree):
        raise AssertionError("neighbour joining did not give the tree back")
    return compared(
        f"neighbour joining, {tree.n_tips:,} tips",
        lambda: neighbour_joining(matrix),
        "scikit-bio `nj`",
        lambda: nj(other),
    )


def topology_beside_scikit_bio(tree: Tree, rng: np.random.Generator) -> Row:
    """Count the splits that differ between two trees."""
    moved = with_regrafts(tree, rng, n_moves=20)
    one, two = scikit_bio_tree(tree), scikit_bio_tree(moved)
    if robinson_foulds(tree, moved) != one.compare_rfd(two, rooted=False):
        raise AssertionError("the Robinson-Foulds distances differ")
    return compared(
        f"Robinson-Foulds, {tree.n_tips:,} tips",
        lambda: robinson_foulds(tree, moved),
        "scikit-bio `compare_rfd`",
        lambda: one.compare_rfd(two, rooted=False),
    )


def reading_beside_scikit_bio(label: str, tree: Tree) -> Row:
    """Turn text into arrays, validated, against text into objects."""
    text = format_newick(tree)
    return compared(
        f"Newick text to tree, {label}",
        lambda: parse_newick(text),
        "scikit-bio `TreeNode.read`",
        lambda: parsed_by_scikit_bio(text),
    )


if __name__ == "__main__":
    main()
