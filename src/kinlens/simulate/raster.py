"""Which part of a surface is seen in each pixel, and how much light can reach it.

Compiled kernels on plain arrays: z-buffer, blur, openness to the surround, cast shadows. Colours
are in `simulate.shading`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from kinlens.typing import Float32Array, FloatArray

__all__ = ["Lamp", "blurred", "lamp_reaches", "openness", "rasterise"]


class Lamp(NamedTuple):
    """What the lamp sees: whatever is behind it lies in shadow.

    Parameters
    ----------
    depth : array of float32, shape (size, size)
        What `rasterise` gives from the lamp.
    to_lamp : array of float, shape (3, 4)
        Turns (x, y, z, 1) of the picture into the pixel and depth that the lamp sees.
    """

    depth: Float32Array
    to_lamp: FloatArray


@njit(cache=True)
def rasterise(
    points: FloatArray, along: FloatArray, size: int
) -> tuple[Float32Array, Float32Array, Float32Array]:
    """Find which part of a mesh is nearest to the viewer in each pixel.

    Parameters
    ----------
    points : array of float, shape (rows, columns, 3)
        Mesh in pixels: x to the right, y downwards, z towards the viewer.
    along : array of float, shape (rows,)
        Surface coordinate of each row; columns go evenly from -pi to pi.
    size : int
        Width and height of the picture.

    Returns
    -------
    depth, along, around : array of float32, shape (size, size)
        Depth (-inf where there is nothing) and surface coordinates seen in each pixel.
    """
    depth = np.full((size, size), -np.inf, dtype=np.float32)
    seen_along = np.zeros((size, size), dtype=np.float32)
    seen_around = np.zeros((size, size), dtype=np.float32)
    rows, columns = points.shape[0], points.shape[1]
    turn = 2 * math.pi / (columns - 1)
    for row in range(rows - 1):
        for column in range(columns - 1):
            for half in range(2):
                # Two triangles a cell: (a, b, c) with a in one of two opposite corners.
                ar, ac = row + half, column + half
                br, bc = row + 1 - half, column + half
                cr, cc = row + half, column + 1 - half
                ax, ay, az = points[ar, ac, 0], points[ar, ac, 1], points[ar, ac, 2]
                bx, by, bz = points[br, bc, 0], points[br, bc, 1], points[br, bc, 2]
                cx, cy, cz = points[cr, cc, 0], points[cr, cc, 1], points[cr, cc, 2]
                area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
                if abs(area) < 1e-9:
                    continue
                left = max(math.ceil(min(ax, bx, cx) - 0.5), 0)
                right = min(math.floor(max(ax, bx, cx) - 0.5), size - 1)
                top = max(math.ceil(min(ay, by, cy) - 0.5), 0)
                bottom = min(math.floor(max(ay, by, cy) - 0.5), size - 1)
                # Weights of b and c are linear in x and y; that of a is the rest.
                b_right, b_down = (cy - ay) / area, (ax - cx) / area
                c_right, c_down = (ay - by) / area, (bx - ax) / area
                for y in range(top, bottom + 1):
                    b_row = b_down * (y + 0.5 - ay) + b_right * (0.5 - ax)
                    c_row = c_down * (y + 0.5 - ay) + c_right * (0.5 - ax)
                    for x in range(left, right + 1):
                        b, c = b_row + b_right * x, c_row + c_right * x
                        if b < 0 or c < 0 or b + c > 1:
                            continue
                        z = az + b * (bz - az) + c * (cz - az)
                        if z > depth[y, x]:
                            depth[y, x] = z
                            seen_along[y, x] = along[ar] + b * (along[br] - along[ar])
                            seen_around[y, x] = (ac + c * (cc - ac)) * turn - math.pi
    return depth, seen_along, seen_around


@njit(cache=True)
def blurred(values: Float32Array, radius: int) -> Float32Array:
    """Return running means over squares, by two passes of running sums; edges are repeated."""
    size = values.shape[0]
    width = 2 * radius + 1
    rows = np.empty_like(values)
    for y in range(size):
        total = values[y, 0] * (radius + 1)
        for k in range(1, radius + 1):
            total += values[y, k]
        for x in range(size):
            rows[y, x] = total / width
            total += values[y, min(x + radius + 1, size - 1)] - values[y, max(x - radius, 0)]
    blurred = np.empty_like(values)
    sums = rows[0] * np.float32(radius + 1)
    for k in range(1, radius + 1):
        sums += rows[k]
    for y in range(size):
        for x in range(size):
            blurred[y, x] = sums[x] / width
            sums[x] += rows[min(y + radius + 1, size - 1), x] - rows[max(y - radius, 0), x]
    return blurred


@njit(cache=True)
def openness(depth: Float32Array, ground: float, radius: int, strength: float) -> Float32Array:
    """Return how open to the surround each pixel is: less where its neighbours stand nearer.

    Unsharp masking of the depth buffer, after Luft, Colditz & Deussen (2006) ACM Trans. Graph.
    25:1206. On the shell only shell counts as a neighbour, so that its outline is not darkened;
    on the ground everything does.

    Parameters
    ----------
    depth : array of float32, shape (size, size)
        Depth towards the viewer in pixels; -inf on the ground.
    ground : float
        Depth of the ground.
    radius : int
        How far a neighbour may be, in pixels.
    strength : float
        How quickly light is lost as the neighbours rise above the pixel, by their distance.

    Returns
    -------
    array of float32, shape (size, size)
        From above 0 to 1.
    """
    size = depth.shape[0]
    covered = np.zeros_like(depth)
    height = np.zeros_like(depth)
    for y in range(size):
        for x in range(size):
            if depth[y, x] > -np.inf:
                covered[y, x] = 1.0
                height[y, x] = depth[y, x] - ground
    weight = blurred(covered, radius)
    mean = blurred(height, radius)
    for y in range(size):
        for x in range(size):
            above = mean[y, x]
            if covered[y, x] > 0:
                above = mean[y, x] / max(weight[y, x], np.float32(1e-6)) - height[y, x]
            covered[y, x] = math.exp(-strength * max(above, 0.0) / radius)
    return covered


@njit(cache=True, inline="always")
def lamp_reaches(x: float, y: float, z: float, lamp: Lamp, softness: float) -> float:
    """Return the share of the lamp's light that reaches a point, 0 to 1.

    Parameters
    ----------
    x, y, z : float
        The point, in pixels of the picture; z towards the viewer.
    lamp : Lamp
        What the lamp sees.
    softness : float
        Half-width of the shadow's edge, in pixels.
    """
    to_lamp, lamp_depth = lamp.to_lamp, lamp.depth
    column = to_lamp[0, 0] * x + to_lamp[0, 1] * y + to_lamp[0, 2] * z + to_lamp[0, 3]
    row = to_lamp[1, 0] * x + to_lamp[1, 1] * y + to_lamp[1, 2] * z + to_lamp[1, 3]
    depth = to_lamp[2, 0] * x + to_lamp[2, 1] * y + to_lamp[2, 2] * z + to_lamp[2, 3]
    size = lamp_depth.shape[0]
    free = 0
    # Wholly lit or wholly dark is settled by the corners and the middle of the edge's width.
    for i in range(5):
        down = int(row + (softness if i & 1 else -softness) * (i < 4))
        across = int(column + (softness if i & 2 else -softness) * (i < 4))
        inside = 0 <= down < size and 0 <= across < size
        if not inside or lamp_depth[down, across] <= depth:
            free += 1
    if free in {0, 5}:
        return free / 5.0
    free = 0
    for i in range(-2, 3):
        for j in range(-2, 3):
            down, across = int(row + 0.5 * i * softness), int(column + 0.5 * j * softness)
            inside = 0 <= down < size and 0 <= across < size
            if not inside or lamp_depth[down, across] <= depth:
                free += 1
    return free / 25.0
