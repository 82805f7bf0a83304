"""The words of the study `genes`: headlines for the page, a paragraph for the paper."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import pandas as pd

from kinlens import __version__
from kinlens.errors import listing
from kinlens.records.collection import Collection
from kinlens.records.result import Headline
from kinlens.studies.genes_scan import GeneFindings
from kinlens.studies.genes_task import LOOKS

__all__ = ["Settings", "headlines_of", "methods_of"]

_NAMED = 6


class Settings(Protocol):
    """The settings that words need."""

    @property
    def scorer(self) -> str:
        """How genes are predicted."""

    @property
    def splits(self) -> int:
        """Splits of each kind."""

    @property
    def test_share(self) -> float:
        """Share of species tested."""

    @property
    def replicates(self) -> int:
        """Draws of clades."""

    @property
    def completeness(self) -> str:
        """What is done about incomplete annotation."""

    @property
    def least_species(self) -> int:
        """Rarest genes that are tested."""


def headlines_of(found: GeneFindings) -> tuple[Headline, ...]:
    """Word what a reader takes away, each number beside what it is compared with.

    Parameters
    ----------
    found : GeneFindings
        The scan of one target.
    """
    table, task = found.tested, found.task
    discovered, certain = found.discovered, found.certain
    source = "looks" if task.target == LOOKS else f"the trait {task.target}"
    best = table.iloc[0]
    if len(discovered):
        first = Headline(
            f"{len(discovered):,} of {len(table):,} tested genes can be told from {source} beyond "
            f"what kin explains (false discovery rate 5%), {len(certain):,} of them however many "
            f"were tried: {listing(discovered['gene'], most=_NAMED)}.",
            "good",
        )
    else:
        first = Headline(
            f"No gene can be told from {source}: of {len(table):,} tested genes none is predicted "
            "better than null genes that evolved on the same tree (false discovery rate 5%; the "
            f"best, {best['gene']}, has q = {best['q_value']:.2g}).",
            "plain",
        )
    out = [first, Headline(_best_words(best))]
    if task.candidates:
        out.append(Headline(_candidate_words(found)))
    out.append(Headline(_baseline_words(found, table)))
    naive = int((table["naive_p_value"] <= 0.05).sum())
    out.append(
        Headline(
            f"Do not trust the naive p-value: by the standard error over {found.n_splits} random "
            f"splits {naive:,} of {len(table):,} genes ({naive / len(table):.0%}) would be "
            "significant at 5%. Splits share species, and species share ancestors; neither is "
            "independent.",
            "bad" if naive > 0.1 * len(table) else "plain",
        )
    )
    return tuple(out)


def methods_of(found: GeneFindings, collection: Collection, settings: Settings) -> str:
    """Write the methods paragraph.

    Parameters
    ----------
    found : GeneFindings
        The scan of one target.
    collection : Collection
        The dataset.
    settings : Settings
        As the user chose.
    """
    task = found.task
    if task.target == LOOKS:
        assert task.pictures is not None
        source = (
            f"vectors of length {task.features.shape[1]:,} (`{task.embedder}`), averaged over "
            f"{int((task.pictures.species >= 0).sum()):,} pictures by species"
        )
    else:
        source = f"the trait `{task.target}`"
    scorer = (
        "kernel ridge regression, the threshold halfway between the mean leave-one-out scores of "
        "species with and without the gene"
        if settings.scorer == "ridge"
        else "linear support vector machines, classes balanced"
    )
    covariate = ""
    if settings.completeness == "covariate" and task.completeness.any():
        covariate = (
            " Completeness (the share of all genes that a species has) was regressed out of the "
            "features"
        )
        if task.missed.any():
            covariate += ", and null genes were missed as those of each species seem to be"
        covariate += "."
    n_null = len(found.null.pattern.rarer)
    notes = "\n".join(f"{note}" for note in task.notes)
    return f"""
The presence of {len(task.genes):,} genes in {task.n:,} species ({collection.name}) was predicted
from {source} by {scorer} (kinlens {__version__}). {len(found.tested):,} genes that at least
{settings.least_species} species have and as many lack were tested, as {task.n_tested:,} distinct
patterns of presence.{covariate}

Each gene was predicted in {settings.splits} random splits ({1 - settings.test_share:.0%} training)
and in {settings.splits} splits that held out whole clades ({len(np.unique(task.clades))} clades cut
from the tree). The judge is the Matthews correlation (MCC; Chicco & Jurman 2020), averaged over
splits. It was compared with {n_null:,} null genes that evolved on the tree as Markov chains in
disregard of {"looks" if task.target == LOOKS else "the trait"}, {found.worlds} a gene, matched
in the number of species that have them and in the fewest changes on the tree (Fitch 1971; Hartigan
1973). Scores were standardised by the mean and spread of null genes nearby; p is the share of null
genes with as large an effect, q the false discovery rate (Benjamini & Hochberg 1995), and the
family-wise p-value compares with the best gene of each of {found.worlds} null worlds (max-T,
Westfall & Young 1993). Intervals are 95% percentile intervals of {settings.replicates} draws of
whole clades, with what was learned held fixed. Single and double precision differ by
{found.precision:.1g} in mean MCC at the most.

`naive_p_value` is the one-sided p-value of the mean over random splits by its standard error. It is
given to be struck through: it takes splits for independent samples.

{notes}
"""


def _best_words(best: pd.Series) -> str:
    beside = [f"its phylogeny alone {best['mcc_phylogeny']:.2f}"]
    if np.isfinite(best["mcc_completeness"]):
        beside.append(f"completeness of annotation alone {best['mcc_completeness']:.2f}")
    return (
        f"{best['gene']} ({best['prevalence']:.0%} of species, {best['n_changes']} changes on the "
        f"tree): MCC {best['mcc_clade']:.2f} ({best['mcc_clade_low']:.2f} to "
        f"{best['mcc_clade_high']:.2f}) with whole clades held out, {best['mcc_random']:.2f} with "
        f"random splits; null genes like it {best['null_mean']:.2f} on average; "
        f"{' and '.join(beside)} (p = {best['p_value']:.2g}, q = {best['q_value']:.2g}, "
        f"family-wise {best['fwer_p_value']:.2g})."
    )


def _candidate_words(found: GeneFindings) -> str:
    rows = found.table[found.table["is_candidate"] == 1]
    tested = rows[rows["status"] == "tested"]
    if tested.empty:
        return f"None of the {len(rows)} candidate genes in the table varies enough to be tested."
    best = tested.iloc[0]
    count = int((tested["q_value"] <= 0.05).sum())
    return (
        f"Of {len(rows)} candidate genes in the table {len(tested)} could be tested and {count} "
        f"can be told; the best is {best['gene']} (MCC {best['mcc_clade']:.2f}, q = "
        f"{best['q_value']:.2g})."
    )


def _baseline_words(found: GeneFindings, table: pd.DataFrame) -> str:
    def middle(name: str) -> str:
        return f"{table[name].median():.2f}"

    words = (
        f"The median gene has MCC {middle('mcc_random')} in random splits and "
        f"{middle('mcc_clade')} with clades held out; from the tree alone {middle('mcc_phylogeny')}"
    )
    if table["mcc_completeness"].notna().any():
        words += f", from completeness of annotation alone {middle('mcc_completeness')}"
    return (
        f"{words}; null genes like it {middle('null_mean')}; always the commoner answer 0 "
        f"({found.task.n} species, {len(np.unique(found.task.clades))} clades)."
    )
