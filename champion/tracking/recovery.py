"""Put right what a person finds wrong with the champion: an alias moved by hand, a ledger that is lost or damaged."""

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
    """Return the version that the alias `champion` pointed at, None for none, before it was put where the ledger says.

    A promotion that a crash cut short is finished first. Where they agree, nothing changes.

    Raises:
        ModelError: the ledger has no champion, or the registry has not the model that the ledger speaks of.
    """

    def step() -> int | None:
        stack, alias = (
            promotion_ledger.champions(promotion.settled(settings)),
            registry.alias_of(settings, registry.CHAMPION),
        )
        if not stack and alias is not None:
            raise ModelError(
                f"alias {registry.CHAMPION!r} points at version {alias}, and the ledger has no champion: `champion "
                f"models promote {alias}` makes it champion, if the gate agrees or with --force --reason WHY"
            )
        if stack and alias != stack[-1].version:
            standing.require_same_model(settings, stack[-1], stack[-1])
            registry.point(settings, registry.CHAMPION, stack[-1].version)
        return alias

    return promotion.in_turn(settings, step)


def begin(settings: Settings, *, reason: str) -> Entry:
    """Return the first entry of a new ledger, in place of one that is damaged, lost, or of another registry.

    What is left of the old one is kept under another name, which the entry holds. The version that the alias `champion`
    points at is champion as it was found; without one there is none.

    Raises:
        UsageError: no reason, or the ledger is whole: then it stays.
    """
    if not reason.strip():
        raise UsageError("a new ledger needs a reason: it stays in its first line")
    with promotion.lock(settings):
        wrong = standing.damage(settings)
        if wrong is None:
            raise UsageError(
                f"{ledger_storage.of(settings)} is whole and goes on: a new ledger would only hide its decisions"
            )
        now, book = clock.now(), ledger_storage.of(settings)
        kept = book.set_aside(f"before-{now:%Y%m%dT%H%M%S%f}")
        registry.make_sure_of(settings, registry.MODEL, registry.ABOUT)
        alias = registry.alias_of(settings, registry.CHAMPION)
        model = None if alias is None else registry.find(settings, alias).tags.get(registry.DIGEST, "")
        drafted = promotion_ledger.draft([], "begin", alias or 0, reason)
        entry = replace(
            drafted, state="done", at=now, effective=now, model=model or "", evidence={"wrong": wrong, "kept": kept}
        )
        return promotion.append(settings, entry, [])
