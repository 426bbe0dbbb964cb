"""What a month's audit looks at beside the quality gates: every file of the lake, and the warehouse against it."""

from __future__ import annotations

from datetime import date, timedelta

from champion import contracts
from champion.base import clock
from champion.errors import LakeError
from champion.lake import Lake
from champion.pipeline.operations import consistency
from champion.settings import Settings

_SHOWN = 5


def last_month(today: date) -> tuple[date, date]:
    """Return the first and last date of the month before.

    >>> last_month(date(2025, 1, 15))
    (datetime.date(2024, 12, 1), datetime.date(2024, 12, 31))
    """
    end = today.replace(day=1) - timedelta(days=1)
    return end.replace(day=1), end


def verify(settings: Settings) -> dict[str, int]:
    """Return how many sessions of each dataset were hashed and counted again, and found as they were committed.

    Raises:
        LakeError: something is damaged, or a layer lacks what another one has; it says what, and what to do.
    """
    lake = Lake(settings.lake)
    found = [damage for name in contracts.names() for damage in lake.verify(name) if not damage.harmless]
    found = found or consistency.damages(settings, clock.today())
    if found:
        shown = "; ".join(f"{damage.path}: {damage.reason}; {damage.remedy}" for damage in found[:_SHOWN])
        raise LakeError(f"{len(found)} damaged: {shown}")
    return {name: len(lake.sessions(name)) for name in contracts.names()}
