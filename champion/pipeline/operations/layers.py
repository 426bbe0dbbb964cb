"""The doctor's check of the lake's layers: gaps between staging and scores, and the commands that close them."""

from __future__ import annotations

from champion.base import clock
from champion.pipeline.operations import consistency
from champion.pipeline.operations.checks import Check
from champion.settings import Settings

_SHOWN = 6


def check(settings: Settings) -> Check:
    """Check that staging and the layers of the lake agree; failed if rows are lost."""
    gaps = sorted(consistency.gaps(settings, clock.today()), key=lambda gap: not gap.lost)
    if not gaps:
        return Check("layers", "ok", "staging and the layers of the lake agree")
    more = f"; and {len(gaps) - _SHOWN} more" if len(gaps) > _SHOWN else ""
    shown = "; ".join(gap.found for gap in gaps[:_SHOWN]) + more
    remedies = "; ".join(dict.fromkeys(gap.remedy for gap in gaps[:_SHOWN]))
    return Check("layers", "failed" if gaps[0].lost else "warning", shown, remedies)
