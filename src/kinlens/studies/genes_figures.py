"""The figures of the study `genes`: what is drawn, with which title and caption.

Everywhere, `found` is what the scan found, `pattern` the column of a gene, `score` the mean score
of each species where its clade was held out, and `pictures` a small picture by species.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from kinlens.evaluate.repeated import TEST
from kinlens.models.gene_scan import call_genes
from kinlens.models.gene_scorers import Scorer
from kinlens.records.result import FigureRecord
from kinlens.report.genes import (
    Resampling,
    painted_tree,
    resampled_scores,
    score_heatmap,
    volcano,
)
from kinlens.report.pictures import Tile, picture_rows
from kinlens.studies.genes_scan import GeneFindings
from kinlens.studies.genes_task import LOOKS
from kinlens.typing import ByteArray, FloatArray

__all__ = [
    "blocked_scores",
    "driving_pictures",
    "gene_on_tree",
    "model_heatmap",
    "resampling_figure",
    "volcano_figure",
]

_NAMED = 10
_DRIVING = 6


def volcano_figure(found: GeneFindings) -> FigureRecord:
    """Draw all tested genes by score, significance and prevalence."""
    table = found.tested
    is_discovered = (table["q_value"] <= 0.05).to_numpy()
    named = set(range(min(_NAMED, max(int(is_discovered.sum()), 3))))
    named |= set(np.flatnonzero(table["is_candidate"].to_numpy() > 0)[:_NAMED].tolist())
    genes = table["gene"].tolist()
    return volcano(
        table["mcc_clade"].to_numpy(),
        table["p_value"].to_numpy(),
        table["prevalence"].to_numpy(),
        is_discovered,
        labels={
            row: genes[row] if len(genes[row]) < 24 else f"{genes[row][:23]}…" for row in named
        },
        name="volcano",
        title=f"Genes predicted from {_from(found)}",
        caption=(
            f"{len(table):,} genes of {found.task.n} species. MCC: mean over "
            f"{len(found.task.parts['clade'])} splits that hold out whole clades. p: beside null "
            "genes that evolved on the same tree, as common and as changeable. Coloured: false "
            "discovery rate at most 5%."
        ),
        value_label="MCC, clade-blocked",
    )


def resampling_figure(found: GeneFindings) -> FigureRecord:
    """Draw the first genes over thousands of random splits."""
    n = len(found.resampled[0].mcc)
    return resampled_scores(
        {each.gene: Resampling(each.mcc, each.null, each.first_split) for each in found.resampled},
        name="resampling",
        title="One split says little",
        caption=(
            f"MCC of the most significant genes in {n:,} random splits. Coloured line: the mean; "
            "dashed: the first split alone; short black lines: means of the null twins of the "
            "gene. Splits share species, so that the standard error of this mean says nothing "
            "about new species."
        ),
        value_label="MCC of a split",
    )


def blocked_scores(found: GeneFindings, pattern: int, scorer: Scorer) -> FloatArray:
    """Return the mean score of each species over the splits that held it out, shape (n,).

    Parameters
    ----------
    found : GeneFindings
        The scan.
    pattern : int
        Which gene.
    scorer : Scorer
        As in the scan.
    """
    task = found.task
    parts = task.parts["clade"]
    calls = call_genes(task.grams[task.target], task.presence[:, [pattern]], parts, scorer=scorer)
    sums, counts = np.zeros(task.n), (parts == TEST).sum(axis=0)
    for rows, scores in zip(calls.rows, calls.scores, strict=True):
        sums[rows] += np.where(np.isfinite(scores[:, 0]), scores[:, 0], 0.0)
    mean = np.full(task.n, np.nan)
    np.divide(sums, counts, out=mean, where=counts > 0)
    return mean


def gene_on_tree(
    found: GeneFindings, pattern: int, score: FloatArray, pictures: dict[str, ByteArray]
) -> FigureRecord:
    """Draw one gene on the tree beside the pictures of the species."""
    task = found.task
    gene = found.genes_of(pattern)[0]
    return painted_tree(
        task.tree,
        task.presence[:, pattern].astype(np.int64),
        score,
        pictures=pictures,
        name="gene_on_tree",
        title=f"{gene} on the tree",
        caption=(
            f"Which of {task.n} species have {gene}, how it came and went at the least "
            f"({found.pattern.changes[pattern]} changes), and its mean score where the clade of "
            "the species was held out; above 0 it is called present."
        ),
        value_label="score, clade held out",
    )


def driving_pictures(
    found: GeneFindings, pattern: int, score: FloatArray, pictures: dict[str, ByteArray]
) -> FigureRecord | None:
    """Draw the species that look most and least as if they had a gene."""
    task = found.task
    scored = np.flatnonzero(np.isfinite(score))
    order = scored[np.argsort(-score[scored], kind="stable")]
    order = np.array([row for row in order if task.species[row] in pictures], dtype=np.int64)
    if len(order) < 2:
        return None
    count = min(_DRIVING, len(order) // 2)
    gene = found.genes_of(pattern)[0]

    def tile(row: int) -> Tile:
        state = {1: "has it", 0: "lacks it"}.get(int(task.presence[row, pattern]), "unknown")
        is_right = (score[row] > 0) == (task.presence[row, pattern] == 1)
        name = task.species[row]
        genus, _, rest = name.partition("_")
        return Tile(
            pictures[name],
            (f"{genus[:14]}", rest.replace("_", " ")[:16], f"{score[row]:+.2f}, {state}"),
            "same" if is_right else "wrong",
        )

    return picture_rows(
        [[tile(row) for row in order[:count]], [tile(row) for row in order[::-1][:count]]],
        name="driving_pictures",
        title=f"Who looks most, and least, as if it had {gene}",
        caption=(
            f"Species by their score for {gene}, learned from other clades: the highest above, "
            "the lowest below. Green frame: called rightly. The picture is the one nearest to the "
            "mean of the species."
        ),
    )


def model_heatmap(found: GeneFindings, compared: pd.DataFrame) -> FigureRecord:
    """Draw the MCC of the compared genes by every classifier.

    Parameters
    ----------
    found : GeneFindings
        The scan.
    compared : pandas.DataFrame
        From `genes_models.compare_classifiers`.
    """
    table = compared.pivot_table(index="pattern", columns="model", values="mcc", sort=False)
    models = list(dict.fromkeys(compared["model"]))
    patterns = list(dict.fromkeys(compared["pattern"]))
    repeats = int(compared["repeat"].nunique())
    splits = "one random split" if repeats == 1 else f"{repeats} random splits"
    return score_heatmap(
        table.loc[patterns, models].to_numpy(dtype=np.float64),
        [found.genes_of(int(pattern))[0] for pattern in patterns],
        models,
        name="models",
        title="The same genes by every classifier",
        caption=(
            f"Mean MCC on test species over {splits} (64% training, 16% validation, "
            f"20% test) of {found.task.n} species. Random splits leave relatives on both sides: "
            "these numbers are to be read beside the clade-blocked ones."
        ),
        value_label="MCC",
    )


def _from(found: GeneFindings) -> str:
    return "looks" if found.task.target == LOOKS else f"the trait {found.task.target}"
