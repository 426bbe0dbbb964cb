"""Normalized bars to features in the lake, by session and feature group.

A feature knows its instrument's whole past, so a session's partition is made from all bars up to it: its recorded
inputs are running digests of them and of the corporate actions up to it. A corrected bar, or an action learned of
late, changes them for its session and all later ones, and just those are made again.

A session's features are in the rupees and shares of that session: bars before it are adjusted for the actions up to
it, never for later ones. So a split changes no partition before its ex-date, and nothing looks ahead. Who compares
features across sessions brings them to one scale first (`adjust.rescale`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from hashlib import sha256

import polars as pl

from champion import adjust, contracts, features
from champion.envelope import session_close_expr
from champion.lake import Lake
from champion.pipeline.actions import digests, known_factors
from champion.pipeline.bars import BARS, equity_bars
from champion.pipeline.progress import Progress, silent

FEATURES = "features_equity_indicators"


@dataclass(frozen=True, slots=True)
class Built:
    """What a build did: `sessions` has session, rows, outcome ('written' or 'already')."""

    sessions: pl.DataFrame

    @property
    def totals(self) -> dict[str, int]:
        """Sessions, rows, written, already."""
        written = int((self.sessions["outcome"] == "written").sum())
        return {
            "sessions": self.sessions.height,
            "rows": int(self.sessions["rows"].sum()),
            "written": written,
            "already": self.sessions.height - written,
        }


def build_features(
    lake: Lake, start: date, end: date, *, feature_set: str = "v1", progress: Progress = silent
) -> Built:
    """Commit the features of every session from `start` to `end` that are missing or made from other bars."""
    factors = known_factors(lake)
    made_from = _inputs(lake, end, factors, feature_set)
    sessions = lake.sessions(BARS, start, end)
    stale = [session for session in sessions if not _is_current(lake, session, made_from[session])]
    if stale:
        columns = ["instrument_id", "symbol", "trade_date", "high", "low", "close", "volume", "turnover"]
        bars = equity_bars(lake, end=end).select(columns).collect()
        progress(0, len(stale), "computing")
        made = _as_seen(bars, factors, stale[0], feature_set).filter(pl.col("trade_date").is_in(stale))
        _write(lake, stale, made, made_from, progress)
    group = next(iter(contracts.load(FEATURES).groups))
    account = {
        "session": sessions,
        "rows": [manifest.current.rows if (manifest := lake.manifest(FEATURES, s, group)) else 0 for s in sessions],
        "outcome": ["written" if session in set(stale) else "already" for session in sessions],
    }
    return Built(pl.DataFrame(account, schema={"session": pl.Date, "rows": pl.Int64, "outcome": pl.String}))


def stale_sessions(lake: Lake, end: date, feature_set: str = "v1") -> list[date]:
    """Return the sessions up to `end` whose features are missing or were made from other bars than the lake holds."""
    made_from = _inputs(lake, end, known_factors(lake), feature_set)
    return [session for session, inputs in made_from.items() if not _is_current(lake, session, inputs)]


def outdated_sessions(lake: Lake, end: date, feature_set: str = "v1") -> list[date]:
    """Return the sessions up to `end` that have features, but of other bars or actions than are known now."""
    held = set(lake.sessions(FEATURES, end=end))
    return [session for session in stale_sessions(lake, end, feature_set) if session in held]


def _as_seen(bars: pl.DataFrame, factors: pl.DataFrame, since: date, feature_set: str) -> pl.DataFrame:
    """Return the features of the sessions from `since` on, each from the bars as that session saw them."""
    seen, views = adjust.views(bars, factors, since)
    made = features.build(seen, feature_set).rename({"instrument_id": "view"}).join(views, on="view")
    mine = pl.col("trade_date").is_between("view_from", "view_to", closed="left")
    return made.filter(mine).drop("view", "view_from", "view_to")


def _inputs(lake: Lake, end: date, factors: pl.DataFrame, feature_set: str) -> dict[date, Mapping[str, str]]:
    running = sha256()
    sessions = lake.sessions(BARS, end=end)
    adjustment = digests(factors, sessions)
    found: dict[date, Mapping[str, str]] = {}
    for session in sessions:
        manifest = lake.manifest(BARS, session)
        running.update(f"{session} {manifest.current.sha256 if manifest else ''}\n".encode())
        found[session] = {
            "bars": running.hexdigest(),
            "actions": adjustment[session],
            "feature_set": feature_set,
            "features": features.VERSION,
        }
    return found


def _is_current(lake: Lake, session: date, made_from: Mapping[str, str]) -> bool:
    return all(lake.is_current(FEATURES, session, made_from, group) for group in contracts.load(FEATURES).groups)


def _write(
    lake: Lake,
    sessions: Sequence[date],
    made: pl.DataFrame,
    made_from: Mapping[date, Mapping[str, str]],
    progress: Progress,
) -> None:
    contract = contracts.load(FEATURES)
    stamped = made.with_columns(feature_timestamp=session_close_expr(pl.col("trade_date")))
    by_session = stamped.partition_by("trade_date", as_dict=True, maintain_order=True)
    for done, session in enumerate(sessions, start=1):
        frame = by_session.get((session,), stamped.clear())  # a session without shares has no features, not old ones
        for group, columns in contract.groups.items():
            lake.write(FEATURES, session, frame.select(*contract.ungrouped, *columns), made_from[session], group)
        progress(done, len(sessions), f"features of {session}")
