"""What r is possible under Brownian motion."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import pdist, squareform

from kinlens.errors import InputError, UsageError
from kinlens.evaluate.ceilings import brownian_ceiling
from kinlens.evaluate.matrices import matrix_correlation
from kinlens.geometry.patristic import patristic_distances, vcv
from kinlens.simulate.traits import evolve_traits
from kinlens.simulate.trees import yule_tree


def test_more_axes_show_more_of_the_tree(rng: np.random.Generator) -> None:
    covariance = vcv(yule_tree(74, rng))
    ceilings = [
        brownian_ceiling(covariance, dimensions=d, replicates=200, rng=rng) for d in (1, 4, 16, 128)
    ]
    means = [ceiling.mean for ceiling in ceilings]
    assert means == sorted(means)
    assert means[0] < 0.5
    assert means[-1] > 0.85
    for ceiling in ceilings:
        assert ceiling.low < ceiling.mean < ceiling.high < 1
        assert (ceiling.n, len(ceiling.correlations)) == (74, 200)


def test_it_is_what_simulated_traits_give(rng: np.random.Generator) -> None:
    tree = yule_tree(25, rng)
    on_tree = patristic_distances(tree).values
    simulated = [
        matrix_correlation(squareform(pdist(evolve_traits(tree, 3, rng)[tree.tips])), on_tree)
        for _ in range(1500)
    ]
    ceiling = brownian_ceiling(vcv(tree), dimensions=3, replicates=1500, rng=rng)
    error = np.std(simulated) * np.sqrt(2 / 1500)
    assert abs(np.mean(simulated) - ceiling.mean) < 4 * error
    assert np.quantile(simulated, 0.025) == pytest.approx(ceiling.low, abs=0.05)
    assert np.quantile(simulated, 0.975) == pytest.approx(ceiling.high, abs=0.05)


@pytest.mark.parametrize("dimensions", [1, 1.5, 2.7, 16])
def test_fractions_of_axes(dimensions: float, rng: np.random.Generator) -> None:
    ceiling = brownian_ceiling(np.eye(4) + 0.5 * np.diag([1, 2, 0, 0]), dimensions=dimensions,
                               replicates=3, rng=rng)  # fmt: skip
    assert ceiling.dimensions == pytest.approx(dimensions)


def test_rates_of_axes(rng: np.random.Generator) -> None:
    covariance = vcv(yule_tree(30, rng))
    wanted = brownian_ceiling(covariance, dimensions=[4.0, 1.0, 0.0], replicates=900, rng=rng)
    assert wanted.dimensions == pytest.approx(25 / 17)
    one, two = (
        brownian_ceiling(covariance, dimensions=d, replicates=900, rng=rng).mean for d in (1, 2)
    )
    assert one < wanted.mean < two


def test_position(rng: np.random.Generator) -> None:
    ceiling = brownian_ceiling(vcv(yule_tree(20, rng)), dimensions=4, replicates=99, rng=rng)
    assert ceiling.position(-1) == 0
    assert ceiling.position(1) == 1
    assert ceiling.position(float(np.median(ceiling.correlations))) == pytest.approx(50 / 99)


def test_species_at_distance_zero_are_legal(rng: np.random.Generator) -> None:
    covariance = np.kron(vcv(yule_tree(6, rng)), np.ones((2, 2)))
    assert 0 < brownian_ceiling(covariance, dimensions=5, replicates=50, rng=rng).mean < 1


def test_refusals(rng: np.random.Generator) -> None:
    covariance = vcv(yule_tree(6, rng))
    with pytest.raises(UsageError, match="dimensions must be 1 or more"):
        brownian_ceiling(covariance, dimensions=0.5, rng=rng)
    with pytest.raises(UsageError, match="replicates"):
        brownian_ceiling(covariance, dimensions=2, replicates=0, rng=rng)
    with pytest.raises(InputError, match="rates of axes"):
        brownian_ceiling(covariance, dimensions=[0.0, 0.0], rng=rng)
    with pytest.raises(InputError, match="are equal"):
        brownian_ceiling(np.eye(6), dimensions=2, rng=rng)
    with pytest.raises(InputError, match="of no tree"):
        brownian_ceiling([[1.0, 2, 0], [2, 1, 0], [0, 0, 1]], dimensions=2, rng=rng)
