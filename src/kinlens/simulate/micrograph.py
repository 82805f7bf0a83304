"""A field of cells under the microscope: who lies where, four channels, light and noise.

What a protein looks like in one cell is in `compartments`; which cell shows which label is decided
in `cell_world`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kinlens.simulate.cells import Cell, draw_cell
from kinlens.simulate.compartments import Canvas, paint
from kinlens.typing import ByteArray, Float32Array, FloatArray

__all__ = ["CHANNELS", "Optics", "draw_field", "photograph_field"]

CHANNELS = ("red", "green", "blue", "yellow")
"""Microtubules, protein, nucleus, endoplasmic reticulum; colours as in the Human Protein Atlas."""

_DIVIDING = {"mitotic spindle"}


@dataclass(frozen=True)
class Optics:
    """How one plate was stained and photographed.

    Parameters
    ----------
    gain : tuple of float
        Brightness of each channel, 1 on the average.
    background : tuple of float
        Light everywhere, of each channel, from 0 to 1.
    photons : float
        What full brightness amounts to; the fewer, the more noise.
    """

    gain: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0)
    background: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0)
    photons: float = 400.0


def draw_field(
    shown: Sequence[Sequence[str]], *, size: int, rng: np.random.Generator
) -> tuple[Cell, ...]:
    """Place cells in a picture, one for each entry of `shown`, and draw their shapes.

    Parameters
    ----------
    shown : sequence of sequence of str
        Labels that each cell will show; one with a mitotic spindle divides.
    size : int
        Side of the picture in pixels.
    rng : numpy.random.Generator
        Source of randomness.
    """
    n = len(shown)
    centres = _spaced(n, rng) * size
    radius = size * min(0.36, 0.46 / np.sqrt(n))
    cells = []
    for number, labels in enumerate(shown):
        others = np.delete(centres, number, axis=0) - centres[number]
        if len(others):
            x, y = others[np.argmin((others**2).sum(axis=1))]
            contact = float(np.arctan2(y, x))
        else:
            contact = float(rng.uniform(-np.pi, np.pi))
        cells.append(
            draw_cell(
                float(centres[number, 0]),
                float(centres[number, 1]),
                float(radius * rng.uniform(0.85, 1.15)),
                contact=contact,
                is_mitotic=bool(_DIVIDING & set(labels)) or rng.random() < 0.01,
                rng=rng,
            )
        )
    return tuple(cells)


def photograph_field(
    cells: Sequence[Cell],
    shown: Sequence[Sequence[str]],
    strength: Mapping[str, float],
    optics: Optics,
    *,
    haze: float,
    size: int,
    rng: np.random.Generator,
) -> ByteArray:
    """Draw the four channels of a field.

    Parameters
    ----------
    cells : sequence of Cell
        From `draw_field`.
    shown : sequence of sequence of str
        Labels that each cell shows, in the order of `cells`.
    strength : mapping of str to float
        How bright each label is, 0 to 1.
    optics : Optics
        Of the plate.
    haze : float
        Unspecific staining of whole cells in the protein channel, 0 to 1.
    size : int
        Side of the picture in pixels.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    array of uint8, shape (size, size, 4)
        In the order of `CHANNELS`.
    """
    light = np.zeros((4, size, size), np.float32)
    for cell, labels in zip(cells, shown, strict=True):
        canvas = Canvas(cell, size, rng)
        vigour = rng.uniform(0.75, 1.25)
        tubules, net = paint("microtubules", canvas), paint("endoplasmic reticulum", canvas)
        if cell.is_mitotic:
            tubules = paint("mitotic spindle", canvas)
        reference = {"microtubules": tubules, "endoplasmic reticulum": net}
        protein = haze * canvas.grid.inside
        for label in labels:
            ink = reference[label] if label in reference else paint(label, canvas)
            protein = protein + strength[label] * ink
        body = canvas.grid.cytoplasm
        light[0] += vigour * (0.95 * tubules + 0.12 * body)
        light[1] += vigour * protein
        light[2] += vigour * _chromatin(canvas)
        light[3] += vigour * (0.7 * net + 0.08 * body)
    return _exposed(light, optics, rng)


def _chromatin(canvas: Canvas) -> Float32Array:
    if canvas.cell.is_mitotic:
        return np.asarray(canvas.grid.nucleus, np.float32)
    chromatin = 0.85 * paint("nucleoplasm", canvas) + 0.1 * canvas.grid.nucleus
    return np.asarray(chromatin, np.float32)


def _exposed(light: Float32Array, optics: Optics, rng: np.random.Generator) -> ByteArray:
    """Turn light into grey values: gain, background, photon noise, a bright end that saturates."""
    gain = np.asarray(optics.gain, np.float32)[:, None, None]
    background = np.asarray(optics.background, np.float32)[:, None, None]
    expected = np.clip(0.72 * gain * light + background, 0, None)
    noisy = rng.poisson(expected * optics.photons) / optics.photons
    noisy = noisy + rng.normal(0, 0.004, expected.shape)
    grey = np.clip(255 * noisy, 0, 255).round().astype(np.uint8)
    return np.ascontiguousarray(np.moveaxis(grey, 0, 2))


def _spaced(n: int, rng: np.random.Generator) -> FloatArray:
    """Draw points of the unit square that keep their distance (Mitchell's best candidate)."""
    chosen = rng.uniform(0.35, 0.65, (1, 2)) if n == 1 else rng.uniform(0.12, 0.88, (1, 2))
    while len(chosen) < n:
        offered = rng.uniform(0.1, 0.9, (20, 2))
        nearest = np.linalg.norm(offered[:, None] - chosen[None], axis=2).min(axis=1)
        chosen = np.vstack([chosen, offered[nearest.argmax()]])
    return chosen
