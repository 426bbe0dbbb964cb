"""An equal-weighted NIFTY 50 beside the published NIFTY50 Equal Weight index, 2020 to 2023, and why they differ.

`CHAMPION_HOME=data/nse .venv/bin/python benchmarks/evidence/portfolio_equal_weight.py [--products FOLDER]
[--archive FOLDER]` needs bars,
corporate actions and index lists in the workspace. The published closes are those of the market activity reports. The
steps lead from the index to an account, each with its growth by year and what it adds:

1. `index`: published closes, a price index;
2. `replica`: members as of each date, equal at the closes three sessions before the last session of March, June,
   September and December, and in force after that session, as the provider sets its capped weights; a company that
   comes takes the value of one that leaves. Without dividends;
3. `dates`: the same, but equal at the closes of the last session itself;
4. `dividends`: with dividends reinvested;
5. `account`: an account that decides on the last session of a quarter and when members change, without any rule: filled
   at the average price of the next session;
6. `rules`: whole shares, bands, participation, settlement and 2% of cash, without charges and impact;
7. `impact` and 8. `charges`: with all rules.
"""

import sys
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks import meter
from benchmarks.evidence.membership import real_lists, symbol_history
from champion.contracts.datasets import BARS
from champion.lake import Lake
from champion.market.reference.indices.membership import memberships, require_covered, within
from champion.pipeline.models.portfolio import market
from champion.portfolio.arrays import Flags, Floats, MarketArrays
from champion.portfolio.simulator import MarketRules, simulate
from champion.settings import Settings

START, END, INDEX, PUBLISHED = date(2019, 12, 31), date(2023, 12, 29), "NIFTY 50", "NIFTY50 EQL Wgt"
BEFORE = 3  # sessions from the closes that set the weights to the session after which they hold
INVESTED, CAPITAL = 0.98, 1e8
QUARTER_ENDS = (3, 6, 9, 12)


def published(products: Path) -> pl.DataFrame:
    """Return trade_date and the growth of the published index since the close before its first session."""
    with zipfile.ZipFile(products / "derived/chartiny_ma/ma_index_2020_2023.csv.zip") as archive:
        rows = pl.read_csv(archive.read("ma_index.csv"), try_parse_dates=True).filter(pl.col("index") == PUBLISHED)
    ordered = rows.sort("date")
    return ordered.select(trade_date="date", index=pl.col("close") / pl.col("previous_close").first())


def members(products: Path, archive: Path, sessions: Sequence[date]) -> pl.DataFrame:
    """Return trade_date and instrument_id of the members in each session, from all real lists and changes."""
    lists, changes, _ = real_lists(products, symbol_history(archive))
    found = memberships(lists, changes)
    require_covered(found.covered, INDEX, sessions[0], sessions[-1])
    periods = found.members.filter(index_name=INDEX)
    names = periods.select(pl.col("instrument_id").drop_nulls().unique().sort())
    return within(
        pl.DataFrame({"trade_date": sessions}).join(names, how="cross"), periods, "member_from", "member_until"
    )


def quarter_ends(sessions: Sequence[date]) -> list[int]:
    """Return the rows of the last sessions of quarters; the first row counts as one."""
    ends = [
        row
        for row, (day, after) in enumerate(pairwise(sessions))
        if day.month in QUARTER_ENDS and after.month != day.month
    ]
    return sorted({0, *ends})


def replica(arrays: MarketArrays, inside: Flags, before: int, *, dividends: bool) -> Floats:
    """Return the growth of an equal-weighted index: shares are set on quarter ends, from closes `before` it."""
    close = pl.DataFrame(arrays.close).fill_nan(None).fill_null(strategy="forward").to_numpy()
    ends, shares, growth = set(quarter_ends(arrays.sessions)), np.zeros(close.shape[1]), [1.0]
    paid = arrays.entitlement + arrays.dividend * dividends
    for row in range(len(close) - 1):
        value = np.nan_to_num(shares * close[row])
        total = float(value.sum()) or 1.0
        chosen = inside[row + 1]
        if row in ends:
            shares = _equal(arrays, close, chosen, (row, max(0, row - before)), total)
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
    ends = set(quarter_ends(arrays.sessions))
    days = [row for row in range(len(arrays.sessions) - 1) if row in ends or (inside[row + 1] != inside[row]).any()]
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
    sessions = lake.sessions(BARS, START, END)
    listed = members(products, archive, sessions)
    every = listed.select("instrument_id").unique().join(pl.DataFrame({"trade_date": sessions}), how="cross")
    arrays = market(lake, every, after=0)
    inside = arrays.wide(listed.with_columns(one=pl.lit(1.0)), "one") == 1.0
    weights, rules = targets(arrays, inside), MarketRules(capital=CAPITAL)
    free = replace(rules, charged=False, impact=0.0)
    accounts = {
        "account": rules.without_frictions(), "rules": free, "impact": replace(free, impact=1.0), "charges": rules
    }  # fmt: skip
    fully = weights.with_columns(pl.col("weight") / INVESTED)
    growth = {
        "replica": replica(arrays, inside, BEFORE, dividends=False),
        "dates": replica(arrays, inside, 0, dividends=False),
        "dividends": replica(arrays, inside, 0, dividends=True),
    }
    for name, each in accounts.items():
        growth[name] = simulate(arrays, fully if name == "account" else weights, each).account["equity"].to_numpy()
        growth[name] = growth[name] / CAPITAL
    ours = pl.DataFrame({"trade_date": arrays.sessions, **growth})
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
    asked = meter.arguments(__doc__, products=meter.MIRROR.with_name("nse_products"), archive=meter.MIRROR)
    if not (asked.products.is_dir() and asked.archive.is_dir()):
        sys.stderr.write(f"no real lists at {asked.products}, or no archive at {asked.archive}\n")
        return 2
    found = steps(Lake(Settings().lake), asked.products, asked.archive)
    years = by_year(found)
    names = years.columns[1:]
    meter.print_table("Return in per cent", years.columns, [list(row) for row in years.iter_rows()])
    added = years.select("year", *(((pl.col(b) - pl.col(a)) * 100).alias(b) for a, b in pairwise(names)))
    meter.print_table("Basis points that a step adds", added.columns, [list(row) for row in added.iter_rows()])
    for name in ("replica", "dates"):
        daily = found.select(gap=pl.col("index").pct_change() - pl.col(name).pct_change()).drop_nulls()["gap"] * 1e4
        worst = found["trade_date"][int(daily.abs().arg_max() or 0) + 1]
        print(
            f"index less {name}, basis points a session: mean {daily.mean():.3f}, deviation {daily.std():.2f}, "
            f"largest {daily.abs().max():.1f} on {worst}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
