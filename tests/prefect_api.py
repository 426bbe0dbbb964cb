"""A Prefect server as its pages speak to it: asked until it has time, and blocks kept there as people keep them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import httpx
from hooks import Webhook
from waiting import PATIENCE

from champion.security import prefect_login
from champion.settings import Settings


@dataclass(frozen=True)
class Api:
    """Where a server is asked, and by whom."""

    url: str
    login: tuple[str, str] | None = None

    @classmethod
    def of(cls, settings: Settings, url: str) -> Api:
        """Ask as the workspace does."""
        return cls(url, prefect_login.pair(settings))


def request(api: Api, method: str, path: str, body: Any = None) -> Any:
    """Return the answer; 503 is SQLite being busy, after which Prefect's own clients ask again, too."""
    deadline = time.monotonic() + PATIENCE
    while True:
        answer = httpx.request(method, f"{api.url}/{path}", json=body, auth=api.login, timeout=PATIENCE)
        if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE or time.monotonic() > deadline:
            return answer.raise_for_status().json() if answer.content else None
        time.sleep(0.2)


def keep_block(api: Api, kind: str, name: str, data: dict[str, Any]) -> None:
    """Keep a block of a kind, named by its slug."""
    block_type = request(api, "GET", f"block_types/slug/{kind}")["id"]
    of_type = {"block_schemas": {"block_type_id": {"any_": [block_type]}}}
    schema = request(api, "POST", "block_schemas/filter", of_type)[0]["id"]
    block = {"name": name, "block_type_id": block_type, "block_schema_id": schema, "data": data}
    request(api, "POST", "block_documents/", block)


def keep_notifier(api: Api, webhook: Webhook) -> str:
    """Keep a block that notifies the webhook; return what the setting `notify_block` calls it."""
    told = {"subject": "{{subject}}", "body": "{{body}}"}
    keep_block(api, "custom-webhook", "desk", {"name": "desk", "url": webhook.url, "method": "POST", "json_data": told})
    return "custom-webhook/desk"
