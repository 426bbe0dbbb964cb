"""How long work tells whoever waits for it where it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

Progress: TypeAlias = Callable[[int, int, str], None]
"""Called with steps done, steps in all, and what was done last."""


def silent(done: int, total: int, label: str) -> None:
    """Take note of nothing."""
