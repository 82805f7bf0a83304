"""Scores of several labels at once: known values, weights, gaps, and the split that deals them."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score, precision_score, recall_score

from kinlens.errors import InputError, UsageError
from kinlens.evaluate.label_groups import hierarchical_f1, violation_share
from kinlens.evaluate.label_splits import label_split
from kinlens.evaluate.label_thresholds import tuned_thresholds
from kinlens.evaluate.multilabel import (
    LABEL_METRICS,
    LabelAnswers,
    LabelScores,
    MeanOf,
    label_table,
)
from kinlens.evaluate.splits import Shares
from kinlens.records.label_tree import LabelTree

TREE = LabelTree.of({"a": ["x", "y"], "b": ["z"]})


@pytest.fixture
def answers(rng):
    truth = rng.random((300, 3)) < [0.5, 0.2, 0.05]
    probabilities = np.clip(0.35 * truth + rng.random((300, 3)) * 0.65, 0, 1).round(2)
    return LabelAnswers(TREE.labels, truth, probabilities > 0.5, probabilities)


def scored(answers, metrics=LABEL_METRICS):
    scores = LabelScores(answers, metrics)
    return dict(zip(scores.names, scores(np.ones((1, len(answers))))[0], strict=True))


def test_scores_are_those_of_scikit_learn(answers):
    found = scored(answers)
    for number, label in enumerate(TREE.labels):
        truth, answer = answers.truth[:, number], answers.answer[:, number]
        assert found[f"f1/{label}"] == pytest.approx(f1_score(truth, answer))
        assert found[f"precision/{label}"] == pytest.approx(precision_score(truth, answer))
        assert found[f"recall/{label}"] == pytest.approx(recall_score(truth, answer))
        assert found[f"average_precision/{label}"] == pytest.approx(
            average_precision_score(truth, answers.probabilities[:, number])
        )
    for mean in ("macro", "micro"):
        assert found[f"f1/{mean}"] == pytest.approx(
            f1_score(answers.truth, answers.answer, average=mean)
        )


def test_whole_weights_are_repeated_pictures(answers):
    weights = np.arange(len(answers)) % 3
    repeated = answers.select(np.repeat(np.arange(len(answers)), weights))
    scores = LabelScores(answers, LABEL_METRICS)
    expected = LabelScores(repeated, LABEL_METRICS)(np.ones((1, len(repeated))))
    np.testing.assert_allclose(scores(weights[None].astype(float)), expected, equal_nan=True)


def test_the_best_constant_answer_has_no_advantage(answers):
    share = answers.truth.mean(axis=0)
    constant = LabelAnswers(
        answers.labels,
        answers.truth,
        np.broadcast_to(share > 0.5, answers.truth.shape),
        np.broadcast_to(share, answers.truth.shape),
    )
    found = scored(constant, ("prediction_advantage", "log_advantage", "squared_advantage"))
    np.testing.assert_allclose(list(found.values()), 0, atol=1e-9)
    right = LabelAnswers(answers.labels, answers.truth, answers.truth, answers.truth.astype(float))
    found = scored(right, ("prediction_advantage", "squared_advantage", "source_advantage"))
    np.testing.assert_allclose(list(found.values()), 1, atol=1e-6)


def test_the_advantage_of_the_source_is_as_printed(answers):
    found = scored(answers, ("f1", "source_advantage"))
    share = answers.truth[:, 0].mean()
    assert found["source_advantage/x"] == pytest.approx(1 - (1 - found["f1/x"]) / (1 - share))


def test_a_label_without_pictures_has_no_score_and_spoils_no_mean(answers):
    truth = answers.truth.copy()
    truth[:, 2] = False
    found = scored(LabelAnswers(TREE.labels, truth, answers.answer), ("f1",))
    assert np.isnan(found["f1/z"])
    assert found["f1/macro"] == pytest.approx((found["f1/x"] + found["f1/y"]) / 2)


def test_the_mean_of_networks_is_the_mean_of_their_scores(answers):
    other = LabelAnswers(TREE.labels, answers.truth, answers.truth)
    first, second = LabelScores(answers, ["f1"]), LabelScores(other, ["f1"])
    ones = np.ones((1, len(answers)))
    np.testing.assert_allclose(MeanOf([first, second])(ones), (first(ones) + second(ones)) / 2)
    with pytest.raises(UsageError, match="same names"):
        MeanOf([first, LabelScores(other, ["recall"])])


def test_wrong_shapes_and_names_are_refused(answers):
    with pytest.raises(UsageError, match="answer must have shape"):
        LabelAnswers(TREE.labels, answers.truth, answers.answer[:5])
    with pytest.raises(UsageError, match="Did you mean 'recall'"):
        LabelScores(answers, ["recal"])
    bare = LabelAnswers(TREE.labels, answers.truth, answers.answer)
    with pytest.raises(UsageError, match="needs probabilities"):
        LabelScores(bare, ["average_precision"])


def test_few_units_make_a_label_undecidable():
    truth = np.ones((40, 2), bool)
    truth[12:, 1] = False
    table = label_table(truth, ["many", "few"], np.arange(40) // 2)
    assert table["units"].tolist() == [20, 6]
    assert table["decidable"].tolist() == [True, False]


def test_thresholds_maximise_f1(answers):
    thresholds = tuned_thresholds(answers.probabilities, answers.truth)
    for number in range(3):
        said = answers.probabilities[:, number]
        best = max(
            f1_score(answers.truth[:, number], said >= value) for value in np.linspace(0, 1, 201)
        )
        found = f1_score(answers.truth[:, number], said >= thresholds[number])
        assert found >= best - 1e-12


def test_a_label_without_validation_pictures_keeps_the_published_threshold():
    assert tuned_thresholds(np.array([[0.2], [0.3]]), np.zeros((2, 1), bool)).tolist() == [0.5]


def test_a_label_without_its_group_breaks_the_hierarchy():
    labels = np.array([[True, False, False], [True, False, False], [False, False, False]])
    groups = np.array([[True, False], [False, False], [False, True]])
    assert violation_share(groups, labels, TREE) == pytest.approx(2 / 3)


def test_the_right_group_is_half_the_way():
    truth = np.array([[True, False, False]])
    assert hierarchical_f1(truth, np.array([[False, True, False]]), TREE) == 0.5
    assert hierarchical_f1(truth, np.array([[False, False, True]]), TREE) == 0.0
    assert hierarchical_f1(truth, truth, TREE) == 1.0


def test_the_split_keeps_units_whole_and_gives_every_label_to_every_part(rng):
    units = np.repeat(np.arange(200), 3)
    truth = (rng.random((200, 4)) < [0.5, 0.3, 0.1, 0.03])[units]
    split = label_split(truth, units, rng=rng, shares=Shares(0.2, 0.2), grouped_by="specimen")
    parts = (split.train, split.validation, split.test)
    assert sum(map(len, parts)) == len(units)
    for first, second in ((0, 1), (0, 2), (1, 2)):
        assert not set(units[parts[first]]) & set(units[parts[second]])
    for part, share in zip(parts, (0.6, 0.2, 0.2), strict=True):
        assert len(part) / len(units) == pytest.approx(share, abs=0.03)
        got = truth[part].sum(axis=0) / truth.sum(axis=0)
        np.testing.assert_allclose(got[:3], share, atol=0.06)
        assert got[3] > 0


def test_too_few_units_cannot_be_split(rng):
    with pytest.raises(InputError, match=r"three units or more, found 2 \(field\)"):
        label_split(np.ones((6, 1), bool), [0, 0, 0, 1, 1, 1], rng=rng, shares=Shares(0.2, 0.2),
                    grouped_by="field")  # fmt: skip
