from __future__ import annotations

import pytest

from kinlens.cli.options import parse_settings
from kinlens.errors import UsageError


def test_values_are_toml_or_text() -> None:
    words = ["a=1", "b=0.5", "c=true", 'd=["x", "y"]', "e=timm:resnet18", "f=a=b", "g=", "h='1'"]
    assert parse_settings(words) == {
        "a": 1, "b": 0.5, "c": True, "d": ["x", "y"], "e": "timm:resnet18", "f": "a=b", "g": "",
        "h": "1",
    }  # fmt: skip
    assert parse_settings(None) == {}


@pytest.mark.parametrize("word", ["a", "=1", " = 1"])
def test_words_without_a_name_are_refused(word: str) -> None:
    with pytest.raises(UsageError, match="NAME=VALUE"):
        parse_settings([word])
