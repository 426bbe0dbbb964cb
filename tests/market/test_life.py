"""The life of an instrument: active, suspended, delisted, as of a session."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl
from hypothesis import given, settings, strategies as st

from champion.market.identity.continuation import CONTINUATIONS
from champion.market.reference.life import QUIET, STATUSES, life

FIRST = date(2023, 1, 2)
SESSIONS = [FIRST + timedelta(days=number) for number in range(200)]
SCHEMA = {"instrument_id": pl.String, "series": pl.String, "instrument_kind": pl.String, "first_session": pl.Date,
          "last_session": pl.Date}  # fmt: skip


def instrument(last: int, name: str = "A", series: str = "EQ", kind: str = "equity", first: int = 0) -> pl.DataFrame:
    row = (name, series, kind, SESSIONS[first], SESSIONS[last])
    return pl.DataFrame([row], schema=SCHEMA, orient="row")


def lists(*rows: tuple[str, int, date | None]) -> pl.DataFrame:
    """Return lists of (instrument, day of reading, date of listing)."""
    dated = [(name, FIRST + timedelta(days=read), listed) for name, read, listed in rows]
    schema = {"instrument_id": pl.String, "list_date": pl.Date, "listed_on": pl.Date}
    return pl.DataFrame(dated, schema=schema, orient="row")


def status(found: pl.DataFrame) -> tuple[str, date | None, bool]:
    row: tuple[str, date | None, bool] = found.select("status", "status_since", "is_active").row(0)
    return row


def test_an_instrument_is_active_until_the_market_has_held_40_sessions_without_it() -> None:
    last = len(SESSIONS) - 1
    assert QUIET == 40
    assert status(life(instrument(last), SESSIONS)) == ("active", None, True)
    assert status(life(instrument(last - 39), SESSIONS)) == ("active", None, True)
    assert status(life(instrument(last - 40), SESSIONS)) == ("inactive", SESSIONS[last - 39], False)


def test_the_list_of_shares_distinguishes_suspended_from_delisted() -> None:
    gone = instrument(50)
    still = lists(("A", 10, date(2001, 1, 2)), ("A", 150, date(2001, 1, 2)), ("B", 150, None))
    assert status(life(gone, SESSIONS, still)) == ("suspended", SESSIONS[51], False)
    assert life(gone, SESSIONS, still)["listed_on"].item() == date(2001, 1, 2)
    left = lists(("A", 10, date(2001, 1, 2)), ("B", 150, None))
    assert status(life(gone, SESSIONS, left)) == ("delisted", SESSIONS[51], False)
    assert status(life(gone, SESSIONS, lists(("B", 150, None)))) == ("delisted", SESSIONS[51], False)
    before = lists(("A", 10, None), ("B", 50, None))
    assert status(life(gone, SESSIONS, before)) == ("inactive", SESSIONS[51], False), "no list was read since"


def test_the_list_says_nothing_of_what_it_never_has() -> None:
    newest = lists(("B", 150, None))
    for series, kind in (("SM", "equity"), ("EQ", "fund"), ("BE", "rights_entitlement"), ("EQ", "unknown")):
        assert status(life(instrument(50, series=series, kind=kind), SESSIONS, newest))[0] == "inactive"


def test_a_share_that_goes_on_as_another_instrument_is_continued_at_once_and_not_delisted() -> None:
    left, found = lists(("A", 10, date(2001, 1, 2)), ("B", 150, None)), (SESSIONS[50], "B", SESSIONS[51])
    chain = pl.DataFrame([("A", *found)], CONTINUATIONS, orient="row")
    for until in (52, 200):
        gone = life(instrument(50), SESSIONS[:until], left, chain)
        assert (*status(gone), gone["continued_as"].item()) == ("continued", SESSIONS[51], False, "B")
    assert life(instrument(199, "B"), SESSIONS, left, chain)["continued_as"].to_list() == [None]


@settings(max_examples=60)
@given(last=st.integers(0, 199), until=st.integers(0, 199), read=st.lists(st.integers(0, 199), max_size=4))
def test_status_is_that_of_a_plain_count_and_only_of_its_day(last: int, until: int, read: list[int]) -> None:
    last = min(last, until)
    held = SESSIONS[: until + 1]
    known = lists(*[(name, day, None) for day in read if day <= until for name in ("A", "B")])
    found = life(instrument(last), held, known if known.height else None)
    idle = sum(session > SESSIONS[last] for session in held)
    wanted = "active" if idle < 40 else "suspended" if any(last < day <= until for day in read) else "inactive"
    assert status(found) == (wanted, None if idle < 40 else SESSIONS[last + 1], idle < 40)
    assert wanted in STATUSES


def test_an_instrument_that_returns_is_active_again() -> None:
    assert status(life(instrument(50), SESSIONS[:120]))[0] == "inactive"
    assert status(life(instrument(121), SESSIONS[:122])) == ("active", None, True)


def test_no_instruments_and_no_sessions_give_no_rows() -> None:
    assert life(instrument(0).clear(), []).columns[-4:] == ["listed_on", "status", "status_since", "is_active"]
