"""The shape of a specimen: gradients by direction, outline, moments of the mask."""

from __future__ import annotations

import math

import numpy as np

from kinlens.embed.kernels.pixels import centroid, kernel
from kinlens.typing import Float32Array

__all__ = ["normalised_moments", "oriented_gradients", "outline"]


@kernel
def oriented_gradients(
    plane: Float32Array,
    weight: Float32Array,
    n_orientations: int,
    down: Float32Array,
    across: Float32Array,
) -> Float32Array:
    """Return how steep the plane is in each cell of the window and towards each direction.

    A gradient of length m and direction phi counts m max(0, cos(phi - phi_k))^8 towards the
    direction phi_k = 2 pi k / K. The sign is kept: from dark to light and back are different.

    Parameters
    ----------
    plane, weight : numpy.ndarray
        Shape (H, W).
    n_orientations : int
        K, an even number.
    down, across : numpy.ndarray
        Shape (cells, H) and (cells, W), from `window_weights`.

    Returns
    -------
    numpy.ndarray
        Shape (cells, cells, K), units of the plane per two pixels.
    """
    height, width = plane.shape
    cells = len(across)
    half = n_orientations // 2
    cosine = np.empty(half, np.float32)
    sine = np.empty(half, np.float32)
    for k in range(half):
        cosine[k] = math.cos(2 * math.pi * k / n_orientations)
        sine[k] = math.sin(2 * math.pi * k / n_orientations)
    found = np.zeros((cells, cells, n_orientations), np.float32)
    # One row at a time stays in the fastest memory.
    gx = np.zeros(width, np.float32)
    gy = np.zeros(width, np.float32)
    inverse = np.empty(width, np.float32)
    length = np.empty(width, np.float32)
    along = np.empty(width, np.float32)
    against = np.empty(width, np.float32)
    row = np.zeros((cells, n_orientations), np.float32)
    zero = np.float32(0)
    for y in range(1, height - 1):
        for x in range(1, width - 1):
            gx[x] = plane[y, x + 1] - plane[y, x - 1]
            gy[x] = plane[y + 1, x] - plane[y - 1, x]
        for x in range(width):
            m = math.sqrt(gx[x] * gx[x] + gy[x] * gy[x])
            inverse[x] = np.float32(1) / (m + np.float32(1e-6))
            length[x] = m * weight[y, x]
        for k in range(half):
            for x in range(width):
                c = (gx[x] * cosine[k] + gy[x] * sine[k]) * inverse[x]
                c2 = c * c
                c4 = c2 * c2
                response = c4 * c4 * length[x]
                along[x] = response if c > 0 else zero
                against[x] = zero if c > 0 else response
            for cell in range(cells):
                a = zero
                b = zero
                for x in range(width):
                    a += along[x] * across[cell, x]
                    b += against[x] * across[cell, x]
                row[cell, k] = a
                row[cell, k + half] = b
        for v in range(cells):
            if down[v, y] > 1e-7:
                for u in range(cells):
                    for k in range(n_orientations):
                        found[v, u, k] += down[v, y] * row[u, k]
    return found


@kernel
def outline(mask: Float32Array, n_sectors: int) -> Float32Array:
    """Return the reach of the specimen from its centroid in each direction.

    Returns
    -------
    numpy.ndarray
        Shape (n_sectors,): distance of the farthest pixel of the mask in each sector, in radii of
        the circle of the same area. Sectors run clockwise from the right.
    """
    height, width = mask.shape
    area, mean_y, mean_x = centroid(mask)
    reach = np.zeros(n_sectors, np.float32)
    for y in range(height):
        for x in range(width):
            if mask[y, x] >= 0.5:
                v, u = y - mean_y, x - mean_x
                turn = math.atan2(v, u) / (2 * math.pi)
                sector = int((turn - math.floor(turn)) * n_sectors) % n_sectors
                reach[sector] = max(reach[sector], math.sqrt(u * u + v * v))
    return reach / np.float32(math.sqrt(area / math.pi))


@kernel
def normalised_moments(mask: Float32Array) -> Float32Array:
    """Return area, central moments and Hu's invariants of the mask.

    Returns
    -------
    numpy.ndarray
        Shape (15,): share of the picture; eta20, eta11, eta02, eta30, eta21, eta12, eta03 (scaled
        by area, so that size does not matter); Hu's seven invariants, each taken to the power
        that makes it of second degree in the moments' scale, sign kept.
    """
    height, width = mask.shape
    area, mean_y, mean_x = centroid(mask)
    eta = np.zeros((4, 4))
    for y in range(height):
        v = y - mean_y
        for x in range(width):
            u = x - mean_x
            m = mask[y, x]
            eta[2, 0] += m * u * u
            eta[1, 1] += m * u * v
            eta[0, 2] += m * v * v
            eta[3, 0] += m * u * u * u
            eta[2, 1] += m * u * u * v
            eta[1, 2] += m * u * v * v
            eta[0, 3] += m * v * v * v
    for p in range(4):
        for q in range(4):
            eta[p, q] /= area ** (1 + (p + q) / 2)
    found = np.empty(15, np.float32)
    found[0] = area / (height * width)
    n20, n11, n02 = eta[2, 0], eta[1, 1], eta[0, 2]
    n30, n21, n12, n03 = eta[3, 0], eta[2, 1], eta[1, 2], eta[0, 3]
    for i, value in enumerate((n20, n11, n02, n30, n21, n12, n03)):
        found[1 + i] = value
    a, b = n30 + n12, n21 + n03
    c, d = n30 - 3 * n12, 3 * n21 - n03
    found[8] = n20 + n02
    found[9] = math.sqrt((n20 - n02) ** 2 + 4 * n11**2)
    found[10] = math.sqrt(c * c + d * d)
    found[11] = math.sqrt(a * a + b * b)
    found[12] = _signed_root(c * a * (a * a - 3 * b * b) + d * b * (3 * a * a - b * b), 4)
    found[13] = _signed_root((n20 - n02) * (a * a - b * b) + 4 * n11 * a * b, 3)
    found[14] = _signed_root(d * a * (a * a - 3 * b * b) - c * b * (3 * a * a - b * b), 4)
    return found


@kernel
def _signed_root(value: float, degree: int) -> float:
    return math.copysign(abs(value) ** (1 / degree), value)
