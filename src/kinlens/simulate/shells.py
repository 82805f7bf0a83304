"""From trait values to a shell: where in Raup's space, with which relief and which colours.

Traits are plain numbers around 0; every one of them moves one visible thing, smoothly and within
what real shells do. How traits evolve is in `simulate.traits`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from kinlens.errors import UsageError
from kinlens.simulate.shading import Pattern
from kinlens.simulate.surface import ShellForm
from kinlens.typing import FloatArray

__all__ = ["TRAITS", "Shell", "raup_parameters", "shell_of"]

TRAITS = {
    "expansion": "whorl expansion, Raup's W: from many-whorled through snail-like to limpet-like",
    "umbilicus": "distance of the tube from the axis, Raup's D",
    "spire": "descent along the axis, Raup's T: from flat coil to tower",
    "aperture": "height of the aperture over its width, Raup's S",
    "siphon": "length of the canal at the base of the aperture",
    "shoulder": "angularity of the whorls",
    "slant": "how far growth lines and ribs lean back",
    "ribs": "height of the axial ribs",
    "cords": "height of the spiral cords",
    "spines": "height of the nodes or spines on the shoulder",
    "relief_scale": "number of ribs, cords and spines",
    "hue": "hue of the ground colour, from rose through ochre to olive",
    "chroma": "strength of the ground colour",
    "lightness": "lightness of the ground colour",
    "contrast": "how much darker the markings are",
    "bands": "strength of spiral colour bands",
    "flames": "strength of axial colour flames",
    "spots": "strength of colour spots",
    "pattern_scale": "number of bands, flames and spots",
    "gloss": "shine of the surface",
    "size": "size of the grown shell",
}
"""Each trait and what it does. Values are in about standard deviations; 0 is typical."""

# Beyond this many units a trait stops having more effect, so that no shell leaves the plausible.
_LIMIT = 2.6


@dataclass(frozen=True)
class Shell:
    """One shell, ready to be drawn.

    Parameters
    ----------
    form : ShellForm
        Its surface.
    pattern : Pattern
        Its colours.
    size : float
        Its largest extent, millimetres.
    """

    form: ShellForm
    pattern: Pattern
    size: float


def raup_parameters(traits: FloatArray) -> dict[str, float]:
    """Return the coiling parameters that trait values stand for.

    W follows ``ln W = 0.58 exp(0.6 expansion)``, from 1.15 (towers) to about 12 (limpets). D stays
    below 0.8 / W, where whorls would part in a flat coil. T goes from 0 to the value at which
    consecutive whorls, taken as ellipses, would just touch: ``S sqrt((0.92 (W + 1) / ((W - 1)
    R))^2 - 1)`` with ``R = (1 + D) / (1 - D)``.

    Parameters
    ----------
    traits : array of float, shape (len(TRAITS),)
        One value per trait, in the order of `TRAITS`.

    Returns
    -------
    dict
        ``W``, ``D``, ``T`` and ``S``.

    References
    ----------
    Raup (1966) J. Paleontol. 40:1178.

    Examples
    --------
    >>> {name: round(value, 2) for name, value in raup_parameters(np.zeros(21)).items()}
    {'W': 1.79, 'D': 0.07, 'T': 1.75, 'S': 1.1}
    """
    value = _limited(traits)
    expansion = math.exp(0.58 * math.exp(0.6 * value["expansion"]))
    umbilicus = 0.8 / expansion * _logistic(1.3 * value["umbilicus"] - 1.7)
    aspect = 1.1 * math.exp(0.27 * value["aperture"])
    offset = (1 + umbilicus) / (1 - umbilicus)
    touching = 0.92 * (expansion + 1) / ((expansion - 1) * offset)
    # Where one whorl is nearly all there is, nothing has to touch; some descent stays possible.
    steepest = math.sqrt(max(touching**2 - 1, 0.2))
    return {
        "W": expansion,
        "D": umbilicus,
        "T": aspect * steepest * _logistic(1.2 * value["spire"] + 0.4),
        "S": aspect,
    }


def shell_of(traits: FloatArray, *, age: float = 1.0, phase: float = 0.0, seed: int = 0) -> Shell:
    """Build the shell that trait values stand for.

    Parameters
    ----------
    traits : array of float, shape (len(TRAITS),)
        One value per trait, in the order of `TRAITS`; beyond about 2.5 either way a trait has
        hardly more effect.
    age : float
        Size over the size of the grown shell, above 0 to 1; a young shell has fewer whorls and no
        widened lip.
    phase : float
        Where the axial pattern happens to start, radians.
    seed : int
        Seed of the irregularities of the pattern.

    Examples
    --------
    >>> shell = shell_of(np.zeros(len(TRAITS)))
    >>> round(shell.form.turns / (2 * math.pi), 1), round(shell.size)
    (7.3, 24)
    """
    if not 0 < age <= 1:
        raise UsageError(f"age must be above 0 and at most 1, not {age:g}.")
    raup = raup_parameters(traits)
    value = _limited(traits)
    return Shell(
        _form(value, raup, age),
        _pattern(value, phase, seed),
        age * 24 * math.exp(0.5 * value["size"]),
    )


def _form(value: dict[str, float], raup: dict[str, float], age: float) -> ShellForm:
    log_expansion = math.log(raup["W"])
    # The embryonic shell is 1/70 of the grown one; towers lose their tips, as real ones do.
    turns = min(math.log(70) / log_expansion, 11.0) + math.log(age) / log_expansion
    offset = (1 + raup["D"]) / (1 - raup["D"])
    # A canal along the axis needs a spire to run under, a shoulder a tube that is not a bowl.
    coiled = _logistic(6 - 2.2 * log_expansion)
    hanging = _smooth(raup["T"] / raup["S"], 0.3, 1.1)
    finer = math.exp(0.33 * value["relief_scale"])
    return ShellForm(
        growth=log_expansion / (2 * math.pi),
        turns=2 * math.pi * max(turns, 0.2),
        offset=offset,
        drop=raup["T"] * offset,
        height=raup["S"],
        tilt=0.12 * value["slant"],
        slant=0.18 + 0.08 * value["slant"],
        siphon=1.1 * _above(value["siphon"], 0.5) * hanging * coiled,
        shoulder=0.28 * _above(value["shoulder"], 0.2) * coiled,
        ribs=0.16 * _above(value["ribs"], 0.3),
        rib_count=15 * finer,
        cords=0.07 * _above(value["cords"], 0.3),
        cord_count=15 * finer,
        spines=0.42 * _above(value["spines"], 0.8) * coiled,
        spine_count=8.5 * math.sqrt(finer),
        flare=0.12 * _smooth(age, 0.85, 1.0) * coiled,
        lip=0.07,
    )


def _pattern(value: dict[str, float], phase: float, seed: int) -> Pattern:
    hue = 70 + 17 * value["hue"]
    chroma = 27 + 8.5 * value["chroma"]
    lightness = 65 + 10 * value["lightness"]
    darker = 30 + 9 * value["contrast"]
    finer = math.exp(0.3 * value["pattern_scale"])
    return Pattern(
        ground=_linear_rgb(lightness, chroma, hue),
        mark=_linear_rgb(max(lightness - darker, 14), 0.5 * chroma + 18, hue - 18),
        inside=_linear_rgb(84, 8 + 0.25 * chroma, hue - 12),
        bands=_smooth(value["bands"], -0.1, 0.9),
        band_count=4 * finer,
        band_phase=1.5,
        flames=_smooth(value["flames"], 0.0, 1.0),
        flame_count=9 * finer,
        flame_wave=0.9,
        spots=_smooth(value["spots"], 0.1, 1.1),
        spot_count=14 * finer,
        wear=0.45,
        gloss=_logistic(1.3 * value["gloss"] - 0.4),
        phase=phase,
        seed=seed,
    )


def _limited(traits: FloatArray) -> dict[str, float]:
    if np.shape(traits) != (len(TRAITS),):
        raise UsageError(f"a shell needs {len(TRAITS)} trait values, not {np.shape(traits)}.")
    limited = _LIMIT * np.tanh(np.asarray(traits) / _LIMIT)
    return dict(zip(TRAITS, limited.tolist(), strict=True))


def _logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def _above(x: float, threshold: float) -> float:
    """Return about x - threshold above it, 0 well below, and a smooth way between."""
    height = math.log1p(math.exp(4 * (x - threshold))) / 4
    # What cannot be seen is not there: a relief of exactly 0 costs nothing to draw.
    return max(height - 0.03, 0.0)


def _smooth(x: float, low: float, high: float) -> float:
    share = min(max((x - low) / (high - low), 0.0), 1.0)
    return share * share * (3 - 2 * share)


def _linear_rgb(lightness: float, chroma: float, hue: float) -> tuple[float, float, float]:
    """Turn CIE L*, C* and h (degrees, D65) into linear sRGB, clipped to its range."""
    angle = math.radians(hue)
    fy = (lightness + 16) / 116
    fx = fy + chroma * math.cos(angle) / 500
    fz = fy - chroma * math.sin(angle) / 200
    white = (0.95047, 1.0, 1.08883)
    x, y, z = (
        w * (f**3 if f > 6 / 29 else 3 * (6 / 29) ** 2 * (f - 4 / 29))
        for w, f in zip(white, (fx, fy, fz), strict=True)
    )
    red = 3.2404542 * x - 1.5371385 * y - 0.4985314 * z
    green = -0.9692660 * x + 1.8760108 * y + 0.0415560 * z
    blue = 0.0556434 * x - 0.2040259 * y + 1.0572252 * z
    return (min(max(red, 0.0), 1.0), min(max(green, 0.0), 1.0), min(max(blue, 0.0), 1.0))
