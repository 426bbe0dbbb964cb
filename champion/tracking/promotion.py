"""Promote, rollback and repair: decisions about the champion, one after the other.

1. The ledger records the decision as `pending`; 2. the alias `champion` moves; 3. the ledger records `done`. After a
crash between two steps `repair` recognizes the state and finishes it; every step here repairs first. Processes of a
workspace wait for each other's lock. If two machines decide at the same time, the ledger accepts one decision, and the
other machine reads the ledger again before it decides.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Any, TypeVar

from champion.base import clock
from champion.base.atomic_files import Lock
from champion.base.file_modes import workspace_folder
from champion.errors import DecisionOutdated, LedgerOvertaken, ModelError, PromotionRefused, ServiceError, UsageError
from champion.tracking import anchor, ledger_storage, notify, promotion_ledger, registry, standing
from champion.tracking.promotion_ledger import Entry

if TYPE_CHECKING:
    from champion.settings import Settings

ANY_CHAMPION = -1
"""For a decision that does not depend on the current champion."""
_TRIES = 5
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Decision:
    """The gate's decision and its reasons."""

    promote: bool
    reasons: tuple[str, ...]


def promote(
    settings: Settings,
    version: int,
    decision: Decision,
    *,
    reason: str,
    evidence: Mapping[str, Any] | None = None,
    force: bool = False,
    against: int | None = ANY_CHAMPION,
) -> Entry:
    """Promote `version` and return its entry in the ledger. `force` overrides the gate, which the ledger records.

    `against` is the champion that the decision compared with: if another version is champion by now, the decision is
    void.

    Raises:
        DecisionOutdated: the champion has changed since the decision.
        PromotionRefused: the gate refused; the ledger records that, too.
        UsageError: `force` without a reason.
        ModelError: there is no such version, or it is champion already.
    """
    if force and not reason.strip():
        raise UsageError("a forced promotion needs a reason: the ledger keeps why the gate was overridden")
    model = registry.find(settings, version).tags.get(registry.DIGEST, "")

    def step() -> Entry:
        entries = finish_pending(settings)
        draft = promotion_ledger.draft(entries, "promote", version, reason, forced=force and not decision.promote)
        entry = replace(draft, reasons=decision.reasons, evidence=evidence or {}, model=model)
        current = in_force(settings, entries)
        if against not in {ANY_CHAMPION, current}:
            raise DecisionOutdated(
                f"version {version} was compared with version {against}, but version {current} is champion now: "
                "evaluate it again"
            )
        if entry.previous == version:
            message = f"{registry.MODEL} version {version} is champion already"
            raise ModelError(f"{message}, but {wrong}" if (wrong := standing.disagreement(settings)) else message)
        if not decision.promote and not force:
            append(settings, replace(entry, state="refused"), entries)
            raise PromotionRefused(
                f"{registry.MODEL} version {version} was not promoted: {'; '.join(decision.reasons)}. "
                "Train a better one, or promote with force and a reason that stays in the ledger"
            )
        return _start(settings, entry, entries)

    return _announce(settings, serialized(settings, step))


def rollback(settings: Settings, *, reason: str) -> Entry:
    """Make the previous champion champion again and return the entry in the ledger.

    Raises:
        ModelError: there is no earlier champion, or the registry no longer has it.
    """

    def step() -> Entry:
        entries = finish_pending(settings)
        stack = promotion_ledger.champions(entries)
        if len(stack) < 2:  # noqa: PLR2004 - the current one and one before it
            raise ModelError("nothing to roll back to: the ledger has no champion before the current one")
        standing.require_same_model(settings, stack[-2], stack[-1])
        draft = promotion_ledger.draft(entries, "rollback", stack[-2].version, reason)
        model = registry.find(settings, draft.version).tags.get(registry.DIGEST, "")
        return _start(settings, replace(draft, model=model), entries)

    return _announce(settings, serialized(settings, step))


def repair(settings: Settings) -> Entry | None:
    """Finish a promotion that a crash interrupted and return its last entry, or None if there was none."""
    if promotion_ledger.pending(standing.entries(settings)) is None:
        return None
    finished = serialized(settings, lambda: _finish(settings, standing.entries(settings)))
    return None if finished is None else _announce(settings, finished)


def history(settings: Settings, on: date | None = None) -> list[Entry]:
    """Return the ledger, oldest first; with `on`, up to the end of that date in India.

    Raises:
        ModelError: it is damaged, or does not belong to the registry's models.
    """
    entries = standing.entries(settings)
    return entries if on is None else [entry for entry in entries if entry.at.astimezone(clock.INDIA).date() <= on]


def champion_on(settings: Settings, on: date) -> Entry | None:
    """Return the entry of the champion at the end of the date `on` in India, if there was one."""
    return promotion_ledger.on_date(standing.entries(settings), on)


def current_champion(settings: Settings) -> Entry | None:
    """Return the entry of the current champion, from the ledger only, or None before the first promotion."""
    stack = promotion_ledger.champions(standing.entries(settings))
    return stack[-1] if stack else None


def in_force(settings: Settings, known: Sequence[Entry] | None = None) -> int | None:
    """Return the champion's version in the ledger, or in `known` entries of it; if it is empty, that of the alias."""
    entries = standing.entries(settings) if known is None else known
    stack = promotion_ledger.champions(entries)
    if stack or entries:
        return stack[-1].version if stack else None
    return registry.alias_of(settings, registry.CHAMPION)


def append(settings: Settings, entry: Entry, seen: Sequence[Entry]) -> Entry:
    """Append the entry to the ledger, anchor it in the registry, and return it."""
    storage = ledger_storage.of(settings)
    added = promotion_ledger.append(storage, entry, seen)
    _write_anchor(settings, storage)
    return added


def _write_anchor(settings: Settings, storage: ledger_storage.LedgerStorage) -> None:
    seals = ledger_storage.seals(storage.held())
    anchor.write(settings, anchor.Anchor(len(seals), seals[-1]))


def serialized(settings: Settings, step: Callable[[], Result]) -> Result:
    """Return the result of `step`, run under the lock, and again if another machine wrote to the ledger meanwhile."""
    for _ in range(_TRIES):
        with lock(settings), suppress(LedgerOvertaken):
            return step()
    raise LedgerOvertaken(
        f"{ledger_storage.of(settings)}: other processes wrote to it {_TRIES} times meanwhile; try again"
    )


def finish_pending(settings: Settings) -> list[Entry]:
    """Finish decisions that a crash interrupted, and return the ledger as it was read once, without a pending decision.

    Another machine may begin a decision between two reads. A decision added after a pending one would block it for
    ever.
    """
    _take_over_file(settings)
    while _finish(settings, entries := standing.entries(settings)) is not None:
        continue
    return entries


def _take_over_file(settings: Settings) -> None:
    """Copy the lines that an earlier version kept in a file to the registry, if they belong to its champion."""
    storage, file = ledger_storage.of(settings), ledger_storage.local(settings)
    old = [] if storage == file else promotion_ledger.champions(promotion_ledger.read(file))
    if not old or old[-1].version != registry.alias_of(settings, registry.CHAMPION):
        return
    lines, copied = file.held().lines, storage.held().lines
    for number in range(len(copied) + 1, len(lines) + 1) if copied == lines[: len(copied)] else ():
        if storage.add(lines[number - 1], number):
            _write_anchor(settings, storage)


def _start(settings: Settings, entry: Entry, entries: Sequence[Entry]) -> Entry:
    return carry_out(settings, entry, [*entries, append(settings, entry, entries)])


def carry_out(settings: Settings, entry: Entry, entries: Sequence[Entry]) -> Entry:
    """Move the alias for a pending entry, the last of `entries`, and return the entry that ends it.

    Raises:
        ServiceError: other processes kept writing to the ledger; the next command ends the decision.
    """
    registry.point(settings, registry.CHAMPION, entry.version)
    for _ in range(_TRIES):
        now = clock.now()
        try:
            return append(settings, replace(entry, state="done", at=now, effective=now), entries)
        except LedgerOvertaken:  # another machine took the pending line for an interrupted one and finished it
            entries = standing.entries(settings)
            if ended := [one for one in entries if one.decision == entry.decision and one.state != "pending"]:
                registry.point(settings, registry.CHAMPION, promotion_ledger.champions(entries)[-1].version)
                return ended[0]
    raise ServiceError(
        f"{ledger_storage.of(settings)}: decision {entry.decision} is pending: run `champion models repair`"
    )


def _announce(settings: Settings, entry: Entry) -> Entry:
    """Notify the webhook, outside the lock. A failure is logged, and the promotion remains valid."""
    if problem := notify.announce(settings, entry, registry.MODEL):
        logging.getLogger("champion.promotion").warning(problem)
    return entry


def _finish(settings: Settings, entries: Sequence[Entry]) -> Entry | None:
    """Return the entry that ends the decision of `entries` that has not ended, or None if there is no such decision."""
    entry = promotion_ledger.pending(entries)
    if entry is None:
        return None
    later = any(one.decision > entry.decision and one.state == "done" for one in entries)
    if later or entry.version not in {one.number for one in registry.versions(settings)}:
        return append(settings, replace(entry, state="abandoned", at=clock.now()), entries)
    if registry.alias_of(settings, registry.CHAMPION) == entry.version:  # the alias had moved already
        return append(settings, replace(entry, state="done", at=clock.now(), effective=entry.at), entries)
    return carry_out(settings, entry, entries)


def lock(settings: Settings) -> Lock:
    """Return the lock for decisions of the processes of a workspace."""
    workspace_folder(settings.home)
    return Lock(settings.home / "promotions.lock", timeout=60)
