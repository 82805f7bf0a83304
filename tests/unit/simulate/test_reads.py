"""Simulated reads: distinct, of one length, and as far apart as those of a survey."""

from __future__ import annotations

import numpy as np
import pytest
from rapidfuzz.distance import Levenshtein
from rapidfuzz.process import cdist

from kinlens.errors import UsageError
from kinlens.simulate.reads import simulate_reads


def test_reads_are_distinct_and_of_one_length(rng: np.random.Generator) -> None:
    reads = simulate_reads(700, 152, rng)
    assert len(set(reads.sequences)) == 700
    assert set(reads.lengths.tolist()) == {152}
    assert reads.alphabet == "dna"


def test_distances_are_those_of_a_survey_of_v4(rng: np.random.Generator) -> None:
    reads = simulate_reads(3000, 152, rng)
    distance = cdist(reads.sequences[:300], reads.sequences, scorer=Levenshtein.distance) / 152
    distance[np.arange(300), np.arange(300)] = np.nan
    # 8,373 real reads: mean 0.24, standard deviation 0.07, half have a neighbour 1 base away.
    assert 0.18 < np.nanmean(distance) < 0.32
    assert 0.03 < np.nanstd(distance) < 0.10
    assert np.median(np.nanmin(distance, axis=1)) < 0.04
    assert np.nanmax(distance) < 0.60


def test_the_same_seed_gives_the_same_reads() -> None:
    one, other = (simulate_reads(50, 60, np.random.default_rng(8)).sequences for _ in range(2))
    assert one == other


def test_as_many_reads_as_asked_even_when_most_coincide(rng: np.random.Generator) -> None:
    assert len(simulate_reads(4000, 30, rng)) == 4000


def test_too_few_or_too_short_is_refused(rng: np.random.Generator) -> None:
    with pytest.raises(UsageError, match="30 bases"):
        simulate_reads(5, 20, rng)
