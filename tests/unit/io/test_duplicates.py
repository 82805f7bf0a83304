from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from kinlens.io import duplicates
from kinlens.io.duplicates import (
    Fingerprint,
    find_duplicates,
    fingerprint,
    near_pairs,
    perceptual_hash,
    pixel_hash,
)
from kinlens.io.images import read_channels, read_image


def photograph(rng: np.random.Generator, size: int = 200) -> np.ndarray:
    """A smooth picture with structure at several scales."""
    layers = []
    for cells in (3, 6, 12, 25):
        noise = rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8)
        resized = Image.fromarray(noise).resize((size, size), Image.Resampling.BICUBIC)
        layers.append(np.asarray(resized, dtype=np.float32) / cells)
    mixed = np.sum(layers, axis=0)
    return (255 * (mixed - mixed.min()) / np.ptp(mixed)).astype(np.uint8)


def take(files: list[Path]) -> list[Fingerprint]:
    return [fingerprint(file, read_image(file).pixels) for file in files]


def test_each_likeness_is_found_and_told_apart(tmp_path: Path, rng: np.random.Generator) -> None:
    one, two, three, four = (photograph(rng) for _ in range(4))
    files = []

    def save(picture: Image.Image, name: str, **options: int) -> None:
        files.append(tmp_path / name)
        picture.save(files[-1], **options)

    save(Image.fromarray(one), "0.png")
    save(Image.fromarray(two), "1.png")
    save(Image.fromarray(three), "2.png")
    (tmp_path / "3.png").write_bytes((tmp_path / "0.png").read_bytes())
    files.append(tmp_path / "3.png")
    save(Image.fromarray(two), "4.bmp")
    save(Image.fromarray(three), "5.jpg", quality=60)
    save(Image.fromarray(three).resize((90, 110)), "6.png")
    save(Image.fromarray((three * 0.85).astype(np.uint8)), "7.png")
    save(Image.fromarray(four), "8.png")
    groups = find_duplicates(take(files))
    assert [(group.likeness, group.members) for group in groups] == [
        ("same-file", (0, 3)),
        ("same-pixels", (1, 4)),
        ("near", (2, 5, 6, 7)),
    ]


def test_equal_hashes_of_different_pictures_are_not_duplicates(rng: np.random.Generator) -> None:
    # The hash sees brightness only: the same shape in other colours.
    base = photograph(rng).mean(axis=2, keepdims=True)
    red = np.concatenate([base, base * 0.1, base * 0.1], axis=2).astype(np.uint8)
    green = np.concatenate([base * 0.1, base, base * 0.1], axis=2).astype(np.uint8)
    prints = [
        Fingerprint(str(i), pixel_hash(p), perceptual_hash(p), thumb(p))
        for i, p in enumerate((red, green))
    ]
    assert (prints[0].look ^ prints[1].look).bit_count() <= 6
    assert find_duplicates(prints) == ()


def thumb(pixels: np.ndarray) -> np.ndarray:
    return duplicates.resize_to_square(pixels, 16, fit="stretch")


def test_blank_pictures_are_duplicates_only_when_equal() -> None:
    prints = [
        Fingerprint(name, pixel_hash(pixels), perceptual_hash(pixels), thumb(pixels))
        for name, pixels in [
            ("a", np.full((40, 40, 3), 255, dtype=np.uint8)),
            ("b", np.full((40, 40, 3), 0, dtype=np.uint8)),
            ("c", np.full((40, 40, 3), 255, dtype=np.uint8)),
        ]
    ]
    assert [group.members for group in find_duplicates(prints)] == [(0, 2)]


def test_channel_pictures_and_colour_pictures_do_not_mix(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    grey = photograph(rng)[:, :, 0]
    for name in ("a_x", "a_y", "b_x", "b_y", "c"):
        Image.fromarray(grey).save(tmp_path / f"{name}.png")
    pairs = [[tmp_path / f"{cell}_{channel}.png" for channel in "xy"] for cell in "ab"]
    prints = [fingerprint(files, read_channels(files).pixels) for files in pairs]
    prints += take([tmp_path / "c.png"])
    assert [(g.likeness, g.members) for g in find_duplicates(prints)] == [("same-file", (0, 1))]


def test_nothing_and_one() -> None:
    assert find_duplicates([]) == ()
    pixels = np.zeros((20, 20, 3), dtype=np.uint8)
    one = Fingerprint("a", pixel_hash(pixels), perceptual_hash(pixels), thumb(pixels))
    assert find_duplicates([one]) == ()


def test_pixel_hash_sees_shape_type_and_values() -> None:
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    other = pixels.copy()
    other[1, 3, 2] += 1
    variants = [pixels, other, pixels.reshape(4, 2, 3), pixels.astype(np.float32)]
    assert len({pixel_hash(variant) for variant in variants}) == 4
    assert pixel_hash(pixels[:, ::-1][:, ::-1]) == pixel_hash(pixels)


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 300), max_size=40),
    st.integers(0, 63),
)
def test_near_pairs_equal_brute_force(hashes: list[int], most_bits: int) -> None:
    expected = {
        (i, j)
        for j in range(len(hashes))
        for i in range(j)
        if (hashes[i] ^ hashes[j]).bit_count() <= most_bits
    }
    found = [
        pair
        for a, b in near_pairs(hashes, most_bits=most_bits)
        for pair in zip(a.tolist(), b.tolist(), strict=True)
    ]
    assert len(found) == len(set(found))
    assert set(found) == expected


@pytest.mark.parametrize("chunk", [1, 7, 100])
def test_near_pairs_do_not_depend_on_the_chunk(
    monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator, chunk: int
) -> None:
    hashes = rng.integers(0, 2**10, 60, dtype=np.uint64)

    def pairs() -> set[tuple[int, int]]:
        return {
            pair
            for a, b in near_pairs(hashes, most_bits=2)
            for pair in zip(a.tolist(), b.tolist(), strict=True)
        }

    whole = pairs()
    monkeypatch.setattr(duplicates, "_CHUNK_PAIRS", chunk)
    assert pairs() == whole
    assert len(whole) > 10


def test_bits_are_counted_alike_without_numpy_2(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.array([0, 1, 2**63, 2**64 - 1, 0xDEADBEEF], dtype=np.uint64)
    expected = [int(value).bit_count() for value in values]
    assert duplicates._bit_count(values).tolist() == expected
    monkeypatch.delattr(np, "bitwise_count", raising=False)
    assert duplicates._bit_count(values).tolist() == expected


@pytest.mark.slow
def test_a_hundred_thousand_hashes(rng: np.random.Generator) -> None:
    hashes = rng.integers(0, 2**64, 100_000, dtype=np.uint64)
    planted = rng.choice(100_000, (200, 2), replace=False)
    for a, b in planted:
        flips = rng.choice(64, 6, replace=False)
        hashes[b] = hashes[a] ^ np.bitwise_or.reduce(np.uint64(1) << flips.astype(np.uint64))
    start = time.perf_counter()
    found = {
        pair
        for a, b in near_pairs(hashes, most_bits=6)
        for pair in zip(a.tolist(), b.tolist(), strict=True)
    }
    assert {tuple(sorted(pair)) for pair in planted.tolist()} <= found
    assert time.perf_counter() - start < 60


@pytest.mark.shared
@pytest.mark.slow
def test_no_two_real_butterflies_are_called_duplicates(shared_data: Path) -> None:
    files = sorted((shared_data / "butterflies" / "images").glob("*.jpg"))
    assert len(files) > 2000
    assert find_duplicates(take(files)) == ()
