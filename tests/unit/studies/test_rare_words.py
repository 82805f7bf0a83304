"""What the study `rare` says of gains, losses and what is neither."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from kinlens.records.result import Headline, metric_row, metrics_frame
from kinlens.studies.rare_words import headlines_of, side_of

# Where an interval of a gain lies, and what its row then holds: value, low, high.
_GAINS = {"above": (0.05, 0.02, 0.08), "below": (-0.05, -0.08, -0.02), "open": (0.01, -0.02, 0.04)}
_GAIN_ROWS = (
    ("shots_0", "prototypes", "gain_over_permuted"),
    ("shots_1", "prototypes", "gain_over_permuted"),
    ("shots_2_5", "prototypes", "gain_over_permuted"),
    ("all", "prototypes", "gain_over_permuted"),
    ("shots_0", "prototypes", "gain_over_genus_guess"),
    ("shots_0", "prototypes", "genes_to_pictures_map_over_permuted"),
    ("shots_0", "prototypes", "picture_to_genes_top_5_over_permuted"),
    ("shots_0", "aligned_long_tail_to_anchors", "genes_to_pictures_map_over_permuted"),
    ("shots_1", "aligned_long_tail", "gain_over_permuted"),
)
# Rows that are compared with something else than 0.
_LEVELS = (("seen", "coverage", 0.9), ("shots_0", "newcomer_auc", 0.5))
_PLAIN = (
    *(
        (target, model, metric)
        for target in ("shots_0", "shots_1", "shots_2_5", "all")
        for model in ("prototypes", "class_means")
        for metric in ("per_class_accuracy", "top_5_accuracy", "genus_accuracy")
    ),
    ("shots_0", "genus_guess", "per_class_accuracy"),
    ("shots_0", "chance", "per_class_accuracy"),
    ("shots_0", "prototypes", "genes_to_pictures_map"),
    ("all", "prototypes", "genes_to_pictures_map"),
    ("shots_0", "aligned_long_tail_to_anchors", "genes_to_pictures_map"),
    ("shots_0", "prototypes", "picture_to_genes_top_5"),
    ("shots_0", "prototypes", "picture_to_genes_median_rank"),
    ("seen", "prototypes", "candidates"),
    ("seen", "prototypes", "calibration_error"),
)


def headlines(side: str, n: int = 30) -> list[Headline]:
    rows = []

    def add(key: tuple[str, str, str], ends: tuple[float, float, float], null: float) -> None:
        value, low, high = ends
        target, model, metric = key
        rows.append(
            metric_row(
                "rare", target=target, model=model, metric=metric, value=value, low=low, high=high,
                null_mean=null, n=n, seed=0,
            )
        )  # fmt: skip

    for key in _GAIN_ROWS:
        add(key, _GAINS[side], 0.0)
    for target, metric, level in _LEVELS:
        ends = tuple(level + end for end in _GAINS[side])
        add((target, "prototypes", metric), ends, level)  # type: ignore[arg-type]
    branch = tuple(0.3 + end for end in _GAINS[side])
    add(("shots_0", "prototypes", "branch_holds_genus"), branch, 0.3)  # type: ignore[arg-type]
    for key in _PLAIN:
        add(key, (0.4, 0.3, 0.5), 0.1)
    return list(headlines_of(metrics_frame(rows), {}, n_species=90, error_rate=0.1))


def about(lines: list[Headline], begin: str) -> Headline:
    (found,) = [line for line in lines if begin in line.sentence]
    return found


_SUBJECTS = {
    "no specimen": ("The tree gave", "The tree did harm", "made no difference"),
    "one specimen to learn": ("The tree gave", "The tree did harm", "made no difference"),
    "more specimens": ("the tree gave", "the tree did harm", "is not told from nothing"),
    "All species": ("The tree gave", "The tree did harm", "made no difference"),
    "chance is": ("better by", "worse than that by", "not told from that"),
    "Searching all": ("more than with", "less than with", "no other than with"),
    "its own anchors": ("more than when", "less than when", "not told from the same"),
    "among the first five": ("True genes gave", "True genes did harm", "made no difference"),
    "Candidate sets": ("more than the 90%", "less than the 90%", "in keeping with the 90%"),
    "nobody told of": ("of pairs.", "more familiar", "not told from a coin"),
    "attaches": ("more often than", "less often than", "no more often"),
    "aligning the published network": ("anchors gave", "anchors did harm", "made no difference"),
}


@pytest.mark.parametrize("subject", _SUBJECTS)
def test_every_sentence_says_which_side_its_interval_is_on(subject: str) -> None:
    for place, side in enumerate(("above", "below", "open")):
        line = about(headlines(side), subject)
        words = _SUBJECTS[subject]
        assert words[place] in line.sentence
        for other in set(range(3)) - {place}:
            if words[other] not in words[place] and words[other] != "of pairs.":
                assert words[other] not in line.sentence
        good = "plain" if subject == "Candidate sets" else "good"
        assert line.verdict == {"above": good, "below": "bad", "open": "plain"}[side]


def test_losses_are_never_said_to_be_nothing() -> None:
    for line in headlines("below"):
        assert "nothing" not in line.sentence
        assert line.verdict == "bad" or "Probabilities" in line.sentence
    for line in headlines("open"):
        assert line.verdict == "plain"


@pytest.mark.parametrize("side", ["above", "below"])
def test_a_few_species_leave_everything_open(side: str) -> None:
    for line in headlines(side, n=5):
        assert line.verdict == "plain"
    assert any(line.verdict != "plain" for line in headlines(side, n=6))


def test_what_was_not_measured_is_not_spoken_of() -> None:
    assert headlines_of(metrics_frame([]), {}, n_species=90, error_rate=0.1) == ()


@pytest.mark.parametrize(
    ("low", "high", "side"),
    [
        (0.1, 0.2, "above"),
        (-0.2, -0.1, "below"),
        (-0.1, 0.1, "open"),
        (0.0, 0.1, "open"),
        (-0.1, 0.0, "open"),
        (0.0, 0.0, "open"),
        (np.nan, np.nan, "open"),
    ],
)
def test_an_interval_is_beside_zero_or_over_it(low: float, high: float, side: str) -> None:
    assert side_of(pd.Series({"low": low, "high": high, "n": 9})) == side
