"""Settings as the text of a TOML file; reading one is in `kinlens.config`."""

from __future__ import annotations

import json
from collections.abc import Mapping

__all__ = ["toml_text"]


def toml_text(settings: Mapping[str, object]) -> str:
    """Word settings: texts, lists of texts, and one level of tables of these.

    Parameters
    ----------
    settings : mapping
        Tables are written after the other entries, as the format asks.

    Examples
    --------
    >>> print(toml_text({"channels": ["red"], "columns": {"image": "photo"}}), end="")
    channels = ["red"]
    <BLANKLINE>
    [columns]
    "image" = "photo"
    """
    lines = [
        f"{key} = {_value(value)}"
        for key, value in settings.items()
        if not isinstance(value, Mapping)
    ]
    for name, table in settings.items():
        if isinstance(table, Mapping):
            lines += ["", f"[{name}]"] if lines else [f"[{name}]"]
            lines += [f"{json.dumps(key)} = {_value(value)}" for key, value in table.items()]
    return "\n".join(lines) + "\n"


def _value(value: object) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(item) for item in value)}]"
    # A JSON string is a TOML string.
    return json.dumps(str(value), ensure_ascii=False)
