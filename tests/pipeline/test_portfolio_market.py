"""The market that an account trades in, from bars and corporate actions of a lake."""

from __future__ import annotations

import shutil
from dataclasses import fields
from datetime import date, timedelta
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

import numpy as np
import polars as pl
import pytest
from action_lists import published

from champion import contracts
from champion.contracts.datasets import ACTIONS, BARS, FACTORS
from champion.lake import Lake
from champion.market.actions import corporate_actions
from champion.market.actions.corporate_actions import ListOrigin
from champion.market.envelope import session_close
from champion.market.identity.symbol_history import SymbolHistory
from champion.pipeline.ingest.corporate_actions import build_factors, current_factors, known_factors
from champion.pipeline.models import portfolio
from champion.portfolio.arrays import MarketArrays
from champion.portfolio.construction import Rule
from champion.portfolio.simulator import MarketRules
from champion.sources.actions import parse_actions

DAYS = [date(2024, 1, 1) + timedelta(n) for n in range(40) if (date(2024, 1, 1) + timedelta(n)).weekday() < 5]
EX = DAYS[16]
NAMES = [f"NSE:S{number}" for number in range(25)]
"""Each share opens 3% lower on EX; three of them have a dividend of unknown amount then, and NAMES[2] falls further."""


def _session(place: int) -> pl.DataFrame:
    """Return the bars of a session, whose prices rise and fall by turns so that some closes are at no limit."""
    rng, fallen = np.random.default_rng(place), np.full(len(NAMES), 0.97)
    fallen[2] = 0.88
    before, level = (np.where(DAYS.index(EX) <= n, fallen, 1.0) * np.arange(100.0, 125) for n in (place - 1, place))
    close = level * (1 + 0.004 * (place % 2)) if place else level
    previous = before * (1 + 0.004 * ((place - 1) % 2)) if place > 1 else before
    close, previous = (np.round(each, 2) for each in (close, previous))
    opened = np.round(previous * level / before, 2)
    volume = rng.integers(50_000, 90_000, len(NAMES))
    bars = pl.DataFrame(
        {
            "instrument_id": NAMES, "symbol": [name.removeprefix("NSE:") for name in NAMES], "open": opened,
            "close": close, "high": np.maximum(opened, close) * 1.01, "low": np.minimum(opened, close) * 0.99,
            "prev_close": previous, "volume": volume, "turnover": volume * close, "trades": volume // 10,
        }
    )  # fmt: skip
    at = pl.lit(session_close(DAYS[place]), pl.Datetime("ms", "UTC"))
    return bars.with_columns(
        event_id=pl.col("symbol").map_elements(lambda name: uuid5(NAMESPACE_URL, f"{name}{place}").bytes, pl.Binary),
        event_time=at, ingest_time=at, source=pl.lit("nse_cm_udiff"), schema_version=pl.lit("1.0.0"),
        entity_id="instrument_id", exchange=pl.lit("NSE"), isin=pl.lit("INE000A01010"), instrument_type=pl.lit("STK"),
        series=pl.lit("EQ"), trade_date=pl.lit(DAYS[place]), last_price="close", settlement_price="close",
        adjustment_factor=1.0, adjustment_date=pl.lit(DAYS[place]), is_trading_day=pl.lit(True),  # noqa: FBT003
    )  # fmt: skip


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    made, contract = Lake(tmp_path_factory.mktemp("fallen")), contracts.load(BARS)
    for place, day in enumerate(DAYS):
        made.write(BARS, day, contract.conform(_session(place)), {"made": "here"})
    unread = published(*((name.removeprefix("NSE:"), "Interim Dividend", EX) for name in NAMES[:3]))
    origin = ListOrigin("test", "0", session_close(DAYS[-1]), (DAYS[0], DAYS[-1]))
    rows = corporate_actions.normalize(parse_actions("a.csv", unread), SymbolHistory(), origin)
    made.write(ACTIONS, DAYS[-1], contracts.load(ACTIONS).conform(rows), {"list": "test"})
    build_factors(made)
    return made


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("others", [NAMES[4:6], NAMES])
@pytest.mark.parametrize("start", [0, 9])
def test_the_market_of_a_share_does_not_depend_on_the_others(
    lake: Lake, place: int, others: list[str], start: int
) -> None:
    def traded(scored: set[str], first: date) -> MarketArrays:
        rows = [(day, name, 1.0) for day in (first, DAYS[12]) for name in sorted(scored)]
        scores = pl.DataFrame(rows, schema=["trade_date", "instrument_id", "score"], orient="row")
        return portfolio.market(lake, scores, after=8)

    name = NAMES[place]
    one, many = traded({name}, DAYS[9]), traded({name, *others}, DAYS[start]).since(DAYS[9])
    assert one.sessions == many.sessions
    column = many.instruments.index(name)
    for each in fields(MarketArrays)[2:-1]:
        own, found = getattr(one, each.name)[:, 0], getattr(many, each.name)[:, column]
        np.testing.assert_allclose(own.astype(float), found.astype(float), rtol=1e-9, err_msg=each.name)
    assert one.unread.rows() == many.unread.filter(instrument_id=name).rows()
    assert one.unread.height == (place < 3)
    assert one.undecided.any() == (place == 2), "the market explains the other opens"


def test_an_action_of_unknown_amount_is_named_in_the_notes(lake: Lake) -> None:
    names, rule = NAMES[:3], Rule(top=3, cap=0.3, every=40)
    scores = pl.DataFrame({"trade_date": [DAYS[2]] * 3, "instrument_id": names, "score": [1.0, 1.0, 1.0]})
    found = portfolio.simulate(scores, rule, MarketRules(capital=1e5), lake=lake)
    assert found.summary["unread_actions"] == 3
    note = next(note for note in found.notes if "amount is not known" in note)
    assert note.startswith("3 corporate actions of holdings whose amount is not known paid nothing: ")
    assert all(f"{name} on {EX}: Interim Dividend" in note for name in names)
    assert "1 sale because of an action whose effect is not known: see `trades`" in found.notes
    assert set(found.account.trades.filter(reason="undecided_action")["instrument_id"]) == {names[2]}
    before = portfolio.simulate(scores, rule, end=DAYS[15], lake=lake)
    assert before.summary["unread_actions"] == 0, "the account ends before"


def test_factors_of_an_older_version_are_derived_again(lake: Lake, tmp_path: Path) -> None:
    stored = known_factors(lake)
    assert current_factors(lake).equals(stored)
    shutil.copytree(lake.root, tmp_path / "older")
    older = Lake(tmp_path / "older")
    day = older.sessions(FACTORS)[-1]
    older.write(FACTORS, day, stored.with_columns(gap=pl.lit(None, pl.Float64)), {"factors": "3"})
    assert current_factors(older).equals(stored), "the gaps are measured again"
    assert known_factors(older)["gap"].null_count() == stored.height, "nothing is stored"
