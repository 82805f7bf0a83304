from __future__ import annotations

import numpy as np
import pytest

from kinlens.evaluate.metrics import Answers
from kinlens.evaluate.tables import class_table, reliability, shot_bin, shot_table

TRUTH = ["a", "a", "a", "b", "b", "c", "new"]
ANSWER = ["a", "a", "b", "b", "b", "a", "a"]
SPECIMENS = [1, 1, 2, 3, 4, 5, 6]
TRAINED = {"a": 30, "b": 3, "c": 1, "d": 9}


def test_bins_meet_without_gap_or_overlap() -> None:
    assert [shot_bin(n) for n in (0, 1, 2, 5, 6, 20, 21, 999)] == [
        "shots_0",
        "shots_1",
        "shots_2_5",
        "shots_2_5",
        "shots_6_20",
        "shots_6_20",
        "shots_over_20",
        "shots_over_20",
    ]


def test_each_class_is_scored_on_its_own() -> None:
    answers = Answers.from_labels(TRUTH, ANSWER)
    table = class_table(answers, groups=SPECIMENS, training_specimens=TRAINED).set_index("class")
    assert list(table.index) == ["a", "b", "c", "new"]
    assert table.loc["a", ["training_specimens", "specimens", "images"]].tolist() == [30, 2, 3]
    assert table.loc["a", "recall"] == pytest.approx(2 / 3)
    assert table.loc["a", "precision"] == pytest.approx(2 / 4)
    assert table.loc["b", "f1"] == pytest.approx(4 / 5)
    assert table.loc["c", "recall"] == 0.0
    assert np.isnan(table.loc["c", "precision"])
    assert table.loc["new", "shot_bin"] == "shots_0"


def test_bins_average_over_classes_and_pictures(rng: np.random.Generator) -> None:
    answers = Answers.from_labels(TRUTH, ANSWER)
    table = shot_table(answers, SPECIMENS, training_specimens=TRAINED, rng=rng, n_replicates=200)
    table = table.set_index("shot_bin")
    assert list(table.index) == ["shots_0", "shots_1", "shots_2_5", "shots_over_20", "all"]
    assert table.loc["all", ["classes", "specimens", "images"]].tolist() == [4, 6, 7]
    assert table.loc["all", "per_class_accuracy"] == pytest.approx((2 / 3 + 1 + 0 + 0) / 4)
    assert table.loc["all", "accuracy"] == pytest.approx(4 / 7)
    assert table.loc["shots_2_5", "per_class_accuracy"] == 1.0
    within = table["per_class_accuracy"].between(
        table["per_class_accuracy_low"], table["per_class_accuracy_high"]
    )
    assert within.all()


def test_the_reliability_curve_follows_a_calibrated_model(rng: np.random.Generator) -> None:
    p = rng.uniform(0.5, 1.0, 30_000)
    truth = (rng.random(p.size) > p).astype(int)
    answers = Answers(("a", "b"), truth, np.zeros_like(truth), np.column_stack([p, 1 - p]))
    curve = reliability(answers, n_bins=10)
    assert curve["images"].tolist() == [3000] * 10
    assert curve["confidence"].is_monotonic_increasing
    assert (curve["confidence"] - curve["accuracy"]).abs().max() < 0.04
