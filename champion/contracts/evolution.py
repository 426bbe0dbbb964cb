"""List the changes between two records of one contract version, and which of them are allowed.

Within a major version, stored rows stay readable and valid, and a contract's guarantees to readers stay true. Fields
added with a default, lossless widening (Avro's promotions without loss of precision) and enum values added at the end
are allowed and need the next minor version. Descriptions and retention may change freely. Any other change is refused
and needs a new `_v<N+1>`: a field made nullable breaks a guarantee, a field made required could make stored rows
invalid, a new rule could refuse stored rows, a removed rule breaks a guarantee, and a changed one may do either.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from champion.contracts.types import Avro, long_form, split_null

Record: TypeAlias = Mapping[str, Any]

_LOSSLESS = {("int", "long"), ("int", "double"), ("float", "double")}  # Avro's others, as long to double, round
_FREE = {"doc": "descriptions may be improved", "retention": "it does not change the content of rows"}
_STORAGE = {"low_cardinality": "ClickHouse stores the same values differently; add a migration"}


@dataclass(frozen=True, slots=True)
class Change:
    """One difference: `field` is empty if it concerns the whole record; with `bump` it needs a new minor version."""

    what: str
    field: str
    allowed: bool
    why: str
    bump: bool = True


def changes(old: Record, new: Record) -> list[Change]:
    """Return every difference between two Avro records of one contract version, refused ones included.

    >>> volume = {"name": "volume", "type": "int", "doc": ""}
    >>> before = {"name": "bars", "schema_version": "1.0.0", "rules": {}, "fields": [volume]}
    >>> after = {**before, "schema_version": "1.1.0", "fields": [{**volume, "type": "long"}]}
    >>> [(change.what, change.field, change.allowed) for change in changes(before, after)]
    [('widened', 'volume', True)]
    """
    found = [*_attributes(old, new), *_rules(old["rules"], new["rules"]), *_fields(old["fields"], new["fields"], "")]
    return [*found, *_version(old["schema_version"], new["schema_version"], found)]


def _attributes(old: Record, new: Record) -> Iterator[Change]:
    for name in _differences(old, new, but={"fields", "rules", "schema_version"}):
        if why := _FREE.get(name):
            yield Change(f"{name} changed", "", allowed=True, why=why, bump=False)
        else:
            yield Change(
                f"{name} changed", "", allowed=False, why="it defines what the rows are and where they are stored"
            )


def _rules(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[Change]:
    for rule in _differences(old, new):
        if rule not in old:
            yield Change("rule added", rule, allowed=False, why="it could refuse rows that are stored")
        elif rule not in new:
            yield Change("rule removed", rule, allowed=False, why="readers were promised that it holds")
        else:
            yield Change("rule changed", rule, allowed=False, why="it could refuse stored rows, or promise less")


def _fields(old: Sequence[Record], new: Sequence[Record], inside: str) -> Iterator[Change]:
    before, after = ({field["name"]: field for field in fields} for fields in (old, new))
    for name in before.keys() - after.keys():
        why = "readers use it (a rename is a removal and an addition)"
        yield Change("removed", inside + name, allowed=False, why=why)
    for name in (name for name in after if name not in before):
        yield _added(after[name], inside)
    common = [name for name in before if name in after]
    if common != [name for name in after if name in before]:
        yield Change("reordered", inside.rstrip("."), allowed=False, why="columns are also read by position")
    for name in common:
        yield from _field(before[name], after[name], inside)


def _added(field: Record, inside: str) -> Change:
    name = inside + field["name"]
    if "default" not in field:
        return Change("added", name, allowed=False, why="stored rows have no value for it, and it has no default")
    if inside and not split_null(field["type"])[1]:
        return Change("added", name, allowed=False, why="inside a field, stored rows can only be given null")
    return Change("added", name, allowed=True, why="stored rows are read with its default")


def _field(old: Record, new: Record, inside: str) -> Iterator[Change]:
    name = inside + old["name"]
    yield from _type(name, old["type"], new["type"])
    for attribute in _differences(old, new, but={"type"}):
        what = f"{attribute} changed"
        if attribute == "doc":
            yield Change(what, name, allowed=True, why=_FREE[attribute], bump=False)
        elif why := _STORAGE.get(attribute):
            yield Change(what, name, allowed=True, why=why)
        else:
            yield Change(what, name, allowed=False, why="stored values would change their meaning")


def _type(name: str, old: Avro, new: Avro) -> Iterator[Change]:
    (old, was_nullable), (new, is_nullable) = split_null(old), split_null(new)
    if is_nullable and not was_nullable:
        yield Change("made nullable", name, allowed=False, why="readers were promised a value")
    if was_nullable and not is_nullable:
        yield Change("made required", name, allowed=False, why="stored rows may hold null")
    before, after = _without_doc(old), _without_doc(new)
    if before == after:
        return
    kinds = before["type"], after["type"]
    plain = "logicalType" not in before and "logicalType" not in after
    if plain and kinds in _LOSSLESS:
        yield Change("widened", name, allowed=True, why=f"every {kinds[0]} is a {kinds[1]}")
    elif plain and kinds[::-1] in _LOSSLESS:
        yield Change("narrowed", name, allowed=False, why=f"not every {kinds[0]} is a {kinds[1]}")
    elif kinds == ("enum", "enum") and _differences(before, after) == ["symbols"]:
        yield _symbols(name, before["symbols"], after["symbols"])
    elif kinds == ("array", "array"):
        yield from _type(f"{name}[]", before["items"], after["items"])
    elif kinds == ("map", "map"):
        yield from _type(f"{name}{{}}", before["values"], after["values"])
    elif kinds == ("record", "record"):
        yield from _fields(before["fields"], after["fields"], f"{name}.")
    else:
        yield Change("type changed", name, allowed=False, why="stored values cannot be read as the new type")


def _symbols(name: str, old: Sequence[str], new: Sequence[str]) -> Change:
    if gone := [symbol for symbol in old if symbol not in new]:
        why = f"stored rows may hold {', '.join(gone)}"
        return Change("enum value removed", name, allowed=False, why=why)
    if list(new[: len(old)]) != list(old):
        return Change("enum reordered", name, allowed=False, why="values sort by their place; add new ones at the end")
    return Change("enum value added", name, allowed=True, why="stored rows hold only the values before it")


def _version(old: str, new: str, found: Sequence[Change]) -> Iterator[Change]:
    if not all(change.allowed for change in found):
        return  # a breaking change needs a new file, not a new number
    major, minor, _ = old.split(".")
    wanted = f"{major}.{int(minor) + 1}.0" if any(change.bump for change in found) else old
    if new != wanted:
        why = f"it is {new}; after the released {old} these changes need {wanted}"
        yield Change("schema_version", "", allowed=False, why=why)


def _without_doc(avro: Avro) -> dict[str, Any]:
    return {name: value for name, value in long_form(avro).items() if name != "doc"}


def _differences(old: Mapping[str, Any], new: Mapping[str, Any], but: Collection[str] = ()) -> list[str]:
    missing = object()
    return [name for name in {**old, **new} if name not in but and old.get(name, missing) != new.get(name, missing)]
