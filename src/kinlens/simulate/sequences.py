"""DNA sequences evolving down a tree by substitutions, insertions and deletions.

Sites are followed by identity, so that the true alignment is known at the end. The substitution
model is in `simulate.substitution`, individuals of one species in `simulate.individuals`, reads
for speed tests in `simulate.reads`.

Everywhere, `length` is that of the sequence at the root, `substitution` is the model by which
letters change, and `indels` the one by which they come and go.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeVar

import numpy as np

from kinlens.errors import UsageError
from kinlens.records.sequences import SequenceSet
from kinlens.records.tree import Tree
from kinlens.simulate.substitution import BASES, SubstitutionModel
from kinlens.typing import ByteArray, IntArray

__all__ = [
    "EvolvedSequences",
    "IndelModel",
    "evolve_sequences",
    "evolve_tips",
]

_Array = TypeVar("_Array", ByteArray, IntArray)


@dataclass(frozen=True)
class IndelModel:
    """Insertions and deletions as a birth-death process on runs of sites.

    Parameters
    ----------
    insertion_rate, deletion_rate : float
        Events per site and per expected substitution, 0 or more.
    mean_length : float
        Mean number of sites per event (geometric), 1 or more.
    """

    insertion_rate: float = 0.02
    deletion_rate: float = 0.02
    mean_length: float = 3.0

    def __post_init__(self) -> None:
        if min(self.insertion_rate, self.deletion_rate) < 0 or self.mean_length < 1:
            raise UsageError(
                "insertion_rate and deletion_rate must be 0 or more and mean_length 1 or more, not "
                f"{self.insertion_rate:g}, {self.deletion_rate:g} and {self.mean_length:g}."
            )


@dataclass(frozen=True)
class _Sites:
    """The sequence of one node: base, rate category and alignment column of each site."""

    bases: ByteArray
    categories: ByteArray
    columns: IntArray

    def letters(self) -> bytes:
        return BASES[self.bases].tobytes()

    def without(self, start: int, stop: int) -> _Sites:
        kept = np.r_[0:start, min(stop, len(self.bases)) : len(self.bases)]
        return _Sites(self.bases[kept], self.categories[kept], self.columns[kept])


@dataclass
class _Columns:
    """The alignment columns in order, as a linked list from one column to the next."""

    following: list[int] = field(default_factory=list)
    first: int = -1

    def insert(self, count: int, after: int) -> IntArray:
        """Make `count` new columns behind column `after` (-1: before all) and return them."""
        start = len(self.following)
        rest = self.first if after < 0 else self.following[after]
        self.following.extend(range(start + 1, start + count))
        self.following.append(rest)
        if after < 0:
            self.first = start
        else:
            self.following[after] = start
        return np.arange(start, start + count)

    def ranks(self, used: IntArray) -> IntArray:
        """Return the place of each column among the `used` ones; shape (n_columns,)."""
        is_used = np.zeros(len(self.following), dtype=bool)
        is_used[used] = True
        order = []
        column = self.first
        while column >= 0:
            order.append(column)
            column = self.following[column]
        rank = np.empty(len(order), dtype=np.int64)
        rank[order] = np.cumsum(is_used[order]) - 1
        return rank


@dataclass(frozen=True, eq=False)
class EvolvedSequences:
    """What evolved on a tree: the sequence at every node, and which sites are homologous.

    Parameters
    ----------
    tree : Tree
        Branch lengths in expected substitutions per site.
    sequences : tuple of bytes, length m
        The sequence at each node, tips and ancestors.
    places : tuple of IntArray, length m
        For each node, the column of the true alignment in which each of its sites stands.
    n_columns : int
        Width of the true alignment.
    """

    tree: Tree
    sequences: tuple[bytes, ...]
    places: tuple[IntArray, ...]
    n_columns: int

    def tips(self) -> SequenceSet:
        """Return the sequences of the tips, named by them, in tip order."""
        return SequenceSet(
            self.tree.tip_names, tuple(self.sequences[node] for node in self.tree.tips)
        )

    def aligned(self, node: int) -> bytes:
        """Return the sequence of `node` with a gap (``-``) in each column that it lacks."""
        row = np.full(self.n_columns, ord("-"), dtype=np.uint8)
        row[self.places[node]] = np.frombuffer(self.sequences[node], dtype=np.uint8)
        return row.tobytes()


def evolve_sequences(
    tree: Tree,
    length: int,
    rng: np.random.Generator,
    *,
    substitution: SubstitutionModel | None = None,
    indels: IndelModel | None = None,
) -> EvolvedSequences:
    """Let a random sequence evolve down a tree and keep every ancestor and the alignment.

    Parameters
    ----------
    tree : Tree
        Branch lengths in expected substitutions per site.
    length : int
        Number of bases at the root, 1 or more.
    rng : numpy.random.Generator
        Source of randomness.
    substitution : SubstitutionModel, optional
        How bases change. The sequence at the root is drawn from its stationary frequencies.
    indels : IndelModel, optional
        How runs of sites come and go. New sites have the stationary frequencies and rates of
        their own. A deletion that would leave nothing does not happen.

    Returns
    -------
    EvolvedSequences

    Examples
    --------
    >>> tree = Tree.from_parents([-1, 0, 0], [0, 0.1, 0.1], ["", "a", "b"])
    >>> evolved = evolve_sequences(tree, 300, np.random.default_rng(1))
    >>> evolved.tips().alphabet, len(evolved.aligned(1)) == len(evolved.aligned(2))
    ('dna', True)
    """
    descent = _Descent(rng, substitution or SubstitutionModel(), indels or IndelModel())
    nodes = [sites for _node, sites in descent.walk(tree, length)]
    # Sites that came and went on one branch are in no sequence and get no column.
    used = np.unique(np.concatenate([sites.columns for sites in nodes]))
    rank = descent.columns.ranks(used)
    return EvolvedSequences(
        tree,
        tuple(sites.letters() for sites in nodes),
        tuple(rank[sites.columns] for sites in nodes),
        len(used),
    )


def evolve_tips(
    tree: Tree,
    length: int,
    rng: np.random.Generator,
    *,
    substitution: SubstitutionModel | None = None,
    indels: IndelModel | None = None,
) -> tuple[bytes, ...]:
    """Let a random sequence evolve down a tree and keep the tips alone, in tip order.

    The same as `evolve_sequences`, base by base, for trees whose ancestors would not fit in
    memory: only the line of ancestors of the current node is held.
    """
    descent = _Descent(rng, substitution or SubstitutionModel(), indels or IndelModel())
    is_tip = tree.is_tip.tolist()
    return tuple(sites.letters() for node, sites in descent.walk(tree, length) if is_tip[node])


@dataclass(frozen=True)
class _Descent:
    """One passage down a tree: the models, the randomness, and the columns made so far."""

    rng: np.random.Generator
    substitution: SubstitutionModel
    indels: IndelModel
    columns: _Columns = field(default_factory=_Columns)

    def walk(self, tree: Tree, length: int) -> Iterator[tuple[int, _Sites]]:
        """Yield the sites of each node in preorder."""
        if length < 1:
            raise UsageError(f"length must be 1 base or more, not {length}.")
        root = _Sites(
            self.substitution.draw_bases(length, self.rng),
            self.substitution.draw_categories(length, self.rng),
            self.columns.insert(length, -1),
        )
        yield 0, root
        # In preorder the parent of a node is always the last one seen on the way down.
        ancestors = [(0, root)]
        branches = zip(tree.parent.tolist(), tree.length.tolist(), strict=True)
        for node, (parent, time) in islice(enumerate(branches), 1, None):
            while ancestors[-1][0] != parent:
                ancestors.pop()
            start = self._insert_and_delete(ancestors[-1][1], time)
            bases = self.substitution.substitute(start.bases, start.categories, time, self.rng)
            sites = _Sites(bases, start.categories, start.columns)
            ancestors.append((node, sites))
            yield node, sites

    def _insert_and_delete(self, sites: _Sites, time: float) -> _Sites:
        """Apply the events of one branch, one by one as they arrive.

        Doing so before the substitutions changes nothing: new sites are drawn from the
        stationary frequencies, which substitutions preserve.
        """
        indels, rng = self.indels, self.rng
        total = indels.insertion_rate + indels.deletion_rate
        if total == 0:
            return sites
        while True:
            n_sites = len(sites.bases)
            time -= rng.exponential(1 / (total * n_sites))
            if time < 0:
                return sites
            run = int(rng.geometric(1 / indels.mean_length))
            if rng.random() * total < indels.insertion_rate:
                sites = self._inserted(sites, int(rng.integers(n_sites + 1)), run)
            else:
                at = int(rng.integers(n_sites))
                if at > 0 or run < n_sites:
                    sites = sites.without(at, at + run)

    def _inserted(self, sites: _Sites, at: int, run: int) -> _Sites:
        after = int(sites.columns[at - 1]) if at else -1
        return _Sites(
            _spliced(sites.bases, at, self.substitution.draw_bases(run, self.rng)),
            _spliced(sites.categories, at, self.substitution.draw_categories(run, self.rng)),
            _spliced(sites.columns, at, self.columns.insert(run, after)),
        )


def _spliced(values: _Array, at: int, new: _Array) -> _Array:
    return np.concatenate([values[:at], new, values[at:]])
