"""Numbers that R's vegan, ecodist, phytools and energy give; `validation/matrices.R` made them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kinlens.evaluate.association import (
    distance_correlation,
    permanova,
    protest,
    rv_coefficient,
    unbiased_distance_correlation,
)
from kinlens.evaluate.matrices import Method, mantel, matrix_correlation, partial_mantel
from kinlens.evaluate.matrix_regression import MatrixRegression, mrm

GOLDEN: dict[str, Any] = json.loads(Path(__file__).with_name("matrices.json").read_text())
PERMUTATIONS = GOLDEN["permutations"]
A, B, C, TIED, X, Y = (np.array(GOLDEN[key]) for key in ("a", "b", "c", "tied", "x", "y"))
METHODS: list[Method] = ["pearson", "spearman", "kendall"]


def same(found: object, golden: object) -> None:
    np.testing.assert_allclose(found, golden, rtol=1e-8, atol=1e-8)


def same_p(found: float, golden: float) -> None:
    """Within four Monte Carlo errors of a difference between two runs."""
    error = math.sqrt(2 * max(golden * (1 - golden), 1 / PERMUTATIONS) / PERMUTATIONS)
    assert abs(found - golden) <= 4 * error


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("key", "second"), [("mantel", B), ("mantel_tied", TIED)])
def test_mantel(key: str, second: Any, method: Method, rng: np.random.Generator) -> None:
    golden = GOLDEN[key][method]
    test = mantel(A, second, method=method, permutations=PERMUTATIONS, rng=rng)
    same(test.statistic, golden["statistic"])
    same(matrix_correlation(A, second, method=method), golden["statistic"])
    same_p(test.p_value, golden["p_value"])


@pytest.mark.parametrize("method", ["pearson", "spearman"])
def test_partial_mantel(method: Any, rng: np.random.Generator) -> None:
    golden = GOLDEN["partial_mantel"][method]
    test = partial_mantel(A, B, C, method=method, permutations=PERMUTATIONS, rng=rng)
    same(test.statistic, golden["statistic"])
    same_p(test.p_value, golden["p_value"])


def test_protest(rng: np.random.Generator) -> None:
    test = protest(X, Y, permutations=PERMUTATIONS, rng=rng)
    same(test.statistic, GOLDEN["protest"]["statistic"])
    same_p(test.p_value, GOLDEN["protest"]["p_value"])


@pytest.fixture
def regression(rng: np.random.Generator) -> MatrixRegression:
    return mrm(A, {"b": B, "c": C}, permutations=PERMUTATIONS, rng=rng)


@pytest.mark.parametrize("program", ["mrm", "multi_mantel"])
def test_regression_on_matrices(program: str, regression: MatrixRegression) -> None:
    golden = GOLDEN[program]
    same(regression.coefficients, golden["coefficients"])
    same(regression.r_squared, golden["r_squared"])
    same(regression.f_value, golden["f_value"])
    same_p(regression.p_value, golden["p_value"])
    for found, expected in zip(regression.p_values, golden["p_values"], strict=True):
        same_p(found, expected)


def test_pseudo_t_of_the_regression(regression: MatrixRegression) -> None:
    same(regression.t_values, GOLDEN["multi_mantel"]["t_values"])


def test_permanova(rng: np.random.Generator) -> None:
    golden = GOLDEN["permanova"]
    result = permanova(A, GOLDEN["groups"], permutations=PERMUTATIONS, rng=rng)
    same(result.test.statistic, golden["statistic"])
    same(result.r_squared, golden["r_squared"])
    same_p(result.test.p_value, golden["p_value"])


def test_distance_correlation(rng: np.random.Generator) -> None:
    same(
        distance_correlation(A, B, permutations=0, rng=rng).statistic,
        GOLDEN["distance_correlation"]["statistic"],
    )
    same(
        unbiased_distance_correlation(A, B, permutations=0, rng=rng).statistic,
        GOLDEN["unbiased_distance_correlation"]["statistic"],
    )


def test_rv_from_its_other_definition(rng: np.random.Generator) -> None:
    # tr(Sxy Syx) / sqrt(tr(Sxx^2) tr(Syy^2)), with covariances of traits instead of objects.
    both = np.cov(np.hstack([X, Y]).T)
    xx, xy, yy = both[:3, :3], both[:3, 3:], both[3:, 3:]
    expected = np.trace(xy @ xy.T) / np.sqrt(np.trace(xx @ xx) * np.trace(yy @ yy))
    same(rv_coefficient(X, Y, permutations=0, rng=rng).statistic, expected)
