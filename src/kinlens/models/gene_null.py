"""Null genes that evolved on the tree, each a twin of a real gene in the two things that count.

A gene that relatives share is easy to predict from looks that relatives share, whether or not one
has to do with the other. So each gene is compared with genes that evolved on the same tree in
disregard of looks, are as common, changed as often, and are unknown in as many species, since few
known species make scores vary. Scores are made by `gene_scan`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from kinlens.errors import InputError, UsageError
from kinlens.geometry.parsimony import fewest_changes
from kinlens.models.gene_scan import MISSING
from kinlens.records.tree import Tree
from kinlens.simulate.genes import GeneRates, evolve_genes
from kinlens.typing import BoolArray, ByteArray, FloatArray, IntArray

__all__ = [
    "GenePattern",
    "NullGenes",
    "NullTest",
    "compare_with_null",
    "draw_null_genes",
    "gene_patterns",
]

# Square roots make differences of counts comparable over their range; changes weigh a little more.
_WEIGHTS = np.array([1.0, 1.4, 1.0])
# Proposals evolved at a time, and how many rounds look where twins are still lacking.
_BATCH = 20_000
_ROUNDS = 5
# Null genes around a gene from which the mean and spread of its null score are taken.
_NEIGHBOURS = 300
# Changes per branch length between these bounds, in units of one over the height of the tree.
_SLOWEST, _FASTEST = 0.05, 200.0
# Scores that hardly vary among null genes are not divided by less than this.
_LEAST_SPREAD = 1e-3
# Spread of the rates of a new proposal around those of one that came near, on a log scale.
_JITTER = 0.15


@dataclass(frozen=True, eq=False)
class GenePattern:
    """What is matched between genes and their null twins.

    Parameters
    ----------
    rarer : array of int, shape (n_genes,)
        Tips in the rarer state; a gene and its complement are equally hard to predict.
    changes : array of int, shape (n_genes,)
        Fewest gains and losses on the tree.
    n_unknown : array of int, shape (n_genes,), optional
        Tips of which the gene is not known; none when left out.
    """

    rarer: IntArray
    changes: IntArray
    n_unknown: IntArray | None = None

    def keys(self) -> IntArray:
        """Return all three counts, shape (n_genes, 3)."""
        unknown = np.zeros_like(self.rarer) if self.n_unknown is None else self.n_unknown
        return np.column_stack([self.rarer, self.changes, unknown])

    def points(self) -> FloatArray:
        """Return the space in which twins are near each other, shape (n_genes, 3)."""
        points: FloatArray = np.sqrt(self.keys()) * _WEIGHTS
        return points


@dataclass(frozen=True, eq=False)
class NullGenes:
    """Genes that evolved on the tree whatever the looks.

    Parameters
    ----------
    presence : array of uint8, shape (n_tips, n_null)
        0, 1 or `gene_scan.MISSING`; rows in tip order.
    pattern : GenePattern
        Of these genes.
    twins : array of int, shape (n_genes, n_worlds)
        For each real gene, one null gene a world.
    """

    presence: ByteArray
    pattern: GenePattern
    twins: IntArray


@dataclass(frozen=True, eq=False)
class NullTest:
    """Each gene's score beside those of null genes like it.

    Parameters
    ----------
    null_mean, null_spread : array of float, shape (n_genes,)
        Mean and standard deviation of the score of null genes like it.
    effect : array of float, shape (n_genes,)
        Score minus mean, in standard deviations.
    p_value : array of float, shape (n_genes,)
        Share of null genes with as large an effect, the gene itself counted.
    null_maxima : array of float, shape (n_worlds,)
        The largest effect of each null world.
    """

    null_mean: FloatArray
    null_spread: FloatArray
    effect: FloatArray
    p_value: FloatArray
    null_maxima: FloatArray


def gene_patterns(tree: Tree, presence: ByteArray) -> GenePattern:
    """Count what is matched, gene by gene.

    Parameters
    ----------
    tree : Tree
        Of the species.
    presence : array of uint8, shape (n_tips, n_genes)
        0, 1 or `gene_scan.MISSING`; rows in tip order.

    Examples
    --------
    >>> tree = Tree.from_parents([-1, 0, 0, 1, 1], None, ["", "", "c", "a", "b"])
    >>> pattern = gene_patterns(tree, np.array([[1], [1], [0]], dtype=np.uint8))
    >>> pattern.rarer, pattern.changes
    (array([1]), array([1]))
    """
    there, absent = (presence == 1).sum(axis=0), (presence == 0).sum(axis=0)
    unknown = len(presence) - there - absent
    return GenePattern(np.minimum(there, absent), fewest_changes(tree, presence), unknown)


def draw_null_genes(
    tree: Tree,
    wanted: GenePattern,
    *,
    worlds: int,
    rng: np.random.Generator,
    missed: FloatArray | None = None,
    unknown: BoolArray | None = None,
) -> NullGenes:
    """Evolve null genes on the tree until every gene has a twin in every null world.

    Genes evolve as two-state Markov chains whose rates are drawn anew for each; rates that lead
    near a gene that still lacks twins are drawn more often. What is as rare and changed as often as
    the gene is its twin; where evolution does not lead there, what comes nearest.

    Parameters
    ----------
    tree : Tree
        Of the species; without branch lengths, every branch counts the same.
    wanted : GenePattern
        Of the real genes, each in one tip at least and not in all.
    worlds : int
        Twins of each gene.
    rng : numpy.random.Generator
        Source of randomness.
    missed : array of float, shape (n_tips,), optional
        Share of each species' genes that its annotation misses: null genes are missed as well.
    unknown : array of bool, shape (n_tips, n_genes), optional
        Where each real gene is not known; needed when ``wanted.n_unknown`` is above 0. The twins
        of genes are unknown where genes with as many unknown species are.

    Raises
    ------
    InputError
        When the tree has fewer than four tips or no height.
    UsageError
        For genes that do not vary.
    """
    if tree.n_tips < 4 or tree.height <= 0:
        raise InputError("null genes need a tree of four tips or more whose branches have lengths")
    if worlds < 1 or (len(wanted.rarer) and wanted.rarer.min() < 1):
        raise UsageError("null genes need one world or more, and genes that vary between species.")
    if wanted.keys()[:, 2].any() and unknown is None:
        raise UsageError("null genes have to know where the real ones are not known.")
    cells, cell_of, counts = np.unique(
        wanted.keys(), axis=0, return_inverse=True, return_counts=True
    )
    masks = _Masks.of(cells, cell_of.ravel(), unknown) if unknown is not None else None
    pool = _Pool(tree, cells, counts * worlds, missed, masks, rng)
    pool.fill()
    order, place_of = pool.dealt()
    twins = np.empty((len(wanted.rarer), worlds), dtype=np.int64)
    for cell in range(len(cells)):
        genes = np.flatnonzero(cell_of.ravel() == cell)
        twins[genes] = place_of[cell].reshape(len(genes), worlds)
    return NullGenes(pool.presence(order), GenePattern(*pool.keys()[order].T), twins)


def compare_with_null(
    scores: FloatArray, pattern: GenePattern, null_scores: FloatArray, null: NullGenes
) -> NullTest:
    """Compare the score of each gene with those of its null twins.

    Scores are standardised by the mean and spread of null genes nearby; on that scale all twins
    of all genes form one null distribution, so that p-values reach as low as there are twins.

    Parameters
    ----------
    scores : array of float, shape (n_genes,)
        Of the real genes.
    pattern : GenePattern
        Of the real genes.
    null_scores : array of float, shape (n_null,)
        Of the null genes, from the same splits.
    null : NullGenes
        From `draw_null_genes`, for these genes.
    """
    centres = _LocalMoments(null.pattern, null_scores)
    null_mean, null_spread = centres.at(pattern)
    own_mean, own_spread = centres.at(null.pattern)
    effect = (scores - null_mean) / null_spread
    null_effect = ((null_scores - own_mean) / own_spread)[null.twins]
    everything = np.sort(null_effect.ravel())
    as_large = len(everything) - np.searchsorted(everything, effect, side="left")
    return NullTest(
        null_mean,
        null_spread,
        effect,
        (1 + as_large) / (1 + len(everything)),
        null_effect.max(axis=0, initial=-np.inf),
    )


@dataclass(frozen=True, eq=False)
class _Masks:
    """Where real genes are not known, and which of them lie in each cell."""

    unknown: BoolArray
    members: list[IntArray]

    @classmethod
    def of(cls, cells: IntArray, cell_of: IntArray, unknown: BoolArray) -> _Masks | None:
        """Gather the real genes of each cell; None when all genes are known everywhere."""
        if not unknown.any():
            return None
        order = np.argsort(cell_of, kind="stable")
        starts = np.cumsum(np.bincount(cell_of, minlength=len(cells)))[:-1]
        return cls(unknown, np.split(order, starts))

    def drawn(self, cell: IntArray, rng: np.random.Generator) -> IntArray:
        """Draw a real gene of each cell."""
        sizes = np.array([len(genes) for genes in self.members])
        starts = np.cumsum(sizes) - sizes
        place = starts[cell] + (rng.random(len(cell)) * sizes[cell]).astype(np.int64)
        found: IntArray = np.concatenate(self.members)[place]
        return found


class _Pool:
    """Null genes so far, by the rates that they grew from."""

    def __init__(
        self,
        tree: Tree,
        cells: IntArray,
        needed: IntArray,
        missed: FloatArray | None,
        masks: _Masks | None,
        rng: np.random.Generator,
    ) -> None:
        self.tree, self.rng, self.missed, self.masks = tree, rng, missed, masks
        self.cells, self.needed = cells, needed
        self._side = tree.n_tips + 1
        self.rates: list[FloatArray] = []  # (log odds of prevalence, log turnover)
        self.genes: list[ByteArray] = []  # packed eight to a byte along the tips
        self.patterns: list[IntArray] = []
        self.masked: list[IntArray] = []  # the real gene whose unknown species each shares

    def fill(self) -> None:
        """Draw broadly first, then where twins are lacking."""
        total = int(self.needed.sum())
        self._draw(*self._broad(int(np.clip(total // 4, 2_000, 100_000))))
        for _ in range(_ROUNDS):
            lacking = np.maximum(self.needed - self._own_counts(), 0)
            missing = int(lacking.sum())
            if missing == 0:
                break
            # Of proposals aimed at a cell, a part only lands there.
            self._draw(*self._aimed(lacking, min(2 * missing, max(total // 2, 5_000))))

    def keys(self) -> IntArray:
        """Return rarer count, changes and unknown tips of every null gene, shape (n, 3)."""
        return np.concatenate(self.patterns)

    def presence(self, chosen: IntArray) -> ByteArray:
        """Unpack some null genes, shape (n_tips, n)."""
        packed = np.concatenate(self.genes, axis=1)[:, chosen]
        genes = np.unpackbits(packed, axis=0, count=self.tree.n_tips)
        if self.masks is not None:
            genes[self.masks.unknown[:, np.concatenate(self.masked)[chosen]]] = MISSING
        return genes

    def dealt(self) -> tuple[IntArray, list[IntArray]]:
        """Deal null genes to cells: those in the cell first, then those nearest to it.

        Returns the null genes in use, and for each cell positions among them, as many as it needs.
        """
        members, nearest = self._nearest_cells(32)
        dealt = []
        for need, neighbours in zip(self.needed, nearest, strict=True):
            hand: list[IntArray] = []
            held = 0
            for cell in neighbours:
                hand.append(self.rng.permutation(members[cell]))
                held += len(hand[-1])
                if held >= need:
                    break
            # Where a few is all there is, they stand in several worlds.
            dealt.append(np.resize(np.concatenate(hand), need))
        used, place = np.unique(np.concatenate(dealt), return_inverse=True)
        return used, np.split(place.ravel(), np.cumsum(self.needed)[:-1])

    def _nearest_cells(self, count: int) -> tuple[list[IntArray], IntArray]:
        """Return the null genes of each cell that has any, and which cells lie near the wanted.

        The second is (n_wanted, up to `count`), nearest first: positions in the first.
        """
        code = self._codes(self.keys())
        order = np.argsort(code, kind="stable")
        codes, starts = np.unique(code[order], return_index=True)
        members = np.split(order, starts[1:])
        rest, unknown = np.divmod(codes, self._side)
        found = GenePattern(*np.divmod(rest, self._side), unknown)
        _, nearest = cKDTree(found.points()).query(
            GenePattern(*self.cells.T).points(), min(len(codes), count)
        )
        return members, nearest.reshape(len(self.cells), -1)

    def _own_counts(self) -> IntArray:
        codes, counts = np.unique(self._codes(self.keys()), return_counts=True)
        wanted = self._codes(self.cells)
        place = np.minimum(np.searchsorted(codes, wanted), len(codes) - 1)
        return np.where(codes[place] == wanted, counts[place], 0)

    def _codes(self, keys: IntArray) -> IntArray:
        """Return one number for each triple of counts."""
        codes: IntArray = (keys[:, 0] * self._side + keys[:, 1]) * self._side + keys[:, 2]
        return codes

    def _broad(self, count: int) -> tuple[FloatArray, IntArray]:
        cell = self.rng.choice(len(self.cells), size=count, p=self.needed / self.needed.sum())
        n_known = self.tree.n_tips - self.cells[cell, 2]
        share = (self.cells[cell, 0] + self.rng.random(count)) / (n_known + 1)
        turnover = self.rng.uniform(np.log(_SLOWEST), np.log(_FASTEST), count)
        return np.column_stack([np.log(share / (1 - share)), turnover]), cell

    def _aimed(self, lacking: IntArray, count: int) -> tuple[FloatArray, IntArray]:
        """Draw rates near those of null genes that came near to cells that lack twins."""
        members, nearest = self._nearest_cells(6)
        cell = self.rng.choice(len(self.cells), size=count, p=lacking / lacking.sum())
        near = nearest[cell, self.rng.integers(nearest.shape[1], size=count)]
        sizes = np.array([len(group) for group in members])
        starts = np.cumsum(sizes) - sizes
        chosen = starts[near] + (self.rng.random(count) * sizes[near]).astype(np.int64)
        parents = np.concatenate(members)[chosen]
        rates: FloatArray = np.concatenate(self.rates)[parents]
        return rates + _JITTER * self.rng.standard_normal((count, 2)), cell

    def _draw(self, rates: FloatArray, cell: IntArray) -> None:
        for start in range(0, len(rates), _BATCH):
            batch = rates[start : start + _BATCH]
            share = 1 / (1 + np.exp(-batch[:, 0]))
            turnover = np.exp(batch[:, 1]) / self.tree.height
            model = GeneRates.from_prevalence(share, turnover)
            genes = evolve_genes(self.tree, model, self.rng)[self.tree.tips]
            if self.missed is not None:
                genes &= self.rng.random(genes.shape) >= self.missed[:, None]
            masked = np.zeros(len(batch), dtype=np.int64)
            if self.masks is not None:
                masked = self.masks.drawn(cell[start : start + _BATCH], self.rng)
                genes[self.masks.unknown[:, masked]] = MISSING
            pattern = gene_patterns(self.tree, genes)
            varies = pattern.rarer > 0
            self.rates.append(batch[varies])
            self.genes.append(np.packbits(genes[:, varies] == 1, axis=0))
            self.patterns.append(pattern.keys()[varies])
            self.masked.append(masked[varies])


class _LocalMoments:
    """Mean and spread of null scores around any place in the plane of patterns."""

    def __init__(self, pattern: GenePattern, scores: FloatArray) -> None:
        self.cells, cell_of = np.unique(pattern.keys(), axis=0, return_inverse=True)
        cell_of = cell_of.ravel()
        self.counts = np.bincount(cell_of).astype(np.float64)
        self.sums = np.bincount(cell_of, weights=scores)
        self.squares = np.bincount(cell_of, weights=scores**2)

    def at(self, pattern: GenePattern) -> tuple[FloatArray, FloatArray]:
        """Return mean and standard deviation of the nearest null genes, each (n_genes,)."""
        places, place_of = np.unique(pattern.keys(), axis=0, return_inverse=True)
        reach = min(len(self.cells), 64)
        _, near = cKDTree(GenePattern(*self.cells.T).points()).query(
            GenePattern(*places.T).points(), reach
        )
        near = near.reshape(len(places), -1)
        counts = self.counts[near]
        before = np.cumsum(counts, axis=1) - counts
        used = before < _NEIGHBOURS  # whole cells, the nearest first
        n = (counts * used).sum(axis=1)
        mean = (self.sums[near] * used).sum(axis=1) / n
        variance = (self.squares[near] * used).sum(axis=1) / n - mean**2
        spread = np.sqrt(np.maximum(variance, _LEAST_SPREAD**2))
        return mean[place_of.ravel()], spread[place_of.ravel()]
