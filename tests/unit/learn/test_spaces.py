"""Distances of the spaces: known values, metric properties, and gradients that stay finite."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kinlens.errors import UsageError
from kinlens.learn.spaces import SPACES, HyperbolicSphere, PoincareBall, build_space
from kinlens.optional import need

torch = need("torch")


def raw(n=12, d=5, *, scale=1.0):
    return scale * torch.randn(n, d, generator=torch.Generator().manual_seed(0))


def poincare_distance(u, v):
    """The textbook form, in float64."""
    gap = ((u - v) ** 2).sum()
    return math.acosh(1 + 2 * gap / ((1 - (u**2).sum()) * (1 - (v**2).sum())))


@pytest.mark.parametrize("kind", [HyperbolicSphere, PoincareBall])
def test_hyperbolic_spaces_agree_with_the_textbook(kind):
    space = kind(scale=1.0)
    with torch.no_grad():
        points = space.points(raw())
        found = space.between(points, points).numpy()
    exact = points.double().numpy()
    for i in range(12):
        for j in range(i):
            assert found[i, j] == pytest.approx(poincare_distance(exact[i], exact[j]), rel=1e-4)


def test_flat_spaces_give_known_values():
    a, b = torch.tensor([[0.0, 0.0]]), torch.tensor([[3.0, 4.0]])
    expected = {"euclidean": 5.0, "squared": 25.0, "manhattan": 7.0}
    for name, value in expected.items():
        assert build_space(name).between(a, b).item() == pytest.approx(value, rel=1e-5)
    cosine = build_space("cosine")
    right_angle = cosine.between(
        cosine.points(torch.tensor([[0.0, 2.0]])), cosine.points(torch.tensor([[3.0, 0.0]]))
    )
    assert right_angle.item() == pytest.approx(1.0)


@pytest.mark.parametrize("name", SPACES)
def test_symmetric_not_negative_and_near_zero_to_itself(name):
    space = build_space(name)
    with torch.no_grad():
        points = space.points(raw())
        found = space.between(points, points)
    torch.testing.assert_close(found, found.T, rtol=1e-4, atol=1e-5)
    assert (found > -1e-5).all()
    assert found.diagonal().max() < 0.01 * found.max()


@pytest.mark.parametrize("name", sorted(set(SPACES) - {"squared", "cosine"}))
def test_triangle_inequality(name):
    space = build_space(name)
    with torch.no_grad():
        points = space.points(raw())
        found = space.between(points, points).numpy()
    detour = (found[:, :, None] + found[None, :, :]).min(axis=1)
    assert (found <= detour + 1e-3).all()


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("scale", [0.0, 1e-20, 1e-4, 1.0, 1e4])
def test_values_and_gradients_are_finite_wherever_the_network_puts_points(name, scale):
    space = build_space(name)
    outputs = torch.cat([raw(scale=scale), raw(scale=scale), torch.zeros(1, 5)])  # with equal ones
    outputs.requires_grad_()
    points = space.points(outputs)
    found = space.between(points, points)
    found.square().mean().backward()
    assert torch.isfinite(found).all()
    assert torch.isfinite(outputs.grad).all()
    assert all(torch.isfinite(p.grad).all() for p in space.parameters())


@pytest.mark.parametrize("name", ["hyperbolic", "poincare"])
def test_points_stay_inside_the_ball(name):
    space = build_space(name)
    points = space.points(raw(scale=1e6)).detach()
    assert points.norm(dim=1).max() < 1.0


def test_only_the_poincare_ball_can_reach_its_border():
    for name in SPACES:
        space = build_space(name)
        share = float(space.clamped(space.points(raw(scale=100.0))))
        assert share == (1.0 if name == "poincare" else 0.0)
    near = build_space("poincare")
    assert float(near.clamped(near.points(raw(scale=0.1)))) == 0.0


def test_the_radius_of_the_sphere_stays_between_zero_and_one():
    space = HyperbolicSphere(radius=0.5)
    assert space.radius.item() == pytest.approx(0.5, abs=1e-3)
    for value in (-1e3, 1e3):
        space.raw_radius.data.fill_(value)
        points = space.points(raw())
        found = space.between(points, points)
        assert 0.0 <= space.radius.item() < 1.0
        assert torch.isfinite(found).all()


def test_rectangular_blocks_equal_the_whole():
    for name in SPACES:
        space = build_space(name)
        with torch.no_grad():
            points = space.points(raw())
            whole = space.between(points, points)
            block = space.between(points[:3], points[3:])
        np.testing.assert_allclose(block, whole[:3, 3:], rtol=1e-4, atol=1e-5)


def test_unknown_names_are_refused_with_the_nearest():
    with pytest.raises(UsageError, match="hyperbolic"):
        build_space("hyperbolc")


@pytest.mark.parametrize("name", ["euclidean", "squared", "manhattan", "cosine"])
def test_flat_spaces_start_at_the_mean_of_the_data(name):
    space = build_space(name)
    points = space.points(raw(scale=30.0))
    wanted = torch.full((12, 12), 0.4)
    space.start(points, wanted)
    assert float(space.between(points, points).mean().detach()) == pytest.approx(0.4, rel=1e-3)
    before = space.log_scale.detach().clone()
    space.start(points, torch.zeros(12, 12))
    torch.testing.assert_close(space.log_scale.detach(), before)


def test_all_points_alike_start_without_infinite_scales():
    space = build_space("manhattan")
    space.start(torch.zeros(3, 2), torch.ones(3, 3))
    assert math.isfinite(float(space.scale.detach()))
