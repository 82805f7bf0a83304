from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from kinlens.errors import UsageError
from kinlens.evaluate.resample import (
    bootstrap_weights,
    cluster_bootstrap,
    exact_proportion_interval,
    paired_bootstrap,
    permutation_p_value,
    permuted_labels,
)


class Mean:
    """Weighted mean of values; NaN without weight."""

    names = ("mean",)

    def __init__(self, values: np.ndarray) -> None:
        self.values = np.asarray(values, float)

    def __call__(self, weights: np.ndarray) -> np.ndarray:
        total = weights.sum(axis=1)
        with np.errstate(invalid="ignore"):
            return (weights @ self.values / total)[:, None]


def test_groups_are_drawn_whole_and_as_many_as_there_are(rng: np.random.Generator) -> None:
    groups = ["a", "a", "b", "c", "", ""]
    (weights,) = bootstrap_weights(groups, rng=rng, n_replicates=500)
    assert weights.shape == (500, 6)
    assert np.array_equal(weights[:, 0], weights[:, 1])
    # a, b, c and each of the two that name none: five units.
    assert (weights[:, [0, 2, 3, 4, 5]].sum(axis=1) == 5).all()
    assert weights[:, 2].mean() == pytest.approx(1.0, abs=0.15)


def test_batches_give_the_replicates_asked_for(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kinlens.evaluate.resample._BATCH_NUMBERS", 70)
    sizes = [len(w) for w in bootstrap_weights(range(10), rng=rng, n_replicates=25)]
    assert sizes == [7, 7, 7, 4]


def test_the_bootstrap_of_a_mean_has_the_textbook_width(rng: np.random.Generator) -> None:
    values = rng.normal(size=400)
    found = cluster_bootstrap(Mean(values), range(400), rng=rng, n_replicates=4000)
    value, low, high = found["mean"]
    assert value == pytest.approx(values.mean())
    assert high - low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.06)


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_intervals_agree_with_scipy(rng: np.random.Generator, method: str) -> None:
    values = rng.exponential(size=50)
    found = cluster_bootstrap(Mean(values), range(50), rng=rng, n_replicates=20_000, method=method)
    other = stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method=method, random_state=rng
    ).confidence_interval
    assert found["mean"][1:] == pytest.approx((other.low, other.high), abs=0.02)


def test_intervals_over_groups_cover_where_those_over_pictures_do_not(
    rng: np.random.Generator,
) -> None:
    covered = {"specimens": 0, "pictures": 0}
    for _ in range(150):
        values = np.repeat(rng.normal(size=40), 5) + rng.normal(0, 0.2, 200)
        for name, groups in (("specimens", np.arange(200) // 5), ("pictures", np.arange(200))):
            _v, low, high = cluster_bootstrap(Mean(values), groups, rng=rng, n_replicates=200)[
                "mean"
            ]
            covered[name] += low <= 0 <= high
    assert covered["specimens"] >= 150 * 0.87
    assert covered["pictures"] <= 150 * 0.75


class Shifted(Mean):
    """A share of errors that is larger in every sample, or smaller."""

    def __init__(self, values: np.ndarray, factor: float) -> None:
        super().__init__(values)
        self._factor = factor

    def __call__(self, weights: np.ndarray) -> np.ndarray:
        found = super().__call__(weights)
        return found if (weights == 1).all() else 1 - self._factor * (1 - found)


def test_what_resampling_shifts_is_moved_back() -> None:
    values = np.repeat([0.0, 1.0], [20, 80])

    def interval(factor: float, *names: str) -> tuple[float, float, float]:
        rng = np.random.default_rng(1)
        return cluster_bootstrap(Shifted(values, factor), range(100), rng=rng, shifted=names)[
            "mean"
        ]

    plain, moved = interval(0.3), interval(0.3, "mean")
    assert plain[1] > plain[0]  # the interval misses its own value
    assert moved[1] < moved[0] < moved[2]
    assert moved[2] - moved[1] == pytest.approx(plain[2] - plain[1])
    # What is moved ends where a share ends.
    assert interval(3.0)[2] < 0.8
    assert interval(3.0, "mean")[2] == 1.0


def test_undefined_replicates_are_left_out(rng: np.random.Generator) -> None:
    class SometimesUndefined(Mean):
        def __call__(self, weights: np.ndarray) -> np.ndarray:
            found = super().__call__(weights)
            found[weights[:, 0] == 0] = np.nan
            return found

    found = cluster_bootstrap(SometimesUndefined(np.arange(5.0)), range(5), rng=rng)
    assert np.isfinite(found.low).all()


def test_a_paired_comparison_sees_what_separate_intervals_do_not(rng: np.random.Generator) -> None:
    shared = rng.normal(size=100)
    first, second = Mean(shared + 0.1), Mean(shared + rng.normal(0, 0.05, 100))
    apart = [cluster_bootstrap(s, range(100), rng=rng)["mean"] for s in (first, second)]
    assert apart[0][1] < apart[1][2]  # the intervals overlap
    paired = paired_bootstrap(first, second, range(100), rng=rng)
    value, low, _high = paired["mean"]
    assert low > 0
    assert value == pytest.approx(0.1, abs=0.02)
    assert paired.p_value is not None
    assert paired.p_value[0] == pytest.approx(2 / 1001)
    same = paired_bootstrap(first, first, range(100), rng=rng)
    assert same.p_value is not None
    assert same.p_value[0] == 1.0


def test_comparing_apples_with_pears_is_refused(rng: np.random.Generator) -> None:
    class Other(Mean):
        names = ("other",)

    with pytest.raises(UsageError, match="cannot compare"):
        paired_bootstrap(Mean(np.ones(2)), Other(np.ones(2)), range(2), rng=rng)


def test_shuffled_labels_stay_whole_within_specimens(rng: np.random.Generator) -> None:
    labels = np.repeat(["a", "b", "c", "d"], [6, 4, 2, 2])
    specimens = np.repeat(np.arange(7), 2)
    seen = set()
    for _ in range(50):
        shuffled = permuted_labels(labels, specimens, rng=rng)
        assert (shuffled[::2] == shuffled[1::2]).all()
        assert sorted(shuffled[::2]) == sorted(labels[::2])
        seen.add(tuple(shuffled))
    assert len(seen) > 30
    with pytest.raises(UsageError, match="3 labels for 2 rows"):
        permuted_labels(["a", "b", "c"], [0, 1], rng=rng)


def test_p_values_count_the_data_in_and_are_never_zero() -> None:
    null = np.arange(99) / 99
    assert permutation_p_value(2.0, null) == 0.01
    assert permutation_p_value(2.0, null, alternative="less") == 1.0
    assert permutation_p_value(2.0, null, alternative="two-sided") == 0.02
    assert permutation_p_value(0.5, [0.5, np.nan]) == 1.0
    with pytest.raises(UsageError, match="alternative"):
        permutation_p_value(0.0, null, alternative="more")


def test_p_values_are_uniform_under_the_null(rng: np.random.Generator) -> None:
    found = [permutation_p_value(rng.normal(), rng.normal(size=99)) for _ in range(2000)]
    assert np.mean(np.array(found) <= 0.05) == pytest.approx(0.05, abs=0.015)


def test_exact_intervals_match_the_tables() -> None:
    # R. G. Newcombe, Statistics in Medicine 17 (1998), 857-872, table I, method 5.
    for (k, n), expected in {
        (0, 20): (0.0, 0.1684),
        (81, 263): (0.2527, 0.3676),
        (15, 148): (0.0578, 0.1617),
        (1, 29): (0.0009, 0.1776),
    }.items():
        assert exact_proportion_interval(k, n) == pytest.approx(expected, abs=1e-4)
    assert exact_proportion_interval(0, 0) == (0.0, 1.0)
    with pytest.raises(UsageError, match="3 successes in 2 trials"):
        exact_proportion_interval(3, 2)
    with pytest.raises(UsageError, match="level"):
        exact_proportion_interval(1, 2, level=95)


def test_what_does_not_exist_is_refused(rng: np.random.Generator) -> None:
    with pytest.raises(UsageError, match="'percentile' or 'bca'"):
        cluster_bootstrap(Mean(np.ones(2)), range(2), rng=rng, method="normal")
    found = cluster_bootstrap(Mean(np.ones(2)), range(2), rng=rng, n_replicates=10)
    with pytest.raises(UsageError, match="no estimate 'median'"):
        found["median"]
    assert list(found.frame().columns) == ["metric", "value", "low", "high", "n", "p_value"]
