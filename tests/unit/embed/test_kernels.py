"""The loops behind the descriptors, against planted pictures and plain NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from skimage.color import rgb2lab

from kinlens.embed.kernels import colour, foreground, shape, texture
from kinlens.embed.kernels.pixels import blurred, lab_planes

SIZE = 128
ROWS, COLUMNS = np.mgrid[:SIZE, :SIZE].astype(float)


def disc(y: float = 64, x: float = 64, radius: float = 30) -> np.ndarray:
    return ((ROWS - y) ** 2 + (COLUMNS - x) ** 2 <= radius**2).astype(np.float32)


def planes_of(*bands: np.ndarray) -> np.ndarray:
    return np.stack([np.broadcast_to(band, (SIZE, SIZE)) for band in bands]).astype(np.float32)


def mask_of(planes: np.ndarray) -> np.ndarray:
    return foreground.foreground_mask(planes, *foreground.ground(planes))


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    return float(((a > 0.5) & (b > 0.5)).sum() / ((a > 0.5) | (b > 0.5)).sum())


def test_lab_agrees_with_scikit_image(rng: np.random.Generator) -> None:
    pixels = rng.integers(0, 256, (40, 30, 3), dtype=np.uint8)
    pixels[0, :2] = [[0, 0, 0], [255, 255, 255]]
    expected = np.moveaxis(rgb2lab(pixels), 2, 0)
    np.testing.assert_allclose(lab_planes(pixels), expected, atol=0.05)


def test_blur_agrees_with_scipy(rng: np.random.Generator) -> None:
    plane = rng.random((SIZE, SIZE)).astype(np.float32)
    expected = ndimage.gaussian_filter(plane, 2.0, mode="nearest", truncate=3.0)
    np.testing.assert_allclose(blurred(plane, 2.0), expected, atol=1e-5)


class TestForeground:
    @pytest.mark.parametrize(
        ("ground", "specimen", "noise"),
        [((97, 0, 0), (20, 5, 10), 0), ((5, 0, 0), (60, 20, 40), 0), ((55, 5, 20), (20, 30, 0), 2)],
        ids=["white", "dark", "noisy sand"],
    )
    def test_planted_disc_is_found(self, ground, specimen, noise, rng) -> None:
        planted = disc()
        planes = planes_of(
            *(np.where(planted, s, g) for s, g in zip(specimen, ground, strict=True))
        )
        planes += rng.normal(0, noise, planes.shape).astype(np.float32) if noise else 0
        assert overlap(mask_of(planes), planted) > 0.97

    @pytest.mark.parametrize("turns", range(4))
    def test_ground_is_the_commonest_border_colour(self, turns: int) -> None:
        light = np.rot90(np.where(COLUMNS < 30, 10, 80), turns)
        planes = planes_of(light, 0 * ROWS, 0 * ROWS)
        colour_found, share, spread = foreground.ground(planes)
        np.testing.assert_allclose(colour_found, [80, 0, 0], atol=1e-4)
        assert 0.6 < share < 0.8
        assert spread == pytest.approx(0, abs=1e-4)

    def test_hole_of_the_grounds_colour_is_specimen(self) -> None:
        planes = planes_of(np.where(disc(radius=40) - disc(radius=10), 20, 97), 0 * ROWS, 0 * ROWS)
        assert mask_of(planes)[64, 64] == 1

    def test_specks_and_lettering_are_dropped(self) -> None:
        light = np.where(disc(), 20, 97)
        light[5:8, 90:120] = 0
        mask = mask_of(planes_of(light, 0 * ROWS, 0 * ROWS))
        assert mask[5:8, 90:120].max() == 0
        assert mask[64, 64] == 1

    def test_two_wings_are_both_kept(self) -> None:
        light = np.where(disc(35, 64, 25) + disc(95, 64, 18), 20, 97)
        mask = mask_of(planes_of(light, 0 * ROWS, 0 * ROWS))
        assert mask[35, 64] == mask[95, 64] == 1

    def test_border_without_a_common_colour_makes_everything_specimen(self, rng) -> None:
        assert mask_of(rng.uniform(0, 100, (3, SIZE, SIZE)).astype(np.float32)).min() == 1

    def test_blank_picture_is_all_specimen(self) -> None:
        assert mask_of(planes_of(97, 0, 0)).min() == 1

    def test_window_holds_the_specimen_and_ignores_a_thin_tail(self) -> None:
        mask = np.zeros((SIZE, SIZE), np.float32)
        mask[20:80, 40:70] = 1
        y, x, side = foreground.foreground_window(mask, 0.0, 1.0)
        assert (y, x, side) == pytest.approx((50, 55, 60))
        mask[80:127, 55] = 1
        assert foreground.foreground_window(mask, 0.05, 1.0)[2] < 60

    def test_window_is_never_tiny_nor_larger_than_the_picture(self) -> None:
        assert foreground.foreground_window(disc(radius=2), 0.05, 1.15)[2] == pytest.approx(128 / 3)
        full = np.ones((SIZE, SIZE), np.float32)
        assert foreground.foreground_window(full, 0.05, 1.5)[2] == 128

    def test_bells_of_a_window_each_weigh_one(self) -> None:
        weights = foreground.window_weights(SIZE, 64, 60, 6)
        np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-4)
        np.testing.assert_allclose(
            weights @ np.arange(0.5, SIZE), 34 + 10 * np.arange(6) + 5, atol=0.01
        )


class TestShape:
    windows = (
        foreground.window_weights(SIZE, 64, SIZE, 4),
        foreground.window_weights(SIZE, 64, SIZE, 4),
    )

    def gradients(self, plane: np.ndarray) -> np.ndarray:
        weight = np.ones((SIZE, SIZE), np.float32)
        return shape.oriented_gradients(plane.astype(np.float32), weight, 8, *self.windows)

    @pytest.mark.parametrize("direction", range(8))
    def test_an_edge_counts_towards_its_own_direction(self, direction: int) -> None:
        angle = 2 * np.pi * direction / 8
        ramp = (COLUMNS - 64) * np.cos(angle) + (ROWS - 64) * np.sin(angle)
        found = self.gradients(np.clip(ramp, -10, 10)).sum(axis=(0, 1))
        assert found.argmax() == direction
        assert found[(direction + 4) % 8] == 0

    def test_an_edge_counts_where_it_is(self) -> None:
        found = self.gradients(np.where(COLUMNS < 16, 0, 50)).sum(axis=2)
        assert (found.argmax(axis=1) == 0).all()
        assert found[:, 3].max() < 1e-3 * found[:, 0].max()

    def test_a_ramp_has_its_slope_everywhere(self) -> None:
        found = self.gradients(3 * COLUMNS)
        np.testing.assert_allclose(found[1:3, 1:3, 0], 6, rtol=0.01)

    def test_outline_of_a_disc_is_one(self) -> None:
        np.testing.assert_allclose(shape.outline(disc(50, 70, 35), 36), 1, atol=0.03)

    def test_outline_of_an_ellipse_has_its_axes(self) -> None:
        ellipse = ((COLUMNS - 64) / 50) ** 2 + ((ROWS - 64) / 20) ** 2 <= 1
        reach = shape.outline(ellipse.astype(np.float32), 4)
        radius = np.sqrt(50 * 20)
        assert reach.max() == pytest.approx(50 / radius, rel=0.02)

    def test_moments_of_a_disc_are_known(self) -> None:
        moments = shape.normalised_moments(disc(60, 60, 40))
        assert moments[0] == pytest.approx(np.pi * 40**2 / SIZE**2, rel=0.01)
        # Every central second moment of a disc is area^2 / (4 pi).
        np.testing.assert_allclose(moments[[1, 3]], 1 / (4 * np.pi), rtol=0.01)
        np.testing.assert_allclose(moments[[2, 4, 5, 6, 7]], 0, atol=1e-6)

    def test_hu_invariants_do_not_turn_move_or_grow(self) -> None:
        comma = np.maximum(disc(50, 50, 18), disc(62, 66, 9))
        turned = np.rot90(np.roll(comma, 12, axis=1)).copy()
        grown = ndimage.zoom(comma, 1.6, order=1)[20:148, 20:148]
        expected = shape.normalised_moments(comma)[8:]
        np.testing.assert_allclose(shape.normalised_moments(turned)[8:], expected, rtol=1e-3)
        np.testing.assert_allclose(
            shape.normalised_moments(grown)[8:14], expected[:6], rtol=0.08, atol=2e-3
        )

    def test_mirror_image_changes_only_the_sign_of_the_last_invariant(self) -> None:
        comma = np.maximum(np.maximum(disc(50, 50, 18), disc(62, 70, 9)), disc(70, 46, 7))
        mirrored = shape.normalised_moments(comma[:, ::-1].copy())[8:]
        expected = shape.normalised_moments(comma)[8:]
        np.testing.assert_allclose(mirrored[:6], expected[:6], rtol=1e-3, atol=1e-5)
        assert abs(expected[6]) > 1e-4
        assert mirrored[6] == pytest.approx(-expected[6], rel=1e-3)


class TestColour:
    def test_grid_agrees_with_numpy(self, rng: np.random.Generator) -> None:
        planes = rng.uniform(0, 100, (2, SIZE, SIZE)).astype(np.float32)
        mask = rng.uniform(0, 1, (SIZE, SIZE)).astype(np.float32)
        down, across = (foreground.window_weights(SIZE, 64, 100, 4) for _ in range(2))
        mean, spread, coverage = colour.masked_grid(planes, mask, down, across)
        overall = (planes * mask).sum(axis=(1, 2)) / mask.sum()
        weight = down[1][:, None] * across[2][None] * mask
        total = weight.sum()
        expected = ((planes * weight).sum(axis=(1, 2)) + 0.15 * overall) / (total + 0.15)
        squares = (weight * (planes - expected[:, None, None]) ** 2).sum(axis=(1, 2)) / (
            total + 0.15
        )
        assert coverage[1, 2] == pytest.approx(total, rel=1e-4)
        np.testing.assert_allclose(mean[1, 2], expected, rtol=1e-4)
        np.testing.assert_allclose(spread[1, 2], np.sqrt(squares), rtol=1e-3)

    def test_cell_without_specimen_takes_the_overall_mean(self) -> None:
        planes = planes_of(np.where(disc(30, 30, 20), 40, 90))
        windows = [foreground.window_weights(SIZE, 64, SIZE, 8)] * 2
        mean, spread, coverage = colour.masked_grid(planes, disc(30, 30, 20), *windows)
        assert coverage[7, 7] == pytest.approx(0, abs=1e-6)
        assert mean[7, 7, 0] == pytest.approx(40, abs=1e-3)
        assert spread[7, 7, 0] == pytest.approx(0, abs=0.05)

    def test_histogram_puts_a_lattice_colour_into_one_bin(self) -> None:
        found = colour.colour_histogram(planes_of(100 / 7 * 3, 10, 15), disc(), 8, 5)
        assert found[3, 2, 2] == pytest.approx(1, abs=1e-4)

    def test_histogram_shares_a_colour_between_its_neighbours(self) -> None:
        found = colour.colour_histogram(planes_of(100 / 7 * 3.25, 10, 15), disc(), 8, 5)
        assert found[3, 2, 2] == pytest.approx(0.75, abs=1e-3)
        assert found[4, 2, 2] == pytest.approx(0.25, abs=1e-3)

    def test_intensity_histogram_is_per_plane(self) -> None:
        found = colour.intensity_histograms(planes_of(0, 100), disc(), 16)
        assert found[0, 0] == pytest.approx(1)
        assert found[1, 15] == pytest.approx(1)

    def test_rings_follow_a_radial_gradient(self) -> None:
        distance = np.hypot(ROWS - 64, COLUMNS - 64)
        found = colour.ring_means(planes_of(distance), disc(radius=40), 8)
        expected = np.arange(8) * 2 / 7 * 40
        # A ring holds more pixels on its outer side.
        np.testing.assert_allclose(found[0, 1:4], expected[1:4], rtol=0.2)
        # Nothing lies beyond the disc: the mean radius of a disc.
        assert found[0, 7] == pytest.approx(2 / 3 * 40, rel=0.01)

    def test_correlations_agree_with_numpy(self, rng: np.random.Generator) -> None:
        a = rng.normal(50, 10, (SIZE, SIZE))
        planes = planes_of(a, -a + rng.normal(0, 5, a.shape), 7)
        expected = np.corrcoef(planes[0].ravel(), planes[1].ravel())[0, 1]
        found = colour.plane_correlations(planes, np.ones((SIZE, SIZE), np.float32))
        np.testing.assert_allclose(found, [expected, 0, 0], atol=1e-4)


class TestTexture:
    def test_flat_picture_has_no_lighter_neighbours(self) -> None:
        found = texture.local_patterns(planes_of(50)[0], disc(), 1)
        assert found[0] == pytest.approx(1)

    def test_edge_has_three_lighter_neighbours_on_its_dark_side(self) -> None:
        edge = planes_of(np.where(COLUMNS < 64, 10, 60))[0]
        mask = np.zeros((SIZE, SIZE), np.float32)
        mask[20:100, 63] = 1
        assert texture.local_patterns(edge, mask, 1)[3] == pytest.approx(1)

    def test_patterns_do_not_turn(self, rng: np.random.Generator) -> None:
        plane = ndimage.gaussian_filter(rng.random((SIZE, SIZE)) * 500, 2).astype(np.float32)
        turned = np.rot90(plane).copy()
        for radius in (1, 2, 4):
            np.testing.assert_allclose(
                texture.local_patterns(plane, disc(63.5, 63.5), radius),
                texture.local_patterns(turned, disc(63.5, 63.5), radius),
                atol=1e-6,
            )

    @pytest.mark.parametrize(("slope", "level"), [(0.01, 0), (0.125, 0), (2, 4), (16, 7), (90, 7)])
    def test_steepness_counts_doublings(self, slope: float, level: int) -> None:
        found = texture.gradient_magnitudes((COLUMNS * slope).astype(np.float32), disc(), 8)
        assert found[level] == pytest.approx(1, abs=1e-3)
