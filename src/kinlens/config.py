"""From TOML and flags to a frozen, checked configuration.

Each study and tool has one frozen pydantic model whose defaults run. An unknown key or a wrong
value is an error that names the key, the value and the nearest known key; nothing is ignored.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError
from pydantic_core import to_json

from kinlens.errors import UsageError, did_you_mean

__all__ = ["Config", "build_config", "one_of", "read_toml"]


class Config(BaseModel):
    """Base of every configuration: frozen, strict about names, documented field by field."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


AnyConfig = TypeVar("AnyConfig", bound=Config)


def read_toml(path: str | Path) -> dict[str, Any]:
    """Read a TOML file into a dictionary.

    Raises
    ------
    UsageError
        When the file cannot be read, is not UTF-8 or not TOML; the message holds the line.
    """
    path = Path(path)
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not a TOML file: {error}.") from error


def build_config(
    kind: type[AnyConfig], *sources: Mapping[str, Any], where: str = "configuration"
) -> AnyConfig:
    """Build a configuration of `kind` from `sources`, later ones winning.

    Parameters
    ----------
    kind : type
        A subclass of `Config`.
    *sources : mapping
        TOML content, then flags; a value of None in a source means "not given". Values have to be
        of the field's own kind: ``"5"`` and ``true`` are no numbers.
    where : str
        What the message calls the source, such as the TOML file's name.

    Raises
    ------
    UsageError
        On an unknown key (with the nearest known one) or a value of the wrong kind or range.

    Examples
    --------
    >>> class Example(Config):
    ...     trees: int = 100
    >>> build_config(Example, {"trees": 50}, {"trees": None}).trees
    50
    >>> build_config(Example, {"tree": 50})
    Traceback (most recent call last):
        ...
    kinlens.errors.UsageError: configuration: unknown key 'tree'. Did you mean 'trees'?
    """
    merged: dict[str, Any] = {}
    for source in sources:
        merged |= {key: value for key, value in source.items() if value is not None}
    for key in merged:
        if key not in kind.model_fields:
            raise UsageError(f"{where}: {_unknown(kind, (key,))}")
    try:
        # The rules of JSON in strict mode are those a reader of TOML expects: a list may fill a
        # tuple and text a path, but "5" is no number and neither is true.
        return kind.model_validate_json(to_json(merged, inf_nan_mode="constants"), strict=True)
    except ValidationError as error:
        raise UsageError(f"{where}: {_worded(kind, error)}") from error


def one_of(names: Sequence[str]) -> AfterValidator:
    """Annotate text that has to be one of `names`: ``Annotated[str, one_of(names)]``."""

    def check(name: str) -> str:
        if name not in names:
            raise ValueError(f"not known. {did_you_mean(name, names)}")
        return name

    return AfterValidator(check)


def _worded(kind: type[Config], error: ValidationError) -> str:
    lines = []
    for fault in error.errors():
        if fault["type"] == "extra_forbidden":
            lines.append(_unknown(kind, fault["loc"]))
        else:
            name = ".".join(map(str, fault["loc"]))
            reason = fault["msg"].removeprefix("Value error, ")
            if fault["type"] == "tuple_type":
                listed = json.dumps([fault["input"]])
                reason = f"is a list; write '{name}={listed}', with the quotes around it"
            # What several settings together have wrong names them itself.
            place = f"{name} = {fault['input']!r}: " if name else ""
            lines.append(f"{place}{reason.rstrip('.')}.".replace("?.", "?"))
    return " ".join(lines)


def _unknown(kind: type[Config], path: tuple[str | int, ...]) -> str:
    """Word an unknown key, and the nearest one of the table that it stands in."""
    table: Any = kind
    for part in path[:-1]:
        field = table.model_fields.get(part)
        table = field.annotation if field else None
        if not (isinstance(table, type) and issubclass(table, Config)):
            return f"unknown key {'.'.join(map(str, path))!r}."
    near = did_you_mean(str(path[-1]), list(table.model_fields))
    return f"unknown key {'.'.join(map(str, path))!r}. {near}"
