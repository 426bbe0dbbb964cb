"""An equal-weighted NIFTY 50 beside the published NIFTY50 Equal Weight index, 2020 to 2023, and why they differ.

`CHAMPION_HOME=data/nse .venv/bin/python benchmarks/evidence/portfolio_equal_weight.py [--products FOLDER]
[--archive FOLDER]` needs bars,
corporate actions and index lists in the workspace. The published closes are those of the market activity reports. The
steps lead from the index to an account, each with its growth by year and what it adds:

1. `index`: published closes, a price index. That of 2023-12-04 contradicts the previous close of the next session,
   which is taken instead;
2. `replica`: members as of each date, made equal by the provider's calendar, without ordinary dividends (see below);
3. `dates`: the same, made equal at the closes of the last session of March, June, September and December;
4. `dividends`: with all dividends reinvested;
5. `account`: an account that decides on the last session of a quarter and when members change, without any rule: filled
   at the average price of the next session;
6. `rules`: whole shares, bands, participation, settlement and 2% of cash, without charges and impact;
7. `impact` and 8. `charges`: with all rules.

The calendar was found by which closes explain the published index: until December 2020 the weights are in force in
the first session after the expiry of the quarter's last contracts, on its last Thursday, and are equal at the closes of
five sessions before it; from March 2021, in the last session of the quarter, and equal at the closes of three sessions
before it (so Mint describes capped indices on 2022-12-27). The index does not fall with a dividend of 5% of the price
or more, from November 2022 2%. A company that comes takes the value of one that leaves.
"""

import sys
import zipfile
from bisect import bisect_right
from calendar import monthrange
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks import meter
from benchmarks.evidence.membership import folders, read_evidence, read_history
from champion.contracts.datasets import BARS
from champion.lake import Lake
from champion.market.reference.indices.membership import memberships, require_covered, within
from champion.pipeline.models.portfolio import market
from champion.portfolio.arrays import Flags, Floats, MarketArrays
from champion.portfolio.simulator import MarketRules, simulate
from champion.settings import Settings

START, END, INDEX, PUBLISHED = date(2019, 12, 31), date(2023, 12, 29), "NIFTY 50", "NIFTY50 EQL Wgt"
FIRST = date(2019, 12, 16)  # before it no closes are needed
LAST_SESSION_SINCE, LARGE_SINCE = date(2021, 3, 1), date(2022, 11, 1)
LARGE, LARGE_NOW = 0.05, 0.02
_THURSDAY, _WRONG = 3, 0.05
INVESTED, CAPITAL = 0.98, 1e8
QUARTER_ENDS = (3, 6, 9, 12)


def published(products: Path) -> pl.DataFrame:
    """Return trade_date and the growth of the published index since the close before its first session."""
    with zipfile.ZipFile(products / "derived/chartiny_ma/ma_index_2020_2023.csv.zip") as archive:
        rows = pl.read_csv(archive.read("ma_index.csv"), try_parse_dates=True).filter(pl.col("index") == PUBLISHED)
    ordered = rows.sort("date")
    known_next = pl.col("previous_close").shift(-1)
    is_wrong = ((known_next / pl.col("close") - 1).abs() > _WRONG).fill_null(value=False)
    close = pl.when(is_wrong).then(known_next).otherwise("close")
    return ordered.select(trade_date="date", index=close / pl.col("previous_close").first())


def members(products: Path, archive: Path, sessions: Sequence[date]) -> pl.DataFrame:
    """Return trade_date and instrument_id of the members in each session, from all real lists and changes."""
    lists, changes, _ = read_evidence(products, read_history(archive))
    found = memberships(lists, changes)
    require_covered(found.covered, INDEX, sessions[0], sessions[-1])
    periods = found.members.filter(index_name=INDEX)
    names = periods.select(pl.col("instrument_id").drop_nulls().unique().sort())
    return within(
        pl.DataFrame({"trade_date": sessions}).join(names, how="cross"), periods, "member_from", "member_until"
    )


def quarter_ends(sessions: Sequence[date]) -> list[int]:
    """Return the rows of the last sessions of quarters."""
    return [
        row
        for row, (day, after) in enumerate(pairwise(sessions))
        if day.month in QUARTER_ENDS and after.month != day.month
    ]


def calendar(sessions: Sequence[date]) -> dict[int, int]:
    """Return the provider's dates: the row after whose close weights are in force, to the row of equal closes."""
    found = {}
    for end in quarter_ends(sessions):
        since, before = end, 3
        if sessions[end] < LAST_SESSION_SINCE:
            last = sessions[end].replace(day=monthrange(sessions[end].year, sessions[end].month)[1])
            expiry = last - timedelta((last.weekday() - _THURSDAY) % 7)
            since, before = bisect_right(sessions, expiry), 5
        found[since - 1] = since - before
    return {row: earlier for row, earlier in found.items() if earlier >= 0}


def without_ordinary(arrays: MarketArrays) -> Floats:
    """Return what an index without dividends takes into account: entitlements, and dividends of a large part."""
    close = np.vstack([np.full((1, arrays.close.shape[1]), np.nan), _known_closes(arrays)[:-1]])
    limits = np.where(np.array(arrays.sessions) >= LARGE_SINCE, LARGE_NOW, LARGE)[:, None]
    return np.asarray(arrays.entitlement + np.where(arrays.dividend / close >= limits, arrays.dividend, 0.0))


def _known_closes(arrays: MarketArrays) -> Floats:
    return pl.DataFrame(arrays.close).fill_nan(None).fill_null(strategy="forward").to_numpy()


def replica(arrays: MarketArrays, inside: Flags, dates: Mapping[int, int], paid: Floats) -> Floats:
    """Return the growth of an equal-weighted index.

    `dates` maps the row after whose close the shares are set to the row at whose closes they are equal. `paid` is
    reinvested in all shares.
    """
    close, shares, growth = _known_closes(arrays), np.zeros(arrays.close.shape[1]), [1.0]
    for row in range(len(close) - 1):
        value = np.nan_to_num(shares * close[row])
        total = float(value.sum()) or 1.0
        chosen = inside[row + 1]
        if row in dates or not shares.any():
            shares = _equal(arrays, close, chosen, (row, dates.get(row, row)), total)
        elif (chosen != (shares > 0)).any():
            leaving = float(value[~chosen].sum())
            new = chosen & (shares == 0)
            shares = np.where(chosen, shares, 0.0)
            shares[new] = leaving / new.sum() / close[row][new] if new.any() else 0.0
            shares *= total / float(np.nan_to_num(shares * close[row]).sum())
        after = shares * arrays.ratio[row + 1]
        worth = float(np.nan_to_num(after * close[row + 1]).sum() + np.nan_to_num(shares * paid[row + 1]).sum())
        growth.append(growth[-1] * worth / total)
        shares = after * worth / float(np.nan_to_num(after * close[row + 1]).sum())
    return np.array(growth)


def _equal(arrays: MarketArrays, close: Floats, chosen: Flags, rows: tuple[int, int], total: float) -> Floats:
    """Return shares of equal value at the closes of an earlier row, and of `total` value at the row itself."""
    row, earlier = rows
    scale = np.prod(arrays.ratio[earlier + 1 : row + 1], axis=0)  # shares since then
    shares = np.where(chosen, scale / close[earlier], 0.0)
    return np.asarray(shares * total / float(np.nan_to_num(shares * close[row]).sum()))


def targets(arrays: MarketArrays, inside: Flags) -> pl.DataFrame:
    """Return equal weights after each quarter end, and when members change from one session to the next."""
    start = arrays.sessions.index(START)
    ends = {start, *quarter_ends(arrays.sessions)}
    days = [
        row for row in range(start, len(arrays.sessions) - 1) if row in ends or (inside[row + 1] != inside[row]).any()
    ]
    names, parts = np.array(arrays.instruments), []
    for row in days:
        chosen = names[inside[row + 1]]
        weight = INVESTED / len(chosen)
        parts.append(
            pl.DataFrame({"instrument_id": chosen}).select(
                pl.lit(arrays.sessions[row]).alias("trade_date"), "instrument_id", weight=pl.lit(weight)
            )
        )
    return pl.concat(parts)


def steps(lake: Lake, products: Path, archive: Path) -> pl.DataFrame:
    """Return trade_date and the growth of each step since the first session."""
    sessions = lake.sessions(BARS, FIRST, END)
    listed = members(products, archive, sessions)
    every = listed.select("instrument_id").unique().join(pl.DataFrame({"trade_date": sessions}), how="cross")
    arrays = market(lake, every, after=0)
    inside = arrays.wide(listed.with_columns(one=pl.lit(1.0)), "one") == 1.0
    weights, rules = targets(arrays, inside), MarketRules(capital=CAPITAL)
    free = replace(rules, charged=False, impact=0.0)
    accounts = {
        "account": rules.without_frictions(), "rules": free, "impact": replace(free, impact=1.0), "charges": rules
    }  # fmt: skip
    ends = {row: row for row in quarter_ends(arrays.sessions)}
    fully = weights.with_columns(pl.col("weight") / INVESTED)
    growth = {
        "replica": replica(arrays, inside, calendar(arrays.sessions), without_ordinary(arrays)),
        "dates": replica(arrays, inside, ends, without_ordinary(arrays)),
        "dividends": replica(arrays, inside, ends, arrays.entitlement + arrays.dividend),
    }
    for name, each in accounts.items():
        growth[name] = simulate(arrays, fully if name == "account" else weights, each).account["equity"].to_numpy()
        growth[name] = growth[name] / CAPITAL
    first = arrays.sessions.index(START)
    ours = pl.DataFrame(
        {"trade_date": arrays.sessions[first:], **{name: each[first:] / each[first] for name, each in growth.items()}}
    )
    start = pl.DataFrame({"trade_date": [START], "index": [1.0]})
    return pl.concat([start, published(products)]).join(ours, on="trade_date", how="inner").sort("trade_date")


def by_year(found: pl.DataFrame) -> pl.DataFrame:
    """Return the return of each step in each year, and over all of them a year, in per cent."""
    names = found.columns[1:]
    ends = found.group_by(pl.col("trade_date").dt.year().alias("year")).agg(pl.col(names).last()).sort("year")
    years = ends.with_columns(pl.col(names) / pl.col(names).shift(1) - 1).drop_nulls()
    count = years.height
    whole = ends.select(
        pl.lit("a year").alias("year"), (pl.col(names).last() / pl.col(names).first()) ** (1 / count) - 1
    )
    return pl.concat([years.with_columns(pl.col("year").cast(pl.String)), whole]).with_columns(pl.col(names) * 100)


def main() -> int:
    """Print returns by year, what each step adds, and the daily difference between index and replica."""
    asked = folders(__doc__)
    found = steps(Lake(Settings().lake), asked.products, asked.archive)
    years = by_year(found)
    names = years.columns[1:]
    meter.print_table("Return in per cent", years.columns, [list(row) for row in years.iter_rows()])
    added = years.select("year", *(((pl.col(b) - pl.col(a)) * 100).alias(b) for a, b in pairwise(names)))
    meter.print_table("Basis points that a step adds", added.columns, [list(row) for row in added.iter_rows()])
    gaps = found.select(
        "trade_date", gap=(pl.col("index").pct_change() - pl.col("replica").pct_change()) * 1e4
    ).drop_nulls()
    quarters = gaps.group_by(pl.col("trade_date").dt.truncate("1q").alias("quarter")).agg(
        sessions=pl.len(),
        median=pl.col("gap").abs().median(),
        below_tenth=(pl.col("gap").abs() < 0.1).sum(),  # noqa: PLR2004 - basis points
        largest=pl.col("gap").get(pl.col("gap").abs().arg_max()),
        on=pl.col("trade_date").get(pl.col("gap").abs().arg_max()).cast(pl.String),
    )
    shown = quarters.sort("quarter").with_columns(pl.col("quarter").cast(pl.String))
    meter.print_table("Index less replica, basis points a session", shown.columns, [list(r) for r in shown.iter_rows()])
    return 0


if __name__ == "__main__":
    sys.exit(main())
