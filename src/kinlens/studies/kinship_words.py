"""The words of the study `kinship`: headlines for the page, a paragraph for the paper.

Everywhere, `found` is what the study found and `settings` how it was asked.
"""

from __future__ import annotations

from typing import Protocol

from kinlens import __version__
from kinlens.records.result import Headline
from kinlens.studies.kinship import KinshipFindings
from kinlens.studies.kinship_measures import Correlation

__all__ = ["Settings", "headlines_of", "methods_of", "which_to_believe"]


class Settings(Protocol):
    """The settings that words need."""

    folds: int
    permutations: int
    shuffles: int
    replicates: int


def headlines_of(found: KinshipFindings) -> tuple[Headline, ...]:
    """Word what a reader takes away, the verdict first."""
    task, out = found.task, []
    believed = found.believed
    if believed is not None and found.has_evidence:
        out.append(
            Headline(
                f"Looks tell kinship: for {task.rank} never seen, predicted and true distance in "
                f"the tree correlate at {_number(believed)}; shuffled trees: "
                f"{_two(believed.null_mean)}, {_p(found.believed_p)}.",
                "good",
            )
        )
    elif believed is not None:
        out.append(
            Headline(
                f"No evidence that looks tell kinship: for {task.rank} never seen, r = "
                f"{_number(believed)}, which shuffled trees reach as well "
                f"({_p(found.believed_p)}).",
                "plain",
            )
        )
    else:
        verdict = "Looks follow the tree" if found.has_evidence else "No evidence"
        out.append(
            Headline(
                f"{verdict} ({_p(found.believed_p)}, Mantel). With {task.n} {task.rank} nothing "
                "can be held out: this says nothing of species never seen.",
                "plain",
            )
        )
    clade = found.correlations.get(("held_out", "ridge", "clade"))
    if clade is not None:
        out.append(
            Headline(
                f"For whole clades never seen ({task.n_clades} clades by {task.clades_by}): r = "
                f"{_number(clade)}; shuffled trees: {_two(clade.null_mean)}."
            )
        )
    raw, cosine = (found.correlations["raw", kind, "none"] for kind in ("euclidean", "cosine"))
    inside = found.correlations.get(("in_sample", "ridge", "none"))
    circular = (
        f" In sample the taught embedding reaches r = {inside.value:.2f}, which is circular: it "
        "learned those very distances."
        if inside is not None
        else ""
    )
    out.append(
        Headline(
            f"Raw looks, nothing learned: r = {_number(raw)} Euclidean, {_number(cosine)} cosine."
            f"{_beside_brownian(raw)}{circular}"
        )
    )
    out.append(Headline(which_to_believe(found)))
    network = found.correlations.get(("held_out", "attention_head", "species"))
    if network is not None and believed is not None:
        out.append(
            Headline(
                "The published network (attention pooling, cosine loss) on the same folds: r = "
                f"{_number(network)} for {task.rank} never seen, beside {believed.value:.2f}."
            )
        )
    tuned = found.correlations.get(("held_out", "fine_tuned", "species"))
    if tuned is not None:
        out.append(
            Headline(
                "With the last block of the network trained as well: r = "
                f"{_number(tuned)} for {task.rank} never seen."
            )
        )
    if found.signal:
        k, fitted = found.signal["kmult"], found.signal["pagel_lambda"]
        out.append(
            Headline(
                f"Phylogenetic signal of the raw looks: Kmult = {k['value']:.2f} (1 under "
                f"Brownian motion, {_p(k['p_value'])}), lambda = {fitted['value']:.2f} "
                f"({fitted['low']:.2f} to {fitted['high']:.2f})."
            )
        )
    if len(found.pairs):
        out.append(Headline(_pair_words(found)))
    out += [Headline(note) for note in task.notes]
    return tuple(out)


def which_to_believe(found: KinshipFindings) -> str:
    """Say in one plain sentence which p-value to believe."""
    tests = found.tests
    if not len(tests):
        return "Raw looks do not vary, so that nothing could be tested."
    kind = "cosine" if (tests["distance"] == "cosine").any() else "euclidean"
    part = tests[tests["distance"] == kind].set_index("test")
    naive, mantel = part.loc["naive"], part.loc["mantel"]
    if found.believed is not None:
        believed = (
            f"believe the one of held-out {found.task.rank} against shuffled trees "
            f"({_p(found.believed_p)})"
        )
    else:
        believed = f"believe Mantel's, doubled for two distances ({_p(found.believed_p)})"
    return (
        f"Of the p-values, {believed}; the naive one ({_p(float(naive['p_value']))}) takes "
        f"{int(naive['counts_as_n']):,} pairs for as many observations, and Mantel's "
        f"({_p(float(mantel['p_value']))}, {kind}) holds for raw looks against the tree only, not "
        "between two things that both evolved."
    )


def methods_of(found: KinshipFindings, settings: Settings) -> str:
    """Write the methods paragraph."""
    task = found.task
    notes = " ".join(task.notes)
    believed = found.believed
    result = ""
    if believed is not None:
        result = (
            f" Correlation for {task.rank} never seen: r = {_number(believed)}, "
            f"{_p(found.believed_p)}."
        )
    ceiling = found.correlations["raw", "euclidean", "none"].ceiling
    dimensions = "" if ceiling is None else f" ({ceiling.dimensions:.1f} effective dimensions)"
    network = (
        " The published network (a head on frozen features, attention pooling, mean squared error "
        "between cosine similarity and scaled distance; Ilse et al. 2018) was trained on the same "
        "folds."
        if ("attention_head", "species") in found.held_out
        else ""
    )
    return f"""
{len(task.pictures.values):,} pictures of {task.n:,} {task.rank} in {task.n_clades:,} clades
({task.clades_by}) were turned into vectors of length {task.pictures.values.shape[1]:,} (kinlens
{__version__}, `{task.embedder}`, fingerprint `{task.fingerprint}`). {notes}

Raw looks are means by {task.rank}, views apart, each feature standardised. The taught embedding
whitens principal components of the pictures by the covariance within {task.rank} (Ledoit & Wolf
2004), pools them, and maps them by kernel ridge regression to principal coordinates of
square-rooted patristic distances (de Vienne et al. 2011).
{_fold_words(found, settings.folds)}{network}{result}

Intervals are 95% percentile intervals of {settings.replicates:,} bootstrap samples of whole
clades.{_null_words(found, settings.shuffles)}
Ceilings are correlations of Brownian traits with the tree at the effective dimensions of the raw
looks{dimensions}. Mantel tests used {settings.permutations:,} permutations. Kmult follows Adams
(2014), lambda Freckleton et al. (2002). Clades that look more or less alike than kinship explains
were found against looks evolved anew at the observed rates and lambda, with the false discovery
rate of Benjamini & Hochberg (1995).
"""


def _fold_words(found: KinshipFindings, folds: int) -> str:
    """Say how species were held out, or that there were too few of them."""
    splits = {split for model, split in found.held_out if model == "ridge"}
    if not splits:
        return (
            f"There are too few {found.task.rank} to hold any out: nothing learned was tested on "
            "others."
        )
    which = {"species": found.task.rank, "clade": "whole clades"}
    dealt = " and separately ".join(words for name, words in which.items() if name in splits)
    return (
        f"Before anything was fitted, {dealt} were dealt to {folds} folds, or as "
        "many as they allow; scaling, kernel, penalty and exponent were learned or chosen inside "
        "the training folds, by held-out species or held-out clades in turn. Distances among the "
        f"{found.task.rank} of a fold, none of which was learned from, were correlated (Pearson) "
        "with distances in the tree, and r averaged over folds."
    )


def _null_words(found: KinshipFindings, shuffles: int) -> str:
    if not found.held_out:
        return ""
    return f" The null repeats learning and choice on {shuffles:,} trees with shuffled tips."


def _pair_words(found: KinshipFindings) -> str:
    hits = found.pairs[found.pairs["verdict"] == "alike beyond kinship"]
    misses = found.pairs[found.pairs["verdict"] == "unlike despite kinship"]
    if not len(hits) and not len(misses):
        return (
            f"No two of the {found.task.n_clades} clades look more, or less, alike than kinship "
            "explains (false discovery rate 5%)."
        )
    parts = []
    for each, words in ((hits, "look alike beyond kinship"), (misses, "unlike despite kinship")):
        if len(each):
            shown = [
                f"{one} and {other}".replace("_", " ")
                for one, other in each[["clade", "other"]].head(2).itertuples(index=False)
            ]
            parts.append(f"{len(each)} pairs of clades {words} (first {'; '.join(shown)})")
    return "Against evolution at random on this tree, " + ", ".join(parts) + " (FDR 5%)."


def _number(each: Correlation) -> str:
    return f"{_two(each.value)} ({_two(each.low)} to {_two(each.high)})"


def _two(value: float | None) -> str:
    """Write two decimals; what rounds to zero has no sign."""
    return "unknown" if value is None else f"{round(value, 2) + 0.0:.2f}"


def _beside_brownian(each: Correlation) -> str:
    """Say what looks that evolved by Brownian motion would give; of raw, straight distances only.

    Learned distances and cosines are bounded by other things, and can lie above it.
    """
    if each.ceiling is None:
        return ""
    ceiling = each.ceiling
    return (
        f" As many axes that evolved by Brownian motion would give {_two(ceiling.mean)} "
        f"({_two(ceiling.low)} to {_two(ceiling.high)}) Euclidean."
    )


def _p(value: float) -> str:
    return "p < 1e-16" if value < 1e-16 else f"p = {value:.2g}"
