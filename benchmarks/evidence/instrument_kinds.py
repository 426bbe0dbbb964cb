"""Every instrument of the real files by kind and year, a sample to check by hand, and no fund in universe `liquid`.

`.venv/bin/python benchmarks/evidence/instrument_kinds.py --home FOLDER [--products FOLDER] [--draw 100] [--seed 7]
[--out FILE]` reads the workspace that `coverage.py --home FOLDER` filled, and writes nothing there. `--products` is a
folder with more cash-market files in the archive's paths, which are classified by themselves. `--out` keeps every
instrument with its evidence as Parquet. The script ends with exit code 1 if a unit of a mutual fund, by its ISIN alone,
is in `liquid`, if two lines of one issuer count as company shares in one session, or if a combination of series and
ISIN type has no rule.
"""

import csv
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import polars as pl

from benchmarks import meter
from champion.contracts.datasets import BARS
from champion.contracts.instrument_kinds import UNKNOWN
from champion.lake import Lake
from champion.market.equity_bars import EQUITY_SERIES, instrument_id
from champion.market.reference import instrument_kind
from champion.modeling.universe import UNIVERSES
from champion.pipeline.ingest.adjusted_bars import adjusted_bars
from champion.pipeline.ingest.symbol_master import register
from champion.pipeline.models import frames
from champion.sources.parse import parse

_ID, _KIND, _DAY = "instrument_id", instrument_kind.COLUMN, "trade_date"
_ISSUER = 7  # characters of an ISIN that name the issuer
_FUND = "INF"
_FUND_NAME = r"\b(ETF|ETFS|BEES|MF)\b|MUTUAL FUND|EXCHANGE TRADED|FUND HOUSE"
_FILES = ("content/cm/*.csv.zip", "content/historical/EQUITIES/*/*/*.csv.zip")


def main() -> int:
    """Print the counts and the sample; return 1 if one of the three statements is wrong."""
    asked = meter.arguments(
        __doc__, {"--home": Path}, products=meter.MIRROR.parent / "nse_products", draw=100, seed=7, out=Path
    )
    lake = Lake(asked.home / "lake")
    found = register(lake)
    with pl.Config(tbl_rows=-1, tbl_cols=-1, fmt_str_lengths=130, tbl_width_chars=260, tbl_hide_dataframe_shape=True):
        print(
            f"{found.height:,} instruments of the lake by kind, and those that trade in a year:", _by_year(lake, found)
        )
        print("Shares by the state of their life:", _by_status(found))
        print("Not decided:", found.filter(pl.col(_KIND) == UNKNOWN).select("symbol", "series", "evidence"))
        combinations = _combinations(lake.scan(BARS))
        print("Rows and symbols of each ISIN type, by series:", combinations)
        for sessions, more in _products(asked.products):
            print(f"{sessions} more sessions, instruments by kind:", more)
        members, wrong = _liquid(lake, found)
        print("Instruments in `liquid` by year, with the kinds that were in it without the filter:", members)
        for count, different in _names(asked.products, found):
            print(
                f"{count:,} active instruments of the price-band list of 2024-05-06; its name is another kind's in:",
                different,
            )
        print(f"{asked.draw} instruments, drawn with seed {asked.seed}:", _drawn(found, asked.draw, asked.seed))
    if asked.out:
        found.write_parquet(asked.out)
    twice = _second_lines(lake, found)
    uncovered = combinations.filter(pl.col("kinds").list.contains(UNKNOWN) & (pl.col("isin") != "none"))
    problems = {"funds in `liquid`": wrong, "issuers with two lines of shares": twice, "without a rule": uncovered}
    for name, rows in problems.items():
        print(f"{name}: {rows.height}", *([rows] if rows.height else []))
    return int(any(rows.height for rows in problems.values()))


def _by_year(lake: Lake, found: pl.DataFrame) -> pl.DataFrame:
    """Return the number of instruments by kind: all, and those with a bar in each year."""
    years = lake.scan(BARS).select(_ID, year=pl.col(_DAY).dt.year()).unique().collect()
    wide = years.join(found.select(_ID, _KIND), on=_ID).group_by(_KIND, "year").len()
    table = wide.sort("year").pivot("year", index=_KIND, values="len").fill_null(0)
    return found.group_by(_KIND).len("all").join(table, on=_KIND, how="left").sort("all", descending=True)


def _by_status(found: pl.DataFrame) -> pl.DataFrame:
    shares = found.filter(pl.col(_KIND) == "equity")
    return shares.group_by("status").agg(pl.len().alias("shares"), listed_on=pl.col("listed_on").count()).sort("status")


def _combinations(bars: pl.LazyFrame) -> pl.DataFrame:
    """Return the rows, symbols and kinds of each ISIN type, with the series that it appears in."""
    columns = [pl.col(name) for name in ("isin", "series", "symbol")]
    each = bars.group_by("isin", "series", "symbol").len("rows").collect()
    isin = pl.col("isin")
    code = pl.when(isin.str.contains("^IN[EF9]")).then(isin.str.slice(0, 3) + isin.str.slice(7, 2))
    coded = each.with_columns(
        instrument_kind.kind(*columns), isin=pl.coalesce(code, isin.str.slice(0, 3), pl.lit("none"))
    )
    by_series = coded.group_by("isin", "series").agg(
        pl.col("rows").sum(), pl.col("symbol").n_unique(), pl.col(_KIND).unique()
    )
    text = pl.format("{} {}/{}", "series", "rows", "symbol").sort_by("rows", descending=True)
    return (
        by_series.group_by("isin")
        .agg(pl.col("rows").sum(), kinds=pl.col(_KIND).explode().unique().sort(), series=text.str.join(", "))
        .sort("rows", descending=True)
    )


def _products(folder: Path) -> Iterator[tuple[int, pl.DataFrame]]:
    """Yield the number of sessions of the cash-market files below a folder, and their instruments by kind and year."""
    parts = []
    for path in sorted(path for pattern in _FILES for path in folder.glob(pattern)):
        session = _session(path.name)
        rows = parse(path.name, path.read_bytes(), session).rows
        parts.append(rows.select(pl.lit(session).alias(_DAY), symbol="TckrSymb", isin="ISIN", series="SctySrs"))
    if parts:
        bars = pl.concat(parts).with_columns(
            instrument_id(pl.col("symbol"), pl.col("series"), pl.lit("NSE")).alias(_ID)
        )
        found = instrument_kind.classify(bars)
        years = bars.select(_ID, year=pl.col(_DAY).dt.year()).unique().join(found, on=_ID)
        wide = years.group_by(_KIND, "year").len().sort("year").pivot("year", index=_KIND, values="len").fill_null(0)
        yield bars[_DAY].n_unique(), wide.sort(wide.columns[-1], descending=True)


def _names(folder: Path, found: pl.DataFrame) -> Iterator[tuple[int, pl.DataFrame]]:
    """Yield how many shares and funds the list of price bands names, and those whose name says another kind.

    The list has names and no ISIN, so it is evidence apart from the rules.
    """
    for path in folder.glob("content/equities/sec_list_committed_20240506.csv"):
        lines = list(csv.reader(path.read_text(encoding="latin-1").splitlines()))[1:]
        names = pl.DataFrame([line[:3] for line in lines], schema=["symbol", "listed_series", "name"], orient="row")
        shares = names.with_columns(pl.all().str.strip_chars()).filter(pl.col("listed_series").is_in(EQUITY_SERIES))
        active = found.filter(pl.col("status") == "active", pl.col("series").is_in(EQUITY_SERIES))
        both = shares.join(active, on="symbol")
        yield (
            both.height,
            both.filter(pl.col("name").str.contains(_FUND_NAME) != (pl.col(_KIND) == "fund")).select(
                "symbol", "name", _KIND, "isin"
            ),
        )


def _session(name: str) -> date:
    """Return the session in the name of a bhavcopy, UDiFF or legacy."""
    if name.startswith("BhavCopy"):
        return datetime.strptime(name.split("_")[6], "%Y%m%d").date()  # noqa: DTZ007 - a date has no zone
    return datetime.strptime(name[2:11].title(), "%d%b%Y").date()  # noqa: DTZ007


def _liquid(lake: Lake, found: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return by year the members of `liquid` and what the same filters held before, and the funds among the members.

    A fund is recognised by the ISIN of any of its bars, without the rules.
    """
    isins = lake.scan(BARS).filter(pl.col("isin").str.starts_with(_FUND)).select(pl.col(_ID).unique()).collect()[_ID]
    liquid = UNIVERSES["liquid"]
    before = replace(liquid, kinds=())
    sessions = lake.sessions(BARS)
    tables, wrong = [], []
    columns = [_ID, "symbol", "isin", _DAY, "series", "close", "turnover"]
    for year in range(sessions[0].year, sessions[-1].year + 1):
        earlier = [day for day in sessions if day.year < year][-45:]
        start = earlier[0] if earlier else date(year, 1, 1)
        bars = adjusted_bars(lake, start, date(year, 12, 31), columns=columns, kinds=None)
        of_year = pl.col(_DAY) >= date(year, 1, 1)
        now, then = (frames._members(lake, bars, one).filter(of_year) for one in (liquid, before))  # noqa: SLF001
        wrong.append(now.filter(pl.col(_ID).is_in(isins.implode())))
        kinds = then.join(found.select(_ID, _KIND), on=_ID).join(bars.select(_ID, _DAY, "turnover"), on=[_ID, _DAY])
        share = pl.col("turnover").sum() / kinds["turnover"].sum()
        by_kind = kinds.group_by(_KIND).agg(pl.col(_ID).n_unique().alias("instruments"), turnover=share)
        text = pl.format("{} {} ({}%)", _KIND, "instruments", (pl.col("turnover") * 100).round(3))
        others = by_kind.filter(pl.col(_KIND) != "equity").sort("instruments", descending=True).select(text)
        rows = {"year": year, "liquid": now[_ID].n_unique(), "before": then[_ID].n_unique()}
        tables.append(rows | {"left out": ", ".join(others.to_series())})
    return pl.DataFrame(tables), pl.concat(wrong)


def _second_lines(lake: Lake, found: pl.DataFrame) -> pl.DataFrame:
    """Return the issuers of which two company shares have a bar in one session, in any series."""
    shares = found.filter(pl.col(_KIND) == "equity")[_ID]
    bars = lake.scan(BARS).filter(pl.col("isin").is_not_null() & pl.col(_ID).is_in(shares.implode()))
    bars = bars.select(_ID, _DAY, pl.col("isin").str.slice(0, _ISSUER))
    lines = bars.group_by("isin", _DAY).agg(pl.col(_ID).unique().sort()).filter(pl.col(_ID).list.len() > 1).collect()
    return lines.group_by("isin", pl.col(_ID).list.join(" ")).len("sessions")


def _drawn(found: pl.DataFrame, count: int, seed: int) -> pl.DataFrame:
    chosen = found.sample(min(count, found.height), seed=seed, shuffle=True).sort(_KIND, "symbol", "series")
    return chosen.select("symbol", "series", "isin", _KIND, "first_session", "last_session", "status", "evidence")


if __name__ == "__main__":
    sys.exit(main())
