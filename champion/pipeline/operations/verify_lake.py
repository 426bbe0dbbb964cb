"""Verify every file of the lake, and its layers against each other; part of the monthly audit."""

from datetime import date, timedelta

from champion import contracts
from champion.base import clock
from champion.errors import LakeError
from champion.lake import Lake
from champion.pipeline.operations import consistency
from champion.settings import Settings


def last_month(today: date) -> tuple[date, date]:
    """Return the first and last date of the month before.

    >>> last_month(date(2025, 1, 15))
    (datetime.date(2024, 12, 1), datetime.date(2024, 12, 31))
    """
    end = today.replace(day=1) - timedelta(days=1)
    return end.replace(day=1), end


def verify(settings: Settings) -> dict[str, int]:
    """Hash and count all files of the lake again, and return the number of sessions of each dataset.

    Raises:
        LakeError: files are damaged, or a layer lacks sessions of another one; with the remedy for each.
    """
    lake = Lake(settings.lake)
    damages = [damage for name in contracts.names() for damage in lake.verify(name) if not damage.harmless]
    if damages := damages or consistency.damages(settings, clock.today()):
        shown = "; ".join(f"{damage.path}: {damage.reason}; {damage.remedy}" for damage in damages[:5])
        raise LakeError(f"{len(damages)} damaged: {shown}")
    return {name: len(lake.sessions(name)) for name in contracts.names()}
