"""Whether a contract file has the shape of one: texts, lists and names where they belong.

Names become folders, columns and SQL, so they are words as Avro has them: nothing in them needs quoting or leads away.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_TEXTS = ("name", "layer", "dataset", "schema_version", "doc", "session")
_LISTS = ("key", "partition_by", "sort_by")
_NAMES = ("name", "layer", "dataset")
_OF_FIELD = ("name", "doc")


def schema_errors(record: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is of another shape in an Avro record with Champion's attributes; one that is missing is not judged.

    >>> list(schema_errors({"name": "raw_d", "layer": "../raw", "key": "s"}))
    ["layer is '../raw', not a word", 'key is not a list of texts']
    """
    yield from (f"{name} is not a text" for name in _TEXTS if not isinstance(record.get(name, ""), str))
    yield from _words(record, _NAMES)
    yield from (f"{name} is not a list of texts" for name in _LISTS if not _all(str, record.get(name, [])))
    if not _map(str, record.get("rules", {})):
        yield "rules is not a map of texts"
    elif strange := [name for name in record.get("rules", {}) if not _WORD.fullmatch(name)]:
        yield f"rules are named {strange}, not by words"
    if not _map(int, record.get("retention", {})):
        yield "retention is not a map of whole numbers"
    if not _all(dict, record.get("fields", [])):
        yield "fields is not a list of records"
    else:
        yield from _fields(record.get("fields", []))


def _fields(fields: list[dict[str, Any]]) -> Iterator[str]:
    for number, field in enumerate(fields, start=1):
        wrong = [name for name in _OF_FIELD if not isinstance(field.get(name, ""), str)]
        wrong += [name for name in ("unit", "group") if not isinstance(field.get(name), str | None)]
        yield from (f"field {number}: {name} is not a text" for name in wrong)
        yield from (f"field {number}: {said}" for said in _words(field, ("name", "group")))
    names = [str(field.get("name")) for field in fields]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        yield f"fields come twice: {twice}"


def _words(record: Mapping[str, Any], names: tuple[str, ...]) -> Iterator[str]:
    texts = {name: record[name] for name in names if isinstance(record.get(name), str)}
    yield from (f"{name} is {text!r}, not a word" for name, text in texts.items() if not _WORD.fullmatch(text))


def _all(of: type, value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, of) for item in value)


def _map(of: type, value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    return all(isinstance(item, of) and not isinstance(item, bool) for item in value.values())
