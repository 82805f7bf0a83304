"""The colours of a shell and the light on it, pixel by pixel, in linear light.

Compiled kernels. What is seen where comes from `simulate.raster`; background, scale bar and camera
are added in `simulate.photograph`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from kinlens.simulate.noise import lattice_value, noise_1d, noise_2d, smooth_step
from kinlens.simulate.raster import Lamp, lamp_reaches
from kinlens.simulate.surface import ShellForm, surface_point
from kinlens.typing import Float32Array, FloatArray

__all__ = ["Light", "Pattern", "Seen", "shade"]


class Seen(NamedTuple):
    """What one picture shows before it is coloured; arrays are (size, size) float32.

    Parameters
    ----------
    depth, along, around : array
        As `raster.rasterise` gives them.
    openness : array
        Share of the surround that lights each pixel.
    lamp : Lamp
        What the lamp sees.
    camera : array of float, shape (3, 3)
        Rows: right, up and towards the viewer, in the frame of the shell.
    ground : float
        Depth of the plane on which the shell lies.
    """

    depth: Float32Array
    along: Float32Array
    around: Float32Array
    openness: Float32Array
    lamp: Lamp
    camera: FloatArray
    ground: float


class Pattern(NamedTuple):
    """The colours of a shell and how they are laid out on it.

    Colours are linear sRGB triples from 0 to 1; strengths go from 0 (none) to 1.

    Parameters
    ----------
    ground, mark, inside : tuple of 3 floats
        Colour of the shell, of the markings on it, and of the inside of the tube.
    bands, band_count, band_phase : float
        Spiral bands: strength, how many around the tube, and where they start (radians).
    flames, flame_count, flame_wave : float
        Axial flames: strength, how many a whorl, and how much they zigzag.
    spots, spot_count : float
        Rounded spots: strength, and how many around the tube.
    wear : float
        How far the early whorls are bleached.
    gloss : float
        Strength of the highlight.
    phase : float
        Where the axial pattern starts, radians; differs among individuals.
    seed : int
        Seed of all irregularities.
    """

    ground: tuple[float, float, float]
    mark: tuple[float, float, float]
    inside: tuple[float, float, float]
    bands: float
    band_count: float
    band_phase: float
    flames: float
    flame_count: float
    flame_wave: float
    spots: float
    spot_count: float
    wear: float
    gloss: float
    phase: float
    seed: int


class Light(NamedTuple):
    """One lamp and a soft surround, in the frame of the camera (x right, y up, z to the viewer).

    Parameters
    ----------
    x, y, z : float
        Unit vector towards the lamp.
    key, ambient : float
        Strength of the lamp and of the surround.
    softness : float
        Half-width of the edge of shadows, as a share of the picture's width.
    """

    x: float
    y: float
    z: float
    key: float
    ambient: float
    softness: float


@njit(cache=True)
def _marking(along: float, around: float, pattern: Pattern) -> float:
    """Return how much of the marking colour there is at one point of the outside, 0 to 1."""
    amount = 0.0
    if pattern.bands > 0:
        wave = math.cos(pattern.band_count * around + pattern.band_phase)
        amount = pattern.bands * smooth_step(0.1, 0.5, wave)
    if pattern.flames > 0:
        zigzag = pattern.flame_wave * math.sin(3 * around)
        zigzag += 2.5 * (noise_2d(along * 2.5, around * 1.5, pattern.seed) - 0.5)
        wave = math.cos(pattern.flame_count * along + pattern.phase + zigzag)
        amount = max(amount, pattern.flames * smooth_step(0.2, 0.6, wave))
    if pattern.spots > 0:
        amount = max(amount, pattern.spots * _spot(along, around, pattern))
    return amount


@njit(cache=True)
def _spot(along: float, around: float, pattern: Pattern) -> float:
    """Return 1 inside one of the spots that stand, jittered, on a lattice."""
    per_radian = pattern.spot_count / (2 * math.pi)
    u = along * per_radian * 1.4 + pattern.phase
    v = around * per_radian
    column, row = math.floor(u), math.floor(v)
    nearest = 9.0
    for i in range(-1, 2):
        for j in range(-1, 2):
            x = column + i + 0.25 + 0.5 * lattice_value(column + i, row + j, pattern.seed)
            y = row + j + 0.25 + 0.5 * lattice_value(column + i, row + j, pattern.seed + 1)
            reach = 0.22 + 0.22 * lattice_value(column + i, row + j, pattern.seed + 2)
            nearest = min(nearest, math.hypot(u - x, v - y) / reach)
    return 1 - smooth_step(0.8, 1.15, nearest)


@njit(cache=True)
def _normal(
    along: float, around: float, form: ShellForm, camera: FloatArray
) -> tuple[float, float, float]:
    """Return the unit normal that faces the viewer, in the frame of the camera."""
    step = 2e-3
    x, y, z = surface_point(along, around, form)
    ax, ay, az = surface_point(along - step, around, form)
    bx, by, bz = surface_point(along, around + step, form)
    ax, ay, az, bx, by, bz = ax - x, ay - y, az - z, bx - x, by - y, bz - z
    cx, cy, cz = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
    nx = camera[0, 0] * cx + camera[0, 1] * cy + camera[0, 2] * cz
    ny = camera[1, 0] * cx + camera[1, 1] * cy + camera[1, 2] * cz
    nz = camera[2, 0] * cx + camera[2, 1] * cy + camera[2, 2] * cz
    length = math.sqrt(nx * nx + ny * ny + nz * nz)
    if length < 1e-30:
        return 0.0, 0.0, 1.0
    if nz < 0:
        length = -length
    return nx / length, ny / length, nz / length


@njit(cache=True)
def _colour(
    along: float, around: float, form: ShellForm, pattern: Pattern
) -> tuple[float, float, float]:
    """Return the colour of the outside or the lip at one point."""
    turn = min(along, 0.0) - form.slant * math.sin(around)
    mark = _marking(turn, around, pattern)
    growth = noise_1d(turn * 28, pattern.seed + 3) + noise_1d(turn * 9, pattern.seed + 4)
    stain = noise_2d(turn * 5, around * 3, pattern.seed + 5)
    shade = 0.80 + 0.14 * growth + 0.10 * stain
    # The early whorls have been out longest; the lip is fresh and pale.
    worn = pattern.wear * (1 - math.exp(1.2 * form.growth * along)) if along < 0 else 0.75 * along
    red = shade * (pattern.ground[0] + mark * (pattern.mark[0] - pattern.ground[0]))
    green = shade * (pattern.ground[1] + mark * (pattern.mark[1] - pattern.ground[1]))
    blue = shade * (pattern.ground[2] + mark * (pattern.mark[2] - pattern.ground[2]))
    return red + worn * (0.72 - red), green + worn * (0.67 - green), blue + worn * (0.58 - blue)


@njit(cache=True)
def shade(seen: Seen, form: ShellForm, pattern: Pattern, light: Light) -> Float32Array:
    """Colour and light the shell, and cast its shadow.

    Returns
    -------
    array of float32, shape (size, size, 4)
        Linear red, green, blue. The last channel is 1 where there is shell; where it is 0, the
        colour is the light that falls on the ground there.
    """
    size = seen.depth.shape[0]
    picture = np.zeros((size, size, 4), dtype=np.float32)
    hx, hy, hz = light.x, light.y, light.z + 1
    half = math.sqrt(hx * hx + hy * hy + hz * hz)
    softness = light.softness * seen.lamp.depth.shape[0]
    exposure = (light.key * light.z + light.ambient) / 1.3
    ground_share = light.key * light.z / (light.key * light.z + light.ambient)
    for y in range(size):
        for x in range(size):
            depth = seen.depth[y, x]
            if depth == -np.inf:
                corner = picture[y - y % 2, x - x % 2]
                if corner[0] > 0 and corner[3] == 0:
                    # Shadows on the ground are soft: one value serves four pixels.
                    picture[y, x, :] = corner
                    continue
                free = lamp_reaches(x + 0.5, y + 0.5, seen.ground, seen.lamp, 3 * softness)
                falls = 1 - ground_share * (1 - free)
                falls *= exposure * (0.55 + 0.45 * seen.openness[y, x])
                picture[y, x, 0] = falls
                picture[y, x, 1] = falls
                picture[y, x, 2] = falls
                continue
            along, around = float(seen.along[y, x]), float(seen.around[y, x])
            nx, ny, nz = _normal(along, around, form, seen.camera)
            facing = nx * light.x + ny * light.y + nz * light.z
            reaches = 0.0
            if facing > -0.1:
                # Lifted off the surface, so that it does not shade itself.
                lift = 0.006 * size
                reaches = lamp_reaches(
                    x + 0.5 + lift * nx,
                    y + 0.5 - lift * ny,
                    depth + lift * nz,
                    seen.lamp,
                    softness,
                )
            openness = float(seen.openness[y, x])
            gloss = pattern.gloss
            if along > 1:
                red, green, blue = pattern.inside
                openness *= math.exp(-1.3 * (along - 1))
                reaches *= math.exp(-0.5 * (along - 1))
                gloss = 0.5 + 0.5 * gloss
            else:
                red, green, blue = _colour(along, around, form, pattern)
            lit = light.key * reaches * max((facing + 0.1) / 1.1, 0.0)
            lit += light.ambient * (0.8 + 0.2 * ny) * openness
            shine = max((nx * hx + ny * hy + nz * hz) / half, 0.0)
            shine = 0.8 * gloss * light.key * reaches * shine ** (12 + 50 * gloss)
            picture[y, x, 0] = red * lit + shine
            picture[y, x, 1] = green * lit + shine
            picture[y, x, 2] = blue * lit + shine
            picture[y, x, 3] = 1.0
    return picture
