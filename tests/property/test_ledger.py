"""Whatever a block may return comes back from the ledger."""

from __future__ import annotations

import tempfile

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from kinlens.ledger import FolderLedger

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
values = st.recursive(
    scalars | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=12,
)
arrays = npst.arrays(
    dtype=st.sampled_from(["f4", "f8", "i8", "u1", "?", "U3"]), shape=npst.array_shapes(min_side=0)
)


@settings(max_examples=60, deadline=None)
@given(value=values)
def test_nested_values(value: object) -> None:
    with tempfile.TemporaryDirectory() as folder:
        ledger = FolderLedger(folder, "f")
        ledger.store("k", value)
        again = ledger.load("k")
    assert again == value
    assert type(again) is type(value)


@settings(max_examples=60, deadline=None)
@given(value=arrays)
def test_arrays(value: np.ndarray) -> None:
    with tempfile.TemporaryDirectory() as folder:
        ledger = FolderLedger(folder, "f")
        ledger.store("k", value)
        again = ledger.load("k")
    assert again.dtype == value.dtype
    np.testing.assert_array_equal(again, value)
