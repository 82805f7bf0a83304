from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from kinlens.errors import UsageError
from kinlens.evaluate.hierarchy import (
    HierarchicalScores,
    MeanDistance,
    RankedAnswers,
    consistency_violations,
    safety_report,
)
from kinlens.records.taxonomy import Taxonomy

ROWS = pd.DataFrame(
    {
        "species": ["A_a", "A_b", "B_c", "C_d"],
        "genus": ["A", "A", "B", "C"],
        "family": ["F", "F", "F", "G"],
        "order": ["O"] * 4,
    }
)
TAXONOMY = Taxonomy.from_images(ROWS)


def scores(answers: RankedAnswers) -> list[float]:
    return HierarchicalScores(answers)(np.ones((1, len(answers))))[0].tolist()


def test_partly_right_answers_earn_a_part() -> None:
    # The order tells nothing apart and is left out: three ranks a picture.
    for answer, shared in (("A_a", 3), ("A_b", 2), ("B_c", 1), ("C_d", 0)):
        answers = RankedAnswers.from_species(TAXONOMY, ["A_a", "C_d"], [answer, "C_d"])
        assert scores(answers)[0] == pytest.approx((shared + 3) / 6)


def test_stopping_early_costs_recall_and_not_precision() -> None:
    answers = RankedAnswers.from_species(
        TAXONOMY, ["A_a", "C_d"], ["A_b", "C_d"], depth=np.array([1, 4])
    )
    precision, recall, f1 = scores(answers)
    assert precision == 1.0  # genus A and family F, both right
    assert recall == pytest.approx(2 / 6)
    assert f1 == pytest.approx(2 * 2 / (2 + 6))
    assert answers.depth.tolist() == [1, 4]
    assert answers.is_wrong.tolist() == [False, False]


def test_without_any_answer_precision_is_undefined() -> None:
    answers = RankedAnswers.from_species(
        TAXONOMY, ["A_a", "C_d"], ["A_b", "C_d"], depth=np.full(2, 4)
    )
    precision, recall, _f1 = scores(answers)
    assert np.isnan(precision)
    assert recall == 0.0


def test_weights_count_pictures_again() -> None:
    answers = RankedAnswers.from_species(TAXONOMY, ["A_a", "C_d"], ["A_b", "C_d"])
    twice = RankedAnswers.from_species(TAXONOMY, ["A_a", "A_a", "C_d"], ["A_b", "A_b", "C_d"])
    found = HierarchicalScores(answers)(np.array([[2.0, 1.0]]))[0].tolist()
    assert found == pytest.approx(scores(twice))


def test_an_answer_where_the_truth_is_unknown_is_wrong() -> None:
    answers = RankedAnswers(
        ("species", "genus"),
        truth=np.array([[None, "A"], [None, "A"]], dtype=object),
        answer=np.array([["A_a", "A"], [None, "A"]], dtype=object),
    )
    assert answers.is_wrong.tolist() == [True, False]


def test_distances_are_means_over_all_and_over_errors() -> None:
    steps = TAXONOMY.steps_between(TAXONOMY.species)
    truth, answer = np.array([0, 0, 2, 3]), np.array([0, 1, 3, 3])
    statistic = MeanDistance(steps, truth, answer, name="steps")
    assert statistic.names == ("steps", "steps_errors", "steps_chance")
    all_, errors, chance = statistic(np.ones((1, 4)))[0]
    assert all_ == pytest.approx((0 + 1 + 3 + 0) / 4)
    assert errors == pytest.approx((1 + 3) / 2)
    assert chance == pytest.approx(np.mean([[steps[t, a] for t in truth] for a in answer]))
    assert np.isnan(MeanDistance(steps, truth, truth)(np.ones((1, 4)))[0, 1])


def test_chance_is_what_shuffling_gives(rng: np.random.Generator) -> None:
    points = rng.normal(size=6)
    distances = np.abs(points[:, None] - points)
    truth, answer = rng.integers(6, size=50), rng.integers(6, size=50)
    _all, _errors, chance = MeanDistance(distances, truth, answer)(np.ones((1, 50)))[0]
    shuffled = [distances[truth, rng.permutation(answer)].mean() for _ in range(3000)]
    assert chance == pytest.approx(np.mean(shuffled), rel=0.01)


def test_contradictions_between_neighbouring_ranks_are_found() -> None:
    found = consistency_violations(
        {
            "species": ["A_a", "A_a", "A_a", None],
            "family": ["F", "G", "F", "G"],
            "order": ["O", "O", "X", "O"],
        },
        TAXONOMY,
    )
    assert found.tolist() == [False, True, True, False]


def test_the_safety_report_counts_by_rank_and_by_specimen(rng: np.random.Generator) -> None:
    truth = ["A_a"] * 6 + ["C_d"] * 4
    answer = ["A_a", "A_a", "A_b", "A_b", "B_c", "C_d", "C_d", "C_d", "A_a", "A_a"]
    depth = np.array([0, 0, 0, 1, 2, 0, 0, 0, 4, 4])
    answers = RankedAnswers.from_species(TAXONOMY, truth, answer, depth=depth)
    assert answers.is_wrong.tolist() == [False, False, True, False, False, True] + [False] * 4
    specimens = [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    report = safety_report(answers, specimens, rng=rng, n_replicates=500)
    table = report.by_rank.set_index("rank")
    assert table["images"].to_dict() == {
        "species": 6,
        "genus": 1,
        "family": 1,
        "order": 0,
        "none": 2,
    }
    assert table["share"].sum() == pytest.approx(1.0)
    assert table.loc["order", ["low", "high"]].tolist() == [0.0, 0.0]
    assert 0 < table.loc["species", "low"] < 0.6 < table.loc["species", "high"] <= 1
    assert table.loc["species", "error_rate"] == pytest.approx(2 / 6)
    assert np.isnan(table.loc["none", "error_rate"])
    assert report.error_rate == pytest.approx(2 / 8)
    assert report.low < report.error_rate < report.high
    assert (report.n_answered, report.n_images, report.n_specimens) == (8, 10, 4)
    # Specimens 2 and 3 are half wrong, two of four.
    assert report.exact_low < 0.5 < report.exact_high


def test_a_report_of_no_answers_says_so(rng: np.random.Generator) -> None:
    answers = RankedAnswers.from_species(TAXONOMY, ["A_a"], ["A_a"], depth=np.array([4]))
    report = safety_report(answers, ["x"], rng=rng)
    assert np.isnan(report.error_rate)
    assert (report.exact_low, report.exact_high) == (0.0, 1.0)


def test_columns_must_be_the_ranks() -> None:
    with pytest.raises(UsageError, match="one column for each rank"):
        RankedAnswers(("species",), np.empty((1, 2), object), np.empty((1, 2), object))
