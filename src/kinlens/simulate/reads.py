"""Large sets of distinct reads whose distances are spread as those of a real amplicon survey.

Made for speed tests and for downstream tests at any size. Sequences of a world, with their truth,
come from `simulate.sequences`.
"""

from __future__ import annotations

import numpy as np

from kinlens.errors import UsageError
from kinlens.records.sequences import SequenceSet
from kinlens.simulate.sequences import IndelModel, evolve_tips
from kinlens.simulate.substitution import SubstitutionModel
from kinlens.simulate.trees import birth_death_tree

__all__ = ["simulate_reads"]

# Chosen so that 152 bases give the distances of 16S rRNA V4 reads from one survey: between two
# reads a quarter of the length on average, to the nearest one a base or a few.
_DIVERGENCE = 0.27
_OWN = 0.006
_EXTINCTION = 0.97
# V4 has conserved stretches between variable loops.
_SUBSTITUTION = SubstitutionModel(
    transition_bias=2.0,
    frequencies=(0.25, 0.17, 0.34, 0.24),
    rate_shape=0.5,
    rate_patchiness=0.6,
)
_INDELS = IndelModel(insertion_rate=0.005, deletion_rate=0.005, mean_length=1.5)


def simulate_reads(n_reads: int, length: int, rng: np.random.Generator) -> SequenceSet:
    """Simulate distinct reads of one length from the tips of a large tree.

    A gene somewhat longer than a read evolves with insertions and deletions, and every copy is
    read from its start for `length` bases, as trimmed amplicons are.

    Parameters
    ----------
    n_reads : int
        How many, 2 or more.
    length : int
        Bases in each, 30 or more.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    SequenceSet
        Reads ``read_1`` and so on, in random order, no two alike; without species.

    Examples
    --------
    >>> reads = simulate_reads(20, 152, np.random.default_rng(1))
    >>> len(reads.deduplicated()), set(reads.lengths.tolist())
    (20, {152})
    """
    if n_reads < 2 or length < 30:
        raise UsageError(
            f"reads are simulated 2 or more at a time and 30 bases or longer, not {n_reads} of "
            f"{length}."
        )
    # Short reads coincide more often, and some copies end up too short.
    n_copies = int(n_reads * (1 + 30 / length)) + 2
    while True:
        distinct = _distinct_reads(n_copies, length, rng)
        if len(distinct) >= n_reads:
            break
        n_copies = int(1.2 * n_copies * n_reads / max(len(distinct), 1)) + 10
    width = len(str(n_reads))
    order = rng.permutation(len(distinct))[:n_reads].tolist()
    return SequenceSet(
        tuple(f"read_{number:0{width}}" for number in range(1, n_reads + 1)),
        tuple(distinct[i] for i in order),
    )


def _distinct_reads(n_copies: int, length: int, rng: np.random.Generator) -> list[bytes]:
    tree = birth_death_tree(n_copies, rng, death=_EXTINCTION, height=_DIVERGENCE)
    grown = tree.length.copy()
    grown[tree.tips] += _OWN
    copies = evolve_tips(
        tree.with_lengths(grown),
        length + length // 10,
        rng,
        substitution=_SUBSTITUTION,
        indels=_INDELS,
    )
    return list(dict.fromkeys(copy[:length] for copy in copies if len(copy) >= length))
