"""The total return of NIFTY 50 estimated from index and yield, against the published index, by year; and NIFTY 500's.

`.venv/bin/python benchmarks/evidence/total_return.py [--products FOLDER]` prints

1. the error of the estimate for NIFTY 50, 2015 to 2021, where index, yield and total return index are known;
2. the estimated returns of NIFTY 500 by year from the provider's own files, and what the estimate adds to the price;
3. the equal-weighted indices of the market activity reports, 2020 to 2023, beside NIFTY 50.
"""

import sys
import zipfile
from datetime import date
from pathlib import Path

import polars as pl

from benchmarks import meter
from champion.market.reference.benchmarks import error_by_year, estimate_total_return
from champion.sources.lists import index_history

FIRST = date(2015, 1, 1)


def main() -> int:
    """Print the three tables."""
    asked = meter.arguments(__doc__, products=meter.MIRROR.with_name("nse_products"))
    if not asked.products.is_dir():
        sys.stderr.write("no folder of lists\n")
        return 2
    derived = asked.products / "derived"
    with pl.Config(tbl_rows=40, tbl_hide_dataframe_shape=True, tbl_hide_column_data_types=True, float_precision=4):
        print("NIFTY 50: returns by year, errors in basis points")
        print(error_by_year(estimate_total_return(_nifty(derived)), _published(derived)))
        print("NIFTY 500: estimated total return, its price return and the difference")
        print(_broad(derived))
        print("equal weight: price returns by year from the market activity reports")
        print(_equal(derived))
    return 0


def _member(path: Path, name: str) -> bytes:
    with zipfile.ZipFile(path) as archive:
        return archive.read(name)


def _nifty(derived: Path) -> pl.DataFrame:
    rows = pl.read_csv(_member(derived / "india_vix_repo/NIFTY 50.csv.zip", "NIFTY 50.csv"), try_parse_dates=True)
    named = rows.select(trade_date="Date", close="Close", dividend_yield="Div Yield")
    return named.filter(pl.col("trade_date") >= FIRST)


def _published(derived: Path) -> pl.DataFrame:
    rows = pl.read_csv(_member(derived / "anuj_tri/nifty50_tri_2015_2025.csv.zip", "nifty50_tri.csv"))
    return rows.select(trade_date=pl.col("timestamp").str.slice(0, 10).str.to_date(), level="close")


def _broad(derived: Path) -> pl.DataFrame:
    frames = []
    for part in ("to2018", "from2019"):
        with zipfile.ZipFile(derived / f"niftyindices_history/NIFTY_500_{part}.zip") as archive:
            frames += [index_history.parse(name, archive.read(name)) for name in archive.namelist()]
    rows = pl.concat(frames).filter(pl.col("trade_date") >= FIRST)
    values = pl.col("close", "dividend_yield").drop_nulls().first()
    history = rows.group_by("trade_date").agg(values).sort("trade_date")
    unknown = history.filter(pl.any_horizontal(pl.all().is_null()))
    print(f"{history.height:,} sessions, {unknown.height} left out because they lack close or yield")
    known = history.drop_nulls()
    estimate = estimate_total_return(known)
    published = pl.read_csv(derived / "raviupadrasta/nifty_tri.csv", try_parse_dates=True)
    weeks = error_by_year(estimate, published.select(trade_date="Date", level="NIFTY 500")).row(0, named=True)
    print(f"published for {weeks['sessions']} sessions of {weeks['year']}: error {weeks['error_bp']:.2f} bp")
    compared = error_by_year(estimate, known.select("trade_date", level="close"))
    return compared.select(
        "year", "sessions", pl.col("published").alias("price"), pl.col("estimated").alias("total"), income_bp="error_bp"
    )


def _equal(derived: Path) -> pl.DataFrame:
    content = _member(derived / "chartiny_ma/ma_index_2020_2023.csv.zip", "ma_index.csv")
    rows = pl.read_csv(content, try_parse_dates=True)
    wanted = rows.filter(pl.col("index").is_in(["Nifty 50", "NIFTY50 EQL Wgt", "NIFTY100 EQL Wgt"])).sort("date")
    first = pl.col("previous_close").first()
    by_year = wanted.group_by(pl.col("date").dt.year().alias("year"), "index", maintain_order=True)
    return by_year.agg(pl.col("close").last() / first - 1).pivot(on="index", index="year", values="close")


if __name__ == "__main__":
    raise SystemExit(main())
