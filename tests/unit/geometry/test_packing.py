from __future__ import annotations

import numpy as np

from kinlens.geometry.packing import pack_sequences


def test_what_was_packed_comes_back(rng: np.random.Generator) -> None:
    sequences = [bytes(rng.integers(0, 256, length).tolist()) for length in (0, 1, 63, 64, 65, 300)]
    packed = pack_sequences(sequences)
    assert packed.unpacked() == sequences
    assert packed.lengths.tolist() == [0, 1, 63, 64, 65, 300]


def test_bits_are_the_letter_numbers_counted_from_the_end(rng: np.random.Generator) -> None:
    packed = pack_sequences([b"ACGT", bytes(rng.choice(list(b"ACGT"), 150).tolist())])
    store = packed.store
    for sequence in (0, 1):
        codes = store.codes[store.starts[sequence] : store.starts[sequence + 1]]
        for place, code in enumerate(codes[::-1].tolist()):
            start = store.bit_starts[sequence] + place // 64 * store.n_bits
            words = store.bits[start : start + store.n_bits].tolist()
            number = sum((word >> (place % 64) & 1) << bit for bit, word in enumerate(words))
            assert number == code > 0


def test_taking_members_shares_the_store() -> None:
    packed = pack_sequences(["ACGT", "GG", "T"])
    chosen = packed.take([2, 0, 0])
    assert chosen.store is packed.store
    assert chosen.unpacked() == [b"T", b"ACGT", b"ACGT"]
    assert chosen.take([1]).unpacked() == [b"ACGT"]
    assert len(chosen) == 3


def test_nothing_to_pack() -> None:
    packed = pack_sequences([])
    assert len(packed) == 0
    assert packed.unpacked() == []
    assert pack_sequences([b"", b""]).lengths.tolist() == [0, 0]
