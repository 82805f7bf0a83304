"""The study `taxa`: name taxa from pictures, from species up, and say how safe each name is.

The split is made first. Models are chosen by specimens held out of the training part; the test
part is looked at once, at the end. Figures are in `taxa_figures`, answering for new pictures in
`taxa_model`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from kinlens.config import Config
from kinlens.evaluate.metrics import Answers, Scores, estimate_scores
from kinlens.evaluate.resample import permutation_p_value, permuted_labels
from kinlens.models.classifiers import BASELINES, MODELS, build_classifier
from kinlens.models.hierarchy import HierarchicalClassifier
from kinlens.parallel import Resources
from kinlens.records.collection import Collection
from kinlens.records.result import StudyResult, metric_row
from kinlens.rng import RandomStreams
from kinlens.studies.taxa_model import fit_hierarchical, fit_naming_model
from kinlens.studies.taxa_report import report_of
from kinlens.studies.taxa_task import Scored, Task, prepare
from kinlens.typing import FloatArray, IntArray, ObjectArray

__all__ = ["CONFIG", "TaxaConfig", "run"]

NULL_METRICS = ("accuracy", "balanced_accuracy", "macro_f1", "mcc")
NEED_PROBABILITIES = ("roc_auc", "top_5_accuracy", "calibration_error")
SHOWN_METRICS = (
    *NULL_METRICS,
    "weighted_f1",
    "macro_precision",
    "macro_recall",
    *NEED_PROBABILITIES,
)
JUDGED_BY = "balanced_accuracy"


class TaxaConfig(Config):
    """Settings of the study `taxa`; the defaults run without a download."""

    embedder: str = Field(
        default="descriptors", description="descriptors, timm:NAME or open_clip:NAME."
    )
    weights: Path | None = Field(
        default=None, description="safetensors file or folder for the network; the hub otherwise."
    )
    ranks: tuple[str, ...] = Field(
        default=(), description="Ranks to name, such as ['species', 'genus']; all when empty."
    )
    models: tuple[str, ...] = Field(
        default=(*BASELINES, *MODELS), description="Which models to compare."
    )
    split: Literal["specimen", "random", "clade"] = Field(
        default="specimen",
        description="What is kept on one side: whole specimens, nothing, or whole clades.",
    )
    clade_rank: str = Field(
        default="genus", description="The rank held out whole when split = 'clade'."
    )
    test_share: float = Field(default=0.2, gt=0, lt=1, description="Share of specimens tested.")
    inner_share: float = Field(
        default=0.2, gt=0, lt=1, description="Share of the rest held out to choose among models."
    )
    error_rate: float = Field(
        default=0.05, gt=0, lt=1, description="Error allowed when names stop at a safe rank."
    )
    replicates: int = Field(default=1000, ge=100, description="Bootstrap replicates.")
    permutations: int = Field(default=199, ge=19, description="Shuffles of names for the null.")
    find_duplicates: bool = Field(
        default=True, description="Keep pictures that look the same on one side of the split."
    )


CONFIG = TaxaConfig


def run(
    collection: Collection, config: TaxaConfig, streams: RandomStreams, resources: Resources
) -> StudyResult:
    """Name taxa from the pictures of a collection.

    Parameters
    ----------
    collection : Collection
        With pictures, species and, for higher ranks, their columns.
    config : TaxaConfig
        Settings.
    streams : RandomStreams
        Split, models, intervals and nulls draw from streams of their own.
    resources : Resources
        Where to work.

    Returns
    -------
    StudyResult
        Metrics of every model at every rank on the test part, with intervals and nulls; the
        calibrated hierarchical model with its safe ranks; figures; predictions.

    Raises
    ------
    InputError
        When fewer than two species have pictures, or they are too few to split.
    UsageError
        For a rank or model that does not exist.
    """
    task = prepare(collection, config, streams, resources)
    classifier = fit_hierarchical(task, task.split.development, streams.integer("hierarchical"))
    scored = compare_models(task, classifier, config, streams, resources)
    with resources.progress.task("Calibrating", 1) as bar:
        naming = fit_naming_model(task, classifier, config, streams)
        bar.advance()
    metrics = [
        row for each in scored for row in _metric_rows(each, task, config, streams, resources)
    ]
    return report_of(
        collection, task, config, streams, resources, scored=scored, naming=naming, metrics=metrics
    )


def compare_models(
    task: Task,
    classifier: HierarchicalClassifier,
    config: TaxaConfig,
    streams: RandomStreams,
    resources: Resources,
) -> list[Scored]:
    """Fit every model at every rank; mark the one that inner validation chose for each rank.

    The choice is by balanced accuracy on the validation part of models fitted on the training
    part. All models are then fitted on both parts and answer for the test part. Baselines take no
    part in the choice, so they are not fitted for it.
    """
    jobs = [(rank, name) for rank in task.ranks for name in config.models]
    found: list[Scored] = []
    # The hierarchical classifier answers all ranks, so it is fitted once for each set of rows.
    hierarchical = {len(task.split.development): classifier}
    with resources.progress.task("Comparing models", len(jobs), unit="model") as bar:
        for rank, name in jobs:
            seed = streams.integer("model", name, rank)
            inner = np.nan
            if name not in BASELINES and len(task.split.validation):
                rows = task.known(rank, task.split.validation)
                answers = _answers(name, rank, task, task.split.train, rows, seed, hierarchical)
                inner = _score(answers, JUDGED_BY)
            rows = task.known(rank, task.split.test)
            answers = _answers(name, rank, task, task.split.development, rows, seed, hierarchical)
            found.append(Scored(rank, name, answers, rows, inner))
            bar.advance()
    return _with_choice(found)


def _with_choice(found: list[Scored]) -> list[Scored]:
    best: dict[str, Scored] = {}
    for each in found:
        if np.isfinite(each.inner_score) and (
            each.rank not in best or each.inner_score > best[each.rank].inner_score
        ):
            best[each.rank] = each
    return [replace(each, is_chosen=best.get(each.rank) is each) for each in found]


def _answers(
    name: str,
    rank: str,
    task: Task,
    train: IntArray,
    rows: IntArray,
    seed: int,
    hierarchical: dict[int, HierarchicalClassifier],
) -> Answers:
    """Fit one model on `train` and let it answer for `rows`."""
    vectors = task.vectors
    if name == "hierarchical":
        if len(train) not in hierarchical:
            hierarchical[len(train)] = fit_hierarchical(task, train, seed)
        model = hierarchical[len(train)]
        probabilities, columns = model.predict_proba(vectors[rows], rank), model.taxa(rank)
        probabilities, columns = _without_nameless(probabilities, columns)
    else:
        known = task.known(rank, train)
        fitted = build_classifier(name, seed=seed, n_jobs=2).fit(
            vectors[known], task.labels(rank, known)
        )
        columns = fitted.classes_
        if not hasattr(fitted, "predict_proba"):
            return Answers.from_labels(task.labels(rank, rows), fitted.predict(vectors[rows]))
        probabilities = fitted.predict_proba(vectors[rows])
    answer = np.asarray(columns, dtype=object)[probabilities.argmax(axis=1)]
    return Answers.from_labels(task.labels(rank, rows), answer, probabilities, columns)


def _without_nameless(
    probabilities: FloatArray, columns: ObjectArray
) -> tuple[FloatArray, ObjectArray]:
    """Leave out taxa that the taxonomy does not name; the rest is scaled to sum to one."""
    named = np.array([name is not None for name in columns])
    kept = probabilities[:, named]
    return kept / np.maximum(kept.sum(axis=1, keepdims=True), 1e-12), columns[named]


def _score(answers: Answers, metric: str) -> float:
    return float(Scores(answers, [metric])(np.ones((1, len(answers))))[0, 0])


def _metric_rows(
    scored: Scored,
    task: Task,
    config: TaxaConfig,
    streams: RandomStreams,
    resources: Resources,
) -> list[dict[str, object]]:
    """Score one model at one rank: value, interval over specimens, null, p-value."""
    answers, rows = scored.answers, scored.rows
    together = task.together[rows]
    has_probabilities = answers.probabilities is not None
    names = [name for name in SHOWN_METRICS if has_probabilities or name not in NEED_PROBABILITIES]
    place = (scored.rank, scored.model)
    estimates = estimate_scores(
        answers,
        together,
        rng=streams.generator("bootstrap", *place),
        names=names,
        n_replicates=config.replicates,
    )
    null = _null_scores(answers, together, config.permutations, streams.generator("null", *place))
    out = []
    for name in names:
        value, low, high = estimates[name]
        drawn = null.get(name)
        out.append(
            metric_row(
                "taxa",
                target=scored.rank,
                model=scored.model,
                metric=name,
                value=value,
                low=low,
                high=high,
                split=task.split.name,
                selected=scored.is_chosen,
                null_mean=None if drawn is None else float(drawn.mean()),
                p_value=None if drawn is None else permutation_p_value(value, drawn),
                n=estimates.n_groups,
                seed=streams.seed,
            )
        )
    return out


def _null_scores(
    answers: Answers, together: IntArray, permutations: int, rng: np.random.Generator
) -> dict[str, FloatArray]:
    """Score the same answers against names shuffled among specimens."""
    drawn = np.empty((permutations, len(NULL_METRICS)))
    for number in range(permutations):
        shuffled = permuted_labels(answers.truth, together, rng=rng)
        world = Answers(answers.classes, shuffled, answers.answer)
        drawn[number] = Scores(world, NULL_METRICS)(np.ones((1, len(world))))[0]
    return dict(zip(NULL_METRICS, drawn.T, strict=True))
