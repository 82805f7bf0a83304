"""Planes of a picture, and what every kernel is made of.

A *plane* is one band of the picture in units from 0 to 100: lightness L* and the opponent colours
a* and b* of CIE Lab, or the intensity of a microscope's channel. Planes are float32 arrays of shape
(P, H, W); the *mask* of shape (H, W) is 1 on the specimen and 0 on the ground behind it.
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from kinlens.geometry.compiled import compiled
from kinlens.typing import ByteArray, Float32Array

__all__ = ["blurred", "centroid", "kernel", "lab_planes", "lattice"]

# Sums may be reordered for vector units; NaN and infinity keep their meaning.
kernel = partial(compiled, fastmath={"contract", "reassoc", "nsz", "arcp"})

_STEPS = 8192  # of the table of cube roots
_BRIGHTEST = 1.02  # where that table ends; rounding lifts white a little above 1


def _linear_light() -> Float32Array:
    """Tabulate the light behind each 8-bit sRGB value (IEC 61966-2-1)."""
    value = np.arange(256) / 255
    light = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    return light.astype(np.float32)


def _lab_curve() -> Float32Array:
    """Tabulate the compressive function of CIE Lab."""
    light = np.arange(_STEPS + 2) / _STEPS * _BRIGHTEST
    curve = np.where(light > 216 / 24389, np.cbrt(light), (24389 / 27 * light + 16) / 116)
    return curve.astype(np.float32)


# sRGB to XYZ, each row divided by the white point D65.
_TO_XYZ = np.array(
    [
        [0.412453 / 0.95047, 0.357580 / 0.95047, 0.180423 / 0.95047],
        [0.212671, 0.715160, 0.072169],
        [0.019334 / 1.08883, 0.119193 / 1.08883, 0.950227 / 1.08883],
    ],
    dtype=np.float32,
)
_LIGHT = _linear_light()
_CURVE = _lab_curve()


@kernel
def lab_planes(pixels: ByteArray) -> Float32Array:
    """Return the CIE Lab planes (3, H, W) of an sRGB picture (H, W, 3)."""
    height, width, _ = pixels.shape
    planes = np.empty((3, height, width), np.float32)
    scale = np.float32(_STEPS / _BRIGHTEST)
    bent = np.empty(3, np.float32)
    for y in range(height):
        for x in range(width):
            red = _LIGHT[pixels[y, x, 0]]
            green = _LIGHT[pixels[y, x, 1]]
            blue = _LIGHT[pixels[y, x, 2]]
            for k in range(3):
                light = _TO_XYZ[k, 0] * red + _TO_XYZ[k, 1] * green + _TO_XYZ[k, 2] * blue
                place = light * scale
                step = int(place)
                part = np.float32(place - step)
                bent[k] = _CURVE[step] + part * (_CURVE[step + 1] - _CURVE[step])
            planes[0, y, x] = np.float32(116) * bent[1] - np.float32(16)
            planes[1, y, x] = np.float32(500) * (bent[0] - bent[1])
            planes[2, y, x] = np.float32(200) * (bent[1] - bent[2])
    return planes


@kernel
def blurred(plane: Float32Array, sigma: float) -> Float32Array:
    """Return the plane under a Gaussian of standard deviation `sigma` pixels, edges repeated."""
    height, width = plane.shape
    radius = int(3 * sigma + 0.5)
    bell = np.empty(2 * radius + 1, np.float32)
    for k in range(2 * radius + 1):
        bell[k] = math.exp(-0.5 * ((k - radius) / sigma) ** 2)
    bell /= bell.sum()
    smooth = np.zeros((height, width), np.float32)
    padded = np.empty(width + 2 * radius, np.float32)
    for y in range(height):
        row = np.zeros(width, np.float32)
        for k in range(2 * radius + 1):
            source = min(max(y + k - radius, 0), height - 1)
            for x in range(width):
                row[x] += bell[k] * plane[source, x]
        for x in range(width + 2 * radius):
            padded[x] = row[min(max(x - radius, 0), width - 1)]
        for k in range(2 * radius + 1):
            for x in range(width):
                smooth[y, x] += bell[k] * padded[x + k]
    return smooth


@kernel
def centroid(mask: Float32Array) -> tuple[float, float, float]:
    """Return area and mean row and column of the mask."""
    height, width = mask.shape
    area = 0.0
    mean_y = 0.0
    mean_x = 0.0
    for y in range(height):
        for x in range(width):
            area += mask[y, x]
            mean_y += mask[y, x] * y
            mean_x += mask[y, x] * x
    return area, mean_y / area, mean_x / area


@kernel
def lattice(value: float, low: float, high: float, n: int) -> tuple[int, float]:
    """Return the lattice point below `value`, and how far it is on the way to the next."""
    place = min(max((value - low) / (high - low), 0.0), 1.0) * (n - 1)
    below = min(int(place), n - 2)
    return below, place - below
