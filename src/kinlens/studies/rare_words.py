"""The words of the study `rare`: headlines for the page, a paragraph for the paper.

Whatever an interval leaves open is called open, and a loss is called a loss. Everywhere, `metrics`
are rows of ``metrics.csv``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol

import pandas as pd

from kinlens import __version__
from kinlens.models.anchors import AnchorReport
from kinlens.records.collection import Collection
from kinlens.records.result import Headline
from kinlens.studies.rare_task import RareTask

__all__ = ["Side", "WordsConfig", "headlines_of", "methods_of", "side_of"]

Side = Literal["above", "below", "open"]
"""Where an interval lies beside a value: wholly above it, wholly below it, or neither."""

_FEWEST = 6
_VERDICTS = {"above": "good", "below": "bad", "open": "plain"}
_BIN_WORDS = {
    "shots_0": "Species with no specimen to learn from",
    "shots_1": "Species with one specimen to learn from",
    "all": "All species",
}
_MORE_WORDS = {"shots_2_5": "2 to 5", "shots_6_20": "6 to 20", "shots_over_20": "more than 20"}


class WordsConfig(Protocol):
    """The settings that words repeat."""

    repeats: int
    unseen_share: float
    rare_share: float
    noises: tuple[float, ...]
    networks: bool
    hidden: int
    embedding: int
    margin: float
    error_rate: float
    replicates: int


def side_of(row: pd.Series, value: float = 0.0) -> Side:
    """Tell where the interval of a row lies beside a value.

    Fewer than six species leave everything open, whatever resampling says: that all five of them
    are on one side happens by chance more often than once in twenty.

    Parameters
    ----------
    row : pandas.Series
        With ``low``, ``high`` and ``n``.
    value : float
        What it is compared with.

    Examples
    --------
    >>> side_of(pd.Series({"low": -0.3, "high": -0.1, "n": 9}))
    'below'
    """
    if pd.isna(row["low"]) or pd.isna(row["high"]) or row["n"] < _FEWEST:
        return "open"
    return "above" if row["low"] > value else "below" if row["high"] < value else "open"


def headlines_of(
    metrics: pd.DataFrame,
    anchors: Mapping[str, AnchorReport],
    *,
    n_species: int,
    error_rate: float,
) -> tuple[Headline, ...]:
    """Say what was found, most important first.

    Parameters
    ----------
    metrics
        See above.
    anchors : mapping of str to AnchorReport
        By what the anchors are made of.
    n_species : int
        Candidates.
    error_rate : float
        How often candidate sets may miss.
    """
    rows = _Rows(metrics)
    found = [
        _accuracy(rows, "shots_0"),
        _guessing(rows),
        _accuracy(rows, "shots_1"),
        _more_specimens(rows),
        _accuracy(rows, "all"),
        _genes_to_pictures(rows),
        _picture_to_genes(rows),
        _anchors_to_pictures(rows),
        _certainty(rows),
        _sets(rows, n_species, error_rate),
        _newcomers(rows),
        _branches(rows),
        _aligned(rows),
    ]
    unsound = [
        Headline(f"Anchors ({name}): {each}", "bad")
        for name, each in anchors.items()
        if not each.is_sound
    ]
    return tuple([line for line in found if line is not None] + unsound)


class _Rows:
    """The rows of ``metrics.csv``, by name."""

    def __init__(self, metrics: pd.DataFrame) -> None:
        keys = zip(metrics["target"], metrics["model"], metrics["metric"], strict=True)
        self._place = {key: place for place, key in enumerate(keys)}
        self._metrics = metrics

    def __call__(self, target: str, model: str, metric: str) -> pd.Series | None:
        place = self._place.get((target, model, metric))
        return None if place is None else self._metrics.iloc[place]


def _accuracy(rows: _Rows, target: str) -> Headline | None:
    right = rows(target, "prototypes", "per_class_accuracy")
    gain = rows(target, "prototypes", "gain_over_permuted")
    near = rows(target, "prototypes", "top_5_accuracy")
    genus = rows(target, "prototypes", "genus_accuracy")
    means = rows(target, "class_means", "per_class_accuracy")
    if right is None or gain is None or near is None or means is None:
        return None
    in_genus = "" if genus is None else f", the genus right for {genus['value']:.1%}"
    rival = (
        "; nearest class means cannot name them"
        if target == "shots_0"
        else f"; nearest class mean {_share(means)}"
    )
    side = side_of(gain)
    return Headline(
        f"{_BIN_WORDS[target]}: {_share(right)} of a species' pictures named right, "
        f"{near['value']:.1%} within five{in_genus}{rival}. "
        f"{_gain('The tree', gain, 'the same model with its tips permuted')}; "
        f"n = {int(right['n'])} species.",
        _VERDICTS[side],
    )


def _gain(what: str, row: pd.Series, control: str) -> str:
    """Say what something gave over its control; also when it gave nothing, or took."""
    side = side_of(row)
    if side == "above":
        return f"{what} gave {_points(row)} over {control}"
    if side == "below":
        return f"{what} did harm: {_points(row)} against {control}"
    return f"{what} made no difference that is told from nothing: {_points(row)} against {control}"


def _more_specimens(rows: _Rows) -> Headline | None:
    """Say in one line what the tree did where there was more to learn from."""
    words, sides = [], []
    for target, specimens in _MORE_WORDS.items():
        right = rows(target, "prototypes", "per_class_accuracy")
        gain = rows(target, "prototypes", "gain_over_permuted")
        means = rows(target, "class_means", "per_class_accuracy")
        if right is None or gain is None or means is None:
            continue
        sides.append(side_of(gain))
        verdict = {"above": "gave", "below": "did harm,", "open": "is not told from nothing,"}
        words.append(
            f"with {specimens}, {right['value']:.1%} are right (nearest class mean "
            f"{means['value']:.1%}) and the tree {verdict[sides[-1]]} {_points(gain)}, "
            f"n = {int(right['n'])}"
        )
    if not words:
        return None
    worst: Side = "below" if "below" in sides else "above" if "above" in sides else "open"
    return Headline(
        f"Species with more specimens to learn from: {'; '.join(words)}. Gains are over permuted "
        "tips.",
        _VERDICTS[worst],
    )


def _guessing(rows: _Rows) -> Headline | None:
    right = rows("shots_0", "prototypes", "per_class_accuracy")
    guess = rows("shots_0", "genus_guess", "per_class_accuracy")
    gain = rows("shots_0", "prototypes", "gain_over_genus_guess")
    chance = rows("shots_0", "chance", "per_class_accuracy")
    if right is None or guess is None or gain is None or chance is None:
        return None
    side = side_of(gain)
    words = {
        "above": f"the prototypes are better by {_points(gain)}",
        "below": f"the prototypes are worse than that by {_points(gain)}",
        "open": f"the prototypes are not told from that: {_points(gain)}",
    }[side]
    untold = rows("shots_0", "genus_guess_untold", "per_class_accuracy")
    all_of_it = "" if untold is None else f"one of all its species is right for {_share(untold)}, "
    return Headline(
        f"For species without a picture chance is {chance['value']:.2%}. Naming the genus by its "
        f"pictured species and drawing {all_of_it}one of those that were withheld, which nobody "
        f"tells the prototypes, {'is right ' if untold is None else ''}for {_share(guess)}; "
        f"{words}.",
        _VERDICTS[side],
    )


def _genes_to_pictures(rows: _Rows) -> Headline | None:
    metric = "genes_to_pictures_map"
    found = rows("shots_0", "prototypes", metric)
    gain = rows("shots_0", "prototypes", f"{metric}_over_permuted")
    whole = rows("all", "prototypes", metric)
    if found is None or gain is None or whole is None:
        return None
    side = side_of(gain)
    words = {
        "above": "more than",
        "below": "less than",
        "open": "as far as can be told no other than",
    }[side]
    return Headline(
        "Searching all test pictures by the genes of a species without pictures finds its own with "
        f"a mean average precision of {_plain(found)}, {words} with permuted genes "
        f"({found['null_mean']:.3f}; difference {_plain(gain, sign=True)}); for all species "
        f"{_plain(whole)} (permuted {whole['null_mean']:.3f}).",
        _VERDICTS[side],
    )


def _picture_to_genes(rows: _Rows) -> Headline | None:
    near = rows("shots_0", "prototypes", "picture_to_genes_top_5")
    rank = rows("shots_0", "prototypes", "picture_to_genes_median_rank")
    gain = rows("shots_0", "prototypes", "picture_to_genes_top_5_over_permuted")
    if near is None or rank is None or gain is None:
        return None
    side = side_of(gain)
    return Headline(
        "The genes of its own species are among the first five for "
        f"{_share(near)} of the pictures of a species without pictures, at median rank "
        f"{rank['value']:g} ({rank['low']:g} to {rank['high']:g}; permuted "
        f"{rank['null_mean']:g}). {_gain('True genes', gain, 'permuted ones')}.",
        _VERDICTS[side],
    )


def _anchors_to_pictures(rows: _Rows) -> Headline | None:
    metric = "genes_to_pictures_map"
    found = rows("shots_0", "aligned_long_tail_to_anchors", metric)
    gain = rows("shots_0", "aligned_long_tail_to_anchors", f"{metric}_over_permuted")
    if found is None or gain is None:
        return None
    side = side_of(gain)
    words = {
        "above": "more than when trained with permuted anchors",
        "below": "less than when trained with permuted anchors",
        "open": "not told from the same trained with permuted anchors",
    }[side]
    return Headline(
        "By its own anchors the published network finds pictures of species without pictures with "
        f"a mean average precision of {_plain(found)}, {words} ({found['null_mean']:.3f}).",
        _VERDICTS[side],
    )


def _certainty(rows: _Rows) -> Headline | None:
    error = rows("seen", "prototypes", "calibration_error")
    if error is None:
        return None
    return Headline(
        f"Probabilities among learned species are off by {_plain(error)} on average over pictures; "
        f"in as many pictures exact ones would seem off by {error['null_mean']:.3f}."
    )


def _sets(rows: _Rows, n_species: int, error_rate: float) -> Headline | None:
    covered = rows("seen", "prototypes", "coverage")
    size = rows("seen", "prototypes", "candidates")
    if covered is None or size is None:
        return None
    promised = f"{1 - error_rate:.0%}"
    words = {
        "above": f"more than the {promised} that was promised",
        "below": f"less than the {promised} that was promised",
        "open": f"in keeping with the {promised} that was promised",
    }
    side = side_of(covered, 1 - error_rate)
    return Headline(
        f"Candidate sets, {size['value']:.1f} of {n_species:,} species on average, hold the "
        f"species of {_share(covered)} of the pictures of learned species, {words[side]}.",
        "bad" if side == "below" else "plain",
    )


def _newcomers(rows: _Rows) -> Headline | None:
    area = rows("shots_0", "prototypes", "newcomer_auc")
    if area is None:
        return None
    side = side_of(area, 0.5)
    words = {
        "above": "",
        "below": ": it looks more familiar than they do",
        "open": ", which is not told from a coin's 50%",
    }[side]
    return Headline(
        "A picture of a species that nobody told of is stranger than one of a known species in "
        f"{_share(area)} of pairs{words}.",
        _VERDICTS[side],
    )


def _branches(rows: _Rows) -> Headline | None:
    branch = rows("shots_0", "prototypes", "branch_holds_genus")
    if branch is None:
        return None
    chance = branch["null_mean"]
    side = side_of(branch, chance)
    words = {
        "above": "more often than",
        "below": "less often than",
        "open": "no more often, as far as can be told, than",
    }[side]
    return Headline(
        f"It attaches to a branch that holds its genus in {_share(branch)}, {words} the branches "
        f"of other pictures do ({chance:.1%}).",
        _VERDICTS[side],
    )


def _aligned(rows: _Rows) -> Headline | None:
    gain = rows("shots_1", "aligned_long_tail", "gain_over_permuted")
    if gain is None:
        return None
    what = "For species with one specimen, aligning the published network with true anchors"
    return Headline(f"{_gain(what, gain, 'permuted ones')}.", _VERDICTS[side_of(gain)])


def _share(row: pd.Series) -> str:
    return f"{row['value']:.1%} ({row['low']:.1%} to {row['high']:.1%})"


def _plain(row: pd.Series, *, sign: bool = False) -> str:
    form = "+.3f" if sign else ".3f"
    return f"{row['value']:{form}} ({row['low']:{form}} to {row['high']:{form}})"


def _points(row: pd.Series) -> str:
    return f"{100 * row['value']:+.1f} points ({100 * row['low']:+.1f} to {100 * row['high']:+.1f})"


def methods_of(collection: Collection, task: RareTask, config: WordsConfig) -> str:
    """Write the paragraph for the paper.

    Parameters
    ----------
    collection : Collection
        For its name.
    task : RareTask
        Pictures and kinship.
    config : WordsConfig
        What was asked for.
    """
    networks = (
        " A network after Karaderi et al. (2024) was trained on the same axes, by "
        f"{config.hidden:,} hidden units to {config.embedding:,} dimensions (to as many as anchors "
        f"have, with anchors; margin {config.margin:g}): softmax and reciprocal triplet loss, "
        "weight balancing (Alshammari et al. 2022) or logit adjustment (Menon et al. 2021), and "
        "alignment to anchors, the principal coordinates of the tree's "
        "distances, beside anchors permuted among species, turned at random (same Gram matrix) "
        "and of the taxonomy; epochs and weight decay were chosen on validation."
        if config.networks
        else ""
    )
    return f"""
{len(task.species):,} pictures of {len(set(task.specimens.tolist())):,} specimens of
{len(task.names):,} species ({collection.name}) were turned into vectors of length
{task.vectors.shape[1]:,} (kinlens {__version__}, `{task.embedder}`), pictures of one view centred.
Kinship: {task.kinship_words}. In each of {config.repeats} repeats {config.unseen_share:.0%} of the
species were withheld whole and {config.rare_share:.0%} of those with several specimens kept one to
learn from; specimens never sit on two sides.

Phylogenetic prototypes are species means in features whitened by the pooled within-species
covariance, shrunk (Ledoit & Wolf 2004), under a prior by which they evolved along the tree by
Brownian motion or an Ornstein-Uhlenbeck process (Hansen 1997) with Pagel's lambda, fitted on each
axis by restricted likelihood; all species, seen or not, are candidates. The noise of a specimen
(among {", ".join(f"{noise:g}" for noise in config.noises)}), the temperature of probabilities and
the thresholds of candidate sets were chosen on validation specimens. Controls are the same model
with the tips of the tree permuted, with the tree that the taxonomy draws, and without a tree;
anchors of the same Gram matrix are the same model here, which knows the tree by its distances
alone.{networks}

Accuracy is the mean over species of the share of their pictures named right. Intervals are 95%
percentile intervals of {config.replicates:,} bootstrap samples of species, with all their repeats;
gains are paired over the same species and repeats. Better shrinkage helps rare species whatever
the tree: only the difference from the permuted tree is called genetic. Species without pictures
are also guessed: the genus is that of the likeliest pictured species, and one of the withheld
species of that genus is drawn, whose expected accuracy is exact.

Retrieval: for each test picture all species that kinship knows are ranked by their calibrated
probability (picture to genes), and for each such species all test pictures are ranked by the
probability that they show it (genes to pictures; average precision). Pictures and genes need not
come from the same specimens. The null is the same search by the model whose tips were permuted.
"""
