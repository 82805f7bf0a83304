from __future__ import annotations

import time

import numpy as np
import pytest
from sklearn import metrics as sk

from kinlens.errors import UsageError
from kinlens.evaluate import metrics
from kinlens.evaluate.metrics import METRICS, Answers, Scores, confidence_bins, estimate_scores
from kinlens.evaluate.resample import cluster_bootstrap


def some_answers(rng: np.random.Generator, n: int = 200, n_classes: int = 12) -> Answers:
    """Answers of a model that is right half the time; two classes are true of nothing."""
    truth = rng.integers(n_classes - 2, size=n)
    probabilities = rng.dirichlet(np.full(n_classes, 0.3), n)
    probabilities[np.arange(n), truth] += rng.random(n) * 0.5
    # Ties in some scores, as a forest gives them.
    probabilities[: n // 3] = np.round(probabilities[: n // 3], 1) + 0.01
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    names = tuple(f"s{code:02}" for code in range(n_classes))
    return Answers(names, truth, probabilities.argmax(axis=1), probabilities)


def score(answers: Answers, name: str, weights: np.ndarray | None = None) -> float:
    weights = np.ones(len(answers)) if weights is None else weights
    return float(Scores(answers, [name])(weights[None])[0, 0])


def by_sklearn(answers: Answers, name: str) -> float:
    truth, answer, p = answers.truth, answers.answer, answers.probabilities
    assert p is not None
    labels = np.unique(truth)
    if name == "accuracy":
        return sk.accuracy_score(truth, answer)
    if name in ("macro_f1", "weighted_f1"):
        return sk.f1_score(
            truth, answer, labels=labels, average=name.partition("_")[0], zero_division=0
        )
    if name == "macro_precision":
        return sk.precision_score(truth, answer, labels=labels, average="macro", zero_division=0)
    if name in ("macro_recall", "balanced_accuracy"):
        return sk.recall_score(truth, answer, labels=labels, average="macro")
    if name == "mcc":
        return sk.matthews_corrcoef(truth, answer)
    if name == "roc_auc":
        return float(np.mean([sk.roc_auc_score(truth == c, p[:, c]) for c in labels]))
    if name == "brier":
        onehot = np.eye(p.shape[1])[truth]
        return float(((p - onehot) ** 2).sum(axis=1).mean())
    assert name == "log_loss"
    return sk.log_loss(truth, p, labels=range(p.shape[1]))


COMPARED = [name for name in METRICS if name not in ("top_5_accuracy", "calibration_error")]


@pytest.mark.parametrize("name", COMPARED)
def test_scores_agree_with_scikit_learn(rng: np.random.Generator, name: str) -> None:
    answers = some_answers(rng)
    assert score(answers, name) == pytest.approx(by_sklearn(answers, name), abs=1e-12)


@pytest.mark.parametrize("name", COMPARED)
def test_a_whole_weight_counts_as_so_many_pictures(rng: np.random.Generator, name: str) -> None:
    answers = some_answers(rng)
    weights = rng.integers(0, 4, len(answers))
    repeated = answers.select(np.repeat(np.arange(len(answers)), weights))
    found = score(answers, name, weights.astype(float))
    assert found == pytest.approx(by_sklearn(repeated, name), abs=1e-12)


def test_top_5_is_not_given_away_by_ties() -> None:
    flat = np.full((1, 8), 1 / 8)
    names = tuple("abcdefgh")
    assert score(Answers(names, np.array([0]), np.array([0]), flat), "top_5_accuracy") == 0.0
    p = np.array([[0.3, 0.2, 0.15, 0.12, 0.1, 0.08, 0.05, 0.0]])
    for truth, hit in ((4, 1.0), (5, 0.0)):
        answers = Answers(names, np.array([truth]), np.array([0]), p)
        assert score(answers, "top_5_accuracy") == hit


def test_calibration_error_of_a_calibrated_and_of_a_boasting_model(
    rng: np.random.Generator,
) -> None:
    p = rng.uniform(0.5, 1.0, 40_000)
    truth = (rng.random(p.size) > p).astype(int)
    calibrated = Answers(("a", "b"), truth, np.zeros_like(truth), np.column_stack([p, 1 - p]))
    assert score(calibrated, "calibration_error") < 0.01
    boasting = np.clip(p + 0.2, 0, 1)
    answers = Answers(
        ("a", "b"), truth, np.zeros_like(truth), np.column_stack([boasting, 1 - boasting])
    )
    expected = float((boasting - p).mean())
    assert score(answers, "calibration_error") == pytest.approx(expected, abs=0.01)


def test_bins_hold_equal_mass_and_equal_confidences_share_one() -> None:
    bins = confidence_bins(np.arange(100) / 100, 10)
    assert np.bincount(bins).tolist() == [10] * 10
    tied = confidence_bins(np.array([0.1, 0.5, 0.5, 0.5, 0.5, 0.9]), 3)
    assert len(set(tied[1:5].tolist())) == 1
    assert confidence_bins(np.empty(0), 3).size == 0


def test_classes_that_are_not_tested_count_in_no_mean() -> None:
    answers = Answers.from_labels(["a", "a", "b"], ["a", "c", "b"])
    assert score(answers, "balanced_accuracy") == 0.75
    # Class b is in no picture with weight, c never true: recall is that of a alone.
    assert score(answers, "balanced_accuracy", np.array([1.0, 1.0, 0.0])) == 0.5


def test_a_class_that_was_never_trained_is_wrong_and_not_an_error() -> None:
    answers = Answers.from_labels(
        ["a", "new"], ["a", "b"], np.array([[0.9, 0.1], [0.4, 0.6]]), columns=["a", "b"]
    )
    found = dict(zip(METRICS, Scores(answers)(np.ones((1, 2)))[0], strict=True))
    assert found["accuracy"] == 0.5
    # The truth's probability is zero, clipped, and every class ties with it or beats it.
    assert found["log_loss"] == pytest.approx((-np.log(0.9) - np.log(np.finfo(float).eps)) / 2)
    assert found["roc_auc"] == pytest.approx((1.0 + 0.5) / 2)


def test_one_class_alone_has_no_auc_and_nothing_weighs_nothing() -> None:
    p = np.array([[1.0], [1.0]])
    answers = Answers(("a",), np.zeros(2, int), np.zeros(2, int), p)
    assert np.isnan(score(answers, "roc_auc"))
    assert score(answers, "mcc") == 0.0
    assert np.isnan(score(answers, "accuracy", np.zeros(2)))


def test_the_first_order_auc_is_exact_at_the_data_and_close_in_replicates(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = some_answers(rng, n=600, n_classes=6)
    weights = rng.multinomial(600, np.full(600, 1 / 600), size=300).astype(float)
    exact = Scores(answers, ["roc_auc"])(weights)[:, 0]
    monkeypatch.setattr(metrics, "_MOST_PAIRED_ROWS", 10)
    linear = Scores(answers, ["roc_auc"])(weights)[:, 0]
    assert score(answers, "roc_auc") == pytest.approx(by_sklearn(answers, "roc_auc"), abs=1e-12)
    assert np.corrcoef(exact, linear)[0, 1] > 0.99
    assert linear.std() == pytest.approx(exact.std(), rel=0.1)


def test_an_interval_narrows_with_specimens_not_with_pictures(rng: np.random.Generator) -> None:
    right = rng.random(60) < 0.7
    answers = Answers.from_labels(
        np.repeat("a", 600), np.where(np.repeat(right, 10), "a", "b").tolist()
    )
    by_specimen = estimate_scores(
        answers, np.repeat(np.arange(60), 10), rng=rng, names=["accuracy"]
    )
    by_picture = estimate_scores(answers, np.arange(600), rng=rng, names=["accuracy"])
    assert by_specimen.n_groups == 60
    widths = [high - low for _v, low, high in (e["accuracy"] for e in (by_specimen, by_picture))]
    assert widths[0] == pytest.approx(widths[1] * np.sqrt(10), rel=0.15)


def test_the_interval_of_a_mean_over_classes_allows_for_rare_ones_that_drop_out(
    rng: np.random.Generator,
) -> None:
    # Rare classes are named right less often, and a bootstrap sample lacks a third of them.
    sizes = np.repeat([1, 2, 3], [150, 100, 82])
    right = np.repeat([0.7, 0.9, 0.97], [150, 100, 82])
    truth = np.repeat(np.arange(332), sizes)
    names = np.char.mod("species %03d", np.arange(332))
    covered = {"estimated": 0, "plain": 0}
    n_worlds = 60
    for _ in range(n_worlds):
        answer = np.where(rng.random(len(truth)) < right[truth], truth, (truth + 1) % 332)
        answers = Answers(tuple(names.tolist()), truth, answer)
        units = np.arange(len(truth))
        chosen = ["balanced_accuracy"]
        found = {
            "estimated": estimate_scores(answers, units, rng=rng, names=chosen, n_replicates=300),
            "plain": cluster_bootstrap(Scores(answers, chosen), units, rng=rng, n_replicates=300),
        }
        for name, each in found.items():
            value, low, high = each["balanced_accuracy"]
            covered[name] += low <= right.mean() <= high
            assert name == "plain" or low <= value <= high
    assert covered["estimated"] >= 0.75 * n_worlds  # 85% in 300 worlds
    assert covered["estimated"] > covered["plain"]  # 65%


def test_labels_and_columns_become_one_list_of_classes() -> None:
    answers = Answers.from_labels(["b", "z"], ["a", "b"], np.array([[0.5, 0.5]] * 2), ["c", "a"])
    assert answers.classes == ("a", "b", "c", "z")
    assert answers.probabilities is not None
    assert answers.probabilities.tolist() == [[0.5, 0.0, 0.5, 0.0]] * 2
    assert answers.confidence.tolist() == [0.5, 0.0]
    assert answers.select(np.array([1])).truth.tolist() == [3]


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(UsageError, match="Did you mean 'accuracy'"):
        Scores(Answers.from_labels(["a"], ["a"]), ["acuracy"])
    with pytest.raises(UsageError, match="roc_auc need probabilities"):
        Scores(Answers.from_labels(["a"], ["a"]), ["roc_auc"])
    with pytest.raises(UsageError, match="names of their columns"):
        Answers.from_labels(["a"], ["a"], np.ones((1, 1)))
    with pytest.raises(UsageError, match="2 answers for 1 pictures"):
        Answers(("a",), np.zeros(1, int), np.zeros(2, int))
    with pytest.raises(UsageError, match="outside 0 to 0"):
        Answers(("a",), np.array([1]), np.array([0]))
    with pytest.raises(UsageError, match="no probabilities"):
        _ = Answers.from_labels(["a"], ["a"]).confidence


def test_a_thousand_replicates_of_everything_take_about_a_second(rng: np.random.Generator) -> None:
    answers = some_answers(rng, n=800, n_classes=332)
    start = time.process_time()
    found = estimate_scores(answers, np.arange(800) // 2, rng=rng, n_replicates=1000)
    assert time.process_time() - start < 5.0  # 0.3 s on a free core
    assert np.isfinite(found.value).all()
    assert (found.low <= found.high).all()
