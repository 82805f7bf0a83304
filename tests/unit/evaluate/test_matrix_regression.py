"""Multiple regression on distance matrices."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import pdist, squareform

from kinlens.errors import InputError, UsageError
from kinlens.evaluate.matrix_regression import mrm
from kinlens.typing import FloatArray


def cloud(rng: np.random.Generator, n: int = 25) -> FloatArray:
    return np.asarray(squareform(pdist(rng.standard_normal((n, 2)))))


def test_planted_coefficients_are_found(rng: np.random.Generator) -> None:
    a, b, noise = cloud(rng), cloud(rng), cloud(rng)
    response = 2 * a + 0.5 * b + 0.3 * noise
    fit = mrm(response, {"a": a, "b": b}, permutations=199, rng=rng)
    assert fit.names == ("intercept", "a", "b")
    assert fit.coefficients[1:] == pytest.approx([2, 0.5], abs=0.1)
    assert fit.p_values[1] == 1 / 200
    assert fit.p_value == 1 / 200
    assert 0.95 < fit.r_squared < 1
    assert (fit.n, fit.n_permutations) == (25, 199)


def test_least_squares_and_its_t_values(rng: np.random.Generator) -> None:
    y, a, b = cloud(rng), cloud(rng), cloud(rng)
    upper = np.triu_indices(25, 1)
    design = np.column_stack([np.ones(300), a[upper], b[upper]])
    beta, rss, *_ = np.linalg.lstsq(design, y[upper], rcond=None)
    errors = np.sqrt(np.diagonal(np.linalg.inv(design.T @ design)) * rss[0] / 297)
    fit = mrm(y, {"a": a, "b": b}, permutations=0, rng=rng)
    np.testing.assert_allclose(fit.coefficients, beta, atol=1e-10)
    np.testing.assert_allclose(fit.t_values, beta / errors, rtol=1e-9)
    assert np.isnan(fit.p_values).all()


def test_unrelated_predictors_are_found_as_often_as_they_should(rng: np.random.Generator) -> None:
    p_values = np.array(
        [
            mrm(cloud(rng, 15), {"a": cloud(rng, 15)}, permutations=99, rng=rng).p_values[1]
            for _ in range(300)
        ]
    )
    assert 0.015 < (p_values <= 0.05).mean() < 0.09


def test_units_do_not_matter(rng: np.random.Generator) -> None:
    y, a, b = cloud(rng), cloud(rng), cloud(rng)
    small = mrm(y, {"a": a, "b": b}, permutations=50, rng=np.random.default_rng(1))
    large = mrm(1e6 * y, {"a": 1e-7 * a, "b": b}, permutations=50, rng=np.random.default_rng(1))
    np.testing.assert_allclose(large.t_values, small.t_values, rtol=1e-6)
    np.testing.assert_array_equal(large.p_values, small.p_values)


def test_a_perfect_fit_stays_finite(rng: np.random.Generator) -> None:
    a = cloud(rng)
    fit = mrm(3 * a, {"a": a}, permutations=19, rng=rng)
    assert fit.coefficients == pytest.approx([0, 3], abs=1e-9)
    assert np.isfinite(fit.f_value)
    assert fit.p_value == 1 / 20


def test_refusals(rng: np.random.Generator) -> None:
    a = cloud(rng)
    with pytest.raises(UsageError, match="at least one predictor"):
        mrm(a, {}, rng=rng)
    with pytest.raises(InputError, match="follow from each other: one, two"):
        mrm(a, {"one": cloud(rng), "two": 2 * cloud(np.random.default_rng(1))} | {
            "one": cloud(np.random.default_rng(1))}, rng=rng)  # fmt: skip
    with pytest.raises(InputError, match="the response and 'b' have 25 and 9 rows"):
        mrm(a, {"b": cloud(rng, 9)}, rng=rng)
    with pytest.raises(InputError, match="3 pairs cannot carry 3"):
        mrm(cloud(rng, 3), {"a": cloud(rng, 3), "b": cloud(rng, 3)}, rng=rng)
