"""The session report: market, data quality, feature drift, the champion's scores and recent runs of one session.

Everything is read from the lake, the promotion ledger and the recorded runs; nothing is built or changed. A part
without data is empty, and the report says so.
"""

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
from champion.pipeline.ingest.bars import equity_bars, unknown_kinds
from champion.pipeline.ingest.share_moves import moves
from champion.pipeline.models import outcomes, recipes
from champion.pipeline.models.paper_account import PaperAccount, paper_account
from champion.pipeline.operations.status import RunLine, last_runs
from champion.pipeline.reference import daily_lists
from champion.pipeline.targets import published
from champion.settings import Settings
from champion.settings.quality_limits import Limits
from champion.tracking import promotion, registry, standing

_MONTH = timedelta(days=31)
_MOVERS = 8
_KEY = ["instrument_id", "trade_date"]


@dataclass(frozen=True, slots=True)
class SessionReport:
    """The report of one session; frames without data are empty.

    - `market`: shares with a bar, shares that rose and fell, turnover in rupees, and the instruments in series of
      shares that are not counted because their kind is not known.
    - `bars`: the last sessions as traded; `moves`: the moves of shares in these sessions (`share_moves.moves`).
    - `gates`: the results of the quality gates; `accepted`: the accepted findings of the session, with user and reason.
    - `moved`: the drift of each feature since the month before, largest first.
    - `scores`: the champion's scores of the session; `outcomes`: its earlier scores whose forward return was known.
    - `paper`: the account that follows the champion's published scores since its promotion.
    - `targets`: what the champion's scores of the session say to sell, buy and hold (`published.latest_targets`).
    - `runs`: the newest recorded runs.
    - `lists`: how far the lists of the exchange are behind the bars.
    - `reach`: the ex-dates that the lists of corporate actions cover, as text; `waiting`: the actions that need a
      decision.
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
    paper: PaperAccount | None = None
    lists: str = ""
    targets: pl.DataFrame = field(default_factory=pl.DataFrame)

    @property
    def failed(self) -> list[str]:
        """The gates of severity 'error' that the session failed."""
        return self.gates.filter(~pl.col("passed"), severity="error")["gate"].to_list()

    @property
    def movers(self) -> pl.DataFrame:
        """The shares with the largest gains and losses by adjusted return since their previous bar; best first."""
        today = self.moves.filter(pl.col("trade_date") == self.session)
        returns = today.select("symbol", "close", "turnover", simple_return="change")
        ranked = returns.drop_nulls().sort("simple_return", "symbol", descending=[True, False])
        return ranked if ranked.height <= 2 * _MOVERS else pl.concat([ranked.head(_MOVERS), ranked.tail(_MOVERS)])

    @property
    def rank_ic(self) -> pl.DataFrame:
        """The rank IC of each earlier session's scores: trade_date, ic."""
        return metrics.rank_ic(self.outcomes)

    @property
    def orders(self) -> pl.DataFrame:
        """The targets that are to be bought or sold, with the columns of `published.shown`."""
        if self.targets.is_empty():
            return self.targets
        return published.shown(self.targets).filter(pl.col("action").is_in(["buy", "sell"]))

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain values, with the first rows of each frame."""
        return {
            "session": self.session.isoformat(),
            "market": self.market,
            "gates": self.gates.to_dicts(),
            "accepted": self.accepted.to_dicts(),
            "moved": self.moved.head(_MOVERS).to_dicts(),
            "champion": self.champion,
            "scores": self.scores.head(_MOVERS).to_dicts(),
            "rank_ic": self.rank_ic.tail(1).to_dicts(),
            "paper_account": {"text": self.paper.text, **self.paper.figures} if self.paper else {},
            "targets": {"text": published.text(self.targets), "orders": self.orders.to_dicts()},
            "lists": self.lists,
            "corporate_actions": {"reach": self.reach, "waiting": self.waiting.height},
            "runs": [{"run": run.run_id, "name": run.name, "outcome": run.outcome} for run in self.runs],
        }


def session_report(settings: Settings, session: date | None = None) -> SessionReport:
    """Return the report of a session, by default the last one in the lake.

    Raises:
        UsageError: the lake has no such session; the message names the last one.
    """
    lake = Lake(settings.lake)
    sessions = lake.sessions(BARS)
    if not sessions or (session is not None and session not in sessions):
        last = f"the last is {sessions[-1]}" if sessions else "it has none yet; `champion backfill START END`"
        raise UsageError(f"the lake has no session{f' {session}' if session else ''}: {last}")
    session = session or sessions[-1]
    first = [day for day in sessions if day <= session][-60:][0]  # 60 sessions are shown
    bars = equity_bars(lake, first, session).collect()
    changes = moves(lake, first, session)
    problem = standing.problem(settings)
    entry = None if standing.damage(settings) else promotion.current_champion(settings)
    champion = f"version {entry.version}" if entry else ("not known" if problem else "none yet")
    scores = outcomes.score_outcomes(lake, first, session)
    if entry is not None:
        scores = scores.filter(pl.col("model_version") == entry.version)
    construction = None if entry is None else recipes.tagged(registry.find(settings, entry.version).tags)
    today = pl.col("trade_date") == session
    month_ago = session - _MONTH
    names = [name for columns in contracts.load(FEATURES).groups.values() for name in columns]
    months = (month_ago + timedelta(days=1), session), (month_ago - _MONTH + timedelta(days=1), month_ago)
    now, before = (
        lake.scan(FEATURES, start, end)
        .join(equity_bars(lake, start, end).select(_KEY), on=_KEY, how="semi")
        .select(names)
        .collect()
        for start, end in months
    )
    return SessionReport(
        session=session,
        made_at=clock.now(),
        market={
            "shares": bars.filter(today).height,
            "advances": changes.filter(today, pl.col("change") > 0).height,
            "declines": changes.filter(today, pl.col("change") < 0).height,
            "turnover": float(bars.filter(today)["turnover"].cast(pl.Float64).sum()),
            "unknown_kinds": unknown_kinds(lake, session, session),
        },
        bars=bars,
        moves=changes,
        gates=quality.check(lake, session, session, limits=Limits.of(settings)).gates,
        accepted=quality.accepted(lake).filter(session=session).drop("session", "value"),
        moved=drift.between(before, now).sort("psi", "column", descending=[True, False], nulls_last=True),
        champion=f"{champion} ({problem})" if problem else champion,
        scores=scores.filter(today).sort("rank"),
        outcomes=scores.filter(pl.col("label_end") <= session, pl.col("forward_return").is_not_null()),
        runs=last_runs(settings, 15),
        reach=corporate_actions.reach(lake).text,
        waiting=corporate_actions.questions(lake, end=session).sort("session", descending=True),
        paper=paper_account(lake, entry, session, construction),
        lists=daily_lists.freshness(daily_lists.coverage(lake)),
        targets=published.ordered(published.latest(lake, session).filter(trade_date=session)),
    )
