"""The study `kinship`: whether looking alike means being related, and can be taught to mean it.

Folds are made first; whatever is learned or chosen comes from the species of the other folds.
Numbers are in `kinship_measures`, figures in `kinship_figures`, words in `kinship_words`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import pandas as pd
from pydantic import Field

from kinlens.config import Config, one_of
from kinlens.errors import InputError
from kinlens.evaluate.ceilings import BrownianCeiling
from kinlens.evaluate.splits import Split
from kinlens.models.kinship_engine import inner_folds
from kinlens.models.kinship_profiles import fit_picture_scaling
from kinlens.models.kinship_ridge import NestedSmoothers, pair_correlation
from kinlens.optional import need
from kinlens.parallel import Resources
from kinlens.records.collection import Collection
from kinlens.records.result import StudyResult
from kinlens.rng import RandomStreams
from kinlens.studies import kinship_measures as measures
from kinlens.studies.kinship_measures import Correlation, HeldOut
from kinlens.studies.kinship_task import KinshipTask, fold_plans, prepare, raw_features
from kinlens.typing import FloatArray, IntArray

if TYPE_CHECKING:
    from kinlens.studies.kinship_network import Learner

__all__ = ["CONFIG", "KinshipConfig", "KinshipFindings", "measure", "run"]

MODELS = ("ridge", "attention_head")


class KinshipConfig(Config):
    """Settings of the study `kinship`; the defaults run without a download."""

    embedder: str = Field(
        default="descriptors", description="descriptors, timm:NAME or open_clip:NAME."
    )
    weights: Path | None = Field(
        default=None, description="safetensors file or folder for the network; the hub otherwise."
    )
    models: tuple[Annotated[str, one_of(MODELS)], ...] = Field(
        default=MODELS, description="Which guided embeddings to fit: ridge, attention_head."
    )
    fine_tune: str = Field(
        default="",
        description="A network whose last block is trained as well, timm:NAME or open_clip:NAME; "
        "none when empty. It takes the weights given, or the hub's; wants a GPU.",
    )
    clade_rank: str = Field(
        default="genus",
        description="The rank held out whole; clades are cut from the tree where it is missing.",
    )
    folds: int = Field(default=5, ge=2, le=50, description="Folds of species and of clades.")
    permutations: int = Field(default=9_999, ge=99, description="Permutations of Mantel tests.")
    shuffles: int = Field(
        default=199, ge=19, description="Shuffled trees on which all learning is repeated."
    )
    replicates: int = Field(default=1000, ge=100, description="Bootstrap replicates of clades.")
    worlds: int = Field(
        default=299, ge=99, description="Simulated worlds behind ceilings and the test of clades."
    )
    error_rate: float = Field(
        default=0.1, gt=0, lt=1, description="Share of distance intervals that may miss."
    )


CONFIG = KinshipConfig


@dataclass(frozen=True, eq=False)
class KinshipFindings:
    """Everything that was measured.

    Parameters
    ----------
    task : KinshipTask
    features : array of float, shape (n, p)
        Raw looks of the species.
    correlations : mapping of (target, model, split) to Correlation
    held_out : mapping of (model, split) to HeldOut
    in_sample : mapping of model to array of shape (n, n)
        Predicted distances among species that were learned from.
    to_training : mapping of (model, split) to float
        Correlation of held-out with training species.
    signal : mapping of str to mapping
        Kmult and lambda of the raw looks.
    tests : pandas.DataFrame
        Raw looks against the tree, by every test.
    pairs : pandas.DataFrame
        Clades that look more or less alike than kinship explains.
    """

    task: KinshipTask
    features: FloatArray
    correlations: Mapping[tuple[str, str, str], Correlation]
    held_out: Mapping[tuple[str, str], HeldOut] = field(default_factory=dict)
    in_sample: Mapping[str, FloatArray] = field(default_factory=dict)
    to_training: Mapping[tuple[str, str], float] = field(default_factory=dict)
    signal: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    tests: pd.DataFrame = field(default_factory=pd.DataFrame)
    pairs: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def believed(self) -> Correlation | None:
        """The correlation whose test is to be believed.

        Held-out species of the ridge against shuffled trees; with too few species for folds, None:
        Mantel's test of raw looks is all there is then.
        """
        return self.correlations.get(("held_out", "ridge", "species"))

    @property
    def believed_p(self) -> float:
        """The p-value to believe."""
        if self.believed is not None and self.believed.p_value is not None:
            return self.believed.p_value
        mantel = self.tests[self.tests["test"] == "mantel"] if len(self.tests) else self.tests
        if not len(mantel):
            return 1.0
        # Two distances were tried: Bonferroni.
        return float(min(1.0, len(mantel) * mantel["p_value"].min()))

    @property
    def has_evidence(self) -> bool:
        """Whether kinship can be told from looks, at 5 %."""
        return self.believed_p <= 0.05


def run(
    collection: Collection, config: KinshipConfig, streams: RandomStreams, resources: Resources
) -> StudyResult:
    """Ask a collection whether looking alike means being related.

    Parameters
    ----------
    collection : Collection
        With pictures, and a tree (or distances) of their species.
    config : KinshipConfig
        Settings.
    streams : RandomStreams
        Folds, nulls, intervals and networks draw from streams of their own.
    resources : Resources
        Where to work.

    Returns
    -------
    StudyResult
        Correlations of looks with kinship, raw, in sample and held out, each with interval,
        Brownian ceiling, null and n; signal; clades that deviate; figures.

    Raises
    ------
    InputError
        When there are neither tree nor distances, or fewer than four species have both pictures
        and kinship.
    """
    from kinlens.studies.kinship_report import report_of

    task = prepare(collection, config, streams, resources)
    # Matrices of a few hundred rows, thousands of times: more threads would wait for each other.
    with need("threadpoolctl").threadpool_limits(1):
        found = measure(task, config, streams, resources, collection=collection)
    return report_of(collection, found, config, streams, resources)


def measure(
    task: KinshipTask,
    config: KinshipConfig,
    streams: RandomStreams,
    resources: Resources,
    *,
    collection: Collection | None = None,
) -> KinshipFindings:
    """Compute every number of the study from a joined task.

    Parameters
    ----------
    task : KinshipTask
    config, streams, resources
        As in `run`.
    collection : Collection, optional
        Needed for ``fine_tune`` alone, which reads the pictures again.
    """
    features = raw_features(task)
    if not features.shape[1]:
        raise InputError(
            f"the pictures look the same in every {task.rank}, as far as `{config.embedder}` sees",
            remedy="Look at them, or take another embedder.",
        )
    correlations = dict(_raw_correlations(task, features, config, streams))
    held_out: dict[tuple[str, str], HeldOut] = {}
    to_training: dict[tuple[str, str], float] = {}
    in_sample: dict[str, FloatArray] = {}
    plans = fold_plans(task, config.folds, streams)
    if plans:
        folds = [(name, fold) for name, plan in plans.items() for fold in plan]
        nested: dict[str, list[NestedSmoothers]] = {name: [] for name in plans}
        with resources.progress.task("Learning kinship", len(folds) + 1, unit="fold") as bar:
            for name, fold in folds:
                nested[name].append(_nested(task, fold, name, config, streams))
                bar.advance()
            whole = _nested_in_sample(task, config, streams)
            bar.advance()
        in_sample["ridge"] = whole.predict(task.distances)
        for name, plan in plans.items():
            held_out["ridge", name] = measures.held_out_ridge(nested[name], plan, task.distances)
        nulls = _shuffled(task, nested, config, streams, resources)
        for model, learner in _networks(collection, task, config, resources).items():
            from kinlens.studies.kinship_network import held_out_network, in_sample_network

            # Once more, because torch has brought threads of its own by now.
            with need("threadpoolctl").threadpool_limits(1):
                in_sample[model] = in_sample_network(learner, task, config.folds, streams)
                for name, plan in plans.items():
                    held_out[model, name] = held_out_network(
                        learner, task, plan, name, config.folds, streams, resources
                    )
        for (model, name), found in held_out.items():
            null = nulls[name] if model == "ridge" else np.empty(0)
            correlations["held_out", model, name] = _held_out_correlation(
                task, features, found, name, model, config, streams, null
            )
            to_training[model, name] = found.training_correlation(task.distances)
        for model, matrix in in_sample.items():
            correlations["in_sample", model, "none"] = _correlation(
                task,
                [(np.arange(task.n), matrix)],
                correlations["raw", "euclidean", "none"].ceiling,
                config,
                streams.child("in_sample", model),
            )
    with resources.progress.task("Comparing clades", 1) as bar:
        pairs = measures.clade_pairs(
            task, features, worlds=config.worlds, rng=streams.generator("clades")
        )
        bar.advance()
    return KinshipFindings(
        task=task,
        features=features,
        correlations=correlations,
        held_out=held_out,
        in_sample=in_sample,
        to_training=to_training,
        signal=measures.signal_of(
            task, features, permutations=999, rng=streams.generator("signal")
        ),
        tests=measures.matrix_tests(
            task, features, permutations=config.permutations, streams=streams.child("tests")
        ),
        pairs=pairs,
    )


def _networks(
    collection: Collection | None, task: KinshipTask, config: KinshipConfig, resources: Resources
) -> dict[str, Learner]:
    """Set up the networks that are asked for; torch is loaded only then."""
    networks: dict[str, Learner] = {}
    if "attention_head" in config.models:
        from kinlens.studies.kinship_network import published_network

        networks["attention_head"] = published_network(task, resources)
    if config.fine_tune and collection is not None:
        from kinlens.studies.kinship_network import fine_tuned

        networks["fine_tuned"] = fine_tuned(
            collection, task, config.fine_tune, config.weights, resources
        )
    return networks


def _raw_correlations(
    task: KinshipTask, features: FloatArray, config: KinshipConfig, streams: RandomStreams
) -> dict[tuple[str, str, str], Correlation]:
    everyone = np.arange(task.n)
    ceiling = measures.ceiling_of(
        task,
        features,
        [everyone],
        rng=streams.generator("ceiling", "raw"),
        replicates=config.worlds,
    )
    return {
        ("raw", kind, "none"): _correlation(
            task,
            [(everyone, measures.visual_distances(features, kind))],
            ceiling,
            config,
            streams.child("raw", kind),
        )
        for kind in ("euclidean", "cosine")
    }


def _correlation(
    task: KinshipTask,
    blocks: list[tuple[IntArray, FloatArray]],
    ceiling: BrownianCeiling | None,
    config: KinshipConfig,
    streams: RandomStreams,
    null: FloatArray | None = None,
) -> Correlation:
    each = [pair_correlation(matrix, task.distances[np.ix_(rows, rows)]) for rows, matrix in blocks]
    low, high = measures.clade_interval(
        blocks,
        task.distances,
        task.clades,
        rng=streams.generator("bootstrap"),
        replicates=config.replicates,
    )
    return Correlation(
        float(np.nanmean(each)) if np.isfinite(each).any() else float("nan"),
        low,
        high,
        task.n,
        ceiling,
        np.empty(0) if null is None else null,
    )


def _held_out_correlation(
    task: KinshipTask,
    features: FloatArray,
    found: HeldOut,
    split: str,
    model: str,
    config: KinshipConfig,
    streams: RandomStreams,
    null: FloatArray,
) -> Correlation:
    blocks = [
        (fold.test, matrix) for fold, matrix in zip(found.folds, found.predicted, strict=True)
    ]
    ceiling = measures.ceiling_of(
        task,
        features,
        [fold.test for fold in found.folds],
        rng=streams.generator("ceiling", split),
        replicates=config.worlds,
    )
    return _correlation(
        task, blocks, ceiling, config, streams.child("held_out", model, split), null
    )


def _nested(
    task: KinshipTask, fold: Split, name: str, config: KinshipConfig, streams: RandomStreams
) -> NestedSmoothers:
    """Scale pictures by those of the training species, and prepare all weights."""
    pictures = task.pictures
    learned = np.flatnonzero(np.isin(pictures.groups, fold.train))
    scaling = fit_picture_scaling(
        pictures.values[learned], pictures.groups[learned], pictures.views[learned]
    )
    profiles = scaling.profiles(pictures.values, pictures.groups, task.n, pictures.views)
    labels = [task.clades[i] for i in fold.train] if name == "clade" else None
    inner = inner_folds(
        len(fold.train), labels, config.folds, streams.generator("inner", fold.name)
    )
    return NestedSmoothers.build(profiles, fold.train, fold.test, inner)


def _nested_in_sample(
    task: KinshipTask, config: KinshipConfig, streams: RandomStreams
) -> NestedSmoothers:
    pictures = task.pictures
    scaling = fit_picture_scaling(pictures.values, pictures.groups, pictures.views)
    profiles = scaling.profiles(pictures.values, pictures.groups, task.n, pictures.views)
    everyone = np.arange(task.n)
    inner = inner_folds(task.n, None, config.folds, streams.generator("inner", "in_sample"))
    return NestedSmoothers.build(profiles, everyone, everyone, inner)


def _shuffled(
    task: KinshipTask,
    nested: Mapping[str, list[NestedSmoothers]],
    config: KinshipConfig,
    streams: RandomStreams,
    resources: Resources,
) -> dict[str, FloatArray]:
    total = config.shuffles * len(nested)
    with resources.progress.task("Shuffling the tree", total, unit="tree") as bar:
        return {
            name: measures.shuffled_correlations(
                each,
                task.distances,
                permutations=config.shuffles,
                rng=streams.generator("shuffle", name),
                progress=bar,
            )
            for name, each in nested.items()
        }
