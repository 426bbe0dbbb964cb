"""Who is told of a change of champion: one POST to the address in the settings, after the ledger has it.

The ledger is the truth; a message that does not arrive changes nothing and is said, not raised.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from champion.errors import UsageError
from champion.tracking.promotion_ledger import Entry

if TYPE_CHECKING:
    from champion.settings import Settings

_TRIES, _SECONDS = 3, 5.0
_FINE = range(200, 300)


def message(entry: Entry, model: str) -> dict[str, Any]:
    """Return what is told: a `text` that chat services show, and the fields for machines."""
    before = "nobody" if entry.previous is None else f"version {entry.previous}"
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
    """Tell the settings' webhook of a promotion or rollback that is done; return why it could not be told, or None.

    Nothing is sent without an address, nor of entries that changed nobody. Tried three times.

    Raises:
        UsageError: the address is no http(s) URL.
    """
    if settings.promotion_webhook is None or entry.state != "done":
        return None
    import httpx  # noqa: PLC0415 - most commands promote nothing

    url = settings.promotion_webhook.get_secret_value()
    if not url.startswith(("https://", "http://")):
        raise UsageError("CHAMPION_PROMOTION_WEBHOOK is no http:// or https:// address")
    said = ""
    for _ in range(_TRIES):
        try:
            answer = httpx.post(url, json=message(entry, model), timeout=_SECONDS)
        except httpx.HTTPError as error:
            said = type(error).__name__  # not its text, which may hold the address and with it the secret
            continue
        if answer.status_code in _FINE:
            return None
        said = f"status {answer.status_code}"
    return f"the promotion webhook was not told: {said}"
