"""The morning look: one session's market, its quality, how features moved, what the champion says, what ran.

Everything is read from the lake, the promotion ledger and the ledger of runs; nothing is built or changed. A part whose
data is not there yet is empty, and the report says so in its place.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

import polars as pl

from champion import contracts
from champion.base import clock
from champion.contracts.datasets import BARS, FEATURES
from champion.errors import UsageError
from champion.lake import Lake
from champion.modeling import drift, metrics
from champion.pipeline.ingest import corporate_actions, quality
from champion.pipeline.ingest.bars import equity_bars
from champion.pipeline.ingest.share_moves import is_share, moves
from champion.pipeline.models import outcomes
from champion.pipeline.operations.status import RunLine, last_runs
from champion.settings import Settings
from champion.settings.quality_limits import Limits
from champion.tracking import promotion, standing

_SEEN = 60  # sessions shown around the one asked for
_MONTH = timedelta(days=31)
_RUNS = 15
_MOVERS = 8


@dataclass(frozen=True, slots=True)
class SessionReport:
    """What a quant wants to know of one session; frames are empty where there is nothing to say.

    `bars` are the last sessions as traded, `moves` the adjusted moves of shares in them (`pipeline.moves`); `market`
    counts of the session: shares with a bar, those that rose and fell, turnover in rupees; `gates` what the quality
    gates say of it; `accepted` the findings of the session that a person accepted, with who and why; `moved` the
    features whose distribution moved since the month before, most first; `scores` the session's scores of the
    champion; `outcomes` its earlier ones whose forward return was known by then; `runs` the newest recorded runs;
    `reach` how far the lists of corporate actions reach; `waiting` the actions up to it that wait for a person.
    """

    session: date
    made_at: datetime
    market: dict[str, float]
    bars: pl.DataFrame
    moves: pl.DataFrame
    gates: pl.DataFrame
    accepted: pl.DataFrame
    moved: pl.DataFrame
    champion: str
    scores: pl.DataFrame
    outcomes: pl.DataFrame
    runs: list[RunLine]
    reach: str = ""
    waiting: pl.DataFrame = field(default_factory=pl.DataFrame)

    @property
    def failed(self) -> list[str]:
        """The gates of severity 'error' that the session did not pass."""
        return self.gates.filter(~pl.col("passed"), severity="error")["gate"].to_list()

    @property
    def movers(self) -> pl.DataFrame:
        """The shares that rose and fell most, by adjusted return since their bar before; best first."""
        today = self.moves.filter(pl.col("trade_date") == self.session)
        returns = today.select("symbol", "close", "turnover", simple_return="change")
        ranked = returns.drop_nulls().sort("simple_return", "symbol", descending=[True, False])
        return ranked if ranked.height <= 2 * _MOVERS else pl.concat([ranked.head(_MOVERS), ranked.tail(_MOVERS)])

    @property
    def rank_ic(self) -> pl.DataFrame:
        """The rank IC of each earlier session's scores with what followed: trade_date, ic."""
        return metrics.rank_ic(self.outcomes)

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values; of the frames what fits a screen."""
        return {
            "session": self.session.isoformat(),
            "market": self.market,
            "gates": self.gates.to_dicts(),
            "accepted": self.accepted.to_dicts(),
            "moved": self.moved.head(_MOVERS).to_dicts(),
            "champion": self.champion,
            "scores": self.scores.head(_MOVERS).to_dicts(),
            "rank_ic": self.rank_ic.tail(1).to_dicts(),
            "corporate_actions": {"reach": self.reach, "waiting": self.waiting.height},
            "runs": [{"run": run.run_id, "name": run.name, "outcome": run.outcome} for run in self.runs],
        }


def session_report(settings: Settings, session: date | None = None) -> SessionReport:
    """Return the morning look at `session`, by default the last one in the lake.

    Raises:
        UsageError: the lake has no such session; the message names the last one it has.
    """
    lake = Lake(settings.lake)
    sessions = lake.sessions(BARS)
    if not sessions or (session is not None and session not in sessions):
        known = f"the last is {sessions[-1]}" if sessions else "it has none yet; `champion backfill START END`"
        raise UsageError(f"the lake has no session {session or ''}: {known}")
    session = session or sessions[-1]
    seen = [day for day in sessions if day <= session][-_SEEN:]
    bars = equity_bars(lake, seen[0], session).collect().filter(is_share(pl.col("symbol"), pl.col("isin")))
    moved = moves(lake, seen[0], session)
    wrong = standing.problem(settings)
    entry = None if standing.damage(settings) else promotion.current_champion(settings)
    said = f"version {entry.version}" if entry else ("not known" if wrong else "none yet")
    told = outcomes.score_outcomes(lake, seen[0], session)
    if entry is not None:
        told = told.filter(pl.col("model_version") == entry.version)
    return SessionReport(
        session=session,
        made_at=clock.now(),
        market=_market(bars.filter(pl.col("trade_date") == session), moved.filter(pl.col("trade_date") == session)),
        bars=bars,
        moves=moved,
        gates=quality.check(lake, session, session, limits=Limits.of(settings)).gates,
        accepted=quality.accepted(lake).filter(session=session).drop("session", "value"),
        moved=_moved(lake, session),
        champion=f"{said} ({wrong})" if wrong else said,
        scores=told.filter(pl.col("trade_date") == session).sort("rank"),
        outcomes=told.filter(pl.col("label_end") <= session, pl.col("forward_return").is_not_null()),
        runs=last_runs(settings, _RUNS),
        reach=corporate_actions.reach(lake).text,
        waiting=corporate_actions.questions(lake, end=session).sort("session", descending=True),
    )


def _market(bars: pl.DataFrame, moved: pl.DataFrame) -> dict[str, float]:
    """Return the session's counts: shares traded, up, down, and their turnover in rupees."""
    return {
        "shares": bars.height,
        "advances": int((moved["change"] > 0).sum()),
        "declines": int((moved["change"] < 0).sum()),
        "turnover": float(bars["turnover"].cast(pl.Float64).sum()),
    }


def _moved(lake: Lake, session: date) -> pl.DataFrame:
    """Return the drift of each feature over the month to `session` against the month before, most moved first."""
    since = session - _MONTH
    names = [name for columns in contracts.load(FEATURES).groups.values() for name in columns]
    now = lake.scan(FEATURES, since + timedelta(days=1), session).select(names).collect()
    before = lake.scan(FEATURES, since - _MONTH + timedelta(days=1), since).select(names).collect()
    return drift.between(before, now).sort("psi", "column", descending=[True, False], nulls_last=True)
