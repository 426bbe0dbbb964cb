"""Quality gates over sessions of the lake, and their findings kept beside what they were found in."""

from __future__ import annotations

from datetime import date

import polars as pl

from champion import quality
from champion.errors import QualityGateError
from champion.lake import Lake
from champion.pipeline.actions import known_factors
from champion.pipeline.bars import BARS
from champion.quality import Judged, Verdict, require

__all__ = ["FINDINGS", "QUARANTINE", "check", "record", "require"]

FINDINGS, QUARANTINE = "quality_findings", "quarantine_equity_ohlc"


def check(lake: Lake, start: date, end: date, *, as_of: date | None = None) -> Verdict:
    """Return what the gates say of the sessions from `start` to `end`, compared with those before.

    Completeness, rejected rows, row count and churn are those of the worst session: a broken session does not hide
    among sound ones. `as_of`, if given, also judges freshness.

    Raises:
        QualityGateError: the range has no session at all.
    """
    if not lake.sessions(BARS, start, end):
        raise QualityGateError(f"no sessions in the lake from {start} to {end}: ingest them first")
    earlier = [session for session in lake.sessions(BARS, end=start) if session < start]
    since = earlier[-quality.LOOKBACK :][0] if earlier else start
    context = lake.scan(BARS, since, end).select(quality.COLUMNS).collect()
    refused = lake.scan(QUARANTINE, start, end).select("session").collect()
    bars = context.filter(pl.col("trade_date") >= start)
    return quality.judge(Judged(bars, context, refused, known_factors(lake)), as_of)


def record(lake: Lake, start: date, end: date, verdict: Verdict) -> int:
    """Commit the findings by session and return how many there are; a session without any has an empty partition."""
    for session in lake.sessions(BARS, start, end):
        found = verdict.findings.filter(pl.col("session") == session)
        digest = str(found.hash_rows(seed=0).sum()) if found.height else ""
        lake.write(FINDINGS, session, found, {"findings": digest})
    return verdict.findings.height
