"""Universes: each filter, the accepted forms, and no look-ahead."""

from __future__ import annotations

import json
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings, strategies as st

from champion.contracts.instrument_kinds import EQUITY, KINDS
from champion.errors import UsageError
from champion.modeling.universe import UNIVERSES, Universe, find, members, stored

FIRST = date(2024, 1, 1)
KIND = {1: "fund", 4: "unknown"}


def market(seed: int = 1, sessions: int = 60, instruments: int = 6) -> pl.DataFrame:
    """Return shuffled bars of instruments with different first sessions and random series, prices and turnover."""
    rng = np.random.default_rng(seed)
    rows = [
        (f"I{n}", FIRST + timedelta(days=day), str(rng.choice(["EQ", "BE", "SM"])), *rng.lognormal(3, 1, 2))
        for n in range(instruments)
        for day in range(5 * n, sessions)
        if rng.random() < 0.9
    ]
    schema = {"instrument_id": pl.String, "trade_date": pl.Date, "series": pl.String, "close": pl.Float64,
              "turnover": pl.Float64}  # fmt: skip
    kind = pl.col("instrument_id").replace_strict({f"I{n}": KIND.get(n, "equity") for n in range(instruments)})
    frame = pl.DataFrame(rows, schema=schema, orient="row").with_columns(instrument_kind=kind)
    return frame.sample(fraction=1, shuffle=True, seed=seed)


FILTERS = st.builds(
    Universe,
    min_turnover=st.sampled_from([0.0, 15.0, 25.0]),
    series=st.sampled_from([(), ("EQ",), ("EQ", "BE")]),
    min_age=st.sampled_from([0, 10, 30]),
    min_close=st.sampled_from([0.0, 15.0]),
    kinds=st.sampled_from([(), EQUITY, ("equity", "fund"), ("unknown",)]),
)


def by_loop(bars: pl.DataFrame, universe: Universe) -> set[tuple[str, date]]:
    found = set()
    for (instrument,), own in bars.sort("trade_date").partition_by("instrument_id", as_dict=True).items():
        rows = own.rows(named=True)
        for n, row in enumerate(rows):
            window = [one["turnover"] for one in rows[max(0, n - 19) : n + 1]]
            liquid = universe.min_turnover == 0 or (len(window) == 20 and np.median(window) >= universe.min_turnover)
            old = (row["trade_date"] - rows[0]["trade_date"]).days >= universe.min_age
            named = not universe.series or row["series"] in universe.series
            wanted = not universe.kinds or row["instrument_kind"] in universe.kinds
            if liquid and old and named and wanted and row["close"] >= universe.min_close:
                found.add((str(instrument), row["trade_date"]))
    return found


@settings(max_examples=40)
@given(seed=st.integers(0, 2**20), universe=FILTERS)
def test_members_equal_a_plain_loop(seed: int, universe: Universe) -> None:
    bars = market(seed)
    assert set(members(bars, universe).rows()) == by_loop(bars, universe)


@settings(max_examples=40)
@given(seed=st.integers(0, 2**20), universe=FILTERS, until=st.integers(1, 60))
def test_later_bars_do_not_change_members(seed: int, universe: Universe, until: int) -> None:
    bars, today = market(seed), FIRST + timedelta(days=until)
    early = members(bars.filter(pl.col("trade_date") <= today), universe)
    assert early.equals(members(bars, universe).filter(pl.col("trade_date") <= today))


def test_age_counts_from_first_bars_before_the_frame() -> None:
    bars, universe = market().filter(pl.col("trade_date") >= FIRST + timedelta(days=50)), Universe(min_age=30)
    first = market().group_by("instrument_id").agg(first_bar=pl.col("trade_date").min())
    assert members(bars, universe).is_empty()
    old = set(first.filter(pl.col("first_bar") <= FIRST + timedelta(days=20))["instrument_id"])
    last = members(bars, universe, first).filter(pl.col("trade_date") <= FIRST + timedelta(days=50))
    assert set(last["instrument_id"]) <= old
    assert last.height > 0


def test_universe_is_found_by_name_filters_or_text() -> None:
    assert find("large") is UNIVERSES["large"]
    assert find({"band": 20}) == find({"bands": ["20"]}) == find('{"band": [20]}') == Universe(bands=("20",))
    assert find('{"kind": "fund", "sector": ["Power"]}') == Universe(kinds=("fund",), sectors=("Power",))
    assert "bands" not in Universe().text
    assert find(Universe(bands=("20", "none")).text) == Universe(bands=("20", "none"))
    with pytest.raises(UsageError, match="kind and kinds are the same filter"):
        find({"kind": "fund", "kinds": "dvr"})
    with pytest.raises(UsageError, match="no price band is 15 percent; there are 2, 5, 10, 20, 40, none"):
        find({"band": 15})
    assert find({"min_turnover": 1e6, "series": "EQ"}) == Universe(min_turnover=1e6, series=("EQ",))
    for universe in UNIVERSES.values():
        assert find(universe.text) == universe


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("liquidity", "neither a name .*did you mean .liquid.. The names are all, liquid, main_board, large"),
        ("[1]", "filters are a JSON object"),
        (
            '{"min_volume": 3}',
            "'min_volume' is not known: there are min_turnover, series, min_age, min_close, index, sectors, kinds",
        ),
        ('{"kinds": ["share", "fund"]}', "no kind of instrument is called 'share': there are equity, dvr, partly_paid"),
    ],
)
def test_unknown_universes_are_refused_with_the_known_ones(wrong: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        find(wrong)


def test_filter_on_a_missing_column_is_refused() -> None:
    with pytest.raises(UsageError, match="filters on series, close, instrument_kind, which the bars lack"):
        members(market().drop("series", "close", "instrument_kind"), UNIVERSES["large"])


def test_every_universe_is_of_company_shares_unless_it_says_otherwise() -> None:
    assert {universe.kinds for universe in (*UNIVERSES.values(), Universe(), find({}), find('{"min_age": 3}'))} == {
        EQUITY
    }
    assert find({"kinds": "fund"}).kinds == ("fund",)
    assert find('{"kinds": ["equity", "fund"]}') == Universe(kinds=("equity", "fund"))
    assert find('{"kinds": []}').kinds == ()
    found = {kinds: set(members(market(), Universe(kinds=kinds))["instrument_id"]) for kinds in ((), EQUITY, ("fund",))}
    assert found[()] == {f"I{n}" for n in range(6)}
    assert found[EQUITY] == found[()] - {"I1", "I4"}, "an unknown kind is not taken for a share"
    assert found[("fund",)] == {"I1"}
    assert all(find(Universe(kinds=(kind,)).text).kinds == (kind,) for kind in KINDS)


def test_a_universe_stored_by_an_earlier_version_keeps_its_meaning() -> None:
    """The texts are those of versions 0.1.0 and 0.2.0: four filters, all written, and no kinds."""
    before = {
        "all": '{"min_age": 0, "min_close": 0.0, "min_turnover": 0.0, "series": []}',
        "liquid": '{"min_age": 0, "min_close": 0.0, "min_turnover": 5000000.0, "series": []}',
        "large": '{"min_age": 180, "min_close": 20.0, "min_turnover": 200000000.0, "series": ["EQ"]}',
    }
    for name, text in before.items():
        named, bars = UNIVERSES[name], market().drop("instrument_kind")
        then = stored(text)
        assert (then.min_turnover, then.series, then.min_age, then.min_close, then.kinds) == (
            named.min_turnover, named.series, named.min_age, named.min_close, (),
        )  # fmt: skip
        assert members(bars, then).equals(members(market(), Universe(**{**before_filters(text), "kinds": KINDS})))
        assert find(then.text) == then == stored(then.text), "written again, it says what it means"
        assert stored(named.text) == named
    assert stored("liquid") == UNIVERSES["liquid"]
    with pytest.raises(UsageError, match="neither a name"):
        stored("no universe")


def before_filters(text: str) -> dict[str, Any]:
    filters: dict[str, Any] = json.loads(text)
    return filters | {"series": tuple(filters["series"])}
