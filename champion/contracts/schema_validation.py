"""Check the shape of a contract file: texts, lists and names in the right places.

Names become folders, columns and SQL. So they must be Avro names, which need no quoting and lead to no other
folder.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
TEXTS = ("name", "layer", "dataset", "schema_version", "doc", "session")
LISTS = ("key", "partition_by", "sort_by")
"""The attributes that every contract has as a text, and those as a list of texts."""


def schema_errors(record: Mapping[str, Any]) -> Iterator[str]:
    """Yield the malformed attributes of an Avro record with Champion's attributes; missing ones are not reported.

    >>> list(schema_errors({"name": "raw_d", "layer": "../raw", "key": "s"}))
    ["layer is '../raw', not a word", 'key is not a list of texts']
    """
    yield from (f"{name} is not a text" for name in TEXTS if not isinstance(record.get(name, ""), str))
    yield from _words(record, ("name", "layer", "dataset"))
    yield from (f"{name} is not a list of texts" for name in LISTS if not _all(str, record.get(name, [])))
    if not _map(str, record.get("rules", {})):
        yield "rules is not a map of texts"
    elif invalid := [name for name in record.get("rules", {}) if not _WORD.fullmatch(name)]:
        yield f"rules are named {invalid}, not by words"
    if not _map(int, record.get("retention", {})):
        yield "retention is not a map of whole numbers"
    if not _all(dict, record.get("fields", [])):
        yield "fields is not a list of records"
    else:
        yield from _fields(record.get("fields", []))


def _fields(fields: list[dict[str, Any]]) -> Iterator[str]:
    for number, field in enumerate(fields, start=1):
        wrong = [name for name in ("name", "doc") if not isinstance(field.get(name, ""), str)]
        wrong += [name for name in ("unit", "group") if not isinstance(field.get(name), str | None)]
        yield from (f"field {number}: {name} is not a text" for name in wrong)
        yield from (f"field {number}: {error}" for error in _words(field, ("name", "group")))
    names = [str(field.get("name")) for field in fields]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        yield f"fields come twice: {twice}"


def _words(record: Mapping[str, Any], names: tuple[str, ...]) -> Iterator[str]:
    texts = {name: record[name] for name in names if isinstance(record.get(name), str)}
    yield from (f"{name} is {text!r}, not a word" for name, text in texts.items() if not _WORD.fullmatch(text))


def _all(of: type, value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, of) for item in value)


def _map(of: type, value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(one, of) and not isinstance(one, bool) for one in value.values())
