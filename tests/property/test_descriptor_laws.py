"""Whatever the picture, descriptors are finite, repeatable and of one length."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kinlens.embed.descriptors import SIZE, DescriptorEncoder

ENCODERS = {n: DescriptorEncoder(n, threads=1) for n in (1, 2, 3, 4)}


@st.composite
def strange_pictures(draw: st.DrawFn) -> np.ndarray:
    """Draw flat, striped, noisy, split and nearly blank pictures of one to four channels."""
    n_channels = draw(st.sampled_from(sorted(ENCODERS)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from(["flat", "noise", "stripes", "split", "dot", "frame"]))
    low, high = rng.integers(0, 256, (2, n_channels))
    picture = np.empty((SIZE, SIZE, n_channels), np.uint8)
    picture[:] = low
    if kind == "noise":
        picture[:] = rng.integers(0, 256, picture.shape)
    elif kind == "stripes":
        picture[:: draw(st.integers(2, 9))] = high
    elif kind == "split":
        picture[:, draw(st.integers(1, 127)) :] = high
    elif kind == "dot":
        y, x = rng.integers(0, SIZE, 2)
        picture[y, x] = high
    elif kind == "frame":
        width = draw(st.integers(1, 60))
        picture[width:-width, width:-width] = high
    return picture


@settings(max_examples=60, deadline=None)
@given(strange_pictures())
def test_vectors_are_finite_and_repeatable(picture: np.ndarray) -> None:
    encoder = ENCODERS[picture.shape[2]]
    vector = encoder.encode(picture[None])
    assert vector.dtype == np.float32
    assert vector.shape == (1, encoder.n_features)
    assert np.isfinite(vector).all()
    assert np.abs(vector).max() < 1e3
    np.testing.assert_array_equal(encoder.encode(picture[None]), vector)


@settings(max_examples=30, deadline=None)
@given(strange_pictures())
def test_shares_sum_to_one(picture: np.ndarray) -> None:
    encoder = ENCODERS[picture.shape[2]]
    vector = encoder.encode(picture[None])[0].astype(np.float64)
    for block in encoder.blocks:
        if block.name in ("histogram", "patterns", "steepness"):
            shares = (vector[block.columns] / block.scale) ** (1 / block.power)
            lengths = dict(block.axes)
            n_sums = lengths.get("plane", 1) * lengths.get("scale", 1)
            np.testing.assert_allclose(shares.reshape(n_sums, -1).sum(axis=1), 1, atol=1e-3)
