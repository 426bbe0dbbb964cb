"""Wrong scores, weights and settings get one clear error, and what is not known is never a figure."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date, datetime

import polars as pl
import pytest
from accounts import random_bars, run, sessions

from champion.errors import UsageError
from champion.portfolio.arrays import market_arrays
from champion.portfolio.construction import Rule, construct, target_weights
from champion.portfolio.simulator import MarketRules, simulate

DAYS = sessions(2)
SCORES = pl.DataFrame({"trade_date": DAYS * 3, "instrument_id": [*"AABBCC"], "score": [1.0, 2.0, 3.0, 1.0, 2.0, 3.0]})
VOLATILE = SCORES.with_columns(volatility=pl.lit(0.02), sector=pl.lit("Metals"))
INVERSE = Rule(top=2, weighting="inverse_volatility")
VALUES = [math.inf, -math.inf, math.nan, "5", True, pl.Series([1])]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows.lazy(), r"the scores are a polars LazyFrame; give a polars DataFrame: call \.collect\(\)"),
        (lambda rows: rows.to_pandas(), r"the scores are a pandas DataFrame; .* call pl\.from_pandas"),
        (lambda rows: rows.to_dicts(), "the scores are a builtins list; give a polars DataFrame"),
        (lambda rows: rows.drop("score"), "the scores lack score; they have trade_date, instrument_id"),
        (lambda rows: rows.drop("trade_date"), "the scores lack trade_date; they have"),
        (lambda rows: rows.cast({"trade_date": pl.String}), r"trade_date of the scores are String; give dates, as by"),
        (lambda rows: rows.cast({"trade_date": pl.Datetime}), r"trade_date of the scores are Datetime.*; give dates"),
        (lambda rows: rows.cast({"score": pl.String}), "score of the scores are String; give numbers"),
        (lambda rows: rows.with_columns(instrument_id=1), "instrument_id of the scores are Int32; give texts"),
        (lambda rows: rows.with_columns(score=math.inf), "6 scores with an impossible score, first inf of A on"),
        (lambda rows: rows.with_columns(volatility=0.0), "6 scores with an impossible volatility, first 0.0 of A on"),
        (lambda rows: rows.with_columns(volatility=-0.1), "with an impossible volatility, .* above 0 and finite"),
        (lambda rows: rows.drop("volatility"), "the scores lack volatility"),
        (lambda rows: pl.concat([rows, rows]), "the scores name A twice on"),
    ],
)
def test_scores_of_another_kind_are_refused(change: Callable[[pl.DataFrame], pl.DataFrame], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        target_weights(change(VOLATILE), INVERSE)


@pytest.mark.parametrize("unknown", [None, math.nan])
def test_an_unknown_score_or_volatility_is_left_out(unknown: float | None) -> None:
    for name in ("score", "volatility"):
        value = pl.when(pl.col("instrument_id") == "B").then(pl.lit(unknown, pl.Float64)).otherwise(pl.col(name))
        assert "B" not in target_weights(VOLATILE.with_columns(value.alias(name)), INVERSE)["instrument_id"]


@pytest.mark.parametrize("value", VALUES, ids=str)
def test_settings_of_another_kind_are_refused(value: object) -> None:
    for name in ("top", "buffer", "cap", "sector_cap", "turnover", "invested", "every", "weighting"):
        with pytest.raises(UsageError, match=f"no portfolio can have {name} "):
            Rule(**{name: value})  # type: ignore[arg-type]
    for name in ("capital", "participation", "impact", "haircut", "delisted_after"):
        with pytest.raises(UsageError, match=f"no account can have {name} "):
            MarketRules(**{name: value})  # type: ignore[arg-type]
    for whole in ("top", "every"):
        with pytest.raises(UsageError, match=f"no portfolio can have {whole} 2.5"):
            Rule(**{whole: 2.5})  # type: ignore[arg-type]


def test_a_price_of_fills_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UsageError, match="no order is filled at 'vwap'; fill is one of average, open, close"):
        market_arrays(random_bars(1), fill="vwap")  # type: ignore[arg-type]


def test_weights_that_name_an_instrument_twice_are_refused() -> None:
    market, weights, _ = run(3)
    with pytest.raises(UsageError, match=r"the weights name . twice on .*; give one row per instrument and session"):
        simulate(market, pl.concat([weights, weights.head(1).with_columns(weight=0.0)]))
    for wrong in (weights.drop("weight"), weights.cast({"trade_date": pl.Datetime}), weights.lazy()):
        with pytest.raises(UsageError, match=r"the weights lack|of the weights are|the weights are a"):
            simulate(market, wrong)  # type: ignore[arg-type]


def test_nan_in_bars_is_not_known_as_null_is() -> None:
    """A NaN average price is replaced by turnover over volume, and a NaN band is no band."""
    for name in ("average_price", "upper_band", "lower_band"):
        bars = random_bars(4).with_columns(pl.lit(None, pl.Float64).alias(name))
        null, nan = (market_arrays(each) for each in (bars, bars.with_columns(pl.lit(math.nan).alias(name))))
        for each in ("fill", "locked_up", "locked_down"):
            assert pl.Series(getattr(null, each).ravel()).equals(pl.Series(getattr(nan, each).ravel()))
    assert null.locked_up.any()


def test_what_limits_leave_in_cash_is_counted() -> None:
    """What is invested and what each limit leaves add up to what the rule invests."""
    rules = [Rule(top=4, cap=0.2), Rule(top=2, sector_cap=0.3), Rule(top=5, cap=0.15, sector_cap=0.25), Rule(top=2)]
    for rule in rules:
        found = construct(VOLATILE, rule)
        day = found.uninvested.row(0, named=True)
        held = found.weights.filter(trade_date=day["trade_date"])["weight"].sum()
        assert held + day["few"] + day["cap"] + day["sector_cap"] == pytest.approx(rule.invested)
        assert bool(found.text) == (held < rule.invested - 0.001)


@pytest.mark.parametrize("sector", [None, "Unknown"])
def test_a_sector_cap_without_any_known_sector_is_refused(sector: str | None) -> None:
    with pytest.raises(UsageError, match="sector_cap needs sectors, and that of no scored instrument is known"):
        target_weights(VOLATILE.with_columns(sector=pl.lit(sector, pl.String)), Rule(sector_cap=0.3))


def test_dates_with_a_time_are_not_taken_for_dates() -> None:
    timed = SCORES.with_columns(trade_date=pl.lit(datetime(2024, 1, 1, 15, 30)))  # noqa: DTZ001 - as read from a file
    assert timed["trade_date"][0] != date(2024, 1, 1)
    with pytest.raises(UsageError, match=r"give dates, as by \.dt\.date\(\)"):
        target_weights(timed, Rule())
