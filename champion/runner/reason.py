"""Why a run is not the one before: its notebook, parameters, inputs or environment, named one by one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_SHOWN = 4


@dataclass(frozen=True, slots=True)
class Facts:
    """What a run depends on, as hashes, and what it left; texts as the ledger keeps them."""

    notebook: str
    notebook_hash: str
    environment: str
    parameters: Mapping[str, str]
    inputs: Mapping[str, str]


def changes(now: Facts, before: Facts) -> list[str]:
    """Return what differs, what a person did first: notebook, parameters, inputs, environment.

    >>> one = Facts("train", "a", "e", {"horizon": "5"}, {"bars": "x"})
    >>> two = Facts("train", "b", "e", {"horizon": "10"}, {"bars": "x"})
    >>> changes(two, one)
    ['notebook train.ipynb changed', 'parameter horizon is 10, was 5']
    """
    found = [f"notebook {now.notebook}.ipynb changed"] if now.notebook_hash != before.notebook_hash else []
    for name in dict.fromkeys([*now.parameters, *before.parameters]):
        new, old = now.parameters.get(name, "not given"), before.parameters.get(name, "not given")
        if new != old:
            found.append(f"parameter {name} is {new}, was {old}")
    for name in dict.fromkeys([*now.inputs, *before.inputs]):
        if now.inputs.get(name) != before.inputs.get(name):
            word = "changed" if name in now.inputs and name in before.inputs else "is new"
            found.append(f"input {name} {word if name in now.inputs else 'is no longer read'}")
    return found + (["the installed packages changed"] if now.environment != before.environment else [])


def sentence(found: list[str]) -> str:
    """Return changes as one clause, cut where there are many.

    >>> sentence(["a changed", "b changed", "c changed", "d changed", "e changed"])
    'because a changed, b changed, c changed, d changed and 1 more'
    """
    more = len(found) - _SHOWN
    return "because " + ", ".join(found[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
