"""The queries of the benchmark for ClickHouse, DuckDB and Polars; the results of all three must agree."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random
from typing import Any

import polars as pl

LIQUID, TRADED, OVERSOLD = 1e6, 1e5, 30  # rupees, rupees, points of the RSI
LONGEST, SHORTEST = 5 * 365, 30  # days of a symbol's range, drawn evenly on a logarithmic scale


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of query: SQL for ClickHouse with `{name:Type}`, and the same query in Polars."""

    name: str
    clickhouse: str
    polars: Callable[[pl.LazyFrame, pl.LazyFrame, dict[str, Any]], pl.LazyFrame]

    @property
    def duckdb(self) -> str:
        """The same query for DuckDB, with `$name`."""
        text = re.sub(r"\{(\w+):\w+\}", r"$\1", self.clickhouse)
        for word, other in _IN_DUCKDB.items():
            text = text.replace(word, other)
        return text


_IN_DUCKDB = {
    "champion_market.equity_ohlc": "bars",
    "champion_market.features_equity_indicators": "features",
    "toStartOfMonth(": "date_trunc('month', ",
    "count()": "count(*)",
    "stddevSamp": "stddev_samp",
}


_COLUMNS = "trade_date, symbol, open, high, low, close, volume, turnover"


def _history(bars: pl.LazyFrame, _: pl.LazyFrame, p: dict[str, Any]) -> pl.LazyFrame:
    wanted = (pl.col("symbol") == p["symbol"]) & pl.col("trade_date").is_between(p["start"], p["end"])
    return bars.filter(wanted).select(_COLUMNS.split(", ")).sort("trade_date")


def _movers(bars: pl.LazyFrame, _: pl.LazyFrame, p: dict[str, Any]) -> pl.LazyFrame:
    move = (pl.col("close") / pl.col("prev_close") - 1).alias("move")
    found = bars.filter(pl.col("trade_date") == p["session"], pl.col("turnover") > TRADED).select(
        "symbol", "close", move
    )
    return found.sort(pl.col("move").abs(), "symbol", descending=[True, False]).head(20)


def _monthly(bars: pl.LazyFrame, _: pl.LazyFrame, p: dict[str, Any]) -> pl.LazyFrame:
    inside = bars.filter(pl.col("trade_date").is_between(p["start"], p["end"]))
    summed = inside.group_by(pl.col("trade_date").dt.truncate("1mo").alias("month")).agg(
        pl.len().alias("bars"), pl.col("turnover").sum(), pl.col("close").max().alias("close")
    )
    return summed.sort("month")


def _dispersion(bars: pl.LazyFrame, _: pl.LazyFrame, p: dict[str, Any]) -> pl.LazyFrame:
    inside = bars.filter(pl.col("trade_date").is_between(p["start"], p["start"] + timedelta(days=90)))
    spread = (pl.col("close") / pl.col("prev_close") - 1).std().alias("spread")
    return inside.group_by("trade_date").agg(spread, pl.col("close").sum()).sort("trade_date")


def _oversold(bars: pl.LazyFrame, features: pl.LazyFrame, p: dict[str, Any]) -> pl.LazyFrame:
    low = features.filter(pl.col("trade_date") == p["late"], pl.col("rsi_14") < OVERSOLD).select("symbol", "rsi_14")
    session = bars.filter(pl.col("trade_date") == p["late"], pl.col("turnover") > LIQUID)
    return session.select("symbol", "close").join(low, on="symbol").sort("rsi_14", "symbol").head(20)


HISTORY = Kind(
    "bars of a symbol",
    f"select {_COLUMNS} from champion_market.equity_ohlc "  # noqa: S608
    "where symbol = {symbol:String} and trade_date between {start:Date} and {end:Date} order by trade_date",
    _history,
)
AGGREGATES = (
    Kind(
        "movers of a session",
        "select symbol, close, close / prev_close - 1 as move from champion_market.equity_ohlc "
        "where trade_date = {session:Date} and turnover > 1e5 order by abs(move) desc, symbol limit 20",
        _movers,
    ),
    Kind(
        "a year by month",
        "select toStartOfMonth(trade_date) as month, count() as bars, sum(turnover) as turnover, max(close) as close "
        "from champion_market.equity_ohlc where trade_date between {start:Date} and {end:Date} "
        "group by month order by month",
        _monthly,
    ),
    Kind(
        "dispersion of a quarter's sessions",
        "select trade_date, stddevSamp(b.close / b.prev_close - 1) as spread, sum(b.close) as close "
        "from champion_market.equity_ohlc as b where trade_date between {start:Date} and {start:Date} + 90 "
        "group by trade_date order by trade_date",
        _dispersion,
    ),
    Kind(
        "oversold and liquid, bars with features",
        "select symbol, close, rsi_14 from (select symbol, close from champion_market.equity_ohlc "
        "where trade_date = {late:Date} and turnover > 1e6) as b inner join (select symbol, rsi_14 "
        "from champion_market.features_equity_indicators where trade_date = {late:Date} and rsi_14 < 30) as f "
        "using (symbol) order by rsi_14, symbol limit 20",
        _oversold,
    ),
)
KINDS = {kind.name: kind for kind in (HISTORY, *AGGREGATES)}


def ranges(count: int, names: Sequence[str], days: Sequence[date]) -> list[tuple[str, dict[str, Any]]]:
    """Return queries for the bars of a symbol: a random symbol and a period of a month to five years."""
    random, found = Random(11), []  # noqa: S311
    for _ in range(count):
        length = min(int(SHORTEST * (LONGEST / SHORTEST) ** random.random()), (days[-1] - days[0]).days)
        start = days[0] + timedelta(days=random.randrange((days[-1] - days[0]).days - length + 1))
        asked = {"symbol": random.choice(names), "start": start, "end": start + timedelta(days=length)}
        found.append((HISTORY.name, asked))
    return found


def aggregations(count: int, days: Sequence[date], late: Sequence[date]) -> list[tuple[str, dict[str, Any]]]:
    """Return queries on the market, of each kind in turn; `late` are the sessions that have features."""
    random, found = Random(12), []  # noqa: S311
    for number in range(count):
        start = random.choice(days[: max(1, len(days) - 260)])
        values = {
            "session": random.choice(days), "start": start, "end": start + timedelta(days=364),
            "late": random.choice(late),
        }  # fmt: skip
        kind = AGGREGATES[number % len(AGGREGATES)]
        found.append((kind.name, {name: value for name, value in values.items() if f"{{{name}:" in kind.clickhouse}))
    return found
