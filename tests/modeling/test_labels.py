"""Compare forward returns with a plain loop over the market's calendar; bounds of their look-ahead."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings, strategies as st
from polars.testing import assert_frame_equal

from champion.errors import ContractError, UsageError
from champion.modeling.labels import average_uniqueness, forward_return

FIRST = date(2024, 1, 1)


def market(seed: int, sessions: int = 25, instruments: int = 4, traded: float = 0.8) -> pl.DataFrame:
    """Return shuffled bars on weekdays in which every instrument misses sessions."""
    rng = np.random.default_rng(seed)
    calendar = [day for day in (FIRST + timedelta(days=n) for n in range(2 * sessions)) if day.weekday() < 5][:sessions]
    rows = [
        (f"I{number}", session, round(float(rng.uniform(1, 1000)), 2))
        for number in range(instruments)
        for session in calendar
        if rng.random() < traded
    ]
    schema = {"instrument_id": pl.String, "trade_date": pl.Date, "close": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row").sample(fraction=1, shuffle=True, seed=seed)


def by_loop(
    bars: pl.DataFrame, horizon: int, lag: int
) -> list[tuple[str, date, float | None, date | None, date | None]]:
    calendar = sorted(set(bars["trade_date"].to_list()))
    close = {(instrument, session): price for instrument, session, price in bars.rows()}
    found: list[tuple[str, date, float | None, date | None, date | None]] = []
    for instrument, session in sorted(close):
        ahead = calendar[calendar.index(session) :]
        end = ahead[lag + horizon] if lag + horizon < len(ahead) else None
        if end is None or (instrument, ahead[lag]) not in close:
            found.append((instrument, session, None, end, None))
            continue
        left = next(day for day in reversed(ahead[lag : lag + horizon + 1]) if (instrument, day) in close)
        found.append((instrument, session, close[instrument, left] / close[instrument, ahead[lag]] - 1, end, left))
    return found


@settings(max_examples=25)
@given(seed=st.integers(0, 2**20), horizon=st.integers(1, 30), lag=st.integers(0, 3))
def test_forward_return_equals_a_plain_loop(seed: int, horizon: int, lag: int) -> None:
    bars = market(seed)
    assert forward_return(bars, horizon, lag).rows() == by_loop(bars, horizon, lag)


def test_share_that_stops_trading_is_valued_at_its_last_close() -> None:
    sessions = [FIRST + timedelta(days=n) for n in range(6)]
    closes = [10.0, 11.0, 12.0, 15.0, 16.0, 20.0]
    steady = pl.DataFrame({"instrument_id": ["B"] * 6, "trade_date": sessions, "close": closes})
    suspended = steady.with_columns(instrument_id=pl.lit("A")).filter(~pl.col("trade_date").is_in(sessions[2:5]))
    gone = steady.with_columns(instrument_id=pl.lit("C")).head(2)
    labels = forward_return(pl.concat([steady, suspended, gone]), 2)
    found = {one: labels.filter(pl.col("instrument_id") == one) for one in "ABC"}
    # During the suspension the last close is 11; the later close of 20 is not known yet.
    assert found["A"]["forward_return"].to_list() == [11 / 10 - 1, 11 / 11 - 1, None]
    assert found["A"]["exit_date"].to_list() == [sessions[1], sessions[1], None]
    assert found["C"]["forward_return"].to_list() == [11 / 10 - 1, 0.0]
    assert found["C"]["label_end"].to_list() == sessions[2:4]
    assert (found["B"]["exit_date"] == found["B"]["label_end"]).all()


def test_share_without_a_trade_on_entry_has_no_label() -> None:
    sessions = [FIRST + timedelta(days=n) for n in range(4)]
    steady = pl.DataFrame({"instrument_id": ["B"] * 4, "trade_date": sessions, "close": [10.0, 11.0, 12.0, 15.0]})
    absent = steady.with_columns(instrument_id=pl.lit("A")).filter(pl.col("trade_date") != sessions[1])
    labels = forward_return(pl.concat([steady, absent]), 1, lag=1).filter(pl.col("instrument_id") == "A")
    assert labels.row(0)[2:] == (None, sessions[2], None)


@settings(max_examples=15)
@given(seed=st.integers(0, 2**20), horizon=st.integers(1, 8), lag=st.integers(0, 2), cut=st.integers(0, 35))
def test_label_is_known_from_its_end_on(seed: int, horizon: int, lag: int, cut: int) -> None:
    bars, today = market(seed), FIRST + timedelta(days=cut)
    known, later = (
        forward_return(bars.filter(pl.col("trade_date") <= today), horizon, lag),
        forward_return(bars, horizon, lag),
    )
    settled = later.filter(pl.col("trade_date") <= today).with_columns(
        pl.when(pl.col("label_end") <= today).then(pl.col("forward_return", "label_end", "exit_date"))
    )
    assert_frame_equal(known, settled, check_exact=True)


def test_schema_and_empty_bars() -> None:
    dates = {"label_end": pl.Date, "exit_date": pl.Date}
    expected = {"instrument_id": pl.String, "trade_date": pl.Date, "forward_return": pl.Float64, **dates}
    assert dict(forward_return(market(1), 5).schema) == expected
    assert dict(forward_return(market(1).clear(), 5).schema) == expected


@pytest.mark.parametrize(("horizon", "lag"), [(0, 0), (-1, 0), (1, -1)])
def test_invalid_horizon_and_lag_are_refused(horizon: int, lag: int) -> None:
    with pytest.raises(UsageError, match="horizon >= 1 and lag >= 0"):
        forward_return(market(1), horizon, lag)


def test_invalid_bars_are_refused() -> None:
    bars = market(1)
    with pytest.raises(ContractError, match="lack close"):
        forward_return(bars.drop("close"), 1)
    with pytest.raises(ContractError, match="close is null"):
        forward_return(bars.with_columns(close=pl.lit(None, pl.Float64)), 1)
    with pytest.raises(ContractError, match="several bars in one session"):
        forward_return(pl.concat([bars, bars.head(1)]), 1)


def uniqueness_by_loop(labels: pl.DataFrame) -> list[float]:
    calendar = sorted({*labels["trade_date"].to_list(), *labels["label_end"].to_list()})
    spans = [
        (instrument, [day for day in calendar if start < day <= end])
        for instrument, start, end in labels.select("instrument_id", "trade_date", "label_end").iter_rows()
    ]
    shared = Counter((instrument, day) for instrument, days in spans for day in days)
    return [sum(1 / shared[instrument, day] for day in days) / len(days) for instrument, days in spans]


@settings(max_examples=25)
@given(seed=st.integers(0, 2**20), horizon=st.integers(1, 8), lag=st.integers(0, 2))
def test_uniqueness_equals_a_plain_loop(seed: int, horizon: int, lag: int) -> None:
    labels = forward_return(market(seed, sessions=15, instruments=3), horizon, lag).drop_nulls("forward_return")
    labels = labels.sample(fraction=1, shuffle=True, seed=seed)
    weights = average_uniqueness(labels)
    assert weights.to_list() == pytest.approx(uniqueness_by_loop(labels))
    assert weights.is_between(0, 1, closed="right").all()


def test_labels_without_overlap_have_weight_one() -> None:
    bars = market(3, sessions=12, instruments=2, traded=1.0)
    labels = forward_return(bars, 3).drop_nulls("forward_return")
    assert average_uniqueness(labels).max() < 1  # type: ignore[operator]
    apart = labels.filter(pl.col("trade_date").rank("dense") % 3 == 1)
    assert average_uniqueness(apart).to_list() == [1.0] * apart.height
    assert average_uniqueness(labels.clear()).is_empty()
