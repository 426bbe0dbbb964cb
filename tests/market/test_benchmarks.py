"""Total return: estimated from price and yield, measured against the published index by year."""

from __future__ import annotations

import zipfile
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from champion.errors import UsageError
from champion.market.reference.benchmarks import error_by_year, estimate_total_return


def history(closes: list[float | None], yields: list[float | None], start: date = date(2023, 12, 28)) -> pl.DataFrame:
    days = [start + timedelta(place) for place in range(len(closes))]
    return pl.DataFrame({"trade_date": days, "close": closes, "dividend_yield": yields})


def test_level_grows_by_price_and_accrued_yield() -> None:
    frame = history([None, 100.0, 110.0, 99.0], [2.0, 3.65, 7.3, 1.0])
    found = estimate_total_return(frame)
    # by hand: 100 * (1.1 + 0.0001) = 110.01, times (0.9 + 0.0002)
    assert found["level"].to_list() == pytest.approx([100.0, 110.01, 99.031002], rel=1e-12)
    assert set(found["basis"]) == {"estimated"}
    assert found["trade_date"].to_list() == frame["trade_date"].to_list()[1:]


def test_weekend_accrues_three_days() -> None:
    frame = history([100.0, 100.0], [3.65, 3.65]).with_columns(
        trade_date=pl.Series([date(2024, 1, 5), date(2024, 1, 8)])
    )
    assert estimate_total_return(frame)["level"].to_list() == pytest.approx([100.0, 100.03])


def test_estimate_of_a_prefix_is_the_prefix_of_the_estimate() -> None:
    frame = history([100.0 + place for place in range(30)], [1.0 + place / 10 for place in range(30)])
    whole = estimate_total_return(frame)
    assert all(estimate_total_return(frame.head(count)).equals(whole.head(count)) for count in (1, 2, 17))


@pytest.mark.parametrize(
    ("closes", "yields"), [([100.0, None, 101.0], [1.0] * 3), ([100.0] * 3, [1.0, None, 1.0]), ([None], [1.0])]
)
def test_missing_close_or_yield_is_refused(closes: list[float | None], yields: list[float | None]) -> None:
    with pytest.raises(UsageError, match="needs close and yield of every session"):
        estimate_total_return(history(closes, yields))


def test_gap_of_a_month_is_refused() -> None:
    frame = history([100.0, 100.0], [1.0, 1.0]).with_columns(trade_date=pl.Series([date(2024, 1, 5), date(2024, 2, 8)]))
    with pytest.raises(UsageError, match="none is there between 2024-01-05 and 2024-02-08, more than 10 days"):
        estimate_total_return(frame)


def test_error_by_year_in_basis_points() -> None:
    days = [date(2022, 12, 30), date(2023, 6, 1), date(2023, 12, 29), date(2024, 1, 1)]
    guess = pl.DataFrame({"trade_date": days, "level": [100.0, 103.0, 110.0, 121.0]})
    truth = pl.DataFrame({"trade_date": days, "level": [200.0, 204.0, 222.0, 244.2]})
    found = error_by_year(guess, truth)
    assert found["year"].to_list() == [2022, 2023, 2024]
    assert found["sessions"].to_list() == [1, 2, 1]
    assert found["published"].to_list() == pytest.approx([0.0, 0.11, 0.1])
    assert found["estimated"].to_list() == pytest.approx([0.0, 0.10, 0.1])
    assert found["error_bp"].to_list() == pytest.approx([0.0, -100.0, 0.0], abs=1e-9)
    assert found["widest_bp"].to_list() == pytest.approx([0.0, 100.0, 0.0], abs=1e-9)
    with pytest.raises(UsageError, match="no two sessions in common"):
        error_by_year(guess.head(1), truth.tail(1))


def test_estimate_on_the_real_nifty_50_is_near_the_published_one(nse_products: Path) -> None:
    with zipfile.ZipFile(nse_products / "derived/india_vix_repo/NIFTY 50.csv.zip") as archive:
        prices = pl.read_csv(archive.read("NIFTY 50.csv"), try_parse_dates=True)
    with zipfile.ZipFile(nse_products / "derived/anuj_tri/nifty50_tri_2015_2025.csv.zip") as archive:
        published = pl.read_csv(archive.read("nifty50_tri.csv"))
    truth = published.select(trade_date=pl.col("timestamp").str.slice(0, 10).str.to_date(), level="close")
    frame = prices.select(trade_date="Date", close="Close", dividend_yield="Div Yield").filter(
        pl.col("trade_date") >= date(2015, 1, 1)
    )
    found = error_by_year(estimate_total_return(frame), truth)
    assert found["year"].to_list() == list(range(2015, 2022))
    assert found["error_bp"].abs().max() < 50  # type: ignore[operator]
