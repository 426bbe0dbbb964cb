"""Where the profit of a simulated account came from: by instrument and by group, with the exposures of its holdings.

Profit is exact: the rows of `by_instrument` and of `by_group` sum to the last equity less the capital. Groups are known
before the session in which they count: the size of a share is its median traded value of the last 20 sessions, beta is
measured against the equally weighted mean return of all instruments over the last 60 sessions, and volatility is that
of the last 20 returns; none of them uses the session's own bar. What is not known is the group "Unknown".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from champion.errors import UsageError
from champion.portfolio import report
from champion.portfolio.arrays import Floats, MarketArrays
from champion.portfolio.contract_note import Plan, charges
from champion.portfolio.history import EXPLAINED, Simulation
from champion.portfolio.inputs import require_frame, require_numbers, require_unique
from champion.portfolio.simulator import MarketRules, simulate

CHARACTERISTICS = ("traded_value", "beta", "volatility")
"""Characteristics of an instrument before a session: rupees, a slope, and a standard deviation of session returns."""
UNKNOWN, ROUNDING = "Unknown", "(rounding)"
CAPITALS = (1e6, 1e7, 1e8, 1e9)
"""Rupees: 10 lakh, 1 crore, 10 crore and 100 crore."""
IMPACTS = (0.5, 1.0, 2.0)
_SIZE_WINDOW, _BETA_WINDOW, _BETA_SAMPLES = 20, 60, 20
_COSTS = ("impact", "write_offs", "charges")
_PARTS = [*(name for name in EXPLAINED if name not in _COSTS), *_COSTS]
_PAISA = 0.01  # rupees: a contract note rounds its sum
_KEY = ["trade_date", "instrument_id"]


def by_session(found: Simulation, plan: str | Plan = "discount") -> pl.DataFrame:
    """Return the profit of each position and session in its parts, in rupees.

    Columns: trade_date, instrument_id, holding_profit, trading_profit, dividends, entitlements, impact, write_offs,
    charges and profit. Impact, write_offs and charges are costs: profit is the sum of the others less these three. The
    rounding of a contract note belongs to no share: it is a row of `(rounding)`.

    Args:
        found: the simulation.
        plan: the brokerage plan of its rules.

    Raises:
        UsageError: the account paid other charges than those of the plan.

    >>> from datetime import date
    >>> from champion.portfolio.arrays import market_arrays
    >>> names = ("open", "high", "low", "close", "prev_close")
    >>> bar = {"instrument_id": "A", **dict.fromkeys(names, 100.0), "volume": 10_000, "turnover": 1_000_000.0}
    >>> bars = pl.DataFrame([bar | {"trade_date": date(2024, 1, day)} for day in (1, 2, 3)])
    >>> weights = pl.DataFrame({"trade_date": [date(2024, 1, 1)], "instrument_id": ["A"], "weight": [0.4]})
    >>> found = simulate(market_arrays(bars), weights, MarketRules(capital=100_000))
    >>> by_session(found).select("instrument_id", pl.col("profit").round(4)).rows()
    [('(rounding)', 0.0084), ('A', -47.6284), ('A', 0.0)]
    """
    paid = _paid(found, plan)
    known = found.positions.select(*_KEY, *EXPLAINED)
    joined = known.join(paid, on=_KEY, how="full", coalesce=True).with_columns(pl.exclude(_KEY).fill_null(0.0))
    gained = pl.sum_horizontal(_PARTS[: -len(_COSTS)]) - pl.sum_horizontal(_COSTS)
    return joined.select(*_KEY, *_PARTS, profit=gained).sort(_KEY)


def by_instrument(found: Simulation, plan: str | Plan = "discount") -> pl.DataFrame:
    """Return the columns of `by_session` summed by instrument_id, the largest profit first.

    >>> empty = Simulation(pl.DataFrame({"trade_date": []}), pl.DataFrame(), pl.DataFrame(), pl.DataFrame())
    >>> by_instrument(empty)
    Traceback (most recent call last):
    ...
    champion.errors.UsageError: the account has no positions to attribute a profit to
    """
    return _summed(by_session(found, plan), "instrument_id")


def by_group(found: Simulation, groups: pl.DataFrame, plan: str | Plan = "discount") -> pl.DataFrame:
    """Return the columns of `by_session` summed by group, the largest profit first.

    Args:
        found: the simulation.
        groups: trade_date, instrument_id and group, a text that was known before the session, as from
            `quantile_groups`, or the sector as of the date. A position without a group, or with a null one, is
            "Unknown".
        plan: the brokerage plan of the account.

    Raises:
        UsageError: `groups` name an instrument twice in a session.

    >>> columns = {"trade_date": ["2024-01-01"] * 2, "instrument_id": ["A", "A"], "group": ["IT", "Metals"]}
    >>> by_group(Simulation(*[pl.DataFrame()] * 4), pl.DataFrame(columns))
    Traceback (most recent call last):
    ...
    champion.errors.UsageError: the groups name A twice on 2024-01-01; give one row per instrument and session
    """
    require_unique("groups", groups)
    sessions = by_session(found, plan)
    named = pl.when(pl.col("instrument_id") == ROUNDING).then(pl.lit(ROUNDING)).otherwise(pl.col("group"))
    placed = sessions.join(groups.select(*_KEY, "group"), on=_KEY, how="left")
    return _summed(placed.with_columns(group=named.fill_null(UNKNOWN)), "group")


def characteristics(market: MarketArrays, index: pl.DataFrame | None = None) -> pl.DataFrame:
    """Return trade_date, instrument_id and `CHARACTERISTICS` of each instrument before each session, null if unknown.

    traded_value is the median of price times volume (rupees) over the last 20 sessions, sessions without a bar as 0.
    beta is the slope of the return on that of the index over the last 60 sessions, of which at least 20 need a bar and
    an index return. volatility is the standard deviation of the last 20 returns.

    Args:
        market: the result of `market_arrays`.
        index: trade_date and daily_return, as `ch.benchmark` returns them. Without it, the index is the mean of the
            instruments in `market`, so the beta of an instrument depends on which others are there.

    >>> from datetime import date
    >>> from champion.portfolio.arrays import market_arrays
    >>> names = ("open", "high", "low", "close", "prev_close")
    >>> bar = {"instrument_id": "A", **dict.fromkeys(names, 100.0), "volume": 1000, "turnover": 100_000.0}
    >>> bars = pl.DataFrame([bar | {"trade_date": date(2024, 1, day)} for day in (1, 2)])
    >>> characteristics(market_arrays(bars)).row(1)
    (datetime.date(2024, 1, 2), 'A', 100000.0, None, None)
    """
    value = np.nan_to_num(market.fill) * market.volume
    rows, columns = market.close.shape
    size = np.full((rows, columns), np.nan)
    for row in range(1, rows):
        size[row] = np.median(value[max(0, row - _SIZE_WINDOW) : row], axis=0)
    volatility = np.where(market.volatility > 0, market.volatility, np.nan)
    keys = {
        "trade_date": pl.Series(list(market.sessions), dtype=pl.Date).gather(np.repeat(np.arange(rows), columns)),
        "instrument_id": pl.Series(list(market.instruments)).gather(np.tile(np.arange(columns), rows)),
    }
    beta = _beta(market.simple_return, _index_returns(market, index))
    values = zip(CHARACTERISTICS, (size, beta, volatility), strict=True)
    frame = pl.DataFrame(keys | {name: each.ravel() for name, each in values})
    return frame.with_columns(pl.col(CHARACTERISTICS).fill_nan(None))


def quantile_groups(known: pl.DataFrame, column: str, count: int = 5) -> pl.DataFrame:
    """Return trade_date, instrument_id and group: the quantile of a column within its session, such as "beta 1 of 5".

    1 holds the lowest values. A null value has the group "Unknown"; equal values are ordered by instrument_id.

    >>> known = pl.DataFrame({"trade_date": ["2024-01-01"] * 3, "instrument_id": ["A", "B", "C"], "beta": [1, None, 2]})
    >>> quantile_groups(known, "beta", 2)["group"].to_list()
    ['beta 1 of 2', 'Unknown', 'beta 2 of 2']
    """
    rank = pl.col(column).rank("ordinal").over("trade_date")
    place = ((rank - 1) * count // pl.col(column).count().over("trade_date") + 1).cast(pl.Int64)
    named = pl.format(f"{column} {{}} of {count}", place).fill_null(UNKNOWN)
    return known.sort(_KEY).select(*_KEY, group=named)


def exposures(found: Simulation, known: pl.DataFrame, sectors: pl.DataFrame | None = None) -> pl.DataFrame:
    """Return what the holdings of each session are exposed to: trade_date, exposure, name and value.

    `exposure` is "beta", "volatility" or "traded_value", each the mean over the holdings weighted by their value at the
    close, of instruments whose value is known; or "sector", with the sector as `name` and its share of the equity;
    or "known", the share of the holdings whose characteristic `name` is known.

    Args:
        found: the simulation.
        known: the result of `characteristics`.
        sectors: trade_date, instrument_id and group; a holding without a group is "Unknown".

    Raises:
        UsageError: `sectors` name an instrument twice in a session.

    >>> day = {"trade_date": ["2024-01-01"], "instrument_id": ["A"]}
    >>> found = Simulation(
    ...     pl.DataFrame({"trade_date": ["2024-01-01"], "equity": [100.0]}), *[pl.DataFrame()] * 3,
    ...     positions=pl.DataFrame(day | {"value": [50.0]}),
    ... )
    >>> known = pl.DataFrame(day | {"traded_value": [1e6], "beta": [1.2], "volatility": [0.01]})
    >>> exposures(found, known, pl.DataFrame(day | {"group": ["IT"]})).select("exposure", "name", "value").rows()[:3]
    [('beta', '', 1.2), ('known', 'beta', 1.0), ('known', 'traded_value', 1.0)]
    """
    held = found.positions.filter(pl.col("value") > 0).select(*_KEY, "value")
    placed = held.join(known, on=_KEY, how="left")
    parts = []
    for name in CHARACTERISTICS:
        has = pl.col(name).is_not_null()
        value = pl.col("value").filter(has)
        means = placed.group_by("trade_date").agg(
            (pl.col(name).filter(has) * value).sum() / value.sum(), known=value.sum() / pl.col("value").sum()
        )
        mean = means.select("trade_date", exposure=pl.lit(name), name=pl.lit(""), value=pl.col(name).fill_nan(None))
        parts += [mean, means.select("trade_date", exposure=pl.lit("known"), name=pl.lit(name), value="known")]
    if sectors is not None:
        require_unique("sectors", sectors)
        named = held.join(sectors.select(*_KEY, "group"), on=_KEY, how="left").with_columns(
            name=pl.col("group").fill_null(UNKNOWN)
        )
        summed = named.group_by("trade_date", "name").agg(pl.col("value").sum())
        shares = summed.join(found.account.select("trade_date", "equity"), on="trade_date")
        share = pl.col("value") / pl.col("equity")
        parts.append(shares.select("trade_date", exposure=pl.lit("sector"), name="name", value=share))
    return pl.concat(parts).sort("trade_date", "exposure", "name")


def capacity(
    market: MarketArrays,
    weights: pl.DataFrame,
    rules: MarketRules | None = None,
    *,
    capitals: Sequence[float] = CAPITALS,
    impacts: Sequence[float] = IMPACTS,
) -> pl.DataFrame:
    """Return the figures of the same weights with other capitals, and with other coefficients of impact.

    One row per capital with the impact of the rules, and one per factor in `impacts` with their capital: capital,
    impact (the coefficient), and of `report.summary` net_return, gross_return, charges_bps, impact_bps, turnover and
    cash_share; invested_share, the mean share of the equity in holdings; and unfilled_share, the mean value of the
    orders that are still open at the close, as a share of the equity.

    Give the weights that the account follows, `Portfolio.construction.weights`: those of `target_weights` can name
    instruments that it leaves out, such as small companies.

    A return is of the whole equity. Where orders are not filled whole, invested_share falls and the return nears that
    of cash, 0: a losing rule then loses less, the more capital it has. A capital with which unfilled_share rises is
    beyond the capacity, whatever the return there.

    >>> from datetime import date
    >>> from champion.portfolio.arrays import market_arrays
    >>> names = ("open", "high", "low", "close", "prev_close")
    >>> bar = {"instrument_id": "A", **dict.fromkeys(names, 100.0), "volume": 10_000, "turnover": 1_000_000.0}
    >>> bars = pl.DataFrame([bar | {"trade_date": date(2024, 1, day)} for day in (1, 2, 3)])
    >>> weights = pl.DataFrame({"trade_date": [date(2024, 1, 1)], "instrument_id": ["A"], "weight": [0.4]})
    >>> found = capacity(market_arrays(bars), weights, capitals=(1e5, 1e6), impacts=())
    >>> found.select("capital", pl.col("cash_share", "unfilled_share").round(2)).rows()  # at most 500 shares a session
    [(100000.0, 0.6, 0.0), (1000000.0, 0.92, 0.33)]
    """
    base = rules or MarketRules()
    cases = [replace(base, capital=capital) for capital in capitals]
    cases += [replace(base, impact=base.impact * factor) for factor in impacts]
    names = ("net_return", "gross_return", "charges_bps", "impact_bps", "turnover", "cash_share")
    rows = []
    for case in (case for place, case in enumerate(cases) if case not in cases[:place]):  # a plan has no hash
        figures = report.summary(simulate(market, weights, case))
        kept = {name: figures[name] for name in names} | {"invested_share": 1 - figures["cash_share"]}
        kept["unfilled_share"] = figures["unfilled_share"]
        rows.append({"capital": case.capital, "impact": case.impact, **kept})
    return pl.DataFrame(rows)


def _paid(found: Simulation, plan: str | Plan) -> pl.DataFrame:
    """Return trade_date, instrument_id and charges of each instrument, and the rounding of each contract note."""
    if found.positions.is_empty():
        raise UsageError("the account has no positions to attribute a profit to")
    if not found.account["charges"].sum():
        return found.positions.select(*_KEY, charges=pl.lit(0.0)).clear()
    paid = charges(found.trades, plan).group_by(_KEY).agg(pl.col("charges").sum())
    notes = paid.group_by("trade_date").agg(pl.col("charges").sum())
    notes = notes.join(found.account.select("trade_date", "rounding", billed="charges"), on="trade_date")
    rest = pl.col("billed") - pl.col("charges")
    wrong = notes.filter((rest - pl.col("rounding")).abs() > _PAISA)
    if not wrong.is_empty():
        first = wrong.sort("trade_date").row(0, named=True)
        raise UsageError(
            f"the account paid {first['billed']:.2f} rupees of charges on {first['trade_date']}, the plan asks for "
            f"{first['charges']:.2f}: give the brokerage plan of its rules"
        )
    rounding = notes.select("trade_date", instrument_id=pl.lit(ROUNDING), charges=rest)
    return pl.concat([paid.select(*_KEY, "charges"), rounding])


def _summed(sessions: pl.DataFrame, key: str) -> pl.DataFrame:
    return sessions.group_by(key).agg(pl.col(*_PARTS, "profit").sum()).sort(["profit", key], descending=[True, False])


def _index_returns(market: MarketArrays, index: pl.DataFrame | None) -> Floats:
    """Return the return of the index on each session, NaN where it is not known."""
    if index is None:
        known = ~np.isnan(market.simple_return)
        count, total = known.sum(axis=1), np.nan_to_num(market.simple_return).sum(axis=1)
        return np.asarray(np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0), np.float64)
    require_frame("returns of the index", index, ("trade_date", "daily_return"))
    require_numbers("returns of the index", index, ["daily_return"])
    if index["trade_date"].is_duplicated().any():
        raise UsageError("the returns of the index have a session twice; give one row for each")
    sessions = pl.DataFrame({"trade_date": pl.Series(list(market.sessions), dtype=pl.Date)})
    joined = sessions.join(index, on="trade_date", how="left", maintain_order="left")
    return np.asarray(joined["daily_return"].cast(pl.Float64).to_numpy(), np.float64)


def _beta(returns: Floats, index: Floats) -> Floats:
    """Return the slope on the index over the sessions before each one."""
    known = ~np.isnan(returns) & ~np.isnan(index)[:, None]
    own, market = np.where(known, returns, 0.0), np.where(known, index[:, None], 0.0)

    def summed(values: Floats) -> Floats:
        """Return the sum of the last sessions before each session."""
        total = np.vstack([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)])
        rows = np.arange(len(values))
        return np.asarray(total[rows] - total[np.maximum(rows - _BETA_WINDOW, 0)], np.float64)

    samples = summed(known.astype(np.float64))
    some = np.maximum(samples, 1)
    covariance = summed(own * market) - summed(own) * summed(market) / some
    variance = summed(market**2) - summed(market) ** 2 / some
    enough = (samples >= _BETA_SAMPLES) & (variance > 1e-12)  # noqa: PLR2004 - of numbers near 1e-2
    return np.divide(covariance, variance, out=np.full_like(covariance, np.nan), where=enough)
