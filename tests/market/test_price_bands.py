"""Price bands: the list of a session applies to the next one, and bands inferred from bars equal a plain loop."""

from __future__ import annotations

import math
import random
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from champion.errors import UsageError
from champion.market.reference import price_bands
from champion.market.reference.band_inference import infer
from champion.market.reference.price_limits import lower, tick, upper
from champion.sources.lists import pr_bundle

DAYS = [date(2025, 2, day) for day in (20, 21, 24, 25, 27)]  # the 26th was a holiday
READ = datetime(2025, 2, 24, 13, tzinfo=UTC)


def listed(*days: date, band: int | None = 5) -> pl.DataFrame:
    kind = "dynamic" if band is None else "fixed"
    return pl.DataFrame({"trade_date": days}).select(
        "trade_date",
        instrument_id=pl.lit("NSE:A"),
        symbol=pl.lit("A"),
        series=pl.lit("EQ"),
        band_kind=pl.lit(kind),
        band_percent=pl.lit(band, pl.Int64),
        surveillance=pl.lit(None, pl.String),
        ingest_time=pl.lit(READ) + (pl.col("trade_date") - date(2025, 2, 24)),
    )


def test_list_applies_to_the_next_session_and_to_no_other() -> None:
    lists = pl.concat([listed(date(2025, 2, 21)), listed(date(2025, 2, 25), band=None)])
    found = price_bands.for_session(lists, DAYS, date(2025, 2, 24))
    assert found.select("list_date", "band_percent", "basis").rows() == [(date(2025, 2, 21), 5, "published")]
    after = price_bands.for_session(lists, DAYS, date(2025, 2, 27))  # over a holiday
    assert after.select("list_date", "band_kind", "band_percent").rows() == [(date(2025, 2, 25), "dynamic", None)]
    with pytest.raises(UsageError, match=r"dated 2025-02-24.*cover the sessions 2025-02-24, 2025-02-27"):
        price_bands.for_session(lists, DAYS, date(2025, 2, 25))


def test_list_read_later_does_not_count() -> None:
    lists, session = listed(date(2025, 2, 24)), date(2025, 2, 25)
    assert price_bands.for_session(lists, DAYS, session, READ).height == 1
    with pytest.raises(UsageError, match="cover no session"):
        price_bands.for_session(lists, DAYS, session, READ - timedelta(seconds=1))


def test_next_session_after_the_known_ones() -> None:
    lists = listed(date(2025, 2, 27))
    assert price_bands.for_session(lists, DAYS, date(2025, 2, 28)).height == 1
    with pytest.raises(UsageError, match="end on 2025-02-27: ingest those between"):
        price_bands.for_session(lists, DAYS, date(2025, 3, 10))
    with pytest.raises(UsageError, match="before the first session"):
        price_bands.for_session(lists, DAYS, date(2025, 2, 20))


def test_list_does_not_apply_over_a_gap_of_the_lake() -> None:
    lists, days = listed(date(2025, 2, 20)), [date(2025, 2, 20), date(2025, 3, 3)]
    assert price_bands.covered(days, days) == []
    with pytest.raises(UsageError, match="end on 2025-02-20: ingest those between"):
        price_bands.for_session(lists, days, days[1])
    assert price_bands.limits(bars_of(days[1:]), lists, days).is_empty()


def bars_of(days: list[date], **columns: Any) -> pl.DataFrame:
    prices = {"prev_close": 100.0, "high": 101.0, "low": 99.0}
    bar = {"instrument_id": "NSE:A", "series": "EQ", **prices, **columns}
    return pl.DataFrame([bar | {"trade_date": day} for day in days])


def test_limits_are_known_only_where_the_list_the_base_price_and_the_bar_agree() -> None:
    day = DAYS[2]

    def found(bar: pl.DataFrame, lists: pl.DataFrame, ex_date: date | None = None) -> list[tuple[float, float]]:
        ex_dates = pl.DataFrame(
            {"instrument_id": ["NSE:A"], "ex_date": [ex_date]}, {"instrument_id": str, "ex_date": date}
        )
        return price_bands.limits(bar, lists, DAYS, ex_dates).select("upper_band", "lower_band").rows()

    lists = listed(DAYS[1])
    assert found(bars_of([day]), lists) == [(105.0, 95.0)]
    assert found(bars_of([day]), listed(DAYS[1], band=None)) == [(math.inf, 0.0)]
    assert found(bars_of([day]), listed(DAYS[0], DAYS[2])) == []  # lists of other sessions
    assert found(bars_of([day], instrument_id="NSE:B"), lists) == []
    assert found(bars_of([day], high=105.01), lists) == []
    assert found(bars_of([day], low=94.99), lists) == []
    assert found(bars_of([day], prev_close=None), lists) == []
    assert found(bars_of([day]), lists, day) == []
    assert found(bars_of([day]), lists, date(2025, 2, 23)) == []  # an ex-date on a Sunday
    assert found(bars_of([day]), lists, DAYS[3]) == [(105.0, 95.0)]
    both = pl.concat([lists, lists.with_columns(series=pl.lit("BE"), band_percent=pl.lit(2, pl.Int64))])
    assert found(bars_of([day]), both) == [(105.0, 95.0)]  # the line of the bar's series
    assert found(bars_of([day], series="BE"), both) == [(102.0, 98.0)]
    assert found(bars_of([day], series="BE"), lists) == [(105.0, 95.0)]  # the security moved to another series


@pytest.mark.parametrize(
    ("session", "series", "previous", "band", "limits"),
    [
        (date(2020, 12, 1), "EQ", 1005, 5, (955, 1055)),  # 10.5525 and 9.5475 rupees
        (date(2020, 12, 1), "BE", 40, 10, (40, 40)),  # a band narrower than a tick
        (date(2024, 6, 7), "EQ", 1005, 5, (955, 1055)),
        (date(2024, 6, 10), "EQ", 1005, 5, (955, 1055)),
        (date(2024, 6, 10), "EQ", 1003, 5, (953, 1053)),
        (date(2024, 6, 10), "SM", 1003, 5, (955, 1050)),
        (date(2024, 6, 10), "EQ", 25001, 20, (20005, 30000)),
    ],
)
def test_limits_lie_within_the_band(
    session: date, series: str, previous: int, band: int, limits: tuple[int, int]
) -> None:
    close, percent = pl.lit(previous), pl.lit(band)
    step = tick(pl.lit(session), pl.lit(series), close)
    assert pl.select(lower(close, percent, step), upper(close, percent, step).alias("upper")).row(0) == limits
    exact = previous * (1 - band / 100), previous * (1 + band / 100)
    assert exact[0] <= limits[0] <= limits[1] <= exact[1]


def drawn(seed: int, count: int = 160) -> list[dict[str, Any]]:
    """Return bars of one security whose band changes, with quiet days, hits, locked days and a split."""
    rng = random.Random(seed)  # noqa: S311 - drawn prices, no secret
    bars, close = [], rng.choice([3.4, 47.0, 480.0])
    for number in range(count):
        band = (2, 5, 10, 20)[(number // 40 + seed) % 4]
        top = math.floor(round(close * (100 + band) / 5, 6)) * 5 / 100
        bottom = math.ceil(round(close * (100 - band) / 5, 6)) * 5 / 100
        draw = rng.random()
        high = top if draw < 0.3 else round(close + (top - close) * rng.random() * 20) / 20
        low = high if draw < 0.1 else max(bottom, round((close - (close - bottom) * rng.random()) * 20) / 20)
        high, low = round(max(high, low), 2), round(min(high, low), 2)
        bars.append({"prev_close": None if number == 0 else round(close, 2), "high": high, "low": low})
        close = high if draw < 0.5 else low
        if number == 70:
            close = round(close * 20 / 2) / 20 or 1.0  # the next previous close is as published, before a split
            bars[-1]["high"] = round(high * 2, 2)
    return bars


def plain(bars: list[dict[str, Any]]) -> list[tuple[bool, bool, int | None, int | None]]:
    """Return hit_high, hit_low, band_percent and at_least of each bar, computed one bar after the other."""
    found, own, touched = [], list[int](), list[bool]()
    evidence: tuple[int, int] | None = None  # place and band
    for place, bar in enumerate(bars):
        width, high, low = 99, False, False
        if bar["prev_close"] is not None:
            close, top, bottom = (round(bar[name] * 100) for name in ("prev_close", "high", "low"))
            for band in (20, 10, 5, 2):
                limit_high = close * (100 + band) // 500 * 5
                limit_low = -(-close * (100 - band) // 500) * 5
                if limit_low <= bottom and top <= limit_high:
                    width, high, low = band, top == limit_high, bottom == limit_low
        before = own[-10:]
        narrow = max(before, default=0) <= width
        repeated = any(one == width and hit for one, hit in zip(before, touched[-10:], strict=True))
        own.append(width)
        touched.append(high or low)
        usual = width > 2 or (narrow and repeated)
        high, low = high and usual, low and usual
        if (high or low) and (narrow or repeated or bar["high"] == bar["low"]):
            evidence = place, width
        elif evidence and 99 > width > evidence[1]:
            evidence = None
        fresh = evidence if evidence and place - evidence[0] <= 60 else None
        found.append(
            (high, low, fresh[1] if fresh else None, max((one for one in own[-20:] if one < 99), default=None))
        )
    return found


def frame(*each: list[dict[str, Any]]) -> pl.DataFrame:
    start = date(2020, 1, 1)
    rows = [
        {"instrument_id": f"NSE:{name}", "trade_date": start + timedelta(place), "series": "EQ", **bar}
        for name, bars in enumerate(each)
        for place, bar in enumerate(bars)
    ]
    return pl.DataFrame(rows, infer_schema_length=None)


OUT = ("hit_high", "hit_low", "band_percent", "at_least")


def test_inferred_bands_equal_a_plain_loop_per_security() -> None:
    cases = [drawn(seed) for seed in range(24)]
    found = infer(frame(*cases).sample(fraction=1.0, shuffle=True, seed=1))
    bands = set()
    for name, bars in enumerate(cases):
        own = found.filter(instrument_id=f"NSE:{name}")
        assert own.select(OUT).rows() == plain(bars)
        bands |= set(own["band_percent"])
    assert bands == {None, 2, 5, 10, 20}
    assert set(found["basis"]) == {"inferred"}


def test_inferred_bands_use_no_later_bar() -> None:
    bars = drawn(3)
    whole = infer(frame(bars))
    for length in (1, 2, 40, 71, 72, 120):
        assert infer(frame(bars[:length])).equals(whole.head(length))


def test_security_without_bars_is_absent() -> None:
    assert infer(frame(drawn(1)).clear()).height == 0


def test_inferred_hits_against_the_real_circuit_hits_of_a_session(nse_products: Path) -> None:
    bundle, session = nse_products / "archives/equities/bhavcopy/pr/PR161220.zip", date(2020, 12, 16)
    content = bundle.read_bytes()
    published = pr_bundle.read_hits(bundle.name, content, session).rows
    traded = pr_bundle.prices(bundle.name, content, session)
    bars = traded.filter(pl.col("series").is_in(["EQ", "BE", "BZ", "SM"])).select(
        instrument_id=pl.format("{}:{}", "symbol", "series"),
        trade_date=pl.lit(session),
        series="series",
        prev_close="prev_close",
        high="high",
        low="low",
    )
    hits = infer(bars)
    found = {(row["instrument_id"], side) for row in hits.iter_rows(named=True) for side in "HL" if row[_SIDES[side]]}
    real = {(f"{row[1]}:{row[2]}", row[4]) for row in published.iter_rows() if row[2] in {"EQ", "BE", "BZ", "SM"}}
    assert len(found & real) / len(found) > 0.9
    assert len(found & real) / len(real) > 0.95


_SIDES = {"H": "hit_high", "L": "hit_low"}
