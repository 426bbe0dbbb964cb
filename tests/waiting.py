"""How tests wait: on conditions, with a limit that only a hang reaches, never on the speed of the machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 900.0
"""Seconds after which a wait counts as a hang. Twenty times what a busy machine needs, so it bounds no speed."""


def until(what: str, look: Callable[[], T | None]) -> T:
    """Return what `look` finds once it finds anything; fail with `what` when that takes longer than `PATIENCE`."""
    deadline = time.monotonic() + PATIENCE
    while not (found := look()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"still waiting after {PATIENCE:.0f} s for {what}")
        time.sleep(0.1)
    return found
