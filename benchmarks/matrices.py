"""Matrix tests beside scikit-bio's, permutation for permutation.

    python benchmarks/matrices.py

Every rival runs in this same process, on the same matrices, after its statistic was compared with
ours. Compiled code is warm on both sides.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
from scipy.spatial.distance import pdist, squareform
from skbio import DistanceMatrix
from skbio.stats.distance import mantel as skbio_mantel
from skbio.stats.distance import permanova as skbio_permanova

from kinlens.evaluate.association import (
    permanova,
    protest,
    rv_coefficient,
    unbiased_distance_correlation,
)
from kinlens.evaluate.brownian import brownian_null_test
from kinlens.evaluate.ceilings import brownian_ceiling
from kinlens.evaluate.contrasts import contrast_test
from kinlens.evaluate.matrices import mantel, partial_mantel
from kinlens.evaluate.matrix_regression import mrm
from kinlens.evaluate.nulls import PhylogeneticPermutation
from kinlens.evaluate.signal import kmult, pagel_lambda
from kinlens.geometry.patristic import patristic_distances, vcv
from kinlens.simulate.traits import evolve_traits
from kinlens.simulate.trees import yule_tree
from reporting import report, seconds, versions

Row = tuple[str, str, str, str]


def main() -> None:
    """Time everything and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--species", type=int, default=332)
    parser.add_argument("--permutations", type=int, default=9_999)
    arguments = parser.parse_args()
    n, count = arguments.species, arguments.permutations

    rng = np.random.default_rng(1)
    tree = yule_tree(n, rng)
    looks, other, wide = (evolve_traits(tree, p, rng)[tree.tips] for p in (8, 8, 834))
    a, b, c = (squareform(pdist(table)) for table in (looks, other, wide))
    on_tree, covariance = patristic_distances(tree).values, vcv(tree)
    theirs_a, theirs_b = DistanceMatrix(a), DistanceMatrix(b)
    groups = rng.integers(0, 10, n)
    relatives = PhylogeneticPermutation(on_tree)
    agree(
        mantel(a, b, permutations=0, rng=rng).statistic,
        skbio_mantel(theirs_a, theirs_b, permutations=0)[0],
    )
    agree(
        permanova(a, groups, permutations=0, rng=rng).test.statistic,
        skbio_permanova(theirs_a, groups, permutations=0)["test statistic"],
    )

    def timed(run: Callable[[int], object], draws: int = count, *, repeats: int = 3) -> float:
        """Return microseconds for each null world, as in a run of `draws` of them."""
        run(2)
        return 1e6 * seconds(lambda: run(draws), repeats=repeats) / draws

    plain = timed(lambda k: skbio_mantel(theirs_a, theirs_b, permutations=k))

    def row(name: str, ours: float, rival: float | None = None) -> Row:
        beside = "" if rival is None else f"{rival:,.0f}"
        return name, f"{ours:,.0f}", beside, f"{ours / plain:.2f}"

    rows = [
        row("Mantel, Pearson", timed(lambda k: mantel(a, b, permutations=k, rng=rng)), plain),
        row(
            "Mantel, Spearman",
            timed(lambda k: mantel(a, b, method="spearman", permutations=k, rng=rng)),
            timed(lambda k: skbio_mantel(theirs_a, theirs_b, method="spearman", permutations=k)),
        ),
        row(
            "Mantel, Kendall",
            timed(lambda k: mantel(a, b, method="kendall", permutations=k, rng=rng), 199),
            timed(
                lambda k: skbio_mantel(theirs_a, theirs_b, method="kendalltau", permutations=k),
                9,
                repeats=1,
            ),
        ),
        row(
            "PERMANOVA, 10 groups",
            timed(lambda k: permanova(a, groups, permutations=k, rng=rng)),
            timed(lambda k: skbio_permanova(theirs_a, groups, permutations=k)),
        ),
        row(
            "Mantel, relatives permuted",
            timed(lambda k: mantel(a, b, permutations=k, scheme=relatives, rng=rng)),
        ),
        row(
            "partial Mantel",
            timed(lambda k: partial_mantel(a, b, on_tree, permutations=k, rng=rng)),
        ),
        row(
            "MRM, 2 predictors",
            timed(lambda k: mrm(a, {"b": b, "tree": on_tree}, permutations=k, rng=rng)),
        ),
        row(
            "MRM, 3 predictors",
            timed(lambda k: mrm(a, {"b": b, "c": c, "tree": on_tree}, permutations=k, rng=rng)),
        ),
        row("RV", timed(lambda k: rv_coefficient(looks, other, permutations=k, rng=rng))),
        row(
            "distance correlation",
            timed(lambda k: unbiased_distance_correlation(a, b, permutations=k, rng=rng)),
        ),
        row("PROTEST, 8 axes", timed(lambda k: protest(looks, other, permutations=k, rng=rng))),
        row("Kmult", timed(lambda k: kmult(wide, covariance, permutations=k, rng=rng))),
    ]
    nulls = [
        (
            f"{count:,} Brownian nulls of r, flipped",
            lambda: brownian_null_test(a, b, tree, permutations=count, rng=rng),
        ),
        (
            f"{count:,} Brownian nulls of r, simulated, 8 axes",
            lambda: brownian_null_test(a, b, tree, redraw="simulate", permutations=count, rng=rng),
        ),
        (
            f"{count:,} Brownian nulls of r, simulated, 834 axes",
            lambda: brownian_null_test(c, b, tree, redraw="simulate", permutations=count, rng=rng),
        ),
        (
            f"contrast test, {count:,} null worlds",
            lambda: contrast_test(a, b, tree, permutations=count, rng=rng),
        ),
        (
            "Brownian ceiling, 8 axes, 999 worlds",
            lambda: brownian_ceiling(covariance, dimensions=8, replicates=999, rng=rng),
        ),
        ("Pagel's lambda, 8 traits", lambda: pagel_lambda(looks, covariance)),
    ]
    whole = "\n".join(f"| {name} | {seconds(run, repeats=1):.2f} |" for name, run in nulls)
    report(
        "matrices",
        title=f"Matrix tests, {n} species",
        columns=("test", "microseconds a permutation", "scikit-bio", "times scikit-bio's Mantel"),
        rows=rows,
        notes=(
            f"Median of three runs of {count:,} permutations each (Kendall: 199, and 9 for "
            "scikit-bio), on the threads that either side takes by itself.\n\n"
            f"| whole computations | seconds |\n| --- | --- |\n{whole}\n\n"
            f"Rival: {versions('scikit-bio')}."
        ),
    )


def agree(ours: float, theirs: float) -> None:
    """Refuse to time two programs that do not compute the same."""
    if not abs(ours - theirs) <= 1e-9 * max(1.0, abs(theirs)):
        raise SystemExit(f"the statistics differ: {ours} and {theirs}")


if __name__ == "__main__":
    main()
