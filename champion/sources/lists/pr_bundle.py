"""Parse two files of the daily bundle `PRddmmyy.zip`: circuit hits (`bh`) and new 52-week highs and lows (`HL`).

The bundle's file names change between lower, mixed and upper case. Lines end in LF or CRLF.

- `bh` has a header of five columns over rows of four: the index flag is missing. A name may contain commas, so symbol
  and series are read from the left, and `H` or `L` from the right.
- `HL` has names only. The bundle's `Pd`, the session's prices, gives symbol and series where one security of that name
  had the new extreme as its high or low; otherwise they are null.
- An empty `bh` occurs (2021-05-17). It does not say that no security hit its band, so it is refused.
- A `bh` of another date occurs (2018-01-02): its name has the date, and it is refused.
"""

import re
from datetime import date, datetime

import polars as pl

from champion.errors import FormatError, WrongSession
from champion.sources import container
from champion.sources.headers import require_header
from champion.sources.lists import quoted_fields
from champion.sources.table import Published

HITS, EXTREMES = "nse_circuit_hits", "nse_52_week_extremes"
HIT_HEADER = "SYMBOL,SERIES,SECURITY,HIGH/LOW,INDEX FLAG"
EXTREME_HEADER = "SECURITY,NEW,PREVIOUS,NEW_STATUS"
PRICE_HEADER = (
    "MKT,SERIES,SYMBOL,SECURITY,PREV_CL_PR,OPEN_PRICE,HIGH_PRICE,LOW_PRICE,CLOSE_PRICE,NET_TRDVAL,NET_TRDQTY,"
    "IND_SEC,CORP_IND,TRADES,HI_52_WK,LO_52_WK"
)
_SIDES = ("H", "L")
_HIT_COLUMNS = ("SYMBOL", "SERIES", "SECURITY", "HIGH_LOW", "INDEX_FLAG")
_EXTREME_COLUMNS = ("SECURITY", "NEW", "PREVIOUS", "NEW_STATUS")
_PRICE_FIELDS, _SYMBOL_PLACE, _TAIL = 16, 2, 12  # PRICE_HEADER has twelve fields after the name
_NUMBER = (r"\d+(\.\d+)?|\.\d+", "a price")
_REJECTED = {"row_number": pl.Int64(), "reasons": pl.List(pl.String()), "row": pl.String()}


def read_hits(name: str, content: bytes, session: date) -> Published:
    """Return the circuit hits of a session: SYMBOL, SERIES, SECURITY, HIGH_LOW (H or L), INDEX_FLAG, Hit_Date.

    Raises:
        WrongSession: the file inside is of another session.
        FormatError: the bundle is damaged or has no `bh`, or `bh` is empty, truncated or has another header.
    """
    inside, lines = _member(name, content, "bh", session)
    _require(inside, lines, HIT_HEADER)
    rows: list[tuple[object, ...]] = []
    rejected: list[tuple[object, ...]] = []
    for number, line in _complete(inside, lines):
        fields = _hit([field.strip() for field in line.split(",")])
        if fields is None:
            rejected.append((number, ["fields: expected symbol, series, name and H or L"], line))
        else:
            rows.append((number, *fields))
    if not rows:
        raise FormatError(f"{inside}: no circuit hits; an empty file does not say that no security hit its band")
    schema = {"row_number": pl.Int64(), **dict.fromkeys(_HIT_COLUMNS, pl.String())}
    frame = pl.DataFrame(rows, schema=schema, orient="row").with_columns(Hit_Date=pl.lit(session.isoformat()))
    return Published(HITS, frame, pl.DataFrame(rejected, schema=_REJECTED, orient="row"), lines)


def read_extremes(name: str, content: bytes, session: date) -> Published:
    """Return the securities with a new 52-week high or low.

    Columns: SECURITY, NEW and PREVIOUS (prices), NEW_STATUS (H or L), SYMBOL and SERIES (null where the name is not
    unique), Extreme_Date.

    Raises:
        WrongSession: the file inside is of another session.
        FormatError: the bundle is damaged or lacks `HL` or `Pd`, or one is truncated or has another header.
    """
    inside, lines = _member(name, content, "hl", session)
    _require(inside, lines, EXTREME_HEADER)
    patterns = {"NEW": _NUMBER, "PREVIOUS": _NUMBER, "NEW_STATUS": ("H|L", "H or L")}
    found = quoted_fields.read(EXTREMES, inside, lines, _EXTREME_COLUMNS, patterns)
    if not found.row_count:
        raise FormatError(f"{inside}: no rows; an empty file does not say that there is no new high or low")
    rows = _with_symbols(found.rows, prices(name, content, session))
    rows = rows.with_columns(Extreme_Date=pl.lit(session.isoformat()))
    return Published(EXTREMES, rows, found.rejected, lines)


def prices(name: str, content: bytes, session: date) -> pl.DataFrame:
    """Return the securities of the bundle's `Pd`, without indices.

    Columns: symbol, series, security, prev_close, high, low (rupees).

    Raises:
        WrongSession: the file inside is of another session.
        FormatError: the bundle has no `Pd`, or it has another header or is truncated.
    """
    inside, lines = _member(name, content, "pd", session)
    _require(inside, lines, PRICE_HEADER)
    rows = []
    for number, line in _complete(inside, lines):
        fields = [field.strip() for field in line.split(",")]
        if len(fields) < _PRICE_FIELDS:
            raise FormatError(f"{inside}: line {number} has {len(fields)} fields; expected {_PRICE_FIELDS}")
        head, tail = fields[: _SYMBOL_PLACE + 1], fields[-_TAIL:]
        security = ",".join(fields[_SYMBOL_PLACE + 1 : -_TAIL])  # a name may contain commas
        if head[0] != "Y" and head[_SYMBOL_PLACE]:
            rows.append((head[_SYMBOL_PLACE], head[1], security, tail[0], tail[2], tail[3]))
    frame = pl.DataFrame(rows, schema=["symbol", "series", "security", "prev_close", "high", "low"], orient="row")
    return frame.with_columns(pl.col("prev_close", "high", "low").cast(pl.Float64, strict=False))


def _member(name: str, content: bytes, kind: str, session: date) -> tuple[str, pl.Series]:
    """Return the name and the lines of one file of the bundle, whose name has the session."""
    inside, found = container.member(name, content, re.compile(rf"{kind}\d{{6}}\.csv", re.IGNORECASE))
    label = f"{name}: {inside}"
    try:
        dated = datetime.strptime(inside[len(kind) : len(kind) + 6], "%d%m%y").date()  # noqa: DTZ007
    except ValueError as error:
        raise FormatError(f"{label}: its name has no date") from error
    if dated != session:
        raise WrongSession(f"{label}: asked for session {session}, this file is of {dated}", [dated.isoformat()])
    return label, pl.Series("row", container.list_text(label, found).split("\n"), dtype=pl.String)


def _require(name: str, lines: pl.Series, header: str) -> None:
    found = [field.strip() for field in lines[0].split(",")]
    if found == [""]:
        raise FormatError(f"{name}: the file is empty; that is no statement about the session")
    require_header(name, found, header.split(","))


def _complete(name: str, lines: pl.Series) -> list[tuple[int, str]]:
    """Return the numbered data lines that are not blank.

    Raises:
        FormatError: the last one has no line end.
    """
    if lines[-1].strip():
        raise FormatError(f"{name}: the file ends within line {lines.len()}: it was cut off; fetch it again")
    return [(number, line.strip()) for number, line in enumerate(lines[1:], start=2) if line.strip()]


def _hit(fields: list[str]) -> tuple[str, str, str, str, str | None] | None:
    """Return symbol, series, name, side and flag of a line; None if it has none of these shapes."""
    for flag in (0, 1):  # without and with the index flag
        end = len(fields) - flag
        if end > len(_SIDES) + 1 and fields[end - 1] in _SIDES and fields[0] and fields[1]:
            name = ",".join(fields[2 : end - 1])
            return fields[0], fields[1], name, fields[end - 1], (fields[end] or None) if flag else None
    return None


def _with_symbols(rows: pl.DataFrame, traded: pl.DataFrame) -> pl.DataFrame:
    """Add SYMBOL and SERIES of the one security with the row's name whose high or low is the new extreme."""
    extreme = pl.col("NEW").cast(pl.Float64, strict=False)
    side = pl.when(pl.col("NEW_STATUS") == "H").then("high").otherwise("low")
    matched = (
        rows.join(traded, left_on="SECURITY", right_on="security", how="inner")
        .filter(side == extreme)
        .group_by("row_number")
        .agg(pl.len().alias("count"), pl.first("symbol").alias("SYMBOL"), pl.first("series").alias("SERIES"))
        .filter(pl.col("count") == 1)
        .drop("count")
    )
    return rows.join(matched, on="row_number", how="left", maintain_order="left")
