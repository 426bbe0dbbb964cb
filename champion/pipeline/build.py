"""Normalized bars to features in the lake, by session and feature group.

A feature knows its instrument's whole past, so a session's partition is made from all bars up to it: its recorded
input is a running digest of them. A corrected bar changes that digest for its session and all later ones, and just
those are made again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from hashlib import sha256

import polars as pl

from champion import contracts, features
from champion.envelope import session_close_expr
from champion.lake import Lake
from champion.normalize import EQUITY_SERIES
from champion.pipeline.progress import Progress, silent

BARS, FEATURES = "normalized_equity_ohlc", "features_equity_indicators"


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


def equity_bars(lake: Lake, start: date | None = None, end: date | None = None) -> pl.LazyFrame:
    """Return the bars of company shares, ETFs among them: debt and other series carry no features."""
    return lake.scan(BARS, start, end).filter(pl.col("series").is_in(EQUITY_SERIES))


def build_features(
    lake: Lake, start: date, end: date, *, feature_set: str = "v1", progress: Progress = silent
) -> Built:
    """Commit the features of every session from `start` to `end` that are missing or made from other bars."""
    made_from = _inputs(lake, end, feature_set)
    sessions = lake.sessions(BARS, start, end)
    stale = [session for session in sessions if not _is_current(lake, session, made_from[session])]
    if stale:
        columns = ["instrument_id", "symbol", "trade_date", "high", "low", "close", "volume", "turnover"]
        bars = equity_bars(lake, end=end).select(columns).collect()
        progress(0, len(stale), "computing")
        made = features.build(bars, feature_set).filter(pl.col("trade_date").is_in(stale))
        _write(lake, made, made_from, progress)
    group = next(iter(contracts.load(FEATURES).groups))
    account = {
        "session": sessions,
        "rows": [manifest.current.rows if (manifest := lake.manifest(FEATURES, s, group)) else 0 for s in sessions],
        "outcome": ["written" if session in set(stale) else "already" for session in sessions],
    }
    return Built(pl.DataFrame(account, schema={"session": pl.Date, "rows": pl.Int64, "outcome": pl.String}))


def _inputs(lake: Lake, end: date, feature_set: str) -> dict[date, Mapping[str, str]]:
    running = sha256()
    found: dict[date, Mapping[str, str]] = {}
    for session, (_, part) in zip(lake.sessions(BARS, end=end), lake.parts(BARS, end=end), strict=True):
        running.update(f"{session} {part.sha256}\n".encode())
        found[session] = {"bars": running.hexdigest(), "feature_set": feature_set, "features": features.VERSION}
    return found


def _is_current(lake: Lake, session: date, made_from: Mapping[str, str]) -> bool:
    manifests = (lake.manifest(FEATURES, session, group) for group in contracts.load(FEATURES).groups)
    return all(manifest is not None and manifest.made_from(made_from) for manifest in manifests)


def _write(lake: Lake, made: pl.DataFrame, made_from: Mapping[date, Mapping[str, str]], progress: Progress) -> None:
    contract = contracts.load(FEATURES)
    stamped = made.with_columns(feature_timestamp=session_close_expr(pl.col("trade_date")))
    by_session = stamped.partition_by("trade_date", as_dict=True, maintain_order=True)
    for done, ((session,), frame) in enumerate(sorted(by_session.items()), start=1):
        for group, columns in contract.groups.items():
            lake.write(FEATURES, session, frame.select(*contract.ungrouped, *columns), made_from[session], group)
        progress(done, len(by_session), f"features of {session}")
