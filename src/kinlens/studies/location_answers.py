"""From trained networks and baselines to answers: every model of the source's table, as rows.

All models answer twice: at the published threshold of 0.5, and with thresholds tuned on the
validation part by one function (their names end in ``_tuned``).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from kinlens.embed.descriptors import DescriptorEncoder
from kinlens.evaluate.label_groups import hierarchical_f1, violation_share
from kinlens.evaluate.label_thresholds import PUBLISHED_THRESHOLD, tuned_thresholds
from kinlens.evaluate.multilabel import LabelAnswers, LabelScores, MeanOf
from kinlens.io.images import resize_to_square
from kinlens.studies.location_task import Task
from kinlens.studies.location_training import Trained
from kinlens.typing import BoolArray, FloatArray, IntArray

__all__ = [
    "BASELINES",
    "MODELS",
    "NETWORKS",
    "Scored",
    "StageScores",
    "described",
    "scored_models",
    "stage_scores",
]

BASELINES = ("constant", "logistic")
"""Models without a network: each label's share in training, and regression on descriptors."""

NETWORKS = (
    "flat",
    "stage1_single",
    "stage1_multi",
    "hard_routed",
    "hard_routed_other",
    "joint",
    "longer",
    "pair",
    "larger",
)
"""Models with networks; those of stage 1 answer for groups alone."""

MODELS = (*BASELINES, *NETWORKS)
"""Every model that may be asked for."""

_STAGE_1 = ("stage1_single", "stage1_multi")


@dataclass(frozen=True, eq=False)
class Scored:
    """What one model answered for the test part.

    Parameters
    ----------
    model : str
        Its name; ends in ``_tuned`` when its thresholds were tuned.
    answers : tuple of LabelAnswers
        One for each repeat.
    thresholds : tuple of array, each of shape (n_labels,)
        One for each repeat.
    inner_score : float
        Macro average precision on the validation part, mean of the repeats; NaN for baselines.
    violations : float
        Share of test pictures whose answered groups are not those of the answered labels; NaN for
        models that answer no group on their own.
    hierarchical_f1 : float
        Over labels and groups, mean of the repeats.
    is_chosen : bool
        Whether inner validation chose it.
    """

    model: str
    answers: tuple[LabelAnswers, ...]
    thresholds: tuple[FloatArray, ...]
    inner_score: float
    violations: float
    hierarchical_f1: float
    is_chosen: bool = False

    def statistic(self, metrics: Sequence[str], *, targets: str = "all") -> MeanOf:
        """Return `metrics` of the answers, the mean of the repeats, for `targets`: all or means."""
        return MeanOf([LabelScores(each, metrics, targets=targets) for each in self.answers])


@dataclass(frozen=True, eq=False)
class StageScores:
    """How well one stage did on its own, for the source's figures 5 and 6.

    Parameters
    ----------
    stage : str
        ``stage 1``, or the group of stage 2.
    model : str
        As the network is named; ``flat`` for the baseline on the same pictures.
    answers : tuple of LabelAnswers
        One for each repeat; of groups in stage 1, of the group's labels and pictures in stage 2.
    rows : array of int
        The test pictures.
    """

    stage: str
    model: str
    answers: tuple[LabelAnswers, ...]
    rows: IntArray


@dataclass(frozen=True, eq=False)
class _Said:
    """Probabilities of one model and repeat for every row, and its groups if it names them."""

    labels: FloatArray
    groups: FloatArray | None = None


def described(task: Task) -> FloatArray:
    """Describe every picture by the built-in descriptors, shape (n, d).

    Parameters
    ----------
    task : Task
        Its pictures, at the size and with the channels that networks see.
    """
    encoder = DescriptorEncoder(len(task.channels), is_colour=False)
    parts = []
    for start in range(0, len(task.pictures), encoder.batch_size):
        block = [
            resize_to_square(picture, encoder.input_size).astype(np.float32) / 255.0
            for picture in task.pictures[start : start + encoder.batch_size]
        ]
        parts.append(encoder.encode(np.stack(block)))
    return np.concatenate(parts).astype(np.float64)


def scored_models(
    task: Task,
    models: Sequence[str],
    trained: Sequence[Mapping[str, Trained]],
    descriptors: FloatArray | None,
) -> list[Scored]:
    """Let every model answer for the test part, twice, and mark the one that validation chose.

    Parameters
    ----------
    task : Task
        Labels and split.
    models : sequence of str
        Of `MODELS`.
    trained : sequence of mapping
        Networks by name, one mapping a repeat.
    descriptors : array of float, shape (n, d), optional
        Needed by ``logistic``.
    """
    found: list[Scored] = []
    for model in models:
        if model in _STAGE_1:
            continue
        if model == "constant":
            share = task.truth[task.split.train].mean(axis=0)
            said = [_Said(np.broadcast_to(share, task.truth.shape))]
        elif model == "logistic":
            assert descriptors is not None
            said = [_Said(_logistic(task, descriptors))]
        else:
            said = [_said(task, model, networks) for networks in trained]
        is_candidate = model not in BASELINES
        found += [_scored(task, model, said, is_tuned, is_candidate) for is_tuned in (False, True)]
    best = max(
        (each for each in found if each.model.endswith("_tuned") and each.inner_score > -1),
        key=lambda each: each.inner_score,
        default=None,
    )
    return [replace(each, is_chosen=each is best) for each in found]


def stage_scores(task: Task, trained: Sequence[Mapping[str, Trained]]) -> list[StageScores]:
    """Score each stage on its own, as far as its networks were trained.

    Stage 1 answers for groups, on all test pictures; stage 2 for the labels of its group, on the
    test pictures that truly hold one, beside the baseline on the same pictures.

    Parameters
    ----------
    task : Task
        Labels and split.
    trained : sequence of mapping
        Networks by name, one mapping a repeat.
    """
    test, tree = task.split.test, task.tree
    found = []
    for name in _STAGE_1:
        if name in trained[0]:
            said = [networks[name].probabilities[test] for networks in trained]
            answers = _answers(tree.group_names, task.groups[test], said)
            found.append(StageScores("stage 1", name, answers, test))
    for number, group in enumerate(tree.group_names):
        members = tree.members(number)
        rows = test[task.truth[test][:, members].any(axis=1)]
        truth = task.truth[rows][:, members]
        names = tuple(tree.labels[label] for label in members)
        for prefix in ("flat", "stage2", "stage2_other"):
            network = "flat" if prefix == "flat" else f"{prefix}_{group}"
            if network not in trained[0] or not len(rows):
                continue
            said = [networks[network].probabilities[rows] for networks in trained]
            said = [p[:, members] if prefix == "flat" else p[:, : len(members)] for p in said]
            found.append(StageScores(group, prefix, _answers(names, truth, said), rows))
    return [
        each for each in found if each.stage == "stage 1" or "stage2" in _models_of(found, each)
    ]


def _models_of(found: Sequence[StageScores], each: StageScores) -> str:
    """Name the models of a stage, so that a lone baseline can be left out."""
    return " ".join(other.model for other in found if other.stage == each.stage)


def _answers(
    names: tuple[str, ...], truth: BoolArray, said: Sequence[FloatArray]
) -> tuple[LabelAnswers, ...]:
    return tuple(LabelAnswers(names, truth, p > PUBLISHED_THRESHOLD, p) for p in said)


def _said(task: Task, model: str, networks: Mapping[str, Trained]) -> _Said:
    """Return what a model with networks says of every picture."""
    if model == "pair":
        return _Said((networks["flat"].probabilities + networks["second"].probabilities) / 2)
    if model in ("hard_routed", "hard_routed_other"):
        groups = networks["stage1_multi"].probabilities
        prefix = "stage2" if model == "hard_routed" else "stage2_other"
        inner = np.full(task.truth.shape, np.nan)
        for number, group in enumerate(task.tree.group_names):
            members = task.tree.members(number)
            # The last column of a network with "other" is "other".
            inner[:, members] = networks[f"{prefix}_{group}"].probabilities[:, : len(members)]
        is_open = groups[:, task.tree.group_of] > PUBLISHED_THRESHOLD
        return _Said(np.where(is_open, inner, 0.0), groups)
    return _Said(networks[model].probabilities, networks[model].groups)


def _scored(
    task: Task, model: str, said: Sequence[_Said], is_tuned: bool, is_candidate: bool
) -> Scored:
    validation, test, tree = task.split.validation, task.split.test, task.tree
    answers, thresholds, inner, violations = [], [], [], []
    for each in said:
        threshold = np.full(len(tree.labels), PUBLISHED_THRESHOLD)
        if is_tuned:
            threshold = tuned_thresholds(each.labels[validation], task.truth[validation])
        probabilities = np.asarray(each.labels[test])
        answer = probabilities >= threshold if is_tuned else probabilities > threshold
        answers.append(LabelAnswers(tree.labels, task.truth[test], answer, probabilities))
        thresholds.append(threshold)
        on_validation = np.asarray(each.labels[validation])
        held = task.truth[validation]
        scores = LabelScores(
            LabelAnswers(tree.labels, held, on_validation > 0.5, on_validation),
            ["average_precision"],
            targets="means",
        )
        inner.append(float(scores(np.ones((1, len(validation))))[0, 0]))
        if each.groups is not None:
            said_groups = each.groups[test] > PUBLISHED_THRESHOLD
            violations.append(violation_share(said_groups, answer, tree))
    return Scored(
        model=f"{model}_tuned" if is_tuned else model,
        answers=tuple(answers),
        thresholds=tuple(thresholds),
        inner_score=float(np.mean(inner)) if is_candidate else np.nan,
        violations=float(np.mean(violations)) if violations else np.nan,
        hierarchical_f1=float(
            np.mean([hierarchical_f1(each.truth, each.answer, tree) for each in answers])
        ),
    )


def _logistic(task: Task, descriptors: FloatArray) -> FloatArray:
    """Regress each label on the descriptors; labels are learned from the training part alone."""
    train = task.split.train
    probabilities = np.zeros(task.truth.shape)
    for label in range(task.truth.shape[1]):
        held = task.truth[train, label]
        if held.all() or not held.any():
            probabilities[:, label] = held.mean()
            continue
        model = make_pipeline(
            StandardScaler(), LogisticRegression(C=0.003, class_weight="balanced", max_iter=200)
        )
        with warnings.catch_warnings():
            # A fit that is nearly converged is a fair baseline.
            warnings.filterwarnings("ignore", message=".*failed to converge.*")
            model.fit(descriptors[train], held)
        probabilities[:, label] = _positive(model, descriptors)
    return probabilities


def _positive(model: Any, descriptors: FloatArray) -> FloatArray:
    return np.asarray(model.predict_proba(descriptors)[:, 1])
