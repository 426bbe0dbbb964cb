"""Write the lots as of the last session, and the index provider's histories of the simulated indices.

The histories are newest first, every field is quoted and the last line has no line end, as in the real files: prices
and ratios of the Nifty 500 and of the Nifty 50 by year, India VIX, and the total return index of the Nifty 50, into
which the dividend points of each session are reinvested.
"""

from collections.abc import Iterator
from datetime import date

import polars as pl

from champion.simulate.indices import BROAD, FIFTY, POINTS, VIX

LOTS = "content/fo/fo_mktlots.csv"
FOLDER = "indices/history"
_PADDING, _MONTHS, _QUARTER = 11, 4, 3
_PRICES, _RATIOS = '"Index Name","Date","Open","High","Low","Close"', '"IndexName","Date","P/E","P/B","Div Yield %"'
_TOTAL_RETURN = '"Index Name","Date","Total Returns Index"'


def lots(identity: pl.DataFrame, dynamic: list[int], last: date) -> bytes:
    """Return the lots of the next three months and a quarter's end; shares have the next three months only."""
    months = [_after(last, number) for number in range(_QUARTER)]
    months.append(
        next(month for number in range(_QUARTER, 2 * _QUARTER) if (month := _after(last, number)).month % 3 == 0)
    )
    headers = [f"{month:%b-%y}".upper() for month in months]
    rows = [
        ("UNDERLYING", "SYMBOL", *headers),
        ("NIFTY 50", "NIFTY", *["50"] * _MONTHS),
        ("Derivatives on Individual Securities", "Symbol", *headers[:_QUARTER], ""),
    ]
    for place in sorted(dynamic):
        lot = str(100 * (1 + place % 9))
        rows.append((identity[place, "name"].upper()[:25], identity[place, "symbol"], *[lot] * _QUARTER, ""))
    return "".join(f"{name:<36},{','.join(field.ljust(_PADDING) for field in rest)}\n" for name, *rest in rows).encode()


def paths(sessions: tuple[date, ...]) -> list[str]:
    """Return the paths of the lots and of the index histories."""
    return [LOTS, *(path for path, _ in _named(sessions))]


def histories(closes: dict[date, dict[str, list[str]]]) -> Iterator[tuple[str, bytes]]:
    """Yield the histories; `closes` has the fields of each index's row in the report, by session and name."""
    sessions = tuple(closes)
    total = _total_return(closes)
    for path, (index, kind, year) in _named(sessions):
        days = [day for day in reversed(sessions) if day.year == year and (kind == "TRI" or index in closes[day])]
        rows = [
            (f"{index.upper()}", f"{day:%d %b %Y}", *_values(kind, closes[day], index, total.get(day))) for day in days
        ]
        header = {"Price": _PRICES, "PE": _RATIOS, "TRI": _TOTAL_RETURN}[kind]
        yield path, "\n".join([header, *(",".join(f'"{field}"' for field in row) for row in rows)]).encode()


def _named(sessions: tuple[date, ...]) -> list[tuple[str, tuple[str, str, int]]]:
    years = sorted({session.year for session in sessions})
    kinds = [(FIFTY, "Price"), (FIFTY, "PE"), (BROAD, "Price"), (BROAD, "PE"), (FIFTY, "TRI"), (VIX, "Price")]
    return [
        (f"{FOLDER}/{index.upper()}_{kind}_{year}.csv", (index, kind, year)) for index, kind in kinds for year in years
    ]


def _values(kind: str, rows: dict[str, list[str]], index: str, total: float | None) -> list[str]:
    if kind == "TRI":
        return [f"{total:.2f}"]
    fields = rows[index]
    return [f"{float(one):.2f}" for one in (fields[2:6] if kind == "Price" else fields[-3:])]


def _total_return(closes: dict[date, dict[str, list[str]]]) -> dict[date, float]:
    """Return the total return index of the Nifty 50 by session; it begins at the first close."""
    levels: dict[date, float] = {}
    level = before = 0.0
    for day, rows in closes.items():
        if FIFTY not in rows:
            continue
        close, paid = float(rows[FIFTY][5]), float(rows[POINTS][6])
        level = level * (close + paid) / before if before else close
        before = close
        levels[day] = level
    return levels


def _after(day: date, months: int) -> date:
    number = day.month - 1 + months
    return date(day.year + number // 12, number % 12 + 1, 1)
