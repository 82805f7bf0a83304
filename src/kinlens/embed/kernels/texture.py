"""The fine structure of a specimen, wherever it lies: local patterns and steepness."""

from __future__ import annotations

import math

import numpy as np

from kinlens.embed.kernels.pixels import kernel, lattice
from kinlens.typing import Float32Array

__all__ = ["gradient_magnitudes", "local_patterns"]

_TOLERANCE = np.float32(0.5)  # units; smaller differences are noise of the camera


@kernel
def local_patterns(plane: Float32Array, mask: Float32Array, radius: int) -> Float32Array:
    """Return the rotation-invariant uniform local binary patterns of the specimen.

    Returns
    -------
    numpy.ndarray
        Shape (10,), sum 1: share of pixels of whose eight neighbours at `radius` pixels an
        unbroken run of 0, 1, ..., 8 are lighter than the pixel itself; last, any other pattern.
    """
    height, width = plane.shape
    slant = max(1, round(radius * math.sqrt(0.5)))
    step_y = np.array([0, slant, radius, slant, 0, -slant, -radius, -slant])
    step_x = np.array([radius, slant, 0, -slant, -radius, -slant, 0, slant])
    found = np.zeros(10)
    for y in range(height):
        for x in range(width):
            m = mask[y, x]
            if m > 0:
                limit = plane[y, x] + _TOLERANCE
                lighter = 0
                changes = 0
                v = min(max(y + step_y[7], 0), height - 1)
                u = min(max(x + step_x[7], 0), width - 1)
                before = plane[v, u] >= limit
                for k in range(8):
                    v = min(max(y + step_y[k], 0), height - 1)
                    u = min(max(x + step_x[k], 0), width - 1)
                    now = plane[v, u] >= limit
                    lighter += now
                    changes += now != before
                    before = now
                found[lighter if changes <= 2 else 9] += m
    shares: Float32Array = (found / found.sum()).astype(np.float32)
    return shares


@kernel
def gradient_magnitudes(plane: Float32Array, mask: Float32Array, n_levels: int) -> Float32Array:
    """Return the share (n_levels,) of the specimen near each steepness.

    Levels are a factor of 2 apart and begin at an eighth of a unit a pixel; flatter counts to the
    first, steeper to the last.
    """
    height, width = plane.shape
    found = np.zeros(n_levels)
    for y in range(height):
        above, below = max(y - 1, 0), min(y + 1, height - 1)
        for x in range(width):
            m = mask[y, x]
            if m > 0:
                left, right = max(x - 1, 0), min(x + 1, width - 1)
                gx = plane[y, right] - plane[y, left]
                gy = plane[below, x] - plane[above, x]
                steepness = math.sqrt(gx * gx + gy * gy) / 2
                level = math.log2(max(steepness, 0.125)) + 3
                i, f = lattice(level, 0.0, float(n_levels - 1), n_levels)
                found[i] += m * (1 - f)
                found[i + 1] += m * f
    shares: Float32Array = (found / found.sum()).astype(np.float32)
    return shares
