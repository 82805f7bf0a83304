"""How often each test finds an association that is not there, and one that is.

    python benchmarks/type_one_error.py --repetitions 500 --workers 2

Simulates worlds whose truth is known, runs every test on the same worlds, and writes
``docs/type_one_error.md`` with its figure. Each repetition has a tree of its own.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypedDict

import numpy as np
from scipy.spatial.distance import pdist, squareform
from scipy.stats import pearsonr

from kinlens.atomic import write_bytes, write_text
from kinlens.evaluate.association import protest, rv_coefficient, unbiased_distance_correlation
from kinlens.evaluate.brownian import brownian_null_test
from kinlens.evaluate.contrasts import contrast_test, phylogenetic_contrasts
from kinlens.evaluate.matrices import mantel, matrix_correlation, partial_mantel
from kinlens.evaluate.matrix_regression import mrm
from kinlens.evaluate.nulls import PhylogeneticPermutation
from kinlens.evaluate.resample import permutation_p_value
from kinlens.evaluate.signal import kmult, pagel_lambda
from kinlens.geometry.patristic import patristic_distances, vcv
from kinlens.parallel import Resources, map_blocks
from kinlens.records.tree import Tree
from kinlens.report.figure import MUTED, PALETTE, finish, themed_figure
from kinlens.rng import RandomStreams
from kinlens.simulate.traits import Pull, evolve_traits, with_signal
from kinlens.simulate.trees import yule_tree
from kinlens.typing import FloatArray
from reporting import machine

DOCS = Path(__file__).parents[1] / "docs"
DIMENSIONS = 8
PERMUTATIONS = 499
PLAIN_WORLDS = 199
LEVEL = 0.05
BLOCK = 20
Outcome = dict[str, float]
Tests = dict[str, Callable[[], float]]
"""Name of a test to what runs it on one world and returns its p-value."""


class Draw(TypedDict):
    """What every permutation test takes."""

    rng: np.random.Generator
    permutations: int


NAIVE = "Pearson on pairs, as if independent"
MANTEL = "Mantel"
RELATIVES = "Mantel, relatives permuted"
PARTIAL = "partial Mantel given the tree"
REGRESSION = "MRM with the tree"
PROTEST = "PROTEST"
RV = "RV"
DISTANCE = "distance correlation"
PLAIN_NULL = "r, Brownian null, rates as estimated"
SIMULATED_NULL = "r, Brownian null, simulated"
FLIPPED_NULL = "r, Brownian null, flipped"
CONTRASTS = "contrast test"
KMULT = "Kmult"
LAMBDA = "Pagel's lambda"
HONEST = (CONTRASTS, FLIPPED_NULL, SIMULATED_NULL)
FOR_SIGNAL = (MANTEL, KMULT, LAMBDA)


@dataclass(frozen=True)
class World:
    """How two things evolve.

    Parameters
    ----------
    title : str
    first, second : str
        A key of `PROCESSES`, or a number: Brownian with that much of Pagel's lambda.
    decay : float
        Variance of each axis as a share of the one before.
    association : float
        Correlation of the second side's changes with those of the first.
    """

    title: str
    first: str
    second: str
    decay: float = 1.0
    association: float = 0.0


Rates = dict[tuple[World, int, str], FloatArray]
"""(world, number of species, test) to the p-value of each repetition."""

TWO_TRAITS = (
    World("independent Brownian", "1", "1"),
    World("no signal", "0", "0"),
    World("Brownian and no signal", "1", "0"),
    World("lambda 0.5", "0.5", "0.5"),
    World("unequal axes", "1", "1", decay=0.6),
    World("half the axes Brownian", "half", "half"),
    World("pulled to an optimum", "pulled", "pulled"),
    World("early burst", "burst", "burst"),
    World("one clade 10 x faster", "clade", "clade"),
)
TREE_WORLDS = (
    World("no signal", "0", "tree"),
    World("no signal, unequal axes", "0", "tree", decay=0.6),
    World("Brownian", "1", "tree"),
)
ASSOCIATIONS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
SIGNALS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0)


def main() -> None:
    """Run everything and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=500)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--species", type=int, nargs="+", default=[32, 100])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=DOCS, help="folder for the page")
    arguments = parser.parse_args()

    def run(
        worlds: Iterable[World], sizes: Sequence[int], tests: Sequence[str] | None = None
    ) -> Rates:
        return repeated(
            list(worlds),
            sizes,
            tests=tests,
            repetitions=arguments.repetitions,
            seed=arguments.seed,
            resources=Resources(workers=arguments.workers),
        )

    small = arguments.species[:1]
    levels = run((*TWO_TRAITS, *TREE_WORLDS), arguments.species)
    association = {
        signal: run((associated(signal, share) for share in ASSOCIATIONS), small, HONEST)
        for signal in ("1", "0")
    }
    by_signal = run((associated(f"{signal:g}", 0.35) for signal in SIGNALS), small, HONEST)
    found_signal = run((against_tree(signal) for signal in SIGNALS), small, FOR_SIGNAL)
    figure = power_figure(association, by_signal, found_signal, small[0])
    write_bytes(arguments.out / "type_one_error.png", figure)
    write_text(
        arguments.out / "type_one_error.md",
        page(levels, association, found_signal, arguments),
    )
    print((arguments.out / "type_one_error.md").read_text(encoding="utf-8"))


def associated(signal: str, share: float) -> World:
    """Make two Brownian things of one lambda whose changes correlate."""
    return World(f"lambda {signal}, correlation {share:g}", signal, signal, association=share)


def against_tree(signal: float) -> World:
    """Put looks with some signal beside the tree itself."""
    return World(f"looks with lambda {signal:g}", f"{signal:g}", "tree")


# Running -----------------------------------------------------------------------------------------


def repeated(
    worlds: Sequence[World],
    sizes: Sequence[int],
    *,
    tests: Sequence[str] | None,
    repetitions: int,
    seed: int,
    resources: Resources,
) -> Rates:
    """Run some tests, or all, on every world and size, and gather the p-values."""
    blocks = [
        (world, n, start, min(start + BLOCK, repetitions))
        for world in worlds
        for n in sizes
        for start in range(0, repetitions, BLOCK)
    ]
    gathered: dict[tuple[World, int, str], list[float]] = defaultdict(list)
    outcomes = map_blocks(partial(run_block, seed, tests), blocks, resources=resources)
    for (world, n, _, _), rows in zip(blocks, outcomes, strict=True):
        for row in rows:
            for test, p_value in row.items():
                gathered[world, n, test].append(p_value)
    return {key: np.array(values) for key, values in gathered.items()}


def run_block(
    seed: int, wanted: Sequence[str] | None, block: tuple[World, int, int, int]
) -> list[Outcome]:
    """Run one block of repetitions; each draws from a stream of its own."""
    world, n, start, stop = block
    streams = RandomStreams(seed).child(world.title, n)
    rows = []
    for index in range(start, stop):
        rng = streams.generator(index)
        tests = (tests_against_tree if world.second == "tree" else tests_of_two)(world, n, rng)
        rows.append(
            {name: test() for name, test in tests.items() if wanted is None or name in wanted}
        )
    return rows


def tests_of_two(world: World, n: int, rng: np.random.Generator) -> Tests:
    """Simulate two things on one tree, and set up the tests whether they go together."""
    tree = yule_tree(n, rng)
    scale = np.sqrt(world.decay ** np.arange(DIMENSIONS))
    looks, other = (
        PROCESSES.get(process, partial(brownian, process))(tree, rng) * scale
        for process in (world.first, world.second)
    )
    other = world.association * looks + np.sqrt(1 - world.association**2) * other
    a, b = squareform(pdist(looks)), squareform(pdist(other))
    on_tree = patristic_distances(tree).values
    draw = Draw(rng=rng, permutations=PERMUTATIONS)
    return {
        NAIVE: lambda: pairs_p_value(a, b),
        MANTEL: lambda: mantel(a, b, **draw).p_value,
        RELATIVES: lambda: mantel(a, b, scheme=PhylogeneticPermutation(on_tree), **draw).p_value,
        PARTIAL: lambda: partial_mantel(a, b, on_tree, **draw).p_value,
        REGRESSION: lambda: float(mrm(a, {"other": b, "tree": on_tree}, **draw).p_values[1]),
        PROTEST: lambda: protest(looks, other, **draw).p_value,
        RV: lambda: rv_coefficient(looks, other, **draw).p_value,
        DISTANCE: lambda: unbiased_distance_correlation(a, b, **draw).p_value,
        PLAIN_NULL: lambda: plain_brownian_null(looks, a, b, tree, rng),
        SIMULATED_NULL: lambda: brownian_null_test(a, b, tree, redraw="simulate", **draw).p_value,
        FLIPPED_NULL: lambda: brownian_null_test(a, b, tree, **draw).p_value,
        CONTRASTS: lambda: contrast_test(a, b, tree, **draw).p_value,
    }


def tests_against_tree(world: World, n: int, rng: np.random.Generator) -> Tests:
    """Simulate looks, and set up the tests whether relatives look alike."""
    tree = yule_tree(n, rng)
    looks = brownian(world.first, tree, rng) * np.sqrt(world.decay ** np.arange(DIMENSIONS))
    a, on_tree, covariance = squareform(pdist(looks)), patristic_distances(tree).values, vcv(tree)
    draw = Draw(rng=rng, permutations=PERMUTATIONS)
    relatives = PhylogeneticPermutation(on_tree)
    return {
        NAIVE: lambda: pairs_p_value(a, on_tree),
        MANTEL: lambda: mantel(a, on_tree, **draw).p_value,
        RELATIVES: lambda: mantel(a, on_tree, scheme=relatives, **draw).p_value,
        KMULT: lambda: kmult(looks, covariance, **draw).p_value,
        LAMBDA: lambda: pagel_lambda(looks, covariance).p_value,
        FLIPPED_NULL: lambda: brownian_null_test(a, on_tree, tree, **draw).p_value,
    }


def pairs_p_value(first: FloatArray, second: FloatArray) -> float:
    """Return the textbook p-value of r, every pair of species counted as an observation."""
    upper = np.triu_indices(len(first), 1)
    return float(pearsonr(first[upper], second[upper], alternative="greater").pvalue)


def plain_brownian_null(
    looks: FloatArray, a: FloatArray, b: FloatArray, tree: Tree, rng: np.random.Generator
) -> float:
    """Test r against a Brownian null whose rates are taken as estimated, for comparison."""
    contrasts = phylogenetic_contrasts(looks, tree)
    root = np.linalg.cholesky(contrasts.T @ contrasts / len(contrasts))
    drawn = evolve_traits(tree, DIMENSIONS * PLAIN_WORLDS, rng)[tree.tips]
    worlds = drawn.reshape(len(looks), PLAIN_WORLDS, DIMENSIONS).transpose(1, 0, 2) @ root.T
    pairs = np.array([pdist(world) for world in worlds])
    pairs -= pairs.mean(axis=1, keepdims=True)
    other = squareform(b)
    null = pairs @ (other - other.mean()) / np.linalg.norm(pairs, axis=1)
    null /= np.linalg.norm(other - other.mean())
    return permutation_p_value(matrix_correlation(a, b), null)


# Worlds ------------------------------------------------------------------------------------------


def brownian(signal: str, tree: Tree, rng: np.random.Generator) -> FloatArray:
    """Brownian motion with some of the phylogenetic signal, shape (n, DIMENSIONS)."""
    evolved = evolve_traits(with_signal(tree, float(signal)), DIMENSIONS, rng)
    return evolved[tree.tips]


def half_brownian(tree: Tree, rng: np.random.Generator) -> FloatArray:
    """Half of the axes with full signal, the other half without any."""
    half = DIMENSIONS // 2
    return np.hstack([brownian("1", tree, rng)[:, :half], brownian("0", tree, rng)[:, half:]])


def pulled(tree: Tree, rng: np.random.Generator) -> FloatArray:
    """Ornstein-Uhlenbeck with a half-life of a sixth of the tree's height."""
    pull = Pull.everywhere(tree, 4.0 / tree.height, np.zeros(DIMENSIONS))
    return evolve_traits(tree, DIMENSIONS, rng, pull=pull)[tree.tips]


def early_burst(tree: Tree, rng: np.random.Generator) -> FloatArray:
    """Rates that fall to a twentieth from root to tips."""
    depth = tree.depths() / tree.height
    reached = -np.expm1(-3 * depth)
    length = reached - reached[np.maximum(tree.parent, 0)]
    return evolve_traits(tree.with_lengths(length), DIMENSIONS, rng)[tree.tips]


def fast_clade(tree: Tree, rng: np.random.Generator) -> FloatArray:
    """Ten times the rate in the clade whose size is nearest to a third of the species."""
    sizes = tree.tip_stop - tree.tip_start
    top = int(np.argmin(np.abs(sizes - tree.n_tips / 3)))
    length = tree.length.copy()
    length[top : tree.stop[top]] *= 10
    return evolve_traits(tree.with_lengths(length), DIMENSIONS, rng)[tree.tips]


PROCESSES: dict[str, Callable[[Tree, np.random.Generator], FloatArray]] = {
    "half": half_brownian,
    "pulled": pulled,
    "burst": early_burst,
    "clade": fast_clade,
}


# The page ----------------------------------------------------------------------------------------


def share(p_values: FloatArray) -> float:
    """Return the share of repetitions in which the test found something at 5 %."""
    return float((p_values <= LEVEL).mean())


def table(
    rates: Rates,
    worlds: Sequence[World],
    n: int,
    *,
    headings: Sequence[object] | None = None,
    corner: str = "test",
) -> str:
    """Lay tests down and worlds across, in per cent; bold outside 3 to 7 without `headings`."""
    tests = [test for world, size, test in rates if world == worlds[0] and size == n]
    titles = " | ".join(map(str, headings or [world.title for world in worlds]))
    lines = [f"| {corner} | {titles} |", "| --- |" + " ---: |" * len(worlds)]
    for test in tests:
        cells = []
        for world in worlds:
            percent = 100 * share(rates[world, n, test])
            shown = f"{percent:.1f}" if percent < 99.95 else "100"
            cells.append(shown if headings or 3 <= percent <= 7 else f"**{shown}**")
        lines.append(f"| {test} | {' | '.join(cells)} |")
    return "\n".join(lines)


def page(
    levels: Rates,
    association: dict[str, Rates],
    found_signal: Rates,
    arguments: argparse.Namespace,
) -> str:
    """Word the page."""
    repetitions = arguments.repetitions
    error = 196 * np.sqrt(LEVEL * (1 - LEVEL) / repetitions)
    two = "\n\n".join(f"{n} species:\n\n{table(levels, TWO_TRAITS, n)}" for n in arguments.species)
    tree = "\n\n".join(
        f"{n} species:\n\n{table(levels, TREE_WORLDS, n)}" for n in arguments.species
    )
    small = arguments.species[0]
    with_history = [associated("1", value) for value in ASSOCIATIONS]
    without = [associated("0", value) for value in ASSOCIATIONS]
    looks = [against_tree(signal) for signal in SIGNALS]
    return f"""# Which test to believe

This page is made by `python benchmarks/type_one_error.py --repetitions {repetitions}`. It shows in
how many of {repetitions:,} simulated worlds, in per cent, each test finds an association at a
nominal 5 %. A test that does what it says finds one in 5 % of the worlds in which there is none;
with {repetitions:,} repetitions such a test shows 5 ± {error:.1f}. **Bold** is outside 3 to 7.

Each world has its own pure-birth tree and traits with {DIMENSIONS} axes, compared by Euclidean
distance; permutation tests draw {PERMUTATIONS} null worlds. Seed {arguments.seed}; machine:
{machine()}.

## In short

- **Do relatives look alike?** Looks against the tree itself: the null is no signal, species are
  exchangeable, and `matrices.mantel` or `signal.kmult` is the test to believe.
- **Did two things evolve together?** Looks against diet, looks against a gene: both have the
  history of the species in them, species are not exchangeable, and `contrasts.contrast_test` is
  the test to believe. The textbook p-value and the Mantel test find an association between almost
  any two traits that evolved on one tree.

## Two things that evolved independently

No test should find anything here.

{two}

What goes wrong, and what is done about it:

- *Pearson on pairs* counts n (n - 1) / 2 pairs as that many observations. *Mantel*, *PROTEST*,
  *RV* and *distance correlation* permute species as if they had no history. Permuting *relatives*
  more often, or holding the tree's distances constant (*partial Mantel*, *MRM*), removes part of
  that.
- The *Brownian null with rates as estimated* simulates too few effective dimensions, because
  sampling spreads the eigenvalues of the rate matrix; its null lies too low. *Simulated* shrinks
  the eigenvalues first. The first does not estimate lambda, the others do.
- Drawing contrasts anew assumes that rates are the same everywhere. When both sides share rates
  that are not (an early burst, a fast clade), large contrasts meet large contrasts. *Flipped*
  nulls keep the size of each contrast and draw its sign, so that rates cancel out; the *contrast
  test* does so with a statistic that weighs all contrasts alike.

## Looks against the tree

In the first two worlds no test should find anything. In the third looks are Brownian: tests for
signal should find it, and the Brownian null, which asks for *more* likeness among relatives than
Brownian motion gives, should not.

{tree}

## Power

![Share of worlds in which an association was found](type_one_error.png)

Two traits whose changes correlate, {small} species, both Brownian (tests that hold their level
alone are shown):

{table(association["1"], with_history, small, headings=ASSOCIATIONS, corner="correlation")}

Both without phylogenetic signal:

{table(association["0"], without, small, headings=ASSOCIATIONS, corner="correlation")}

Looks with more and more of Pagel's lambda, against the tree:

{table(found_signal, looks, small, headings=SIGNALS, corner="lambda")}
"""


def power_figure(
    association: dict[str, Rates], by_signal: Rates, found_signal: Rates, n: int
) -> bytes:
    """Draw the power curves: against association, against lambda, and for signal itself."""
    with themed_figure(width=9.5, height=3.4) as figure:
        panels = figure.subplots(1, 3, sharey=True)
        shown: dict[str, str] = {}

        def curve(panel: int, rates: Rates, worlds: Sequence[World], x: Sequence[float], test: str,
                  style: str = "-", label: str | None = None) -> None:  # fmt: skip
            color = shown.setdefault(test, PALETTE[len(shown) % len(PALETTE)])
            heights = [100 * share(rates[world, n, test]) for world in worlds]
            panels[panel].plot(x, heights, style, color=color, label=label, marker="o", ms=3)

        for signal, style in (("1", "-"), ("0", "--")):
            worlds = [associated(signal, value) for value in ASSOCIATIONS]
            for test in HONEST:
                label = test if signal == "1" else None
                curve(0, association[signal], worlds, ASSOCIATIONS, test, style, label)
        worlds = [associated(f"{signal:g}", 0.35) for signal in SIGNALS]
        for test in HONEST:
            curve(1, by_signal, worlds, SIGNALS, test)
        worlds = [against_tree(signal) for signal in SIGNALS]
        for test in FOR_SIGNAL:
            curve(2, found_signal, worlds, SIGNALS, test, label=test)
        titles = (
            ("Two associated traits", "correlation of changes (dashed: no signal)"),
            ("Correlation 0.35", "Pagel's lambda of both"),
            ("Looks against the tree", "Pagel's lambda of looks"),
        )
        for panel, (title, x_label) in zip(panels, titles, strict=True):
            panel.axhline(100 * LEVEL, color=MUTED, lw=0.8)
            panel.set(title=title, xlabel=x_label, ylim=(0, 102))
        panels[0].set_ylabel("found, % of worlds")
        panels[0].legend(loc="upper left", fontsize=6.5)
        panels[2].legend(loc="center right", fontsize=6.5)
        return finish(figure, name="type_one_error", title="Power", caption="Power.").png


if __name__ == "__main__":
    main()
