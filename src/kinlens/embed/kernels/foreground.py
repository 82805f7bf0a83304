"""Which part of a picture is specimen: its mask, and the square window that it fills."""

from __future__ import annotations

import math

import numpy as np

from kinlens.embed.kernels.pixels import kernel
from kinlens.typing import AnyArray, Float32Array

__all__ = ["foreground_mask", "foreground_window", "ground", "window_weights"]

_BORDER = 2  # width in pixels of the ring in which the ground is looked for
_SAME_COLOUR = 12.0  # units; colours nearer than this are taken for one
_SPECK = 0.05  # parts with less than this share of the largest part's area are no specimen


@kernel
def ground(planes: Float32Array) -> tuple[Float32Array, float, float]:
    """Find the commonest colour along the border of the picture.

    Returns
    -------
    colour : numpy.ndarray
        Shape (P,).
    share : float
        Share of the border that has it.
    spread : float
        Root mean square distance of that share from it.
    """
    border = _border_pixels(planes)
    n, n_planes = border.shape
    colour = _most_crowded(border)
    share = 0.0
    spread = 0.0
    for _ in range(3):
        total = np.zeros(n_planes)
        squares = 0.0
        near = 0
        for j in range(n):
            squared = _squared_distance(colour, border[j])
            if squared < _SAME_COLOUR**2:
                near += 1
                squares += squared
                for p in range(n_planes):
                    total[p] += border[j, p]
        if near == 0:
            break
        share = near / n
        spread = math.sqrt(squares / near)
        for p in range(n_planes):
            colour[p] = total[p] / near
    return colour, share, spread


@kernel
def _border_pixels(planes: Float32Array) -> Float32Array:
    """Return the pixels (n, P) of the ring along the border."""
    n_planes, height, width = planes.shape
    inner = max(height - 2 * _BORDER, 0) * max(width - 2 * _BORDER, 0)
    ring = np.empty((height * width - inner, n_planes), np.float32)
    n = 0
    for y in range(height):
        for x in range(width):
            is_inside = _BORDER <= y < height - _BORDER and _BORDER <= x < width - _BORDER
            if not is_inside:
                for p in range(n_planes):
                    ring[n, p] = planes[p, y, x]
                n += 1
    return ring


@kernel
def _most_crowded(border: Float32Array) -> Float32Array:
    """Return the pixel that has most others of its colour; a sample of them is enough."""
    most = -1
    colour: Float32Array = border[0].copy()
    # Steps that share no factor with the width of the ring, so that no side is left out.
    for i in range(0, len(border), 17):
        near = 0
        for j in range(0, len(border), 5):
            if _squared_distance(border[i], border[j]) < _SAME_COLOUR**2:
                near += 1
        if near > most:
            most = near
            colour = border[i].copy()
    return colour


@kernel
def _squared_distance(a: Float32Array, b: Float32Array) -> float:
    total = 0.0
    for p in range(len(a)):
        total += (a[p] - b[p]) ** 2
    return total


@kernel
def foreground_mask(
    planes: Float32Array, colour: Float32Array, share: float, spread: float
) -> Float32Array:
    """Tell the specimen from the ground: 1 and 0, with soft edges.

    A pixel is ground as far as it has the ground's colour and hangs together with the border, so
    that white spots inside a wing on white paper stay specimen. Where the border has no common
    colour, or nothing stands out from it, the whole picture is specimen.

    Returns
    -------
    numpy.ndarray
        Shape (H, W), from 0 to 1, with a sum above 0.
    """
    n_planes, height, width = planes.shape
    low = max(5.0, 2.5 * spread)
    mask = np.empty((height, width), np.float32)
    for y in range(height):
        for x in range(width):
            squared = np.float32(0)
            for p in range(n_planes):
                squared += (planes[p, y, x] - colour[p]) ** 2
            mask[y, x] = min(max((math.sqrt(squared) - low) / low, 0.0), 1.0)
    _fill_holes(mask)
    _drop_specks(mask)
    # From a quarter of the border on it counts, from a half on fully.
    trust = min(max((share - 0.25) / 0.25, 0.0), 1.0)
    total = 0.0
    for y in range(height):
        for x in range(width):
            mask[y, x] = 1 - trust * (1 - mask[y, x])
            total += mask[y, x]
    if total < 0.003 * height * width:
        mask[:] = 1
    return mask


@kernel
def _fill_holes(mask: Float32Array) -> None:
    """Raise to 1 what is ground by colour but not connected with the border."""
    height, width = mask.shape
    part = np.zeros((height, width), np.int32)
    for y in range(height):
        for x in range(width):
            is_border = y in (0, height - 1) or x in (0, width - 1)
            if is_border and part[y, x] == 0 and mask[y, x] < 0.5:
                _flood(mask, part, y, x, 1)
    for y in range(height):
        for x in range(width):
            if mask[y, x] < 0.5 and part[y, x] == 0:
                mask[y, x] = 1


@kernel
def _drop_specks(mask: Float32Array) -> None:
    """Lower to 0 the parts that are small beside the largest: dust, lettering, scale bars."""
    height, width = mask.shape
    part = np.zeros((height, width), np.int32)
    sizes = [0]
    largest = 0
    for y in range(height):
        for x in range(width):
            if part[y, x] == 0 and mask[y, x] >= 0.5:
                size = _flood(mask, part, y, x, len(sizes))
                sizes.append(size)
                largest = max(largest, size)
    for y in range(height):
        for x in range(width):
            if part[y, x] and sizes[part[y, x]] < _SPECK * largest:
                mask[y, x] = 0


@kernel
def _flood(mask: Float32Array, part: AnyArray, y: int, x: int, number: int) -> int:
    """Mark all pixels that hang together with (y, x) on its side of the mask; count them."""
    height, width = mask.shape
    is_specimen = mask[y, x] >= 0.5
    waiting = [y * width + x]
    part[y, x] = number
    size = 0
    while waiting:
        size += 1
        y, x = divmod(waiting.pop(), width)
        for step_y, step_x in ((1, 0), (-1, 0), (0, 1), (0, -1)):
            v, u = y + step_y, x + step_x
            is_inside = 0 <= v < height and 0 <= u < width
            if is_inside and part[v, u] == 0 and (mask[v, u] >= 0.5) == is_specimen:
                part[v, u] = number
                waiting.append(v * width + u)
    return size


@kernel
def foreground_window(mask: Float32Array, tail: float, margin: float) -> tuple[float, float, float]:
    """Return centre (y, x) and side, in pixels, of the square that holds the specimen.

    The square spans the quantiles `tail` and 1 - `tail` of the mask along its longer direction,
    times `margin`: antennae, tails and dust do not move it. It is never smaller than a third of
    the picture nor larger than the picture.
    """
    height, width = mask.shape
    rows = np.zeros(height)
    columns = np.zeros(width)
    for y in range(height):
        for x in range(width):
            rows[y] += mask[y, x]
            columns[x] += mask[y, x]
    top, bottom = _quantile(rows, tail), _quantile(rows, 1 - tail)
    left, right = _quantile(columns, tail), _quantile(columns, 1 - tail)
    largest = float(max(height, width))
    side = min(max(max(bottom - top, right - left) * margin, largest / 3), largest)
    return (top + bottom) / 2, (left + right) / 2, side


@kernel
def _quantile(weights: AnyArray, share: float) -> float:
    wanted = share * weights.sum()
    passed = 0.0
    for i in range(len(weights)):
        if passed + weights[i] >= wanted and weights[i] > 0:
            return float(i + (wanted - passed) / weights[i])
        passed += weights[i]
    return float(len(weights))


@kernel
def window_weights(n: int, centre: float, side: float, cells: int) -> Float32Array:
    """Return one overlapping bell of total 1 over n pixels for each cell of the window.

    Returns
    -------
    numpy.ndarray
        Shape (cells, n): Gaussians whose standard deviation is half a cell.
    """
    weights = np.empty((cells, n), np.float32)
    width = 0.5 * side / cells
    for cell in range(cells):
        middle = centre - side / 2 + (cell + 0.5) * side / cells
        for x in range(n):
            z = (x + 0.5 - middle) / width
            weights[cell, x] = math.exp(-0.5 * z * z) / (width * math.sqrt(2 * math.pi))
    return weights
