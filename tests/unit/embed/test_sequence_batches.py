"""Batches: exact labels, recombinants of real parents, and the same draw for the same epoch."""

from __future__ import annotations

import numpy as np
from rapidfuzz.distance import Levenshtein

from kinlens.embed.sequence_batches import Labelled, PairBatches, chunks, one_hot, recombined
from kinlens.geometry.packing import pack_sequences

POOL = [b"ACGTACGTAC", b"", b"TTTT", b"GGGGGGGGGGGGGGG", b"ACGT", b"CATCATCAT", b"A"]


def batches(distances=None, *, size=3, share=0.5, seed=0):
    return PairBatches(
        Labelled(pack_sequences(POOL), distances), alphabet=b"ACGT", unit=10.0, size=size,
        recombined_share=share, seed=seed,
    )  # fmt: skip


def read_back(letters, mask):
    return [
        "".join("ACGT"[code] for code in row[present].argmax(-1))
        for row, present in zip(letters, mask, strict=True)
    ]


def test_labels_are_exact_also_those_of_recombinants():
    seen = set()
    for epoch in range(5):
        drawn = batches(share=0.7)
        drawn.set_epoch(epoch)
        for letters, mask, labels in drawn:
            texts = read_back(letters, mask)
            exact = [[Levenshtein.distance(a, b) / 10 for b in texts] for a in texts]
            np.testing.assert_allclose(labels, exact, rtol=1e-6)
            seen |= {text.encode() for text in texts}
    assert seen - set(POOL), "no recombinant was drawn"


def test_a_recombinant_begins_like_one_parent_and_ends_like_another(rng):
    for _ in range(50):
        made = recombined(POOL, 1.0, rng)
        assert len(made) == len(POOL)
        for child, first in zip(made, POOL, strict=True):
            assert any(
                len(child) == len(second)
                and any(child == first[:cut] + second[cut:] for cut in range(len(second) + 1))
                for second in POOL
            )


def test_a_share_of_zero_changes_nothing_and_all_stay_as_many(rng):
    assert recombined(POOL, 0.0, rng) == POOL
    assert recombined(POOL, 0.5, rng)[4:] == POOL[4:]
    assert recombined([], 0.5, rng) == []


def test_given_distances_are_kept_and_never_recombined():
    given = np.arange(49, dtype=float).reshape(7, 7)
    for letters, mask, labels in batches(given, share=1.0):
        rows = [POOL.index(text.encode()) for text in read_back(letters, mask)]
        np.testing.assert_allclose(labels, given[np.ix_(rows, rows)] / 10, rtol=1e-6)


def test_the_epoch_decides_what_is_drawn():
    def drawn(epoch, seed=0):
        made = batches(seed=seed)
        made.set_epoch(epoch)
        return [read_back(letters, mask) for letters, mask, _ in made]

    assert drawn(4) == drawn(4)
    assert drawn(4) != drawn(5)
    assert drawn(4) != drawn(4, seed=1)
    assert [len(batch) for batch in drawn(0)] == [3, 3]


def test_a_batch_is_never_larger_than_the_data():
    assert [len(batch[0]) for batch in batches(size=100)] == [7]


def test_letters_outside_the_alphabet_are_no_letter_but_still_there():
    letters, mask = one_hot(pack_sequences([b"ANZ"]), b"ACGT")
    assert letters.sum(-1).tolist() == [[1.0, 0.0, 0.0]]
    assert mask.tolist() == [[True, True, True]]


def test_nothing_is_read_behind_the_end_of_the_store():
    packed = pack_sequences(POOL)
    letters, mask = one_hot(packed.take([6, 1]), b"ACGT")
    assert read_back(letters, mask) == ["A", ""]


def test_chunks_cover_everything_once():
    assert [part.tolist() for part in chunks(5, 2)] == [[0, 1], [2, 3], [4]]
    assert list(chunks(0, 2)) == []
