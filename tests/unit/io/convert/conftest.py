"""Small pictures for the layouts that the tests make."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def picture() -> Callable[..., bytes]:
    """Writes a small picture, different at each call, and returns its bytes."""
    made = iter(range(10_000))

    def write(path: Path, *, grey: bool = False) -> bytes:
        path.parent.mkdir(parents=True, exist_ok=True)
        shape = (20, 24) if grey else (20, 24, 3)
        values = np.random.default_rng(next(made)).integers(0, 256, shape, dtype=np.uint8)
        Image.fromarray(values).save(path)
        return path.read_bytes()

    return write
