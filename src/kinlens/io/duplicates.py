"""Pictures that are there twice: the same file, the same pixels, or nearly the same pixels.

Near duplicates are looked for with a perceptual hash and settled by comparing small thumbnails,
because the hash alone cannot tell apart specimens photographed in one pose on one background.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

from kinlens.atomic import hash_bytes, hash_file
from kinlens.io.images import resize_to_square
from kinlens.typing import AnyArray, ByteArray, Float32Array, IntArray

__all__ = [
    "DuplicateGroup",
    "Fingerprint",
    "find_duplicates",
    "fingerprint",
    "near_pairs",
    "perceptual_hash",
    "pixel_hash",
]

Likeness: TypeAlias = Literal["same-file", "same-pixels", "near"]

# Side of the thumbnails that settle whether two pictures are near duplicates.
_THUMBNAIL = 16
# Hash pairs looked at together: 32 MiB.
_CHUNK_PAIRS = 1 << 22
# Thumbnail pairs looked at together.
_CHUNK_THUMBNAILS = 2048


@dataclass(frozen=True, eq=False)
class Fingerprint:
    """What is kept of a picture to find its duplicates.

    Parameters
    ----------
    file : str
        Hash of the bytes of the file, or of all its channel files.
    pixels : str
        Hash of the decoded pixels.
    look : int
        Perceptual hash, 64 bits.
    thumbnail : numpy.ndarray
        Shape (16, 16, C), uint8.
    """

    file: str
    pixels: str
    look: int
    thumbnail: ByteArray


@dataclass(frozen=True)
class DuplicateGroup:
    """Pictures that are duplicates of each other.

    Parameters
    ----------
    likeness : {"same-file", "same-pixels", "near"}
        The weakest likeness within the group.
    members : tuple of int
        Positions of the pictures, ascending; at least two.
    """

    likeness: Likeness
    members: tuple[int, ...]


def fingerprint(path: str | Path | Sequence[str | Path], pixels: ByteArray) -> Fingerprint:
    """Take the fingerprint of a picture.

    Parameters
    ----------
    path : path or sequence of paths
        Its file, or its channel files.
    pixels : numpy.ndarray
        Its decoded pixels, shape (H, W, C), uint8.
    """
    files = [path] if isinstance(path, str | Path) else list(path)
    hashes = [hash_file(file) for file in files]
    file = hashes[0] if len(hashes) == 1 else hash_bytes("".join(hashes).encode())
    thumbnail = resize_to_square(pixels, _THUMBNAIL, fit="stretch")
    return Fingerprint(file, pixel_hash(pixels), perceptual_hash(pixels), thumbnail)


def pixel_hash(pixels: AnyArray) -> str:
    """Return 32 hexadecimal digits that stand for the shape, the type and every pixel."""
    header = f"{pixels.shape} {pixels.dtype.str}".encode()
    return hash_bytes(header, np.ascontiguousarray(pixels).tobytes())


def perceptual_hash(pixels: ByteArray) -> int:
    r"""Return 64 bits that stay nearly the same when a picture is resized or compressed again.

    The picture is averaged over its bands and resized to 32 x 32; bit :math:`k` is 1 where the
    :math:`k`-th of the 8 x 8 lowest coefficients of its discrete cosine transform lies above the
    median of these (the mean brightness left out of the median).

    Parameters
    ----------
    pixels : numpy.ndarray
        Shape (H, W, C), uint8.

    References
    ----------
    Zauner, C. (2010) Implementation and benchmarking of perceptual image hash functions, section
    3.2.1.

    Examples
    --------
    >>> ramp = np.arange(256, dtype=np.uint8)[:, None, None] * np.ones((1, 200, 3), np.uint8)
    >>> (perceptual_hash(ramp) ^ perceptual_hash(ramp[::2, ::2])).bit_count()
    0
    """
    import scipy.fft

    small = resize_to_square(pixels, 32, fit="stretch").mean(axis=2, dtype=np.float32)
    lowest = scipy.fft.dctn(small, norm="ortho")[:8, :8].ravel()
    bits = lowest > np.median(lowest[1:])
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def find_duplicates(
    fingerprints: Sequence[Fingerprint],
    *,
    most_bits: int = 6,
    least_correlation: float = 0.996,
) -> tuple[DuplicateGroup, ...]:
    """Group the pictures that are duplicates of each other.

    Parameters
    ----------
    fingerprints : sequence of Fingerprint
        One per picture.
    most_bits : int
        Perceptual hashes of near duplicates differ in at most this many of 64 bits.
    least_correlation : float
        Thumbnails of near duplicates correlate (Pearson, over pixels and bands) at least so
        much. With the default, pictures compressed again to a JPEG quality of 20, halved in size
        or darkened by a sixth are found; the most similar two of 2,604 pinned butterflies (left
        wings of one species, one pose, one background) stay below it, with 0.994.

    Returns
    -------
    tuple of DuplicateGroup
        Largest likeness first, then by first member. A picture is in one group at most: if A is
        near B and B is near C, all three are together.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = len(fingerprints)
    links = [
        _links_of_equal([print_.file for print_ in fingerprints]),
        _links_of_equal([print_.pixels for print_ in fingerprints]),
        *_near_links(fingerprints, most_bits, least_correlation),
    ]
    a, b = np.concatenate(links, axis=1)
    graph = coo_array((np.ones(len(a), dtype=np.int8), (a, b)), shape=(n, n))
    _count, component = connected_components(graph, directed=False)
    members: dict[int, list[int]] = {}
    for position, label in enumerate(component.tolist()):
        members.setdefault(label, []).append(position)
    groups = [_group(fingerprints, group) for group in members.values() if len(group) > 1]
    order = ("same-file", "same-pixels", "near")
    return tuple(sorted(groups, key=lambda group: (order.index(group.likeness), group.members)))


def near_pairs(
    hashes: Sequence[int] | AnyArray, *, most_bits: int
) -> Iterator[tuple[IntArray, IntArray]]:
    """Yield every pair of 64-bit hashes that differ in at most `most_bits` bits, once.

    The bits are cut into ``most_bits + 1`` stretches; two hashes that differ in no more bits agree
    in at least one stretch, so only hashes with an equal stretch are compared.

    Parameters
    ----------
    hashes : sequence of int
        From 0 to 2**64 - 1.
    most_bits : int
        From 0 to 63.

    Yields
    ------
    first, second : numpy.ndarray
        Positions, with first < second in each pair; the pairs come in pieces, in a fixed order.

    Examples
    --------
    >>> [(a.tolist(), b.tolist()) for a, b in near_pairs([0, 3, 2**63], most_bits=1)]
    [([0], [2])]
    """
    values = np.asarray(hashes, dtype=np.uint64)
    edges = np.linspace(0, 64, most_bits + 2).astype(int).tolist()
    stretches = [np.uint64(((1 << (stop - start)) - 1) << start) for start, stop in pairwise(edges)]
    for table, stretch in enumerate(stretches):
        for bucket in _equal(values & stretch):
            own = values[bucket]
            step = max(1, _CHUNK_PAIRS // len(bucket))
            for start in range(0, len(bucket), step):
                different = own[start : start + step, None] ^ own[None, start:]
                rows, columns = np.nonzero(np.triu(_bit_count(different) <= most_bits, k=1))
                # Pairs that agree in an earlier stretch were yielded there.
                is_new = np.ones(len(rows), dtype=bool)
                for earlier in stretches[:table]:
                    is_new &= (different[rows, columns] & earlier) != 0
                if is_new.any():
                    yield bucket[start + rows[is_new]], bucket[start + columns[is_new]]


def _equal(keys: AnyArray) -> Iterator[IntArray]:
    """Yield the positions of each value that occurs more than once, ascending."""
    order = np.argsort(keys, kind="stable")
    edges = np.flatnonzero(np.diff(keys[order])) + 1
    for start, stop in zip([0, *edges.tolist()], [*edges.tolist(), len(keys)], strict=True):
        if stop - start > 1:
            yield order[start:stop]


def _bit_count(values: AnyArray) -> Any:
    if hasattr(np, "bitwise_count"):  # NumPy 2
        return np.bitwise_count(values)
    count = np.zeros(values.shape, dtype=np.uint8)
    for byte in range(0, 64, 8):
        count += _BITS_OF_BYTE[(values >> np.uint64(byte)).astype(np.uint8)]
    return count


_BITS_OF_BYTE = np.array([value.bit_count() for value in range(256)], dtype=np.uint8)


def _links_of_equal(keys: Sequence[str]) -> IntArray:
    """Return shape (2, k): each position with the first one that has the same key."""
    first: dict[str, int] = {}
    pairs = [
        (at, position)
        for position, key in enumerate(keys)
        if (at := first.setdefault(key, position)) != position
    ]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2).T


def _near_links(
    fingerprints: Sequence[Fingerprint], most_bits: int, least_correlation: float
) -> Iterator[IntArray]:
    by_bands: dict[int, list[int]] = {}
    for position, print_ in enumerate(fingerprints):
        # An even picture correlates with nothing; copies of it are found by their pixels.
        if (print_.thumbnail != print_.thumbnail[0, 0]).any():
            by_bands.setdefault(print_.thumbnail.shape[2], []).append(position)
    for positions in by_bands.values():
        chosen = np.array(positions, dtype=np.int64)
        looks = np.array([fingerprints[i].look for i in positions], dtype=np.uint64)
        thumbnails = np.stack([fingerprints[i].thumbnail.ravel() for i in positions])
        for a, b in near_pairs(looks, most_bits=most_bits):
            for start in range(0, len(a), _CHUNK_THUMBNAILS):
                i, j = a[start : start + _CHUNK_THUMBNAILS], b[start : start + _CHUNK_THUMBNAILS]
                alike = np.einsum("ij,ij->i", _standard(thumbnails[i]), _standard(thumbnails[j]))
                is_near = alike >= least_correlation
                yield np.stack([chosen[i[is_near]], chosen[j[is_near]]])


def _standard(thumbnails: ByteArray) -> Float32Array:
    values = thumbnails.astype(np.float32)
    values -= values.mean(axis=1, keepdims=True)
    values /= np.linalg.norm(values, axis=1, keepdims=True)
    return values


def _group(fingerprints: Sequence[Fingerprint], members: list[int]) -> DuplicateGroup:
    likeness: Likeness = "near"
    if len({fingerprints[i].file for i in members}) == 1:
        likeness = "same-file"
    elif len({fingerprints[i].pixels for i in members}) == 1:
        likeness = "same-pixels"
    return DuplicateGroup(likeness, tuple(members))
