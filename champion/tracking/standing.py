"""Whether ledger, registry and alias say the same: what is wrong is a sentence with what to do, for every command.

The ledger is what counts. It is read together with what the registry knows of it: a ledger that lost lines, or a
registry that was lost and filled anew under the same numbers, is never taken for a whole one.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from champion.base.counting import quantity
from champion.errors import ModelError
from champion.tracking import anchor, ledger_storage, promotion_ledger, registry, store
from champion.tracking.anchor import Anchor
from champion.tracking.ledger_storage import StoredLines
from champion.tracking.promotion_ledger import Entry

if TYPE_CHECKING:
    from champion.settings import Settings

_REMEDY = (
    "restore it and MLflow's store from one backup; where there is none, `champion models begin --reason WHY` starts a "
    "new ledger and keeps this one beside it"
)


def entries(settings: Settings) -> list[Entry]:
    """Return the ledger, oldest first, after holding it against what the registry knows of it.

    Raises:
        ModelError: a line is damaged or was edited; lines are missing; or the registry is another than it was.
        ServiceError: a store does not answer.
    """
    book = ledger_storage.of(settings)
    known = anchor.read(settings)  # first: a line that is added in between makes the ledger longer, never shorter
    held = book.held()
    found = promotion_ledger.opened(book, held)
    wrong = missing(held, known, required=anchor.is_required(settings))
    if wrong:
        raise ModelError(f"{book}: {wrong}: {_REMEDY}")
    return found


def damage(settings: Settings) -> str | None:
    """Return what is wrong with the ledger, so that no decision can be based on it; None where it is whole."""
    try:
        stack = promotion_ledger.champions(entries(settings))
        if stack:
            require_same_model(settings, stack[-1], stack[-1])
    except ModelError as error:
        return str(error)
    return None


def disagreement(settings: Settings) -> str | None:
    """Return a sentence where alias and ledger differ; None where they agree, or a decision has just begun.

    Raises:
        ModelError: the ledger is damaged.
    """
    found = entries(settings)
    stack, begun, alias = promotion_ledger.champions(found), promotion_ledger.pending(found), anchor.alias(settings)
    said = stack[-1].version if stack else None
    if alias == said or (begun is not None and begun.version == alias):
        return None
    where = f"points at version {alias}" if alias else "is not set"
    if said is None:
        remedy = f"`champion models promote {alias}` makes it champion"
    else:
        remedy = f"`champion models repair` points it there; `champion models promote {alias or 'N'}` decides anew"
    return f"alias {registry.CHAMPION!r} {where}, the ledger says {said or 'nothing'}: {remedy}"


def problem(settings: Settings) -> str | None:
    """Return what a person must put right before scores can be trusted; None where ledger, registry and alias agree.

    Raises:
        ServiceError: a store does not answer.
    """
    return damage(settings) or disagreement(settings)


def require_agreement(settings: Settings) -> None:
    """Do nothing where scores come from the model that the ledger calls champion, or there is no ledger.

    Raises:
        ModelError: they would not.
    """
    found = entries(settings)
    stack = promotion_ledger.champions(found)
    if stack:
        require_same_model(settings, stack[-1], stack[-1])
    wrong = disagreement(settings) if found else None
    if wrong:
        raise ModelError(wrong)


def require_same_model(settings: Settings, entry: Entry, current: Entry) -> None:
    """Do nothing where the registry has the very model that an entry speaks of; `current` made today's champion.

    Lines of versions before 0.3.0 hold no digest. Then a version that was registered after it was promoted, in a
    registry whose alias is not the ledger's, is another one.

    Raises:
        ModelError: the registry has no such version, or another model under its number.
    """
    if store.is_gone(settings):
        raise ModelError(f"MLflow's store {store.without_password(settings.tracking)} is gone: {_REMEDY}")
    try:
        version = registry.find(settings, entry.version)
    except ModelError as error:
        raise ModelError(
            f"version {entry.version} was promoted on {entry.at:%Y-%m-%d} ({error}): `champion models promote N "
            "--force --reason WHY` makes another one champion, or restore MLflow's store from a backup"
        ) from error
    if entry.model is None:
        is_other = version.created > entry.at and anchor.alias(settings) != current.version
    else:
        is_other = bool(entry.model) and entry.model != version.tags.get(registry.DIGEST)
    if is_other:
        raise ModelError(
            f"version {entry.version} in the registry is not the model that was promoted on {entry.at:%Y-%m-%d} under "
            f"this number, so MLflow's store is another than it was: {_REMEDY}"
        )


def missing(held: StoredLines, known: Anchor | None, *, required: bool) -> str | None:
    """Return what a ledger lacks of what the registry knows; None where it is whole.

    `required` is whether the registry must know of a ledger that has lines of this version.
    """
    count = len(held.lines)
    if known is not None:
        if count < known.lines:
            return f"it has {count} of {quantity(known.lines, 'line')}, the rest is missing"
        if promotion_ledger.seals(held)[known.lines - 1] != known.seal:
            return f"its line {known.lines} is not the one that the registry knows"
        return None
    sealed = _of_this_version(held.lines)
    if required and sealed > 1:  # the first one may have been cut off before the registry knew it
        return (
            f"it has {quantity(count, 'line')}, and the registry knows of none: MLflow's store is another than it was"
        )
    return None


def _of_this_version(lines: Sequence[str]) -> int:
    return sum("model" in json.loads(line) for line in lines)
