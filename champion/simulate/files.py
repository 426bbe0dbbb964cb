"""Write the files of a session: both bhavcopy formats and the full report with delivery figures.

Formats are copied from real files, oddities included. The bytes depend on the arguments alone.
"""

import io
import re
import zipfile
from collections.abc import Iterable
from datetime import date

import polars as pl

from champion.simulate.changes import Change
from champion.simulate.market import Quotes
from champion.simulate.universe import Instrument
from champion.sources import full_bhavcopy, legacy as legacy_bhavcopy, udiff as udiff_bhavcopy

UDIFF_FROM = date(2024, 1, 1)
LEGACY_TO = date(2024, 7, 5)  # both formats were published for half a year
NEW_HEADER_FROM = date(2024, 6, 21)
SETTLEMENT_DIFFERS_FROM = date(2024, 7, 5)
SAME_DAY_SETTLEMENT_FROM = date(2024, 3, 28)  # series T0
SETTLEMENT_DIFFERS = 0.45
T0_SYMBOLS = 3
T0_CHANCE = 0.5
MOVED_CODE, T0_CODE = 300_000, 600_000  # a new series is a new instrument number
LAKH = 100_000
NOT_DELIVERABLE = ("BE", "BZ")  # every trade is for delivery, so no figures
TRAILING_ZEROS = re.compile(rb"\.00(?=,)|(\.\d)0(?=,)")


def identities(universe: tuple[Instrument, ...]) -> pl.DataFrame:
    """Return code, isin, symbol, series, name and lot of each instrument at the first session."""
    columns = ("code", "isin", "symbol", "series", "name", "lot")
    return pl.DataFrame({name: [getattr(one, name) for one in universe] for name in columns})


def apply_changes(identity: pl.DataFrame, changes: Iterable[Change]) -> pl.DataFrame:
    """Return the identities after the changes."""
    identity = identity.clone()
    for change in changes:
        identity[change.position, change.attribute] = change.after
        if change.attribute == "series":
            step = -MOVED_CODE if change.after == "EQ" else MOVED_CODE
            identity[change.position, "code"] = identity[change.position, "code"] + step
    return identity


def bars(identity: pl.DataFrame, quotes: Quotes) -> pl.DataFrame:
    """Return a session's rows in random order: identity, prices and turnover in rupees, volume, trades."""
    differs = quotes.session >= SETTLEMENT_DIFFERS_FROM
    names = ("open", "high", "low", "close", "previous", "noise", "volume", "turnover", "trades", "delivered", "chance")
    last = pl.when(pl.lit(pl.Series(quotes.has_last))).then(pl.lit(pl.Series(quotes.last)))
    figures = identity.with_columns(**{name: getattr(quotes, name) for name in names}, last=last).filter(quotes.traded)
    rows = pl.concat([figures, _same_day(figures)]) if quotes.session >= SAME_DAY_SETTLEMENT_FROM else figures
    noisy = pl.lit(differs) & (pl.col("chance") < SETTLEMENT_DIFFERS) & (pl.col("series") == "EQ")
    rows = rows.with_columns(
        settlement=pl.when(noisy).then(pl.col("close") + pl.col("noise")).otherwise("close"),
        name=pl.col("name").str.to_uppercase().str.slice(0, 25).str.strip_chars_end(),
        order=pl.col("chance") * 1_000 % 1,
    )
    prices = pl.col("open", "high", "low", "close", "last", "previous", "settlement", "turnover")
    return rows.with_columns(prices / 100).sort("order", "series")


def udiff(session: date, rows: pl.DataFrame) -> bytes:
    """Return the UDiFF bhavcopy of a session, its header as of the date."""
    empty = pl.lit(None, pl.String)
    day = pl.lit(session.isoformat())
    columns = [day, day, *map(pl.lit, ("CM", "NSE", "STK")), *map(pl.col, ("code", "isin", "symbol", "series"))]
    columns += [empty] * 4 + [pl.col("name"), *map(pl.col, ("open", "high", "low", "close", "last", "previous"))]
    columns += [empty, pl.col("settlement"), empty, empty, *map(pl.col, ("volume", "turnover", "trades"))]
    columns += [pl.lit("F1"), pl.col("lot"), *[empty] * 5]
    header = udiff_bhavcopy.HEADERS[1 if session >= NEW_HEADER_FROM else 0]
    return f"{header}\n".encode() + _csv(rows, columns)


def legacy(session: date, rows: pl.DataFrame) -> bytes:
    """Return the legacy bhavcopy of a session: sorted, no trailing zeros, 0 for a missing last price."""
    names = ("symbol", "series", "open", "high", "low", "close", "last", "previous", "volume", "turnover")
    columns = [pl.col("last").fill_null(0.0) if name == "last" else pl.col(name) for name in names]
    columns += [pl.lit(stamp(session)), pl.col("trades"), pl.col("isin"), pl.lit(None, pl.String)]
    text = _csv(rows.sort("symbol", "series"), columns)
    return f"{legacy_bhavcopy.HEADERS[0]}\n".encode() + TRAILING_ZEROS.sub(rb"\1", text)


def full(session: date, rows: pl.DataFrame) -> bytes:
    """Return the full report of a session: spaces after commas, `-` for no delivery figures, no ISIN.

    A missing last price is a blank. Series T0 and three in four N1 instruments are left out, as some debt is in the
    real report.
    """
    day = f"{session:%d-%b-%Y}"
    names = ("symbol", "series", "code", "previous", "open", "high", "low", "last", "close", "volume", "turnover")
    fields = sorted(zip(*(rows[name].to_list() for name in (*names, "trades", "delivered")), strict=True))
    lines = [
        f"{symbol}, {series}, {day}, {before:.2f}, {opened:.2f}, {high:.2f}, {low:.2f}, "
        f"{'' if last is None else f'{last:.2f}'}, {close:.2f}, {turnover / volume:.2f}, {volume}, "
        f"{turnover / LAKH:.2f}, {trades}, "
        + ("-, -\n" if series in NOT_DELIVERABLE else f"{delivered}, {100 * delivered / volume:.2f}\n")
        for symbol, series, code, before, opened, high, low, last, close, volume, turnover, trades, delivered in fields
        if series != "T0" and (series != "N1" or code % 4 == 0)
    ]
    return "".join([f"{full_bhavcopy.HEADERS[0]}\n", *lines]).encode()


def zip_file(name: str, content: bytes, session: date) -> bytes:
    """Return a zip with one file, dated 19:00 on its session."""
    buffer = io.BytesIO()
    member = zipfile.ZipInfo(name, (session.year, session.month, session.day, 19, 0, 0))
    member.create_system, member.external_attr = 3, 0o644 << 16  # the same bytes on every system
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(member, content, zipfile.ZIP_DEFLATED, compresslevel=6)
    return buffer.getvalue()


def _same_day(figures: pl.DataFrame) -> pl.DataFrame:
    """Return the T0 rows: one price, a few shares, and the close of the EQ row, which may differ from that price."""
    equities = figures.filter(pl.col("series") == "EQ").sort("code").head(T0_SYMBOLS)
    shares = 1 + (pl.col("chance") * 40).cast(pl.Int64)
    return equities.filter(pl.col("chance") < T0_CHANCE).with_columns(
        chance=pl.col("chance") * 2,  # another position among the rows
        high="open",
        low="open",
        last="open",
        series=pl.lit("T0"),
        code=pl.col("code") + T0_CODE,
        volume=shares,
        turnover=shares * pl.col("open"),
        trades=pl.lit(1, pl.Int64),
    )


def _csv(rows: pl.DataFrame, columns: list[pl.Expr]) -> bytes:
    named = [column.alias(str(place)) for place, column in enumerate(columns)]
    text = rows.select(named).write_csv(include_header=False, float_precision=2, quote_style="never")
    return text.encode()


def stamp(day: date) -> str:
    """Return a date in the spelling of the lists and of the legacy bhavcopy.

    >>> stamp(date(2024, 7, 5))
    '05-JUL-2024'
    """
    return f"{day:%d-%b-%Y}".upper()
