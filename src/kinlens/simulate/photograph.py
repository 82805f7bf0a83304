"""A photograph of a shell: pose, light, ground, scale bar and camera around the rendered shell.

`Scene` holds everything about a picture that has nothing to do with the specimen; `photograph`
puts specimen and scene together. Which scenes a world has is decided in `simulate.specimens`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit

from kinlens.errors import UsageError, did_you_mean
from kinlens.simulate.noise import noise_2d
from kinlens.simulate.raster import Lamp, openness, rasterise
from kinlens.simulate.scale_bar import draw_scale_bar
from kinlens.simulate.shading import Light, Seen, shade
from kinlens.simulate.shells import Shell
from kinlens.simulate.surface import ShellForm, shell_mesh
from kinlens.typing import ByteArray, Float32Array, FloatArray

__all__ = ["BACKGROUNDS", "VIEWS", "Ground", "Scene", "draw_scene", "photograph"]

VIEWS = {
    "apertural": np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]]),
    "abapertural": np.array([[-1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 1.0, 0.0]]),
    "apical": np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]),
}
"""Rows of each standard view: right, up and towards the viewer, in the frame of the shell."""


class Ground(NamedTuple):
    """What shells lie on.

    Parameters
    ----------
    colour : tuple of 3 floats
        Linear sRGB.
    contrast : float
        How far the grain is lighter and darker than that, as a share.
    grain : float
        Size of the grain, as a share of the picture's width.
    """

    colour: tuple[float, float, float]
    contrast: float
    grain: float


BACKGROUNDS = {
    "paper": Ground((0.72, 0.70, 0.64), 0.10, 0.012),
    "tray": Ground((0.30, 0.36, 0.42), 0.22, 0.016),
    "sand": Ground((0.50, 0.41, 0.29), 0.45, 0.010),
    "dark": Ground((0.012, 0.012, 0.014), 0.30, 0.030),
}
"""What shells lie on, by name."""

# Each output pixel is the mean of this many by this many rendered ones.
_SAMPLES = 2

# The sRGB transfer curve as a table: finer than any 8-bit step of it.
_LEVELS = np.linspace(0, 1, 8192)
_SRGB_CURVE = 255 * np.where(
    _LEVELS <= 0.0031308, 12.92 * _LEVELS, 1.055 * _LEVELS ** (1 / 2.4) - 0.055
).astype(np.float32)


@dataclass(frozen=True)
class Scene:
    """Everything about one picture that does not come from the specimen.

    Parameters
    ----------
    view : str
        A key of `VIEWS`.
    turn, nod, roll : float
        Deviation from the standard view, degrees: about the vertical, about the horizontal, and
        in the plane of the picture.
    fill : float
        Share of the picture's width that the shell takes.
    shift_right, shift_up : float
        Displacement from the middle, share of the width.
    light_azimuth, light_height : float
        Where the lamp is, degrees: direction in the plane of the picture (0 right, 90 up), and
        height above that plane.
    key, ambient : float
        Strength of the lamp and of the surround.
    warmth : float
        Colour cast: 0 neutral, positive warm, negative cold.
    background : str
        A key of `BACKGROUNDS`.
    bar_corner : int
        Where the scale bar is: 0 lower left, 1 lower right, 2 upper left, 3 upper right; -1 none.
    noise : float
        Standard deviation of the camera's noise, in steps of 255.
    blur : float
        Share of light that each pixel loses to its four neighbours.
    seed : int
        Seed of grain and noise.
    """

    view: str = "apertural"
    turn: float = 0.0
    nod: float = 0.0
    roll: float = 0.0
    fill: float = 0.76
    shift_right: float = 0.0
    shift_up: float = 0.0
    light_azimuth: float = 130.0
    light_height: float = 50.0
    key: float = 1.0
    ambient: float = 0.5
    warmth: float = 0.0
    background: str = "paper"
    bar_corner: int = 1
    noise: float = 2.0
    blur: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        for name, known in ((self.view, VIEWS), (self.background, BACKGROUNDS)):
            if name not in known:
                raise UsageError(
                    f"no such view or background: {name!r}. {did_you_mean(name, [*known])}"
                )

    def camera(self) -> FloatArray:
        """Return right, up and towards the viewer as rows in the frame of the shell, (3, 3)."""
        turn, nod, roll = (math.radians(angle) for angle in (self.turn, self.nod, self.roll))
        yaw = [[math.cos(turn), 0, math.sin(turn)], [0, 1, 0], [-math.sin(turn), 0, math.cos(turn)]]
        pitch = [[1, 0, 0], [0, math.cos(nod), -math.sin(nod)], [0, math.sin(nod), math.cos(nod)]]
        spin = [
            [math.cos(roll), -math.sin(roll), 0],
            [math.sin(roll), math.cos(roll), 0],
            [0, 0, 1],
        ]
        matrix: FloatArray = np.array(spin) @ np.array(pitch) @ np.array(yaw) @ VIEWS[self.view]
        return matrix

    def light(self) -> Light:
        """Return the lamp."""
        azimuth, height = math.radians(self.light_azimuth), math.radians(self.light_height)
        return Light(
            math.cos(azimuth) * math.cos(height),
            math.sin(azimuth) * math.cos(height),
            math.sin(height),
            self.key,
            self.ambient,
            0.005,
        )


def draw_scene(view: str, rng: np.random.Generator, *, jitter: float = 1.0) -> Scene:
    """Draw a scene at random, as if taken by one of many photographers.

    Parameters
    ----------
    view : str
        A key of `VIEWS`.
    rng : numpy.random.Generator
        Source of randomness.
    jitter : float
        Size of the deviations in pose and framing; 0 for none, 1 for a careful collection.
    """
    turn, nod, roll = (jitter * np.array([12.0, 8.0, 8.0]) * rng.standard_normal(3)).tolist()
    right, up = (jitter * 0.03 * rng.uniform(-1, 1, 2)).tolist()
    return Scene(
        view=view,
        turn=turn,
        nod=nod,
        roll=roll,
        fill=float(0.76 + jitter * rng.uniform(-0.06, 0.06)),
        shift_right=right,
        shift_up=up,
        light_azimuth=float(rng.normal(125, 30)),
        light_height=float(rng.uniform(42, 65)),
        key=float(rng.uniform(0.85, 1.15)),
        ambient=float(rng.uniform(0.4, 0.6)),
        warmth=float(rng.normal(0, 0.04)),
        background=str(rng.choice(list(BACKGROUNDS), p=[0.4, 0.25, 0.15, 0.2])),
        bar_corner=int(rng.choice([-1, 0, 1, 2, 3], p=[0.1, 0.3, 0.4, 0.1, 0.1])),
        noise=float(rng.uniform(1, 4)),
        blur=float(rng.uniform(0.02, 0.12)),
        seed=int(rng.integers(2**31)),
    )


def photograph(shell: Shell, scene: Scene, size: int = 128) -> ByteArray:
    """Take a picture of a shell.

    Parameters
    ----------
    shell : Shell
        The specimen.
    scene : Scene
        Pose, light, ground and camera.
    size : int
        Width and height in pixels, 16 or more.

    Returns
    -------
    array of uint8, shape (size, size, 3)
        sRGB.

    Examples
    --------
    >>> from kinlens.simulate.shells import TRAITS, shell_of
    >>> photograph(shell_of(np.zeros(len(TRAITS))), Scene(), 64).shape
    (64, 64, 3)
    """
    if size < 16:
        raise UsageError(f"a picture must be 16 pixels wide or more, not {size}.")
    fine = size * _SAMPLES
    camera, light = scene.camera(), scene.light()
    along, points = shell_mesh(shell.form, *_mesh_lines(shell.form, size))
    placed = points @ camera.T
    low, high = placed.min(axis=(0, 1)), placed.max(axis=(0, 1))
    pixels_per_unit = scene.fill * fine / max(high[0] - low[0], high[1] - low[1])
    placed -= (low + high) / 2
    placed *= pixels_per_unit * np.array([1.0, -1.0, 1.0])
    placed += fine * np.array([0.5 + scene.shift_right, 0.5 - scene.shift_up, 0.0])
    # Sunk a little into what it lies on, or pinned in a tray: shadows stay short.
    ground = -0.35 * float(high[2] - low[2]) * pixels_per_unit
    depth, seen_along, seen_around = rasterise(placed, along, fine)
    # Shadows are soft: the lamp sees enough at two thirds of the resolution.
    coarse = 2 * fine // 3
    to_lamp = _towards_lamp(placed, light, coarse)
    lamp_depth, _, _ = rasterise(placed @ to_lamp[:, :3].T + to_lamp[:, 3], along, coarse)
    open_sky = openness(depth, ground, max(fine // 48, 1), 1.4)
    open_sky *= openness(depth, ground, max(fine // 14, 1), 0.7)
    lamp = Lamp(lamp_depth, to_lamp)
    seen = Seen(depth, seen_along, seen_around, open_sky, lamp, camera, ground)
    picture = shade(seen, shell.form, shell.pattern, light)
    cast = np.array([1 + scene.warmth, 1.0, 1 - scene.warmth])
    exposed = _expose(picture, BACKGROUNDS[scene.background], cast, scene.seed)
    if scene.bar_corner >= 0:
        extent = max(high[0] - low[0], high[1] - low[1])
        # The named size is the shell's largest extent in space, whatever the view.
        largest = float(np.max(np.ptp(points.reshape(-1, 3), axis=0)))
        pixels_per_mm = scene.fill * size / extent * largest / shell.size
        draw_scale_bar(exposed, pixels_per_mm, scene.bar_corner)
    return _develop(exposed, scene)


def _mesh_lines(form: ShellForm, size: int) -> tuple[int, int]:
    """Return how many grid lines along and around the tube make a smooth outline.

    Normals and colours are computed anew in each pixel, so the mesh carries the outline alone.
    """
    finer = math.sqrt(max(size, 128) / 128)
    per_whorl, sides = 26 * finer, 30 * finer
    # What stands out far enough to be seen in the outline needs a few lines for each wave.
    for height, count in ((form.ribs, form.rib_count), (form.spines, form.spine_count)):
        if height > 0.03:
            per_whorl = max(per_whorl, 4 * count)
    if form.cords > 0.03:
        sides = max(sides, 3 * form.cord_count)
    return max(48, int(form.turns / (2 * math.pi) * per_whorl)), int(sides)


def _towards_lamp(placed: FloatArray, light: Light, size: int) -> FloatArray:
    """Return the transformation from the picture to what the lamp sees, shape (3, 4)."""
    towards = np.array([light.x, -light.y, light.z])
    right = np.cross([0.0, 1.0, 0.0], towards)
    right /= np.linalg.norm(right)
    axes = np.stack([right, np.cross(towards, right), towards])
    corners = (placed @ axes.T).reshape(-1, 3)
    low, high = corners.min(axis=0), corners.max(axis=0)
    scale = 0.96 * size / max(high[0] - low[0], high[1] - low[1])
    matrix = np.empty((3, 4))
    matrix[:, :3] = axes * scale
    matrix[:, 3] = [size / 2 - scale * (low[k] + high[k]) / 2 for k in (0, 1)] + [0.0]
    return matrix


@njit(cache=True)
def _expose(picture: Float32Array, ground: Ground, cast: FloatArray, seed: int) -> Float32Array:
    """Put the ground under the shell, take means over samples, and return linear light."""
    size = picture.shape[0] // _SAMPLES
    exposed = np.empty((size, size, 3), dtype=np.float32)
    per_pixel = 1 / (ground.grain * size)
    for y in range(size):
        for x in range(size):
            # Two lattices at an angle, so that neither shows.
            u, v = (0.8 * x - 0.6 * y) * per_pixel, (0.6 * x + 0.8 * y) * per_pixel
            texture = 0.6 * noise_2d(u, v, seed + 1) + 0.4 * noise_2d(v / 6, u / 6, seed)
            brightness = 1 + ground.contrast * (2 * texture - 1)
            # Lenses give less light to the corners.
            falloff = 1 - 0.25 * ((x / size - 0.5) ** 2 + (y / size - 0.5) ** 2)
            for channel in range(3):
                total = 0.0
                for i in range(_SAMPLES):
                    for j in range(_SAMPLES):
                        sample = picture[_SAMPLES * y + i, _SAMPLES * x + j]
                        is_shell = sample[3] > 0
                        below = 1.0 if is_shell else ground.colour[channel] * brightness
                        total += sample[channel] * below
                exposed[y, x, channel] = cast[channel] * falloff * total / (_SAMPLES * _SAMPLES)
    return exposed


def _develop(exposed: Float32Array, scene: Scene) -> ByteArray:
    """Turn linear light into an 8-bit sRGB picture, with the camera's blur and noise."""
    edged = np.pad(exposed, ((1, 1), (1, 1), (0, 0)), mode="edge")
    around = edged[:-2, 1:-1] + edged[2:, 1:-1] + edged[1:-1, :-2] + edged[1:-1, 2:]
    light = np.clip((1 - 4 * scene.blur) * exposed + scene.blur * around, 0.0, 1.0)
    encoded = _SRGB_CURVE[(light * (len(_SRGB_CURVE) - 1) + 0.5).astype(np.int32)]
    rng = np.random.default_rng(scene.seed)
    noise = rng.standard_normal(encoded.shape, dtype=np.float32) * np.float32(scene.noise)
    return np.clip(encoded + noise + 0.5, 0, 255).astype(np.uint8)
