"""The HKY model against its own definition: the exponential of its rate matrix."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.linalg import expm
from scipy.stats import gamma

from kinlens.errors import UsageError
from kinlens.simulate.substitution import SubstitutionModel, gamma_rates

MODEL = SubstitutionModel(transition_bias=4.0, frequencies=(0.4, 0.1, 0.2, 0.3))


def rate_matrix(model: SubstitutionModel) -> np.ndarray:
    frequencies = np.array(model.frequencies)
    rates = np.tile(frequencies, (4, 1))
    for start, end in ((0, 2), (2, 0), (1, 3), (3, 1)):
        rates[start, end] *= model.transition_bias
    np.fill_diagonal(rates, 0)
    np.fill_diagonal(rates, -rates.sum(axis=1))
    return rates / -(frequencies @ np.diag(rates))


@pytest.mark.parametrize("time", [0.0, 0.01, 0.3, 5.0])
def test_transition_is_the_exponential_of_the_rate_matrix(time: float) -> None:
    np.testing.assert_allclose(MODEL.transition(time), expm(rate_matrix(MODEL) * time), atol=1e-12)


def test_a_rate_stretches_time() -> None:
    np.testing.assert_allclose(MODEL.transition(0.2, rate=3.0), MODEL.transition(0.6))


def test_gamma_rates_are_the_means_of_equal_slices() -> None:
    shape, categories = 0.5, 4
    density = gamma(shape, scale=1 / shape)
    edges = density.ppf(np.linspace(0, 1, categories + 1))
    means = [
        categories * quad(lambda x: x * density.pdf(x), low, high)[0]
        for low, high in pairwise(edges)
    ]
    np.testing.assert_allclose(gamma_rates(shape, categories), means, rtol=1e-6)
    for other in (0.1, 1.0, 20.0):
        assert gamma_rates(other, 6).mean() == pytest.approx(1)
    assert gamma_rates(0.3, 1).tolist() == [1.0]


def test_patches_make_neighbours_alike(rng: np.random.Generator) -> None:
    model = SubstitutionModel(rate_patchiness=0.6, rate_categories=4)
    categories = model.draw_categories(40_000, rng)
    alike = np.mean(categories[1:] == categories[:-1])
    assert alike == pytest.approx(0.6 + 0.4 / 4, abs=0.015)
    assert np.bincount(categories, minlength=4) / 40_000 == pytest.approx([0.25] * 4, abs=0.02)


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"frequencies": (0.5, 0.5, 0.0, 0.0)}, "above 0"),
        ({"frequencies": (0.5, 0.5, 0.5, 0.5)}, "sum to 1"),
        ({"transition_bias": 0.0}, "transition_bias"),
        ({"rate_shape": -1.0}, "rate_shape"),
        ({"rate_patchiness": 1.0}, "rate_patchiness"),
        ({"rate_categories": 0}, "rate_categories"),
    ],
)
def test_impossible_models_are_refused(wrong: dict[str, object], word: str) -> None:
    with pytest.raises(UsageError, match=word):
        SubstitutionModel(**wrong)
