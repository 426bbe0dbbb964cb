"""Who becomes champion: the gate, and promote, rollback and repair under the ledger's lock.

1. The decision goes to the ledger as `pending`; 2. the alias `champion` moves; 3. the ledger says `done`. A crash
between any two steps leaves a state that `repair` recognises and finishes; every step here repairs first.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from champion import clock
from champion.errors import DecisionOutdated, ModelError, PromotionRefused, UsageError
from champion.tracking import ledger, notify, registry
from champion.tracking.ledger import Entry

if TYPE_CHECKING:
    from champion.settings import Settings

RANK_IC, T_STAT, SESSIONS, HORIZON = "rank_ic", "rank_ic_t", "sessions", "horizon"
ANYBODY = -1
"""A decision that was not made against a certain champion."""
_PATIENCE = 60


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
    won = f"rank IC {challenger[RANK_IC]:.4f} (t {challenger[T_STAT]:.2f}) over {challenger[SESSIONS]:.0f} sessions"
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
    registry.find(settings, version)
    with _lock(settings):
        _finish_pending(settings)
        path = ledger.path_of(settings.home)
        entries = ledger.read(path)
        forced = force and not decision.promote
        entry = replace(
            ledger.draft(entries, "promote", version, reason, forced=forced),
            reasons=decision.reasons,
            evidence=evidence or {},
        )
        reigning = registry.alias_of(settings, registry.CHAMPION)
        if against not in {ANYBODY, reigning}:
            raise DecisionOutdated(
                f"version {version} was judged against version {against}, by now version {reigning} is champion: "
                "judge it again"
            )
        if entry.previous == version:
            raise ModelError(f"{registry.MODEL} version {version} is champion already")
        if not decision.promote and not force:
            ledger.append(path, replace(entry, state="refused"))
            raise PromotionRefused(
                f"{registry.MODEL} version {version} was not promoted: {'; '.join(decision.reasons)}. "
                "Train a better one, or promote with force and a reason that stays in the ledger"
            )
        done = _carry_out(settings, ledger.append(path, entry))
    return _announced(settings, done)


def rollback(settings: Settings, *, reason: str) -> Entry:
    """Return the ledger entry that made the champion before the current one champion again.

    Raises:
        ModelError: there is no earlier champion, or the registry no longer has it.
    """
    with _lock(settings):
        _finish_pending(settings)
        path = ledger.path_of(settings.home)
        entries = ledger.read(path)
        stack = ledger.champions(entries)
        if len(stack) < 2:  # noqa: PLR2004 - the current one and one before it
            raise ModelError("nothing to roll back to: the ledger has no champion before the current one")
        earlier = stack[-2].version
        registry.find(settings, earlier)
        done = _carry_out(settings, ledger.append(path, ledger.draft(entries, "rollback", earlier, reason)))
    return _announced(settings, done)


def repair(settings: Settings) -> Entry | None:
    """Return the entry that ended a promotion which a crash had cut short, or None where there was none."""
    if ledger.pending(ledger.read(ledger.path_of(settings.home))) is None:
        return None
    with _lock(settings):
        finished = _finish_pending(settings)
    return None if finished is None else _announced(settings, finished)


def history(settings: Settings, on: date | None = None) -> list[Entry]:
    """Return the ledger, oldest first; with `on`, up to the end of that date in India."""
    entries = ledger.read(ledger.path_of(settings.home))
    return entries if on is None else [entry for entry in entries if entry.at.astimezone(ledger.INDIA).date() <= on]


def champion_on(settings: Settings, on: date) -> Entry | None:
    """Return the entry that made the champion in force at the end of the date `on` in India, if there was one."""
    return ledger.on_date(ledger.read(ledger.path_of(settings.home)), on)


def current_champion(settings: Settings) -> Entry | None:
    """Return the entry that made today's champion, from the ledger alone, or None before the first promotion."""
    stack = ledger.champions(ledger.read(ledger.path_of(settings.home)))
    return stack[-1] if stack else None


def disagreement(settings: Settings) -> str | None:
    """Return a sentence where alias and ledger differ, because somebody moved the alias by hand; None if they agree."""
    current, alias = current_champion(settings), registry.alias_of(settings, registry.CHAMPION)
    said = current.version if current else None
    if alias == said:
        return None
    return (
        f"alias {registry.CHAMPION!r} points at version {alias}, the ledger says {said}: promote or roll back to settle"
    )


def _carry_out(settings: Settings, entry: Entry) -> Entry:
    registry.point(settings, registry.CHAMPION, entry.version)
    now = clock.now()
    done = replace(entry, state="done", at=now, effective=now)
    return ledger.append(ledger.path_of(settings.home), done)


def _announced(settings: Settings, entry: Entry) -> Entry:
    """Tell who wants to know, outside the lock; what could not be told is logged, and the promotion stands."""
    problem = notify.announce(settings, entry, registry.MODEL)
    if problem:
        logging.getLogger("champion.promotion").warning(problem)
    return entry


def _finish_pending(settings: Settings) -> Entry | None:
    path = ledger.path_of(settings.home)
    entry = ledger.pending(ledger.read(path))
    if entry is None:
        return None
    if registry.alias_of(settings, registry.CHAMPION) == entry.version:  # the alias moved right after the decision
        return ledger.append(path, replace(entry, state="done", at=clock.now(), effective=entry.at))
    if entry.version not in {one.number for one in registry.versions(settings)}:
        return ledger.append(path, replace(entry, state="abandoned", at=clock.now()))
    return _carry_out(settings, entry)


def _lock(settings: Settings) -> FileLock:
    settings.home.mkdir(parents=True, exist_ok=True)
    return FileLock(settings.home / "promotions.lock", timeout=_PATIENCE)


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
        return [
            f"judged on {challenger[SESSIONS]:.0f} sessions, the champion on {champion[SESSIONS]:.0f}: not the same"
        ]
    if paired is None:
        return ["challenger and champion were not compared session by session"]
    found, enough, needed = [], rules.enough(paired), champion[RANK_IC] + rules.margin
    if not challenger[RANK_IC] >= needed:
        parts = f"the champion's {champion[RANK_IC]:.4f} plus the margin {rules.margin:.4f}"
        found.append(f"rank IC {challenger[RANK_IC]:.4f} is below {needed:.4f}, {parts}")
    if not paired[T_STAT] >= enough:
        found.append(f"the paired t-statistic {paired[T_STAT]:.2f} is below {enough:.2f}: it may be luck")
    return found
