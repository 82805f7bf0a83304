"""The colours, or intensities, of a specimen: on a grid, in rings, as histograms, in relation."""

from __future__ import annotations

import math

import numpy as np

from kinlens.embed.kernels.pixels import centroid, kernel, lattice
from kinlens.typing import Float32Array

__all__ = [
    "colour_histogram",
    "intensity_histograms",
    "masked_grid",
    "mean_and_spread",
    "plane_correlations",
    "ring_means",
]


@kernel
def mean_and_spread(planes: Float32Array, mask: Float32Array) -> tuple[Float32Array, Float32Array]:
    """Return mean and standard deviation (P,) of each plane over the specimen."""
    n_planes, height, width = planes.shape
    mean = np.empty(n_planes, np.float32)
    spread = np.empty(n_planes, np.float32)
    total = mask.sum()
    for p in range(n_planes):
        m = (planes[p] * mask).sum() / total
        mean[p] = m
        squares = 0.0
        for y in range(height):
            for x in range(width):
                squares += mask[y, x] * (planes[p, y, x] - m) ** 2
        spread[p] = math.sqrt(squares / total)
    return mean, spread


@kernel
def masked_grid(
    planes: Float32Array, mask: Float32Array, down: Float32Array, across: Float32Array
) -> tuple[Float32Array, Float32Array, Float32Array]:
    """Return what the specimen looks like in each cell of the window.

    Parameters
    ----------
    planes, mask : numpy.ndarray
        Shape (P, H, W) and (H, W).
    down, across : numpy.ndarray
        Shape (cells, H) and (cells, W), from `window_weights`.

    Returns
    -------
    mean, spread : numpy.ndarray
        Shape (cells, cells, P): mean and standard deviation over the specimen, drawn towards the
        mean of the whole specimen where a cell holds little of it.
    coverage : numpy.ndarray
        Shape (cells, cells): share of the cell that is specimen.
    """
    n_planes, height, width = planes.shape
    cells = len(across)
    overall, _ = mean_and_spread(planes, mask)
    coverage = np.zeros((cells, cells), np.float32)
    mean = np.zeros((cells, cells, n_planes), np.float32)
    spread = np.zeros((cells, cells, n_planes), np.float32)
    for y in range(height):
        for u in range(cells):
            covered = np.float32(0)
            for x in range(width):
                covered += mask[y, x] * across[u, x]
            for v in range(cells):
                coverage[v, u] += down[v, y] * covered
            for p in range(n_planes):
                first = np.float32(0)
                second = np.float32(0)
                for x in range(width):
                    value = planes[p, y, x] * mask[y, x] * across[u, x]
                    first += value
                    second += value * planes[p, y, x]
                for v in range(cells):
                    mean[v, u, p] += down[v, y] * first
                    spread[v, u, p] += down[v, y] * second
    prior = 0.15  # of a cell: how much specimen outweighs the overall mean
    for v in range(cells):
        for u in range(cells):
            covered = coverage[v, u]
            for p in range(n_planes):
                first = mean[v, u, p]
                m = (first + prior * overall[p]) / (covered + prior)
                squares = spread[v, u, p] - 2 * m * first + m * m * covered
                mean[v, u, p] = m
                spread[v, u, p] = math.sqrt(max(squares / (covered + prior), 0.0))
    return mean, spread, coverage


@kernel
def plane_correlations(planes: Float32Array, mask: Float32Array) -> Float32Array:
    """Return Pearson's correlation, over the specimen, of each pair of planes (0,1), (0,2), ...

    0 where a plane is constant.
    """
    n_planes, height, width = planes.shape
    mean, spread = mean_and_spread(planes, mask)
    total = mask.sum()
    found = np.zeros(n_planes * (n_planes - 1) // 2, np.float32)
    n = 0
    for p in range(n_planes):
        for q in range(p + 1, n_planes):
            products = 0.0
            for y in range(height):
                for x in range(width):
                    a = planes[p, y, x] - mean[p]
                    products += mask[y, x] * a * (planes[q, y, x] - mean[q])
            scale = spread[p] * spread[q]
            if scale > 1e-6:
                found[n] = min(max(products / total / scale, -1.0), 1.0)
            n += 1
    return found


@kernel
def colour_histogram(
    planes: Float32Array, mask: Float32Array, n_lightness: int, n_opponent: int
) -> Float32Array:
    """Return the share of the specimen near each colour of a lattice in CIE Lab.

    Each pixel is shared among the eight colours of the lattice around it.

    Returns
    -------
    numpy.ndarray
        Shape (n_lightness, n_opponent, n_opponent), sum 1: L* from 0 to 100, a* from -40 to 60,
        b* from -40 to 70; colours outside count at the edge.
    """
    _, height, width = planes.shape
    found = np.zeros((n_lightness, n_opponent, n_opponent), np.float32)
    for y in range(height):
        for x in range(width):
            m = mask[y, x]
            if m > 0:
                i, f = lattice(planes[0, y, x], 0.0, 100.0, n_lightness)
                j, g = lattice(planes[1, y, x], -40.0, 60.0, n_opponent)
                k, h = lattice(planes[2, y, x], -40.0, 70.0, n_opponent)
                found[i, j, k] += m * (1 - f) * (1 - g) * (1 - h)
                found[i, j, k + 1] += m * (1 - f) * (1 - g) * h
                found[i, j + 1, k] += m * (1 - f) * g * (1 - h)
                found[i, j + 1, k + 1] += m * (1 - f) * g * h
                found[i + 1, j, k] += m * f * (1 - g) * (1 - h)
                found[i + 1, j, k + 1] += m * f * (1 - g) * h
                found[i + 1, j + 1, k] += m * f * g * (1 - h)
                found[i + 1, j + 1, k + 1] += m * f * g * h
    shares: Float32Array = found / mask.sum()
    return shares


@kernel
def intensity_histograms(planes: Float32Array, mask: Float32Array, n_levels: int) -> Float32Array:
    """Return the share (P, n_levels) of the specimen near each level of each plane's intensity."""
    n_planes, height, width = planes.shape
    found = np.zeros((n_planes, n_levels), np.float32)
    for p in range(n_planes):
        for y in range(height):
            for x in range(width):
                i, f = lattice(planes[p, y, x], 0.0, 100.0, n_levels)
                found[p, i] += mask[y, x] * (1 - f)
                found[p, i + 1] += mask[y, x] * f
    shares: Float32Array = found / mask.sum()
    return shares


@kernel
def ring_means(planes: Float32Array, mask: Float32Array, n_rings: int) -> Float32Array:
    """Return the mean (P, n_rings) of each plane in rings around the specimen's centroid.

    Rings are equally wide and reach to twice the radius of the circle of the specimen's area; a
    pixel is shared among the two nearest. Empty rings take the mean of the specimen.
    """
    n_planes, height, width = planes.shape
    area, mean_y, mean_x = centroid(mask)
    radius = math.sqrt(area / math.pi)
    overall, _ = mean_and_spread(planes, mask)
    sums = np.zeros((n_planes, n_rings))
    weights = np.zeros(n_rings)
    for y in range(height):
        for x in range(width):
            m = mask[y, x]
            if m > 0:
                distance = math.sqrt((y - mean_y) ** 2 + (x - mean_x) ** 2)
                i, f = lattice(distance / radius, 0.0, 2.0, n_rings)
                weights[i] += m * (1 - f)
                weights[i + 1] += m * f
                for p in range(n_planes):
                    sums[p, i] += m * (1 - f) * planes[p, y, x]
                    sums[p, i + 1] += m * f * planes[p, y, x]
    found = np.empty((n_planes, n_rings), np.float32)
    prior = 0.002 * area
    for p in range(n_planes):
        for i in range(n_rings):
            found[p, i] = (sums[p, i] + prior * overall[p]) / (weights[i] + prior)
    return found
