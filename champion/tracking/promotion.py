"""Who becomes champion: the gate, and promote, rollback and repair, one decision after the other.

1. The decision goes to the ledger as `pending`; 2. the alias `champion` moves; 3. the ledger says `done`. A crash
between any two steps leaves a state that `repair` recognises and finishes; every step here repairs first. Processes of
a workspace wait for each other by a lock; of two machines that decide at once the ledger takes one, and the other reads
again what it is to decide upon.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Any, TypeVar

from champion.base import clock
from champion.base.atomic_files import Lock
from champion.base.counting import quantity
from champion.base.file_modes import workspace_folder
from champion.errors import DecisionOutdated, LedgerOvertaken, ModelError, PromotionRefused, ServiceError, UsageError
from champion.tracking import anchor, ledger_storage, notify, promotion_ledger, registry, standing
from champion.tracking.promotion_ledger import Entry

if TYPE_CHECKING:
    from champion.settings import Settings

RANK_IC, T_STAT, SESSIONS, HORIZON = "rank_ic", "rank_ic_t", "sessions", "horizon"
ANYBODY = -1
"""A decision that was not made against a certain champion."""
_PATIENCE = 60
_TRIES = 5
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Decision:
    """What the gate says, and why."""

    promote: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rules:
    """What the gate asks: `level` is the rate at which it may believe a worthless challenger, one-sided."""

    margin: float = 0.002
    level: float = 0.025

    def enough(self, metrics: Mapping[str, float]) -> float:
        """Return the t-statistic that luck exceeds at the rate of `level`.

        Labels over a horizon of h sessions overlap, so S sessions are S / h observations: Student's t with one less.

        >>> round(Rules(level=0.025).enough({"sessions": 300, "horizon": 5}), 3)
        2.001
        """
        from scipy.stats import t  # noqa: PLC0415 - the ledger is read without it

        freedom = metrics[SESSIONS] / metrics.get(HORIZON, 1.0) - 1
        return float(t.ppf(1 - self.level, freedom)) if freedom > 0 else math.inf


def gate(
    challenger: Mapping[str, float],
    champion: Mapping[str, float] | None,
    *,
    paired: Mapping[str, float] | None = None,
    rules: Rules,
    canary: bool | None,
) -> Decision:
    """Return whether the challenger may become champion, from out-of-sample metrics of the same sessions.

    Metrics: `rank_ic` (mean over sessions), `rank_ic_t` (its t-statistic), `sessions` (how many), `horizon`. `paired`
    are the same of the differences, challenger less champion, session by session. The first champion needs a rank IC
    whose t luck reaches at the rate of `rules.level` only; a later one must also beat the champion by `rules.margin`
    on the mean, and the paired t must be as rare. `canary` says whether the leakage canaries passed; None, that nobody
    ran them, is a no.

    >>> good = {"rank_ic": 0.03, "rank_ic_t": 3.1, "sessions": 250, "horizon": 5}
    >>> gate(good, None, rules=Rules(), canary=True).promote
    True
    >>> gate({**good, "rank_ic_t": 1.1}, None, rules=Rules(), canary=True).reasons
    ('rank IC t-statistic 1.10 is below 2.01',)
    """
    missing = [name for name in (RANK_IC, T_STAT, SESSIONS) if name not in challenger]
    if missing:
        return Decision(promote=False, reasons=(f"the challenger has no {', '.join(missing)}",))
    against = [
        *_weaknesses(challenger, rules),
        *_canary_failures(canary),
        *(_shortfalls(challenger, champion, paired, rules) if champion is not None else []),
    ]
    tested = quantity(round(challenger[SESSIONS]), "session")
    won = f"rank IC {challenger[RANK_IC]:.4f} (t {challenger[T_STAT]:.2f}) over {tested}"
    if paired is not None and champion is not None:
        won += f", {paired[RANK_IC]:.4f} (paired t {paired[T_STAT]:.2f}) above the champion's"
    return Decision(promote=not against, reasons=tuple(against) or (won,))


def promote(
    settings: Settings,
    version: int,
    decision: Decision,
    *,
    reason: str,
    evidence: Mapping[str, Any] | None = None,
    force: bool = False,
    against: int | None = ANYBODY,
) -> Entry:
    """Return the ledger entry of the promotion of `version`, done. `force` overrides the gate, and says so for good.

    `against` is the champion that the decision was made against: where another one reigns by now, it is worth nothing.

    Raises:
        DecisionOutdated: another champion reigns than the decision was made against.
        PromotionRefused: the gate said no; that, too, is in the ledger.
        UsageError: `force` without a reason.
        ModelError: there is no such version, or it is champion already.
    """
    if force and not reason.strip():
        raise UsageError("a forced promotion needs a reason: the ledger keeps why the gate was overridden")
    model = registry.find(settings, version).tags.get(registry.DIGEST, "")

    def step() -> Entry:
        entries = settled(settings)
        drafted = promotion_ledger.draft(entries, "promote", version, reason, forced=force and not decision.promote)
        entry = replace(drafted, reasons=decision.reasons, evidence=evidence or {}, model=model)
        reigning = _in_force(settings, entries)
        if against not in {ANYBODY, reigning}:
            raise DecisionOutdated(
                f"version {version} was judged against version {against}, by now version {reigning} is champion: "
                "judge it again"
            )
        if entry.previous == version:
            raise ModelError(_already(settings, version))
        if not decision.promote and not force:
            append(settings, replace(entry, state="refused"), entries)
            raise PromotionRefused(
                f"{registry.MODEL} version {version} was not promoted: {'; '.join(decision.reasons)}. "
                "Train a better one, or promote with force and a reason that stays in the ledger"
            )
        return _begun(settings, entry, entries)

    return _announced(settings, in_turn(settings, step))


def rollback(settings: Settings, *, reason: str) -> Entry:
    """Return the ledger entry that made the champion before the current one champion again.

    Raises:
        ModelError: there is no earlier champion, or the registry no longer has it.
    """

    def step() -> Entry:
        entries = settled(settings)
        stack = promotion_ledger.champions(entries)
        if len(stack) < 2:  # noqa: PLR2004 - the current one and one before it
            raise ModelError("nothing to roll back to: the ledger has no champion before the current one")
        earlier = stack[-2].version
        standing.require_same_model(settings, stack[-2], stack[-1])
        model = registry.find(settings, earlier).tags.get(registry.DIGEST, "")
        return _begun(
            settings, replace(promotion_ledger.draft(entries, "rollback", earlier, reason), model=model), entries
        )

    return _announced(settings, in_turn(settings, step))


def repair(settings: Settings) -> Entry | None:
    """Return the entry that ended a promotion which a crash had cut short, or None where there was none."""
    if promotion_ledger.pending(_entries(settings)) is None:
        return None
    finished = in_turn(settings, lambda: _finished(settings))
    return None if finished is None else _announced(settings, finished)


def history(settings: Settings, on: date | None = None) -> list[Entry]:
    """Return the ledger, oldest first; with `on`, up to the end of that date in India.

    Raises:
        ModelError: it is damaged, or not the one that the registry's models were promoted by.
    """
    entries = _entries(settings)
    return entries if on is None else [entry for entry in entries if entry.at.astimezone(clock.INDIA).date() <= on]


def champion_on(settings: Settings, on: date) -> Entry | None:
    """Return the entry that made the champion in force at the end of the date `on` in India, if there was one."""
    return promotion_ledger.on_date(_entries(settings), on)


def current_champion(settings: Settings) -> Entry | None:
    """Return the entry that made today's champion, from the ledger alone, or None before the first promotion."""
    stack = promotion_ledger.champions(_entries(settings))
    return stack[-1] if stack else None


def in_force(settings: Settings) -> int | None:
    """Return the version that the ledger calls champion; where it has no line at all, the one of the alias."""
    return _in_force(settings, _entries(settings))


def disagreement(settings: Settings) -> str | None:
    """Return a sentence where alias and ledger differ, because somebody moved the alias by hand; None if they agree."""
    return standing.disagreement(settings)


def _in_force(settings: Settings, entries: Sequence[Entry]) -> int | None:
    stack = promotion_ledger.champions(entries)
    if stack or entries:
        return stack[-1].version if stack else None
    return registry.alias_of(settings, registry.CHAMPION)


def _entries(settings: Settings) -> list[Entry]:
    return standing.entries(settings)


def append(settings: Settings, entry: Entry, seen: Sequence[Entry]) -> Entry:
    """Return the entry once it is in the ledger, and the registry knows of it."""
    book = ledger_storage.of(settings)
    added = promotion_ledger.append(book, entry, seen)
    _let_registry_know(settings, book)
    return added


def _let_registry_know(settings: Settings, book: ledger_storage.LedgerStorage) -> None:
    seals = promotion_ledger.seals(book.held())
    anchor.write(settings, anchor.Anchor(len(seals), seals[-1]))


def _already(settings: Settings, version: int) -> str:
    said = f"{registry.MODEL} version {version} is champion already"
    return f"{said}, but {wrong}" if (wrong := standing.disagreement(settings)) else said


def in_turn(settings: Settings, step: Callable[[], Found]) -> Found:
    """Return what `step` returns; it is made again where another machine wrote to the ledger meanwhile."""
    for _ in range(_TRIES):
        with lock(settings), suppress(LedgerOvertaken):
            return step()
    raise LedgerOvertaken(f"{ledger_storage.of(settings)}: others decided {_TRIES} times in between; try again")


def settled(settings: Settings) -> list[Entry]:
    """Return the ledger as it was read once, without a decision that has not ended: a crash's are finished.

    Another machine may begin one between two readings. A decision on top of it would never let it end.
    """
    _take_over_file(settings)
    while promotion_ledger.pending(entries := _entries(settings)) is not None:
        _finish(settings, entries)
    return entries


def _take_over_file(settings: Settings) -> None:
    """Bring the lines that an earlier workbench kept in a file to the registry, if they are of the same champion."""
    book, file = ledger_storage.of(settings), ledger_storage.local(settings)
    old = [] if book == file else promotion_ledger.champions(promotion_ledger.read(file))
    if not old or old[-1].version != registry.alias_of(settings, registry.CHAMPION):
        return
    lines, there = file.held().lines, book.held().lines
    for number in range(len(there) + 1, len(lines) + 1) if there == lines[: len(there)] else ():
        if book.add(lines[number - 1], number):
            _let_registry_know(settings, book)


def _begun(settings: Settings, entry: Entry, entries: Sequence[Entry]) -> Entry:
    return carry_out(settings, entry, [*entries, append(settings, entry, entries)])


def carry_out(settings: Settings, entry: Entry, entries: Sequence[Entry]) -> Entry:
    """Return the entry that ends a pending one, the last of `entries`; the alias points where the ledger says.

    Raises:
        ServiceError: others kept writing, so that it could not be ended; the next command ends it.
    """
    registry.point(settings, registry.CHAMPION, entry.version)
    for _ in range(_TRIES):
        now = clock.now()
        try:
            return append(settings, replace(entry, state="done", at=now, effective=now), entries)
        except (
            LedgerOvertaken
        ):  # another machine took the pending line for a crash's, finished it, and may have gone on
            entries = _entries(settings)
            ended = [one for one in entries if one.decision == entry.decision and one.state != "pending"]
            if ended:
                registry.point(settings, registry.CHAMPION, promotion_ledger.champions(entries)[-1].version)
                return ended[0]
    raise ServiceError(
        f"{ledger_storage.of(settings)}: decision {entry.decision} is begun and not ended; `champion models repair`"
    )


def _announced(settings: Settings, entry: Entry) -> Entry:
    """Tell who wants to know, outside the lock; what could not be told is logged, and the promotion stands."""
    problem = notify.announce(settings, entry, registry.MODEL)
    if problem:
        logging.getLogger("champion.promotion").warning(problem)
    return entry


def _finished(settings: Settings) -> Entry | None:
    entries = _entries(settings)
    return None if promotion_ledger.pending(entries) is None else _finish(settings, entries)


def _finish(settings: Settings, entries: Sequence[Entry]) -> Entry:
    """Return the entry that ends the decision of `entries` that has not ended."""
    entry = promotion_ledger.pending(entries)
    assert entry is not None  # noqa: S101 - whoever calls this has seen it
    later = any(one.decision > entry.decision and one.state == "done" for one in entries)
    if later or entry.version not in {one.number for one in registry.versions(settings)}:
        return append(settings, replace(entry, state="abandoned", at=clock.now()), entries)
    if registry.alias_of(settings, registry.CHAMPION) == entry.version:  # the alias moved right after the decision
        return append(settings, replace(entry, state="done", at=clock.now(), effective=entry.at), entries)
    return carry_out(settings, entry, entries)


def lock(settings: Settings) -> Lock:
    """Return the lock that the processes of a workspace take for a decision."""
    workspace_folder(settings.home)
    return Lock(settings.home / "promotions.lock", timeout=_PATIENCE)


def _weaknesses(challenger: Mapping[str, float], rules: Rules) -> Sequence[str]:
    found, enough = [], rules.enough(challenger)
    if not challenger[RANK_IC] > 0:  # written so that NaN is weak, too
        found.append(f"mean rank IC {challenger[RANK_IC]:.4f} is not above 0")
    if not challenger[T_STAT] >= enough:
        found.append(f"rank IC t-statistic {challenger[T_STAT]:.2f} is below {enough:.2f}")
    return found


def _canary_failures(canary: bool | None) -> Sequence[str]:
    if canary is None:
        return ["the leakage canaries were not run"]
    return [] if canary else ["a leakage canary found skill where there is none"]


def _shortfalls(
    challenger: Mapping[str, float], champion: Mapping[str, float], paired: Mapping[str, float] | None, rules: Rules
) -> Sequence[str]:
    missing = [name for name in (RANK_IC, SESSIONS) if name not in champion]
    if missing:
        return [f"the champion has no {', '.join(missing)}"]
    if challenger[SESSIONS] != champion[SESSIONS]:
        tested = quantity(round(challenger[SESSIONS]), "session")
        return [f"judged on {tested}, the champion on {champion[SESSIONS]:.0f}: not the same"]
    if paired is None:
        return ["challenger and champion were not compared session by session"]
    found, enough, needed = [], rules.enough(paired), champion[RANK_IC] + rules.margin
    if not challenger[RANK_IC] >= needed:
        parts = f"the champion's {champion[RANK_IC]:.4f} plus the margin {rules.margin:.4f}"
        found.append(f"rank IC {challenger[RANK_IC]:.4f} is below {needed:.4f}, {parts}")
    if not paired[T_STAT] >= enough:
        found.append(f"the paired t-statistic {paired[T_STAT]:.2f} is below {enough:.2f}: it may be luck")
    return found
