"""Mantel and partial Mantel: planted truth, an independent implementation, and refusals."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pytest
from scipy.spatial.distance import pdist, squareform
from scipy.stats import kendalltau, rankdata
from skbio import DistanceMatrix
from skbio.stats.distance import mantel as skbio_mantel

from kinlens.errors import InputError, UsageError
from kinlens.evaluate.matrices import Method, mantel, matrix_correlation, partial_mantel
from kinlens.evaluate.nulls import FreePermutation, GroupedPermutation
from kinlens.typing import FloatArray

METHODS: list[Method] = ["pearson", "spearman", "kendall"]
THEIR_NAME = {"pearson": "pearson", "spearman": "spearman", "kendall": "kendalltau"}
each_method = pytest.mark.parametrize("method", METHODS)


def cloud(rng: np.random.Generator, n: int = 20, p: int = 3) -> FloatArray:
    return np.asarray(squareform(pdist(rng.standard_normal((n, p)))))


@pytest.fixture
def pair(rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    places = rng.standard_normal((20, 3))
    moved = places + 1.5 * rng.standard_normal((20, 3))
    return squareform(pdist(places)), squareform(pdist(moved))


@each_method
@pytest.mark.parametrize("alternative", ["greater", "less", "two-sided"])
def test_scikit_bio_agrees(method: Method, alternative: Any, rng: np.random.Generator) -> None:
    a, b = cloud(rng), cloud(rng)
    # Their Kendall takes milliseconds a permutation.
    count = 99 if method == "kendall" else 1999
    ours = mantel(a, b, method=method, permutations=1999, alternative=alternative, rng=rng)
    theirs = skbio_mantel(
        DistanceMatrix(a),
        DistanceMatrix(b),
        method=THEIR_NAME[method],
        permutations=count,
        alternative=alternative,
        seed=1,
    )
    assert ours.statistic == pytest.approx(theirs[0], abs=1e-12)
    assert abs(ours.p_value - theirs[1]) < 4 * np.sqrt(0.25 / count + 0.25 / 1999)
    assert ours.n == theirs[2] == 20


class Every:
    """All orders of n objects, each once."""

    def __init__(self, n: int) -> None:
        self.n = n
        self.description = "every order"

    def draw(self, count: int, rng: np.random.Generator) -> Any:
        orders = np.array(list(permutations(range(self.n))), dtype=np.uint32)
        assert len(orders) == count
        return orders


@each_method
def test_each_permutation_is_the_statistic_of_the_permuted_matrix(
    method: Method, rng: np.random.Generator
) -> None:
    a, b = cloud(rng, 5), np.round(cloud(rng, 5))
    test = mantel(a, b, method=method, permutations=120, scheme=Every(5), rng=rng)
    expected = [
        matrix_correlation(a[np.ix_(order, order)], b, method=method)
        for order in permutations(range(5))
    ]
    np.testing.assert_allclose(test.null, expected, atol=1e-12)
    assert test.p_value == pytest.approx(
        (1 + sum(np.array(expected) >= test.statistic - 1e-12)) / 121
    )


def test_kendall_with_ties_on_both_sides(rng: np.random.Generator) -> None:
    a, b = np.round(cloud(rng, 30)), np.round(2 * cloud(rng, 30)) / 2
    upper = np.triu_indices(30, 1)
    test = mantel(a, b, method="kendall", permutations=3, rng=rng)
    assert test.statistic == pytest.approx(kendalltau(a[upper], b[upper]).statistic, abs=1e-12)


def test_spearman_is_pearson_of_ranks(pair: tuple[FloatArray, FloatArray]) -> None:
    a, b = pair
    upper = np.triu_indices(20, 1)
    expected = np.corrcoef(rankdata(a[upper]), rankdata(b[upper]))[0, 1]
    assert matrix_correlation(a, b, method="spearman") == pytest.approx(expected, abs=1e-12)


def test_threads_and_blocks_change_nothing(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = cloud(rng, 90), cloud(rng, 90)
    nulls = []
    for threads in (1, 3):
        monkeypatch.setattr("numba.config.NUMBA_NUM_THREADS", threads)
        nulls.append(mantel(a, b, permutations=999, rng=np.random.default_rng(5)).null)
    np.testing.assert_array_equal(*nulls)


def test_the_null_is_centred_and_level_is_kept(rng: np.random.Generator) -> None:
    p_values = [
        mantel(cloud(rng), cloud(rng), permutations=99, rng=rng).p_value for _ in range(400)
    ]
    assert 0.02 < np.mean(np.array(p_values) <= 0.05) < 0.085
    assert 0.45 < np.mean(p_values) < 0.55


def test_a_grouped_scheme_hides_what_groups_share(rng: np.random.Generator) -> None:
    groups = np.repeat(np.arange(4), 6)
    centres = 5 * rng.standard_normal((4, 2))[groups]
    a = squareform(pdist(centres + rng.standard_normal((24, 2))))
    b = squareform(pdist(centres + rng.standard_normal((24, 2))))
    assert mantel(a, b, permutations=199, rng=rng).p_value == 1 / 200
    within = mantel(a, b, permutations=199, scheme=GroupedPermutation(groups), rng=rng)
    assert within.p_value > 0.05
    assert within.null_mean > 0.5


def test_no_permutations_give_no_p_value(pair: tuple[FloatArray, FloatArray]) -> None:
    test = mantel(*pair, permutations=0, rng=np.random.default_rng(1))
    assert np.isnan(test.p_value)
    assert test.n_permutations == 0


def test_partial_mantel_by_the_formula(rng: np.random.Generator) -> None:
    a, b, c = cloud(rng), cloud(rng), cloud(rng)
    ab, ac, bc = (matrix_correlation(*both) for both in ((a, b), (a, c), (b, c)))
    expected = (ab - ac * bc) / np.sqrt((1 - ac**2) * (1 - bc**2))
    test = partial_mantel(a, b, c, permutations=50, rng=rng)
    assert test.statistic == pytest.approx(expected, abs=1e-12)


def test_partial_mantel_permutes_the_first_matrix(rng: np.random.Generator) -> None:
    a, b, c = cloud(rng, 5), cloud(rng, 5), cloud(rng, 5)
    test = partial_mantel(a, b, c, permutations=120, scheme=Every(5), rng=rng)
    expected = [
        partial_mantel(a[np.ix_(order, order)], b, c, permutations=0, rng=rng).statistic
        for order in permutations(range(5))
    ]
    np.testing.assert_allclose(test.null, expected, atol=1e-12)


def test_partial_mantel_with_several_controls_is_a_correlation_of_residuals(
    rng: np.random.Generator,
) -> None:
    a, b, c, d = (cloud(rng) for _ in range(4))
    upper = np.triu_indices(20, 1)
    controls = np.column_stack([np.ones(190), c[upper], d[upper]])
    residuals = [
        y - controls @ np.linalg.lstsq(controls, y, rcond=None)[0] for y in (a[upper], b[upper])
    ]
    test = partial_mantel(a, b, [c, d], permutations=0, rng=rng)
    assert test.statistic == pytest.approx(np.corrcoef(*residuals)[0, 1], abs=1e-12)


def test_partial_mantel_takes_out_a_common_cause(rng: np.random.Generator) -> None:
    place = 3 * rng.standard_normal((40, 1))
    a, b = (squareform(pdist(place + 0.5 * rng.standard_normal((40, 1)))) for _ in range(2))
    c = squareform(pdist(place))
    assert mantel(a, b, permutations=99, rng=rng).p_value == 0.01
    test = partial_mantel(a, b, c, permutations=99, rng=rng)
    assert abs(test.statistic) < 0.25


def test_partial_mantel_refuses_what_is_already_given(rng: np.random.Generator) -> None:
    a, b = cloud(rng), cloud(rng)
    with pytest.raises(InputError, match="follows exactly"):
        partial_mantel(a, b, 2 * b, rng=rng)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda m: m[:, :-1], "square"),
        (lambda m: m[:-1, :-1], "20 and 19 rows"),
        (lambda m: m + np.triu(m), "not symmetric"),
        (lambda m: m + np.eye(20), "diagonal"),
        (lambda m: np.where(m == m.max(), np.nan, m), "holds nan at row"),
        (lambda m: np.ones((20, 20)) - np.eye(20), "are equal"),
        (lambda m: m[:2, :2], "at least 3"),
    ],
)
def test_what_is_no_distance_matrix_is_refused(
    spoil: Any, message: str, rng: np.random.Generator
) -> None:
    a = cloud(rng)
    with pytest.raises(InputError, match=message):
        mantel(a, spoil(a), rng=rng)


def test_wrong_use_is_named(rng: np.random.Generator) -> None:
    a = cloud(rng)
    with pytest.raises(UsageError, match="'rank'"):
        mantel(a, a, method="rank", rng=rng)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="'kendall'"):
        partial_mantel(a, a, a, method="kendall", rng=rng)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="permutes 5 objects"):
        mantel(a, a, scheme=FreePermutation(5), rng=rng)
    with pytest.raises(UsageError, match="permutations"):
        mantel(a, a, permutations=-1, rng=rng)
