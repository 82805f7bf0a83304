"""Phylogenetic prototypes at the size of a museum and at the size of a class of animals.

    python benchmarks/prototypes.py

Species evolve on a simulated tree, features by Brownian motion with individual noise; most species
have one to four pictures. Each size runs in a process of its own, whose peak memory is that of
everything: data, fit and answers.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time

import numpy as np

from kinlens.models.phylogenetic_prototypes import PhylogeneticPrototypes
from kinlens.simulate.trees import yule_tree
from reporting import report, versions

SEED = 1
SIZES = ((332, 834), (10_000, 512))
QUERIES = 1000


def main() -> None:
    """Run every size in a child and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--child", nargs=2, type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(measured(*arguments.child)))
        return
    rows = []
    for n_species, n_features in SIZES:
        command = [sys.executable, __file__, "--child", str(n_species), str(n_features)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        rows.append(json.loads(done.stdout))
    report(
        "prototypes",
        title="Phylogenetic prototypes: time and memory",
        columns=(
            "species", "features", "pictures", "fit, s", "1,000 answers, s", "peak GiB", "right",
        ),
        rows=rows,
        notes=f"Seed {SEED}. Features evolve on a Yule tree by Brownian motion; pictures deviate "
        "by half the spread among species; 10% of the species have no picture, the others 1 to 4. "
        "Fitting finds scale, signal and pull of every axis. Peak memory is that of the whole "
        f"process. {versions('numpy', 'scipy', 'scikit-learn', 'numba')}.",
    )  # fmt: skip


def measured(n_species: int, n_features: int) -> list[str]:
    """Simulate, fit once to compile, fit for the clock, and answer."""
    warm = _world(40, 8)
    _fit(*warm)
    tree, X, y, candidates, fresh, truth = _world(n_species, n_features)
    start = time.perf_counter()
    model = _fit(tree, X, y, candidates, fresh, truth)
    fitted = time.perf_counter()
    answers = model.predict(fresh)
    done = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return [
        f"{n_species:,}",
        f"{n_features:,}",
        f"{len(X):,}",
        f"{fitted - start:.1f}",
        f"{done - fitted:.2f}",
        f"{peak:.2f}",
        f"{np.mean(answers == truth):.0%}",
    ]


def _fit(tree, X, y, candidates, fresh, truth):
    return PhylogeneticPrototypes(kinship=tree, candidates=candidates).fit(X, y)


def _world(n_species: int, n_features: int):
    rng = np.random.default_rng(SEED)
    tree = yule_tree(n_species, rng)
    state = np.zeros((tree.n_nodes, n_features), dtype=np.float32)
    for node in range(1, tree.n_nodes):
        step = np.sqrt(tree.length[node]) * rng.standard_normal(n_features, dtype=np.float32)
        state[node] = state[tree.parent[node]] + step
    tips = state[tree.tips]
    counts = rng.integers(1, 5, n_species)
    counts[rng.random(n_species) < 0.1] = 0
    rows = np.repeat(np.arange(n_species), counts)
    X = tips[rows] + 0.5 * rng.standard_normal((len(rows), n_features), dtype=np.float32)
    asked = rng.integers(n_species, size=QUERIES)
    fresh = tips[asked] + 0.5 * rng.standard_normal((QUERIES, n_features), dtype=np.float32)
    names = np.array(tree.tip_names, dtype=object)
    return tree, X, names[rows], tree.tip_names, fresh, names[asked]


if __name__ == "__main__":
    main()
