"""The string in the middle of many copies is the one they were copied from."""

from __future__ import annotations

import numpy as np
import pytest
from rapidfuzz.distance import Levenshtein

from kinlens.errors import InputError
from kinlens.models.consensus import consensus_string


def copies(rng, ancestor, n, *, n_edits):
    """Copy with random exchanges, insertions and deletions."""
    letters = b"ACGT"
    found = []
    for _ in range(n):
        text = bytearray(ancestor)
        for _ in range(n_edits):
            place, kind = int(rng.integers(len(text))), rng.integers(3)
            if kind == 0:
                text[place] = letters[rng.integers(4)]
            elif kind == 1:
                text.insert(place, letters[rng.integers(4)])
            else:
                del text[place]
        found.append(bytes(text))
    return found


def test_the_planted_ancestor_is_found(rng):
    ancestor = bytes(rng.choice(list(b"ACGT"), size=80).tolist())
    texts = copies(rng, ancestor, 15, n_edits=6)
    found = consensus_string(texts)
    assert found.sequence == ancestor
    assert found.cost < found.member_cost
    assert found.cost == sum(Levenshtein.distance(ancestor, text) for text in texts)
    assert texts[found.member] != ancestor


@pytest.mark.parametrize("seed", range(5))
def test_it_is_never_worse_than_the_best_member(seed):
    rng = np.random.default_rng(seed)
    texts = [bytes(rng.choice(list(b"ACGT"), size=rng.integers(0, 12)).tolist()) for _ in range(6)]
    found = consensus_string(texts)
    sums = [sum(Levenshtein.distance(a, b) for b in texts) for a in texts]
    assert found.member_cost == min(sums)
    assert found.cost == sum(Levenshtein.distance(found.sequence, b) for b in texts)
    assert found.cost <= found.member_cost


def test_few_sequences():
    assert consensus_string([b"ACGT"]).sequence == b"ACGT"
    assert consensus_string([b"ACGT"] * 3).cost == 0
    assert consensus_string(["", ""]).sequence == b""
    with pytest.raises(InputError, match="there is none"):
        consensus_string([])


def test_it_starts_where_it_is_told(rng):
    ancestor = bytes(rng.choice(list(b"ACGT"), size=80).tolist())
    texts = copies(rng, ancestor, 15, n_edits=6)
    found = consensus_string(texts, start=4)
    assert (found.member, found.sequence) == (4, ancestor)
    assert found.member_cost == sum(Levenshtein.distance(texts[4], text) for text in texts)
    with pytest.raises(InputError, match="no member 15"):
        consensus_string(texts, start=15)
