"""Genetic anchors: one vector a species that pictures are drawn to, looked over before training.

Where vectors come from - sequences, a tree, distances - is the caller's affair; here they are
averaged, centred, put beside their controls, and asked whether training could do what it is meant
to. Training is in `metric_net`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from kinlens.errors import InputError
from kinlens.geometry.ordination import principal_coordinates
from kinlens.records.distances import DistanceMatrix
from kinlens.typing import FloatArray

__all__ = ["AnchorReport", "Anchors", "inspect_anchors"]

# Shares of squared length below this are rounding.
_ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class Anchors:
    """One vector a species.

    Parameters
    ----------
    species : tuple of str, length n
        All different.
    vectors : array of float, shape (n, k)
        Finite; a row of zeros has no direction and cannot draw pictures.
    source : str
        What they were made of, for reports.

    Examples
    --------
    >>> anchors = Anchors(("a", "b"), np.array([[3.0, 1.0], [3.0, -1.0]]))
    >>> anchors.centred().vectors.tolist()
    [[0.0, 1.0], [0.0, -1.0]]
    """

    species: tuple[str, ...]
    vectors: FloatArray
    source: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "species", tuple(map(str, self.species)))
        vectors = np.array(self.vectors, dtype=np.float64)
        if vectors.ndim != 2 or len(vectors) != len(self.species):
            raise InputError(
                f"anchors need one row a species: {len(self.species):,} species, vectors of shape "
                f"{vectors.shape}"
            )
        wrong = [s for s, row in zip(self.species, vectors, strict=True) if not _is_usable(row)]
        if wrong:
            raise InputError(
                f"{len(wrong):,} anchors are not finite or all zeros",
                offenders=wrong,
                remedy="Leave these species out: they are then named without an anchor.",
            )
        object.__setattr__(self, "vectors", vectors)

    @classmethod
    def of_rows(cls, species: Sequence[str], vectors: FloatArray, *, source: str = "") -> Anchors:
        """Average the vectors of each species' sequences.

        Parameters
        ----------
        species : sequence of str, length m
            Species of each row; rows of "" are passed over.
        vectors : array of float, shape (m, k)
            One row a sequence.
        source : str
            For reports.
        """
        labels = np.array([str(name or "") for name in species], dtype=object)
        names = sorted(set(labels) - {""})
        means = [np.asarray(vectors)[labels == name].mean(axis=0) for name in names]
        return cls(tuple(names), np.array(means), source)

    @classmethod
    def of_distances(cls, distances: DistanceMatrix, *, source: str = "distances") -> Anchors:
        """Take the principal coordinates of the square roots of distances, centred by nature.

        Roots of patristic distances are Euclidean, so that angles between anchors follow kinship.

        Parameters
        ----------
        distances : DistanceMatrix
            Between three species or more.
        source : str
            For reports.
        """
        n = len(distances)
        if n < 3:
            raise InputError(f"anchors from distances need three species or more, not {n}")
        points = principal_coordinates(np.sqrt(distances.values), n - 1).points
        return cls(distances.ids, points, source)

    def __len__(self) -> int:
        return len(self.species)

    def centred(self) -> Anchors:
        """Take off the mean of all anchors, which is what raw sequence vectors mostly hold."""
        return replace(self, vectors=self.vectors - self.vectors.mean(axis=0))

    def whitened(self) -> Anchors:
        """Centre, and make the anchors as long on every axis that they span."""
        centred = self.centred().vectors
        left, size, _ = np.linalg.svd(centred, full_matrices=False)
        kept = size > np.sqrt(_ROUNDING) * size.max(initial=0.0)
        return replace(self, vectors=left[:, kept] * np.sqrt(len(self)))

    def permuted(self, rng: np.random.Generator) -> Anchors:
        """Deal the same anchors out to other species: a control that keeps all but the link."""
        return replace(self, vectors=self.vectors[rng.permutation(len(self))])

    def same_gram(self, rng: np.random.Generator) -> Anchors:
        """Turn all anchors by one random rotation: lengths and angles stay, coordinates do not."""
        k = self.vectors.shape[1]
        rotation, upper = np.linalg.qr(rng.standard_normal((k, k)))
        return replace(self, vectors=self.vectors @ (rotation * np.sign(np.diag(upper))))

    def select(self, species: Sequence[str]) -> Anchors:
        """Return the anchors of those of `species` that have one, in their order."""
        place = {name: row for row, name in enumerate(self.species)}
        kept = [name for name in species if name in place]
        return replace(
            self, species=tuple(kept), vectors=self.vectors[[place[name] for name in kept]]
        )

    def cosines(self) -> FloatArray:
        """Return the cosine of the angle between every two anchors, shape (n, n)."""
        unit = self.vectors / np.linalg.norm(self.vectors, axis=1, keepdims=True)
        return np.asarray(np.clip(unit @ unit.T, -1.0, 1.0))


def _is_usable(row: FloatArray) -> bool:
    return bool(np.isfinite(row).all() and row.any())


@dataclass(frozen=True)
class AnchorReport:
    """What can be said of anchors before anything is trained on them.

    Parameters
    ----------
    n : int
        Anchors.
    effective_rank : float
        The exponential of the entropy of their squared singular values: 1 when all point one way.
    smallest, largest : float
        Cosine of the two anchors farthest apart and of the two nearest.
    nearest : tuple of str
        The two nearest.
    margin : float
        The cosine that a picture may have with another species' anchor, free of charge.
    infeasible : float
        Share of pairs whose anchors are nearer to each other than `margin`: a picture on its own
        anchor would still be pushed away.
    """

    n: int
    effective_rank: float
    smallest: float
    largest: float
    nearest: tuple[str, ...]
    margin: float
    infeasible: float

    @property
    def is_sound(self) -> bool:
        """Whether most pairs can meet the margin."""
        return self.infeasible <= 0.5

    def __str__(self) -> str:
        words = (
            f"{self.n:,} anchors, effective rank {self.effective_rank:.2f}, cosines from "
            f"{self.smallest:.3f} to {self.largest:.3f} (nearest: {' and '.join(self.nearest)}); "
            f"the margin of {self.margin:g} cannot be met by {self.infeasible:.0%} of pairs."
        )
        if self.is_sound:
            return words
        return (
            f"{words} Push and pull would cancel, and pictures would be arranged by how common "
            "their species is. Centre or whiten the anchors, or take the principal coordinates of "
            "genetic distances."
        )


def inspect_anchors(anchors: Anchors, *, margin: float = 0.5) -> AnchorReport:
    """Look anchors over: rank, nearest pair, and whether the margin can be met at all.

    Parameters
    ----------
    anchors : Anchors
        Two or more.
    margin : float
        As in `kinlens.learn.metric_losses.alignment_loss`.

    References
    ----------
    Roy O, Vetterli M (2007) The effective rank: a measure of effective dimensionality. EUSIPCO,
    606-610; here of squared singular values.

    Examples
    --------
    >>> nearly = Anchors(("a", "b", "c"), np.array([[9.0, 0, 1], [9, 1, 0], [9, -1, 0]]))
    >>> print(inspect_anchors(nearly).infeasible, inspect_anchors(nearly.centred()).infeasible)
    1.0 0.0
    """
    if len(anchors) < 2:
        raise InputError(f"anchors are compared in pairs; {len(anchors)} is too few")
    size = np.linalg.svd(anchors.vectors, compute_uv=False) ** 2
    share = size / size.sum()
    share = share[share > _ROUNDING]
    cosines = anchors.cosines()
    upper = np.triu_indices(len(anchors), 1)
    nearest = int(cosines[upper].argmax())
    return AnchorReport(
        n=len(anchors),
        effective_rank=float(np.exp(-(share * np.log(share)).sum())),
        smallest=float(cosines[upper].min()),
        largest=float(cosines[upper].max()),
        nearest=(anchors.species[upper[0][nearest]], anchors.species[upper[1][nearest]]),
        margin=margin,
        infeasible=float((cosines[upper] > margin).mean()),
    )
