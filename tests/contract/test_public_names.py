"""What is public is listed, exists, is defined where it is listed, and is documented."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import pkgutil
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import pytest
from pydantic import BaseModel

import kinlens

MODULES = [
    "kinlens",
    *(found.name for found in pkgutil.walk_packages(kinlens.__path__, "kinlens.")),
]

# What means the same wherever it is taken: the one source of randomness.
ONE_MEANING = {"rng"}
# The command's functions are read through `--help`, where every option has its own words.
READ_THROUGH_HELP = "kinlens.cli."
each_module = pytest.mark.parametrize("name", MODULES)


def is_private(name: str) -> bool:
    return any(part.startswith("_") for part in name.split("."))


@each_module
def test_the_module_says_what_is_in_it(name: str) -> None:
    module = importlib.import_module(name)
    assert first_line(module).endswith((".", ":")), (
        f"{name}: no docstring that opens with a sentence"
    )


@each_module
def test_the_list_of_public_names_is_honest(name: str) -> None:
    module = importlib.import_module(name)
    is_package = hasattr(module, "__path__")
    listed = getattr(module, "__all__", None)
    if listed is None:
        assert not defined_in(module), f"{name}: has public names, but no __all__"
        return
    missing = [item for item in listed if not hasattr(module, item)]
    assert not missing, f"{name}: listed but not there: {missing}"
    private = [item for item in listed if item.startswith("_")]
    assert not private, f"{name}: listed but private: {private}"
    unlisted = sorted(defined_in(module) - set(listed))
    assert not unlisted, f"{name}: public by name but not listed: {unlisted}"
    if not is_package:
        # A face may hand on the names of private files; of public ones only an __init__.py may.
        homes = {item: getattr(getattr(module, item), "__module__", name) for item in listed}
        handed_on = [
            item
            for item, home in homes.items()
            if home != name and home.startswith("kinlens.") and not is_private(home)
        ]
        assert not handed_on, f"{name}: hands on names that have a public home: {handed_on}"


@pytest.mark.parametrize("name", [name for name in MODULES if not is_private(name)])
def test_public_names_are_documented(name: str) -> None:
    faults = [fault for what, item in public(name) for fault in faults_of(what, item)]
    assert not faults, "\n" + "\n".join(faults)


# What is public ----------------------------------------------------------------------------------


def defined_in(module: ModuleType) -> set[str]:
    """Names of functions and classes that the module's own text defines without underscore."""
    assert module.__file__ is not None
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return {
        node.name for node in tree.body if isinstance(node, kinds) and not node.name.startswith("_")
    }


def public(name: str) -> Iterator[tuple[str, Any]]:
    """Public functions and classes of a module, and the public methods of those classes."""
    module = importlib.import_module(name)
    for item_name in getattr(module, "__all__", ()):
        item = getattr(module, item_name)
        if getattr(item, "__module__", None) != name:
            continue
        if isinstance(item, FunctionType | type):
            yield f"{name}.{item_name}", item
        if isinstance(item, type):
            for method_name, method in vars(item).items():
                plain = getattr(method, "__func__", method)  # class and static methods
                plain = getattr(plain, "fget", plain)  # properties
                if isinstance(plain, FunctionType) and not method_name.startswith("_"):
                    yield f"{name}.{item_name}.{method_name}", plain


# How it is documented: every parameter is in the Parameters section or named in the text; what all
# functions of a module share may be told once, in backticks, at the module's top.
# How it is documented ----------------------------------------------------------------------------


def faults_of(what: str, item: Any) -> Iterator[str]:
    text = own_docstring(item)
    if not text:
        yield f"{what}: no docstring"
        return
    if not text.splitlines()[0].rstrip().endswith((".", ":", "?")):
        yield f"{what}: its first line is not a sentence"
    names = parameter_names(item)
    documented = parameters_in(text)
    for name in sorted(documented - names - read_only_names(item)):
        yield f"{what}: documents {name!r}, which it does not take"
    if what.startswith(READ_THROUGH_HELP) or len(names) == 1:
        return  # the summary of what takes one thing says what it does to it
    shared = inspect.getdoc(sys.modules[item.__module__]) or ""
    for name in sorted(names - documented - ONE_MEANING):
        if not re.search(rf"\b{name}\b", text) and f"`{name}`" not in shared:
            yield f"{what}: does not say what {name!r} is"


def first_line(item: Any) -> str:
    return (inspect.getdoc(item) or "\n").splitlines()[0]


def own_docstring(item: Any) -> str:
    """The docstring in the text; not one inherited, nor one that dataclasses make up."""
    text = item.__dict__.get("__doc__") if isinstance(item, type) else item.__doc__
    if text is None or (dataclasses.is_dataclass(item) and text.startswith(f"{item.__name__}(")):
        return ""
    return inspect.cleandoc(text)


def parameter_names(item: Any) -> set[str]:
    """What the caller gives; a pydantic field with a description documents itself."""
    if isinstance(item, type) and issubclass(item, BaseModel):
        own = item.__annotations__.keys() & item.model_fields.keys()
        return {name for name in own if not item.model_fields[name].description}
    if isinstance(item, type):
        if dataclasses.is_dataclass(item):
            return {field.name for field in dataclasses.fields(item) if field.init}
        if hasattr(item, "_fields"):
            return set(item._fields)
        if "__init__" not in vars(item) or getattr(item, "_is_protocol", False):
            return set()
        item = item.__init__
    names = set(inspect.signature(item).parameters)
    return names - {"self", "cls"}


def read_only_names(item: Any) -> set[str]:
    """Names that a class's docstring may list besides parameters."""
    if isinstance(item, type) and issubclass(item, BaseModel):
        return set(item.model_fields)
    return set()


def parameters_in(text: str) -> set[str]:
    """Names in the Parameters section: lines such as ``a, b : int`` or ``*rest : str``."""
    found = re.search(r"^Parameters\n-+\n(.*?)(?=^\w[^\n]*\n-+\n|\Z)", text, re.M | re.S)
    if found is None:
        return set()
    heads = re.findall(r"^(\S[^\n:]*?)\s*(?::|$)", found[1], re.M)
    return {name.strip().lstrip("*") for head in heads for name in head.split(",")}
