"""Completion offers public names only, for `ch.` and for each of its modules.

Each module sets `__dir__ = __all__.copy`, which `dir()` and completion call.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

import pytest

import champion


@pytest.mark.parametrize("name", champion._MODULES)
def test_modules_offer_no_private_names_and_no_imported_modules(name: str) -> None:
    module = getattr(champion, name)
    assert dir(module) == sorted(module.__all__)
    for offered in dir(module):
        assert not offered.startswith("_")
        thing = getattr(module, offered)
        assert not isinstance(thing, ModuleType) or thing.__name__.startswith(f"{module.__name__}.")


@pytest.mark.parametrize("name", champion._MODULES)
def test_every_public_definition_is_offered(name: str) -> None:
    module = getattr(champion, name)
    functions = {key for key, thing in vars(module).items() if getattr(thing, "__module__", "") == module.__name__}
    assert {key for key in functions if not key.startswith("_")} <= {*dir(module)}


def test_champion_offers_its_functions_and_modules() -> None:
    assert dir(champion) == sorted({*champion._FUNCTIONS, *champion._MODULES})
    assert all(getattr(champion, name) is import_module(path) for name, path in champion._MODULES.items())
