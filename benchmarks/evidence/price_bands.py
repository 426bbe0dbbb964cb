"""Price bands inferred from bars, against the exchange's circuit hits and published lists.

`.venv/bin/python benchmarks/evidence/price_bands.py [--archive FOLDER] [--products FOLDER]` reads the bars of 2020-06
to 2020-12-18, of the 400 days before each published list that meets bars, and of the sessions of three market activity
reports. It prints

1. precision and recall of inferred hits against the circuit hits of 14 sessions of December 2020;
2. the number of inferred hits beside the number that the market activity report states;
3. inferred bands beside published ones, per band: known, right, share.
"""

import re
import sys
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

import polars as pl

from benchmarks import meter
from benchmarks.evidence.proof import mirror
from champion.errors import ArchiveError
from champion.market.reference.band_inference import infer
from champion.sources.lists import market_activity, pr_bundle, price_bands
from champion.sources.publications import BHAVCOPY

SHARES = ("EQ", "BE", "BZ", "SM", "ST", "SZ")
HITS = (date(2020, 6, 1), date(2020, 12, 1), date(2020, 12, 18))  # first bar, first and last session of hits
LISTS = {date(2024, 5, 6): "sec_list_committed_20240506.csv", date(2025, 2, 24): "sec_list_24022025.csv"}
REPORTS = (date(2020, 3, 23), date(2021, 2, 24), date(2024, 1, 20))
BEFORE = timedelta(400)
_KEY = ["instrument_id", "trade_date", "side"]


def main() -> int:
    """Print the three comparisons."""
    asked = meter.arguments(__doc__, archive=meter.MIRROR, products=meter.MIRROR.with_name("nse_products"))
    if not (asked.archive.is_dir() and asked.products.is_dir()):
        sys.stderr.write("no archive or no folder of lists\n")
        return 2
    with mirror.unpacked(asked.archive) as archive:
        folders = (archive, asked.products)
        _against_hits(infer(_bars(folders, HITS[0], HITS[2])), asked.products)
        for session in REPORTS:
            _against_report(infer(_bars(folders, session - timedelta(30), session)), session, asked.products)
        for session, name in LISTS.items():
            _against_list(infer(_bars(folders, session - BEFORE, session)), session, asked.products, name)
    return 0


def _bars(folders: tuple[Path, ...], start: date, end: date) -> pl.DataFrame:
    """Return the shares' bars of all sessions that one of the folders has, under symbol and series."""
    return pl.concat(_sessions(folders, start, end))


def _sessions(folders: tuple[Path, ...], start: date, end: date) -> Iterator[pl.DataFrame]:
    for number in range((end - start).days + 1):
        session = start + timedelta(number)
        files = [folder / path for path in BHAVCOPY.paths(session) for folder in folders]
        for file in (file for file in files if file.is_file()):
            try:
                rows = BHAVCOPY.read(file.name, file.read_bytes(), session).rows
            except ArchiveError:  # the answer to a holiday is the file of the session before
                continue
            yield _typed(rows.filter(pl.col("SctySrs").is_in(SHARES)), session)
            break


def _typed(rows: pl.DataFrame, session: date) -> pl.DataFrame:
    prices = {"prev_close": "PrvsClsgPric", "high": "HghPric", "low": "LwPric"}
    floats = {name: pl.col(column).cast(pl.Float64, strict=False) for name, column in prices.items()}
    return rows.select(instrument_id="TckrSymb", trade_date=pl.lit(session), series="SctySrs", **floats)


def _sides(found: pl.DataFrame) -> pl.DataFrame:
    """Return one row per inferred hit: instrument_id, trade_date, side."""
    sides = [found.filter(f"hit_{side}").select(*_KEY[:2], side=pl.lit(side)) for side in ("high", "low")]
    return pl.concat(sides)


def _against_hits(found: pl.DataFrame, products: Path) -> None:
    published = []
    for path in sorted((products / "archives/equities/bhavcopy/pr").glob("PR*1220.zip")):
        session = datetime.strptime(path.stem[2:], "%d%m%y").date()  # noqa: DTZ007 - a date has no time zone
        rows = pr_bundle.read_hits(path.name, path.read_bytes(), session).rows.filter(pl.col("SERIES").is_in(SHARES))
        side = pl.col("HIGH_LOW").replace({"H": "high", "L": "low"})
        published.append(rows.select(instrument_id="SYMBOL", trade_date=pl.lit(session), side=side))
    real, own = pl.concat(published), _sides(found.filter(pl.col("trade_date") >= HITS[1]))
    right = own.join(real, on=_KEY, how="semi").height
    sessions = f"circuit hits of {len(published)} sessions"
    print(f"{sessions}: {real.height:,} published, {own.height:,} inferred, {right:,} in both")
    print(f"precision {right / own.height:.1%}, recall {right / real.height:.1%}")


def _against_report(found: pl.DataFrame, session: date, products: Path) -> None:
    path = products / f"archives/equities/mkt/MA{session:%d%m%y}.csv.zip"
    stated = market_activity.price_band_hits(path.name, path.read_bytes())
    own = _sides(found.filter(pl.col("trade_date") == session))
    shares = own.select("instrument_id").n_unique()
    print(f"{session}: {stated} securities of all kinds by the report; {own.height} inferred hits of {shares} shares")


def _against_list(found: pl.DataFrame, session: date, products: Path, name: str) -> None:
    content = (products / "content/equities" / name).read_bytes()
    if not content.endswith(b"\n"):  # re-saved by its author, who also replaced some series by the symbol and a comma
        content = re.sub(rb',"[^",]*,",', b",BE,", content) + b"\n"
    bands = price_bands.read(name, content, session).rows.select(instrument_id="Symbol", band="Band")
    both = bands.join(found.filter(pl.col("trade_date") == session), on="instrument_id")
    known = pl.col("band_percent").is_not_null()
    right = (pl.col("band") == pl.col("band_percent").cast(pl.String)).fill_null(value=False)
    table = both.group_by("band").agg(
        pl.len().alias("listed"),
        known.sum().alias("inferred"),
        right.sum().alias("right"),
    )
    order = pl.col("band").cast(pl.Int64, strict=False)
    total = table.select(pl.exclude("band").sum()).row(0, named=True)
    print(f"list of {session}: {bands.height:,} rows, {both.height:,} with a bar of that session")
    print(f"inferred {total['inferred']:,}, right {total['right']:,} ({total['right'] / total['inferred']:.1%})")
    with pl.Config(tbl_hide_dataframe_shape=True, tbl_hide_column_data_types=True):
        print(table.sort(order, nulls_last=True))


if __name__ == "__main__":
    raise SystemExit(main())
