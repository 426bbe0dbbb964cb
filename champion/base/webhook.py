"""Post JSON to a webhook, whose address is a secret."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def post(url: str, content: Mapping[str, Any], *, seconds: float, tries: int = 1) -> str | None:
    """Post `content` as JSON, up to `tries` times. Return why it was not accepted, without the address, or None."""
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
