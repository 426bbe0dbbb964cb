"""Docstrings: the reference documents every public name, each function has an example, and the suite runs them all.

Public is what `docs/reference/api.md` and `indicators.md` list, and the functions of `import champion as ch`. Fields of
dataclasses, constants and exceptions have a description. The example of a function is in its own docstring; that of a
method may be in its class's docstring, and that of a step in its module's, together with the other steps.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from functools import cached_property
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import champion

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "docs" / "reference" / name for name in ("api.md", "indicators.md")]
MEMBERS = (staticmethod, classmethod, property, cached_property)


def listed() -> Iterator[tuple[str, Any]]:
    """Yield every name on the pages with its object."""
    for page in PAGES:
        for kind, path, options in re.findall(r"\.\. auto(\w+):: (\S+)\n((?:   :.*\n)*)", page.read_text()):
            if kind == "function":
                module, _, name = path.rpartition(".")
                yield path, getattr(import_module(module), name)
                continue
            module = import_module(path)
            chosen = re.search(r":members: (.+)", options)
            names = re.split(r",\s*", chosen[1]) if chosen else public(module)
            yield from ((f"{path}.{name}", getattr(module, name)) for name in names)
    yield from ((f"champion.{name}", getattr(champion, name)) for name in champion._FUNCTIONS)


def public(module: ModuleType) -> list[str]:
    """Return the names that Sphinx shows of a module: `__all__`, or those defined in it."""
    defined = [name for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
    return list(getattr(module, "__all__", [name for name in defined if not name.startswith("_")]))


def examples(*docstrings: str | None) -> str:
    """Return the example lines of docstrings."""
    found = (re.findall(r"^\s*(?:>>>|\.\.\.) (.*)$", text or "", re.MULTILINE) for text in docstrings)
    return "\n".join(line for lines in found for line in lines)


THINGS = dict(listed())
CLASSES = {name: thing for name, thing in THINGS.items() if inspect.isclass(thing)}
FUNCTIONS = {name: thing for name, thing in THINGS.items() if inspect.isfunction(thing)}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_public_function_has_an_example(name: str) -> None:
    function: Callable[..., Any] = inspect.unwrap(FUNCTIONS[name])
    of_module = examples(inspect.getmodule(function).__doc__)
    assert function.__doc__, "no docstring"
    assert examples(function.__doc__) or re.search(rf"\b{function.__name__}\(", of_module), "no example"


@pytest.mark.parametrize("name", [name for name, kind in CLASSES.items() if not issubclass(kind, Exception)])
def test_every_public_class_has_examples_of_all_its_methods(name: str) -> None:
    kind = CLASSES[name]
    methods = {
        key: inspect.getdoc(getattr(kind, key))
        for key, value in vars(kind).items()
        if not key.startswith("_") and (inspect.isfunction(value) or isinstance(value, MEMBERS))
    }
    shown = examples(kind.__doc__, import_module(kind.__module__).__doc__, *methods.values())
    assert re.search(rf"\b{kind.__name__}\b", shown), "no example"
    assert [key for key, text in methods.items() if not text] == [], "methods without a docstring"
    assert [key for key in methods if not re.search(rf"\.{key}\b", shown)] == [], "methods in no example"


@pytest.mark.parametrize("name", [name for name, kind in CLASSES.items() if issubclass(kind, Exception)])
def test_every_error_is_explained(name: str) -> None:
    assert CLASSES[name].__doc__
    assert re.search(rf"[├└]── {CLASSES[name].__name__} |^ *ChampionError", champion.errors.__doc__, re.MULTILINE)


def test_the_reference_lists_every_public_module() -> None:
    modules = {path.rpartition(".")[0] for path in THINGS}
    assert set(champion._MODULES.values()) - modules == {
        "champion.modeling.risk",
        "champion.pipeline",
        "champion.portfolio",
    }, "their modules are listed one by one"
