"""How each of the 28 places of the Human Protein Atlas looks in one cell.

A painter takes a `Canvas` and returns ink from 0 to about 1. Which label is painted in which cell
is decided in `cell_world`; the microscope is in `micrograph`.

Everywhere, `angle` and `depth` are arrays of places in the cell as in `cells`, `points` is an array
of pixel coordinates, shape (n, 2), and `weight` the height of each spot.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from kinlens.records.label_tree import HPA_LABELS
from kinlens.simulate.cells import Cell, Grid, splat
from kinlens.typing import AnyArray, Float32Array, FloatArray

__all__ = ["Canvas", "paint"]


@dataclass(frozen=True, eq=False)
class Canvas:
    """One cell in one picture, and what several places of it share.

    Parameters
    ----------
    cell : Cell
        Its shape.
    size : int
        Side of the picture in pixels.
    rng : numpy.random.Generator
        Draws everything.

    Attributes
    ----------
    grid : Grid
        Where each pixel lies.
    nucleoli : array of shape (n, 2)
        Centres of the nucleoli, which others spare or sit in.
    microtubules : tuple of (angles, depths)
        One row a microtubule, from the centrosome outwards; each array (n_tubules, n_steps).
    """

    cell: Cell
    size: int
    rng: np.random.Generator
    grid: Grid = field(init=False)
    nucleoli: FloatArray = field(init=False)
    microtubules: tuple[FloatArray, FloatArray] = field(init=False)

    def __post_init__(self) -> None:
        cell, rng = self.cell, self.rng
        object.__setattr__(self, "grid", Grid.of(cell, self.size))
        count = int(rng.integers(2, 5))
        angles = rng.uniform(-np.pi, np.pi) + 2 * np.pi * np.arange(count) / count
        depths = -rng.uniform(0.38, 0.7, count)
        object.__setattr__(self, "nucleoli", cell.places(angles, depths))
        object.__setattr__(self, "microtubules", self._microtubules())

    def _microtubules(self) -> tuple[FloatArray, FloatArray]:
        """Lay microtubules: half grow from the centrosome, the others from around the nucleus."""
        cell, rng, n = self.cell, self.rng, 56
        steps = np.linspace(0, 1, self.steps(1.2))
        start = np.where(rng.random((n, 1)) < 0.5, 0.0, rng.uniform(-np.pi, np.pi, (n, 1)))
        turn = rng.normal(0, 0.9, (n, 1)) * steps ** rng.uniform(0.5, 1.0, (n, 1))
        reach = rng.uniform(0.6, 0.92, (n, 1))
        depths = 0.06 + reach * steps ** rng.uniform(0.8, 1.6, (n, 1))
        depths = depths + 0.02 * np.sin(7 * steps + rng.uniform(0, 6, (n, 1)))
        return cell.pole + start + turn, depths

    def steps(self, length: float) -> int:
        """Return how many spots a line of `length` radii needs to look unbroken."""
        return max(6, round(length * self.cell.radius / 1.1))

    def spots(
        self, angle: FloatArray, depth: FloatArray, spread: float, weight: FloatArray | float = 1.0
    ) -> Float32Array:
        """Draw spots at places of the cell; `spread` is relative to its radius."""
        return self.at(self.cell.places(angle, depth), spread, weight)

    def at(
        self, points: FloatArray, spread: float, weight: FloatArray | float = 1.0
    ) -> Float32Array:
        """Draw spots at pixels; `spread` is relative to the cell's radius."""
        return splat(points, spread * self.cell.radius, self.size, weight=weight)


def paint(label: str, canvas: Canvas) -> Float32Array:
    """Draw what a protein at one place of a cell looks like.

    Parameters
    ----------
    label : str
        One of `HPA_LABELS`.
    canvas : Canvas
        The cell.

    Returns
    -------
    array of float32, shape (size, size)
        From 0 to 1, 1 where it is brightest.

    Examples
    --------
    >>> from kinlens.simulate.cells import draw_cell
    >>> rng = np.random.default_rng(0)
    >>> cell = draw_cell(32.0, 32.0, 24.0, contact=0.0, is_mitotic=False, rng=rng)
    >>> paint("nucleoli", Canvas(cell, 64, rng)).shape
    (64, 64)
    """
    ink = np.maximum(_PAINTERS[label](canvas), 0)
    # Where many spots meet there is a limit to brightness, as the camera has one.
    peak = float(np.quantile(ink[ink > 0.02], 0.99)) if (ink > 0.02).any() else 1.0
    return np.minimum(ink / max(peak, 1e-6), 1.0).astype(np.float32)


# Nucleus -----------------------------------------------------------------------------------------


def _nucleoplasm(c: Canvas) -> AnyArray:
    grain = c.spots(c.rng.uniform(-np.pi, np.pi, 40), -np.sqrt(c.rng.random(40)), 0.05)
    holes = 1 - 0.75 * np.minimum(c.at(c.nucleoli, 0.085), 1)
    grain = 0.6 + 0.5 * grain / max(float(grain.max()), 1e-6)
    return np.asarray(c.grid.nucleus * grain * holes)


def _nuclear_membrane(c: Canvas) -> AnyArray:
    width = max(0.035 * c.cell.radius, 0.6)
    gap = (c.grid.distance - c.cell.envelope(c.grid.angle)) / width
    return np.exp(-0.5 * gap**2) + 0.18 * c.grid.nucleus


def _nucleoli(c: Canvas) -> AnyArray:
    around = c.rng.normal(0, 0.035 * c.cell.radius, (3, *c.nucleoli.shape))
    return np.minimum(c.at((c.nucleoli + around).reshape(-1, 2), 0.06), 1.1)


def _fibrillar_centers(c: Canvas) -> AnyArray:
    around = c.rng.normal(0, 0.055 * c.cell.radius, (4, *c.nucleoli.shape))
    return c.at((c.nucleoli + around).reshape(-1, 2), 0.016)


def _nuclear_speckles(c: Canvas) -> AnyArray:
    n = int(c.rng.integers(22, 32))
    angle, depth = c.rng.uniform(-np.pi, np.pi, n), -1 + 0.88 * np.sqrt(c.rng.random(n))
    return c.spots(angle, depth, 0.032, c.rng.uniform(0.4, 1, n)) + 0.12 * c.grid.nucleus


def _nuclear_bodies(c: Canvas) -> AnyArray:
    n = int(c.rng.integers(4, 10))
    return c.spots(c.rng.uniform(-np.pi, np.pi, n), -1 + 0.85 * np.sqrt(c.rng.random(n)), 0.024)


# Secretory pathway -------------------------------------------------------------------------------


def _endoplasmic_reticulum(c: Canvas) -> AnyArray:
    n = 260
    angle, depth = c.rng.uniform(-np.pi, np.pi, n), c.rng.beta(1.1, 2.2, n)
    net = c.spots(angle, depth, 0.03, c.rng.uniform(0.4, 1.0, n))
    return net * c.grid.cytoplasm + 0.5 * c.grid.cytoplasm * np.exp(-2.2 * c.grid.depth)


def _golgi(c: Canvas) -> AnyArray:
    ribbons = []
    for _ in range(int(c.rng.integers(4, 7))):
        start, width = c.cell.pole + c.rng.normal(0, 0.3), c.rng.uniform(0.2, 0.5)
        angle = start + width * np.linspace(-0.5, 0.5, 9)
        ribbons.append((angle, c.rng.uniform(0.12, 0.34) + 0.03 * np.sin(3 * angle)))
    angles = np.concatenate([a for a, _ in ribbons])
    depths = np.concatenate([np.broadcast_to(d, a.shape) for a, d in ribbons])
    return c.spots(angles, depths, 0.03)


def _scattered(c: Canvas, few: int, many: int, spread: float, near: float) -> AnyArray:
    """Vesicles all over the cytoplasm; the larger `near`, the closer to the nucleus."""
    n = int(c.rng.integers(few, many))
    depth = 0.05 + 0.9 * c.rng.beta(1.2, near, n)
    return c.spots(c.rng.uniform(-np.pi, np.pi, n), depth, spread, c.rng.uniform(0.5, 1.0, n))


def _peroxisomes(c: Canvas) -> AnyArray:
    return _scattered(c, 55, 80, 0.014, 1.2)


def _endosomes(c: Canvas) -> AnyArray:
    return _scattered(c, 16, 26, 0.026, 1.4)


def _lysosomes(c: Canvas) -> AnyArray:
    return _scattered(c, 10, 16, 0.05, 3.2)


def _lipid_droplets(c: Canvas) -> AnyArray:
    n = int(c.rng.integers(8, 14))
    centres = c.cell.places(c.rng.uniform(-np.pi, np.pi, n), 0.1 + 0.6 * c.rng.random(n))
    return c.at(_rings(c, centres, 0.06), 0.013)


def _plasma_membrane(c: Canvas) -> AnyArray:
    width = max(0.04 * c.cell.radius, 0.7)
    gap = (c.grid.distance - c.cell.membrane(c.grid.angle) * 0.985) / width
    ruffles = 1 + 0.35 * np.sin(3 * c.grid.angle + c.rng.uniform(0, 6))
    return np.exp(-0.5 * gap**2) * ruffles + 0.16 * c.grid.inside


def _cell_junctions(c: Canvas) -> AnyArray:
    width = max(0.045 * c.cell.radius, 0.7)
    gap = (c.grid.distance - c.cell.membrane(c.grid.angle) * 0.99) / width
    off = np.angle(np.exp(1j * (c.grid.angle - c.cell.contact)))
    dashes = 0.6 + 0.4 * np.sin(26 * c.grid.angle)
    return np.asarray(np.exp(-0.5 * gap**2 - (off / 0.6) ** 4) * dashes)


# Cytoplasm ---------------------------------------------------------------------------------------


def _intermediate_filaments(c: Canvas) -> AnyArray:
    n, steps = 30, np.linspace(-0.5, 0.5, c.steps(1.6))
    angle = c.rng.uniform(-np.pi, np.pi, (n, 1)) + c.rng.uniform(0.7, 2.2, (n, 1)) * steps
    depth = c.rng.beta(1.2, 2.0, (n, 1)) * 0.75 + 0.05
    depth = depth + 0.045 * np.sin(9 * angle + c.rng.uniform(0, 6, (n, 1)))
    return c.spots(angle, np.maximum(depth, 0.01), 0.014)


def _actin_filaments(c: Canvas) -> AnyArray:
    n, steps = 15, np.linspace(-1.3, 1.3, c.steps(2.6))
    turn = c.cell.nucleus[2] + c.rng.normal(0, 0.15)
    offset = np.linspace(-0.85, 0.85, n)[:, None] + c.rng.normal(0, 0.03, (n, 1))
    x = offset * -np.sin(turn) + steps * np.cos(turn)
    y = offset * np.cos(turn) + steps * np.sin(turn)
    points = c.cell.radius * np.stack([x.ravel(), y.ravel()], 1) + [c.cell.x, c.cell.y]
    strength = np.repeat(c.rng.uniform(0.4, 1.0, n), len(steps))
    return c.at(points, 0.012, strength) * c.grid.inside


def _focal_adhesions(c: Canvas) -> AnyArray:
    n = int(c.rng.integers(14, 24))
    angle = np.repeat(c.rng.uniform(-np.pi, np.pi, n), 6)
    depth = np.repeat(c.rng.uniform(0.72, 0.9, n), 6) + np.tile(np.linspace(0, 0.1, 6), n)
    return c.spots(angle, depth, 0.022)


def _microtubules(c: Canvas) -> AnyArray:
    return c.spots(*c.microtubules, 0.012)


def _microtubule_ends(c: Canvas) -> AnyArray:
    angle, depth = c.microtubules
    return c.spots(angle[:, -2:], depth[:, -2:] + 0.05, 0.018)


def _cytokinetic_bridge(c: Canvas) -> AnyArray:
    away = c.cell.contact
    start = c.cell.membrane(away) * 0.96
    along = np.concatenate([np.linspace(0, 0.16, 8), np.linspace(0.26, 0.42, 8)]) * c.cell.radius
    x = c.cell.x + (start + along) * np.cos(away)
    y = c.cell.y + (start + along) * np.sin(away)
    return c.at(np.stack([x, y], axis=1), 0.03)


def _mitotic_spindle(c: Canvas) -> AnyArray:
    long, _short, turn = c.cell.nucleus
    centre, radius = np.array([c.cell.x, c.cell.y]), c.cell.radius
    across = np.array([-np.sin(turn), np.cos(turn)])
    plate = centre + radius * long * np.linspace(-0.8, 0.8, 9)[:, None] * [
        np.cos(turn), np.sin(turn)
    ]  # fmt: skip
    steps = np.linspace(0, 1, c.steps(0.8))[None, :, None]
    points = [
        pole + steps * (plate[:, None, :] - pole)
        for pole in (centre + 0.6 * radius * across, centre - 0.6 * radius * across)
    ]
    return c.at(np.concatenate(points).reshape(-1, 2), 0.018)


def _organizing_center(c: Canvas) -> AnyArray:
    steps = np.linspace(0, 1, c.steps(0.3))
    angle = c.cell.pole + c.rng.normal(0, 0.5, (12, 1)) * steps
    aster = c.spots(angle, 0.08 + 0.3 * c.rng.random((12, 1)) * steps, 0.012, 0.2)
    return aster + c.spots(np.array([c.cell.pole]), np.array([0.08]), 0.045, 1.4)


def _centrosome(c: Canvas) -> AnyArray:
    (point,) = c.cell.places([c.cell.pole], [0.1])
    turn = c.rng.uniform(0, np.pi)
    step = 0.045 * c.cell.radius * np.array([np.cos(turn), np.sin(turn)])
    return c.at(np.stack([point - step, point + step]), 0.02)


def _mitochondria(c: Canvas) -> AnyArray:
    n, steps = 55, np.linspace(-0.5, 0.5, c.steps(0.3))
    angle, depth = c.rng.uniform(-np.pi, np.pi, (n, 1)), 0.08 + 0.8 * c.rng.beta(1.2, 1.8, (n, 1))
    turn = c.rng.uniform(0, np.pi, (n, 1))
    length = c.rng.uniform(0.12, 0.3, (n, 1))
    bend = 0.04 * np.sin(8 * steps + c.rng.uniform(0, 6, (n, 1)))
    angle = angle + length * steps * np.cos(turn) + bend
    depth = np.clip(depth + length * steps * np.sin(turn) + bend, 0.03, 0.97)
    return c.spots(angle, depth, 0.02)


def _aggresome(c: Canvas) -> AnyArray:
    angle, depth = c.cell.pole + c.rng.normal(0, 0.12, 5), 0.22 + c.rng.normal(0, 0.07, 5)
    return np.minimum(c.spots(angle, depth, 0.09), 1.4)


def _cytosol(c: Canvas) -> AnyArray:
    thick = np.sqrt(np.clip(1.15 - np.clip(c.grid.depth, 0, 1), 0, None))
    grain = c.spots(c.rng.uniform(-np.pi, np.pi, 60), c.rng.random(60), 0.06)
    return (c.grid.cytoplasm + 0.3 * c.grid.nucleus) * thick * (0.88 + 0.12 * np.minimum(grain, 2))


def _cytoplasmic_bodies(c: Canvas) -> AnyArray:
    n = int(c.rng.integers(3, 8))
    return c.spots(c.rng.uniform(-np.pi, np.pi, n), 0.15 + 0.6 * c.rng.random(n), 0.038)


def _rods_and_rings(c: Canvas) -> AnyArray:
    rods, rings = int(c.rng.integers(2, 4)), int(c.rng.integers(1, 3))
    centres = c.cell.places(c.rng.uniform(-np.pi, np.pi, rods), c.rng.uniform(0.2, 0.7, rods))
    turn = c.rng.uniform(0, np.pi, (rods, 1))
    steps = np.linspace(-0.15, 0.15, 12)[None, :] * c.cell.radius
    along = np.stack([steps * np.cos(turn), steps * np.sin(turn)], axis=2)
    lines = (centres[:, None, :] + along).reshape(-1, 2)
    middle = c.cell.places(c.rng.uniform(-np.pi, np.pi, rings), c.rng.uniform(0.2, 0.7, rings))
    return c.at(np.concatenate([lines, _rings(c, middle, 0.1)]), 0.016)


def _rings(c: Canvas, centres: FloatArray, radius: float) -> FloatArray:
    turn = np.linspace(0, 2 * np.pi, 14, endpoint=False)
    circle = radius * c.cell.radius * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    return (centres[:, None, :] + circle).reshape(-1, 2)


_PAINTERS: dict[str, Callable[[Canvas], AnyArray]] = dict(
    zip(
        HPA_LABELS,
        (
            _nucleoplasm,
            _nuclear_membrane,
            _nucleoli,
            _fibrillar_centers,
            _nuclear_speckles,
            _nuclear_bodies,
            _endoplasmic_reticulum,
            _golgi,
            _peroxisomes,
            _endosomes,
            _lysosomes,
            _intermediate_filaments,
            _actin_filaments,
            _focal_adhesions,
            _microtubules,
            _microtubule_ends,
            _cytokinetic_bridge,
            _mitotic_spindle,
            _organizing_center,
            _centrosome,
            _lipid_droplets,
            _plasma_membrane,
            _cell_junctions,
            _mitochondria,
            _aggresome,
            _cytosol,
            _cytoplasmic_bodies,
            _rods_and_rings,
        ),
        strict=True,
    )
)
