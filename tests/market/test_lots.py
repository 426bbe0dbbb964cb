"""Lots, eligibility and the ban list as known on a date; dates without a list are refused."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from champion.errors import UsageError
from champion.market.reference import lots
from champion.sources.lists import fo_lots


def listed(day: date, months: list[date], symbols: dict[str, tuple[str, list[int | None]]]) -> pl.DataFrame:
    rows = [
        (day, symbol, kind, month, lot)
        for symbol, (kind, sizes) in symbols.items()
        for month, lot in zip(months, sizes, strict=True)
        if lot
    ]
    return pl.DataFrame(rows, schema=["list_date", "symbol", "kind", "expiry_month", "lot_size"], orient="row")


MAY = [date(2024, month, 1) for month in (5, 6, 7, 9, 12)]
JULY = [date(2024, month, 1) for month in (7, 8, 9, 12)]
FIRST = listed(
    date(2024, 5, 6), MAY, {"NIFTY": ("index", [50, 50, 50, 50, 50]), "PVR": ("security", [407, 407, 407, None, None])}
)
SECOND = listed(
    date(2024, 7, 10), JULY, {"NIFTY": ("index", [25, 25, 25, 25]), "SAIL": ("security", [4000, 4000, 4000, None])}
)
LISTS = pl.concat([FIRST, SECOND])


def test_each_list_counts_until_the_next_and_at_most_to_its_third_month() -> None:
    assert lots.covered(LISTS) == [
        (date(2024, 5, 6), date(2024, 7, 9)),
        (date(2024, 7, 10), date(2024, 9, 30)),
    ]


def test_eligibility_and_lot_as_known_on_a_date() -> None:
    assert lots.eligible(LISTS, date(2024, 7, 9)) == ["PVR"]
    assert lots.eligible(LISTS, date(2024, 7, 10)) == ["SAIL"]
    assert lots.lot(LISTS, "NIFTY", date(2024, 7, 25), date(2024, 7, 9)) == 50
    assert lots.lot(LISTS, "NIFTY", date(2024, 7, 25), date(2024, 7, 10)) == 25
    assert lots.lot(LISTS, "PVR", date(2024, 9, 26), date(2024, 5, 6)) is None


@pytest.mark.parametrize("on", [date(2024, 5, 5), date(2024, 10, 1)])
def test_date_without_a_list_is_refused(on: date) -> None:
    with pytest.raises(UsageError, match="cover 2024-05-06 to 2024-07-09, 2024-07-10 to 2024-09-30"):
        lots.eligible(LISTS, on)


def test_unknown_symbol_or_month_is_refused() -> None:
    with pytest.raises(UsageError, match="PVR has no derivatives by the list of 2024-07-10"):
        lots.lot(LISTS, "PVR", date(2024, 7, 1), date(2024, 7, 10))
    with pytest.raises(UsageError, match="no expiry in 2024-08; it has 2024-05, 2024-06"):
        lots.lot(LISTS, "PVR", date(2024, 8, 29), date(2024, 5, 6))


def test_gap_between_lists_is_not_covered() -> None:
    later = listed(date(2024, 9, 2), [date(2024, month, 1) for month in (9, 10, 11)], {"A": ("security", [1, 1, 1])})
    spans = lots.covered(pl.concat([FIRST, later]))
    assert spans == [(date(2024, 5, 6), date(2024, 7, 31)), (date(2024, 9, 2), date(2024, 11, 30))]


def test_missing_ban_list_is_not_an_empty_one() -> None:
    days = [date(2024, 5, day) for day in (6, 7, 8)]
    lists = {days[0]: {"SAIL", "IDEA"}, days[1]: set[str]()}
    assert lots.banned(lists, days, days[0]) == {"SAIL", "IDEA"}
    assert lots.banned(lists, days, days[1]) == frozenset()
    with pytest.raises(UsageError, match=r"unknown, not empty\. Lists cover the sessions 2024-05-06 to 2024-05-07"):
        lots.banned(lists, days, days[2])


def test_real_eligibility_by_list(nse_products: Path) -> None:
    frames = []
    for path in sorted((nse_products / "content/fo/mktlots_snapshots").glob("*/fo_mktlots.csv")):
        day = date.fromisoformat(path.parent.name[:10])
        frames.append(fo_lots.parse(path.name, path.read_bytes()).with_columns(list_date=day))
    lists = pl.concat(frames)
    assert len(lots.eligible(lists, date(2021, 7, 5))) == 160  # lines after the second header
    assert "RELIANCE" in lots.eligible(lists, date(2022, 11, 30))
    with pytest.raises(UsageError, match="No list of lots counts on 2019-01-01"):
        lots.eligible(lists, date(2019, 1, 1))
