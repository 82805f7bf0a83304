from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from kinlens.errors import UsageError
from kinlens.geometry.patristic import patristic_distances, vcv
from kinlens.models.evolving_means import Evolution, fit_evolution, infer_states
from kinlens.records.tree import Tree
from kinlens.simulate.trees import yule_tree


def covariance(tree: Tree, *, signal: float, pull: float) -> np.ndarray:
    """The dense matrix that the messages never form."""
    inherited = np.exp(-pull * patristic_distances(tree).values) if pull else vcv(tree)
    return signal * inherited + (1 - signal) * np.eye(tree.n_tips)


def evolution(*, scale: float, signal: float, pull: float, origin: float) -> Evolution:
    one = np.ones(1)
    return Evolution(scale * one, signal * one, pull * one, origin * one, 0.0)


@pytest.mark.parametrize("pull", [0.0, 2.0])
@pytest.mark.parametrize("signal", [0.0, 0.7, 1.0])
def test_the_posterior_is_the_one_of_the_dense_formula(
    rng: np.random.Generator, pull: float, signal: float
) -> None:
    tree = yule_tree(30, rng)
    noise = rng.uniform(0.1, 2, 30)
    noise[:6] = np.inf
    seen = np.isfinite(noise)
    means = rng.standard_normal((30, 1)) + 3
    C = 1.7 * covariance(tree, signal=signal, pull=pull)
    S = C[np.ix_(seen, seen)] + np.diag(noise[seen])
    gain = C[:, seen] @ np.linalg.inv(S)
    expected = 0.5 + gain @ (means[seen, 0] - 0.5)
    spread = np.diag(C - gain @ C[seen])
    states = infer_states(
        tree, tree.tips, means, noise,
        evolution(scale=1.7, signal=signal, pull=pull, origin=0.5),
    )  # fmt: skip
    np.testing.assert_allclose(states.mean[tree.tips, 0], expected, atol=1e-9)
    np.testing.assert_allclose(states.variance[tree.tips, 0], spread, atol=1e-9)


def test_the_likelihood_is_the_restricted_one_of_the_dense_formula(
    rng: np.random.Generator,
) -> None:
    tree = yule_tree(20, rng)
    noise = np.full(20, 0.3)
    means = rng.standard_normal((20, 1))
    found = fit_evolution(tree, tree.tips, means, noise, process="brownian")
    C = found.scale[0] * covariance(tree, signal=float(found.signal[0]), pull=0.0) + 0.3 * np.eye(
        20
    )
    ones = np.ones(20)
    weight = ones @ np.linalg.solve(C, ones)
    origin = ones @ np.linalg.solve(C, means[:, 0]) / weight
    plain = multivariate_normal(np.full(20, origin), C).logpdf(means[:, 0])
    restricted = plain + 0.5 * np.log(2 * np.pi) - 0.5 * np.log(weight)
    assert found.origin[0] == pytest.approx(origin)
    assert found.log_likelihood == pytest.approx(restricted)


def test_planted_scale_signal_and_pull_are_found(rng: np.random.Generator) -> None:
    tree = yule_tree(400, rng)
    draws = {}
    for name, settings in {
        "inherited": (9.0, 1.0, 0.0), "own": (4.0, 0.0, 0.0), "pulled": (4.0, 1.0, 10.0),
    }.items():  # fmt: skip
        scale, signal, pull = settings
        factor = np.linalg.cholesky(
            scale * covariance(tree, signal=signal, pull=pull) + 1e-9 * np.eye(400)
        )
        draws[name] = factor @ rng.standard_normal((400, 8))
    means = np.hstack(list(draws.values())) + 0.3 * rng.standard_normal((400, 24))
    found = fit_evolution(tree, tree.tips, means, np.full(400, 0.09))
    inherited, own, pulled = np.split(np.arange(24), 3)
    assert found.signal[inherited].mean() > 0.9
    assert found.signal[own].mean() < 0.2
    assert (found.pull[own] == 0).mean() > 0.7
    assert found.pull[pulled].mean() > 3 * found.pull[inherited].mean()
    assert found.scale[inherited].mean() == pytest.approx(9.0, rel=0.3)
    assert found.scale[own].mean() == pytest.approx(4.0, rel=0.2)


def test_a_species_without_data_stands_among_its_relatives_and_is_wide() -> None:
    tree = Tree.from_parents([-1, 0, 0, 1, 1], [0, 0.9, 1, 0.1, 0.1], ["", "", "c", "a", "b"])
    noise = np.array([0.01, np.inf, 0.01])
    means = np.array([[8.0], [0.0], [-8.0]])
    states = infer_states(
        tree, tree.tips, means, noise, evolution(scale=60, signal=1, pull=0, origin=0)
    )
    a, b, c = states.mean[tree.tips, 0]
    assert abs(b - a) < 1
    assert c < -7
    assert states.variance[tree.tips[1], 0] > 10 * states.variance[tree.tips[0], 0]


def test_wrong_use_is_refused(rng: np.random.Generator) -> None:
    tree = yule_tree(5, rng)
    means = np.zeros((5, 1))
    with pytest.raises(UsageError, match="'brownian' or 'ou'"):
        fit_evolution(tree, tree.tips, means, np.ones(5), process="levy")
    with pytest.raises(UsageError, match="no species was observed"):
        fit_evolution(tree, tree.tips, means, np.full(5, np.inf))
