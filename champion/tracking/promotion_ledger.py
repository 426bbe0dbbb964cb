"""The promotion ledger: append-only JSON lines that answer 'which model was champion on date X?'.

MLflow's aliases have no history. Every decision is a line, sealed by a SHA-256 over itself and the seal of the line
before, so that a changed or removed line is detected. A promotion is two lines, `pending` before the alias moves and
`done` after, so that the next command can finish it after a crash. `ledger_storage` stores the lines: in a file, which
is read without MLflow, or in the registry that several machines share.
"""

from __future__ import annotations

import getpass
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import date, datetime, time, timedelta
from typing import Any, Literal

from champion.base import clock
from champion.base.strict_json import moment, parse_json
from champion.errors import LedgerOvertaken
from champion.tracking import ledger_storage
from champion.tracking.ledger_storage import LedgerStorage, StoredLines

Kind = Literal["promote", "rollback", "begin"]
"""`begin` is the first line of a ledger that replaces a lost or damaged one."""
State = Literal["pending", "done", "refused", "abandoned"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: `at` is when it was written, `effective` when the version became champion (UTC).

    `model` is the SHA-256 of the version's model file, empty if the registry has none: a registry that was lost assigns
    the same numbers again. It is None in lines of versions before 0.3.0. Version 0 means none.
    """

    decision: int
    kind: Kind
    state: State
    version: int
    previous: int | None
    reason: str
    forced: bool
    at: datetime
    effective: datetime | None = None
    by: str = ""
    reasons: tuple[str, ...] = ()
    evidence: Mapping[str, Any] = field(default_factory=dict)
    model: str | None = None


def read(storage: LedgerStorage) -> list[Entry]:
    """Return all entries, oldest first.

    Raises:
        ModelError: a line is damaged, or was changed after it was written.
        ServiceError: the ledger is in a store that does not answer.
    """
    return parse(storage, storage.held())


def append(storage: LedgerStorage, entry: Entry, seen: Sequence[Entry]) -> Entry:
    """Append `entry` to the ledger after `seen`, all entries as `read` returned them, and return it.

    Raises:
        LedgerOvertaken: an entry that is not in `seen` was added, or another decision is pending; nothing was added.
    """
    content = {field.name: ledger_storage.storable(getattr(entry, field.name)) for field in fields(entry)}
    if entry.model is None:
        del content["model"]
    unfinished = pending(seen) if entry.state == "pending" else None
    if unfinished is not None:
        raise LedgerOvertaken(f"{storage}: decision {unfinished.decision} is not finished yet; try again")
    for _ in range(5):
        held = storage.held()
        if len(held.lines) != len(seen):
            break
        if ledger_storage.add_sealed(storage, held, content):
            return entry
    raise LedgerOvertaken(f"{storage}: another process wrote to it meanwhile; try again")


def pending(entries: Sequence[Entry]) -> Entry | None:
    """Return the decision that is neither done nor abandoned, if there is one."""
    ended = {entry.decision for entry in entries if entry.state != "pending"}
    return next((entry for entry in reversed(entries) if entry.decision not in ended), None)


def champions(entries: Sequence[Entry]) -> list[Entry]:
    """Return the stack of champions, the current one last; a rollback removes the last one."""
    stack: list[Entry] = []
    for entry in entries:
        if entry.state != "done":
            continue
        if entry.kind == "rollback":
            stack = stack[:-2]  # both the champion and the previous one, which is appended again below
        if entry.version:
            stack.append(entry)
    return stack


def on_date(entries: Sequence[Entry], on: date) -> Entry | None:
    """Return the entry of the champion at the end of the date `on` in India, if there was one."""
    end = datetime.combine(on + timedelta(days=1), time(), clock.INDIA)
    done = [entry for entry in entries if entry.state == "done" and entry.effective and entry.effective < end]
    return done[-1] if done and done[-1].version else None


def next_decision(entries: Sequence[Entry]) -> int:
    """Return the number of the next decision, from 1."""
    return max((entry.decision for entry in entries), default=0) + 1


def draft(entries: Sequence[Entry], kind: Kind, version: int, reason: str, *, forced: bool = False) -> Entry:
    """Return a new pending decision, with the current time and user; `append` writes it."""
    stack = champions(entries)
    return Entry(
        decision=next_decision(entries),
        kind=kind,
        state="pending",
        version=version,
        previous=stack[-1].version if stack else None,
        reason=reason,
        forced=forced,
        at=clock.now(),
        by=getpass.getuser(),
    )


def parse(storage: LedgerStorage, held: StoredLines) -> list[Entry]:
    """Return the entries of the lines, oldest first.

    Raises:
        ModelError: a line is damaged, or was changed after it was written.
    """
    return ledger_storage.parse_lines(storage, held, _entry)


def _entry(content: Mapping[str, Any]) -> Entry:
    entry = parse_json(Entry, json.dumps(content))
    return replace(entry, at=moment(entry.at), effective=entry.effective and moment(entry.effective))
