"""Configuration is strict: what is not understood is an error that names the way out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field, ValidationError

from kinlens.config import Config, build_config, one_of, read_toml
from kinlens.errors import UsageError


class Forest(Config):
    trees: int = Field(100, ge=1)
    share: float = 0.5
    depth: int | None = None
    weights: Path | None = None
    ranks: tuple[str, ...] = ("species", "genus")
    kind: Literal["gini", "entropy"] = "gini"
    balanced: bool = True
    models: tuple[Annotated[str, one_of(["svm", "random_forest"])], ...] = ("svm",)


class Study(Config):
    forest: Forest = Forest()
    seed: int = 1


def test_defaults_run_and_later_sources_win() -> None:
    config = build_config(Forest, {"trees": 5, "share": 1}, {"trees": 7, "depth": None})
    assert (config.trees, config.share, config.depth) == (7, 1.0, None)


def test_values_as_toml_writes_them(tmp_path: Path) -> None:
    file = tmp_path / "forest.toml"
    file.write_text('trees = 3\nranks = ["genus"]\nweights = "a/b.npz"\nkind = "entropy"\n')
    config = build_config(Forest, read_toml(file))
    assert config.ranks == ("genus",)
    assert config.weights == Path("a/b.npz")
    assert config.kind == "entropy"


def test_values_as_flags_bring_them() -> None:
    config = build_config(
        Forest, {"weights": Path("a.npz"), "ranks": ("order",), "balanced": False}
    )
    assert config.weights == Path("a.npz")
    assert config.ranks == ("order",)
    assert config.balanced is False


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"models": ["randomforest"]}, "models.0 = 'randomforest'.* mean 'random_forest'[?]$"),
        ({"models": "svm"}, """models = 'svm': is a list; write 'models=\\["svm"\\]'"""),
        ({"tree": 5}, "forest.toml: unknown key 'tree'. Did you mean 'trees'?"),
        ({"zzz": 5}, "Known names: trees, share, depth"),
        ({"trees": 0}, "forest.toml: trees = 0: .*greater than or equal to 1"),
        ({"trees": "5"}, "trees = '5'"),
        ({"trees": True}, "trees = True"),
        ({"trees": 5.5}, "trees = 5.5"),
        ({"kind": "ginni"}, "kind = 'ginni'"),
        ({"ranks": "species"}, "ranks = 'species'"),
        ({"balanced": 1}, "balanced = 1"),
    ],
)
def test_what_is_not_understood_is_refused(content: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build_config(Forest, content, where="forest.toml")


def test_an_unknown_key_inside_a_table_is_named_in_full() -> None:
    with pytest.raises(UsageError, match=r"unknown key 'forest.tres'. Did you mean 'trees'\?"):
        build_config(Study, {"forest": {"tres": 1}})


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(UsageError, match=r"trees = 0.*kind = 'x'"):
        build_config(Forest, {"trees": 0, "kind": "x"})


def test_a_configuration_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        Forest().trees = 5  # type: ignore[misc]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"absent\.toml: cannot be read"):
        read_toml(tmp_path / "absent.toml")
    with pytest.raises(UsageError, match="cannot be read"):
        read_toml(tmp_path)
    (tmp_path / "bad.toml").write_text("trees = \n")
    with pytest.raises(UsageError, match=r"bad.toml: not a TOML file: .*line 1"):
        read_toml(tmp_path / "bad.toml")
    (tmp_path / "latin.toml").write_bytes(b'name = "\xe9"\n')
    with pytest.raises(UsageError, match="not a TOML file"):
        read_toml(tmp_path / "latin.toml")


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_bytes(b"\xef\xbb\xbftrees = 3\n")
    assert read_toml(tmp_path / "a.toml") == {"trees": 3}
