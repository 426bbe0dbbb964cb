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


@dataclass(frozen=True, slots=True)
class Change:
    """One difference: `field` is empty if it concerns the whole record; with `bump` it needs a new minor version."""

    what: str
    field: str
    why: str
    allowed: bool = False
    bump: bool = True


def changes(old: Record, new: Record) -> list[Change]:
    """Return every difference between two Avro records of one contract version, refused ones included.

    >>> volume = {"name": "volume", "type": "int", "doc": ""}
    >>> before = {"name": "bars", "schema_version": "1.0.0", "rules": {}, "fields": [volume]}
    >>> after = {**before, "schema_version": "1.1.0", "fields": [{**volume, "type": "long"}]}
    >>> [(change.what, change.field, change.allowed) for change in changes(before, after)]
    [('widened', 'volume', True)]
    """
    found = []
    for name in _differences(old, new, but={"fields", "rules", "schema_version"}):
        why = _FREE.get(name, "it defines what the rows are and where they are stored")
        found.append(Change(f"{name} changed", "", why, allowed=name in _FREE, bump=name not in _FREE))
    found += [*_rules(old["rules"], new["rules"]), *_fields(old["fields"], new["fields"], "")]
    was, now = old["schema_version"], new["schema_version"]
    major, minor, _ = was.split(".")
    wanted = f"{major}.{int(minor) + 1}.0" if any(change.bump for change in found) else was
    if now != wanted and all(change.allowed for change in found):  # a refused change needs a new file, not a new number
        found.append(Change("schema_version", "", f"it is {now}; these changes of the released {was} need {wanted}"))
    return found


def _rules(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[Change]:
    for rule in _differences(old, new):
        if rule not in old:
            yield Change("rule added", rule, "it could refuse rows that are stored")
        elif rule not in new:
            yield Change("rule removed", rule, "readers were promised that it holds")
        else:
            yield Change("rule changed", rule, "it could refuse stored rows, or promise less")


def _fields(old: Sequence[Record], new: Sequence[Record], inside: str) -> Iterator[Change]:
    before, after = ({field["name"]: field for field in fields} for fields in (old, new))
    for name in before.keys() - after.keys():
        yield Change("removed", inside + name, "readers use it (a rename is a removal and an addition)")
    for name in (name for name in after if name not in before):
        yield _added(after[name], inside)
    common = [name for name in before if name in after]
    if common != [name for name in after if name in before]:
        yield Change("reordered", inside.rstrip("."), "columns are also read by position")
    for name in common:
        yield from _field(before[name], after[name], inside)


def _added(field: Record, inside: str) -> Change:
    name = inside + field["name"]
    if "default" not in field:
        return Change("added", name, "stored rows have no value for it, and it has no default")
    if inside and not split_null(field["type"])[1]:
        return Change("added", name, "inside a field, stored rows can only be given null")
    return Change("added", name, "stored rows are read with its default", allowed=True)


def _field(old: Record, new: Record, inside: str) -> Iterator[Change]:
    name = inside + old["name"]
    yield from _type(name, old["type"], new["type"])
    for attribute in _differences(old, new, but={"type"}):
        what = f"{attribute} changed"
        if attribute == "doc":
            yield Change(what, name, _FREE[attribute], allowed=True, bump=False)
        elif attribute == "low_cardinality":
            yield Change(what, name, "ClickHouse stores the same values differently; add a migration", allowed=True)
        else:
            yield Change(what, name, "stored values would change their meaning")


def _type(name: str, old: Avro, new: Avro) -> Iterator[Change]:
    (old, was_nullable), (new, is_nullable) = split_null(old), split_null(new)
    if is_nullable and not was_nullable:
        yield Change("made nullable", name, "readers were promised a value")
    if was_nullable and not is_nullable:
        yield Change("made required", name, "stored rows may hold null")
    before, after = _without_doc(old), _without_doc(new)
    if before == after:
        return
    kinds = before["type"], after["type"]
    plain = "logicalType" not in before and "logicalType" not in after
    if plain and kinds in _LOSSLESS:
        yield Change("widened", name, f"every {kinds[0]} is a {kinds[1]}", allowed=True)
    elif plain and kinds[::-1] in _LOSSLESS:
        yield Change("narrowed", name, f"not every {kinds[0]} is a {kinds[1]}")
    elif kinds == ("enum", "enum") and _differences(before, after) == ["symbols"]:
        yield _symbols(name, before["symbols"], after["symbols"])
    elif kinds == ("array", "array"):
        yield from _type(f"{name}[]", before["items"], after["items"])
    elif kinds == ("map", "map"):
        yield from _type(f"{name}{{}}", before["values"], after["values"])
    elif kinds == ("record", "record"):
        yield from _fields(before["fields"], after["fields"], f"{name}.")
    else:
        yield Change("type changed", name, "stored values cannot be read as the new type")


def _symbols(name: str, old: Sequence[str], new: Sequence[str]) -> Change:
    if gone := [symbol for symbol in old if symbol not in new]:
        return Change("enum value removed", name, f"stored rows may hold {', '.join(gone)}")
    if list(new[: len(old)]) != list(old):
        return Change("enum reordered", name, "values sort by their place; add new ones at the end")
    return Change("enum value added", name, "stored rows hold only the values before it", allowed=True)


def _without_doc(avro: Avro) -> dict[str, Any]:
    return {name: value for name, value in long_form(avro).items() if name != "doc"}


def _differences(old: Mapping[str, Any], new: Mapping[str, Any], but: Collection[str] = ()) -> list[str]:
    missing = object()
    return [name for name in {**old, **new} if name not in but and old.get(name, missing) != new.get(name, missing)]
