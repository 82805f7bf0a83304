"""The study `taxa`: name taxa from pictures, from species up, and say how safe each name is.

The split is made first. Models are chosen by specimens held out of the training part; the test
part is looked at once, at the end. Figures are in `taxa_figures`, answering for new pictures in
`taxa_model`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import numpy as np
from pydantic import Field

from kinlens.config import one_of
from kinlens.evaluate.metrics import Answers, Scores, estimate_scores
from kinlens.evaluate.resample import permutation_p_value, permuted_labels
from kinlens.models.classifiers import BASELINES, MODELS, build_classifier
from kinlens.models.hierarchy import HierarchicalClassifier
from kinlens.optional import need
from kinlens.parallel import Resources
from kinlens.records.collection import Collection
from kinlens.records.result import StudyResult, metric_row
from kinlens.rng import RandomStreams
from kinlens.studies.taxa_model import fit_hierarchical, fit_naming_model
from kinlens.studies.taxa_report import report_of
from kinlens.studies.taxa_task import Scored, Task, TaskConfig, balanced_accuracy, prepare
from kinlens.typing import FloatArray, IntArray, ObjectArray

__all__ = ["CONFIG", "TaxaConfig", "compare_models", "run", "with_choice"]

NULL_METRICS = ("accuracy", "balanced_accuracy", "macro_f1", "mcc")
NEED_PROBABILITIES = ("roc_auc", "top_5_accuracy", "calibration_error")
SHOWN_METRICS = (
    *NULL_METRICS,
    "weighted_f1",
    "macro_precision",
    "macro_recall",
    *NEED_PROBABILITIES,
)


class TaxaConfig(TaskConfig):
    """Settings of the study `taxa`; the defaults run without a download."""

    models: tuple[Annotated[str, one_of([*BASELINES, *MODELS])], ...] = Field(
        default=(*BASELINES, *MODELS), description="Which models to compare."
    )
    fine_tune: str = Field(
        default="",
        description="A network to train on the pictures, timm:NAME or open_clip:NAME; none when "
        "empty. It takes the weights given, or the hub's.",
    )
    epochs: int = Field(default=30, ge=1, description="Passes of fine-tuning, at the most.")
    error_rate: float = Field(
        default=0.05, gt=0, lt=1, description="Error allowed when names stop at a safe rank."
    )
    replicates: int = Field(default=1000, ge=100, description="Bootstrap replicates.")
    permutations: int = Field(default=199, ge=19, description="Shuffles of names for the null.")


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
        For a rank that does not exist.
    """
    task = prepare(collection, config, streams, resources)
    # Matrices of some hundred rows, many times: more threads of BLAS would wait for each other.
    with need("threadpoolctl").threadpool_limits(1, user_api="blas"):
        classifier = fit_hierarchical(task, task.split.development, streams.integer("hierarchical"))
        scored = compare_models(task, classifier, config, streams, resources)
        if config.fine_tune:
            # Networks take seconds to import, and most runs need none.
            from kinlens.studies.taxa_fine_tuning import fine_tune

            scored += fine_tune(collection, task, config, streams, resources)
        scored = with_choice(scored)
        naming = fit_naming_model(task, classifier, config)
        metrics = [
            row for each in scored for row in _metric_rows(each, task, config, streams, resources)
        ]
        return report_of(
            collection,
            task,
            config,
            streams,
            resources,
            scored=scored,
            naming=naming,
            metrics=metrics,
        )


def compare_models(
    task: Task,
    classifier: HierarchicalClassifier,
    config: TaxaConfig,
    streams: RandomStreams,
    resources: Resources,
) -> list[Scored]:
    """Fit every model at every rank, and let it answer for the test part.

    A candidate is also fitted on the training part alone and scored on the validation part, by
    which `with_choice` chooses. Baselines are not candidates.

    Parameters
    ----------
    task : Task
        Pictures, names and split.
    classifier : HierarchicalClassifier
        Fitted on training and validation part already.
    config : TaxaConfig
        Which models.
    streams : RandomStreams
        A stream for each model and rank.
    resources : Resources
        Who watches.
    """
    jobs = [(rank, name) for rank in task.ranks for name in config.models]
    found: list[Scored] = []
    # The hierarchical classifier answers all ranks, so it is fitted once for each set of rows.
    hierarchical = {len(task.split.development): classifier}
    with resources.progress.task("Comparing models", len(jobs), unit="model") as bar:
        for rank, name in jobs:
            seed = streams.integer("model", name, rank)
            inner = np.nan
            rows = task.known(rank, task.split.validation)
            if name not in BASELINES and len(rows):
                answers = _answers(name, rank, task, task.split.train, rows, seed, hierarchical)
                inner = balanced_accuracy(answers)
            rows = task.known(rank, task.split.test)
            answers = _answers(name, rank, task, task.split.development, rows, seed, hierarchical)
            found.append(Scored(rank, name, answers, rows, inner))
            bar.advance()
    return found


def with_choice(found: list[Scored]) -> list[Scored]:
    """Mark, for each rank, the model with the best score on the validation part."""
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
        labels = task.labels(rank, known)
        # Who knows one name can only say that one; several models refuse to learn it.
        kind = name if len(set(labels)) > 1 else "majority"
        fitted = build_classifier(kind, seed=seed, n_jobs=2, n_samples=len(known)).fit(
            vectors[known], labels
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


def _metric_rows(
    scored: Scored,
    task: Task,
    config: TaxaConfig,
    streams: RandomStreams,
    resources: Resources,
) -> list[dict[str, object]]:
    """Score one model at one rank: value, interval over units, null, p-value."""
    answers, rows = scored.answers, scored.rows
    units = task.units[rows]
    has_probabilities = answers.probabilities is not None
    names = [name for name in SHOWN_METRICS if has_probabilities or name not in NEED_PROBABILITIES]
    place = (scored.rank, scored.model)
    estimates = estimate_scores(
        answers,
        units,
        rng=streams.generator("bootstrap", *place),
        names=names,
        n_replicates=config.replicates,
    )
    null = _null_scores(answers, units, config.permutations, streams.generator("null", *place))
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
    answers: Answers, units: IntArray, permutations: int, rng: np.random.Generator
) -> dict[str, FloatArray]:
    """Score the same answers against names shuffled among units."""
    drawn = np.empty((permutations, len(NULL_METRICS)))
    for number in range(permutations):
        shuffled = permuted_labels(answers.truth, units, rng=rng)
        world = Answers(answers.classes, shuffled, answers.answer)
        drawn[number] = Scores(world, NULL_METRICS)(np.ones((1, len(world))))[0]
    return dict(zip(NULL_METRICS, drawn.T, strict=True))
