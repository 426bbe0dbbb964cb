"""Post JSON to webhooks, and send changes of champion to the webhook in the settings.

The ledger is authoritative: a message that cannot be delivered is logged and changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from champion.errors import UsageError
from champion.tracking.promotion_ledger import Entry

if TYPE_CHECKING:
    from champion.settings import Settings


def post(url: str, content: Mapping[str, Any], *, seconds: float, tries: int = 1) -> str | None:
    """Post `content` as JSON, up to `tries` times. Return why it was not accepted, or None.

    The answer does not hold the address, which is a secret.
    """
    import httpx  # noqa: PLC0415 - most commands post nothing

    problem = None
    for _ in range(tries):
        try:
            answer = httpx.post(url, json=content, timeout=seconds)
        except httpx.HTTPError as error:
            problem = type(error).__name__  # the text of the error may hold the address
            continue
        if answer.is_success:
            return None
        problem = f"status {answer.status_code}"
    return problem


def message(entry: Entry, model: str) -> dict[str, Any]:
    """Return the message: a `text` that chat services show, and fields for programs."""
    before = "none" if entry.previous is None else f"version {entry.previous}"
    forced = ", forced" if entry.forced else ""
    return {
        "text": f"{model}: version {entry.version} is champion, before {before} ({entry.kind}{forced}): {entry.reason}",
        "model": model,
        **{name: getattr(entry, name) for name in ("kind", "version", "previous", "forced", "reason", "by")},
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
    problem = post(url, message(entry, model), seconds=5.0, tries=3)
    return problem and f"the promotion webhook did not accept the message: {problem}"
