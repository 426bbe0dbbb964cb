"""Read the trial ledger, append to it, and restart it after damage.

The ledger is `trials.jsonl` in the workspace, or in the registry that machines share, as for promotions
(`ledger_storage`). Its number of lines and its last seal are anchored in the model registry by commands that use MLflow
anyway; an explorer only appends, because importing MLflow takes seconds.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from champion.base import clock
from champion.base.atomic_files import Lock
from champion.base.file_modes import workspace_folder
from champion.errors import LedgerOvertaken, ModelError, UsageError
from champion.tracking import anchor, ledger_storage, registry
from champion.tracking.ledger_storage import TRIALS, LedgerStorage, StoredLines
from champion.tracking.trials import grouping
from champion.tracking.trials.entry import Entry, content, digest, parse

if TYPE_CHECKING:
    from champion.settings import Settings

_REMEDY = "restore it from a backup; without one, `champion trials begin --reason WHY` counts what was lost"
_TRIES = 5


def read(settings: Settings) -> list[Entry]:
    """Return all entries, oldest first, after comparing them with the anchor in the registry.

    Raises:
        ModelError: a line is damaged or was edited, or lines are missing.
        ServiceError: the registry does not answer.
    """
    storage = ledger_storage.of(settings, TRIALS)
    known = anchor.read(
        settings, TRIALS
    )  # first: a line that is added meanwhile makes the ledger longer, never shorter
    held = storage.held()
    found = ledger_storage.parse_lines(storage, held, parse)
    if known is not None and (wrong := anchor.difference(held, known)):
        raise ModelError(f"{storage}: {wrong}: {_REMEDY}")
    return found


def damage(settings: Settings) -> str | None:
    """Return why the trials cannot be counted; None if the ledger is intact."""
    try:
        read(settings)
    except ModelError as error:
        return str(error)
    return None


def add(settings: Settings, entries: Sequence[Entry]) -> list[Entry]:
    """Append the entries whose facts the ledger does not hold yet, and return all of its entries.

    Raises:
        ModelError: the ledger is damaged; nothing was added.
        LedgerOvertaken: other machines kept writing to a shared ledger; some entries may have been added.
    """
    with lock(settings):
        return _add(settings, entries)


def take_over_file(settings: Settings) -> list[Entry]:
    """Copy the lines that a workspace wrote to its file before it joined a shared registry, and return the new ones."""
    file, storage = ledger_storage.local(settings, TRIALS), ledger_storage.of(settings, TRIALS)
    if file == storage or not (held := file.held()).lines:
        return []
    lines = ledger_storage.parse_lines(file, held, parse)
    facts = {digest(one.facts) for one in read(settings)}
    if new := [one for one in lines if digest(one.facts) not in facts]:
        add(settings, new)
    return new


def write_anchor(settings: Settings) -> None:
    """Store the number of lines and the last seal of the ledger in the registry.

    Raises:
        ModelError: the ledger is damaged: its anchor stays.
    """
    with lock(settings):
        _write_anchor(settings, read(settings))


def begin(settings: Settings, *, reason: str) -> Entry:
    """Replace a damaged ledger by one with its intact first lines, and return the last entry.

    Trials of lost or unreadable lines are declared, without a series, so no count shrinks. The damaged ledger is kept
    under another name, which the entry `begin` holds.

    Raises:
        UsageError: there is no reason, or the ledger is intact and stays.
    """
    if not reason.strip():
        raise UsageError("a new ledger needs a reason, which its lines record")
    with lock(settings):
        wrong, storage = damage(settings), ledger_storage.of(settings, TRIALS)
        if wrong is None:
            raise UsageError(f"{storage} is intact: a new ledger would only hide its trials")
        intact, rest = _intact(storage)
        lost = max(rest, _anchored(settings) - _count(intact))
        kept = storage.set_aside(f"before-{clock.now():%Y%m%dT%H%M%S%f}")
        note = f"{reason.strip()} ({wrong}; kept as {kept})"
        started = Entry(kind="begin", id=digest([wrong, kept])[:16], note=note)
        counted = [Entry(kind="declare", id=f"lost-{started.id}", count=lost, note=note)] if lost > 0 else []
        entries = _add(settings, [*intact, started, *counted], restarted=True)
        _write_anchor(settings, entries)
        return entries[-1]


def lock(settings: Settings) -> Lock:
    """Return the lock for the writers of a workspace."""
    workspace_folder(settings.home)
    return Lock(settings.home / "trials.lock", timeout=60)


def _add(settings: Settings, entries: Sequence[Entry], *, restarted: bool = False) -> list[Entry]:
    """Append entries as `add` does, under the lock; a ledger that was `restarted` differs from its anchor."""
    storage = ledger_storage.of(settings, TRIALS)
    known = ledger_storage.parse_lines(storage, storage.held(), parse) if restarted else read(settings)
    by_id = defaultdict[str, list[Entry]](list)
    for one in known:
        by_id[one.id].append(one)
    for entry in entries:
        if any(one.facts == entry.facts or (one.kind == entry.kind == "look") for one in by_id[entry.id]):
            continue
        for _ in range(_TRIES):
            held = storage.held()
            if len(held.lines) != len(known):  # another machine added lines to a shared ledger
                return _add(settings, entries, restarted=restarted)
            if ledger_storage.add_sealed(storage, held, content(entry)):
                break
        else:
            raise LedgerOvertaken(f"{storage}: other processes wrote to it {_TRIES} times meanwhile; try again")
        known.append(entry)
        by_id[entry.id].append(entry)
    return known


def _write_anchor(settings: Settings, entries: Sequence[Entry]) -> None:
    held = ledger_storage.of(settings, TRIALS).held()
    seals = ledger_storage.seals(StoredLines(held.lines[: len(entries)], len(entries) + 1))
    latest = anchor.Anchor(len(seals), seals[-1], _count(entries)) if seals else None
    if latest is not None and anchor.read(settings, TRIALS) != latest:
        registry.ensure_model(settings, registry.MODEL, registry.ABOUT)
        anchor.write(settings, latest, TRIALS)


def _count(entries: Sequence[Entry]) -> int:
    return sum(trial.count for trial in grouping.trials(entries))


def _intact(storage: LedgerStorage) -> tuple[list[Entry], int]:
    """Return the entries before the first damaged line, and the number of trials that the other lines may be.

    An unreadable line may have been a trial.
    """
    try:
        held = storage.held()
    except ModelError:  # lines of a shared ledger were deleted, and its anchor has the number of trials
        return [], 0
    for count in range(len(held.lines), 0, -1):
        with suppress(ModelError):
            part = StoredLines(held.lines[:count], count + 1)
            return ledger_storage.parse_lines(storage, part, parse), sum(map(_trials_in, held.lines[count:]))
    return [], sum(map(_trials_in, held.lines))


def _trials_in(line: str) -> int:
    try:
        found = parse({name: value for name, value in json.loads(line).items() if name != "seal"})
    except (ValueError, AttributeError, RecursionError):
        return 1
    return found.count if found.kind == "declare" else int(found.kind == "look")


def _anchored(settings: Settings) -> int:
    """Return the number of trials in the registry's record; 0 without one."""
    try:
        known = anchor.read(settings, TRIALS)
    except ModelError:  # its tag is damaged as well
        return 0
    return 0 if known is None else known.trials
