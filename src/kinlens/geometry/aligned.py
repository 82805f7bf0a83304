"""Distances between aligned sequences, site by site: p-distance, Kimura's and Tamura and Nei's.

A site counts for a pair where both have one of the four bases (T and U are the same); gaps,
ambiguity codes and lower-case letters are passed over, pair by pair. Sequences that are not aligned
are compared in `edit` and `kmer_distances`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kinlens.errors import InputError, UsageError
from kinlens.geometry.packing import as_bytes
from kinlens.typing import ByteArray, Float32Array, FloatArray

__all__ = ["k2p_distances", "p_distances", "tn93_distances"]

_BASES = (b"A", b"C", b"G", b"TU")
# Counts are added up in float32, which is exact for whole numbers up to 2**24.
_MOST_SITES = 2**24


def p_distances(alignment: Sequence[str | bytes]) -> FloatArray:
    """Return the share of sites at which each two sequences differ.

    Parameters
    ----------
    alignment : sequence of str or bytes
        Upper-case DNA or RNA, all of one length.

    Returns
    -------
    numpy.ndarray
        Shape (n, n), from 0 to 1; NaN where two sequences share no site.

    Raises
    ------
    InputError
        When the lengths differ.

    Examples
    --------
    >>> p_distances(["ACGT", "ACGA", "AC-N"])[0].tolist()
    [0.0, 0.25, 0.0]
    """
    sites = _compared(alignment)
    with np.errstate(invalid="ignore"):
        return (sites.purines + sites.pyrimidines + sites.transversions) / sites.shared


def k2p_distances(alignment: Sequence[str | bytes]) -> FloatArray:
    """Return Kimura's two-parameter distances, in substitutions per site.

    With P the share of transitions and Q that of transversions,
    ``d = -1/2 ln(1 - 2P - Q) - 1/4 ln(1 - 2Q)``.

    Parameters
    ----------
    alignment : sequence of str or bytes
        Upper-case DNA or RNA, all of one length.

    Returns
    -------
    numpy.ndarray
        Shape (n, n). NaN where two sequences share no site, or differ so much that a logarithm has
        no value.

    Raises
    ------
    InputError
        When the lengths differ.

    References
    ----------
    Kimura, M. (1980). A simple method for estimating evolutionary rates of base substitutions
    through comparative studies of nucleotide sequences. Journal of Molecular Evolution 16, 111-120.

    Examples
    --------
    >>> k2p_distances(["AAAAAAAAAA", "GAAAAAAAAA"])[0].round(4).tolist()
    [0.0, 0.1116]
    """
    sites = _compared(alignment)
    with np.errstate(invalid="ignore", divide="ignore"):
        P = (sites.purines + sites.pyrimidines) / sites.shared
        Q = sites.transversions / sites.shared
        # Taken from 0, so that no distance is -0.
        return 0.0 - _log(1 - 2 * P - Q) / 2 - _log(1 - 2 * Q) / 4


def tn93_distances(
    alignment: Sequence[str | bytes], *, frequencies: Sequence[float] | None = None
) -> FloatArray:
    """Return Tamura and Nei's distances, in substitutions per site.

    With P1 and P2 the shares of transitions between purines and between pyrimidines, Q that of
    transversions, and g the base frequencies (R = A + G, Y = C + T)::

        d = - k1 ln(1 - P1/k1 - Q/(2 gR)) - k2 ln(1 - P2/k2 - Q/(2 gY)) - k3 ln(1 - Q/(2 gR gY))
        k1 = 2 gA gG / gR,  k2 = 2 gC gT / gY,  k3 = 2 gR gY - k1 gY - k2 gR

    Parameters
    ----------
    alignment : sequence of str or bytes
        Upper-case DNA or RNA, all of one length.
    frequencies : sequence of four floats, optional
        Of A, C, G and T; those of the whole alignment when left out.

    Returns
    -------
    numpy.ndarray
        Shape (n, n). NaN where two sequences share no site, or differ so much that a logarithm has
        no value.

    Raises
    ------
    InputError
        When the lengths differ.
    UsageError
        When the frequencies are not four numbers of at least 0 that sum to 1.

    References
    ----------
    Tamura, K. and Nei, M. (1993). Estimation of the number of nucleotide substitutions in the
    control region of mitochondrial DNA in humans and chimpanzees. Molecular Biology and Evolution
    10, 512-526.
    """
    sites = _compared(alignment)
    g = sites.frequencies if frequencies is None else _checked_frequencies(frequencies)
    gA, gC, gG, gT = (float(frequency) for frequency in g)
    gR, gY = gA + gG, gC + gT
    with np.errstate(invalid="ignore", divide="ignore"):
        P1, P2 = sites.purines / sites.shared, sites.pyrimidines / sites.shared
        Q = sites.transversions / sites.shared
        k1 = 2 * gA * gG / gR if gR else 0.0
        k2 = 2 * gC * gT / gY if gY else 0.0
        k3 = 2 * gR * gY - k1 * gY - k2 * gR
        first = k1 * _log(1 - _ratio(P1, k1) - _ratio(Q, 2 * gR))
        second = k2 * _log(1 - _ratio(P2, k2) - _ratio(Q, 2 * gY))
        third = k3 * _log(1 - _ratio(Q, 2 * gR * gY))
        # Taken from 0, so that no distance is -0.
        return 0.0 - first - second - third


@dataclass(frozen=True)
class _Sites:
    """How many sites each two sequences share, and how many of them differ in each way; (n, n)."""

    shared: FloatArray
    purines: FloatArray
    pyrimidines: FloatArray
    transversions: FloatArray
    frequencies: FloatArray


def _compared(alignment: Sequence[str | bytes]) -> _Sites:
    letters = _alignment_matrix(alignment)
    is_base = [_among(letters, base) for base in _BASES]
    A, C, G, T = is_base
    is_known = A + C + G + T
    shared = is_known @ is_known.T
    same = A @ A.T + C @ C.T + G @ G.T + T @ T.T
    purines = A @ G.T
    pyrimidines = C @ T.T
    purines, pyrimidines = purines + purines.T, pyrimidines + pyrimidines.T
    counts = np.array([base.sum(dtype=np.float64) for base in is_base])
    return _Sites(
        shared=shared.astype(np.float64),
        purines=purines.astype(np.float64),
        pyrimidines=pyrimidines.astype(np.float64),
        transversions=(shared - same - purines - pyrimidines).astype(np.float64),
        frequencies=counts / max(1.0, counts.sum()),
    )


def _among(letters: ByteArray, wanted: bytes) -> Float32Array:
    return np.isin(letters, np.frombuffer(wanted, dtype=np.uint8)).astype(np.float32)


def _alignment_matrix(alignment: Sequence[str | bytes]) -> ByteArray:
    """Return the letters; shape (n, sites)."""
    texts = as_bytes(alignment)
    odd = [
        f"{place} ({len(text):,})" for place, text in enumerate(texts) if len(text) != len(texts[0])
    ]
    if odd:
        raise InputError(
            f"aligned sequences have one length, here {len(texts[0]):,} as the first, unlike those "
            "at positions",
            offenders=odd,
            remedy="Align them first, or use edit distances.",
        )
    if texts and len(texts[0]) > _MOST_SITES:
        raise InputError(f"an alignment of {len(texts[0]):,} sites is too long")
    n_sites = len(texts[0]) if texts else 0
    return np.frombuffer(b"".join(texts), dtype=np.uint8).reshape(len(texts), n_sites)


def _checked_frequencies(frequencies: Sequence[float]) -> FloatArray:
    values = np.asarray(frequencies, dtype=np.float64)
    if values.shape != (4,) or (values < 0).any() or not np.isclose(values.sum(), 1):
        raise UsageError(
            "frequencies must be four numbers of at least 0 that sum to 1, for A, C, G and T, "
            f"not {list(frequencies)}."
        )
    return values


def _log(values: FloatArray) -> FloatArray:
    """Return the logarithm, NaN where there is none."""
    logarithms: FloatArray = np.log(np.where(values > 0, values, np.nan))
    return logarithms


def _ratio(over: FloatArray, under: float) -> FloatArray:
    """Divide; a kind of site that does not occur, and whose frequency is 0, contributes 0."""
    return over / under if under > 0 else np.where(over == 0, 0.0, np.nan)
