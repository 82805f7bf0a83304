"""The surface of a coiled shell after Raup: from two surface coordinates to a point in space.

Compiled, because the mesh and every pixel ask for it. Which numbers make a plausible shell is
decided in `simulate.shells`; how the surface becomes a picture in `simulate.render`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from kinlens.typing import FloatArray

__all__ = ["ShellForm", "sculpture", "shell_mesh", "surface_point"]


class ShellForm(NamedTuple):
    """The form of one shell: Raup's coiling, the generating curve, and the relief upon it.

    Lengths are in half-widths of the generating curve at the aperture.

    Parameters
    ----------
    growth : float
        ``ln(W) / 2 pi``, W being the whorl expansion: the size ratio of one whorl to the last.
    turns : float
        Number of whorls times 2 pi.
    offset : float
        Distance of the curve's centre from the coiling axis, ``(1 + D) / (1 - D)`` for Raup's D.
    drop : float
        How far the curve's centre lies below the apex, Raup's T times `offset`.
    height : float
        Height of the generating curve over its width, Raup's S.
    tilt : float
        Rotation of the curve in the plane of the axis, radians.
    slant : float
        How far growth lines lean back towards the suture, radians.
    siphon : float
        Length of the canal at the base of the aperture.
    shoulder : float
        Height of the angular shoulder.
    ribs, rib_count : float
        Height of the axial ribs, and how many a whorl.
    cords, cord_count : float
        Height of the spiral cords, and how many around the curve.
    spines, spine_count : float
        Height of the nodes or spines on the shoulder, and how many a whorl.
    flare : float
        How much the outer lip widens.
    lip : float
        Thickness of the lip.

    References
    ----------
    Raup (1966) J. Paleontol. 40:1178.
    """

    growth: float
    turns: float
    offset: float
    drop: float
    height: float
    tilt: float
    slant: float
    siphon: float
    shoulder: float
    ribs: float
    rib_count: float
    cords: float
    cord_count: float
    spines: float
    spine_count: float
    flare: float
    lip: float


@njit(cache=True, inline="always")
def _bump(angle: float, centre: float, width: float) -> float:
    """Return a smooth bump of height 1 at `centre`, periodic in 2 pi."""
    return math.exp((math.cos(angle - centre) - 1) / (width * width))


@njit(cache=True, inline="always")
def sculpture(turn: float, around: float, form: ShellForm) -> float:
    """Return the relief at one point, in half-widths of the curve: ribs, cords and spines.

    It covers the outer face and fades towards the suture and the axis.
    """
    exposed = 0.5 + 0.5 * math.cos(around - 0.15)
    exposed = exposed * exposed * (3 - 2 * exposed)
    relief = 0.0
    if form.ribs > 0:
        wave = 0.5 + 0.5 * math.cos(form.rib_count * turn)
        relief += form.ribs * wave * wave * exposed
    if form.cords > 0:
        relief += form.cords * 0.5 * math.cos(form.cord_count * around) * exposed
    if form.spines > 0:
        peak = math.exp(4.0 * (math.cos(form.spine_count * turn) - 1))
        relief += form.spines * peak * _bump(around, 0.75, 0.3)
    return relief


@njit(cache=True, inline="always")
def surface_point(along: float, around: float, form: ShellForm) -> tuple[float, float, float]:
    """Return the point of the shell at two surface coordinates.

    Parameters
    ----------
    along : float
        Position along the tube: the angle before the aperture (negative, radians) on the outside,
        0 to 1 across the thickness of the lip, above 1 the angle into the inside plus 1.
    around : float
        Position around the tube, radians: 0 outwards, pi / 2 towards the apex, pi to the axis.
    form : ShellForm
        The shell.

    Returns
    -------
    tuple of 3 floats
        x and y across the axis, z along it; the apex is at the origin and the shell hangs below.
        The coil is right-handed: seen from -y with z up, the aperture is on the right.
    """
    if along <= 0:
        turn, inset = along, 0.0
    elif along <= 1:
        turn, inset = form.lip * 0.6 * math.sin(math.pi * along), along
    else:
        turn, inset = 1 - along, 1.0
    radius = 1.0
    if form.shoulder > 0:
        radius += form.shoulder * _bump(around, 0.75, 0.45)
    if form.siphon > 0:
        radius += form.siphon * _bump(around, -1.85, 0.33)
    if inset < 1:
        radius += (1 - inset) * sculpture(turn, around, form)
    if form.flare > 0 and turn > -0.6:
        radius += form.flare * math.exp(-abs(turn) / 0.12) * (0.5 + 0.5 * math.cos(around))
    radius -= inset * form.lip
    across, up = radius * math.cos(around), radius * math.sin(around) * form.height
    cos, sin = math.cos(form.tilt), math.sin(form.tilt)
    from_axis = max(form.offset + across * cos - up * sin, 0.0)
    height = across * sin + up * cos - form.drop
    turn -= form.slant * math.sin(around)
    size = math.exp(form.growth * turn)
    return (
        size * from_axis * math.cos(turn),
        -size * from_axis * math.sin(turn),
        size * height,
    )


@njit(cache=True)
def shell_mesh(form: ShellForm, steps: int, sides: int) -> tuple[FloatArray, FloatArray]:
    """Return a grid of points on the shell.

    Parameters
    ----------
    form : ShellForm
        The shell.
    steps : int
        Grid lines along the outside; a few more go over the lip and into the inside.
    sides : int
        Grid lines around the tube.

    Returns
    -------
    along : array of float, shape (rows,)
        Coordinate of each row.
    points : array of float, shape (rows, sides + 1, 3)
        Columns run from -pi to pi, so that the seam lies at the axis.
    """
    rim, inside = 3, 14
    depth = min(2.6, form.turns * 0.9)
    along = np.empty(steps + rim + inside)
    for row in range(steps):
        # Closer together towards the aperture, where the whorls are largest.
        along[row] = -form.turns * (1 - row / (steps - 1)) ** 1.3
    for row in range(rim):
        along[steps + row] = (row + 1) / rim
    for row in range(inside):
        along[steps + rim + row] = 1 + depth * (row + 1) / inside
    points = np.empty((len(along), sides + 1, 3))
    for row in range(len(along)):
        for side in range(sides + 1):
            around = 2 * math.pi * side / sides - math.pi
            x, y, z = surface_point(along[row], around, form)
            points[row, side, 0] = x
            points[row, side, 1] = y
            points[row, side, 2] = z
    return along, points
