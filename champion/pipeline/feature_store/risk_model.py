"""The factor risk model of a workspace: adjusted bars, sectors as known on each session, and a universe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from functools import lru_cache
from typing import Any

import polars as pl

from champion import workspace
from champion.contracts.datasets import ACTIONS, BARS, SECTORS
from champion.errors import UsageError
from champion.lake import Lake
from champion.market.actions.adjustment import chained
from champion.modeling import risk
from champion.modeling.risk.exposures import LOOKBACK
from champion.modeling.universe import Universe, find, members
from champion.pipeline.ingest.bars import equity_bars, with_kinds
from champion.pipeline.ingest.corporate_actions import known_factors
from champion.pipeline.reference.membership import with_sectors
from champion.pipeline.reference.universe_lists import keep
from champion.portfolio.construction import Construction, Rule, construct
from champion.portfolio.risk_limit import limited

_KEY = ["instrument_id", "trade_date"]
_COLUMNS = (*_KEY, "symbol", "isin", "series", "close", "turnover", "volume")
HISTORY = 504
"""Sessions before the first score from which the risk model of a rule's limit forecasts, where the lake has them."""


def risk_model(
    start: date | str,
    end: date | str,
    *,
    universe: str | Mapping[str, Any] | Universe = "liquid",
    estimation: risk.Estimation | None = None,
    total_return: bool = True,
    lake: Lake | None = None,
) -> risk.RiskModel:
    """Return the risk model of the sessions from `start` to `end`: see `risk.fit` and `risk.exposures`.

    The universe is that of each session. A later `end` changes the forecast of no session. A forecast needs 60 sessions
    of returns after `start`, and is steady after two half-lives; start a year or more before the first session that
    matters. Bars before `start` serve the styles.
    Without lists of sectors, all instruments have the sector `Unknown`.

    Args:
        start: first session.
        end: last session; nothing later is used.
        universe: as in training: a name or filters.
        estimation: how a forecast weighs the past.
        total_return: whether a dividend counts as return on its ex-date.
        lake: by default that of this workspace.

    Raises:
        UsageError: `start` is after `end`, there are no bars, or the universe is not known or covered.

    >>> model = risk_model("2024-01-10", "2024-01-16")
    >>> isinstance(model, risk.RiskModel), model.known_from()  # 60 sessions are needed
    (True, None)
    """
    lake, chosen = lake or workspace.lake(), find(universe)
    first, last = workspace.required_date(start), workspace.required_date(end)
    if first > last:
        raise UsageError(f"the first session, {first}, is after the last one, {last}: give the earlier day as start")
    # Instruments that skip sessions need more of the calendar.
    since = min([first, *lake.sessions(BARS, end=first)[-2 * LOOKBACK :]])
    bars = equity_bars(lake, since, last, kinds=None).select(_COLUMNS).collect()
    if bars.filter(pl.col("trade_date") >= first).is_empty():
        raise UsageError(f"the lake has no bars from {first} to {last}: `champion status` says which sessions it has")
    named = with_kinds(lake, bars) if chosen.kinds else bars
    inside = members(named, chosen).filter(pl.col("trade_date") >= first)
    adjusted = chained(bars, known_factors(lake), total_return=total_return)
    placed = with_sectors(inside.select(_KEY), lake)
    exposed = risk.exposures(adjusted, placed).join(keep(inside, lake, chosen), on=_KEY, how="semi")
    return risk.fit(adjusted.filter(pl.col("trade_date") >= first), exposed, estimation)


def constructed(lake: Lake, scores: pl.DataFrame, rule: Rule) -> Construction:
    """Return the decisions of `construct`, within the risk limit of the rule.

    The risk model is that of all company shares, from `HISTORY` sessions before the first score on. A decision uses
    bars and lists of sectors up to its day. Without a limit no model is made.

    >>> scores = pl.DataFrame({"trade_date": [date(2024, 1, 15)], "instrument_id": ["NSE:ACME"], "score": [1.0]})
    >>> constructed(workspace.lake(), scores, Rule(top=1, risk_limit=0.2)).weights["weight"].to_list()  # too few bars
    [0.0]
    """
    if rule.risk_limit is None:
        return construct(scores, rule)
    decided = construct(scores, replace(rule, risk_limit=None))
    if decided.weights.is_empty():
        return decided
    days = scores["trade_date"]  # not those of decisions: one model serves all phases of a rule
    return limited(decided, before(lake, days.min(), days.max()), rule.risk_limit)  # type: ignore[arg-type]


def before(lake: Lake, first: date, last: date) -> risk.RiskModel:
    """Return the risk model of all company shares for decisions from `first` to `last`; the last one is kept in memory.

    >>> before(workspace.lake(), date(2024, 1, 16), date(2024, 1, 16)).sessions[0]
    datetime.date(2024, 1, 15)
    """
    start = min([first, *lake.sessions(BARS, end=first)[-HISTORY - 1 :]])
    return _kept(lake, start, last, tuple(lake.digest(name) for name in (BARS, ACTIONS, SECTORS)))


@lru_cache(1)
def _kept(lake: Lake, start: date, end: date, _digests: tuple[str, ...]) -> risk.RiskModel:
    """Return the model; an account that is simulated on several days of decision asks for the same one."""
    return risk_model(start, end, universe="all", lake=lake)
