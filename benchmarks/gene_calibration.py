"""How often each test of a gene finds what is not there, and what is: worlds whose truth is known.

    python benchmarks/gene_calibration.py [--worlds 200] [--workers 1] [--keep FOLDER]

Each world has a tree of its own with 258 tips, looks of 512 features that evolved on it, and three
kinds of genes: evolved on the tree in disregard of looks, the same genes shuffled among tips, and
genes that follow from looks. All tests see the same worlds. Writes
``benchmarks/results/gene_calibration.md``.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

import numpy as np
from scipy.stats import norm

from kinlens.evaluate.multiplicity import false_discovery_rates
from kinlens.evaluate.repeated import PartsArray, repeat_clades, repeat_random
from kinlens.ledger import FolderLedger
from kinlens.models.gene_null import compare_with_null, draw_null_genes, gene_patterns
from kinlens.models.gene_scan import scan_genes
from kinlens.models.gene_scorers import gram_matrix
from kinlens.parallel import Resources, map_blocks
from kinlens.records.tree import Tree
from kinlens.rng import RandomStreams
from kinlens.simulate.genes import GeneRates, evolve_genes
from kinlens.simulate.traits import evolve_traits
from kinlens.simulate.tree_noise import (
    with_branch_noise,
    with_neighbour_interchanges,
    with_regrafts,
)
from kinlens.simulate.trees import yule_tree
from kinlens.typing import ByteArray, FloatArray, IntArray
from reporting import report

TIPS, FEATURES, HIDDEN = 258, 512, 20
EVOLVED, PLANTED = 400, 100  # and as many shuffled as evolved ones
SPLITS, TWINS, PERMUTATIONS, CLADES = 30, 19, 19, 30
LEVEL = 0.05
SEED = 1
BELIEVED = "twins from the tree, clade-blocked splits"


def main() -> None:
    """Run all worlds, average, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=200)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="keep finished worlds here, to go on later")
    arguments = parser.parse_args()
    ledger = FolderLedger(arguments.keep, "gene_calibration") if arguments.keep else None
    found = list(
        map_blocks(
            world_of,
            range(arguments.worlds),
            resources=Resources(workers=arguments.workers),
            ledger=ledger,
        )
    )
    rows = []
    for name in found[0]:
        outcomes = np.array([world[name] for world in found])
        mean, error = outcomes.mean(axis=0), outcomes.std(axis=0) / np.sqrt(len(found))
        cells = [f"{100 * m:.1f} ± {196 * e:.1f}" for m, e in zip(mean, error, strict=True)]
        rows.append((f"**{name}**" if name == BELIEVED else name, *cells))
    report(
        "gene_calibration",
        title="Tests of one gene at a time: false and true positives in worlds of known truth",
        columns=(
            "test",
            "false positives, genes of the tree (%)",
            "false positives, shuffled genes (%)",
            "power (%)",
            "false among discoveries at BH 5% (%)",
            "power at BH 5% (%)",
        ),
        rows=rows,
        notes=f"{arguments.worlds} worlds of {TIPS} tips, {FEATURES} features, "
        f"{EVOLVED} evolved, {EVOLVED} shuffled and {PLANTED} planted genes each; nominal level "
        f"5%; ± is 1.96 standard errors over worlds. {SPLITS} splits (75/25; clades: about "
        f"{CLADES} blocks), {TWINS} twins a gene, {PERMUTATIONS} permutations, with which no "
        f"p-value is small enough for BH. Planted: log odds 1 to 4 per standard deviation of a "
        f"random direction in {HIDDEN} hidden traits. Seed {SEED}.",
    )


def world_of(number: int) -> dict[str, FloatArray]:
    """Return, for each test of one world, the five columns of the table as shares."""
    streams = RandomStreams(SEED).child("world", number)
    rng = streams.generator("world")
    tree = yule_tree(TIPS, rng)
    features, genes = simulated(tree, rng)
    gram = gram_matrix(features)
    clades = tree.cut_into(CLADES)
    at_random = repeat_random(TIPS, SPLITS, rng=streams.generator("random"))
    blocked = repeat_clades(clades, SPLITS, rng=streams.generator("blocked"))
    scores = {
        "random": scan_genes(gram, genes, at_random),
        "clade": scan_genes(gram, genes, blocked),
    }
    p_values: dict[str, FloatArray] = {}

    def judged(name: str, judge: Tree, splits: str) -> None:
        """Twins from the tree `judge`, whose tips stand in an order of their own."""
        draw = streams.generator("twins", name)
        order = judge.tip_positions(tree.tip_names)
        parts = at_random
        observed = scores["random"]
        if splits == "clade":
            parts = blocked
            observed = scores["clade"]
            if judge is not tree:
                blocks = judge.cut_into(CLADES)[order]
                parts = repeat_clades(blocks, SPLITS, rng=streams.generator("blocked"))
                observed = scan_genes(gram, genes, parts)
        there = np.empty_like(genes)
        there[order] = genes
        pattern = gene_patterns(judge, there)
        null = draw_null_genes(judge, pattern, worlds=TWINS, rng=draw)
        of_null = scan_genes(gram, null.presence[order], parts)
        p_values[name] = compare_with_null(observed.mcc, pattern, of_null.mcc, null).p_value

    judged(BELIEVED, tree, "clade")
    judged("twins from the tree, random splits", tree, "random")
    noise = streams.generator("noise")
    judged(
        "the same, branch lengths off by a factor (lognormal, 0.7)",
        with_branch_noise(tree, noise, spread=0.7),
        "clade",
    )
    judged("the same, no branch lengths", tree.with_unit_lengths(), "clade")
    judged(
        "the same, 26 nearest-neighbour interchanges",
        with_neighbour_interchanges(tree, noise, n_moves=26),
        "clade",
    )
    for moved in (3, 13):
        wrong = with_regrafts(tree, noise, n_moves=moved)
        judged(f"the same, {moved} clades moved elsewhere", wrong, "clade")
    everywhere = partial(permuted_p_values, gram, genes, rng=streams.generator("permuted"))
    anywhere = np.zeros(TIPS, dtype=np.int64)
    p_values["labels permuted, clade-blocked splits"] = everywhere(
        blocked, scores["clade"].mcc, anywhere
    )
    p_values["labels permuted, random splits"] = everywhere(
        at_random, scores["random"].mcc, anywhere
    )
    p_values["labels permuted within clades, random splits"] = everywhere(
        at_random, scores["random"].mcc, clades
    )
    spread = scores["random"].mcc_spread / np.sqrt(10_000)
    p_values["standard error over 10,000 random splits"] = norm.sf(
        scores["random"].mcc / np.maximum(spread, 1e-12)
    )
    return {name: outcome(p) for name, p in p_values.items()}


def simulated(tree: Tree, rng: np.random.Generator) -> tuple[FloatArray, ByteArray]:
    """Draw looks and genes: evolved, shuffled and planted, in this order."""
    hidden = evolve_traits(tree, HIDDEN, rng)[tree.tips]
    hidden = (hidden - hidden.mean(axis=0)) / hidden.std(axis=0)
    features = hidden @ rng.standard_normal((HIDDEN, FEATURES)) / np.sqrt(HIDDEN)
    features += 0.6 * evolve_traits(tree, FEATURES, rng)[tree.tips]
    features += 0.6 * rng.standard_normal(features.shape)
    evolved = np.empty((TIPS, 0), dtype=np.uint8)
    while evolved.shape[1] < EVOLVED:
        prevalence = rng.uniform(0.15, 0.85, EVOLVED)
        turnover = 10 ** rng.uniform(-0.5, 1.3, EVOLVED) / tree.height
        drawn = evolve_genes(tree, GeneRates.from_prevalence(prevalence, turnover), rng)[tree.tips]
        count = drawn.sum(axis=0)
        evolved = np.hstack([evolved, drawn[:, (count >= 20) & (count <= TIPS - 20)]])
    evolved = evolved[:, :EVOLVED]
    looks = hidden @ rng.standard_normal((HIDDEN, PLANTED))
    looks *= rng.uniform(1, 4, PLANTED) / looks.std(axis=0)
    looks += rng.logistic(size=looks.shape)
    rank = looks.argsort(axis=0).argsort(axis=0)
    planted = rank >= np.floor(TIPS * (1 - rng.uniform(0.2, 0.8, PLANTED)))
    shuffled = rng.permuted(evolved, axis=0)
    return features, np.hstack([evolved, shuffled, planted.astype(np.uint8)])


def permuted_p_values(
    gram: FloatArray,
    genes: ByteArray,
    parts: PartsArray,
    observed: FloatArray,
    groups: IntArray,
    *,
    rng: np.random.Generator,
) -> FloatArray:
    """Compare with genes whose rows are shuffled within groups, all genes alike."""
    as_good = np.ones(genes.shape[1])
    for _ in range(PERMUTATIONS):
        order = np.lexsort((rng.random(TIPS), groups))
        target = np.argsort(groups, kind="stable")
        shuffled = np.empty_like(genes)
        shuffled[target] = genes[order]
        as_good += scan_genes(gram, shuffled, parts).mcc >= observed
    return as_good / (PERMUTATIONS + 1)


def outcome(p_values: FloatArray) -> FloatArray:
    """Return the five columns of the table for one test of one world."""
    is_planted = np.arange(len(p_values)) >= 2 * EVOLVED
    discovered = false_discovery_rates(p_values) <= LEVEL
    is_hit = p_values <= LEVEL
    return np.array(
        [
            is_hit[:EVOLVED].mean(),
            is_hit[EVOLVED : 2 * EVOLVED].mean(),
            is_hit[is_planted].mean(),
            (discovered & ~is_planted).sum() / max(discovered.sum(), 1),
            discovered[is_planted].mean(),
        ]
    )


if __name__ == "__main__":
    main()
