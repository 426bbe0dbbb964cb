"""The doctor's check of the lake's layers: what is missing between staging and scores, and the commands for it."""

from __future__ import annotations

from champion.base import clock
from champion.pipeline.operations import consistency
from champion.pipeline.operations.checks import Check
from champion.settings import Settings

_SHOWN = 6


def check(settings: Settings) -> Check:
    """Return whether staging and the layers of the lake agree; failed where something is lost."""
    found = sorted(consistency.gaps(settings, clock.today()), key=lambda gap: not gap.lost)
    if not found:
        return Check("layers", "ok", "staging and the layers of the lake agree")
    more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    shown = "; ".join(gap.found for gap in found[:_SHOWN]) + more
    remedies = "; ".join(dict.fromkeys(gap.remedy for gap in found[:_SHOWN]))
    return Check("layers", "failed" if found[0].lost else "warning", shown, remedies)
