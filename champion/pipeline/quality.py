"""Quality gates over sessions of the lake, and their findings kept beside what they were found in."""

from __future__ import annotations

from datetime import date, timedelta
from functools import reduce
from itertools import groupby

import polars as pl

from champion import action_questions, quality
from champion.errors import QualityGateError
from champion.lake import Lake
from champion.pipeline.actions import known_factors
from champion.pipeline.bars import BARS
from champion.quality import Judged, Verdict, require

__all__ = ["FINDINGS", "QUARANTINE", "check", "record", "require"]

FINDINGS, QUARANTINE = "quality_findings", "quarantine_equity_ohlc"


def check(lake: Lake, start: date, end: date, *, as_of: date | None = None) -> Verdict:
    """Return what the gates say of the sessions from `start` to `end`, compared with those before.

    Completeness, rejected rows, row count and churn are those of the worst session, shares those of the worst year: a
    broken session does not hide among sound ones. `as_of`, if given, also judges freshness.

    Raises:
        QualityGateError: the range has no session at all.
    """
    sessions = lake.sessions(BARS, start, end)
    if not sessions:
        raise QualityGateError(f"no sessions in the lake from {start} to {end}: ingest them first")
    factors = known_factors(lake)
    years = [list(year) for _, year in groupby(sessions, key=lambda session: session.year)]
    verdicts = [_check(lake, year[0], year[-1], factors, as_of if year is years[-1] else None) for year in years]
    return reduce(Verdict.worse, verdicts)


def _check(lake: Lake, start: date, end: date, factors: pl.DataFrame, as_of: date | None) -> Verdict:
    """Judge at most a year: six of them at once would need gigabytes."""
    earlier = lake.sessions(BARS, end=start - timedelta(days=1))[-quality.LOOKBACK :]
    context = lake.scan(BARS, min([start, *earlier]), end).select(quality.COLUMNS).collect()
    refused = lake.scan(QUARANTINE, start, end).select("session").collect()
    bars = context.filter(pl.col("trade_date") >= start)
    asked = action_questions.questions(factors, lake.sessions(BARS))
    waiting = asked.filter(pl.col("session").is_between(start, end))
    return quality.judge(Judged(bars, context, refused, factors, waiting), as_of)


def record(lake: Lake, start: date, end: date, verdict: Verdict) -> int:
    """Commit the findings by session and return how many there are; what was found before and is gone now goes."""
    found = verdict.findings.partition_by("session", as_dict=True)
    sessions = {session for (session,) in found} | set(lake.sessions(FINDINGS, start, end))
    for session in sorted(sessions):
        rows = found.get((session,), verdict.findings.clear())
        lake.write(FINDINGS, session, rows, {"findings": str(rows.hash_rows(seed=0).sum())})
    return verdict.findings.height
