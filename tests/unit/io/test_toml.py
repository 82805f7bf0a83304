from __future__ import annotations

import tomllib

from kinlens.io.toml import toml_text


def test_what_is_worded_is_read_back() -> None:
    settings = {
        "columns": {"image": 'a "b" \\ c', "späte Art": "x"},
        "channels": ["red", "green"],
        "labels": {"core": ["A", "B;C"]},
        "name": "line\nbreak",
    }
    assert tomllib.loads(toml_text(settings)) == settings
