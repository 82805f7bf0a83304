"""Every number of the study `genes`: the scan, its null, its baselines, and one row a gene."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field
from scipy.stats import norm

from kinlens import __version__
from kinlens.evaluate.multiplicity import false_discovery_rates, family_wise_p_values
from kinlens.evaluate.repeated import PartsArray, repeat_random
from kinlens.ledger import FolderLedger
from kinlens.models.gene_intervals import GeneIntervals, clade_intervals
from kinlens.models.gene_null import (
    GenePattern,
    NullGenes,
    NullTest,
    compare_with_null,
    draw_null_genes,
    gene_patterns,
)
from kinlens.models.gene_scan import MISSING, GeneScores, Measure, scan_genes, score_each_split
from kinlens.models.gene_scorers import RidgeScorer, Scorer, SupportVectorScorer
from kinlens.optional import need
from kinlens.parallel import Resources
from kinlens.rng import RandomStreams
from kinlens.studies.genes_task import GeneTask, GeneTaskConfig
from kinlens.typing import ByteArray, FloatArray, IntArray

__all__ = ["GeneFindings", "GeneScanConfig", "Resampled", "measure", "scorer_of"]

_LEVEL = 0.05
_MOST_FOR_CHECK = 2_000
# Null genes that take seconds, up to which there may be more of them than asked for.
_CHEAP_NULL_GENES, _MOST_WORLDS = 50_000, 999


class GeneScanConfig(GeneTaskConfig):
    """Settings of the scan and of its null."""

    scorer: Literal["ridge", "svm"] = Field(
        default="ridge",
        description="ridge: kernel ridge with leave-one-out thresholds; svm: linear support "
        "vectors, balanced, as published, 30 times slower.",
    )
    penalty: float = Field(default=1.0, gt=0, description="Penalty of ridge.")
    cost: float = Field(default=1.0, gt=0, description="C of the support vectors.")
    twins: int = Field(
        default=39,
        ge=1,
        description="Null genes for each gene, at the least: worlds without any link, from which "
        "the family-wise error is taken. Small tables get up to 999, within most_null_genes.",
    )
    most_null_genes: int = Field(
        default=1_000_000, ge=1_000, description="Null genes in all, at the most."
    )
    replicates: int = Field(default=200, ge=20, description="Draws of clades behind each interval.")
    resplits: int = Field(
        default=10_000, ge=100, description="Random splits for the few genes that are drawn."
    )
    shown: int = Field(default=6, ge=1, le=24, description="Genes that figures show one by one.")


@dataclass(frozen=True, eq=False)
class Resampled:
    """One gene over thousands of random splits.

    Parameters
    ----------
    gene : str
        Its name.
    mcc : array of float, shape (n_resplits,)
        Of each split.
    null : array of float, shape (n_twins,)
        Mean MCC of each null twin, over the splits of the scan.
    first_split : float
        MCC of the first split alone: what a single split would have said.
    """

    gene: str
    mcc: FloatArray
    null: FloatArray
    first_split: float


@dataclass(frozen=True, eq=False)
class GeneFindings:
    """All that was found about one target.

    Parameters
    ----------
    task : GeneTask
        Species, genes, features, splits.
    table : pandas.DataFrame
        One row a gene, the most significant first; as in ``genes.csv``.
    scores : mapping of (model, split) to GeneScores
        Per pattern.
    pattern : GenePattern
        How rare and how changeable each pattern is.
    null : NullGenes
        The null genes.
    null_scores : mapping of split to array
        Mean MCC of each null gene.
    tests : mapping of split to NullTest
        Observed against null, per pattern.
    order : array of int
        Patterns from the most to the least significant.
    resampled : tuple of Resampled
        The genes that figures show.
    precision : float
        Largest difference of a mean MCC between single and double precision, on a sample.
    worlds : int
        Null twins of each pattern.
    model : str
        The scorer, as in ``metrics.csv``.
    """

    task: GeneTask
    table: pd.DataFrame
    scores: dict[tuple[str, str], GeneScores]
    pattern: GenePattern
    null: NullGenes
    null_scores: dict[str, FloatArray]
    tests: dict[str, NullTest]
    order: IntArray
    resampled: tuple[Resampled, ...]
    precision: float
    worlds: int
    model: str

    @property
    def n_splits(self) -> int:
        """Splits of each kind."""
        return len(self.task.parts["random"])

    @property
    def tested(self) -> pd.DataFrame:
        """Rows of the genes that were tested."""
        return self.table[self.table["status"] == "tested"]

    @property
    def discovered(self) -> pd.DataFrame:
        """Rows of the genes with a false discovery rate of 5% at the most."""
        return self.table[self.table["q_value"] <= _LEVEL]

    @property
    def certain(self) -> pd.DataFrame:
        """Rows of the genes that are significant however many were tried."""
        return self.table[self.table["fwer_p_value"] <= _LEVEL]

    def genes_of(self, pattern: int) -> list[str]:
        """Return the names of all genes with this pattern."""
        return [self.task.genes[i] for i in np.flatnonzero(self.task.pattern_of == pattern)]


def scorer_of(config: GeneScanConfig) -> Scorer:
    """Return the scorer that the settings name."""
    if config.scorer == "ridge":
        return RidgeScorer(config.penalty)
    return SupportVectorScorer(config.cost)


def measure(
    task: GeneTask, config: GeneScanConfig, streams: RandomStreams, resources: Resources
) -> GeneFindings:
    """Scan all genes and their null twins, and compare.

    Parameters
    ----------
    task : GeneTask
        What to scan.
    config : GeneScanConfig
        Settings.
    streams : RandomStreams
        Draws null genes, clades and further splits.
    resources : Resources
        Where to work; with a cache, finished blocks are kept there.
    """
    scan = _Scan(task, scorer_of(config), resources)
    scores = {
        (model, split): scan(model, split, task.presence, ("mcc", "auc"))
        for model in (task.target, "completeness", "phylogeny")
        if model in task.grams
        for split in ("random", "clade")
    }
    pattern = gene_patterns(task.tree, task.presence)
    worlds = _worlds(task.n_tested, config)
    with resources.progress.task("Evolving null genes", 1) as bar:
        null = draw_null_genes(
            task.tree,
            pattern,
            worlds=worlds,
            rng=streams.generator("null"),
            missed=task.missed if task.missed.any() else None,
            unknown=task.presence == MISSING,
        )
        bar.advance()
    null_scores = {
        split: scan(task.target, split, null.presence, ("mcc",), "null").mcc
        for split in ("random", "clade")
    }
    tests = {
        split: compare_with_null(scores[task.target, split].mcc, pattern, null_scores[split], null)
        for split in ("random", "clade")
    }
    intervals = {
        split: clade_intervals(
            task.grams[task.target],
            task.presence,
            task.parts[split],
            task.clades,
            rng=streams.generator("clades", split),
            scorer=scan.scorer,
            n_replicates=config.replicates,
            resources=resources,
            ledger=scan.ledger("intervals", task.presence, split, config.replicates, streams.seed),
            label=f"Drawing clades anew, {split} splits",
        )
        for split in ("random", "clade")
    }
    order = np.lexsort((-tests["clade"].effect, tests["clade"].p_value))
    return GeneFindings(
        task=task,
        table=_table(task, scores, pattern, tests, intervals),
        scores=scores,
        pattern=pattern,
        null=null,
        null_scores=null_scores,
        tests=tests,
        order=order,
        resampled=_resampled(task, config, streams, scan.scorer, order, null, null_scores),
        precision=_precision(task, scan.scorer),
        worlds=worlds,
        model=config.scorer,
    )


def _worlds(n_tested: int, config: GeneScanConfig) -> int:
    """Return how many twins each gene gets: as asked, more where that costs little."""
    affordable = max(config.most_null_genes // n_tested, 1)
    return min(affordable, max(config.twins, min(_CHEAP_NULL_GENES // n_tested, _MOST_WORLDS)))


class _Scan:
    """Scans of one task, each with a ledger of its own."""

    def __init__(self, task: GeneTask, scorer: Scorer, resources: Resources) -> None:
        self.task, self.scorer, self.resources = task, scorer, resources

    def __call__(
        self,
        model: str,
        split: str,
        genes: ByteArray,
        measures: tuple[Measure, ...],
        what: str = "genes",
    ) -> GeneScores:
        shown = {self.task.target: "", "null": "null "}
        return scan_genes(
            self.task.grams[model],
            genes,
            self.task.parts[split],
            scorer=self.scorer,
            measures=measures,
            resources=self.resources,
            ledger=self.ledger(model, genes, split, measures),
            label=f"Scanning {shown.get(what, '')}genes by {model}, {split} splits",
        )

    def ledger(self, *what: object) -> FolderLedger | None:
        """Return where blocks are kept, under a name that covers all that they depend on."""
        if self.resources.cache is None:
            return None
        content = (__version__, self.task.grams, self.task.parts, self.task.clades, self.scorer)
        name = str(need("joblib").hash((content, what), hash_name="sha1"))
        return FolderLedger(self.resources.cache / "genes", name)


def _table(
    task: GeneTask,
    scores: dict[tuple[str, str], GeneScores],
    pattern: GenePattern,
    tests: dict[str, NullTest],
    intervals: dict[str, GeneIntervals],
) -> pd.DataFrame:
    """Return one row a gene: those tested by significance, then the others by name."""
    random, clade = scores[task.target, "random"], scores[task.target, "clade"]
    error = np.maximum(random.mcc_spread / np.sqrt(random.n_splits), 1e-12)
    test = tests["clade"]
    sizes = np.bincount(task.pattern_of[task.pattern_of >= 0], minlength=task.n_tested)
    columns: dict[str, FloatArray] = {
        "n_changes": pattern.changes.astype(np.float64),
        "mcc_random": random.mcc,
        "mcc_clade": clade.mcc,
        "mcc_clade_low": intervals["clade"].low,
        "mcc_clade_high": intervals["clade"].high,
        "mcc_random_low": intervals["random"].low,
        "mcc_random_high": intervals["random"].high,
        "null_mean": test.null_mean,
        "effect": test.effect,
        "p_value": test.p_value,
        "q_value": false_discovery_rates(test.p_value),
        "fwer_p_value": family_wise_p_values(test.effect, test.null_maxima),
        "p_value_random": tests["random"].p_value,
        "naive_p_value": norm.sf(random.mcc / error),
        "auc_random": random.auc,
        "auc_clade": clade.auc,
        "mcc_completeness": _baseline(scores, "completeness", task.n_tested),
        "mcc_phylogeny": _baseline(scores, "phylogeny", task.n_tested),
        "genes_alike": sizes.astype(np.float64),
    }
    there, known = task.counts.T
    frame = pd.DataFrame(
        {
            "gene": task.genes,
            "prevalence": there / np.maximum(known, 1),
            "n_species": there,
            "status": task.status,
        }
    )
    tested = task.pattern_of >= 0
    for name, values in columns.items():
        whole = np.full(len(frame), np.nan)
        whole[tested] = values[task.pattern_of[tested]]
        frame[name] = whole
    for name in ("n_changes", "genes_alike"):
        frame[name] = frame[name].astype("Int64")
    frame["is_candidate"] = frame["gene"].isin(task.candidates).astype(int)
    front = ["gene", "prevalence", "n_species"]
    rest = [name for name in frame.columns if name not in (*front, "status")]
    frame = frame[[*front, *rest, "status"]]
    return frame.sort_values(
        ["p_value", "effect", "gene"], ascending=[True, False, True], na_position="last"
    ).reset_index(drop=True)


def _baseline(scores: dict[tuple[str, str], GeneScores], model: str, n_tested: int) -> FloatArray:
    found = scores.get((model, "clade"))
    return np.full(n_tested, np.nan) if found is None else found.mcc


def _resampled(
    task: GeneTask,
    config: GeneScanConfig,
    streams: RandomStreams,
    scorer: Scorer,
    order: IntArray,
    null: NullGenes,
    null_scores: dict[str, FloatArray],
) -> tuple[Resampled, ...]:
    """Split anew, many times, for the genes that figures show."""
    chosen = order[: config.shown]
    parts: PartsArray = repeat_random(
        task.n,
        config.resplits,
        rng=streams.generator("resplits"),
        test_share=config.test_share,
    )
    each = score_each_split(task.grams[task.target], task.presence[:, chosen], parts, scorer=scorer)
    return tuple(
        Resampled(
            gene=task.genes[int(np.flatnonzero(task.pattern_of == pattern)[0])],
            mcc=each[:, place],
            null=null_scores["random"][null.twins[pattern]],
            first_split=float(each[0, place]),
        )
        for place, pattern in enumerate(chosen.tolist())
    )


def _precision(task: GeneTask, scorer: Scorer) -> float:
    """Check single precision against double, on some genes and splits."""
    genes, parts = task.presence[:, :_MOST_FOR_CHECK], task.parts["clade"][:5]
    gram = task.grams[task.target]
    single = scan_genes(gram, genes, parts, scorer=scorer).mcc
    double = scan_genes(gram, genes, parts, scorer=scorer, dtype=np.float64).mcc
    return float(np.abs(single - double).max(initial=0.0))
