"""Check that ledger, registry and alias agree; every problem is one sentence with a remedy.

The ledger is authoritative. It is compared with its anchor in the registry, which detects a ledger that lost lines, and
a registry that was lost and filled again under the same numbers.
"""

from __future__ import annotations

import json
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
    "restore it and MLflow's store from the same backup; without a backup, `champion models begin --reason WHY` "
    "starts a new ledger and keeps this one beside it"
)


def entries(settings: Settings) -> list[Entry]:
    """Return the ledger, oldest first, after comparing it with its anchor in the registry.

    Raises:
        ModelError: a line is damaged or was edited, lines are missing, or the registry has been replaced.
        ServiceError: a store does not answer.
    """
    storage = ledger_storage.of(settings)
    known = anchor.read(settings)  # first: a line that is added meanwhile makes the ledger longer, never shorter
    held = storage.held()
    found = promotion_ledger.parse(storage, held)
    if wrong := missing(held, known, required=anchor.is_required(settings)):
        raise ModelError(f"{storage}: {wrong}: {_REMEDY}")
    return found


def damage(settings: Settings) -> str | None:
    """Return why no decision can be based on the ledger; None if it is intact."""
    try:
        if stack := promotion_ledger.champions(entries(settings)):
            require_same_model(settings, stack[-1], stack[-1])
    except ModelError as error:
        return str(error)
    return None


def disagreement(settings: Settings) -> str | None:
    """Return a sentence if alias and ledger differ; None if they agree, or a decision has just begun.

    Raises:
        ModelError: the ledger is damaged.
    """
    found = entries(settings)
    stack, pending, alias = promotion_ledger.champions(found), promotion_ledger.pending(found), anchor.alias(settings)
    expected = stack[-1].version if stack else None
    if alias == expected or (pending is not None and pending.version == alias):
        return None
    where = f"points to version {alias}" if alias else "is not set"
    if expected is None:
        remedy = f"`champion models promote {alias}` makes it champion"
    else:
        remedy = f"`champion models repair` sets it; `champion models promote {alias or 'N'}` makes a new decision"
    return f"alias {registry.CHAMPION!r} {where}, the ledger says {expected or 'nothing'}: {remedy}"


def problem(settings: Settings) -> str | None:
    """Return the problem to correct before scores can be trusted; None if ledger, registry and alias agree.

    Raises:
        ServiceError: a store does not answer.
    """
    return damage(settings) or disagreement(settings)


def require_agreement(settings: Settings) -> None:
    """Raise unless scores come from the ledger's champion, or there is no ledger.

    Raises:
        ModelError: scores would come from another model.
    """
    found = entries(settings)
    if stack := promotion_ledger.champions(found):
        require_same_model(settings, stack[-1], stack[-1])
    if found and (wrong := disagreement(settings)):
        raise ModelError(wrong)


def require_same_model(settings: Settings, entry: Entry, current: Entry) -> None:
    """Raise unless the registry has the model of an entry; `current` is the entry of the current champion.

    Lines of versions before 0.3.0 have no digest. For these, a version that was registered after its promotion, in a
    registry whose alias differs from the ledger, is another model.

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
            f"this number, so MLflow's store has been replaced: {_REMEDY}"
        )


def missing(held: StoredLines, known: Anchor | None, *, required: bool) -> str | None:
    """Return the difference of the ledger from its anchor; None if it is complete.

    `required` is whether the registry must have an anchor for a ledger with lines of this version.
    """
    if known is not None:
        return anchor.difference(held, known)
    sealed = sum("model" in json.loads(line) for line in held.lines)
    if required and sealed > 1:  # a crash may have come between the first line and its anchor
        lines = quantity(len(held.lines), "line")
        return f"it has {lines}, and the registry has no record of it: MLflow's store has been replaced"
    return None
