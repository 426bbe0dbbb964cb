"""The lines of the trial ledger.

A look is written before its figures can be seen, so that a killed or failed training counts; its result follows. The id
of a look is a digest of its recipe, its sessions and its data, so a repeated look finds its line and adds none.
"""

from __future__ import annotations

import getpass
import hashlib
import json
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from datetime import date, datetime
from typing import Any, Literal

from champion.base import clock
from champion.base.strict_json import moment, parse_json
from champion.tracking.ledger_storage import storable

Kind = Literal["look", "result", "declare", "imported", "begin"]
_DIGITS = 16  # of a look's id


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the ledger; fields that a kind does not use keep their defaults and are not stored.

    Attributes:
        kind: `look` (the intent), `result` (its figures), `declare` (trials that Champion could not see), `imported`
            (the runs of earlier releases are in the ledger), `begin` (a damaged ledger was replaced here).
        id: of the look or the declaration.
        at: when the line was written (UTC).
        by: the user.
        source: what looked, such as `training` or `tear sheet`.
        recipe: what was examined, by content.
        start: first session of the frame with forward returns.
        end: its last session.
        data: digests of the datasets, by name.
        run: the MLflow run, if there is one.
        scores: digest of the scores that were judged. Two results of one look with other scores are two trials.
        series: SHA-256 of the file with the daily net active returns, empty if there are none.
        sessions: rows of that file.
        figures: other figures, by name.
        count: number of declared trials.
        note: reason of a declaration or of a new ledger.
    """

    kind: Kind
    id: str
    at: datetime = field(default_factory=clock.now)
    by: str = field(default_factory=getpass.getuser)
    source: str = ""
    recipe: Mapping[str, Any] = field(default_factory=dict)
    start: date | None = None
    end: date | None = None
    data: Mapping[str, str] = field(default_factory=dict)
    run: str | None = None
    scores: str = ""
    series: str = ""
    sessions: int = 0
    figures: Mapping[str, float] = field(default_factory=dict)
    count: int = 1
    note: str = ""

    @property
    def facts(self) -> dict[str, Any]:
        """The content without time, user and run: two lines with the same facts are one."""
        return {name: value for name, value in content(self).items() if name not in {"at", "by", "run", "source"}}


def look(recipe: Mapping[str, Any], start: date | None, end: date | None, data: Mapping[str, str]) -> Entry:
    """Return a look; the same arguments give the same id.

    >>> look({"model": "logistic"}, None, None, {}).id == look({"model": "logistic"}, None, None, {}).id
    True
    """
    known = storable(recipe)
    named = digest([known, storable(start), storable(end), dict(data)])[:_DIGITS]
    return Entry(kind="look", id=named, recipe=known, start=start, end=end, data=dict(data))


def digest(value: Any) -> str:
    """Return the SHA-256 of a value in JSON, independent of the order of names."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, allow_nan=False).encode()).hexdigest()


def content(entry: Entry) -> dict[str, Any]:
    """Return an entry as JSON values, without fields that have their defaults."""
    values, stored = asdict(entry), {}
    for one in fields(entry):
        default = one.default_factory() if one.default_factory is not MISSING else one.default
        if one.name in {"kind", "id", "at", "by"} or values[one.name] != default:
            stored[one.name] = storable(values[one.name])
    return stored


def parse(stored: Mapping[str, Any]) -> Entry:
    """Return the entry of a line.

    Raises:
        ValueError: it is none.
    """
    found = parse_json(Entry, json.dumps(stored))
    return replace(found, at=moment(found.at))
