"""Smooth random textures that are functions of position: hashed lattices, no state, no tables.

Compiled helpers for colour patterns and backgrounds. Randomness comes in as one integer seed.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

__all__ = ["lattice_value", "noise_1d", "noise_2d", "smooth_step"]


@njit(cache=True, inline="always")
def lattice_value(x: int, y: int, seed: int) -> float:
    """Return a number in [0, 1) that depends on two integers and the seed alone."""
    mixed = np.uint64(x) * np.uint64(0x9E3779B97F4A7C15)
    mixed ^= np.uint64(y) * np.uint64(0xC2B2AE3D27D4EB4F) + np.uint64(seed)
    # The finaliser of splitmix64.
    mixed ^= mixed >> np.uint64(30)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(27)
    mixed *= np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return float(mixed >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@njit(cache=True, inline="always")
def smooth_step(low: float, high: float, value: float) -> float:
    """Rise smoothly from 0 at `low` to 1 at `high`."""
    share = min(max((value - low) / (high - low), 0.0), 1.0)
    return share * share * (3 - 2 * share)


@njit(cache=True)
def noise_1d(x: float, seed: int) -> float:
    """Return smooth noise in [0, 1) along a line; features are about 1 long."""
    cell = math.floor(x)
    share = x - cell
    share = share * share * (3 - 2 * share)
    left = lattice_value(int(cell), 0, seed)
    return left + share * (lattice_value(int(cell) + 1, 0, seed) - left)


@njit(cache=True)
def noise_2d(x: float, y: float, seed: int) -> float:
    """Return smooth noise in [0, 1) on a plane; features are about 1 across."""
    left, low = math.floor(x), math.floor(y)
    across, up = x - left, y - low
    across = across * across * (3 - 2 * across)
    up = up * up * (3 - 2 * up)
    column, row = int(left), int(low)
    bottom = lattice_value(column, row, seed)
    bottom += across * (lattice_value(column + 1, row, seed) - bottom)
    top = lattice_value(column, row + 1, seed)
    top += across * (lattice_value(column + 1, row + 1, seed) - top)
    return bottom + up * (top - bottom)
