"""The texts of the exchange's files: both bhavcopy formats, both lists of names, and the corporate actions.

Formats are copied from real files, oddities included; `zipped` makes the archive member. Everything returned is bytes
that depend on the arguments alone.
"""

from __future__ import annotations

import io
import re
import zipfile
from datetime import date, timedelta
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from champion.simulate.events import Action, Change, Events
    from champion.simulate.market import Quotes
    from champion.simulate.universe import Instrument

UDIFF_FROM = date(2024, 1, 1)
LEGACY_TO = date(2024, 7, 5)  # both were published for half a year
NEW_HEADER_FROM = date(2024, 6, 21)
SETTLEMENT_DIFFERS_FROM = date(2024, 7, 5)
SAME_DAY_SETTLEMENT_FROM = date(2024, 3, 28)  # series T0
SAME_DAY_RECORD_FROM = date(2023, 1, 27)  # with T+1 settlement the record date became the ex-date
SETTLEMENT_DIFFERS = 0.45
T0_SYMBOLS = 3
T0_CHANCE = 0.5
MOVED_CODE, T0_CODE = 300_000, 600_000  # a new series is a new instrument number
UDIFF_FIELDS = (
    "TradDt,BizDt,Sgmt,Src,FinInstrmTp,FinInstrmId,ISIN,TckrSymb,SctySrs,XpryDt,FininstrmActlXpryDt,StrkPric,OptnTp,"
    "FinInstrmNm,OpnPric,HghPric,LwPric,ClsPric,LastPric,PrvsClsgPric,UndrlygPric,SttlmPric,OpnIntrst,ChngInOpnIntrst,"
    "TtlTradgVol,TtlTrfVal,TtlNbOfTxsExctd,SsnId,NewBrdLotQty,Rmks"
)
OLD_RESERVED = ",Rsvd01,Rsvd02,Rsvd03,Rsvd04,\n"  # a comma too many: 35 names over 34 fields
NEW_RESERVED = ",Rsvd1,Rsvd2,Rsvd3,Rsvd4\n"
LEGACY_HEADER = "SYMBOL,SERIES,OPEN,HIGH,LOW,CLOSE,LAST,PREVCLOSE,TOTTRDQTY,TOTTRDVAL,TIMESTAMP,TOTALTRADES,ISIN,\n"
MASTER_HEADER = "SYMBOL,NAME OF COMPANY, SERIES, DATE OF LISTING, PAID UP VALUE, MARKET LOT, ISIN NUMBER, FACE VALUE\n"
ACTIONS_HEADER = (
    "SYMBOL", "COMPANY NAME", "SERIES", "PURPOSE", "FACE VALUE", "EX-DATE", "RECORD DATE",
    "BOOK CLOSURE START DATE", "BOOK CLOSURE END DATE",
)  # fmt: skip
TRAILING_ZEROS = re.compile(rb"\.00(?=,)|(\.\d)0(?=,)")
MASTER_SERIES = ("EQ", "BE")


def identities(universe: tuple[Instrument, ...]) -> pl.DataFrame:
    """Return code, isin, symbol, series, name and lot of each instrument at the first session."""
    columns = ("code", "isin", "symbol", "series", "name", "lot")
    return pl.DataFrame({name: [getattr(one, name) for one in universe] for name in columns})


def changed(identity: pl.DataFrame, changes: Iterable[Change]) -> pl.DataFrame:
    """Return the identities after some changes."""
    identity = identity.clone()
    for change in changes:
        identity[change.position, change.attribute] = change.after
        if change.attribute == "series":
            identity[change.position, "code"] = identity[change.position, "code"] + MOVED_CODE
    return identity


def bars(identity: pl.DataFrame, quotes: Quotes) -> pl.DataFrame:
    """Return a session's rows in random order: identity, prices and turnover in rupees, volume, trades."""
    differs = quotes.session >= SETTLEMENT_DIFFERS_FROM
    figures = identity.with_columns(
        open=quotes.open,
        high=quotes.high,
        low=quotes.low,
        close=quotes.close,
        last=pl.when(pl.lit(pl.Series(quotes.has_last))).then(pl.lit(pl.Series(quotes.last))),
        previous=quotes.previous,
        noise=quotes.settlement_noise,
        volume=quotes.volume,
        turnover=quotes.turnover,
        trades=quotes.trades,
        chance=quotes.chance,
    ).filter(quotes.traded)
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
    header = UDIFF_FIELDS + (NEW_RESERVED if session >= NEW_HEADER_FROM else OLD_RESERVED)
    return header.encode() + _csv(rows, columns)


def legacy(session: date, rows: pl.DataFrame) -> bytes:
    """Return the legacy bhavcopy of a session: sorted, no trailing zeros, 0 for a missing last price."""
    names = ("symbol", "series", "open", "high", "low", "close", "last", "previous", "volume", "turnover")
    columns = [pl.col("last").fill_null(0.0) if name == "last" else pl.col(name) for name in names]
    columns += [pl.lit(_stamp(session)), pl.col("trades"), pl.col("isin"), pl.lit(None, pl.String)]
    text = _csv(rows.sort("symbol", "series"), columns)
    return LEGACY_HEADER.encode() + TRAILING_ZEROS.sub(rb"\1", text)


def zipped(name: str, content: bytes, session: date) -> bytes:
    """Return a zip with one file in it, dated seven in the evening of its session."""
    buffer = io.BytesIO()
    member = zipfile.ZipInfo(name, (session.year, session.month, session.day, 19, 0, 0))
    member.create_system, member.external_attr = 3, 0o644 << 16  # the same bytes on every system
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(member, content, zipfile.ZIP_DEFLATED, compresslevel=6)
    return buffer.getvalue()


def master(universe: tuple[Instrument, ...], events: Events, sessions: tuple[date, ...]) -> bytes:
    """Return the symbol master as of the last session: EQ and BE instruments still listed, by symbol."""
    identity = changed(identities(universe), events.changes)
    faces = {action.position: action.face_value for action in events.actions}
    lines = []
    for position, row in enumerate(identity.iter_rows(named=True)):
        if row["series"] not in MASTER_SERIES or events.last[position] < len(sessions) - 1:
            continue
        first = events.first[position]
        listed = sessions[first] if first else sessions[0] - timedelta(30 + universe[position].code % 7_000)
        face = faces.get(position, universe[position].face_value)
        fields = (row["symbol"], row["name"], row["series"], _stamp(listed), face, row["lot"], row["isin"], face)
        lines.append(",".join(map(str, fields)) + "\n")
    return (MASTER_HEADER + "".join(sorted(lines))).encode()


def symbol_changes(universe: tuple[Instrument, ...], changes: Iterable[Change]) -> bytes:
    """Return the list of renames, without a header as the exchange's: company, old symbol, new symbol, date."""
    renames = (change for change in changes if change.attribute == "symbol")
    lines = (f"{universe[one.position].name},{one.before},{one.after},{_stamp(one.session)}\n" for one in renames)
    return "".join(sorted(lines)).encode()


def corporate_actions(
    universe: tuple[Instrument, ...], events: Events, dividends: Mapping[tuple[int, date], int]
) -> bytes:
    """Return the corporate-actions list; `dividends` are paise by position and ex-date.

    As in the real list, symbols are the latest, and the first split or bonus stands in it twice.
    """
    series = changed(identities(universe), events.changes)["series"].to_list()
    capital = [action for action in events.actions if action.price_factor != 1.0]
    rows = [ACTIONS_HEADER]
    for action in sorted([*events.actions, *capital[:1]], key=lambda one: one.ex_date):
        record = action.ex_date if action.ex_date >= SAME_DAY_RECORD_FROM else action.ex_date + timedelta(1)
        purpose = _purpose(action, dividends)
        title = universe[action.position].name
        dates = (f"{action.ex_date:%d-%b-%Y}", f"{record:%d-%b-%Y}", "-", "-")
        rows.append((action.symbol, title, series[action.position], purpose, str(action.face_value), *dates))
    text = "".join(",".join(f'"{field}"' for field in row) + "\n" for row in rows)
    return text.encode("utf-8-sig")


def _same_day(figures: pl.DataFrame) -> pl.DataFrame:
    """Return the T0 rows: one price, a few shares, and the close of the EQ row, which may lie elsewhere."""
    equities = figures.filter(pl.col("series") == "EQ").sort("code").head(T0_SYMBOLS)
    shares = 1 + (pl.col("chance") * 40).cast(pl.Int64)
    return equities.filter(pl.col("chance") < T0_CHANCE).with_columns(
        chance=pl.col("chance") * 2,  # a place of its own among the rows
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


def _stamp(day: date) -> str:
    return f"{day:%d-%b-%Y}".upper()


def _purpose(action: Action, dividends: Mapping[tuple[int, date], int]) -> str:
    if action.kind != "dividend":
        return action.purpose
    rupees, paise = divmod(dividends[action.position, action.ex_date], 100)
    amount = f"{rupees}.{paise:02d}" if paise else str(rupees)
    return action.purpose.format(f"{'Rs' if rupees > 1 or (rupees and paise) else 'Re'} {amount}")
