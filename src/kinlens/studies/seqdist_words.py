"""The words of the study `seqdist`: headlines for the page, a paragraph for the paper."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from kinlens import __version__
from kinlens.records.result import Headline
from kinlens.studies.seqdist_results import Found
from kinlens.studies.seqdist_task import Task

__all__ = ["SeqdistFindings", "headlines_of", "methods_of"]

_RIVALS = ("mer-cosine", "sgt-euclidean")


@dataclass(frozen=True, eq=False)
class SeqdistFindings:
    """All that the words are made from.

    Parameters
    ----------
    name : str
        The dataset.
    task : Task
        Sequences and splits.
    metrics : pandas.DataFrame
        As in ``metrics.csv``.
    selected : str
        The network that validation chose.
    curve : pandas.DataFrame
        Error against relatives, as in ``relatives.csv``; may be empty.
    found : Found
        Retrieval by the chosen network.
    shortlist, epochs, dimensions, replicates, permutations : int
        Settings.
    """

    name: str
    task: Task
    metrics: pd.DataFrame
    selected: str
    curve: pd.DataFrame
    found: Found
    shortlist: int
    epochs: int
    dimensions: int
    replicates: int
    permutations: int

    def row(self, model: str, metric: str, *, split: str = "random") -> pd.Series:
        """Return the row of one number.

        Parameters
        ----------
        model, metric, split : str
            As in ``metrics.csv``.
        """
        m = self.metrics
        fits = (m["model"] == model) & (m["metric"] == metric) & (m["split"] == split)
        return m[fits].iloc[0]

    def error(self, model: str) -> float:
        """Return the %RMSE of `model` on the random split."""
        return float(self.row(model, "percent_rmse")["value"])

    def best_rival(self) -> str:
        """Return the classical predictor with the smallest error; "" when there is none."""
        m = self.metrics
        rivals = m[
            m["model"].str.endswith(_RIVALS)
            & (m["metric"] == "percent_rmse")
            & (m["split"] == "random")
        ]
        return str(rivals.sort_values("value")["model"].iloc[0]) if len(rivals) else ""

    @property
    def beats_mean(self) -> bool:
        """Whether the chosen network beats predicting the mean beyond its interval."""
        return bool(self.row(self.selected, "skill")["low"] > 0)


def headlines_of(findings: SeqdistFindings) -> tuple[Headline, ...]:
    """Return the sentences on top of the page."""
    return tuple(
        headline
        for headline in (
            _error_headline(findings),
            _relatives_headline(findings),
            _retrieval_headline(findings),
            _cluster_headline(findings),
            _middle_headline(findings),
            _geometry_headline(findings),
        )
        if headline is not None
    )


def _error_headline(f: SeqdistFindings) -> Headline:
    row, rival = f.row(f.selected, "percent_rmse"), f.best_rival()
    against = f"predicting the mean {f.error('mean'):.2f}%"
    if rival:
        against = f"{rival} {f.error(rival):.2f}%, {against}"
    interval = (
        f"{row['value']:.2f}% of the length (95% interval {row['low']:.2f} to {row['high']:.2f}"
    )
    n = len(f.task.split.test)
    if not f.beats_mean:
        return Headline(
            f"Vectors do not predict edit distance here: {f.selected} errs by {interval}; "
            f"{n:,} test sequences), no better than predicting the mean ({f.error('mean'):.2f}%).",
            "bad",
        )
    best = not rival or row["high"] < f.row(rival, "percent_rmse")["low"]
    return Headline(
        f"{f.selected} predicts edit distance to {interval}; {n:,} test sequences); {against}.",
        "good" if best else "plain",
    )


def _relatives_headline(f: SeqdistFindings) -> Headline | None:
    if not len(f.curve):
        return None
    pooled = f.curve[f.curve["repeat"] == "all"].sort_values("depth")
    first, last = pooled.iloc[0], pooled.iloc[-1]
    if first["depth"] == last["depth"]:
        return None
    return Headline(
        f"Without the {2 ** int(last['depth']):,} nearest relatives of a sequence in training, the "
        f"error on it is {last['value']:.2f}% ({last['low']:.2f} to {last['high']:.2f}); without "
        f"the nearest {2 ** int(first['depth']):,}, {first['value']:.2f}% ({first['low']:.2f} to "
        f"{first['high']:.2f}; {int(last['n']):,} tested sequences, predicting the mean "
        f"{last['mean']:.2f}%).",
        "plain" if last["value"] < last["mean"] else "bad",
    )


def _retrieval_headline(f: SeqdistFindings) -> Headline:
    own, again = f.row(f.selected, "top_1"), f.row("reranked", "top_1")
    if own["p_value"] > 0.05:
        return Headline(
            f"Vectors find a nearest sequence first for {own['value']:.1%} of queries, no more "
            f"often than chance ({own['null_mean']:.1%}).",
            "bad",
        )
    m = f.metrics
    words = m[m["model"].str.endswith(_RIVALS) & (m["metric"] == "top_1")]
    rival = ""
    if len(words):
        best = words.sort_values("value", ascending=False).iloc[0]
        rival = f" ({best['model']}: {best['value']:.1%}; chance {own['null_mean']:.2%})"
    return Headline(
        f"Vectors alone put a nearest sequence first for {own['value']:.1%} of queries{rival}; "
        f"with the best {f.shortlist} by {f.found.shortlist_by} compared exactly, "
        f"{again['value']:.1%}.",
        "good" if again["value"] >= 0.95 else "plain",
    )


def _cluster_headline(f: SeqdistFindings) -> Headline:
    row, relaxed = f.row(f.selected, "dasgupta_ratio"), f.row("relaxed-8d", "dasgupta_ratio")
    if row["p_value"] > 0.05:
        return Headline(
            "Clustering by vectors is no nearer to clustering by exact distances than shuffled "
            f"tips are (Dasgupta cost {row['value'] - 1:+.2%}, shuffled "
            f"{row['null_mean'] - 1:+.2%}).",
            "bad",
        )
    return Headline(
        f"Clustering {int(row['n']):,} test sequences by vectors costs {row['value'] - 1:+.2%} "
        f"(Dasgupta) beside exact distances, with tips shuffled {row['null_mean'] - 1:+.2%}; "
        f"descent on the relaxed cost, which knows the exact distances, "
        f"{relaxed['value'] - 1:+.2%}.",
        "good" if row["high"] < 1.01 else "plain",
    )


def _middle_headline(f: SeqdistFindings) -> Headline | None:
    if not (f.metrics["target"] == "consensus").any():
        return None
    own, decoded, exact = (
        f.row(name, "consensus_cost_ratio") for name in (f.selected, "decoded", "consensus")
    )
    return Headline(
        f"In the middle of {int(own['n'])} clusters: the member that vectors put there costs "
        f"{own['value'] - 1:+.1%} beside the best member (a random one "
        f"{own['null_mean'] - 1:+.0%}); the string that voting makes of it "
        f"{decoded['value'] - 1:+.1%}, from the best member {exact['value'] - 1:+.1%}.",
        "plain",
    )


def _geometry_headline(f: SeqdistFindings) -> Headline | None:
    m = f.metrics
    errors = m[(m["metric"] == "percent_rmse") & (m["split"] == "random")].set_index("model")
    pairs = [
        (name.removesuffix("-hyperbolic"), errors.loc[name], errors.loc[other])
        for name in errors.index
        if name.endswith("-hyperbolic")
        and (other := name.replace("-hyperbolic", "-euclidean")) in errors.index
    ]
    if not pairs or not f.beats_mean:
        return None
    words = [
        f"{encoder} {bent['value']:.2f}% against {flat['value']:.2f}%"
        for encoder, bent, flat in pairs
    ]
    worse = [encoder for encoder, bent, flat in pairs if bent["value"] >= flat["value"]]
    claim = (
        "Hyperbolic space serves every encoder better than Euclidean"
        if not worse
        else f"Hyperbolic space does not serve {' and '.join(worse)} better than Euclidean"
    )
    return Headline(f"{claim}: {', '.join(words)}.", "plain")


def methods_of(findings: SeqdistFindings) -> str:
    """Return a paragraph for the paper, with numbers and citations."""
    f, task = findings, findings.task
    row = f.row(f.selected, "percent_rmse")
    own, again = f.row(f.selected, "top_1"), f.row("reranked", "top_1")
    ratio = f.row(f.selected, "dasgupta_ratio")
    part = (
        ""
        if len(task.sequences) == task.n_distinct
        else (
            f" A random {len(task.sequences):,} of the {task.n_distinct:,} distinct ones were used."
        )
    )
    relatives = ""
    if len(f.curve):
        pooled = f.curve[f.curve["repeat"] == "all"].sort_values("depth")
        listed = ", ".join(
            f"{value:.2f}% ({2**depth:,})"
            for depth, value in zip(pooled["depth"], pooled["value"], strict=True)
        )
        relatives = (
            " The network was also trained without the nearest relatives of each tested sequence "
            "(numbers in brackets), with training parts of one size for all numbers within a draw "
            f"of tested sequences ({f.curve['repeat'].nunique() - 1} in all, pooled); the error "
            f"was {listed}."
        )
    return (
        f"Sequences of {f.name} ({task.n_records:,} records, {task.n_distinct:,} distinct, mean "
        f"length {task.unit:.1f}) were compared by exact edit distance (Levenshtein 1966), "
        f"computed by kinlens {__version__}.{part} Distinct sequences were split at random into "
        f"{len(task.split.train):,} for training, {len(task.split.validation):,} for validation "
        f"and {len(task.split.test):,} for testing. Networks were trained to give each sequence a "
        f"vector of {f.dimensions} numbers whose distances equal edit distance over mean length "
        "(Corso et al. 2021), regressing all pairs of each batch at once; hyperbolic distances are "
        "those of points on a sphere of learned radius in the Poincare ball (Nickel & Kiela 2017). "
        f"Each was trained for {f.epochs} epochs by Muon (Jordan et al. 2024); weights and kind of "
        f"network were chosen by validation sequences alone ({f.selected}; times are in "
        f"times.csv). On test "
        f"sequences its root mean square error was {row['value']:.2f}% of the mean length (95% "
        f"interval {row['low']:.2f} to {row['high']:.2f}, percentile bootstrap over sequences, "
        f"{f.replicates} replicates); with vectors shuffled among sequences it was "
        f"{row['null_mean']:.2f}% (p = {row['p_value']:.3g}, {f.permutations} shuffles); "
        f"predicting the mean training distance, {f.error('mean'):.2f}%."
        f"{_rival_words(f)}{relatives} Each test sequence was searched among "
        f"{len(task.references):,} others: vectors alone put a nearest one first for "
        f"{own['value']:.1%} (95% interval {own['low']:.1%} to {own['high']:.1%}), and after "
        f"comparing the best {f.shortlist} by {f.found.shortlist_by} (chosen by validation) "
        f"exactly {again['value']:.1%}. "
        f"Average linkage on predicted distances of {int(ratio['n']):,} test sequences cost "
        f"{ratio['value']:.4f} times as much (Dasgupta 2016; interval from random halves "
        f"{ratio['low']:.4f} to {ratio['high']:.4f}) as on exact ones; the relaxed cost was "
        "minimised in the Poincare ball (Chami et al. 2020). In the middle of clusters, "
        "strings with a small sum of edit distances were sought from the central member by edits "
        "that most others want (Kohonen 1985).\n\n"
        "Chami I, Gu A, Chatziafratis V, Re C (2020) From trees to continuous embeddings and back: "
        "hyperbolic hierarchical clustering. NeurIPS. Corso G, Ying R, Pandy M, Velickovic P, "
        "Leskovec J, Lio P (2021) Neural distance embeddings for biological sequences. NeurIPS. "
        "Dasgupta S (2016) A cost function for similarity-based hierarchical clustering. STOC: "
        "118-127. Jordan K, Jin Y, Boza V, You J, Cesista F, Newhouse L, Bernstein J (2024) Muon: "
        "an optimizer for hidden layers in neural networks. Kohonen T (1985) Median strings. "
        "Pattern Recognition Letters 3: 309-313. Levenshtein VI (1966) Binary codes "
        "capable of correcting deletions, insertions and reversals. Soviet Physics Doklady 10: "
        "707-710. Nickel M, Kiela D (2017) Poincare embeddings for learning hierarchical "
        "representations. NeurIPS. Ranjan C, Ebrahimi S, Paynabar K (2022) Sequence graph "
        "transform (SGT). Data Mining and Knowledge Discovery 36: 668-708.\n"
    )


def _rival_words(f: SeqdistFindings) -> str:
    rival = f.best_rival()
    if not rival:
        return ""
    return (
        f" The best classical predictor, {rival}, scaled by least squares on training pairs "
        "(cosine of word counts, or the sequence graph transform of Ranjan et al. 2022), erred by "
        f"{f.error(rival):.2f}%."
    )
