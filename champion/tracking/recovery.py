"""Recover the champion: an alias moved by hand, a ledger that is lost or damaged."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from champion.base import clock
from champion.errors import ModelError, UsageError
from champion.tracking import ledger_storage, promotion, promotion_ledger, registry, standing
from champion.tracking.promotion_ledger import Entry

if TYPE_CHECKING:
    from champion.settings import Settings


def realign(settings: Settings) -> int | None:
    """Set the alias `champion` to the ledger's champion, and return the version it pointed to before, None for none.

    A promotion that a crash interrupted is finished first. If they agree, nothing changes.

    Raises:
        ModelError: the ledger has no champion, or the registry does not have the ledger's model.
    """

    def step() -> int | None:
        stack = promotion_ledger.champions(promotion.finish_pending(settings))
        alias = registry.alias_of(settings, registry.CHAMPION)
        if not stack and alias is not None:
            raise ModelError(
                f"alias {registry.CHAMPION!r} points to version {alias}, and the ledger has no champion: `champion "
                f"models promote {alias}` makes it champion if it passes the gate, or with --force --reason WHY"
            )
        if stack and alias != stack[-1].version:
            standing.require_same_model(settings, stack[-1], stack[-1])
            registry.point(settings, registry.CHAMPION, stack[-1].version)
        return alias

    return promotion.serialized(settings, step)


def begin(settings: Settings, *, reason: str) -> Entry:
    """Start a new ledger in place of one that is damaged, lost, or of another registry, and return its first entry.

    The rest of the old ledger is kept under another name, which the entry holds. The version that the alias `champion`
    points to stays champion; without an alias there is none.

    Raises:
        UsageError: there is no reason, or the ledger is intact and stays.
    """
    if not reason.strip():
        raise UsageError("a new ledger needs a reason, which its first line records")
    with promotion.lock(settings):
        wrong = standing.damage(settings)
        if wrong is None:
            raise UsageError(f"{ledger_storage.of(settings)} is intact: a new ledger would only hide its decisions")
        now, storage = clock.now(), ledger_storage.of(settings)
        kept = storage.set_aside(f"before-{now:%Y%m%dT%H%M%S%f}")
        registry.ensure_model(settings, registry.MODEL, registry.ABOUT)
        alias = registry.alias_of(settings, registry.CHAMPION)
        model = None if alias is None else registry.find(settings, alias).tags.get(registry.DIGEST, "")
        draft = promotion_ledger.draft([], "begin", alias or 0, reason)
        evidence = {"wrong": wrong, "kept": kept}
        entry = replace(draft, state="done", at=now, effective=now, model=model or "", evidence=evidence)
        return promotion.append(settings, entry, [])
