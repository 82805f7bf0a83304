"""The shell's surface against the geometry that Raup's four numbers stand for."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kinlens.simulate.surface import ShellForm, sculpture, shell_mesh, surface_point


def form(expansion: float, offset: float, drop: float, height: float = 1.0) -> ShellForm:
    """A smooth, untilted shell of five whorls."""
    return ShellForm(
        growth=math.log(expansion) / (2 * math.pi),
        turns=10 * math.pi,
        offset=offset,
        drop=drop,
        height=height,
        tilt=0.0,
        slant=0.0,
        siphon=0.0,
        shoulder=0.0,
        ribs=0.0,
        rib_count=12.0,
        cords=0.0,
        cord_count=9.0,
        spines=0.0,
        spine_count=7.0,
        flare=0.0,
        lip=0.05,
    )


def test_one_whorl_earlier_is_the_same_point_divided_by_w() -> None:
    shell = form(2.3, 1.4, 2.0)
    for along, around in ((-0.5, 0.3), (-4.0, 2.0), (-9.0, -1.2)):
        now = np.array(surface_point(along, around, shell))
        earlier = np.array(surface_point(along - 2 * math.pi, around, shell))
        np.testing.assert_allclose(earlier * 2.3, now, atol=1e-12)


def test_inner_over_outer_margin_is_d_and_descent_is_t() -> None:
    d, t = 0.25, 1.8
    offset = (1 + d) / (1 - d)
    shell = form(2.0, offset, t * offset)
    inner = np.hypot(*surface_point(0.0, math.pi, shell)[:2])
    outer = np.hypot(*surface_point(0.0, 0.0, shell)[:2])
    assert inner / outer == pytest.approx(d)
    centre = np.mean([surface_point(0.0, a, shell) for a in (0.0, math.pi)], axis=0)
    assert -centre[2] / np.hypot(*centre[:2]) == pytest.approx(t)


def test_height_over_width_of_the_aperture_is_s() -> None:
    shell = form(2.0, 3.0, 0.0, height=1.7)
    points = np.array([surface_point(0.0, a, shell) for a in np.linspace(-math.pi, math.pi, 721)])
    assert np.ptp(points[:, 2]) / np.ptp(points[:, 0]) == pytest.approx(1.7, rel=1e-4)


def test_the_coil_is_right_handed() -> None:
    # Seen from the apex, growth runs clockwise: x to y decreases the angle.
    shell = form(2.0, 1.2, 1.0)
    earlier, later = surface_point(-0.2, 0.0, shell), surface_point(0.0, 0.0, shell)
    assert earlier[0] * later[1] - earlier[1] * later[0] < 0
    # And the whole shell hangs below its apex.
    assert later[2] < earlier[2] < 0


@pytest.mark.parametrize(
    ("relief", "count", "around"),
    [("ribs", "rib_count", 0.1), ("spines", "spine_count", 0.75)],
)
def test_axial_relief_repeats_so_many_times_a_whorl(relief: str, count: str, around: float) -> None:
    shell = form(2.0, 1.2, 1.0)._replace(**{relief: 0.3})
    turns = -np.arange(0, 2 * math.pi, 2 * math.pi / 5040)
    profile = np.array([sculpture(turn, around, shell) for turn in turns])
    # Rotate to a valley first, so that no peak is cut in two.
    profile = np.roll(profile, -int(np.argmin(profile)))
    peaks = np.count_nonzero((profile[1:-1] > profile[:-2]) & (profile[1:-1] >= profile[2:]))
    assert peaks == getattr(shell, count)
    assert profile.max() > 0.2


def test_relief_fades_at_the_axis() -> None:
    shell = form(2.0, 1.2, 1.0)._replace(ribs=0.3, cords=0.3)
    assert abs(sculpture(0.0, math.pi - 0.05, shell)) < 0.002


def test_the_mesh_runs_from_apex_over_the_lip_into_the_inside() -> None:
    along, points = shell_mesh(form(2.0, 1.1, 1.0), 100, 24)
    assert along[0] == pytest.approx(-10 * math.pi)
    assert along[99] == 0
    assert np.all(np.diff(along) > 0)
    assert along[-1] > 2
    assert points.shape == (len(along), 25, 3)
    np.testing.assert_allclose(points[:, 0], points[:, -1], atol=1e-9)
    # The inside lies within the outside: narrower than the aperture by the lip on either side.
    aperture = np.ptp(points[99, :, 2])
    inner = np.ptp(points[102, :, 2])
    assert inner == pytest.approx(aperture * 0.95)
