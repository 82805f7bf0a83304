"""q-values beside statsmodels', family-wise p-values by hand."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from kinlens.errors import UsageError
from kinlens.evaluate.multiplicity import false_discovery_rates, family_wise_p_values


def test_q_values_are_those_of_statsmodels_and_skip_what_was_not_tested(
    rng: np.random.Generator,
) -> None:
    p = np.concatenate([rng.random(50), rng.random(10) * 1e-4])
    with_gaps = np.insert(p, 7, np.nan)
    q = false_discovery_rates(with_gaps)
    assert np.isnan(q[7])
    np.testing.assert_allclose(np.delete(q, 7), multipletests(p, method="fdr_bh")[1])


def test_the_best_of_many_null_tests_is_rarely_significant(rng: np.random.Generator) -> None:
    worlds = rng.standard_normal((400, 1000))
    found = [
        family_wise_p_values(rng.standard_normal(1000), worlds.max(axis=1)).min() < 0.05
        for _ in range(300)
    ]
    assert 0.01 < np.mean(found) < 0.10


def test_ties_count_against_the_finding_and_nan_stays() -> None:
    found = family_wise_p_values(np.array([2.0, np.nan]), np.array([1.0, 2.0, 3.0]))
    assert found[0] == pytest.approx(0.75)
    assert np.isnan(found[1])


def test_without_null_worlds_there_is_nothing_to_say() -> None:
    with pytest.raises(UsageError, match="null world"):
        family_wise_p_values(np.array([1.0]), np.array([]))


def test_no_test_gives_no_q_value() -> None:
    assert np.isnan(false_discovery_rates(np.array([np.nan]))).all()
