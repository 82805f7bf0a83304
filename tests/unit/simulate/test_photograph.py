"""Pictures: what is nearest is seen, light comes from the lamp, the scale bar tells the truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import uniform_filter

from kinlens.errors import UsageError
from kinlens.simulate.noise import lattice_value, noise_1d, noise_2d
from kinlens.simulate.photograph import BACKGROUNDS, VIEWS, Scene, draw_scene, photograph
from kinlens.simulate.raster import blurred, openness, rasterise
from kinlens.simulate.shells import TRAITS, shell_of

SHELL = shell_of(np.zeros(len(TRAITS)))
PLAIN = Scene(background="dark", bar_corner=-1, noise=0.0)


def test_the_nearer_of_two_sheets_is_seen() -> None:
    # One strip folded at its lower edge: a level sheet, and one that slopes through it.
    def row(y: float, left: float, right: float) -> list[tuple[float, float, float]]:
        return [(0.0, y, left), (16.0, y, right)]

    strip = np.array([row(0, 1, 1), row(16, 1, 1), row(16, 3, -1), row(0, 3, -1)])
    level, _, _ = rasterise(strip[:2], np.array([0.0, 1.0]), 16)
    assert np.all(level == 1.0)
    depth, along, around = rasterise(strip, np.array([0.0, 1.0, 10.0, 11.0]), 16)
    assert np.all(along[:, :8] >= 10)
    assert np.all(along[:, 8:] <= 1)
    middles = (np.arange(16) + 0.5) / 16
    np.testing.assert_allclose(depth[3], np.maximum(3 - 4 * middles, 1), atol=1e-5)
    np.testing.assert_allclose(along[:, 12], middles, atol=1e-5)
    np.testing.assert_allclose(around[5], 2 * np.pi * middles - np.pi, atol=1e-5)


def test_nothing_is_seen_where_there_is_nothing() -> None:
    corners = np.array([[[4, 4, 0], [8, 4, 0]], [[4, 8, 0], [8, 8, 0]]], dtype=float)
    depth, _, _ = rasterise(corners, np.array([0.0, 1.0]), 16)
    assert np.isfinite(depth).sum() == 16
    assert np.isfinite(depth[4:8, 4:8]).all()


def test_blur_is_a_running_mean(rng: np.random.Generator) -> None:
    values = rng.random((40, 40)).astype(np.float32)
    np.testing.assert_allclose(
        blurred(values, 3), uniform_filter(values, 7, mode="nearest"), atol=1e-5
    )


def test_a_pit_is_less_open_than_the_plain() -> None:
    depth = np.full((40, 40), 10.0, dtype=np.float32)
    depth[15:25, 15:25] = 0.0
    light = openness(depth, 0.0, 6, 1.0)
    assert light[20, 20] < 0.6 < 0.95 < light[2, 2]


def test_noise_is_smooth_and_even(rng: np.random.Generator) -> None:
    draws = np.array([lattice_value(i, j, 7) for i in range(-50, 50) for j in range(60)])
    assert draws.mean() == pytest.approx(0.5, abs=0.02)
    assert draws.std() == pytest.approx(np.sqrt(1 / 12), abs=0.01)
    assert abs(np.corrcoef(draws[1:], draws[:-1])[0, 1]) < 0.05
    for x, y in rng.uniform(-20, 20, (50, 2)):
        assert abs(noise_2d(x, y, 1) - noise_2d(x + 1e-4, y + 1e-4, 1)) < 1e-3
        assert noise_2d(np.floor(x), np.floor(y), 1) == lattice_value(
            int(np.floor(x)), int(np.floor(y)), 1
        )
        assert abs(noise_1d(x, 2) - noise_1d(x + 1e-4, 2)) < 1e-3


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("background", BACKGROUNDS)
def test_every_view_on_every_ground_shows_a_shell(view: str, background: str) -> None:
    picture = photograph(SHELL, Scene(view=view, background=background), 48)
    assert picture.shape == (48, 48, 3)
    assert picture.dtype == np.uint8
    middle = picture[12:36, 12:36].reshape(-1, 3).astype(float)
    edge = np.concatenate([picture[:3], picture[-3:]]).reshape(-1, 3).astype(float)
    assert np.linalg.norm(middle.mean(axis=0) - edge.mean(axis=0)) > 8
    assert middle.std() > 10


def test_the_shell_takes_the_share_of_the_picture_that_was_asked() -> None:
    # Neither shadow nor ground can be seen on black velvet: what is bright is shell.
    for fill in (0.5, 0.8):
        bright = photograph(SHELL, replace(PLAIN, fill=fill, blur=0.0), 96).max(axis=2) > 60
        rows, columns = np.flatnonzero(bright.any(axis=1)), np.flatnonzero(bright.any(axis=0))
        assert max(np.ptp(rows), np.ptp(columns)) + 1 == pytest.approx(fill * 96, abs=4)


def test_the_same_scene_gives_the_same_bytes() -> None:
    scene = draw_scene("apertural", np.random.default_rng(4))
    assert photograph(SHELL, scene, 40).tobytes() == photograph(SHELL, scene, 40).tobytes()
    other = replace(scene, seed=scene.seed + 1)
    assert photograph(SHELL, scene, 40).tobytes() != photograph(SHELL, other, 40).tobytes()


def test_light_comes_from_where_the_lamp_is() -> None:
    def brightness(azimuth: float) -> np.ndarray:
        scene = replace(PLAIN, view="abapertural", light_azimuth=azimuth, light_height=35)
        return photograph(SHELL, scene, 64).astype(float).mean(axis=2)

    from_right, from_left = brightness(0), brightness(180)
    assert from_right[:, 40:].mean() > 1.1 * from_left[:, 40:].mean()
    assert from_left[:, :24].mean() > 1.1 * from_right[:, :24].mean()


def test_the_shadow_falls_away_from_the_lamp() -> None:
    scene = replace(PLAIN, background="paper", light_azimuth=90, light_height=45, fill=0.5)
    picture = photograph(SHELL, scene, 64).astype(float).mean(axis=2)
    # Lamp above: the ground right under the shell is darker than right over it.
    below, above = picture[50:56, 24:40].mean(), picture[8:14, 24:40].mean()
    assert below < 0.9 * above


def test_turning_the_camera_keeps_right_angles() -> None:
    camera = Scene(turn=20, nod=-15, roll=40, view="apical").camera()
    np.testing.assert_allclose(camera @ camera.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(camera) == pytest.approx(1)


@pytest.mark.parametrize("size", [0.0, 1.0, -1.5])
def test_the_scale_bar_tells_the_size(size: float) -> None:
    traits = np.zeros(len(TRAITS))
    traits[list(TRAITS).index("size")] = size
    shell = shell_of(traits)
    scene = replace(PLAIN, bar_corner=0, blur=0.0)
    with_bar = photograph(shell, scene, 256).astype(int)
    without = photograph(shell, replace(scene, bar_corner=-1), 256).astype(int)
    changed = np.abs(with_bar - without).max(axis=2) > 40
    bar = np.count_nonzero(changed[np.flatnonzero(changed.any(axis=1))[-1]])
    # The typical shell is about as high as it is wide; its largest extent spans `fill` of 256.
    pixels_per_mm = scene.fill * 256 / shell.size
    length = bar / pixels_per_mm
    nearest = min((0.5, 1, 2, 5, 10, 20, 50, 100), key=lambda mm: abs(mm - length))
    assert length == pytest.approx(nearest, rel=0.06)


def test_scenes_differ_and_jitter_is_optional(rng: np.random.Generator) -> None:
    scenes = [draw_scene("apical", rng) for _ in range(60)]
    assert {scene.background for scene in scenes} == set(BACKGROUNDS)
    assert {scene.bar_corner for scene in scenes} == {-1, 0, 1, 2, 3}
    assert np.std([scene.turn for scene in scenes]) == pytest.approx(12, rel=0.35)
    still = draw_scene("apical", rng, jitter=0.0)
    assert (still.turn, still.nod, still.roll, still.shift_right) == (0, 0, 0, 0)


def test_unknown_words_and_tiny_pictures_are_refused() -> None:
    with pytest.raises(UsageError, match="apertural"):
        Scene(view="apertura")
    with pytest.raises(UsageError, match="'grass'"):
        Scene(background="grass")
    with pytest.raises(UsageError, match="16 pixels"):
        photograph(SHELL, PLAIN, 8)
