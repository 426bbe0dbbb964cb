"""What the definitions of the indices say about each other: parts, and indices without a common member.

`index_relations.csv` has the definitions of the index provider, each with its reason and the date since which it holds.
Sector indices are not in it: they take shares from outside NIFTY 500 when a sector has too few.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from datetime import date
from functools import cache
from itertools import product
from pathlib import Path
from typing import NamedTuple

PAIR = 2
"""The number of indices in a relation of an index to one other."""
_WITHIN, _DISJOINT = "within", "disjoint"


class Relation(NamedTuple):
    """A state that the definitions forbid since a date: all of these indices have, or have not, one security."""

    since: date
    states: tuple[tuple[str, bool], ...]


class Exclusion(NamedTuple):
    """What the definitions forbid of an index and one other: since a date, its `state` with that of the other one."""

    since: date
    state: bool
    other: str
    other_state: bool


@cache
def relations() -> tuple[Relation, ...]:
    """Return what the definitions forbid, also what follows from several of them: 50 is in 100, 100 in 200, 50 in 200.

    >>> [one.states for one in relations() if {index for index, _ in one.states} == {"NIFTY 50", "NIFTY 500"}]
    [(('NIFTY 50', True), ('NIFTY 500', False))]
    """
    with Path(__file__).with_name("index_relations.csv").open(encoding="utf-8", newline="") as stream:
        rows = [
            (row["index"], row["relation"], row["others"].split(";"), date.fromisoformat(row["since"] or "1990-01-01"))
            for row in csv.DictReader(stream)
        ]
    parts = _closed({(index, others[0]): since for index, kind, others, since in rows if kind == _WITHIN})
    apart = {(index, others[0]): since for index, kind, others, since in rows if kind == _DISJOINT}
    found = {Relation(since, ((part, True), (whole, False))) for (part, whole), since in parts.items()}
    for (one, other), since in apart.items():
        for left, right in product(_inside(one, parts), _inside(other, parts)):
            names = sorted([left[0], right[0]])
            found.add(Relation(max(since, left[1], right[1]), ((names[0], True), (names[1], True))))
    for index, kind, others, since in rows:
        if kind not in {_WITHIN, _DISJOINT}:
            found.add(Relation(since, ((index, True), *((part, False) for part in others))))
    return tuple(sorted(found))


@cache
def exclusions(index: str) -> tuple[Exclusion, ...]:
    """Return what the definitions forbid of an index and one other index; those of several others are left out.

    >>> [one[1:] for one in exclusions("NIFTY 50") if one.other in {"NIFTY 100", "NIFTY NEXT 50"}]
    [(True, 'NIFTY 100', False), (True, 'NIFTY NEXT 50', True)]
    """
    pairs = [(rule.since, dict(rule.states)) for rule in relations() if len(rule.states) == PAIR]
    return tuple(
        Exclusion(since, states[index], other, other_state)
        for since, states in pairs
        if index in states
        for other, other_state in states.items()
        if other != index
    )


def parts_of(index: str) -> list[str]:
    """Return the indices that are a part of an index at all dates or since some date.

    >>> parts_of("NIFTY 100")
    ['NIFTY 50', 'NIFTY NEXT 50']
    """
    return [one.states[0][0] for one in relations() if one.states[1:] == ((index, False),)]


def _closed(parts: Mapping[tuple[str, str], date]) -> dict[tuple[str, str], date]:
    """Return the pairs of part and whole, also those over indices in between, with the earliest date of each."""
    found = dict(parts)
    while True:
        new = {
            (part, whole): max(first, second)
            for ((part, middle), first), ((same, whole), second) in product(found.items(), repeat=2)
            if middle == same
        }
        better = {pair: since for pair, since in new.items() if since < found.get(pair, date.max)}
        if not better:
            return found
        found |= better


def _inside(index: str, parts: Mapping[tuple[str, str], date]) -> Iterable[tuple[str, date]]:
    return [(index, date.min), *((part, since) for (part, whole), since in parts.items() if whole == index)]
