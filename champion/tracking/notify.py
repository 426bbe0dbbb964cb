"""Notify the webhook in the settings of a change of champion, after the ledger has recorded it.

The ledger is authoritative: a message that cannot be delivered is logged and changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from champion.base import webhook
from champion.errors import UsageError
from champion.tracking.promotion_ledger import Entry

if TYPE_CHECKING:
    from champion.settings import Settings

_TRIES, _SECONDS = 3, 5.0


def message(entry: Entry, model: str) -> dict[str, Any]:
    """Return the message: a `text` that chat services show, and fields for programs."""
    before = "none" if entry.previous is None else f"version {entry.previous}"
    forced = ", forced" if entry.forced else ""
    return {
        "text": f"{model}: version {entry.version} is champion, before {before} ({entry.kind}{forced}): {entry.reason}",
        "model": model,
        "kind": entry.kind,
        "version": entry.version,
        "previous": entry.previous,
        "forced": entry.forced,
        "reason": entry.reason,
        "by": entry.by,
        "effective": entry.effective.isoformat() if entry.effective else None,
    }


def announce(settings: Settings, entry: Entry, model: str) -> str | None:
    """Post a completed promotion or rollback to the webhook. Return why it was not delivered, or None.

    Nothing is sent without an address, or for an entry that did not change the champion.

    Raises:
        UsageError: the address is not an http(s) URL.
    """
    if settings.promotion_webhook is None or entry.state != "done":
        return None
    url = settings.promotion_webhook.get_secret_value()
    if not url.startswith(("https://", "http://")):
        raise UsageError("CHAMPION_PROMOTION_WEBHOOK is no http:// or https:// address")
    problem = webhook.post(url, message(entry, model), seconds=_SECONDS, tries=_TRIES)
    return problem and f"the promotion webhook did not accept the message: {problem}"
