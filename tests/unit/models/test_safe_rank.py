from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from kinlens.errors import UsageError
from kinlens.evaluate.hierarchy import RankedAnswers, safety_report
from kinlens.evaluate.splits import Shares, specimen_split
from kinlens.models.hierarchy import HierarchicalClassifier
from kinlens.models.lineage import Lineages
from kinlens.models.safe_rank import DeepestSafeRank, observed_error_range

LINEAGES = Lineages(
    ("species", "genus", "family"),
    (
        np.array(list("abcd"), object),
        np.array(["G", "H"], object),
        np.array(["F"], object),
    ),
    (np.arange(4), np.array([0, 0, 1, 1]), np.zeros(4, int)),
)


def drawn(rng: np.random.Generator, n_specimens: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities of the four species, truths and specimens of two pictures each."""
    logits = 2 * rng.standard_normal((n_specimens, 4))
    logits[:, :2] += 2 * rng.standard_normal((n_specimens, 1))
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = (p.cumsum(axis=1) < rng.random((n_specimens, 1))).sum(axis=1)
    specimens = np.repeat(np.arange(n_specimens), 2)
    wobble = 2 * logits[specimens] + 0.3 * rng.standard_normal((2 * n_specimens, 4))
    return (
        np.exp(wobble) / np.exp(wobble).sum(axis=1, keepdims=True),
        truth[specimens],
        specimens,
    )


def error_of(model: DeepestSafeRank, p: np.ndarray, truth: np.ndarray) -> float:
    """Share of all pictures that are answered wrong."""
    answers = model.predict(p)
    answered = answers.depth < 3
    depth = np.minimum(answers.depth, 2)
    true = np.column_stack([codes[truth] for codes in LINEAGES.codes])
    rows = np.arange(len(truth))
    return float((answered & (answers.path[rows, depth] != true[rows, depth])).mean())


def test_the_expected_error_is_the_stated_one(rng: np.random.Generator) -> None:
    errors = []
    for _ in range(200):
        p, truth, specimens = drawn(rng, 80)
        model = DeepestSafeRank(0.1).fit(p, truth, LINEAGES, specimens)
        fresh, fresh_truth, _specimens = drawn(rng, 150)
        errors.append(error_of(model, fresh, fresh_truth))
    assert 0.07 < np.mean(errors) <= 0.105


def test_the_confident_error_is_rarely_exceeded(rng: np.random.Generator) -> None:
    exceeded, shares = 0, []
    for _ in range(60):
        p, truth, specimens = drawn(rng, 150)
        model = DeepestSafeRank(0.1, control="confident", doubt=0.2)
        model.fit(p, truth, LINEAGES, specimens)
        fresh, fresh_truth, _specimens = drawn(rng, 2000)
        exceeded += error_of(model, fresh, fresh_truth) > 0.1
        shares.append((model.predict(fresh).depth == 0).mean())
    assert exceeded <= 60 * 0.2
    assert np.mean(shares) > 0.2


def test_answers_stop_where_they_are_no_longer_sure(rng: np.random.Generator) -> None:
    p, truth, specimens = drawn(rng, 300)
    model = DeepestSafeRank(0.1).fit(p, truth, LINEAGES, specimens)
    answers = model.predict(p)
    assert set(answers.depth) == {0, 1, 2}
    for row in range(20):
        depth = answers.depth[row]
        assert answers.confidence[row, depth] >= model.threshold_
        assert depth == 0 or answers.confidence[row, depth - 1] < model.threshold_
    names = answers.names(LINEAGES)
    assert (names[answers.depth == 1, 0] == None).all()  # noqa: E711 - elementwise
    assert set(names[answers.depth == 2, 2]) == {"F"}


def test_a_smaller_rate_answers_higher_up(rng: np.random.Generator) -> None:
    p, truth, specimens = drawn(rng, 400)
    thresholds = [
        DeepestSafeRank(rate).fit(p, truth, LINEAGES, specimens).threshold_
        for rate in (0.3, 0.1, 0.03)
    ]
    assert thresholds == sorted(thresholds)
    assert thresholds[0] < thresholds[2]


def test_a_model_that_is_never_wrong_may_always_answer(rng: np.random.Generator) -> None:
    truth = rng.integers(4, size=200)
    p = 0.05 + 0.8 * np.eye(4)[truth]
    for control in ("expected", "confident"):
        model = DeepestSafeRank(0.05, control=control).fit(p, truth, LINEAGES)
        assert model.threshold_ == pytest.approx(0.0)
        assert (model.predict(np.full((3, 4), 0.25)).depth == 0).all()


def test_with_too_few_specimens_nothing_is_safe() -> None:
    flat = Lineages.of(["a", "b"], None)
    p = np.tile([[0.99, 0.01]], (10, 1))
    for control in ("expected", "confident"):
        model = DeepestSafeRank(0.05, control=control).fit(p, np.zeros(10, int), flat)
        assert model.threshold_ == np.inf
        assert model.predict(p).depth.tolist() == [1] * 10


def test_species_the_model_does_not_know_make_it_careful(rng: np.random.Generator) -> None:
    p, truth, specimens = drawn(rng, 400)
    known = DeepestSafeRank(0.1).fit(p, truth, LINEAGES, specimens).threshold_
    strange = np.where(specimens % 12 == 0, -1, truth)
    careful = DeepestSafeRank(0.1).fit(p, strange, LINEAGES, specimens).threshold_
    assert careful > known


def test_the_range_of_observed_errors_is_that_of_simulation(rng: np.random.Generator) -> None:
    low, high = observed_error_range(0.05, n_calibration=199, n_test=300)
    rates = stats.beta(10, 190).rvs(100_000, random_state=rng)
    seen = rng.binomial(300, rates) / 300
    assert np.mean((seen >= low) & (seen <= high)) == pytest.approx(0.955, abs=0.01)
    assert low < 0.05 < high
    assert observed_error_range(0.01, n_calibration=50, n_test=100) == (0.0, 0.0)


def test_what_means_nothing_is_refused() -> None:
    p, truth = np.full((2, 4), 0.25), np.zeros(2, int)
    for options, message in (
        ({"error_rate": 0}, "error_rate must be between 0 and 1"),
        ({"control": "hoped"}, "control must be one of expected, confident"),
        ({"doubt": 1.0}, "doubt must be between 0 and 1"),
    ):
        with pytest.raises(UsageError, match=message):
            DeepestSafeRank(**options).fit(p, truth, LINEAGES)


def test_from_vectors_to_safe_names(make_world: Callable) -> None:
    world = make_world(n_families=4, n_genera=5, n_species=4, specimens=8, signal=0.55)
    rng = np.random.default_rng(0)
    split = specimen_split(
        world.species, world.specimens, rng=rng, shares=Shares(test=0.3, validation=0.3)
    )
    model = HierarchicalClassifier(world.taxonomy, random_state=0).fit(
        world.X[split.train], world.species[split.train], world.specimens[split.train]
    )

    def codes(rows: np.ndarray) -> np.ndarray:
        return np.searchsorted(model.classes_, world.species[rows].astype(str))

    safe = DeepestSafeRank(0.1).fit(
        model.predict_proba(world.X[split.validation]),
        codes(split.validation),
        model.lineages_,
        world.specimens[split.validation],
    )
    answers = safe.predict(model.predict_proba(world.X[split.test]))
    truth = np.column_stack(
        [world.ranked(rank, world.species[split.test]) for rank in model.lineages_.ranks]
    )
    report = safety_report(
        RankedAnswers(model.lineages_.ranks, truth, answers.names(model.lineages_)),
        world.specimens[split.test],
        rng=rng,
    )
    low, high = observed_error_range(
        0.1, n_calibration=safe.n_specimens_, n_test=report.n_specimens
    )
    assert low <= report.error_rate <= high
    # Naming every species would have been wrong more often than was allowed.
    species_error = (model.predict(world.X[split.test]) != world.species[split.test]).mean()
    assert species_error > 0.15
    assert 0.2 < report.by_rank.set_index("rank").loc["species", "share"] < 1.0
