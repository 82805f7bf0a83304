"""Named array aliases used in signatures across the package; shapes stand in the docstrings."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "AnyArray",
    "BoolArray",
    "ByteArray",
    "Float32Array",
    "FloatArray",
    "IntArray",
    "Label",
    "ObjectArray",
    "UInt16Array",
]

AnyArray: TypeAlias = NDArray[Any]
BoolArray: TypeAlias = NDArray[np.bool_]
ByteArray: TypeAlias = NDArray[np.uint8]
Float32Array: TypeAlias = NDArray[np.float32]
FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]
ObjectArray: TypeAlias = NDArray[np.object_]
UInt16Array: TypeAlias = NDArray[np.uint16]
Label: TypeAlias = Hashable
